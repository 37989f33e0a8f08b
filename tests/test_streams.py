"""Words that cannot be written stop no work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl.dialect import open_database
from etl.simcloud import serve
from tests.live import COMMAND, KEY, environment, real_cloud
from tests.support import rows

Shell = Callable[[str], int]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Runs `chenyu-etl` ($E) in a shell; each gives its exit code."""
    with serve(real_cloud(3).fleet, key=KEY) as server:
        environ = environment(server.base_url, f"sqlite:///{tmp_path}/x.db", tmp_path)

        def run(line: str) -> int:
            done = subprocess.run(
                ["bash", "-c", line],
                env={**environ, "E": str(COMMAND), "PYTHON": sys.executable},
                capture_output=True,
            )
            return done.returncode

        yield run


def polls(folder: Path) -> int:
    database = open_database(f"sqlite:///{folder}/x.db")
    count = int(rows(database, "SELECT count(*) FROM sync_run WHERE outcome = 'complete'")[0][0])
    database.engine.dispose()
    return count


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
    shell: Shell, tmp_path: Path, line: str, code: int
) -> None:
    assert shell(line) == code
    assert polls(tmp_path) == 1
    assert shell("$E rebuild --check") == 0, "no word went into the database"


@pytest.mark.parametrize("lost", ["2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>&1"])
def test_a_daemon_polls_whoever_hears_it(shell: Shell, tmp_path: Path, lost: str) -> None:
    """It ends as usual, too, although nobody reads what it says."""
    polled = "from tests.test_streams import polls; from pathlib import Path; import sys"
    wait = f"$PYTHON -c '{polled}; sys.exit(polls(Path(sys.argv[1])) < 2)' {tmp_path} 2>/dev/null"
    line = (
        f"CHENYU_SCHEDULE=instances=2s CHENYU_LISTEN=off timeout -s TERM 100 $E run {lost} & D=$!;"
        f" for i in $(seq 200); do {wait} && break; sleep 0.2; done; kill -TERM $D; wait $D"
    )
    assert shell(line) in (0, 124)
    assert polls(tmp_path) >= 2
    assert shell("$E rebuild --check") == 0, "no word went into the database"
