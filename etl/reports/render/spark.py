"""Draw some days as a line of bars: a sparkline."""

from __future__ import annotations

from collections.abc import Sequence

from etl.reports.render.look import Signs


def spark(values: Sequence[float | None], signs: Signs) -> str:
    """Return a bar for each value, from 0 to the largest of them; a dot for one that is not known.

    Only 0 has the lowest bar, so that a little does not look like nothing.
    """
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(_bar(value, most, signs) for value in values)


def _bar(value: float | None, most: float, signs: Signs) -> str:
    if value is None:
        return signs.unseen
    if value <= 0 or most <= 0:
        return signs.bars[0]
    highest = len(signs.bars) - 1
    return signs.bars[max(1, round(highest * value / most))]
