"""The evidence rules at both ends of an instance's life: the first sighting, going, returning; and
prepaid time. Times are seconds after T0."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.history import usage
from etl.history.stretches import RunningState, Step
from etl.history.usage import SeenVersion
from etl.resources.instances import Instance
from etl.simcloud import FOREVER, T0
from tests.test_usage import (
    BOOTING,
    CODES,
    CREATED,
    RUNNING,
    STARTED,
    STARTING,
    STOPPED,
    UNKNOWN,
    A,
    B,
    after,
    first,
    said,
    seen,
    state_of,
)

PREPAID = 2


def gone(facts: Instance, last_seen_at: int = A, missing_since: int = B) -> Step:
    return usage.leave(state_of(facts), facts, T0 + last_seen_at, T0 + missing_since)


# the first sighting


def test_what_is_up_in_the_first_poll_ran_since_its_start() -> None:
    assert first(seen()) == [("observed", STARTED)]


@pytest.mark.parametrize("start", [None, CREATED - 1, B + 1])
def test_what_is_up_in_the_first_poll_with_an_unknown_start_counts_from_now(
    start: int | None,
) -> None:
    assert first(seen(start=start)) == [("unknown_start", B)]


@pytest.mark.parametrize("status", [BOOTING, STARTING])
def test_what_boots_in_the_first_poll_is_open_as_booting(status: int) -> None:
    assert first(seen(status)) == [("booting", STARTED)]
    assert first(seen(status, start=None)) == []


@pytest.mark.parametrize("status", [STOPPED, UNKNOWN])
def test_of_what_is_down_in_the_first_poll_nothing_is_claimed(status: int) -> None:
    assert first(seen(status)) == []
    assert state_of(seen(status)).last_start == T0 + STARTED


@pytest.mark.parametrize(
    ("status", "start", "written"),
    [
        (RUNNING, 700, [("possible_run", 600, 600, 600, 700), ("observed", 700)]),
        (RUNNING, 600, [("observed", 600)]),
        (RUNNING, None, [("possible_run", 600, 600, 750, 900), ("unknown_start", 900)]),
        (BOOTING, 700, [("possible_run", 600, 600, 600, 700), ("booting", 700)]),
        (BOOTING, 600, [("booting", 600)]),
        (STOPPED, 700, [("possible_run", 600, 600, 600, 700), ("unseen_run", 700, 700, 800, 900)]),
        (STOPPED, 600, [("unseen_run", 600, 600, 750, 900)]),
        (STOPPED, None, []),
    ],
    ids=[
        "up",
        "up in the second of creation",
        "up with an unknown start",
        "booting",
        "booting in the second of creation",
        "over already",
        "over already, started in the second of creation",
        "never started",
    ],
)
def test_what_was_created_while_we_looked_was_down_at_its_creation(
    status: int, start: int | None, written: list[object]
) -> None:
    facts = seen(status, start, created=600)
    assert first(facts, created_while_looking=True) == written


# gone


def test_what_was_up_and_is_gone_stopped_since_its_last_sighting() -> None:
    assert said(gone(seen())) == [("gone", STARTED, 600, 750, 900)]


def test_what_is_gone_stopped_at_its_timer() -> None:
    assert said(gone(seen(timer=620))) == [("gone", STARTED, 600, 620, 900)]


def test_what_started_after_a_and_is_gone_stopped_since_its_start() -> None:
    was = seen(STOPPED)
    up = usage.move(state_of(was), was, seen(start=700), T0 + 300, T0 + 750, CODES)
    step = usage.leave(up.state, seen(start=700), T0 + A, T0 + B)
    assert said(step) == [("gone", 700, 700, 800, 900)]


def test_what_was_down_and_is_gone_may_have_run() -> None:
    assert said(gone(seen(STOPPED))) == [("gone", 600, 600, 600, 900)]
    assert said(gone(seen(STOPPED), A, A)) == []


def test_what_was_booting_and_is_gone_may_have_run() -> None:
    assert said(gone(seen(BOOTING))) == [("gone", STARTED, STARTED, STARTED, 900)]


# returned, and fold


def history(*versions: tuple[Instance, int | None, int]) -> list[SeenVersion]:
    return [SeenVersion(f, a if a is None else T0 + a, T0 + b) for f, a, b in versions]


def test_a_version_that_returned_is_judged_from_its_last_sighting() -> None:
    """Out of sight between 600 and 1800: its return at 2000 is a pair like any other."""
    step = usage.fold(history((seen(), None, 0), (seen(STOPPED), A, 2000)), CODES)
    assert said(step) == [("observed", STARTED, 600, 1300, 2000)]
    step = usage.fold(history((seen(), None, 0), (seen(title="new"), A, 2000)), CODES)
    assert said(step) == [("observed", STARTED)]


def test_folding_the_versions_gives_what_was_written_step_by_step() -> None:
    facts = [seen(STOPPED), seen(start=200), seen(STOPPED, start=200), seen(start=1100)]
    versions = history(*[(f, 300 * n - 300 if n else None, 300 * n) for n, f in enumerate(facts)])
    *before, last = versions
    ended = SeenVersion(last.facts, last.after_at, last.first_seen_at, (T0 + 1200, T0 + 1500))
    state, written = RunningState(), {}
    for n, version in enumerate(versions):
        if n == 0:
            step = usage.begin(version.facts, None, version.first_seen_at, CODES)
        else:
            a, b = version.after_at or 0, version.first_seen_at
            step = usage.move(state, versions[n - 1].facts, version.facts, a, b, CODES)
        state = step.state
        written.update({s.usage_no: s for s in step.written})
    step = usage.leave(state, last.facts, T0 + 1200, T0 + 1500)
    written.update({s.usage_no: s for s in step.written})
    folded = usage.fold([*before, ended], CODES)
    assert folded.written == tuple(written[no] for no in sorted(written))
    assert folded.state == step.state
    assert usage.fold([], CODES) == Step(RunningState(), ())


# held


def test_prepaid_time_is_held_from_creation_until_gone() -> None:
    for status in (RUNNING, STOPPED):
        facts = seen(status, charging_type=PREPAID)
        begun = usage.begin(facts, None, T0 + B, CODES)
        assert said(begun, "held") == [("observed", CREATED)]
        assert said(gone(facts), "held") == [("gone", CREATED, 600, 750, 900)]
    assert said(usage.begin(seen(), None, T0 + B, CODES), "held") == []


@pytest.mark.parametrize("created", [None, B + 1])
def test_prepaid_time_without_a_creation_is_held_from_now(created: int | None) -> None:
    """A creation that is yet to come is none."""
    facts = seen(charging_type=PREPAID, created=created)
    assert said(usage.begin(facts, None, T0 + B, CODES), "held") == [("observed", B)]


def test_prepaid_time_goes_on_while_it_stops_and_starts() -> None:
    step = after(seen(charging_type=PREPAID), seen(STOPPED, charging_type=PREPAID))
    assert said(step, "held") == []
    assert step.state.held is not None


def test_prepaid_time_ends_when_its_terms_change() -> None:
    hourly = after(seen(charging_type=PREPAID), seen())
    assert said(hourly, "held") == [("observed", CREATED, 600, 750, 900)]


@pytest.mark.parametrize(("start", "length"), [(STARTED, 150), (800, 100)])
def test_prepaid_time_that_began_unseen_is_sure_from_its_sighting(start: int, length: int) -> None:
    """A start is a better estimate of the moment than the middle, and no more than that."""
    prepaid = seen(charging_type=PREPAID, start=start)
    head = ("unknown_start", 600, 600, 600 + length, 900)
    assert said(after(seen(), prepaid), "held") == [head, ("observed", 900)]
    before = seen(charging_type=PREPAID, gpu_nums=2)
    ended = ("observed", CREATED, 600, 900 - length, 900)
    assert said(after(before, prepaid), "held") == [ended, head, ("observed", 900)]


def test_prepaid_time_of_what_was_created_while_we_looked_is_sure_from_its_sighting() -> None:
    facts = seen(charging_type=PREPAID, created=650, start=700)
    step = usage.begin(facts, T0 + 650, T0 + B, CODES)
    assert said(step, "held") == [("unknown_start", 650, 650, 900, 900), ("observed", 900)]


PREPAID_OR_NOT = st.sampled_from([(1, 1), (PREPAID, 1), (PREPAID, 4)])
POLLS = st.lists(
    st.tuples(st.integers(1, 1_500), st.integers(1, 60), PREPAID_OR_NOT), min_size=2, max_size=8
)


@given(POLLS, st.data())
def test_prepaid_time_on_any_terms_lies_between_its_bounds(
    polls: list[tuple[int, int, tuple[int, int]]], data: st.DataObject
) -> None:
    """Each poll reads at some moment of its own; what it reads began at any moment since the last
    reading. Time counts from the end of the first poll to the start of the newest."""
    versions: list[tuple[Instance, int | None, int]] = []
    changes: list[tuple[int, tuple[int, int]]] = []
    now, read_at, began = 0, -1, None
    for later, lasts, terms in polls:
        before, began, now = began, now + later, now + later + lasts
        since, read_at = read_at + 1, data.draw(st.integers(began, now))
        facts = seen(charging_type=terms[0], gpu_nums=terms[1])
        if not versions or facts != versions[-1][0]:
            changes.append((data.draw(st.integers(since, read_at)), terms))
            versions.append((facts, before, now))
    assert began is not None
    looked = range(versions[0][2], began)
    held = [s for s in usage.fold(history(*versions), CODES).written if s.kind == "held"]
    for gpus in (1, 4):
        mine = [s for s in held if s.terms.gpu_nums == gpus]
        least, estimate, most = (
            sum(_seconds(s.started_at, getattr(s, end), looked) for s in mine)
            for end in ("ended_min", "ended_at", "ended_max")
        )
        true = sum(
            len(range(max(at, looked.start), min(to, looked.stop)))
            for (at, terms), (to, _) in pairwise([*changes, (looked.stop, (0, 0))])
            if terms == (PREPAID, gpus)
        )
        assert least <= estimate <= most
        assert least <= true <= most


def _seconds(started_at: int, ended_at: int | None, looked: range) -> int:
    """Seconds of a stretch within `looked`."""
    ends = looked.stop if ended_at is None else min(looked.stop, ended_at - T0)
    return max(0, ends - max(looked.start, started_at - T0))


# nothing runs before its creation


def test_what_was_created_while_a_poll_read_came_up_since_its_creation() -> None:
    """That poll began before, so the next pair does, too."""
    was, then = seen(STOPPED, None, created=650), seen(start=None, created=650)
    step = usage.move(state_of(was, 660), was, then, T0 + A, T0 + B, CODES)
    assert said(step) == [("possible_run", 650, 650, 775, 900), ("unknown_start", 900)]


def test_what_was_created_while_a_poll_read_and_is_gone_may_have_run_since() -> None:
    assert said(gone(seen(STOPPED, None, created=650))) == [("gone", 650, 650, 650, 900)]


def test_what_was_created_while_a_poll_read_is_held_since_its_creation() -> None:
    was = seen(STOPPED, None, created=650)
    then = msgspec.structs.replace(was, charging_type=PREPAID)
    step = usage.move(state_of(was, 660), was, then, T0 + A, T0 + B, CODES)
    held = [("unknown_start", 650, 650, 775, 900), ("observed", 900)]
    assert said(step, "held") == held


# every rule keeps this


FACTS = st.builds(
    seen,
    st.sampled_from([0, 1, 2, 21, 22, 23, 24, 27, 77]),
    st.one_of(st.none(), st.integers(-1200, 2200)),
    timer=st.one_of(st.none(), st.integers(-1000, 2200)),
    gpu_nums=st.sampled_from([1, 2]),
    charging_type=st.sampled_from([1, 1, 2]),
)


SIGHTINGS = st.lists(
    st.tuples(FACTS, st.integers(1, 300), st.integers(0, 60)), min_size=1, max_size=8
)


@given(SIGHTINGS, st.integers(-1200, 900), st.booleans(), st.booleans())
def test_nothing_begins_before_it_was_created(
    sightings: list[tuple[Instance, int, int]], created: int, was_seen: bool, is_gone: bool
) -> None:
    """Whatever a listing says later, and whether it was created while we looked or not."""
    versions, at, a = [], created, created if was_seen else None
    for facts, later, lasts in sightings:
        begins, at = at + later - 60, at + later + lasts  # a poll may begin before the creation
        versions.append((msgspec.structs.replace(facts, create_time=T0 + created), a, at))
        a = begins
    folded = history(*versions)
    if is_gone:
        folded[-1] = replace(folded[-1], gone=(T0 + begins, T0 + at + 60))
    assert all(s.started_at >= T0 + created for s in usage.fold(folded, CODES).written)


@given(SIGHTINGS)
def test_ends_are_in_order_and_at_most_one_stretch_of_a_kind_is_open(
    sightings: list[tuple[Instance, int, int]],
) -> None:
    versions, at, a = [], 0, None
    for facts, later, lasts in sightings:
        at += later
        versions.append((facts, a, at + lasts))
        a, at = at, at + lasts
    written = usage.fold(history(*versions), CODES).written
    assert [s.usage_no for s in written] == list(range(1, len(written) + 1))
    for kind in ("running", "held"):
        stretches = [s for s in written if s.kind == kind]
        opened = [s for s in stretches if s.ended_at is None]
        assert len(opened) <= 1
        for s in stretches:
            if s.ended_min is not None and s.ended_at is not None and s.ended_max is not None:
                assert s.started_at <= s.ended_min <= s.ended_at <= s.ended_max
        sure = [(s.started_at, s.ended_min or FOREVER) for s in stretches]
        lasting = sorted(each for each in sure if each[0] < each[1])
        for (_, ends), (begins, _) in pairwise(lasting):
            assert ends <= begins, "what is sure is counted once"
