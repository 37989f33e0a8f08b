"""Answers of services: refusals in HTTP and in the body, in words without a secret. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from etl.redact import scrub

REASON_LIMIT: Final = 200
# code and StatusCode of Feishu, errcode of DingTalk and WeCom, error_code of Telegram
_CODES: Final = ("code", "errcode", "StatusCode", "error_code")
_REASONS: Final = ("msg", "errmsg", "StatusMessage", "description", "message", "error")
_FLAGS: Final = ("ok", "success")
# some gateways repeat the HTTP status as their code
_FINE: Final = frozenset({"0", "200", "201", "202"})


def parsed_json(content: bytes) -> Any:
    """Decode the JSON of an answer's body; None if it is none."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def refusal(status: int, content: Any) -> str | None:
    """Return why an answer is a failure; None if it is none.

    Many services answer HTTP 200 and say in the body that they refuse: `errcode`, `code`, `ok`.
    """
    if not 200 <= status < 300:
        reason = reason_in(content)
        return f"HTTP {status}, {reason}" if reason else f"HTTP {status}"
    return reason_in(content) or "it refused" if _refuses(content) else None


def reason_in(content: Any) -> str:
    """Return code and reason in the body of an answer, fit for people, without secrets."""
    if not isinstance(content, dict):
        return ""
    code = next((content[k] for k in _CODES if k in content), None)
    reason = next((content[k] for k in _REASONS if isinstance(content.get(k), str)), "")
    parts = (f"code {code}" if code is not None else "", reason)
    return cleaned(": ".join(part for part in parts if part))


def cleaned(text: str) -> str:
    """Return a service's text as one short line without secrets."""
    text = "".join(c if c.isprintable() else " " for c in scrub(text)).strip()
    # it is kept in the database and shown in a line: a page of HTML would drown the reason
    return text if len(text) <= REASON_LIMIT else text[: REASON_LIMIT - 1] + "…"


def _refuses(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    # only False: services that know no such flag leave it out
    if any(content.get(flag) is False for flag in _FLAGS):
        return True
    codes = (content[key] for key in _CODES if key in content)
    return any(_is_number(code) and str(code) not in _FINE for code in codes)


def _is_number(code: Any) -> bool:
    return (isinstance(code, int) and not isinstance(code, bool)) or (
        isinstance(code, str) and re.fullmatch(r"-?\d+", code) is not None
    )
