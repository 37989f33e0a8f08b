"""Cases of the fault matrix: a fault × where × how often × resource × database × fleet."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from etl.errors import ErrorKind
from etl.resources import RESOURCES
from tests.faults import BY_NAME, COLLECTED, FAULTS
from tests.faulty_cloud import ALWAYS

PLACES = ("first", "middle", "last", "every")
TIMES = {"once": 1, "three times": 3, "always": ALWAYS}
FLEETS = ("quiet", "lively")
KINDS = ("sqlite", "postgres")


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    fault: str
    place: str
    times: str
    resource: str
    kind: str
    fleet: str

    def __str__(self) -> str:
        return ", ".join((self.fault, self.place, self.times, self.resource, self.kind, self.fleet))

    @property
    def is_paged(self) -> bool:
        return RESOURCES[self.resource].paged

    @property
    def is_at_first(self) -> bool:
        return self.place in ("first", "every")

    @property
    def can_be(self) -> bool:
        """A listing of one page has no other place than the first."""
        resources = BY_NAME[self.fault].resources
        if resources is not None and self.resource not in resources:
            return False
        return self.is_paged or self.is_at_first


def expected(case: Case) -> tuple[str, int, ErrorKind | None] | None:
    """Outcome, exit code and kind of failure of the first poll that meets a fault; None: any that is
    consistent."""
    fault = BY_NAME[case.fault]
    # the front of a window that ends early is followed by a reading of everything
    is_front = RESOURCES[case.resource].keeping == "window"
    if fault.harmless:
        return "complete", 0, None
    if fault.kind is None or (is_front and not case.is_at_first):
        return None
    if case.place == "every" and case.is_paged and case.times == "three times" != fault.needed:
        return None
    if TIMES[case.times] < fault.needed:
        return "complete", 0, None
    kind, is_optional = fault.kind, RESOURCES[case.resource].is_optional
    if kind in (ErrorKind.KEY_REFUSED, ErrorKind.FORBIDDEN):
        # instances are listed by the same key: it lacks a permission
        return ("failed", 0, ErrorKind.FORBIDDEN) if is_optional else ("failed", 4, kind)
    if not (case.is_at_first or not case.is_paged):
        return "partial", 3, None
    is_absent = kind in (ErrorKind.CHANGED, ErrorKind.MISSING)
    return "failed", 0 if is_optional and is_absent else 5, kind


def pairwise(values: Sequence[Sequence[str]], seed: int = 0) -> list[Case]:
    """Cases in which every two values of different dimensions meet, as far as they can: greedily, the
    case that brings the most new pairs of some drawn at random."""
    dice = Random(seed)
    left = {
        pair
        for (a, some), (b, others) in itertools.combinations(enumerate(values), 2)
        for pair in itertools.product(((a, v) for v in some), ((b, v) for v in others))
    }
    cases, misses = [], 0
    while left and misses < 200:
        (a, one), (b, other) = next(iter(sorted(left))) if misses % 2 else dice.choice(sorted(left))
        drawn = []
        for _ in range(30):
            picked = [dice.choice(some) for some in values]
            picked[a], picked[b] = one, other
            case = Case(*picked)
            if case.can_be:
                drawn.append((len(left & _pairs(picked)), str(case), picked))
        if not drawn:
            left.discard(((a, one), (b, other)))
            continue
        gain, _, picked = max(drawn)
        misses = 0 if gain else misses + 1
        left -= _pairs(picked)
        cases.append(Case(*picked))
    return cases


def _pairs(picked: Sequence[str]) -> set[Any]:
    return set(itertools.combinations(enumerate(picked), 2))


def all_cases(seed: int, *, whole: bool) -> list[Case]:
    """The pairwise cases, and (`whole`) all places and times of each fault with instances."""
    names = [fault.name for fault in FAULTS]
    found = pairwise([names, PLACES, list(TIMES), COLLECTED, KINDS, FLEETS], seed)
    for fault, place, times in itertools.product(names if whole else (), PLACES, TIMES):
        found.append(Case(fault, place, times, "instances", "sqlite", "lively"))
    possible, met = [case for case in dict.fromkeys(found) if case.can_be], Counter[str]()
    # each fault once, then each once more: a run that is ended early has met all of them
    return sorted(possible, key=lambda case: met.update([case.fault]) or met[case.fault])


def quick_cases() -> list[Case]:
    """Each fault on every page, then on one page, for ever and once, on SQLite."""
    rounds = (("every", "always"), ("middle", "always"), ("middle", "once"))
    found = []
    for (place, times), fault in itertools.product(rounds, FAULTS):
        resource = (fault.resources or ("instances",))[0]
        found.append(Case(fault.name, place, times, resource, "sqlite", "lively"))
    return found
