"""One case of the fault matrix as it is run: a simulated account, its faulty server, and what polls left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from etl import polling
from etl.app import App
from etl.dialect import Database
from etl.history.days import from_iso
from etl.polling import Result
from etl.rebuild import differences
from etl.resources import RESOURCES
from etl.settings import Account, Settings
from etl.simcloud import Story
from etl.source.client import Client, Retrying
from etl.store import views
from etl.store.resource_tables import RESOURCE_TABLES, ResourceTable
from tests.fault_cases import TIMES, Case
from tests.faults import ATTEMPTS, BY_NAME
from tests.faulty_cloud import NAME, Target, faulty_cloud, unreachable
from tests.live import KEY
from tests.support import ACCOUNT, COMPARED, columns, dump, rows

PAGES = 4
POLLS = 2
PATIENCE = {True: (0.25, 1.0), False: (60.0, 120.0)}
"""Seconds that a read and a whole get may take, by whether the fault lets them wait."""
ABOUT_POLLS = {"coverage_daily", "sync_gap", "sync_span", "local_day"}
"""Views of polls and of days: attempts that failed are in them."""
OWNER = Account(ACCOUNT, key_env="CHENYU_API_KEY")


def _holds(layout: ResourceTable) -> str:
    is_window = layout.resource.keeping == "window"
    return f"{'superseded_at' if is_window else layout.ended} IS NULL"


CURRENT = {"instance": "gone_at IS NULL"} | {
    layout.table.name: _holds(layout) for layout in RESOURCE_TABLES.values()
}
"""The records that hold now, of each table."""
WHEN = {"version", "first_seen_at", "changed_at", "last_seen_at", "valid_from", "after_at"}


@dataclass
class Seen:
    """What a run left: the results of its bad polls, its database, and what is wrong with it."""

    results: list[Result] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    current: dict[str, Any] = field(default_factory=dict)
    hits: int = 0
    requests: int = 0
    took_s: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def incomplete(self) -> frozenset[int]:
        return frozenset(n for n, r in enumerate(self.results) if outcome_of(r) != "complete")

    @property
    def is_clean(self) -> bool:
        """Whether each poll wrote nothing, or all of a listing."""
        runs = [r.outcome.run for r in self.results if r.outcome is not None]
        return all(run.outcome == "complete" and not run.rejected for run in runs)


def outcome_of(result: Result) -> str:
    return "failed" if result.outcome is None else result.outcome.run.outcome


class World:
    """A story with something of everything, its server, and the program over one database."""

    def __init__(self, stack: ExitStack, url: str, case: Case) -> None:
        self.case, self.fault = case, BY_NAME[case.fault]
        self.story = Story()
        self._begin()
        self.cloud = stack.enter_context(faulty_cloud(self.story, KEY))
        # of a connection nothing tells the page: there pages are asked one after the other
        connects = self.fault.resolves is not None
        base_url = self.cloud.base_url
        settings = Settings(
            database_url=url,
            base_url=base_url.replace("127.0.0.1", NAME) if connects else base_url,
            concurrency=1 if connects else 2,
            accounts=(OWNER,),
        )
        self.app = App(settings, environ={"CHENYU_API_KEY": KEY}, clock=self.story.clock)
        self.app.monotonic = self.story.clock
        self.app.sleep = self._sleep
        stack.callback(self.app.close)

    def _sleep(self, seconds: float) -> None:
        self.story.passes(seconds=ceil(seconds))

    def _begin(self) -> None:
        story = self.story
        self.names = story.rents_many(7, title="train")
        for amount in range(1, 8):
            story.recharges(amount * 100)
            story.gives_card(amount * 10, sale_price=amount)
            story.is_charged(amount)
            self._makes(amount)
            story.passes(minutes=3)
        story.stops(self.names[5])
        story.passes(minutes=10)

    def _makes(self, number: int) -> None:
        """A run of a workflow, and an image."""
        money = self.story.money
        money.run_workflow(self.story.now, number, number - 0.5, lasts_s=60)
        money.save_image(self.story.now, 1_000 * number)

    def happens(self, number: int) -> None:
        """Something of everything."""
        story, names = self.story, self.names
        story.renames(names[number], f"title {number}")
        story.stops(names[1 + number])
        story.recharges(5 + number)
        story.is_charged(3 + number)
        self._makes(3 + number)
        story.price("A100" if number else "RTX 4090", hour=6 + number)
        names.append(story.rents(gpus=2, title="new"))
        if number == 1:
            story.destroys(names[6])

    @property
    def path(self) -> str:
        return RESOURCES[self.case.resource].path

    def total(self) -> int:
        """How many records the listing has now."""
        return int(self.cloud.total(self.path))

    def takes_pages(self) -> None:
        """Ask for pages of which the listing has a few."""
        self.app.settings = replace(self.app.settings, page_size=ceil(self.total() / PAGES))

    def waits(self, *, is_short: bool) -> None:
        """The patience of the client from now on."""
        timeout_s, total_s = PATIENCE[is_short]
        for _, client in self.app._clients.values():
            client.close()
        client = Client(
            self.app.settings.base_url,
            KEY,
            clock=self.story.clock,
            timeout_s=timeout_s,
            retrying=Retrying(ATTEMPTS, total_s, 0.002, 0.01),
            connections=self.app.settings.concurrency,
        )
        self.app._clients[ACCOUNT] = KEY, client

    def polls(self, *names: str) -> list[Result]:
        return [polling.sync_one(self.app, OWNER, RESOURCES[name]) for name in names]

    @contextmanager
    def disturbed(self, older: dict[int, bytes]) -> Iterator[None]:
        """The fault of the case, while it lasts."""
        last = ceil(self.total() / self.app.settings.page_size) if self.case.is_paged else 1
        number = {"middle": 2, "last": last}.get(self.case.place, 1)
        times = TIMES[self.case.times]
        self.waits(is_short=self.fault.slow)
        if self.fault.resolves is not None:
            resolves = self.fault.resolves
            with unreachable(self.cloud, resolves=resolves, skipped=number - 1, times=times):
                yield
        else:
            pages = None if self.case.place == "every" else frozenset({number})
            self.cloud.target = Target(self.fault.act, self.path, pages, times, older)
            yield
        self.waits(is_short=False)


def run(case: Case, url: str, *, skipped: frozenset[int] | None = None) -> Seen:
    """Run a case; without its fault and without the polls `skipped`, if these are given."""
    seen = Seen()
    with ExitStack() as stack:
        world = World(stack, url, case)
        world.waits(is_short=False)
        names = tuple(dict.fromkeys(("instances", case.resource)))
        assert {r.exit_code for r in world.polls(*names)} == {0}
        # a front of one page of the bill, or of several
        world.story.passes(hours=1 if case.fleet == "lively" else 25)
        world.takes_pages()
        _bad_polls(world, seen, skipped)
        world.story.passes(minutes=10)
        world.story.renames(world.names[3], "at the end")
        seen.complaints += [f"the good poll: {r}" for r in world.polls(*names) if r.exit_code]
        _look(world, seen)
    return seen


def _bad_polls(world: World, seen: Seen, skipped: frozenset[int] | None) -> None:
    older = world.cloud.pages_of(world.path, world.app.settings.page_size, PAGES + 2)
    with ExitStack() as stack:
        if skipped is None:
            stack.enter_context(world.disturbed(older))
        for number in range(POLLS):
            world.story.passes(minutes=10)
            if world.case.fleet == "lively":
                world.happens(number)
            if number in (skipped or ()):
                continue
            began, asked = time.monotonic(), world.cloud.request_count
            (result,) = world.polls(world.case.resource)
            seen.results.append(result)
            seen.took_s = max(seen.took_s, time.monotonic() - began)
            seen.requests = max(seen.requests, world.cloud.request_count - asked)
            seen.complaints += _wrong_row(world, result)
    target = world.cloud.target
    seen.hits = world.cloud.refused + (target.hits if target else 0)
    world.cloud.target = None


def _wrong_row(world: World, result: Result) -> Iterator[str]:
    """Whatever a poll's row, exit code and message say that does not agree."""
    sql = "SELECT * FROM sync_run WHERE resource = :r ORDER BY sync_run_id DESC LIMIT 1"
    (row,) = columns(world.app.database, sql, r=world.case.resource)
    if row["outcome"] != outcome_of(result):
        yield f"a row of {row['outcome']} for a poll that is {outcome_of(result)}"
    if result.error is not None:
        if (row["error"], row["error_kind"]) != (str(result.error), result.error.kind):
            yield f"the row says {row['error']!r}, the poll {result.error}"
        if not result.error.advice:
            yield f"no advice: {result.error}"
    words = f"{row['error'] or ''}{result.error.advice if result.error else ''}"
    if KEY in words or "\n" in words or "train" in words:
        yield f"a message with more than it may hold: {words}"
    if row["outcome"] != "complete" and not row["error"]:
        yield "nothing says why it is not complete"


