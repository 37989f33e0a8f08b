"""A real terminal for tests: a program on a pseudo-terminal of a given size."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-B]|[=>78])")
CLEAN = ("NO_COLOR", "CLICOLOR", "PAGER", "LESS", "COLUMNS", "LINES", "COLORTERM", "FORCE_COLOR")


@dataclass(frozen=True)
class Seen:
    """What a terminal received, what went to standard error if that was apart, and how it ended."""

    raw: str
    stderr: str
    code: int

    @property
    def text(self) -> str:
        return ESCAPE.sub("", self.raw)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Running:
    """A program that runs on a terminal; it is killed at the end of the `with` block."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        size: tuple[int, int] = (80, 50),
        apart: bool = True,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        is_plain: bool = False,
    ) -> None:
        master, slave = pty.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        kept = {key: value for key, value in os.environ.items() if key not in CLEAN}
        kept |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            words if is_plain else [sys.executable, "-m", "etl.cli", *words],
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE if apart else slave,
            env=kept | dict(environ or {}),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_take_terminal,  # so that Ctrl-C reaches it
        )
        os.close(slave)
        self._master = master
        self._received = b""
        self._errors = b""
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _read_errors(self) -> None:
        if self.process.stderr is not None:
            self._errors = self.process.stderr.read()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(PATIENCE_S)
        if self.process.stderr is not None:
            self.process.stderr.close()
        os.close(self._master)

    @property
    def received(self) -> str:
        return self._received.decode(errors="replace")

    def types(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, holds: Callable[[str], bool]) -> str:
        """Read until something holds of all that was received, or the program ends."""
        while not holds(self.received):
            readable, _, _ = select.select([self._master], [], [], PATIENCE_S)
            assert readable, f"nothing more came: {self.received[-2_000:]!r}"
            try:
                more = os.read(self._master, 65_536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not more:
                break
            self._received += more
        return self.received

    def ends(self) -> Seen:
        """Read to the end, and wait for it."""
        self.until(lambda _: False)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return Seen(self.received.replace("\r\n", "\n"), self._errors.decode(), code)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def on_terminal(
    *words: str,
    width: int = 80,
    height: int = 200,
    apart: bool = True,
    cwd: Path | None = None,
    **environ: str,
) -> Seen:
    """Run a command of ours on a terminal to its end."""
    with Running(words, size=(width, height), apart=apart, environ=environ, cwd=cwd) as running:
        return running.ends()
