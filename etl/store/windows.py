"""Records of the bill and of recharges, and their parts by day: read, and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from etl.history.windows import Held, WindowChanges
from etl.poll import Instant
from etl.resources import Record
from etl.store import resource_tables, run_statements, schema
from etl.store.polls import PollsReader
from etl.store.resource_tables import ResourceTable


class WindowsReader(PollsReader):
    """Reader of the held records of a window."""

    def held(self, resource: str, records: Sequence[Record]) -> list[Held]:
        """Return all held records in the same groups as these, including superseded ones."""
        layout = resource_tables.RESOURCE_TABLES[resource]
        at = layout.form.columns.index(layout.among)
        # by the first column of the key: it has an index, and one page holds few of them
        names = sorted({record.facts[at] for record in records})
        condition, parameters = self._database.among(layout.among, names)
        rows = self._ask(resource_tables.same_group(resource, condition), **parameters)
        return [resource_tables.held_of(row) for row in rows]

    def unsuperseded(self, resource: str) -> Iterator[Held]:
        """Yield the valid records of a window, one at a time."""
        # a bill of years does not fit in memory
        streamed = {"stream_results": True, "max_row_buffer": resource_tables.TOGETHER}
        rows = self._conn.execute(
            resource_tables.unsuperseded(resource),
            {"account": self._account_id},
            execution_options=streamed,
        )
        return (resource_tables.held_of(row) for row in rows)

    def window(self, resource: str) -> tuple[int | None, Instant]:
        """Return the total of a window's newest complete poll, None if a record is missing, so that
        all must be read; and when a complete poll last read all of it (0: never).
        """
        total = self._ask(run_statements.NEWEST_TOTAL, resource=resource).scalar()
        whole_at = self._ask(run_statements.NEWEST_WHOLE, resource=resource).scalar()
        # early pages say nothing about an old line that is missing: only reading all of them does
        return None if self.is_missing(resource) else total, whole_at or 0

    def how_many_hold(self, resource: str) -> int:
        """Count the valid records of a window."""
        return int(self._ask(resource_tables.how_many_hold(resource)).scalar_one())

    def is_missing(self, resource: str) -> bool:
        """Tell whether a whole listing lacked a record of a window that is not superseded yet."""
        return self._ask(resource_tables.missing(resource)).scalar() is not None


class WindowsWriter(WindowsReader):
    """Writer of the changes that a listing makes to a window."""

    def apply_window(self, resource: str, changes: WindowChanges, b: Instant) -> None:
        """Write new, corrected, missing, superseded and returned records, and all that is derived
        from them.
        """
        self._has_no_bill = False
        layout, account, zone = (
            resource_tables.RESOURCE_TABLES[resource],
            self._account_id,
            self.zone(),
        )
        own, group = ("extra", *layout.derived), len(layout.key) - (layout.number is not None)
        columns = () if layout.number is None else (layout.number,)
        self._database.insert(
            self._conn,
            layout.table,
            ("account_id", *columns, *layout.form.columns, *own, "first_seen_at", "changed_at"),
            [
                (account, *layout.numbers(n), *r.facts, r.extra, *layout.derive(r, zone), b, b)
                for r, n in changes.added
            ],
        )
        self._database.update(
            self._conn,
            layout.table,
            ("account_id", *layout.key),
            (*layout.form.columns[group:], *own, "changed_at"),
            [
                (*r.facts[group:], r.extra, *layout.derive(r, zone), b, *self._key(layout, was))
                for was, r in changes.changed
            ],
        )
        self._database.update(
            self._conn,
            layout.table,
            ("account_id", *layout.key),
            resource_tables.SUPERSEDED,
            [
                (state.missing_since, state.superseded_at, *self._key(layout, state.was))
                for state in changes.states
            ],
        )
        # before their parts are written: a day that the calendar lacks has no bounds to cut at
        came = [*(c.record for c in changes.added), *(c.record for c in changes.changed)]
        self._reach(day for record in came for day in layout.derive(record, zone))
        self._cut_window(layout, changes)

    def recut(self, resource: str) -> None:
        """Recompute all that is derived from the records of a window, for the days of another time
        zone.
        """
        layout, zone = resource_tables.RESOURCE_TABLES[resource], self.zone()
        rows = self._ask(
            resource_tables.everything(resource)
        ).all()  # before any of them is updated
        # what nothing follows from stays as it is
        if layout.parts is None and not layout.derived:
            return
        for at in range(0, len(rows), resource_tables.TOGETHER):
            some = [
                resource_tables.held_of(row) for row in rows[at : at + resource_tables.TOGETHER]
            ]
            self._database.update(
                self._conn,
                layout.table,
                ("account_id", *layout.key),
                layout.derived,
                [(*layout.derive(h.record, zone), *self._key(layout, h)) for h in some],
            )
            holding = [(self._key(layout, h), h.record) for h in some if h.superseded_at is None]
            self._cut(layout, [self._key(layout, h) for h in some], holding)

    def _key(self, layout: ResourceTable, held: Held) -> tuple[Any, ...]:
        group = len(layout.key) - (layout.number is not None)
        return (self._account_id, *held.record.facts[:group], *layout.numbers(held.number))

    def _cut_window(self, layout: ResourceTable, changes: WindowChanges) -> None:
        """Cut new, corrected and returned records by day; delete the parts of superseded ones."""
        came = [(self._key(layout, Held(n, r)), r) for r, n in changes.added]
        records = {self._key(layout, state.was): state.was.record for state in changes.states}
        records |= {self._key(layout, was): record for was, record in changes.changed}
        ended = {self._key(layout, s.was) for s in changes.states if s.superseded_at is not None}
        kept = [(key, record) for key, record in records.items() if key not in ended]
        self._cut(layout, list(records), [*came, *kept])

    def _cut(
        self,
        layout: ResourceTable,
        gone: Sequence[tuple[Any, ...]],
        records: Sequence[tuple[tuple[Any, ...], Record]],
    ) -> None:
        """Replace the parts by day of records, if the resource has such."""
        if layout.parts is None:
            return
        keys, zone = ("account_id", *layout.key), self.zone()
        parts = [(*key, *part) for key, record in records for part in layout.cut(record, zone)]
        self._reach([part[len(keys)] for part in parts])
        # replaced whole: a corrected amount moves every part of its line
        self._database.delete(self._conn, layout.parts, keys, gone)
        self._database.insert(
            self._conn,
            layout.parts,
            (*keys, *resource_tables.PART_COLUMNS),
            parts,
        )

    def _reach(self, days: Iterable[str]) -> None:
        """Let the calendar have these days: a line beyond its end would be in no sum."""
        newest = max(days, default=None)
        if newest is not None:
            schema.reach_day(self._conn, self.zone(), date.fromisoformat(newest))
