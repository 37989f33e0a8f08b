"""Rows as CSV: comma, UTF-8, instants as in JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain

from etl.render.cells import spreadsheet_safe
from etl.render.columns import Column, Rows


def lines(columns: Sequence[Column], rows: Rows, lang: str = "en") -> Iterator[str]:
    for row in chain([[column.heading(lang) for column in columns]], rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(spreadsheet_safe(value) for value in row)
        yield line.getvalue()
