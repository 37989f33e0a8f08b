"""Which start_time and create_time can be believed. Pure."""

from __future__ import annotations

from typing import Final

from etl.poll import DRIFT, Instant
from etl.resources.instances import Instance
from etl.resources.values import FIRST_INSTANT

SAME_START_S: Final = 5
"""Seconds by which a start may be later than the last one and be the same, computed anew: sources that
subtract an uptime from their clock move it by rounding and by the clock's drift, a second or two
between polls. A machine takes longer than this to stop and to start again."""


def believed_start(facts: Instance, last: Instant | None, b: Instant) -> Instant | None:
    """Return `start_time` if it is plausible, else None (unknown)."""
    start = facts.start_time
    if start is None or start < FIRST_INSTANT or start > b:
        return None
    # before the creation nothing can have run: the source is wrong
    if facts.create_time is not None and start < facts.create_time:
        return None
    # a start cannot move back: an older one is a stale listing, or a clock that was wrong
    return None if last is not None and start < last else start


def is_same_start(
    start: Instant | None, last: Instant | None, a: Instant, b: Instant, *, is_down: bool
) -> bool:
    """Return whether a believed start is no news, but the last one computed anew.

    One after `a` may be the only trace of a run that went unseen, so of an instance that is down it is news.
    """
    if start is None or last is None:
        return False
    if start > a:
        # of one that runs, a restart within seconds is lost:
        # its minimum is too high by those at most
        return start - last <= (0 if is_down else SAME_START_S)
    # a clock that an uptime is subtracted from drifts with the time between
    return start - last <= SAME_START_S + (b - a) * DRIFT


def since_creation(a: Instant, facts: Instance, b: Instant) -> Instant:
    """Return the later of `a` and the creation: nothing runs before it. A `create_time` after `b` is
    none."""
    created = facts.create_time
    return created if created is not None and a < created <= b else a
