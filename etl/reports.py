"""Reports: SQL files with a header that documents them, run read-only, rows out.

The header is the leading comment of the file. Lines `@param NAME TEXT` declare a parameter, with
`[a, b, c]` at the end of the text for the values it can take, the first of them the default;
`@column NAME TEXT` documents a column. `:from_day` and `:to_day`, where declared, are days of the
reporting time zone, both included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from etl import places
from etl.dialect import Database, translated
from etl.errors import SettingsError

_PARAM: Final = re.compile(r"^@param (\w+) (.*?)(?: \[([^\]]+)\])?$")
_COLUMN: Final = re.compile(r"^@column (\w+) (.*)$")


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    about: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """`sql` is the file's text without its header."""

    name: str
    about: str
    params: tuple[Param, ...]
    columns: Mapping[str, str]
    sql: str

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)


def names() -> list[str]:
    """Every report there is."""
    return sorted(path.stem for path in places.REPORTS.glob("*.sql"))


def load(name: str) -> Report:
    """A report by name. Raises `SettingsError` where there is none."""
    path = places.REPORTS / f"{name}.sql"
    if name not in names():
        raise SettingsError(
            f"there is no report {name!r}", advice=f"there are: {', '.join(names())}"
        )
    return parse(name, path)


def parse(name: str, path: Path) -> Report:
    """The report in a file."""
    header: list[str] = []
    body: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        is_header = line.startswith("--") and not body
        (header if is_header else body).append(
            line.removeprefix("--").strip() if is_header else line
        )
    params = [_param(*found.groups()) for line in header if (found := _PARAM.match(line))]
    columns = {found[1]: found[2] for line in header if (found := _COLUMN.match(line))}
    about = " ".join(line for line in header if line and not line.startswith("@"))
    return Report(name, about, tuple(params), columns, "\n".join(body))


def run(
    database: Database, report: Report, arguments: Mapping[str, Any]
) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """The column names and the rows. Every declared parameter needs an argument."""
    bound = {param.name: _chosen(param, arguments.get(param.name)) for param in report.params}
    return _run(database, report.sql, bound)


def _run(
    database: Database, sql: str, bound: Mapping[str, Any]
) -> tuple[list[str], Iterator[Sequence[Any]]]:
    def rows() -> Iterator[Sequence[Any]]:
        with translated(database), database.reading() as conn:
            result = conn.execution_options(stream_results=True).execute(text(sql), bound)
            yield list(result.keys())
            for row in result:
                yield [plain(value) for value in row]

    lines = rows()
    header = next(lines)
    return [str(name) for name in header], lines


def plain(value: Any) -> Any:
    """A value as both databases give it alike: instants as `2026-01-31T23:59:59Z`, days as ISO."""
    from datetime import UTC, datetime
    from decimal import Decimal

    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if value.as_tuple().exponent else int(value)
    return value


def day_range(since: str | None, until: str | None, today: date) -> tuple[str, str]:
    """The first and the last day of `--from` and `--to`: this month to date by default.

    Each is a day, a month (`2026-10`: its first, or last, day), `today`, `yesterday`, `this-month`,
    `last-month`, or a number of days such as `7d` (that many days up to today). Raises
    `SettingsError`.
    """
    first, last_of_since = _days(since or "this-month", today)
    if until is not None:
        last = _days(until, today)[1]
    else:
        last = last_of_since if since and _names_a_period(since) else today
    if first > last:
        raise SettingsError(
            f"the period from {first} to {last} is empty", advice="--from is later than --to"
        )
    return first.isoformat(), last.isoformat()


def _names_a_period(word: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d|last-month|yesterday", word) is not None


def _days(word: str, today: date) -> tuple[date, date]:
    month = today.replace(day=1)
    known = {
        "today": (today, today),
        "yesterday": (today - timedelta(days=1),) * 2,
        "this-month": (month, today),
        "last-month": ((month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)),
    }
    try:
        if word in known:
            return known[word]
        if found := re.fullmatch(r"(\d{1,4})d", word):
            return today - timedelta(days=int(found[1]) - 1), today
        if re.fullmatch(r"\d{4}-\d\d", word):
            first = date.fromisoformat(f"{word}-01")
            return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return (date.fromisoformat(word),) * 2
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{word!r} is no day",
            advice="use 2026-01-31, 2026-01, today, yesterday, this-month, last-month or 7d",
        ) from None


def _param(name: str, about: str, choices: str | None) -> Param:
    return Param(name, about, tuple(c.strip() for c in choices.split(",")) if choices else ())


def _chosen(param: Param, value: Any) -> Any:
    if value is None and param.choices:
        return param.choices[0]
    if param.choices and value not in param.choices:
        raise SettingsError(
            f"{param.name} cannot be {value!r}", advice=f"it can be {', '.join(param.choices)}"
        )
    return value
