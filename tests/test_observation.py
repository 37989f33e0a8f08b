"""Where the data ends, every report says so: after the newest complete poll nobody looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.dialect import Database
from etl.reports.observation import Observation, observed_line
from etl.resources import BILLS
from etl.simcloud import T0, Story
from etl.store import Store, SyncRun
from tests.priced import YUAN, lists
from tests.support import apply, poll_story, rows

HOUR, DAY = 3_600, 86_400
ASKED = {"from_day": "2026-01-01", "to_day": "2026-01-31"}
"""Shanghai's January begins eight hours before T0."""
LAST = T0 + 2 * HOUR
NOW = LAST + 3 * DAY


@pytest.fixture
def left_alone(database: Database) -> Database:
    """Two hours of polls every ten minutes: two GPUs run, another instance was stopped; then nothing."""
    cloud = Story()
    cloud.rents(gpus=2, model="A100", title="train")
    off = cloud.rents(model="A100", title="off")
    for number in range(13):
        if number == 6:
            cloud.stops(off)
        apply(database, poll_story(cloud))
        cloud.passes(minutes=10)
    lists(database, "A100", (T0, None, None, YUAN))
    return database


def asked(database: Database, name: str, *columns: str, **said: Any) -> list[tuple[Any, ...]]:
    names, found = reports.run(database, reports.load_report(name), {**ASKED, "now": NOW, **said})
    return [tuple(row[names.index(column)] for column in columns) for row in found]


def test_what_ran_at_the_newest_poll_may_have_run_up_to_now(left_alone: Database) -> None:
    """3 days are 72 hours: 74 for what ran; what stopped between the polls at 50 and 60 minutes stays
    (the middle, less half of the usual shutting down)."""
    hours = ("what", "hours_min", "hours", "hours_max", "gpu_hours_max")
    assert asked(left_alone, "uptime", *hours) == [
        ("train", 2.0, 2.0, 74.0, 148.0),
        ("off", 0.83, 0.91, 1.0, 1.0),
    ]
    cards = ("gpu_hours_min", "gpu_hours", "gpu_hours_max")
    assert asked(left_alone, "gpu-hours", *cards) == [(4.83, 4.91, 149.0)]
    assert ("train", 2.0, 74.0) in asked(left_alone, "runs", "title", "hours", "hours_max")


def test_the_maximum_of_costs_has_it_too_at_the_prices_in_force(left_alone: Database) -> None:
    """Two GPUs at 1 yuan an hour: 4 yuan for 2 hours, 148 for 74; the other, 3,601 s."""
    yuan = ("what", "cost_yuan_min", "cost_yuan", "cost_yuan_max")
    assert asked(left_alone, "cost", *yuan)[0] == ("train", 4.0, 4.0, 148.0)
    assert asked(left_alone, "allocation", "estimated_yuan_max") == [(149.000278,)]
    ((most,),) = asked(left_alone, "reconciliation", "estimated_yuan_max", by="month")
    assert most == 149.000278


def test_days_that_nobody_saw_have_a_maximum_and_no_estimate(left_alone: Database) -> None:
    """From 10 o'clock of the first in Shanghai to the same of the fourth."""
    assert asked(left_alone, "uptime", "what", "hours", "hours_min", "hours_max", by="day") == [
        ("2026-01-01", 2.91, 2.83, 17.0),
        ("2026-01-02", None, 0.0, 24.0),
        ("2026-01-03", None, 0.0, 24.0),
        ("2026-01-04", None, 0.0, 10.0),
    ]
    assert asked(left_alone, "cost", "what", "cost_yuan", "cost_yuan_max", by="day")[1:] == [
        ("2026-01-02", None, 48.0),
        ("2026-01-03", None, 48.0),
        ("2026-01-04", None, 20.0),
    ]


def test_a_period_before_now_ends_the_maximum(left_alone: Database) -> None:
    """To the end of the second in Shanghai: 14 + 24 hours after the newest poll."""
    assert asked(left_alone, "uptime", "hours_max", to_day="2026-01-02")[0] == (40.0,)
    assert asked(left_alone, "uptime", "hours_max", from_day="2026-01-03", to_day="2026-01-03") == [
        (24.0,)
    ]


def test_coverage_counts_the_time_up_to_now(left_alone: Database) -> None:
    columns = ("what", "observed_percent", "gap_hours", "longest_gap_minutes")
    assert asked(left_alone, "coverage", *columns) == [
        ("2026-01-01", 12.5, 14.0, 840),
        ("2026-01-02", 0.0, 24.0, 1440),
        ("2026-01-03", 0.0, 24.0, 1440),
        ("2026-01-04", 0.0, 10.0, 600),
    ]
    # 2 hours seen of the 82 since Shanghai's January began
    assert asked(left_alone, "uptime", "observed_percent")[0] == (2.44,)
    assert asked(left_alone, "uptime", "observed_percent", now=LAST)[0] == (20.0,)


def line(database: Database, name: str, lang: str = "en", **said: Any) -> str:
    arguments = {"account": None, **ASKED, "now": NOW, **said}
    return reports.line_above(database, reports.load_report(name), arguments, lang)


def test_a_line_says_until_when_a_report_was_observed(left_alone: Database) -> None:
    until = "observed until 2026-01-01T02:00:00Z"
    assert line(left_alone, "uptime") == f"{until}, 3.3 days of the period unseen"
    assert (
        line(left_alone, "uptime", to_day="2026-01-01")
        == f"{until}, 22.0 hours of the period unseen"
    )
    assert line(left_alone, "now") == f"{until}, 3.0 days ago"
    assert line(left_alone, "now", "zh") == "观测至 2026-01-01T02:00:00Z，3.0 天之前"
    assert line(left_alone, "uptime", "zh").endswith("期间内有 3.3 天未观测")
    assert line(left_alone, "bills") == "never observed, 3.4 days of the period unseen"


