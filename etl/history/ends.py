"""Estimates of a stop that nobody saw, and the evidence that each rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from etl.history.codes import Codes
from etl.poll import Instant
from etl.resources.instances import Instance

EndEvidence = Literal["exact", "timer", "settled", "status", "middle"]
"""Evidence of an estimated stop: the bounds meet (`exact`), a timer went off, the bill settles until
then, it was seen shutting down (`status`), or nothing but the two polls (`middle`)."""


class End(NamedTuple):
    """An estimated end; `by` is the evidence of a stop, None if no stop is estimated."""

    at: Instant
    by: EndEvidence | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two successive sightings: as `before` at `a`, as `after` at `b`. `start` is the new start_time
    if there is one, `stopping_s` how long shutting down lasts.
    """

    before: Instance
    after: Instance
    a: Instant
    b: Instant
    start: Instant | None
    codes: Codes
    stopping_s: int

    @property
    def is_up(self) -> bool:
        return self.codes.is_up(self.after.status)

    @property
    def is_booting(self) -> bool:
        return self.codes.is_booting(self.after.status)

    def stop(self, lo: Instant) -> End:
        """Estimate the stop in (lo, b] of an instance that is down at `b`."""
        # an unknown code says nothing of how far shutting down has got
        state = self.codes.states.get(self.after.status)
        return stop_between(lo, self.b, (self.before, self.after), self.stopping_s, state)

    def stop_before(self, lo: Instant, start: Instant) -> End:
        """Estimate the stop in (lo, start] of an instance that started again then."""
        # whoever starts again at once waits for nothing: to take its shutting down off made it worse
        return stop_between(lo, start, (self.before, self.after))


def middle(lo: Instant, hi: Instant) -> Instant:
    return lo + (hi - lo) // 2


def stop_between(
    lo: Instant,
    hi: Instant,
    timers: Iterable[Instance],
    stopping_s: int = 0,
    state: str | None = None,
) -> End:
    """Estimate an unseen stop in (lo, hi].

    `timers` are the facts that may name a timer, `state` is that of the instance at `hi`, and
    `stopping_s` how long shutting down lasts.
    """
    for facts in timers:
        # the platform stops an instance when its timer goes off: better than any guess
        timer = facts.shutdown_time
        if facts.shutdown_enabled and timer is not None and lo < timer <= hi:
            return End(timer, "timer")
    if state == "stopping":
        # it is seen at any moment of shutting down, so that on average half of it has passed
        return End(max(lo, hi - stopping_s // 2), "status")
    if state == "stopped":
        # it had shut down by then, so the stop lies in (lo, hi - stopping_s]
        hi = max(lo, hi - stopping_s)
    return End(middle(lo, hi), "middle")
