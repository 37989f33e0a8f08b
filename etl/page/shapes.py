"""Geometry of the charts: SVG paths in a box of fixed size that the page stretches to its width.

Pure. Text is never inside a stretched box: labels are HTML, placed by percentages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

WIDTH = 1000
"""Units across every chart."""
LEAST = 0.6
"""The narrowest mark: a run of some minutes must be visible in a month."""

TINY = 0.001
"""The least height of an axis, under a fen or some seconds: an empty chart needs an axis too."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Map [low, high] to [0, size]."""

    low: float
    high: float
    size: float = WIDTH

    def __call__(self, value: float) -> float:
        """Return the place of a value, moved to the nearer end if it lies outside."""
        span = max(self.high - self.low, 1e-9)
        return (min(max(value, self.low), self.high) - self.low) / span * self.size

    def percent(self, value: float) -> float:
        return round(100 * self(value) / self.size, 3)


def ticks(most: float, count: int = 4) -> list[float]:
    """Return round numbers from 0 to `most` or just above it."""
    if most < TINY:
        return [0.0, 1.0]
    raw = most / count
    unit = 10 ** floor(log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw)
    marks = [0.0]
    while marks[-1] < most:
        marks.append(round(marks[-1] + step, 10))
    return marks


def merged(intervals: Iterable[Interval], gap: float = 0.0) -> list[Interval]:
    """Merge intervals that touch or lie within `gap` of each other."""
    touching: list[Interval] = []
    for begins, ends in sorted(intervals):
        if touching and begins <= touching[-1][1] + gap:
            touching[-1] = touching[-1][0], max(ends, touching[-1][1])
        else:
            touching.append((begins, ends))
    return touching


def boxes(intervals: Iterable[Interval], top: float, height: float) -> str:
    """Return one path of boxes, each as wide as its interval but never too narrow to be seen."""
    parts = []
    for begins, ends in merged(intervals):
        width = max(ends - begins, LEAST)
        parts.append(f"M{_n(begins)} {_n(top)}h{_n(width)}v{_n(height)}h-{_n(width)}z")
    return "".join(parts)


def line(points: Sequence[tuple[float, float] | None]) -> str:
    """Return a path through points; a None breaks it."""
    parts, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_n(point[0])} {_n(point[1])}")
        pen = "L"
    return "".join(parts)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
