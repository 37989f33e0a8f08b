"""What the bill costs to read: `python -m bench.reconciling --instances 1000 --days 365`.

The year of `bench.costs`, with a bill line for each of its half a million day parts; then the reports
about the bill are asked of both databases, over a month and over the year.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bench.costs import FIRST, fill
from bench.databases import places
from etl import reports, tables
from etl.dialect import Database, open_database

REPORTS = (
    ("reconciliation", "day"),
    ("reconciliation", "cause"),
    ("bills", "day"),
    ("bills", "instance"),
    ("bills", "project"),
    ("allocation", None),
    ("bill-lines", None),
    ("settlement", None),
    ("balance", None),
)


def bill(database: Database) -> int:
    """A line for each part of usage, cut into no further days; how many."""
    with database.writing() as conn:
        for table in ("bill_day", "bill"):
            conn.exec_driver_sql(f"DELETE FROM {table}")
        parts = conn.exec_driver_sql(
            "SELECT account_id, day, starts_s, ends_s, cost_microcny FROM usage_cost"
            " WHERE cost_microcny > 0 AND ends_s > starts_s"
        ).all()
        window = ("settle_start_at", "settle_end_at")
        key = ("account_id", "order_number", *window, "charge_channel", "remark", "line_no")
        lines = [
            (a, f"o{n}", starts, ends, 1 + n % 9 // 8, "", 1, day, cost // 10_000 * 10_000)
            for n, (a, day, starts, ends, cost) in enumerate(parts)
        ]
        more = ("charged_day", "amount_microcny", "ordered_at", "first_seen_at", "changed_at")
        days = [_day(line[7]) for line in lines]
        database.insert(
            conn,
            tables.bill,
            (*key, *more),
            [
                (*line[:7], day, line[8], line[3], line[3] + 60, line[3] + 60)
                for line, day in zip(lines, days, strict=True)
            ],
        )
        database.insert(
            conn,
            tables.bill_day,
            (*key, "day", "amount_microcny"),
            [(*line[:7], day, line[8]) for line, day in zip(lines, days, strict=True)],
        )
    return len(lines)


def _day(day: Any) -> str:
    return day if isinstance(day, str) else str(day.isoformat())


def measure(database: Database) -> Iterator[tuple[str, float, int]]:
    """(what, seconds, rows), the best of two."""
    month = (FIRST + timedelta(days=300)).isoformat()[:7]
    for name, by in REPORTS:
        for period, first, last in (
            ("a month", f"{month}-01", f"{month}-31"),
            ("the year", "2025-01-01", "2025-12-31"),
        ):
            if name == "settlement" and period == "the year":
                continue
            said = {"from_day": first, "to_day": last, "by": by}
            taken = []
            for _ in range(2):
                began = time.perf_counter()
                rows = len(list(reports.run(database, reports.load_report(name), said)[1]))
                taken.append(time.perf_counter() - began)
            yield f"report {name}{f' --by {by}' if by else ''}, {period}", min(taken), rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--instances", type=int, default=1000)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--databases", default="sqlite,postgres")
    given = options.parse_args()
    print(f"SQLite {sqlite3.sqlite_version}")
    with places(given.databases.split(",")) as found:
        for place in found:
            url = place.fresh()
            database = open_database(url)
            fill(database, given.instances, given.days)
            count = bill(database)
            place.settle(url)
            print(f"\n{place.kind}: {count:,} bill lines")
            for what, seconds, rows in measure(database):
                print(f"| {what} | {seconds:.2f} s | {rows:,} rows |", flush=True)
            database.engine.dispose()


if __name__ == "__main__":
    main()
