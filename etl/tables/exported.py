"""Tables for other tools, with their order, partition and kinds of columns."""

from __future__ import annotations

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


class Exported(NamedTuple):
    """A table or view. `cut` is the instant or day that says in which partition a row is (UTC for
    instants), `order` makes the order of rows one and the same."""

    name: str
    order: tuple[str, ...]
    cut: str | None = None


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
    """Return the kind of a column (instant, day, bool, int, number or text): as the table says, in
    views as a table's column of that name does, or by the ending of its name.
    """
    own = metadata.tables.get(table)
    for known in [own] if own is not None else metadata.sorted_tables:
        if column in known.c:
            return _declared(known.c[column])
    # views have no types on SQLite: our endings say what a column is
    if column.endswith(("_s", "_microcny")) or column.startswith("is_"):
        return "int"
    if "hours" in column or column.endswith("_yuan"):
        return "number"
    return "instant" if column.endswith("_at") else "text"


def _declared(column: Column[object]) -> str:
    return next((kind for cls, kind in _KINDS if isinstance(column.type, cls)), "text")
