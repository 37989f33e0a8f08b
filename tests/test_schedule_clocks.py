"""Ticks while the wall clock is set, and while the machine sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from etl.simcloud import Story
from etl.timing.clock import ClockSteps, SteadyOffset
from tests.driven import (
    EVERY_S,
    Driven,
    drive,
    live,
    real,
    scheduler_reads,
    starts_of,
)
from tests.live import Living

__all__ = ["drive", "live"]


def test_polls_go_on_when_the_clock_is_set_back(
    drive: Callable[..., Driven], caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive()
    lab.starts()
    lab.passes(minutes=10)
    before = lab.seen["complete"]
    lab.lab.off_s = -3_600
    lab.passes(minutes=20)
    assert lab.seen["complete"] - before >= 9
    assert set(lab.seen) <= {"complete", "covered"}
    found = starts_of(lab.runs())
    assert found == sorted(found), "nothing is applied out of order"
    assert max(b - a for a, b in pairwise(found)) <= 2 * EVERY_S
    assert "the clock was set back by 1 h" in caplog.text


def test_polls_go_on_when_the_clock_is_set_forward(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.starts()
    lab.passes(minutes=10)
    before = lab.seen["complete"]
    lab.lab.off_s = 3_600
    lab.passes(minutes=20)
    assert 10 <= lab.seen["complete"] - before <= 12
    found = starts_of(lab.runs())
    assert found == sorted(found)


def test_a_laptop_that_slept_for_eight_hours_polls_once_and_says_how_late(
    drive: Callable[..., Driven], caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive()
    lab.starts()
    lab.passes(minutes=10)
    before = lab.seen["complete"]
    lab.sleeps(hours=8)
    assert lab.seen["complete"] == before + 1
    assert "8 h late" in caplog.text or "7.9" in caplog.text
    lab.passes(minutes=20)
    assert lab.seen["complete"] - before in (10, 11)
    assert lab.seen["coalesced"] == 239, "eight hours, but for the one that was polled late"
    assert set(lab.seen) <= {"complete", "covered", "coalesced"}


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
def test_a_sleeping_scheduler_notices_that_the_clock_was_set(
    off_s: int, live: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop of APScheduler itself: it sleeps until the next tick by the clock as it was."""
    lab = live(Story(int(time.time()) - 86_400))
    lab.server.clock = time.time
    offset = [0]
    scheduler_reads(monkeypatch, lambda: time.time() + offset[0])
    one = real(lab.app, lab.account)
    lab.app.clock = lambda: time.time() + offset[0]
    one.goes_on_until(lambda: one.count("lab", "complete") >= 1)
    offset[0] = off_s
    one.goes_on_until(lambda: one.count("lab", "complete") >= 3)
    assert not one.schedule.stands_still()
    assert one.schedule.stop(60)


def test_ticks_that_nobody_starts_are_noticed(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.starts()
    assert not lab.schedule.stands_still()
    lab.lab.cloud.passes(seconds=EVERY_S + 61)
    assert lab.schedule.stands_still()
    lab.run_due()
    assert not lab.schedule.stands_still()


def test_a_step_of_the_clock_is_seen_once() -> None:
    steps = ClockSteps(1_000.0)
    assert steps.step_s(1_010.0, 10.0) == 0
    assert steps.step_s(1_020.0 - 3_600, 20.0) == -3_600
    assert steps.step_s(1_030.0 - 3_600, 30.0) == 0


def test_the_sources_clock_is_kept_by_the_clock_that_nobody_sets() -> None:
    """The source is 3 s ahead; ten seconds later this machine's clock was set 50 s ahead."""
    steady = SteadyOffset()
    assert steady.offset_s(100.0, 40.0) is None
    steady.learn(3.0, 100.0, 40.0)
    assert steady.offset_s(100.0, 40.0) == 3.0
    assert steady.offset_s(160.0, 50.0) == -47.0
