"""Read spreadsheet files as rows of cells: CSV in any usual encoding, and .xlsx."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from etl.errors import SettingsError
from etl.texts import Text, tr

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

# a column that is formatted to its end makes a sheet of a million rows, which takes minutes to read
MOST_ROWS: Final = 100_000
# Excel writes semicolons wherever the comma is the decimal sign
DELIMITERS: Final = (",", ";", "\t")
# the container of .xls; a workbook with a password lies in one too
_OLD_EXCEL: Final = bytes.fromhex("d0cf11e0")
_ZIP: Final = b"PK\x03\x04"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row, empty ones as None; `line` counts from 1 as editors do."""

    line: int
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of a file that hold anything; remarks are about sheets that were not read."""

    rows: list[Row]
    word: Literal["line", "row"]
    remarks: Sequence[str] = ()

    def location(self, line: int, column: int | None = None) -> str:
        """Name a row, or a cell of it by the letter of its column."""
        row = row_name(self.word, line)
        if column is None:
            return row
        return tr("{row}, column {column}", row=row, column=letter(column))


def row_name(word: str, line: int) -> Text:
    """Name a row of a sheet, or a line of a file, for people."""
    return tr("row {line}", line=line) if word == "row" else tr("line {line}", line=line)


def letter(column: int) -> str:
    """Return the letters of a column, counted from 0: A, B, … Z, AA."""
    letters = ""
    column += 1
    # no zero among the letters: after Z comes AA, not BA
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def read_grid(name: str, content: bytes) -> FileRows:
    """Read the rows of a CSV or .xlsx file. Raises `SettingsError` for any other file."""
    if content.startswith(_OLD_EXCEL):
        raise SettingsError(
            tr("{name} is an .xls file, or a workbook with a password", name=name),
            advice=tr("save it as .xlsx or CSV, without a password"),
        )
    # by its first bytes: a file that is renamed stays what it is
    if content.startswith(_ZIP) or name.lower().endswith(".xlsx"):
        return _read_xlsx(name, content)
    return _read_csv(name, decoded(name, content))


def decoded(name: str, content: bytes) -> str:
    """Decode a text file: UTF-8 or UTF-16 with or without a mark, else GBK."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _decode_as(name, content.removeprefix(mark), encoding)
    if b"\0" in content:  # neither UTF-8 nor GBK has it in a text
        return _decode_as(name, content, _utf_16(content))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # Excel in Chinese writes CSV in GBK; GB18030 contains it, and rare characters of names
        return _decode_as(name, content, "gb18030")


def _utf_16(content: bytes) -> str:
    """Tell the byte order of UTF-16: the zero of an ASCII character comes last in little-endian."""
    return "utf-16-le" if content[1::2].count(0) >= content[::2].count(0) else "utf-16-be"


