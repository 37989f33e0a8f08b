"""Facts about instances from the database: what runs and what that costs, what ended, and whose it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import Connection, text

from etl.alerts.facts import FailedImage, Machine, Meter, Running, Stopped
from etl.history.codes import PREPAID_UNITS
from etl.history.days import Zone
from etl.money.pricing import PricePeriod
from etl.poll import Instant
from etl.settings.alerts import AlertSettings
from etl.store import schema
from etl.store.deriving import charging_model
from etl.units import DAY_S

STOPPED_S: Final = DAY_S
"""A run that ended longer ago is no news."""

Render = Callable[[str], str]
Periods = Mapping[tuple[int, str], Sequence[PricePeriod]]
"""(account, instance) -> its prices from the start of its open stretch on."""

RUNNING: Final = """
SELECT r.*, w.owner
FROM (
    SELECT n.account, n.instance_uuid, n.title, n.charging_unit, n.shutdown_time_s, u.account_id,
        u.gpu_name, u.gpu_nums, u.evidence, n.running_since_s,
        epoch(COALESCE(n.last_seen_at, n.as_of)) AS as_of_s
    FROM instance_now n
    JOIN account a ON a.name = n.account
    JOIN instance_usage u ON u.account_id = a.account_id AND u.instance_uuid = n.instance_uuid
        AND u.ended_at IS NULL AND u.kind = 'running'
    WHERE n.is_up = 1 AND n.as_of IS NOT NULL
) r
LEFT JOIN allocation w ON is_payer_of(w, r, r.as_of_s)
ORDER BY r.account, r.instance_uuid
"""
"""What is missing from one poll, or unreadable, still runs as far as it was seen: its alert stays."""
PERIODS: Final = f"""
SELECT u.account_id, u.instance_uuid, {", ".join(f"p.{f.name}" for f in fields(PricePeriod))}
FROM instance_usage u
JOIN price_period p
    ON is_price_of(p, u)
    AND p.ends_s > epoch(u.started_at)
WHERE u.ended_at IS NULL AND u.kind = 'running'
ORDER BY u.account_id, u.instance_uuid, p.starts_s
"""
"""Prices of what runs; those to come too, for what it will cost by morning."""
STOPPED: Final = """
SELECT a.name AS account, u.instance_uuid, i.title, u.gpu_name, u.gpu_nums, w.owner,
    epoch(u.started_at) AS started_at, epoch(u.ended_at) AS ended_at, (
        SELECT known_sum(c.cost_microcny)
        FROM usage_cost c
        WHERE c.account_id = u.account_id AND c.instance_uuid = u.instance_uuid
            AND c.usage_no = u.usage_no
    ) AS cost_microcny
FROM (
    SELECT DISTINCT account_id, instance_uuid, usage_no FROM usage_day
    WHERE day >= :day AND kind = 'running'
) d
JOIN instance_usage u ON u.account_id = d.account_id AND u.instance_uuid = d.instance_uuid
    AND u.usage_no = d.usage_no
