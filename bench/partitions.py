"""Tables of days partitioned by month on Postgres, and block ranges instead of trees: what `docs/scale.md` says.

`bench.grown --postgres --partitions` calls it on a database of years.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import Connection

from etl.dialect import Database
from etl.store import views

BY_DAY = ("usage_day", "usage_cost", "running_sum", "cost_sum", "bill_day")
"""Tables whose key has the day in it: a partitioned key must."""
IN_ORDER = {
    "ix_instance_history_first_seen_at_instance_uuid_account_id": (
        "instance_history",
        "first_seen_at",
    ),
    "ix_instance_usage_started_at": ("instance_usage", "started_at"),
    "ix_instance_usage_ended_max": ("instance_usage", "ended_max"),
}
"""Indexes on what grows as rows are written."""


def partition(database: Database) -> None:
    """Partition by month; the views are dropped first and made again, with their grants lost."""
    with database.writing() as conn:
        views.drop_views(database, conn)
        # a table that others refer to comes before them, and is taken apart after them
        for name in BY_DAY:
            for statement in _statements(conn, name):
                conn.exec_driver_sql(statement)
        views.create_views(database, conn)


def use_block_ranges(database: Database) -> None:
    """Replace trees on times by block ranges."""
    with database.writing() as conn:
        for index, (table, column) in IN_ORDER.items():
            conn.exec_driver_sql(f"DROP INDEX {index}")
            conn.exec_driver_sql(
                f"CREATE INDEX {index} ON {table} USING brin ({column}) WITH (pages_per_range = 32)"
            )


def _statements(conn: Connection, name: str) -> Iterator[str]:
    first, last = conn.exec_driver_sql(f"SELECT MIN(day), MAX(day) FROM {name}").one()
    keys = conn.exec_driver_sql(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid = '{name}'::regclass AND contype = 'f'"
    ).all()
    yield f"ALTER TABLE {name} RENAME TO {name}_whole"
    yield f"CREATE TABLE {name} (LIKE {name}_whole INCLUDING ALL) PARTITION BY RANGE (day)"
    yield f"CREATE TABLE {name}_later PARTITION OF {name} DEFAULT"
    for begins, ends in _months(first, last) if first else ():
        yield (
            f"CREATE TABLE {name}_{begins:%Y_%m} PARTITION OF {name}"
            f" FOR VALUES FROM ('{begins}') TO ('{ends}')"
        )
    yield f"INSERT INTO {name} SELECT * FROM {name}_whole"
    for constraint, definition in keys:
        yield f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition}"
    yield f"DROP TABLE {name}_whole"


def _months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Months from the first day's to one after the last day's."""
    begins = first.replace(day=1)
    while begins <= last.replace(day=1) + timedelta(days=32):
        ends = (begins + timedelta(days=32)).replace(day=1)
        yield begins, ends
        begins = ends
