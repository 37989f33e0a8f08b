"""The sheet of notes: everything that a reader of a report must know beside its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from etl import __version__
from etl.dialect import Database
from etl.dialect.rendering import expanded
from etl.history.days import Zone, from_iso, iso
from etl.poll import Instant
from etl.reports.header import Param, Report
from etl.reports.observation import SEEN, line_above
from etl.reports.render.zones import UTC_NAMES, local_text
from etl.reports.running import NOW, run
from etl.reports.words import VALUES
from etl.texts import Text, localized, term, tr
from etl.units import MICRO

Note = tuple[str, Any]
"""A label and a value, in one language."""
_Line = tuple[Text, Any]
"""A label that a language has yet to be chosen for, and a value."""
# before the first poll and after the newest nobody looked either, though no two polls surround it
_GAPS: Final = Report(
    "gaps",
    "",
    (Param("account", ""), Param("from_day", ""), Param("to_day", "")),
    {},
    expanded(
        """
SELECT g.account, g.gap_from_s, g.gap_to_s
FROM (
    SELECT account, gap_from_s, gap_to_s
    FROM sync_gap
    WHERE gap_to_s > period_starts_s() AND gap_from_s < asked_ends_s()
    UNION ALL
    SELECT a.name, period_starts_s(), earlier(COALESCE(s.first_s, asked_ends_s()), asked_ends_s())
    FROM account a
    LEFT JOIN sync_span s ON s.account = a.name
    UNION ALL
    SELECT account, later(last_s, period_starts_s()), asked_ends_s()
    FROM sync_span
) g
WHERE account_chosen(g.account) AND g.gap_to_s - g.gap_from_s > {GAP_S}
ORDER BY g.account, g.gap_from_s
"""
    ),
)
_SETTLED: Final = Report(
    "settled",
    "",
    (Param("account", ""),),
    {},
    expanded(
        """
SELECT a.name, r.reach_s
FROM account a
LEFT JOIN _bill_reach r ON r.account_id = a.account_id
WHERE account_chosen(a.name)
ORDER BY a.name
"""
    ),
)
_SINCE: Final = Report(
    "since",
    "",
    (Param("account", ""), Param("from_day", "")),
    {},
    expanded(
        """
SELECT a.name, b.first_whole_s
FROM account a
LEFT JOIN _sync_bounds b ON b.account_id = a.account_id
WHERE account_chosen(a.name)
    AND (b.first_whole_s IS NULL OR b.first_whole_s > period_starts_s())
ORDER BY a.name
"""
    ),
)
_CORRECTED: Final = Report(
    "corrected",
    "",
    (Param("account", ""), Param("from_day", ""), Param("to_day", "")),
    {},
    expanded(
        """
SELECT c.account, COUNT(*) AS lines, sum_of(c.amount_microcny) AS amount_microcny
FROM bill_correction c
WHERE account_chosen(c.account) AND in_period(c.day)
GROUP BY c.account
ORDER BY c.account
"""
    ),
)
_CLOSED: Final = Report(
    "closed",
    "",
    (Param("account", ""), Param("from_day", "")),
    {},
    expanded(
        """
SELECT m.account, m.closed_at FROM _month_closed m
WHERE account_chosen(m.account) AND m.month = month_of(:from_day)
ORDER BY m.account
"""
    ),
)
_UNREAD: Final = Report(
    "unread",
    "",
    (Param("account", ""),),
    {},
    expanded(
        """
SELECT account, resource, records FROM _money_unread
WHERE account_chosen(account)
ORDER BY account, resource
"""
    ),
)
_OBSERVED: Final = Report(
    "observed",
    "",
    (Param("account", ""),),
    {},
    expanded(
        """
