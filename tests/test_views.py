"""Views: made anew when their text changes, and what of others hangs on them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect

from etl import paths
from etl.dialect import Database
from etl.errors import StoreError
from etl.simcloud import Story
from etl.store import schema, views
from tests.conftest import TODAY, WORKER, ZONE
from tests.support import apply, poll_story, rows
from tests.test_schema import execute, shape

_roles = itertools.count()


@pytest.fixture
def own_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the view files to change."""
    folder = tmp_path / "views"
    shutil.copytree(paths.VIEWS, folder)
    monkeypatch.setattr(paths, "VIEWS", folder)
    return folder


MOVED = {
    "instance_now": (
        "        i.instance_uuid,\n        i.title,",
        "        i.title,\n        i.instance_uuid,",
    ),
    "run_span": ("    u.account,\n    u.instance_uuid,", "    u.instance_uuid,\n    u.account,"),
}
"""Of a view two columns, and the same in another order: what no view can be replaced with."""


def rewrite(path: Path, old: str, new: str) -> None:
    said = path.read_text()
    assert old in said
    path.write_text(said.replace(old, new))


def view_columns(database: Database, name: str) -> list[str]:
    with database.reading() as conn:
        return [column["name"] for column in inspect(conn).get_columns(name)]


def test_a_view_whose_text_changes_is_replaced_in_place(
    database: Database, own_views: Path
) -> None:
    rewrite(own_views / "sync_gap.sql", "WHERE is_gap(g.gap_s, u.usual_s)", "WHERE g.gap_s > 60")
    execute(database, "CREATE VIEW mine AS SELECT gap_s FROM sync_gap")
    assert schema.upgrade(database, ZONE, TODAY)
    cloud = Story()
    for _ in range(2):
        apply(database, poll_story(cloud))
        cloud.passes(minutes=5)
    assert rows(database, "SELECT gap_s FROM mine") == [(299,)]
    assert not schema.upgrade(database, ZONE, TODAY)


def test_a_view_that_others_of_ours_build_on_can_change_its_columns(
    database: Database, own_views: Path
) -> None:
    rewrite(own_views / "run_span.sql", *MOVED["run_span"])
    before = view_columns(database, "run_span")
    assert schema.upgrade(database, ZONE, TODAY)
    assert sorted(view_columns(database, "run_span")) == sorted(before)
    assert view_columns(database, "run_span") != before
    assert rows(database, "SELECT * FROM run_cost") == []


@pytest.fixture
def reader(database: Database) -> Iterator[str]:
    """A Postgres role with an odd name that may read some views."""
    if database.engine.name != "postgresql":
        pytest.skip("SQLite knows no grants")
    name = f'"BI reader {next(_roles)}{WORKER}"'
    # before 16 whoever makes a role is no member of it, and may not drop what it owns
    execute(database, f"CREATE ROLE {name}", f"GRANT {name} TO CURRENT_USER")
    for view in ("instance_now", "run_span", "run_cost"):
        execute(database, f"GRANT SELECT ON {view} TO {name}")
    execute(database, "GRANT SELECT ON sync_gap TO PUBLIC")
    yield name
    execute(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


GRANTS = """SELECT table_name, grantee, privilege_type FROM information_schema.table_privileges
    WHERE table_schema = 'public' AND grantee <> current_user ORDER BY 1, 2, 3"""


@pytest.mark.parametrize("view", MOVED)
def test_views_made_anew_keep_their_grants(
    view: str, database: Database, reader: str, own_views: Path
) -> None:
    before = rows(database, GRANTS)
    assert len(before) == 4
    rewrite(own_views / f"{view}.sql", *MOVED[view])
    assert schema.upgrade(database, ZONE, TODAY)
    assert rows(database, GRANTS) == before


def test_a_migration_keeps_the_grants_too(database: Database, reader: str) -> None:
    before = rows(database, GRANTS)
    execute(database, "UPDATE alembic_version SET version_num = '0000'")  # as if HEAD were news
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda *_: None)
        assert schema.upgrade(database, ZONE, TODAY)
    assert rows(database, GRANTS) == before


@pytest.mark.parametrize("view", MOVED)
def test_a_users_own_view_is_named_and_kept(view: str, database: Database, own_views: Path) -> None:
    if database.engine.name != "postgresql":
        pytest.skip("on SQLite a view does not hold another")
    execute(database, f"CREATE VIEW bosses_own AS SELECT instance_uuid FROM {view}")
    before = shape(database)
    rewrite(own_views / f"{view}.sql", *MOVED[view])
    with pytest.raises(StoreError, match="bosses_own") as caught:
        schema.upgrade(database, ZONE, TODAY)
    assert "drop it, upgrade, create it again" in str(caught.value.advice)
    assert shape(database) == before


def test_a_users_own_view_lives_on_on_sqlite(database: Database, own_views: Path) -> None:
    if database.engine.name != "sqlite":
        pytest.skip("on Postgres a view holds another")
    execute(database, "CREATE VIEW mine AS SELECT instance_uuid FROM instance_now")
    rewrite(own_views / "instance_now.sql", *MOVED["instance_now"])
    schema.upgrade(database, ZONE, TODAY)
    assert rows(database, "SELECT * FROM mine") == []


def test_views_go_whatever_those_of_another_version_built_on(
    database: Database, own_views: Path
) -> None:
    first, *_, last = views.view_names()
    sql = f"SELECT *, (SELECT COUNT(*) FROM {last}) AS n FROM ({(own_views / f'{first}.sql').read_text()}) x"
    with database.writing() as conn:
        database.create_view(conn, first, sql)
    with database.writing() as conn:
        schema.migrate(database, conn, schema.BASE)
    assert shape(database)["views"] == []


def test_a_view_that_is_no_longer_ours_goes(database: Database, own_views: Path) -> None:
    (own_views / "recharge_daily.sql").rename(own_views / "recharge_by_day.sql")
    assert schema.upgrade(database, ZONE, TODAY)
    assert shape(database)["views"] == sorted(views.view_names())
    assert "recharge_daily" not in views.view_names()


def test_every_view_can_be_read_when_nothing_is_synced(database: Database) -> None:
    always_have_rows = {
        "local_day",
        "_day_bounds",
        "_charging_model",
        "_charging_unit",
        "_asked_until",
    }
    for name in set(views.view_names()) - always_have_rows:
        assert rows(database, f"SELECT * FROM {name}") == []
