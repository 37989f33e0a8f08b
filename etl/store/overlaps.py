"""Periods of one thing that overlap: a promise of the writer's, asked of the whole database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from etl.dialect.periods import Period
from etl.store.subject import Subject
from etl.texts import tr

_INSTANCE: Final = ("account_id", "instance_uuid")
_TERMS: Final = ("gpu_uuid", "gpu_name", "image_uuid", "charging_type", "no_card")
PERIODS: Final = (
    Period("instance_history", _INSTANCE, "first_seen_at", "ended_at"),
    # what surely ran: estimates of an unseen change may reach into each other
    Period("instance_usage", (*_INSTANCE, "kind"), "started_at", "ended_min"),
    Period("allocation", _INSTANCE, "starts_s", "ends_s"),
    Period("price_period", ("account_id", *_TERMS), "starts_s", "ends_s"),
    Period("gpu_price", ("account_id", "gpu_uuid"), "valid_from", "valid_to"),
    Period("balance", ("account_id",), "first_seen_at", "ended_at"),
    Period("card", ("account_id", "uuid"), "first_seen_at", "ended_at"),
    Period("private_image", ("account_id", "uuid"), "first_seen_at", "ended_at"),
)
"""All tables in which one thing has one state at a time."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Number of rows of a table that still hold when the next of their thing begins."""

    table: str
    rows: int

    def line(self) -> str:
        return tr("{table}: {rows} rows overlap the next", table=self.table, rows=self.rows)


class OverlapsReader(Subject):
    """Counts rows that overlap, in tables that hold one state of a thing at a time."""

    def overlaps(self) -> Iterator[Overlap]:
        """Yield each table with the number of rows that overlap; 0 for a sound one."""
        for period in PERIODS:
            yield Overlap(period.table, int(self._ask(_counted(period)).scalar_one()))


def _counted(period: Period) -> str:
    # rows of no length hold at no moment, and are sorted before those that begin with them
    return f"""
        SELECT COUNT(*) FROM (
            SELECT {period.ends}, LEAD({period.begins}) OVER (
                PARTITION BY {", ".join(period.keys)} ORDER BY {period.begins}, {period.ends}
            ) AS next_begins
            FROM {period.table}
            WHERE {period.lasts}
        ) held
        WHERE next_begins IS NOT NULL AND ({period.ends} IS NULL OR {period.ends} > next_begins)"""
