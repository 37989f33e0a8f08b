"""The Postgres server of the tests themselves: it ends with the run that it serves, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import postgres_server
from tests.live import wait_for

RUN = """
import sys, time
from pathlib import Path
from tests.postgres_server import shared_server
print(shared_server(Path(sys.argv[1])), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_server(number: signal.Signals, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        cwd=postgres_server.HERE,
        stdout=subprocess.PIPE,
        text=True,
        env={**postgres_server.without_worker(), "PYTHONWARNINGS": ""},
    )
    assert run.stdout is not None
    folder = Path(run.stdout.readline().strip())
    assert servers_in(folder)
    run.send_signal(number)
    run.communicate()
    wait_for(lambda: not servers_in(folder) and not folder.exists())


def servers_in(folder: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.pid and str(folder) in " ".join(process.info["cmdline"] or [])
    ]


def test_a_server_that_does_not_start_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postgres").write_text(str(tmp_path))
    (tmp_path / postgres_server.FAILED).write_text("FATAL: no room")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="FATAL: no room"):
            postgres_server.shared_server(tmp_path)
    # and its keeper writes that down
    monkeypatch.setattr(postgres_server, "PROGRAMS", tmp_path / "nowhere")
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(postgres_server, "_user", lambda: None)
    postgres_server.keep(kept, psutil.Process())
    assert "nowhere" in (kept / postgres_server.FAILED).read_text()
