"""A group robot of WeCom (企业微信): a text message, with its answer read.

WeCom answers HTTP 200 even if it refuses; the answer's `errcode` says so. It is sent as text, not as
Markdown: phones show that only in the app itself, and titles could carry links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from etl.alerts.channels.http import Webhook, webhook
from etl.alerts.channels.plain import utf8, without_mentions
from etl.alerts.channels.recipient import Recipient
from etl.alerts.message import Message
from etl.settings.alerts import Channel

CONTENT_LIMIT: Final = 2_048
"""Bytes of the content of a text message."""
MOBILE_DIGITS: Final = 11


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    robot = webhook(channel, environ)
    return [Recipient(robot.name, lambda message, now: _send(robot, message))]


def _send(robot: Webhook, message: Message) -> None:
    content = robot.post(msgspec.json.encode(text_message(message)))
    # no answer in JSON is not from WeCom: some proxy stands between
    if not isinstance(content, dict) or content.get("errcode") != 0:
        raise robot.refused(content)


def text_message(message: Message) -> dict[str, Any]:
    """Return a text message that mentions people by mobile number or user id."""
    lines = message.lines_within(lambda lines: utf8(_content(message, lines)) <= CONTENT_LIMIT)
    # WeCom takes ids and mobile numbers in lists of their own
    mobiles = [who for who in message.mentions if who.isdecimal() and len(who) == MOBILE_DIGITS]
    return {
        "msgtype": "text",
        "text": {
            "content": _content(message, lines),
            "mentioned_list": [who for who in message.mentions if who not in mobiles],
            "mentioned_mobile_list": mobiles,
        },
    }


def _content(message: Message, lines: Sequence[str]) -> str:
    return without_mentions("\n".join([message.title, *lines]))
