"""The line above every table, sheet, page and digest: until when it was observed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from etl.dialect import Database
from etl.dialect.rendering import expanded
from etl.history.days import iso
from etl.poll import Instant
from etl.reports.header import INSTANCES, Param, Report
from etl.reports.running import NOW, run
from etl.texts import Text, tr
from etl.timing.freshness import FUTURE_S
from etl.units import DAY_S, HOUR_S

MOST_ACCOUNTS: Final = 4
"""Of more accounts the line names those with the most unseen time, and counts the others."""


def _query(sql: str, *parameters: str) -> Report:
    return Report("observation", "", tuple(Param(p, "") for p in parameters), {}, expanded(sql))


SEEN: Final = _query(
    """
    SELECT
        a.name,
        o.until_s,
        COALESCE(o.asked_s, later(asked_ends_s() - period_starts_s(), 0)) AS asked_s,
        COALESCE(o.seen_s, 0) AS seen_s,
        COALESCE(o.span_s, 0) AS span_s
    FROM account a
    LEFT JOIN time_observed() o ON o.account = a.name
    WHERE account_chosen(a.name)
    ORDER BY a.name
    """,
    "account",
    "from_day",
    "to_day",
)
_PERIOD: Final = _query(
    "SELECT period_starts_s() AS starts_s, asked_ends_s() AS ends_s", "from_day", "to_day"
)
_NEWEST: Final = _query(
    """
    SELECT a.name, (
        SELECT MAX(r.started_at) FROM sync_run r
        WHERE r.account_id = a.account_id AND r.resource = CAST(:resource AS TEXT)
            AND r.outcome = 'complete'
    ) AS last_at
    FROM account a
    WHERE account_chosen(a.name)
    ORDER BY a.name
    """,
    "account",
    "resource",
)


@dataclass(frozen=True, slots=True)
class Observation:
    """The start of an account's newest complete poll, None if it has none, and the unseen seconds.

    Those are seconds of the period that nobody observed, or the time since that poll.
    """

    account: str
    until_at: Instant | None
    unseen_s: int
    is_blind: bool = False
    """True if all of the period lies before the first complete poll, or after the newest."""
    is_future: bool = False
    """True if that poll lies in the future: one of the clocks was wrong."""


def line_above(
    database: Database, report: Report, arguments: Mapping[str, Any], lang: str = "en"
) -> str:
    """Return the line above a report: until when it was observed, and how much was not seen."""
    per_account = observations(database, report, arguments)
    return observed_line(per_account, of_period=report.param("from_day") is not None, lang=lang)


def observations(
    database: Database, report: Report, arguments: Mapping[str, Any]
) -> list[Observation]:
    """Return how far each account of a report was observed; `arguments` as for `run`."""
    return _with_future_marked(_observations(database, report, arguments), arguments.get(NOW))


def observations_of_days(
    conn: Connection, first: str, last: str, now: Instant
) -> list[Observation]:
    """Return how far the instances of each account were observed on some days."""
    asked = {"account": None, "from_day": first, "to_day": last, NOW: now}
    return _with_future_marked(
        (_of_period(*row) for row in conn.execute(text(SEEN.sql), asked)), now
    )


def observed_line(per_account: Sequence[Observation], *, of_period: bool, lang: str = "en") -> str:
    """Return the line that says until when each account was observed, and how much was not seen."""
    if not per_account:
        return tr("nothing is observed yet").in_language(lang)
    # the worst first, as only some are named
    worst = sorted(
        per_account,
        key=lambda o: (o.until_at is not None, not o.is_future, -o.unseen_s, o.account),
    )
    lines = [_clause(seen, of_period).in_language(lang) for seen in worst[:MOST_ACCOUNTS]]
    if len(per_account) > 1:
        lines = [f"{seen.account}: {line}" for seen, line in zip(worst, lines, strict=False)]
    if len(per_account) > MOST_ACCOUNTS:
        left = len(per_account) - MOST_ACCOUNTS
        lines.append(tr("and {count} more accounts", count=left).in_language(lang))
    return tr("; ").in_language(lang).join(lines)


def _observations(
    database: Database, report: Report, arguments: Mapping[str, Any]
) -> Iterable[Observation]:
    if report.param("from_day") is None:
        return _up_to_now(database, report.observes, arguments)
    if report.observes != INSTANCES:
        return _since_newest(database, report.observes, arguments)
    # instances alone are bounded by gaps: of the bill a later poll brings what was missed
    return (_of_period(*row) for row in run(database, SEEN, arguments)[1])


def _with_future_marked(
    per_account: Iterable[Observation], now: Instant | None
) -> list[Observation]:
    """Mark newest polls that lie in the future."""
    # without a now nothing is in the future: a report of the past asks no clock
    latest = math.inf if now is None else now + FUTURE_S
    return [
        replace(o, is_future=o.until_at is not None and o.until_at > latest) for o in per_account
    ]


def _of_period(
    account: str, until: Instant | None, asked_s: int, seen_s: int, span_s: int
) -> Observation:
    # blind by the span, not by the unseen time: a period that is one single gap was still
    # surrounded
    return Observation(account, until, asked_s - seen_s, span_s == 0)


def _up_to_now(
    database: Database, resource: str, arguments: Mapping[str, Any]
) -> Iterator[Observation]:
    for name, until in _newest(database, resource, arguments):
        now = arguments.get(NOW)
        is_known = until is not None and now is not None
        yield Observation(name, until, int(now or 0) - (until or 0) if is_known else 0)


def _since_newest(
    database: Database, resource: str, arguments: Mapping[str, Any]
) -> Iterator[Observation]:
    """Yield the time since the newest poll of a resource such as the bill.

    Its first poll lists the past as well, so nothing else is unseen.
    """
    ((starts, ends),) = run(database, _PERIOD, arguments)[1]
    for name, until in _newest(database, resource, arguments):
        # clamped into the period: a newer poll has seen no more of it than all
        seen_to = min(ends or 0, max(starts or 0, until or 0))
        yield Observation(name, until, (ends or 0) - seen_to)


def _newest(
    database: Database, resource: str, arguments: Mapping[str, Any]
) -> Iterable[tuple[str, Instant | None]]:
    asked = {"account": arguments.get("account"), "resource": resource}
    for name, moment in run(database, _NEWEST, asked)[1]:
        yield name, None if moment is None else int(datetime.fromisoformat(moment).timestamp())


def _clause(seen: Observation, of_period: bool) -> Text:
    until = _until(seen)
    if seen.is_future:
        return tr("{until}, which lies in the future: a clock is wrong", until=until)
    if seen.unseen_s > 0 and of_period:
        unseen = _length(seen.unseen_s)
        return tr("{until}, {unseen} of the period unseen", until=until, unseen=unseen)
    if seen.unseen_s > 0 and seen.until_at is not None:
        return tr("{until}, {length} ago", until=until, length=_length(seen.unseen_s))
    return tr("{until}, all of the period seen", until=until) if of_period else until


def _until(seen: Observation) -> Text:
    if seen.until_at is None:
        return tr("never observed")
    return tr("observed until {at}", at=iso(seen.until_at))


def _length(seconds: int) -> Text:
    if seconds >= DAY_S:
        return tr("{days:,.1f} days", days=seconds / DAY_S)
    if seconds >= HOUR_S:
        return tr("{hours:.1f} hours", hours=seconds / HOUR_S)
    # rounded up: half a minute unseen is not nothing
    return tr("{minutes:.0f} minutes", minutes=-(-seconds // 60))
