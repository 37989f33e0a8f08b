"""Rows of the reports that the page shows, each read once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

from etl import reports
from etl.dialect import Database
from etl.history.days import Day, Zone
from etl.poll import Instant
from etl.reports import Column
from etl.texts import LANGUAGES

Row = dict[str, Any]
MOST_EVENTS: Final = 150
"""The newest events on the page; `report events` has them all."""
MOST_LIMITS: Final = 50
"""The leases and limits on the page that stand worst; `report limits` has them all."""
MOST_ODD_DAYS: Final = 50
"""The newest days out of the ordinary on the page; `report anomalies` has them all."""
MOST_VERSIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """The scope of a page: days of the reporting zone, both included, account and project.

    `is_part`: the rows are of some instances alone, as in the digest of an owner.
    """

    from_day: str
    to_day: str
    account: str | None = None
    project: str | None = None
    is_part: bool = False

    @property
    def is_of_some(self) -> bool:
        """Tell whether there are instances that it is not about: bills are of all of them."""
        return self.is_part or self.project is not None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a report, and the command that prints them.

    `is_cut`: there are more rows than these. `is_whole`: a page of one project shows those of all.
    """

    command: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    is_cut: bool = False
    is_whole: bool = False

    def total(self, column: str) -> float:
        """Add up a column, nulls left out."""
        return float(sum(row[column] for row in self.rows if row[column] is not None))


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a page is made of.

    `observed`: start of the first and of the newest complete poll, None if there was none; `seen` says
    by language how far the period was observed; `now`: when the page is made.
    """

    choice: Choice
    zone: Zone
    now: Instant
    observed: tuple[Instant, Instant] | None
    seen: Mapping[str, str]
    before: tuple[str, str]
    tables: Mapping[str, Table]

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    @property
    def was_before_observed(self) -> bool:
        """Tell whether somebody looked from the start of the days to compare with: else their sums lack
        a part, and the period looks dearer than it is.
        """
        first = date.fromisoformat(self.before[0])
        return self.observed is not None and self.observed[0] <= self.zone.starts(first)

    @property
    def days(self) -> list[Day]:
        first, last = (date.fromisoformat(d) for d in (self.choice.from_day, self.choice.to_day))
        return list(self.zone.calendar(first, last))


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A report that the page asks, with its arguments beside the period, and the most rows of it."""

    report: str
    arguments: Mapping[str, str]
    most: int | None = None


def report_queries(choice: Choice) -> dict[str, ReportQuery]:
    """Return the reports of a page, by the name of their table."""
    first, last = days_before(choice)
    by = "account" if choice.project is None else "project"
    return {
        "now": ReportQuery("now", {}),
        "timers": ReportQuery("timers", {"timer": "overdue"}),
        "idle": ReportQuery("idle", {}),
        "runs": ReportQuery("runs", {}),
        "timeline": ReportQuery("timeline", {}),
        "daily": ReportQuery("daily", {}),
        "cost": ReportQuery("cost", {"by": by}),
        "cost_before": ReportQuery("cost", {"by": by, "from_day": first, "to_day": last}),
        "cost_day": ReportQuery("cost", {"by": "day"}),
        "cost_model": ReportQuery("cost", {"by": "model"}),
        "bills_day": ReportQuery("bills", {"by": "day"}),
        "bills_project": ReportQuery("bills", {"by": "project"}),
        "billed": ReportQuery("billed-usage", {"by": "day"}),
        "gpu_day": ReportQuery("gpu-hours", {"by": "day"}),
        "projects": ReportQuery("overview", {}),
        "gaps": ReportQuery("gaps", {}),
        "coverage": ReportQuery("coverage", {"by": "day"}),
        "balance": ReportQuery("balance", {}),
        "balance_days": ReportQuery("balance-days", {}),
        "budget": ReportQuery("budget", {}),
        "forecast": ReportQuery("forecast", {"by": by}),
        "limits": ReportQuery("limits", {}, MOST_LIMITS),
        "commitment": ReportQuery("commitment", {"by": "model"}),
        "anomalies": ReportQuery("anomalies", {}, MOST_ODD_DAYS),
        "causes": ReportQuery("reconciliation", {"by": "cause"}),
        "prices": ReportQuery("price-history", {}),
        "images": ReportQuery("images", {}),
        "versions": ReportQuery("versions", {}, MOST_VERSIONS),
        "events": ReportQuery("events", {}, MOST_EVENTS),
    }


