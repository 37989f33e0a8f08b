"""Writer of new dates for polls that were dated in the future, and for all that they wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Table, func, or_, select, update

from etl import tables
from etl.history.days import iso
from etl.poll import APPLIED, Instant
from etl.store.proofs import ProofsWriter
from etl.store.resource_tables import RESOURCE_TABLES
from etl.store.runs import STEP_NAMES
from etl.timing.redating import DatedRun, NewDate, Redating
from etl.units import DAY_S

_run: Final = tables.sync_run.c
STARTS: Final = ("after_at", "last_seen_at")
"""Columns that hold the start of a poll."""
ENDS: Final = (
    *("first_seen_at", "changed_at", "valid_from", "missing_since", "gone_at"),
    *("ended_at", "valid_to", "superseded_at", "bill_until"),
)
"""Columns that hold the end of a poll."""
WRITTEN_BY: Final[Mapping[str, tuple[Table, ...]]] = {
    "instances": (tables.instance, tables.instance_history),
    "bills": (RESOURCE_TABLES["bills"].table, tables.closed_month),
}
"""The tables whose instants come from polls of a resource; of others it is the resource's own."""


class DatesWriter(ProofsWriter):
    """Writer of new dates. Derived rows must be made again afterwards."""

    def resources(self) -> list[str]:
        """Return the resources that were ever polled."""
        asked = select(_run.resource).where(self._mine()).distinct().order_by(_run.resource)
        return list(self._conn.scalars(asked))

    def dated_after(self, resource: str, instant: Instant) -> list[DatedRun]:
        """Return the attempts that ended after an instant, in the order in which they were made."""
        return self._dated_runs(resource, _run.finished_at > instant)

    def right_before(self, resource: str, run_id: int, now: Instant) -> Instant:
        """Return a moment before which an attempt was surely not made: the start of the newest right
        one before it, else the newest creation of an instance until `now`, else a day ago.
        """
        before = (self._mine(), _run.sync_run_id < run_id, _run.finished_at <= now)
        newest = select(func.max(_run.started_at)).where(*before)
        own = self._conn.scalar(newest.where(_run.resource == resource))
        created = select(func.max(tables.instance.c.create_time)).where(
            tables.instance.c.account_id == self._account_id, tables.instance.c.create_time <= now
        )
        # creation is the source's own instant, so our clock cannot have made it wrong
        return own or self._conn.scalar(newest) or self._conn.scalar(created) or now - DAY_S

    def created_by(self, listed_by: Instant, now: Instant) -> Instant:
        """Return the newest creation of what was listed by a moment, 0 if none is known."""
        h = tables.instance_history.c
        asked = select(func.max(h.create_time)).where(
            *(h.account_id == self._account_id, h.first_seen_at <= listed_by),
            h.create_time <= now,
        )
        return self._conn.scalar(asked) or 0

    def applied_runs(self, resource: str) -> list[DatedRun]:
        """Return all applied polls in the order in which they were made."""
        return self._dated_runs(resource, _run.outcome.in_(APPLIED))

    def runs_between(
        self, resource: str, first_id: int, until_id: int | None, until: Instant
    ) -> list[DatedRun]:
        """Return the attempts from one row up to another that ended before an instant."""
        conditions = [_run.sync_run_id >= first_id, _run.finished_at < until]
        if until_id is not None:
            conditions.append(_run.sync_run_id < until_id)
        return self._dated_runs(resource, *conditions)

    def redate(self, resource: str, redating: Redating) -> Counter[str]:
        """Write new dates; return how many rows of each table changed."""
        for date in redating.dates:
            self._redate_run(date)
        self._forget_polls()
        changed = Counter({"sync_run": len(redating.dates)})
        own = (RESOURCE_TABLES[resource].table,) if resource in RESOURCE_TABLES else ()
        for table in (*WRITTEN_BY.get(resource, own), tables.rejected_record):
            changed[table.name] += self._redate_table(table, resource, redating)
        self.prove_again(resource, redating)
        # without the tables in which nothing changed
        return +changed

    def _dated_runs(self, resource: str, *conditions: Any) -> list[DatedRun]:
        chosen = select(_run.sync_run_id, *(_run[name] for name in DatedRun._fields[1:]))
        asked = chosen.where(self._mine(), _run.resource == resource, *conditions)
        return [DatedRun(*row) for row in self._conn.execute(asked.order_by(_run.sync_run_id))]

    def _mine(self) -> Any:
        return _run.account_id == self._account_id

    def _redate_run(self, date: NewDate) -> None:
        values: dict[str, Any] = {
            "started_at": date.started_at,
            "finished_at": date.finished_at,
            # it is what was wrong: if it stayed, the next reading would be held against it
            "clock_offset_s": None,
            "error": func.coalesce(_run.error.concat("; "), "").concat(
                f"dated {iso(date.run.started_at)} until the clock was repaired"
            ),
        }
        # between two moments nothing was surely observed, so it closes no gap
        if date.is_applied and not date.is_exact:
            values |= {"outcome": "partial", "digest": None, **dict.fromkeys(STEP_NAMES)}
        self._conn.execute(
            update(tables.sync_run).where(_run.sync_run_id == date.run.run_id).values(values)
        )

    def _redate_table(self, table: Table, resource: str, redating: Redating) -> int:
        """Move the instants of a table's rows; a row whose key changes is written anew."""
        moves: dict[str, Callable[[Instant], Instant]] = {
            **{name: redating.start for name in STARTS if name in table.c},
            **{name: redating.end for name in ENDS if name in table.c},
        }
        c, is_key = table.c, any(table.c[name].primary_key for name in moves)
        chosen = [c.account_id == self._account_id, or_(*(c[n] > redating.earliest for n in moves))]
        if "resource" in c:
            # rejects of all resources share a table
            chosen.append(c.resource == resource)
        rows = [dict(r._mapping) for r in self._conn.execute(select(table).where(*chosen))]
        moved = [{**r, **{n: v and moves[n](v) for n, v in r.items() if n in moves}} for r in rows]
        pairs = [(was, new) for was, new in zip(rows, moved, strict=True) if was != new]
        keys = [column.name for column in table.primary_key]
        old_keys = [tuple(was[k] for k in keys) for was, _ in pairs]
        # a new key may be that of a row that moves as well: all are deleted before any is written
        if is_key:
            self._database.delete(self._conn, table, keys, old_keys)
            names = [column.name for column in c]
            new_rows = [tuple(new[n] for n in names) for _, new in pairs]
            self._database.insert(self._conn, table, names, new_rows)
        else:
            values = [tuple(new[n] for n in moves) for _, new in pairs]
            updates = [v + key for v, key in zip(values, old_keys, strict=True)]
            self._database.update(self._conn, table, keys, list(moves), updates)
        return len(pairs)
