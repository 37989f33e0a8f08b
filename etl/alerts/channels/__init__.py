"""Where messages go: one file for each kind of channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from etl.alerts.message import Message
from etl.poll import Instant
from etl.settings.alerts import Channel

Send = Callable[[Channel, Message, Mapping[str, str], Instant], None]
"""Returns when the channel took the message; raises `DeliveryError` or `SettingsError`."""

_MODULES: Final = {"apprise": "many"}
"""The file of a kind, where it is named otherwise."""


def send(channel: Channel, message: Message, environ: Mapping[str, str], now: Instant) -> None:
    """Send one message; `now` is for signatures. Bounded in time. No error holds a secret."""
    name = _MODULES.get(channel.kind, channel.kind)
    module = import_module(f"etl.alerts.channels.{name}")  # what one kind needs loads with it alone
    module.send(channel, message, environ, now)
