"""No secret of the settings is in the environment or on the command line of a child process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl.address import database_order, ordered_database
from etl.cli.terminal import _through_pager
from etl.errors import SettingsError
from etl.service.builds import InProcess
from etl.service.figures import ReportProcess
from etl.service.installing import _run_tool

CANARY = "cy_canary-of-children"
NAMES = (
    "CHENYU_API_KEY",
    "CHENYU_PAGE_TOKEN",
    "LAB_KEY",
    "OPS_SECRET",
    "MAIL_URL",
    "https_proxy",
    "PG_URL",
    "PGADMIN_TOKEN",
    "PYTHON_INDEX_TOKEN",
    "XDG_SECRET",
    "LC_PASSWORD_1",
    "TERMINUS_KEY",
    "LESS_SECRET",
    "COLORS_TOKEN",
    "PAGERDUTY_TOKEN",
    "MOREKEY",
    "SYSTEMD_CREDENTIAL",
    "DBUS_PASSWORD",
)
"""Variables of any name may hold a key: the settings name them."""
URL = f"postgresql://etl:{CANARY}@127.0.0.1:1/x"


class StartedError(Exception):
    """Raised in the place of a process."""


@pytest.mark.parametrize(
    "starts",
    [lambda: InProcess(URL, lambda: 0)(), lambda: ReportProcess(URL, lambda: 0)._running()],
    ids=["page", "reports"],
)
def test_a_child_gets_no_secret(starts: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "PGPASSWORD"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("PGSSLMODE", "require")
    started: list[tuple[Any, dict[str, Any]]] = []

    def record(words: Any, **options: Any) -> None:
        started.append((words, options))
        raise StartedError

    monkeypatch.setattr(subprocess, "Popen", record)
    with pytest.raises(StartedError):
        starts()
    ((words, options),) = started
    assert CANARY not in repr(words)
    assert CANARY not in repr(options["env"]), "the database's URL goes through a pipe"
    assert options["env"]["PGSSLMODE"] == "require"
    assert "PATH" in options["env"]


def test_a_child_learns_the_password_of_libpq_by_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)
    order = json.loads(json.dumps(database_order("postgresql:///x")))
    monkeypatch.delenv("PGPASSWORD")
    assert ordered_database(order) == "postgresql:///x"
    assert os.environ["PGPASSWORD"] == CANARY


def test_a_tool_that_starts_the_service_gets_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*NAMES, "PGPASSWORD"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x")
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nenv | tr '\\n' ' ' >&2\nexit 1\n")
    tool.chmod(0o700)
    with pytest.raises(SettingsError) as caught:
        _run_tool([str(tool)])
    assert "DBUS_SESSION_BUS_ADDRESS=unix:path=/x" in caught.value.message
    assert CANARY not in caught.value.message


def test_a_pager_gets_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (*NAMES, "PGPASSWORD"):
        monkeypatch.setenv(name, CANARY)
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\nenv\ntr '\\0' ' ' < /proc/$PPID/cmdline\ncat\n")
    pager.chmod(0o700)
    monkeypatch.setenv("PAGER", str(pager))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("LESS", raising=False)
    monkeypatch.setattr("click._termui_impl.isatty", lambda _stream: True)
    _through_pager("a long table", is_wide=True)
    seen = capfd.readouterr().out
    assert "a long table" in seen
    assert "LESS=-FRXS" in seen
    assert "TERM=xterm" in seen
    assert CANARY not in seen
    assert os.environ["OPS_SECRET"] == CANARY, "what follows has its settings"
