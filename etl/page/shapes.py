"""Geometry of the charts: SVG paths in a box of fixed size that the page stretches to its width.

Pure. Text is never inside a stretched box: labels stand at percentages of the width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

WIDTH = 1000
"""Units across every chart."""
LEAST = 0.6
"""The narrowest mark: a run of some minutes must be visible in a month."""

STEP = 0.1
"""Places are rounded to this."""
TINY = 0.001
"""The least height of an axis, under a fen or some seconds: an empty chart needs an axis too."""

Interval = tuple[float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Map [low, high] to [0, size]."""

    low: float
    high: float
    size: float = WIDTH

    def __call__(self, value: float) -> float:
        """Return the place of a value, moved to the nearer end if it lies outside."""
        # a period or an axis of no length must not divide by zero
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
        # rounded: 0.1 added up is not 0.3
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


def dashes(intervals: Iterable[Interval], middle: float) -> str:
    """Return one path of dashes, each as long as its interval but never too short to be seen.

    Each is told by its distance from the one before: there may be ten thousand of them on a page.
    """
    parts, pen = [], 0.0
    # nearer than the rounding they are one dash anyway
    for begins, ends in merged(intervals, STEP):
        at, length = round(begins, 1), max(round(ends - begins, 1), LEAST)
        parts.append(f"m{_n(at - pen)} 0h{_n(length)}")
        pen = at + length
    return f"M0 {_n(middle)}{''.join(parts)}" if parts else ""


def line(points: Sequence[Point | None]) -> str:
    """Return a path through points; a None breaks it. A point between two breaks becomes a dot."""
    parts, pen = [], "M"
    for number, point in enumerate(points):
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_n(point[0])} {_n(point[1])}")
        if pen == "M" and (number + 1 == len(points) or points[number + 1] is None):
            # a lone day: a path of one point draws nothing without a line of no length
            parts.append("h0")
        pen = "L"
    return "".join(parts)


def steps(points: Sequence[Point], ends: float) -> str:
    """Return a path that keeps each value until the next point, and the last one until `ends`."""
    if not points:
        return ""
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for x, y in points[1:]:
        parts.append(f"H{_n(x)}V{_n(y)}")
    return "".join([*parts, f"H{_n(ends)}"])


def area(upper: Sequence[Point], lower: Sequence[Point]) -> str:
    """Return the closed path between two lines."""
    around = [*upper, *reversed(lower)]
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in around) + "z" if around else ""


def _n(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    # a month has ten thousand such numbers
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
