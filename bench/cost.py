"""What a command costs, measured from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

COMMAND = str(Path(sys.executable).with_name("chenyu-etl"))


_LAUNCHER: Final = """
import os, sys, time
began = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
wall_s = time.perf_counter() - began
status = os.waitstatus_to_exitcode(status)
print(f"\\n[{status}, {wall_s}, {used.ru_utime + used.ru_stime}, {used.ru_maxrss}]", end="")
"""
"""Starts the command from a small process: the peak memory of a command begins with that of the
process that started it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`inside_s` and `rows` are what the process says of itself, where it does."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    inside_s: float | None = None
    rows: int | None = None
    said: str = ""


@dataclass
class Figures:
    """All costs by what was done, and by (what, "rows" or "bytes") what was written."""

    costs: dict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list))
    written: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def wall_s(self, what: str) -> float:
        return median(cost.wall_s for cost in self.costs[what])

    def inside_s(self, what: str) -> float:
        return median(cost.inside_s or 0.0 for cost in self.costs[what])

    def ratio(self, what: str, *others: str, inside: bool = False) -> float:
        """CPU that it takes, as a multiple of the cheapest of the others."""

        def took(cost: Cost) -> float:
            return (cost.inside_s or 0.0) if inside else cost.cpu_s

        rounds = zip(*(self.costs[name] for name in (what, *others)), strict=True)
        return median(took(mine) / min(map(took, theirs)) for mine, *theirs in rounds)


def cost_of(command: Sequence[str], environ: Mapping[str, str] = {}) -> Cost:
    """Run a command to its end. Raises `RuntimeError` where it fails."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        check=False,
    )
    said, _, measured = ran.stdout.rpartition("\n")
    status, wall_s, cpu_s, peak_kb = json.loads(measured)
    if status:
        raise RuntimeError(f"{command} ended with {status}: {said}{ran.stderr}")
    own = _last_line(said)
    return Cost(wall_s, cpu_s, peak_kb / 1024, own.get("inside_s"), own.get("rows"), said)


def cost_of_child(way: str, *words: str, environ: Mapping[str, str] = {}) -> Cost:
    """What one of the ways of `bench.child` costs."""
    return cost_of([sys.executable, "-m", "bench.child", way, *words], environ)


def _last_line(said: str) -> dict[str, Any]:
    last = said.strip().rpartition("\n")[2]
    return json.loads(last) if last.startswith('{"inside_s"') else {}
