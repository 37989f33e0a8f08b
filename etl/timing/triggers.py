"""Due times of polls, in UTC: on a grid of intervals, or by a cron expression in a time zone. Pure.

Times are seconds since 1970. Both kinds depend on nothing but the clock's reading: daemons on
several machines tick at the same moments, a restart keeps the rhythm, and after a clock was set
they only need to be asked again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from etl.units import DAY_S

Following = Callable[[datetime], datetime | None]
"""The first fire at or after a naive time of the wall clock, given and returned as if it were UTC."""

SPREAD: Final = 0.5
"""Share of an interval over which the ticks of accounts are spread, a minute at most."""
LONGEST_SPREAD_S: Final = 60.0
SHIFT: Final = timedelta(hours=3)
"""More than any time zone sets its clocks by, but for a few that changed the date."""
MOST_COUNTED: Final = 1_000
"""Ticks of a cron expression that are counted at most: each has to be computed."""
# an hour, a day, a month, a year, and four years for the 29th of February
LOOK_BACK: Final = tuple(timedelta(days=days) for days in (1 / 24, 1, 32, 370, 1500))


class Trigger(Protocol):
    def following(self, at: float) -> float | None:
        """Return the first tick after `at`."""

    def latest(self, at: float) -> float:
        """Return the newest tick not after `at`; `at` itself if there never was one."""

    def gap_s(self, at: float) -> float:
        """Return the seconds between the ticks around `at`."""

    def count(self, after: float, before: float) -> int:
        """Count the ticks between two moments, both excluded, up to `MOST_COUNTED` if it takes long."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Ticks every `every_s` seconds, `phase_s` after the full multiples.

    Both are whole seconds, so that no rounding makes two ticks of one.
    """

    every_s: int
    phase_s: int = 0

    def following(self, at: float) -> float:
        return self.latest(at) + self.every_s

    def latest(self, at: float) -> float:
        # counted from 1970, not from the last tick: no delay adds up, and no memory is needed
        return floor((at - self.phase_s) / self.every_s) * self.every_s + self.phase_s

    def gap_s(self, at: float) -> float:
        return self.every_s

    def count(self, after: float, before: float) -> int:
        last = ceil((before - self.phase_s) / self.every_s) - 1
        return max(0, last - floor((after - self.phase_s) / self.every_s))


def grid(every_s: int, account: str) -> Grid:
    """Build an account's grid: the same in every process, other than its neighbours'."""
    # by a hash, not at random: a restart and a second daemon must hit the same moments
    share = int.from_bytes(hashlib.sha256(account.encode()).digest()[:4]) / 2**32
    return Grid(every_s, int(share * min(every_s * SPREAD, LONGEST_SPREAD_S)))


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks at the wall-clock times of a cron expression, each once.

    A time that the clock skips in spring comes by as much later; one that it shows twice in autumn
    comes the first time only. An expression of every hour goes on through both.
    """

    fires: Following
    zone: ZoneInfo
    is_hourly: bool

    def following(self, at: float) -> float | None:
        after = datetime.fromtimestamp(at, UTC)
        start = after if self._is_steady(after - SHIFT, after + SHIFT) else after - SHIFT
        best: datetime | None = None
        for wall in self._walls(start.astimezone(self.zone).replace(tzinfo=UTC)):
            instants = [i for i in self._instants(wall) if i > after]
            if instants and (best is None or instants[0] < best):
                best = instants[0]
            # near a change of the clock a later time of the wall may be an earlier instant
            if best and (
                self._instants(wall)[0] > best + SHIFT
                or self._is_steady(best - SHIFT, best + SHIFT)
            ):
                break
        return None if best is None else best.timestamp()

    def latest(self, at: float) -> float:
        now = datetime.fromtimestamp(at, UTC)
        # a cron expression can only be asked forwards: the shortest look back mostly suffices
        for back in LOOK_BACK:
            tick = self.following((now - back).timestamp())
            newest = None
            while tick is not None and tick <= at:
                newest, tick = tick, self.following(tick)
            if newest is not None:
                return newest
        return at

    def gap_s(self, at: float) -> float:
        tick = self.following(at)
        return float(DAY_S) if tick is None else max(1.0, tick - min(self.latest(at), at))

    def count(self, after: float, before: float) -> int:
        counted, tick = 0, self.following(after)
        while tick is not None and tick < before and counted < MOST_COUNTED:
            counted, tick = counted + 1, self.following(tick)
        return counted

    def _is_steady(self, since: datetime, until: datetime) -> bool:
        """Tell whether the zone has the same offset at both instants."""
        return since.astimezone(self.zone).utcoffset() == until.astimezone(self.zone).utcoffset()

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        fire = self.fires(wall)
        while fire is not None:
            yield fire
            # it answers with a fire at the moment itself, so the
            # next one is asked for a second later
            fire = self.fires(fire + timedelta(seconds=1))

    def _instants(self, wall: datetime) -> list[datetime]:
        """Return the one or two instants at which the clock shows `wall`.

        A time that it skips counts by the old offset.
        """
        # fold tells the two passes of an hour in autumn apart
        first, second = (
            wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)
        )
        return [first, second] if self.is_hourly and second > first else [first]


_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def weekdays(field: str) -> str:
    """Spell the fifth field of a cron expression, 0 (Sunday) to 7 (Sunday), as names.

    APScheduler counts weekdays from Monday, cron from Sunday. Raises `ValueError`.
    """
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.lower().split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/([0-9]+))?", part)
        if match is None or match[3] == "0":
            raise ValueError(part)
        low = 0 if match[1] == "*" else _weekday(match[1])
        # `2/2` is every other day from Tuesday on
        high = _weekday(match[2]) if match[2] else 6 if match[1] == "*" or match[3] else low
        if high < low:
            raise ValueError(part)
        # 7 is Sunday as 0 is, also as the end of a range such as 5-7
        days |= {day % 7 for day in range(low, high + 1, int(match[3] or 1))}
    return ",".join(_WEEKDAYS[day] for day in sorted(days))


def _weekday(word: str) -> int:
    number = _WEEKDAYS.index(word) if word in _WEEKDAYS else int(word)
    if not 0 <= number <= 7:
        raise ValueError(word)
    return number


_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12))
_LONGEST_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def can_fire(cron: str) -> bool:
    """Tell whether a cron expression of five fields ever fires: `0 0 31 2 *` does not."""
    *fields, weekday = cron.split()
    try:
        weekdays(weekday)
        _, _, days, months = (_numbers(f, *r) for f, r in zip(fields, _RANGES, strict=True))
    except ValueError:
        return False
    # February has 29 here: a leap year will come
    return any(day <= _LONGEST_DAYS[month - 1] for day in days for month in months)


def _numbers(field: str, low: int, high: int) -> set[int]:
    """Return the numbers of a field; all of them if it is in words, which the scheduler judges."""
    numbers: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\*|[0-9]+)(?:-([0-9]+))?(?:/([0-9]+))?", part)
        if match is None:
            return set(range(low, high + 1))
        first = low if match[1] == "*" else int(match[1])
        is_open = match[1] == "*" or match[3]
        last = int(match[2]) if match[2] else high if is_open else first
        step = int(match[3] or 1)
        if not low <= first <= last <= high or not step:
            raise ValueError(part)
        numbers |= set(range(first, last + 1, step))
    return numbers
