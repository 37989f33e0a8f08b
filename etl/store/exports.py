"""Whole tables and views, streamed in batches for other tools."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from sqlalchemy import text

from etl.errors import SettingsError
from etl.store.schema import stored_timezone
from etl.store.subject import Subject
from etl.tables.exported import Exported
from etl.texts import tr

BATCH: Final = 20_000
"""Rows read at a time."""
FOCUS_VIEW: Final = "focus_cost_and_usage"

Batch = tuple[list[str], list[Sequence[Any]]]
"""The columns' names, and rows."""


class ExportsReader(Subject):
    """Reader of exported rows, in the order in which files hold them."""

    def timezone(self) -> str:
        """Return the reporting time zone."""
        return stored_timezone(self._conn)

    def batches(self, table: Exported) -> Generator[Batch, None, None]:
        """Yield all rows of a table or view, a batch at a time; nothing if it is empty."""
        # partition first: files are written one after the other, none is open twice
        order = ", ".join(([table.cut] if table.cut else []) + list(table.order))
        names = self.columns(table)
        chosen = ", ".join(f'"{name}"' for name in names)
        asked = f"SELECT {chosen} FROM {table.name} ORDER BY {order}"
        with closing(self._streamed(asked)) as result:
            for rows in result.partitions(BATCH):
                yield names, [tuple(row) for row in rows]

    def columns(self, table: Exported) -> list[str]:
        """Return the names of the exported columns of a table or view."""
        # asked of the database: an empty table has columns too
        with closing(self._ask(f"SELECT * FROM {table.name} LIMIT 0")) as result:
            return [name for name in result.keys() if name not in table.without]  # noqa: SIM118

    def focus(self, month: str, account: str | None) -> tuple[list[str], Iterator[Sequence[Any]]]:
        """Return the columns, and the rows in batches, of a month (`2026-10`) of cost and usage in
        FOCUS.

        Raises `SettingsError` for an invalid month.
        """
        result = self._streamed(
            f"""
            SELECT f.* FROM {FOCUS_VIEW} f JOIN calendar_day c ON c.day = f."x_Day"
            WHERE f."x_Day" BETWEEN :first AND :last
                AND (f."BillingAccountId" = :account OR :account IS NULL)
            ORDER BY f."x_Day", f."BillingAccountId", f."ResourceId", f."ChargePeriodStart",
                f."x_OrderNumber", f."SkuPriceId", f."ChargeDescription"
            """,
            **self._days(month),
            account=account,
        )
        return list(result.keys()), result.partitions(BATCH)

    def unpriced_s(self, month: str, account: str | None) -> int:
        """Return the seconds that were charged in a month at an unknown price."""
        result = self._ask(
            """
            SELECT SUM(unpriced_s) FROM _cost_line
            WHERE day BETWEEN :first AND :last AND (account = :account OR :account IS NULL)
            """,
            **self._days(month),
            account=account,
        )
        return int(result.scalar() or 0)

    def _days(self, month: str) -> dict[str, Any]:
        """Return the first and the last day of a month."""
        result = self._ask(
            "SELECT MIN(day), MAX(day) FROM calendar_day WHERE month = :month", month=month
        )
        first, last = result.one()
        # the calendar knows all months that can hold anything: another one is a typing error
        if first is None:
            raise SettingsError(
                tr("{month!r} is no month", month=month), advice=tr("name one: --month 2026-10")
            )
        return {"first": first, "last": last}

    def _streamed(self, sql: str, **parameters: Any) -> Any:
        # a table of years does not fit in memory
        options = {"stream_results": True, "max_row_buffer": BATCH}
        return self._conn.execute(text(sql), parameters, execution_options=options)