def gather(
    database: Database,
    choice: Choice,
    zone: Zone,
    now: Instant,
    only: Collection[str] = (),
) -> Facts:
    """Read every report that the page shows, or only these."""
    period: Mapping[str, Any] = {
        "from_day": choice.from_day,
        "to_day": choice.to_day,
        "account": choice.account,
    }
    seen = {
        lang: reports.line_above(
            database, reports.load_report("runs"), {**period, "now": now}, lang
        )
        for lang in LANGUAGES
    }
    tables = {
        key: _read_table(database, asked, {**period, **asked.arguments}, now)
        for key, asked in report_queries(choice).items()
        if not only or key in only
    }
    if choice.project is not None:
        tables = dict(_of_project(tables, choice.project))
    observed = reports.observed(database, choice.account)
    return Facts(choice, zone, now, observed, seen, days_before(choice), tables)


def _read_table(
    database: Database, asked: ReportQuery, arguments: Mapping[str, Any], now: Instant
) -> Table:
    report = reports.load_report(asked.report)
    known = {param.name for param in report.params}
    # some reports have no period: they are of now
    given = {key: value for key, value in arguments.items() if key in known}
    names, rows = reports.run(database, report, {**given, "now": now})
    try:
        kept = [dict(zip(names, row, strict=True)) for row in islice(rows, asked.most)]
        # one row more is asked for, and dropped: only so it is known that there are more
        is_cut = asked.most is not None and next(iter(rows), None) is not None
    finally:
        # left half read, it would keep its transaction open
        rows.close()
    return Table(_report_command(asked.report, given), report.described(names), kept, is_cut)


def _report_command(name: str, given: Mapping[str, Any]) -> str:
    # named as people type them
    options = {"from_day": "from", "to_day": "to"}
    words = [f"--{options.get(key, key)} {value}" for key, value in given.items() if value]
    return " ".join(["chenyu-etl report", name, *words])


def _of_project(tables: Mapping[str, Table], project: str) -> Iterator[tuple[str, Table]]:
    """Keep the rows of one project in tables that tell projects or instances apart; the others are
    marked as whole."""
    mine = {r["instance_uuid"] for r in tables["daily"].rows if r["project"] == project}
    # what was started today may not have cost anything yet
    mine |= {r["instance_uuid"] for r in tables["now"].rows if r["project"] == project}
    for name, table in tables.items():
        columns = {column.name for column in table.columns}
        is_whole = False
        if "project" in columns:
            rows = [row for row in table.rows if row["project"] == project]
        # asked by project, these name it as what they are about
        elif name in ("cost", "cost_before", "bills_project", "forecast"):
            rows = [row for row in table.rows if row["what"] == project]
        elif name == "budget":
            rows = [r for r in table.rows if (r["scope"], r["name"]) == ("project", project)]
        elif name == "limits":
            rows = [
                row
                for row in table.rows
                if (row["scope"], row["name"]) == ("project", project)
                or row["instance_uuid"] in mine
            ]
        elif "instance_uuid" in columns and any(row["instance_uuid"] for row in table.rows):
            rows = [row for row in table.rows if row["instance_uuid"] in mine]
        else:
            # of no project, such as the balance: shown, and said to be of all
            rows, is_whole = list(table.rows), True
        yield name, Table(table.command, table.columns, rows, table.is_cut, is_whole)


def days_before(choice: Choice) -> tuple[str, str]:
    """Return the days to compare with: the same of the last month for a month to date, else as many."""
    first, last = date.fromisoformat(choice.from_day), date.fromisoformat(choice.to_day)
    day = timedelta(days=1)
    # a month to date is compared with the same days: months differ in length
    if first.day == 1 and (last + day).month in (first.month, first.month % 12 + 1):
        ends = first - day
        begins = ends.replace(day=1)
        is_whole = (last + day).day == 1
        until = ends if is_whole else min(ends, begins + (last - first))
        return begins.isoformat(), until.isoformat()
    length = last - first + day
    return (first - length).isoformat(), (first - day).isoformat()
