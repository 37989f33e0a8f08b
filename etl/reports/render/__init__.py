"""Render rows for people and for programs, one module for each format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from etl.poll import Instant
from etl.reports.render import csv, json, table
from etl.reports.render.columns import KINDS, LANGUAGES, Column, Rows
from etl.reports.render.table import printable, width

TEXT_FORMATS: Final = ("table", "json", "csv")
FILE_FORMATS: Final = ("xlsx", "parquet")
FORMATS: Final = (*TEXT_FORMATS, *FILE_FORMATS)
ENDINGS: Final = {".txt": "table", **{f".{form}": form for form in FORMATS if form != "table"}}
"""Formats by the ending of a file's name."""


def render(
    form: str,
    columns: Sequence[Column | str],
    rows: Rows,
    lang: str = "en",
    *,
    for_excel: bool = False,
) -> Iterator[str]:
    """Yield the lines of output in one of `TEXT_FORMATS`."""
    named = [Column(c) if isinstance(c, str) else c for c in columns]
    if form == "json":
        return json.lines(named, rows)
    if form == "csv":
        return csv.lines(named, rows, lang, for_excel=for_excel)
    return table.lines(named, rows, lang)


def write_file(
    file: BinaryIO,
    form: str,
    name: str,
    columns: Sequence[Column],
    rows: Rows,
    *,
    above: str = "",
    notes: Sequence[tuple[str, Any]] = (),
    made_at: Instant = 0,
    lang: str = "en",
    for_excel: bool = False,
) -> None:
    """Write a file in one of `FORMATS`; `above` stands above a table or sheet, notes in xlsx alone."""
    if form == "parquet":
        # here: these libraries take longer to load than most reports take to run
        from etl.reports.render import parquet

        parquet.write_parquet(file, columns, rows)
    elif form == "xlsx":
        from etl.reports.render import xlsx

        with xlsx.Book(file, made_at, lang) as book:
            book.sheet(name, columns, rows, above)
            book.notes(notes)
    else:
        # JSON and CSV hold rows alone, for programs
        if above and form == "table":
            file.write(f"{above}\n".encode())
        for line in render(form, columns, rows, lang, for_excel=for_excel):
            file.write(f"{line}\n".encode())


__all__ = [
    "ENDINGS",
    "FILE_FORMATS",
    "FORMATS",
    "KINDS",
    "LANGUAGES",
    "TEXT_FORMATS",
    "Column",
    "Rows",
    "printable",
    "render",
    "width",
    "write_file",
]
