"""SQLite: one file, one writer at a time, readers undisturbed."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from etl.dialect import OURS
from etl.dialect.rendering import spell_out
from etl.dialect.types import turned
from etl.errors import Busy, SettingsError, StoreError
from etl.paths import file_name

HEARING_STEPS: Final = 500_000
"""Of SQLite's machine, between looks for Ctrl-C: some hundredths of a second."""
OLDEST: Final = (3, 37)
BUSY_TIMEOUT_S: Final = 30
COMPANIONS: Final = ("", "-wal", "-shm", "-journal")
CACHE_KB: Final = 24_000
"""At most. A first load whose indexes outgrow the cache takes twice as long."""

_READING: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


class Sqlite:
    def __init__(self, url: URL, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        if url.database in (None, "", ":memory:"):
            raise SettingsError(
                "an in-memory database would be lost at the end",
                advice="name a file: sqlite:////absolute/path.db (CHENYU_DATABASE_URL)",
            )
        if sqlite3.sqlite_version_info < OLDEST:
            raise SettingsError(
                f"SQLite {sqlite3.sqlite_version} is too old", advice="3.37 or newer is needed"
            )
        self.path = Path(str(url.database)).expanduser().absolute()
        self.place = str(self.path)
        self.files = tuple(Path(f"{self.path}{ending}") for ending in COMPANIONS)
        self.engine: Engine = create_engine(
            url.set(database=self.place),
            hide_parameters=True,
            connect_args={"timeout": busy_timeout_s},
        )
        event.listen(self.engine, "do_connect", self._create_privately)
        event.listen(self.engine, "connect", self._prepare)
        event.listen(self.engine, "begin", _begin)

    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        immediate = self.engine.connect().execution_options(sqlite_begin="IMMEDIATE")
        with immediate as conn, conn.begin():
            yield conn

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA query_only = ON")
            raw: Any = conn.connection.driver_connection
            raw.set_progress_handler(_hear_signals, HEARING_STEPS)
            try:
                yield conn
            except OperationalError as error:
                if str(error.orig) == "interrupted":
                    raise KeyboardInterrupt from error  # sqlite3 swallowed it
                raise
            finally:
                if not conn.invalidated:  # as Ctrl-C leaves it: closed, and not used again
                    raw.set_progress_handler(None, 0)
                    conn.rollback()
                    conn.exec_driver_sql("PRAGMA query_only = OFF")

    @contextmanager
    def guarded(self) -> Iterator[Connection]:
        """`query_only` alone would let ATTACH make a file and a PRAGMA turn it off."""
        with self.reading() as conn:
            raw: Any = conn.connection.driver_connection
            raw.set_authorizer(_allow_reading)
            try:
                yield conn
            except sqlite3.Warning as error:  # several statements, which is no Error before 3.12
                raise StoreError(f"{self.place}: {error}") from error
            finally:
                if not conn.invalidated:
                    raw.set_authorizer(None)

    @contextmanager
    def account_lock(self, account: str) -> Iterator[Callable[[], object]]:
        from filelock import FileLock, Timeout

        self.path.parent.mkdir(parents=True, exist_ok=True)
        place = self.path.with_name(f"{self.path.name}.{file_name(account)}.lock")
        lock = FileLock(place, mode=0o600)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise _held(account) from error
        try:
            yield lambda: None
        finally:
            lock.release()

    def insert(
        self, conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            marks = ", ".join("?" * len(columns))
            conn.exec_driver_sql(
                f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",
                _plain(table, columns, rows),
            )

    def update(
        self,
        conn: Connection,
        table: Table,
        keys: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
    ) -> None:
        if rows:
            conn.exec_driver_sql(
                f"UPDATE {table.name} SET {_marks(columns, ', ')} WHERE {_marks(keys, ' AND ')}",
                _plain(table, [*columns, *keys], rows),
            )

    def delete(
        self, conn: Connection, table: Table, keys: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            conn.exec_driver_sql(
                f"DELETE FROM {table.name} WHERE {_marks(keys, ' AND ')}",
                _plain(table, keys, rows),
            )

    def among(self, column: str, values: Sequence[str]) -> tuple[str, dict[str, Any]]:
        return f"{column} IN (SELECT value FROM json_each(:among))", {"among": json.dumps(values)}

    def listed(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, dict[str, Any]]:
        values = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(len(columns)))
        told = json.dumps(_plain(table, columns, rows))
        return f"(SELECT {values} FROM json_each(:listed))", {"listed": told}

    def render(self, sql: str) -> str:
        return spell_out(
            sql,
            {
                "epoch": lambda inner: f"CAST(strftime('%s', {inner}) AS BIGINT)",
                "instant": lambda inner: f"strftime('%Y-%m-%dT%H:%M:%SZ', {inner}, 'unixepoch')",
            },
        )

    def create_view(self, conn: Connection, name: str, sql: str) -> None:
        self.drop_view(conn, name)
        conn.exec_driver_sql(f"CREATE VIEW {name} AS\n{self.render(sql)}")

    def drop_view(self, conn: Connection, name: str) -> None:
        conn.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")

    def error(self, error: DBAPIError) -> StoreError:
        said = str(error.orig)
        if "locked" in said or "busy" in said:
            return Busy(
                f"{self.place} is locked by another program",
                advice="end the program that holds a write transaction open, then try again",
            )
        advice = "run chenyu-etl doctor"
        if "unable to open" in said or "readonly" in said:
            advice = "check that the folder exists and that you may write to it"
        if "is full" in said:
            advice = "make room on its disk, then try again: nothing was half written"
        if "malformed" in said or "not a database" in said:
            advice = "restore the file from a backup, or name another one (CHENYU_DATABASE_URL)"
        return StoreError(f"{self.place}: {said}", advice=advice)

    def _create_privately(self, *_: Any) -> None:
        """The file, and so its -wal and -shm, are for their owner only."""
        if not self.path.exists():
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise StoreError(
                    f"{self.place} cannot be created: {error.strerror}",
                    advice="name another place (CHENYU_DATABASE_URL or option --database)",
                ) from error

    def _prepare(self, raw: sqlite3.Connection, _: Any) -> None:
        raw.isolation_level = None  # transactions begin where we say
        mode = "wal" if _is_foreign(raw) else raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            warnings.warn(
                f"{self.place} cannot use write-ahead logging (journal mode {mode}): readers and"
                " the writer will wait for each other; on a network drive use Postgres",
                stacklevel=2,
            )
        raw.execute("PRAGMA synchronous = NORMAL")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute(f"PRAGMA cache_size = -{CACHE_KB}")


def _hear_signals() -> int:
    """Runs Python now and then during a long statement, so that Ctrl-C is heard. What it raises ends
    the statement."""
    return 0


def _is_foreign(raw: sqlite3.Connection) -> bool:
    """Whether tables of others are there alone: their file is left in its mode, to be refused."""
    names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return bool(names) and OURS not in names


def _begin(conn: Connection) -> None:
    mode = conn.get_execution_options().get("sqlite_begin", "DEFERRED")
    conn.exec_driver_sql(f"BEGIN {mode}")


def _allow_reading(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _held(account: str) -> Busy:
    return Busy(
        f"another sync of account {account!r} is at work",
        advice="nothing to do: it brings the same data; see chenyu-etl status",
    )


def _marks(columns: Sequence[str], joint: str) -> str:
    return joint.join(f"{column} = ?" for column in columns)


def _plain(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """Rows as sqlite3 takes them."""
    return list(zip(*turned(table, columns, rows), strict=True))
