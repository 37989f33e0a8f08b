"""What a reader of a report must know beside its rows: the sheet of notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from etl import __version__
from etl.dialect import Database
from etl.history.days import iso
from etl.poll import Instant
from etl.reports.header import Param, Report
from etl.reports.running import run

Note = tuple[str, Any]
_LABELS: Final = {
    "report": "报表",
    "about": "内容",
    "period": "期间",
    "month": "月份",
    "time zone": "时区",
    "settled until (UTC)": "已结算至 (UTC)",
    "observed since (UTC)": "观测始于 (UTC)",
    "column": "列",
    "gap in observation": "观测缺口",
    "gaps in observation": "观测缺口",
    "program": "程序版本",
    "made at (UTC)": "生成时间 (UTC)",
}
_GAPS: Final = Report(
    "gaps",
    "",
    (Param("account", ""), Param("from_day", ""), Param("to_day", "")),
    {},
    """
SELECT g.account, g.gap_from, g.gap_to, g.gap_s
FROM sync_gap g
WHERE (CAST(:account AS TEXT) IS NULL OR g.account = CAST(:account AS TEXT))
    AND g.gap_to_s > (SELECT MIN(starts_s) FROM calendar_day WHERE day >= :from_day)
    AND g.gap_from_s < (SELECT MAX(ends_s) FROM calendar_day WHERE day <= :to_day)
ORDER BY g.account, g.gap_from_s
""",
)
_SETTLED: Final = Report(
    "settled",
    "",
    (Param("account", ""),),
    {},
    """
SELECT a.name, r.reach_s
FROM account a
LEFT JOIN bill_reach r ON r.account_id = a.account_id
WHERE CAST(:account AS TEXT) IS NULL OR a.name = CAST(:account AS TEXT)
ORDER BY a.name
""",
)
_SINCE: Final = Report(
    "since",
    "",
    (Param("account", ""), Param("from_day", "")),
    {},
    """
SELECT a.name, b.first_whole_s
FROM account a
LEFT JOIN sync_bounds b ON b.account_id = a.account_id
WHERE (CAST(:account AS TEXT) IS NULL OR a.name = CAST(:account AS TEXT))
    AND (
        b.first_whole_s IS NULL
        OR b.first_whole_s > (SELECT MIN(starts_s) FROM calendar_day WHERE CAST(day AS TEXT) >= CAST(:from_day AS TEXT))
    )
ORDER BY a.name
""",
)
_OBSERVED: Final = Report(
    "observed",
    "",
    (Param("account", ""),),
    {},
    """
SELECT MIN(s.first_s) AS begins_s, MAX(s.last_s) AS ends_s
FROM sync_span s
WHERE CAST(:account AS TEXT) IS NULL OR s.account = CAST(:account AS TEXT)
""",
)


def notes(
    database: Database,
    report: Report,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    lang: str = "en",
) -> list[Note]:
    """Labels and values, labels in `lang`. `arguments` as for `run`, with both days."""
    said: list[Note] = [("report", report.name), ("about", report.about)]
    if report.param("from_day") is not None:
        said.append(("period", f"{arguments['from_day']} – {arguments['to_day']}"))
    said += _seen(database, arguments, zone)
    said += [("column", _column(column, lang)) for column in report.columns.values()]
    return _labelled([*said, *_made(made_at)], lang)


def notes_of_month(
    database: Database,
    month: str,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    lang: str = "en",
) -> list[Note]:
    """The same for a workbook of several reports."""
    said = [("month", month), *_seen(database, arguments, zone), *_made(made_at)]
    return _labelled(said, lang)


def observed(database: Database, account: str | None) -> tuple[Instant, Instant] | None:
    """Start of the first and of the newest complete poll, of an account or of all; None: there is
    none."""
    ((first, last),) = run(database, _OBSERVED, {"account": account})[1]
    return None if first is None else (first, last)


def _seen(database: Database, arguments: dict[str, Any], zone: str) -> Iterator[Note]:
    """Up to when the bill has settled, since when somebody looked where that is later than the
    period's beginning, and when nobody did."""
    yield "time zone", zone
    for account, reach in run(database, _SETTLED, arguments)[1]:
        yield "settled until (UTC)", _told(account, reach)
    for account, since in run(database, _SINCE, arguments)[1]:
        yield "observed since (UTC)", _told(account, since)
    gaps = list(run(database, _GAPS, arguments)[1])
    for account, start, end, seconds in gaps:
        yield "gap in observation", f"{account}: {start} – {end}, {seconds // 60} min"
    if not gaps:
        yield "gaps in observation", 0


def _told(account: str, at: Instant | None) -> str:
    return f"{account}: {'–' if at is None else iso(at)}"


def _made(made_at: Instant) -> list[Note]:
    return [("program", f"chenyu-etl {__version__}"), ("made at (UTC)", iso(made_at))]


def _labelled(said: list[Note], lang: str) -> list[Note]:
    return [(_LABELS[label] if lang == "zh" else label, value) for label, value in said]


def _column(column: Any, lang: str) -> str:
    return f"{column.full_heading(lang)}: {column.about}"
