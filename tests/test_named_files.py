"""Files that a person names are read whole, and neither a pipe nor an endless file is waited for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from etl import paths
from tests.commands import Command, home, path, run

__all__ = ["home", "path", "run"]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PIPE_WAIT_S", 0.05)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe that nobody writes to."""
    made = tmp_path / "pipe.csv"
    os.mkfifo(made)
    return made


def test_a_pipe_that_nobody_writes_to_is_refused_by_every_command_that_names_it(
    run: Command, path: Path, pipe: Path
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path)}
    named: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("--config", str(pipe), "status"), {}),
        (("sync",), {"CHENYU_API_KEY_FILE": str(pipe)}),
        (("prices", "import", str(pipe)), {}),
        (("rules", "import", str(pipe)), {}),
        (("report", "--file", str(pipe)), {}),
    ]
    for words, variables in named:
        done = run(*words, **environ, **variables)
        assert done.exit_code == 2, done.output
        assert "a pipe that nobody writes to" in done.stderr
        assert pipe.name in done.stderr


def test_a_pipe_that_somebody_writes_to_is_read(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PIPE_WAIT_S", 60)
    content = b"x" * 300_000  # more than a pipe holds at once
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    assert paths.read_whole(pipe) == content
    writer.join()


def test_an_endless_file_is_left_at_its_limit() -> None:
    with pytest.raises(OSError, match="larger than such a file"):
        paths.read_whole(Path("/dev/zero"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        paths.read_whole(tmp_path)
