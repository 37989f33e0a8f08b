"""A custom robot of a DingTalk (钉钉) group: the signature is in the address, `errcode` in the answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec

from etl.alerts.channels.http import Webhook, webhook
from etl.alerts.channels.plain import without_markup
from etl.alerts.channels.recipient import Recipient
from etl.alerts.message import Message
from etl.poll import Instant
from etl.settings.alerts import Channel

BODY_LIMIT: Final = 20_000
"""Bytes of a request."""


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    robot = webhook(channel, environ)
    return [Recipient(robot.name, lambda message, now: _send(robot, message, now))]


def _send(robot: Webhook, message: Message, now: Instant) -> None:
    url = robot.url
    if robot.secret:
        # the signature goes into the query, beside the access_token
        joint = "&" if "?" in url else "?"
        signature = quote_plus(sign(robot.secret, now * 1_000))
        url = f"{url}{joint}timestamp={now * 1_000}&sign={signature}"
    lines = message.lines_within(lambda lines: len(_body(message, lines)) <= BODY_LIMIT)
    content = robot.post(_body(message, lines), url=url)
    # a refusal comes with HTTP 200 as well: only errcode 0 confirms
    if not isinstance(content, dict) or content.get("errcode") != 0:
        raise robot.refused(content)


def sign(secret: str, timestamp_ms: int) -> str:
    """Return the HMAC-SHA256 of `timestamp + newline + secret`, keyed by the secret, in Base64."""
    signed = f"{timestamp_ms}\n{secret}".encode()
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def markdown(message: Message, lines: Sequence[str]) -> dict[str, Any]:
    """Return a Markdown message that mentions people by mobile number, which the text must hold too."""
    # the heading is ours: Markdown in titles of instances is taken away
    parts = [f"#### {without_markup(message.title)}"]
    parts += ["  \n".join(without_markup(line).split("\n")) for line in lines]
    if message.mentions:
        parts.append(" ".join(f"@{who}" for who in message.mentions))
    return {
        "msgtype": "markdown",
        "markdown": {"title": message.title, "text": "\n\n".join(parts)},
        "at": {"atMobiles": list(message.mentions), "isAtAll": False},
    }


def _body(message: Message, lines: Sequence[str]) -> bytes:
    return msgspec.json.encode(markdown(message, lines))
