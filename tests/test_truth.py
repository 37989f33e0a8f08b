"""How far estimates are from the truth, on small versions of the fleets of `bench.truth`."""

from __future__ import annotations

import pytest

from bench.truth import PROVIDERS, rows_of

AT_STOPS = ("own hours and stops", "begun hours, at stops", "begun minutes from running")
ELSEWHERE = [name for name in PROVIDERS if name not in AT_STOPS and name != "full hours and stops"]


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_the_bill_brings_estimates_near_the_truth_and_never_further(minutes: int) -> None:
    """30 instances, a day and a half: before, by status, and by each kind of bill."""
    (row,) = rows_of(30, 1.5, minutes, 0.0, PROVIDERS)
    _, _, _, before, status, *bills, outside, _ = (cell.strip() for cell in row.split("|"))
    assert int(outside) == 0
    assert float(status) <= float(before)
    by_bill = {name: float(error) for name, error in zip(PROVIDERS, bills, strict=True)}
    assert all(by_bill[name] == float(status) for name in ELSEWHERE)
    assert by_bill["full hours and stops"] <= float(status)
    if minutes == 5:
        assert all(by_bill[name] <= 0.03 for name in AT_STOPS)
    assert all(by_bill[name] <= 0.5 * float(status) for name in AT_STOPS)
