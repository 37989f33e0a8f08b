"""Writes docs/schema.md from the tables and views: `python -m tests.schema_doc > docs/schema.md`."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from etl import paths, tables
from etl.dialect import open_database
from etl.reports import parse_report
from etl.store import schema, views

SAID = ("allocation_rule", "price_override", "budget", "setting")
"""Tables of the user's words."""
_READ = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
HEAD = """# Tables and views

All instants are UTC, to the second: `timestamptz` on Postgres, text such as `2026-01-31T23:59:59Z` on
SQLite. Days are days of the reporting time zone (setting `timezone`). Read the views; the tables are
what they are made of. *Card-seconds* are seconds times the number of GPUs: rented time, not utilisation.
"""


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_views(), *_tables()])


@cache
def view_columns() -> dict[str, list[str]]:
    """The columns of each view, as a database has them."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/schema.db")
        schema.upgrade(database, "Asia/Shanghai", date(2026, 1, 1))
        with database.reading() as conn:
            found = {
                name: list(conn.exec_driver_sql(f"SELECT * FROM {name} LIMIT 0").keys())
                for name in views.view_names()
            }
        database.engine.dispose()
    return found


@cache
def view_meanings(name: str) -> Mapping[str, str]:
    """What each column of a view means: by its header, else as in the first of the tables and views
    that it reads which has a column of that name. What the user says has its own sense of one
    (`null: any`) and lends none."""
    view = parse_report(name, paths.VIEWS / f"{name}.sql")
    found = {column.name: column.about for column in view.columns.values()}
    for source in dict.fromkeys(_READ.findall(view.sql)):
        for column, about in _lent(source).items():
            found.setdefault(column, about)
    return found


def _lent(source: str) -> Mapping[str, str]:
    if source in views.view_names():
        return view_meanings(source)
    if source not in tables.metadata.tables or source in SAID:
        return {}
    return {each.name: each.comment or "" for each in tables.metadata.tables[source].columns}


def _views() -> Iterator[str]:
    for name, columns in sorted(view_columns().items()):
        view = parse_report(name, Path(paths.VIEWS / f"{name}.sql"))
        known = view_meanings(name)
        yield f"## View `{name}`\n\n{view.about}\n\n| column | meaning |\n|---|---|"
        yield "\n".join(f"| `{column}` | {known.get(column, '')} |" for column in columns) + "\n"


def _tables() -> Iterator[str]:
    for table in sorted(tables.metadata.tables.values(), key=lambda table: table.name):
        keys = ", ".join(f"`{column.name}`" for column in table.primary_key)
        yield f"## Table `{table.name}`\n\n{table.comment}. Key: {keys}.\n"
        yield "| column | SQLite | Postgres | null | meaning |\n|---|---|---|---|---|"
        yield "\n".join(_rows(table)) + "\n"


def _rows(table: Table) -> Iterator[str]:
    for column in table.columns:
        lite, post = (
            column.type.compile(dialect=each.dialect()).lower() for each in (sqlite, postgresql)
        )
        null = "yes" if column.nullable else ""
        yield f"| `{column.name}` | {lite} | {post} | {null} | {column.comment} |"


if __name__ == "__main__":
    sys.stdout.write(document())
