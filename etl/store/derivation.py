"""Fingerprint of the rules by which derived rows in a database were made."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from etl import tables

SETTING: Final = "derived"
"""Name of the setting that keeps the fingerprint of the rules that made what is derived."""
# by name: a poll that changes nothing loads few of them
RULES: Final = {
    "history": ("codes", "days", "ends", "lengths", "starts", "stretches", "usage"),
    "money": ("allocation", "charging", "formulas", "matching", "periods", "tags", "tariffs"),
    "money/billing": ("past", "stops"),
    "store": (
        *("allocations", "costs", "past_usage", "price_periods", "rollups", "rows", "rules"),
        *("settling", "settling_sql", "state_lengths"),
    ),
}
"""The modules that say what follows from versions, prices and rules, by their folder."""
_PACKAGE: Final = Path(__file__).parents[1]


@cache
def rules_fingerprint() -> str:
    """Return a digest of the rules' source text, so that no version number must be raised by
    hand.
    """
    digest = hashlib.sha256()
    # also if only a comment changed: a rebuild in vain is cheaper than a wrong figure
    for folder, modules in RULES.items():
        for name in modules:
            digest.update((_PACKAGE / folder / f"{name}.py").read_bytes())
    return digest.hexdigest()[:32]


def is_current(conn: Connection) -> bool:
    """Tell whether all derived rows were made by today's rules, with no migration since."""
    c = tables.setting.c
    # a migration deletes the row: no value is no fingerprint
    return conn.scalar(select(c.value).where(c.name == SETTING)) == rules_fingerprint()


def mark(conn: Connection) -> None:
    """Record that all derived rows were just made by today's rules."""
    forget(conn)
    conn.execute(insert(tables.setting).values(name=SETTING, value=rules_fingerprint()))


def forget(conn: Connection) -> None:
    """Record that all derived rows must be made again."""
    conn.execute(delete(tables.setting).where(tables.setting.c.name == SETTING))
