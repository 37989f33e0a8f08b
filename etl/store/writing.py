"""The only writer: changes into tables, in bulk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, tuple_

from etl import tables
from etl.history.diff import Changes, Version
from etl.history.usage import Stretch
from etl.history.versions import VersionChanges
from etl.history.windows import Held, WindowChanges
from etl.money.pricing import PriceTerms
from etl.poll import Instant
from etl.resources import Record
from etl.resources.listing import Reject
from etl.store import keeping, statements
from etl.store.deriving import price_terms
from etl.store.keeping import Place
from etl.store.reading import Reader
from etl.store.rows import (
    DAY_COLUMNS,
    FACT_NAMES,
    STATE_NAMES,
    STEP_NAMES,
    TERM_NAMES,
    Run,
    day_rows_of,
    ends_of,
    instance_state,
    step_of,
    terms_of,
    values_of,
)
from etl.store.summing import Pair

_DAY, _UUID = DAY_COLUMNS.index("day"), DAY_COLUMNS.index("instance_uuid")


class Tx(Reader):
    """One account inside one transaction, written."""

    _priced: set[PriceTerms] | None = None

    def apply(self, changes: Changes) -> None:
        """Write what changed. Ends come before beginnings: one version, one stretch is open."""
        self._end_versions(changes)
        self._show_presences(changes)
        self._add_versions(changes.versions)
        cut = self._undo_usage(changes) | self.write_usage(changes.stretches)
        self.deriver().allocate([(v.facts.instance_uuid, v.version) for v in changes.versions])
        self.deriver().sums.renew(cut)

    def write_usage(self, stretches: Sequence[tuple[str, Stretch, bool]]) -> set[Pair]:
        """Stretches of instances, rewritten ones first, and the day parts of the closed ones. Returns of
        which days and instances, for their sums to be made anew."""
        zone = self.zone()
        table, account = tables.instance_usage, self._account_id
        ends = ("evidence", "ended_min", "ended_at", "ended_max")
        self._database.update(
            self._conn,
            table,
            ("account_id", "instance_uuid", "usage_no"),
            ends,
            [
                (*ends_of(s), account, uuid, s.usage_no)
                for uuid, s, is_new in stretches
                if not is_new
            ],
        )
        self._database.insert(
            self._conn,
            table,
            ("account_id", "instance_uuid", "usage_no", "kind", "started_at", *TERM_NAMES, *ends),
            [
                (account, uuid, s.usage_no, s.kind, s.started_at, *terms_of(s), *ends_of(s))
                for uuid, s, is_new in stretches
                if is_new
            ],
        )
        day_rows = [row for uuid, s, _ in stretches for row in day_rows_of(account, uuid, s, zone)]
        self._database.insert(self._conn, tables.usage_day, DAY_COLUMNS, day_rows)
        self._price_new({price_terms(s.terms) for _, s, is_new in stretches if is_new})
        if day_rows:
            self.deriver().charge(day_rows)
        return {(row[_DAY], row[_UUID]) for row in day_rows}

    def refresh_prices(self) -> None:
        """Prices and costs of usage anew, after list prices or overrides changed. Writes only where
        a price differs, and costs only from the first moment of that on."""
        self._priced = None
        self.deriver().refresh_prices()

    def write_last_starts(self, last_starts: Sequence[tuple[str, Instant | None]]) -> None:
        """The newest believed start_time of each instance."""
        self._database.update(
            self._conn,
            tables.instance,
            ("account_id", "instance_uuid"),
            ("last_start_at",),
            [(last_start, self._account_id, uuid) for uuid, last_start in last_starts],
        )

    def apply_versions(self, resource: str, changes: VersionChanges) -> None:
        """Write versions that ended, are missing or began."""
        place, account = keeping.PLACES[resource], self._account_id
        self._database.update(
            self._conn,
            place.table,
            ("account_id", *place.key, place.began),
            (*keeping.STATE, place.ended),
            [keeping.shown_row(account, place, shown) for shown in changes.shown],
        )
        self._database.insert(
            self._conn,
            place.table,
            ("account_id", *place.form.columns, "extra", place.began, "after_at"),
            [keeping.began_row(account, began) for began in changes.began],
        )
        if resource == "gpu_prices" and (changes.began or changes.shown):
            self.refresh_prices()

    def apply_window(self, resource: str, changes: WindowChanges, b: Instant) -> None:
        """Write records that came, are corrected, missing, superseded or back, and what is derived of
        them."""
        place, account, zone = keeping.PLACES[resource], self._account_id, self.zone()
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
            keeping.SUPERSEDED,
            [
                (state.missing_since, state.superseded_at, *self._key(place, state.was))
                for state in changes.states
            ],
        )
        self._cut_window(place, changes)

    def recut(self, resource: str) -> None:
        """Compute what is derived of all records of a window anew: days of another time zone."""
        place, zone = keeping.PLACES[resource], self.zone()
        rows = self._ask(keeping.everything(resource)).all()  # before any of them is updated
        for at in range(0, len(rows), keeping.TOGETHER):
            some = [keeping.held_of(place, row) for row in rows[at : at + keeping.TOGETHER]]
            self._database.update(
                self._conn,
                place.table,
                ("account_id", *place.key),
                place.derived,
                [(*place.derive(h.record, zone), *self._key(place, h)) for h in some],
            )
            holding = [(self._key(place, h), h.record) for h in some if h.superseded_at is None]
            self._cut(place, [self._key(place, h) for h in some], holding)

    def _key(self, place: Place, held: Held) -> tuple[Any, ...]:
        group = len(place.key) - (place.number is not None)
        return (self._account_id, *held.record.facts[:group], *place.numbers(held.number))

    def _cut_window(self, place: Place, changes: WindowChanges) -> None:
        """Cut what came, was corrected or is back; nothing of what is superseded is left."""
        came = [(self._key(place, Held(n, r)), r) for r, n in changes.added]
        records = {self._key(place, state.was): state.was.record for state in changes.states}
        records |= {self._key(place, was): record for was, record in changes.changed}
        ended = {self._key(place, s.was) for s in changes.states if s.superseded_at is not None}
        kept = [(key, record) for key, record in records.items() if key not in ended]
        self._cut(place, list(records), [*came, *kept])

    def _cut(
        self,
        place: Place,
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
            (*keys, *keeping.PART_COLUMNS),
            [(*key, *part) for key, record in records for part in place.cut(record, zone)],
        )

    def reject(self, resource: str, rejects: Sequence[Reject], b: Instant) -> None:
        """Keep what could not be understood; what is kept already stays as it is."""
        table = tables.rejected_record
        rows = {}
        for reject in rejects:
            payload_hash = hashlib.sha256(reject.payload.encode()).hexdigest()[:32]
            rows[reject.reason, payload_hash] = (
                self._account_id,
                resource,
                reject.reason,
                payload_hash,
                reject.identity,
                b,
                reject.payload,
            )
        c = table.c
        kept = self._conn.execute(
            select(c.reason, c.payload_hash).where(
                c.account_id == self._account_id,
                c.resource == resource,
                tuple_(c.reason, c.payload_hash).in_(list(rows)),
            )
        )
        for key in kept.all():
            del rows[key]
        columns = ("reason", "payload_hash", "identity", "first_seen_at", "payload")
        self._database.insert(
            self._conn, table, ("account_id", "resource", *columns), list(rows.values())
        )

    def record(self, resource: str, run: Run) -> None:
        """One row of `sync_run`."""
        self._conn.execute(
            insert(tables.sync_run),
            {
                "account_id": self._account_id,
                "resource": resource,
                **{name: getattr(run, name) for name in Run.__slots__},
                **self._step(resource, run),
            },
        )

    def correct_steps(self) -> None:
        """Let every complete poll say how far it is from the one before."""
        self._database.update(
            self._conn,
            tables.sync_run,
            ("sync_run_id",),
            STEP_NAMES,
            [(*step, run_id) for step, run_id in self.strayed_steps()],
        )

    def _step(self, resource: str, run: Run) -> dict[str, int | None]:
        """How far a complete poll is from the one before, so that nobody has to read all polls to find
        the gaps between them."""
        if run.outcome != "complete":
            return {}
        asked = self._ask(statements.COMPLETE_BEFORE, resource=resource, before=run.started_at)
        return dict(zip(STEP_NAMES, step_of(asked.first(), run.started_at), strict=True))

    def _price_new(self, terms: set[PriceTerms]) -> None:
        if terms and self._priced is None:
            self._priced = self.deriver().priced_terms()
        if self._priced is not None and not terms <= self._priced:
            self.deriver().add_prices(terms)
            self._priced |= terms

    def _end_versions(self, changes: Changes) -> None:
        self._database.update(
            self._conn,
            tables.instance_history,
            ("account_id", "instance_uuid", "version"),
            ("last_seen_at", "ended_at", "ended_by"),
            [
                (
                    e.last_seen_at,
                    e.ended_at,
                    e.ended_by,
                    self._account_id,
                    e.instance_uuid,
                    e.version,
                )
                for e in changes.ended
            ],
        )

    def _show_presences(self, changes: Changes) -> None:
        self._database.update(
            self._conn,
            tables.instance,
            ("account_id", "instance_uuid"),
            ("last_seen_at", "missing_since", "gone_at"),
            [
                (p.last_seen_at, p.missing_since, p.gone_at, self._account_id, p.instance_uuid)
                for p in changes.presences
            ],
        )

    def _add_versions(self, versions: Sequence[Version]) -> None:
        account, state = self._account_id, STATE_NAMES
        added = [v for v in versions if v.began_by == "first_seen"]
        self._database.insert(
            self._conn,
            tables.instance,
            ("account_id", *FACT_NAMES, *state, "first_seen_at"),
            [(account, *values_of(v.facts), *instance_state(v), v.first_seen_at) for v in added],
        )
        self._database.update(
            self._conn,
            tables.instance,
            ("account_id", "instance_uuid"),
            (*FACT_NAMES[1:], *state),
            [
                (*values_of(v.facts)[1:], *instance_state(v), account, v.facts.instance_uuid)
                for v in versions
                if v.began_by != "first_seen"
            ],
        )
        copied = [v.facts.instance_uuid for v in added if v.after_at is None]
        if copied:
            self._ask_among(statements.copy_as_first_versions, copied)
        self._database.insert(
            self._conn,
            tables.instance_history,
            ("account_id", *FACT_NAMES, "version", "after_at", "first_seen_at", "began_by"),
            [
                (account, *values_of(v.facts), v.version, v.after_at, v.first_seen_at, v.began_by)
                for v in versions
                if v.began_by != "first_seen" or v.after_at is not None
            ],
        )

    def _undo_usage(self, changes: Changes) -> set[Pair]:
        """Returns of which days and instances parts were taken away."""
        undone = [*changes.deleted, *changes.reopened]
        cut = self.deriver().sums.days_of(undone)
        keys = ("account_id", "instance_uuid", "usage_no")
        account = self._account_id
        deleted = [(account, uuid, no) for uuid, no in changes.deleted]
        uncut = [(account, uuid, no) for uuid, no in undone]
        self._database.delete(self._conn, tables.usage_cost, keys, uncut)
        self._database.delete(self._conn, tables.usage_day, keys, uncut)
        self._database.delete(self._conn, tables.instance_usage, keys, deleted)
        return cut
