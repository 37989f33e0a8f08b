"""A group robot of WeCom (企业微信): a text message, and pictures behind it, with their answers read.

WeCom answers HTTP 200 even if it refuses; the answer's `errcode` says so. It is sent as text, not as
Markdown: phones show that only in the app itself, and titles could carry links.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from etl.alerts.channels.http import Webhook, webhook
from etl.alerts.channels.plain import utf8, without_mentions
from etl.alerts.channels.recipient import Recipient
from etl.alerts.message import Message, Picture
from etl.errors import DeliveryError
from etl.settings.alerts import Channel

CONTENT_LIMIT: Final = 2_048
"""Bytes of the content of a text message."""
MOBILE_DIGITS: Final = 11
PICTURE_LIMIT: Final = 2 * 2**20
"""Bytes of a picture, before it is written as base64."""

_log: Final = logging.getLogger(__name__)


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    robot = webhook(channel, environ)
    return [Recipient(robot.name, lambda message, now: _send(robot, message))]


def _send(robot: Webhook, message: Message) -> None:
    _post(robot, text_message(message))
    for picture in message.pictures:
        if len(picture.png) > PICTURE_LIMIT:
            _log.warning("%s: a picture is too large: %d bytes", robot.name, len(picture.png))
            continue
        try:
            _post(robot, image_message(picture))
        except DeliveryError as error:
            # the words have arrived: as a failure they would be sent again, once an hour
            _log.warning("%s", error.message)


def _post(robot: Webhook, document: Mapping[str, Any]) -> None:
    content = robot.post(msgspec.json.encode(document))
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


def image_message(picture: Picture) -> dict[str, Any]:
    """Return a message that is a picture, with the digest by which WeCom checks it."""
    # by the service's own page; it protects nothing
    digest = hashlib.md5(picture.png, usedforsecurity=False).hexdigest()
    image = {"base64": base64.b64encode(picture.png).decode(), "md5": digest}
    return {"msgtype": "image", "image": image}


def _content(message: Message, lines: Sequence[str]) -> str:
    return without_mentions("\n".join([message.title, *lines]))
