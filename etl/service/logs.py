"""Log lines for people on a terminal, JSON lines elsewhere; never a secret."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from datetime import UTC, datetime
from typing import Any, TextIO

from etl.redact import scrub


class TextLines(logging.Formatter):
    """Lines such as `10:02:07 lab instances: complete in 0.31 s: …`, in local time, for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s%(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        # the last gate: foreign libraries log too, with whatever they were given
        return scrub(super().format(record))


class JsonLines(logging.Formatter):
    """A JSON object for each line: `at` (UTC), `level`, `message`, and the figures of a poll."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "figures", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        clean = {k: scrub(v) if isinstance(v, str) else v for k, v in fields.items()}
        return json.dumps(clean, ensure_ascii=False, default=lambda v: scrub(str(v)))


def configure(form: str, stream: TextIO | None = None, *, debug: bool = False) -> None:
    """Send all log records, and warnings, to `stream` (standard error). `form`: `text`, `json`, or
    `auto`, which is text on a terminal.
    """
    stream = stream or sys.stderr
    is_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextLines() if is_text else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # of libraries only what goes wrong: httpx logs every request, with its URL
    root.setLevel(logging.WARNING)
    logging.getLogger("etl").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("etl.source.client").setLevel(logging.DEBUG if debug else logging.WARNING)
    # in the log's form: on standard error a bare line would break a stream of JSON
    warnings.showwarning = _log_warning


def _log_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    logging.getLogger("etl").warning("%s", message)
