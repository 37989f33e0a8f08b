"""When polls are due: intervals and cron expressions, through changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import SettingsError
from etl.service.jobs import trigger_of
from etl.timing.cadence import Cadence, Pace, read_cadence
from etl.timing.triggers import Grid, Trigger, can_fire, grid, weekdays

BERLIN = "Europe/Berlin"
SPRING = ("2026-03-28T00:00Z", "2026-03-31T00:00Z")
"""On the 29th 02:00 to 03:00 does not exist."""
AUTUMN = ("2026-10-24T00:00Z", "2026-10-27T00:00Z")
"""On the 25th 02:00 to 03:00 comes twice."""


def cron(said: str, timezone: str = BERLIN) -> Trigger:
    return trigger_of(Cadence(cron=said), "lab", timezone)


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def ticks(trigger: Trigger, since: str, until: str) -> list[float]:
    found, at = [], trigger.following(epoch(since))
    while at is not None and at <= epoch(until):
        found.append(at)
        at = trigger.following(at)
    return found


def shown(found: list[float]) -> list[str]:
    return [f"{datetime.fromtimestamp(at, UTC):%d %H:%M}" for at in found]


def test_a_daily_time_that_spring_skips_comes_once_and_as_much_later() -> None:
    assert shown(ticks(cron("30 2 * * *"), *SPRING)) == ["28 01:30", "29 01:30", "30 00:30"]


def test_a_daily_time_that_autumn_shows_twice_comes_once() -> None:
    assert shown(ticks(cron("30 2 * * *"), *AUTUMN)) == ["24 00:30", "25 00:30", "26 01:30"]


@pytest.mark.parametrize(("said", "gap_s"), [("*/10 * * * *", 600), ("7 * * * *", 3_600)])
@pytest.mark.parametrize("days", [SPRING, AUTUMN])
def test_what_runs_every_hour_goes_on_through_a_change_of_the_clock(
    said: str, gap_s: int, days: tuple[str, str]
) -> None:
    found = ticks(cron(said), *days)
    assert {b - a for a, b in pairwise(found)} == {gap_s}
    assert len(found) == 72 * 3_600 // gap_s


@pytest.mark.parametrize("days", [SPRING, AUTUMN])
def test_an_interval_knows_no_change_of_the_clock(days: tuple[str, str]) -> None:
    found = ticks(trigger_of(Cadence(120), "lab", BERLIN), *days)
    assert {b - a for a, b in pairwise(found)} == {120}


@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 2,3 * * *", "15 1 * * 1-5", "0 3 29 * *"]),
    st.sampled_from([BERLIN, "Asia/Shanghai", "Australia/Lord_Howe", "America/St_Johns"]),
    st.integers(int(epoch("2025-01-01T00:00Z")), int(epoch("2027-01-01T00:00Z"))),
)
def test_the_ticks_around_a_moment_are_neighbours(said: str, zone: str, at: int) -> None:
    trigger = cron(said, zone)
    following, latest = trigger.following(at), trigger.latest(at)
    assert following is not None
    assert latest <= at < following
    assert trigger.following(latest) == following
    assert trigger.latest(following) == following


@given(st.integers(1, 100_000), st.floats(1.7e9, 1.9e9))
def test_a_grid_ticks_once_in_an_interval(every_s: int, at: float) -> None:
    trigger = Grid(every_s, every_s // 3)
    assert trigger.latest(at) <= at < trigger.following(at)
    assert trigger.latest(trigger.following(at)) == trigger.following(at)
    assert trigger.following(trigger.following(at)) - trigger.following(at) == every_s


def test_accounts_tick_at_different_moments_and_everywhere_at_the_same() -> None:
    phases = [grid(120, f"account {n}").phase_s for n in range(50)]
    assert len(set(phases)) > 20
    assert max(phases) < 60
    assert phases == [grid(120, f"account {n}").phase_s for n in range(50)]


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("*", "*"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("0", "sun"),
        ("7", "sun"),
        ("5-7", "sun,fri,sat"),
        ("mon,Thu", "mon,thu"),
        ("*/2", "sun,tue,thu,sat"),
    ],
)
def test_weekdays_count_from_sunday_as_cron_does(field: str, names: str) -> None:
    assert weekdays(field) == names


@pytest.mark.parametrize(
    "said", ["61 * * * *", "* * * * 8", "* * * * 5-1", "* * 1 * 1", "a b c d e", "* * * 13 *"]
)
def test_an_odd_cron_expression_is_refused(said: str) -> None:
    with pytest.raises(SettingsError):
        cron(said)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("90s", Cadence(90)),
        ("2m", Cadence(120)),
        (120, Cadence(120)),
        ("1d", Cadence(86_400)),
        ("off", Cadence()),
        ("*/5  * * * *", Cadence(cron="*/5 * * * *")),
    ],
)
def test_a_cadence_is_read(said: object, means: Cadence) -> None:
    assert read_cadence(said, "here") == means


@pytest.mark.parametrize("said", ["", "0s", "2", "40d", "2 m", "* * * *", True, 1.5, None])
def test_an_odd_cadence_is_refused(said: object) -> None:
    with pytest.raises(SettingsError, match="here is neither"):
        read_cadence(said, "here")


def test_failures_in_a_row_back_off_up_to_an_hour_and_a_success_ends_that() -> None:
    pace = Pace()
    waits = [pace.after_poll(0, 120, failed=True, limited=False) for _ in range(9)]
    assert waits == [120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert not pace.is_due(3_400)
    assert pace.is_due(3_600 - 60)
    assert pace.after_poll(0, 120, failed=False, limited=False) == 120
    assert pace.is_due(0)


def test_a_source_that_is_away_is_asked_again_within_five_minutes() -> None:
    pace = Pace()
    waits = [pace.after_poll(0, 120, failed=True, limited=False, away=True) for _ in range(5)]
    assert waits == [120, 240, 300, 300, 300]
    assert pace.after_poll(0, 120, failed=True, limited=False) == 3_600, (
        "what a person must mend can wait"
    )


def test_a_longer_interval_than_an_hour_is_not_shortened_by_failures() -> None:
    pace = Pace()
    assert {pace.after_poll(0, 7_200, failed=True, limited=False) for _ in range(5)} == {7_200}


def test_a_limited_answer_that_a_retry_heals_stretches_nothing() -> None:
    pace = Pace()
    for _ in range(5):
        waits = [pace.after_poll(0, 60, failed=False, limited=n < 2, whole=True) for n in range(3)]
        assert waits == [60, 60, 60]
        assert pace.is_due(0)


def test_healed_ones_in_poll_after_poll_stretch_the_interval() -> None:
    pace = Pace()
    waits = [pace.after_poll(0, 60, failed=False, limited=True, whole=True) for _ in range(5)]
    assert waits == [60, 60, 120, 240, 480]
    assert pace.after_poll(0, 60, failed=False, limited=False, whole=True) == 240
    # a single one while it is stretched lets go no further, and stretches no more
    assert pace.after_poll(0, 60, failed=False, limited=True, whole=True) == 240
    assert pace.after_poll(0, 60, failed=False, limited=False, whole=True) == 120


def test_a_partial_poll_that_was_limited_stretches_at_once() -> None:
    assert Pace().after_poll(0, 60, failed=False, limited=True, whole=False) == 120


def test_a_limited_rate_stretches_the_interval_and_clean_polls_let_go() -> None:
    pace = Pace()
    assert [pace.after_poll(0, 60, failed=False, limited=True) for _ in range(3)] == [120, 240, 480]
    assert [pace.after_poll(0, 60, failed=False, limited=False) for _ in range(4)] == [
        240,
        120,
        60,
        60,
    ]


@pytest.mark.parametrize(
    "said",
    [
        "*/5 8-20 * * 1-5",
        "0 0 29 2 *",
        "0 0 31 1,2 *",
        "5/10 * * * *",
        "0 0 last * *",
        "0 4 1 jan *",
    ],
)
def test_what_fires_some_day_can_fire(said: str) -> None:
    assert can_fire(said)
    assert trigger_of(Cadence(cron=said), "lab", BERLIN).following(0) is not None


@pytest.mark.parametrize(
    "said", ["61 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 31 2,4 *", "*/0 * * * *", "9-5 * * * *"]
)
def test_what_never_fires_is_known(said: str) -> None:
    assert not can_fire(said)
