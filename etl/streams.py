"""Standard streams that may lose output, but never stop the work."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


class LossyStream(io.TextIOWrapper):
    """A text stream that drops text that it cannot write: on a full disk, into a closed pipe."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            silence(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            silence(self)


def silence(stream: TextIO) -> None:
    """Send a stream to nowhere: otherwise its buffered text would fail again at exit."""
    with suppress(OSError, ValueError):
        # under the stream, not instead of it: the interpreter flushes the old object at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def prepare() -> None:
    """Reopen standard streams that the caller closed, and make them lossy.

    A closed descriptor would be given to the next file that is opened, and a library's messages
    would go into the database.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    if sys.stderr is None:
        # Python gives None for a stream that was closed before it started (`2>&-`)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        # backslashreplace: a message with Chinese must not fail in a terminal of another encoding
        sys.stderr = LossyStream(
            sys.stderr.detach(), encoding, errors="backslashreplace", line_buffering=True
        )
