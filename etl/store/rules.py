"""Rules about instances, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, select

from etl import tables
from etl.dialect import Database
from etl.money.allocation import Lease, Rule, RuleBook, TagRule
from etl.money.matching import Condition

_TABLES: Final[tuple[tuple[Table, type[Any]], ...]] = (
    (tables.allocation_rule, Rule),
    (tables.tag_rule, TagRule),
    (tables.lease, Lease),
)
"""A table of each kind of rule: its columns are the fields, its key is the rank."""


def rule_book(conn: Connection) -> RuleBook:
    """Return all rules, each kind in the order in which it is tried."""
    return RuleBook(*(_kept(conn, table, kind) for table, kind in _TABLES))


def write_rules(database: Database, conn: Connection, book: RuleBook) -> None:
    """Replace all rules."""
    chosen: tuple[Sequence[Condition], ...] = (book.rules, book.tags, book.leases)
    for (table, kind), rules in zip(_TABLES, chosen, strict=True):
        # all at once: the number of a rule is its rank, so a change moves the others
        conn.execute(delete(table))
        names = _names(kind)
        database.insert(conn, table, names, [attrgetter(*names)(rule) for rule in rules])


def _kept(conn: Connection, table: Table, kind: type[Any]) -> list[Any]:
    names = _names(kind)
    asked = select(*(table.c[name] for name in names)).order_by(*table.primary_key)
    return [kind(**row._mapping) for row in conn.execute(asked)]


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
