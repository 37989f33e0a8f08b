"""What a reader of a report must know beside its rows: the sheet of notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from etl import __version__
from etl.days import iso
from etl.dialect import Database
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


def _seen(database: Database, arguments: dict[str, Any], zone: str) -> Iterator[Note]:
    """Up to when the bill has settled, and when nobody looked."""
    yield "time zone", zone
    for account, reach in run(database, _SETTLED, arguments)[1]:
        yield "settled until (UTC)", f"{account}: {'–' if reach is None else iso(reach)}"
    gaps = list(run(database, _GAPS, arguments)[1])
    for account, start, end, seconds in gaps:
        yield "gap in observation", f"{account}: {start} – {end}, {seconds // 60} min"
    if not gaps:
        yield "gaps in observation", 0


def _made(made_at: Instant) -> list[Note]:
    return [("program", f"chenyu-etl {__version__}"), ("made at (UTC)", iso(made_at))]


def _labelled(said: list[Note], lang: str) -> list[Note]:
    return [(_LABELS[label] if lang == "zh" else label, value) for label, value in said]


def _column(column: Any, lang: str) -> str:
    return f"{column.full_heading(lang)}: {column.about}"
