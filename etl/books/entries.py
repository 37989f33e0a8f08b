"""Read and write lists that people keep as CSV, .xlsx or TOML, with the place of each value.

An entry is a table `[[price]]` of a TOML file, or a row of a spreadsheet; rows of several kinds have a
column `kind`. Amounts are exact: they are read as decimal text.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from etl.books.grids import FileRows, Row, decoded, letter, read_grid, row_name
from etl.books.spelling import (
    flag_of,
    instant_of_cell,
    instant_of_text,
    month_of,
    name_of,
    value_of,
)
from etl.errors import SettingsError
from etl.history.days import Zone, iso
from etl.money.amounts import NoAmount, yuan_of
from etl.paths import read_whole
from etl.poll import Instant
from etl.texts import tr
from etl.units import MICRO

EXACT_DIGITS: Final = 15
"""Digits of a number that a spreadsheet keeps."""
_RUN: Final = re.compile(r"\s*[=+\-@＝＋－＠']")
FORMS: Final = ("csv", "toml")
STANDARD_INPUT: Final = Path("-")


class Wrong(Exception):
    """The reason why an entry is not understood, and the name of the value if one is wrong."""

    def __init__(self, reason: str, name: str | None = None) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class Entry:
    """The values of one row or table, without empty ones.

    `line` is negative, the table's number, if a table has no line of its own. `columns` maps names to
    the columns of a spreadsheet, and `word` is `row` for a workbook's cells, which have types.
    """

    line: int
    kind: str
    values: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    word: Literal["line", "row"] = "line"

    def location(self, name: str | None = None) -> str:
        """Name the entry, or one of its values, for people."""
        if self.line > 0:
            location = row_name(self.word, self.line)
        else:
            location = tr("entry {number}", number=-self.line)
        if name and name in self.columns:
            return tr("{row}, column {column}", row=location, column=self.columns[name])
        return location

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if self.word == "row" and isinstance(value, int | float) and not isinstance(value, bool):
            return _digits(name, value)
        reason = tr("{name} must be text", name=name)
        if isinstance(value, date):
            reason = tr(
                "{name} must be text: the sheet holds a date, so format the cell as text and type it"
                " again",
                name=name,
            )
        raise Wrong(reason, name)

    def one_of(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(name) or default
        value = value and value_of(value)
        if value is None or value not in choices:
            what = (
                tr("{name} is missing", name=name)
                if value is None
                else tr("{name} cannot be {value!r}", name=name, value=value)
            )
            raise Wrong(tr("{what}: {choices}", what=what, choices=", ".join(choices)), name)
        return value

    def number(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        # a workbook may hold 3 as 3.0
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
            return int(value)
        raise Wrong(tr("{name} must be a whole number", name=name), name)

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if value in (0, 1):  # a workbook's number, or already true or false
            return bool(value)
        flag = flag_of(value) if isinstance(value, str) else None
        if flag is None:
            raise Wrong(tr("{name} must be true or false", name=name), name)
        return flag

    def microcny(self, name: str, most: int) -> int:
        """Return yuan as millionths, exactly."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            what = (
                tr("{name} is missing", name=name)
                if value is None
                else tr("{name} must be yuan", name=name)
            )
            raise Wrong(what, name)
        amount = _decimal_yuan(name, value) * MICRO
        if not amount.is_finite() or amount != amount.to_integral_value():
            raise Wrong(tr("{name} must be yuan with at most six decimals", name=name), name)
        if not 0 <= amount <= most:
            raise Wrong(tr("{name} must be from 0 to {most}", name=name, most=most // MICRO), name)
        return int(amount)

    def instant(self, name: str, zone: Zone) -> Instant | None:
        """Return the instant of a day (its first second in `zone`), or of a moment."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            if self.word == "row":
                return instant_of_cell(value, zone)
            text = value.isoformat() if isinstance(value, date) else str(value)
            return instant_of_text(text, zone)
        except (ValueError, OverflowError):
            reason = tr("{name} must be a day, or a moment such as 2026-10-01T08:00:00Z", name=name)
            raise Wrong(reason, name) from None

    def month(self, name: str) -> str | None:
        """Return the name of a month, such as `2026-10`."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return month_of(value)
        except ValueError:
            raise Wrong(tr("{name} must be a month such as 2026-10", name=name), name) from None


@dataclass(frozen=True, slots=True)
class Document:
    """A file's name for people, its content and its form; `remarks` are about what was not read."""

    name: str
    entries: list[Entry]
    remarks: Sequence[str] = ()

    def wrong(self, entry: Entry, error: Wrong) -> SettingsError:
        """Return the error of an entry, with its place."""
        return SettingsError(
            tr(
                "{name}, {location}: {error}",
                name=self.name,
                location=entry.location(error.name),
                error=error,
            ),
            advice=tr("nothing was changed; mend it first"),
        )


def read(path: Path, columns: Mapping[str, Sequence[str]]) -> Document:
    """Read the entries of a file, or of standard input if it is `-`.

    `columns` names the values of each kind; the first kind is the default. Raises `SettingsError` with
    the place of the first thing that is not understood.
    """
    if path == STANDARD_INPUT:
        return parse("standard input", sys.stdin.buffer.read(), columns)
    try:
        content = read_whole(path)
    except OSError as error:
        raise SettingsError(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror),
            advice=tr("check its place"),
        ) from error
    form = path.suffix.lower().removeprefix(".")
    if form not in ("csv", "tsv", "txt", "xlsx", "toml"):
        raise SettingsError(
            tr("{path} is neither CSV, .xlsx nor TOML by its name", path=path),
            advice=tr("call it .csv, .xlsx or .toml"),
        )
    return parse(str(path), content, columns, is_toml=form == "toml")


def parse(
    name: str,
    content: bytes,
    columns: Mapping[str, Sequence[str]],
    *,
    is_toml: bool | None = None,
) -> Document:
    """Read the entries of a file's content; its first character tells if it is TOML, unless given."""
    if is_toml is None:
        is_toml = re.match(rb"(\s*#[^\n]*\n|\s)*(\[\[|\w+ *= *\[)", content) is not None
    if is_toml:
        document = Document(name, list(_toml(name, decoded(name, content), next(iter(columns)))))
    else:
        grid = read_grid(name, content)
        document = Document(name, list(_row_entries(name, grid, columns)), grid.remarks)
    for entry in document.entries:
        _refuse_unknown(document, entry, columns)
    return document


def write(
    form: str, columns: Mapping[str, Sequence[str]], entries: Iterable[Entry]
) -> Iterator[str]:
    """Yield the lines of a file that reads as `entries`."""
    return (_to_csv if form == "csv" else _to_toml)(columns, list(entries))


def day_or_moment(instant: Instant | None, zone: Zone) -> str | None:
    """Return an instant in the form that `Entry.instant` reads."""
    if instant is None:
        return None
    day = zone.local_date(instant)
    return day.isoformat() if zone.starts(day) == instant else iso(instant)


def exact_yuan(microcny: int) -> str:
    """Return an amount as exact decimal text, with two decimals at least."""
    sign = "-" if microcny < 0 else ""
    whole, rest = divmod(abs(microcny), MICRO)
    fraction = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{fraction}"


def _digits(name: str, value: float) -> str:
    """Return a workbook's number as the text that it stands for, such as a cost centre."""
    # the digits behind are lost already: an order number or a card would be another one
    if abs(value) >= 10**EXACT_DIGITS:
        reason = tr(
            "{name} is a number of which a spreadsheet keeps {exact_digits} digits: format "
            "it as text",
            name=name,
            exact_digits=EXACT_DIGITS,
        )
        raise Wrong(reason, name)
    return str(int(value)) if value == int(value) else f"{value:.{EXACT_DIGITS}g}"


def _decimal_yuan(name: str, value: Any) -> Decimal:
    if isinstance(value, float):
        return Decimal(f"{value:.{EXACT_DIGITS}g}")  # 0.1 + 0.2 is 0.3 in a cell
    if isinstance(value, int | Decimal):
        return Decimal(value)
    try:
        return yuan_of(str(value))
    except NoAmount as error:
        raise Wrong(tr("{name} {error}", name=name, error=error), name) from None


def _row_entries(
    name: str, grid: FileRows, columns: Mapping[str, Sequence[str]]
) -> Iterator[Entry]:
    if not grid.rows:
        return
    default, (heading, *rows) = next(iter(columns)), grid.rows
    names = _names(name, grid, heading, {n for known in columns.values() for n in known} | {"kind"})
    for row in rows:
        _refuse_outside(name, grid, names, row)
        values = {
            names[at]: _unquoted(cell) for at, cell in enumerate(row.cells) if cell is not None
        }
        texts = {n: _column(at, n, heading.cells[at]) for at, n in names.items()}
        kind = value_of(str(values.pop("kind", default)))
        if values:
            yield Entry(row.line, kind, values, texts, grid.word)


def _names(name: str, grid: FileRows, heading: Row, known: set[str]) -> dict[int, str]:
    """Map the columns to the names that their headings mean. Raises for an unknown or doubled one."""
    names: dict[int, str] = {}
    for at, cell in enumerate(heading.cells):
        if cell is None:
            continue
        meant = name_of(str(cell))
        reason = None
        if meant not in known:
            near = get_close_matches(meant, known, 1)
            reason = f"there is no column {cell!r}" + (f": did you mean {near[0]}?" if near else "")
        elif meant in names.values():
            first = next(letter(i) for i, other in names.items() if other == meant)
            reason = tr(
                "the heading {cell!r} stands twice: column {first} is {meant} already",
                cell=cell,
                first=first,
                meant=meant,
            )
        if reason is not None:
            raise SettingsError(
                tr(
                    "{name}, {location}: {reason}",
                    name=name,
                    location=grid.location(heading.line, at),
                    reason=reason,
                ),
                advice=tr(
                    "the first row holds the headings: {known}", known=", ".join(sorted(known))
                ),
            )
        names[at] = meant
    return names


def _refuse_outside(name: str, grid: FileRows, names: Mapping[int, str], row: Row) -> None:
    for at, cell in enumerate(row.cells):
        if cell is not None and at not in names:
            raise SettingsError(
                tr(
                    "{name}, {location}: there are more cells than columns with a heading",
                    name=name,
                    location=grid.location(row.line, at),
                ),
                advice=tr("nothing was changed; mend it first"),
            )


def _column(at: int, name: str, heading: Any) -> str:
    return letter(at) if heading == name else f"{letter(at)} ({heading})"


def _toml(name: str, text: str, default: str) -> Iterator[Entry]:
    try:
        # as Decimal: 19.99 is no binary fraction, and prices must be exact
        written = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            tr("{name} is no TOML: {error}", name=name, error=error),
            advice=tr("nothing was changed"),
        ) from error
    for kind, tables in written.items():
        # tomllib keeps no line numbers, and a person looks for the line
        lines = _headings(text, kind)
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise SettingsError(
                tr("{name}: {kind} is no list of tables", name=name, kind=kind),
                advice=tr("write [[{default}]] before each", default=default),
            )
        for number, values in enumerate(tables):
            line = lines[number] if number < len(lines) else -number - 1
            yield Entry(line, kind, {n: v for n, v in values.items() if v != ""})


