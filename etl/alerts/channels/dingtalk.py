"""A custom robot of a DingTalk (钉钉) group: the signature is in the address, `errcode` in the answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import msgspec

from etl.alerts.channels.post import address, post, refused
from etl.alerts.message import Message
from etl.poll import Instant
from etl.settings.alerts import Channel

_MARKS = str.maketrans("[]()<>*_`#!|~\\", "［］（）＜＞＊＿｀＃！｜～＼")
"""What would be Markdown in a title, as signs that look alike."""


def send(channel: Channel, message: Message, environ: Mapping[str, str], now: Instant) -> None:
    url, secret = address(channel, environ), ""
    signed = url
    if channel.secret:
        secret = channel.secret.read(environ, f"the secret of channel {channel.name!r}")
        joint = "&" if "?" in url else "?"
        signed = f"{url}{joint}timestamp={now * 1000}&sign={quote_plus(sign(secret, now * 1000))}"
    secrets = [url, secret] if secret else [url]
    content = post(channel, signed, msgspec.json.encode(markdown(message)), secrets=secrets)
    if not isinstance(content, dict) or content.get("errcode") != 0:
        raise refused(channel, signed, content, secrets)


def sign(secret: str, timestamp_ms: int) -> str:
    """HMAC-SHA256 of `timestamp + newline + secret` by the secret, in Base64."""
    said = f"{timestamp_ms}\n{secret}".encode()
    return base64.b64encode(hmac.new(secret.encode(), said, hashlib.sha256).digest()).decode()


def markdown(message: Message) -> dict[str, Any]:
    """A Markdown message. People are mentioned by mobile number, which must be in the text too."""
    lines = [f"#### {message.title.translate(_MARKS)}"]
    lines += ["  \n".join(line.translate(_MARKS).split("\n")) for line in message.lines]
    if message.mentions:
        lines.append(" ".join(f"@{who}" for who in message.mentions))
    return {
        "msgtype": "markdown",
        "markdown": {"title": message.title, "text": "\n\n".join(lines)},
        "at": {"atMobiles": list(message.mentions), "isAtAll": False},
    }
