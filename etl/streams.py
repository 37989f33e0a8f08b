"""Standard streams that may lose output, but never stop the work."""

from __future__ import annotations

import io
import os
import sys
import traceback
from contextlib import suppress
from typing import Any, TextIO


class LossyStream(io.TextIOWrapper):
    """A text stream for people, without the secrets that the process knows.

    It drops text that it cannot write: on a full disk, into a closed pipe.
    """

    def write(self, text: str) -> int:
        # the last gate: Python's own reports of faults and libraries' warnings come here, too
        known = sys.modules.get("etl.redact.known")
        try:
            return super().write(known.known.cut(text) if known else text)
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


def report_fault(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print the traceback of a fault without secrets; replaces `sys.excepthook`."""
    from etl.redact import scrub

    sys.stderr.write(scrub("".join(traceback.format_exception(kind, error, trace))))


def prepare() -> None:
    """Reopen standard streams that the caller closed, and make them lossy.

    A closed descriptor would be given to the next file that is opened, and a library's messages
    would go into the database.
    """
    sys.excepthook = report_fault
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
