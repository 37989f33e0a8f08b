"""Facts about money, polls and codes from the database, one small query for each rule."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from etl.alerts.facts import (
    Balance,
    Budget,
    Card,
    DayCost,
    Polling,
    UnknownCode,
)
from etl.alerts.machines import Machines, Render, days_before
from etl.history.days import Zone
from etl.poll import Instant
from etl.settings.alerts import AlertSettings
from etl.tables import account, balance, card, charging_type, instance, instance_status, sync_run
from etl.units import DAY_S

BALANCE_S: Final = 2 * DAY_S
COST_DAYS: Final = 64
PROJECTED_FROM_S: Final = 3 * DAY_S
"""A month is projected from its fourth day on: one working day would speak for all of it."""

DAY_COSTS: Final = """
SELECT account, day, CAST(SUM(cost_microcny) AS BIGINT) AS cost_microcny
FROM cost_line WHERE day >= :day GROUP BY account, day ORDER BY account, day
"""
BUDGETS: Final = (
    "SELECT scope, name, amount_microcny FROM budget WHERE month IN (:month, '') ORDER BY month"
)
SPENT: Final = """
SELECT account, project, CAST(COALESCE(SUM(cost_microcny), 0) AS BIGINT) AS spent_microcny
FROM cost_line WHERE day >= :day GROUP BY account, project
"""
"""View `cost_line` takes a day to its index; those that group it first do not."""


class Reading:
    """Facts inside one read transaction. `render` is that of the database."""

    def __init__(self, conn: Connection, render: Render, settings: AlertSettings) -> None:
        self._conn = conn
        self._render = render
        self.machines = Machines(conn, render, settings)

    def balances(self, now: Instant) -> tuple[Balance, ...]:
        c = balance.c
        total = func.coalesce(c.balance_microcny, 0) + func.coalesce(c.card_balance_microcny, 0)
        rows = self._conn.execute(
            select(account.c.account_id, account.c.name, c.first_seen_at, total)
            .join(account, account.c.account_id == c.account_id)
            .where(c.ended_at.is_(None) | (c.ended_at >= now - BALANCE_S))
            .order_by(account.c.name, c.first_seen_at)
        ).all()
        points: dict[tuple[int, str], list[tuple[Instant, int]]] = defaultdict(list)
        for whose, name, at, microcny in rows:
            points[whose, name].append((at, int(microcny)))
        burning = self._burning()
        return tuple(
            Balance(
                account=name,
                as_of=max(at[-1][0], self._newest(whose, "balance") or 0),
                points=tuple(at),
                running_microcny=burning[name],
            )
            for (whose, name), at in points.items()
        )

    def cards(self, now: Instant) -> tuple[Card, ...]:
        c = card.c
        rows = self._conn.execute(
            select(account.c.name, c.uuid, c.title, c.leave_amount_microcny, c.expire_date)
            .join(account, account.c.account_id == c.account_id)
            .where(
                c.ended_at.is_(None),
                c.missing_since.is_(None),
                c.leave_amount_microcny > 0,
                c.expire_date > now,
            )
            .order_by(account.c.name, c.uuid)
        )
        return tuple(Card(*row) for row in rows)

    def budgets(self, zone: Zone, now: Instant) -> tuple[Budget, ...]:
        """Of this month; projected as if it went on as it did so far, once that says something."""
        first = zone.local_date(now).replace(day=1)
        month = first.isoformat()[:7]
        amounts = {(r.scope, r.name): r.amount_microcny for r in self._ask(BUDGETS, month=month)}
        if not amounts:
            return ()
        spent: dict[tuple[str, str | None], int] = defaultdict(int)
        for row in self._ask(SPENT, day=first.isoformat()):
            spent["account", row.account] += row.spent_microcny
            spent["project", row.project] += row.spent_microcny
        starts, ends = zone.starts(first), zone.starts((first + timedelta(days=32)).replace(day=1))
        is_early = now - starts < PROJECTED_FROM_S
        return tuple(
            Budget(
                scope=scope,
                name=name,
                month=month,
                budget_microcny=amount,
                spent_microcny=spent[scope, name],
                projected_microcny=None
                if is_early
                else spent[scope, name] * (ends - starts) // (now - starts),
            )
            for (scope, name), amount in sorted(amounts.items())
        )

    def day_costs(self, zone: Zone, now: Instant) -> tuple[DayCost, ...]:
        """Of the last weeks, as far as prices are known."""
        rows = self._ask(DAY_COSTS, day=days_before(zone, now, COST_DAYS))
        return tuple(DayCost(a, str(d), int(cost)) for a, d, cost in rows if cost is not None)

    def polling(self, accounts: Sequence[str]) -> tuple[Polling, ...]:
        """Of the accounts that are set up and were ever tried."""
        c = account.c
        found = self._conn.execute(select(c.account_id, c.name).where(c.name.in_(accounts)))
        return tuple(self._polling(whose, name) for whose, name in sorted(found.all()))

    def unknown_codes(self) -> tuple[UnknownCode, ...]:
        return (
            *self._unknown("status", instance.c.status, select(instance_status.c.status)),
            *self._unknown(
                "charging", instance.c.charging_type, select(charging_type.c.charging_type)
            ),
        )

    def _burning(self) -> Counter[str]:
        """What runs now costs an hour, by account: what is paid ahead has no price by the hour, and
        does not drain a balance."""
        found: Counter[str] = Counter()
        for row in self.machines.running():
            found[row.machine.account] += row.hour_microcny or 0
        return found

    def _polling(self, whose: int, name: str) -> Polling:
        c = sync_run.c
        newest = [
            row
            for outcome in ("complete", "partial", "failed")  # one look into the index each
            for row in self._conn.execute(
                select(c.sync_run_id, c.finished_at, c.outcome, c.error)
                .where(c.account_id == whose, c.resource == "instances", c.outcome == outcome)
                .order_by(c.started_at.desc())
                .limit(1)
            )
        ]
        complete = next((row.finished_at for row in newest if row.outcome == "complete"), None)
        last = max(newest, key=lambda row: row.sync_run_id, default=None)
        error = None if last is None or last.outcome == "complete" else last.error or last.outcome
        return Polling(name, complete, self._tried_since(whose, complete), error)

    def _tried_since(self, whose: int, complete: Instant | None) -> Instant | None:
        c = sync_run.c
        found: Instant | None = self._conn.scalar(
            select(func.min(c.started_at)).where(
                c.account_id == whose,
                c.resource == "instances",
                c.outcome.in_(("partial", "failed")),
                c.started_at > (complete or 0),
            )
        )
        return found

    def _newest(self, whose: int, resource: str) -> Instant | None:
        c = sync_run.c
        found: Instant | None = self._conn.scalar(
            select(func.max(c.started_at)).where(
                c.account_id == whose, c.resource == resource, c.outcome == "complete"
            )
        )
        return found

    def _unknown(self, kind: str, column: Any, known: Any) -> Iterator[UnknownCode]:
        rows = self._conn.execute(
            select(account.c.name, column, func.count())
            .join(account, account.c.account_id == instance.c.account_id)
            .where(instance.c.gone_at.is_(None), column.is_not(None), column.not_in(known))
            .group_by(account.c.name, column)
            .order_by(account.c.name, column)
        )
        return (UnknownCode(name, kind, code, count) for name, code, count in rows)

    def _ask(self, sql: str, **parameters: Any) -> Sequence[Any]:
        return self._conn.execute(text(self._render(sql)), parameters).all()
