"""Workbooks, written row by row: memory stays small however long the report is.

Numbers are numbers and days are days, so that sums and pivots work at once; text is text whatever it
begins with. The same rows and notes give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from math import isfinite
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

from etl.errors import SettingsError
from etl.poll import Instant
from etl.reports.render.cells import is_formula, one_line
from etl.reports.render.columns import LOCAL, Column, Rows, rounded
from etl.texts import term, tr

# limits of the file format itself
MOST_ROWS: Final = 1_048_576
LONGEST_TEXT: Final = 32_767
LONGEST_NAME: Final = 31
_NOT_IN_NAMES: Final = re.compile(r"[\[\]:*?/\\]")
EXACT: Final = 10**15
"""The limit of a spreadsheet's 15 digits: larger numbers are written as text."""
_WIDTHS: Final = {"int": 10, "number": 12, "instant": 20, LOCAL: 20, "day": 12}
_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "head": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"},
    "sum": {"bold": True, "top": 1},
    "int": {"num_format": "#,##0"},
    "number": {"num_format": "#,##0.00"},
    "instant": {"num_format": "yyyy-mm-dd hh:mm:ss"},
    LOCAL: {"num_format": "yyyy-mm-dd hh:mm:ss"},
    "day": {"num_format": "yyyy-mm-dd"},
    "quoted": {"quote_prefix": True},
}


