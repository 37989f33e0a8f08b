"""What tests of the command line share: commands run in a world of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etl.cli import main
from etl.dialect import Database, open_database
from etl.simcloud import Server, Story, serve
from etl.store import schema
from tests.conftest import TODAY, ZONE

Command = Callable[..., Result]
KEY = "cy_S3CRET"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder: config and data below it, no settings in the environment."""
    for name in ("CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(home: Path) -> Command:
    """Run a command: words, and environment variables as keywords."""

    def command(*words: str, stdin: str | bytes | None = None, **environ: str) -> Result:
        result = CliRunner(env=environ).invoke(main, words, input=stdin)
        assert KEY not in result.output
        return result

    return command


@pytest.fixture
def path(home: Path, sqlite_template: Path) -> Path:
    """A SQLite file, up to date and empty."""
    path = home / "lab.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


@pytest.fixture
def filled(path: Path) -> Iterator[Database]:
    """The same file, open, for a test to fill."""
    database = open_database(f"sqlite:///{path}")
    schema.upgrade(database, ZONE, TODAY)
    yield database
    database.engine.dispose()


@pytest.fixture
def cloud() -> Story:
    """A fleet that began an hour ago, in real time."""
    story = Story(int(time.time()) - 3_600)
    story.rents(gpus=2, title="训练 train")
    story.rents(title="eval", starts=False)
    return story


@pytest.fixture
def server(cloud: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The cloud behind HTTP, and the environment set to it."""
    with serve(cloud.fleet, key=KEY) as server:
        monkeypatch.setenv("CHENYU_BASE_URL", server.base_url)
        monkeypatch.setenv("CHENYU_API_KEY", KEY)
        monkeypatch.setenv("CHENYU_RESOURCES", "instances")
        yield server
