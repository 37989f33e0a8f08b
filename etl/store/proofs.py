"""Writer of what was missing or gone, after polls were given other dates and lost their proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Table, select, update

from etl import tables
from etl.history.proofs import JudgedPoll, KeptVersion, Proofs
from etl.poll import APPLIED, Instant
from etl.store.resource_tables import RESOURCE_TABLES, SUPERSEDED, ResourceTable
from etl.store.rows import FACT_NAMES
from etl.store.windows import WindowsWriter
from etl.timing.redating import Redating

_run: Final = tables.sync_run.c
_INSTANCE: Final = ("account_id", "instance_uuid")
_Row = dict[str, Any]


class ProofsWriter(WindowsWriter):
    """Writer of absences as a replay gives them. Derived rows must be made again afterwards."""

    def prove_again(self, resource: str, redating: Redating) -> int:
        """Derive again who was missing or gone, after the new dates of polls were written; return how
        many rows changed.
        """
        layout = RESOURCE_TABLES.get(resource)
        if not redating.applied or (layout is None and resource != "instances"):
            return 0
        proofs = self._proofs(resource, redating)
        if layout is None:
            changed = self._prove_instances(proofs)
        elif layout.resource.keeping == "window":
            changed = self._prove_window(layout, proofs)
        else:
            changed = self._prove_versions(layout, proofs)
        if changed:
            self._forget_digests(resource, proofs.polls[proofs.since].started_at)
        return changed

    def _proofs(self, resource: str, redating: Redating) -> Proofs:
        outcomes = {date.run.run_id: date.run.outcome for date in redating.applied}
        layout = RESOURCE_TABLES.get(resource)
        is_window = layout is not None and layout.resource.keeping == "window"
        asked = select(tables.sync_run).where(
            *(_run.account_id == self._account_id, _run.resource == resource),
            _run.outcome.in_(APPLIED),
        )
        polls = []
        for run in self._conn.execute(asked.order_by(_run.started_at)):
            # of a window only a listing of all of it, in which each line could be read, shows what is missing
            total = run.reported_total
            is_able = not is_window or (
                total is not None and run.listed >= total and not run.rejected
            )
            was = is_able and outcomes.get(run.sync_run_id, run.outcome) == "complete"
            now = is_able and run.outcome == "complete"
            polls.append(JudgedPoll(run.started_at, run.finished_at, was, now))
        first = min(date.started_at for date in redating.applied)
        return Proofs(polls, sum(poll.started_at < first for poll in polls))

    def _prove_window(self, layout: ResourceTable, proofs: Proofs) -> int:
        c, keys = layout.table.c, [column.name for column in layout.table.primary_key]
        asked = select(*(c[name] for name in (*SUPERSEDED, *keys))).where(
            c.account_id == self._account_id, c.missing_since.is_not(None)
        )
        changed, first = [], proofs.polls[proofs.since].finished_at
        for missing_since, superseded_at, *key in self._conn.execute(asked):
            # one that was superseded before these polls stays so
            if superseded_at is None or superseded_at >= first:
                state = proofs.window(missing_since)
                if state != (missing_since, superseded_at):
                    changed.append((*state, *key))
        self._database.update(self._conn, layout.table, keys, SUPERSEDED, changed)
        if changed:
            # a line that is superseded no more counts in its days again
            self.recut(layout.resource.name)
        return len(changed)

    def _prove_versions(self, layout: ResourceTable, proofs: Proofs) -> int:
        key, changed = ("account_id", *layout.key), 0
        for rows in self._by_record(layout.table, key, layout.began):
            kept = [_version(layout, row, later) for row, later in _with_next(rows)]
            proven = proofs.versions(kept)
            began = {row[layout.began]: row for row in rows}
            new = [began[v.began_at] | _version_row(layout, v) for v in proven]
            if new != rows:
                self._replace(layout.table, (*key, layout.began), rows, new)
                changed += len(rows)
        return changed

    def _prove_instances(self, proofs: Proofs) -> int:
        states, changed = self._instance_states(), 0
        for rows in self._by_record(tables.instance_history, _INSTANCE, "version"):
            uuid = rows[0]["instance_uuid"]
            kept = [_instance_version(row) for row in rows]
            last_seen_at, missing_since = states[uuid]
            kept[-1] = replace(kept[-1], last_seen_at=last_seen_at, missing_since=missing_since)
            proven = proofs.versions(kept)
            began = {row["first_seen_at"]: row for row in rows}
            new = [began[v.began_at] | _history_row(v, n) for n, v in enumerate(proven, 1)]
            if new != rows or proven[-1] != kept[-1]:
                self._replace(tables.instance_history, (*_INSTANCE, "version"), rows, new)
                self._show_state(uuid, len(proven), proven[-1])
                changed += len(rows)
        return changed

    def _by_record(self, table: Table, key: Sequence[str], order: str) -> Iterator[list[_Row]]:
        """Yield the versions of each record, oldest first."""
        asked = select(table).where(table.c.account_id == self._account_id)
        rows = self._conn.execute(asked.order_by(*(table.c[name] for name in (*key, order)))).all()
        read = (dict(row._mapping) for row in rows)
        for _, group in groupby(read, lambda row: [row[name] for name in key]):
            yield list(group)

    def _instance_states(self) -> dict[str, tuple[Instant | None, Instant | None]]:
        c = tables.instance.c
        asked = select(c.instance_uuid, c.last_seen_at, c.missing_since)
        rows = self._conn.execute(asked.where(c.account_id == self._account_id))
        return {uuid: (seen, missing) for uuid, seen, missing in rows}

    def _show_state(self, uuid: str, count: int, newest: KeptVersion) -> None:
        c = tables.instance.c
        self._conn.execute(
            update(tables.instance)
            .where(c.account_id == self._account_id, c.instance_uuid == uuid)
            .values(
                version=count,
                changed_at=newest.began_at,
                last_seen_at=newest.last_seen_at,
                missing_since=newest.missing_since,
                gone_at=newest.ended_at,
            )
        )

    def _replace(
        self, table: Table, key: Sequence[str], old: Sequence[_Row], new: Sequence[_Row]
    ) -> None:
        # one version alone is current: the old ones go before the new ones come
        self._database.delete(self._conn, table, key, [tuple(r[k] for k in key) for r in old])
        names = [column.name for column in table.c]
        self._database.insert(self._conn, table, names, [tuple(r[n] for n in names) for r in new])

    def _forget_digests(self, resource: str, since: Instant) -> None:
        """Have the next listing decoded even if its bytes are equal: a record may be missing now."""
        mine = (_run.account_id == self._account_id, _run.resource == resource)
        judged = (*mine, _run.started_at >= since, _run.digest.is_not(None))
        self._conn.execute(update(tables.sync_run).where(*judged).values(digest=None))


def _with_next(rows: Sequence[_Row]) -> Iterator[tuple[_Row, _Row | None]]:
    return zip(rows, (*rows[1:], None), strict=True)


def _version(layout: ResourceTable, row: _Row, later: _Row | None) -> KeptVersion:
    ended_at = row[layout.ended]
    return KeptVersion(
        facts=tuple(row[name] for name in layout.form.columns),
        began_at=row[layout.began],
        after_at=row["after_at"],
        last_seen_at=row["last_seen_at"],
        missing_since=row["missing_since"],
        ended_at=ended_at,
        # a change ends a version when the next one begins
        is_gone=ended_at is not None and (later is None or later[layout.began] != ended_at),
    )


def _version_row(layout: ResourceTable, version: KeptVersion) -> _Row:
    return {
        "after_at": version.after_at,
        "last_seen_at": version.last_seen_at,
        "missing_since": version.missing_since,
        layout.ended: version.ended_at,
    }


def _instance_version(row: _Row) -> KeptVersion:
    return KeptVersion(
        facts=tuple(row[name] for name in FACT_NAMES),
        began_at=row["first_seen_at"],
        after_at=row["after_at"],
        last_seen_at=row["last_seen_at"],
        ended_at=row["ended_at"],
        is_gone=row["ended_by"] == "gone",
        began_by=row["began_by"],
        created_at=row["create_time"],
    )


def _history_row(version: KeptVersion, number: int) -> _Row:
    has_ended = version.ended_at is not None
    ended_by = "gone" if version.is_gone else "changed"
    return {
        "version": number,
        "after_at": version.after_at,
        "began_by": version.began_by,
        # the newest version's state is in its instance's row
        "last_seen_at": version.last_seen_at if has_ended else None,
        "ended_at": version.ended_at,
        "ended_by": ended_by if has_ended else None,
    }
