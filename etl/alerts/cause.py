"""A cause for an alert, and the alert that the database keeps of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from etl.poll import Instant
from etl.texts import Text

SEVERITIES: Final = ("info", "warning", "urgent")
"""Severities, the mildest first."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that holds now and is worth a message.

    `key` identifies the cause for as long as it holds. `repeat_s`: seconds after which it is sent again
    while it holds. `covers`: keys of causes that need no message of their own, since this one includes
    them. A `silent` cause holds, but is not sent. A `private` one is for the channels of its owner or
    project alone. `period` is that of a digest: `day` or `week`; `days` are its first and last day.
    """

    key: str
    rule: str
    severity: str
    words: Text
    account: str | None = None
    owner: str | None = None
    project: str | None = None
    period: str | None = None
    days: tuple[str, str] | None = None
    private: bool = False
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

    def text_in(self, language: str) -> str:
        """Return the text that was sent last, in a language."""
        return self.zh if language == "zh" else self.en
