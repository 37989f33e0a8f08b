"""What costs cost to read: `python -m bench.costs --instances 1000 --days 365`.

Half a million day parts of a year, written in bulk; then cost by month and by year is asked of both
databases, as the views and reports ask it.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

from bench.databases import places
from etl import reports, tables
from etl.dialect import Database, open_database
from etl.history.days import Zone
from etl.history.stretches import Evidence, Stretch, Terms
from etl.money.tariffs import Override
from etl.store import Store, SyncRun
from etl.store.price_periods import write_overrides

FIRST, ZONE = date(2025, 1, 1), Zone("Asia/Shanghai")
MODELS = 12
REST_S = 10 * 3_600
IMAGES = 25
QUERIES = {
    "cost_daily, a month": "SELECT account, SUM(cost_microcny) FROM cost_daily"
    " WHERE day >= '{month}-01' AND day <= '{month}-31' GROUP BY account",
    "cost_daily, the year": "SELECT account, SUM(cost_microcny) FROM cost_daily GROUP BY account",
    "_cost_line by owner, the year": "SELECT owner, SUM(cost_microcny) FROM _cost_line GROUP BY owner",
}


Written = Callable[[Any, list[tuple[str, Stretch, bool]]], None]


def fill(
    database: Database,
    instances: int,
    days: int,
    also: Written = lambda *_: None,
    rest_s: int = REST_S,
) -> int:
    """A year of runs of a fleet; returns the number of stretches. `also` writes what belongs to some
    of them, in the same transaction; between two runs lie `rest_s` seconds at most."""
    dice = Random("costs")
    begins = ZONE.starts(FIRST)
    ends = ZONE.starts(FIRST + timedelta(days=days))
    with Store(database, "lab").writing() as tx:
        account = tx._account_id
        tx.record("instances", SyncRun(begins, begins + 1, "complete"))
        tx.record("instances", SyncRun(ends, ends + 1, "complete"))
    with database.writing() as conn:
        uuids = [f"inst-{n:06}" for n in range(instances)]
        names = ("account_id", "instance_uuid", "title", "status", "version", "first_seen_at")
        database.insert(
            conn,
            tables.instance,
            (*names, "changed_at"),
            [(account, u, f"work {u}", 22, 1, begins, begins) for u in uuids],
        )
        _prices(database, conn, account, dice, begins, ends)
        database.insert(
            conn,
            tables.allocation,
            ("account_id", "instance_uuid", "starts_s", "ends_s", "rule_no", "project", "owner"),
            [
                (account, u, 0, 253_402_300_800, 1, f"p{n % 7}", f"o{n % 40}")
                for n, u in enumerate(uuids)
            ],
        )
    count = 0
    for at in range(0, instances, 100):
        stretches = [
            (uuid, s, True)
            for uuid in uuids[at : at + 100]
            for s in _life(dice, begins, ends, rest_s)
        ]
        with Store(database, "lab").writing() as tx:
            tx.write_usage(stretches)
            also(tx, stretches)
        count += len(stretches)
    with Store(database, "lab").writing() as tx:
        tx.deriver().sums.renew_since()
    return count


def _life(dice: Random, begins: int, ends: int, rest_s: int) -> Iterator[Stretch]:
    terms = Terms(
        f"gpu-{(model := dice.randrange(MODELS))}",
        f"model {model}",
        dice.choice((1, 1, 2, 4, 8)),
        1,
        f"image-{dice.randrange(IMAGES)}",
    )
    at, number = begins + dice.randint(0, max(86_400, rest_s)), 0
    while at < ends:
        stop = at + dice.randint(600, 25 * 3_600)
        number += 1
        if stop > ends:
            yield Stretch(number, "running", at, "observed", terms)
            return
        evidence: Evidence = (
            "observed" if dice.random() < 0.97 else dice.choice(("booting", "unseen_run"))
        )
        sure = at if evidence != "observed" else max(at, stop - 150)
        best = at if evidence == "booting" else stop
        yield Stretch(number, "running", at, evidence, terms, sure, best, stop + 150)
        at = stop + dice.randint(600, rest_s)


def _prices(
    database: Database, conn: Any, account: int, dice: Random, begins: int, ends: int
) -> None:
    rows = []
    for model in range(MODELS):
        starts = [begins + n * 40 * 86_400 for n in range(9)]
        for at, to in zip(starts, [*starts[1:], None], strict=True):
            price = dice.randint(100, 3_000) * 10_000
            seen = None if to is None else to - 1_800
            rows.append((account, f"gpu-{model}", at, seen, to, f"model {model}", price))
    database.insert(
        conn,
        tables.gpu_price,
        (
            "account_id",
            "gpu_uuid",
            "valid_from",
            "last_seen_at",
            "valid_to",
            "gpu_name",
            "hour_microcny",
        ),
        rows,
    )
    extra = [Override("hour", 300_000, image_uuid=f"image-{n}", adds=True) for n in range(3)]
    write_overrides(database, conn, extra)
    lines = (
        "order_number",
        "settle_start_at",
        "settle_end_at",
        "charge_channel",
        "remark",
        "line_no",
        "charged_day",
    )
    seen_at = ("first_seen_at", "changed_at")
    database.insert(
        conn,
        tables.bill,
        ("account_id", *lines, "amount_microcny", *seen_at),
        [
            (
                account,
                f"o{n}",
                at,
                at + 3_600,
                1,
                "",
                1,
                FIRST.isoformat(),
                1_000_000,
                at + 3_700,
                at + 3_700,
            )
            for n, at in enumerate(range(begins, ends - 86_400, 600))
        ],
    )


def measure(database: Database) -> Iterator[tuple[str, float, int]]:
    """(what, seconds, rows), the best of three."""
    month = (FIRST + timedelta(days=300)).isoformat()[:7]
    for name, sql in QUERIES.items():
        yield name, *_best(lambda sql=sql: _ask(database, sql.format(month=month)))
    for by in ("instance", "model", "day"):
        for period, first, last in (
            ("a month", f"{month}-01", f"{month}-31"),
            ("the year", "2025-01-01", "2025-12-31"),
        ):
            said = {"from_day": first, "to_day": last, "by": by}
            yield (
                f"report cost --by {by}, {period}",
                *_best(
                    lambda said=said: list(
                        reports.run(database, reports.load_report("cost"), said)[1]
                    )
                ),
            )


def _best(ask: Any) -> tuple[float, int]:
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        rows = len(ask())
        taken.append(time.perf_counter() - began)
    return min(taken), rows


def _ask(database: Database, sql: str) -> list[Any]:
    with database.reading() as conn:
        return list(conn.exec_driver_sql(sql).all())


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
            began = time.perf_counter()
            fill(database, given.instances, given.days)
            place.settle(url)
            parts = _ask(database, "SELECT COUNT(*) FROM usage_day")[0][0]
            print(
                f"\n{place.kind}: {parts:,} day parts, written in {time.perf_counter() - began:.0f} s"
            )
            for what, seconds, rows in measure(database):
                print(f"| {what} | {seconds:.2f} s | {rows:,} rows |", flush=True)
            database.engine.dispose()


if __name__ == "__main__":
    main()
