"""Schedules for tests: one that is driven step by step, and one on the real clock."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pytest
from apscheduler.schedulers.base import BaseScheduler

from etl.app import App
from etl.polling import Result
from etl.service.schedule import Schedule
from etl.service.ticks import Ticks, Watch
from etl.settings import Account
from etl.simcloud import Story
from etl.timing.cadence import Cadence
from etl.timing.triggers import grid
from tests.live import Live, Living, living, wait_for
from tests.support import columns

STEP_S = 10
EVERY_S = 120
TWO_MINUTES = Cadence(EVERY_S)


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


class Inline(Executor):
    """Does the work at once, in the caller's thread, so that tests know when it is done."""

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done = Future[Any]()
        done.set_result(work(*args, **kwargs))
        return done


class Waiting(Executor):
    """Does nothing until a test says so: polls wait their turn."""

    def __init__(self) -> None:
        self.works: list[Callable[[], object]] = []

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done = Future[Any]()
        self.works.append(lambda: done.set_result(work(*args, **kwargs)))
        return done


class Stepped(BaseScheduler):  # type: ignore[misc] # APScheduler has no types
    """APScheduler without its thread: a test makes each step of its loop."""

    def step(self) -> None:
        self._process_jobs()

    def wakeup(self) -> None:
        """A step follows anyway."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)


class _Waiting(threading.Event):
    def __init__(self, cloud: Story) -> None:
        super().__init__()
        self._cloud = cloud

    def wait(self, timeout: float | None = None) -> bool:
        self._cloud.passes(seconds=ceil(timeout or 1))
        return self.is_set()


@dataclass
class Driven:
    """A schedule over a live story. Time passes when a test says so; `stands_s` is how long the
    machine was suspended: its monotonic clock stood still."""

    lab: Live
    schedule: Schedule = field(init=False)
    jobs: Stepped = field(init=False)
    stands_s: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    results: list[Result] = field(default_factory=list)
    pool: Callable[[], Executor] = Inline
    stopping: threading.Event = field(default_factory=threading.Event)

    def starts(self, cadence: Cadence = TWO_MINUTES, *accounts: Account) -> None:
        app = self.lab.app
        app.settings = settings_of(app, cadence, *(accounts or (self.lab.account,)))
        ticks = Ticks(app, self.results.append, self._observe, self.monotonic, self.stopping)
        self.jobs = Stepped(timezone=UTC)
        self.schedule = Schedule(
            ticks, app.settings, jobs=self.jobs, pool=self.pool, recorder=Inline()
        )
        self.run_due()

    def run_due(self) -> None:
        self.schedule.notice_set_clock()
        self.jobs.step()

    def waits_pass_time(self) -> None:
        """A tick that waits for others lets the story's time pass."""
        self.stopping = _Waiting(self.lab.cloud)

    def monotonic(self) -> float:
        return self.lab.cloud.clock() - self.stands_s

    def passes(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Time, with a look at the schedule every ten seconds."""
        ends = self.lab.cloud.now + seconds + minutes * 60 + hours * 3_600
        while self.lab.cloud.now < ends:
            self.lab.cloud.passes(seconds=STEP_S)
            self.run_due()

    def sleeps(self, *, hours: float) -> None:
        self.lab.cloud.passes(hours=hours)
        self.stands_s += hours * 3_600
        self.run_due()

    def _observe(
        self,
        watch: Watch,
        outcome: str,
        result: Result | None = None,
        took_s: float = 0.0,
        ticks: int = 1,
    ) -> None:
        self.seen[outcome] += ticks

    def runs(self) -> list[dict[str, Any]]:
        return columns(self.lab.database, "SELECT * FROM sync_run ORDER BY sync_run_id")


def settings_of(app: App, cadence: Cadence, *accounts: Account) -> Any:
    return replace(
        app.settings,
        accounts=accounts,
        schedule={"instances": cadence},
        resources=("instances",),
    )


def scheduler_reads(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
    """Make `clock` the wall clock that APScheduler reads."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(clock(), tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)


@pytest.fixture
def drive(live: Living, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Driven]:
    """Makes schedules whose every clock is the story's."""

    def make(story: Story | None = None, **options: Any) -> Driven:
        lab = live(story or Story(), **options)
        lab.cloud.rents_many(3)
        tick = grid(EVERY_S, lab.account.name).following(lab.cloud.clock())
        lab.cloud.passes(seconds=int(tick - lab.cloud.clock()))
        scheduler_reads(monkeypatch, lambda: lab.app.clock())
        return Driven(lab)

    return make


def starts_of(runs: list[dict[str, Any]]) -> list[float]:
    """When the complete ones of these rows of `sync_run` began."""
    starts = [run["started_at"] for run in runs if run["outcome"] == "complete"]
    return [datetime.fromisoformat(str(at)).replace(tzinfo=UTC).timestamp() for at in starts]


@dataclass
class Real:
    """A schedule on the real clock, in short intervals."""

    schedule: Schedule
    seen: list[tuple[str, str]]

    def goes_on_until(self, holds: Callable[[], bool]) -> None:
        def looked() -> bool:
            self.schedule.notice_set_clock()
            return holds()

        wait_for(looked)

    def count(self, *what: str) -> int:
        return self.seen.count(what)  # type: ignore[arg-type]


def real(app: App, *accounts: Account) -> Real:
    app.clock, app.sleep = time.time, time.sleep
    app.settings = settings_of(app, Cadence(2), *accounts)
    seen: list[tuple[str, str]] = []

    def observe(watch: Watch, outcome: str, *_: Any) -> None:
        seen.append((watch.account.name, outcome))

    return Real(Schedule(Ticks(app, None, observe), app.settings), seen)
