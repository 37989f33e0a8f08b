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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from etl.dialect import open_database
from etl.errors import ErrorKind
from etl.resources import RESOURCES
from etl.source.client import MAX_REDIRECTS
from etl.source.walk import MAX_WALKS
from etl.store import schema
from tests.conftest import TODAY, ZONE, _create, made_on
from tests.fault_cases import Case, all_cases, expected, quick_cases
from tests.fault_table import Met, as_words, table, write
from tests.fault_world import PAGES, Seen, is_compared_now_only, outcome_of, run
from tests.faults import ATTEMPTS, BY_NAME

BOUND_S = 30.0
"""What a poll that meets a fault may take, on a busy machine."""
ODD_KINDS = (ErrorKind.UNAVAILABLE, ErrorKind.LIMITED, ErrorKind.CHANGED, ErrorKind.CLOCK)


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
    if not is_compared_now_only(case, seen):
        found += [name for name in right.content if right.content[name] != seen.content[name]]
    # what the source said of an old line of a window holds until the whole is read again, a day later
    if not (fault.lies and RESOURCES[case.resource].keeping == "window"):
        now = right.current
        found += [f"now: {name}" for name in now if now[name] != seen.current[name]]
    return found


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


class Ran(NamedTuple):
    """A case that was run, what is wrong with it, and its longest poll."""

    met: Met
    complaints: list[str]
    took_s: float


def run_cases(cases: Sequence[Case], until: float) -> list[Ran]:
    """Run cases one after the other, until a moment of the monotonic clock."""
    ran = list[Ran]()
    with databases() as fresh:
        runner = Runner(fresh)
        for case in cases:
            if time.monotonic() > until:
                break
            seen, complaints = runner.run(case)
            met = Met(case, as_words(seen.results[0]), seen.hits, seen.requests)
            ran.append(Ran(met, complaints, seen.took_s))
            for line in complaints:
                print(f"{case}: {line}"[:600], flush=True)  # noqa: T201
            if len(ran) % 50 == 0:
                print(len(ran), file=sys.stderr, flush=True)  # noqa: T201
    return ran


def shares(cases: Sequence[Case], jobs: int) -> list[list[Case]]:
    """Deal cases out to processes. Those of a resource stay together, as they share their runs without
    faults; each share keeps their order."""
    counts = Counter(case.resource for case in cases)
    loads, of = [0] * jobs, dict[str, int]()
    for resource, count in counts.most_common():
        of[resource] = loads.index(min(loads))
        loads[of[resource]] += count
    return [[case for case in cases if of[case.resource] == job] for job in range(jobs)]


def _run_all(cases: Sequence[Case], jobs: int, until: float) -> list[Ran]:
    if jobs == 1:
        return run_cases(cases, until)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        futures = [pool.submit(run_cases, share, until) for share in shares(cases, jobs)]
        return [ran for future in futures for ran in future.result()]


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--only", default="", help="faults whose name has this in it")
    words.add_argument("--kind", default="", help="this database alone")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--pairs", action="store_true", help="the pairwise cases alone")
    words.add_argument("--quick", action="store_true", help="three cases of each fault")
    words.add_argument("--minutes", type=float, default=600, help="end after so many")
    words.add_argument("--jobs", type=int, default=1, help="processes that run cases")
    words.add_argument("--write", action="store_true", help="write the table of the document")
    asked = words.parse_args()
    cases = quick_cases() if asked.quick else all_cases(asked.seed, whole=not asked.pairs)
    cases = [case for case in cases if asked.only in case.fault and asked.kind in case.kind]
    began = time.monotonic()
    ran = _run_all(cases, asked.jobs, began + asked.minutes * 60)
    bad = sum(bool(case.complaints) for case in ran)
    print(  # noqa: T201
        f"{len(ran)} of {len(cases)} cases in {time.monotonic() - began:.0f} s, {bad} bad;"
        f" the longest poll {max((case.took_s for case in ran), default=0):.1f} s"
    )
    if asked.write:
        write(table([case.met for case in ran], of=len(cases)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
