"""Secrets of the settings: no command shows one, in whichever way it fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Command, cloud, home, path, run, server
from tests.live import COMMAND, command, environment, leaks

__all__ = ["cloud", "home", "path", "run", "server"]

CANARY = "Xy9CANARY7zQ"
KEY = f"cy_{CANARY}key"
WEBHOOK = f"https://localhost:1/robot/send?access_token={CANARY}hook"
PING = f"http://127.0.0.1:1/{CANARY}ping"
PROXY = f"http://me:{CANARY}proxy@127.0.0.1:1"
DATABASES = {
    "password": f"postgresql://etl:{CANARY}@127.0.0.1:1/x",
    "percent": f"postgresql://etl:{CANARY}%25%40%2F@127.0.0.1:1/x",
    "bare percent": f"postgresql://etl:{CANARY}%zz@127.0.0.1:1/x",
    "an @": f"postgresql://etl:{CANARY}@{CANARY}@127.0.0.1:1/x",
    "a slash": f"postgresql://etl:a/{CANARY}@127.0.0.1:1/x",
    "query": f"postgresql://127.0.0.1:1/x?user=etl&password={CANARY}",
    "ssl": f"postgresql://etl@127.0.0.1:1/x?sslpassword={CANARY}",
    "socket": f"postgresql://etl:{CANARY}@/x?host=%2Ftmp%2Fno%20such%2F{{dir}}",
    "abstract socket": f"postgresql://etl:{CANARY}@/x?host=%40nowhere",
    "options": f"postgresql://etl:{CANARY}@127.0.0.1:1/x?options=-cx%3D1",
    "bad name": f"postgresql://etl:{CANARY}@no such host/x",
    "dsn": f"host=127.0.0.1 port=1 dbname=x user=etl password={CANARY}",
    "quoted": f'"postgresql://etl:{CANARY}@127.0.0.1:1/x"',
    "one slash": f"postgresql:/etl:{CANARY}@127.0.0.1:1/x",
    "mysql": f"mysql://etl:{CANARY}@127.0.0.1:1/x",
}
CONFIG = f"""
ping_url = "{PING}"
[accounts.lab]
api_key_env = "LAB_KEY"
[alerts.channels.ops]
kind = "webhook"
url_env = "OPS_URL"
secret_env = "OPS_SECRET"
[alerts.channels.mail]
kind = "apprise"
url_env = "MAIL_URL"
[alerts.channels.own]
kind = "command"
command = ["/nonexistent", "--token", "{CANARY}word"]
"""
WORDS = [
    ("sync",),
    ("sync", "--json"),
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("report", "now"),
    ("report", "--file", "own.sql"),
    ("report", "month", "--month", "2026-10", "-o", "m.xlsx"),
    ("page", "-o", "p.html"),
    ("export", "focus", "-o", "f.csv"),
    ("export", "parquet", "pq"),
    ("account", "list"),
    ("alerts", "list"),
    ("alerts", "test"),
    ("alerts", "check"),
    ("digest",),
    ("digest", "--send"),
    ("config", "check"),
    ("config", "show"),
    ("config", "show", "--json"),
    ("service", "print", "cron"),
    ("service", "print", "systemd", "--user"),
    ("prices", "show"),
    ("rules", "show"),
    ("usage", "import", "own.sql"),
    ("usage", "model"),
    ("month", "show"),
    ("rebuild", "--check"),
    ("codes", "show"),
    ("db", "upgrade"),
    ("db", "backup", "b.dump"),
    ("db", "readonly-user", "bi"),
    ("db", "check"),
    ("db", "prune", "--days", "400", "--dry-run"),
    ("mcp",),
    ("run",),
]
"""The last one does not end by itself where a database is."""


def canaries(database: str) -> dict[str, str]:
    return {
        "CHENYU_DATABASE_URL": database,
        "LAB_KEY": KEY,
        "OPS_URL": WEBHOOK,
        "OPS_SECRET": f"{CANARY}signs",
        "MAIL_URL": f"mailto://me:{CANARY}mail@127.0.0.1:1?to=you@x.cn",
        "CHENYU_CONFIG": "c.toml",
        "CHENYU_ATTEMPTS": "1",
        "CHENYU_LISTEN": "off",
        "CHENYU_BASE_URL": "http://127.0.0.1:1/v2",
        "https_proxy": PROXY,
        "PGPASSWORD": f"{CANARY}env",
        "PGCONNECT_TIMEOUT": "2",
    }


@pytest.fixture
def see(run: Command, home: Path) -> Command:
    (home / "c.toml").write_text(CONFIG)
    (home / "own.sql").write_text("SELECT 1 AS x")
    return run


@pytest.mark.parametrize("form", DATABASES)
def test_no_command_shows_a_password_of_the_database(form: str, see: Command) -> None:
    few = [("sync",), ("status",), ("doctor",), ("config", "show"), ("db", "backup", "b.dump")]
    for words in WORDS[:-1] if form == "password" else few:
        for debug in ([], ["--debug"]):
            result = see(*debug, *words, **canaries(DATABASES[form]))
            assert CANARY not in result.output, (words, result.output)
            assert CANARY not in str(result.exception), words


def test_no_command_shows_a_key_a_webhook_or_a_proxy(see: Command, home: Path, path: Path) -> None:
    for words in WORDS[:-1]:
        result = see(*words, **canaries(str(path)))
        assert CANARY not in result.output, (words, result.output)
        assert "Traceback" not in result.output
    made = {file.suffix for file in home.rglob("*")}
    assert made >= {".xlsx", ".html", ".csv", ".parquet", ".dump"}
    (home / "c.toml").unlink()
    assert leaks(home, secrets=(CANARY,)) == []


@pytest.mark.parametrize("form", ["password", "socket", "query"])
def test_no_secret_of_the_settings_is_in_a_traceback_or_a_log(form: str, home: Path) -> None:
    """In processes of their own, so that what Python and the libraries print is seen too."""
    (home / "c.toml").write_text(CONFIG)
    environ = environment("http://127.0.0.1:1/v2", "", home)
    environ |= canaries(DATABASES[form]) | {"CHENYU_CONFIG": str(home / "c.toml")}
    for words in (["--debug", "sync"], ["--debug", "status"], ["run"], ["doctor"]):
        done = command(environ, *words)
        assert done.returncode != 0
        assert CANARY not in done.stdout + done.stderr, words


MISPLACED = {
    "a key for its file": f'[accounts.lab]\napi_key_file = "{KEY}0123"',
    "a key for its variable": f'[accounts.lab]\napi_key_env = "{KEY}0123"',
    "a key for its credential": f'[accounts.lab]\napi_key_credential = "{KEY}0123"',
    "a key for a name": f'[accounts.{KEY}0123]\napi_key_env = "LAB_KEY"',
    "an address for its variable": f'[alerts.channels.ops]\nurl_env = "{WEBHOOK}"',
    "an address for its file": f'[alerts.channels.ops]\nurl_file = "{WEBHOOK}"',
    "an address for a channel": f'[alerts.channels]\nops = "{WEBHOOK}"',
    "a secret for its file": f'[alerts.channels.ops]\nurl_env = "MAIL_URL"\nsecret_file = "{CANARY}"',
    "a secret for its variable": f'[alerts.channels.ops]\nurl_env = "MAIL_URL"\nsecret_env = "{CANARY}"',
}


@pytest.mark.parametrize("config", MISPLACED.values(), ids=MISPLACED)
def test_a_secret_in_the_place_of_its_name_is_shown_by_no_command(
    config: str, run: Command, home: Path, path: Path
) -> None:
    (home / "c.toml").write_text(config)
    for words in (
        *(["sync"], ["config", "check"], ["config", "show"], ["doctor"], ["alerts", "test"]),
        *(["service", "print", "systemd", "--user"], ["service", "print", "cron"]),
    ):
        result = run(*words, **canaries(str(path)), CHENYU_RESOURCES="instances")
        assert CANARY not in result.output, words


@pytest.mark.parametrize(
    "words",
    [
        ("sync", f"{KEY}0123"),
        (f"{KEY}0123",),
        ("--api-key", f"{KEY}0123", "sync"),
        ("sync", f"--key={KEY}0123"),
        ("sync", "--account", f"{KEY}0123"),
        ("report", "now", "--by", f"{KEY}0123"),
        ("--database", f"postgresql://u:{CANARY}@h/x", "sync"),
        ("--database", f"postgresql://u@h/x?oauth_client_secret={CANARY}", "sync"),
    ],
)
def test_a_secret_among_the_words_of_a_command_is_not_repeated(
    words: tuple[str, ...], run: Command, path: Path
) -> None:
    result = run(*words, CHENYU_DATABASE_URL=str(path), CHENYU_API_KEY=KEY)
    assert result.exit_code == 2
    assert CANARY not in result.output


FAULTS = """
import logging, sys, threading, warnings
from etl.redact import remember
import etl.app

