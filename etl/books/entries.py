"""Lists that a person writes, as CSV or TOML: read with the number of each line, and written again.

An entry is a table `[[price]]` of a TOML file, or a line of a CSV file; a CSV file with several kinds
of entries has a column `kind`. Amounts are exact: they are read as decimal text.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from etl.errors import SettingsError
from etl.history.days import Zone, from_iso, iso
from etl.poll import Instant
from etl.units import MICRO

_RUN: Final = re.compile(r"\s*[=+\-@＝＋－＠']")
FORMS: Final = ("csv", "toml")


class Wrong(Exception):
    """What is wrong with an entry, without its place."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line or table says; `said` holds no empty values. `line` is negative, its number,
    where a table has no line of its own."""

    line: int
    kind: str
    said: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        value = self.said.get(name)
        if value is not None and not isinstance(value, str):
            raise Wrong(f"{name} must be text")
        return value

    def one_of(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(name) or default
        if value is None or value not in choices:
            what = f"{name} is missing" if value is None else f"{name} cannot be {value!r}"
            raise Wrong(f"{what}: {', '.join(choices)}")
        return value

    def number(self, name: str) -> int | None:
        value = self.said.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
            return int(value)
        raise Wrong(f"{name} must be a whole number")

    def flag(self, name: str) -> bool:
        value = self.said.get(name, False)
        if isinstance(value, str):
            value = {
                "true": True,
                "yes": True,
                "1": True,
                "false": False,
                "no": False,
                "0": False,
            }.get(value.casefold(), value)
        if not isinstance(value, bool):
            raise Wrong(f"{name} must be true or false")
        return value

    def microcny(self, name: str, most: int) -> int:
        """Yuan as millionths, exactly."""
        value = self.said.get(name)
        if value is None or isinstance(value, bool):
            raise Wrong(f"{name} is missing" if value is None else f"{name} must be yuan")
        try:
            amount = Decimal(str(value)) * MICRO
        except InvalidOperation:
            raise Wrong(f"{name} must be yuan, such as 5.50") from None
        if not amount.is_finite() or amount != amount.to_integral_value():
            raise Wrong(f"{name} must be yuan with at most six decimals")
        if not 0 <= amount <= most:
            raise Wrong(f"{name} must be from 0 to {most // MICRO}")
        return int(amount)

    def instant(self, name: str, zone: Zone) -> Instant | None:
        """A day (its first second in `zone`), or a moment with its zone."""
        value = self.said.get(name)
        if value is None:
            return None
        try:
            text = value.isoformat() if isinstance(value, date | datetime) else str(value)
            if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                return zone.starts(date.fromisoformat(text))
            return from_iso(text)
        except (ValueError, OverflowError):
            raise Wrong(f"{name} must be a day, or a moment such as 2026-10-01T08:00:00Z") from None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import put in place of what: by kind, how many there are now, and were before.
    `remarks` name entries that hold for nothing that is known."""

    counts: Mapping[str, tuple[int, int]]
    remarks: Sequence[str] = ()

    def __str__(self) -> str:
        return ", ".join(
            f"{now} {kind}s" + (f" in place of {before}" if before else "")
            for kind, (now, before) in self.counts.items()
        )


def refuse_empty(path: Path, counts: Mapping[str, tuple[int, int]]) -> None:
    """Raises where a file would take all entries of a kind away, or says nothing at all."""
    lost = [f"{before} {kind}s" for kind, (now, before) in counts.items() if before and not now]
    if lost or not any(now for now, _ in counts.values()):
        what = f"that would take {' and '.join(lost)} away" if lost else "nothing would be imported"
        kinds = " or ".join(kind for kind, (now, _) in counts.items() if not now)
        raise SettingsError(
            f"{path} holds no {kinds}: {what}",
            advice="nothing was changed; if that is meant, add --allow-empty",
        )


