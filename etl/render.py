"""Rows for people and for machines: a table, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final
from unicodedata import combining, east_asian_width

Rows = Iterable[Sequence[Any]]
FORMATS: Final = ("table", "json", "csv")
_WIDEST: Final = 60
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
"""What a terminal might obey, or what hides in a line."""


def render(form: str, columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """Lines of output in one of `FORMATS`."""
    return {"table": _table, "json": _json, "csv": _csv}[form](columns, rows)


def width(text: str) -> int:
    """Columns that `text` takes on a terminal: Chinese characters take two, accents none."""
    return sum(map(_width, text))


def printable(value: Any) -> str:
    """A value as text for a terminal: control characters from the source do nothing there."""
    text = "" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _table(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    table = list(rows)
    if not table:
        yield "(no rows)"
        return
    cells = [[_cut(printable(value)) for value in row] for row in table]
    numeric = [
        all(row[i] is None or isinstance(row[i], int | float) for row in table)
        and any(row[i] is not None for row in table)
        for i in range(len(columns))
    ]
    widths = [max(width(c[i]) for c in [list(columns), *cells]) for i in range(len(columns))]
    yield _line(columns, widths, numeric)
    yield "  ".join("-" * w for w in widths)
    for row in cells:
        yield _line(row, widths, numeric)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (w - width(cell)) + cell if is_right else cell + " " * (w - width(cell))
        for cell, w, is_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _width(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def _cut(text: str) -> str:
    taken = 0
    fits = 0
    for at, character in enumerate(text):
        taken += _width(character)
        if taken < _WIDEST:
            fits = at + 1
        elif taken > _WIDEST:
            return text[:fits] + "…"
    return text


def _json(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """An array with one object a line."""
    before = None
    for row in rows:
        if before is not None:
            yield before + ","
        line = _UNPRINTABLE.sub(
            lambda found: json.dumps(found[0])[1:-1],
            json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False),
        )
        before = ("[" if before is None else " ") + line
    yield "[]" if before is None else before + "]"


def _csv(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    for row in chain([columns], rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(_spreadsheet_safe(value) for value in row)
        yield line.getvalue()


def _spreadsheet_safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted with an apostrophe; control
    characters are replaced, for a CSV that is looked at on a terminal."""
    if not isinstance(value, str):
        return value
    is_formula = value.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    return ("'" if is_formula else "") + _UNPRINTABLE.sub("\ufffd", value)
