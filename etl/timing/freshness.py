"""Judge whether an account is fresh: the one rule of health, status, metrics and pings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from statistics import median
from typing import Final

from etl.errors import UNFIT_KEY, ErrorKind
from etl.texts import tr
from etl.timing.cadence import duration

FRESH_INTERVALS: Final = 3
"""Number of intervals for which a complete poll keeps an account fresh."""
# who polls every few seconds is not blind after one slow answer
SHORTEST_FRESH_S: Final = 60.0
FUTURE_S: Final = 60.0
"""Seconds by which a poll may be ahead: further, it is impossible, and no sign of life."""
READINGS: Final = 3
"""Number of newest readings of the source's clock that count: one may be wrong, and older ones are of
another time."""
FUTURE_ADVICE: Final = tr(
    "see that this machine's clock is right (NTP), then: chenyu-etl db repair-clock"
)
BLINDING: Final = UNFIT_KEY | {ErrorKind.CLOCK, ErrorKind.STALE}
"""Kinds of errors after which nothing more is seen until something changes: a person must act."""


def newest_readings(offsets: Iterable[float | None]) -> list[float]:
    """Return the newest readings of the source's clock. `offsets` are of polls, newest first, None
    if one measured none.
    """
    return list(islice((offset for offset in offsets if offset is not None), READINGS))


def usual_offset_s(offsets: Iterable[float | None]) -> float:
    """Return the source's clock minus the local one by its newest readings: a single wrong one does
    not count.
    """
    newest = newest_readings(offsets)
    # without a reading the local clock is all there is
    return median(newest) if newest else 0.0


def limit_s(gap_s: float) -> float:
    """Return how old the newest complete poll may be if polls are `gap_s` seconds apart."""
    return max(gap_s * FRESH_INTERVALS, SHORTEST_FRESH_S)


def why_stale(
    complete_at: float | None, now: float, limit: float, error_kind: str | None = None
) -> str | None:
    """Return why an account is not fresh, in words, or None if it is.

    `complete_at`: its newest complete poll, on the local clock. `error_kind`: that of its newest
    attempt, None if that went well.
    """
    # before the age: a refused key stays refused, so the account is blind from now on
    if error_kind in BLINDING:
        return tr("the newest poll was refused ({error_kind})", error_kind=error_kind)
    if complete_at is None:
        return tr("there was no complete poll yet")
    age_s = now - complete_at
    # a poll from the future would stay "fresh" until its time has come
    if age_s < -FUTURE_S:
        return tr(
            "the newest complete poll is {duration} in the future", duration=duration(round(-age_s))
        )
    if age_s > limit:
        return tr("the newest complete poll is {duration} old", duration=duration(round(age_s)))
    return None
