"""Size and build time of the page: `python -m bench.page_sizes --folder DIR --instances 20,200,2000`.

A month of 31 days is written in bulk for each size, once: it is kept in the folder. Times are CPU seconds of
reading the reports and of writing the page, the best of `--repeat`, in a process that has imported everything.
"""

from __future__ import annotations

import argparse
import gzip
import time
from datetime import timedelta
from pathlib import Path

from bench.costs import FIRST, ZONE
from bench.year import fill_year
from etl import reports
from etl.dialect import open_database
from etl.page import Choice
from etl.page.build import render_page
from etl.page.facts import gather
from etl.page.words import Translator
from etl.store import schema
from tests.chromium import COMMAND, chromium

DAYS = 31
CHOICE = Choice(FIRST.isoformat(), (FIRST + timedelta(days=DAYS - 1)).isoformat())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--instances", default="20,200,2000")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print("| instances | stretches | reports, CPU s | page, CPU s | MB | packed MB | opens, s |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for count in map(int, given.instances.split(",")):
        print(measured(given.folder / f"m{count}.db", count, given.repeat), flush=True)


def measured(file: Path, count: int, repeat: int) -> str:
    """Return a line of the table for a month of so many instances."""
    database = open_database(f"sqlite:///{file}")
    if not file.exists():
        schema.upgrade(database, ZONE.name, FIRST)
        fill_year(database, count, DAYS)
    observed = reports.observed(database, None)
    assert observed is not None
    now = observed[1] + 600
    reading, writing = [], []
    for _ in range(repeat):
        began = time.process_time()
        facts = gather(database, CHOICE, ZONE, now)
        read_at = time.process_time()
        html = render_page(facts, Translator("en")).encode()
        reading.append(read_at - began)
        writing.append(time.process_time() - read_at)
    page = file.with_suffix(".html")
    page.write_bytes(html)
    sizes = f"{len(html) / 1e6:.2f} | {len(gzip.compress(html, 6)) / 1e6:.2f}"
    stretches = len(facts["timeline"].rows)
    times = f"{min(reading):.2f} | {min(writing):.2f}"
    return f"| {count:,} | {stretches:,} | {times} | {sizes} | {opening_s(page):.1f} |"


def opening_s(page: Path) -> float:
    """Return the seconds until a browser has loaded the page and run its script."""
    if COMMAND is None:
        return float("nan")
    with chromium() as browser:
        tab = browser.tab()
        tab.opens(page.as_uri())
        timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
        return float(tab.asks(timing)) / 1_000


if __name__ == "__main__":
    main()
