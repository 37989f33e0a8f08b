"""The commands that look at the settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import KEY, Command, home, path, run

__all__ = ["home", "path", "run"]

GOOD = """\
page_size = 7
ping_url = "https://hc.example/S3CRET-ping"
[accounts.lab]
api_key_file = "lab.key"
base_url = "https://lab.example/v2"
[alerts.channels.ops]
url_env = "OPS_URL"
"""


@pytest.fixture
def config(home: Path) -> Path:
    (home / "lab.key").write_text(KEY)
    (home / "lab.key").chmod(0o600)
    path = home / "c.toml"
    path.write_text(GOOD)
    path.chmod(0o600)
    return path


def test_a_good_config_is_said_to_be_good(run: Command, config: Path) -> None:
    done = run("--config", str(config), "config", "check", OPS_URL="https://hook.example/x")
    assert done.exit_code == 0, done.output
    assert f"nothing is wrong ({config}; 1 accounts)" in done.stderr
    assert "accounts.lab.api_key_file is a relative path, lab.key" in done.stderr


def test_everything_wrong_is_named_at_once_and_nothing_is_connected_to(
    run: Command, config: Path
) -> None:
    (config.parent / "lab.key").unlink()
    config.write_text(GOOD.replace("page_size", "page_siz"))
    done = run("--config", str(config), "config", "check", CHENYU_ATTEMPTS="0")
    assert done.exit_code == 2
    for words in ("page_siz", "did you mean page_size?", "CHENYU_ATTEMPTS", "lab.key", "OPS_URL"):
        assert words in done.stderr
    assert done.stderr.count("error: ") == 4
    missing = run("--config", str(config) + "x", "config", "check")
    assert (missing.exit_code, "there is no config file" in missing.stderr) == (2, True)


WRONG_EVERYWHERE = """\
timezone = "Mars"
page_size = 0
archive = 5
[schedule]
instance = "2m"
balance = "often"
[alerts]
gather_minutes = -1
quiet = 5
[alerts.channels.ops]
kind = "pigeon"
url = "https://S3CRET.example"
timeout_s = 900
colour = "red"
[alerts.owners.li]
titel = ["x"]
titles = 7
mentions = { nowhere = "1" }
[accounts.lab]
api_key_fil = "x"
schedule = { bills = "5 parsecs", cards = 7.5 }
"""


def test_every_error_within_one_table_is_named_at_once(run: Command, config: Path) -> None:
    config.write_text(WRONG_EVERYWHERE)
    done = run(
        "--config", str(config), "config", "check", CHENYU_SCHEDULE="bills;cards=x;cards=1h;no=1h"
    )
    assert done.exit_code == 2
    words = [
        *("Mars", "page_size", "archive", "'instance'", ": balance", "gather_minutes", "quiet"),
        *("ops.kind", "holds a url", "ops.timeout_s", "ops.colour", "li.titel", "li.titles"),
        *("'nowhere'", "api_key_fil", ": bills", ": cards", "CHENYU_SCHEDULE is not understood"),
        *("CHENYU_SCHEDULE: cards", "names 'cards' twice", "CHENYU_SCHEDULE names 'no'"),
    ]
    assert [word for word in words if word not in done.stderr] == []
    assert "S3CRET" not in done.output


def test_what_would_stop_the_daemon_is_wrong_too(run: Command, config: Path) -> None:
    environ = {
        **{"CHENYU_PAGE": "on", "CHENYU_LISTEN": "0.0.0.0:9469", "OPS_URL": "https://x.example"},
        **{"ALL_PROXY": "socks4://127.0.0.1:1", "SSL_CERT_FILE": "/nonexistent.pem"},
    }
    done = run("--config", str(config), "config", "check", **environ)
    assert done.exit_code == 2
    for words in ("ALL_PROXY: SOCKS 4", "SSL_CERT_FILE names /nonexistent.pem", "page is on"):
        assert done.stderr.count(words) == 1
    odd = run("--config", str(config), "config", "check", CHENYU_LISTEN="[::1", OPS_URL="x")
    assert "listen (CHENYU_LISTEN) is not an address" in odd.stderr


@pytest.mark.parametrize(
    "content",
    [f"x = {'1' * 5_000}", f"x = {'[' * 3_000}", "x = ", "\x00", "x = 2026-02-30", "[a]\n[a]"],
)
def test_a_config_that_is_none_is_named_by_every_command(
    content: str, run: Command, config: Path
) -> None:
    config.write_text(content)
    for words in (("config", "check"), ("config", "show"), ("status",), ("init", "--no-sync")):
        done = run("--config", str(config), *words)
        assert done.exit_code == 2, words
        assert f"{config} cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/" + "x" * 300, "File name too long"),
        ("/dev/null/c.toml", "there is no config file"),
        ("/proc/1/mem", "cannot be read"),
        ("~no-such-user/c.toml", "in the home of a user who has none"),
    ],
)
@pytest.mark.parametrize("words", ["config check", "config show", "status", "service print cron"])
def test_a_config_that_cannot_be_looked_at_is_an_error_of_ours(
    name: str, reason: str, words: str, run: Command
) -> None:
    done = run("--config", name, *words.split())
    assert (done.exit_code, reason in done.stderr) == (2, True), done.output


def test_a_config_that_holds_a_secret_and_that_others_can_read_is_noted(
    run: Command, config: Path
) -> None:
    config.chmod(0o644)
    (config.parent / "lab.key").chmod(0o644)
    done = run("--config", str(config), "config", "check", OPS_URL="x")
    assert done.exit_code == 0
    assert f"chmod 600 {config}" in done.stderr
    assert "chmod 600 lab.key" in done.stderr


def test_a_config_with_a_secret_that_others_can_read_is_said_by_commands(
    run: Command, home: Path, path: Path
) -> None:
    config = home / "own.toml"
    config.write_text(f'database_url = "{path}"\nping_url = "https://hc.example/S3CRET"\n')
    for mode, is_said in ((0o644, True), (0o640, True), (0o600, False)):
        config.chmod(mode)
        done = run("--config", str(config), "status")
        assert (f"warning: {config} holds a secret" in done.stderr) == is_said
        assert "S3CRET" not in done.output
    config.write_text(f'database_url = "{path}"\n')
    config.chmod(0o644)
    assert "others can read" not in run("--config", str(config), "status").stderr


def test_each_setting_is_shown_with_its_origin_and_without_its_secret(
    run: Command, config: Path
) -> None:
    environ = {
        "CHENYU_DATABASE_URL": "postgresql://me:S3CRET@db.example/x",
        "CHENYU_ATTEMPTS": "3",
        "OPS_URL": "https://hook.example/S3CRET",
    }
    done = run("--config", str(config), "config", "show", "--json", **environ)
    assert done.exit_code == 0, done.output
    shown = {row["name"]: (row["value"], row["origin"]) for row in json.loads(done.stdout)}
    assert shown["page_size"] == ("7", str(config))
    assert shown["attempts"] == ("3", "CHENYU_ATTEMPTS")
    assert shown["concurrency"] == ("4", "default")
    assert shown["ping_url"] == ("https://hc.example/[secret]", str(config))
    assert "db.example" in shown["database_url"][0]
    assert shown["accounts.lab.key"] == ("[secret]", "lab.key")
    assert shown["accounts.lab.base_url"][0] == "https://lab.example/v2"
    assert shown["alerts.channels.ops.url_env"] == ("OPS_URL", str(config))
    assert "S3CRET" not in done.output
    plain = run("--config", str(config), "config", "show", **environ)
    assert f"page_size                    7  ({config})" in plain.stdout
    assert "S3CRET" not in plain.output


def test_a_variable_with_a_line_end_names_the_account_that_is_meant(
    run: Command, home: Path
) -> None:
    done = run("sync", CHENYU_ACCOUNT="lab\r\n")
    assert "there is no API key for account 'lab'" in done.stderr
    odd = run("sync", CHENYU_ACCOUNT="'lab")
    assert (odd.exit_code, "begins or ends with a quote" in odd.stderr) == (2, True)
