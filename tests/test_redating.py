"""New dates for polls by a wrong clock: to the second where two clocks say so, else by their order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from etl.timing.freshness import FUTURE_S
from etl.timing.redating import (
    LEAP_SLACK_S,
    DatedRun,
    Misdated,
    NewDate,
    Redating,
    before_creation,
    in_future,
    new_dates,
)
from etl.units import HOUR_S

T = 1_790_000_000
DAY_S = 86_400


def run(number: int, start: int, end: int | None = None, offset: float | None = None) -> DatedRun:
    return DatedRun(number, "complete", start, start + 10 if end is None else end, offset)


def failed(number: int, start: int, offset: float | None = None) -> DatedRun:
    return DatedRun(number, "failed", start, start, offset)


def dates_of(
    runs: Sequence[DatedRun], after: int = T, now: int = T + 1_000, offset_s: float = 0.0
) -> list[tuple[int, int, bool]]:
    dates = new_dates(runs, after=after, now=now, offset_s=offset_s)
    assert [date.run for date in dates] == list(runs)
    return [(date.started_at, date.finished_at, date.is_exact) for date in dates]


# which polls are wrong


def test_polls_of_the_future_are_those_that_no_clock_can_be_ahead_by() -> None:
    limit = T + int(FUTURE_S)
    late = [run(1, T - 10, limit), run(2, T - 10, limit + 1)]
    assert in_future(late, T) == late[1:]


def test_a_creation_within_the_slack_of_clocks_proves_nothing() -> None:
    """The next poll leaps by as much as the clock may differ."""
    assert LEAP_SLACK_S == 60
    for behind_s, is_wrong in ((60, False), (61, True)):
        runs = [run(1, T), run(2, T + 10_000)]
        found = before_creation(runs, [(T + 10, T + 10 + behind_s)], T + 20_000)
        assert (found is not None) is is_wrong, behind_s


def test_polls_before_a_creation_are_wrong_up_to_the_leap() -> None:
    runs = [run(1, T), run(2, T + 120), run(3, T + 9 * DAY_S), run(4, T + 9 * DAY_S + 120)]
    found = before_creation(runs, [(T + 10, T + 8 * DAY_S)], T + 10 * DAY_S)
    assert found == Misdated(0, 1, T + 9 * DAY_S)


def test_a_poll_that_ends_at_the_creation_is_right() -> None:
    """What leaps after it is an outage."""
    runs = [*(run(n, T + 1_000 * n) for n in range(6)), run(9, T + 9 * DAY_S)]
    assert before_creation(runs, [(T + 10, T + 5_010)], T + 10 * DAY_S) is None
    assert before_creation(runs, [(T + 10, T + 5_011)], T + 10 * DAY_S) is not None


def test_without_a_leap_it_is_the_creation_that_is_wrong() -> None:
    """A source that writes local time: polls go on every two minutes beyond the creation."""
    runs = [run(n, T + 120 * n) for n in range(400)]
    assert before_creation(runs, [(T + 10, T + 8 * HOUR_S)], T + 120 * 400) is None


def test_a_leap_must_be_as_long_as_the_clock_was_behind_and_reach_the_creation() -> None:
    behind_s = 5_000
    created = T + 10 + behind_s
    for leap_s, is_wrong in ((behind_s - LEAP_SLACK_S, True), (behind_s - LEAP_SLACK_S - 1, False)):
        runs = [run(1, T), *(run(n, T + 10 + leap_s + 120 * n) for n in range(3))]
        runs[1] = run(2, T + 10 + leap_s)
        found = before_creation(runs, [(T + 10, created)], T + DAY_S)
        assert (found is not None) is is_wrong, leap_s


def test_the_last_polls_of_a_history_leap_to_the_present() -> None:
    runs = [run(1, T - DAY_S), run(2, T)]
    births = [(T + 10, T + 3 * DAY_S)]
    assert before_creation(runs, births, T + 4 * DAY_S) == Misdated(1, 1, T + 4 * DAY_S)
    assert before_creation(runs, births, T + DAY_S) is None


@pytest.mark.parametrize(("before_s", "first"), [(HOUR_S, 0), (HOUR_S + 1, 1)])
def test_within_the_first_hour_a_history_has_one_clock(before_s: int, first: int) -> None:
    """Whatever its first polls list: only a later beginning can be the end of an outage."""
    runs = [run(1, T), run(2, T + before_s), run(3, T + 9 * DAY_S)]
    births = [(T + before_s + 10, T + 8 * DAY_S)]
    assert before_creation(runs, births, T + 10 * DAY_S) == Misdated(first, 1, T + 9 * DAY_S)


def test_the_first_birth_that_proves_something_decides() -> None:
    runs = [run(1, T), run(2, T + 9 * DAY_S)]
    births = [(T + 10, T + 20), (T + 10, T + 8 * DAY_S)]
    assert before_creation(runs, births, T + 10 * DAY_S) == Misdated(0, 0, T + 9 * DAY_S)


# their new dates


def test_a_measured_poll_is_dated_by_the_difference_of_the_offsets() -> None:
    """Rounded outwards: a start may be early and an end late."""
    ahead = run(1, T + DAY_S + 100, T + DAY_S + 110, offset=DAY_S + 2.5)
    assert dates_of([ahead]) == [(T + 97, T + 108, True)]
    # the source's clock is usually 40 s ahead of this machine's
    assert dates_of([ahead], offset_s=40.0) == [(T + 137, T + 148, True)]


@pytest.mark.parametrize(
    ("start", "is_exact"),
    [(T, False), (T + 1, True), (T + 990 + int(FUTURE_S), True), (T + 991 + int(FUTURE_S), False)],
)
def test_a_measured_date_lies_between_its_neighbours(start: int, is_exact: bool) -> None:
    """Not before what was made before it, and not later than now."""
    ((_, _, exact),) = dates_of([run(1, start + DAY_S, offset=float(DAY_S))])
    assert exact is is_exact


def test_no_poll_ends_after_now() -> None:
    """Clocks may differ by a little, which is no time that was seen."""
    late = run(1, T + 900 + DAY_S, T + 1_020 + DAY_S, offset=float(DAY_S))
    assert dates_of([late]) == [(T + 900, T + 1_000, True)]


def test_a_measured_poll_of_a_moment_is_dated_to_the_second() -> None:
    moment = run(1, T + DAY_S + 5, T + DAY_S + 5, offset=float(DAY_S))
    assert dates_of([moment]) == [(T + 5, T + 5, True)]


def test_what_nothing_measured_was_made_between_its_neighbours() -> None:
    runs = [run(1, T + DAY_S), run(2, T + 2 * DAY_S)]
    # a second apart at least: polls are told apart by their starts and their ends
    assert dates_of(runs) == [(T + 1, T + 999, False), (T + 2, T + 1_000, False)]


def test_an_attempt_that_failed_has_no_length_and_no_measured_date() -> None:
    runs = [
        run(1, T + DAY_S),
        failed(2, T + DAY_S + 60, offset=float(DAY_S)),
        run(3, T + DAY_S + 90),
    ]
    assert dates_of(runs) == [
        (T + 1, T + 998, False),
        (T + 2, T + 2, False),
        (T + 3, T + 1_000, False),
    ]


def test_ends_are_a_second_apart_even_without_room() -> None:
    runs = [run(n, T + n * DAY_S) for n in (1, 2, 3)]
    assert dates_of(runs, now=T) == [
        (T + 1, T + 1, False),
        (T + 2, T + 2, False),
        (T + 3, T + 3, False),
    ]


# what they wrote


def redating(until: int | None = None) -> Redating:
    """Two polls of a day ahead that are right now, and a failure between them."""
    dates = [
        NewDate(run(1, T + DAY_S, T + DAY_S + 10), T, T + 10, True),
        NewDate(failed(2, T + DAY_S + 50), T + 50, T + 50, False),
        NewDate(run(3, T + DAY_S + 100, T + DAY_S + 110), T + 100, T + 110, True),
    ]
    return Redating(dates, T + 500, until)


def test_instants_move_with_the_poll_that_wrote_them() -> None:
    dates, ahead = redating(), T + DAY_S
    starts = (ahead, ahead + 60, ahead + 100, ahead + 105)
    assert [dates.start(at) for at in starts] == [T, T, T + 100, T + 100]
    ends = (ahead + 10, ahead + 11, ahead + 110, ahead + 113)
    assert [dates.end(at) for at in ends] == [T + 10, T + 11, T + 110, T + 113]


def test_instants_of_other_polls_stay() -> None:
    dates = redating()
    for at in (T - 9, T + 499, T + 500 + int(FUTURE_S)):
        assert (dates.start(at), dates.end(at)) == (at, at)


def test_versions_kept_a_second_apart_stay_so_while_there_is_room() -> None:
    dates = redating()
    # so many seconds after the first poll's end, the second one's would be reached
    assert dates.end(T + DAY_S + 109) == T + 109
    later = NewDate(run(4, T + DAY_S + 200), T + 200, T + 210, True)
    crowded = Redating(
        [
            dates.dates[0],
            dates.dates[2]._replace(started_at=T + 12, finished_at=T + 13),
            later,
        ],
        T + 500,
    )
    assert [crowded.end(T + DAY_S + n) for n in (10, 11, 12, 13)] == [
        T + 10,
        T + 11,
        T + 12,
        T + 12,
    ]


def test_what_lies_right_before_the_first_poll_moves_with_it() -> None:
    dates = redating()
    assert dates.start(T + DAY_S - 3) == T
    assert dates.end(T + DAY_S + 5) == T + 10
    assert dates.earliest == T + DAY_S - 1


def test_the_start_of_a_poll_moves_even_if_it_is_not_of_the_future() -> None:
    """It began before now, and ended later."""
    early = NewDate(run(1, T + 499, T + DAY_S), T + 1, T + 20, False)
    assert Redating([early], T + 500).start(T + 499) == T + 1


def test_without_an_applied_poll_nothing_moves() -> None:
    nothing = Redating([NewDate(failed(1, T + DAY_S), T, T, False)], T + 500)
    assert (nothing.start(T + DAY_S), nothing.end(T + DAY_S)) == (T + DAY_S, T + DAY_S)


def test_of_the_past_only_what_lies_between_is_wrong() -> None:
    dates = redating(until=T + 2 * DAY_S)
    moved = T + DAY_S + 10
    assert dates.end(moved) == T + 10
    for at in (T + DAY_S - 1, T + 2 * DAY_S):
        assert (dates.start(at), dates.end(at)) == (at, at)
    assert dates.end(T + DAY_S) == T + 10
    assert dates.end(T + 2 * DAY_S - 1) > T + 10


def test_nothing_lies_after_the_moment_that_clocks_may_differ_by() -> None:
    assert redating().latest == T + 500 + int(FUTURE_S)


def test_an_archived_poll_is_found_by_its_old_start() -> None:
    dates = redating()
    assert dates.archived(T + DAY_S + 100) == dates.dates[2]
    assert dates.archived(T + DAY_S + 50) is None, "an attempt that failed is in no archive"
