"""Commands that tell people: alerts list, test, ack, check; digest; status."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.dialect import Database
from etl.simcloud import Story
from tests.commands import Command, filled, home, path, run
from tests.fake_robots import SECRET, TOKEN, Robots, serve_robots
from tests.support import apply, poll_story

__all__ = ["filled", "home", "path", "run"]

CONFIG = """
[accounts.lab]
[alerts]
language = "en"
off = ["sync_stale"]
[alerts.channels.team]
kind = "feishu"
url_env = "TEAM_URL"
secret_env = "TEAM_SECRET"
[alerts.channels.pager]
url_env = "PAGER_URL"
severity = "urgent"
"""


@pytest.fixture
def robots() -> Iterator[Robots]:
    with serve_robots(int(time.time())) as served:
        yield served


@pytest.fixture
def see(run: Command, home: Path, path: Path, filled: Database, robots: Robots) -> Command:
    """Run a command on a machine that was forgotten nine hours ago, with two channels."""
    cloud = Story(int(time.time()) - 9 * 3_600)
    cloud.rents(title="训练", gpus=2, uuid="a")
    apply(filled, poll_story(cloud))
    cloud.passes(hours=9)
    apply(filled, poll_story(cloud))
    (home / "c.toml").write_text(CONFIG)
    environ = {
        "TEAM_URL": robots.feishu_url,
        "TEAM_SECRET": SECRET,
        "PAGER_URL": robots.webhook_url,
        "CHENYU_CONFIG": "c.toml",
    }

    def command(*words: str) -> object:
        result = run("--database", str(path), *words, **environ)
        assert TOKEN not in result.output
        return result

    return command  # type: ignore[return-value]


def test_check_sends_once_and_list_shows_it(see: Command, robots: Robots) -> None:
    assert "no alert holds" in see("alerts", "list").stderr
    assert see("alerts", "check").stdout == "team: took 1 alert\n"
    assert see("alerts", "check").stdout == ""
    assert len(robots.took) == 1
    said = see("alerts", "list").stdout
    assert "warning long_run:lab:a:" in said
    assert "Still running: 训练, 2 × RTX 4090, for 9.0 h" in said
    (row,) = json.loads(see("alerts", "list", "--json").stdout)
    assert row["rule"] == "long_run"
    assert list(row["deliveries"]) == ["team"]
    assert "1 alerts hold" in see("status").stdout


def test_ack_by_key_and_all(see: Command) -> None:
    see("alerts", "check")
    (row,) = json.loads(see("alerts", "list", "--json").stdout)
    assert see("alerts", "ack").exit_code == 2
    assert "acknowledged already: nothing" in see("alerts", "ack", "nothing").stderr
    assert see("alerts", "ack", row["key"]).stdout.strip() == row["key"]
    assert see("alerts", "ack", "--all").stdout == ""
    assert "acknowledged" in see("alerts", "list", "--all").stdout


def test_test_says_what_each_channel_answered(see: Command, robots: Robots) -> None:
    result = see("alerts", "test")
    assert (result.exit_code, result.stdout) == (0, "team: took 1 alert\npager: took 1 alert\n")
    robots.answers.append((200, {"code": 19024, "msg": "Key Words Not Found"}))
    result = see("alerts", "test", "team")
    assert result.exit_code == 5
    assert "team: feishu 127.0.0.1: code 19024: Key Words Not Found" in result.stdout
    result = see("alerts", "test", "nobody")
    assert result.exit_code == 2
    assert "there are: team, pager" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("HTTPS_PROXY", "https://host:port", 2),
        ("ALL_PROXY", "socks4://127.0.0.1:1", 2),
        ("https_proxy", "http://me:hunter2secret@127.0.0.1:1", 5),
        ("ALL_PROXY", "socks5://me:hunter2secret@127.0.0.1:1", 5),
        ("SSL_CERT_FILE", "/nonexistent.pem", 2),
        ("SSL_CERT_DIR", "/nonexistent", 2),
        ("SSLKEYLOGFILE", "/nonexistent/x", 2),
    ],
)
@pytest.mark.parametrize("words", [("alerts", "test"), ("alerts", "check")])
def test_a_proxy_or_certificate_variable_that_cannot_be_used_is_said(
    words: tuple[str, ...],
    name: str,
    value: str,
    code: int,
    see: Command,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("SAFE_URL", "https://localhost:1/S3CRETPATH")
    (home / "c.toml").write_text(
        CONFIG.replace("TEAM_URL", "SAFE_URL").replace("feishu", "webhook")
    )
    result = see(*words)
    assert result.exit_code in (code, 5), result.output
    assert name in result.output or "through the proxy" in result.output
    assert "Traceback" not in result.output
    assert "hunter2" not in result.output
    assert "S3CRETPATH" not in result.output


def test_without_channels_test_says_how_to_add_one(run: Command) -> None:
    result = run("alerts", "test")
    assert result.exit_code == 2
    assert "docs/alerts.md" in result.stderr


def test_a_failed_check_exits_with_5_and_status_shows_it(see: Command, robots: Robots) -> None:
    robots.answers.append((200, {"code": 11232, "msg": "frequency limited"}))
    assert see("alerts", "check").exit_code == 5
    said = see("status").stdout
    assert "channel team: 1 messages wait to be tried again, 0 given up" in said
    assert "feishu 127.0.0.1: code 11232: frequency limited" in said


def test_a_digest_is_printed_or_sent(see: Command, robots: Robots) -> None:
    said = see("digest", "--period", "week").stdout
    assert said.startswith("Weekly digest, ")
    assert "Running now: 1, 1 of them without a timer" in said
    assert see("digest", "--send").stdout == "team: took 1 alert\n"
    assert "Digest of " in json.dumps(robots.took, ensure_ascii=False)


@pytest.mark.parametrize("words", [("alerts", "check"), ("digest", "--send"), ("alerts", "test")])
def test_without_a_channel_nothing_can_be_sent_which_is_said(
    words: tuple[str, ...], see: Command, home: Path
) -> None:
    (home / "c.toml").write_text('[accounts.lab]\n[alerts]\nlanguage = "en"\n')
    result = see(*words)
    assert result.exit_code == 2
    assert "no channel is set up" in result.stderr
    if words == ("alerts", "check"):
        assert "Still running" in see("alerts", "list").stdout


def test_a_digest_that_no_channel_takes_is_said(see: Command, home: Path) -> None:
    config = CONFIG.replace('kind = "feishu"', 'kind = "feishu"\nrules = ["balance"]')
    (home / "c.toml").write_text(config)
    result = see("digest", "--send")
    assert result.exit_code == 2
    assert "no channel takes digests" in result.stderr


@pytest.mark.parametrize(
    ("written", "option", "environ", "chinese"),
    [
        ("", "", {}, False),
        ("", "", {"LANG": "zh_CN.UTF-8"}, True),
        ("", "", {"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, False),
        ("zh", "", {"LANG": "en_US.UTF-8"}, True),
        ("zh", "", {"CHENYU_LANG": "en"}, False),
        ("en", "zh", {"CHENYU_LANG": "en"}, True),
    ],
)
def test_the_language_is_the_options_the_variables_the_files_the_locales(
    written: str,
    option: str,
    environ: dict[str, str],
    chinese: bool,
    run: Command,
    home: Path,
    path: Path,
    filled: Database,
) -> None:
    (home / "c.toml").write_text(f'[alerts]\nlanguage = "{written}"\n' if written else "")
    words = ["--lang", option] if option else []
    plain = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "", "CHENYU_CONFIG": "c.toml", **environ}
    result = run("--database", str(path), "digest", *words, **plain)
    assert result.exit_code == 0
    assert result.stdout.startswith("日报" if chinese else "Digest of ")


def test_a_language_that_is_none_is_refused(run: Command, path: Path, filled: Database) -> None:
    result = run("--database", str(path), "alerts", "ack", "--all", CHENYU_LANG="fr")
    assert result.exit_code == 2
    assert "lang (CHENYU_LANG) cannot be 'fr'" in result.stderr


def test_a_digest_of_one_owner_or_project_is_printed(see: Command) -> None:
    assert see("digest", "--owner", "李雷").stdout.splitlines()[0].endswith(": instances of 李雷")
    said = see("digest", "--project", "vision").stdout
    assert said.splitlines()[0].endswith(": instances of project vision")
    assert see("digest", "--project", "x", "--owner", "y").exit_code == 2


def test_a_digest_of_an_owner_without_a_channel_of_their_own_is_not_sent(see: Command) -> None:
    result = see("digest", "--owner", "李雷", "--send")
    assert result.exit_code == 2
    assert "no channel takes the digest of '李雷'" in result.stderr
