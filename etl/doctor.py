"""Examination of everything that a sync needs, with advice: key, endpoints, clock, database,
codes.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from etl import archive, store
from etl.dialect import Database, open_database, translated
from etl.errors import ABSENT, Busy, EtlError, StoreError
from etl.history.days import iso
from etl.poll import SKEW_S
from etl.polling import compare_with_instances
from etl.resources import INSTANCES, RESOURCES, Resource
from etl.service.lookout import usual_gap_s
from etl.settings import Account, default_urls
from etl.settings.file import open_to_others
from etl.status import is_future, stale, status
from etl.store import schema
from etl.texts import tr
from etl.timing.freshness import FUTURE_ADVICE, limit_s
from etl.timing.redating import LEAP_SLACK_S
from etl.units import HOUR_S

if TYPE_CHECKING:
    from etl.app import App
    from etl.source.client import Client

Verdict = Literal["ok", "note", "bad"]
# more of them would push the other findings off the screen
SHOWN_REJECTS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    what: str
    advice: str | None = None


def examine(app: App) -> Iterator[Finding]:
    """Yield findings as they are made. Writes nothing, to the cloud or to the database."""
    for account in app.settings.accounts:
        yield from _examine_account(app, account)
    yield from _examine_database(app)
    yield from _examine_archive(app)
    yield from _examine_charts(app)


def _examine_charts(app: App) -> Iterator[Finding]:
    """Yield what keeps charts out of digests, if any digest is to be sent."""
    from etl.page.raster import lacks

    times = app.settings.alerts.options("digest")
    if times.daily_digest is not None or times.weekly_digest is not None:
        for words, advice in lacks(app.settings.alerts):
            yield Finding("note", words, advice)


def _examine_account(app: App, account: Account) -> Iterator[Finding]:
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


def _examine_database(app: App) -> Iterator[Finding]:
    try:
        yield from _examine_other_database(app)
        if not app.database.exists() or schema.is_empty(app.database):
            # first: a sync that would be refused is no advice
            app.try_preparing()
            yield Finding(
                "note",
                tr("there is no database yet at {location}", location=app.database.location),
                tr("run chenyu-etl sync, or name the right one: --database"),
            )
            return
        app.require_database()
        with translated(app.database):
            app.database.refuse_damage()
        state = status(app.database, app.now())
        # reading alone works from a read-only disk, and as a user who may not write
        store.try_writing(app.database)
        for account in app.settings.accounts:
            yield from _examine_lock(app, account.name)
    except EtlError as error:
        # all that follows would only fail in the same way; a server knows its own users alone
        has_file = bool(app.database.files)
        yield _refusal(error) if has_file else Finding("bad", error.message, error.advice)
        return
    yield from _examine_derived(app)
    yield from _examine_freshness(app)
    yield from _examine_left_accounts(app)
    for poll in state["polls"]:
        yield from _examine_poll(poll)
    yield from _examine_fleets(state)
    yield from _examine_rejects(app)


def _examine_derived(app: App) -> Iterator[Finding]:
    """Yield the zone in which days are counted, and each reason to derive from the facts again."""
    zone = app.stored_timezone()
    with store.reading(app.database) as known:
        version, strayed = known.status.database_version(), known.strayed_days()
        is_current = known.is_derived_by_todays_rules()
    yield Finding(
        "ok",
        tr(
            "database {location} ({version}), days of {zone}",
            location=app.database.location,
            version=version,
            zone=zone,
        ),
    )
    if zone != app.settings.timezone:
        yield Finding(
            "bad",
            tr(
                "the settings say {timezone}, the database counts days in {zone}",
                timezone=app.settings.timezone,
                zone=zone,
            ),
            tr(
                "chenyu-etl rebuild --timezone {timezone}, or set timezone to {zone}",
                timezone=app.settings.timezone,
                zone=zone,
            ),
        )
    if not is_current:
        yield Finding(
            "bad",
            tr("running time and costs were derived by another version of this program"),
            tr("run chenyu-etl db upgrade, or chenyu-etl sync: they are made anew"),
        )
    if strayed:
        yield Finding(
            "bad",
            tr(
                "the rules of {zone} have changed: {count} days from {value} on begin or end "
                "otherwise",
                zone=zone,
                count=len(strayed),
                value=strayed[0],
            ),
            tr("run chenyu-etl rebuild: days are cut anew"),
        )


def _examine_early_sightings(app: App) -> Iterator[Finding]:
    """Yield a finding for each account whose polls list what was created after their date."""
    with store.reading(app.database) as known:
        early = {name: a.early_sightings(app.now()) for name, a in known.accounts().items()}
    for name, births in early.items():
        count = sum(created - listed > LEAP_SLACK_S for listed, created in births)
        if count:
            yield Finding(
                "note",
                tr(
                    "{name}: {count} instances were listed before they were created: a clock was "
                    "behind, or the source's create_time is wrong",
                    name=name,
                    count=count,
                ),
                tr("chenyu-etl db repair-clock --dry-run says which polls that concerns"),
            )


def _examine_rejects(app: App) -> Iterator[Finding]:
    with store.reading(app.database) as known:
        rejected = known.status.rejected(SHOWN_REJECTS)
    for reason, first_seen_at in rejected:
        yield Finding(
            "note",
            tr(
                "a record could not be understood at {first_seen_at}: {reason}",
                first_seen_at=iso(first_seen_at),
                reason=reason,
            ),
            tr("see table rejected_record; look for a newer chenyu-etl"),
        )


def _examine_poll(poll: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about the newest poll of one account and resource, a record of `Freshness`."""
    if poll["last_outcome"] not in ("complete", "skipped"):
        # a key without permission for a side resource still serves: instances alone are essential
        is_harmless = RESOURCES[poll["resource"]].is_optional and poll["last_error_kind"] in ABSENT
        yield Finding(
            "note" if is_harmless else "bad",
            tr(
                "{account} {resource}: last poll {last_outcome} at {last_run_at}: {last_error}",
                account=poll["account"],
                resource=poll["resource"],
                last_outcome=poll["last_outcome"],
                last_run_at=poll["last_run_at"],
                last_error=poll["last_error"],
            ),
        )


