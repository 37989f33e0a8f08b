"""When a poll was, on the source's clock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from etl.units import DAY_S

if TYPE_CHECKING:
    from etl.source.client import Answer


class Span:
    """The instants of answers on the local clock, and what their dates say of the source's."""

    def __init__(self) -> None:
        self._first_sent_at = math.inf
        self._last_received_at = -math.inf
        self._lo, self._hi = -math.inf, math.inf

    def add(self, answer: Answer) -> None:
        self._first_sent_at = min(self._first_sent_at, answer.sent_at)
        self._last_received_at = max(self._last_received_at, answer.received_at)
        if answer.date is not None:
            self._lo = max(self._lo, answer.date - answer.received_at)
            self._hi = min(self._hi, answer.date + 1 - answer.sent_at)

    def instants(self) -> tuple[int, int, float | None, tuple[str, ...]]:
        """`started_at`, `finished_at`, `clock_offset_s` and notes, as `Poll` has them."""
        lo, hi, offset_s, notes = self._offset()
        started_at = math.floor(self._first_sent_at + lo)
        return started_at, max(started_at, math.ceil(self._last_received_at + hi)), offset_s, notes

    def source_time(self, local: float) -> float:
        """Not later than the source's clock at `local`; minus infinity where that is not known."""
        lo, _, offset_s, _ = self._offset()
        return -math.inf if offset_s is None else local + lo

    def _offset(self) -> tuple[float, float, float | None, tuple[str, ...]]:
        """The interval of (source clock - local clock), zero where it is not known."""
        if math.isinf(self._lo):
            return 0.0, 0.0, None, ()
        if self._lo > self._hi:
            note = (
                "the clock jumped during the poll, or the source's dates disagree: local clock used"
            )
            return 0.0, 0.0, None, (note,)
        middle = (self._lo + self._hi) / 2
        if abs(middle) > DAY_S:
            note = f"the source's clock is {middle:.0f} s off: local clock used"
            return 0.0, 0.0, None, (note,)
        return self._lo, self._hi, round(middle, 3), ()
