"""What the database knows, as the polls ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select, text

from etl import days, tables
from etl.codes import Codes
from etl.dialect import Database
from etl.diff import Known, Usage
from etl.errors import StalePoll
from etl.poll import Instant, LastPoll
from etl.store.rows import (
    DAY_COLUMNS,
    FACT_NAMES,
    INSTANCE_COLUMNS,
    STRETCH_COLUMNS,
    KeptUsage,
    by_instance,
    known_of,
    stretch_of,
)
from etl.usage import SeenVersion, State

APPLIED: Final = ("complete", "partial")
_zones: dict[str, days.Zone] = {}


class Reader:
    """One account inside one transaction, read."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id

    def codes(self) -> Codes:
        status, charging = tables.instance_status.c, tables.charging_type.c
        states = self._conn.execute(select(status.status, status.state)).all()
        units = self._conn.execute(select(charging.charging_type, charging.unit)).all()
        return Codes(states=dict(states), units=dict(units))

    def last_poll(self, resource: str) -> LastPoll | None:
        """The newest applied poll; its digest only where an equal listing changes nothing."""
        run = tables.sync_run.c
        newest = [
            LastPoll(*row)
            for outcome in APPLIED  # one look into the index each, however long the history
            for row in self._conn.execute(
                select(
                    run.started_at,
                    run.finished_at,
                    run.digest,
                    func.coalesce(run.listed, 0),
                    run.reported_total,
                    run.clock_offset_s,
                )
                .where(self._runs(resource), run.outcome == outcome)
                .order_by(run.started_at.desc())
                .limit(1)
            )
        ]
        return max(newest, key=lambda last: last.started_at, default=None)

    def complete_started_at(self, resource: str, *, first: bool = False) -> Instant | None:
        """The start of the newest (or the first) complete poll."""
        run = tables.sync_run.c
        pick = func.min if first else func.max
        found: Instant | None = self._conn.scalar(
            select(pick(run.started_at)).where(self._runs(resource), run.outcome == "complete")
        )
        return found

    def refuse_stale(self, resource: str, started_at: Instant) -> LastPoll | None:
        """The newest applied poll. Raises `StalePoll` where it is not older than `started_at`."""
        last = self.last_poll(resource)
        if last is not None and started_at <= last.started_at:
            raise StalePoll(
                f"a poll of {days.iso(started_at)} is not newer than the newest applied one,"
                f" {days.iso(last.started_at)}",
                advice="check this machine's clock: chenyu-etl doctor",
            )
        return last

    def known(self, uuids: Sequence[str]) -> dict[str, Known]:
        """Instances by uuid, as the newest applied poll left them; unknown ones are left out."""
        condition, parameters = self._database.among("instance_uuid", uuids)
        seen_at = self._seen_at()
        found = self._conn.execute(
            select(*INSTANCE_COLUMNS).where(self._of(tables.instance), text(condition)), parameters
        )
        return {row[0]: known_of(row, seen_at) for row in found}

    def listed(self) -> set[str]:
        """The instances that are not gone."""
        c = tables.instance.c
        return set(
            self._conn.scalars(
                select(c.instance_uuid).where(self._of(tables.instance), c.gone_at.is_(None))
            )
        )

    def pending(self) -> bool:
        """Whether an instance is missing, or its record could not be read last time."""
        c = tables.instance.c
        return (
            self._conn.scalar(
                select(1)
                .where(self._of(tables.instance), c.gone_at.is_(None), c.last_seen_at.is_not(None))
                .limit(1)
            )
            is not None
        )

    def usages(self, uuids: Sequence[str], returned: Sequence[str]) -> dict[str, Usage]:
        """The running time of each instance, with its versions for those `returned`."""
        usages = {uuid: Usage(state) for uuid, state in self._states(uuids).items()}
        for uuid, versions in self.histories(returned):
            usages[uuid] = Usage(usages[uuid].state, tuple(versions))
        return usages

    def histories(
        self, uuids: Sequence[str] | None = None
    ) -> Iterator[tuple[str, list[SeenVersion]]]:
        """The versions of each instance (all of them by default), oldest first."""
        c = tables.instance_history.c
        chosen = select(
            *(c[name] for name in FACT_NAMES),
            c.after_at,
            c.first_seen_at,
            c.last_seen_at,
            c.ended_at,
            c.ended_by,
        ).where(self._of(tables.instance_history))
        parameters: dict[str, Any] = {}
        if uuids is not None:
            condition, parameters = self._database.among("instance_uuid", uuids)
            chosen = chosen.where(text(condition))
        rows = self._conn.execute(
            chosen.order_by(c.instance_uuid, c.version).execution_options(yield_per=5000),
            parameters,
        )
        return by_instance(rows)

    def kept_usage(self, uuids: Sequence[str]) -> KeptUsage:
        """All that is derived from the versions of these instances, as it is kept."""
        condition, parameters = self._database.among("instance_uuid", uuids)
        kept = KeptUsage()
        u, d, i = tables.instance_usage.c, tables.usage_day.c, tables.instance.c
        for uuid, *row in self._conn.execute(
            select(*STRETCH_COLUMNS)
            .where(self._of(tables.instance_usage), text(condition))
            .order_by(u.instance_uuid, u.usage_no),
            parameters,
        ):
            kept.stretches.setdefault(uuid, []).append(stretch_of(row))
        for day in self._conn.execute(
            select(*(d[name] for name in DAY_COLUMNS))
            .where(self._of(tables.usage_day), text(condition))
            .order_by(d.instance_uuid, d.usage_no, d.day),
            parameters,
        ):
            kept.day_rows.setdefault(day.instance_uuid, []).append(tuple(day)[1:])
        kept.last_starts.update(
            self._conn.execute(
                select(i.instance_uuid, i.last_start_at).where(
                    self._of(tables.instance), text(condition)
                ),
                parameters,
            ).all()
        )
        return kept

    def all_uuids(self) -> list[str]:
        """Every instance there ever was."""
        return list(
            self._conn.scalars(
                select(tables.instance.c.instance_uuid)
                .where(self._of(tables.instance))
                .order_by(tables.instance.c.instance_uuid)
            )
        )

    def zone(self) -> days.Zone:
        """The reporting time zone."""
        return _zone(
            self._conn.scalar(
                select(tables.setting.c.value).where(tables.setting.c.name == "timezone")
            )
        )

    def _of(self, table: Any) -> Any:
        return table.c.account_id == self._account_id

    def _runs(self, resource: str) -> Any:
        return and_(self._of(tables.sync_run), tables.sync_run.c.resource == resource)

    def _seen_at(self) -> dict[Instant | None, Instant]:
        """The starts of the newest complete poll (under None) and, by their ends, of the partial
        ones since: of them alone is an instance's `changed_at` newer than that."""
        run = tables.sync_run.c
        newest = self.complete_started_at("instances") or 0
        since = self._conn.execute(
            select(run.finished_at, func.max(run.started_at))
            .where(self._runs("instances"), run.outcome == "partial", run.started_at > newest)
            .group_by(run.finished_at)
        )
        return {**dict(since.all()), None: newest}

    def _states(self, uuids: Sequence[str]) -> dict[str, State]:
        condition, parameters = self._database.among("instance_uuid", uuids)
        i, u = tables.instance.c, tables.instance_usage.c
        count = (
            select(func.coalesce(func.max(u.usage_no), 0))
            .where(u.account_id == i.account_id, u.instance_uuid == i.instance_uuid)
            .scalar_subquery()
        )
        states = {
            row[0]: State(count=row[1], last_start=row[2])
            for row in self._conn.execute(
                select(i.instance_uuid, count, i.last_start_at).where(
                    self._of(tables.instance), text(condition)
                ),
                parameters,
            )
        }
        opened = self._conn.execute(
            select(*STRETCH_COLUMNS).where(
                self._of(tables.instance_usage), u.ended_at.is_(None), text(condition)
            ),
            parameters,
        )
        for uuid, *row in opened:
            stretch, was = stretch_of(row), states[uuid]
            running = stretch if stretch.kind == "running" else was.running
            held = stretch if stretch.kind == "held" else was.held
            states[uuid] = State(was.count, was.last_start, running, held)
        return states


def _zone(name: str | None) -> days.Zone:
    assert name is not None
    if name not in _zones:
        _zones[name] = days.Zone(name)
    return _zones[name]