def _decode_as(name: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SettingsError(
            tr("{name} cannot be read: it is no text in UTF-8, UTF-16 or GBK", name=name),
            advice=tr("save it as CSV UTF-8, or as .xlsx"),
        ) from error


def _read_csv(name: str, text: str) -> FileRows:
    return FileRows(list(csv_rows(name, text)), "line")


def csv_rows(name: str, text: str) -> Iterator[Row]:
    """Yield the rows of CSV that hold anything. Raises `SettingsError` for what is none."""
    delimiter, body, skipped = _delimiter(text)
    # strict: a quote that is never closed would swallow the rest of the file into one cell
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            kept = [cell.strip() or None for cell in cells]
            if any(kept):
                yield Row(reader.line_num + skipped, kept)
    except csv.Error as error:
        location = row_name("line", reader.line_num + skipped)
        raise SettingsError(
            tr("{name}, {location}: {error}", name=name, location=location, error=error),
            advice=tr("nothing was changed; mend it first"),
        ) from error


def _delimiter(text: str) -> tuple[str, str, int]:
    """Return the delimiter, the text to read with it, and the lines of Excel's `sep=` before it."""
    if declared := re.match(r"sep=(.)\r?\n", text, re.IGNORECASE):
        return declared[1], text[declared.end() :], 1
    # told by the heading: rows may hold any of the three in their texts
    heading = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", heading)
    return max(DELIMITERS, key=unquoted.count), text, 0


def _read_xlsx(name: str, content: bytes) -> FileRows:
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(content))
    except Exception as error:  # openpyxl raises whatever a broken file makes it meet
        raise SettingsError(
            tr("{name} cannot be read as .xlsx: {name2}", name=name, name2=type(error).__name__),
            advice=tr("open it in a spreadsheet and save it again"),
        ) from error
    if not book.worksheets:
        raise SettingsError(
            tr("{name} has no sheet", name=name), advice=tr("save a sheet of cells as .xlsx")
        )
    # a spreadsheet opens on a sheet that can be seen: lists to choose from are kept in hidden ones
    sheet = next((s for s in book.worksheets if s.sheet_state == "visible"), book.worksheets[0])
    _refuse_merged(name, sheet)
    # openpyxl gives either formulas or results, so a sheet with formulas is read twice
    formulas = any(cell.data_type == "f" for row in _cells(name, sheet) for cell in row)
    values = load_workbook(io.BytesIO(content), data_only=True)[sheet.title] if formulas else sheet
    remarks: list[str] = []
    grid = FileRows([], "row", remarks)
    for row in _cells(name, sheet):
        kept = [_value(name, grid, cell, values) for cell in row]
        if any(value is not None for value in kept):
            grid.rows.append(Row(row[0].row, kept))
    remarks += _remarks(book, sheet, grid)
    return grid


def _remarks(book: Workbook, sheet: Worksheet, grid: FileRows) -> Iterator[str]:
    """Yield what somebody who looks at the file may not expect: sheets left out, hidden rows read."""
    others = [other for other in book.worksheets if other is not sheet]
    used = [other.title for other in others if other.max_row > 1 or other["A1"].value is not None]
    if used:
        names = ", ".join(used)
        yield tr("only the sheet {title!r} was read, not {names}", title=sheet.title, names=names)
    hidden = [str(row.line) for row in grid.rows if sheet.row_dimensions[row.line].hidden]
    if hidden:
        yield tr("hidden rows were read too: {rows}", rows=", ".join(hidden))


def _cells(name: str, sheet: Worksheet) -> Iterator[Sequence[Any]]:
    if sheet.max_row > MOST_ROWS:
        raise SettingsError(
            tr("{name} has {max_row:,} rows", name=name, max_row=sheet.max_row),
            advice=tr("delete the empty rows below the last entry"),
        )
    yield from sheet.iter_rows()


def _refuse_merged(name: str, sheet: Worksheet) -> None:
    # only the first of merged cells has a value: the others would be read as empty
    for merged in sheet.merged_cells.ranges:
        raise SettingsError(
            tr(
                "{name}, row {min_row}, column {letter}: the cells {coord} are merged",
                name=name,
                min_row=merged.min_row,
                letter=letter(merged.min_col - 1),
                coord=merged.coord,
            ),
            advice=tr("unmerge them, and fill in each cell"),
        )


def _value(name: str, grid: FileRows, cell: Any, values: Worksheet) -> Any:
    """Return a cell's value: text stripped, a formula's result as the spreadsheet kept it."""
    result = values.cell(cell.row, cell.column) if cell.data_type == "f" else cell
    problem = None
    # a program that is no spreadsheet wrote it, and computed nothing
    if cell.data_type == "f" and result.value is None:
        problem = "the formula has no result: open the file in a spreadsheet and save it again"
    elif result.data_type == "e":
        problem = f"the cell shows {result.value}"
    if problem is not None:
        location = grid.location(cell.row, cell.column - 1)
        raise SettingsError(
            tr("{name}, {location}: {problem}", name=name, location=location, problem=problem),
            advice=tr("nothing was changed; mend it first"),
        )
    value = result.value
    return value.strip() or None if isinstance(value, str) else value
