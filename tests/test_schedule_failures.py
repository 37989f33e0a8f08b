"""Ticks while polls fail, wait or meet a fault of ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from etl import polling
from etl.errors import Away
from etl.simcloud import ANY, Behaviour, Fail
from tests.driven import EVERY_S, Driven, drive, live

__all__ = ["drive", "live"]


def test_failures_in_a_row_back_off_and_recover_alone(
    drive: Callable[..., Driven], caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive()
    lab.starts()
    lab.lab.server.behaviour = Behaviour(fail={ANY: Fail(401, 401)})
    lab.passes(hours=6)
    assert 8 <= lab.seen["failed"] <= 12
    assert "9 failures in a row; the next poll is due in 1 h" in caplog.text
    lab.lab.server.behaviour = Behaviour()
    lab.passes(hours=1, minutes=10)
    assert lab.seen["complete"] > 1
    before = lab.seen["complete"]
    lab.passes(minutes=20)
    assert lab.seen["complete"] - before == 10


def test_after_an_outage_of_hours_the_next_poll_comes_within_five_minutes(
    drive: Callable[..., Driven],
) -> None:
    lab = drive()
    lab.starts()
    lab.lab.server.behaviour = Behaviour(fail={ANY: Fail(503, 503)})
    lab.passes(hours=4.2)
    assert lab.seen["failed"] <= 80, "but it is not asked at every tick"
    lab.lab.server.behaviour = Behaviour()
    lab.passes(minutes=5)
    assert lab.seen["complete"] >= 2
    assert lab.lab.gone() == []


def test_what_is_held_back_is_polled_at_once_when_the_config_is_read_again(
    drive: Callable[..., Driven],
) -> None:
    lab = drive()
    lab.starts()
    lab.lab.server.behaviour = Behaviour(fail={ANY: Fail(401, 401)})
    lab.passes(hours=5)
    lab.lab.server.behaviour = Behaviour()
    lab.schedule.apply(lab.lab.app.settings)
    lab.run_due()
    assert lab.seen["complete"] == 2


def test_one_that_is_held_back_takes_over_when_the_others_poll_no_more(
    drive: Callable[..., Driven],
) -> None:
    """Its own network failed for hours; another process polled, and dies."""
    lab = drive()
    lab.waits_pass_time()
    lab.starts()
    lab.lab.server.behaviour = Behaviour(fail={ANY: Fail(401, 401)})
    lab.passes(hours=4.2)
    lab.lab.server.behaviour = Behaviour()
    for _ in range(3):
        assert lab.lab.polls(minutes=EVERY_S / 60).error is None
        lab.run_due()
    assert lab.seen["complete"] == 1, "while the other polls, it keeps back"
    lab.passes(seconds=EVERY_S + 40)
    assert lab.seen["complete"] == 2


def test_a_limited_rate_stretches_the_interval_and_says_so(
    drive: Callable[..., Driven], caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive(attempts=2)
    lab.starts()
    lab.lab.server.behaviour = Behaviour(fail={1: Fail(429, 429, times=2)})
    lab.passes(minutes=2)
    assert lab.seen == {"complete": 1, "failed": 1}
    assert "the source limits the rate of requests; the next poll is due in 4 min" in caplog.text
    lab.passes(minutes=2)
    assert lab.seen["complete"] == 1
    lab.passes(minutes=2)
    assert lab.seen["complete"] == 2
    lab.passes(minutes=2)
    assert lab.seen["complete"] == 3


def test_a_limited_answer_that_a_retry_healed_holds_nothing_back(
    drive: Callable[..., Driven], caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive(attempts=2)
    lab.starts()
    for polls in (2, 3):
        lab.lab.server.behaviour = Behaviour(fail={1: Fail(429, 429, times=1)})
        lab.passes(minutes=2)
        assert lab.seen["complete"] == polls
    assert "limits the rate" not in caplog.text
    lab.lab.server.behaviour = Behaviour(fail={1: Fail(429, 429, times=1)})
    lab.passes(minutes=2)
    assert "the source limits the rate of requests; the next poll is due in 4 min" in caplog.text
    lab.passes(minutes=2)
    assert lab.seen["complete"] == 4


def test_a_fault_of_ours_stops_one_tick(
    drive: Callable[..., Driven], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive()
    monkeypatch.setattr(polling, "sync_one", lambda *_, **__: 1 / 0)
    lab.starts()
    assert lab.seen == {"failed": 1}
    assert "a fault of this program" in caplog.text
    monkeypatch.undo()
    assert lab.schedule is not None


def test_what_comes_after_a_poll_cannot_spoil_it(
    drive: Callable[..., Driven], caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive()
    lab.starts()
    lab.schedule.ticks.after = lambda result: 1 / 0
    lab.passes(minutes=4)
    assert lab.seen == {"complete": 3}
    assert "a fault of this program after the poll" in caplog.text


def test_a_tick_takes_over_where_the_process_that_polled_died(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.waits_pass_time()
    held = ExitStack()
    held.enter_context(lab.lab.app.store(lab.lab.account.name).account_lock())
    dies_at = lab.lab.cloud.clock() + 5
    waits = lab.stopping.wait

    def dies(timeout: float | None = None) -> bool:
        if lab.lab.cloud.clock() >= dies_at:
            held.close()
        return waits(timeout)

    lab.stopping.wait = dies  # type: ignore[method-assign]
    with held:
        lab.starts()
    assert lab.seen == {"complete": 1}


def test_a_tick_waits_for_a_database_that_restarts(
    drive: Callable[..., Driven], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = drive()
    lab.waits_pass_time()
    back_at = lab.lab.cloud.clock() + 10
    reading = lab.lab.database.reading

    def restarts() -> Any:
        if lab.lab.cloud.clock() < back_at:
            raise Away("the database hung up")
        return reading()

    monkeypatch.setattr(lab.lab.database, "reading", restarts)
    lab.starts()
    assert lab.seen == {"complete": 1}
    back_at = lab.lab.cloud.clock() + 10 * EVERY_S
    lab.passes(seconds=EVERY_S)
    assert lab.seen == {"complete": 1, "failed": 1}, "it does not wait for ever"


def test_a_fault_while_a_skipped_tick_is_recorded_is_logged(
    drive: Callable[..., Driven], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab = drive()
    lab.starts()
    (key, watch), *_ = lab.schedule.watches.items()
    monkeypatch.setattr(polling, "record_skipped", lambda *_: 1 / 0)
    lab.schedule._record(watch, 0, "the poll before is not done yet", (key, 0))
    assert "a fault of this program" in caplog.text
