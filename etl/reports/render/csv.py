"""Rows as CSV: comma, UTF-8, instants as in JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain

from etl.reports.render.cells import spreadsheet_safe
from etl.reports.render.columns import Column, Rows


def lines(columns: Sequence[Column], rows: Rows, lang: str = "en") -> Iterator[str]:
    write = csv.writer(_Line(), lineterminator="").writerow
    for row in chain([[column.heading(lang) for column in columns]], rows):
        yield str(write([spreadsheet_safe(value) for value in row]))


class _Line:
    """What `csv` writes a line to: `writerow` returns what this returns."""

    def write(self, line: str) -> str:
        return line
