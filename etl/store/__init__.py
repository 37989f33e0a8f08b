"""The store: the known state of each account, and the only code that writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, false, insert, select, update

from etl import tables
from etl.dialect import Database, translated
from etl.store.polls import PollsReader, PollsWriter
from etl.store.runs import SyncRun
from etl.store.transaction import Reading, Writing

if TYPE_CHECKING:
    # running time, costs and windows: a poll that changes nothing needs none of it
    from etl.store.account import Reader, Tx


@contextmanager
def reading(database: Database) -> Iterator[Reading]:
    """Open a read-only view of all accounts, in one consistent state."""
    with translated(database), database.reading() as conn:
        yield Reading(database, conn)


@contextmanager
def writing(database: Database) -> Iterator[Writing]:
    """Open all accounts in one write transaction. Raises `Busy` if the database is locked."""
    with translated(database), database.writing() as conn:
        yield Writing(database, conn)


def try_writing(database: Database) -> None:
    """Try to write, without writing anything. Raises `StoreError` if it is refused."""
    setting = tables.setting
    with translated(database), database.writing() as conn:
        # no row matches, so nothing changes, but the database has to take the write lock
        conn.execute(update(setting).values(value=setting.c.value).where(false()))


class Store:
    """Access to one account's data in the database."""

    def __init__(self, database: Database, account: str) -> None:
        self.database = database
        self.account = account

    @contextmanager
    def account_lock(self) -> Iterator[Callable[[], object]]:
        """Lock the account for a whole poll. Raises `Busy` at once if another sync is at work. Call
        the yielded function before writing: it raises an error if a restart of the server freed the
        lock.
        """
        with (
            translated(self.database),
            self.database.account_lock(self.account) as still_held,
        ):
            yield still_held

    @contextmanager
    def writing(self) -> Iterator[Tx]:
        """Open one write transaction, which commits whole or not at all. Raises `Busy` if the
        database is locked.
        """
        from etl.store.account import Tx

        with self._writing() as (conn, account_id):
            yield Tx(self.database, conn, account_id)

    @contextmanager
    def recording(self) -> Iterator[PollsWriter]:
        """Open a write transaction for the rows of polls alone, as `writing` does for all."""
        with self._writing() as (conn, account_id):
            yield PollsWriter(self.database, conn, account_id)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open a read-only view of the account, in one consistent state."""
        from etl.store.account import Reader

        with self._reading() as (conn, account_id):
            yield Reader(self.database, conn, account_id)

    @contextmanager
    def polls(self) -> Iterator[PollsReader]:
        """Open a read-only view of the account's polls alone, in one consistent state."""
        with self._reading() as (conn, account_id):
            yield PollsReader(self.database, conn, account_id)

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int]]:
        with translated(self.database), self.database.writing() as conn:
            yield conn, _account_id(conn, self.account)

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, int]]:
        with translated(self.database), self.database.reading() as conn:
            account_id = conn.scalar(
                select(tables.account.c.account_id).where(tables.account.c.name == self.account)
            )
            # no account has this number: it reads as one that was never synced
            yield conn, -1 if account_id is None else account_id


def account_names(database: Database) -> list[str]:
    """Return the names of all accounts that were ever synced."""
    c = tables.account.c
    with translated(database), database.reading() as conn:
        return list(conn.scalars(select(c.name).order_by(c.name)))


def _account_id(conn: Connection, name: str) -> int:
    c = tables.account.c
    account_id = conn.scalar(select(c.account_id).where(c.name == name))
    if account_id is None:
        account_id = conn.execute(
            insert(tables.account).values(name=name).returning(c.account_id)
        ).scalar_one()
    return int(account_id)


__all__ = [
    "Reading",
    "Store",
    "SyncRun",
    "Writing",
    "account_names",
    "reading",
    "writing",
]
