"""Find dates for polls that were dated in the future, or before what they list was created, by the
order in which they were made. Pure.

The content of such a poll is true, only its instants are not. If it measured the source's clock, and the
clock of this machine was right, its time is known to the second. Else it was made after the attempt
before it and before the one after it, and no more is known.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from etl.poll import APPLIED, Instant
from etl.timing.freshness import FUTURE_S
from etl.units import HOUR_S

LEAP_SLACK_S: Final = 60
"""By so much clocks of a source and of this machine may differ without being wrong."""


class DatedRun(NamedTuple):
    """An attempt, as its row of `sync_run` dates it."""

    run_id: int
    outcome: str
    started_at: Instant
    finished_at: Instant
    clock_offset_s: float | None


class NewDate(NamedTuple):
    """New instants of an attempt. If not `is_exact`, it was made at some moment between
    them."""

    run: DatedRun
    started_at: Instant
    finished_at: Instant
    is_exact: bool

    @property
    def is_applied(self) -> bool:
        return self.run.outcome in APPLIED


def in_future(runs: Sequence[DatedRun], now: Instant) -> list[DatedRun]:
    """Return the attempts that ended after `now`, by the source's clock, and cannot have."""
    return [run for run in runs if run.finished_at > now + FUTURE_S]


class Misdated(NamedTuple):
    """Polls whose date lies before the creation of what they list: those from `first` to `last` in the
    order of their making. The next one, made at `until`, is right.
    """

    first: int
    last: int
    until: Instant


def before_creation(
    runs: Sequence[DatedRun], births: Sequence[tuple[Instant, Instant]], now: Instant
) -> Misdated | None:
    """Return the applied polls that a clock dated into the past, None if nothing proves it.

    `births` are pairs: when an instance was first listed, and when it was created, which is later. If
    the clock was behind by so much, the dates leap by as much or more when it is right again. Without
    that leap it is the creation that is wrong, as from a source that writes local time.
    """
    ends = [run.finished_at for run in runs]
    for listed_at, created_at in births:
        behind_s = created_at - listed_at - LEAP_SLACK_S
        first = last = bisect_left(ends, listed_at)
        while behind_s > 0 and last < len(runs) and ends[last] < created_at:
            until = runs[last + 1].started_at if last + 1 < len(runs) else now
            if until - ends[last] >= behind_s and until >= created_at - LEAP_SLACK_S:
                # right after its beginning a history has one clock, whatever its first polls list
                is_early = runs[first].started_at - runs[0].started_at <= HOUR_S
                return Misdated(0 if is_early else first, last, until)
            last += 1
    return None


def new_dates(
    runs: Sequence[DatedRun], *, after: Instant, now: Instant, offset_s: float
) -> list[NewDate]:
    """Return new dates of attempts in the order in which they were made: all of them later than
    `after`, and not later than `now`, but for the seconds that keep them apart.
    """
    low, dates = after, list[NewDate]()
    for run in runs:
        date = _by_local_clock(run, offset_s)
        # both clocks may have been wrong: then only the order is left
        if date is None or not low < date.started_at <= date.finished_at <= now + FUTURE_S:
            # a second later at least: polls are told apart by their starts
            date = NewDate(run, low + 1, now, False)
        dates.append(date)
        low = date.started_at
    return list(_with_ends(dates, now))


def _by_local_clock(run: DatedRun, offset_s: float) -> NewDate | None:
    # an attempt that failed wrote nothing whose time matters
    if run.clock_offset_s is None or run.outcome not in APPLIED:
        return None
    ahead_s = run.clock_offset_s - offset_s
    # rounded outwards: a start may be early and an end late, never the other way
    starts, ends = run.started_at - math.ceil(ahead_s), run.finished_at - math.floor(ahead_s)
    return NewDate(run, starts, ends, True)


def _with_ends(dates: Sequence[NewDate], now: Instant) -> Iterator[NewDate]:
    """Let each end before the one after it does, and a second after the one before it at least."""
    high, ends = now + 1, list[Instant]()
    for date in reversed(dates):
        high = min(date.finished_at, high - 1)
        ends.append(high)
    last = -math.inf
    for date, end in zip(dates, reversed(ends), strict=True):
        # it listed nothing, so it has no length
        if not date.is_applied:
            end = date.started_at
        else:
            end = int(max(end, date.started_at, last + 1))
            last = end
        yield date._replace(finished_at=end)


@dataclass(frozen=True, slots=True)
class Redating:
    """New dates of the attempts of one account and resource, and of all that the applied ones
    wrote. `now` is on the source's clock; `until`, for dates in the past, is the first moment that is
    right again.
    """

    dates: Sequence[NewDate]
    now: Instant
    until: Instant | None = None

    @property
    def latest(self) -> Instant:
        """Return the moment after which nothing can lie."""
        return math.floor(self.now + FUTURE_S)

    @property
    def earliest(self) -> Instant:
        """Return a moment after which instants of these polls lie."""
        return min(date.run.started_at for date in self.dates) - 1

    @property
    def applied(self) -> list[NewDate]:
        return [date for date in self.dates if date.is_applied]

    def start(self, instant: Instant) -> Instant:
        """Return the new value of the start of a poll; other instants stay."""
        applied = self.applied
        starts = [date.run.started_at for date in applied]
        # an instant of the past is of another poll, unless it is the start of one of these
        if instant not in starts and not self._is_wrong(instant):
            return instant
        at = max(0, bisect_right(starts, instant) - 1)
        return applied[at].started_at if applied else instant

    def end(self, instant: Instant) -> Instant:
        """Return the new value of the end of a poll, or of a moment right after it."""
        applied = self.applied
        if not self._is_wrong(instant) or not applied:
            return instant
        at = max(0, bisect_right([date.run.finished_at for date in applied], instant) - 1)
        # versions that begin in one second are kept a second apart:
        # they stay so, as long as there is room
        later = max(0, instant - applied[at].run.finished_at)
        room = applied[at + 1].finished_at - 1 if at + 1 < len(applied) else math.inf
        return int(min(applied[at].finished_at + later, room))

    def _is_wrong(self, instant: Instant) -> bool:
        if self.until is None:
            return instant > self.now + FUTURE_S
        return self.earliest < instant < self.until

    def archived(self, started_at: Instant) -> NewDate | None:
        """Return the new date of the archived poll that began at a moment."""
        return next((d for d in self.applied if d.run.started_at == started_at), None)
