"""Read lists that people keep as CSV, .xlsx or TOML into entries, with the place of each.

Rows of several kinds have a column `kind`. Amounts are exact: they are read as decimal text.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from etl.books.entries import Entry, Wrong
from etl.books.grids import FileRows, Row, decoded, letter, read_grid
from etl.books.spelling import name_of, unquoted_cell, value_of
from etl.errors import SettingsError
from etl.paths import read_whole
from etl.texts import tr

STANDARD_INPUT: Final = Path("-")


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
        return parse(*named_content(path), columns)
    name, content = named_content(path)
    form = path.suffix.lower().removeprefix(".")
    # said before it is read: of an image or a PDF no line could be named
    if form not in ("csv", "tsv", "txt", "xlsx", "toml"):
        raise SettingsError(
            tr("{path} is neither CSV, .xlsx nor TOML by its name", path=path),
            advice=tr("call it .csv, .xlsx or .toml"),
        )
    return parse(name, content, columns, is_toml=form == "toml")


def named_content(path: Path) -> tuple[str, bytes]:
    """Return a file's name for people and its content; `-` is standard input. Raises `SettingsError`."""
    if path == STANDARD_INPUT:
        return "standard input", sys.stdin.buffer.read()
    try:
        return str(path), read_whole(path)
    except OSError as error:
        raise SettingsError(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror),
            advice=tr("check its place"),
        ) from error


def parse(
    name: str,
    content: bytes,
    columns: Mapping[str, Sequence[str]],
    *,
    is_toml: bool | None = None,
) -> Document:
    """Read the entries of a file's content; its first character tells if it is TOML, unless given."""
    # standard input has no name to tell it by
    if is_toml is None:
        is_toml = re.match(rb"(\s*#[^\n]*\n|\s)*(\[\[|\w+ *= *\[)", content) is not None
    if is_toml:
        document = Document(name, list(_toml(name, decoded(name, content), next(iter(columns)))))
    else:
        grid = read_grid(name, content)
        document = Document(name, list(_row_entries(name, grid, columns)), grid.remarks)
    # all of them before any is used: nothing is written of a list that is wrong at its end
    for entry in document.entries:
        _refuse_unknown(document, entry, columns)
    return document


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
            names[at]: unquoted_cell(cell) for at, cell in enumerate(row.cells) if cell is not None
        }
        texts = {n: _column(at, n, heading.cells[at]) for at, n in names.items()}
        # a list of one kind needs no such column
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
            guess = tr(": did you mean {name}?", name=near[0]) if near else ""
            reason = tr("there is no column {cell!r}{guess}", cell=cell, guess=guess)
        # one of the two values would win without a word
        # a Chinese and an English heading may mean the same column
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
    # an amount such as 1,100.00 without quotes shifts all cells behind it
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
        written = tomllib.loads(text, parse_float=_exact_number)
    # ValueError: no TOML, or a number of too many digits; RecursionError: endless brackets
    except (ValueError, RecursionError) as error:
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
            # an empty text is as good as none, as an empty cell is
            yield Entry(line, kind, {n: v for n, v in values.items() if v != ""})


def _exact_number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"no number has the exponent of {digits[:20]}") from None


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