class Odd:
    def __del__(self):
        raise ValueError(secret)

def fault(*_, **__):
    remember(secret)
    thread = threading.Thread(target=int, args=(secret,))
    thread.start()
    thread.join()
    warnings.warn(secret)
    logging.getLogger("foreign").warning("%r", [secret])
    Odd()
    raise ExceptionGroup(secret, [KeyError(secret)]) from ValueError("http://me:Xy9CAN@h is odd")

secret = sys.stdin.read()
etl.app.App.__init__ = fault
sys.argv[1:] = ["status"]
from etl.start import main
main()
"""


def test_a_fault_of_the_program_shows_no_secret(home: Path) -> None:
    """In tracebacks of each kind, a warning, and a log line of a library that nobody set up."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        input=f"{CANARY}'\"\\ü",
        capture_output=True,
        text=True,
        env=environment("http://127.0.0.1:1/v2", str(home / "x.db"), home, PYTHONWARNINGS="always"),
    )
    assert done.returncode == 1
    assert done.stderr.count("***") >= 6
    assert "ExceptionGroup" in done.stderr
    assert "Xy9CAN" not in done.stderr


def test_every_command_is_tried_with_canaries() -> None:
    """A new command is to be named above, or here with the reason why it needs no settings."""
    from etl.cli import main

    own_world = {"demo", "init"}  # one has a cloud and a database of its own, the other writes keys
    changing = {"replay", "service", "rules", "prices", "month", "account", "db", "codes", "alerts"}
    names = set(main.commands)
    assert names == {words[0] for words in WORDS} | own_world | (changing & names)
    assert re.search(r"chenyu-etl$", str(COMMAND))


@pytest.mark.parametrize("group", [(), ("db",)], ids=["all", "db"])
def test_a_group_alone_shows_its_help_as_it_is(run: Command, group: tuple[str, ...]) -> None:
    shown = run(*group)
    assert shown.output.startswith("Usage: ")
    assert "Error" not in shown.output
    assert "***" not in shown.output
