"""A month of a simulated fleet of 60 instances, told to one group: how many messages of what.

`python -m tests.alerts_month [SEED]…` prints the table of docs/alerts.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from sqlalchemy import insert, update

from etl import tables
from etl.apply import apply
from etl.dialect import Database, open_database
from etl.history.days import Zone
from etl.money.allocation import Rule, RuleBook
from etl.poll import Poll
from etl.resources import INSTANCES
from etl.simcloud import gpu_uuid
from etl.simcloud.fleet import Fleet
from etl.simcloud.habits import OWNERS
from etl.store import Store, schema
from etl.store.rules import write_rules
from tests.alerting import Post, alerts_of, at, settings
from tests.support import ACCOUNT, poll_of

STARTS: Final = at("2026-10-05 00:00")
EVERY_S: Final = 600
PRICES: Final = {"RTX 4090": 2, "RTX 3090": 1, "A100": 7, "L40S": 4, "H100": 13}
"""Yuan for one GPU and hour."""
RECHARGE: Final = 120_000
MICRO: Final = 1_000_000
PEOPLE: Final = {"alice": {"stops": True}}
RULES: Final = [Rule(n, title=f"*{name}*", owner=name) for n, name in enumerate(OWNERS, 1)]
ZONE: Final = Zone("Asia/Shanghai")


@dataclass
class Month:
    """What was said: causes by rule, messages by day, machines that ran long."""

    causes: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    polls: int = 0

    @property
    def most(self) -> int:
        return max(self.messages.values(), default=0)


def live(database: Database, seed: int, days: float = 30, every_s: int = EVERY_S) -> Month:
    """Poll and tick through the month."""
    with database.writing() as conn:
        write_rules(database, conn, RuleBook(RULES))
    fleet = Fleet.generate(seed, instances=60, start=STARTS, days=days, unknown_status=0.002)
    purse, post = Purse(database, fleet), Post()
    alerts = alerts_of(
        database, post, settings(owners=PEOPLE, quiet="23:00-08:00", weekly_digest="mon 09:00")
    )
    month = Month()
    for poll in polls(fleet, days, every_s):
        with Store(database, ACCOUNT).writing() as tx:
            apply(INSTANCES, poll, tx, tx.refuse_stale("instances", poll.started_at))
        purse.passes(poll.finished_at)
        alerts.tick(poll.finished_at + 1)
        month.polls += 1
    for _, message in post.took:
        month.messages[ZONE.local(message.created_at).date().isoformat()] += 1
        month.causes.update(item.rule for item in message.items)
    return month


def polls(fleet: Fleet, days: float, every_s: int) -> Iterator[Poll]:
    """Straight from the fleet. A listing that three polls in a row brought changes nothing."""
    last: list[bytes] = []
    for t in range(STARTS, STARTS + round(days * 86_400), every_s):
        body = fleet.body(t, 1, 100_000)
        last = [*last[-2:], body]
        poll = poll_of([body], t)
        if len(last) == 3 and len(set(last)) == 1:
            poll = Poll(ACCOUNT, "instances", t, t + 1, True, (), unchanged=True)
        yield poll


class Purse:
    """List prices, and a balance that the truth of the fleet runs down; somebody recharges it on a
    workday morning when it is low."""

    def __init__(self, database: Database, fleet: Fleet) -> None:
        self._database = database
        self._left, self._at, self._rate = RECHARGE * MICRO, STARTS, 0
        self._turns = sorted(turns(fleet), reverse=True)
        with Store(database, ACCOUNT).writing() as tx:
            self._account = tx._account_id
            tx._conn.execute(
                insert(tables.gpu_price), [self._price(*each) for each in PRICES.items()]
            )

    def passes(self, t: int) -> None:
        while self._turns and self._turns[-1][0] <= t:
            at, change = self._turns.pop()
            self._spends(max(at, self._at))
            self._rate += change
        self._spends(t)
        local = ZONE.local(t)
        if self._left < RECHARGE * MICRO // 3 and local.weekday() < 5 and local.hour == 10:
            self._left += RECHARGE * MICRO
        c = tables.balance.c
        with self._database.writing() as conn:
            conn.execute(
                update(tables.balance)
                .where(c.ended_at.is_(None))
                .values(ended_at=t, last_seen_at=t - 1)
            )
            conn.execute(
                insert(tables.balance).values(
                    account_id=self._account, first_seen_at=t, balance_microcny=self._left
                )
            )

    def _spends(self, t: int) -> None:
        self._left -= self._rate * (t - self._at) * MICRO // 3_600
        self._at = t

    def _price(self, model: str, yuan: int) -> dict[str, object]:
        return {
            "account_id": self._account,
            "gpu_uuid": gpu_uuid(model),
            "valid_from": STARTS,
            "gpu_name": model,
            "hour_microcny": yuan * MICRO,
        }


def turns(fleet: Fleet) -> Iterator[tuple[int, int]]:
    """When what the fleet costs an hour changes, and by how many yuan."""
    for span in (span for life in fleet.lives for span in life.spans):
        rate = PRICES[span.gpu_name] * span.gpu_nums
        yield span.started_at, rate
        if span.ended_at is not None:
            yield span.ended_at, -rate


def table(months: dict[int, Month]) -> Iterator[str]:
    rules = sorted({rule for month in months.values() for rule in month.causes})
    yield "| | " + " | ".join(f"fleet {seed}" for seed in months) + " |"
    yield "|---|" + "---:|" * len(months)
    for rule in rules:
        yield f"| `{rule}` | " + " | ".join(str(m.causes[rule]) for m in months.values()) + " |"
    sums = {
        "causes said": [sum(m.causes.values()) for m in months.values()],
        "**messages in 30 days**": [sum(m.messages.values()) for m in months.values()],
        "messages on the busiest day": [m.most for m in months.values()],
    }
    for name, numbers in sums.items():
        yield f"| {name} | " + " | ".join(map(str, numbers)) + " |"


def main() -> None:
    months: dict[int, Month] = {}
    for seed in map(int, sys.argv[1:] or ["1", "2", "3"]):
        with tempfile.TemporaryDirectory() as folder:
            database = open_database(f"sqlite:///{folder}/month.db")
            schema.upgrade(database, ZONE.name, date(2026, 10, 5))
            months[seed] = live(database, seed)
            database.engine.dispose()
            sys.stdout.write("\n".join(table(months)) + "\n\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
