"""Reports of the user's own: any SELECT, and nothing that writes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.dialect import Database, open_database
from etl.errors import SettingsError
from etl.simcloud import Story
from etl.store import views
from tests.commands import Command, filled, home, path, run
from tests.conftest import WORKER
from tests.support import apply, poll_story
from tests.support import rows as stored
from tests.test_cli_looking import fleet, see

__all__ = ["filled", "fleet", "home", "path", "run", "see"]


ANNOUNCED = """
import sys, sqlalchemy
from etl.cli import main
def say(conn, cursor, statement, *_):
    if "RECURSIVE" in statement:
        print("running", flush=True)
sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", say)
main(sys.argv[1:])
"""
"""The program, which says when it asks the database for what never ends."""


@pytest.fixture
def lab(database: Database) -> Database:
    cloud = Story()
    cloud.rents(title="a")
    cloud.rents(title="b")
    apply(database, poll_story(cloud))
    return database


def rows(database: Database, folder: Path, sql: str, **arguments: Any) -> list[list[Any]]:
    path = folder / "mine.sql"
    path.write_text(sql, encoding="utf-8")
    return [list(row) for row in reports.run(database, reports.load_own(path), arguments)[1]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT title FROM instance ORDER BY title",
        "-- My report.\n-- @column title {zh=名称} name\nSELECT title FROM instance_now ORDER BY 1;\n",
        "WITH t AS (SELECT title FROM instance) SELECT title FROM t ORDER BY 1",
        "SELECT title FROM instance -- not a :parameter\n WHERE ':from_day' <> ' :x' ORDER BY 1",
        "SELECT title FROM instance /* nor\n :this */ ORDER BY 1 ; ",
    ],
)
def test_any_select_runs(sql: str, lab: Database, tmp_path: Path) -> None:
    assert rows(lab, tmp_path, sql) == [["a"], ["b"]]


def test_parameters_need_no_declaration(lab: Database, tmp_path: Path) -> None:
    sql = "SELECT title FROM instance WHERE title = CAST(:which AS TEXT)"
    assert rows(lab, tmp_path, sql, which="b") == [["b"]]


def test_ctrl_c_ends_a_long_query(path: Path, tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS c FROM n"
    (tmp_path / "endless.sql").write_text(endless)
    words = ["--database", str(path), "report", "--file", str(tmp_path / "endless.sql")]
    process = subprocess.Popen(
        [sys.executable, "-c", ANNOUNCED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, b"interrupted\n")


def test_recursion_and_functions_may_be_used(lab: Database, tmp_path: Path) -> None:
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)"
        " SELECT SUM(ABS(i)) FROM n"
    )
    assert rows(lab, tmp_path, sql) == [[6]]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM instance_usage",
        "DELETE FROM instance_usage RETURNING usage_no",
        "INSERT INTO setting VALUES ('mine', 'x') RETURNING name",
        "UPDATE instance SET title = 'x'",
        "WITH d AS (DELETE FROM instance_usage RETURNING usage_no) SELECT * FROM d",
        "DROP VIEW instance_now",
        "CREATE TABLE mine (x INTEGER)",
        "CREATE TEMPORARY TABLE mine (x INTEGER)",
        "SELECT 1 AS x; DELETE FROM instance_usage",
        "COMMIT; DELETE FROM instance_usage",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "ATTACH DATABASE 'stolen.db' AS stolen",
        "VACUUM INTO 'stolen.db'",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT nextval(pg_get_serial_sequence('sync_run', 'sync_run_id'))",
        "SELECT * FROM instance FOR UPDATE",
        "COPY instance TO STDOUT",
        "SELECT load_extension('x')",
        "",
        "-- only a comment",
        "SELECT * FROM nowhere",
        "SELECT 1 AS x, 2 AS x",
    ],
)
def test_whatever_is_no_reading_is_refused_and_changes_nothing(
    sql: str, lab: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    everything = "SELECT * FROM instance_usage ORDER BY instance_uuid"
    before = stored(lab, everything), stored(lab, "SELECT * FROM setting ORDER BY name")
    with pytest.raises(SettingsError) as caught:
        rows(lab, tmp_path, sql)
    assert caught.value.message.startswith("mine: ")
    assert caught.value.advice
    assert "SELECT" in caught.value.advice
    assert (stored(lab, everything), stored(lab, "SELECT * FROM setting ORDER BY name")) == before
    assert not (tmp_path / "stolen.db").exists()
    cloud = Story()
    cloud.passes(minutes=5)
    apply(lab, poll_story(cloud))  # and the connection still writes for those who may


# what SQL of one's own may do on a server


@pytest.fixture
def on_postgres(lab: Database) -> Database:
    if lab.engine.name == "sqlite":
        pytest.skip("SQLite has neither roles nor functions that act")
    return lab


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT Pg_Cancel_Backend (1) AS x",
        'SELECT "pg_sleep"(1) AS x',
        "SELECT pg_sleep/* /* */ */(1) AS x",
        "SELECT pg_catalog . pg_advisory_lock(1) AS x",
        "SELECT 1 AS x LIMIT (SELECT 1 FROM pg_try_advisory_lock(7))",
        "SELECT pg_read_file('/etc/passwd') AS x",
        "SELECT lo_export(1, '/tmp/x') AS x",
        "SELECT lo_get(1) AS x",
        "SELECT set_config('role', 'none', true) AS x",
        "SELECT query_to_xml('SELECT 1', true, true, '') AS x",
        "SELECT ts_stat('SELECT 1') AS x",
        "SELECT pg_notify('a', 'b') AS x",
        "SELECT pg_logical_emit_message(false, 'a', 'b') AS x",
        "SELECT pg_export_snapshot() AS x",
        'SELECT U&"pg\\005fsleep"(1) AS x',
        "SELECT own_action() AS x",
    ],
)
def test_a_function_that_acts_is_out_of_reach(
    sql: str, on_postgres: Database, tmp_path: Path
) -> None:
    with on_postgres.writing() as conn:
        conn.exec_driver_sql(
            "CREATE FUNCTION own_action() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'"
        )
    with pytest.raises(SettingsError, match=r"may do more than read|by its code points"):
        rows(on_postgres, tmp_path, sql)


def test_functions_that_do_nothing_may_be_used(on_postgres: Database, tmp_path: Path) -> None:
    sql = (
        "SELECT count(*) AS n FROM instance TABLESAMPLE SYSTEM (100)"
        " WHERE random() < 2 AND clock_timestamp() > now() - INTERVAL '1 day' AND coalesce(title, '') > ''"
    )
    assert rows(on_postgres, tmp_path, sql) == [[2]]


def test_a_superuser_runs_no_report_of_ones_own(
    on_postgres: Database, postgres_url: str, tmp_path: Path
) -> None:
    with as_superuser(on_postgres, postgres_url) as root:
        with pytest.raises(SettingsError, match="postgres is a superuser") as caught:
            rows(root, tmp_path, "SELECT 1 AS x")
        assert "db readonly-user" in str(caught.value.advice)
        assert [list(row) for row in reports.run(root, reports.load_report("now"), {"now": 0})[1]]


@pytest.mark.parametrize("who", ["owner", "superuser"])
def test_a_report_runs_as_the_role_that_reads_the_views_alone(
    who: str, on_postgres: Database, postgres_url: str, tmp_path: Path
) -> None:
    grants = views.readonly_grants(on_postgres, f"reports{WORKER}")
    with as_superuser(on_postgres, postgres_url) as root:
        execute(root, *(line for line in grants if line and not line.startswith("--")))
        asked = on_postgres if who == "owner" else root
        try:
            assert rows(asked, tmp_path, "SELECT current_user AS me") == [[f"reports{WORKER}"]]
            assert len(rows(asked, tmp_path, "SELECT title FROM instance_now")) == 2
            with pytest.raises(SettingsError, match="permission denied") as caught:
                rows(asked, tmp_path, "SELECT title FROM instance")
            assert "docs/schema.md" in str(caught.value.advice)
            assert stored(on_postgres, "SELECT current_user") == [("etl",)], "it is over with it"
        finally:
            execute(root, f"DROP OWNED BY reports{WORKER}", f"DROP ROLE reports{WORKER}")


@contextmanager
def as_superuser(database: Database, server: str) -> Iterator[Database]:
    (name,) = stored(database, "SELECT current_database()")[0]
    root = open_database(server.replace("/postgres?", f"/{name}?").replace("+psycopg", ""))
    try:
        yield root
    finally:
        root.engine.dispose()


def execute(database: Database, *statements: str) -> None:
    with database.writing() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal(5), 5),
        (Decimal("-5"), -5),
        (Decimal("12.00"), 12.0),
        (Decimal("1E+2"), 100.0),
        (Decimal("-0.50"), -0.5),
        (datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8))), "2026-01-01T00:00:00Z"),
        (date(2026, 1, 1), "2026-01-01"),
        (memoryview(b"\x0a"), "0a"),
    ],
)
def test_a_value_is_plain(value: Any, said: Any) -> None:
    assert reports.plain(value) == said
    assert type(reports.plain(value)) is type(said)


def test_a_column_is_plain_whatever_is_in_it(database: Database, tmp_path: Path) -> None:
    if database.engine.name == "sqlite":
        pytest.skip("SQLite has plain values alone")
    sql = """
        SELECT 1.50 AS number, CAST('2026-01-01T00:00:00Z' AS TIMESTAMPTZ) AS at,
            CAST('2026-01-01' AS DATE) AS day, 'a' AS word
        UNION ALL
        SELECT NULL, NULL, NULL, NULL
        UNION ALL
        SELECT 2, CAST('2026-01-02T00:00:00Z' AS TIMESTAMPTZ), NULL, 'b'
    """
    assert rows(database, tmp_path, sql) == [
        [1.5, "2026-01-01T00:00:00Z", "2026-01-01", "a"],
        [None, None, None, None],
        [2, "2026-01-02T00:00:00Z", None, "b"],
    ]


def test_rows_left_unread_leave_the_connection_usable(lab: Database, tmp_path: Path) -> None:
    path = tmp_path / "mine.sql"
    path.write_text("SELECT title FROM instance ORDER BY title")
    _, found = reports.run(lab, reports.load_own(path), {})
    assert next(found) == ["a"]
    found.close()
    cloud = Story()
    cloud.passes(minutes=5)
    apply(lab, poll_story(cloud))


# the command


def test_a_file_runs_like_a_report(see: Command, home: Path) -> None:
    (home / "mine.sql").write_text(
        "-- Mine.\n-- @column n {zh=台数, int} how many\n"
        "SELECT COUNT(*) AS n, :from_day AS a, :to_day AS b, CAST(:x AS TEXT) AS x FROM instance_now\n"
        "WHERE :account IS NULL"
    )
    words = ("report", "--file", "mine.sql", "--from", "2026-01", "--set", "x=1")
    assert json.loads(see(*words, "--json").stdout) == [
        {"n": 2, "a": "2026-01-01", "b": "2026-01-31", "x": "1"}
    ]
    assert see(*words, "--format", "csv", "--lang", "zh").stdout.startswith("\ufeff台数,a,b,x\n")
    assert "2026-01-01 to 2026-01-31" in see(*words).stderr
    assert ":x has no value: add --set x=" in see("report", "--file", "mine.sql").stderr
    assert "column n: how many" in see("report", "--file", "mine.sql", "--help-report").stdout


def test_a_file_that_cannot_be_read_is_named(see: Command, home: Path) -> None:
    assert "none.sql cannot be read" in see("report", "--file", "none.sql").stderr
    (home / "bad.sql").write_bytes(b"SELECT '\xff'")
    assert "it is no UTF-8 text" in see("report", "--file", "bad.sql").stderr
    assert see("report", "now", "--file", "bad.sql").exit_code == 2
