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
UNSHOWN: Final = frozenset({"daily", "timeline", "gaps", "timers", "cost", "cost_before"})
"""Reports that the page asks for its charts and figures alone."""

Cell = Callable[[Any, Column, Sequence[Column]], str]


@dataclass(frozen=True, slots=True)
class Packed:
    """The rest of the tables named: base64 of gzip of JSON, lists of cells by table."""

    tables: frozenset[str]
    text: str


def packed_rows(facts: Facts, drawn: int, cell: Cell) -> Packed:
    """Return the rows after the first `drawn` of each table, as `cell` writes their values."""
    rest = {
        key: _rows(table, drawn, cell)
        for key, table in facts.tables.items()
        if key not in UNSHOWN and len(table.rows) > drawn
    }
    written = json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode()
    # without a time in it, the same rows give the same page
    return Packed(frozenset(rest), b64encode(gzip.compress(written, mtime=0)).decode())


def _rows(table: Table, drawn: int, cell: Cell) -> list[list[str]]:
    return [
        [cell(row[column.name], column, table.columns) for column in table.columns]
        for row in table.rows[drawn:MOST_PACKED]
    ]
