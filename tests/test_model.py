"""The service against a plain model, whatever happens in whichever order."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from etl import polling, replay
from etl.app import App
from etl.archive import Archive
from etl.books.closing import close, reopen
from etl.books.rule_files import import_rules
from etl.dialect import open_database
from etl.errors import ErrorKind, SettingsError, Unavailable
from etl.history.days import from_iso, iso
from etl.prune import prune
from etl.rebuild import rebuild
from etl.repair import repair
from etl.resources import INSTANCES
from etl.settings import Account, Settings
from etl.source.answers import Answer
from tests.conftest import TODAY, made_on
from tests.plain_model import UNREADABLE, Facts, Listed, Plain
from tests.priced import YUAN, lists
from tests.support import ACCOUNT, columns, dump

DAY_S = 86_400
BEGIN = 1_769_867_000
"""Some hours before February in Shanghai: months can be closed."""
MONTH, MODEL = "2026-01", "RTX 4090"
NAMES = ("i-1", "i-2", "i-3", "i-4", "i-5")
PAGE_SIZE = 2
UP, OFF = 2, 22
OWNER = Account(ACCOUNT, key_env="CHENYU_API_KEY")
FRESH = Callable[[], AbstractContextManager[str]]
CLOSED = (
    "SELECT day, instance_uuid, title, project, charged_s, cost_microcny, cost_min_microcny,"
    " cost_max_microcny, is_closed FROM cost_daily WHERE month = :month ORDER BY 1, 2, 3, 4"
)


GPUS = (1, 1, 1, 2)
STATUSES = (UP, UP, UP, OFF, OFF, 21, 24, 24, 27, 77)
STARTS = ("same", "same", "now", "now", "now", "late", "drifts", "none", "future")
TITLES = ("a", "b", "c")
PAUSES = (0, 1, 3, 20, 61, 300, 4_000, 30_000)
INTERVALS = (2, 40, 120, 120, 300)
_RECORD = (st.sampled_from(GPUS), st.sampled_from(STATUSES), st.sampled_from(STARTS))
_CHANGES = st.one_of(
    st.tuples(st.just("rents"), *_RECORD),
    st.tuples(st.just("shows"), *_RECORD),
    st.tuples(st.just("renames"), st.sampled_from(TITLES)),
    st.tuples(st.just("destroys"), st.none()),
    st.tuples(st.sampled_from(["hides", "breaks"]), st.booleans()),
)
Events = Sequence[tuple[int, str, tuple[Any, ...]]]
EVENTS = st.lists(
    st.tuples(st.sampled_from(PAUSES), st.sampled_from(NAMES), _CHANGES), min_size=1, max_size=4
)
"""Whatever may happen: after so many seconds, to which instance, what."""
SEEDS = st.integers(0, 10**6)


def lively(dice: Random) -> Events:
    """Events as `EVENTS` has them, denser than those that are searched for from small to large."""

    def change() -> tuple[Any, ...]:
        record = dice.choice(GPUS), dice.choice(STATUSES), dice.choice(STARTS)
        kinds = ("rents", *record), ("shows", *record), ("renames", dice.choice(TITLES))
        others = ("destroys", None), ("hides", dice.random() < 0.4), ("breaks", dice.random() < 0.3)
        return dice.choice([*kinds, *kinds, *kinds, *others])

    return [(dice.choice(PAUSES), dice.choice(NAMES), change()) for _ in range(dice.randint(0, 4))]


class KilledError(BaseException):
    """Ends a sync as a signal that nobody can handle does."""


class Cloud:
    """A source without a network, and the clocks."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.date_off_s = 0
        self.records: dict[str, Any] = {}
        self.hidden: set[str] = set()
        self.broken: set[str] = set()
        self.fails_from = 0
        self.requests = self.retries = self.limited = 0

    def listed(self) -> dict[str, Any]:
        """The records on the pages that come, `UNREADABLE` for those that nobody understands."""
        shown = {n: r for n, r in self.records.items() if n not in self.hidden}
        names = list(shown)
        if self.fails_from:
            names = names[: (self.fails_from - 1) * PAGE_SIZE]
        return {n: UNREADABLE if n in self.broken else shown[n] for n in names}

    def changes(self, name: str, change: tuple[Any, ...]) -> None:
        """One thing happens to one instance; nothing, if that makes no sense."""
        facts = self.records.get(name)
        match change:
            case "rents", gpus, status, start if facts is None:
                self.records[name] = Facts(status, "new", self.now, self._start(start, 0), gpus)
            case "shows", gpus, status, start if facts is not None:
                starts = self._start(start, facts.start_time)
                self.records[name] = facts._replace(status=status, start_time=starts, gpu_nums=gpus)
            case "renames", title if facts is not None:
                self.records[name] = facts._replace(title=title)
            case "destroys", _:
                self.records.pop(name, None)
            case "hides", is_hidden:
                (self.hidden.add if is_hidden else self.hidden.discard)(name)
            case "breaks", is_broken:
                (self.broken.add if is_broken else self.broken.discard)(name)

    def _start(self, how: str, before: int) -> int:
        starts = {"same": before, "now": self.now, "late": self.now - 700, "none": 0}
        return {**starts, "drifts": before + 2, "future": self.now + 900}[how]

    def pages(self) -> int:
        return max(1, -(-len(self.records.keys() - self.hidden) // PAGE_SIZE))

    def get(self, _path: str, params: Mapping[str, str]) -> Answer:
        number, size = int(params["page"]), int(params["page_size"])
        self.requests += 1
        if self.fails_from and number >= self.fails_from:
            raise Unavailable("GET /instance/list: HTTP 500", advice="wait")
        records = [
            {"instance_uuid": name, "gpu_name": MODEL, "charging_type": 1, **self._members(name)}
            for name in self.records
            if name not in self.hidden
        ]
        page = records[(number - 1) * size : number * size]
        answer = {"code": 0, "data": {"instance_list": page, "total": len(records)}}
        body = json.dumps(answer).encode()
        return Answer(body, self.now, self.now, self.now + self.date_off_s)

    def _members(self, name: str) -> dict[str, Any]:
        if name in self.broken:
            return {"gpu_nums": "many", "create_time": self.records[name].create_time}
        return dict(self.records[name]._asdict())

    def close(self) -> None: ...


class Machine(RuleBasedStateMachine):
    """Events of a fleet and of its service."""

    fresh: FRESH

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.url = self.stack.enter_context(self.fresh())
        self.folder = Path(mkdtemp(prefix="chenyu-etl-model-"))
        self.cloud, self.model = Cloud(), Plain()
        self.app = self._app(self.url, self.folder / "polls")
        self.known_runs, self.jumps = 0, count(1)
        self.waiting: Listed | None = None
        self.is_whole_archive = True
        self.frozen: list[dict[str, Any]] | None = None
        lists(self.app.database, MODEL, (BEGIN - DAY_S, None, None, YUAN))

    def _app(self, url: str, archive: Path) -> App:
        options = Settings(
            database_url=url,
            page_size=PAGE_SIZE,
            concurrency=1,
            archive=archive,
            accounts=(OWNER,),
        )
        app = App(options, environ={"CHENYU_API_KEY": "cy_model"})
        app._clients[ACCOUNT] = "cy_model", self.cloud  # type: ignore[assignment]
        app.clock = app.monotonic = lambda: float(self.cloud.now)
        app.sleep = self._sleeps
        return app

    def _sleeps(self, seconds: float) -> None:
        self.cloud.now += int(seconds) + 1

    def teardown(self) -> None:
        self.app.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.stack.close()

    # what happens to the fleet

    @initialize(seed=SEEDS)
    def begins(self, seed: int) -> None:
        self.cloud.records["i-1"] = Facts(UP, "a", BEGIN - 9 * DAY_S, BEGIN - DAY_S, 1)
        self.cloud.records["i-2"] = Facts(OFF, "b", BEGIN - 9 * DAY_S, 0, 2)
        self.lives(seed)

    def _happen(self, events: Events) -> None:
        for seconds, name, change in events:
            self.cloud.now += seconds
            self.cloud.changes(name, change)

    # what the service does

    @rule(events=EVENTS, later_s=st.sampled_from(INTERVALS))
    def polls(self, events: Events, later_s: int) -> None:
        self._happen(events)
        self.cloud.now += later_s
        self._polls("complete")

    @rule(seed=SEEDS)
    def lives(self, seed: int) -> None:
        """A day of many polls."""
        dice = Random(seed)
        for _ in range(10):
            self.polls(lively(dice), dice.choice(INTERVALS))

    @rule(events=EVENTS)
    def polls_a_part(self, events: Events) -> None:
        self._happen(events)
        if self.cloud.pages() > 1:
            self._polls("partial", fails_from=self.cloud.pages())

    @rule(events=EVENTS)
    def fails(self, events: Events) -> None:
        self._happen(events)
        self._polls("failed", fails_from=1)

    @rule(events=EVENTS, off_s=st.sampled_from([-40, -7, -2, 3, 40]))
    def reads_another_clock(self, events: Events, off_s: int) -> None:
        """A source whose clocks differ: within a minute it is believed."""
        self._happen(events)
        self.cloud.now += 120
        self._polls("complete", date_off_s=off_s)

    @rule()
    def reads_a_wrong_clock(self) -> None:
        """Never twice the same, which would confirm it."""
        number = next(self.jumps)
        self._polls("failed", date_off_s=number * DAY_S * (-1) ** number)

    @rule(events=EVENTS, is_archived=st.booleans())
    def is_killed(self, events: Events, is_archived: bool) -> None:
        """Before the commit: the poll is in the archive, or nowhere."""
        self._happen(events)
        self.cloud.now += 60
        append, listed = Archive.append, self.cloud.listed()

        def killed(*arguments: Any) -> None:
            if is_archived:
                append(*arguments)
            raise KilledError

        with patch.object(Archive, "append", killed), pytest.raises(KilledError):
            polling.sync_one(self.app, OWNER, INSTANCES)
        # the line that waited was applied before
        self._takes_rows()
        if is_archived:
            self.waiting = listed

    def _polls(self, outcome: str, *, fails_from: int = 0, date_off_s: int = 0) -> None:
        cloud = self.cloud
        cloud.fails_from, cloud.date_off_s = fails_from, date_off_s
        began, listed = cloud.now, cloud.listed()
        try:
            result = polling.sync_one(self.app, OWNER, INSTANCES)
        finally:
            cloud.fails_from = cloud.date_off_s = 0
        kind = result.error.kind if result.error else None
        got = result.outcome.run.outcome if result.outcome else "failed"
        assert got == outcome or kind in (ErrorKind.CLOCK, ErrorKind.STALE), (got, result.error)
        if kind == ErrorKind.STALE:
            # another clock was believed some seconds ago
            assert abs(date_off_s) <= 40
        self._takes_rows(listed, began + date_off_s, cloud.now + date_off_s)

    def _takes_rows(self, listed: Listed | None = None, began: int = 0, ended: int = 0) -> None:
        """Let the model take the polls that were applied: the one that waited in the archive is first."""
        sql = "SELECT * FROM sync_run WHERE sync_run_id > :known ORDER BY sync_run_id"
        for row in columns(self.app.database, sql, known=self.known_runs):
            self.known_runs = row["sync_run_id"]
            if row["outcome"] not in ("complete", "partial"):
                continue
            shown, self.waiting = (
                (self.waiting, None) if self.waiting is not None else (listed, None)
            )
            assert shown is not None, "a poll that nobody made"
            starts, ends = from_iso(row["started_at"]), from_iso(row["finished_at"])
            if shown is listed:
                assert starts <= began, "by the clock that the source showed"
                assert ended <= ends
            self.model.takes(starts, ends, shown, complete=row["outcome"] == "complete")
        assert self.waiting is None, "the archived poll was not applied"
        self._check()

    # what people do

    @rule(project=st.sampled_from(["vision", "audio"]), title=st.sampled_from(["*", "a", "b*"]))
    def rules_change(self, project: str, title: str) -> None:
        path = self.folder / "rules.csv"
        path.write_text(f"title,project\n{title},{project}\n", encoding="utf-8")
        import_rules(self.app.database, path)
        self._check()

    @rule()
    def closes(self) -> None:
        try:
            close(self.app.database, MONTH, None, self.cloud.now)
        except SettingsError:
            return
        self.frozen = columns(self.app.database, CLOSED, month=MONTH)

    @precondition(lambda self: self.frozen is not None)
    @rule()
    def reopens(self) -> None:
        reopen(self.app.database, MONTH, None)
        self.frozen = None

    @rule()
    def rebuilds(self) -> None:
        before = dump(self.app.database)
        rebuild(self.app.database, None, TODAY)
        assert dump(self.app.database) == before

    @rule()
    def prunes(self) -> None:
        """All archived days but the newest go."""
        files = sorted((self.folder / "polls").glob("[!.]*.jsonl.?z"))
        for path in files[:-1]:
            path.unlink()
            self.is_whole_archive = False

    @precondition(lambda self: self.waiting is None and self.known_runs)
    @rule()
    def replays(self) -> None:
        """All that is archived again changes nothing; into another database it gives the same."""
        files = [str(path) for path in sorted((self.folder / "polls").glob("[!.]*.jsonl.?z"))]
        if not files:
            return
        before = dump(self.app.database)
        assert replay.replay(self.app.database, files).applied == 0
        assert dump(self.app.database) == before
        if self.is_whole_archive:
            with self.fresh() as url:
                again = open_database(url)
                replay.replay(again, files)
                found = dump(again)
                again.engine.dispose()
            for table in ("instance", "instance_history", "instance_usage", "usage_day"):
                assert found[table] == before[table], table

    @precondition(lambda self: self.waiting is None)
    @rule(events=EVENTS, ahead_s=st.sampled_from([DAY_S, 9 * DAY_S]))
    def repairs(self, events: Events, ahead_s: int) -> None:
        """A poll by clocks that are days ahead, which are right again then: it has another date, and
        proves no whole listing."""
        self._happen(events)
        self.cloud.now += ahead_s
        listed = self.cloud.listed()
        result = polling.sync_one(self.app, OWNER, INSTANCES)
        self.cloud.now -= ahead_s - 60
        assert result.outcome is not None, result.error
        repair(self.app.database, self.cloud.now, [self.folder / "polls"])
        self._takes_rows(listed, self.cloud.now, self.cloud.now - 60)

    @rule(days=st.sampled_from([0, 1]))
    def folds(self, days: int) -> None:
        """Old polls become counts; all that is known of instances stays."""
        before = dump(self.app.database)
        list(prune(self.app.database, self.cloud.now - days * DAY_S))
        assert dump(self.app.database) == before

    # what must hold

    def _check(self) -> None:
        self._database_is_the_model()
        self._days_add_up_to_stretches()
        self._closed_months_stay()

    def _database_is_the_model(self) -> None:
        database = self.app.database
        sql = "SELECT * FROM {} ORDER BY instance_uuid, {}"
        history = columns(database, sql.format("instance_history", "version"))
        assert [tuple(map(row.get, VERSION)) for row in history] == list(self._versions())
        shown = columns(database, sql.format("instance", "version"))
        presence = ("instance_uuid", "last_seen_at", "missing_since", "gone_at")
        assert [tuple(map(row.get, presence)) for row in shown] == [
            (name, *map(_iso, (one.last_seen_at, one.missing_since, one.gone_at)))
            for name, one in sorted(self.model.instances.items())
        ]
        usage = columns(database, sql.format("instance_usage", "usage_no"))
        assert [tuple(map(row.get, SPELL)) for row in usage] == list(self._spells())
        for row in usage:
            if row["ended_at"] is not None:
                assert row["ended_min"] <= row["ended_at"] <= row["ended_max"]

    def _days_add_up_to_stretches(self) -> None:
        sums = columns(
            self.app.database,
            "SELECT instance_uuid, CAST(SUM(running_min_s) AS BIGINT) AS least,"
            " CAST(SUM(running_max_s) AS BIGINT) AS most FROM usage_day GROUP BY 1 ORDER BY 1",
        )
        found = {row["instance_uuid"]: (row["least"], row["most"]) for row in sums}
        for name, one in self.model.instances.items():
            closed = [s for s in one.spells() if s.least is not None and s.most is not None]
            least = sum((s.least or 0) - s.started_at for s in closed)
            most = sum((s.most or 0) - s.started_at for s in closed)
            assert found.get(name, (0, 0)) == (least, most)

    def _closed_months_stay(self) -> None:
        if self.frozen is not None:
            assert columns(self.app.database, CLOSED, month=MONTH) == self.frozen

    def _versions(self) -> Iterator[tuple[Any, ...]]:
        for name, one in sorted(self.model.instances.items()):
            for number, v in enumerate(one.versions, 1):
                facts = v.facts
                yield (
                    *(name, number, facts.status, facts.title, facts.gpu_nums),
                    *(_iso(facts.start_time or None), _iso(facts.create_time)),
                    *(_iso(v.after_at), _iso(v.first_seen_at), v.began_by),
                    *(_iso(v.last_seen_at), _iso(v.ended_at), v.ended_by),
                )

    def _spells(self) -> Iterator[tuple[Any, ...]]:
        for name, one in sorted(self.model.instances.items()):
            for number, s in enumerate(one.spells(), 1):
                yield (name, number, _iso(s.started_at), s.evidence, _iso(s.least), _iso(s.most))


VERSION = (
    *("instance_uuid", "version", "status", "title", "gpu_nums", "start_time", "create_time"),
    *("after_at", "first_seen_at", "began_by", "last_seen_at", "ended_at", "ended_by"),
)
SPELL = ("instance_uuid", "usage_no", "started_at", "evidence", "ended_min", "ended_max")


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)


PARTS = 4
"""Processes that can share the slow run: `pytest --slow -n 2 tests/test_model.py`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parts = PARTS if metafunc.config.getoption("--slow") else 1
    metafunc.parametrize("part", range(parts))


def test_whatever_happens_the_database_is_what_a_plain_model_says(
    part: int, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each part draws examples of its own."""
    slow = request.config.getoption("--slow")
    few, many = {"sqlite": (8, 2_000), "postgres": (3, 300)}[kind]

    @contextmanager
    def fresh() -> Iterator[str]:
        if kind == "postgres":
            template = request.getfixturevalue("postgres_template")
            with made_on(request.getfixturevalue("postgres_url"), template) as make:
                yield make()
            return
        number = next(numbers)
        path = tmp_path / f"{number}.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        for left in tmp_path.glob(f"{number}.db*"):
            left.unlink()

    numbers = count()
    machine = type("OneMachine", (Machine,), {"fresh": staticmethod(fresh)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many // PARTS if slow else few,
            stateful_step_count=15 if slow else 8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