JOIN instance i ON i.account_id = u.account_id AND i.instance_uuid = u.instance_uuid
JOIN account a ON a.account_id = u.account_id
LEFT JOIN allocation w ON is_payer_of(w, u, epoch(u.ended_at))
WHERE is_run(u) AND epoch(u.ended_at) >= :since
ORDER BY a.name, u.instance_uuid, u.started_at
"""
"""By way of the day parts, which have an index on the day. Runs, and their yuan, as report `runs` has
them."""
FAILED_IMAGES: Final = """
SELECT f.*, w.owner
FROM (
    SELECT a.name AS account, i.account_id, i.instance_uuid, i.title, i.gpu_name, i.gpu_nums, (
        SELECT epoch(MIN(h.first_seen_at)) FROM instance_history h
        WHERE h.account_id = i.account_id AND h.instance_uuid = i.instance_uuid AND h.version > (
            SELECT MAX(p.version) FROM instance_history p
            WHERE p.account_id = i.account_id AND p.instance_uuid = i.instance_uuid
                AND COALESCE(p.save_image_status, 0) <> 3
        )
    ) AS failed_at
    FROM instance i JOIN account a ON a.account_id = i.account_id
    WHERE i.gone_at IS NULL AND i.save_image_status = 3
) f
LEFT JOIN allocation w ON is_payer_of(w, f, f.failed_at)
WHERE f.failed_at IS NOT NULL
ORDER BY f.account, f.instance_uuid
"""
OWNED: Final = "SELECT COUNT(*) FROM allocation_rule WHERE owner IS NOT NULL"


class Machines:
    """Instances inside one read transaction; what runs is read once."""

    def __init__(self, conn: Connection, render: Render, settings: AlertSettings) -> None:
        self._conn = conn
        self._render = render
        self._settings = settings
        self._running: tuple[Running, ...] | None = None
        self._is_owned: bool | None = None

    def running(self) -> tuple[Running, ...]:
        if self._running is None:
            rows = self._ask(RUNNING)
            meters = self._meters(rows)
            self._running = tuple(self._run(row, meters) for row in rows)
        return self._running

    def stopped(self, zone: Zone, now: Instant) -> tuple[Stopped, ...]:
        """Runs that ended of late. Nobody asked to hear of them: none are read."""
        if not any(owner.stops for owner in self._settings.owners):
            return ()
        rows = self._ask(STOPPED, day=days_before(zone, now, 1), since=now - STOPPED_S)
        return tuple(
            Stopped(
                machine=self._machine(row),
                started_at=row.started_at,
                ended_at=row.ended_at,
                running_s=row.ended_at - row.started_at,
                cost_microcny=row.cost_microcny,
            )
            for row in rows
        )

    def failed_images(self) -> tuple[FailedImage, ...]:
        """Saves that failed while we looked; they hold until the next save."""
        return tuple(
            FailedImage(self._machine(row), row.failed_at) for row in self._ask(FAILED_IMAGES)
        )

    def _run(self, row: Any, meters: Mapping[tuple[int, str], Meter]) -> Running:
        return Running(
            machine=self._machine(row),
            since=row.running_since_s,
            as_of=row.as_of_s,
            timer_at=row.shutdown_time_s,
            prepaid=row.charging_unit in PREPAID_UNITS,
            meter=meters.get((row.account_id, row.instance_uuid)),
        )

    def _meters(self, rows: Sequence[Any]) -> dict[tuple[int, str], Meter]:
        if not rows:
            return {}
        periods: dict[tuple[int, str], list[PricePeriod]] = defaultdict(list)
        for account_id, uuid, *price in self._ask(PERIODS):
            periods[account_id, uuid].append(PricePeriod(*price))
        model, zone = charging_model(self._conn), Zone(schema.stored_timezone(self._conn))
        return {
            key: Meter(row.running_since_s, row.gpu_nums, tuple(found), model, zone, row.evidence)
            for row in rows
            if (found := periods.get(key := (row.account_id, row.instance_uuid)))
        }

    def _machine(self, row: Any) -> Machine:
        owner = row.owner or owner_of(self._settings, row.title)
        return Machine(
            account=row.account,
            instance_uuid=row.instance_uuid,
            title=row.title,
            owner=owner,
            gpu_name=row.gpu_name,
            gpu_nums=row.gpu_nums,
            unclaimed=owner is None and self._are_owned(),
        )

    def _are_owned(self) -> bool:
        """Whether anybody said whose instances are: else that nobody owns one is no news."""
        if self._is_owned is None:
            said = any(owner.titles for owner in self._settings.owners)
            self._is_owned = said or self._ask(OWNED)[0][0] > 0
        return self._is_owned

    def _ask(self, sql: str, **parameters: Any) -> Sequence[Any]:
        return self._conn.execute(text(self._render(sql)), parameters).all()


def owner_of(settings: AlertSettings, title: str | None) -> str | None:
    """Whose an instance is by the settings: the first owner one of whose patterns its title
    matches. Asked where no rule names an owner."""
    if title is None:
        return None
    for owner in settings.owners:
        if any(fnmatchcase(title.lower(), pattern.lower()) for pattern in owner.titles):
            return owner.name
    return None


def days_before(zone: Zone, now: Instant, days: int) -> str:
    """The local day so many days before, as ISO text."""
    return (zone.local(now).date() - timedelta(days=days)).isoformat()