def read(path: Path, columns: Mapping[str, Sequence[str]]) -> list[Entry]:
    """The entries of a file; `columns` says what each kind may say, the first kind is the default.

    Raises `SettingsError` with the line of the first thing that is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SettingsError(f"{path} cannot be read: {what}", advice="check its place") from error
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise SettingsError(
            f"{path} is neither CSV nor TOML by its name", advice="call it .csv or .toml"
        )
    entries = list((_csv if form == "csv" else _toml)(path, text, next(iter(columns))))
    for entry in entries:
        _refuse_unknown(path, entry, columns)
    return entries


def wrong(path: Path, line: int, what: str) -> SettingsError:
    """The error for a line of a file, or for a table by its number."""
    return SettingsError(
        f"{path}, {place(line)}: {what}", advice="nothing was changed; mend it first"
    )


def place(line: int) -> str:
    """An entry's `line` in words."""
    return f"line {line}" if line > 0 else f"entry {-line}"


def write(
    form: str, columns: Mapping[str, Sequence[str]], entries: Iterable[Entry]
) -> Iterator[str]:
    """Lines of a file that reads as `entries`."""
    return (_to_csv if form == "csv" else _to_toml)(columns, list(entries))


def day_or_moment(instant: Instant | None, zone: Zone) -> str | None:
    """As `Entry.instant` reads it."""
    if instant is None:
        return None
    day = zone.local_date(instant)
    return day.isoformat() if zone.starts(day) == instant else iso(instant)


def yuan(microcny: int) -> str:
    """Exact decimal text, with fen at least."""
    whole, rest = divmod(microcny, MICRO)
    fraction = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction}"


def _csv(path: Path, text: str, default: str) -> Iterator[Entry]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        for row in reader:
            if "" in row:
                raise wrong(path, reader.line_num, "there are more cells than columns")
            said = {n: _unquoted(cell.strip()) for n, cell in row.items() if cell and cell.strip()}
            if said:
                yield Entry(reader.line_num, said.pop("kind", default), said)
    except csv.Error as error:
        raise wrong(path, reader.line_num, str(error)) from error


def _toml(path: Path, text: str, default: str) -> Iterator[Entry]:
    try:
        written = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}", advice="nothing was changed") from error
    for kind, tables in written.items():
        lines = _headings(text, kind)
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise SettingsError(
                f"{path}: {kind} is no list of tables", advice=f"write [[{default}]] before each"
            )
        for number, said in enumerate(tables):
            line = lines[number] if number < len(lines) else -number - 1
            yield Entry(line, kind, {n: v for n, v in said.items() if v != ""})


def _headings(text: str, kind: str) -> list[int]:
    heading = re.compile(rf"\s*\[\[\s*[\"']?{re.escape(kind)}[\"']?\s*\]\]")
    return [number for number, line in enumerate(text.splitlines(), 1) if heading.match(line)]


def _refuse_unknown(path: Path, entry: Entry, columns: Mapping[str, Sequence[str]]) -> None:
    if entry.kind not in columns:
        raise wrong(path, entry.line, f"{entry.kind!r} is none of {', '.join(columns)}")
    for name in entry.said:
        if name not in columns[entry.kind]:
            raise wrong(path, entry.line, f"there is no {name!r} in a {entry.kind}")


def _to_csv(columns: Mapping[str, Sequence[str]], entries: list[Entry]) -> Iterator[str]:
    names = list(dict.fromkeys(name for each in columns.values() for name in each))
    if len(columns) > 1:
        names.insert(0, "kind")
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        row = {name: _cell(value) for name, value in entry.said.items() if value is not None}
        writer.writerow({"kind": entry.kind, **row} if len(columns) > 1 else row)
    yield from out.getvalue().splitlines()


def _to_toml(columns: Mapping[str, Sequence[str]], entries: list[Entry]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        if number:
            yield ""
        yield f"[[{entry.kind}]]"
        for name in columns[entry.kind]:
            value = entry.said.get(name)
            if value is not None:
                yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _cell(value: Any) -> str:
    """Text that a spreadsheet would run as a formula is quoted with an apostrophe, and so is what
    begins with one: `_unquoted` undoes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and _RUN.match(value) else str(value)


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _RUN.match(cell[1:]) else cell
