"""Allocation of usage to payers and tags, by the rules and each instance's titles and images over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Final

from sqlalchemy import and_, bindparam, or_, select, text

from etl import tables
from etl.money.allocation import Allocation, allocations
from etl.money.matching import Labels
from etl.money.periods import BEGINNING
from etl.money.tags import have_no_brackets, tags_in_title
from etl.store.costs import UsageCosts
from etl.store.statements import statement

_ALLOCATION_COLUMNS: Final = tuple(f.name for f in fields(Allocation))
_ALLOCATED: Final = (
    select(tables.allocation.c.instance_uuid)
    .where(tables.allocation.c.account_id == bindparam("account"))
    .distinct()
)
_LABELS: Final = ("title", "image_uuid", "image_name", "image_tag")
_PAYER_COLUMNS: Final = ("starts_s", "ends_s", "project", "owner", "cost_centre", "tags")
_Payers = dict[str, set[tuple[Any, ...]]]
"""Who pays for each instance and when, as `_PAYER_COLUMNS`."""


class Derived(UsageCosts):
    """Writer of all that follows from prices and rules for one account, inside one transaction."""

    _tagged: set[str] | None = None
    """The instances that have allocations, if they were asked for."""

    def allocate(self, versions: Sequence[tuple[str, int, str]]) -> None:
        """Recompute who pays for the instances whose new versions (uuid, number and title) have another
        title or image than the versions before; without rules only for those that have or had tags."""
        if not self.book():
            if self._tagged is None:
                self._tagged = set(self._conn.scalars(_ALLOCATED, {"account": self._account_id}))
            tagged = self._tagged
            # nearly always: a first load has thousands of titles without tags
            if not tagged and have_no_brackets(title for _, _, title in versions):
                return
            versions = [v for v in versions if v[0] in tagged or tags_in_title(v[2])]
        if not versions:
            return
        table = tables.instance_history
        keys = [(uuid, version) for uuid, version, _ in versions]
        listed, parameters = self._database.listed(table, ("instance_uuid", "version"), keys)
        # COALESCE, for `=` on two nulls is neither true nor false
        same = " AND ".join(f"COALESCE(h.{n}, '') = COALESCE(p.{n}, '')" for n in _LABELS)
        changed = statement(
            f"SELECT DISTINCT h.instance_uuid FROM {table.name} h LEFT JOIN {table.name} p"
            " ON p.account_id = h.account_id AND p.instance_uuid = h.instance_uuid"
            " AND p.version = h.version - 1 WHERE h.account_id = :account"
            f" AND (h.instance_uuid, h.version) IN {listed} AND (p.version IS NULL OR NOT ({same}))"
        )
        uuids = self._conn.scalars(changed, {"account": self._account_id, **parameters}).all()
        if uuids:
            self.allocate_anew(uuids)

    def allocate_anew(
        self, uuids: Sequence[str], labels: Mapping[str, Sequence[Labels]] | None = None
    ) -> None:
        """Recompute who pays, and the costs and sums that depend on it, even if no rule is left.
        `labels` are those of `labels()`, if they were asked for already."""
        wanted, kept = set(self._allocated(uuids, labels)), self._kept_allocations(uuids)
        keys = ("account_id", "instance_uuid", "starts_s")
        # by repr: rows hold nulls beside texts, which Python does not order
        gone, new = sorted(kept - wanted, key=repr), sorted(wanted - kept, key=repr)
        table = tables.allocation
        # only what differs is written: a rule that is changed leaves most instances as they were
        self._database.delete(self._conn, table, keys, [(self._account_id, *r[:2]) for r in gone])
        columns = ("account_id", "instance_uuid", *_ALLOCATION_COLUMNS)
        self._database.insert(self._conn, table, columns, [(self._account_id, *r) for r in new])
        # costs are cut where the payer changes: only a moved cut changes them, not another payer
        recut = {row[:2] for row in gone} ^ {row[:2] for row in new}
        moved = {uuid for uuid, starts_s in recut if starts_s > BEGINNING}
        if moved:
            self._charge_instances(sorted(moved))
        if gone or new:
            self._tagged = None
            self._pay_anew(_payers_of(kept), _payers_of(wanted))

    def _pay_anew(self, before: _Payers, after: _Payers) -> None:
        """Bring sums of costs to who pays now. Another rule or lease of the same payer changes none."""
        changed = {u for u in {*before, *after} if before.get(u) != after.get(u)}
        single = {u for u in changed if max(len(before.get(u, ())), len(after.get(u, ()))) == 1}
        self.sums.name_payers(sorted(single))
        self.sums.renew_costs(sorted(changed - single))

    def wrongly_allocated(self, uuids: Sequence[str]) -> set[str]:
        """Return the instances whose stored allocations differ from the rules."""
        return {row[0] for row in set(self._allocated(uuids)) ^ self._kept_allocations(uuids)}

    def labels(self, uuids: Sequence[str]) -> dict[str, list[Labels]]:
        """Return the titles and images of instances over time, without versions that changed
        neither.
        """
        condition, parameters = self._database.among("instance_uuid", uuids)
        versions, before = tables.instance_history, tables.instance_history.alias("p")
        h, p = versions.c, before.c
        keys = ("account_id", "instance_uuid")
        # in the database: a history has hundreds of versions, and few change title or image
        rows = self._conn.execute(
            select(h.instance_uuid, h.first_seen_at, h.after_at, *(h[name] for name in _LABELS))
            # by key, not by a window over all versions: that took twice as long on SQLite
            .outerjoin(before, and_(p.version == h.version - 1, *(p[k] == h[k] for k in keys)))
            .where(
                h.account_id == self._account_id,
                text(f"{versions.name}.{condition}"),
                or_(p.version.is_(None), *(h[n].is_distinct_from(p[n]) for n in _LABELS)),
            )
            .order_by(h.instance_uuid, h.version),
            parameters,
        )
        labels_of: dict[str, list[Labels]] = {}
        for uuid, since, after, title, *image in rows:
            labels = Labels(since, title or "", _image_names(*image), after)
            labels_of.setdefault(uuid, []).append(labels)
        return labels_of

    def _allocated(
        self, uuids: Sequence[str], labels: Mapping[str, Sequence[Labels]] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        name, book = self.name(), self.book()
        for uuid, seen in (self.labels(uuids) if labels is None else labels).items():
            # no rules and no tags, no rows: who never wrote one pays nothing for them at a poll
            if book or any(tags_in_title(then.title) for then in seen):
                for allocation in allocations(book, name, uuid, seen):
                    yield (uuid, *astuple(allocation))

    def _kept_allocations(self, uuids: Sequence[str]) -> set[tuple[Any, ...]]:
        c = tables.allocation.c
        condition, parameters = self._database.among("instance_uuid", uuids)
        rows = self._conn.execute(
            select(c.instance_uuid, *(c[name] for name in _ALLOCATION_COLUMNS)).where(
                c.account_id == self._account_id, text(condition)
            ),
            parameters,
        )
        return {tuple(row) for row in rows}


def _payers_of(rows: Iterable[tuple[Any, ...]]) -> _Payers:
    at = [1 + _ALLOCATION_COLUMNS.index(name) for name in _PAYER_COLUMNS]
    payers: _Payers = {}
    for row in rows:
        payers.setdefault(row[0], set()).add(tuple(row[i] for i in at))
    return payers


def _image_names(uuid: str | None, name: str | None, tag: str | None) -> tuple[str, ...]:
    # a rule may name an image by any of these
    tagged = f"{name}:{tag}" if name and tag else None
    return tuple(label for label in (uuid, name, tagged) if label)
