"""What a sync needs of the source: key, endpoints, clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etl.doctor.finding import Finding, Verdict
from etl.errors import ABSENT, EtlError
from etl.poll import SKEW_S
from etl.polling import compare_with_instances
from etl.resources import RESOURCES, Resource
from etl.settings import Account
from etl.settings.file import open_to_others
from etl.texts import tr

if TYPE_CHECKING:
    from etl.app import App
    from etl.source.client import Client


def examine_account(app: App, account: Account) -> Iterator[Finding]:
    """Yield findings about one account's key, its lists, and the source's clock."""
    from etl.source.client import Client, Retrying

    try:
        key = account.key(app.environ)
    except EtlError as error:
        yield Finding("bad", error.message, error.advice)
        return
    yield from _examine_key_file(account)
    try:
        client = Client(
            account.base_url or app.settings.base_url,
            key,
            clock=app.clock,
            timeout_s=app.settings.timeout_s,
            # a person waits: a source that is away must not take long for each of its lists
            retrying=Retrying(attempts=2, total_s=30),
        )
    except EtlError as error:
        yield Finding(
            "bad", tr("{name}: {message}", name=account.name, message=error.message), error.advice
        )
        return
    with client:
        for name in app.settings.resources:
            yield from _examine_endpoint(client, account.name, RESOURCES[name])


def _examine_endpoint(client: Client, account: str, resource: Resource[Any]) -> Iterator[Finding]:
    try:
        answer = client.get(
            # one record shows the list and its total
            resource.path,
            {"page": "1", "page_size": "1"} if resource.paged else {},
        )
        total = resource.open(answer.body).total
    except EtlError as error:
        compare_with_instances(error, resource, client)
        verdict: Verdict = "note" if resource.is_optional and error.kind in ABSENT else "bad"
        yield Finding(
            verdict,
            tr("{account}: {message}", account=account, message=error.message),
            error.advice,
        )
        return
    yield Finding(
        "ok",
        tr(
            "{account}: {path} answers, total {total}",
            account=account,
            path=resource.path,
            total=total,
        ),
    )
    # once an account, by the list that every account has
    if answer.date is not None and not resource.is_optional:
        yield _examine_clock(answer.date - answer.received_at)


def _examine_key_file(account: Account) -> Iterator[Finding]:
    path = account.key_file
    if path is not None and open_to_others(path):
        yield Finding(
            "note",
            tr("others can read the key file {path}", path=path),
            tr("chmod 600 {path}", path=path),
        )


def _examine_clock(offset_s: float) -> Finding:
    # HTTP dates have whole seconds, and servers behind a balancer differ by a few
    if abs(offset_s) <= SKEW_S:
        return Finding("ok", tr("this machine's clock agrees with the source's to some seconds"))
    return Finding(
        "note",
        tr(
            "this machine's clock is {offset_s:.0f} s {value} the source's",
            offset_s=abs(offset_s),
            value=(tr("behind") if offset_s > 0 else tr("ahead of")),
        ),
        tr("instants are kept on the source's clock all the same; set this one by NTP"),
    )
