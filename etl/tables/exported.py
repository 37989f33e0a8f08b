"""Tables for other tools, with their order, partition and kinds of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Boolean, Column, Integer, Numeric

from etl.dialect import CalendarDay, UtcInstant
from etl.tables.base import metadata

PARTITION: Final = "partition"
"""Key of a table's `info`: the column that says in which partition of an export a row is."""
INTERNAL: Final = "internal"
"""Key of a table's `info`: it is about what this program does, and is not exported."""
_KINDS: Final = (
    (UtcInstant, "instant"),
    (CalendarDay, "day"),
    (Boolean, "bool"),
    (Integer, "int"),
    (Numeric, "number"),
)
_OF_VIEWS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("complete", "partial", "failed", "skipped", "unknown_codes"), "int"),
    **dict.fromkeys(("instances", "lines", "port", "unpriced", "weekday"), "int"),
    **dict.fromkeys(("not_before", "not_after", "until", "gap_from", "gap_to"), "instant"),
    **dict.fromkeys(("as_of", "running_since", "counted_from", "counted_to"), "instant"),
    "counted_from_day": "day",
    "mean_percent": "int",
    "timer_is_on": "bool",
}
"""Kinds of columns that only views have, if their ending does not say it."""
_ENDINGS: Final = (
    (("_s", "_microcny"), "int"),
    (("_yuan", "hours", "_percent", "_gb"), "number"),
    (("_at",), "instant"),
    (("_local",), "local"),
)


class Exported(NamedTuple):
    """A table or view. `cut` is the instant or day that says in which partition a row is (UTC for
    instants), `order` makes the order of rows one and the same, and `without` names columns that are
    left out."""

    name: str
    order: tuple[str, ...]
    cut: str | None = None
    without: tuple[str, ...] = ()


def exported() -> tuple[Exported, ...]:
    """Return all tables for other tools, each in the order of its key."""
    return tuple(
        Exported(
            table.name,
            # the folder already says the partition
            tuple(c.name for c in table.primary_key if c.name != table.info.get(PARTITION)),
            table.info.get(PARTITION),
        )
        for table in metadata.sorted_tables
        if INTERNAL not in table.info
    )


def kind(table: str, column: str) -> str:
    """Return the kind of a column (instant, local, day, bool, int, number or text): as the table says;
    in views by its name, as a table's column of that name does or by its ending.
    """
    own = metadata.tables.get(table)
    if own is not None:
        return _declared(own.c[column])
    # views have no types on SQLite
    if column in _OF_VIEWS:
        return _OF_VIEWS[column]
    # before tables: SQLite's tables keep flags as integers
    if column.startswith("is_"):
        # views that only others build on count with them
        return "int" if table.startswith("_") else "bool"
    for known in metadata.sorted_tables:
        if column in known.c:
            return _declared(known.c[column])
    # hours_min, gpu_hours_max
    stem = column.removesuffix("_min").removesuffix("_max")
    return next((kind for ends, kind in _ENDINGS if stem.endswith(ends)), "text")


def _declared(column: Column[object]) -> str:
    return next((kind for cls, kind in _KINDS if isinstance(column.type, cls)), "text")
