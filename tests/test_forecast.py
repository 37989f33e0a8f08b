"""Report forecast, against the same forecast in plain Python, by hand, and on months that went on."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from random import Random
from statistics import mean

import pytest

from bench.forecasts import Ledger, judged

MARCH = 55
"""The number of its first day: a Sunday."""


def forecast(costs: Sequence[float], seen_days: float) -> tuple[float, float]:
    """The forecast of the rest of March, and half of its band, by the newest 56 days before it."""
    today = int(seen_days)
    begins = next(n for n in range(max(0, today - 56), today) if costs[n])
    past = {n: costs[n] for n in range(begins, today)}
    usual = mean(past.values())
    shape = {}
    for weekday in range(7):
        alike = [c for n, c in past.items() if n % 7 == weekday]
        shape[weekday] = (sum(alike) + 2 * usual) / (len(alike) + 2) / usual
    level = mean([past[n] for n in sorted(past)[-14:]])
    left = dict.fromkeys(range(today, MARCH + 31), 1.0)
    left[today] -= seen_days - today
    to_come = sum(level * shape[n % 7] * part for n, part in left.items())
    off = [past[n] - usual * shape[n % 7] for n in sorted(past, reverse=True)]
    squares = []
    for length in (1, 7, 14):
        sums = [sum(off[i : i + length]) for i in range(0, len(off) - length + 1, length)]
        if len(sums) > 1:
            squares.append(sum(x * x for x in sums) / (len(sums) - 1) / length)
    days = sum(left.values())
    return to_come, 1.4 * sqrt(max(squares) * days * (1 + days / 14))


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_other_code_forecasts(seed: int) -> None:
    dice = Random(seed)
    busy = [2_000.0, 2_200, 1_900, 2_100, 1_500, 300, 100]
    costs = [busy[n % 7] * dice.uniform(0.5, 1.5) + 40 * n for n in range(90)]
    if seed > 3:
        costs[:40] = [0.0] * 40
    seen = MARCH + dice.choice((3.0, 10.25, 20.5))
    spent, found, low, high = Ledger().forecast({"p": costs}, seen)["p"]
    to_come, half = forecast(costs, seen)
    assert spent == pytest.approx(
        sum(costs[MARCH : int(seen)]) + costs[int(seen)] * (seen - int(seen))
    )
    assert found == pytest.approx(spent + to_come, rel=1e-4)
    assert low is not None
    assert high is not None
    assert high - found == pytest.approx(half, rel=0.005)
    assert low == pytest.approx(max(spent, found - half), rel=0.001)


def test_by_hand() -> None:
    """
    100 yuan a day, and what is prepaid at 2 yuan an hour, which is in no day's cost here.
    After ten days of March: 1,000 spent, 21 days of 100 and 21 x 48 to come.
    """
    ledger = Ledger()
    ledger.holds("p", 2)
    ledger.holds("idle", 1)
    found = ledger.forecast({"p": [100.0] * 90}, MARCH + 10)
    assert found["p"] == (1_000, 1_000 + 2_100 + 1_008, 4_108, 4_108)
    assert found["idle"] == (0, 504, 504, 504)


def test_weekends_that_cost_nothing_are_not_forecast_at_the_mean() -> None:
    """14 on each workday, 70 a week. Friday to Sunday are left: 29 to 31 March are Sunday to Tuesday."""
    costs = [14.0 if n % 7 < 5 else 0.0 for n in range(90)]
    by_end = {left: Ledger().forecast({"p": costs}, MARCH + 31 - left)["p"][1] for left in (3, 2)}
    spent = sum(costs[MARCH : MARCH + 28])
    # a weekday counts as eight of its own days and two of the mean
    workday, sunday = (8 * 14 + 2 * 10) / 10, 2 * 10 / 10
    assert by_end[3] == pytest.approx(spent + sunday + 2 * workday, rel=1e-3)
    assert by_end[2] == pytest.approx(spent + 2 * workday, rel=1e-3)


def test_days_that_nobody_saw_are_no_days_of_nothing() -> None:
    costs = [100.0] * 90
    costs[40:50] = [0.0] * 10
    ledger = Ledger()
    assert ledger.forecast({"p": costs}, MARCH + 10)["p"][1] == pytest.approx(3_100, rel=0.05)
    ledger.misses(40, 49)
    assert ledger.forecast({"p": costs}, MARCH + 10)["p"][1:] == (3_100, 3_100, 3_100)


def test_two_weeks_are_the_least_for_a_band() -> None:
    costs = [0.0] * 50 + [100.0, 120.0] * 20
    _, found, low, high = Ledger().forecast({"p": costs}, 63)["p"]
    assert found > 0
    assert (low, high) == (None, None)
    _, found, low, high = Ledger().forecast({"p": costs}, 64)["p"]
    assert low is not None
    assert high is not None
    assert low < found < high


def test_a_month_that_is_over_is_what_it_cost() -> None:
    ledger = Ledger()
    ledger.holds("p", 1)
    costs = [float(n % 5) for n in range(90)]
    total = sum(costs[MARCH : MARCH + 31])
    april = ledger.forecast({"p": costs}, MARCH + 31.5)["p"]
    assert april[0] == costs[MARCH + 31] / 2
    asked = {"account": None, "by": "project", "to_day": "2026-03-01"}
    (row,) = ledger.conn.execute(ledger.sql, asked)
    assert row[3] == row[6] == row[7] == row[8] == total


def test_the_band_holds_four_months_of_five() -> None:
    """`python -m bench.forecasts` judges many more."""
    found = [*judged(10, 10, range(15)), *judged(3, 20, range(15))]
    assert 0.70 <= mean(ok for ok, _, _ in found) <= 0.93
