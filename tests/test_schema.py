"""The database's shape on both databases: made, taken back, kept, and what it enforces."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from etl import paths, tables
from etl.app import App
from etl.dialect import Database, translated
from etl.errors import SchemaTooNew, SettingsError, StoreError
from etl.rebuild import differences
from etl.resources import BILLS, RECHARGES
from etl.settings import Settings
from etl.simcloud import Story
from etl.store import schema, views
from tests.conftest import TODAY, WORKER, ZONE, made_on
from tests.support import apply, columns, poll_story, rows
from tests.test_money_records import LINE, RECHARGE
from tests.test_money_store import T0, take

HEAD = schema.head()
_roles = itertools.count()


def execute(database: Database, *statements: str) -> None:
    with database.writing() as conn:
        for statement in statements:
            conn.execute(text(statement))


def shape(database: Database) -> dict[str, Any]:
    """Every table, column, key, constraint, index and view that there is."""
    with database.reading() as conn:
        look = inspect(conn)
        return {
            "views": sorted(look.get_view_names()),
            **{
                name: (
                    [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(name)],
                    look.get_pk_constraint(name),
                    sorted(map(str, look.get_foreign_keys(name))),
                    sorted(map(str, look.get_unique_constraints(name))),
                    sorted(map(str, look.get_check_constraints(name))),
                    sorted(str(i["name"]) for i in look.get_indexes(name)),
                )
                for name in sorted(look.get_table_names())
            },
        }


def fails(*_: object) -> None:
    raise StoreError("the disk is full")


def migrate(database: Database, target: str) -> None:
    with translated(database), database.writing() as conn:
        schema.migrate(database, conn, target)


# migrations


def test_down_to_nothing_and_up_again_is_the_same_shape(database: Database) -> None:
    before = shape(database)
    for target in reversed([schema.BASE, *schema.revisions()[:-1]]):
        migrate(database, target)
    assert list(shape(database)) == ["views", "alembic_version"]
    assert schema.upgrade(database, ZONE, TODAY)
    assert shape(database) == before


def test_every_single_step_goes_down_and_up(database: Database) -> None:
    migrate(database, schema.BASE)
    for below, above in itertools.pairwise([schema.BASE, *schema.revisions()]):
        migrate(database, above)
        there = shape(database)
        migrate(database, below)
        migrate(database, above)
        assert shape(database) == there


def test_migrations_never_import_the_program() -> None:
    for path in paths.MIGRATIONS.glob("versions/*.py"):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert {name.split(".")[0] for name in names} <= {
            *("__future__", "bisect", "collections", "datetime", "typing", "zoneinfo"),
            *("alembic", "sqlalchemy"),
        }


def test_a_way_back_says_what_it_drops_and_changes_nothing(database: Database) -> None:
    cloud = Story()
    cloud.rents(uuid="a")
    apply(database, poll_story(cloud))
    before = shape(database)
    losses = schema.downgrade_losses(database, schema.BASE)
    assert "table instance with 1 rows" in losses
    assert "table bill with 0 rows" in losses
    assert len(losses) == len(tables.metadata.tables)
    assert shape(database) == before
    assert not schema.upgrade(database, ZONE, TODAY)


def test_a_way_back_says_which_columns_it_drops(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Story()
    cloud.rents(uuid="a")
    apply(database, poll_story(cloud))

    def drops(_database: Database, conn: Connection, _target: str) -> None:
        views.drop_views(database, conn)
        conn.execute(text("ALTER TABLE instance DROP COLUMN server_map"))

    monkeypatch.setattr(schema, "migrate", drops)
    losses = schema.downgrade_losses(database, schema.BASE)
    assert losses == ["column instance.server_map with 1 values"]


def test_the_next_poll_reads_anew_what_a_way_back_forgot(database: Database) -> None:
    """A listing of equal bytes would be passed over: a recharge that was not paid would stay money."""
    take(database, RECHARGES, {**RECHARGE, "pay_time": 0}, at=T0)
    take(database, BILLS, LINE, at=T0)
    digests = "SELECT resource, digest FROM sync_run ORDER BY resource"
    assert rows(database, digests) == [("bills", "d"), ("recharges", "d")]
    migrate(database, "0006")
    schema.upgrade(database, ZONE, TODAY)
    assert rows(database, digests) == [("bills", "d"), ("recharges", None)]
    take(database, RECHARGES, {**RECHARGE, "pay_time": 0}, at=T0 + 60)
    assert rows(database, "SELECT is_paid FROM recharge") == [(0,)]


def test_the_sum_of_all_migrations_is_the_tables(database: Database) -> None:
    with database.reading() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "target_metadata": tables.metadata}
        )
        assert compare_metadata(context, tables.metadata) == []
        checks = {
            (name, c["name"])
            for name in tables.metadata.tables
            for c in inspect(conn).get_check_constraints(name)
        }
    declared = {
        (table.name, f"{constraint.name}")
        for table in tables.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert {(t, n.removeprefix(f"ck_{t}_")) for t, n in checks if n} == {
        (t, n.removeprefix(f"ck_{t}_")) for t, n in declared
    }


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    assert not schema.upgrade(database, ZONE, TODAY)


def test_a_revision_that_does_not_exist_is_refused(database: Database) -> None:
    with pytest.raises(SettingsError, match="no revision '9999'") as caught:
        migrate(database, "9999")
    assert HEAD in str(caught.value.advice)


def test_codes_are_known_from_the_start_in_both_languages(database: Database) -> None:
    found = rows(database, "SELECT name_zh FROM instance_status WHERE state = 'running'")
    assert found == [("运行中",)]


def look_at(database: Database) -> None:
    with database.reading() as conn:
        schema.require(conn)


@pytest.mark.parametrize(
    "enter",
    [lambda d: schema.upgrade(d, ZONE, TODAY), lambda d: migrate(d, HEAD), look_at],
    ids=["upgrade", "migrate", "read"],
)
def test_a_database_newer_than_the_program_is_refused_untouched(
    enter: Callable[[Database], object], database: Database
) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '9001'", "DROP VIEW instance_event")
    before = shape(database)
    with pytest.raises(SchemaTooNew, match="9001") as caught:
        enter(database)
    assert caught.value.exit_code == 6
    assert "upgrade chenyu-etl" in str(caught.value.advice)
    assert shape(database) == before


def test_an_older_database_is_not_read(database: Database) -> None:
    migrate(database, schema.BASE)
    with database.reading() as conn, pytest.raises(StoreError) as caught:
        schema.require(conn)
    assert "db upgrade" in str(caught.value.advice)


def test_a_failed_upgrade_leaves_all_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database, schema.BASE)
    before = shape(database)
    monkeypatch.setattr(schema, "_extend_calendar", fails)
    with pytest.raises(StoreError, match="disk is full"):
        schema.upgrade(database, ZONE, TODAY)
    assert shape(database) == before


def test_what_an_upgrade_leaves_underived_is_made_in_its_transaction(
    golden_copy: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed after the upgrade must leave no report without costs."""
    migrate(golden_copy, "0001")
    before = shape(golden_copy)
    app = App(Settings(database_url=str(golden_copy.engine.url), timezone=ZONE))
    app.database = golden_copy
    monkeypatch.setattr("etl.rebuild.rebuild_all", fails)
    with pytest.raises(StoreError, match="disk is full"):
        app.prepare()
    assert shape(golden_copy) == before
    monkeypatch.undo()
    assert app.prepare() is schema.Upgrade.UPGRADED
    assert list(differences(golden_copy)) == []
    assert app.prepare() is schema.Upgrade.NONE


