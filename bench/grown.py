"""A database after years, and what its polls and reports cost: `python -m bench.grown --instances 1000 --days 1825`.

Filled in bulk (`bench.year`) with runs of up to 25 hours and rests of up to `--rest` hours, then polled; `--postgres`
copies it to a Postgres of its own and measures there, `--partitions` once more with tables of days by month, and with
block ranges. CPU seconds of this process and of the one that serves its connection.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from bench.costs import FIRST, ZONE
from bench.databases import places
from bench.pages import editions
from bench.partitions import partition, use_block_ranges
from bench.reports import _with_server
from bench.year import fill_year, last_month, whole
from etl import reports, store, tables
from etl.dialect import Database, open_database
from etl.rebuild import differences
from etl.store import schema
from etl.units import HOUR_S
from tests.support import apply, poll_of

BATCH = 50_000
EVERY_S = 120
EDITIONS = 3
REPORTS = (
    *("now", "overview", "uptime", "gpu-hours", "cost", "runs", "events", "coverage", "allocation"),
    "balance",
)
FOLLOWS = (
    *("version", "status", "title", "start_time", "charging_type", "shutdown_time"),
    *("shutdown_enabled", "save_image_status", "image_uuid", "image_name", "gpu_uuid", "gpu_name"),
    "gpu_nums",
)
"""Columns of an instance that its newest version has as well."""


def fill(database: Database, given: Any) -> None:
    stretches = fill_year(database, given.instances, given.days, given.rest * HOUR_S)
    newest = ", ".join(f"{name} = h.{name}" for name in FOLLOWS)
    with database.writing() as conn:
        conn.exec_driver_sql(
            f"UPDATE instance SET {newest}, changed_at = h.first_seen_at FROM instance_history h"
            " WHERE h.account_id = instance.account_id AND h.ended_at IS NULL"
            " AND h.instance_uuid = instance.instance_uuid"
        )
    print(f"{stretches:,} stretches", flush=True)


def listings(given: Any) -> Iterator[list[bytes]]:
    """Listings of the fleet: the first changes all of it, the next one instance of a hundred."""
    created = ZONE.starts(FIRST + timedelta(days=given.days)) - 30 * HOUR_S
    for bodies in editions(given.instances, EDITIONS, created):
        numbers = iter(range(given.instances))
        yield [
            re.sub(rb'"instance_uuid":"[^"]*"', partial(_named, numbers), body) for body in bodies
        ]


def _named(numbers: Iterator[int], _: re.Match[bytes]) -> bytes:
    return b'"instance_uuid":"inst-%06d"' % next(numbers)


def polls(database: Database, given: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    with store.reading(database) as known:
        newest = next(iter(known.accounts().values())).last_poll("instances")
    assert newest is not None
    at = newest.started_at + EVERY_S
    first, second, third = listings(given)
    for number, (what, bodies) in enumerate(
        [
            ("poll: all changed", first),
            ("poll: unchanged", first),
            ("poll: 1 % changed", second),
            ("poll: unchanged again", second),
            ("poll: 1 % changed again", third),
        ]
    ):
        started = at + number * EVERY_S
        yield what, partial(apply, database, poll_of(bodies, started, started + 2))


def asked(database: Database, given: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    for name in REPORTS:
        for span, days in (("month", last_month(given.days)), ("all", whole(given.days))):
            yield f"report {name}, {span}", partial(_rows, database, name, days)
    for name in ("runs", "events"):
        yield f"report {name}, all: first 100 rows", partial(_first, database, name, given)


def _rows(database: Database, name: str, days: dict[str, str]) -> int:
    return sum(1 for _ in reports.run(database, reports.load_report(name), days)[1])


def _first(database: Database, name: str, given: Any) -> int:
    rows = reports.run(database, reports.load_report(name), whole(given.days))[1]
    return len(list(islice(rows, 100)))


def kept(database: Database, given: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    """What people do to a database now and then."""
    today = FIRST + timedelta(days=given.days)
    yield "db upgrade, up to date", lambda: schema.upgrade(database, ZONE.name, today)
    with TemporaryDirectory(dir=given.folder) as folder:
        yield "db backup", partial(database.backup, Path(folder, "copy"))
    if given.deep:
        yield "rebuild --check", lambda: list(differences(database))


def say(database: Database, what: str, ask: Callable[[], object]) -> None:
    cpu_s, began = _with_server(database), time.perf_counter()
    result = ask()
    took = time.perf_counter() - began
    rows = f" | {result:,}" if isinstance(result, int) else ""
    print(f"{what} | {took:.2f} ({_with_server(database) - cpu_s:.2f}){rows}", flush=True)


def sizes(database: Database) -> None:
    for name in sorted(tables.metadata.tables):
        with database.reading() as conn:
            count = int(conn.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one())
        if count >= BATCH:
            print(f"rows of {name} | {count:,}")
    if database.files:
        print(
            f"size | {sum(file.stat().st_size for file in database.files if file.exists()) / 1e6:,.0f} MB"
        )
        return
    with database.reading() as conn:
        size = conn.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    print(f"size | {size / 1e6:,.0f} MB", flush=True)


def copied(one: Database, other: Database) -> int:
    """Copy all rows; the other database has only what a new one has."""
    rows = 0
    with one.reading() as source, other.writing() as conn:
        for table in reversed(tables.metadata.sorted_tables):
            conn.execute(table.delete())
        for table in tables.metadata.sorted_tables:
            columns = [column.name for column in table.columns]
            result = source.execution_options(stream_results=True).execute(table.select())
            for part in result.partitions(BATCH):
                other.insert(conn, table, columns, [_plain(row) for row in part])
                rows += len(part)
            number = table.autoincrement_column
            if number is not None:
                conn.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{number.name}'),"
                    f" COALESCE(MAX({number.name}), 0) + 1) FROM {table.name}"
                )
    return rows


def _plain(row: Any) -> list[Any]:
    """A row in the values that bulk writers take."""
    return [int(v.timestamp()) if hasattr(v, "timestamp") else v for v in row]


def measure(database: Database, given: Any) -> None:
    print(f"\n{database.engine.dialect.name}; load {os.getloadavg()[0]:.1f}")
    sizes(database)
    for asking in (polls, asked, kept):
        for what, ask in asking(database, given):
            say(database, what, ask)
    print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--instances", type=int, default=1_000)
    options.add_argument("--days", type=int, default=5 * 365)
    options.add_argument("--rest", type=int, default=100, help="hours between two runs, at most")
    options.add_argument("--folder", type=Path, required=True, help="for the file, which is kept")
    options.add_argument("--postgres", action="store_true", help="measure a copy of it there")
    options.add_argument("--partitions", action="store_true", help="and once more, partitioned")
    options.add_argument("--deep", action="store_true", help="rebuild --check, too")
    given = options.parse_args()
    database = open_database(f"sqlite:///{given.folder.absolute()}/grown.db")
    is_new = not database.exists()
    # the calendar reaches some years beyond today
    schema.upgrade(database, ZONE.name, FIRST + timedelta(days=given.days))
    if is_new:
        say(database, "filled", partial(fill, database, given))
        with database.engine.connect() as conn:
            conn.exec_driver_sql("ANALYZE")
    if not given.postgres:
        measure(database, given)
        return
    with places(["postgres"]) as (server,):
        other = open_database(server.fresh())
        say(other, "copied", partial(copied, database, other))
        settle(other)
        measure(other, given)
        if given.partitions:
            for what, change in (("by month", partition), ("block ranges", use_block_ranges)):
                say(other, what, partial(change, other))
                settle(other)
                measure(other, given)
        other.engine.dispose()


def settle(database: Database) -> None:
    with database.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
