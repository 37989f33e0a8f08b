"""Databases made before the first migration was frozen: taken over with all that they hold, or refused.

`fixtures/earlier` holds the shape of the last of them in the SQL of either database, and rows of a
fleet of six instances over three days, with bill, prices, rules, a closed month and an alert.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from etl import rebuild, tables
from etl.dialect import Database
from etl.errors import SchemaTooNew, StoreError
from etl.history.days import Zone
from etl.store import earlier, schema, views
from tests.conftest import TODAY, ZONE, FreshDatabase
from tests.support import rows
from tests.test_schema import execute, look_at, migrate, shape

FOLDER = Path(__file__).parent / "fixtures" / "earlier"
SERIALS = ("account.account_id", "sync_run.sync_run_id", "alert_delivery.delivery_id")
FACTS = (
    *("instance", "instance_history", "bill", "balance", "card", "gpu_price", "recharge"),
    *("sync_run", "rejected_record", "price_override", "allocation_rule", "budget"),
    *("closed_month", "closed_cost", "alert", "alert_delivery"),
)


def statements(name: str) -> list[str]:
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return [statement for statement in text.split(";\n") if statement]


@pytest.fixture
def old(fresh_database: FreshDatabase) -> Database:
    """A lively database of the last earlier revision, with views."""
    database = fresh_database()
    migrate(database, schema.BASE)
    with database.writing() as conn:
        conn.exec_driver_sql("DROP TABLE alembic_version")
        for statement in [
            *statements("sqlite" if conn.dialect.name == "sqlite" else "postgres"),
            *statements("rows"),
            *(
                f"CREATE VIEW {name} AS SELECT title FROM instance"
                for name in earlier.VIEWS.split()
            ),
            "INSERT INTO setting (name, value) VALUES ('views', 'a digest')",
        ]:
            conn.exec_driver_sql(statement)
        if conn.dialect.name == "postgresql":
            for table, column in (serial.split(".") for serial in SERIALS):
                conn.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                    f" (SELECT MAX({column}) FROM {table}))"
                )
        _write_calendar(conn)
    return database


def _write_calendar(conn: Connection) -> None:
    """Write the days as the earlier program did, which knew nothing of shifted clocks."""
    zone, years = Zone(ZONE), schema.YEARS_AHEAD
    last = TODAY.replace(month=12, day=31, year=TODAY.year + years)
    days = [schema._calendar_row(day, zone) for day in zone.calendar(schema.FIRST_DAY, last)]
    columns = [name for name in days[0] if name != "shift_s"]
    values = ", ".join(f":{name}" for name in columns)
    conn.execute(
        text(f"INSERT INTO calendar_day ({', '.join(columns)}) VALUES ({values})"),
        [{name: day[name] for name in columns} for day in days],
    )


def contents(database: Database, *names: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of tables, of all that the database holds if none is named."""
    there = [name for name in shape(database) if name in (names or tables.metadata.tables)]
    return {name: sorted(rows(database, f"SELECT * FROM {name}"), key=str) for name in there}


def test_the_frozen_shape_is_that_of_the_last_earlier_revision(
    old: Database, fresh_database: FreshDatabase
) -> None:
    new = fresh_database()
    migrate(new, earlier.FIRST)
    expected = shape(new)
    migrate(old, earlier.FIRST)
    assert {**shape(old), "views": []} == expected


def test_a_database_is_taken_over_with_every_row(old: Database) -> None:
    before = contents(old)
    assert min(len(before[name]) for name in FACTS) > 0
    migrate(old, earlier.FIRST)
    after = contents(old)
    settings = dict(after.pop("setting"))
    assert (settings["timezone"], settings["baseline"]) == (ZONE, earlier.FIRST)
    del before["setting"]
    assert after == before
    assert rows(old, "SELECT version_num FROM alembic_version") == [(earlier.FIRST,)]


def test_a_database_is_taken_over_by_an_upgrade_and_is_then_like_any_other(old: Database) -> None:
    facts = {name: rows(old, f"SELECT COUNT(*) FROM {name}") for name in FACTS}
    with pytest.raises(StoreError, match="earlier version") as caught:
        look_at(old)
    assert "db upgrade" in str(caught.value.advice)
    assert schema.upgrade(old, ZONE, TODAY)
    assert not schema.upgrade(old, ZONE, TODAY)
    look_at(old)
    assert {name: rows(old, f"SELECT COUNT(*) FROM {name}") for name in FACTS} == facts
    assert shape(old)["views"] == sorted(views.view_names())


def test_an_upgrade_makes_anew_what_was_derived_by_other_rules(old: Database) -> None:
    schema.upgrade(old, ZONE, TODAY)
    assert rebuild.renew(old)
    assert not rebuild.renew(old)
    assert list(rebuild.differences(old)) == []


def test_a_way_back_and_forth_leaves_nothing_stale(old: Database) -> None:
    schema.upgrade(old, ZONE, TODAY)
    rebuild.renew(old)
    report = "SELECT * FROM cost_daily ORDER BY account, day, instance_uuid"
    before = rows(old, report)
    assert before
    migrate(old, earlier.FIRST)
    execute(old, "DELETE FROM usage_cost")  # as a migration that makes a table anew leaves it
    schema.upgrade(old, ZONE, TODAY)
    assert rebuild.renew(old)
    assert rows(old, report) == before


@pytest.mark.parametrize("at", ["0001", "0004", "0006"])
def test_an_older_database_is_sent_to_the_program_that_made_it(at: str, old: Database) -> None:
    execute(old, f"UPDATE alembic_version SET version_num = '{at}'")
    before = contents(old)
    for enter in (look_at, lambda d: schema.upgrade(d, ZONE, TODAY)):
        with pytest.raises(StoreError, match=f"revision {at}") as caught:
            enter(old)
        assert earlier.LAST_COMMIT in str(caught.value.advice)
    assert contents(old) == before


def test_a_revision_without_its_tables_is_not_taken_over(old: Database) -> None:
    execute(old, "DROP VIEW cost_line", "DROP TABLE cost_sum")
    with pytest.raises(StoreError, match="revision 0007"):
        schema.upgrade(old, ZONE, TODAY)


def test_a_revision_that_no_earlier_program_had_is_refused(old: Database) -> None:
    execute(old, "UPDATE alembic_version SET version_num = '0008'")
    with pytest.raises(SchemaTooNew, match="0008"):
        schema.upgrade(old, ZONE, TODAY)
