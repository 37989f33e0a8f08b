"""Log lines for people on a terminal, JSON lines elsewhere; never a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from etl.redact import redact_urls

_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}"), r"\1 [secret]"),
    (re.compile(r"\b(?:cy|sk)[_-][\w-]{6,}"), "[key]"),
    (
        re.compile(
            r"(?i)\b((?:api_?)?key|token|secret|passw(?:or)?d|passwd|pwd)\b(['\"]?\s*[=:]\s*)"
            r"(['\"]?)[^\s'\",;&]+"
        ),
        r"\1\2\3[secret]",
    ),
)


def without_secrets(text: str) -> str:
    """`text` with URLs cut down, and without what looks like a key, a password or a token."""
    text = redact_urls(text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class TextLines(logging.Formatter):
    """`10:02:07 lab instances: complete in 0.31 s: …`, in local time, for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s%(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """An object a line: `at` (UTC), `level`, `message`, and the figures of a poll."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        said: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "figures", {}),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        clean = {k: without_secrets(v) if isinstance(v, str) else v for k, v in said.items()}
        return json.dumps(clean, ensure_ascii=False, default=lambda v: without_secrets(str(v)))


def configure(form: str, stream: TextIO | None = None, *, debug: bool = False) -> None:
    """Send all that is logged, and warnings, to `stream` (standard error). `form`: `text`, `json`,
    or `auto`, which is text on a terminal."""
    stream = stream or sys.stderr
    is_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextLines() if is_text else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("etl").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("etl.source.client").setLevel(logging.DEBUG if debug else logging.WARNING)
    warnings.showwarning = _log_warning


def _log_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    logging.getLogger("etl").warning("%s", message)
