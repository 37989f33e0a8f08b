"""All that SQLite and Postgres disagree on, one file each behind one set of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, Table, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from etl.dialect.types import CalendarDay, UtcInstant
from etl.errors import Busy, SettingsError, StoreError

Row = Sequence[Any]
OURS: Final = "instance_history"
"""A table of every revision, by a name that no other program uses: it tells a database of ours."""


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


def open_database(url: str) -> Database:
    """The database of a SQLAlchemy URL. Nothing is connected to yet."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            from etl.dialect.sqlite import Sqlite

            return Sqlite(parsed)
        if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
            from etl.dialect.postgres import Postgres

            return Postgres(parsed.set(drivername="postgresql+psycopg"))
    except (ArgumentError, NoSuchModuleError, ValueError):
        parsed = None
    except ModuleNotFoundError as error:
        raise SettingsError(
            "the driver for Postgres is not installed",
            advice="pip install 'chenyu-etl[postgres]'",
        ) from error
    raise SettingsError(
        "the database URL is not understood"
        if parsed is None
        else f"{parsed.drivername} is not a database that this program writes to",
        advice="use sqlite:///PATH or postgresql://USER@HOST/NAME (CHENYU_DATABASE_URL)",
    )


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


__all__ = ["OURS", "CalendarDay", "Database", "Row", "UtcInstant", "open_database", "translated"]
