"""The month for the books: one workbook of the reports that finance asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from etl import paths, reports
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.poll import Instant
from etl.reports.render.columns import Column
from etl.reports.render.xlsx import Book
from etl.reports.render.zones import local_beside
from etl.reports.words import in_chinese
from etl.texts import tr


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report under a name in each language; `by` as its parameter."""

    en: str
    zh: str
    report: str
    by: str | None = None


_MONTH: Final = re.compile(r"\d{4}-\d\d|this-month|last-month")
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
    first, last = _days_of_month(month, today)
    arguments = {"account": account, "from_day": first, "to_day": last, "now": made_at}
    # into a new file first: a workbook that fails leaves the old one as it was
    with paths.replacing(path, database.files) as file, Book(file, made_at, lang) as book:
        for sheet in SHEETS:
            columns, rows = local_beside(
                *_report_rows(database, sheet, arguments, lang), Zone(zone)
            )
            above = reports.line_above(database, reports.load_report(sheet.report), arguments, lang)
            book.sheet(getattr(sheet, lang), columns, rows, above)
        about = [
            (getattr(sheet, lang), reports.load_report(sheet.report).meaning(lang))
            for sheet in SHEETS
        ]
        known = reports.notes_of_month(
            database, month, arguments, zone=zone, made_at=made_at, lang=lang
        )
        book.notes([*about, *known])


def _days_of_month(month: str, today: date) -> tuple[str, str]:
    if not _MONTH.fullmatch(month):
        raise SettingsError(
            tr("{month!r} is no month", month=month), advice=tr("use one such as 2026-10")
        )
    first, last = reports.day_range(month, None, today)
    # an empty workbook of a month to come would look like a month without cost
    if first > today.isoformat():
        raise SettingsError(
            tr("{month} has not begun", month=month), advice=tr("name a month that has")
        )
    return first, last


def _report_rows(
    database: Database, sheet: Sheet, arguments: Mapping[str, Any], lang: str
) -> tuple[list[Column], Any]:
    report = reports.load_report(sheet.report)
    names, rows = reports.run(database, report, {**arguments, "by": sheet.by})
    columns = report.described(names)
    return columns, in_chinese(columns, rows) if lang == "zh" else rows
