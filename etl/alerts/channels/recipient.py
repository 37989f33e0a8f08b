"""One address of a channel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.alerts.message import Message
from etl.poll import Instant

Send = Callable[[Message, Instant], None]
"""Sends a message within a bounded time. Raises `DeliveryError`, whose text holds no secret."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address that is tried by itself. `name` is unique in its channel and holds no secret."""

    name: str
    send: Send = field(repr=False)


def distinct(label: str, address: str) -> str:
    """Return a name for one of several addresses, made of its label and 16 bits of its hash.

    So many tell it from the others, and are too few to guess the address by.
    """
    # a hash, not a number: it stays when other addresses are added or taken away
    return f"{label} #{hashlib.sha256(address.encode()).hexdigest()[:4]}"
