"""A year of polls replayed: `python -m bench.replay_year --days 365 --instances 100`.

The real archive writes the files, but for its `fsync`: a year of them would take an hour. What the
source shows is a simulated fleet that lives by people's habits.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import os
import pstats
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from bench.cost import COMMAND, cost_of
from etl.archive import Archive
from etl.dialect import open_database
from etl.poll import Instant, LastPoll, Page, Poll
from etl.replay import replay
from etl.resources import INSTANCES
from etl.simcloud import Fleet

START: Final = 1_735_689_600
"""2025-01-01T00:00:00Z."""
EVERY_S: Final = 120
DAY_S: Final = 86_400
CALM: Final[dict[str, Any]] = {"flapping": 0.0, "batch": 0.0}
"""Weights of habits left out: with them, most polls would bring something new."""
ACCOUNT: Final = "lab"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--instances", type=int, default=100)
    options.add_argument("--profile-days", type=int, default=30)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="chenyu-etl-bench-") as name:
        folder = Path(name)
        began = time.perf_counter()
        written = write_archive(folder / "archive", given.instances, given.days)
        files = sorted((folder / "archive").glob("*.jsonl.?z"))
        size = sum(path.stat().st_size for path in files)
        print(
            f"{written.polls:,} polls, {written.changed:,} of them changed, written in"
            f" {time.perf_counter() - began:.0f} s: {written.loose_size / 1e6:.1f} MB;"
            f" packed in {written.packing_s:.0f} s: {len(files)} files, {size / 1e6:.1f} MB",
            flush=True,
        )
        database = folder / "year.db"
        environ = {"CHENYU_DATABASE_URL": f"sqlite:///{database}"}
        cost_of([COMMAND, "db", "upgrade"], environ)
        cost = cost_of([COMMAND, "replay", *map(str, files)], environ)
        print(
            f"replayed in {cost.wall_s:.0f} s ({cost.cpu_s:.0f} s of CPU),"
            f" {written.polls / cost.wall_s:,.0f} polls/s, peak {cost.peak_mb:.0f} MB,"
            f" database {database.stat().st_size / 1e6:.0f} MB",
            flush=True,
        )
        print(profile(files[: given.profile_days], folder / "profiled.db"))


@dataclass(slots=True)
class Written:
    """How many polls were archived, how many of them brought anything new, and how large the days
    were before they were packed."""

    polls: int = 0
    changed: int = 0
    loose_size: int = 0
    packing_s: float = 0.0


def write_archive(folder: Path, instances: int, days: int) -> Written:
    archive = Archive(folder, ACCOUNT, INSTANCES)
    last: LastPoll | None = None
    written = Written()
    fleet = Fleet.generate(1, instances=instances, start=START, days=days, **CALM)
    with patch.object(os, "fsync", lambda _: None):
        for poll in _polls(fleet, days):
            archive.append(poll, last)
            written.polls += 1
            written.changed += not poll.unchanged
            if last is not None and poll.started_at // DAY_S > last.started_at // DAY_S:
                _pack(archive, folder, written)
            last = LastPoll(poll.started_at, poll.finished_at, None, 0, None)
    return written


def _pack(archive: Archive, folder: Path, written: Written) -> None:
    written.loose_size += sum(path.stat().st_size for path in sorted(folder.glob("*.gz"))[:-1])
    began = time.perf_counter()
    archive.pack()
    written.packing_s += time.perf_counter() - began


def _polls(fleet: Fleet, days: int) -> Iterator[Poll]:
    before: tuple[bytes, ...] = ()
    for at in range(START, START + days * DAY_S, EVERY_S):
        bodies = _bodies(fleet, at)
        pages = tuple(Page(number, 100, body) for number, body in enumerate(bodies, 1))
        yield Poll(
            account=ACCOUNT,
            resource=INSTANCES.name,
            started_at=at,
            finished_at=at + 1,
            complete=True,
            walks=(pages,),
            unchanged=bodies == before,
        )
        before = bodies


def _bodies(fleet: Fleet, at: Instant) -> tuple[bytes, ...]:
    listed = len(fleet.listed(at)) if len(fleet.lives) > 100 else 1
    return tuple(fleet.body(at, number) for number in range(1, max(1, -(-listed // 100)) + 1))


def profile(files: list[Path], path: Path) -> str:
    """Where the time goes, by function."""
    environ = {"CHENYU_DATABASE_URL": f"sqlite:///{path}"}
    cost_of([COMMAND, "db", "upgrade"], environ)
    database = open_database(environ["CHENYU_DATABASE_URL"])
    profiler = cProfile.Profile()
    profiler.runcall(replay, database, [str(file) for file in files])
    database.engine.dispose()
    said = io.StringIO()
    for order in ("cumulative", "tottime"):
        pstats.Stats(profiler, stream=said).strip_dirs().sort_stats(order).print_stats(30)
    return said.getvalue()


if __name__ == "__main__":
    main()