def _headings(text: str, kind: str) -> list[int]:
    heading = re.compile(rf"\s*\[\[\s*[\"']?{re.escape(kind)}[\"']?\s*\]\]")
    return [number for number, line in enumerate(text.splitlines(), 1) if heading.match(line)]


def _refuse_unknown(document: Document, entry: Entry, columns: Mapping[str, Sequence[str]]) -> None:
    if entry.kind not in columns:
        raise document.wrong(
            entry,
            Wrong(
                tr("{kind!r} is none of {columns}", kind=entry.kind, columns=", ".join(columns)),
                "kind",
            ),
        )
    for name in entry.values:
        if name not in columns[entry.kind]:
            raise document.wrong(
                entry,
                Wrong(tr("there is no {name!r} in a {kind}", name=name, kind=entry.kind), name),
            )


def _to_csv(columns: Mapping[str, Sequence[str]], entries: list[Entry]) -> Iterator[str]:
    names = list(dict.fromkeys(name for known in columns.values() for name in known))
    if len(columns) > 1:
        names.insert(0, "kind")
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        row = {name: _csv_cell(value) for name, value in entry.values.items() if value is not None}
        writer.writerow({"kind": entry.kind, **row} if len(columns) > 1 else row)
    yield from out.getvalue().splitlines()


def _to_toml(columns: Mapping[str, Sequence[str]], entries: list[Entry]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        if number:
            yield ""
        yield f"[[{entry.kind}]]"
        for name in columns[entry.kind]:
            value = entry.values.get(name)
            if value is not None:
                yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _csv_cell(value: Any) -> str:
    """Return a cell of CSV that no spreadsheet runs as a formula.

    Such text, and text that begins with an apostrophe, gets one in front, which `_unquoted` undoes.
    """
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and _RUN.match(value) else str(value)


def _unquoted(cell: Any) -> Any:
    is_quoted = isinstance(cell, str) and cell.startswith("'") and _RUN.match(cell[1:])
    return cell[1:] if is_quoted else cell
