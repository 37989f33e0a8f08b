"""Rows of the reports that the page shows, each read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

from etl import reports
from etl.dialect import Database
from etl.history.days import Day, Zone
from etl.poll import Instant
from etl.reports import Column

Row = dict[str, Any]
MOST_EVENTS: Final = 200
"""The newest events on the page; `report events` has them all."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The scope of a page: days of the reporting zone, both included, account and project."""

    from_day: str
    to_day: str
    account: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a report, and the command that prints them."""

    command: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    def total(self, column: str) -> float:
        """Add up a column, nulls left out."""
        return float(sum(row[column] for row in self.rows if row[column] is not None))


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a page is made of.

    `observed`: start of the first and of the newest complete poll, None if there was none; `seen` says
    how far the period was observed; `now`: when the page is made.
    """

    choice: Choice
    zone: Zone
    now: Instant
    observed: tuple[Instant, Instant] | None
    seen: str
    before: tuple[str, str]
    tables: Mapping[str, Table]

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    @property
    def days(self) -> list[Day]:
        first, last = (date.fromisoformat(d) for d in (self.choice.from_day, self.choice.to_day))
        return list(self.zone.calendar(first, last))


def gather(database: Database, choice: Choice, zone: Zone, now: Instant, lang: str = "en") -> Facts:
    """Read every report that the page shows."""
    before = _days_before(choice)
    period = {"from_day": choice.from_day, "to_day": choice.to_day, "account": choice.account}
    seen = reports.line_above(database, reports.load_report("runs"), {**period, "now": now}, lang)
    queries: dict[str, tuple[str, dict[str, Any], int | None]] = {
        "now": ("now", {}, None),
        "idle": ("idle", {}, None),
        "runs": ("runs", {}, None),
        "timeline": ("timeline", {}, None),
        "daily": ("daily", {}, None),
        "cost": ("cost", {"by": "account"}, None),
        "cost_before": (
            "cost",
            {"by": "account", "from_day": before[0], "to_day": before[1]},
            None,
        ),
        "cost_day": ("cost", {"by": "day"}, None),
        "bills_day": ("bills", {"by": "day"}, None),
        "gpu_day": ("gpu-hours", {"by": "day"}, None),
        "projects": ("overview", {}, None),
        "coverage": ("coverage", {"by": "day"}, None),
        "balance": ("balance", {}, None),
        "budget": ("budget", {}, None),
        "causes": ("reconciliation", {"by": "cause"}, None),
        "images": ("images", {}, None),
        "events": ("events", {}, MOST_EVENTS),
    }
    tables = {
        key: _read_table(database, name, {**period, **given}, now, most)
        for key, (name, given, most) in queries.items()
    }
    if choice.project is not None:
        tables = dict(_of_project(tables, choice.project))
    observed = reports.observed(database, choice.account)
    return Facts(choice, zone, now, observed, seen, before, tables)


def _read_table(
    database: Database, name: str, arguments: Mapping[str, Any], now: Instant, most: int | None
) -> Table:
    report = reports.load_report(name)
    known = {param.name for param in report.params}
    given = {key: value for key, value in arguments.items() if key in known}
    names, rows = reports.run(database, report, {**given, "now": now})
    try:
        # a page shows a year at most: its rows fit in memory, and several charts read them
        kept = [dict(zip(names, row, strict=True)) for row in islice(rows, most)]
    finally:
        rows.close()
    return Table(_report_command(name, given), report.described(names), kept)


def _report_command(name: str, given: Mapping[str, Any]) -> str:
    options = {"from_day": "from", "to_day": "to"}
    words = [f"--{options.get(key, key)} {value}" for key, value in given.items() if value]
    return " ".join(["chenyu-etl report", name, *words])


def _of_project(tables: Mapping[str, Table], project: str) -> Iterator[tuple[str, Table]]:
    """Keep the rows of one project's instances in tables that tell instances or projects apart."""
    # reports without a column project are cut by the instances that the project paid for
    mine = {r["instance_uuid"] for r in tables["daily"].rows if r["project"] == project}
    for name, table in tables.items():
        rows = table.rows
        if rows and "project" in rows[0]:
            rows = [row for row in rows if row["project"] == project]
        elif rows and any(row.get("instance_uuid") for row in rows):
            rows = [row for row in rows if row["instance_uuid"] in mine]
        yield name, Table(table.command, table.columns, rows)


def _days_before(choice: Choice) -> tuple[str, str]:
    """Return the days to compare with: the same of the last month for a month to date, else as many."""
    first, last = date.fromisoformat(choice.from_day), date.fromisoformat(choice.to_day)
    day = timedelta(days=1)
    if first.day == 1 and (last + day).month in (first.month, first.month % 12 + 1):
        ends = first - day
        begins = ends.replace(day=1)
        is_whole = (last + day).day == 1
        until = ends if is_whole else min(ends, begins + (last - first))
        return begins.isoformat(), until.isoformat()
    length = last - first + day
    return (first - length).isoformat(), (first - day).isoformat()
