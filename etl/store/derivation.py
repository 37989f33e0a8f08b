"""Whether what is derived in a database was derived by today's rules."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from etl import tables
from etl.history import codes, days, usage
from etl.money import allocation, charging, formulas, pricing
from etl.store import allocations, costs, prices, rollups, rows, rules

SETTING: Final = "derived"
"""Name of the setting that keeps the fingerprint of the rules that made what is derived."""
RULES: Final = (
    *(codes, days, usage, allocation, charging, formulas, pricing),
    *(allocations, costs, prices, rollups, rows, rules),
)
"""The modules that say what follows from versions, prices and rules."""


@cache
def fingerprint() -> str:
    """A digest of the text of the rules: nobody has to think of a number that must be raised."""
    digest = hashlib.sha256()
    for module in RULES:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:32]


def is_current(conn: Connection) -> bool:
    """Whether all that is derived was made by today's rules, and no migration came after it."""
    c = tables.setting.c
    return conn.scalar(select(c.value).where(c.name == SETTING)) == fingerprint()


def mark(conn: Connection) -> None:
    """Note that all that is derived was just made by today's rules."""
    forget(conn)
    conn.execute(insert(tables.setting).values(name=SETTING, value=fingerprint()))


def forget(conn: Connection) -> None:
    """Note that what is derived must be made anew."""
    conn.execute(delete(tables.setting).where(tables.setting.c.name == SETTING))
