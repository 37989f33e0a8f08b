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
        place, account, zone = (
            resource_tables.RESOURCE_TABLES[resource],
            self._account_id,
            self.zone(),
        )
        own, group = ("extra", *place.derived), len(place.key) - (place.number is not None)
        columns = () if place.number is None else (place.number,)
        self._database.insert(
            self._conn,
            place.table,
            ("account_id", *columns, *place.form.columns, *own, "first_seen_at", "changed_at"),
            [
                (account, *place.numbers(n), *r.facts, r.extra, *place.derive(r, zone), b, b)
                for r, n in changes.added
            ],
        )
        self._database.update(
            self._conn,
            place.table,
            ("account_id", *place.key),
            (*place.form.columns[group:], *own, "changed_at"),
            [
                (*r.facts[group:], r.extra, *place.derive(r, zone), b, *self._key(place, was))
                for was, r in changes.changed
            ],
        )
        self._database.update(
            self._conn,
            place.table,
            ("account_id", *place.key),
            resource_tables.SUPERSEDED,
            [
                (state.missing_since, state.superseded_at, *self._key(place, state.was))
                for state in changes.states
            ],
        )
        self._cut_window(place, changes)

    def recut(self, resource: str) -> None:
        """Recompute all that is derived from the records of a window, for the days of another time
        zone.
        """
        place, zone = resource_tables.RESOURCE_TABLES[resource], self.zone()
        rows = self._ask(
            resource_tables.everything(resource)
        ).all()  # before any of them is updated
        for at in range(0, len(rows), resource_tables.TOGETHER):
            some = [
                resource_tables.held_of(row) for row in rows[at : at + resource_tables.TOGETHER]
            ]
            self._database.update(
                self._conn,
                place.table,
                ("account_id", *place.key),
                place.derived,
                [(*place.derive(h.record, zone), *self._key(place, h)) for h in some],
            )
            holding = [(self._key(place, h), h.record) for h in some if h.superseded_at is None]
            self._cut(place, [self._key(place, h) for h in some], holding)

    def _key(self, place: ResourceTable, held: Held) -> tuple[Any, ...]:
        group = len(place.key) - (place.number is not None)
        return (self._account_id, *held.record.facts[:group], *place.numbers(held.number))

    def _cut_window(self, place: ResourceTable, changes: WindowChanges) -> None:
        """Cut new, corrected and returned records by day; delete the parts of superseded ones."""
        came = [(self._key(place, Held(n, r)), r) for r, n in changes.added]
        records = {self._key(place, state.was): state.was.record for state in changes.states}
        records |= {self._key(place, was): record for was, record in changes.changed}
        ended = {self._key(place, s.was) for s in changes.states if s.superseded_at is not None}
        kept = [(key, record) for key, record in records.items() if key not in ended]
        self._cut(place, list(records), [*came, *kept])

    def _cut(
        self,
        place: ResourceTable,
        gone: Sequence[tuple[Any, ...]],
        records: Sequence[tuple[tuple[Any, ...], Record]],
    ) -> None:
        """Replace the parts by day of records, if the resource has such."""
        if place.parts is None:
            return
        keys, zone = ("account_id", *place.key), self.zone()
        self._database.delete(self._conn, place.parts, keys, gone)
        self._database.insert(
            self._conn,
            place.parts,
            (*keys, *resource_tables.PART_COLUMNS),
            [(*key, *part) for key, record in records for part in place.cut(record, zone)],
        )
