"""What five years of polls weigh before and after they are folded: `python -m bench.five_years --years 5`.

One account on SQLite, polled every two minutes for its instances and every ten for its balance, with outages and
failed polls, written in bulk; CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.costs import FIRST, ZONE
from bench.year import _POLL, _polls
from etl import reports, store, tables
from etl.dialect import Database, open_database
from etl.prune import prune
from etl.rebuild import differences
from etl.store import Store, SyncRun, schema
from etl.units import DAY_S

BALANCE_STEPS = 5
"""Polls of the instances for each of the balance."""


def fill(database: Database, days: int) -> int:
    begins = ZONE.starts(FIRST)
    with Store(database, "lab").writing() as tx:
        polls = list(_polls(Random("polls"), tx._account_id, begins, begins + days * DAY_S))
        # the same moments, another resource: what is polled less often is a part of it
        others = [(p[0], "balance", *p[2:]) for p in polls[::BALANCE_STEPS]]
        database.insert(tx._conn, tables.sync_run, _POLL, polls)
        database.insert(tx._conn, tables.sync_run, _POLL, others)
        tx.correct_steps()
    return len(polls) + len(others)


def measured(database: Database, days: int) -> Iterator[tuple[str, Callable[[], object]]]:
    last = ZONE.starts(FIRST) + days * DAY_S
    whole = {"from_day": FIRST.isoformat(), "to_day": "2029-12-31"}

    def record() -> None:
        with Store(database, "lab").recording() as tx:
            tx.record("instances", SyncRun(last + 200, last + 201, "complete"))

    def ask(name: str) -> Any:
        return list(reports.run(database, reports.load_report(name), whole)[1])

    def status() -> Any:
        with store.reading(database) as known:
            return known.status.polls(last)

    yield "the row of a poll", record
    yield "status", status
    yield "report coverage, all days", lambda: ask("coverage")
    yield "report gaps, all days", lambda: ask("gaps")
    yield "rebuild --check", lambda: list(differences(database))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--years", type=int, default=5)
    options.add_argument("--keep", type=int, default=400, help="days whose polls stay")
    given = options.parse_args()
    days = given.years * 365
    with TemporaryDirectory() as folder:
        path = Path(folder, "polls.db")
        database = open_database(f"sqlite:///{path}")
        schema.upgrade(database, ZONE.name, FIRST)
        print("polls", fill(database, days))
        for when in ("before", "after"):
            print(when, "MB", round(path.stat().st_size / 1e6, 1), flush=True)
            for what, ask in measured(database, days):
                print(when, what, cpu_s(ask), flush=True)
            if when == "before":
                until = ZONE.starts(FIRST) + (days - given.keep) * DAY_S
                print("prune", cpu_s(partial(folded, database, until)), flush=True)
                print("vacuum", cpu_s(partial(vacuum, path)), flush=True)
        database.engine.dispose()


def cpu_s(ask: Callable[[], object]) -> float:
    began = time.process_time()
    ask()
    return round(time.process_time() - began, 3)


def folded(database: Database, until: int) -> None:
    for pruned in prune(database, until):
        print(pruned.account, pruned.resource, pruned.polls, "polls folded")


def vacuum(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("VACUUM")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main()
