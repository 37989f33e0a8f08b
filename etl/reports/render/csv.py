"""Rows as CSV: comma, UTF-8, instants as in JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from etl.reports.render.cells import spreadsheet_safe, spreadsheet_text
from etl.reports.render.columns import Column, Rows

BOM: Final = "\ufeff"
"""The byte order mark by which Excel recognises UTF-8."""


def lines(
    columns: Sequence[Column], rows: Rows, lang: str = "en", *, for_excel: bool = False
) -> Iterator[str]:
    """Yield the lines of a CSV file.

    In Chinese, or `for_excel`, it is for people who open it in a spreadsheet: it begins with a byte
    order mark, and long numbers that are names, such as orders, stay text there.
    """
    for_people = for_excel or lang == "zh"
    cell = spreadsheet_text if for_people else spreadsheet_safe
    # line by line, for streams: csv itself writes to files only
    write = csv.writer(_Line(), lineterminator="").writerow
    # not for programs: most read the mark as a part of the first heading
    mark = BOM if for_people else ""
    for row in chain([[column.heading(lang) for column in columns]], rows):
        yield mark + str(write([cell(value) for value in row]))
        mark = ""


class _Line:
    """A file for `csv` that returns the line, since `writerow` returns the result of `write`."""

    def write(self, line: str) -> str:
        return line
