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


def expected_run_s(booting_s: int, until_s: int, boot_s: int) -> int:
    """Return how long something ran, on average, that was last seen booting `booting_s` after its start
    and stopped at an unknown moment up to `until_s` after it; boots last `boot_s` on average.

    A boot is taken to last anything up to twice its mean. If it was not over at the stop, nothing ran; else
    the run counts from its start.
    """
    longest_s = 2 * boot_s
    if until_s <= booting_s:
        return 0
    if longest_s <= booting_s:
        return (booting_s + until_s) // 2
    # the mean over all stops t of t x the probability (t - booting) / (longest - booting) of being up
    top_s = min(until_s, longest_s)
    booting = 2 * (top_s**3 - booting_s**3) - 3 * booting_s * (top_s**2 - booting_s**2)
    up = 3 * (longest_s - booting_s) * max(0, until_s**2 - longest_s**2)
    return (booting + up) // (6 * (longest_s - booting_s) * (until_s - booting_s))


def run_s_at(stop_s: int, booting_s: int, boot_s: int) -> int:
    """Return how long something ran, on average, if it stopped `stop_s` after its start; see
    `expected_run_s`.
    """
    left_s = 2 * boot_s - booting_s
    if left_s <= 0:
        return stop_s
    return stop_s * max(0, min(stop_s - booting_s, left_s)) // left_s


class MeanLengths(NamedTuple):
    """How long shutting down and booting last on average; 0 if that is not known."""

    stopping_s: int = 0
    boot_s: int = 0


UNKNOWN_LENGTHS: Final = MeanLengths()


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

    @property
    def means(self) -> MeanLengths:
        return MeanLengths(self.stopping_s, self.boot_s)


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
