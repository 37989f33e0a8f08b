"""What answers whose `Date`s disagree cost a poll: requests, walks, the digest, and time.

`python -m bench.dates` polls a listing, first new and then unchanged, for each way in which a server
can date its answers. The floor is a process that asks for all pages and decodes them, no more.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.server import DATES, serving

RUN = """SELECT requests, walks, digest IS NOT NULL, outcome, error
    FROM sync_run ORDER BY sync_run_id DESC LIMIT 1"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--instances", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    print("| the `Date` | poll | requests | walks | digest | CPU s | of floor |")
    print("|---|---|---:|---:|---|---:|---:|")
    for dates in DATES:
        with serving([given.instances], 1, dates) as url, tempfile.TemporaryDirectory() as folder:
            _measure(dates, f"{url}/{given.instances}/0", Path(folder, "x.db"), given.rounds)


def _measure(dates: str, base: str, path: Path, rounds: int) -> None:
    floor_s = min(
        _cpu_s([sys.executable, "-m", "bench.child", "fetch", base]) for _ in range(rounds)
    )
    first_s = _sync_s(base, path)
    print(f"| {dates} | first | {_figures(path)} | {first_s:.1f} | {first_s / floor_s:.1f} |")
    again_s = min(_sync_s(base, path) for _ in range(rounds))
    print(
        f"| | unchanged | {_figures(path)} | {again_s:.1f} | {again_s / floor_s:.1f} |", flush=True
    )


def _sync_s(base: str, path: Path) -> float:
    settings = {
        "CHENYU_BASE_URL": base,
        "CHENYU_API_KEY": "cy_bench",
        "CHENYU_DATABASE_URL": f"sqlite:///{path}",
        "CHENYU_RESOURCES": "instances",
    }
    time.sleep(2)  # a poll waits for a second of its own, which is no cost of its dates
    return _cpu_s([str(Path(sys.executable).with_name("chenyu-etl")), "sync"], settings)


def _cpu_s(command: Sequence[str], settings: dict[str, str] | None = None) -> float:
    """Seconds of CPU that a command takes: on a busy machine they say more than the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ | (settings or {}), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _figures(path: Path) -> str:
    with sqlite3.connect(path) as db:
        requests, walks, has_digest, outcome, error = db.execute(RUN).fetchone()
    assert (outcome, error) == ("complete", None), (outcome, error)
    return f"{requests:,} | {walks} | {'kept' if has_digest else 'none'}"


if __name__ == "__main__":
    main()
