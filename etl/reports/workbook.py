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
from etl.reports.words import in_language
from etl.texts import Text, term, tr


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report under a name of its own; `by` as its parameter."""

    title: Text
    report: str
    by: str | None = None


_MONTH: Final = re.compile(r"\d{4}-\d\d|this-month|last-month")
SHEETS: Final = (
    Sheet(term("sheet", "Summary"), "reconciliation", "month"),
    Sheet(term("sheet", "Allocation"), "allocation"),
    Sheet(term("sheet", "Reconciliation"), "reconciliation", "day"),
    Sheet(term("sheet", "Bridge"), "bridge"),
    Sheet(term("sheet", "Bill lines"), "bill-lines"),
    Sheet(term("sheet", "Recharges"), "recharges"),
    Sheet(term("sheet", "Cards"), "cards"),
    Sheet(term("sheet", "Balance"), "balance"),
    Sheet(term("sheet", "Budgets"), "budget"),
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
            # on each sheet: a sheet is often sent on alone
            above = reports.line_above(database, reports.load_report(sheet.report), arguments, lang)
            book.sheet(sheet.title.in_language(lang), columns, rows, above)
        about = [
            (sheet.title.in_language(lang), reports.load_report(sheet.report).meaning(lang))
            # what each sheet is stands in the notes, where a person looks who opens the file for
            # the first time
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
    return columns, in_language(columns, rows, lang)
