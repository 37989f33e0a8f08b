"""Behaviour of the server: as documented, or as real ones behave on bad days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

ANY: Final = 0
"""Stands for every page where a page number is asked for."""
Cut = Literal["", "truncate", "reset"]
Times = int | None
"""So many times more, None: for ever."""


@dataclass(slots=True)
class Fail:
    """A failing answer, `times` times more (None: for ever)."""

    status: int = 500
    code: int | str = 500
    msg: str = "system busy"
    times: Times = None


FAULTS: Final[tuple[Fail | Cut, ...]] = (
    Fail(500, 500, "system busy"),
    Fail(502, 502, "bad gateway"),
    Fail(429, 429, "too many requests"),
    # the source answers HTTP 200 to failures as well: only the envelope says so
    Fail(200, 429, "too many requests"),
    "truncate",
    "reset",
)


@dataclass(slots=True)
class Behaviour:
    """Behaviour of a server or a path, changeable while the server runs. Dictionaries are by page
    number, `ANY` for every page.

    Paging: `ignore_paging` (everything on every page), `cap` of the page size, `omit_total`,
    `total` shown instead, `null_when_empty` (list), `repeat_page` (that page whatever is asked),
    `before_page(number)` called before a page is made: events between two pages.
    Transport: `fail`, `truncate` (half a body, then closed), `reset` (closed without an answer),
    `stall` (seconds before the answer), `bodies` (these bytes instead), `latency_s`,
    `retry_after` (header of every 429 and 503), `redirect` (URL that all requests are sent to).
    Clock: `no_date`, `clock_off_s` (`Date` is wrong by). `fault_rate`: that share of the
    answers is one of `FAULTS`, decided by `fault_seed`, page and how often it was asked for.
    """

    ignore_paging: bool = False
    cap: int | None = None
    omit_total: bool = False
    total: int | str | None = None
    null_when_empty: bool = False
    repeat_page: int | None = None
    before_page: Callable[[int], object] | None = None
    fail: dict[int, Fail] = field(default_factory=dict)
    truncate: dict[int, Times] = field(default_factory=dict)
    reset: dict[int, Times] = field(default_factory=dict)
    stall: dict[int, float] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    latency_s: float = 0.0
    retry_after: str | None = None
    redirect: str | None = None
    no_date: bool = False
    clock_off_s: float = 0.0
    fault_rate: float = 0.0
    fault_seed: int = 0
    _requests: Counter[int] = field(default_factory=Counter, init=False, repr=False)

    def pause_s(self, page: int) -> float:
        """Return how long an answer takes, in seconds."""
        return self.latency_s + self.stall.get(page, self.stall.get(ANY, 0.0))

    def trouble(self, page: int) -> Fail | Cut:
        """Return the fault of this request of a page, the empty text if there is none."""
        # the page itself first: a fault of all pages must not use up that of one
        for number in (page, ANY):
            fail = self.fail.get(number)
            if fail is not None and fail.times != 0:
                fail.times = _one_less(fail.times)
                return fail
            if _takes_effect(self.reset, number):
                return "reset"
            if _takes_effect(self.truncate, number):
                return "truncate"
        return self._fault(page) if self.fault_rate else ""

    def asks_for(self, number: int, page_size: int) -> tuple[int, int]:
        """Return the page and page size that are served for those asked for."""
        if self.ignore_paging:
            # the published page contradicts itself: a server may take no parameters at all
            return 1, 2**31
        size = page_size if self.cap is None else min(page_size, self.cap)
        return number if self.repeat_page is None else self.repeat_page, size

    @property
    def retells(self) -> bool:
        """Tell whether a listing is altered before it is sent."""
        return self.omit_total or self.total is not None or self.null_when_empty

    def _fault(self, page: int) -> Fail | Cut:
        self._requests[page] += 1
        # by page and try, not by time: pages are asked for at once, in any order, and a test must repeat
        dice = Random(f"{self.fault_seed}/{page}/{self._requests[page]}")
        return dice.choice(FAULTS) if dice.random() < self.fault_rate else ""


def _takes_effect(times: dict[int, Times], page: int) -> bool:
    left = times.get(page, 0)
    if left != 0:
        times[page] = _one_less(left)
    return left != 0


def _one_less(times: Times) -> Times:
    return None if times is None else times - 1
