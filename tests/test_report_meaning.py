"""What reports say of small stories whose truth is plain: nights, boots, images, timers, coverage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from etl import reports
from etl.dialect import Database
from etl.rebuild import rebuild
from etl.simcloud import Story
from tests.conftest import TODAY
from tests.support import apply, newest, poll_story, rows

Look = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def look(database: Database) -> Look:
    """Columns of a report: `look("idle", "title", "nights", from_day="2026-01-01")`."""

    def columns(name: str, *wanted: str, **said: Any) -> list[tuple[Any, ...]]:
        period = {"from_day": "2026-01-01", "to_day": "2026-12-31", "now": newest(database), **said}
        found, lines = reports.run(database, reports.load_report(name), period)
        return [tuple(row[found.index(column)] for column in wanted) for row in lines]

    return columns


def polled(database: Database, cloud: Story, *, minutes: int, every: int = 5) -> None:
    for _ in range(minutes // every):
        cloud.passes(minutes=every)
        apply(database, poll_story(cloud))


def test_weekdays_are_those_of_the_calendar(database: Database) -> None:
    found = rows(database, "SELECT day, weekday, is_weekend FROM local_day ORDER BY day")
    assert len(found) > 4_000
    for day, weekday, is_weekend in found:
        assert weekday == date.fromisoformat(day).isoweekday(), day
        assert is_weekend == (weekday > 5)


@pytest.mark.parametrize(
    ("zone", "midnight", "hours", "night"),
    [
        ("Asia/Shanghai", 1_772_812_800, 24.0, 8.0),  # Saturday 2026-03-07
        ("America/New_York", 1_772_946_000, 23.0, 8.0),  # Sunday 2026-03-08, without 2 o'clock
        ("America/New_York", 1_793_505_600, 25.0, 8.0),  # Sunday 2026-11-01, with 1 o'clock twice
    ],
)
def test_nights_are_the_first_eight_hours_of_a_local_day(
    zone: str, midnight: int, hours: float, night: float, database: Database, look: Look
) -> None:
    cloud = Story(midnight - 3_600)
    apply(database, poll_story(cloud))
    cloud.passes(minutes=60)
    cloud.sets_timer(cloud.rents(gpus=2, title="all day"), midnight + round(hours * 3_600))
    polled(database, cloud, minutes=round(hours * 60) + 60, every=60)
    rebuild(database, zone, TODAY)
    wanted = ("title", "hours", "night_hours", "weekend_hours", "nights", "night_gpu_hours")
    assert look("idle", *wanted) == [("all day", hours, night, hours, 1, 2 * night)]


def test_a_run_from_evening_to_morning_is_cut_at_midnight_and_at_eight(
    database: Database, look: Look
) -> None:
    cloud = Story(1_772_625_600)  # Wednesday 2026-03-04, 20:00 in Shanghai
    apply(database, poll_story(cloud))
    cloud.passes(minutes=60)
    cloud.sets_timer(cloud.rents(title="late"), cloud.now + 12 * 3_600)  # from 21:00 to 9:00
    polled(database, cloud, minutes=12 * 60 + 5)
    wanted = (
        "title",
        "suspect",
        "running_hours",
        "hours",
        "night_hours",
        "weekend_hours",
        "nights",
    )
    assert look("idle", *wanted) == [("late", 0, None, 12.0, 8.0, 0.0, 1)]
    assert look("idle", *wanted, to_day="2026-03-04") == [("late", 0, None, 3.0, 0.0, 0.0, 0)]


def test_what_runs_for_long_without_a_timer_is_suspect(database: Database, look: Look) -> None:
    cloud = Story()
    cloud.rents(title="forgotten")
    timed = cloud.rents(title="timed")
    cloud.sets_timer(timed, cloud.now + 50 * 3_600)
    apply(database, poll_story(cloud))
    polled(database, cloud, minutes=13 * 60, every=60)
    cloud.rents(title="young")
    polled(database, cloud, minutes=60)
    wanted = ("title", "suspect", "running_hours")
    assert sorted(look("idle", *wanted)) == [
        ("forgotten", 1, 14.0),
        ("timed", 0, 14.0),
        ("young", 0, 1.0),
    ]
    assert [row[1] for row in sorted(look("idle", *wanted, hours="15"))] == [0, 0, 0]
    assert look("timers", "title", "timer", "hours_left", "hours") == [
        ("forgotten", "none", None, 14.0),
        ("young", "none", None, 1.0),
        ("timed", "set", 36.0, 14.0),
    ]
    assert look("timers", "title", timer="set") == [("timed",)]


def test_a_timer_that_did_not_go_off_is_overdue(database: Database, look: Look) -> None:
    cloud = Story()
    name = cloud.rents(title="stuck")
    cloud.twists(name, shutdown_regular={"shutdown_time": cloud.now + 600, "enable": True})
    apply(database, poll_story(cloud))
    polled(database, cloud, minutes=30)
    assert look("timers", "timer", "hours_left", "shutdown_time") == [
        ("overdue", None, "2026-01-01T00:10:00Z")
    ]


def test_a_timer_of_sixty_is_no_instant_and_shown_as_unknown(
    database: Database, look: Look
) -> None:
    """Minutes, where an instant is expected: it says that a timer is on, and not when."""
    cloud = Story()
    name = cloud.rents(title="soon")
    cloud.twists(name, shutdown_regular={"shutdown_time": 60, "enable": True})
    apply(database, poll_story(cloud))
    cloud.passes(minutes=5)
    apply(database, poll_story(cloud))
    assert look("timers", "timer", "hours_left", "shutdown_time") == [("unknown", None, None)]


def test_boots_that_never_came_up_are_listed(database: Database, look: Look) -> None:
    cloud = Story()
    seen = cloud.rents(title="seen", starts=False)
    unseen = cloud.rents(title="unseen", starts=False)
    slow = cloud.rents(title="slow", starts=False)
    good = cloud.rents(title="good", starts=False)
    apply(database, poll_story(cloud))
    cloud.passes(minutes=2)
    for name in (seen, slow, good):
        cloud.starts(name, boot_s=240 if name == good else 9_000)
    cloud.passes(minutes=3)
    apply(database, poll_story(cloud))
    cloud.passes(minutes=1)
    cloud.stops(seen, status=23)
    cloud.starts(unseen, boot_s=60)
    cloud.passes(minutes=1)
    cloud.stops(unseen, status=23)
    polled(database, cloud, minutes=20)
    wanted = ("title", "seen", "minutes", "state_after")
    assert sorted(look("failed-starts", *wanted)) == [
        ("seen", "booting", 10, "stopped"),
        ("slow", "still booting", 25, None),
        ("unseen", "afterwards", 6, "stopped"),
    ]
    assert ("slow",) not in look("failed-starts", "title", minutes="30")


def test_runs_are_listed_once_with_their_bounds(database: Database, look: Look) -> None:
    cloud = Story()
    name = cloud.rents(title="a", gpus=2)
    apply(database, poll_story(cloud))
    polled(database, cloud, minutes=60)
    cloud.passes(minutes=2)
    cloud.stops(name)
    polled(database, cloud, minutes=30)
    cloud.passes(minutes=3)
    cloud.starts(name, gpus=4)
    polled(database, cloud, minutes=30)
    wanted = ("started_at", "ended_at", "hours_min", "hours", "hours_max", "gpu_nums", "evidence")
    # seen up at 01:00:00 and off at 01:07:01: the middle, less half of the 30 s of shutting down
    assert look("runs", *wanted) == [
        ("2026-01-01T01:35:00Z", None, 0.5, 0.5, 0.5, 4, "observed"),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:03:15Z", 1.0, 1.05, 1.12, 2, "observed"),
    ]
    assert look("runs", *wanted, from_day="2026-01-02") == []
    assert len(look("runs", *wanted, to_day="2026-01-01")) == 2


def test_card_hours_of_an_instance_are_split_by_its_models(database: Database, look: Look) -> None:
    cloud = Story()
    name = cloud.rents(title="a", gpus=2, model="A100")
    apply(database, poll_story(cloud))
    polled(database, cloud, minutes=58, every=58)
    cloud.passes(minutes=2)
    cloud.stops(name)
    cloud.starts(name, gpus=4, model="H100")
    polled(database, cloud, minutes=60)
    for by, what in (
        ("instance", ["a", "a"]),
        ("model", ["H100", "A100"]),
        ("month", ["2026-01"] * 2),
    ):
        found = look("gpu-hours", "what", "gpu_name", "gpu_hours", by=by)
        assert [row[0] for row in found] == what
        assert [row[1:] for row in found] == [("H100", 4.0), ("A100", 1.97)]


def test_savings_of_images_and_how_they_ended(database: Database, look: Look) -> None:
    cloud = Story()
    name = cloud.rents(title="a")
    apply(database, poll_story(cloud))
    for state in (1, 3, 1, 2):
        cloud.passes(minutes=5)
        cloud.saves_image(name, state)
        polled(database, cloud, minutes=10)
    wanted = ("state", "not_before", "not_after", "minutes")
    assert [(state, a[11:16], b[11:16], m) for state, a, b, m in look("images", *wanted)] == [
        ("failed", "00:15", "00:25", 15),
        ("uploaded", "00:45", "00:55", None),
        ("uploading", "00:30", "00:40", 15),
        ("uploading", "00:00", "00:10", 15),
    ]
    assert look("images", "state", state="failed") == [("failed",)]


def test_coverage_names_gaps_rejects_and_unknown_codes(database: Database, look: Look) -> None:
    cloud = Story(1_767_225_600 - 8 * 3_600)  # midnight in Shanghai
    odd, broken = cloud.rents_many(2)
    apply(database, poll_story(cloud))
    polled(database, cloud, minutes=6 * 60)
    cloud.twists(odd, status=77)
    cloud.breaks_record(broken)
    cloud.passes(minutes=6 * 60)
    polled(database, cloud, minutes=12 * 60)
    cloud.passes(minutes=5)
    apply(database, poll_story(cloud, complete=False))
    wanted = (
        *("what", "observed_percent", "gap_hours", "longest_gap_minutes"),
        *("complete", "partial", "failed", "rejected", "unknown_codes"),
    )
    first, second = look("coverage", *wanted, now=cloud.now)
    assert first == ("2026-01-01", 74.65, 6.08, 365, 216, 0, 0, 1, 1)
    assert second[0] == "2026-01-02"
    assert look("coverage", "what", "complete", by="month") == [("2026-01", 217)]


def test_time_without_an_answer_at_the_end_is_not_observed(database: Database, look: Look) -> None:
    from etl.store import Store, SyncRun

    cloud = Story(1_767_225_600 - 8 * 3_600)
    apply(database, poll_story(cloud))
    polled(database, cloud, minutes=6 * 60)
    at = cloud.now + 6 * 3_600
    with Store(database, "lab").writing() as tx:
        tx.record("instances", SyncRun(at, at + 5, outcome="failed", error="no answer"))
    wanted = ("observed_percent", "longest_gap_minutes", "complete", "failed")
    assert look("coverage", *wanted) == [(50.0, 360, 73, 1)]


def test_a_report_over_a_week_adds_up_to_its_days(golden: Any, kind: str) -> None:
    database = golden(kind)
    period = {"from_day": "2026-03-05", "to_day": "2026-03-10"}

    def total(**said: str) -> int:
        found, lines = reports.run(database, reports.load_report("gpu-hours"), {**period, **said})
        return round(sum(row[found.index("gpu_hours")] or 0 for row in lines))

    assert len({total(by=by) for by in ("model", "day", "week", "month", "instance")}) == 1
    day = date(2026, 3, 5)
    days = [(day + timedelta(days=n)).isoformat() for n in range(6)]
    by_day = [total(from_day=one, to_day=one) for one in days]
    assert sum(by_day) == pytest.approx(total(), abs=3)
