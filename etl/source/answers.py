"""Answers of the source: their envelope, and the error that a bad one stands for.

The source says "refused" and "too often" in two places, the HTTP status and the envelope's `code`; both
are read here alone. Foreign words pass through `safe_words` before they may stand in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from etl.errors import Changed, ErrorKind, Missing, Refused, SourceError, Unavailable
from etl.redact import scrub, scrub_foreign
from etl.resources.listing import parse_json
from etl.source.proxies import Proxy
from etl.texts import tr

WORDS_LIMIT: Final = 200
TOO_MANY: Final = 429
PROXY_USER: Final = 407
NOT_THERE: Final = frozenset({404, 405, 410, 501})
"""No such path, not for reading, no more, not made yet: the source does not have what was asked for."""

ADVICE_KEY: Final = (
    "set CHENYU_API_KEY or api_key_file to a valid key; keys are made in the console of chenyu.cn"
)
ADVICE_PERMISSION: Final = (
    "the key has no permission for this path; widen it in the console of chenyu.cn"
)
ADVICE_CHANGED: Final = "check CHENYU_BASE_URL, and look for a newer version of chenyu-etl"
ADVICE_WAIT: Final = "it may pass: the next poll tries again"

# 2 is the envelope's code for a bad key, which comes with HTTP 200
_REFUSALS: Final = {401: ADVICE_KEY, 2: ADVICE_KEY, 403: ADVICE_PERMISSION}
# request timeout, too early, too many requests: of all 4xx only these heal by asking again
_PASSING: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with `code` 0.

    `sent_at` and `received_at` are those of the request that brought it, on the local clock; `date`
    is its Date header in epoch seconds, None if it has no readable one.
    """

    body: bytes
    sent_at: float
    received_at: float
    date: int | None


class _Envelope(msgspec.Struct):
    code: Any = None
    msg: Any = None
    # left undecoded: the resource reads it, unless the bytes are those of the last poll
    data: msgspec.Raw = msgspec.Raw()


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def fault_of(
    path: str, status: int, retry_after: str, answer: Answer, proxy: Proxy | None
) -> SourceError | None:
    """Return the error that the status or the envelope's code of an answer stands for; None for none.

    `retry_after` is that header, empty if there is none; `proxy` the one that brought the answer.
    """
    envelope = _open_envelope(answer.body)
    code = _envelope_code(envelope.code) if envelope else None
    if 200 <= status < 300 and code == 0:
        return None
    signs = [f"HTTP {status}"]
    if envelope is None:
        signs.append("not JSON")
    elif code:
        signs.append(f"code {code}")
    words = safe_words(envelope.msg, scrub_foreign) if envelope else ""
    what = f"GET {path}: {', '.join(signs)}{words and ': '}{words}"
    # both may name one: refusals come with HTTP 200, and pages of a proxy without an envelope
    faults = [n for n in (0 if 200 <= status < 300 else status, code) if n]
    return _error(what, faults, envelope is not None, _wait_s(retry_after, answer), proxy)


def _error(
    what: str, faults: list[int], is_json: bool, wait_s: float | None, proxy: Proxy | None
) -> SourceError:
    # refusals first: trying again with a refused key is in vain, whatever the HTTP status
    refusal = next((n for n in faults if n in _REFUSALS), None)
    if refusal is not None:
        return Refused(what, advice=_REFUSALS[refusal], status=refusal)
    if not faults and is_json:
        return Changed(
            tr("{what}, without a readable code", what=what), advice=ADVICE_CHANGED, path="$.code"
        )
    if PROXY_USER in faults and proxy is not None:
        user = tr("write USER:PASSWORD@ before the host of {variable}", variable=proxy.variable)
        return Unavailable(what, advice=user)
    if not NOT_THERE.isdisjoint(faults):
        return Missing(what, advice=advice_through(ADVICE_CHANGED, proxy))
    if faults and 300 <= faults[0] < 500 and faults[0] not in _PASSING:
        return Changed(what, advice=advice_through(ADVICE_CHANGED, proxy))
    advice = advice_through(ADVICE_WAIT, proxy)
    failure = Unavailable(what, advice=advice, retry_after_s=wait_s, limited=TOO_MANY in faults)
    if not faults:  # such as the front page of a site, for a path that it does not know
        failure.kind = ErrorKind.CHANGED
    return failure


def advice_through(advice: str, proxy: Proxy | None) -> str:
    """Return advice that also names the proxy, if there is one: it may have answered instead."""
    if proxy is None:
        return advice
    return f"{advice}; check {proxy.variable}, or name the host in NO_PROXY"


def safe_words(text: Any, cut: Callable[[str], str] = scrub) -> str:
    """Return foreign words in a form that is safe in a message: without what `cut` finds secret, on
    one line.
    """
    if not isinstance(text, str):
        return ""
    # secrets go before the text is shortened: half a secret is recognised no more
    words = cut(text)[: 10 * WORDS_LIMIT]
    words = "".join(c if c.isprintable() else " " for c in words).strip()
    return words if len(words) <= WORDS_LIMIT else words[: WORDS_LIMIT - 1] + "…"


@lru_cache(maxsize=64)
def http_date(date: str | None) -> int | None:
    """Return an HTTP date in epoch seconds; None if it is none."""
    try:
        when = parsedate_to_datetime(date) if date else None
        if when is None:
            return None
        # `-0000` gives a naive time, which Python would take for a local one
        return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _open_envelope(body: bytes) -> _Envelope | None:
    """Return the envelope of an answer, with `code` None if it has none; None if it is no JSON."""
    try:
        return _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # one bad byte in the list must not hide that the answer went well
        answer = parse_json(body)
    except (ValueError, RecursionError):
        return None
    envelope = answer if isinstance(answer, dict) else {}
    return _Envelope(envelope.get("code"), envelope.get("msg"))


def _envelope_code(code: Any) -> int | None:
    """Return an envelope's code, a number or a numeric string; None if it is neither."""
    if isinstance(code, str) and re.fullmatch(r"\s*-?[0-9]{1,9}\s*", code):
        return int(code)
    if isinstance(code, bool) or not isinstance(code, int | float) or not abs(code) < 10**9:
        return None
    return int(code) if code == int(code) else None


def _wait_s(retry_after: str, answer: Answer) -> float | None:
    """Return the seconds that the source asks us to wait; an HTTP date counts from the answer's own
    Date.
    """
    asked = retry_after.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", asked, re.ASCII):
        return float(asked[:12])
    until = http_date(asked)
    if until is None:
        return None
    # by the source's clock if it is known: ours may be an hour off
    return max(0.0, until - (answer.received_at if answer.date is None else answer.date))
