"""Rows of long tables beyond those in the page's markup, packed: they are many, and alike."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from etl.page.facts import Facts, Table
from etl.reports import Column

MOST_PACKED: Final = 5_000
"""The most rows of a table in the page: a browser must still draw them. The command has them all."""
MOST_OF: Final = {"versions": 450}
"""Tables that hold fewer: the page of a month of 200 instances stays below a megabyte."""
UNSHOWN: Final = frozenset({"daily", "timeline", "gaps", "timers", "cost", "cost_before"})
"""Reports that the page asks for its charts and figures alone."""

Cell = Callable[[Any, Column, Sequence[Column]], str]


@dataclass(frozen=True, slots=True)
class Packed:
    """The rest of the tables named: base64 of gzip of JSON, columns by table.

    A column is a list of texts, or, if few texts return often, those and the number of each.
    """

    tables: frozenset[str]
    text: str


def packed_rows(facts: Facts, drawn: int, cell: Cell) -> Packed:
    """Return the columns of the rows after the first `drawn` of each table, as `cell` writes their values."""
    rest = {
        key: _columns(table, drawn, MOST_OF.get(key, MOST_PACKED), cell)
        for key, table in facts.tables.items()
        if key not in UNSHOWN and len(table.rows) > drawn
    }
    written = json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode()
    # without a time in it, the same rows give the same page
    return Packed(frozenset(rest), b64encode(gzip.compress(written, mtime=0)).decode())


def _columns(table: Table, drawn: int, most: int, cell: Cell) -> list[list[Any]]:
    # by column and not by row: the same texts are then near each other, which packs far better
    return [
        _numbered([cell(row[column.name], column, table.columns) for row in table.rows[drawn:most]])
        for column in table.columns
    ]


def _numbered(texts: list[str]) -> list[Any]:
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    if len(numbers) * 3 > len(texts):
        return texts
    return [list(numbers), [numbers[text] for text in texts]]
