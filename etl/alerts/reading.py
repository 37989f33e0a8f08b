"""Facts from the database, one small query for each rule. What prices come from is here alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from etl.alert_settings import AlertSettings
from etl.alerts.facts import (
    Balance,
    Budget,
    Card,
    DayCost,
    FailedImage,
    Machine,
    Polling,
    Running,
    Stopped,
    UnknownCode,
)
from etl.codes import PREPAID_UNITS
from etl.days import DAY_S, Zone
from etl.poll import Instant
from etl.tables import account, balance, card, charging_type, instance, instance_status, sync_run

STOPPED_S: Final = DAY_S
"""A run that ended longer ago is no news."""
BALANCE_S: Final = 2 * DAY_S
COST_DAYS: Final = 64

Render = Callable[[str], str]
Prices = Mapping[tuple[str, str | None], int]
"""(account, GPU model) -> millionths of a yuan for one GPU and hour."""

RUNNING: Final = """
SELECT account, instance_uuid, title, gpu_uuid, gpu_name, gpu_nums, charging_unit,
    running_since_s, epoch(COALESCE(last_seen_at, as_of)) AS as_of_s,
    epoch(shutdown_time) AS timer_at
FROM instance_now
WHERE is_up = 1 AND running_since_s IS NOT NULL AND as_of IS NOT NULL
ORDER BY account, instance_uuid
"""
"""What is missing from one poll, or unreadable, still runs as far as it was seen: its alert stays."""
STOPPED: Final = """
SELECT a.name AS account, u.instance_uuid, i.title, u.gpu_uuid, u.gpu_name, u.gpu_nums,
    c.unit AS charging_unit, epoch(u.started_at) AS started_at, epoch(u.ended_at) AS ended_at
FROM (
    SELECT DISTINCT account_id, instance_uuid, usage_no FROM usage_day
    WHERE day >= :day AND kind = 'running'
) d
JOIN instance_usage u ON u.account_id = d.account_id AND u.instance_uuid = d.instance_uuid
    AND u.usage_no = d.usage_no
JOIN instance i ON i.account_id = u.account_id AND i.instance_uuid = u.instance_uuid
JOIN account a ON a.account_id = u.account_id
LEFT JOIN charging_type c ON c.charging_type = u.charging_type
WHERE u.evidence <> 'possible_run'
ORDER BY a.name, u.instance_uuid, u.started_at
"""
"""By way of the day parts, which have an index on the day."""
PRICES: Final = """
SELECT a.name, p.gpu_uuid, p.hour_microcny
FROM gpu_price p JOIN account a ON a.account_id = p.account_id
WHERE p.valid_to IS NULL AND p.hour_microcny IS NOT NULL
"""
FAILED_IMAGES: Final = """
SELECT a.name AS account, i.instance_uuid, i.title, i.gpu_uuid, i.gpu_name, i.gpu_nums, (
    SELECT epoch(MIN(h.first_seen_at)) FROM instance_history h
    WHERE h.account_id = i.account_id AND h.instance_uuid = i.instance_uuid AND h.version > (
        SELECT MAX(p.version) FROM instance_history p
        WHERE p.account_id = i.account_id AND p.instance_uuid = i.instance_uuid
            AND COALESCE(p.save_image_status, 0) <> 3
    )
) AS failed_at
FROM instance i JOIN account a ON a.account_id = i.account_id
WHERE i.gone_at IS NULL AND i.save_image_status = 3
ORDER BY a.name, i.instance_uuid
"""
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
        self._settings = settings
        self._prices: Prices | None = None

    def running(self) -> tuple[Running, ...]:
        return tuple(
            Running(
                machine=self._machine(row),
                since=row.running_since_s,
                as_of=row.as_of_s,
                timer_at=row.timer_at,
                prepaid=row.charging_unit in PREPAID_UNITS,
            )
            for row in self._ask(RUNNING)
        )

    def stopped(self, zone: Zone, now: Instant) -> tuple[Stopped, ...]:
        """Runs that ended of late. Nobody asked to hear of them: none are read."""
        if not any(owner.stops for owner in self._settings.owners):
            return ()
        since = now - STOPPED_S
        rows = self._ask(STOPPED, day=_days_before(zone, now, 1))
        return tuple(
            self._ended(row) for row in rows if row.ended_at is not None and row.ended_at >= since
        )

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
        return tuple(
            Balance(name, max(at[-1][0], self._newest(whose, "balance") or 0), tuple(at))
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
        """Of this month; projected as if it went on as it did so far."""
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
        return tuple(
            Budget(
                name=name,
                month=month,
                budget_microcny=amount,
                spent_microcny=spent[scope, name],
                projected_microcny=spent[scope, name] * (ends - starts) // max(1, now - starts),
            )
            for (scope, name), amount in sorted(amounts.items())
        )

    def day_costs(self, zone: Zone, now: Instant) -> tuple[DayCost, ...]:
        """Of the last weeks, as far as prices are known."""
        rows = self._ask(DAY_COSTS, day=_days_before(zone, now, COST_DAYS))
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

    def failed_images(self) -> tuple[FailedImage, ...]:
        """Saves that failed while we looked; they hold until the next save."""
        return tuple(
            FailedImage(self._machine(row), row.failed_at)
            for row in self._ask(FAILED_IMAGES)
            if row.failed_at is not None
        )

    def prices(self) -> Prices:
        """List prices in force."""
        if self._prices is None:
            self._prices = {(row[0], row[1]): int(row[2]) for row in self._ask(PRICES)}
        return self._prices

    def _machine(self, row: Any) -> Machine:
        price = self.prices().get((row.account, row.gpu_uuid))
        return Machine(
            account=row.account,
            instance_uuid=row.instance_uuid,
            title=row.title,
            owner=owner_of(self._settings, row.title),
            gpu_name=row.gpu_name,
            gpu_nums=row.gpu_nums,
            hour_microcny=price * row.gpu_nums if price is not None and row.gpu_nums else None,
        )

    def _ended(self, row: Any) -> Stopped:
        machine, ran_s = self._machine(row), row.ended_at - row.started_at
        cost = machine.cost(ran_s) if row.charging_unit == "hour" else None
        return Stopped(machine, row.started_at, row.ended_at, ran_s, cost)

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


def owner_of(settings: AlertSettings, title: str | None) -> str | None:
    """Whose an instance is: the first owner one of whose patterns its title matches."""
    if title is None:
        return None
    for owner in settings.owners:
        if any(fnmatchcase(title.lower(), pattern.lower()) for pattern in owner.titles):
            return owner.name
    return None


def _days_before(zone: Zone, now: Instant, days: int) -> str:
    return (zone.local(now).date() - timedelta(days=days)).isoformat()
