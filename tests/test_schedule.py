"""Ticks with a driven clock: what is polled when, and by which config."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from etl import polling
from etl.errors import SettingsError
from etl.polling import Result
from etl.resources import RESOURCES
from etl.service.schedule import Schedule
from etl.service.ticks import Ticks, Watch
from etl.simcloud import ANY, Behaviour, Fail, Story
from etl.timing.cadence import Cadence
from tests.driven import EVERY_S, Driven, Waiting, drive, live, real, settings_of, starts_of
from tests.live import Living, wait_for

__all__ = ["drive", "live"]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def test_an_account_is_polled_at_the_start_and_then_at_its_interval(
    drive: Callable[..., Driven],
) -> None:
    lab = drive()
    lab.starts()
    assert lab.seen == {"complete": 1}
    lab.passes(hours=1)
    assert lab.seen == {"complete": 31}
    assert len(lab.results) == 31
    assert {run["outcome"] for run in lab.runs()} == {"complete"}


@pytest.mark.parametrize("day", ["2026-03-29T00:00+01:00", "2026-10-25T00:00+02:00"])
def test_no_change_of_the_clock_skips_or_doubles_a_tick(
    drive: Callable[..., Driven], day: str
) -> None:
    lab = drive(Story(at(day)))
    lab.starts(Cadence(cron="*/10 * * * *"))
    lab.passes(hours=5)
    assert lab.seen["complete"] in (30, 31)
    gaps = [b - a for a, b in pairwise(starts_of(lab.runs())[1:])]
    assert set(gaps) <= {590.0, 600.0, 610.0}


def test_a_start_shortly_before_a_tick_polls_at_once_and_counts_for_it(
    drive: Callable[..., Driven],
) -> None:
    lab = drive()
    lab.lab.cloud.passes(seconds=EVERY_S - 20)
    lab.starts()
    lab.passes(seconds=20)
    assert lab.seen == {"complete": 1, "covered": 1}
    lab.passes(seconds=EVERY_S)
    assert lab.seen == {"complete": 2, "covered": 1}


def test_a_restart_within_an_interval_polls_nothing(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.starts()
    lab.passes(seconds=20)
    for _ in range(3):
        lab.starts()
    assert lab.seen == {"complete": 1, "covered": 3}
    assert len(lab.runs()) == 1


def test_a_new_config_that_is_broken_changes_nothing(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.starts()
    broken = settings_of(lab.lab.app, Cadence(cron="61 * * * *"), lab.lab.account)
    with pytest.raises(SettingsError):
        lab.schedule.apply(broken)
    lab.passes(minutes=10)
    assert lab.seen == {"complete": 6}
    lab.schedule.apply(settings_of(lab.lab.app, Cadence(600), lab.lab.account))
    lab.passes(minutes=30)
    assert 8 <= lab.seen["complete"] <= 10


def test_a_poll_that_waits_its_turn_serves_the_ticks_that_come_meanwhile(
    drive: Callable[..., Driven],
) -> None:
    lab, pool = drive(), Waiting()
    lab.pool = lambda: pool
    lab.starts()
    lab.passes(minutes=6)
    assert lab.seen == {"coalesced": 3}, "nothing is skipped"
    assert len(pool.works) == 1
    pool.works.pop()()
    assert lab.seen == {"coalesced": 3, "complete": 1}
    lab.passes(minutes=2)
    assert len(pool.works) == 1


def test_a_tick_is_skipped_while_the_poll_before_it_is_being_made(
    drive: Callable[..., Driven], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, pool = drive(), Waiting()
    lab.pool, poll = (lambda: pool), polling.sync_one

    def lasts(*words: Any, **options: Any) -> Result:
        lab.lab.cloud.passes(minutes=3)
        lab.run_due()
        return poll(*words, **options)

    monkeypatch.setattr(polling, "sync_one", lasts)
    lab.starts()
    pool.works.pop()()
    assert lab.seen == {"skipped": 1, "complete": 1}
    assert [run["outcome"] for run in lab.runs()] == ["skipped", "complete"]


@pytest.mark.parametrize("seed", range(2))
def test_every_tick_is_counted_once_whatever_becomes_of_it(
    seed: int, drive: Callable[..., Driven], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polls that wait, polls that last, a scheduler that comes late, failures that hold back, a
    neighbour that polls in between."""
    lab, pool, dice = drive(), Waiting(), Random(seed)
    lab.pool, poll, first = (lambda: pool), polling.sync_one, lab.lab.cloud.now

    def lasts(*words: Any, **options: Any) -> Result:
        lab.lab.cloud.passes(seconds=dice.choice([1, 1, 100, 400]))
        lab.run_due()
        return poll(*words, **options)

    monkeypatch.setattr(polling, "sync_one", lasts)
    lab.starts()
    for step in range(60):
        lab.lab.cloud.passes(seconds=dice.choice([10, 50, 130, 300]))
        lab.run_due()
        is_away = 20 <= step < 40
        lab.lab.server.behaviour = Behaviour(fail={ANY: Fail(503, 503)} if is_away else {})
        if dice.random() < 0.2:
            poll(lab.lab.app, lab.lab.account, RESOURCES["instances"])
        if dice.random() < 0.6 and pool.works:
            pool.works.pop(0)()
    lab.run_due()
    while pool.works:
        pool.works.pop(0)()
    ticks = (lab.lab.cloud.now - first) // EVERY_S + 1
    assert lab.seen.total() == ticks
    assert {"complete", "failed", "skipped", "held", "coalesced", "covered"} >= lab.seen.keys()
    assert all(lab.seen[what] for what in ("failed", "coalesced", "skipped", "held"))


def test_what_is_off_is_not_polled(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.starts(Cadence())
    lab.passes(minutes=10)
    assert lab.seen == {}


def test_all_that_is_collected_is_polled_instances_first_and_none_skips_another(
    live: Living,
) -> None:
    story = Story(int(time.time()) - 86_400)
    lab = live(story)
    lab.server.clock = time.time
    one = real(lab.app, lab.account)
    one.schedule.stop(60)
    seen: list[tuple[str, str]] = []
    all_of_it = replace(lab.app.settings, resources=tuple(RESOURCES), schedule={})

    def observe(watch: Watch, outcome: str, *_: Any) -> None:
        seen.append((watch.resource.name, outcome))

    schedule = Schedule(Ticks(lab.app, None, observe), all_of_it)

    def looked() -> bool:
        schedule.notice_set_clock()
        return len(seen) >= len(RESOURCES)

    wait_for(looked)
    assert schedule.stop(60)
    assert seen[0] == ("instances", "complete")
    assert sorted(seen) == sorted((name, "complete") for name in RESOURCES)