def test_the_line_of_a_bill_is_about_the_polls_of_the_bill(left_alone: Database) -> None:
    with Store(left_alone, "lab").writing() as tx:
        at = T0 + DAY
        tx.record(BILLS.name, SyncRun(started_at=at, finished_at=at + 1, outcome="complete"))
    until = "observed until 2026-01-02T00:00:00Z"
    assert line(left_alone, "bill-lines") == f"{until}, 2.1 days of the period unseen"
    assert line(left_alone, "bill-lines", now=T0 + DAY) == f"{until}, all of the period seen"


def test_of_several_accounts_the_one_seen_least_comes_first(left_alone: Database) -> None:
    with Store(left_alone, "other").writing():
        pass
    assert line(left_alone, "uptime") == (
        "other: never observed, 3.4 days of the period unseen;"
        " lab: observed until 2026-01-01T02:00:00Z, 3.3 days of the period unseen"
    )
    assert line(left_alone, "uptime", account="lab").startswith("observed until")


def test_a_line_says_that_the_newest_poll_lies_in_the_future(left_alone: Database) -> None:
    """Nothing hides an age below zero; a clock may be a minute off."""
    until = "observed until 2026-01-01T02:00:00Z"
    future = f"{until}, which lies in the future: a clock is wrong"
    for name in ("now", "uptime"):
        assert line(left_alone, name, now=LAST - HOUR) == future
        assert line(left_alone, name, now=LAST - 59) != future
    assert line(left_alone, "now", now=LAST - 59) == until
    assert line(left_alone, "now", "zh", now=LAST - HOUR).endswith("时钟有误")
    with Store(left_alone, "lab").writing() as tx:
        tx.record(BILLS.name, SyncRun(started_at=LAST, finished_at=LAST, outcome="complete"))
    assert line(left_alone, "bills", now=LAST - HOUR) == future


def test_the_account_whose_newest_poll_is_impossible_comes_before_those_seen_less() -> None:
    found = [Observation("a", T0, 9), Observation("b", T0, 0, is_future=True)]
    assert observed_line(found, of_period=True).startswith("b: ")


def test_a_line_about_many_accounts_counts_those_it_does_not_name() -> None:
    found = [Observation(f"a{n}", T0, n) for n in range(9)]
    told = observed_line(found, of_period=True)
    assert told.startswith("a8: observed until")
    assert told.endswith("; and 5 more accounts")
    assert observed_line([], of_period=True) == "nothing is observed yet"


def test_the_notes_name_months_that_nobody_observed_as_gaps(left_alone: Database) -> None:
    def gaps(**said: Any) -> list[Any]:
        arguments = {"account": None, **ASKED, **said}
        found = reports.notes_of_month(
            left_alone, "m", arguments, zone="UTC", made_at=said.pop("at", NOW)
        )
        return [value for label, value in found if label.startswith("gap")]

    assert gaps() == [
        "lab: 2025-12-31T16:00:00Z – 2026-01-01T00:00:00Z, 480 min",
        "lab: 2026-01-01T02:00:00Z – 2026-01-04T02:00:00Z, 4320 min",
    ]
    before = {"from_day": "2025-11-01", "to_day": "2025-11-30"}
    assert gaps(**before) == ["lab: 2025-10-31T16:00:00Z – 2025-11-30T16:00:00Z, 43200 min"]
    after = {"from_day": "2026-02-01", "to_day": "2026-02-28", "at": NOW + 90 * DAY}
    assert gaps(**after) == ["lab: 2026-01-31T16:00:00Z – 2026-02-28T16:00:00Z, 40320 min"]


def test_views_say_until_when_they_are_observed(left_alone: Database) -> None:
    for view in ("uptime_daily", "gpu_usage_daily", "cost_daily", "usage_span", "run_span"):
        assert rows(left_alone, f"SELECT DISTINCT observed_until_s FROM {view}") == [(LAST,)], view
    unseen = "SELECT MIN(started_s), SUM(running_max_s), SUM(running_s) FROM _usage_unseen_part"
    assert rows(left_alone, f"{unseen} WHERE day <= '2026-01-03'") == [(LAST, 62 * HOUR, 0)]


def test_a_report_of_ones_own_can_ask_for_now(left_alone: Database, tmp_path: Path) -> None:
    file = tmp_path / "mine.sql"
    file.write_text("SELECT CAST(:now AS BIGINT) - last_s AS unseen_s FROM sync_span")
    found = reports.run(left_alone, reports.load_own(file), {"now": NOW})[1]
    assert [list(row) for row in found] == [[3 * DAY]]


@pytest.mark.parametrize(("stops", "later"), [(0, 0), (1, 500), (7, 13), (600, 0), (5_000, 90)])
def test_the_truth_lies_within_the_bounds_after_the_newest_poll_too(
    stops: int, later: int, database: Database
) -> None:
    """What ran when the service went down stops so many minutes later; the report is read later yet."""
    cloud = Story()
    one = cloud.rents(title="one")
    for _ in range(4):
        apply(database, poll_story(cloud))
        cloud.passes(minutes=10)
    cloud.passes(minutes=stops)
    cloud.stops(one)
    truth_s, now = cloud.now - T0, cloud.now + later * 60
    ((least, most),) = asked(database, "uptime", "hours_min", "hours_max", now=now)
    assert least * HOUR - 18 <= truth_s <= most * HOUR + 18
