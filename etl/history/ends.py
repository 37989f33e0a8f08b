"""Estimates of a stop that nobody saw, and the evidence that each rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from etl.history.codes import Codes
from etl.history.lengths import MeanLengths, expected_run_s, run_s_at
from etl.poll import Instant
from etl.resources.instances import Instance
from etl.units import STOPPED_ABNORMALLY

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
    if there is one, `lengths` how long booting and shutting down last.
    """

    before: Instance
    after: Instance
    a: Instant
    b: Instant
    start: Instant | None
    codes: Codes
    lengths: MeanLengths

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
        return stop_between(lo, self.b, (self.before, self.after), self.lengths.stopping_s, state)

    def stop_of_boot(self, start: Instant, lo: Instant, hi: Instant) -> End:
        """Estimate the end of a run that began at `start`, was not seen up, booted until `lo` at least,
        and was over by `hi`.

        It counts for nothing if it never came up, so the estimate is a mean: what is off the same way for
        every failed boot of a day would add up.
        """
        if hi == self.b and self.after.status == STOPPED_ABNORMALLY:
            return End(start)  # its boot failed
        boot_s, booting_s = self.lengths.boot_s, lo - start
        end = self.stop(lo) if hi == self.b else stop_between(lo, hi, (self.before, self.after))
        if end.by != "middle":
            return End(start + run_s_at(end.at - start, booting_s, boot_s), end.by)
        # the middle halves the time up to the last moment at which it can have stopped
        latest = lo + 2 * (end.at - lo)
        return End(start + expected_run_s(booting_s, latest - start, boot_s), "middle")

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
