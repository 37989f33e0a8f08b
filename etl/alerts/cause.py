"""A cause for an alert, and the alert that the database keeps of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from etl.alerts.words import Words
from etl.poll import Instant

SEVERITIES: Final = ("info", "warning", "urgent")
"""From the least to the most."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that holds now and is worth a message.

    `key` stays the same while it is the same cause. `repeat_s`: it is sent again after so long, while
    it holds. `covers`: keys that this one speaks for, so that they need no message of their own; a
    `silent` cause holds, but is not sent.
    """

    key: str
    rule: str
    severity: str
    words: Words
    account: str | None = None
    owner: str | None = None
    repeat_s: int | None = None
    covers: tuple[str, ...] = ()
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of table `alert`. `deliveries`: when it was last sent, by channel."""

    key: str
    rule: str
    severity: str
    zh: str
    en: str
    first_at: Instant
    account: str | None = None
    owner: str | None = None
    last_sent_at: Instant | None = None
    cleared_at: Instant | None = None
    acked_at: Instant | None = None
    deliveries: Mapping[str, Instant] = field(default_factory=dict)

    @property
    def words(self) -> Words:
        return Words(self.zh, self.en)
