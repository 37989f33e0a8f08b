"""Writer of the running time of instances: stretches, their parts by day, and all that follows."""

from __future__ import annotations

from collections.abc import Sequence

from etl import tables
from etl.history.diff import Changes
from etl.history.stretches import Stretch
from etl.money.tariffs import PriceTerms
from etl.poll import Instant
from etl.store.known_instances import InstancesReader
from etl.store.price_periods import price_terms
from etl.store.rollups import Pair
from etl.store.rows import (
    DAY_COLUMNS,
    END_NAMES,
    TERM_NAMES,
    day_rows_of,
    ends_of,
    terms_of,
)

_DAY, _UUID = DAY_COLUMNS.index("day"), DAY_COLUMNS.index("instance_uuid")


class UsageWriter(InstancesReader):
    """Writer of running time, which derives prices, costs and rollups from it."""

    _priced: set[PriceTerms] | None = None

    def write_usage(self, stretches: Sequence[tuple[str, Stretch, bool]]) -> set[Pair]:
        """Write stretches, rewritten ones first, and the parts by day of closed ones. Return the (day,
        instance) pairs whose sums are stale."""
        zone = self.zone()
        table, account = tables.instance_usage, self._account_id
        self._database.update(
            self._conn,
            table,
            ("account_id", "instance_uuid", "usage_no"),
            END_NAMES,
            [
                (*ends_of(s), account, uuid, s.usage_no)
                for uuid, s, is_new in stretches
                if not is_new
            ],
        )
        self._database.insert(
            self._conn,
            table,
            (
                "account_id",
                "instance_uuid",
                "usage_no",
                "kind",
                "started_at",
                *TERM_NAMES,
                *END_NAMES,
            ),
            [
                (account, uuid, s.usage_no, s.kind, s.started_at, *terms_of(s), *ends_of(s))
                for uuid, s, is_new in stretches
                if is_new
            ],
        )
        # open stretches have no parts yet: reports cut them at the moment of reading
        closed = [(uuid, s) for uuid, s, _ in stretches if s.ended_max is not None]
        day_rows = [row for uuid, s in closed for row in day_rows_of(account, uuid, s, zone)]
        self._database.insert(self._conn, tables.usage_day, DAY_COLUMNS, day_rows)
        # before charging, which looks the prices up
        # thousands of stretches have a few dozen terms
        terms = {terms_of(s): s.terms for _, s, is_new in stretches if is_new}
        self._price_new({price_terms(each) for each in terms.values()})
        if day_rows:
            self.deriver().charge(day_rows)
        return {(row[_DAY], row[_UUID]) for row in day_rows}

    def refresh_prices(self) -> None:
        """Recompute prices and costs of usage after list prices or overrides changed. It writes only if
        a price differs, and costs only from the first moment of that on."""
        # what was priced may have other prices now
        self._priced = None
        self.deriver().refresh_prices()

    def write_last_starts(self, last_starts: Sequence[tuple[str, Instant | None]]) -> None:
        """Write the newest believed start_time of each instance."""
        self._database.update(
            self._conn,
            tables.instance,
            ("account_id", "instance_uuid"),
            ("last_start_at",),
            [(last_start, self._account_id, uuid) for uuid, last_start in last_starts],
        )

    def _price_new(self, terms: set[PriceTerms]) -> None:
        # asked once in a transaction, and only if a stretch is new: most polls have none
        if terms and self._priced is None:
            self._priced = self.deriver().priced_terms()
        if self._priced is not None and not terms <= self._priced:
            self.deriver().add_prices(terms)
            self._priced |= terms

    def _undo_usage(self, changes: Changes) -> set[Pair]:
        """Delete running time; return the (day, instance) pairs whose sums are stale."""
        undone = [*changes.deleted, *changes.reopened]
        # asked before the parts are deleted, from which the days are known
        cut = self.deriver().sums.days_of(undone)
        keys = ("account_id", "instance_uuid", "usage_no")
        account = self._account_id
        deleted = [(account, uuid, no) for uuid, no in changes.deleted]
        uncut = [(account, uuid, no) for uuid, no in undone]
        # children first: parts and costs refer to stretches
        self._database.delete(self._conn, tables.usage_cost, keys, uncut)
        self._database.delete(self._conn, tables.usage_day, keys, uncut)
        self._database.delete(self._conn, tables.instance_usage, keys, deleted)
        return cut
