"""Syncs as users run them: the `App` or the command, of a story served over real HTTP."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from etl import polling
from etl.app import App
from etl.dialect import Database
from etl.polling import Result
from etl.resources import INSTANCES
from etl.settings import Account, Settings
from etl.simcloud import LEAK_MARK, Behaviour, Server, Story, serve
from tests.support import ACCOUNT, columns, rows

KEY = "cy_live-tests-4711"


def _of_zip(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return b"".join(name.encode() + file.read(name) for name in file.namelist())


def _of_parquet(content: bytes) -> bytes:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    return repr((table.schema.metadata, table.to_pydict())).encode()


UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    ".xlsx": _of_zip,
    ".parquet": _of_parquet,
}
COMMAND = Path(sys.executable).with_name("chenyu-etl")
RUN_COLUMNS = (
    "started_at, finished_at, outcome, listed, reported_total, added, changed, gone, rejected"
)
TABLES = (
    "account",
    "sync_run",
    "instance",
    "instance_history",
    "instance_usage",
    "usage_day",
    "rejected_record",
    "instance_status",
    "charging_type",
    "calendar_day",
    "setting",
)


@dataclass
class Live:
    """One account's syncs of a story; all clocks are the story's, `off_s` sets the local one."""

    cloud: Story
    server: Server
    app: App
    off_s: float = 0.0
    account: Account = field(default_factory=lambda: Account(ACCOUNT, key_env="CHENYU_API_KEY"))

    @property
    def database(self) -> Database:
        return self.app.database

    @property
    def behaviour(self) -> Behaviour:
        return self.server.behaviour

    def polls(self, *, minutes: float = 0) -> Result:
        """One sync after `minutes`."""
        self.cloud.passes(minutes=minutes)
        return polling.sync_one(self.app, self.account, INSTANCES)

    def polls_badly(self, behaviour: Behaviour, *, minutes: float = 5) -> Result:
        """One sync on a bad day, which is over then."""
        self.server.behaviour = behaviour
        try:
            return self.polls(minutes=minutes)
        finally:
            self.server.behaviour = Behaviour()

    def syncs(self, *resources: str, minutes: float = 0) -> list[Result]:
        """One sync of everything due, or of these resources, after `minutes`."""
        self.cloud.passes(minutes=minutes)
        return list(polling.sync_all(self.app, resources))

    def waits(self, timeout_s: float) -> None:
        """How long answers are waited for from now on."""
        self.app.settings = replace(self.app.settings, timeout_s=timeout_s)
        self.app.close()

    def run(self) -> dict[str, Any]:
        """The newest row of `sync_run`."""
        return columns(self.database, "SELECT * FROM sync_run ORDER BY sync_run_id DESC LIMIT 1")[0]

    def count(self, table: str) -> int:
        return int(rows(self.database, f"SELECT count(*) FROM {table}")[0][0])

    def everything(self, *but: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, in no order that matters."""
        return {
            table: sorted(rows(self.database, f"SELECT * FROM {table}"), key=repr)
            for table in TABLES
            if table not in but
        }

    def gone(self) -> list[str]:
        found = rows(self.database, "SELECT instance_uuid FROM instance WHERE gone_at IS NOT NULL")
        return sorted(row[0] for row in found)

    def missing(self) -> list[str]:
        """Missing once, not gone."""
        return sorted(
            row[0]
            for row in rows(
                self.database,
                "SELECT instance_uuid FROM instance"
                " WHERE missing_since IS NOT NULL AND gone_at IS NULL",
            )
        )


Living = Callable[..., Live]


@contextmanager
def living(fresh_url: Callable[[], str]) -> Iterator[Living]:
    """Makes `Live`s; everything is closed at the end."""
    with ExitStack() as stack:

        def make(
            cloud: Story,
            *,
            url: str | None = None,
            archive: Path | None = None,
            page_size: int = 10,
            attempts: int = 1,
            timeout_s: float = 60.0,
        ) -> Live:
            server = stack.enter_context(serve(cloud, key=KEY))
            app = App(
                Settings(
                    database_url=url or fresh_url(),
                    base_url=server.base_url,
                    page_size=page_size,
                    attempts=attempts,
                    timeout_s=timeout_s,
                    archive=archive,
                    accounts=(Account(ACCOUNT, key_env="CHENYU_API_KEY"),),
                ),
                environ={"CHENYU_API_KEY": KEY},
            )
            live = Live(cloud, server, app)
            app.clock = lambda: cloud.clock() + live.off_s
            app.monotonic = cloud.clock
            app.sleep = lambda seconds: app_sleep(cloud, seconds)
            stack.callback(app.close)
            return live

        yield make


def app_sleep(cloud: Story, seconds: float) -> None:
    cloud.passes(seconds=int(-(-seconds // 1)))


def real_cloud(instances: int) -> Story:
    """A story whose past ends now, so that a server with the real clock shows it."""
    cloud = Story(now=int(time.time()) - 86_400)
    cloud.rents_many(instances)
    return cloud


def wait_for(holds: Callable[[], bool]) -> None:
    """Returns once it holds; fails where it never does."""
    for tried in range(2_400):
        if holds():
            return
        # to ask a database a hundred times a second costs more than what is waited for
        time.sleep(0.01 if tried < 10 else 0.05)
    raise AssertionError("it never came")


@contextmanager
def closing(*databases: Database) -> Iterator[None]:
    try:
        yield
    finally:
        for database in databases:
            database.engine.dispose()


def environment(base_url: str, database_url: str, home: Path, **more: str) -> dict[str, str]:
    """The environment of a command: nothing of the user's, warnings are errors."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
        "CHENYU_API_KEY": KEY,
        "CHENYU_BASE_URL": base_url,
        "CHENYU_DATABASE_URL": database_url,
        "CHENYU_ATTEMPTS": "1",
        "CHENYU_RESOURCES": "instances",
        **more,
    }


def start(environ: dict[str, str], *words: str) -> subprocess.Popen[str]:
    """The command, running."""
    return subprocess.Popen(
        [str(COMMAND), *words],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """What the command said, at its end."""
    return subprocess.run([str(COMMAND), *words], env=environ, capture_output=True, text=True)


def leaks(*sources: Path | str, secrets: tuple[str, ...] = (LEAK_MARK, KEY)) -> list[str]:
    """Where secrets are: in files below these folders (packed ones too), or in these texts."""
    found = []
    for source in sources:
        files = sorted(source.rglob("*")) if isinstance(source, Path) else [source]
        for file in files:
            if isinstance(file, Path):
                if not file.is_file():
                    continue
                content = file.read_bytes()
                unpack = UNPACK.get(file.suffix, bytes)
                content += unpack(content)
            else:
                content = file.encode()
            found += [f"{s} in {file}"[:200] for s in secrets if s.encode() in content]
    return found


def every_text(database: Database) -> str:
    """All that a database holds, as text."""
    return "\n".join(repr(row) for t in TABLES for row in rows(database, f"SELECT * FROM {t}"))


def applied(database: Database) -> list[dict[str, Any]]:
    """The polls that were applied, in what a replay gives again."""
    return columns(
        database,
        f"SELECT a.name, resource, {RUN_COLUMNS} FROM sync_run JOIN account a USING (account_id)"
        " WHERE outcome IN ('complete', 'partial') ORDER BY a.name, resource, started_at",
    )


def flushed_by(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of the files and folders that are synced from now on, in order."""
    flushed, sync = list[int](), os.fsync

    def noted(number: int) -> None:
        flushed.append(os.fstat(number).st_ino)
        sync(number)

    monkeypatch.setattr(os, "fsync", noted)
    return flushed