def test_a_way_back_goes_step_by_step_and_never_forwards(database: Database) -> None:
    schema.downgrade(database, "0008")
    schema.downgrade(database, "0008")
    schema.downgrade(database, "0006")
    for forwards in (schema.downgrade, schema.downgrade_losses):
        with pytest.raises(
            SettingsError, match="revision 0006, which is older than 0008"
        ) as caught:
            forwards(database, "0008")
        assert "db upgrade" in str(caught.value.advice)
    assert schema.downgrade_losses(database, "0006") == []
    assert schema.upgrade(database, ZONE, TODAY)


# other programs' databases


@pytest.fixture
def foreign(fresh_database: Callable[[], Database]) -> Database:
    """A database with tables of another program alone."""
    database = fresh_database()
    migrate(database, schema.BASE)
    execute(database, "DROP TABLE alembic_version", "CREATE TABLE users (name TEXT)")
    return database


@pytest.mark.parametrize("version", [None, "ae1027a6acf", HEAD])
@pytest.mark.parametrize("enter", [lambda d: schema.upgrade(d, ZONE, TODAY), look_at])
def test_a_database_of_another_program_is_refused_untouched(
    enter: Callable[[Database], object], version: str | None, foreign: Database
) -> None:
    if version:
        execute(
            foreign,
            "CREATE TABLE alembic_version (version_num TEXT)",
            f"INSERT INTO alembic_version VALUES ('{version}')",
        )
    before = shape(foreign)
    with pytest.raises(SettingsError, match="holds something else: users") as caught:
        enter(foreign)
    assert "name a new file" in str(caught.value.advice) or "search_path" in str(
        caught.value.advice
    )
    assert shape(foreign) == before


