"""The many services that the library apprise knows (extra `alerts`): mail, Telegram, WeCom, Slack …"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from etl.alerts.message import Message
from etl.errors import DeliveryError, SettingsError
from etl.poll import Instant
from etl.settings.alerts import Channel


def send(channel: Channel, message: Message, environ: Mapping[str, str], now: Instant) -> None:
    """Every address of the channel (one a line) must take it."""
    apprise = _library()
    urls = channel.url.read(environ, f"the address of channel {channel.name!r}").splitlines()
    many = apprise.Apprise()
    if not all(many.add(url.strip()) for url in urls if url.strip()):
        raise DeliveryError(
            f"apprise: an address of channel {channel.name!r} is not understood",
            advice="see apprise's list of services for its form",
        )
    kind = {"urgent": "failure", "warning": "warning", "info": "info"}[message.severity]
    if not many.notify(title=message.title, body=message.text, notify_type=kind):
        raise DeliveryError(
            f"apprise: a service of channel {channel.name!r} did not take the message"
        )


def _library() -> Any:
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise SettingsError(
            "channels of kind apprise need the library apprise",
            advice="pip install 'chenyu-etl[alerts]'",
        ) from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses
    return apprise
