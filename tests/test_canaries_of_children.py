"""No secret of the settings is in the environment or on the command line of a child process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from etl.service.builds import InProcess
from etl.service.figures import ReportProcess

CANARY = "cy_canary-of-children"
NAMES = ("CHENYU_API_KEY", "CHENYU_PAGE_TOKEN", "LAB_KEY", "OPS_SECRET", "MAIL_URL", "https_proxy")
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
    for name in NAMES:
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
