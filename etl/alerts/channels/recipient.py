"""One address of a channel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.alerts.message import Message
from etl.poll import Instant

Send = Callable[[Message, Instant], None]
"""Returns when the message was taken; bounded in time. Raises `DeliveryError` without a secret."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """`name` tells it from the others of its channel, and holds no secret."""

    name: str
    send: Send = field(repr=False)


def distinct(label: str, address: str) -> str:
    """A name for one of several addresses: 16 bits of its hash tell it from the others, and are too
    few to guess it by."""
    return f"{label} #{hashlib.sha256(address.encode()).hexdigest()[:4]}"
