"""Which window of the bill ends with a stop, and how long states last. Times are seconds after T0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from etl.history.lengths import MILLIONTHS, Passages
from etl.money.billing.stops import (
    SettledWindow,
    SettlementRule,
    Settling,
    UnseenStart,
    UnseenStop,
    UnseenTime,
    settled_windows,
    settlement_rule,
)
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import PricePeriod, PriceTerms
from etl.simcloud import T0

TERMS = PriceTerms("g", "A100", "i", 1, False)
HOUR_YUAN = 3.6
"""A yuan a 1000 seconds: a fen is ten seconds."""
PRICE = PricePeriod(0, FOREVER, "running", "list", 3600, False, *(int(HOUR_YUAN * 1e6),) * 3, 0)


def stop(
    lo: int = 10_000, hi: int = 10_300, *, started: int = 0, gpus: int | None = 1
) -> UnseenStop:
    return UnseenStop("i-1", 1, T0 + started, T0 + lo, T0 + hi, TERMS, gpus)


def window(begins: int, ends: int, yuan: float | None = None) -> SettledWindow:
    amount = (ends - begins) / 1000 if yuan is None else yuan
    return SettledWindow(T0 + begins, T0 + ends, (round(amount * 100) * 10_000,))


def told(
    windows: Sequence[SettledWindow],
    *before: SettledWindow,
    model: ChargingModel | None = None,
    of: UnseenStop | None = None,
    periods: Sequence[PricePeriod] = (PRICE,),
) -> tuple[int | None, int | None]:
    """(number of moments, the one after T0) of a stop; `before` are all other windows of the bill."""

    def ending(instants: Iterable[int]) -> list[SettledWindow]:
        return [each for each in before if each.ends_s in set(instants)]

    settling = Settling(model or ChargingModel(), lambda terms: periods, ending)
    ((_, (count, at)),) = settling.settled([(of or stop(), windows)])
    return count, None if at is None else at - T0


def test_a_window_of_the_whole_run_ends_with_its_stop() -> None:
    assert told([window(0, 10_123)]) == (1, 10_123)


@pytest.mark.parametrize("yuan", [10.10, 10.15, 9.0])
def test_another_amount_is_of_another_run(yuan: float) -> None:
    assert told([window(0, 10_123, yuan)]) == (0, None)


def test_a_fen_more_or_less_is_rounding() -> None:
    assert told([window(0, 10_123, 10.12)]) == told([window(0, 10_123, 10.13)]) == (1, 10_123)


def test_a_window_that_begins_elsewhere_is_of_another_run() -> None:
    assert told([window(500, 10_123)]) == (0, None)


def test_a_window_that_follows_one_of_the_run_ends_with_its_stop() -> None:
    last = window(7_200, 10_123)
    assert told([last], window(3_600, 7_200)) == (1, 10_123)
    assert told([last], window(3_600, 7_200, 50.0)) == (0, None)
    assert told([last], window(-900, 7_200)) == (0, None), "it began before the run"


def test_what_begins_with_the_run_goes_before_what_follows_a_window() -> None:
    other = window(7_000, 10_200)
    assert told([window(0, 10_123), other], window(3_000, 7_000)) == (1, 10_123)


def test_what_is_whole_hours_from_the_start_goes_before_other_hours() -> None:
    windows = [window(7_200, 10_123), window(7_000, 10_200)]
    assert told(windows, window(3_600, 7_200), window(3_000, 7_000)) == (1, 10_123)


def test_machines_that_cannot_be_told_apart_leave_the_stop_open() -> None:
    windows = [window(7_000, 10_123), window(7_000, 10_200)]
    assert told(windows, window(3_000, 7_000)) == (2, None)


def test_two_machines_with_one_window_are_one_moment() -> None:
    lines = [(T0, T0 + 10_123, f"o{n}", 10_120_000) for n in (1, 2)]
    assert told(settled_windows(lines)) == (1, 10_123)


def test_a_charge_that_is_paid_in_parts_is_one() -> None:
    lines = [(T0, T0 + 10_123, "o1", 3_000_000), (T0, T0 + 10_123, "o1", 7_120_000)]
    assert told(settled_windows(lines)) == (1, 10_123)


def test_charges_of_a_moment_are_no_windows() -> None:
    assert settled_windows([(T0, T0, "o1", 5)]) == []


@pytest.mark.parametrize(("begins", "count"), [(90, 1), (601, 0), (-6, 0)])
def test_from_running_a_window_begins_within_a_boot(begins: int, count: int) -> None:
    model = ChargingModel("running", 1)
    assert told([window(begins, 10_123)], model=model)[0] == count
    assert told([window(90, 10_123)]) == (0, None), "from its start it has no boot"


def test_begun_hours_are_charged_whole() -> None:
    model = ChargingModel("start", 3600)
    assert told([window(0, 10_123, 10.8)], model=model) == (1, 10_123)
    assert told([window(0, 10_123)], model=model) == (0, None)


def test_all_cards_count() -> None:
    assert told([window(0, 10_123, 20.25)], of=stop(gpus=2)) == (1, 10_123)


@pytest.mark.parametrize("gpus", [None, 1])
def test_without_a_price_the_bill_is_not_asked(gpus: int | None) -> None:
    periods = [PRICE] if gpus is None else []
    assert told([window(0, 10_123)], of=stop(gpus=gpus), periods=periods) == (None, None)


@pytest.mark.parametrize(
    ("counts", "is_at_stops"),
    [([1] * 8, True), ([1] * 7, False), ([1, 2] * 9 + [0] * 3, True), ([1] * 17 + [0] * 4, False)],
)
def test_most_stops_must_have_a_window(counts: list[int], is_at_stops: bool) -> None:
    rule = settlement_rule(counts)
    assert rule == SettlementRule(len(counts), sum(map(bool, counts)), counts.count(1))
    assert rule.is_at_stops == is_at_stops


def begun(
    *windows: SettledWindow,
    model: ChargingModel | None = None,
    periods: Sequence[PricePeriod] = (PRICE,),
) -> tuple[int | None, int | None]:
    """(number of moments, the one after T0) of a start in (10000, 10300]."""
    start = UnseenStart("i-1", 1, T0 + 10_000, T0 + 10_300, TERMS, 1)
    settling = Settling(model or ChargingModel(), lambda terms: periods, lambda ends: [])
    ((_, (count, at)),) = settling.begun([(start, windows)])
    return count, None if at is None else at - T0


def test_a_run_whose_start_nobody_saw_began_with_its_window() -> None:
    assert begun(window(10_123, 13_723)) == (1, 10_123)
    assert begun(window(10_123, 13_723, 50.0)) == (0, None), "another amount is of another run"
    assert begun(window(10_123, 13_723), window(10_123, 11_000)) == (1, 10_123)


def test_two_windows_of_such_runs_leave_the_start_open() -> None:
    assert begun(window(10_123, 13_723), window(10_200, 13_800)) == (2, None)


def test_from_running_such_a_run_began_with_its_window_too() -> None:
    """Without a start nobody knows its boot: it counts from when it was up, as the window does."""
    model = ChargingModel("running", 1, boot_s=60)
    assert begun(window(10_123, 13_723), model=model) == (1, 10_123)


def unseen(
    *times: tuple[UnseenTime, Sequence[SettledWindow]], periods: Sequence[PricePeriod] = (PRICE,)
) -> list[tuple[int | None, int | None]]:
    """(number of runs, seconds that they ran) in each time."""
    settling = Settling(ChargingModel(), lambda terms: periods, lambda ends: [])
    return [
        (count, None if at is None else time.hi_s - at)
        for time, (count, at) in settling.unseen_runs(times)
    ]


def between(lo: int, hi: int, uuid: str = "i-1") -> UnseenTime:
    return UnseenTime(uuid, 1, T0 + lo, T0 + hi, TERMS, 1)


def test_runs_that_no_poll_saw_are_as_long_as_their_windows() -> None:
    runs = [window(10_000, 10_100), window(10_150, 10_250), window(10_260, 10_270, 7.0)]
    assert unseen((between(9_900, 10_300), runs)) == [(2, 200)]
    assert unseen((between(9_900, 10_300), runs[2:])) == [(0, None)]
    assert unseen((between(9_900, 10_300), runs), periods=[]) == [(None, None)]


def test_a_window_that_may_be_of_two_unseen_runs_is_of_neither() -> None:
    runs = [window(10_000, 10_100), window(10_150, 10_250)]
    times = (between(9_900, 10_300), runs), (between(9_800, 10_120, "i-2"), runs[:1])
    assert unseen(*times) == [(1, 100), (0, None)]


def test_without_a_price_no_start_is_asked_for() -> None:
    assert begun(window(10_123, 13_723), periods=[]) == (None, None)


@pytest.mark.parametrize("apart_s", [60, 300, 900])
def test_a_state_is_as_long_as_polls_meet_it_often(apart_s: int) -> None:
    """A thousand passages through a state of 45 s, of which 45 in `apart_s` are met."""
    met = 1_000 * 45 // apart_s
    many = Passages(1_000, met * MILLIONTHS, 1_000 * (MILLIONTHS * MILLIONTHS // apart_s))
    assert many.length_s(30) == pytest.approx(45, abs=1)
    assert Passages().length_s(30) == 30
