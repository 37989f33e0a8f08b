"""What a process and its database hold while they are at work: memory, threads, files, connections."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FLAT = 1.05
FEW = 3
"""Counts of threads and the like go up and down by a few."""
COUNTED = re.compile(
    r'^chenyu_etl_(?:polls|ticks_without_poll)_total\{account="([^"]*)"[^}]*\} ([0-9.e+]+)$',
    re.MULTILINE,
)
_LOAD = Path("/proc/loadavg")


@dataclass(frozen=True, slots=True)
class Look:
    at_s: float
    rss_mb: float
    heap_mb: float
    threads: int
    files: int
    connections: int
    database_mb: float
    load: float


@dataclass
class Looks:
    """Looks at a process. `connections` counts those to the database, `size` its bytes."""

    pid: int
    connections: Callable[[], int] = lambda: 0
    size: Callable[[], int] = lambda: 0
    taken: list[Look] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def take(self) -> None:
        """One look; each minute's are printed as a line of their highest."""
        place = Path(f"/proc/{self.pid}")
        status = dict(
            line.split(":", 1)
            for line in (place / "status").read_text().splitlines()
            if ":" in line
        )
        before = self._minute()
        self.taken.append(
            Look(
                time.monotonic() - self.began,
                int(status["VmRSS"].split()[0]) / 1024,
                int(status["RssAnon"].split()[0]) / 1024,
                int(status["Threads"]),
                len(list((place / "fd").iterdir())),
                self.connections(),
                self.size() / 2**20,
                float(_LOAD.read_text().split()[0]),
            )
        )
        if self._minute() != before:
            self._say(before)

    def judged(self) -> list[str]:
        """What grew: the highest of the last third is above that of the middle third."""
        third = len(self.taken) // 3
        if third < 2:
            return []
        middle, last = self.taken[third : 2 * third], self.taken[2 * third :]
        grown = []
        for name in ("rss_mb", "heap_mb", "threads", "files", "connections"):
            was, now = (max(getattr(look, name) for look in some) for some in (middle, last))
            print(f"{name}: highest of the middle third {was:.0f}, of the last {now:.0f}")
            if now > was * FLAT + (0 if name.endswith("_mb") else FEW):
                grown.append(f"{name} grew from {was:.0f} to {now:.0f}")
        return grown

    def load(self) -> str:
        loads = [look.load for look in self.taken] or [0.0]
        return f"{min(loads):.1f} to {max(loads):.1f}, mean {sum(loads) / len(loads):.1f}"

    def _minute(self) -> int:
        return int(self.taken[-1].at_s // 60) if self.taken else 0

    def _say(self, minute: int) -> None:
        of_it = [look for look in self.taken if int(look.at_s // 60) == minute]
        if of_it:
            shown = (
                f"{name} {max(getattr(look, name) for look in of_it):.0f}"
                for name in Look.__slots__[1:]
            )
            print(f"minute {minute + 1}:", *shown, flush=True)


def scraped(port: int) -> str:
    """What the daemon tells Prometheus; empty where it does not answer."""
    url = f"http://127.0.0.1:{port}/metrics"
    with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
    return ""


def ticks_counted(metrics: str) -> Counter[str]:
    """Count the ticks of each account that the daemon has accounted for: polls, and ticks without one."""
    counted = Counter[str]()
    for account, count in COUNTED.findall(metrics):
        counted[account] += int(float(count))
    return counted