SELECT MIN(s.first_s) AS begins_s, MAX(s.last_s) AS ends_s
FROM sync_span s
WHERE account_chosen(s.account)
"""
    ),
)


def notes_of_report(
    database: Database,
    report: Report,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    lang: str = "en",
) -> list[Note]:
    """Return labels and values, labels in `lang`; `arguments` as for `run`, with both days."""
    arguments = {**arguments, NOW: made_at}
    lines: list[_Line] = [
        (term("note", "report"), report.name),
        (term("note", "about"), report.meaning(lang)),
    ]
    if report.param("from_day") is not None:
        days = f"{arguments['from_day']} – {arguments['to_day']}"
        lines.append((term("note", "period"), days))
    lines.append((term("note", "observation"), line_above(database, report, arguments, lang)))
    # after the period: they say how much of it is known
    lines += _seen(database, arguments, zone)
    lines += [
        (term("note", "column"), _column_note(column, lang)) for column in report.columns.values()
    ]
    return _labelled([*lines, *_made(made_at, zone)], lang)


def notes_of_month(
    database: Database,
    month: str,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    lang: str = "en",
) -> list[Note]:
    """Return labels and values for a workbook of several reports about one month."""
    arguments = {**arguments, NOW: made_at}
    line = line_above(database, SEEN, arguments, lang)
    closed = [
        (term("note", "closed since (UTC)"), _account_instant(account, from_iso(closed_at), zone))
        for account, closed_at in run(database, _CLOSED, arguments)[1]
    ]
    seen = _seen(database, arguments, zone)
    lines = [(term("note", "month"), month), *closed, (term("note", "observation"), line), *seen]
    return _labelled([*lines, *_made(made_at, zone)], lang)


def observed(database: Database, account: str | None) -> tuple[Instant, Instant] | None:
    """Return the start of the first and of the newest complete poll, of an account or of all."""
    # an aggregate without groups has one row, of nulls if there are none
    ((first, last),) = run(database, _OBSERVED, {"account": account})[1]
    return None if first is None else (first, last)


def unread(database: Database, account: str | None) -> list[Text]:
    """Return remarks on the records of money that were not understood, and are in no sum."""
    rows = run(database, _UNREAD, {"account": account})[1]
    return [
        tr(
            "{account}: {records} of {resource}",
            account=account,
            resource=VALUES["resource"].get(resource, resource),
            records=records,
        )
        for account, resource, records in rows
    ]


def is_about_money(report: Report) -> bool:
    """Tell whether a report reads prices, costs, bills, balances, cards or recharges."""
    return (
        # of the SQL, so that a report of the user's gets the same notes
        re.search(r"\b(cost|bill|balance|card|recharge|reconcil|budget|burn)", report.sql)
        is not None
    )


def _seen(database: Database, arguments: dict[str, Any], zone: str) -> Iterator[_Line]:
    """Yield notes on how far the period was observed and billed.

    They say until when the bill has settled, when the first poll was if that is within the period, and
    which times nobody observed.
    """
    yield term("note", "time zone"), zone
    for account, reach in run(database, _SETTLED, arguments)[1]:
        # for each account: one that settles late must not hide behind another
        yield term("note", "settled until (UTC)"), _account_instant(account, reach, zone)
    for account, lines, microcny in run(database, _CORRECTED, arguments)[1]:
        yield (
            term("note", "corrected by the source"),
            tr(
                "{account}: {lines} bill lines of {yuan:.2f} yuan in all no longer count",
                account=account,
                lines=lines,
                yuan=microcny / MICRO,  # for people, to the fen: no sum is made of it
            ),
        )
    # only where it is within the period: before it, the time observed has no such edge
    for account, since in run(database, _SINCE, arguments)[1]:
        yield term("note", "observed since (UTC)"), _account_instant(account, since, zone)
    gaps = list(run(database, _GAPS, arguments)[1])
    for account, start_s, end_s in gaps:
        yield (
            term("note", "gap in observation"),
            tr(
                "{account}: {start} – {end}, {minutes} min",
                account=account,
                start=_both(start_s, zone),
                end=_both(end_s, zone),
                minutes=(end_s - start_s) // 60,
            ),
        )
    # said even if there are none: a missing line would say nothing
    if not gaps:
        yield term("note", "gaps in observation"), 0
    for words in unread(database, arguments.get("account")):
        yield term("note", "records not understood"), words


def _account_instant(account: str, at: Instant | None, zone: str) -> str:
    return f"{account}: {'–' if at is None else _both(at, zone)}"


def _both(at: Instant, zone: str) -> str:
    """Return an instant in UTC, and the local time."""
    return iso(at) if zone in UTC_NAMES else f"{iso(at)} ({local_text(at, Zone(zone))} {zone})"


def _made(made_at: Instant, zone: str) -> list[_Line]:
    return [
        (term("note", "program"), f"chenyu-etl {__version__}"),
        (term("note", "made at (UTC)"), _both(made_at, zone)),
    ]


def _labelled(lines: list[_Line], lang: str) -> list[Note]:
    return [(localized(label, lang), localized(value, lang)) for label, value in lines]


def _column_note(column: Any, lang: str) -> str:
    return f"{column.full_heading(lang)}: {column.meaning(lang)}"
