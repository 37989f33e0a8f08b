"""The address of a database: a path, a URL, or refused before a new history begins by mistake."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from etl import paths
from etl.address import read_address
from etl.dialect import open_database
from etl.errors import SettingsError
from etl.simcloud import Server
from etl.store import schema
from tests.commands import Command, cloud, home, run, server
from tests.conftest import TODAY, ZONE

__all__ = ["cloud", "home", "run", "server"]

ODD = "a b%20c?d#e'é数"
"""A name of signs that mean something in URLs, printf or shells, and nothing in a path."""


@pytest.mark.parametrize(
    "value",
    [
        "/x/y.db",
        " /x/y.db",
        "/x/y.db\n",
        "/x/y.db\r\n",
        "/x/y.db \t",
        "sqlite:////x/y.db",
        "sqlite:////x/y.db\n",
        "sqlite+pysqlite:////x/y.db",
        "SQLite:////x/y.db",
    ],
)
def test_white_space_around_a_path_is_an_accident_of_a_file_of_variables(value: str) -> None:
    assert read_address(value) == Path("/x/y.db")


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_every_sign_of_a_path_is_taken_as_it_is(form: str, tmp_path: Path) -> None:
    path = tmp_path / ODD / f"{ODD}.db"
    assert read_address(form.format(path)) == path


@pytest.mark.parametrize("value", ["x.db", "./data:1.db", "2026-01-01T10:00.db", "o'brien/x.db"])
def test_a_relative_path_is_one_below_the_working_folder(value: str) -> None:
    assert read_address(value) == Path.cwd() / value


@pytest.mark.parametrize(
    "value",
    [
        '"/x/y.db"',
        "'/x/y.db'",
        '"/x/y.db',
        "“/x/y.db”",
        '"postgresql://u:S3CRET@h/d"',
        "/x/y\n.db",
        "/x\x00y.db",
        "/x/y\x1b[0m.db",
        "/x/y\u200b.db",
        "\ufeff/x/y.db",
        "/x/\udcff.db",
        "/x/y\u2028.db",
        "postgresql:/u:S3CRET@h/d",
        "postgresql:u:S3CRET@h/d",
        "postgres:S3CRET",
        "postgresql//u:S3CRET@h/d",
        "//u:S3CRET@h/d",
        "u:S3CRET@h/d",
        "h:5432/S3CRET",
        "host=h dbname=d user=u password=S3CRET",
        "dbname = d password = 'S3CRET'",
        "service=S3CRET",
        "connect_timeout=3",
        "options=-csearch_path=x",
        "fallback_application_name = x",
        "sslpassword=S3CRET",
        "gssencmode=disable",
        "target_session_attrs=read-write",
        "PGPASSWORD=S3CRET postgresql://u@h/d",
        "mysql://u:S3CRET@h/d",
        "https://u:S3CRET@h/d",
        "jdbc:postgresql://h/d?password=S3CRET",
        "postgresql+psycopg2://u:S3CRET@h/d",
        "sqlite:x.db",
        "sqlite:/x.db",
        "sqlite://x.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        ":memory:",
        "sqlite:////x.db?mode=ro",
        "file:/x/y.db",
        "file:///x/y.db?mode=ro",
        "C:\\Users\\me\\x.db",
        "/x/y/",
        "~nobodyofthisname/x.db",
        "",
        "  \n",
    ],
)
def test_what_is_neither_a_path_nor_a_known_url_is_refused_without_its_secret(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_address(value)
    assert caught.value.advice
    assert "S3CRET" not in f"{caught.value.message}{caught.value.advice}"


def test_a_mistyped_path_begins_no_history(run: Command, tmp_path: Path) -> None:
    mistyped = tmp_path / "nonexist" / "x.db"
    for command in ("sync", "status", "db upgrade"):
        result = run("--database", str(mistyped), *command.split(), CHENYU_API_KEY="cy_x")
        assert result.exit_code in (2, 6), result.stderr
        assert str(mistyped) in result.stderr
    assert not mistyped.parent.exists()
    assert run("--database", "", "status").exit_code == 2


def test_a_new_history_is_said_to_be_one_once(run: Command, tmp_path: Path) -> None:
    path = tmp_path / ODD / "x.db"
    path.parent.mkdir()
    said = [run("--database", str(path), "db", "upgrade").stderr for _ in range(2)]
    assert ["created" in text for text in said] == [True, False]
    assert all(f"database: {path}" in text for text in said)
    assert [entry.name for entry in path.parent.iterdir()] == ["x.db"]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM setting WHERE name = 'database_id'").fetchone()


def test_the_folder_of_the_default_place_is_made(
    run: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "new" / "state"
    run("db", "upgrade", STATE_DIRECTORY=str(state))
    assert (state / "chenyu-etl.db").exists()
    assert state.stat().st_mode & 0o777 == 0o700


def test_every_sign_of_the_path_of_an_archive_is_taken_as_it_is(
    run: Command, server: Server, tmp_path: Path
) -> None:
    polls = tmp_path / ODD / "polls [*]"
    words = ("--database", str(tmp_path / f"{ODD}.db"), "sync")
    for _ in range(2):
        assert run(*words, "--archive", str(polls)).exit_code == 0
    (file,) = polls.glob("*.jsonl.gz")
    again = tmp_path / f"again {ODD}.db"
    assert run("--database", str(again), "replay", str(file)).exit_code == 0
    assert run("--database", str(again), "db", "backup", str(tmp_path / f"b{ODD}")).exit_code == 0


def test_a_program_that_lives_below_any_path_migrates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ODD
    home.symlink_to(paths.MIGRATIONS, target_is_directory=True)
    monkeypatch.setattr(paths, "MIGRATIONS", home)
    database = open_database(str(tmp_path / "x.db"))
    assert schema.upgrade(database, ZONE, TODAY) is schema.Upgrade.CREATED
    database.engine.dispose()
