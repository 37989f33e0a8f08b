"""Every fault of a source × where × how often × resource × database: `python -m tests.fault_matrix`.

A case is a database that saw one good poll; then two polls meet a fault; then comes one good poll. After
it the database must equal that of a run whose complete polls are the same and which met no fault.
The full product is too large: every pair of two values is in some case, and each fault meets
instances at every place and as often as can be. The run writes the table of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from etl import polling
from etl.app import App
from etl.dialect import Database, open_database
from etl.errors import ErrorKind
from etl.history.days import from_iso
from etl.polling import Result
from etl.rebuild import differences
from etl.resources import RESOURCES
from etl.settings import Account, Settings
from etl.simcloud import Story
from etl.source.client import MAX_REDIRECTS, Client, Retrying
from etl.source.walk import MAX_WALKS
from etl.store import schema, views
from tests.conftest import TODAY, ZONE, _create, made_on
from tests.faults import ATTEMPTS, BY_NAME, COLLECTED, FAULTS
from tests.faulty_cloud import ALWAYS, NAME, Target, faulty_cloud, unreachable
from tests.live import KEY
from tests.support import ACCOUNT, COMPARED, columns, dump, rows

DOCUMENT = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGINS, ENDS = "<!-- faults of a source: begin -->", "<!-- faults of a source: end -->"
PLACES = ("first", "middle", "last", "every")
TIMES = {"once": 1, "three times": 3, "always": ALWAYS}
FLEETS = ("quiet", "lively")
KINDS = ("sqlite", "postgres")
PAGES = 4
POLLS = 2
PATIENCE = {True: (0.25, 1.0), False: (60.0, 120.0)}
"""Seconds that a read and a whole get may take, by whether the fault lets them wait."""
BOUND_S = 30.0
"""What a poll that meets a fault may take, on a busy machine."""
ABOUT_POLLS = {"coverage_daily", "sync_gap", "sync_span", "local_day"}
"""Views of polls and of days: attempts that failed are in them."""
OWNER = Account(ACCOUNT, key_env="CHENYU_API_KEY")
ODD_KINDS = (ErrorKind.UNAVAILABLE, ErrorKind.LIMITED, ErrorKind.CHANGED, ErrorKind.CLOCK)
CURRENT = {
    "instance": "gone_at IS NULL",
    "gpu_price": "valid_to IS NULL",
    "balance": "ended_at IS NULL",
    "card": "ended_at IS NULL",
    "bill": "superseded_at IS NULL",
    "recharge": "superseded_at IS NULL",
}
"""The records that hold now, of each table."""
WHEN = {"version", "first_seen_at", "changed_at", "last_seen_at", "valid_from", "after_at"}


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    fault: str
    place: str
    times: str
    resource: str
    kind: str
    fleet: str

    def __str__(self) -> str:
        return ", ".join((self.fault, self.place, self.times, self.resource, self.kind, self.fleet))

    @property
    def is_paged(self) -> bool:
        return RESOURCES[self.resource].paged

    @property
    def is_at_first(self) -> bool:
        return self.place in ("first", "every")

    @property
    def can_be(self) -> bool:
        """A listing of one page has no other place than the first."""
        resources = BY_NAME[self.fault].resources
        if resources is not None and self.resource not in resources:
            return False
        return self.is_paged or self.is_at_first


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
            story.passes(minutes=3)
        story.stops(self.names[5])
        story.passes(minutes=10)

    def happens(self, number: int) -> None:
        """Something of everything."""
        story, names = self.story, self.names
        story.renames(names[number], f"title {number}")
        story.stops(names[1 + number])
        story.recharges(5 + number)
        story.is_charged(3 + number)
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
    if _is_compared_now_only(world.case, seen):
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
    if world.case.resource == "bills":
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


def expected(case: Case) -> tuple[str, int, ErrorKind | None] | None:
    """Outcome, exit code and kind of failure of the first poll that meets a fault; None: any that is
    consistent."""
    fault = BY_NAME[case.fault]
    # the front of a window that ends early is followed by a reading of everything
    is_front = RESOURCES[case.resource].keeping == "window"
    if fault.harmless:
        return "complete", 0, None
    if fault.kind is None or (is_front and not case.is_at_first):
        return None
    if case.place == "every" and case.is_paged and case.times == "three times" != fault.needed:
        return None
    if TIMES[case.times] < fault.needed:
        return "complete", 0, None
    kind, is_optional = fault.kind, RESOURCES[case.resource].is_optional
    if kind in (ErrorKind.KEY_REFUSED, ErrorKind.FORBIDDEN):
        # instances are listed by the same key: it lacks a permission
        return ("failed", 0, ErrorKind.FORBIDDEN) if is_optional else ("failed", 4, kind)
    if not (case.is_at_first or not case.is_paged):
        return "partial", 3, None
    is_absent = kind in (ErrorKind.CHANGED, ErrorKind.MISSING)
    return "failed", 0 if is_optional and is_absent else 5, kind


def judge(case: Case, seen: Seen, reference: Callable[[Case, frozenset[int]], Seen]) -> list[str]:
    """Everything that is wrong with a case."""
    fault, found = BY_NAME[case.fault], list(seen.complaints)
    first = seen.results[0]
    got = outcome_of(first), first.exit_code, first.error.kind if first.error else None
    must = expected(case) if seen.hits else ("complete", 0, None)
    if must is not None and got != must:
        found.append(f"{got}, not {must}: {first.error or first.outcome}")
    for result in seen.results:
        if fault.kind is None and result.error is not None and result.error.kind not in ODD_KINDS:
            found.append(f"{result.error.kind}: {result.error}")
    pages = PAGES + 2
    bound = MAX_WALKS * pages * ATTEMPTS * (1 + MAX_REDIRECTS) + 1
    if seen.requests > bound or seen.took_s > BOUND_S:
        found.append(f"{seen.requests} requests in {seen.took_s:.1f} s")
    right = reference(case, seen.incomplete)
    if not _is_compared_now_only(case, seen):
        found += [name for name in right.content if right.content[name] != seen.content[name]]
    found += [f"now: {name}" for name in right.current if right.current[name] != seen.current[name]]
    return found


def _is_compared_now_only(case: Case, seen: Seen) -> bool:
    """Whether what a poll saw may stay in the history: part of a listing, lies, or other instants."""
    fault = BY_NAME[case.fault]
    # of a listing that stays as it is even a part adds nothing
    is_still = case.fleet == "quiet" and case.resource in ("instances", "gpu_prices")
    return fault.group == "clock" or fault.lies or not (seen.is_clean or is_still)


class Runner:
    """Runs cases, each in a database of its own; the runs without faults are made once."""

    def __init__(self, fresh: Callable[[str], str]) -> None:
        self._fresh = fresh
        self._references: dict[Any, Seen] = {}

    def run(self, case: Case) -> tuple[Seen, list[str]]:
        seen = run(case, self._fresh(case.kind))
        return seen, judge(case, seen, self._reference)

    def _reference(self, case: Case, skipped: frozenset[int]) -> Seen:
        key = case.resource, case.kind, case.fleet, skipped
        if key not in self._references:
            plain = replace(case, fault="gzip", place="first", times="once")
            self._references[key] = run(plain, self._fresh(case.kind), skipped=skipped)
            assert self._references[key].complaints == []
            assert self._references[key].incomplete == frozenset()
        return self._references[key]


def pairwise(values: Sequence[Sequence[str]], seed: int = 0) -> list[Case]:
    """Cases in which every two values of different dimensions meet, as far as they can: greedily, the
    case that brings the most new pairs of some drawn at random."""
    dice = Random(seed)
    left = {
        pair
        for (a, some), (b, others) in itertools.combinations(enumerate(values), 2)
        for pair in itertools.product(((a, v) for v in some), ((b, v) for v in others))
    }
    cases, misses = [], 0
    while left and misses < 200:
        (a, one), (b, other) = next(iter(sorted(left))) if misses % 2 else dice.choice(sorted(left))
        drawn = []
        for _ in range(30):
            picked = [dice.choice(some) for some in values]
            picked[a], picked[b] = one, other
            case = Case(*picked)
            if case.can_be:
                drawn.append((len(left & _pairs(picked)), str(case), picked))
        if not drawn:
            left.discard(((a, one), (b, other)))
            continue
        gain, _, picked = max(drawn)
        misses = 0 if gain else misses + 1
        left -= _pairs(picked)
        cases.append(Case(*picked))
    return cases


def _pairs(picked: Sequence[str]) -> set[Any]:
    return set(itertools.combinations(enumerate(picked), 2))


def all_cases(seed: int, *, whole: bool) -> list[Case]:
    """The pairwise cases, and (`whole`) all places and times of each fault with instances."""
    names = [fault.name for fault in FAULTS]
    found = pairwise([names, PLACES, list(TIMES), COLLECTED, KINDS, FLEETS], seed)
    for fault, place, times in itertools.product(names if whole else (), PLACES, TIMES):
        found.append(Case(fault, place, times, "instances", "sqlite", "lively"))
    possible, met = [case for case in dict.fromkeys(found) if case.can_be], Counter[str]()
    # each fault once, then each once more: a run that is ended early has met all of them
    return sorted(possible, key=lambda case: met.update([case.fault]) or met[case.fault])


def quick_cases() -> list[Case]:
    """Each fault on every page, then on one page, for ever and once, on SQLite."""
    rounds = (("every", "always"), ("middle", "always"), ("middle", "once"))
    found = []
    for (place, times), fault in itertools.product(rounds, FAULTS):
        resource = (fault.resources or ("instances",))[0]
        found.append(Case(fault.name, place, times, resource, "sqlite", "lively"))
    return found


# the table


class Met(NamedTuple):
    """A case that was run, in words: what became of its first poll, how often it met its fault, and the
    most requests of a poll."""

    case: Case
    words: str
    hits: int
    requests: int


HEADINGS = ("fault", "met once", "always, on the first page or all", "always, on another page")


def table(cases: Sequence[Met]) -> str:
    """What became of the first poll that met each fault, by place and times."""
    by_fault = defaultdict(list)
    for met in cases:
        by_fault[met.case.fault].append(met)
    kinds = Counter(met.case.kind for met in cases)
    lines = [
        f"Made by `python -m tests.fault_matrix`, {len(cases)} cases, {kinds['postgres']} of them on "
        "Postgres. The database that such polls leave equals, after one good poll, that of a run "
        "without faults: nobody is falsely gone, no line of the bill is lost or counted twice, and a "
        "rebuild changes nothing. Below is what became of the first poll that met a fault, with its "
        "exit code (`failed 0`: an optional resource is missing, which is a warning), and the most "
        f"requests of a poll of {PAGES} or {PAGES + 1} pages and {ATTEMPTS} attempts. The full product "
        "of fault, place, times, resource, database and fleet is too large: without options the run "
        "takes a set of cases in which every two of their values meet.",
        "",
        f"| {' | '.join(HEADINGS)} | requests |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        lines.append(f"| {fault.name} | {' | '.join(_cells(by_fault[fault.name]))} |")
    return "\n".join(lines)


def _cells(cases: Sequence[Met]) -> list[str]:
    groups: list[set[str]] = [set(), set(), set()]
    for case, words, hits, _ in cases:
        if hits:
            groups[0 if case.times == "once" else 1 if case.is_at_first else 2].add(words)
    most = max((met.requests for met in cases), default=0)
    return [*(", ".join(sorted(words)) or "–" for words in groups), str(most or "–")]


def _as_words(result: Result) -> str:
    if result.error is None:
        return f"{outcome_of(result)} {result.exit_code}"
    return f"failed {result.exit_code} `{result.error.kind}`"


def write(text: str) -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    before, after = page.split(BEGINS)[0], page.split(ENDS)[1]
    DOCUMENT.write_text(f"{before}{BEGINS}\n{text}\n{ENDS}{after}", encoding="utf-8")


def named_in_document() -> list[str]:
    """The faults of the table, in its order."""
    text = DOCUMENT.read_text(encoding="utf-8").split(BEGINS)[1].split(ENDS)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[1:]]


# the run


@contextmanager
def databases() -> Iterator[Callable[[str], str]]:
    """URLs of new databases by their kind."""
    from tests.postgres_server import shared_server, url_of

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, numbers = Path(name), itertools.count()
        _upgrade(f"sqlite:///{folder}/template.db")
        server = url_of(shared_server(folder)).replace("postgresql://", "postgresql+psycopg://")
        _create(server, "template_etl", None)
        _upgrade(server.replace("+psycopg://postgres@/postgres?", "://etl@/template_etl?"))
        make = stack.enter_context(made_on(server, "template_etl"))

        def fresh(kind: str) -> str:
            if kind == "postgres":
                return make()
            path = folder / f"{next(numbers)}.db"
            shutil.copy(folder / "template.db", path)
            return f"sqlite:///{path}"

        yield fresh


def _upgrade(url: str) -> None:
    database = open_database(url)
    schema.upgrade(database, ZONE, TODAY)
    database.engine.dispose()


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--only", default="", help="faults whose name has this in it")
    words.add_argument("--kind", default="", help="this database alone")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--pairs", action="store_true", help="the pairwise cases alone")
    words.add_argument("--quick", action="store_true", help="three cases of each fault")
    words.add_argument("--minutes", type=float, default=600, help="end after so many")
    words.add_argument("--write", action="store_true", help="write the table of the document")
    asked = words.parse_args()
    cases = quick_cases() if asked.quick else all_cases(asked.seed, whole=not asked.pairs)
    cases = [case for case in cases if asked.only in case.fault and asked.kind in case.kind]
    met, bad, began, longest_s = list[Met](), 0, time.monotonic(), 0.0
    with databases() as fresh:
        runner = Runner(fresh)
        for case in cases:
            if time.monotonic() - began > asked.minutes * 60:
                break
            seen, complaints = runner.run(case)
            met.append(Met(case, _as_words(seen.results[0]), seen.hits, seen.requests))
            longest_s, bad = max(longest_s, seen.took_s), bad + bool(complaints)
            for line in complaints:
                print(f"{case}: {line}"[:600], flush=True)  # noqa: T201
            if len(met) % 50 == 0:
                print(len(met), file=sys.stderr, flush=True)  # noqa: T201
    print(  # noqa: T201
        f"{len(met)} of {len(cases)} cases in {time.monotonic() - began:.0f} s, {bad} bad;"
        f" the longest poll {longest_s:.1f} s"
    )
    if asked.write:
        write(table(met))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
