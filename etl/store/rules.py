"""Rules of who pays, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Final

from sqlalchemy import Connection, delete, select

from etl import tables
from etl.dialect import Database
from etl.money.allocation import Rule

_RULE_COLUMNS: Final = tuple(f.name for f in fields(Rule))


def allocation_rules(conn: Connection) -> list[Rule]:
    """Return the rules in the order in which they are tried."""
    c = tables.allocation_rule.c
    asked = select(*(c[name] for name in _RULE_COLUMNS)).order_by(c.rule_no)
    return [Rule(*row) for row in conn.execute(asked)]


def write_rules(database: Database, conn: Connection, chosen: Sequence[Rule]) -> None:
    """Replace all rules."""
    # all at once: the number of a rule is its rank, so a change moves the others
    conn.execute(delete(tables.allocation_rule))
    database.insert(conn, tables.allocation_rule, _RULE_COLUMNS, [astuple(rule) for rule in chosen])
