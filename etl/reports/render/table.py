"""Render rows as a terminal table: aligned by the width of characters, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final
from unicodedata import category, east_asian_width

from etl.reports.render.columns import Column, Rows, column_total
from etl.texts import tr

_WIDEST: Final = 60


def lines(columns: Sequence[Column], rows: Rows, lang: str = "en") -> Iterator[str]:
    # all rows: the width of a column is that of its widest cell
    table = list(rows)
    if not table:
        yield tr("(no rows)").in_language(lang)
        return
    numeric = [_is_numeric(table, i) for i in range(len(columns))]
    head = [column.full_heading(lang) for column in columns]
    foot = totals(columns, table, lang)
    cells = [[_shortened(printable(value)) for value in row] for row in [*table, *foot]]
    widths = [max(map(width, column)) for column in zip(head, *cells, strict=True)]
    rule = "  ".join("-" * w for w in widths)
    yield _row_line(head, widths, numeric)
    yield rule
    for row in cells[: len(table)]:
        yield _row_line(row, widths, numeric)
    if foot:
        yield rule
        yield _row_line(cells[-1], widths, numeric)


def width(text: str) -> int:
    """Return the columns that `text` takes on a terminal: Chinese characters two, accents none."""
    return len(text) if text.isascii() else sum(map(_width, text))


def printable(value: Any) -> str:
    """Return a value as text for a terminal, without control characters from the source."""
    if isinstance(value, float):
        text = f"{value:,.2f}"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def totals(columns: Sequence[Column], table: Sequence[Sequence[Any]], lang: str) -> list[list[Any]]:
    """Return a last row with the sums of columns that add up; none for a single row."""
    # a sum of one row would repeat it
    if len(table) < 2:
        return []
    sums = [
        column_total(row[i] for row in table) if column.is_total else None
        for i, column in enumerate(columns)
    ]
    if all(value is None for value in sums):
        return []
    # the word stands in the first column, unless that one has a sum of its own
    if not columns[0].is_total:
        sums[0] = tr("total").in_language(lang)
    return [sums]


def _is_numeric(table: Sequence[Sequence[Any]], i: int) -> bool:
    present = [row[i] for row in table if row[i] is not None]
    return bool(present) and all(isinstance(value, int | float) for value in present)


def _row_line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return "  ".join(map(_padded, cells, widths, right)).rstrip()


def _padded(cell: str, to: int, is_right: bool) -> str:
    # as characters: those that are wider or narrower than one column make up for it
    characters = to if cell.isascii() else to + len(cell) - width(cell)
    return cell.rjust(characters) if is_right else cell.ljust(characters)


# titles repeat the same few hundred characters
@lru_cache(maxsize=4096)
def _width(character: str) -> int:
    # not by the combining class, which is 0 for marks that enclose and for variation selectors
    if category(character) in ("Mn", "Me"):
        return 0
    # ambiguous ones count as one: so do terminals outside of old Chinese code pages
    return 2 if east_asian_width(character) in "WF" else 1


def _shortened(text: str) -> str:
    # no character is wider than two columns
    if 2 * len(text) <= _WIDEST:
        return text
    if text.isascii():
        return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
    taken = 0
    fits = 0
    for at, character in enumerate(text):
        taken += _width(character)
        if taken < _WIDEST:
            fits = at + 1
        elif taken > _WIDEST:
            return text[:fits] + "…"
    return text
