"""Versions of list prices, the balance and cards: read, and written."""

from __future__ import annotations

from etl.history.versions import Lasting, VersionChanges
from etl.store import resource_tables
from etl.store.polls import PollsReader
from etl.store.usage import UsageWriter


class VersionsReader(PollsReader):
    """Reader of the current versions of records."""

    def versions(self, resource: str) -> dict[str, Lasting]:
        """Return the current versions of a resource's records, by identity."""
        layout, starts = resource_tables.RESOURCE_TABLES[resource], self._poll_starts(resource)
        versions = (
            resource_tables.lasting_of(layout, r, starts)
            for r in self._ask(resource_tables.current(resource))
        )
        return {lasting.record.identity: lasting for lasting in versions}


class VersionsWriter(UsageWriter, VersionsReader):
    """Writer of versions of records that have no running time."""

    def apply_versions(self, resource: str, changes: VersionChanges) -> None:
        """Write versions that ended, are missing or began."""
        layout, account = resource_tables.RESOURCE_TABLES[resource], self._account_id
        self._database.update(
            self._conn,
            layout.table,
            ("account_id", *layout.key, layout.began),
            (*resource_tables.STATE, layout.ended),
            [
                resource_tables.presence_row(account, layout, presence)
                for presence in changes.presences
            ],
        )
        # after the update: an index allows one current version of a record
        self._database.insert(
            self._conn,
            layout.table,
            ("account_id", *layout.form.columns, "extra", layout.began, "after_at"),
            [resource_tables.began_row(account, began) for began in changes.began],
        )
        # in the same transaction: no report sees a new price with old costs
        if resource == "gpu_prices" and (changes.began or changes.presences):
            self.refresh_prices()
