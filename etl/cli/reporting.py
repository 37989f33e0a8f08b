"""The command status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import json_option, print_json, print_lines, say
from etl.cli.terminal import Screen, screen
from etl.poll import SKEW_S
from etl.texts import localized, tr
from etl.units import DAY_S, HOUR_S

if TYPE_CHECKING:
    from etl.app import App


@click.command()
@click.option(
    "--max-age",
    metavar="TIME",
    help="Exit with 1 if an account is not fresh: its newest complete poll of instances is older than"
    " this (15m, 2h, 1d), or from the future, or the newest poll was refused.",
)
@json_option
@click.pass_context
def status(ctx: click.Context, max_age: str | None, as_json: bool) -> None:
    """Show what is synced, how fresh it is, and what needs attention.

    It covers the accounts of the settings; if there are none, all accounts in the database that are not
    retired (chenyu-etl account retire).
    """
    from etl.status import Freshness, stale
    from etl.status import status as read

    # read before the database is: a slip in it is told at once
    limit_s = None if max_age is None else _seconds(max_age)
    app = ctx.obj.app()
    app.require_database()
    facts = read(app.database, app.now())
    terminal = None if as_json else screen()
    if as_json:
        print_json(facts)
    else:
        say(tr("database: {database}", database=facts["database"]))
    if terminal is not None and facts["polls"]:
        print_lines(_screen_lines(app, facts, terminal))
    elif not as_json:
        print_lines(_status_lines(facts))
    if limit_s is not None:
        polls = [Freshness(**poll) for poll in facts["polls"]]
        reasons = stale(polls, app.watched(), limit_s)
        for account, reason in reasons.items():
            say(tr("not fresh: {account}: {reason}", account=account, reason=reason))
        # nothing synced at all is not fresh either
        if reasons or not polls:
            ctx.exit(1)


def _status_lines(state: dict[str, Any]) -> Iterator[str]:
    for poll in state["polls"]:
        yield (
            tr(
                "{account} {resource}: last complete {fresh}, last poll {last_outcome} at "
                "{last_run_at}, {polls} polls, {failed} failed",
                account=poll["account"],
                resource=poll["resource"],
                fresh=_fresh(poll),
                last_outcome=poll["last_outcome"],
                last_run_at=poll["last_run_at"],
                polls=poll["polls"],
                failed=poll["failed"],
            )
        )
        if poll["last_error"]:
            yield f"  {poll['last_error']}"
    for fleet in state["fleet"]:
        yield (
            tr(
                "{account}: {instances} instances, {running} running on {gpus_running} GPUs, "
                "{missing} missing, {gone} gone",
                account=fleet["account"],
                instances=fleet["instances"],
                running=fleet["running"],
                gpus_running=fleet["gpus_running"],
                missing=fleet["missing"],
                gone=fleet["gone"],
            )
        )
        yield from _codes_and_records(fleet)
    yield from _troubles(state)
    if not state["polls"]:
        yield tr("nothing is synced yet: chenyu-etl sync")


def _fresh(poll: dict[str, Any]) -> str:
    return tr("never complete") if poll["age_s"] is None else _ago(poll["age_s"])


def _codes_and_records(fleet: dict[str, Any]) -> Iterator[str]:
    if fleet["unreadable"]:
        yield tr(
            "  {unreadable} listed, but not understood: see table rejected_record",
            unreadable=fleet["unreadable"],
        )
    if fleet["unknown_codes"]:
        codes = ", ".join(map(str, fleet["unknown_codes"]))
        yield tr(
            "  unknown status codes {codes} count as not running: chenyu-etl codes set",
            codes=codes,
        )


def _troubles(state: dict[str, Any]) -> Iterator[str]:
    for row in state["doubled"]:
        yield tr("{what}; one key may be under both names", what=row["what"])
    for row in state["unread"]:
        yield (
            tr(
                "{account}: {records} records of {resource} are not understood and in no sum: "
                "see table rejected_record",
                account=row["account"],
                records=row["records"],
                resource=row["resource"],
            )
        )
    if state["alerts"]:
        yield tr("{alerts} alerts hold: chenyu-etl alerts list", alerts=state["alerts"])
    for row in state["channels"]:
        yield (
            tr(
                "channel {channel}: {waiting} messages wait to be tried again, {given_up} given up",
                channel=row["channel"],
                waiting=row["waiting"],
                given_up=row["given_up"],
            )
        )
        yield f"  {row['error']}"


def _screen_lines(app: App, state: dict[str, Any], terminal: Screen) -> Iterator[str]:
    """Yield the state as a screen: what needs attention and what runs, then money, then polls."""
    from etl import reports
    from etl.cli import glance
    from etl.history.days import Zone
    from etl.page.facts import Choice
    from etl.page.glance import look_once

    look = terminal.look()
    choice = Choice(*reports.day_range(None, None, app.today()))
    zone = Zone(app.stored_timezone())
    seen = look_once(app.database, choice, zone, app.now(), look.lang)
    others = [text for fleet in state["fleet"] for text in _codes_and_records(fleet)]
    yield from glance.notice_lines(seen.notices, [*others, *_troubles(state)], look)
    yield ""
    yield from glance.running_lines(seen.facts, look)
    yield ""
    yield from glance.month_lines(seen, look)
    yield ""
    yield from glance.balance_lines(seen.facts, look)
    yield ""
    yield from glance.poll_lines([_poll_words(poll) for poll in state["polls"]], look)


def _poll_words(poll: dict[str, Any]) -> tuple[str, str, bool]:
    """Return the account of a poll, its words, and whether the newest one was not whole."""
    is_wrong = poll["age_s"] is None or poll["last_outcome"] in ("failed", "partial")
    text = tr("{resource} {fresh}", resource=poll["resource"], fresh=_fresh(poll))
    if is_wrong:
        text = tr(
            "{resource} {fresh}, last {outcome}",
            resource=poll["resource"],
            fresh=_fresh(poll),
            outcome=poll["last_outcome"],
        )
    return poll["account"], str(localized(text)), is_wrong


def _ago(age_s: int) -> str:
    if -2 * SKEW_S <= age_s < 0:  # the end of a poll is as late as the clocks of a source allow
        return tr("just now")
    return (
        tr("{age} ago", age=_age(age_s))
        if age_s >= 0
        else tr("in {age}, which cannot be", age=_age(-age_s))
    )


def _age(seconds: int) -> str:
    # two of a unit at least: 90 minutes say more than one hour
    if seconds >= 2 * DAY_S:
        return tr("{count} d", count=seconds // DAY_S)
    if seconds >= 2 * HOUR_S:
        return tr("{count} h", count=seconds // HOUR_S)
    if seconds >= 2 * 60:
        return tr("{count} min", count=seconds // 60)
    return tr("{count} s", count=seconds)


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise click.BadParameter(
            localized(tr("use a number and s, m, h or d, such as 15m")), param_hint="--max-age"
        )
    return int(match[1]) * {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S}[match[2]]
