"""The SQLite file: whose it is, and where it cannot be."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from etl.dialect import open_database, translated
from etl.dialect.sqlite import Sqlite
from etl.errors import SettingsError, StoreError
from etl.store import schema
from tests.conftest import SYNCHRONOUS, TODAY, ZONE
from tests.live import flushed_by
from tests.support import rows


@pytest.fixture
def fresh_file(tmp_path: Path) -> Iterator[Callable[..., Sqlite]]:
    opened = []

    def make(name: str = "x.db") -> Any:
        opened.append(open_database(f"sqlite:///{tmp_path / name}"))
        return opened[-1]

    yield make
    for each in opened:
        each.engine.dispose()


def test_a_sqlite_file_and_its_companions_are_for_their_owner_only(
    fresh_file: Callable[..., Sqlite],
) -> None:
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)
    with database.account_lock("lab"), database.writing() as conn:
        conn.execute(text("INSERT INTO account (account_id, name) VALUES (1, 'lab')"))
        found = {p.name: stat.S_IMODE(p.stat().st_mode) for p in database.path.parent.iterdir()}
    assert found == dict.fromkeys(("x.db", "x.db-wal", "x.db-shm", "x.db.lab.lock"), 0o600)
    assert stat.S_IMODE(database.path.parent.stat().st_mode) == 0o700


def test_readers_and_the_writer_do_not_wait_for_each_other_on_sqlite(
    fresh_file: Callable[..., Sqlite],
) -> None:
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)
    assert rows(database, "PRAGMA journal_mode") == [("wal",)]
    with database.reading() as reading, database.writing() as writing:
        reading.execute(text("SELECT * FROM account")).all()
        writing.execute(text("INSERT INTO account (account_id, name) VALUES (1, 'lab')"))


def test_threads_that_wait_for_their_turn_to_write_hold_no_connection(
    fresh_file: Callable[..., Sqlite],
) -> None:
    """Each connection holds every view parsed: with fifty accounts that is the memory of a daemon."""
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)
    database.reopen_each_time()
    opened, most = [0], [0]

    def note(change: int) -> None:
        opened[0] += change
        most.append(opened[0])

    event.listen(database.engine, "connect", lambda *_: note(1))
    event.listen(database.engine, "close", lambda *_: note(-1))
    began = Barrier(8)

    def write(number: int) -> None:
        began.wait()
        with database.writing() as conn:
            conn.execute(
                text(f"INSERT INTO account (account_id, name) VALUES ({number}, '{number}')")
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert rows(database, "SELECT count(*) FROM account") == [(8,)]
    assert max(most) == 1


def test_where_wal_cannot_be_had_it_says_so_and_goes_on(
    fresh_file: Callable[..., Sqlite], tmp_path: Path
) -> None:
    place = f"file:{tmp_path}/net.db?vfs=unix-dotfile"  # as a network drive: no shared memory
    raw = sqlite3.connect(place, uri=True)
    with pytest.warns(UserWarning, match="use Postgres"):
        fresh_file()._prepare(raw)
    raw.execute("CREATE TABLE t (x)")
    raw.close()


def test_the_file_of_another_program_keeps_its_journal_mode(
    fresh_file: Callable[..., Sqlite], tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "theirs.db") as raw:
        raw.execute("CREATE TABLE users (name TEXT)")
    raw.close()
    before = (tmp_path / "theirs.db").read_bytes()
    with pytest.raises(SettingsError, match="something else: users"):
        schema.upgrade(fresh_file("theirs.db"), ZONE, TODAY)
    assert (tmp_path / "theirs.db").read_bytes() == before


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(
    fresh_file: Callable[..., Sqlite], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be created") as caught:
        schema.upgrade(fresh_file("file/x.db"), ZONE, TODAY)
    assert "--database" in str(caught.value.advice)


def test_a_full_disk_is_an_error_with_advice(fresh_file: Callable[..., Sqlite]) -> None:
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)

    def fill() -> None:
        with translated(database), database.writing() as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            conn.exec_driver_sql("CREATE TABLE big AS SELECT zeroblob(10000000)")

    with pytest.raises(StoreError, match="full") as caught:
        fill()
    assert "make room" in str(caught.value.advice)


def test_a_full_disk_within_a_savepoint_is_said_to_be_one(
    fresh_file: Callable[..., Sqlite],
) -> None:
    """SQLite ends the whole transaction then, and knows no savepoint any more."""
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)
    full = DBAPIError.instance(
        "INSERT", None, sqlite3.OperationalError("database or disk is full"), sqlite3.Error
    )

    def fill() -> None:
        with translated(database), database.writing() as conn, conn.begin_nested():
            conn.exec_driver_sql("ROLLBACK")
            raise full

    with pytest.raises(StoreError, match="disk is full"):
        fill()


def test_a_file_that_is_no_database_is_an_error_with_advice(
    fresh_file: Callable[..., Sqlite], tmp_path: Path
) -> None:
    (tmp_path / "letter.db").write_text("Dear Sirs, " * 1000)
    with pytest.raises(StoreError, match="not a database") as caught:
        schema.upgrade(fresh_file("letter.db"), ZONE, TODAY)
    assert "backup" in str(caught.value.advice)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("ENOSPC", "make room"),
        ("EROFS", "read-only"),
        ("EDQUOT", "quota"),
        ("EIO", "disk"),
        ("EMFILE", "ulimit"),
        ("EACCES", "user"),
    ],
)
@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR])
def test_the_reason_of_the_system_is_found_where_sqlite_gives_none(
    fresh_file: Callable[..., Sqlite],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    reason: str,
    advice: str,
) -> None:
    number = getattr(errno, reason)

    def refuse(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    database = fresh_file()
    database.create()
    foreign = sqlite3.OperationalError("disk I/O error")
    foreign.sqlite_errorcode = code | 0x300
    plain = database.error(DBAPIError("SELECT 1", None, foreign))
    monkeypatch.setattr("etl.dialect.sqlite_file.try_folder", refuse)
    error = database.error(DBAPIError("SELECT 1", None, foreign))
    assert plain.message == f"{database.path}: disk I/O error"
    assert error.message == f"{database.path}: disk I/O error ({os.strerror(number)})"
    assert advice in str(error.advice)
    assert list(database.path.parent.iterdir()) == [database.path]


def test_a_backup_that_cannot_be_written_can_be_read(
    fresh_file: Callable[..., Sqlite], tmp_path: Path
) -> None:
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)
    database.backup(tmp_path / "b.db")
    raw = sqlite3.connect(f"file:{tmp_path}/b.db?mode=ro", uri=True)
    database._prepare(raw)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    raw.close()


def test_a_commit_is_on_disk_before_it_is_said_to_be_done(
    fresh_file: Callable[..., Sqlite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that a lost commit had claimed would be refused as another database's."""
    monkeypatch.setattr("etl.dialect.sqlite.SYNCHRONOUS", SYNCHRONOUS)
    database = fresh_file()
    database.create()
    with database.writing() as conn:
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_name_of_a_new_database_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = flushed_by(monkeypatch)
    open_database(f"sqlite:///{tmp_path / 'x.db'}").create()
    assert tmp_path.stat().st_ino in flushed


def test_a_backup_that_the_disk_refuses_ends_in_an_error_of_ours(
    fresh_file: Callable[..., Sqlite], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = fresh_file()
    schema.upgrade(database, ZONE, TODAY)

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("etl.dialect.sqlite_file._copy", fails)
    with pytest.raises(StoreError, match="disk I/O error"):
        database.backup(tmp_path / "b.db")
    assert list(tmp_path.glob("*b.db*")) == [], "no copy is left that is not whole"
