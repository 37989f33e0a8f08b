"""Statements on SQLite's own connection: SQLAlchemy takes several times as long around one as SQLite takes for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from sqlalchemy import Connection, Executable
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError

REMEMBERED = 256
_DIALECT = SQLiteDialect_pysqlite()

Turn = Callable[[Any], Any] | None
"""Function that turns a value for the driver, or back; None if it stays as it is."""


class DriverRow(tuple[Any, ...]):
    """A row, whose values have the names of their columns. Each statement has a class of its own."""

    at: ClassVar[Mapping[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self.at[name]]
        except KeyError:
            raise AttributeError(name) from None


class DriverRows:
    """Rows of a statement, with the part of SQLAlchemy's `Result` that the store needs."""

    def __init__(self, rows: Iterator[Any], cursor: sqlite3.Cursor) -> None:
        self._rows = rows
        self._cursor = cursor

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def all(self) -> list[Any]:
        return list(self._rows)

    def first(self) -> Any:
        row = next(self._rows, None)
        # a statement that was not read to its end holds its lock
        self._cursor.close()
        return row

    def scalars(self) -> DriverRows:
        return DriverRows((row[0] for row in self._rows), self._cursor)

    def scalar(self) -> Any:
        row = self.first()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        ((value,),) = self._rows
        return value


class DriverStatement:
    """A statement as SQLite takes it: its text, the parameters in their order, and how values turn."""

    def __init__(self, statement: Any, compiled: Any) -> None:
        self.sql: str = compiled.string
        names: Sequence[str] = compiled.positiontup or ()
        fixed = compiled.params
        self._parameters = [(n, _into(compiled.binds[n].type), fixed[n]) for n in names]
        # statements written as text may not say what they return
        columns = list(getattr(statement, "selected_columns", ()))
        turns = enumerate(_out_of(column.type) for column in columns)
        self._columns = [(i, turn) for i, turn in turns if turn is not None]
        names_at = {column.key: i for i, column in enumerate(columns)}
        self._row: Any = type("DriverRow", (DriverRow,), {"at": names_at})

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        return [
            turn(given.get(name, fixed)) if turn else given.get(name, fixed)
            for name, turn, fixed in self._parameters
        ]

    def rows(self, cursor: sqlite3.Cursor) -> Iterator[Any]:
        columns, named = self._columns, self._row
        try:
            for row in cursor:
                turned = list(row)
                for i, turn in columns:
                    turned[i] = turn(turned[i])
                yield named(turned)
        except sqlite3.Error as error:
            raise _foreign(self.sql, error) from error


def ask(conn: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Any:
    """Run a statement that is built once, and remember it."""
    asked = _driver_statement(statement)
    if asked is None:
        return conn.execute(statement, parameters)
    try:
        cursor = _raw(conn).execute(asked.sql, asked.values(parameters))
    except sqlite3.Error as error:
        raise _foreign(asked.sql, error) from error
    return DriverRows(asked.rows(cursor), cursor)


def write(conn: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement once for each row of parameters."""
    try:
        if len(rows) == 1:
            _raw(conn).execute(sql, rows[0])
        else:
            _raw(conn).executemany(sql, rows)
    except sqlite3.Error as error:
        raise _foreign(sql, error) from error


def _foreign(sql: str, error: sqlite3.Error) -> BaseException:
    """Return the error that SQLAlchemy raises if it runs the statement."""
    return DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True)


@lru_cache(maxsize=REMEMBERED)
def _driver_statement(statement: Executable) -> DriverStatement | None:
    compiled: Any = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
    # a list of values that is written out needs SQLAlchemy each time
    return None if compiled.post_compile_params else DriverStatement(statement, compiled)


def _raw(conn: Connection) -> sqlite3.Connection:
    raw: Any = conn.connection.driver_connection
    return raw  # type: ignore[no-any-return]


def _into(kind: Any) -> Turn:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)  # type: ignore[no-any-return]


def _out_of(kind: Any) -> Turn:
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)  # type: ignore[no-any-return]
