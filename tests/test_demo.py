"""The demo: a file of its own, labelled as simulated, and nothing else touched."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etl import reports, simcloud
from etl.cli import main
from etl.demo import KEY as SIMULATED_KEY
from etl.demo import START
from etl.dialect import open_database
from etl.rebuild import differences
from etl.resources import RESOURCES
from etl.simcloud import Server
from etl.texts import ENGLISH, speaking
from tests.commands import KEY, Command, filled, home, path, run
from tests.support import rows

__all__ = ["filled", "home", "path", "run"]

SMALL = ("--days", "2", "--instances", "12", "--every", "60")
TINY = ("--days", "1", "--instances", "4", "--every", "60")


@pytest.fixture(scope="module")
def small_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a small demo was made, and what the command printed."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch, speaking(ENGLISH):
        patch.chdir(folder)
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        made = CliRunner().invoke(main, ["demo", *SMALL])
    assert made.exit_code == 0
    return folder, made.stdout


@pytest.fixture
def small(small_once: tuple[Path, str], home: Path) -> str:
    """What the command printed; the user's folder holds what it made."""
    shutil.copytree(small_once[0], home, dirs_exist_ok=True)
    return small_once[1]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    """The simulated clouds that were served."""
    servers: list[Server] = []
    serve = simcloud.serve

    @contextmanager
    def kept(*words: Any, **named: Any) -> Iterator[Server]:
        with serve(*words, **named) as server:
            servers.append(server)
            yield server

    monkeypatch.setattr(simcloud, "serve", kept)
    return servers


def test_the_demo_makes_a_file_that_says_what_it_is(small: str, home: Path) -> None:
    assert small.startswith("SIMULATED: 2 days of an invented fleet, 48 polls.")
    assert "uptime by GPU model" in small
    assert [each.name for each in home.glob("*.db*") if each.suffix != ".lock"] == [
        "chenyu-demo.db"
    ]
    with closing(sqlite3.connect(home / "chenyu-demo.db")) as conn:
        assert conn.execute("SELECT value FROM setting WHERE name = 'simulated'").fetchall() == [
            ("chenyu-etl demo",)
        ]
        assert conn.execute("SELECT name FROM account").fetchall() == [("simulated",)]


@pytest.mark.usefixtures("small")
def test_what_it_learned_is_sensible(home: Path) -> None:
    database = open_database(f"sqlite:///{home / 'chenyu-demo.db'}")
    polls = "SELECT outcome, COUNT(*) FROM sync_run WHERE resource = 'instances' GROUP BY 1"
    assert rows(database, polls) == [("complete", 48)]
    assert rows(database, "SELECT COUNT(DISTINCT resource) FROM sync_run") == [(len(RESOURCES),)]
    events = dict(rows(database, "SELECT event, COUNT(*) FROM instance_event GROUP BY 1"))
    assert events["started"] > 10
    assert events["stopped"] > 5
    ((least, best, most),) = rows(
        database,
        "SELECT SUM(running_min_s), SUM(running_s), SUM(running_max_s) FROM uptime_daily",
    )
    fleet = simcloud.Fleet.generate(1, instances=12, start=START, days=2)
    truth = fleet.running(START + 1, START + 47 * 3_600)
    before = fleet.running(0, START + 1)
    assert least - before <= truth <= most
    assert 0 < least <= best <= most
    assert list(differences(database)) == []
    january = {"from_day": "2026-01-01", "to_day": "2026-01-31"}
    _, found = reports.run(database, reports.load_report("bridge"), january)
    bridge = {line: amount if figure is None else figure for _, line, amount, figure, _ in found}
    assert bridge["billed by settlement window"] > bridge["billed to the balance"] > 100
    assert (bridge["unexplained by the balance"], bridge["remains"]) == (0, 0)
    database.engine.dispose()


def test_its_advice_works(run: Command, home: Path) -> None:
    said = run("demo", *SMALL, "-o", "sub/mine.db").stdout
    (page, uptime, utilisation, status) = (
        line.split("chenyu-etl ")[1].split() for line in said.splitlines() if "--database" in line
    )
    assert run(*page).exit_code == 0
    assert (home / "page.html").stat().st_size > 10_000
    assert run(*uptime).exit_code == 0
    assert run(*utilisation).exit_code == 0
    assert "simulated" in run(*status).stdout
    sql = said.partition('"')[2].partition('"')[0]
    with closing(sqlite3.connect(home / "sub/mine.db")) as conn:
        assert len(conn.execute(sql).fetchall()) > 5


def test_an_older_demo_is_replaced(run: Command, home: Path) -> None:
    first = run("demo", *TINY)
    assert run("demo", *TINY).stdout == first.stdout
    other = run("demo", *TINY, "--seed", "2")
    assert other.exit_code == 0
    assert other.stdout != first.stdout


@pytest.mark.parametrize("content", [b"", b"my thesis", None])
def test_a_file_that_is_no_demo_is_refused_and_kept(
    content: bytes | None, run: Command, path: Path
) -> None:
    if content is not None:
        path.write_bytes(content)
    before = path.read_bytes()
    result = run("demo", *TINY, "-o", str(path))
    assert result.exit_code == 2
    assert f"{path} exists and is no demo database" in result.stderr
    assert "-o FILE" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("words", [("sync",), ("replay", "some.jsonl")])
def test_nothing_real_comes_into_a_demos_file(
    words: tuple[str, ...], run: Command, home: Path
) -> None:
    run("demo", *TINY)
    before = (home / "chenyu-demo.db").read_bytes()
    (home / "some.jsonl").touch()
    environ = {"CHENYU_API_KEY": KEY, "CHENYU_BASE_URL": "http://127.0.0.1:9/nobody"}
    result = run("--database", "chenyu-demo.db", *words, **environ)
    assert result.exit_code == 2
    assert "chenyu-etl demo" in result.stderr
    assert "--database" in result.stderr
    assert (home / "chenyu-demo.db").read_bytes() == before


def test_the_configured_database_and_key_are_not_touched(
    run: Command, path: Path, home: Path, served: list[Server]
) -> None:
    before = path.read_bytes()
    environ = {
        "CHENYU_DATABASE_URL": str(path),
        "CHENYU_API_KEY": KEY,
        "CHENYU_BASE_URL": "http://127.0.0.1:9/nobody",
        "CHENYU_ACCOUNT": "lab",
        "CHENYU_ARCHIVE": str(home / "archive"),
        "CHENYU_TIMEZONE": "UTC",
    }
    assert run("demo", *TINY, **environ).exit_code == 0
    assert path.read_bytes() == before
    assert not (home / "archive").exists()
    assert run("--database", "chenyu-demo.db", "status").exit_code == 0
    (server,) = served
    sent = {request.headers["authorization"] for request in server.requests}
    assert sent == {f"Bearer {SIMULATED_KEY}"}
