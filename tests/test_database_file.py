"""The SQLite file under a program at work: taken away, replaced, restored, copied."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from etl.dialect import open_database, translated
from etl.dialect.sqlite import Sqlite
from etl.errors import Busy, SettingsError, StoreError
from etl.service.daemon import Daemon
from etl.simcloud import Story
from etl.store import Store, schema
from tests.commands import Command, home, run
from tests.conftest import TODAY, ZONE
from tests.driven import Stepped
from tests.live import Live, Living, living
from tests.support import rows

__all__ = ["home", "run"]

Accident = Callable[[Path, Path], object]
"""Is done to the file of a database; the second path is another database."""


def deleted(path: Path, other: Path) -> None:
    for companion in path.parent.glob(f"{path.name}*"):
        companion.unlink()


def overwritten(path: Path, other: Path) -> None:
    """As `cp` does: the inode stays."""
    path.write_bytes(other.read_bytes())


def linked_elsewhere(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


ACCIDENTS: dict[str, Accident] = {
    "deleted": deleted,
    "moved away": lambda path, other: path.rename(path.with_name("moved.db")),
    "its folder moved": lambda path, other: path.parent.rename(other.parent / "moved"),
    "replaced": lambda path, other: os.replace(other, path),
    "overwritten": overwritten,
    "truncated": lambda path, other: os.truncate(path, 0),
    "a link to another": linked_elsewhere,
    "a folder": lambda path, other: (path.unlink(), path.mkdir()),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "x.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Sqlite]:
    database = new_database(path)
    yield database
    database.engine.dispose()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    database = new_database(tmp_path / "other.db")
    database.engine.dispose()
    return database.path


@pytest.fixture
def live(opened: Sqlite) -> Iterator[Living]:
    with living(lambda: f"sqlite:///{opened.path}") as make:
        yield make


def new_database(path: Path) -> Sqlite:
    database = open_database(str(path))
    assert isinstance(database, Sqlite)
    schema.upgrade(database, ZONE, TODAY)
    return database


def write(database: Sqlite) -> None:
    with Store(database, "lab").writing():
        pass


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_a_file_that_is_not_the_one_of_before_is_neither_read_nor_written(
    opened: Sqlite, other: Path, accident: str
) -> None:
    opened.reopen_each_time()
    write(opened)
    before = other.read_bytes()
    ACCIDENTS[accident](opened.path, other)
    for use in (write, lambda database: rows(database, "SELECT 1"), lambda d: d.verify()):
        with pytest.raises(StoreError) as caught, translated(opened):
            use(opened)
        assert str(opened.path) in caught.value.message
        assert caught.value.advice
    left = opened.path if accident in ("replaced", "overwritten") else other
    assert left.read_bytes() == before
    assert opened.path.exists() == (accident not in ("deleted", "moved away", "its folder moved"))


def test_a_link_that_leads_nowhere_is_said_and_begins_no_history(
    run: Command, tmp_path: Path
) -> None:
    """What it leads to may be on a disk that is not mounted."""
    (tmp_path / "link.db").symlink_to("away/x.db")
    (tmp_path / "away").mkdir()
    done = run("db", "upgrade", CHENYU_DATABASE_URL=str(tmp_path / "link.db"))
    assert done.exit_code == 6
    assert "is a link to away/x.db, where there is no file" in done.stderr
    assert list((tmp_path / "away").iterdir()) == []


def test_a_device_or_a_pipe_is_no_database(run: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    for path in ("/dev/null", str(tmp_path / "pipe.db")):
        done = run("db", "upgrade", CHENYU_DATABASE_URL=path)
        assert (done.exit_code, "is a device or a pipe" in done.stderr) == (6, True)


@pytest.mark.parametrize("accident", ["deleted", "moved away", "replaced", "a link to another"])
def test_a_command_that_keeps_its_connection_notices_too(
    opened: Sqlite, other: Path, accident: str
) -> None:
    write(opened)
    ACCIDENTS[accident](opened.path, other)
    with pytest.raises(StoreError, match=r"any more|replaced"):
        write(opened)


def test_a_file_that_is_put_back_is_gone_on_with(opened: Sqlite, other: Path) -> None:
    opened.reopen_each_time()
    write(opened)
    opened.path.rename(other.with_name("away.db"))
    with pytest.raises(StoreError, match="any more"):
        write(opened)
    other.with_name("away.db").rename(opened.path)
    write(opened)
    assert rows(opened, "SELECT name FROM account") == [("lab",)]


def test_a_backup_that_is_restored_under_a_daemon_is_gone_on_with(
    live: Living, opened: Sqlite, tmp_path: Path
) -> None:
    lab = live(Story())
    lab.database.reopen_each_time()
    lab.cloud.rents()
    lab.polls()
    opened.engine.dispose()
    opened.backup(tmp_path / "backup.db")
    lab.cloud.rents()
    lab.polls(minutes=5)
    os.replace(tmp_path / "backup.db", opened.path)
    assert rows(lab.database, "SELECT count(*) FROM instance") == [(1,)]
    assert lab.polls(minutes=5).exit_code == 0
    assert rows(lab.database, "SELECT count(*) FROM instance") == [(2,)]
    assert rows(lab.database, "PRAGMA integrity_check") == [("ok",)]


def test_the_log_of_another_file_is_never_written_into_a_restored_one(
    opened: Sqlite, other: Path, tmp_path: Path
) -> None:
    """A third program has the former file open, so that its log stays where it is."""
    opened.backup(tmp_path / "backup.db")
    restored = (tmp_path / "backup.db").read_bytes()
    daemon = open_database(str(opened.path))
    daemon.reopen_each_time()
    assert rows(daemon, "SELECT count(*) FROM account") == [(0,)]
    write(opened)
    os.replace(tmp_path / "backup.db", opened.path)
    with pytest.raises(StoreError, match="former database"):
        rows(daemon, "SELECT count(*) FROM account")
    assert opened.path.read_bytes() == restored
    for log in opened.files[1:]:
        log.unlink(missing_ok=True)
    assert rows(daemon, "SELECT count(*) FROM account") == [(0,)]


def test_a_waiting_daemon_leaves_one_whole_file(opened: Sqlite, tmp_path: Path) -> None:
    """So that `cp` and `mv` between two polls neither lose the last polls nor mix two databases."""
    opened.reopen_each_time()
    write(opened)
    assert [entry.name for entry in opened.path.parent.iterdir()] == ["x.db"]
    shutil.copy(opened.path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as raw:
        assert raw.execute("SELECT name FROM account").fetchall() == [("lab",)]


def test_links_to_a_database_share_its_locks(opened: Sqlite, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(opened.path)
    linked = open_database(str(link))
    assert isinstance(linked, Sqlite)
    with (
        linked.account_lock("lab"),
        pytest.raises(Busy, match="another sync"),
        opened.account_lock("lab"),
    ):
        pass


@pytest.fixture
def daemon(
    live: Living, opened: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Live, Daemon]]:
    """A daemon whose ticks the test makes."""
    lab = live(Story())
    lab.app.settings = replace(lab.app.settings, accounts=(lab.account,), resources=("instances",))
    lab.database.reopen_each_time()
    opened.engine.dispose()
    monkeypatch.setattr("etl.service.schedule.BackgroundScheduler", Stepped)
    made = Daemon(lab.app, lambda: lab.app.settings)
    yield lab, made
    made.schedule.stop(60)
    made._alerting.stop(60)


def test_a_daemon_without_its_file_is_not_ready_and_invents_nothing(
    daemon: tuple[Live, Daemon], opened: Sqlite
) -> None:
    lab, made = daemon
    (watch,) = made.schedule.watches.values()
    away = opened.path.with_name("away.db")
    answers = []
    for happens in (
        lambda: None,
        lambda: opened.path.rename(away),
        lambda: away.rename(opened.path),
    ):
        happens()
        lab.cloud.passes(minutes=2)
        made.schedule.ticks.tick(watch, lab.app.clock())
        status, _, body = made.readiness()
        answers.append((status, json.loads(body)["status"], opened.path.exists()))
    assert answers == [(200, "ready", True), (503, "database lost", False), (200, "ready", True)]
    polled = rows(lab.database, "SELECT outcome FROM sync_run")
    assert polled == [("complete",)] * 2


# backups


def test_a_backup_is_whole_while_others_write(opened: Sqlite, tmp_path: Path) -> None:
    target = tmp_path / "b.db"
    target.write_text("an older backup")
    ended = threading.Event()

    def keep_writing() -> None:
        while not ended.is_set():
            with opened.writing() as conn:
                conn.execute(text("INSERT INTO account (name) VALUES (hex(randomblob(9)))"))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(5):
            opened.backup(target)
    finally:
        ended.set()
        writer.join()
    with closing(sqlite3.connect(target)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
        (count,) = raw.execute("SELECT count(*) FROM account").fetchone()
    assert 0 < count <= rows(opened, "SELECT count(*) FROM account")[0][0]
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["b.db", "home"]


def test_a_database_of_any_revision_can_be_copied_and_none_is_made(
    opened: Sqlite, run: Command, tmp_path: Path
) -> None:
    with opened.writing() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert run("--database", str(opened.path), "db", "backup", "b.db").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "b.db")) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    assert run("--database", str(tmp_path / "none.db"), "db", "backup", "c.db").exit_code == 2
    assert not list(tmp_path.glob("none.db*"))
    assert not (tmp_path / "c.db").exists()


def test_a_backup_of_postgres_is_a_command_without_a_password(run: Command) -> None:
    url = "postgresql://u:S3CRET@db.example:6543/lab?sslmode=require&options=-csearch_path%3Dx"
    result = run("db", "backup", "/b b/lab.dump", CHENYU_DATABASE_URL=url)
    assert result.exit_code == 0
    assert "S3CRET" not in result.output
    words = shlex.split(result.stdout)
    assert words[:3] == ["pg_dump", "--format=custom", "--file=/b b/lab.dump"]
    assert conninfo_to_dict(words[3].removeprefix("--dbname=")) == {
        "user": "u",
        "host": "db.example",
        "port": "6543",
        "dbname": "lab",
        "sslmode": "require",
    }


def test_a_backup_that_fails_leaves_the_older_one(opened: Sqlite, tmp_path: Path) -> None:
    target = tmp_path / "b.db"
    opened.backup(target)
    before = target.read_bytes()
    opened.engine.dispose()
    with opened.path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 5)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        opened.backup(target)
    assert target.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["b.db", "home"]


def test_a_backup_never_takes_the_place_of_a_database_in_use(
    opened: Sqlite, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="the database itself"):
        opened.backup(opened.path)
    (tmp_path / "b.db-wal").touch()
    with pytest.raises(StoreError, match="in use"):
        opened.backup(tmp_path / "b.db")
    with pytest.raises(StoreError, match="cannot be written"):
        opened.backup(tmp_path / "none" / "b.db")
