"""A small part of the fault matrix on each database; the whole is `python -m tests.fault_matrix`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from etl.resources import RESOURCES
from tests.fault_cases import FLEETS, KINDS, PLACES, TIMES, Case, all_cases, pairwise
from tests.fault_matrix import Runner, shares
from tests.fault_table import named_in_document
from tests.faults import BY_NAME, COLLECTED, FAULTS

QUICK = [fault.name for fault in FAULTS if not (fault.slow or fault.heavy)]
MOST = {"sqlite": 5, "postgres": 2}
"""Faults that meet each database in the normal run."""


def few(kind: str) -> Iterator[Case]:
    """Faults of all groups, at other places and times on either database. Few resources and fleets: for
    each there must be a run without faults."""
    step = len(QUICK) // MOST[kind]
    chosen = QUICK[len(kind) :: step][: MOST[kind]]
    places = itertools.cycle(("middle", "first", "every", "last"))
    times = itertools.cycle(("always", "once", "three times"))
    for fault, place, often in zip(chosen, places, times, strict=False):
        able = BY_NAME[fault].resources or ("bills",)
        resource = able[0] if place == "middle" else "bills" if "bills" in able else able[0]
        yield Case(fault, place, often, resource, kind, "lively")


def test_after_a_fault_and_one_good_poll_nothing_is_lost_or_invented(
    kind: str, fresh_url: Callable[[], str]
) -> None:
    runner = Runner(lambda _kind: fresh_url())
    assert {
        str(case): complaints for case in few(kind) if (complaints := runner.run(case)[1])
    } == {}


def test_every_fault_is_in_the_document() -> None:
    named = [fault.name for fault in FAULTS]
    assert named_in_document() == named, "run: python -m tests.fault_matrix --write"


def test_the_cases_of_the_matrix_bring_every_two_values_together() -> None:
    cases = all_cases(0, whole=False)
    met = {(c.fault, c.place) for c in cases} | {(c.fault, c.times) for c in cases}
    met |= {(c.fault, c.resource) for c in cases} | {(c.resource, c.times) for c in cases}
    met |= {(c.fault, c.kind) for c in cases} | {(c.fault, c.fleet) for c in cases}
    for fault in FAULTS:
        able = fault.resources or COLLECTED
        paged = any(RESOURCES[name].paged for name in able)
        wanted = {*able, *TIMES, *FLEETS, *KINDS, *(PLACES if paged else ("first",))}
        assert {value for name, value in met if name == fault.name} >= wanted, fault.name


def test_every_resource_meets_faults_and_each_case_is_run_once() -> None:
    cases = all_cases(0, whole=False)
    assert {case.resource for case in cases} == set(RESOURCES)
    dealt = shares(cases, 2)
    assert sorted(map(str, itertools.chain(*dealt))) == sorted(map(str, cases))
    assert not {c.resource for c in dealt[0]} & {c.resource for c in dealt[1]}


def test_what_cannot_be_is_in_no_case() -> None:
    cases = pairwise([["500"], PLACES, list(TIMES), ["balance"], ["sqlite"], list(FLEETS)])
    assert {case.place for case in cases} == {"first", "every"}


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_page_of_the_bill_in_another_order_counts_no_line_more_than_once(
    fresh_url: Callable[[], str], kind: str
) -> None:
    case = Case(
        "the list in another order in every answer", "middle", "once", "bills", kind, "quiet"
    )
    assert Runner(lambda _kind: fresh_url()).run(case)[1] == []