def test_tables_beside_ours_disturb_nobody(database: Database) -> None:
    execute(database, "CREATE TABLE users (name TEXT)")
    assert not schema.upgrade(database, ZONE, TODAY)
    look_at(database)


def test_what_tools_put_into_every_database_is_no_other_program(foreign: Database) -> None:
    execute(foreign, "DROP TABLE users", "CREATE TABLE _litestream_seq (id INTEGER)")
    assert schema.upgrade(foreign, ZONE, TODAY)


# time zone and calendar


def test_the_time_zone_is_fixed_when_the_database_is_made(database: Database) -> None:
    with pytest.raises(SettingsError) as caught:
        schema.upgrade(database, "Europe/Berlin", TODAY)
    assert ZONE in caught.value.message
    assert "rebuild --timezone Europe/Berlin" in str(caught.value.advice)
    with database.reading() as conn:
        assert schema.stored_timezone(conn) == ZONE


def test_another_time_zone_is_refused_before_anything_is_migrated(database: Database) -> None:
    execute(database, "UPDATE setting SET value = 'old' WHERE name = 'views'")
    with pytest.raises(SettingsError):
        schema.upgrade(database, "UTC", TODAY)
    assert rows(database, "SELECT value FROM setting WHERE name = 'views'") == [("old",)]


def test_databases_of_tests_are_dropped_after_use(
    postgres_url: str, postgres_template: str
) -> None:
    with made_on(postgres_url, postgres_template) as make:
        held = create_engine(make().replace("postgresql:", "postgresql+psycopg:"))
        name = held.connect().execute(text("SELECT current_database()")).scalar_one()
    held.dispose()
    server = create_engine(postgres_url)
    with server.connect() as conn:
        assert name not in conn.scalars(text("SELECT datname FROM pg_database")).all()
    server.dispose()


def test_the_calendar_reaches_from_2015_two_years_ahead_without_a_gap(database: Database) -> None:
    days = columns(database, "SELECT * FROM calendar_day ORDER BY day")
    assert (days[0]["day"], days[-1]["day"]) == ("2015-01-01", f"{TODAY.year + 2}-12-31")
    assert all(a["ends_s"] == b["starts_s"] for a, b in itertools.pairwise(days))
    assert (days[0]["week"], days[0]["month"]) == ("2015-W01", "2015-01")
    (new_year,) = [day for day in days if day["day"] == "2021-01-03"]
    assert new_year["week"] == "2020-W53"


def test_the_calendar_is_extended_when_less_than_a_year_is_left(database: Database) -> None:
    last = date(TODAY.year + 2, 12, 31)
    assert not schema.upgrade(database, ZONE, last - timedelta(days=365))
    assert schema.upgrade(database, ZONE, last - timedelta(days=364))
    days = columns(database, "SELECT * FROM calendar_day ORDER BY day")
    assert days[-1]["day"] == f"{TODAY.year + 4}-12-31"
    assert all(a["ends_s"] == b["starts_s"] for a, b in itertools.pairwise(days))


