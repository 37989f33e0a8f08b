"""The month for the books: one workbook of the reports that finance asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from etl import paths, reports
from etl.dialect import Database
from etl.errors import SettingsError
from etl.poll import Instant
from etl.reports.render.columns import Column
from etl.reports.render.xlsx import Book


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report under a name in each language."""

    en: str
    zh: str
    report: str
    by: str | None = None


SHEETS: Final = (
    Sheet("Summary", "汇总", "reconciliation", "month"),
    Sheet("Allocation", "分摊", "allocation"),
    Sheet("Reconciliation", "对账", "reconciliation", "day"),
    Sheet("Bridge", "账单衔接", "bridge"),
    Sheet("Bill lines", "账单明细", "bill-lines"),
    Sheet("Recharges", "充值", "recharges"),
    Sheet("Cards", "算力卡", "cards"),
    Sheet("Balance", "余额平衡", "balance"),
    Sheet("Budgets", "预算", "budget"),
)


def write_month(
    database: Database,
    path: Path,
    month: str,
    *,
    account: str | None,
    zone: str,
    today: date,
    made_at: Instant,
    lang: str = "en",
) -> None:
    """Write the workbook of a month to `path`, replacing any file there.

    Raises `SettingsError` if the month is not understood, or has not begun.
    """
    first, last = _days_of(month, today)
    said = {"account": account, "from_day": first, "to_day": last, "now": made_at}
    with paths.replacing(path, database.files) as file, Book(file, made_at, lang) as book:
        for sheet in SHEETS:
            columns, rows = _read(database, sheet, said)
            book.sheet(getattr(sheet, lang), columns, rows)
        about = [(getattr(s, lang), reports.load(s.report).about) for s in SHEETS]
        known = reports.notes_of_month(database, month, said, zone=zone, made_at=made_at, lang=lang)
        book.notes([*about, *known])


def _days_of(month: str, today: date) -> tuple[str, str]:
    first, last = reports.day_range(month, None, today)
    if first[:7] != last[:7] or not first.endswith("-01"):
        raise SettingsError(f"{month!r} is no month", advice="use one such as 2026-10")
    if first > today.isoformat():
        raise SettingsError(f"{month} has not begun", advice="name a month that has")
    return first, last


def _read(database: Database, sheet: Sheet, said: Mapping[str, Any]) -> tuple[list[Column], Any]:
    report = reports.load(sheet.report)
    names, rows = reports.run(database, report, {**said, "by": sheet.by})
    return report.described(names), rows
