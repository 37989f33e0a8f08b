"""All that SQLite and Postgres disagree on, one file each behind one set of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from etl.address import read_address
from etl.dialect.types import CalendarDay, UtcInstant
from etl.errors import Busy, SettingsError, StoreError
from etl.redact import remember_url

Row = Sequence[Any]
OURS: Final = "instance_history"
"""A table of every revision, by a name that no other program uses: it tells a database of ours."""
DATABASE_ID: Final = "database_id"
"""Name of the setting that tells one database from another. A backup that is restored keeps it."""


class Database(Protocol):
    """What the store needs of a database beyond SQLAlchemy Core.

    Bulk functions take rows of plain Python values in the order of the columns named, instants as
    whole seconds; each is one statement, or one `executemany`, whatever the number of rows.
    """

    engine: Engine
    place: str
    """Where the data is, for people: a path or a URL without password."""
    files: tuple[Path, ...]
    """What nothing else may be written to; none where a server has the data."""

    def exists(self) -> bool:
        """Whether there is a database to look at; nothing is created."""

    def create(self, *, with_folder: bool = False) -> bool:
        """Make an empty file for the database, and its folder only `with_folder`. False if there is one,
        or if a server holds the data."""

    def verify(self) -> None:
        """Raises `StoreError` if the file is gone, or is another database than this process opened."""

    def reopen_each_time(self) -> None:
        """Hold no file open between two transactions: for a process that runs for long."""

    def backup(self, target: Path) -> str | None:
        """Copy the database to a file, which is replaced once the copy is whole. If a server holds the
        data, nothing is done, and the command to run instead is returned."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A write transaction; writers take turns from its first statement on."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A read-only transaction on one state of the data."""

    def guarded(self) -> AbstractContextManager[Connection]:
        """The same for SQL that is not ours, streamed: one statement, and it can only read."""

    def account_lock(self, account: str) -> AbstractContextManager[Callable[[], object]]:
        """Held over a whole poll. Raises `Busy` at once where another process holds it. What it
        gives raises `Away` (translated) where the lock was lost since."""

    def insert(self, conn: Connection, table: Table, columns: Row, rows: Sequence[Row]) -> None: ...

    def update(
        self, conn: Connection, table: Table, keys: Row, columns: Row, rows: Sequence[Row]
    ) -> None:
        """Rows hold the new values of `columns`, then the `keys` of the row to change."""

    def delete(self, conn: Connection, table: Table, keys: Row, rows: Sequence[Row]) -> None: ...

    def among(self, column: str, values: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """A condition that `column` is one of `values`, and its parameters: one text for any
        number of values."""

    def listed(self, table: Table, columns: Row, rows: Sequence[Row]) -> tuple[str, dict[str, Any]]:
        """A subselect of rows with the types of these columns, and its parameters: one text for any
        number of rows."""

    def render(self, sql: str) -> str:
        """View text with the functions `epoch(instant)` and `instant(seconds)` spelled out."""

    def create_view(self, conn: Connection, name: str, sql: str) -> None: ...

    def drop_view(self, conn: Connection, name: str) -> None: ...

    def error(self, error: DBAPIError) -> StoreError:
        """Our error for a foreign one."""


def open_database(value: str) -> Database:
    """Return the database of an address as people write it. Nothing is connected to yet."""
    remember_url(value)
    address = read_address(value)
    if isinstance(address, Path):
        from etl.dialect.sqlite import Sqlite

        return Sqlite(address)
    try:
        from etl.dialect.postgres import Postgres
    except ModuleNotFoundError as error:
        raise SettingsError(
            "the driver for Postgres is not installed",
            advice="pip install 'chenyu-etl[postgres]'",
        ) from error
    return Postgres(address)


@contextmanager
def translated(database: Database) -> Iterator[None]:
    """Foreign database errors in the block come out as ours."""
    try:
        yield
    except DBAPIError as error:
        raise database.error(error) from error
    except NoFreeConnection as error:
        raise Busy(
            f"{database.place}: all connections of this process are at work",
            advice="it may pass; else poll less often, or from several processes",
        ) from error


__all__ = [
    "DATABASE_ID",
    "OURS",
    "CalendarDay",
    "Database",
    "Row",
    "UtcInstant",
    "open_database",
    "translated",
]
