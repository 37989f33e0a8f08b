"""Notice that the wall clock was set. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ClockSteps:
    """Compares the wall clock with the monotonic one, which nobody can set.

    `drift_s` is the difference of the two at the last look, seconds.
    """

    drift_s: float

    def step_s(self, wall_s: float, monotonic_s: float) -> float:
        """Seconds by which the wall clock was set since the last look; negative if set back.

        A suspend counts as a step forward: the monotonic clock of Linux stands still meanwhile.
        """
        before, self.drift_s = self.drift_s, wall_s - monotonic_s
        return self.drift_s - before
