"""How long shutting down and booting last, learned from how often polls meet them. Pure.

A state that lasts L seconds is met by a poll with probability L / T if polls are T seconds apart.
So L is the number of sightings in that state, divided by the sum of 1 / T over all passages
through it, met or not. Until much is seen, one sighting of the usual length counts as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from etl.poll import Instant

USUAL_STOPPING_S: Final = 30
"""The prior of shutting down. The source publishes nothing; clouds need some seconds to a minute."""
USUAL_BOOT_S: Final = 60
"""The prior of booting, which is said to take one to three minutes, of which some is not charged."""
MILLIONTHS: Final = 1_000_000
"""Sightings are counted in millionths, and passages in millionths of a millionth a second, so that
both databases add up whole numbers."""


class Passages(NamedTuple):
    """Passages through a state: their number, the sightings in it (millionths), and the sum of 1 / T
    (millionths of millionths a second).
    """

    passed: int = 0
    sightings: int = 0
    per_s: int = 0

    def length_s(self, usual_s: int) -> int:
        """Return the mean length of the state; `usual_s` is the prior."""
        # one sighting of a state of the usual length: until much is seen, chance must not decide
        prior_per_s = MILLIONTHS * MILLIONTHS // usual_s
        sightings = (MILLIONTHS + self.sightings) * MILLIONTHS
        return sightings // (prior_per_s + self.per_s)


NOTHING: Final = Passages()


@dataclass(frozen=True, slots=True)
class Learned:
    """Passages through shutting down and booting before a poll."""

    stopping: Passages = NOTHING
    booting: Passages = NOTHING

    @property
    def stopping_s(self) -> int:
        return self.stopping.length_s(USUAL_STOPPING_S)

    @property
    def boot_s(self) -> int:
        return self.booting.length_s(USUAL_BOOT_S)


class Lengths:
    """Lengths by the end of the poll that uses them, learned from earlier polls alone: so a replay
    and a rebuild use those of the live poll. `find` looks up the passages before an instant.
    """

    def __init__(self, find: Callable[[Instant], Learned]) -> None:
        self._find = find
        self._known: dict[Instant, Learned] = {}

    def at(self, b: Instant) -> Learned:
        """Return the passages before the poll that ended at `b`."""
        # many stretches end in one poll, and each would ask the database
        learned = self._known.get(b)
        if learned is None:
            learned = self._known[b] = self._find(b)
        return learned