# what the databases enforce


VERSION = (
    "INSERT INTO instance_history (account_id, instance_uuid, version, status, first_seen_at,"
    " began_by) VALUES (1, '{uuid}', {version}, 2, '2026-01-01T00:00:00Z', 'first_seen')"
)
STRETCH = (
    "INSERT INTO instance_usage (account_id, instance_uuid, usage_no, kind, started_at, ended_min,"
    " ended_at, ended_max, evidence) VALUES (1, 'a', {no}, '{kind}', {ends}, 'observed')"
)


def stretch(*instants: int | None, no: int = 90, kind: str = "running") -> str:
    ends = (f"'2026-01-01T00:00:0{i}Z'" if i is not None else "NULL" for i in instants)
    return STRETCH.format(no=no, kind=kind, ends=", ".join(ends))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(VERSION.format(uuid="a", version=2), id="a second current version"),
        pytest.param(VERSION.format(uuid="x", version=1), id="a version without its instance"),
        pytest.param(stretch(1, None, None, None), id="a second open running stretch"),
        pytest.param(stretch(3, 2, 4, 5), id="started after the sure end"),
        pytest.param(stretch(1, 4, 3, 5), id="a sure end after the estimate"),
        pytest.param(stretch(1, 2, 5, 4), id="an estimate after the latest end"),
        pytest.param(stretch(1, 2, None, None), id="half an end"),
        pytest.param(stretch(1, 2, 3, 4, kind="idle"), id="an unknown kind"),
        pytest.param(stretch(1, 2, 3, 4, no=1), id="the same stretch twice"),
        pytest.param("DELETE FROM instance", id="an instance with versions is deleted"),
        pytest.param("DELETE FROM account", id="an account with instances is deleted"),
        pytest.param(
            "INSERT INTO account (account_id, name) VALUES (2, 'lab')", id="an account's name twice"
        ),
        pytest.param("UPDATE sync_run SET outcome = 'fine'", id="an unknown outcome"),
        pytest.param(
            "UPDATE instance SET missing_since = '2026-01-01T00:00:08Z',"
            " gone_at = '2026-01-01T00:00:09Z'",
            id="gone since another moment than missing",
        ),
        pytest.param(
            "UPDATE instance_history SET ended_by = 'changed'", id="a version ended at no time"
        ),
        pytest.param(
            "UPDATE instance_status SET state = 'asleep' WHERE status = 2", id="an unknown state"
        ),
        pytest.param("UPDATE charging_type SET unit = 'decade'", id="an unknown unit"),
    ],
)
def test_the_database_refuses(statement: str, database: Database) -> None:
    cloud = Story()
    cloud.rents(uuid="a")
    apply(database, poll_story(cloud))
    with pytest.raises(IntegrityError), database.writing() as conn:
        conn.execute(text(statement))


def test_what_the_database_takes(database: Database) -> None:
    cloud = Story()
    cloud.rents(uuid="a")
    apply(database, poll_story(cloud))
    execute(
        database,
        stretch(1, 1, 1, 1, no=2),
        stretch(1, 2, 3, 4, no=3),
        stretch(1, None, None, None, no=4, kind="held"),
    )
    assert rows(database, "SELECT usage_no FROM instance_usage WHERE usage_no > 1 ORDER BY 1") == [
        (2,),
        (3,),
        (4,),
    ]


def test_a_read_only_user_reads_the_views_and_nothing_else(database: Database) -> None:
    name = f"bi {next(_roles)}{WORKER}"
    grants = views.readonly_grants(database, name)
    if database.engine.dialect.name == "sqlite":
        assert grants == [f"-- no users here: open it as file:{database.location}?mode=ro"]
        return
    execute(database, *(line for line in grants if line and not line.startswith("--")))
    try:
        with database.writing() as conn:
            conn.execute(text(f'SET LOCAL ROLE "{name}"'))
            for view in views.view_names():
                conn.execute(text(f"SELECT * FROM {view} LIMIT 1"))
            with pytest.raises(DBAPIError, match="permission denied"):
                conn.execute(text("SELECT * FROM instance"))
    finally:
        execute(database, f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')
