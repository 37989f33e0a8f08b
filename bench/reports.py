"""What every report takes: `python -m bench.reports --instances 1000 --days 365`.

A year of a fleet, written in bulk; then each report is asked for its last month and for all of it, on
SQLite, on Postgres and, over the Parquet export, on DuckDB. Times are the best of `--repeat`.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.databases import places
from bench.year import fill_year, last_month, whole
from etl import reports
from etl.dialect import Database, open_database
from etl.exports import parquet

Asked = tuple[str, dict[str, str]]


def asked(only: list[str]) -> Iterator[Asked]:
    """Each report, and each thing it can be by."""
    for name in only or reports.names():
        by = reports.load(name).param("by")
        for choice in by.choices if by and name in ("cost", "gpu-hours", "uptime") else [None]:
            yield name, {} if choice is None else {"by": choice}


def on_database(database: Database) -> Callable[[str, dict[str, str]], int]:
    def count(name: str, said: dict[str, str]) -> int:
        return sum(1 for _ in reports.run(database, reports.load(name), said)[1])

    return count


def on_duckdb(folder: Path) -> Callable[[str, dict[str, str]], int]:
    import duckdb

    conn = duckdb.connect()
    script = (folder / "duckdb.sql").read_text(encoding="utf-8")
    for said in script.replace("read_parquet('", f"read_parquet('{folder}/").split(";\n"):
        conn.execute(said)

    def count(name: str, said: dict[str, str]) -> int:
        report = reports.load(name)
        sql = report.sql
        for param in report.params:
            sql = sql.replace(f":{param.name}", f"${param.name}")
        values = {p.name: said.get(p.name, p.default) for p in report.params}
        return int(conn.sql(sql, params=values).to_arrow_table().num_rows)

    return count


def best(ask: Callable[[], int], repeat: int, limit_s: float) -> tuple[float, int]:
    """Seconds and rows; once is enough where it takes long."""
    taken: list[float] = []
    rows = 0
    while len(taken) < repeat and sum(taken) < limit_s:
        began = time.perf_counter()
        rows = ask()
        taken.append(time.perf_counter() - began)
    return min(taken), rows


def filled(kind: str, place: Any, given: argparse.Namespace) -> Database:
    url = place.fresh()
    database = open_database(url)
    began = time.perf_counter()
    count = fill_year(database, given.instances, given.days)
    place.settle(url)
    print(f"{kind}: {count:,} stretches in {time.perf_counter() - began:.0f} s", flush=True)
    return database


def measure(ways: dict[str, Callable[[str, dict[str, str]], int]], given: Any) -> None:
    """A line for each report, the databases one after the other, so that a slow minute of the machine
    hits all alike."""
    spans = {"month": last_month(given.days), "year": whole(given.days)}
    print("\n| report |", " | ".join(f"{w} {s}" for w in ways for s in spans), "| rows |")
    print("|---|" + "---:|" * (len(ways) * len(spans) + 1))
    for name, said in asked(given.reports.split(",") if given.reports else []):
        cells, rows = [], ""
        for ask in ways.values():
            for span in spans.values():
                asking = partial(ask, name, {**span, **said})
                seconds, found = best(asking, given.repeat, 10.0)
                cells.append(f"{seconds:.2f}")
                rows = f"{found:,}"
        words = " by ".join([name, *said.values()])
        print(f"| {words} | {' | '.join(cells)} | {rows} |", flush=True)
    print("\nload", " ".join(f"{n:.1f}" for n in os.getloadavg()))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--instances", type=int, default=1000)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--databases", default="sqlite,postgres,duckdb")
    options.add_argument("--reports", default="", help="only these")
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    kinds = [kind for kind in given.databases.split(",") if kind != "duckdb"]
    print(f"SQLite {sqlite3.sqlite_version}")
    with places(kinds) as found, tempfile.TemporaryDirectory() as folder:
        databases = {place.kind: filled(place.kind, place, given) for place in found}
        ways = {kind: on_database(database) for kind, database in databases.items()}
        if "duckdb" in given.databases:
            list(parquet.export(databases[kinds[0]], Path(folder)))
            ways["duckdb"] = on_duckdb(Path(folder))
        measure(ways, given)
        for database in databases.values():
            database.engine.dispose()


if __name__ == "__main__":
    main()
