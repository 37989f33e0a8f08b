"""The command line: what it says, on which stream, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest

from etl.cli import main
from etl.errors import Busy, EtlError, Refused, SchemaTooNew, SettingsError, Unavailable
from etl.simcloud import ANY, Fail, Server, Story
from tests.commands import KEY, Command, cloud, filled, home, path, run, server
from tests.test_house import commands

__all__ = ["cloud", "filled", "home", "path", "run", "server"]

BIN = [sys.executable, "-m", "etl.cli"]


# help


@pytest.mark.parametrize("words", [name for name, _ in commands()])
def test_help_of_every_command_says_what_it_does(words: str, run: Command) -> None:
    result = run(*words.split(), "--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert re.search(r"\n\n  [A-Z]\w+ .*\S", result.stdout)


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        ("", ("CHENYU_CONFIG", "CHENYU_DATABASE_URL", "CHENYU_TIMEZONE", "CHENYU_DEBUG")),
        ("sync", ("CHENYU_ACCOUNT", "CHENYU_ARCHIVE", "CHENYU_API_KEY", "CHENYU_PAGE_SIZE")),
        ("doctor", ("CHENYU_ACCOUNT", "CHENYU_API_KEY_FILE", "CHENYU_BASE_URL")),
        ("report", ("CHENYU_ACCOUNT",)),
    ],
)
def test_help_names_the_variables(words: str, variables: tuple[str, ...], run: Command) -> None:
    said = run(*words.split(), "--help").stdout
    assert all(variable in said for variable in variables)


def test_every_option_that_reads_a_variable_shows_it() -> None:
    hidden = [
        param.name
        for command in (main, *(each for _, each in commands()))
        for param in command.params
        if isinstance(param, click.Option) and param.envvar and not param.show_envvar
    ]
    assert hidden == []


def test_no_option_takes_a_key() -> None:
    names = {o for _, c in commands() for p in (*c.params, *main.params) for o in p.opts}
    assert not any("key" in name for name in names)


def test_the_version_is_said(run: Command) -> None:
    assert run("--version").stdout.startswith("chenyu-etl, version ")


# errors


def test_without_a_key_it_says_where_to_get_one_and_makes_no_file(run: Command, home: Path) -> None:
    result = run("sync")
    assert result.exit_code == 2
    assert result.stdout == ""
    first, advice = result.stderr.splitlines()
    assert first == "error: there is no API key for account 'default'"
    assert "console of chenyu.cn" in advice
    assert "CHENYU_API_KEY" in advice
    assert "CHENYU_API_KEY_FILE" in advice
    assert list(home.rglob("*.db")) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EtlError("it failed"), 1),
        (SettingsError("it failed"), 2),
        (Refused("it failed"), 4),
        (Unavailable("it failed"), 5),
        (SchemaTooNew("it failed"), 6),
        (Busy("it failed"), 7),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: EtlError, code: int, run: Command, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("etl.status.status", fails)
    result = run("--database", str(path), "status")
    assert (result.exit_code, result.stderr, result.stdout) == (code, "error: it failed\n", "")
    assert run("--debug", "--database", str(path), "status").exception is error


def test_debug_shows_a_traceback(home: Path) -> None:
    environ = {**os.environ, "CHENYU_DEBUG": "1"}
    done = subprocess.run([*BIN, "sync"], capture_output=True, text=True, env=environ)
    assert "Traceback" in done.stderr
    assert "NoKey: there is no API key" in done.stderr


def test_ctrl_c_ends_with_130_and_no_traceback(
    run: Command, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("etl.status.status", interrupted)
    result = run("--database", str(path), "status")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_ctrl_c_in_the_middle_of_a_poll_ends_with_130(server: Server, home: Path) -> None:
    server.behaviour.stall[ANY] = 60.0
    process = subprocess.Popen([*BIN, "sync"], stderr=subprocess.PIPE, text=True)
    while not server.requests:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "interrupted"


def test_a_warning_is_one_line_too(
    run: Command, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.status.status", lambda *_: warnings.warn("no WAL", stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = run("--database", str(path), "status", "--json")
    assert result.stderr == "warning: no WAL\n"


@pytest.mark.parametrize(
    "words",
    [
        ("sink",),
        ("sync", "--resource", "cats"),
        ("status", "--max-age", "soon"),
        ("report", "nothing"),
        ("report", "uptime", "--by", "colour"),
        ("report", "events", "--event", "exploded"),
        ("report", "now", "--by", "gpu"),
        ("report", "now", "--from", "7d"),
        ("report", "uptime", "--from", "someday"),
        ("report", "uptime", "--from", "2026-02", "--to", "2026-01"),
        ("report", "uptime", "--format", "fax"),
        ("rebuild", "--check", "--timezone", "UTC"),
        ("rebuild", "--timezone", "Mars/Olympus"),
        ("codes", "set", "status", "77", "asleep"),
        ("codes", "set", "charging", "3", "decade"),
        ("db", "downgrade", "--yes", "9999"),
        ("demo", "--days", "0"),
        ("replay",),
        ("replay", "nowhere.jsonl"),
    ],
)
def test_a_wrong_word_ends_with_2_and_says_what_goes(
    words: tuple[str, ...], run: Command, path: Path
) -> None:
    result = run("--database", str(path), *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.search(r"^error: ", result.stderr, re.IGNORECASE | re.MULTILINE)
    assert "Traceback" not in result.stderr


# sync


def test_a_sync_says_what_it_did_to_people_and_to_machines(
    server: Server, run: Command, home: Path
) -> None:
    result = run("sync", "--json")
    assert result.exit_code == 0
    place = home / "data/chenyu-etl/chenyu-etl.db"
    assert result.stderr.splitlines() == [
        f"database: {place} (created: a new, empty history)",
        "default instances: complete, 2 listed, 2 new, 0 changed, 0 gone",
    ]
    (said,) = json.loads(result.stdout)
    assert (said["outcome"], said["listed"], said["added"], said["error"]) == (
        "complete",
        2,
        2,
        None,
    )
    status = run("status", "--max-age", "1h")
    assert status.exit_code == 0
    assert "default: 2 instances, 1 running on 2 GPUs" in status.stdout


@pytest.mark.parametrize(
    ("fail", "code", "word"),
    [
        (Fail(401, 401, "API key invalid"), 4, "CHENYU_API_KEY"),
        (Fail(403, 403, "no permission"), 4, "permission"),
        (Fail(200, 2, "not logged in"), 4, "CHENYU_API_KEY"),
        (Fail(500, 500, "system busy"), 5, "next poll"),
        (Fail(404, 404, "not found"), 5, "CHENYU_BASE_URL"),
    ],
)
def test_a_sync_that_failed_has_the_exit_code_of_its_reason(
    fail: Fail, code: int, word: str, server: Server, run: Command
) -> None:
    server.behaviour.fail[ANY] = fail
    result = run("sync", "--json", CHENYU_ATTEMPTS="1")
    assert result.exit_code == code
    assert word in result.stderr
    (said,) = json.loads(result.stdout)
    assert said["outcome"] == "failed"
    assert fail.msg in said["error"]
    (poll,) = json.loads(run("status", "--json").stdout)["polls"]
    assert (poll["last_outcome"], poll["age_s"]) == ("failed", None)


def test_a_list_that_cannot_be_read_whole_ends_with_3(server: Server, run: Command) -> None:
    server.behaviour.total = 5
    result = run("sync")
    assert result.exit_code == 3
    assert "partial, 2 listed" in result.stderr


def test_the_first_of_the_exit_codes_that_apply_is_that_of_several_accounts(
    server: Server, run: Command, home: Path
) -> None:
    (home / "c.toml").write_text("[accounts.a]\napi_key_env = 'A'\n[accounts.b]\napi_key_env='B'")
    result = run("--config", "c.toml", "sync", A=KEY, B="cy_wrong", CHENYU_API_KEY="")
    assert result.exit_code == 4
    assert "a instances: complete" in result.stderr
    assert "b instances: failed" in result.stderr
    alone = run("--config", "c.toml", "sync", "--account", "b", B="cy_wrong", CHENYU_API_KEY="")
    assert alone.exit_code == 4
    assert "a instances" not in alone.stderr


def test_a_database_that_is_a_folder_ends_with_6(server: Server, run: Command, home: Path) -> None:
    result = run("--database", str(home), "sync")
    assert result.exit_code == 6
    assert f"{home} is a folder" in result.stderr


def test_a_postgres_that_is_not_there_ends_with_6(server: Server, run: Command) -> None:
    url = "postgresql://me:S3CRET@127.0.0.1:9/x"
    result = run("sync", CHENYU_DATABASE_URL=url)
    assert result.exit_code == 6
    assert "check that Postgres runs" in result.stderr
    assert "S3CRET" not in result.stderr


def test_a_sync_with_an_archive_can_be_replayed(
    server: Server, run: Command, cloud: Story, home: Path
) -> None:
    assert run("sync", "--archive", "kept").exit_code == 0
    files = [str(path) for path in (home / "kept").glob("default.instances.*")]
    result = run("--database", "again.db", "replay", *files)
    assert result.exit_code == 0
    assert "1 polls applied, 0 not newer, 0 damaged" in result.stderr
    first, again = (
        run("report", "now", "--json"),
        run("--database", "again.db", "report", "now", "--json"),
    )
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert "1 not newer" in run("--database", "again.db", "replay", *files).stderr


@pytest.mark.parametrize("name", ["nothing.jsonl", ".", "nothing/at/all"])
def test_a_mistyped_archive_begins_no_history(run: Command, home: Path, name: str) -> None:
    result = run("--database", "new.db", "replay", name)
    assert result.exit_code == 2
    assert "name files that chenyu-etl sync --archive made" in result.stderr
    assert not (home / "new.db").exists()
