"""Column types that differ between the databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Date, DateTime, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from etl.history.days import from_iso, iso, isos
from etl.poll import Instant


class UtcInstant(TypeDecorator[Instant]):
    """An instant, whole seconds since 1970 in Python.

    `timestamptz` on Postgres; on SQLite ISO 8601 text ending in `Z`, which sorts by time.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return DateTime(timezone=True) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: Instant | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        # SQLite has no type for instants: text that sorts by time
        return datetime.fromtimestamp(value, UTC) if dialect.name == "postgresql" else iso(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Instant | None:
        if value is None:
            return None
        return int(value.timestamp()) if isinstance(value, datetime) else from_iso(value)


class CalendarDay(TypeDecorator[str]):
    """A day, `2026-01-31` in Python. `date` on Postgres, text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Date() if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return value
        return date.fromisoformat(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.isoformat() if isinstance(value, date) else value


def turned(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[Sequence[Any]]:
    """Return rows as one sequence for each column, with instants as text, which both databases take."""
    by_column: list[Sequence[Any]] = list(zip(*rows, strict=True))
    if len(rows) == 1:
        for i in _instants_among(table, tuple(columns)):
            (at,) = by_column[i]
            by_column[i] = (None if at is None else iso(at),)
        return by_column
    for i in _instants_among(table, tuple(columns)):
        # by column, each instant once: this runs for every row that is written
        by_column[i] = list(map(isos(by_column[i]).get, by_column[i]))
    return by_column


@lru_cache(maxsize=256)
def _instants_among(table: Table, columns: tuple[str, ...]) -> tuple[int, ...]:
    """Return which columns hold instants; a table has few lists of columns, each asked for often."""
    return tuple(i for i, name in enumerate(columns) if isinstance(table.c[name].type, UtcInstant))
