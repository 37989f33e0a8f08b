"""Postgres, through psycopg 3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, Executable, Table, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from etl.dialect import took_too_long
from etl.dialect.locks import account_busy
from etl.dialect.periods import Period
from etl.dialect.postgres_errors import CANCELED, CHECK, to_store_error
from etl.dialect.postgres_rights import restricted
from etl.dialect.postgres_session import SessionFactory
from etl.dialect.rendering import REMEMBERED, spell_out, unquoted
from etl.dialect.types import turned
from etl.errors import Away, StoreError
from etl.texts import tr

DRIVER: Final = "postgresql+psycopg://"
# as long as SQLite's busy timeout: both databases give up after the same wait
LOCK_TIMEOUT_S: Final = 30
READING: Final = (
    "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true),"
    " set_config('cursor_tuple_fraction', '1', true)"
)
"""Settings of a reader's transaction. Reports group and sort up to a year of parts, which spills to disk with
the usual 4 MB; compiling a plan takes longer than it saves; a streamed result is read to its end."""


class Postgres:
    files: tuple[Path, ...] = ()

    def __init__(self, url: str, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self._server = SessionFactory(url, lock_timeout_s)
        self.location = self._server.location()
        self._spelled = lru_cache(maxsize=REMEMBERED)(_spelled)
        self.reading_limit_s: float | None = None
        options: dict[str, Any] = {"creator": self._server.connect, "hide_parameters": True}
        # asked before each use: a server that was restarted leaves dead connections in the pool
        self.engine: Engine = create_engine(DRIVER, pool_pre_ping=True, **options)
        # no pool: a session must not outlive its lock, nor be lent while it holds one
        self._lock_engine = create_engine(DRIVER, poolclass=NullPool, **options)

    def exists(self) -> bool:
        # a server answers for itself when it is connected to
        return True

    def create(self, *, with_folder: bool = False) -> bool:
        return False

    def try_creating(self, *, with_folder: bool = False) -> None:
        """Do nothing: a server's database is made by its owner."""

    def verify(self) -> None:
        """Do nothing: the server itself reports a database that is not there."""

    def reopen_each_time(self) -> None:
        """Do nothing: no session outlives its database."""

    def refuse_damage(self) -> None:
        """Do nothing: a server looks after its own files."""

    def backup(self, target: Path) -> str:
        return self._server.dump_command(target)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a write transaction. Writers take turns, as on SQLite: nothing that a writer has
        read changes before it commits, and a commit that the server continues after its client was
        killed has ended.
        """
        with self.engine.begin() as conn:
            # ends with the transaction, so nothing has to be freed after an error
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_key("write"),))
            yield conn

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(
            # one state for all statements of a report; the write lock is not waited for
            isolation_level="REPEATABLE READ",
            postgresql_readonly=True,
        ) as conn:
            # local to the transaction: a pooled session keeps nothing of it
            conn.exec_driver_sql(READING)
            if self.reading_limit_s is not None:
                limit_ms = round(self.reading_limit_s * 1000)
                conn.exec_driver_sql(f"SET LOCAL statement_timeout = {limit_ms}")
            yield conn

    @contextmanager
    def guarded(self, sql: str) -> Iterator[Connection]:
        """Stream a statement as the query of a cursor: the server accepts no other kind of statement there,
        and no second one. See `restricted` for what else it may not do."""
        with self.reading() as conn:
            restricted(conn, sql)
            yield conn.execution_options(stream_results=True)

    @contextmanager
    def account_lock(self, account: str) -> Iterator[Callable[[], object]]:
        """Hold a session advisory lock on a connection of its own. The server frees it when this process or
        its connection dies."""
        key = _key(f"account {account}")
        with self._lock_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            if not conn.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar():
                raise account_busy(account)
            try:
                yield lambda: self._refuse_lost_lock(conn, key)
            finally:
                # the lock ends with the connection anyway, and the poll is committed
                if not conn.invalidated:
                    with suppress(DBAPIError):
                        conn.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (key,))

    def insert(
        self, conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if not rows:
            return
        raw = conn.connection.cursor()
        # rows go in one stream, with no statement to be parsed for each
        statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
        try:
            with raw.copy(statement) as copy:
                for row in zip(*turned(table, columns, rows), strict=True):
                    copy.write_row(row)
        except psycopg.Error as error:  # COPY bypasses SQLAlchemy
            raise DBAPIError(statement, None, error) from error

    def update(
        self,
        conn: Connection,
        table: Table,
        keys: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
    ) -> None:
        if rows:
            assigned = ", ".join(f"{column} = v.{column}" for column in columns)
            names = [*columns, *keys]
            conn.exec_driver_sql(
                # one statement for all rows: a round trip for each would make a first load last
                # minutes
                f"UPDATE {table.name} t SET {assigned} FROM {self._unnest(table, names)}"
                f" WHERE {_same(keys)}",
                _arrays(table, names, rows),
            )

    def delete(
        self, conn: Connection, table: Table, keys: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            conn.exec_driver_sql(
                f"DELETE FROM {table.name} t USING {self._unnest(table, keys)} WHERE {_same(keys)}",
                _arrays(table, keys, rows),
            )

    def ask(self, conn: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Any:
        return conn.execute(statement, parameters)

    def among(self, column: str, values: Sequence[str]) -> tuple[str, dict[str, Any]]:
        # one parameter, so that the statement is prepared once for any number of values; and one text, since
        # the driver quotes the items of an array one by one
        lines = "\n".join(values)
        if values and (lines.count("\n") != len(values) - 1 or "" in values):
            return f"{column} = ANY(:among)", {"among": list(values)}
        return f"{column} = ANY(string_to_array(:among, chr(10)))", {"among": lines}

    def listed(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, dict[str, Any]]:
        arrays = _arrays(table, columns, rows)
        kinds = [self._kind(table, column) for column in columns]
        typed = ", ".join(f"CAST(:listed_{n} AS {kind}[])" for n, kind in enumerate(kinds))
        # one array for each column, as in `among`: one text and one plan for any number of rows
        return f"(SELECT * FROM unnest({typed}))", {
            f"listed_{n}": array for n, array in enumerate(arrays)
        }

    def refused_periods(self, periods: Sequence[Period]) -> Iterator[str]:
        # here: no poll asks for it
        from etl.dialect.postgres_periods import refused

        return refused(self.engine, periods)

    def render(self, sql: str) -> str:
        return self._spelled(sql)

    def create_view(self, conn: Connection, name: str, sql: str) -> None:
        """Create or replace a view: in place if its columns allow, else by dropping it with its
        grants.
        """
        text = f"VIEW {name} AS\n{self.render(sql)}"
        try:
            with conn.begin_nested():
                # replacing keeps grants and views that users built on this one
                conn.exec_driver_sql(f"CREATE OR REPLACE {text}")
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "42P16":  # invalid_table_definition
                raise
        self.drop_view(conn, name)
        conn.exec_driver_sql(f"CREATE {text}")

    def drop_view(self, conn: Connection, name: str) -> None:
        try:
            with conn.begin_nested():
                conn.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "2BP01":  # dependent_objects_still_exist
                raise
            diagnosis: Any = getattr(error.orig, "diag", None)
            dependents = str(diagnosis.message_detail).partition("\n")[0]
            raise StoreError(
                tr(
                    "view {name} cannot be made anew: {dependents}",
                    name=name,
                    dependents=dependents,
                ),
                advice=tr(
                    "save the definition of your own view, drop it, upgrade, create it again"
                ),
            ) from error

    def error(self, error: DBAPIError) -> StoreError:
        limit_s, state = self.reading_limit_s, getattr(error.orig, "sqlstate", None)
        if limit_s is not None and state == CANCELED:
            return took_too_long(self.location, limit_s)
        return to_store_error(error, self._server)

    def _refuse_lost_lock(self, conn: Connection, key: int) -> None:
        # pg_locks shows the key of 64 bits as two unsigned halves
        high, low = divmod(key % 2**64, 2**32)
        is_held = conn.exec_driver_sql(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND classid = %s AND objid = %s AND objsubid = 1",
            (high, low),
        ).scalar()
        if not is_held:
            raise Away(
                tr("{location}: the lock of the account was lost", location=self.location),
                advice=CHECK,
            )

    def _unnest(self, table: Table, columns: Sequence[str]) -> str:
        arrays = ", ".join(f"%s::{self._kind(table, column)}[]" for column in columns)
        return f"(SELECT * FROM unnest({arrays})) AS v({', '.join(columns)})"

    def _kind(self, table: Table, column: str) -> str:
        """Return the type of a column in SQL."""
        return table.c[column].type.compile(self.engine.dialect)


def _spelled(sql: str) -> str:
    """Return SQL as this database reads it."""
    return spell_out(
        sql,
        {
            # EXTRACT is numeric, and seconds are whole numbers everywhere
            "epoch": lambda inner: f"CAST(EXTRACT(EPOCH FROM {inner}) AS BIGINT)",
            "instant": lambda inner: f"to_timestamp({inner})",
            "clock": lambda day, s: f"(CAST({day} AS TIMESTAMP) + ({s}) * INTERVAL '1 second')",
            "find": lambda text, part: f"STRPOS({text}, {part})",
            # only an array can be taken apart: anything else counts as a list of itself
            "json_items": (
                lambda json: (
                    "jsonb_array_elements(CASE jsonb_typeof(CAST"
                    f"({json} AS JSONB)) WHEN 'array' THEN CAST({json} AS JSONB)"
                    f" ELSE jsonb_build_array(CAST({json} AS JSONB)) END)"
                )
            ),
            "json_member": (
                lambda item, path: f"({item}.value #>> '{{{unquoted(path).replace('.', ',')}}}')"
            ),
            "json_text": (
                lambda item: (
                    f"CASE WHEN jsonb_typeof({item}.value) NOT IN ('object', 'array')"
                    f" THEN {item}.value #>> '{{}}' END"
                )
            ),
            "json_string": lambda inner: f"CAST(to_json(CAST({inner} AS TEXT)) AS TEXT)",
        },
    )


def _key(what: str) -> int:
    """Return the key of an advisory lock."""
    # advisory locks have 64 signed bits, and other programs may use some too
    return int.from_bytes(hashlib.sha256(f"chenyu-etl {what}".encode()).digest()[:8], signed=True)


def _arrays(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[list[Any], ...]:
    """Return rows as one array for each column."""
    return tuple(list(column) for column in turned(table, columns, rows))


def _same(keys: Sequence[str]) -> str:
    return " AND ".join(f"t.{key} = v.{key}" for key in keys)
