"""Ticks with a driven clock: what is polled when, and what is said of what was not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil
from typing import Any

import pytest

from etl.app import App, Result
from etl.errors import Away, SettingsError
from etl.resources import RESOURCES
from etl.service.schedule import Lane, Schedule
from etl.service.ticks import Ticks, Watch
from etl.settings import Account
from etl.simcloud import ANY, Behaviour, Fail, Story
from etl.timing.cadence import Cadence
from etl.timing.triggers import grid
from tests.live import Live, Living, living, wait_for
from tests.support import columns, rows

STEP_S = 10
EVERY_S = 120
TWO_MINUTES = Cadence(EVERY_S)


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


class Inline(Lane):
    """Polls in the thread of the loop, so that tests know when they are done."""

    def _submit(self, work: Callable[[], None]) -> None:
        work()


class _Waiting(threading.Event):
    def __init__(self, cloud: Story) -> None:
        super().__init__()
        self._cloud = cloud

    def wait(self, timeout: float | None = None) -> bool:
        self._cloud.passes(seconds=ceil(timeout or 1))
        return self.is_set()


@dataclass
class Driven:
    """A schedule over a live story. Time passes where a test says so; `stands_s` is how long the
    machine was suspended: its monotonic clock stood still."""

    lab: Live
    schedule: Schedule = field(init=False)
    stands_s: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    results: list[Result] = field(default_factory=list)
    lane: type[Lane] = Inline
    stopping: threading.Event = field(default_factory=threading.Event)

    def starts(self, cadence: Cadence = TWO_MINUTES, *accounts: Account) -> None:
        app = self.lab.app
        own = accounts or (self.lab.account,)
        app.settings = settings_of(app, cadence, *own)
        ticks = Ticks(app, self.results.append, self._observe, self.monotonic, self.stopping)
        self.schedule = Schedule(ticks, app.settings, lane=self.lane, clerk=lambda work: work())
        self.schedule.look()

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
            self.schedule.look()

    def sleeps(self, *, hours: float) -> None:
        self.lab.cloud.passes(hours=hours)
        self.stands_s += hours * 3_600
        self.schedule.look()

    def _observe(self, watch: Watch, outcome: str, *_: Any) -> None:
        self.seen[outcome] += 1

    def runs(self) -> list[dict[str, Any]]:
        return columns(self.lab.database, "SELECT * FROM sync_run ORDER BY sync_run_id")


def settings_of(app: App, cadence: Cadence, *accounts: Account) -> Any:
    from dataclasses import replace

    return replace(
        app.settings,
        accounts=accounts,
        schedule={"instances": cadence},
        resources=("instances",),
    )


@pytest.fixture
def drive(live: Living, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Driven]:
    """Makes schedules whose every clock is the story's."""

    def make(story: Story | None = None, **options: Any) -> Driven:
        lab = live(story or Story(), **options)
        lab.cloud.rents_many(3)
        tick = grid(EVERY_S, lab.account.name).following(lab.cloud.clock())
        lab.cloud.passes(seconds=int(tick - lab.cloud.clock()))

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.fromtimestamp(lab.app.clock(), tz)

        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)
        return Driven(lab)

    return make


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def starts_of(runs: list[dict[str, Any]]) -> list[float]:
    found = [run["started_at"] for run in runs if run["outcome"] == "complete"]
    return [datetime.fromisoformat(str(each)).replace(tzinfo=UTC).timestamp() for each in found]


# intervals


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


# clocks


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
    assert set(lab.seen) <= {"complete", "covered"}


# failures


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


def test_what_is_held_back_is_polled_at_the_next_tick_when_the_config_is_read_again(
    drive: Callable[..., Driven],
) -> None:
    lab = drive()
    lab.starts()
    lab.lab.server.behaviour = Behaviour(fail={ANY: Fail(401, 401)})
    lab.passes(hours=5)
    lab.lab.server.behaviour = Behaviour()
    lab.schedule.apply(lab.lab.app.settings)
    lab.passes(seconds=EVERY_S)
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
        lab.schedule.look()
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
    monkeypatch.setattr(lab.lab.app, "sync_one", lambda *_, **__: 1 / 0)
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


def test_what_is_off_is_not_polled(drive: Callable[..., Driven]) -> None:
    lab = drive()
    lab.starts(Cadence())
    lab.passes(minutes=10)
    assert lab.seen == {}


