"""A cause for an alert, and what its rule lets it do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from etl.alerts.words import Words


@dataclass(frozen=True, slots=True)
class Manner:
    """`wakes`: quiet hours do not hold it back. `prompt`: it does not wait to be gathered with
    others."""

    wakes: bool = False
    prompt: bool = False


MANNERS: Final[Mapping[str, Manner]] = {
    "long_run": Manner(wakes=True),
    "roll_call": Manner(wakes=True, prompt=True),
    "stopped": Manner(),
    "balance": Manner(wakes=True, prompt=True),
    "card_expiry": Manner(),
    "budget": Manner(),
    "cost_day": Manner(),
    "sync_stale": Manner(prompt=True),
    "key_refused": Manner(wakes=True, prompt=True),
    "unknown_code": Manner(),
    "image_failed": Manner(),
    "digest": Manner(prompt=True),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that holds now and is worth a message.

    `key` stays the same while it is the same cause. `repeat_s`: say it again after so long, while it
    holds. `covers`: keys that are said along with it, so that they need no word of their own; a
    `silent` cause holds, but is not said.
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

    @property
    def manner(self) -> Manner:
        return MANNERS[self.rule]
