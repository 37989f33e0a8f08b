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
_STATES: Final = ("status", "result")
# some gateways repeat the HTTP status as their code
_FINE: Final = frozenset({"0", "200", "201", "202"})
_NO: Final = frozenset({"0", "false", "no"})
_FAILED: Final = frozenset({"error", "errors", "fail", "failed", "failure"})


def parsed(content: bytes) -> Any:
    """Decode the JSON of an answer's body; if it is none, return it as text, or None for a page."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # not shortened yet: half a secret would be recognised no more
        text = content.decode("utf-8", "replace").strip()
        # proxies answer with pages of their own: their beginning says nothing
        return None if text.startswith("<") else text or None


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
    if isinstance(content, str):
        return cleaned(content)
    if not isinstance(content, dict):
        return ""
    nested = next((content[k] for k in ("error", "errors") if _is_nested(content.get(k))), None)
    if nested is not None:
        return reason_in(nested[0] if isinstance(nested, list) else nested)
    code = next((content[k] for k in _CODES if k in content), None)
    reason = next((content[k] for k in _REASONS if isinstance(content.get(k), str)), "")
    parts = (f"code {code}" if code is not None else "", reason)
    return cleaned(": ".join(part for part in parts if part))


def cleaned(text: str) -> str:
    """Return a service's text as one short line without secrets."""
    text = "".join(c if c.isprintable() else " " for c in scrub(text)).strip()
    # it is kept in the database and shown in a line: a page of HTML would drown the reason
    return text if len(text) <= REASON_LIMIT else text[: REASON_LIMIT - 1] + "…"


def _is_nested(reason: Any) -> bool:
    return isinstance(reason, dict | list) and len(reason) > 0


def _refuses(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    # services that know no such flag leave it out
    flags = [content[flag] for flag in _FLAGS if flag in content]
    if any(str(flag).casefold() in _NO for flag in flags):
        return True
    # a service may count its own codes of success, if it says so beside them: WxPusher has 1000
    if True in flags:
        return False
    codes = [code for key in _CODES if _is_number(code := content.get(key))]
    if codes:
        return any(str(code) not in _FINE for code in codes)
    states = (str(content.get(key)).casefold() for key in _STATES)
    return any(state in _FAILED for state in states) or bool(content.get("error"))


def _is_number(code: Any) -> bool:
    return (isinstance(code, int) and not isinstance(code, bool)) or (
        isinstance(code, str) and re.fullmatch(r"-?\d+", code) is not None
    )
