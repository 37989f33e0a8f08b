"""Choose the columns of a table that a screen has room for, and their widths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

GAP: Final = 2
"""Blanks between two columns."""
LEAST_CUT: Final = 8
"""Width that the last column to stay may be cut down to."""


class Rank(IntEnum):
    """Order in which columns are dropped; of one rank, the rightmost goes first."""

    EMPTY = 1
    """It holds nothing."""
    ALIKE = 2
    """It holds the same in every row, so that one line can say it."""
    IDENTITY = 3
    """It identifies a row or a reading for programs."""
    USUAL = 4
    KEPT = 5
    """The report declares that it has to be seen."""
    FIRST = 6
    """The first column that tells rows apart: without it no row has a name."""


@dataclass(frozen=True, slots=True)
class Size:
    """Widths of a column: `natural` shows all of it, `least` is still legible."""

    natural: int
    least: int
    rank: Rank


@dataclass(frozen=True, slots=True)
class Fitting:
    """Widths of the columns that stay, by their index, and the indices of the others."""

    widths: dict[int, int]
    dropped: list[int]


def fit(sizes: Sequence[Size], room: int, *, may_drop: bool = True) -> Fitting:
    """Return the widths at which columns fit into `room`.

    Columns that say nothing go first; then texts are cut before a column goes, since half a title says
    more than none. Columns that were asked
    for by name all stay (`may_drop`), and may be wider than the room.
    """
    kept = list(range(len(sizes)))
    dropped: list[int] = []
    for victim in _victims(sizes) if may_drop else ():
        says_nothing = sizes[victim].rank <= Rank.ALIKE
        needed = [sizes[i].natural if says_nothing else sizes[i].least for i in kept]
        if _taken(needed) <= room:
            if says_nothing:
                continue
            break
        kept.remove(victim)
        dropped.append(victim)
    widths = {i: sizes[i].least for i in kept}
    if len(kept) == 1 and may_drop:
        widths[kept[0]] = min(widths[kept[0]], max(room, LEAST_CUT))
    return Fitting(_grown(widths, sizes, room), sorted(dropped))


def _victims(sizes: Sequence[Size]) -> Iterator[int]:
    """Yield the columns in the order in which they go; the last one stays whatever the room."""
    yield from sorted(range(len(sizes)), key=lambda i: (sizes[i].rank, -i))[:-1]


def _grown(widths: dict[int, int], sizes: Sequence[Size], room: int) -> dict[int, int]:
    """Return the widths with the rest of the room, given to the columns from left to right."""
    rest = room - _taken(list(widths.values()))
    grown = {}
    for i, width in widths.items():
        more = max(0, min(rest, sizes[i].natural - width))
        grown[i] = width + more
        rest -= more
    return grown


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
