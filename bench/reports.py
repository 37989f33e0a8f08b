"""What every report takes: `python -m bench.reports --instances 1000 --days 365`.

A year of a fleet, written in bulk; then each report, by everything it can be by, is asked for its last
month and for all of it, on SQLite, on Postgres and, over the Parquet export, on DuckDB. Cells are seconds,
and CPU seconds in brackets (the server's too, where it runs on this machine): each the best of `--repeat`.

A year takes minutes to write. `--sqlite FILE`, `--postgres URL` and `--parquet FOLDER` name one that is
kept: what is not there is made, what is there is brought up to date and asked.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from bench.costs import ZONE
from bench.databases import Place, places
from bench.year import fill_year, last_month, whole
from etl import reports
from etl.dialect import Database, open_database
from etl.dialect.duckdb import render_duckdb
from etl.exports import parquet
from etl.exports.engines import duckdb_script
from etl.exports.manifest import MARK
from etl.store import schema

Said = dict[str, str]
Question = tuple[str, Said]
ENOUGH_S = 10.0
"""A question that took so long is not asked again."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Way:
    """`ask` gives the number of rows; of `cpu_s` only differences mean something."""

    ask: Callable[[str, Said], int]
    cpu_s: Callable[[], float]


def asked(only: list[str]) -> Iterator[Question]:
    """Each report, and each thing it can be by."""
    for name in only or reports.report_names():
        by = reports.load_report(name).param("by")
        for choice in by.choices if by else [None]:
            yield name, {} if choice is None else {"by": choice}


def on_database(database: Database) -> Way:
    def count(name: str, said: Said) -> int:
        return sum(1 for _ in reports.run(database, reports.load_report(name), said)[1])

    return Way(count, partial(_with_server, database))


def _with_server(database: Database) -> float:
    """CPU seconds of this process, and of the one that serves its connection."""
    used = time.process_time()
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as conn:
            stat = Path(f"/proc/{conn.execute(text('SELECT pg_backend_pid()')).scalar()}/stat")
        if stat.exists():
            user, system = stat.read_text().rpartition(")")[2].split()[11:13]
            used += (int(user) + int(system)) / TICKS
    return used


def on_duckdb(folder: Path) -> Way:
    import duckdb

    conn = duckdb.connect()
    script = (folder / "duckdb.sql").read_text(encoding="utf-8")
    for said in script.replace("read_parquet('", f"read_parquet('{folder}/").split(";\n"):
        conn.execute(said)

    def count(name: str, said: Said) -> int:
        report = reports.load_report(name)
        values = reports.bound_values(report, said)
        sql = render_duckdb(report.sql)
        for each in values:
            sql = sql.replace(f":{each}", f"${each}")
        return int(conn.sql(sql, params=values).to_arrow_table().num_rows)

    return Way(count, time.process_time)


def best(way: Way, question: Question, repeat: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds and rows."""
    took: list[float] = []
    used: list[float] = []
    rows = 0
    while len(took) < repeat and sum(took) < ENOUGH_S:
        cpu_s, began = way.cpu_s(), time.perf_counter()
        rows = way.ask(*question)
        took.append(time.perf_counter() - began)
        used.append(way.cpu_s() - cpu_s)
    return min(took), min(used), rows


def measure(ways: dict[str, Way], given: Any) -> None:
    """A line for each report, the databases one after the other, so that a slow minute of the machine
    hits all alike."""
    spans = {"month": last_month(given.days), "year": whole(given.days)}
    print("\n| report |", " | ".join(f"{w} {s}" for w in ways for s in spans), "| rows |")
    print("|---|" + "---:|" * (len(ways) * len(spans) + 1))
    for name, said in asked(given.reports.split(",") if given.reports else []):
        cells, counts = [], {}
        for way in ways.values():
            for span, days in spans.items():
                took, used, counts[span] = best(way, (name, {**days, **said}), given.repeat)
                cells.append(f"{took:.2f} ({used:.2f})")
        rows = " / ".join(f"{count:,}" for count in counts.values())
        words = " by ".join([name, *said.values()])
        print(f"| {words} | {' | '.join(cells)} | {rows} |", flush=True)
    print("\nload", " ".join(f"{n:.1f}" for n in os.getloadavg()))


def opened(kind: str, url: str, given: Any, settle: Callable[[], None]) -> Database:
    """The database of a URL, filled where it is empty."""
    database = open_database(url)
    began = time.perf_counter()
    schema.upgrade(database, ZONE.name, datetime.now(UTC).date())
    with database.reading() as conn:
        count = int(conn.execute(text("SELECT COUNT(*) FROM instance_usage")).scalar_one())
    if not count:
        count = fill_year(database, given.instances, given.days)
        settle()
    print(f"{kind}: {count:,} stretches, ready in {time.perf_counter() - began:.0f} s", flush=True)
    return database


def kept(given: Any) -> dict[str, str]:
    """The URLs of databases that are to stay."""
    file = f"sqlite:///{Path(given.sqlite).absolute()}" if given.sqlite else ""
    named = {"sqlite": file, "postgres": given.postgres}
    return {kind: url for kind, url in named.items() if url}


def databases(given: Any, stack: ExitStack) -> dict[str, Database]:
    kinds = [kind for kind in given.databases.split(",") if kind != "duckdb"]
    staying = kept(given)
    made: dict[str, Place] = {}
    if fleeting := [kind for kind in kinds if kind not in staying]:
        made = {place.kind: place for place in stack.enter_context(places(fleeting))}
    found = {}
    for kind in kinds:
        url = staying.get(kind) or made[kind].fresh()
        settle = partial(made[kind].settle, url) if kind in made else partial(_analyze, url)
        found[kind] = opened(kind, url, given, settle)
        stack.callback(found[kind].engine.dispose)
    return found


def _analyze(url: str) -> None:
    """What Postgres would sooner or later do by itself."""
    engine = open_database(url).engine.execution_options(isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "postgresql":
        with engine.connect() as conn:
            conn.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def exported(database: Database | None, given: Any, stack: ExitStack) -> Path:
    folder = Path(given.parquet or stack.enter_context(TemporaryDirectory()))
    if (folder / MARK).exists():
        (folder / "duckdb.sql").write_text(
            duckdb_script(table.name for table in parquet.TABLES), encoding="utf-8"
        )
    elif database is not None:
        list(parquet.export_parquet(database, folder))
    return folder.absolute()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--instances", type=int, default=1000)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--databases", default="sqlite,postgres,duckdb")
    options.add_argument("--sqlite", default="", help="file of a year that is kept")
    options.add_argument("--postgres", default="", help="URL of a year that is kept")
    options.add_argument("--parquet", default="", help="folder of an export that is kept")
    options.add_argument("--reports", default="", help="only these")
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    print(f"SQLite {sqlite3.sqlite_version}")
    with ExitStack() as stack:
        found = databases(given, stack)
        ways = {kind: on_database(database) for kind, database in found.items()}
        if "duckdb" in given.databases:
            ways["duckdb"] = on_duckdb(exported(next(iter(found.values()), None), given, stack))
        measure(ways, given)


if __name__ == "__main__":
    main()
