"""Writer of versions of list prices, the balance and cards."""

from __future__ import annotations

from etl.history.versions import VersionChanges
from etl.store import resource_tables
from etl.store.usage import UsageWriter


class VersionsWriter(UsageWriter):
    """Writer of versions of records that have no running time."""

    def apply_versions(self, resource: str, changes: VersionChanges) -> None:
        """Write versions that ended, are missing or began."""
        place, account = resource_tables.RESOURCE_TABLES[resource], self._account_id
        self._database.update(
            self._conn,
            place.table,
            ("account_id", *place.key, place.began),
            (*resource_tables.STATE, place.ended),
            [resource_tables.shown_row(account, place, shown) for shown in changes.shown],
        )
        self._database.insert(
            self._conn,
            place.table,
            ("account_id", *place.form.columns, "extra", place.began, "after_at"),
            [resource_tables.began_row(account, began) for began in changes.began],
        )
        if resource == "gpu_prices" and (changes.began or changes.shown):
            self.refresh_prices()
