"""dlt's SCD2 beside ours: `python -m bench.dlt_beside --python PYTHON` (of an environment with dlt).

    python -m venv dlt && dlt/bin/pip install 'dlt[postgres,sqlalchemy]' httpx

Both load the same listing from the same server: first, unchanged, and with 1 % of the instances changed; whole
processes, one after the other, so that a slow minute hits both. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from bench.cost import Cost, cost_of
from bench.databases import Place, places
from bench.run import EDITIONS, STEPS, Syncs
from bench.server import serving
from bench.tables import STEPS as TITLES

CHILD = Path(__file__).with_name("dlt_child.py")


def measure(place: Place, base: str, python: Path, repeat: int) -> None:
    costs: dict[str, list[Cost]] = defaultdict(list)
    kept: dict[str, str] = {}
    for _ in range(repeat):
        ours, theirs = place.fresh(), place.fresh(empty=True)
        syncs = Syncs(place, ours, base)
        with tempfile.TemporaryDirectory() as folder:
            for step in STEPS:
                cost, _ = syncs.cost(EDITIONS[step], inside=False)
                costs[f"chenyu-etl: {TITLES[step]}"].append(cost)
                command = [str(python), str(CHILD), f"{base}/{EDITIONS[step]}", theirs, folder]
                cost = cost_of(command, dict(os.environ))
                costs[f"dlt: {TITLES[step]}"].append(cost)
                kept[f"dlt: {TITLES[step]}"] = cost.said.strip().splitlines()[-1]
        place.drop(ours)
        place.drop(theirs)
    print(
        f"\n### {place.kind}\n\n| what | s | CPU s | peak MB | rows, ended |\n|---|---:|---:|---:|---|"
    )
    for name in costs:
        these = costs[name]
        said = json.loads(kept[name]) if name in kept else {}
        cells = (
            f"{median(c.wall_s for c in these):.2f}",
            f"{median(c.cpu_s for c in these):.2f}",
            f"{max(c.peak_mb for c in these):.0f}",
            f"{said['rows']:,}, {said['ended']:,} (dlt {said['version']})" if said else "",
        )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--python", type=Path, required=True, help="of an environment with dlt")
    options.add_argument("--size", type=int, default=10_000)
    options.add_argument("--databases", default="sqlite,postgres")
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    with serving([given.size], editions=2) as source, places(given.databases.split(",")) as found:
        for place in found:
            measure(place, f"{source}/{given.size}", given.python, given.repeat)
            print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
