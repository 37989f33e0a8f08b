"""How far estimates are from the truth, on small versions of the fleets of `bench.truth`."""

from __future__ import annotations

import pytest

from bench.truth import PROVIDERS, Row, row_of
from bench.truth_fleets import KINDS, Kind

AT_STOPS = ("own hours and stops", "begun hours, at stops", "begun minutes from running")
ELSEWHERE = [name for name in PROVIDERS if name not in AT_STOPS and name != "full hours and stops"]
BY_WORDS = {kind.words: kind for kind in KINDS}


def never_worse(row: Row) -> None:
    """No day is out of its bounds, and no bill makes estimates worse."""
    assert row.outside == 0
    assert all(row.bills[name].percent == row.status.percent for name in ELSEWHERE)
    assert all(bill.percent <= row.status.percent for bill in row.bills.values())


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_the_bill_brings_estimates_near_the_truth_and_never_further(minutes: int) -> None:
    """30 instances, a day and a half: before, by status, and by each kind of bill."""
    row = row_of(BY_WORDS["people"], minutes, 30, 1.5)
    never_worse(row)
    assert row.status.percent <= row.before.percent
    if minutes == 5:
        assert all(row.bills[name].percent <= 0.03 for name in AT_STOPS)
    assert all(row.bills[name].percent <= 0.5 * row.status.percent for name in AT_STOPS)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.words != "people"], ids=lambda k: k.words)
@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_trouble_moves_no_day_out_of_its_bounds(kind: Kind, minutes: int) -> None:
    """Flapping, outages, odd servers, and instances that never name a start."""
    if 60 * minutes > kind.longest_s:
        pytest.skip("without starts, runs that no poll saw leave no trace")
    size = {1: (8, 0.5), 5: (20, 1.0), 15: (20, 1.5), 60: (20, 2.0)}[minutes]
    never_worse(row_of(kind, minutes, *size))


def test_with_the_bill_flapping_costs_little() -> None:
    providers = ("own hours and stops", "begun hours, at stops")
    row = row_of(BY_WORDS["5 % flapping"], 5, 40, 3, providers)
    assert row.outside == 0
    assert row.status.percent > 0.3
    assert all(row.bills[name].percent <= 0.03 for name in providers)


def test_the_bill_says_when_runs_began_that_name_no_start() -> None:
    row = row_of(BY_WORDS["half without starts"], 5, 30, 2)
    never_worse(row)
    for name in AT_STOPS:
        assert row.bills[name].percent <= 0.2 * row.status.percent
