"""Everything that SQLite and Postgres disagree on, one module each behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, Executable, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from etl.address import read_address
from etl.dialect.periods import Period
from etl.dialect.types import CalendarDay, UtcInstant
from etl.errors import Busy, SettingsError, StoreError, TookTooLong
from etl.redact import remember_url
from etl.texts import tr

Row = Sequence[Any]
OURS: Final = "instance_history"
"""A table that every revision has and no other program: it marks a database as ours."""
DATABASE_ID: Final = "database_id"
"""Name of the setting that identifies a database. A restored backup has the same one."""


class Database(Protocol):
    """Operations of a database that SQLAlchemy Core does not cover.

    Bulk functions take rows of plain Python values in the order of the columns named, instants as
    whole seconds; each is one statement, or one `executemany`, whatever the number of rows.
    """

    engine: Engine
    location: str
    """Path of the file, or host, port and name of the database: nothing secret."""
    files: tuple[Path, ...]
    """Files that no output may overwrite; empty if a server holds the data."""
    reading_limit_s: float | None
    """Seconds after which a read-only transaction raises `TookTooLong`; None: it may take as long as it needs."""

    def exists(self) -> bool:
        """Tell whether there is a database to read. Creates nothing."""

    def create(self, *, with_folder: bool = False) -> bool:
        """Create an empty file for the database, and its folder only `with_folder`. Return False if
        there is a file already, or if a server holds the data.
        """

    def try_creating(self, *, with_folder: bool = False) -> None:
        """Raise `StoreError` if `create` would be refused, and create nothing."""

    def verify(self) -> None:
        """Raise `StoreError` if the file is gone, or is another database than this process opened."""

    def reopen_each_time(self) -> None:
        """Hold no file open between two transactions: for a process that runs for long."""

    def refuse_damage(self) -> None:
        """Raise `StoreError` if a page of the file is damaged, also one that a poll would not read. A
        server looks after its own files."""

    def backup(self, target: Path) -> str | None:
        """Copy the database to a file, which is replaced once the copy is whole. If a server holds the
        data, nothing is done, and the command to run instead is returned."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Open a write transaction; writers take turns from its first statement on."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a read-only transaction on one consistent state of the data."""

    def guarded(self, sql: str) -> AbstractContextManager[Connection]:
        """Open a read-only transaction for one streamed statement written by a user, `sql`."""

    def account_lock(self, account: str) -> AbstractContextManager[Callable[[], object]]:
        """Hold the lock of an account over a whole poll. Raises `Busy` at once if another process has it.

        It yields a function that raises an error if the lock has been lost since.
        """

    def insert(self, conn: Connection, table: Table, columns: Row, rows: Sequence[Row]) -> None: ...

    def update(
        self, conn: Connection, table: Table, keys: Row, columns: Row, rows: Sequence[Row]
    ) -> None:
        """Update rows; each holds the new values of `columns`, then the `keys` of the row to change."""

    def delete(self, conn: Connection, table: Table, keys: Row, rows: Sequence[Row]) -> None: ...

    def ask(self, conn: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Any:
        """Run a statement that is built once, as polls do: it is remembered for as long as the process
        lives. Its rows are sequences, in the order of the columns.
        """

    def among(self, column: str, values: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """Return a condition that `column` is one of `values`, and its parameters. The text is the same for
        any number of values."""

    def listed(self, table: Table, columns: Row, rows: Sequence[Row]) -> tuple[str, dict[str, Any]]:
        """Return a subselect of rows with the types of these columns, and its parameters. The text is the
        same for any number of rows."""

    def refused_periods(self, periods: Sequence[Period]) -> Iterator[str]:
        """Yield what a constraint of the database refuses of these tables, a line each.

        Raises `SettingsError` if it has no such constraints.
        """

    def render(self, sql: str) -> str:
        """Return the text of a view with `epoch(instant)`, `instant(seconds)` and `json_string(text)`
        spelled out."""

    def create_view(self, conn: Connection, name: str, sql: str) -> None: ...

    def drop_view(self, conn: Connection, name: str) -> None: ...

    def error(self, error: DBAPIError) -> StoreError:
        """Return our error for one of the driver."""


def open_database(value: str) -> Database:
    """Return the database of an address as people write it. Nothing is connected to yet."""
    # before it is read: an error about it must not show its password
    remember_url(value)
    address = read_address(value)
    if isinstance(address, Path):
        # here, not above: whoever uses SQLite needs no driver of Postgres
        from etl.dialect.sqlite import Sqlite

        return Sqlite(address)
    try:
        from etl.dialect.postgres import Postgres
    except ModuleNotFoundError as error:
        raise SettingsError(
            tr("the driver for Postgres is not installed"),
            advice=tr("pip install 'chenyu-etl[postgres]'"),
        ) from error
    return Postgres(address)


def took_too_long(location: str, limit_s: float) -> TookTooLong:
    """Return the error of a read that was ended after so many seconds."""
    return TookTooLong(
        tr("{location}: reading took longer than {limit_s} s", location=location, limit_s=limit_s),
        advice=tr("ask for a shorter period, or for less at once"),
    )


@contextmanager
def translated(database: Database) -> Iterator[None]:
    """Turn errors of the driver into errors of ours."""
    try:
        yield
    except DBAPIError as error:
        raise database.error(error) from error
    except NoFreeConnection as error:
        raise Busy(
            tr(
                "{location}: all connections of this process are at work",
                location=database.location,
            ),
            advice=tr("it may pass; else poll less often, or from several processes"),
        ) from error


__all__ = [
    "DATABASE_ID",
    "OURS",
    "CalendarDay",
    "Database",
    "Row",
    "UtcInstant",
    "open_database",
    "took_too_long",
    "translated",
]
