"""`kill -9` at any moment of a sync: as if it had never been, or had finished."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from etl import polling
from etl.app import App
from etl.dialect import Database, open_database
from etl.errors import Busy
from etl.history.days import from_iso
from etl.polling import Result
from etl.rebuild import differences
from etl.replay import replay
from etl.resources import INSTANCES
from etl.settings import Account, Settings
from etl.simcloud import Behaviour, Server, Story, serve
from tests.live import KEY, environment, start, wait_for
from tests.support import apply, columns, dump, poll_of

KILLS = 3
"""Of each of the four kinds: two databases, with an archive and without. With `--slow`, four times as many."""
INSTANCES_LISTED = 120
PAGE_SIZE = 20
ACCOUNT = Account("default", key_env="CHENYU_API_KEY")
BEHIND_S = 2
"""The local clock of the syncs in this process: a little wrong, so that none waits for the second of
the poll before to pass."""


@dataclass
class Ahead:
    """The cloud's clock is so many seconds ahead of ours."""

    s: int = 0

    def clock(self) -> float:
        return time.time() + self.s


@dataclass
class Lab:
    """A cloud whose clock jumps, syncs to be killed, and syncs of this process that follow."""

    cloud: Story
    ahead: Ahead
    server: Server
    database: Database
    control: Database
    environ: dict[str, str]
    archive: Path | None
    dice: Random
    known: set[str] = field(default_factory=set)
    whole_s: float = 0.0
    rest_s: float = 0.0

    def some_time_passes(self) -> None:
        """So that any two polls are of different moments."""
        self.ahead.s += 2
        self.cloud.now = int(self.ahead.clock())

    def something_happens(self) -> None:
        names = [life.instance_uuid for life in self.cloud.fleet.lives]
        alive = [name for name in names if self.cloud.life(name).exists(self.cloud.now)]
        for name in self.dice.sample(alive, len(alive) // 2):
            if self.dice.random() < 0.05:
                self.cloud.destroys(name)
            elif self.dice.random() < 0.3:
                self.cloud.renames(name, f"title {self.dice.random()}")
            elif self.cloud.life(name).is_on(self.cloud.now):
                self.cloud.stops(name)
            else:
                self.cloud.starts(name, gpus=self.dice.randint(1, 8))
        self.cloud.rents_many(self.dice.randint(0, 9))

    def runs_whole(self) -> None:
        """To learn how long it takes from its start, and from the last answer on."""
        began = time.monotonic()
        running = start(self.environ, "sync")
        self._waits_for_pages(running)
        answered = time.monotonic()
        running.communicate()
        assert running.returncode == 0
        self.whole_s, self.rest_s = time.monotonic() - began, time.monotonic() - answered

    def is_killed(self) -> None:
        """Either at any moment from its start on, or at one of those about its transaction."""
        running = start(self.environ, "sync")
        try:
            if self.dice.random() < 0.3:
                time.sleep(self.dice.uniform(0, self.whole_s))
            else:
                self._waits_for_pages(running)
                time.sleep(self.dice.uniform(0, self.rest_s))
        finally:
            running.kill()
            running.communicate()

    def _waits_for_pages(self, running: subprocess.Popen[str]) -> None:
        pages = -(-len(self.cloud.records()) // PAGE_SIZE)
        self.server.requests.clear()
        while len(self.server.requests) < pages and running.poll() is None:
            time.sleep(0.001)

    def syncs(self) -> None:
        """A sync that nobody kills."""
        app = App(
            Settings(
                database_url=self.environ["CHENYU_DATABASE_URL"],
                base_url=self.server.base_url,
                page_size=PAGE_SIZE,
                archive=self.archive,
            ),
            environ={"CHENYU_API_KEY": KEY},
            clock=lambda: time.time() - BEHIND_S,
        )
        results = list[Result]()

        def is_let_in() -> bool:
            # the server goes on with what the killed one asked for last, and holds its lock until then
            results.append(polling.sync_one(app, ACCOUNT, INSTANCES))
            return not isinstance(results[-1].error, Busy)

        try:
            wait_for(is_let_in)
        finally:
            app.close()
        assert results[-1].exit_code == 0, results[-1]

    def is_as_if_every_poll_was_whole(self) -> None:
        """The control database gets the polls that `sync_run` tells of, and nothing else."""
        runs = columns(
            self.database,
            "SELECT sync_run_id, started_at, finished_at, outcome FROM sync_run ORDER BY started_at",
        )
        new = [run for run in runs if run["sync_run_id"] not in self.known]
        assert len(new) in (1, 2), "the killed one or not, and the one after it"
        assert {run["outcome"] for run in new} == {"complete"}
        self.known |= {run["sync_run_id"] for run in new}
        body = self.cloud.body(1, 100_000)
        for run in new:
            instants = from_iso(run["started_at"]), from_iso(run["finished_at"])
            apply(self.control, poll_of([body], *instants, account="default"))
        assert dump(self.database) == dump(self.control)
        assert list(differences(self.database)) == []


@pytest.fixture(params=[False, True], ids=["plain", "archived"])
def lab(
    request: pytest.FixtureRequest,
    kind: str,
    fresh_url: Callable[[], str],
    fresh_database: Callable[[], Database],
    tmp_path: Path,
) -> Iterator[Lab]:
    archive = tmp_path / "polls" if request.param else None
    with made(fresh_url(), fresh_database(), archive, tmp_path, seed=len(kind)) as lab:
        yield lab


@contextmanager
def made(url: str, control: Database, archive: Path | None, home: Path, seed: int) -> Iterator[Lab]:
    more = {"CHENYU_ARCHIVE": str(archive)} if archive else {}
    cloud = Story(now=int(time.time()) - 86_400)
    cloud.rents_many(INSTANCES_LISTED)
    ahead = Ahead()
    slow = Behaviour(latency_s=0.005)
    with serve(cloud, key=KEY, behaviour=slow, clock=ahead.clock) as server:
        environ = environment(server.base_url, url, home, CHENYU_PAGE_SIZE=str(PAGE_SIZE), **more)
        database = open_database(url)
        try:
            yield Lab(cloud, ahead, server, database, control, environ, archive, Random(seed))
        finally:
            database.engine.dispose()


def test_a_sync_killed_at_any_moment_leaves_nothing_or_all_of_its_poll(
    lab: Lab, fresh_database: Callable[[], Database], pytestconfig: pytest.Config
) -> None:
    kills = 4 * KILLS if pytestconfig.getoption("--slow") else KILLS
    lab.some_time_passes()
    lab.runs_whole()
    lab.is_as_if_every_poll_was_whole()
    for _ in range(kills):
        lab.some_time_passes()
        lab.something_happens()
        lab.is_killed()
        lab.some_time_passes()
        lab.syncs()
        lab.is_as_if_every_poll_was_whole()
    if lab.archive is not None:
        again = fresh_database()
        tally = replay(again, [str(path) for path in sorted(lab.archive.glob("*.jsonl.?z"))])
        assert (tally.applied, tally.skipped, tally.damaged) == (len(lab.known), 0, 0)
        assert dump(again) == dump(lab.database)
        assert list(differences(again)) == []
