"""How fast, how small: `python -m bench.run --sizes 1000,10000,100000 --databases sqlite,postgres`.

Each round measures everything once, one after the other, so that a slow minute of the machine hits
all alike. Times are medians over the rounds, ratios are medians of the ratios within one round.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bench.cost import COMMAND, Cost, Figures, cost_of, cost_of_child
from bench.databases import Place, give_a_past, places
from bench.server import serving
from bench.tables import Table

GAP_S = 2.0
"""Two polls never share a second, so one right after the other would wait."""
STEPS = ("first", "unchanged", "changed")
EDITIONS = {"first": 0, "unchanged": 0, "changed": 1}
PAST = {"gone": 100_000, "versions": 1_000_000, "runs": 262_800}


class Syncs:
    """Syncs of one database, from outside or from inside."""

    def __init__(self, place: Place, url: str, base: str) -> None:
        self._place = place
        self._url = url
        self._base = base
        self._began = 0.0

    def cost(self, edition: int, *, inside: bool) -> tuple[Cost, int]:
        """What one sync costs, and the bytes it wrote; checks that it was complete."""
        environ = {
            "CHENYU_API_KEY": "cy_bench",
            "CHENYU_BASE_URL": f"{self._base}/{edition}",
            "CHENYU_DATABASE_URL": self._url,
            "CHENYU_CONFIG": "",
            "CHENYU_ARCHIVE": "",
            "CHENYU_RESOURCES": "instances",
        }
        time.sleep(max(0.0, self._began + GAP_S - time.time()))
        self._began = time.time()
        before, rows = self._place.written(self._url), self._place.rows(self._url)
        if inside:
            cost = cost_of_child("inside", "-", environ=environ)
        else:
            cost = cost_of([COMMAND, "sync", "--json"], environ)
            outcome = json.loads(cost.said)[0]["outcome"]
            assert outcome == "complete", cost.said
        written = self._place.written(self._url)
        written -= 0 if self._place.kind == "sqlite" else before
        if rows is not None:
            cost = replace(cost, rows=(self._place.rows(self._url) or 0) - rows)
        return cost, written


def measure(place: Place, base: str, repeat: int, *, brief: bool = False) -> Figures:
    """All figures of one size on one database; `brief`: of whole processes alone, beside the floors."""
    figures = Figures()
    for _ in range(repeat):
        for way in ("fetch",) if brief else ("fetch", "fetch-threads"):
            figures.costs[way].append(cost_of_child(way, f"{base}/0"))
        for inside in (False,) if brief else (False, True):
            with_own = place.fresh()
            syncs = Syncs(place, with_own, base)
            for step in STEPS:
                name = f"inside {step}" if inside else step
                cost, written = syncs.cost(EDITIONS[step], inside=inside)
                figures.costs[name].append(cost)
                figures.written[step, "bytes"].append(written)
                if cost.rows is not None:
                    figures.written[step, "rows"].append(cost.rows)
            place.drop(with_own)
        for way in ("insert",) if brief else ("insert", "insert-threads"):
            _with_empty(place, partial(_bare, figures, way, base))
        if place.kind == "sqlite" and not brief:
            _with_empty(place, lambda url: _handy(figures, base, url))
        print(".", end="", file=sys.stderr, flush=True)
    return figures


def _bare(figures: Figures, way: str, base: str, url: str) -> None:
    figures.costs[way].append(cost_of_child(way, f"{base}/0", url))


def _handy(figures: Figures, base: str, url: str) -> None:
    for step in STEPS:
        cost = cost_of_child("handy", f"{base}/{EDITIONS[step]}", url)
        figures.costs[f"handy {step}"].append(cost)


def _with_empty(place: Place, do: Callable[[str], None]) -> None:
    url = place.fresh(empty=True)
    do(url)
    place.drop(url)


def measure_history(place: Place, base: str, repeat: int) -> Figures:
    """Polls of two databases that differ in their past alone."""
    figures = Figures()
    without, having = (place.fresh() for _ in range(2))
    both = {"without": Syncs(place, without, base), "with": Syncs(place, having, base)}
    for syncs in both.values():
        syncs.cost(0, inside=True)
    give_a_past(having, **PAST)
    for url in (without, having):
        place.settle(url)
    for turn in range(2 * repeat):
        for edition, step in ((turn % 2, "unchanged"), (1 - turn % 2, "changed")):
            for name, syncs in both.items():
                cost, written = syncs.cost(edition, inside=True)
                figures.costs[f"{step} {name}"].append(cost)
                figures.written[f"{step} {name}", "bytes"].append(written)
    for url in (without, having):
        place.drop(url)
    return figures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default="1000,10000,100000")
    options.add_argument("--databases", default="sqlite,postgres")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument(
        "--history", type=int, default=10_000, help="instances listed; 0: leave out"
    )
    options.add_argument("--brief", action="store_true", help="whole processes and floors alone")
    given = options.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    served = sorted({*sizes, *([given.history] if given.history else [])})
    with serving(served, editions=2) as source, places(given.databases.split(",")) as found:
        table = Table(sqlite3.sqlite_version, [getattr(p, "version", None) for p in found])
        table.help(cost_of([COMMAND, "--help"]) for _ in range(10))
        for size in sizes:
            for place in found:
                figures = measure(place, f"{source}/{size}", given.repeat, brief=given.brief)
                table.size(size, place.kind, figures)
        for place in found if given.history else []:
            base = f"{source}/{given.history}"
            figures = measure_history(place, base, given.repeat)
            table.history(given.history, place.kind, figures)


if __name__ == "__main__":
    main()
