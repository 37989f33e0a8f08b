"""Writer of records of the bill and of recharges, and of their parts by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etl.history.windows import Held, WindowChanges
from etl.poll import Instant
from etl.resources import Record
from etl.store import resource_tables
from etl.store.reading import Reader
from etl.store.resource_tables import ResourceTable


class WindowsWriter(Reader):
    """Writer of the changes that a listing makes to a window."""

    def apply_window(self, resource: str, changes: WindowChanges, b: Instant) -> None:
        """Write new, corrected, missing, superseded and returned records, and all that is derived
        from them.
        """
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
        self._cut_window(layout, changes)

    def recut(self, resource: str) -> None:
        """Recompute all that is derived from the records of a window, for the days of another time
        zone.
        """
        layout, zone = resource_tables.RESOURCE_TABLES[resource], self.zone()
        rows = self._ask(
            resource_tables.everything(resource)
        ).all()  # before any of them is updated
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
        self._database.delete(self._conn, layout.parts, keys, gone)
        self._database.insert(
            self._conn,
            layout.parts,
            (*keys, *resource_tables.PART_COLUMNS),
            [(*key, *part) for key, record in records for part in layout.cut(record, zone)],
        )
