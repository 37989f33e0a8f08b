"""Inputs that nobody meant, by the million: `python -m bench.fuzz TARGET [--seconds N] [--jobs N]`.

Targets: decode (answers of every resource), archive (lines), packed (files), prices, rules, config,
periods (words of `--from`), redact (no canary survives). `whole` applies generated listings to a
database: decode, diff, usage, store, and asks it what `bench/promises.py` asks.

In the first part of the time inputs are bred by the lines of code that they reach, which costs ten
times the input; then, with `--bulk`, descendants of those that were kept are run as fast as they can be, half of them
with other values in the same structure. One that breaks a promise, or takes over 100 times the median
of right inputs of its length, is written to the folder and printed; tests/fixtures/fuzz holds those
that once did, and tests/test_fuzz.py runs them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

from bench.fuzz_breeding import Breeder
from bench.fuzz_targets import SCRATCH, TARGETS, run_input
from bench.fuzz_whole import Whole

__all__ = ["SCRATCH", "TARGETS", "Breeder", "run_input"]
BREEDING: Final = 0.15
"""Share of the time in which inputs are bred by what they reach, if the rest goes to the bulk."""


class Run(NamedTuple):
    """What a process did."""

    executions: int
    failures: int
    cpu_s: float


def fuzz(target: str, seconds: float, corpus: Path, seed: int, bulk: bool) -> Run:
    """Run a target in this process."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    if target == "whole":
        whole = Whole(corpus, seed)
        whole.run(seconds)
        return Run(whole.executions, len(whole.failures), time.process_time() - began)
    breeder = Breeder(target, corpus, seed)
    breeder.run(seconds * BREEDING if bulk else seconds)
    if bulk:
        breeder.run_bulk(seconds * (1 - BREEDING))
    return Run(breeder.executions, len(breeder.failures), time.process_time() - began)


def _fuzz_all(target: str, given: argparse.Namespace) -> Sequence[Run]:
    # seeds far apart: a process adds one for each block of histories
    seeds = [given.seed + 1_000_000 * job for job in range(given.jobs)]
    if given.jobs == 1:
        return [fuzz(target, given.seconds, given.corpus, seeds[0], given.bulk)]
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        asked = (target, given.seconds, given.corpus)
        futures = [pool.submit(fuzz, *asked, seed, given.bulk) for seed in seeds]
        return [future.result() for future in futures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "whole", "all"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--corpus", type=Path, default=SCRATCH / "found")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--bulk", action="store_true", help="most of the time without tracing")
    given = parser.parse_args()
    for target in TARGETS if given.target == "all" else [given.target]:
        began = time.monotonic()
        runs = _fuzz_all(target, given)
        executions, spent_s = sum(run.executions for run in runs), sum(run.cpu_s for run in runs)
        print(
            f"{target}: {executions:,} executions, {sum(run.failures for run in runs)} failures",
            end="",
        )
        print(f" in {time.monotonic() - began:.0f} s and {spent_s:.0f} s of CPU", end=": ")
        print(f"{executions / max(spent_s, 1e-9):,.0f} each second of CPU", flush=True)


if __name__ == "__main__":
    main()
