"""Words that cannot be written stop no work."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl.dialect import Database, open_database
from etl.rebuild import differences
from etl.simcloud import Story, serve
from tests.conftest import FilledOnce
from tests.live import COMMAND, KEY, closing, environment, real_cloud, wait_for
from tests.support import apply, poll_story, rows

Shell = Callable[[str], int]


@pytest.fixture
def heard() -> list[str]:
    """What each line said on standard error."""
    return []


@pytest.fixture(scope="session")
def three(filled_once: FilledOnce) -> Path:
    """A SQLite file with three instances, for copies."""

    def fill(database: Database) -> None:
        cloud = Story()
        cloud.rents_many(3)
        apply(database, poll_story(cloud))
        database.engine.dispose()

    return filled_once("three", fill)("sqlite").files[0]


@pytest.fixture
def shell(tmp_path: Path, heard: list[str]) -> Iterator[Shell]:
    """Runs `chenyu-etl` ($E) in a shell; each gives its exit code."""
    with serve(real_cloud(3).fleet, key=KEY) as server:
        environ = environment(server.base_url, f"sqlite:///{tmp_path}/x.db", tmp_path)

        def run(line: str) -> int:
            done = subprocess.run(
                ["bash", "-c", line],
                env={**environ, "E": str(COMMAND)},
                capture_output=True,
                text=True,
            )
            heard.append(done.stderr)
            return done.returncode

        yield run


def polls(database: Database) -> int:
    return int(rows(database, "SELECT count(*) FROM sync_run WHERE outcome = 'complete'")[0][0])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$E sync 2>/dev/full", 0),
        ("$E sync 2>&-", 0),
        ("$E sync >&-", 0),
        ("$E sync >&- 2>&- <&-", 0),
        ("$E sync >/dev/full 2>&1", 0),
        ("$E sync 2>&1 | true; exit ${PIPESTATUS[0]}", 0),
        ("$E sync --json | true; exit ${PIPESTATUS[0]}", 0),
        ("$E sync --json >/dev/full", 2),
        ("$E sync --json >&-", 2),
    ],
)
def test_a_poll_is_made_and_recorded_whoever_reads(
    shell: Shell, tmp_path: Path, sqlite_template: Path, line: str, code: int
) -> None:
    shutil.copy(sqlite_template, tmp_path / "x.db")
    assert shell(line) == code
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    with closing(database):
        assert polls(database) == 1
        assert list(differences(database)) == [], "no word went into the database"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$E --help >/dev/full", 2),
        ("$E sync --help >/dev/full", 2),
        ("$E --version >/dev/full", 2),
        ("$E --help >&-", 0),
        ("$E nonsense 2>/dev/full", 2),
        ("$E nonsense 2>&-", 2),
        ("$E --lang zh report --list >/dev/full", 2),
        ("$E config show >/dev/full", 2),
        ("$E config show >&-", 2),
        ("$E report now --format csv >/dev/full", 2),
        ("$E report month --format xlsx -o - >/dev/full", 2),
        ("$E report month --format xlsx -o - >&-", 2),
        ("$E status <&- 2>&-", 0),
    ],
)
def test_what_cannot_be_written_ends_in_a_code_and_no_traceback(
    shell: Shell, three: Path, tmp_path: Path, heard: list[str], line: str, code: int
) -> None:
    shutil.copy(three, tmp_path / "x.db")
    assert shell(line) == code
    assert "Traceback" not in heard[-1]
    assert "Exception ignored" not in heard[-1]


@pytest.mark.parametrize("lost", ["2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>&1"])
def test_a_daemon_polls_whoever_hears_it(lost: str, tmp_path: Path, sqlite_template: Path) -> None:
    """It ends as usual, too, although nobody reads what it says."""
    shutil.copy(sqlite_template, tmp_path / "x.db")
    with serve(real_cloud(3).fleet, key=KEY) as server:
        environ = environment(server.base_url, f"sqlite:///{tmp_path}/x.db", tmp_path)
        environ |= {"CHENYU_SCHEDULE": "instances=2s", "CHENYU_LISTEN": "off"}
        daemon = subprocess.Popen(["bash", "-c", f"exec {COMMAND} run {lost}"], env=environ)
        database = open_database(f"sqlite:///{tmp_path}/x.db")
        try:
            with closing(database):
                wait_for(lambda: polls(database) > 1)
        finally:
            daemon.terminate()
            code = daemon.wait(60)
    assert code == 0
