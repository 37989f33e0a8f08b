"""The evidence rules, line by line of the table in the design. Times are seconds after T0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from etl.history import usage
from etl.history.codes import SEEDED
from etl.history.lengths import MeanLengths
from etl.history.stretches import RunningState, Step, Stretch, terms
from etl.resources.instances import Instance
from etl.resources.values import FIRST_INSTANT
from etl.simcloud import T0

CODES = replace(SEEDED, units={**SEEDED.units, 2: "month"})
CREATED, STARTED = -1000, -500
A, B = 600, 900
STOPPED, RUNNING, STARTING, BOOTING, RESTARTING, UNKNOWN = 22, 2, 1, 24, 27, 77


def seen(
    status: int = RUNNING,
    start: int | None = STARTED,
    *,
    created: int | None = CREATED,
    timer: int | None = None,
    timer_on: bool = True,
    **other: Any,
) -> Instance:
    return Instance(
        "i-1",
        status,
        create_time=_at(created),
        start_time=_at(start),
        shutdown_time=_at(timer),
        shutdown_enabled=None if timer is None else timer_on,
        **{"gpu_uuid": "g", "gpu_name": "A100", "gpu_nums": 1, "charging_type": 1, **other},
    )


def after(before: Instance, then: Instance, a: int = A, b: int = B) -> Step:
    """What a pair of sightings adds to what was known of `before` since the second -300."""
    return usage.move(state_of(before), before, then, T0 + a, T0 + b, CODES)


def state_of(facts: Instance, b: int = -300) -> RunningState:
    return usage.begin(facts, None, T0 + b, CODES).state


def first(facts: Instance, b: int = B, created_while_looking: bool = False) -> list[Any]:
    after_at = facts.create_time if created_while_looking else None
    return said(usage.begin(facts, after_at, T0 + b, CODES))


def said(step: Step, kind: str = "running") -> list[Any]:
    """(evidence, from, sure end, estimate, latest end) of each stretch written, or (evidence,
    from) where it is open."""
    return [_said(s) for s in step.written if s.kind == kind]


def _said(s: Stretch) -> tuple[Any, ...]:
    ends = (s.ended_min, s.ended_at, s.ended_max)
    return (s.evidence, s.started_at - T0, *(at - T0 for at in ends if at is not None))


def _at(seconds: int | None) -> int | None:
    return None if seconds is None else T0 + seconds


# up and down, start unchanged


@pytest.mark.parametrize("status", [RUNNING, RESTARTING])
def test_up_and_up_again_ran_all_through(status: int) -> None:
    step = after(seen(title="old"), seen(status, title="new"))
    assert step.written == ()
    assert step.state.running is not None


def test_up_then_down_stopped_between_the_sightings() -> None:
    step = after(seen(), seen(STOPPED))
    assert said(step) == [("observed", STARTED, 600, 750, 900)]
    assert step.state.running is None


@pytest.mark.parametrize("status", [STOPPED, 0, 9, UNKNOWN])
def test_everything_but_running_and_restarting_is_down(status: int) -> None:
    assert said(after(seen(), seen(status))) == [("observed", STARTED, 600, 750, 900)]


@pytest.mark.parametrize("status", [BOOTING, STARTING])
def test_a_boot_whose_start_time_is_not_new_is_down(status: int) -> None:
    assert said(after(seen(), seen(status))) == [("observed", STARTED, 600, 750, 900)]
    assert after(seen(STOPPED), seen(status)).written == ()


@pytest.mark.parametrize("start", [STARTED, None])
def test_down_and_down_again_did_not_run(start: int | None) -> None:
    assert after(seen(STOPPED, start), seen(UNKNOWN, start)).written == ()


def test_down_then_up_with_the_old_start_came_up_at_an_unknown_moment() -> None:
    step = after(seen(STOPPED), seen())
    assert said(step) == [("possible_run", 600, 600, 750, 900), ("unknown_start", 900)]


# a new start_time


def test_up_with_a_new_start_stopped_before_it_and_runs_since() -> None:
    step = after(seen(), seen(start=800))
    assert said(step) == [("observed", STARTED, 600, 700, 800), ("observed", 800)]
    assert step.state.last_start == T0 + 800


def test_down_with_a_new_start_may_have_run_before_it_and_runs_since() -> None:
    step = after(seen(STOPPED), seen(start=800))
    assert said(step) == [("possible_run", 600, 600, 600, 800), ("observed", 800)]


def test_up_with_a_new_start_before_a_is_a_late_listing() -> None:
    step = after(seen(), seen(start=500))
    assert said(step) == [("observed", STARTED, STARTED, 500, 500), ("observed", 500)]


def test_the_start_of_the_window_is_not_in_it() -> None:
    step = after(seen(), seen(start=A))
    assert said(step) == [("observed", STARTED, STARTED, A, A), ("observed", A)]


def test_down_then_up_with_a_start_before_a_came_up_at_an_unknown_moment() -> None:
    step = after(seen(STOPPED), seen(start=500))
    assert said(step) == [("possible_run", 600, 600, 750, 900), ("unknown_start", 900)]
    assert step.state.last_start == T0 + 500


@pytest.mark.parametrize("status", [STOPPED, UNKNOWN])
def test_down_and_down_with_a_start_before_a_may_have_run(status: int) -> None:
    step = after(seen(STOPPED), seen(status, start=500))
    assert said(step) == [("possible_run", 600, 600, 600, 900)]


def test_a_boot_with_a_start_before_a_is_open_from_b() -> None:
    step = after(seen(STOPPED), seen(BOOTING, start=500))
    assert said(step) == [("possible_run", 600, 600, 600, 900), ("booting", 900)]


# from s: up (above), booting, down


def test_a_boot_with_a_new_start_is_open_from_it_as_booting() -> None:
    step = after(seen(STOPPED), seen(BOOTING, start=800))
    assert said(step) == [("possible_run", 600, 600, 600, 800), ("booting", 800)]
    step = after(seen(), seen(BOOTING, start=800))
    assert said(step) == [("observed", STARTED, 600, 700, 800), ("booting", 800)]


def test_down_with_a_new_start_had_a_whole_run_unseen() -> None:
    step = after(seen(STOPPED), seen(STOPPED, start=800))
    assert said(step) == [("possible_run", 600, 600, 600, 800), ("unseen_run", 800, 800, 850, 900)]
    step = after(seen(), seen(STOPPED, start=800, timer=830))
    assert said(step) == [("observed", STARTED, 600, 700, 800), ("unseen_run", 800, 800, 830, 900)]
    assert step.state.running is None


# booting


def booting() -> Instance:
    return seen(BOOTING, start=500)


LENGTHS = MeanLengths(stopping_s=40, boot_s=120)


def after_boot(then: Instance, lengths: MeanLengths = LENGTHS) -> Step:
    was = seen(STOPPED)
    booted = usage.move(state_of(was), was, booting(), T0 + 300, T0 + 550, CODES)
    return usage.move(booted.state, booting(), then, T0 + A, T0 + B, CODES, lengths)


def test_a_boot_that_is_seen_up_counts_from_its_start() -> None:
    assert said(after_boot(seen(start=500))) == [("observed", 500)]


@pytest.mark.parametrize("status", [BOOTING, STARTING])
def test_a_boot_that_goes_on_stays_a_boot(status: int) -> None:
    step = after_boot(seen(status, start=500, title="new"))
    assert step.written == ()
    assert step.state.running is not None
    assert step.state.running.evidence == "booting"


def test_a_boot_that_is_seen_down_may_have_run_until_then() -> None:
    """It booted 100 s after its start, and does for 240 s at most; it was off 360 s after it."""
    (closed,) = said(after_boot(seen(STOPPED, start=500)))
    assert closed == ("booting", 500, 500, 500 + mean_run_s(100, 360), 900)


def mean_run_s(booting_s: int, until_s: int) -> int:
    """The mean over all stops, in quarters of a second, of what ran if it was up by then."""
    stops = [(4 * booting_s + n + 0.5) / 4 for n in range(4 * (until_s - booting_s))]
    longest_s = 2 * LENGTHS.boot_s
    up = [t * min(1, (t - booting_s) / (longest_s - booting_s)) for t in stops]
    return int(sum(up) / len(up) + 0.001)


@pytest.mark.parametrize("boot_s", [120, 60, 20])
def test_a_boot_that_is_seen_shutting_down_ran_if_it_was_over(boot_s: int) -> None:
    """It stopped 380 s after its start, when any boot is over; or 120 s after it, 20 s after it was seen
    booting: as likely as its boot was over by then."""
    lengths = MeanLengths(40, boot_s)
    assert said(after_boot(seen(21, start=500), lengths)) == [("booting", 500, 500, 880, 900)]
    booted = usage.begin(booting(), None, T0 + 550, CODES).state
    then, lengths = seen(21, start=500), MeanLengths(0, boot_s)
    step = usage.move(booted, booting(), then, T0 + A, T0 + 620, CODES, lengths)
    ran_s = {120: 120 * 20 // 140, 60: 120, 20: 120}[boot_s]
    assert said(step) == [("booting", 500, 500, 500 + ran_s, 620)]


@pytest.mark.parametrize("was_seen", [True, False])
def test_what_stopped_abnormally_right_after_its_start_never_ran(was_seen: bool) -> None:
    then = seen(23, start=500 if was_seen else 800)
    was = seen(STOPPED)
    step = (
        after_boot(then)
        if was_seen
        else usage.move(state_of(was), was, then, T0 + A, T0 + B, CODES)
    )
    evidence, start = ("booting", 500) if was_seen else ("unseen_run", 800)
    assert said(step)[-1] == (evidence, start, start, start, 900)


def test_a_boot_with_a_new_start_may_have_run_until_it() -> None:
    closed = ("booting", 500, 500, 500 + mean_run_s(100, 300), 800)
    assert said(after_boot(seen(start=800))) == [closed, ("observed", 800)]
    assert said(after_boot(seen(BOOTING, start=800))) == [closed, ("booting", 800)]
    unseen = ("unseen_run", 800, 800, 800 + mean_run_s(0, 60), 900)
    assert said(after_boot(seen(STOPPED, start=800))) == [closed, unseen]


@pytest.mark.parametrize(
    ("status", "evidence", "estimate"),
    [(RUNNING, "unknown_start", 750), (BOOTING, "booting", 600)],
)
def test_a_boot_whose_gpu_changes_without_a_new_start_begins_anew(
    status: int, evidence: str, estimate: int
) -> None:
    step = after_boot(seen(status, start=500, gpu_nums=2))
    assert said(step) == [
        ("booting", 500, 500, 500, 900),
        ("possible_run", 600, 600, estimate, 900),
        (evidence, 900),
    ]


# start_time that cannot be one


@pytest.mark.parametrize(
    "start",
    [None, -T0, FIRST_INSTANT - T0 - 1, CREATED - 1, STARTED - 1, B + 1],
    ids=["missing", "0", "before 2015", "before create_time", "before the last", "after b"],
)
def test_a_start_time_that_cannot_be_one_counts_as_unchanged(start: int | None) -> None:
    assert after(seen(), seen(start=start)).written == ()
    assert after(seen(), seen(start=start)).state.last_start == T0 + STARTED
    assert after(seen(STOPPED), seen(STOPPED, start=start)).written == ()
    came_up = [("possible_run", 600, 600, 750, 900), ("unknown_start", 900)]
    assert said(after(seen(STOPPED), seen(start=start))) == came_up


def test_a_start_time_at_the_edges_is_one() -> None:
    assert said(after(seen(STOPPED), seen(start=B)))[1] == ("observed", B)
    assert first(seen(start=CREATED)) == [("observed", CREATED)]
    assert first(seen(start=FIRST_INSTANT - T0, created=None))[0][0] == "observed"


# start_time that drifts


@pytest.mark.parametrize("status", [RUNNING, RESTARTING])
@pytest.mark.parametrize("start", [STARTED + 1, STARTED + 5])
def test_a_start_that_moved_by_seconds_is_the_same_start(status: int, start: int) -> None:
    step = after(seen(), seen(status, start=start))
    assert step.written == ()
    assert step.state.last_start == T0 + start, "the next one is held against it"
    assert said(after(seen(), seen(STOPPED, start=start))) == [("observed", STARTED, 600, 750, 900)]
    assert after(seen(STOPPED), seen(STOPPED, start=start)).written == ()


def test_a_start_that_moved_by_more_is_a_new_one() -> None:
    closed = ("observed", STARTED, STARTED, STARTED + 6, STARTED + 6)
    assert said(after(seen(), seen(start=STARTED + 6))) == [closed, ("observed", STARTED + 6)]


def test_a_start_may_move_further_while_nobody_looked() -> None:
    """A clock that loses a second in an hour, over ten hours."""
    facts = seen(start=STARTED + 10)
    assert after(seen(), facts, A, A + 36_000).written == ()
    assert after(seen(), facts, A, A + 3_600).written != ()


@pytest.mark.parametrize("moves", [[1] * 200, [2, -2] * 100, [-1] * 200, [0, 1, -1, 2, 5, -5]])
def test_a_start_that_drifts_all_the_time_is_one_run(moves: list[int]) -> None:
    facts = seen()
    state, at = state_of(facts), 0
    for moved in moves:
        assert facts.start_time is not None
        then = msgspec.structs.replace(facts, start_time=facts.start_time + moved)
        step = usage.move(state, facts, then, T0 + at, T0 + at + 60, CODES)
        assert step.written == ()
        state, facts, at = step.state, then, at + 60


def test_a_boot_whose_start_moved_by_seconds_goes_on() -> None:
    assert said(after_boot(seen(start=503))) == [("observed", 500)]
    assert after_boot(seen(BOOTING, start=503)).written == ()


def test_what_stopped_and_started_again_within_seconds_ran_again() -> None:
    """A start after `a` is the only trace of a run of up to the whole interval."""
    was = seen(STOPPED, start=598)
    state = usage.move(state_of(seen(STOPPED)), seen(STOPPED), was, T0 + 300, T0 + 599, CODES).state
    step = usage.move(state, was, seen(STOPPED, start=602), T0 + A, T0 + B, CODES)
    assert said(step) == [("possible_run", 600, 600, 600, 602), ("unseen_run", 602, 602, 751, 900)]


# clamp and end()


def test_the_window_of_a_stop_begins_with_the_run() -> None:
    """A run from 700, seen up in a poll that began at 600."""
    was = seen(STOPPED)
    up = usage.move(state_of(was), was, seen(start=700), T0 + 300, T0 + 750, CODES)
    step = usage.move(up.state, seen(start=700), seen(STOPPED, start=700), T0 + A, T0 + B, CODES)
    assert said(step) == [("observed", 700, 700, 800, 900)]


@pytest.mark.parametrize(
    ("of_a", "of_b", "estimate"),
    [
        ({"timer": 620}, {"timer": 880}, 620),
        ({}, {"timer": 880}, 880),
        ({"timer": 620, "timer_on": False}, {"timer": 880}, 880),
        ({"timer": 950}, {"timer": 900}, 900),
        ({"timer": 600}, {"timer": 901}, 750),
        ({"timer": 620, "timer_on": False}, {}, 750),
        ({}, {}, 750),
    ],
    ids=["A's first", "B's", "A's is off", "A's is late, B's at b", "outside", "off", "none"],
)
def test_a_stop_is_put_at_the_timer_that_went_off_else_in_the_middle(
    of_a: dict[str, Any], of_b: dict[str, Any], estimate: int
) -> None:
    step = after(seen(**of_a), seen(STOPPED, **of_b))
    assert said(step) == [("observed", STARTED, 600, estimate, 900)]


def test_the_timer_that_was_seen_before_a_new_start_goes_before_the_one_seen_after_it() -> None:
    step = after(seen(timer=620), seen(start=890, timer=880))
    assert said(step) == [("observed", STARTED, 600, 620, 890), ("observed", 890)]


@pytest.mark.parametrize(
    ("status", "stopping_s", "estimate", "by"),
    [
        (21, 40, 880, "status"),
        (3, 40, 880, "status"),
        (21, 900, 600, "status"),
        (STOPPED, 40, 730, "middle"),
        (23, 40, 730, "middle"),
        (STOPPED, 900, 600, "middle"),
        (UNKNOWN, 40, 750, "middle"),
    ],
)
def test_a_stop_is_estimated_by_how_far_it_has_got(
    status: int, stopping_s: int, estimate: int, by: str
) -> None:
    """Seen shutting down, half of that has passed; seen off, all of it; an unknown state says nothing.
    The bounds stay."""
    was, then = seen(), seen(status)
    step = usage.move(state_of(was), was, then, T0 + A, T0 + B, CODES, MeanLengths(stopping_s))
    assert said(step) == [("observed", STARTED, 600, estimate, 900)]
    assert step.written[0].end_evidence == by


def test_a_timer_goes_before_the_status_that_is_seen() -> None:
    was, then = seen(timer=700), seen(21)
    step = usage.move(state_of(was), was, then, T0 + A, T0 + B, CODES, MeanLengths(40))
    assert said(step) == [("observed", STARTED, 600, 700, 900)]
    assert step.written[0].end_evidence == "timer"


def test_a_stop_before_a_new_start_is_estimated_by_the_middle() -> None:
    was, then = seen(), seen(start=800)
    step = usage.move(state_of(was), was, then, T0 + A, T0 + B, CODES, MeanLengths(40))
    assert said(step)[0] == ("observed", STARTED, 600, 700, 800)


# GPU and charging type


@pytest.mark.parametrize("change", [{"gpu_uuid": "h"}, {"gpu_nums": 2}, {"charging_type": 3}])
def test_new_terms_with_a_new_start_count_from_it(change: dict[str, Any]) -> None:
    step = after(seen(), seen(start=800, **change))
    assert said(step) == [("observed", STARTED, 600, 700, 800), ("observed", 800)]
    assert step.written[0].terms == terms(seen())
    assert step.written[1].terms == terms(seen(**change))


@pytest.mark.parametrize("change", [{"gpu_uuid": "h"}, {"gpu_nums": 2}, {"charging_type": 3}])
def test_new_terms_without_a_new_start_came_at_an_unknown_moment(change: dict[str, Any]) -> None:
    """A timer says nothing of it."""
    step = after(seen(timer=620), seen(timer=620, **change))
    assert said(step) == [
        ("observed", STARTED, 600, 750, 900),
        ("possible_run", 600, 600, 750, 900),
        ("unknown_start", 900),
    ]
    assert [s.terms == terms(seen(**change)) for s in step.written] == [False, True, True]


def test_new_terms_of_what_is_down_write_nothing() -> None:
    assert after(seen(STOPPED), seen(STOPPED, gpu_nums=2)).written == ()


@pytest.mark.parametrize(("start", "which"), [(800, [0, 1]), (500, [1])])
def test_a_run_that_may_have_gone_unseen_was_of_the_terms_of_its_time(
    start: int, which: list[int]
) -> None:
    """Before a new start that was seen on the old ones; a start that was listed late is of the new ones."""
    both = seen(STOPPED, gpu_nums=1), seen(STOPPED, gpu_nums=2, start=start)
    step = after(*both)
    assert [s.terms for s in step.written] == [terms(both[at]) for at in which]