class Book:
    """A workbook in the making, whole at the end of its `with` block; rows wait in temporary files.

    `made_at` is the instant that the file says it was made at.
    """

    def __init__(self, file: BinaryIO, made_at: Instant, lang: str = "en") -> None:
        import xlsxwriter

        # a folder of our own, so that it can be removed whole, also after an error
        self._room = TemporaryDirectory(prefix="chenyu-etl-")
        self._book = xlsxwriter.Workbook(
            _FailsOnce(file), {"constant_memory": True, "tmpdir": self._room.name}
        )
        self._book.set_properties(
            # without it the file holds the time of the call, and no two are equal
            {"created": datetime.fromtimestamp(made_at, UTC).replace(tzinfo=None)}
        )
        self._formats = {name: self._book.add_format(options) for name, options in _FORMATS.items()}
        for kind in ("int", "number"):
            both = {**_FORMATS[kind], **_FORMATS["sum"]}
            self._formats[f"sum {kind}"] = self._book.add_format(both)
        self._lang = lang

    def sheet(self, name: str, columns: Sequence[Column], rows: Rows, above: str = "") -> int:
        """Write a sheet of rows with headings and sums; return the number of rows.

        `above` is a line above the headings. Raises `SettingsError` if there are more than a sheet holds.
        """
        sheet = self._book.add_worksheet(self._free_name(name))
        top = 1 if above else 0
        if above:
            sheet.write_string(0, 0, one_line(above))
        self._head(sheet, columns, top)
        sums: dict[int, Any] = {i: 0 for i, column in enumerate(columns) if column.is_total}
        last = top
        for row in rows:
            last += 1
            # one row is kept for the sums
            if last >= MOST_ROWS - 1:
                raise SettingsError(
                    tr("a sheet holds {most_rows:,} rows, and there are more", most_rows=MOST_ROWS),
                    advice=tr("choose a shorter period, or --format csv or parquet"),
                )
            for i, (column, value) in enumerate(zip(columns, row, strict=True)):
                self._write(sheet, last, i, column.kind, value)
                if i in sums and value is not None:
                    # added up while rows pass by: in this mode none can be read again
                    sums[i] += value
        if last > top:
            sheet.autofilter(top, 0, last, len(columns) - 1)
        self._foot(sheet, columns, sums, (top + 1, last))
        return last - top

    def notes(self, lines: Sequence[tuple[str, Any]]) -> None:
        """Write a sheet of notes on the others."""
        heads = term("note", "note"), term("note", "value")
        columns = [Column(head.in_language(self._lang)) for head in heads]
        name = term("sheet", "Notes").in_language(self._lang)
        sheet = self._book.add_worksheet(self._free_name(name))
        self._head(sheet, columns)
        sheet.set_column(1, 1, 100)
        for number, line in enumerate(lines, 1):
            for i, value in enumerate(line):
                self._write(sheet, number, i, "", value)

    def _free_name(self, name: str) -> str:
        """Return a name that a spreadsheet takes for a sheet, and that no other sheet has."""
        cleaned = _NOT_IN_NAMES.sub("_", one_line(name)).strip("' ")[:LONGEST_NAME] or "_"
        free, number = cleaned, 1
        # spreadsheets compare names without case, and keep "History" for themselves
        taken = {sheet.get_name().casefold() for sheet in self._book.worksheets()} | {"history"}
        while free.casefold() in taken:
            number += 1
            suffix = f" ({number})"
            free = cleaned[: LONGEST_NAME - len(suffix)] + suffix
        return free

    def __enter__(self) -> Book:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                self._close()
        finally:
            for sheet in self._book.worksheets():
                with suppress(OSError):
                    # after a failure xlsxwriter leaves its temporary files open
                    sheet.row_data_fh.close()
            self._room.cleanup()

    def _close(self) -> None:
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from error  # the OSError that it was

    def _head(self, sheet: Any, columns: Sequence[Column], top: int = 0) -> None:
        sheet.freeze_panes(top + 1, 0)
        for i, column in enumerate(columns):
            heading = column.full_heading(self._lang)
            heading += " (UTC)" if column.kind == "instant" else ""
            sheet.set_column(i, i, max(_WIDTHS.get(column.kind, 24), min(len(heading) + 2, 30)))
            sheet.write_string(top, i, one_line(heading), self._formats["head"])

    def _foot(
        self, sheet: Any, columns: Sequence[Column], sums: dict[int, Any], filled: tuple[int, int]
    ) -> None:
        first, last = filled
        if last <= first or not sums:
            return
        from xlsxwriter.utility import xl_range

        for i, column in enumerate(columns):
            if i in sums:
                how = self._formats[f"sum {'int' if column.kind == 'int' else 'number'}"]
                # 109: the sum of the rows that a filter leaves visible
                what = f"=SUBTOTAL(109,{xl_range(first, i, last, i)})"
                # with its value: programs that only read files do not compute formulas
                sheet.write_formula(last + 1, i, what, how, rounded(sums[i]))
            elif i == 0:
                sheet.write_string(
                    last + 1, i, tr("total").in_language(self._lang), self._formats["sum"]
                )
            else:
                sheet.write_blank(last + 1, i, None, self._formats["sum"])

    def _write(self, sheet: Any, row: int, i: int, kind: str, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, i, value)
        # a spreadsheet would round more digits, and has no infinity
        elif isinstance(value, int | float) and abs(value) < EXACT and isfinite(value):
            sheet.write_number(row, i, value, self._formats.get(kind))
        elif (moment := _as_datetime(kind, value)) is not None:
            sheet.write_datetime(row, i, moment, self._formats[kind])
        else:
            text = one_line(str(value))[:LONGEST_TEXT]
            # the quote prefix keeps it text, also when a person edits the cell
            how = self._formats["quoted"] if is_formula(str(value)) else None
            sheet.write_string(row, i, text, how)


class _FailsOnce:
    """A file that only counts the bytes written after its first failure.

    A `ZipFile` that could not be written tries again when it is garbage-collected, and complains.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._has_failed = False
        self._at = 0

    @property
    def _is_over(self) -> bool:
        return self._has_failed or self._file.closed

    def write(self, content: bytes) -> int:
        self._at += len(content)
        if self._is_over:
            return len(content)
        try:
            return self._file.write(content)
        except OSError:
            self._has_failed = True
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if self._is_over else self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at if self._is_over else self._file.tell()

    def flush(self) -> None:
        if not self._is_over:
            self._file.flush()


def _as_datetime(kind: str, value: Any) -> date | None:
    try:
        if kind == "day":
            return date.fromisoformat(value)
        if kind == LOCAL:
            return datetime.fromisoformat(value)
        if kind == "instant":
            # cells have no zones
            return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError):
        pass
    return None
