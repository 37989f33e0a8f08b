"""One transaction over all accounts, and the subjects of the store that are read and written in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from etl import tables
from etl.dialect import Database
from etl.history.days import Zone
from etl.store import derivation, schema
from etl.store.codes import CodesReader, CodesWriter
from etl.store.registry import RegistryReader, RegistryWriter
from etl.store.schema import DEMO_MARK

if TYPE_CHECKING:
    # a poll needs none of these, and cron pays for each import every two minutes
    from etl.store.account import Reader, Tx
    from etl.store.alerts import AlertsReader, AlertsWriter
    from etl.store.books import BooksReader, BooksWriter
    from etl.store.exports import ExportsReader
    from etl.store.learning import LearningReader
    from etl.store.overlaps import OverlapsReader
    from etl.store.samples import SamplesReader, SamplesWriter
    from etl.store.status import StatusReader


class Reading:
    """Read-only view of all that is known, in one consistent state."""

    def __init__(self, database: Database, conn: Connection) -> None:
        self._database = database
        self._conn = conn

    # made when they are asked for: most transactions are about one subject
    @cached_property
    def registry(self) -> RegistryReader:
        return RegistryReader(self._database, self._conn)

    @cached_property
    def alerts(self) -> AlertsReader:
        from etl.store.alerts import AlertsReader

        return AlertsReader(self._database, self._conn)

    @cached_property
    def books(self) -> BooksReader:
        from etl.store.books import BooksReader

        return BooksReader(self._database, self._conn)

    @cached_property
    def exports(self) -> ExportsReader:
        from etl.store.exports import ExportsReader

        return ExportsReader(self._database, self._conn)

    @cached_property
    def learning(self) -> LearningReader:
        from etl.store.learning import LearningReader

        return LearningReader(self._database, self._conn)

    @cached_property
    def overlaps(self) -> OverlapsReader:
        from etl.store.overlaps import OverlapsReader

        return OverlapsReader(self._database, self._conn)

    @cached_property
    def samples(self) -> SamplesReader:
        from etl.store.samples import SamplesReader

        return SamplesReader(self._database, self._conn)

    @cached_property
    def status(self) -> StatusReader:
        from etl.store.status import StatusReader

        return StatusReader(self._database, self._conn)

    @cached_property
    def codes(self) -> CodesReader:
        return CodesReader(self._database, self._conn)

    def timezone(self) -> str:
        """Return the reporting time zone."""
        return schema.stored_timezone(self._conn)

    def require_schema(self) -> None:
        """Raise `StoreError` unless the database is one that this program can read."""
        schema.require(self._conn)

    def is_demo(self) -> bool:
        """Tell whether a demo made the database."""
        return schema.is_demo(self._conn)

    def strayed_days(self) -> list[str]:
        """Return the days that would be cut otherwise by today's rules of the time zone."""
        return schema.strayed_days(self._conn, Zone(self.timezone()))

    def is_derived_by_todays_rules(self) -> bool:
        """Tell whether a rebuild would leave the database as it is, as far as the program knows."""
        return derivation.is_current(self._conn)

    def accounts(self) -> Mapping[str, Reader]:
        """Map names to readers of the accounts, in the order in which they were first synced."""
        from etl.store.account import Reader

        return {name: Reader(self._database, self._conn, i) for i, name in self._account_ids()}

    def _account_ids(self) -> list[tuple[int, str]]:
        c = tables.account.c
        rows = self._conn.execute(select(c.account_id, c.name).order_by(c.account_id))
        return [(row.account_id, row.name) for row in rows]


class Writing(Reading):
    """Write transaction over all accounts: it commits whole or not at all."""

    @cached_property
    def registry(self) -> RegistryWriter:
        return RegistryWriter(self._database, self._conn)

    @cached_property
    def alerts(self) -> AlertsWriter:
        from etl.store.alerts import AlertsWriter

        return AlertsWriter(self._database, self._conn)

    @cached_property
    def books(self) -> BooksWriter:
        from etl.store.books import BooksWriter

        return BooksWriter(self._database, self._conn)

    @cached_property
    def samples(self) -> SamplesWriter:
        from etl.store.samples import SamplesWriter

        return SamplesWriter(self._database, self._conn)

    @cached_property
    def codes(self) -> CodesWriter:
        return CodesWriter(self._database, self._conn)

    def clear_derived(self) -> None:
        """Delete running time, prices and costs of all accounts, so that they can be derived
        again.
        """
        derived = (
            tables.billed_usage_day,
            tables.usage_cost,
            tables.price_period,
            tables.usage_day,
            tables.instance_usage,
        )
        # children before parents: costs refer to stretches
        for table in derived:
            self._conn.execute(delete(table))

    def mark_derived(self) -> None:
        """Record that all derived rows were just made by today's rules."""
        derivation.mark(self._conn)

    def recut_days(self, timezone: Zone, today: date) -> None:
        """Count days in another time zone: the calendar and the parts of bill lines; all other
        derived rows must be made again afterwards.
        """
        # first: lines are cut by the days of the zone that is stored
        schema.recut_calendar(self._conn, timezone, today)
        # running time is rebuilt anyway; the bill is not derived from versions
        for account in self.accounts().values():
            account.recut("bills")

    def mark_as_demo(self) -> None:
        """Record that a demo made the database."""
        self._conn.execute(insert(tables.setting).values(name=DEMO_MARK, value="chenyu-etl demo"))

    def accounts(self) -> Mapping[str, Tx]:
        """Map names to writers of the accounts, in the order in which they were first synced."""
        from etl.store.account import Tx

        return {name: Tx(self._database, self._conn, i) for i, name in self._account_ids()}
