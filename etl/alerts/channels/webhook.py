"""JSON to any address; with a secret, signed in a header."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from etl.alerts.channels.post import address, post
from etl.alerts.message import Message
from etl.history.days import iso
from etl.poll import Instant
from etl.settings.alerts import Channel

SIGNATURE: Final = "X-Chenyu-Signature"
TIMESTAMP: Final = "X-Chenyu-Timestamp"


def send(channel: Channel, message: Message, environ: Mapping[str, str], now: Instant) -> None:
    url = address(channel, environ)
    body = msgspec.json.encode(document(message))
    headers: dict[str, str] = {}
    secrets: list[str] = []
    if channel.secret:
        secrets = [channel.secret.read(environ, f"the secret of channel {channel.name!r}")]
        headers = {TIMESTAMP: str(now), SIGNATURE: sign(secrets[0], now, body)}
    post(channel, url, body, headers=headers, secrets=secrets)


def sign(secret: str, now: Instant, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of `timestamp.body` by the secret."""
    said = f"{now}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


def document(message: Message) -> dict[str, Any]:
    """What a program gets of a message, here and on standard input of a command."""
    return {
        "version": 1,
        "title": message.title,
        "severity": message.severity,
        "created_at": iso(message.created_at),
        "text": message.text,
        "alerts": [msgspec.to_builtins(item) for item in message.items],
    }
