"""Instants of a poll on the source's clock, and the check that they can be believed. Pure.

Each answer's `Date` confines the source's clock minus the local one (the offset) to an interval as
wide as the request took, and a second. Why a reading is believed or not, and why both instants are
wider than the readings, stands in `docs/design.md`, "Instants".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from etl.errors import ClockUnsure
from etl.history.days import iso
from etl.poll import DRIFT, SKEW_S, ClockMemory, Instant
from etl.texts import tr

if TYPE_CHECKING:
    from etl.source.answers import Answer

NEAR_S: Final = 60
"""A reading that differs from the ones before by up to this widens the instants; beyond, it is not
believed alone."""
CONFIRMED_AFTER_S: Final = 10
"""Seconds after which a second reading may confirm the first: a cached `Date` would differ from it by
then."""
LARGEST_OFFSET_S: Final = 999_999_999
"""The largest offset that the database can hold: beyond it the local clock is decades off."""
ADVICE: Final = tr(
    "see that this machine's clock is right (NTP); what another poll reads alike, "
    "{confirmed_after_s} s later or more, is believed",
    confirmed_after_s=CONFIRMED_AFTER_S,
)


@dataclass(frozen=True, slots=True)
class Instants:
    """Both instants of a poll, the measured offset (None if no answer had a date), and notes."""

    started_at: Instant
    finished_at: Instant
    offset_s: float | None
    notes: tuple[str, ...] = ()


class _Interval(NamedTuple):
    lo: float
    hi: float

    @property
    def middle(self) -> float:
        return (self.lo + self.hi) / 2

    def is_near(self, offset_s: float, by_s: float) -> bool:
        return self.lo - by_s <= offset_s <= self.hi + by_s


class ClockReadings:
    """Instants of answers on the local clock, with the offsets that their dates allow."""

    def __init__(self) -> None:
        self._first_sent_at = math.inf
        self._last_received_at = -math.inf
        self._readings: list[_Interval] = []

    def add(self, answer: Answer) -> None:
        self._first_sent_at = min(self._first_sent_at, answer.sent_at)
        self._last_received_at = max(self._last_received_at, answer.received_at)
        if answer.date is not None:
            self._readings.append(
                # a `Date` has lost its fraction: the true time lies in the second that follows
                _Interval(answer.date - answer.received_at, answer.date + 1 - answer.sent_at)
            )

    def source_time(self, local: float) -> float:
        """Return a time not later than the source's clock at `local`; minus infinity if unknown."""
        return local + _common(self._readings).lo - SKEW_S if self._readings else -math.inf

    def instants(self, memory: ClockMemory) -> Instants:
        """Return both instants. Raises `ClockUnsure` if the readings agree with nothing known
        before.
        """
        # before the first poll the local clock is all that is known
        known = memory.offsets or (0.0,)
        by_s = NEAR_S + DRIFT * self._since(memory)
        # one that agrees is enough: between those polls a clock may have been set
        believed = [r for r in self._readings if any(r.is_near(k, by_s) for k in known)]
        if not self._readings:
            return self._within(
                _widened_by_known(_Interval(known[0], known[0]), known, by_s), memory
            )
        if not believed:
            return self._judged(memory, known, by_s)
        strange = len(self._readings) - len(believed)
        notes = (f"{strange} answers had a wrong date",) if strange else ()
        seen = _common(believed)
        return self._within(_widened_by_known(seen, known, by_s), memory, seen.middle, notes)

    def _since(self, memory: ClockMemory) -> float:
        """Return the seconds since the last poll by the local clock; not negative."""
        if memory.started_at is None or not memory.offsets:
            return 0.0
        return max(0.0, self._first_sent_at + memory.offsets[0] - memory.started_at)

    def _judged(self, memory: ClockMemory, known: Sequence[float], by_s: float) -> Instants:
        """Return the instants by readings that agree with nothing except, at best, the refused
        reading.
        """
        seen, refused = _common(self._readings), memory.refused
        if refused is not None:
            # `at` is by the earlier of two clocks; here it is taken back to the local one
            refused_at = refused.at - min(refused.offset_s, memory.offset_s)
            waited_s = self._first_sent_at - refused_at
            passed_s = waited_s + seen.middle - refused.offset_s  # by the source's dates
            if waited_s >= CONFIRMED_AFTER_S and abs(passed_s) < SKEW_S:
                note = tr("the source's date stands still: it says nothing")
                kept = _widened_by_known(_Interval(known[0], known[0]), known, by_s)
                return self._within(kept, memory, notes=(note,))
            is_same = seen.is_near(refused.offset_s, SKEW_S + DRIFT * abs(waited_s))
            # an equal reading some time later, by other requests: the clock was really set
            if waited_s >= CONFIRMED_AFTER_S and is_same:
                note = tr(
                    "the source's clock minus this machine's is {middle:.0f} s now",
                    middle=seen.middle,
                )
                return self._within(seen, memory, seen.middle, (note,))
        raise self._unsure(memory, seen.middle)

    def _unsure(self, memory: ClockMemory, offset_s: float) -> ClockUnsure:
        # for the message: by which clock it is what time, since only a person can tell who is right
        source_at = math.floor(self._first_sent_at + offset_s)
        expected_at = math.floor(self._first_sent_at + memory.offset_s)
        ours = (
            tr("this machine's clock")
            if not memory.offsets
            else tr("the polls before and this machine")
        )
        return ClockUnsure(
            tr(
                "the source says that it is {source_at}, by {ours} it is {expected_at}: one of "
                "the clocks is wrong",
                source_at=iso(source_at),
                ours=ours,
                expected_at=iso(expected_at),
            ),
            advice=ADVICE,
            # kept, so that a later poll that reads the same can confirm it
            offset_s=round(offset_s, 3) if abs(offset_s) <= LARGEST_OFFSET_S else None,
            at=min(source_at, expected_at),
        )

    def _within(
        self,
        offset: _Interval,
        memory: ClockMemory,
        measured_s: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> Instants:
        # wider by the skew: the source has several clocks, and any may have dated its facts
        earliest = math.floor(self._first_sent_at + offset.lo - SKEW_S)
        latest = math.floor(self._first_sent_at + offset.hi + SKEW_S)
        if memory.started_at is not None and earliest <= memory.started_at < latest:
            earliest = memory.started_at + 1  # this poll was surely made after that one
        finished_at = math.ceil(self._last_received_at + offset.hi + SKEW_S)
        return Instants(
            earliest,
            max(earliest, finished_at),
            None if measured_s is None else round(measured_s, 3),
            notes,
        )


def _common(readings: Sequence[_Interval]) -> _Interval:
    """Combine readings: the offsets that all of them allow, or that any allows if they differ by
    more than the source's clocks may.
    """
    # all answers are of one poll: what all of them allow is the narrowest truth
    lo, hi = max(r.lo for r in readings), min(r.hi for r in readings)
    if lo - SKEW_S <= hi + SKEW_S:
        return _Interval(min(lo, hi), max(lo, hi))
    return _Interval(min(r.lo for r in readings), max(r.hi for r in readings))


def _widened_by_known(seen: _Interval, known: Sequence[float], by_s: float) -> _Interval:
    """Widen a reading by the known ones near it, even those beyond the skew: which of them is right
    cannot be decided.
    """
    lo, hi = seen
    for k in sorted(known, key=lambda k: max(seen.lo - k, k - seen.hi)):
        if lo - by_s <= k <= hi + by_s and not seen.is_near(k, SKEW_S):
            lo, hi = min(lo, k), max(hi, k)
    return _Interval(lo, hi)
