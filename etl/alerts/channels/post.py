"""One POST of JSON. The whole address of a channel is a secret: errors name its host alone."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from etl import __version__
from etl.errors import DeliveryError
from etl.redact import scrub
from etl.settings.alerts import Channel
from etl.source.deadline import Budget, bind

SAID_LIMIT: Final = 200
TOTAL_S: Final = 3.0
"""So many timeouts of a channel are the longest that one POST takes in all."""
for _name in ("httpx", "httpcore"):  # they log the address, and headers
    logging.getLogger(_name).setLevel(logging.WARNING)


def address(channel: Channel, environ: Mapping[str, str]) -> str:
    """The channel's address. Raises `SettingsError` where it is not set, `DeliveryError` where it is
    none."""
    url = channel.url.read(environ, f"the address of channel {channel.name!r}")
    if not _is_url(url):
        raise DeliveryError(
            f"the address of channel {channel.name!r} is no http(s) URL",
            advice="copy it whole from the robot's or the service's page",
        )
    return url


def post(
    channel: Channel,
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> Any:
    """The answer's JSON (None where it is none) of a POST that HTTP calls well. Raises
    `DeliveryError`, without the address, `secrets`, or an answer that repeats them."""
    said = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"chenyu-etl/{__version__}",
    }
    budget = Budget()
    try:
        with httpx.Client(timeout=channel.timeout_s, follow_redirects=False) as http:
            bind(http, budget)
            budget.ends = time.monotonic() + TOTAL_S * channel.timeout_s
            answer = http.post(url, content=body, headers={**said, **(headers or {})})
    except httpx.HTTPError as error:
        raise failure(channel, url, _words(error)) from None
    except (httpx.InvalidURL, ValueError):
        raise failure(channel, url, "its address cannot be used") from None
    content = _json(answer.content)
    if not answer.is_success:
        words = f"HTTP {answer.status_code}"
        told = _told(content, (url, *secrets))
        raise failure(channel, url, f"{words}, {told}" if told else words)
    return content


def refused(channel: Channel, url: str, content: Any, secrets: Sequence[str]) -> DeliveryError:
    """The error of an answer whose body says that it went wrong."""
    told = _told(content, (url, *secrets)) or "the answer is not understood"
    return failure(channel, url, told)


def failure(channel: Channel, url: str, words: str) -> DeliveryError:
    host = urlsplit(url).hostname or "?"
    return DeliveryError(f"{channel.kind} {host}: {words}")


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _told(content: Any, secrets: Sequence[str]) -> str:
    """Code and reason of an answer, in the words of the services that we know, fit for people."""
    if not isinstance(content, dict):
        return ""
    code = next((content[k] for k in ("code", "errcode", "StatusCode") if k in content), None)
    reason = next(
        (content[k] for k in ("msg", "errmsg", "StatusMessage", "error") if k in content), ""
    )
    said = ": ".join(
        str(part) for part in (f"code {code}" if code is not None else "", reason) if part
    )
    return _clean(said, secrets)


def _clean(text: str, secrets: Sequence[str]) -> str:
    for part in sorted({p for s in secrets for p in _parts(s)}, key=len, reverse=True):
        text = re.sub(re.escape(part), "[secret]", text, flags=re.IGNORECASE)
    text = scrub(text)
    text = "".join(c if c.isprintable() else " " for c in text).strip()
    return text if len(text) <= SAID_LIMIT else text[: SAID_LIMIT - 1] + "…"


def _parts(secret: str) -> set[str]:
    """A secret and those parts of it that are secrets too: of a URL its path, query and user-info."""
    whole = {secret}
    if "://" in secret:
        url = urlsplit(secret)
        pieces = re.split(r"[/&=?]", f"{url.path}&{url.query}")
        whole |= {
            piece for piece in (*pieces, url.username, url.password) if piece and len(piece) > 7
        }
    return whole | {unquote(each) for each in whole}


def _words(error: httpx.HTTPError) -> str:
    """What failed, without the text of exceptions, which can hold the address."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"the connection or the answer broke ({type(error).__name__})"


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
