"""Snapshots for rules: one consistent state of the database, at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Protocol

from etl.alerts.machines import Machine, Meter, Running
from etl.alerts.owners import DigestSubject, Owner, owner_of
from etl.history.codes import PREPAID_UNITS
from etl.history.days import Zone
from etl.money.charging import ChargingModel
from etl.money.tariffs import PricePeriod
from etl.poll import Instant

Due = Callable[[str, float], float | None]
"""Returns the newest tick, not after a moment, at which an account's instances were due."""

RUNNING: Final = """
SELECT r.*, w.owner, w.project
FROM (
    SELECT n.account, n.instance_uuid, n.title, n.charging_unit, n.shutdown_time_s, u.account_id,
        u.gpu_name, u.gpu_nums, u.evidence, n.running_since_s,
        epoch(COALESCE(n.last_seen_at, n.as_of)) AS as_of_s
    FROM instance_now n
    JOIN account a ON a.name = n.account
    JOIN instance_usage u ON u.account_id = a.account_id AND u.instance_uuid = n.instance_uuid
        AND u.ended_at IS NULL AND u.kind = 'running'
    WHERE n.is_up AND n.as_of IS NOT NULL
) r
LEFT JOIN allocation w ON is_payer_of(w, r, r.as_of_s)
ORDER BY r.account, r.instance_uuid
"""
"""Instances that run. One that a poll missed or could not read still counts: its alert stays."""
PERIODS: Final = f"""
SELECT u.account_id, u.instance_uuid, {", ".join(f"p.{f.name}" for f in fields(PricePeriod))}
FROM instance_usage u
JOIN price_period p
    ON is_price_of(p, u)
    AND p.ends_s > epoch(u.started_at)
WHERE u.ended_at IS NULL AND u.kind = 'running'
ORDER BY u.account_id, u.instance_uuid, p.starts_s
"""
"""Prices of instances that run, present and future, for their cost by the morning."""
MODEL: Final = "SELECT counts_from, step_s, boot_s, boot_max_s FROM _charging_model"
OWNED: Final = "SELECT COUNT(*) FROM allocation_rule WHERE owner IS NOT NULL"


class Ask(Protocol):
    """Runs one query in the transaction of the snapshot."""

    def __call__(self, sql: str, **parameters: Any) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment at which rules judge, and everything that they know besides the database.

    `watching_since`: since when a daemon has looked without a break; nothing is stale for longer than
    that. `open_keys` are the causes that held until now. `accounts` are those watched here.
    `subjects` have a digest of their own. `due` is the daemon's schedule, if there is one.
    """

    now: Instant
    zone: Zone
    watching_since: Instant = 0
    open_keys: frozenset[str] = frozenset()
    owners: tuple[Owner, ...] = ()
    accounts: Sequence[str] = ()
    subjects: tuple[DigestSubject, ...] = ()
    due: Due | None = None

    def day_before(self, days: int) -> str:
        """Return the local day `days` days ago, as ISO text."""
        return (self.zone.local_date(self.now) - timedelta(days=days)).isoformat()


class Snapshot:
    """Queries on the database at one moment; results that several rules need are kept."""

    def __init__(self, ask: Ask, moment: Moment) -> None:
        self.ask = ask
        self.moment = moment
        self._running: tuple[Running, ...] | None = None
        self._has_owners: bool | None = None
        self._kept: dict[Any, Sequence[Any]] = {}

    def ask_once(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """Return the rows of a query, which is run once however many digests are made of it."""
        key = sql, *sorted(parameters.items())
        if key not in self._kept:
            self._kept[key] = self.ask(sql, **parameters)
        return self._kept[key]

    def running(self) -> tuple[Running, ...]:
        """Return every instance that runs, with its owner and its price."""
        if self._running is None:
            rows = self.ask(RUNNING)
            meters = self._meters(rows)
            self._running = tuple(self._run(row, meters) for row in rows)
        return self._running

    def machine(self, row: Any) -> Machine:
        """Return the instance of a row with its account, title, owner and GPUs."""
        # rules of the database go first: they are dated, and costs are allocated by them
        owner = row.owner or owner_of(self.moment.owners, row.title)
        return Machine(
            account=row.account,
            instance_uuid=row.instance_uuid,
            title=row.title,
            owner=owner,
            gpu_name=row.gpu_name,
            gpu_nums=row.gpu_nums,
            unclaimed=owner is None and self._are_owned(),
        )

    def _run(self, row: Any, meters: Mapping[tuple[int, str], Meter]) -> Running:
        return Running(
            machine=self.machine(row),
            project=row.project,
            since=row.running_since_s,
            as_of=row.as_of_s,
            timer_at=row.shutdown_time_s,
            prepaid=row.charging_unit in PREPAID_UNITS,
            meter=meters.get((row.account_id, row.instance_uuid)),
        )

    def _meters(self, rows: Sequence[Any]) -> dict[tuple[int, str], Meter]:
        # an idle fleet is the usual case at night, and asks nothing
        if not rows:
            return {}
        periods: dict[tuple[int, str], list[PricePeriod]] = defaultdict(list)
        # one query for all that runs: prices of hundreds are read as fast as those of one
        for account_id, uuid, *price in self.ask(PERIODS):
            periods[account_id, uuid].append(PricePeriod(*price))
        model, zone = ChargingModel(*self.ask(MODEL)[0]), self.moment.zone
        return {
            key: Meter(row.running_since_s, row.gpu_nums, tuple(prices), model, zone, row.evidence)
            for row in rows
            if (prices := periods.get(key := (row.account_id, row.instance_uuid)))
        }

    def _are_owned(self) -> bool:
        """Tell whether owners are in use: if not, it is no news that an instance has none."""
        if self._has_owners is None:
            by_title = any(owner.titles for owner in self.moment.owners)
            self._has_owners = by_title or self.ask(OWNED)[0][0] > 0
        return self._has_owners
