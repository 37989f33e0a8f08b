"""How true money is: `python -m bench.billing --days 31 --instances 30`.

A simulated month under three ways of charging, polled every five minutes. `doctor billing` has to find
out which it is; by what it learned the month is estimated and compared with the bill, and every
instance-day with what it truly cost.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from etl import reports
from etl.books.learning import accept, lessons
from etl.books.learning_text import in_words
from etl.dialect import Database, open_database
from etl.history.days import Zone
from etl.rebuild import set_code
from etl.simcloud import Charging, Fleet, Money, microcny
from etl.store import schema
from tests.polled_money import polled, settled

ZONE: Final = Zone("Asia/Shanghai")
FIRST: Final = date(2026, 1, 5)
START: Final = ZONE.starts(FIRST)
DAY_S: Final = 86_400
LATER_S: Final = 20 * 3_600


def fleet_of(seed: int, instances: int, days: int, flapping: float) -> Fleet:
    """Metered machines, some without a card at times, and prepaid ones."""
    metered = Fleet.generate(
        seed,
        instances=instances,
        start=START,
        days=days,
        prepaid=0,
        no_card=0.03,
        flapping=flapping,
    )
    prepaid = Fleet.generate(
        seed + 1,
        instances=max(2, instances // 10),
        start=START,
        days=days,
        prepaid=0.5,
        prepaid_week=0.5,
        other_gpu=0,
    )
    return Fleet([*metered.lives, *prepaid.lives])


def charging_of(name: str, fleet: Fleet) -> Charging:
    if name == "second, image":
        return Charging(image_hour={life.image[0]: 300_000 for life in fleet.lives[:3]})
    if name == "minute, running":
        return Charging(counts_from="running", by="minute", lag_s=240)
    return Charging(by="hour", order_numbers="run", rounding="up")


def money_of(fleet: Fleet, charging: Charging, days: int) -> Money:
    """Prices that change midway, cards that run out, recharges."""
    money = Money(fleet, charging, opening=microcny(20_000))
    for n, (gpu_name, hour) in enumerate(
        (("RTX 4090", "6.20"), ("RTX 3090", "2.98"), ("A100", "13.10"))
    ):
        money.prices.change(gpu_name, START + days * DAY_S // 2 + 7_777 * n, hour=hour)
    money.give_card(START + DAY_S, 2_000, sale_price=1_800)
    money.give_card(START + days * DAY_S // 2, 5_000, sale_price=4_000)
    money.recharge(START + 2 * DAY_S, 5_000)
    return money


def measure(database: Database, fleet: Fleet, money: Money, days: int) -> Iterator[str]:
    until = START + days * DAY_S
    (lesson,) = lessons(database, None, 90)
    yield from in_words(lesson)
    if not lesson.judgement.is_clear:
        return
    accept(database, [lesson])
    yield from _sums(database, days)
    yield from _bounds(database, fleet, money, days)
    said = {
        "from_day": FIRST.isoformat(),
        "to_day": ZONE.local_date(until + LATER_S).isoformat(),
    }
    names, rows = reports.run(database, reports.load_report("balance"), said)
    at = names.index("unexplained_yuan")
    yield f"| balance: unexplained | {', '.join(f'{row[1]} {row[at]}' for row in rows)} |"


def _sums(database: Database, days: int) -> Iterator[str]:
    first, last = FIRST + timedelta(days=1), FIRST + timedelta(days=days - 1)
    billed, estimated, prepaid, lost = _ask(
        database,
        "SELECT SUM(billed_microcny), SUM(estimated_microcny), SUM(prepaid_difference_microcny),"
        " SUM(no_instance_microcny) FROM reconciliation_daily"
        f" WHERE day >= '{first}' AND day <= '{last}'",
    )[0]
    off = 100 * (estimated - billed) / billed
    running = 100 * (estimated + prepaid + lost - billed) / billed
    yield f"| billed, estimated | {billed / 1e6:,.2f}, {estimated / 1e6:,.2f} yuan: {off:+.3f} % |"
    yield f"| the same without what is named prepaid or no_instance | {running:+.3f} % |"
    causes = _ask(
        database,
        "SELECT cause, COUNT(*), SUM(difference_microcny) FROM reconciliation_daily"
        f" WHERE day >= '{first}' AND day <= '{last}' GROUP BY cause ORDER BY 2 DESC",
    )
    yield f"| days by cause | {', '.join(f'{c} {n} ({d / 1e6:+,.2f})' for c, n, d in causes)} |"


def _bounds(database: Database, fleet: Fleet, money: Money, days: int) -> Iterator[str]:
    """How many instance-days of those observed whole have their true cost within the bounds."""
    rows = _ask(
        database,
        "SELECT CAST(day AS TEXT), instance_uuid, SUM(cost_min_microcny), SUM(cost_max_microcny),"
        " SUM(cost_microcny), SUM(unpriced_max_s) FROM cost_daily GROUP BY 1, 2",
    )
    kept = {(row[0], row[1]): row[2:] for row in rows}
    checked = outside = unpriced = error = total = 0
    for n in range(1, days):
        day = FIRST + timedelta(days=n)
        begins, ends = ZONE.starts(day), ZONE.starts(day + timedelta(days=1))
        for life in fleet.lives:
            true = money.true_cost(life.instance_uuid, begins, ends)
            least, most, cost, unknown = kept.get((f"{day}", life.instance_uuid), (0, 0, 0, 0))
            if unknown:
                unpriced += 1
                continue
            checked += bool(true or most)
            outside += not (least or 0) - 2 <= true <= (most or 0) + 2
            error += abs(true - (cost or 0))
            total += true
    yield (
        f"| instance-days | {checked:,}, of which {outside} outside of their bounds; {unpriced} unpriced;"
        f" mean error {100 * error / total:.3f} % |"
    )


def _ask(database: Database, sql: str) -> list[Any]:
    with database.reading() as conn:
        return list(conn.exec_driver_sql(sql).all())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=int, default=31)
    options.add_argument("--instances", type=int, default=30)
    options.add_argument("--seed", type=int, default=11)
    options.add_argument("--every", type=int, default=300, help="seconds between polls")
    options.add_argument("--flapping", type=float, default=0, help="share of machines that flap")
    given = options.parse_args()
    for name in ("second, image", "minute, running", "hour"):
        with tempfile.TemporaryDirectory() as folder:
            database = open_database(f"sqlite:///{Path(folder) / 't.db'}")
            schema.upgrade(database, ZONE.name, FIRST)
            set_code(database, "charging", 2, "day")
            set_code(database, "charging", 3, "week")
            fleet = fleet_of(given.seed, given.instances, given.days, given.flapping)
            money = money_of(fleet, charging_of(name, fleet), given.days)
            until = START + given.days * DAY_S
            began = time.perf_counter()
            times = range(START, until + 1, given.every)
            polled(database, fleet, money, times, bills_every_s=12 * 3_600)
            settled(database, fleet, money, until + LATER_S)
            print(f"\n{name}: {len(times):,} polls in {time.perf_counter() - began:.0f} s")
            for line in measure(database, fleet, money, given.days):
                print(line, flush=True)
            database.engine.dispose()


if __name__ == "__main__":
    main()
