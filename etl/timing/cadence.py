"""Intervals between polls, and their stretching after failures. Pure.

A `Cadence` is the setting of the operator. A `Pace` stretches it after failures and while the source
limits the rate, and recovers by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from etl.errors import SettingsError
from etl.texts import tr
from etl.units import DAY_S, HOUR_S

# polls that share a second of the source's clock cannot be told apart
SHORTEST_S: Final = 1
LONGEST_S: Final = 31 * DAY_S
LONGEST_BACKOFF_S: Final = HOUR_S
"""The longest interval after failures; one that is longer by itself stays as it is."""
LONGEST_OUTAGE_BACKOFF_S: Final = 300
"""The longest interval while the source is away: that passes without anybody's doing, and one poll in
five minutes is no burden to a source that comes back."""
LONGEST_STRETCH: Final = 16
"""The largest factor by which a limited rate stretches an interval."""
HEALED_IN_A_ROW: Final = 3
"""Number of polls in a row, limited and whole all the same, that shows that the interval is too
short."""
_UNITS: Final = {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S}


@dataclass(frozen=True, slots=True)
class Cadence:
    """An interval, or a cron expression of five fields, or neither: not polled."""

    every_s: int = 0
    cron: str = ""

    @property
    def is_off(self) -> bool:
        return not (self.every_s or self.cron)

    def __str__(self) -> str:
        return self.cron or (f"every {duration(self.every_s)}" if self.every_s else "off")


def read_cadence(value: object, setting: str) -> Cadence:
    """Read `2m`, `90s`, seconds as a number, `off`, or `*/5 8-20 * * 1-5`.

    The fields of a cron expression are checked when they are scheduled. Raises `SettingsError`.
    """
    # yes and no are ints in Python: `true` is no interval of a second
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value}s"
    text = value.strip() if isinstance(value, str) else ""
    if text == "off":
        return Cadence()
    if len(text.split()) == 5:
        return Cadence(cron=" ".join(text.split()))
    interval = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    every_s = int(interval[1]) * _UNITS[interval[2]] if interval else 0
    if not SHORTEST_S <= every_s <= LONGEST_S:
        raise SettingsError(
            tr("{setting} is neither an interval nor a cron expression", setting=setting),
            advice=tr("write 30s, 2m, 1h or 1d (31 days at most), five fields as in cron, or off"),
        )
    return Cadence(every_s)


def duration(seconds: float) -> str:
    """Write seconds for people: `90 s`, `2 min`, `1.5 h`."""
    for unit, size in (("h", HOUR_S), ("min", 60)):
        if seconds >= size and (seconds % size == 0 or seconds >= 2 * size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


@dataclass(slots=True)
class Pace:
    """Pace of one resource of one account: when its next poll may begin.

    Times are on the monotonic clock, seconds. The second failure in a row waits two intervals, the
    third four, up to an hour, or five minutes while the source is away. A limited rate doubles the
    interval, then doubles it again; each clean poll halves that. A limited answer that a retry healed
    cost nothing and does not count, unless poll after poll meets one.
    """

    failures: int = 0
    stretch: int = 1
    healed: int = 0
    not_before: float = float("-inf")

    def is_due(self, at: float) -> bool:
        return at >= self.not_before

    @property
    def is_failing(self) -> bool:
        """Tell whether failures alone hold it back, and no limited rate."""
        return self.failures > 0 and self.stretch == 1

    def recovers(self) -> None:
        """Forget the failures: somebody may have mended them. A limited rate stays."""
        self.failures = 0
        # a limited rate is the source's wish, and holds whatever somebody mended here
        if self.stretch == 1:
            self.not_before = float("-inf")

    def after_poll(
        self,
        at: float,
        every_s: float,
        *,
        failed: bool,
        limited: bool,
        whole: bool = False,
        away: bool = False,
    ) -> float:
        """Return the seconds from `at`, when this poll began, until the next one is due.

        More than `every_s` if polls are held back. `limited`: the source said that it was asked too
        often; `whole`: the poll came whole all the same; `away`: it failed as the source was out of
        reach.
        """
        self.failures = self.failures + 1 if failed else 0
        self.healed = self.healed + 1 if limited and whole else 0
        # a limit that a retry healed cost nothing, unless poll after poll meets it
        if limited and (not whole or self.healed >= HEALED_IN_A_ROW):
            self.stretch = min(self.stretch * 2, LONGEST_STRETCH)
        elif not (failed or limited):
            self.stretch = max(1, self.stretch // 2)
        wait_s = max(every_s * self.stretch, self._backoff_s(every_s, away))
        # half an interval of grace: the tick that is meant may come a little early
        self.not_before = at + wait_s - every_s / 2 if wait_s > every_s else float("-inf")
        return wait_s

    def rests(self, at: float, for_s: float) -> None:
        """Hold polls back for that long after the one that began `at`."""
        self.not_before = at + for_s

    def _backoff_s(self, every_s: float, away: bool) -> float:
        # 30: an outage of months must not overflow
        doubled = every_s * float(2 ** min(max(self.failures - 1, 0), 30))
        # an outage ends by itself: after it nobody should wait an hour for the next poll
        longest = LONGEST_OUTAGE_BACKOFF_S if away else LONGEST_BACKOFF_S
        return max(every_s, min(doubled, longest))
