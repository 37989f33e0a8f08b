"""When a poll was: on the source's clock, wide enough for all its clocks, and believed with reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.errors import ClockUnsure, StalePoll
from etl.history.days import from_iso, iso
from etl.poll import SKEW_S, ClockMemory, RefusedReading
from etl.polling import Result
from etl.simcloud import Behaviour, Story
from etl.source.answers import Answer
from etl.source.instants import CONFIRMED_AFTER_S, NEAR_S, ClockReadings
from tests.fake_source import NOW, Fake, body, of, poll_of
from tests.live import Live, Living, living
from tests.support import columns, rows

DAY_S = 86_400
HOUR_S = 3_600


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def lab(live: Living) -> Live:
    """A cloud of three that has run for an hour; nothing is synced yet."""
    made = live(Story())
    made.cloud.rents_many(3)
    made.cloud.passes(hours=1)
    return made


def restarted(lab: Live) -> None:
    """The next poll is made by another process: nothing is known but what the database says."""
    lab.app._steady.clear()


def runs(lab: Live) -> list[dict[str, Any]]:
    return columns(lab.database, "SELECT * FROM sync_run ORDER BY sync_run_id")


def kinds(lab: Live) -> list[str]:
    return [run["error_kind"] or run["outcome"] for run in runs(lab)]


# readings


def test_instants_are_those_of_the_sources_clock_and_its_skew() -> None:
    """The source is between 99.6 and 101 s ahead, as of both answers."""
    ticks = iter([NOW + s for s in (0.0, 0.4, 3.9, 5.8)])
    dates = iter([NOW + 100, NOW + 105])
    fake = of("abc", clock=lambda: next(ticks), date=lambda: next(dates))
    found = poll_of(fake, memory=ClockMemory((100.0,)))
    assert (found.started_at, found.finished_at) == (NOW + 99 - SKEW_S, NOW + 107 + SKEW_S)
    assert found.clock_offset_s == 100.3
    assert found.notes == ()


@given(
    st.floats(0, 2e9),
    st.floats(-50, 50),
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(0, 1), st.floats(-SKEW_S, SKEW_S)),
        min_size=1,
        max_size=9,
    ),
)
def test_the_span_always_holds_what_happened(
    local: float, offset: float, answers: list[tuple[float, float, float, float]]
) -> None:
    """Each answer comes from a server whose clock is off by the skew or less."""
    span, made = ClockReadings(), []
    for before_s, takes_s, share, skew_s in answers:
        sent_at = local + before_s
        local = sent_at + takes_s
        made.append(sent_at + takes_s * share + offset)
        span.add(Answer(b"", sent_at, local, math.floor(made[-1] + skew_s)))
    found = span.instants(ClockMemory())
    assert found.notes == ()
    assert found.started_at - 1e-5 <= made[0]
    assert made[-1] <= found.finished_at + 1e-5


def test_without_dates_the_offset_is_the_one_known_before() -> None:
    fake = Fake(lambda n, size: body("a", 1), date=lambda: None)
    assert poll_of(fake).started_at == NOW - SKEW_S
    assert poll_of(fake, memory=ClockMemory((100.0,))).started_at == NOW + 100 - SKEW_S
    assert poll_of(fake, memory=ClockMemory((100.0,))).clock_offset_s is None


def test_a_date_among_others_that_is_far_off_is_left_out() -> None:
    dates = iter([NOW, NOW + 20 * HOUR_S, NOW])
    found = poll_of(of("abcde", date=lambda: next(dates)))
    assert found.complete
    assert (found.started_at, found.finished_at) == (NOW - SKEW_S, NOW + 1 + SKEW_S)
    assert "1 answers had a wrong date" in found.notes


@pytest.mark.parametrize("off_s", [-20 * HOUR_S, -2 * NEAR_S, 2 * NEAR_S, 60 * DAY_S])
def test_a_reading_that_agrees_with_nothing_is_refused(off_s: int) -> None:
    with pytest.raises(ClockUnsure) as caught:
        poll_of(of("a", date=lambda: NOW + off_s))
    assert caught.value.offset_s == pytest.approx(off_s, abs=1)
    assert caught.value.at == min(NOW, NOW + off_s)


@pytest.mark.parametrize(("later_s", "is_believed"), [(1, False), (CONFIRMED_AFTER_S + 1, True)])
def test_a_second_reading_later_confirms_the_refused_one(later_s: int, is_believed: bool) -> None:
    memory = ClockMemory((0.0,), refused=RefusedReading(HOUR_S, NOW - later_s))
    fake = of("a", date=lambda: NOW + HOUR_S)
    if is_believed:
        assert poll_of(fake, memory=memory).started_at == NOW + HOUR_S - SKEW_S
    else:
        with pytest.raises(ClockUnsure):
            poll_of(fake, memory=memory)


def test_the_time_since_the_poll_before_goes_by_the_clock_that_is_trusted_most() -> None:
    """By an older one it would be eleven hours, whose drift might explain this reading."""
    memory = ClockMemory((0.0, 40_000.0), started_at=NOW - 100)
    with pytest.raises(ClockUnsure):
        poll_of(of("a", date=lambda: NOW + NEAR_S + 10), memory=memory)


def test_a_start_moves_up_no_further_than_its_first_request_allows() -> None:
    """The answer came a minute later, which says nothing of when it was asked for."""
    ticks = iter([NOW, NOW + 60])
    fake = of("a", clock=lambda: next(ticks), date=lambda: NOW + 30)
    found = poll_of(fake, memory=ClockMemory((0.0,), started_at=NOW + 50))
    assert found.started_at == NOW - 30 - SKEW_S


def test_a_date_that_stands_still_says_nothing() -> None:
    memory = ClockMemory((0.0,), refused=RefusedReading(-120.0, NOW - 240))
    found = poll_of(of("a", date=lambda: NOW - 240), memory=memory)
    assert (found.started_at, found.clock_offset_s) == (NOW - SKEW_S, None)
    assert "stands still" in found.notes[0]


def test_a_reading_near_to_those_before_widens_both_instants() -> None:
    found = poll_of(of("a", date=lambda: NOW + 30), memory=ClockMemory((0.0, 1.0)))
    assert found.started_at == NOW - SKEW_S
    assert found.finished_at >= NOW + 30


def test_a_chain_of_near_readings_does_not_lead_away() -> None:
    """Each is near to the one before it alone; the first may be the right one."""
    found = poll_of(of("a", date=lambda: NOW + 100), memory=ClockMemory((55.0, 0.0)))
    assert found.started_at <= NOW
    assert found.finished_at >= NOW + 100


@pytest.mark.parametrize("lag", [[0, 1], [0, 2, 1], [0, 4], [3, 0, 0, 0]])
def test_dates_that_disagree_by_seconds_cost_neither_digest_nor_walk(lag: list[int]) -> None:
    """A proxy's or an event loop's old Date, and two servers behind a balancer."""
    names = [f"i{n}" for n in range(24)]
    fake = of(names)
    fake.date = lambda: NOW - lag[fake.requests % len(lag)]
    found = poll_of(fake)
    assert fake.requests == 13  # twelve pages, and a look behind the last, which is full
    assert found.complete
    assert found.digest is not None


# polls


def test_a_local_clock_that_is_days_ahead_for_one_poll_costs_that_poll(lab: Live) -> None:
    lab.polls()
    restarted(lab)
    lab.off_s = 3 * DAY_S
    assert lab.polls(minutes=2).exit_code == 5
    before = lab.everything("sync_run")
    restarted(lab)
    lab.off_s = 0
    assert lab.polls(minutes=2).exit_code == 0
    assert kinds(lab) == ["complete", "clock", "complete"]
    assert max(from_iso(run["finished_at"]) for run in runs(lab)) <= lab.cloud.now + 2 + SKEW_S
    assert lab.everything("sync_run") == before, "an unchanged poll changed something"


def test_a_first_poll_by_a_clock_that_is_months_behind_changes_nothing(lab: Live) -> None:
    lab.off_s = -60 * DAY_S
    assert lab.polls().exit_code == 5
    assert lab.count("instance") == 0
    lab.off_s = 0
    assert lab.polls(minutes=1).exit_code == 0
    assert rows(
        lab.database,
        "SELECT count(*) FROM instance_usage u JOIN instance i"
        " USING (account_id, instance_uuid) WHERE u.started_at < i.create_time",
    ) == [(0,)]


def test_without_dates_a_list_that_is_not_made_yet_says_that_the_clock_is_behind(
    lab: Live,
) -> None:
    lab.off_s = -60 * DAY_S
    assert isinstance(lab.polls_badly(Behaviour(no_date=True)).error, ClockUnsure)
    assert (kinds(lab), lab.count("instance")) == (["clock"], 0)
    lab.off_s = 0
    assert lab.polls_badly(Behaviour(no_date=True)).exit_code == 0


def test_a_date_that_is_hours_ahead_for_one_poll_costs_that_poll(lab: Live) -> None:
    lab.polls()
    result = lab.polls_badly(Behaviour(clock_off_s=20 * HOUR_S))
    assert isinstance(result.error, ClockUnsure)
    assert lab.polls(minutes=2).exit_code == 0
    assert kinds(lab) == ["complete", "clock", "complete"]


@pytest.mark.parametrize("off_s", [-7 * HOUR_S, -300, 300, 7 * HOUR_S, 3 * DAY_S])
def test_a_clock_that_is_set_for_good_is_accepted_by_the_second_poll(
    lab: Live, off_s: float
) -> None:
    lab.polls()
    restarted(lab)
    lab.off_s = off_s
    assert lab.polls(minutes=2).exit_code == 5
    assert [lab.polls(minutes=2).exit_code for _ in range(3)] == [0, 0, 0]
    run = lab.run()
    assert from_iso(run["started_at"]) <= lab.cloud.now <= from_iso(run["finished_at"])
    assert from_iso(run["finished_at"]) - from_iso(run["started_at"]) <= 2 * SKEW_S + 3


def test_a_process_that_polled_before_knows_that_its_own_clock_was_set(lab: Live) -> None:
    lab.polls()
    lab.off_s = 3 * DAY_S
    assert lab.polls(minutes=2).exit_code == 0
    run = lab.run()
    assert from_iso(run["started_at"]) <= lab.cloud.now <= from_iso(run["finished_at"])


def test_a_clock_that_is_set_during_a_poll_costs_that_poll(lab: Live) -> None:
    lab.polls()

    def sets(_page: int) -> None:
        lab.off_s = HOUR_S

    assert isinstance(lab.polls_badly(Behaviour(before_page=sets)).error, ClockUnsure)
    assert lab.polls(minutes=2).exit_code == 0


def test_a_poll_that_is_stale_has_a_row(lab: Live) -> None:
    lab.polls()
    with lab.app.store("lab").writing() as tx:
        tx._conn.exec_driver_sql(
            f"UPDATE sync_run SET started_at = '{ahead(lab)}', finished_at = '{ahead(lab)}'"
        )
    assert isinstance(lab.polls(minutes=2).error, StalePoll)
    assert kinds(lab) == ["complete", "stale"]
    assert float(runs(lab)[-1]["clock_offset_s"]) == pytest.approx(0.5, abs=1)


def ahead(lab: Live) -> str:
    return iso(lab.cloud.now + 20 * HOUR_S)


def test_a_change_of_clocks_costs_two_machines_one_poll_each_time_it_is_new(lab: Live) -> None:
    """Daemons on two machines, one of which is a minute and a half ahead, take turns."""
    lab.polls()
    results = []
    for off_s in (90, 90, 0, 90, 0):
        restarted(lab)
        lab.off_s = off_s
        results.append(lab.polls(minutes=2).exit_code)
    assert results == [5, 0, 0, 0, 0]


def test_polls_in_quick_succession_are_in_order_and_hold_the_truth(lab: Live) -> None:
    for _ in range(12):
        began = lab.cloud.clock()
        assert lab.polls().exit_code == 0
        assert from_iso(lab.run()["started_at"]) <= began
    starts = [from_iso(run["started_at"]) for run in runs(lab)]
    assert starts == sorted(set(starts))


# generated clocks

SIZES = st.one_of(
    st.integers(-50, 50), st.integers(-5 * HOUR_S, 5 * HOUR_S), st.integers(-90 * DAY_S, 90 * DAY_S)
)
EVENT = st.tuples(st.sampled_from(["date", "local", "step", "drift", "sleep", "servers"]), SIZES)


@dataclass
class World:
    """A source, and a machine whose clock nobody disciplines, seen by the truth."""

    lab: Live
    skews: list[float] = field(default_factory=lambda: [0.0])
    drift: float = 0.0
    set_by: float = 0.0
    born: float = 0.0

    def clock(self) -> float:
        true = self.lab.cloud.clock()
        return true + self.set_by + self.drift * (true - self.born)

    def polls(self, minutes: float = 3) -> Result:
        restarted(self.lab)
        self.lab.app.clock = self.clock
        self.lab.app.monotonic = self.clock
        before = len(runs(self.lab))
        self.lab.cloud.passes(minutes=minutes)
        began = self.lab.cloud.clock()
        result = self.lab.polls()
        made = runs(self.lab)[before:]
        assert len(made) == 1, "every attempt has its row"
        if result.outcome is not None:
            assert result.outcome.run.started_at <= began
            assert self.lab.cloud.clock() <= result.outcome.run.finished_at
        return result

    def happens(self, what: str, size: int) -> None:
        """Something happens to a clock, for one poll or for good."""
        if what == "date":
            self.lab.behaviour.clock_off_s = size
            self.polls()
            self.lab.behaviour.clock_off_s = 0
        elif what == "local":
            self.set_by += size
            self.polls()
            self.set_by -= size
        elif what == "step":
            self.set_by += size
        elif what == "drift":
            self.set_by = self.clock() - self.lab.cloud.clock()
            self.born = self.lab.cloud.clock()
            self.drift = max(-200, min(200, size)) / 1e6
        elif what == "sleep":
            self.polls(minutes=abs(size) % (12 * HOUR_S) / 60)
        else:
            self.lab.behaviour.clock_off_s = abs(size) % SKEW_S
            self.polls()
            self.lab.behaviour.clock_off_s = 0


@given(events=st.lists(EVENT, max_size=6))
@settings(max_examples=settings().max_examples // 2)
def test_whatever_becomes_of_the_clocks_bounds_hold_and_polls_go_on(
    live: Living, events: list[tuple[str, int]]
) -> None:
    lab = live(Story())
    lab.cloud.rents()
    world = World(lab)
    assert world.polls().exit_code == 0
    for what, size in events:
        world.happens(what, size)
        codes = [world.polls().exit_code for _ in range(4)]
        assert codes[1:] == [0, 0, 0], "one reading that is wrong costs one poll"
