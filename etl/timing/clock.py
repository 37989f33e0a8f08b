"""Detect steps of the wall clock, and keep track of the source's clock across them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ClockSteps:
    """Detector of steps of the wall clock, by the monotonic clock, which cannot be set.

    `drift_s` is the difference of the two at the last look, seconds.
    """

    drift_s: float

    def step_s(self, wall_s: float, monotonic_s: float) -> float:
        """Return the seconds by which the wall clock was set since the last look; negative if set
        back.

        A suspend counts as a step forward: the monotonic clock of Linux stands still meanwhile.
        """
        # only a change matters: the two clocks count from different moments
        before, self.drift_s = self.drift_s, wall_s - monotonic_s
        return self.drift_s - before


@dataclass(slots=True)
class SteadyOffset:
    """The source's clock as the monotonic clock of this process keeps it, whatever becomes of the wall
    clock. `source_minus_monotonic_s` is None until a poll has measured it."""

    source_minus_monotonic_s: float | None = None

    def learn(self, offset_s: float, wall_s: float, monotonic_s: float) -> None:
        """Keep a measured difference of the source's clock and the wall clock."""
        # held against the clock that nobody sets, so that it survives a step of the wall clock
        self.source_minus_monotonic_s = offset_s + wall_s - monotonic_s

    def offset_s(self, wall_s: float, monotonic_s: float) -> float | None:
        """Return the source's clock minus the wall clock as it should be now; None if never
        measured.
        """
        if self.source_minus_monotonic_s is None:
            return None
        return self.source_minus_monotonic_s + monotonic_s - wall_s
