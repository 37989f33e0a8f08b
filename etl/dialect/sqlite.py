"""SQLite: one file, one writer at a time, readers undisturbed."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from math import sqrt
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, Executable, Table, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from etl.dialect import OURS, took_too_long
from etl.dialect.locks import lock_file
from etl.dialect.periods import Period
from etl.dialect.rendering import REMEMBERED, spell_out, unquoted
from etl.dialect.sqlite_asking import ask, write
from etl.dialect.sqlite_file import RESTORE, DatabaseFile
from etl.dialect.types import turned
from etl.errors import Busy, SettingsError, StoreError
from etl.paths import advice_on, file_name
from etl.texts import tr

HEARING_STEPS: Final = 500_000
"""Steps of SQLite's machine between two checks for Ctrl-C: some hundredths of a second."""
OLDEST: Final = (3, 37)
BUSY_TIMEOUT_S: Final = 30
OPENED: Final = "file"
"""Key under which a pooled connection notes which file it has open."""
WAL: Final = "wal"
PRIMARY: Final = 0xFF
"""The bits of a result code that name its kind."""
SYNCHRONOUS: Final = "FULL"
"""A power cut loses no commit: archives that follow one must not be ahead of it, and what a person was told
is done stays done. One more sync a commit; closing the file, after each poll, takes two anyway."""
CACHE_KB: Final = 8_000
"""The largest page cache. A first load writes in the order of its indexes, and gains nothing by a larger one."""

