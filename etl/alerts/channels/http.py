"""One POST of JSON. The whole address of a channel is a secret: errors name its host alone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from etl import __version__
from etl.alerts.channels import answer
from etl.errors import DeliveryError
from etl.settings.alerts import Channel
from etl.source.http import one_request
from etl.texts import tr

# httpx times each step by itself: a server that drips bytes would never run into a timeout
TOTAL_S: Final = 3.0
"""The longest that one POST takes in all, in timeouts of its channel."""
ANSWER_LIMIT: Final = 65_536
"""The most bytes of an answer that are read: no service sends more."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that takes JSON, with the secret that signs."""

    channel: Channel
    url: str
    secret: str = ""

    @property
    def name(self) -> str:
        return f"{self.channel.kind} {urlsplit(self.url).hostname or '?'}"

    def post(
        self, body: bytes, *, url: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return the JSON of the answer (None if it is none) to a POST to `url`, or to the address.

        Raises `DeliveryError` for a failure, even one that only the body of an HTTP 200 reports.
        """
        status, content = self._exchange(url or self.url, body, headers or {})
        decoded = answer.parsed(content)
        reason = answer.refusal(status, decoded)
        if reason is not None:
            raise self.failure(reason)
        return decoded

    def failure(self, reason: str) -> DeliveryError:
        return DeliveryError(tr("{name}: {reason}", name=self.name, reason=reason))

    def refused(self, content: Any) -> DeliveryError:
        """Return the error for an answer that does not confirm delivery."""
        reason = answer.reason_in(content) if isinstance(content, dict) else ""
        return self.failure(reason or "the answer is not understood")

    def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        ours = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"chenyu-etl/{__version__}",
            "Accept-Encoding": "identity",  # an answer is short, and never worth unpacking
        }
        timeout_s = self.channel.timeout_s
        try:
            with one_request(
                "POST",
                url,
                timeout_s=timeout_s,
                total_s=TOTAL_S * timeout_s,
                content=body,
                headers={**ours, **headers},
            ) as got:
                return got.status_code, beginning(got)
        except DeliveryError as error:
            raise self.failure(error.message) from None


def webhook(channel: Channel, environ: Mapping[str, str]) -> Webhook:
    """Return the channel's address and secret.

    Raises `SettingsError` if one is not set, `DeliveryError` if the address is no URL.
    """
    url = channel.url.read(environ, f"the address of channel {channel.name!r}")
    if not _is_url(url):
        raise DeliveryError(
            tr("the address of channel {name!r} is no http(s) URL", name=channel.name),
            advice=tr("copy it whole from the robot's or the service's page"),
        )
    secret = ""
    if channel.secret:
        secret = channel.secret.read(environ, f"the secret of channel {channel.name!r}")
    return Webhook(channel, url, secret)


def beginning(got: httpx.Response) -> bytes:
    """Return the beginning of an answer; if it is packed although that was not asked for, the text
    to which its beginning unpacks.
    """
    content = b""
    for chunk in got.iter_raw():
        content += chunk
        # whoever answers for the host decides how much comes; the refusal is in the beginning
        if len(content) > ANSWER_LIMIT:
            break
    if got.headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        return content
    with suppress(zlib.error):
        # 31: a gzip header; a stream that is cut off gives what it has until there
        return zlib.decompressobj(wbits=31).decompress(content, ANSWER_LIMIT)
    return b""


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # an address that is pasted may carry a line break
    has_space = any(c.isspace() for c in url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not has_space
