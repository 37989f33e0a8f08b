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
from etl.history.months import Month
from etl.poll import Instant
from etl.reports.render.columns import Column
from etl.reports.render.xlsx import Book
from etl.reports.words import in_chinese
from etl.texts import tr


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report under a name in each language."""

    en: str
    zh: str
    report: str
    about_zh: str
    by: str | None = None

    def about(self, lang: str) -> str:
        """Return what its rows are, in a language."""
        return self.about_zh if lang == "zh" else reports.load_report(self.report).about


SHEETS: Final = (
    Sheet("Summary", "汇总", "reconciliation", "账单与估算的对照，按月。", "month"),
    Sheet("Allocation", "分摊", "allocation", "各项目、负责人和成本中心的估算费用与分摊账单。"),
    Sheet(
        "Reconciliation", "对账", "reconciliation", "账单与估算的对照，按日，差额附原因。", "day"
    ),
    Sheet(
        "Bridge",
        "账单衔接",
        "bridge",
        "从一个账单金额逐行推到下一个：按结算时段、按扣费日、按余额；剩余差额应为 0.00。",
    ),
    Sheet("Bill lines", "账单明细", "bill-lines", "期内扣费的账单行，最早的在前。"),
    Sheet("Recharges", "充值", "recharges", "期内充值，最早的在前。"),
    Sheet("Cards", "算力卡", "cards", "算力卡当前状态：余额、到期时间和已用成本。"),
    Sheet("Balance", "余额平衡", "balance", "余额与算力卡：期初 + 充值 - 消费 + 差异 = 期末。"),
    Sheet("Budgets", "预算", "budget", "各项目与账户的预算、已用金额和预计月末金额。"),
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
            columns, rows = _report_rows(database, sheet, arguments, lang)
            above = reports.line_above(database, reports.load_report(sheet.report), arguments, lang)
            book.sheet(getattr(sheet, lang), columns, rows, above)
        about = [(getattr(sheet, lang), sheet.about(lang)) for sheet in SHEETS]
        known = reports.notes_of_month(
            database, month, arguments, zone=zone, made_at=made_at, lang=lang
        )
        book.notes([*about, *known])


def _days_of_month(month: str, today: date) -> tuple[str, str]:
    # words such as last-month are understood as in every report
    first, last = reports.day_range(month, None, today)
    named = Month.of(date.fromisoformat(first))
    if named.first.isoformat() != first or named != Month.of(date.fromisoformat(last)):
        raise SettingsError(
            tr("{month!r} is no month", month=month), advice=tr("use one such as 2026-10")
        )
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
