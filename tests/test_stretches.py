"""What a stretch says of its end: by the polls, and by the bill."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from etl.history import usage
from etl.history.ends import End, stop_between
from etl.history.lengths import MeanLengths
from etl.history.starts import believed_start, is_same_start, since_creation
from etl.history.stretches import RunningState, Stretch, UsageLedger, terms
from etl.history.usage import SeenVersion
from etl.resources.values import FIRST_INSTANT
from etl.simcloud import T0
from etl.units import STOPPED_ABNORMALLY
from tests.test_usage import BOOTING, CODES, RUNNING, STOPPED, A, B, after, said, seen

S = Stretch(1, "running", 100, "observed", terms(seen()), 110, 150, 200, "middle")


@pytest.mark.parametrize(
    ("settled_at", "ended_at"), [(120, 120), (50, 110), (300, 200), (110, 110), (200, 200)]
)
def test_the_bill_moves_the_estimate_within_its_bounds(settled_at: int, ended_at: int) -> None:
    by_bill = replace(S, settlements=1, settled_at=settled_at).with_bill(is_at_stops=True)
    assert (by_bill.ended_min, by_bill.ended_at, by_bill.ended_max) == (110, ended_at, 200)
    assert by_bill.end_evidence == "settled"


@pytest.mark.parametrize("evidence", ["observed", "unseen_run", "booting", "possible_run", "gone"])
def test_a_bill_that_says_nothing_moves_nothing(evidence: Any) -> None:
    for stretch in (replace(S, evidence=evidence), replace(S, evidence=evidence, settlements=1)):
        assert stretch.with_bill(is_at_stops=True) == stretch
    settled = replace(S, evidence=evidence, settlements=1, settled_at=120)
    assert settled.with_bill(is_at_stops=False) == settled


@pytest.mark.parametrize(
    ("evidence", "ended_at"),
    [("unseen_run", 110), ("booting", 110), ("observed", 150), ("possible_run", 150)],
)
def test_a_run_that_the_bill_does_not_know_never_came_up(evidence: Any, ended_at: int) -> None:
    stretch = replace(S, evidence=evidence, settlements=0)
    assert stretch.with_bill(is_at_stops=True).ended_at == ended_at


def test_of_a_time_of_doubt_the_run_fills_the_end() -> None:
    doubt = replace(S, evidence="possible_run", ended_min=100, settlements=1, settled_at=180)
    assert doubt.with_bill(is_at_stops=True).ended_at == 120


def test_another_image_alone_is_no_other_terms() -> None:
    assert terms(seen(image_uuid="a")) == terms(seen(image_uuid="b"))
    assert terms(seen(gpu_nums=1)) != terms(seen(gpu_nums=2))


@pytest.mark.parametrize(
    ("end", "hi", "by"),
    [
        (End(150, "middle"), 150, "exact"),
        (End(150, "timer"), 200, "timer"),
        (End(150), 150, None),
        (End(150), 200, None),
    ],
)
def test_a_stop_whose_bounds_meet_is_exact(end: End, hi: int, by: str | None) -> None:
    ledger = UsageLedger(RunningState())
    ledger.open(100, "observed", seen())
    ledger.close(lo=150, end=end, hi=hi)
    (stretch,) = ledger.step().written
    assert (stretch.ended_min, stretch.ended_max, stretch.end_evidence) == (150, hi, by)


def test_old_terms_end_in_the_middle() -> None:
    old, *_ = after(seen(), seen(gpu_nums=2)).written
    assert old.end_evidence == "middle"


def test_a_start_in_the_second_of_the_last_sighting_lies_before_it() -> None:
    """A poll that began in that second showed it down."""
    step = after(seen(STOPPED), seen(RUNNING, A))
    assert said(step) == [("possible_run", A, A, (A + B) // 2, B), ("unknown_start", B)]


@pytest.mark.parametrize(("start", "length"), [(A - 1, 150), (A, 150), (A + 1, 299)])
def test_a_change_of_terms_is_put_at_a_start_inside_the_interval_alone(
    start: int, length: int
) -> None:
    held, _ = said(after(seen(), seen(start=start, charging_type=2)), "held")
    assert held == ("unknown_start", A, A, A + length, B)


def test_a_version_without_its_beginning_follows_the_one_before() -> None:
    first, then = SeenVersion(seen(), None, T0 + A), SeenVersion(seen(STOPPED), None, T0 + B)
    dated = SeenVersion(then.facts, T0 + A, then.first_seen_at)
    assert usage.fold([first, then], CODES) == usage.fold([first, dated], CODES)


@pytest.mark.parametrize(
    ("start", "last", "is_down", "is_same"),
    [
        # after the sighting before, of one that was down: any move is a run that nobody saw
        (A + 10, A + 10, True, True),
        (A + 10, A + 9, True, False),
        # of one that was up: one computed anew moves by seconds
        (A + 10, A + 5, False, True),
        (A + 10, A + 4, False, False),
        # not after it: the clock may have drifted by a second in 2,000 s, too
        (A, A - 3, True, True),
        (A, A - 6, False, True),
        (A, A - 7, False, False),
        (A, None, False, False),
        (None, A, False, False),
    ],
)
def test_a_start_is_the_last_one_within_seconds(
    start: int | None, last: int | None, is_down: bool, is_same: bool
) -> None:
    assert is_same_start(start, last, A, A + 2_000, is_down=is_down) == is_same


@pytest.mark.parametrize(
    ("created", "since"), [(None, A), (A - 1, A), (A, A), (A + 1, A + 1), (B, B), (B + 1, A)]
)
def test_nothing_runs_before_its_creation(created: int | None, since: int) -> None:
    facts = seen(created=created)
    assert since_creation(T0 + A, facts, T0 + B) == T0 + since


@pytest.mark.parametrize(("start", "is_known"), [(FIRST_INSTANT, True), (FIRST_INSTANT - 1, False)])
def test_a_first_start_before_all_clouds_is_none(start: int, is_known: bool) -> None:
    facts = msgspec.structs.replace(seen(created=None), start_time=start)
    assert believed_start(facts, None, T0) == (start if is_known else None)


def test_a_boot_that_failed_says_nothing_of_the_boot_before_it() -> None:
    """It booted, and was started anew at 800: only that boot is known to have failed."""
    before = seen(BOOTING, 500)
    state = usage.begin(before, None, T0 + 550, CODES).state
    ends = []
    for status in (STOPPED, STOPPED_ABNORMALLY):
        lengths = MeanLengths(0, 150)
        step = usage.move(state, before, seen(status, 800), T0 + A, T0 + B, CODES, lengths)
        ends.append((step.written[0].ended_at, step.written[0].end_evidence))
    assert ends[0] == ends[1]
    assert ends[0][0] != T0 + 500
    assert ends[0][1] == "middle"


def test_a_timer_that_is_on_without_a_time_says_nothing() -> None:
    facts = msgspec.structs.replace(seen(), shutdown_enabled=True)
    assert stop_between(100, 200, (facts,)) == End(150, "middle")