def _examine_fleets(state: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield accounts that list the same instances, and status codes without a meaning."""
    for pair in state["doubled"]:
        advice = tr(
            "give each account its own key, and see chenyu-etl status; or drop one of the two"
        )
        yield Finding("bad", pair["what"], advice)
    for fleet in state["fleet"]:
        for code in fleet["unknown_codes"]:
            yield Finding(
                "note",
                tr(
                    "{account}: status {code} is not known and counts as not running",
                    account=fleet["account"],
                    code=code,
                ),
                tr("chenyu-etl codes set status {code} MEANING", code=code),
            )


def _examine_freshness(app: App) -> Iterator[Finding]:
    """Yield a finding for each account that is blind, and each resource with a poll in the future."""
    with store.reading(app.database) as known:
        polls = known.status.polls(app.now())
    for poll in polls:
        if is_future(poll):
            what = tr(
                "{account} {resource}: the newest poll lies in the future",
                account=poll.account,
                resource=poll.resource,
            )
            yield Finding(
                "bad", tr("{what}, so that right ones are refused", what=what), FUTURE_ADVICE
            )
    yield from _examine_early_sightings(app)
    main = {poll.account: poll for poll in polls if poll.resource == INSTANCES.name}
    # of a poll that failed the reason is said anyway
    quiet = {n for n, p in main.items() if p.last_outcome in ("complete", "skipped")}
    for name in (n for n in app.watched() if n in quiet and not is_future(main[n])):
        # whoever polls by cron says nowhere how often: the polls do
        limit = limit_s(max(usual_gap_s(app.settings, name, app.now()), main[name].step_s or 0))
        for why in stale(polls, [name], limit).values():
            yield Finding(
                "bad",
                tr("{name}: {why}", name=name, why=why),
                tr("see chenyu-etl status: why is nothing polled?"),
            )


def _examine_left_accounts(app: App) -> Iterator[Finding]:
    """Yield accounts of the database that neither the settings name nor anybody polls: their alerts
    stay open for ever.
    """
    with store.reading(app.database) as known:
        accounts, alerts = known.registry.known(), known.alerts.listed(None)
    watched = app.watched()
    for account in accounts:
        polled_at = account.last_poll_at or 0
        # another daemon may poll it into the same database
        if account.name in watched or account.retired_at or polled_at > app.now() - HOUR_S:
            continue
        held = sum(alert.account == account.name for alert in alerts)
        what = tr(
            "{name}: it was synced, but the settings do not name it and nobody polls it",
            name=account.name,
        )
        yield Finding(
            "note",
            tr("{what}; {held} alerts about it stay open", what=what, held=held) if held else what,
            tr("chenyu-etl account retire {name}, or account rename {name} NEW", name=account.name),
        )


def _examine_other_database(app: App) -> Iterator[Finding]:
    """Yield a finding about a default database that is not in use: that of another user, or of a
    service.
    """
    for url in default_urls(app.environ):
        other = open_database(url)
        if other.location != app.database.location and _is_there(other):
            yield Finding(
                "note",
                tr("there is another database at {location}", location=other.location),
                tr(
                    "this one is {location}; to use the other: --database {location2}",
                    location=app.database.location,
                    location2=other.location,
                ),
            )


def _is_there(database: Database) -> bool:
    try:
        return database.exists()
    except StoreError:  # in a folder that this user cannot look into
        return False


def _refusal(error: EtlError) -> Finding:
    """Return the finding of a file or a database that refuses; which user asked is half of the reason."""
    return Finding(
        "bad", tr("{message} (as user {user})", message=error.message, user=_user()), error.advice
    )


def _examine_archive(app: App) -> Iterator[Finding]:
    folder, own_id = app.settings.archive, None
    if folder is None:
        return
    with suppress(EtlError), app.store("").reading() as known:  # a refusal was said before
        own_id = known.database_id()
    try:
        archive.check_folder(folder, own_id)
        if folder.is_dir():
            yield Finding("ok", tr("polls are archived in {folder}", folder=folder))
        else:
            yield Finding(
                "note", tr("polls are archived in {folder} (not made yet)", folder=folder)
            )
    except EtlError as error:
        yield _refusal(error)


def _examine_lock(app: App, account: str) -> Iterator[Finding]:
    try:
        # taken and freed at once: that a file is another user's shows only when it is locked
        with app.store(account).account_lock():
            yield Finding(
                "ok",
                tr(
                    "{account}: a sync may lock the account and write to the database",
                    account=account,
                ),
            )
    # another sync is at work, so nothing is wrong
    except Busy as error:
        yield Finding("note", error.message, error.advice)


def _user() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    # a container may run as a number that has no name
    return str(getattr(os, "geteuid", lambda: "unknown")())
