"""Lists of a long period are read part by part, and are the same as read at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from etl import reports
from etl.dialect import Database
from etl.reports.periods import WHOLE_DAYS, newest_parts

LISTS = [n for n in reports.report_names() if reports.load_report(n).is_newest_first]
days = st.dates(date(2024, 1, 1), date(2027, 12, 31))


def test_events_and_runs_are_read_in_parts() -> None:
    assert LISTS == ["events", "runs"]


@given(days, st.integers(0, 3_000))
def test_the_parts_of_a_period_are_its_days_once_each_the_newest_first(
    first: date, length: int
) -> None:
    last = first + timedelta(days=length)
    parts = list(newest_parts(first.isoformat(), last.isoformat()))
    assert parts[0]["to_day"] == last.isoformat()
    assert parts[-1]["from_day"] == first.isoformat()
    for later, earlier in pairwise(parts):
        day_before = date.fromisoformat(later["from_day"]) - timedelta(days=1)
        assert earlier["to_day"] == day_before.isoformat()
        assert later["begun_day"] == later["from_day"]
    assert parts[-1]["begun_day"] < first.isoformat()
    assert len(parts) == 1 or length >= WHOLE_DAYS
    assert len(parts) < 9


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "last", ["2026-03-03", "2026-03-08", "2026-03-09", "2026-03-12", "2026-04-20"]
)
def test_a_list_in_parts_is_the_list(
    name: str, last: str, kind: str, golden: Callable[[str], Database]
) -> None:
    database, report = golden(kind), reports.load_report(name)
    period = {"from_day": "2025-06-01", "to_day": last}
    in_parts = list(reports.run(database, report, period)[1])
    assert in_parts
    assert in_parts == list(
        reports.run(database, replace(report, is_newest_first=False), period)[1]
    )


def test_of_a_year_no_more_is_asked_than_is_read(golden: Callable[[str], Database]) -> None:
    database = golden("sqlite")
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        asked.append(arguments[2])

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        rows = reports.run(
            database,
            reports.load_report("events"),
            {"from_day": "2025-06-01", "to_day": "2026-03-09"},
        )[1]
        next(rows)
        statements = [sql for sql in asked if "instance_event" in sql or "WITH found" in sql]
        rows.close()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert len(statements) == 1
