"""Completion by the shell itself: bash's, with the script that click makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etl import names, reports
from etl.books.rule_files import import_rules
from etl.cli import completion
from etl.dialect import Database, open_database
from etl.simcloud import Story
from tests.commands import filled, home, path
from tests.on_terminal import ROOT
from tests.support import apply, poll_story

__all__ = ["filled", "home", "path"]

BASH = shutil.which("bash")
RULES = 'title,project\n"*",vision\n'


@pytest.fixture
def lab(filled: Database, path: Path) -> Path:
    story = Story()
    story.rents()
    apply(filled, poll_story(story))
    file = path.with_name("rules.csv")
    file.write_text(RULES)
    import_rules(filled, file)
    return path


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The command under its own name, as the installed one."""
    script = tmp_path / "bin" / "chenyu-etl"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from etl.start import main; main()" "$@"\n'
    )
    script.chmod(0o755)
    return script


COMPLETE = """
eval "$(_CHENYU_ETL_COMPLETE=bash_source chenyu-etl)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_chenyu_etl_completion chenyu-etl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def in_bash(command: Path, *typed: str) -> list[str]:
    """What bash offers for the last of these words."""
    assert BASH
    environ = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    environ["PYTHONPATH"] = str(ROOT)
    words = [BASH, "--norc", "-c", COMPLETE, "bash", "chenyu-etl", *typed]
    done = subprocess.run(words, capture_output=True, text=True, env=environ, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_completes_what_the_registry_and_the_database_know(lab: Path, command: Path) -> None:
    on = ("--database", str(lab))
    assert in_bash(command, "rep") == ["report", "replay"]
    assert in_bash(command, "report", "gpu") == ["gpu-hours"]
    assert in_bash(command, "report", "cost", "--by", "o") == ["owner"]
    assert in_bash(command, "report", "now", "--columns", "title,g") == ["title,gpu"]
    assert in_bash(command, "report", "idle", "--set", "h") == ["hours="]
    assert in_bash(command, "report", "runs", "--from", "last-m") == ["last-month"]
    assert in_bash(command, *on, "report", "runs", "--from", "2026") == ["2026-01"]
    assert in_bash(command, *on, "report", "now", "--account", "l") == ["lab"]
    assert in_bash(command, *on, "page", "--project", "v") == ["vision"]


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_a_database_that_is_not_there_completes_nothing_and_is_not_made(
    home: Path, command: Path
) -> None:
    path = home / "none.db"
    assert in_bash(command, "--database", str(path), "page", "--project", "") == []
    assert not path.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, command: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "_CHENYU_ETL_COMPLETE": f"{shell}_source"}
    done = subprocess.run([command], capture_output=True, text=True, env=environ, check=True)
    assert "chenyu-etl" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_names_come_from_either_database(fresh_url: Callable[[], str]) -> None:
    url = fresh_url()
    database = open_database(url)
    story = Story()
    story.rents()
    apply(database, poll_story(story))
    database.engine.dispose()
    assert names.known_names(url, names.ACCOUNTS) == ["lab"]
    assert [end[:7] for end in names.known_names(url, names.ENDS)] == ["2026-01"] * 2
    assert names.known_names(url, names.PROJECTS) == []
    assert names.known_names(url, "SELECT nothing") == []


def test_completion_loads_nothing_heavy(lab: Path) -> None:
    words = f"chenyu-etl --database {lab} report --account "
    code = (
        "import sys\nfrom etl.cli import main\ntry:\n    main(prog_name='chenyu-etl')\n"
        "except SystemExit:\n    print([name for name in ('sqlalchemy', 'httpx', 'alembic', 'rich')"
        " if name in sys.modules])"
    )
    environ = {"COMP_WORDS": words, "COMP_CWORD": "5", "_CHENYU_ETL_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == ["plain,lab", "[]"]


@pytest.mark.parametrize("name", reports.report_names())
def test_headers_are_read_as_their_owner_reads_them(name: str) -> None:
    """Completion reads them by patterns of its own, since their module takes long to load."""
    import click

    from etl.cli.report import report

    ctx = click.Context(report)
    ctx.params["name"] = name
    chosen = reports.load_report(name)
    listed = {p.name: list(p.choices) for p in chosen.params}
    assert completion._values_of_parameters(ctx) == listed
    assert completion.complete_columns(ctx, report.params[0], "") == sorted(chosen.columns)


def test_months_reach_from_the_first_poll_to_the_newest() -> None:
    assert list(completion._months("2025-11", "2026-02")) == [
        "2025-11",
        "2025-12",
        "2026-01",
        "2026-02",
    ]
