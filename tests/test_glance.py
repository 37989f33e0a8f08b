"""One look at a terminal: the figures of the reports, in 80 columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from etl import reports
from etl.cli import glance as screens
from etl.dialect import Database
from etl.history.days import Zone
from etl.page.facts import Choice
from etl.page.glance import Glance, look_once
from etl.reports import trends
from etl.reports.render import width
from etl.reports.render.look import UNICODE, Look
from etl.reports.render.spark import spark
from tests.conftest import ZONE
from tests.golden_fleet import NOW, PERIOD

Golden = Callable[[str], Database]
MONTH: dict[str, Any] = {**PERIOD, "now": NOW, "account": None}


@pytest.fixture
def database(golden: Golden, kind: str) -> Database:
    return golden(kind)


def read(database: Database, name: str, **arguments: Any) -> list[dict[str, Any]]:
    columns, rows = reports.run(database, reports.load_report(name), {**MONTH, **arguments})
    return [dict(zip(columns, row, strict=True)) for row in rows]


def total(rows: list[dict[str, Any]], column: str) -> float:
    return float(sum(row[column] or 0 for row in rows))


def a_glance(database: Database, lang: str = "en") -> Glance:
    return look_once(database, Choice(*PERIOD.values()), Zone(ZONE), NOW, lang)


def screen_of(database: Database, lang: str = "en", columns: int = 80) -> list[str]:
    seen, look = a_glance(database, lang), Look(columns, lang)
    return [
        *screens.notice_lines(seen.notices, ["one more"], look),
        *screens.running_lines(seen.facts, look),
        *screens.month_lines(seen, look),
        *screens.balance_lines(seen.facts, look),
        *screens.poll_lines([("lab", "instances 2 min ago", False)] * 8, look),
    ]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("columns", [80, 120, 200])
def test_a_look_fits_the_screen(lang: str, columns: int, database: Database) -> None:
    lines = screen_of(database, lang, columns)
    assert max(map(width, lines)) <= columns
    assert all(line.isprintable() for line in lines)


def test_a_look_says_the_figures_of_the_reports(database: Database) -> None:
    text = "\n".join(screen_of(database))
    costs = read(database, "cost", by="account")
    running = [row for row in read(database, "now") if row["running_since"]]
    (left,) = (row for row in read(database, "balance") if row["channel"] == "all")
    for figure in (
        f"{total(costs, 'cost_yuan'):,.2f} yuan",
        f"between {total(costs, 'cost_yuan_min'):,.2f} and {total(costs, 'cost_yuan_max'):,.2f}",
        f"{total(costs, 'gpu_hours'):,.2f} GPU hours",
        f"{len(running)} instances, {total(running, 'yuan_per_hour'):,.2f} yuan an hour",
        f"{left['closing_yuan']:,.2f} yuan",
        f"lasts {left['days_left']:,.1f} days",
    ):
        assert figure in text


def test_what_needs_attention_comes_first_and_what_costs_money_before_it(
    database: Database,
) -> None:
    seen = a_glance(database)
    lines = list(screens.notice_lines(seen.notices, ["one more"], Look(200)))
    assert lines[0].startswith("NEEDS ATTENTION")
    marks = [line.strip()[0] for line in lines[1:]]
    assert marks == sorted(marks)
    assert {"!", "-"} == set(marks)
    assert any("the balance lasts" in line for line in lines)
    assert lines[-1].endswith("one more")


def test_nothing_to_attend_to_is_said_as_such() -> None:
    assert list(screens.notice_lines([], [], Look(80))) == ["NEEDS ATTENTION  nothing"]


# the last days of each line


@pytest.mark.parametrize(
    ("report", "by"),
    [
        ("overview", None),
        *(("cost", by) for by in ("instance", "project", "owner", "model")),
        *(("gpu-hours", by) for by in ("model", "instance")),
        *(("uptime", by) for by in ("instance", "gpu")),
    ],
)
def test_the_last_days_of_a_line_add_up_to_it(
    report: str, by: str | None, database: Database
) -> None:
    chosen = reports.load_report(report)
    trend = trends.trend_of(chosen, by)
    assert trend is not None
    days = trends.last_days(database, Zone(ZONE), MONTH, trend.daily, trend.measure)
    lines = read(database, report, **({"by": by} if by else {}))
    assert lines
    # the period begins within these fourteen days; before it, too, something was paid ahead
    ago = (days.last - date.fromisoformat(PERIOD["from_day"])).days + 1
    for line in lines:
        parts = [value or 0.0 for value in days.of(tuple(line[name] for name in trend.own))[-ago:]]
        assert sum(parts) == pytest.approx(line[trend.measure] or 0.0, abs=0.06)


def test_days_that_nobody_saw_are_not_known() -> None:
    seen = (date(2026, 3, 6), date(2026, 3, 10))
    days = trends.Days(date(2026, 3, 10), seen, {("a",): {"2026-03-04": 3.0, "2026-03-09": 5.0}})
    assert days.of(("a",)) == [None] * 7 + [3.0, None, 0.0, 0.0, 0.0, 5.0, 0.0]
    assert days.of(("b",)) == [None] * 9 + [0.0] * 5
    assert days.is_known
    assert not trends.Days(date(2026, 2, 1), seen, {}).is_known
    assert trends.Days(date(2026, 1, 1), None, {}).of(("a",)) == [None] * 14


def test_reports_without_such_lines_have_no_last_days() -> None:
    assert trends.trend_of(reports.load_report("events"), None) is None
    assert trends.trend_of(reports.load_report("cost"), "month") is None


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([None, 0.0, 0.001, 50.0, 100.0], "·▁▂▅█"),
        ([0.0, 0.0], "▁▁"),
        ([None], "·"),
        ([], ""),
        ([7.0], "█"),
    ],
)
def test_a_sparkline_tells_nothing_from_little_and_from_unknown(
    values: list[float | None], bars: str
) -> None:
    assert spark(values, UNICODE) == bars
