"""A custom robot of a Feishu (飞书) group: a signed card, with its answer read.

Feishu answers HTTP 200 even if it refuses; the answer's `code` says so. Titles of instances are plain
text in the card: they cannot mention people or carry links.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from etl.alerts.channels.http import Webhook, webhook
from etl.alerts.channels.recipient import Recipient
from etl.alerts.message import Message
from etl.poll import Instant
from etl.settings.alerts import Channel

COLOURS: Final = {"urgent": "red", "warning": "orange", "info": "blue"}
BODY_LIMIT: Final = 20_000
"""Bytes of a request to a custom robot."""
ELEMENTS: Final = 100
"""The most elements that we put into a card: half of what Feishu allows."""


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    robot = webhook(channel, environ)
    return [Recipient(robot.name, lambda message, now: _send(robot, message, now))]


def _send(robot: Webhook, message: Message, now: Instant) -> None:
    # measured as it is sent: JSON writes some characters longer than they are
    lines = message.lines_within(
        lambda lines: (
            len(lines) <= ELEMENTS and len(_body(robot, message, lines, now)) <= BODY_LIMIT
        )
    )
    content = robot.post(_body(robot, message, lines, now))
    # some answers have StatusCode in the place of code
    code = content.get("code", content.get("StatusCode")) if isinstance(content, dict) else None
    if code != 0:
        raise robot.refused(content)


def sign(secret: str, now: Instant) -> str:
    """Return the HMAC-SHA256 of an empty text, keyed by `timestamp + newline + secret`, in Base64."""
    key = f"{now}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


def card(message: Message, lines: Sequence[str]) -> dict[str, Any]:
    """Return an interactive card whose last element mentions the people concerned."""
    elements: list[dict[str, Any]] = [
        {"tag": "div", "text": {"tag": "plain_text", "content": line}} for line in lines
    ]
    # only mentions are markup: a title could hold some, and would be read as such
    if message.mentions:
        mentions = " ".join(f"<at id={_safe_id(who)}></at>" for who in message.mentions)
        elements.append({"tag": "div", "text": {"tag": "lark_md", "content": mentions}})
    return {
        "config": {"wide_screen_mode": True},
        "header": {
            "template": COLOURS[message.severity],
            "title": {"tag": "plain_text", "content": message.title},
        },
        "elements": elements,
    }


def _body(robot: Webhook, message: Message, lines: Sequence[str], now: Instant) -> bytes:
    signed = {"timestamp": str(now), "sign": sign(robot.secret, now)} if robot.secret else {}
    content = card(message, lines)
    return msgspec.json.encode({**signed, "msg_type": "interactive", "card": content})


def _safe_id(who: str) -> str:
    # the id stands inside a tag, without quotes: a space or a > would end it
    return "".join(c for c in who if c.isalnum() or c in "_-.@")
