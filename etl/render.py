"""Rows for people and for machines: a table, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final
from unicodedata import east_asian_width

Rows = Iterable[Sequence[Any]]
FORMATS: Final = ("table", "json", "csv")
_WIDEST: Final = 60


def render(form: str, columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """Lines of output in one of `FORMATS`."""
    return {"table": _table, "json": _json, "csv": _csv}[form](columns, rows)


def width(text: str) -> int:
    """Columns that `text` takes on a terminal: Chinese characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


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


def _cut(text: str) -> str:
    if width(text) <= _WIDEST:
        return text
    while width(text) > _WIDEST - 1:
        text = text[:-1]
    return text + "…"


def _json(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """An array with one object a line."""
    before = None
    for row in rows:
        if before is not None:
            yield before + ","
        line = json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False)
        before = ("[" if before is None else " ") + line
    yield "[]" if before is None else before + "]"


def _csv(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    for row in chain([columns], rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(_spreadsheet_safe(value) for value in row)
        yield line.getvalue()


def _spreadsheet_safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
