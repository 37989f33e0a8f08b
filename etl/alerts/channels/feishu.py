"""A custom robot of a Feishu (飞书) group: a signed card, with its answer read.

Feishu answers HTTP 200 also where it refuses; the answer's `code` says so. What instances are called
is plain text in the card: a title cannot mention people or carry links.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from etl.alerts.channels.post import address, post, refused
from etl.alerts.message import Message
from etl.poll import Instant
from etl.settings.alerts import Channel

COLOURS: Final = {"urgent": "red", "warning": "orange", "info": "blue"}


def send(channel: Channel, message: Message, environ: Mapping[str, str], now: Instant) -> None:
    url, secret = address(channel, environ), ""
    body: dict[str, Any] = {"msg_type": "interactive", "card": card(message)}
    if channel.secret:
        secret = channel.secret.read(environ, f"the secret of channel {channel.name!r}")
        body = {"timestamp": str(now), "sign": sign(secret, now), **body}
    secrets = [secret] if secret else []
    content = post(channel, url, msgspec.json.encode(body), secrets=secrets)
    code = content.get("code", content.get("StatusCode")) if isinstance(content, dict) else None
    if code != 0:
        raise refused(channel, url, content, secrets)


def sign(secret: str, now: Instant) -> str:
    """HMAC-SHA256 of nothing, by the key `timestamp + newline + secret`, in Base64: Feishu's way."""
    key = f"{now}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


def card(message: Message) -> dict[str, Any]:
    """An interactive card; the people whom it concerns are mentioned in its last element."""
    elements: list[dict[str, Any]] = [
        {"tag": "div", "text": {"tag": "plain_text", "content": line}} for line in message.lines
    ]
    if message.mentions:
        named = " ".join(f"<at id={_plain(who)}></at>" for who in message.mentions)
        elements.append({"tag": "div", "text": {"tag": "lark_md", "content": named}})
    return {
        "config": {"wide_screen_mode": True},
        "header": {
            "template": COLOURS[message.severity],
            "title": {"tag": "plain_text", "content": message.title},
        },
        "elements": elements,
    }


def _plain(who: str) -> str:
    return "".join(c for c in who if c.isalnum() or c in "_-.@")