def _look(world: World, seen: Seen) -> None:
    """What is in the database at the end."""
    database, story = world.app.database, world.story
    if is_compared_now_only(world.case, seen):
        # else it equals a database of which this is known
        seen.complaints += [f"a rebuild differs: {line}" for line in differences(database)]
    tables = [table for table in COMPARED if table != "rejected_record"]
    seen.content = dump(database, tables)
    for view in set(views.public_names()) - ABOUT_POLLS:
        seen.content[view] = sorted(rows(database, f"SELECT * FROM {view}"), key=repr)
    for table, holds in CURRENT.items():
        found = columns(database, f"SELECT * FROM {table} WHERE {holds}")
        kept = [{k: v for k, v in row.items() if k not in WHEN} for row in found]
        seen.current[table] = sorted(
            (r for r in kept if r.get("instance_uuid") != world.names[6]), key=repr
        )
    gone = rows(database, "SELECT instance_uuid FROM instance WHERE gone_at IS NOT NULL")
    alive = [name for (name,) in gone if story.life(name).exists(story.now)]
    seen.complaints += [f"{name} is taken for gone" for name in alive]
    # an invented line counts until two whole readings lack it
    if world.case.resource == "bills" and not world.fault.lies:
        lines = world.cloud.server.money.lines(story.now)
        right = len(lines), sum(line.amount for line in lines)
        sql = "SELECT count(*), sum(amount_microcny) FROM bill WHERE superseded_at IS NULL"
        if rows(database, sql) != [right]:
            seen.complaints.append(f"the bill is {rows(database, sql)}, not {right}")
    # what the source showed wrongly bounds nothing
    if not world.fault.lies:
        seen.complaints += _outside_of_bounds(database, story)


def _outside_of_bounds(database: Database, story: Story) -> Iterator[str]:
    sql = (
        "SELECT instance_uuid, SUM(running_min_s), SUM(running_max_s) FROM uptime_daily GROUP BY 1"
    )
    (horizon,) = rows(
        database,
        "SELECT MAX(started_at) FROM sync_run WHERE resource = 'instances' AND outcome = 'complete'",
    )[0]
    for name, least, most in rows(database, sql):
        if int(least) > story.running(name):
            yield f"{name} surely ran {least} s, and did {story.running(name)} s"
        truth = story.running(name, 0, from_iso(horizon))
        if story.life(name).exists(story.now) and int(most) < truth:
            yield f"{name} ran at most {most} s, and did {truth} s"


def is_compared_now_only(case: Case, seen: Seen) -> bool:
    """Whether what a poll saw may stay in the history: part of a listing, lies, or other instants."""
    fault = BY_NAME[case.fault]
    # of a listing that stays as it is even a part adds nothing
    is_still = case.fleet == "quiet" and case.resource in ("instances", "gpu_prices")
    return fault.group == "clock" or fault.lies or not (seen.is_clean or is_still)
