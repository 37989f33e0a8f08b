"""Several syncs, readers and foreign locks at once."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from etl import rebuild
from etl.dialect import Database, open_database
from etl.dialect.postgres import Postgres
from etl.dialect.sqlite import Sqlite
from etl.errors import Away, Busy, ErrorKind, LockError, StalePoll, StoreError
from etl.history.diff import Changes, Ended, Presence, Version
from etl.history.stretches import Stretch, Terms
from etl.resources.instances import Instance
from etl.resources.listing import Reject
from etl.simcloud import T0, Behaviour, Story, serve
from etl.store import Store, SyncRun, schema
from etl.store.account import Tx
from etl.sync import sync
from tests.conftest import TODAY, ZONE
from tests.fake_source import Fake, job_of
from tests.live import (
    KEY,
    Living,
    closing,
    command,
    environment,
    living,
    real_cloud,
    start,
    wait_for,
)
from tests.support import HELD_HERE, apply, columns, dump, poll_of, poll_story, rows


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def impatient(kind: str, fresh_url: Callable[[], str]) -> Callable[[], Database]:
    """Makes databases that wait a moment for a lock, all of one place."""
    url = fresh_url()

    def make() -> Database:
        if kind == "sqlite":
            return Sqlite(Path(url.removeprefix("sqlite:///")), busy_timeout_s=0.05)
        return Postgres(url, lock_timeout_s=0.05)

    return make


# two of one account


def test_of_two_syncs_of_an_account_one_works_and_the_other_exits_7(
    fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    url = fresh_url()
    with serve(real_cloud(3).fleet, key=KEY, behaviour=Behaviour(stall={1: 60})) as server:
        environ = environment(server.base_url, url, tmp_path)
        first = start(environ, "sync")
        try:
            wait_for(lambda: bool(server.requests))
            second = command(environ, "sync", "--json")
            server.closing.set()  # the stalled answer comes now
            said = first.communicate(timeout=60)
        finally:
            first.kill()
    assert second.returncode == 7, second
    assert "another sync of account 'default' is at work" in second.stderr
    assert first.returncode == 0, said
    assert len(server.requests) == 1
    database = open_database(url)
    with closing(database):
        runs = columns(database, "SELECT outcome, error, listed FROM sync_run ORDER BY outcome")
    assert [run["outcome"] for run in runs] == ["complete", "skipped"]
    assert runs[1]["error"] == "another sync of account 'default' is at work"
    assert runs[1]["listed"] is None


def test_a_killed_sync_frees_its_account_at_once(
    fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    url = fresh_url()
    with serve(real_cloud(3).fleet, key=KEY, behaviour=Behaviour(stall={1: 60})) as server:
        environ = environment(server.base_url, url, tmp_path)
        first = start(environ, "sync")
        wait_for(lambda: bool(server.requests))
        first.send_signal(signal.SIGKILL)
        first.communicate()
        server.behaviour = Behaviour()
        database = open_database(url)
        with closing(database):
            wait_for(lambda: is_free(database))
            assert command(environ, "sync").returncode == 0
            assert rows(database, "SELECT outcome FROM sync_run") == [("complete",)]


def is_free(database: Database) -> bool:
    """At once on SQLite; on Postgres as soon as the server sees the connection end."""
    try:
        with Store(database, "default").account_lock():
            return True
    except Busy:
        assert database.engine.dialect.name == "postgresql"
        return False


def test_the_account_lock_is_one_for_each_account(database: Database) -> None:
    with Store(database, "实验室" * 30).account_lock(), Store(database, "b").account_lock():
        with pytest.raises(Busy), Store(database, "实验室" * 30).account_lock():
            pass
        with pytest.raises(Busy), Store(database, "b").account_lock():
            pass
    with Store(database, "b").account_lock():
        pass


def test_a_lock_is_free_again_after_an_error(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), Store(database, "a").account_lock():
        raise ZeroDivisionError
    with Store(database, "a").account_lock():
        pass


def test_a_server_that_hangs_up_under_a_lock_undoes_nothing(
    kind: str, fresh_url: Callable[[], str]
) -> None:
    """What was done under the lock is committed: it is no failure, and the lock is free."""
    if kind == "sqlite":
        pytest.skip("a file does not hang up")
    database = open_database(fresh_url())
    with closing(database):
        with Store(database, "a").account_lock():
            rows(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                f" WHERE {HELD_HERE} AND pid <> pg_backend_pid()",
            )
        wait_for(lambda: is_free_of(database, "a"))
        assert is_free_of(database, "a")


def test_a_poll_whose_lock_the_server_took_back_writes_nothing(
    kind: str, fresh_url: Callable[[], str]
) -> None:
    """The server restarted during the poll: another process may have polled since."""
    if kind == "sqlite":
        pytest.skip("a file does not restart")
    database = open_database(fresh_url())
    end = f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {HELD_HERE}"

    def restarts(_page: int, _size: int) -> bytes:
        rows(database, end)
        return Story().body()

    with closing(database):
        with pytest.raises(Away):
            sync(job_of(Fake(restarts), Store(database, "a")))
        assert rows(database, "SELECT count(*) FROM sync_run") == [(0,)]


def is_free_of(database: Database, account: str) -> bool:
    with suppress(Busy), Store(database, account).account_lock():
        return True
    return False


@pytest.mark.parametrize(
    ("state", "kind_of_error"),
    [
        ("57P01", Away),  # admin_shutdown
        ("57P03", Away),  # cannot_connect_now
        ("08006", Away),
        ("53300", Away),  # too_many_connections
        ("55P03", Busy),
        ("28P01", StoreError),  # a wrong password does not pass
        ("53100", StoreError),  # disk_full
    ],
)
def test_a_server_that_starts_or_stops_is_away(state: str, kind_of_error: type[Exception]) -> None:
    database = Postgres("postgresql://postgres@localhost/lab")
    foreign = psycopg.errors.lookup(state)("as the server said it")
    assert type(database.error(DBAPIError("SELECT 1", None, foreign))) is kind_of_error


# lock files


@pytest.fixture
def locked(tmp_path: Path, sqlite_template: Path) -> Iterator[Living]:
    (tmp_path / "t.db").write_bytes(sqlite_template.read_bytes())
    with living(lambda: f"sqlite:///{tmp_path}/t.db") as make:
        yield make


REFUSALS = {
    "ENOLCK": "a disk of this machine",
    "ENOTSUP": "a disk of this machine",
    "ENOSYS": "a disk of this machine",
    "EIO": "its disk",
    "EMFILE": "ulimit",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_lock_that_the_system_refuses_fails_the_poll_with_a_row(
    locked: Living, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    lab = locked(Story())
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        error = lab.polls().error
    assert isinstance(error, LockError)
    assert "t.db.lab.lock" in error.message
    assert REFUSALS[name] in str(error.advice)
    assert (lab.run()["outcome"], lab.run()["error"]) == ("failed", error.message)
    assert lab.polls(minutes=2).exit_code == 0, "nothing was left behind"


@pytest.mark.parametrize("left", ["1\n0a1b2c3d4e5f\n1\n", "999999\n"])
def test_what_is_written_in_a_lock_file_locks_nothing(
    locked: Living, tmp_path: Path, left: str
) -> None:
    (tmp_path / "t.db.lab.lock").write_text(left)
    assert locked(Story()).polls().exit_code == 0


def test_a_lock_file_that_is_a_folder_or_a_link_is_refused(locked: Living, tmp_path: Path) -> None:
    lab, lock = locked(Story()), tmp_path / "t.db.lab.lock"
    (tmp_path / "target").write_text("kept")
    for odd in (lock.mkdir, lambda: lock.symlink_to(tmp_path / "target")):
        odd()
        error = lab.polls(minutes=2).error
        assert isinstance(error, LockError)
        assert "move it away" in str(error.advice)
        lock.unlink() if lock.is_symlink() else lock.rmdir()
    assert (tmp_path / "target").read_text() == "kept"


def test_a_database_that_may_only_be_read_leaves_a_lock_file_that_can_be_locked(
    locked: Living, tmp_path: Path
) -> None:
    lab, lock = locked(Story()), tmp_path / "t.db.lab.lock"
    (tmp_path / "t.db").chmod(0o444)
    error = lab.polls().error
    assert error is None or error.kind == ErrorKind.DATABASE, "root may write all the same"
    assert lock.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
@pytest.mark.parametrize("is_there", [False, True])
def test_a_lock_file_belongs_to_the_owner_of_the_database(
    locked: Living, tmp_path: Path, is_there: bool
) -> None:
    lab, lock = locked(Story()), tmp_path / "t.db.lab.lock"
    os.chown(tmp_path / "t.db", 65_534, 65_534)
    (tmp_path / "t.db").chmod(0o660)
    if is_there:
        lock.touch(0o600)
    assert lab.polls().exit_code == 0
    assert (lock.stat().st_uid, lock.stat().st_gid) == (65_534, 65_534)
    assert is_there or lock.stat().st_mode & 0o777 == 0o660


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_what_root_makes_in_the_folder_of_a_service_belongs_to_the_service(tmp_path: Path) -> None:
    home = tmp_path / "service"
    home.mkdir()
    os.chown(home, 65_534, 65_534)
    with living(lambda: f"sqlite:///{home}/t.db") as make:
        lab = make(Story(), archive=home / "polls")
        lab.app.prepare()
        assert lab.polls().exit_code == 0
        made = [path for path in home.rglob("*") if path.stat().st_uid != 65_534]
    assert made == []


# foreign locks

FACTS = Instance(instance_uuid="i", status=2)
TERMS = Terms(None, None, None, None)
METHODS: dict[str, Callable[[Tx], object]] = {
    "apply": lambda tx: tx.apply(
        Changes(
            versions=[Version(FACTS, None, 1, None, T0, "first_seen", None)],
            stretches=[("i", Stretch(1, "running", T0, "observed", TERMS), True)],
        )
    ),
    "end": lambda tx: tx.apply(Changes(ended=[Ended("known", 1, T0, T0 + 1, "gone")])),
    "presence": lambda tx: tx.apply(Changes(presences=[Presence("known", T0, T0 + 1)])),
    "undo": lambda tx: tx.apply(Changes(deleted=[("known", 1)])),
    "write_last_starts": lambda tx: tx.write_last_starts([("known", T0)]),
    "reject": lambda tx: tx.reject("instances", [Reject("$: no", None, "{}")], T0),
    "record": lambda tx: tx.record("instances", SyncRun(T0, T0 + 1, "complete")),
}


@contextmanager
def tables_locked(database: Database) -> Iterator[None]:
    """A foreign program at work: it has the write lock, on Postgres every table of ours."""
    with database.engine.connect() as conn:
        if database.engine.dialect.name == "postgresql":
            names = ", ".join(schema.tables.metadata.tables)
            conn.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
        else:
            conn.execute(text("UPDATE setting SET value = value"))
        yield
        conn.rollback()


@pytest.mark.parametrize("method", METHODS)
def test_every_store_method_under_a_foreign_lock_raises_busy(
    impatient: Callable[[], Database], method: str
) -> None:
    database, foreign = impatient(), impatient()
    with closing(database, foreign):
        with Store(database, "lab").writing() as tx:
            known = Instance(instance_uuid="known", status=2)
            tx.apply(Changes(versions=[Version(known, None, 1, None, T0, "first_seen", None)]))
            tx.write_usage([("known", Stretch(1, "running", T0, "observed", TERMS), True)])
        before = dump(database)
        with tables_locked(foreign):
            with pytest.raises(Busy) as caught, Store(database, "lab").writing() as tx:
                METHODS[method](tx)
            assert caught.value.exit_code == 7
            assert "locked by another program" in caught.value.message
            with Store(database, "lab").reading() as known_now:
                assert known_now.unlisted(0, set) == ["known"]
        assert dump(database) == before
        with Store(database, "lab").writing() as tx:
            METHODS[method](tx)


@pytest.mark.parametrize(
    "change",
    [
        lambda database: rebuild.rebuild(database, None, TODAY),
        lambda database: rebuild.set_code(database, "status", 2, "stopped"),
        lambda database: apply(database, poll_of([Story().body()], T0)),
        lambda database: schema.upgrade(database, ZONE, TODAY.replace(year=2030)),
    ],
    ids=["rebuild", "set_code", "apply", "upgrade"],
)
def test_writers_take_turns_and_one_that_waits_too_long_is_busy(
    impatient: Callable[[], Database], change: Callable[[Database], Any]
) -> None:
    database, other = impatient(), impatient()
    with closing(database, other):
        with Store(other, "lab").writing(), pytest.raises(Busy):
            change(database)
        change(database)


def test_a_reader_that_stays_for_long_delays_an_upgrade_and_no_poll(
    impatient: Callable[[], Database], kind: str
) -> None:
    """A dump or a dashboard that keeps a transaction open: Postgres changes no table under it."""
    database, other = impatient(), impatient()
    story = Story()
    story.rents()
    with closing(database, other):
        with other.reading() as conn:
            conn.execute(text("SELECT * FROM instance_now"))
            apply(database, poll_story(story))
            if kind == "sqlite":
                schema.downgrade(database, "0001")
            else:
                with pytest.raises(Busy) as caught:
                    schema.downgrade(database, "0001")
                assert caught.value.advice
        schema.downgrade(database, "0001")
        assert schema.upgrade(database, ZONE, TODAY)


def test_a_failed_poll_under_a_foreign_lock_is_busy_and_writes_nothing(
    live: Living, impatient: Callable[[], Database]
) -> None:
    database, foreign = impatient(), impatient()
    lab = live(Story())
    lab.app.__dict__["database"] = database
    lab.cloud.rents()
    with closing(database, foreign):
        with tables_locked(foreign):
            result = lab.polls()
        assert isinstance(result.error, Busy)
        assert rows(database, "SELECT count(*) FROM sync_run") == [(0,)]
        assert lab.polls(minutes=5).exit_code == 0


# order


def test_a_poll_that_is_not_newer_than_the_newest_applied_is_refused(database: Database) -> None:
    cloud = Story()
    cloud.rents()
    apply(database, poll_story(cloud))
    cloud.rents()
    before = dump(database), rows(database, "SELECT * FROM sync_run")
    for started_at in (cloud.now, cloud.now - 1, 1):
        with pytest.raises(StalePoll) as caught:
            apply(database, poll_of([cloud.body()], started_at, cloud.now + 9))
        assert caught.value.exit_code == 6
    assert (dump(database), rows(database, "SELECT * FROM sync_run")) == before
    apply(database, poll_of([cloud.body()], cloud.now + 1))
    apply(database, poll_of([cloud.body()], cloud.now, account="another"))


def test_a_sync_whose_poll_is_stale_by_its_end_changes_nothing(database: Database) -> None:
    """The account lock was lost, and a newer poll came in while this one was on its way."""
    cloud = Story()
    cloud.rents()

    def overtaken(_page: int, _size: int) -> bytes:
        apply(database, poll_of([cloud.body()], cloud.now + 60))
        return cloud.body()

    with pytest.raises(StalePoll):
        sync(job_of(fake_of(cloud, overtaken), Store(database, "lab")))
    assert rows(database, "SELECT count(*) FROM sync_run") == [(1,)]


def test_unchanged_is_judged_by_the_poll_that_is_newest_at_the_end(database: Database) -> None:
    """The account lock was lost, and a poll with other instances came in on the way."""
    cloud = Story()
    a = cloud.rents()
    store, old = Store(database, "lab"), cloud.body()
    sync(job_of(fake_of(cloud, lambda _page, _size: old), store))
    cloud.passes(seconds=30)
    cloud.renames(a, "other")

    def overtaken(_page: int, _size: int) -> bytes:
        apply(database, poll_of([cloud.body()], cloud.now - 10))
        return old

    sync(job_of(fake_of(cloud, overtaken), store))
    titles = rows(database, "SELECT title FROM instance_history ORDER BY version")
    assert titles == [("train",), ("other",), ("train",)]


def fake_of(cloud: Story, serves: Callable[[int, int], bytes]) -> Fake:
    return Fake(serves, date=lambda: cloud.now, clock=lambda: float(cloud.now))


def test_a_commit_of_a_killed_client_that_is_still_at_work_is_waited_for(
    fresh_url: Callable[[], str], kind: str, tmp_path: Path
) -> None:
    """On Postgres a COMMIT goes on in the server when its client is dead."""
    if kind == "sqlite":
        pytest.skip("a commit of SQLite ends with its process")
    url = fresh_url()
    cloud = real_cloud(3)
    database = open_database(url)
    with closing(database), serve(cloud.fleet, key=KEY) as server:
        with database.engine.begin() as conn:
            slow_commits(conn)
        environ = environment(
            server.base_url, url, tmp_path, CHENYU_ARCHIVE=str(tmp_path / "polls")
        )
        first = start(environ, "sync")
        wait_for(lambda: is_committing(database))
        first.send_signal(signal.SIGKILL)
        first.communicate()
        with database.engine.begin() as conn:
            conn.execute(text("DROP TRIGGER slow ON sync_run"))
        second = command(environ, "sync")
        assert second.returncode == 0, second.stderr
        runs = columns(database, "SELECT outcome, added FROM sync_run ORDER BY started_at")
        assert runs == [
            {"outcome": "complete", "added": 3},
            {"outcome": "complete", "added": 0},
        ]


def slow_commits(conn: Connection) -> None:
    conn.execute(
        text(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'"
        )
    )
    conn.execute(
        text(
            "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON sync_run"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
        )
    )


def is_committing(database: Database) -> bool:
    found = rows(
        database,
        "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'"
        " AND datname = current_database()",
    )
    return bool(found)
