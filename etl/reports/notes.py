"""What a reader of a report must know beside its rows: the sheet of notes."""

from __future__ import annotations

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
    "time zone": "时区",
    "settled until": "已结算至",
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


def notes(
    database: Database,
    report: Report,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    settled_until: str | None = None,
    lang: str = "en",
) -> list[Note]:
    """Labels and values, labels in `lang`. `arguments` as for `run`, with both days."""
    said: list[Note] = [("report", report.name), ("about", report.about)]
    if report.param("from_day") is not None:
        said.append(("period", f"{arguments['from_day']} – {arguments['to_day']}"))
    said.append(("time zone", zone))
    if settled_until is not None:
        said.append(("settled until", settled_until))
    said += [("column", _column(column, lang)) for column in report.columns.values()]
    gaps = list(run(database, _GAPS, arguments)[1])
    said += [("gap in observation", f"{a}: {b} – {c}, {s // 60} min") for a, b, c, s in gaps]
    if not gaps:
        said.append(("gaps in observation", 0))
    said += [("program", f"chenyu-etl {__version__}"), ("made at (UTC)", iso(made_at))]
    return [(_LABELS[label] if lang == "zh" else label, value) for label, value in said]


def _column(column: Any, lang: str) -> str:
    return f"{column.full_heading(lang)}: {column.about}"