_PERMISSIONS: Final = tr(
    "let this user read and write the file and its folder, or name another place"
)
_DAMAGED: Final = tr(
    "restore a backup (docs/backup.md), or make a new database of the archive: chenyu-etl replay"
)
_ADVICE: Final = {
    sqlite3.SQLITE_CANTOPEN: _PERMISSIONS,
    sqlite3.SQLITE_READONLY: _PERMISSIONS,
    sqlite3.SQLITE_PERM: _PERMISSIONS,
    sqlite3.SQLITE_FULL: tr("make room on its disk, then try again: nothing was half written"),
    sqlite3.SQLITE_IOERR: tr("its disk or network drive fails or is full: check it"),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_OF_THE_SYSTEM: Final = frozenset(_ADVICE) - {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# nothing else: PRAGMA, ATTACH and TRANSACTION are actions of their own
_READING: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


def _add_root(connection: Any, _record: object) -> None:
    # SQLite has it only if it was built so
    connection.create_function("SQRT", 1, lambda x: None if x is None else sqrt(x))


class Sqlite:
    def __init__(self, path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise SettingsError(
                tr("SQLite {sqlite_version} is too old", sqlite_version=sqlite3.sqlite_version),
                advice=tr("3.37 or newer is needed"),
            )
        self.path = path
        self.location = str(path)
        self._file = DatabaseFile(path)
        self._spelled = lru_cache(maxsize=REMEMBERED)(_spelled)
        self.files = self._file.files
        self.reading_limit_s: float | None = None
        self._busy_timeout_s = busy_timeout_s
        self._write_turn = threading.Lock()
        self.engine = self._make_engine()

    def exists(self) -> bool:
        return self._file.exists()

    def create(self, *, with_folder: bool = False) -> bool:
        return self._file.create(with_folder=with_folder)

    def try_creating(self, *, with_folder: bool = False) -> None:
        self._file.try_creating(with_folder=with_folder)

    def verify(self) -> None:
        with self.engine.connect():
            pass

    def reopen_each_time(self) -> None:
        """Close each connection after its transaction. The last one removes `-wal` and `-shm`: between two
        transactions the database is one whole file, which can be copied, moved and restored."""
        self.engine.dispose()
        self.engine = self._make_engine(poolclass=NullPool)

    def refuse_damage(self) -> None:
        with self.reading() as conn:
            verdict = str(conn.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        if verdict != "ok":
            raise StoreError(
                tr(
                    "{location} is damaged: {verdict}",
                    location=self.location,
                    # a heading of its own line comes first
                    verdict=verdict.splitlines()[-1],
                ),
                advice=_DAMAGED,
            )

    def backup(self, target: Path) -> None:
        try:
            self._file.backup(target)
        except sqlite3.Error as error:  # the driver copies by itself
            raise self._store_error(error) from error

    def _make_engine(self, **options: Any) -> Engine:
        engine = create_engine(
            URL.create("sqlite", database=self.location),
            hide_parameters=True,
            connect_args={"timeout": self._busy_timeout_s},
            **options,
        )
        # SQLAlchemy's own would create the file that was mistyped
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", self._note_file)
        event.listen(engine, "connect", _add_root)
        event.listen(engine, "checkout", self._refuse_replaced)
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._taking_turns():
            # IMMEDIATE: a lock taken after the first read could find that another has written
            immediate = self.engine.connect().execution_options(sqlite_begin="IMMEDIATE")
            with immediate as conn, conn.begin():
                yield conn

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        """Let a thread open no connection before it may write: one that waits holds every view parsed."""
        if not self._write_turn.acquire(timeout=self._busy_timeout_s):
            raise self._busy()
        try:
            yield
        finally:
            self._write_turn.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect() as conn:
            # the transaction itself is no promise: SQLite has no read-only transactions
            conn.exec_driver_sql("PRAGMA query_only = ON")
            raw: Any = conn.connection.driver_connection
            limit_s, since = self.reading_limit_s, time.monotonic()
            # Python runs now and then during a long statement, so that Ctrl-C can end it, too
            raw.set_progress_handler(
                lambda: limit_s is not None and time.monotonic() - since > limit_s, HEARING_STEPS
            )
            try:
                yield conn
            except OperationalError as error:
                if str(error.orig) == "interrupted":
                    if limit_s is not None and time.monotonic() - since > limit_s:
                        raise took_too_long(self.location, limit_s) from error
                    raise KeyboardInterrupt from error  # sqlite3 replaces it by an error of its own
                raise
            finally:
                if not conn.invalidated:  # Ctrl-C closes it
                    raw.set_progress_handler(None, 0)
                    conn.rollback()
                    conn.exec_driver_sql("PRAGMA query_only = OFF")

    @contextmanager
    def guarded(self, sql: str) -> Iterator[Connection]:
        """Deny everything except reading: `query_only` alone lets ATTACH create a file, and a
        PRAGMA turn it off.
        """
        with self.reading() as conn:
            raw: Any = conn.connection.driver_connection
            raw.set_authorizer(_allow_reading)
            try:
                yield conn
            except sqlite3.Warning as error:  # Python before 3.12 warns of several statements
                raise StoreError(
                    tr("{location}: {error}", location=self.location, error=error)
                ) from error
            finally:
                if not conn.invalidated:
                    raw.set_authorizer(None)

    @contextmanager
    def account_lock(self, account: str) -> Iterator[Callable[[], object]]:
        """Hold a lock file beside the real database, so that links to it share the lock."""
        real = self.path.resolve()
        name = f"{real.name}.{file_name(account)}.lock"
        self._file.key()
        with lock_file(real.with_name(name), real, account):
            yield lambda: None

    def insert(
        self, conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            marks = ", ".join("?" * len(columns))
            write(
                conn,
                f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",
                _driver_rows(table, columns, rows),
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
            write(
                conn,
                f"UPDATE {table.name} SET {_marks(columns, ', ')} WHERE {_marks(keys, ' AND ')}",
                _driver_rows(table, [*columns, *keys], rows),
            )

    def delete(
        self, conn: Connection, table: Table, keys: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            write(
                conn,
                f"DELETE FROM {table.name} WHERE {_marks(keys, ' AND ')}",
                _driver_rows(table, keys, rows),
            )

    def ask(self, conn: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Any:
        return ask(conn, statement, parameters)

    def among(self, column: str, values: Sequence[str]) -> tuple[str, dict[str, Any]]:
        # one JSON parameter: SQLite limits how many a statement has, and each number would be a new
        # text
        return f"{column} IN (SELECT value FROM json_each(:among))", {"among": json.dumps(values)}

    def listed(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, dict[str, Any]]:
        values = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(len(columns)))
        encoded = json.dumps(_driver_rows(table, columns, rows))
        return f"(SELECT {values} FROM json_each(:listed))", {"listed": encoded}

    def refused_periods(self, periods: Sequence[Period]) -> Iterator[str]:
        raise SettingsError(
            tr("SQLite has no constraints against overlaps"),
            advice=tr("without --deep it is asked for rows that overlap"),
        )

    def render(self, sql: str) -> str:
        return self._spelled(sql)

    def create_view(self, conn: Connection, name: str, sql: str) -> None:
        # SQLite has no CREATE OR REPLACE VIEW, and no grants that could be lost
        self.drop_view(conn, name)
        conn.exec_driver_sql(f"CREATE VIEW {name} AS\n{self.render(sql)}")

    def drop_view(self, conn: Connection, name: str) -> None:
        conn.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")

    def error(self, error: DBAPIError) -> StoreError:
        return self._store_error(_cause_of(error).orig)

    def _store_error(self, error: BaseException | None) -> StoreError:
        # extended codes keep the kind in their low byte
        code = getattr(error, "sqlite_errorcode", 0) & PRIMARY
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._busy()
        # SQLite says that it cannot, not why: the system is asked once more
        refusal = self._file.refusal() if code in _OF_THE_SYSTEM else None
        if refusal is not None:
            what = tr(
                "{location}: {orig} ({strerror})",
                location=self.location,
                orig=error,
                strerror=refusal.strerror,
            )
            return StoreError(what, advice=advice_on(refusal))
        return StoreError(
            tr("{location}: {orig}", location=self.location, orig=error),
            advice=_ADVICE.get(code),
        )

    def _busy(self) -> Busy:
        return Busy(
            tr("{location} is locked by another program", location=self.location),
            advice=tr("end the program that holds a write transaction open, then try again"),
        )

    def _connect(self, *arguments: Any) -> sqlite3.Connection:
        """Open the file in place of SQLAlchemy, which would create it."""
        raw = self._file.connect(**arguments[-1])
        try:
            self._prepare(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    def _prepare(self, raw: sqlite3.Connection) -> None:
        raw.isolation_level = None  # we begin transactions
        mode = WAL if _is_foreign(raw) else _use_wal(raw)
        if mode != WAL:
            warnings.warn(
                f"{self.location} cannot use write-ahead logging (journal mode {mode}): readers and"
                " the writer will wait for each other; on a network drive use Postgres",
                stacklevel=2,
            )
        raw.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        # off by default, and a setting of the connection, not of the file
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute(f"PRAGMA cache_size = -{CACHE_KB}")

    def _note_file(self, _: sqlite3.Connection, record: Any) -> None:
        record.info[OPENED] = self._file.key()

    def _refuse_replaced(self, _: sqlite3.Connection, record: Any, __: Any) -> None:
        """Refuse a kept connection whose file is no longer under the path; SQLite would go on with it."""
        if record.info[OPENED] != self._file.key():
            raise StoreError(
                tr("{location} was replaced by another file", location=self.location),
                advice=RESTORE,
            )


def _spelled(sql: str) -> str:
    """Return SQL as this database reads it."""
    return spell_out(
        sql,
        {
            "epoch": lambda inner: f"CAST(strftime('%s', {inner}) AS BIGINT)",
            "instant": lambda inner: f"strftime('%Y-%m-%dT%H:%M:%SZ', {inner}, 'unixepoch')",
            "clock": lambda day, s: f"({day} || strftime(' %H:%M:%S', {s}, 'unixepoch'))",
            "find": lambda text, part: f"INSTR({text}, {part})",
            "json_items": (
                lambda json: (
                    f"json_each(CASE WHEN NOT json_valid({json}) THEN NULL"
                    f" WHEN json_type({json}) = 'array' THEN {json} ELSE json_array(json({json})) END)"
                )
            ),
            "json_member": (
                lambda item, path: (
                    f"CASE WHEN {item}.type = 'object'"
                    f" THEN CAST(json_extract({item}.value, '$.{unquoted(path)}') AS TEXT) END"
                )
            ),
            "json_text": lambda item: f"CAST({item}.atom AS TEXT)",
            # json_quote gives 'null' for null
            "json_string": (
                lambda inner: f"CASE WHEN {inner} IS NOT NULL THEN json_quote({inner}) END"
            ),
        },
    )


def _use_wal(raw: sqlite3.Connection) -> str:
    """Switch to write-ahead logging and return the mode in force. A read-only file needs no
    switch.
    """
    try:
        return str(raw.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_READONLY:
            return WAL
        raise


def _is_foreign(raw: sqlite3.Connection) -> bool:
    """Tell whether all tables belong to another program: its file is refused later, and must keep
    its journal mode.
    """
    # the journal mode is kept in the file: switching it would change another program's file
    names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return bool(names) and OURS not in names


def _cause_of(error: DBAPIError) -> DBAPIError:
    """Return the error that ended a transaction. SQLite forgets its savepoints with it, so that going back to
    one fails, too.
    """
    cause: BaseException | None = error
    while cause is not None and "no such savepoint" in str(cause):
        cause = cause.__context__
    return cause if isinstance(cause, DBAPIError) else error


def _begin(conn: Connection) -> None:
    mode = conn.get_execution_options().get("sqlite_begin", "DEFERRED")
    conn.exec_driver_sql(f"BEGIN {mode}")


def _allow_reading(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _marks(columns: Sequence[str], joint: str) -> str:
    return joint.join(f"{column} = ?" for column in columns)


def _driver_rows(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """Return rows as sqlite3 takes them."""
    return list(zip(*turned(table, columns, rows), strict=True))
