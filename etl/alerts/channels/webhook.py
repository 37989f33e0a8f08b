"""JSON to any address; with a secret, signed in a header."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from etl.alerts.channels.http import Webhook, webhook
from etl.alerts.channels.recipient import Recipient
from etl.alerts.message import Message
from etl.history.days import iso
from etl.poll import Instant
from etl.settings.alerts import Channel

SIGNATURE: Final = "X-Chenyu-Signature"
TIMESTAMP: Final = "X-Chenyu-Timestamp"


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    address = webhook(channel, environ)
    return [Recipient(address.name, lambda message, now: _send(address, message, now))]


def _send(address: Webhook, message: Message, now: Instant) -> None:
    body = msgspec.json.encode(document(message))
    headers: dict[str, str] = {}
    if address.secret:
        headers = {TIMESTAMP: str(now), SIGNATURE: sign(address.secret, now, body)}
    address.post(body, headers=headers)


def sign(secret: str, now: Instant, body: bytes) -> str:
    """Return `sha256=` and the hex HMAC-SHA256 of `timestamp.body`, keyed by the secret."""
    signed = f"{now}.".encode() + body
    # the time is signed too, so that a copy of the request can be told by its age
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def document(message: Message) -> dict[str, Any]:
    """Return a message as a JSON object for programs: for webhooks, and for a command's input."""
    return {
        # programs of others read it: a change that breaks them gets another number
        "version": 1,
        "title": message.title,
        "severity": message.severity,
        "created_at": iso(message.created_at),
        "text": message.text,
        "alerts": [msgspec.to_builtins(item) for item in message.items],
    }