def test_all_that_is_collected_is_polled_instances_first_and_none_skips_another(
    live: Living,
) -> None:
    import time
    from dataclasses import replace

    story = Story(int(time.time()) - 86_400)
    lab = live(story)
    lab.server.clock = time.time
    one = real(lab.app, lab.account)
    one.schedule.stop(1)
    seen: list[tuple[str, str]] = []
    all_of_it = replace(lab.app.settings, resources=tuple(RESOURCES), schedule={})

    def observe(watch: Watch, outcome: str, *_: Any) -> None:
        seen.append((watch.resource.name, outcome))

    schedule = Schedule(Ticks(lab.app, None, observe), all_of_it)

    def looked() -> bool:
        schedule.look()
        return len(seen) >= len(RESOURCES)

    wait_for(looked)
    assert schedule.stop(10)
    assert seen[0] == ("instances", "complete")
    assert sorted(seen) == sorted((name, "complete") for name in RESOURCES)


# several at once, with threads and the real clock


@dataclass
class Real:
    """A schedule on the real clock, in short intervals."""

    schedule: Schedule
    seen: list[tuple[str, str]]

    def goes_on_until(self, holds: Callable[[], bool]) -> None:
        def looked() -> bool:
            self.schedule.look()
            return holds()

        wait_for(looked)

    def count(self, *what: str) -> int:
        return self.seen.count(what)  # type: ignore[arg-type]


def real(app: App, *accounts: Account) -> Real:
    import time

    app.clock, app.sleep = time.time, time.sleep
    app.settings = settings_of(app, Cadence(2), *accounts)
    seen: list[tuple[str, str]] = []

    def observe(watch: Watch, outcome: str, *_: Any) -> None:
        seen.append((watch.account.name, outcome))

    return Real(Schedule(Ticks(app, None, observe), app.settings), seen)


def test_an_account_that_hangs_delays_no_other_and_its_ticks_are_recorded_as_skipped(
    live: Living,
) -> None:
    import time

    story = Story(int(time.time()) - 86_400)
    lab = live(story, timeout_s=30)
    lab.server.clock = time.time
    let_go = threading.Event()
    good, bad = Account("good", key_env="CHENYU_API_KEY"), Account("bad", key_env="CHENYU_API_KEY")
    one = real(lab.app, good, bad)
    poll = lab.app.sync_one

    def hangs(account: Account, *more: Any, **options: Any) -> Result:
        if account.name == "bad":
            let_go.wait(30)
        return poll(account, *more, **options)

    lab.app.sync_one = hangs  # type: ignore[method-assign]
    try:
        one.goes_on_until(lambda: one.count("good", "complete") >= 3)
        assert one.count("bad", "skipped") >= 1
        assert one.schedule.in_hand() == ["bad instances"]
        let_go.set()
        one.goes_on_until(lambda: one.count("bad", "complete") >= 1)
    finally:
        let_go.set()
        assert one.schedule.stop(10)
    skipped = rows(lab.database, "SELECT error FROM sync_run WHERE outcome = 'skipped'")
    assert skipped
    assert "is not done yet" in skipped[0][0]


def test_two_schedules_share_an_account_and_poll_it_once_in_an_interval(live: Living) -> None:
    import time

    story = Story(int(time.time()) - 86_400)
    first = live(story)
    second = live(story, url=first.app.settings.database_url)
    first.server.clock = second.server.clock = time.time
    both = [real(lab.app, lab.account) for lab in (first, second)]

    def looked() -> bool:
        for each in both:
            each.schedule.look()
        return sum(each.count("lab", "complete") for each in both) >= 6

    wait_for(looked)
    for each in both:
        assert each.schedule.stop(10)
    runs = columns(first.database, "SELECT outcome, started_at FROM sync_run ORDER BY started_at")
    found = starts_of(runs)
    assert len(found) <= (found[-1] - found[0]) / 2 + 2, "once in an interval, and at the start"
    others = [run["outcome"] for run in runs if run["outcome"] != "complete"]
    assert others in ([], ["skipped"]), "only the first poll, which loads much, lasts so long"
    assert sum(each.count("lab", "covered") for each in both) >= 3


def test_a_tick_that_finds_its_account_locked_elsewhere_is_recorded_as_skipped(
    live: Living,
) -> None:
    import time

    story = Story(int(time.time()) - 86_400)
    lab = live(story)
    lab.server.clock = time.time
    one = real(lab.app, lab.account)
    with lab.app.store(lab.account.name).account_lock():
        one.goes_on_until(lambda: one.count("lab", "skipped") >= 1)
    one.goes_on_until(lambda: one.count("lab", "complete") >= 1)
    assert one.schedule.stop(10)
    outcomes = {row[0] for row in rows(lab.database, "SELECT outcome FROM sync_run")}
    assert outcomes == {"complete", "skipped"}


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
    monkeypatch.setattr(lab.lab.app, "record_skipped", lambda *_: 1 / 0)
    lab.schedule._record(watch, 0, "the poll before is not done yet", (key, 0))
    assert "a fault of this program" in caplog.text
