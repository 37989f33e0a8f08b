"""What SQLite reads for a period of days: the parts of those days, and not the whole history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from etl import paths, reports
from etl.dialect import Database

CUT_BY_DAY = ("usage_cost", "closed_cost", "bill_day")
"""Tables with a row for each part of a day: what grows with the history."""
SUMMED = r"(summed|running_sum|cost_sum)"
"""What the tables of sums are called in views."""
VIEWS = (
    "_cost_part",
    "_cost_line",
    "cost_daily",
    "_bill_window",
    "bill_daily",
    "uptime_daily",
    "gpu_usage_daily",
    "gpu_usage_instance_daily",
    "night_weekend_daily",
)
REPORTS = (
    "cost",
    "bills",
    "allocation",
    "reconciliation",
    "settlement",
    "budget",
    "overview",
    "uptime",
    "gpu-hours",
    "idle",
)
FOCUS = "focus_cost_and_usage"
PERIOD = {"from_day": "2026-01-01", "to_day": "2026-01-31"}


@pytest.fixture
def planned(database: Database) -> Iterator[Any]:
    """What SQLite says that it will do, line by line."""
    if database.engine.name != "sqlite":
        pytest.skip("Postgres carries a period through groupings")
    raw = database.engine.raw_connection()

    def plan(sql: str, values: dict[str, Any]) -> list[str]:
        return [
            row[3]
            for row in raw.cursor().execute(f"EXPLAIN QUERY PLAN {database.render(sql)}", values)
        ]

    yield plan
    raw.close()


def reading_of_parts(plan: list[str]) -> list[str]:
    """The lines that read a table of parts, whatever it is called there, by how they read it."""
    index = "|".join(f"ix_{name}_day" for name in CUT_BY_DAY)
    searched = re.compile(
        rf"SEARCH \w+ USING (COVERING )?INDEX ({index}) \(day[>=]"
        rf"|SEARCH {SUMMED} USING PRIMARY KEY \(day[>=]"
    )
    names = rf"\b({index}|{'|'.join(CUT_BY_DAY)}|{SUMMED})\b"
    found = [line for line in plan if re.search(names, line)]
    assert found
    return [line for line in found if not searched.match(line)]


@pytest.mark.parametrize("view", VIEWS)
def test_a_condition_on_the_day_reaches_the_tables_through_a_view(view: str, planned: Any) -> None:
    """It does not where a column of a UNION ALL has another affinity in one of its arms, or where a
    view groups what is no table."""
    sql = f"SELECT * FROM {view} WHERE day >= :from_day AND day <= :to_day"
    assert reading_of_parts(planned(sql, PERIOD)) == []


def test_costs_in_doubt_are_looked_up_from_who_is_in_doubt(planned: Any) -> None:
    """Few are, if any: the parts of a whole year need not be read to find theirs."""
    plan = planned("SELECT * FROM _cost_doubt WHERE day >= :from_day AND day <= :to_day", PERIOD)
    looked_up = (
        r"SEARCH p USING INDEX sqlite_autoindex_usage_cost_1 \(account_id=\? AND instance_uuid=\?"
    )
    assert any(re.match(looked_up, line) for line in plan)
    assert not any("ix_usage_cost" in line or "SCAN usage_cost" in line for line in plan)


def test_a_condition_on_the_day_reaches_the_tables_through_focus(planned: Any) -> None:
    sql = f'SELECT * FROM {FOCUS} WHERE "x_Day" BETWEEN :from_day AND :to_day'
    assert reading_of_parts(planned(sql, PERIOD)) == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_reads_the_parts_of_its_period_alone(name: str, planned: Any) -> None:
    report = reports.load_report(name)
    values = reports.bound_values(report, PERIOD)
    assert reading_of_parts(planned(report.sql, values)) == []


def test_a_report_that_calls_a_view_has_its_text_and_reads_its_own_lines() -> None:
    report = reports.load_report("reconciliation")
    view = reports.parse_report("", paths.VIEWS / "reconciliation_daily.sql")
    body = re.sub(r"\s+", " ", view.sql).strip()
    body = body.replace("_bill_window", "bills").replace("_cost_line", "costs")
    assert body in re.sub(r"\s+", " ", report.sql)


@pytest.mark.parametrize("name", reports.report_names())
def test_no_report_reads_a_whole_history_row_by_row_through_an_index(
    name: str, planned: Any
) -> None:
    """As a grouping in the order of the key can make SQLite do, where it is to find the few that are
    open or not understood: it jumps through the file, since rows lie as polls wrote them, by time."""
    report = reports.load_report(name)
    plan = planned(report.sql, reports.bound_values(report, PERIOD))
    histories = "instance_history|instance_usage|usage_day|usage_cost|bill|bill_day|sync_run"
    jumping = rf"SCAN \w+ USING INDEX sqlite_autoindex_({histories})_1"
    assert [line for line in plan if re.match(jumping, line)] == []
