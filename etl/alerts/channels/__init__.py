"""Channels: a file for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final

from etl.alerts.channels.recipient import Recipient
from etl.settings.alerts import Channel

PICTURED: Final = ("apprise", "wecom")
"""Kinds whose services take a picture by nothing but the address of the channel."""
Recipients = Callable[[Channel, Mapping[str, str]], Sequence[Recipient]]


def recipients(channel: Channel, environ: Mapping[str, str]) -> Sequence[Recipient]:
    """Return everybody who gets the messages of a channel, with secrets from the environment or files.

    Raises `SettingsError` if a secret is missing, `DeliveryError` if an address cannot be used.
    """
    module = import_module(f"etl.alerts.channels.{channel.kind}")  # loads its libraries alone
    everybody: Sequence[Recipient] = module.recipients(channel, environ)
    return everybody


def shows_pictures(channel: Channel) -> bool:
    """Tell whether messages of a channel can carry pictures; which service of apprise does is its own
    affair.
    """
    return channel.kind in PICTURED


__all__ = ["Recipient", "Recipients", "recipients", "shows_pictures"]
