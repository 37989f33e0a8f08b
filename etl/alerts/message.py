"""What goes to a channel: several causes in one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from etl.alerts.cause import Cause
from etl.alerts.words import Words, one_line
from etl.poll import Instant
from etl.settings.alerts import SEVERITIES, Channel, Owner

ITEMS: Final = 40
ITEM_LIMIT: Final = 3_000
"""Characters of one item; with `TEXT_LIMIT` a message stays below the 20 KB that Feishu takes."""
TEXT_LIMIT: Final = 5_000
ADDRESS: Final = Words("晨羽智云", "Chenyu Cloud")
"""In every title: robots that ask for a keyword find it."""
_MARKS: Final = {"urgent": "🔴", "warning": "🟠", "info": "🔵"}


class Item(msgspec.Struct, frozen=True):
    key: str
    rule: str
    severity: str
    text: str
    account: str | None = None
    owner: str | None = None

    @property
    def line(self) -> str:
        """The text with its mark, and the account where it has a name of its own."""
        whose = f"[{one_line(self.account)}] " if self.account not in (None, "default") else ""
        return f"{_MARKS[self.severity]} {whose}{self.text}"


class Message(msgspec.Struct, frozen=True):
    """`mentions` are ids of people in the channel's own terms, `created_at` is epoch seconds."""

    title: str
    severity: str
    created_at: Instant
    items: tuple[Item, ...]
    mentions: tuple[str, ...] = ()
    note: str = ""

    @property
    def lines(self) -> list[str]:
        """The text of every item, then the note."""
        return [item.line for item in self.items] + ([self.note] if self.note else [])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def compose(
    channel: Channel, causes: Sequence[Cause], owners: Sequence[Owner], now: Instant
) -> Message:
    """One message of all these causes, the worst first; what is too much is counted."""
    ordered = sorted(causes, key=lambda cause: -SEVERITIES.index(cause.severity))
    items: list[Item] = []
    room = TEXT_LIMIT
    for cause in ordered[:ITEMS]:
        text = _cut(cause.words.in_language(channel.language), min(ITEM_LIMIT, room))
        if not text:
            break
        room -= len(text)
        items.append(Item(cause.key, cause.rule, cause.severity, text, cause.account, cause.owner))
    said = {owner.name: owner.mentions.get(channel.name) for owner in owners}
    mentions = [said.get(item.owner or "") for item in items]
    severity = ordered[0].severity
    return Message(
        title=_title(channel.language, len(causes), severity),
        severity=severity,
        created_at=now,
        items=tuple(items),
        mentions=tuple(dict.fromkeys(who for who in mentions if who)),
        note=_left_out(channel.language, len(causes) - len(items)),
    )


def _title(language: str, count: int, severity: str) -> str:
    urgent = severity == "urgent"
    if language == "zh":
        return f"{ADDRESS.zh}:{'紧急,' if urgent else ''}{count} 条提醒"
    return f"{ADDRESS.en}: {'urgent, ' if urgent else ''}{count} alert{'s' if count > 1 else ''}"


def _left_out(language: str, count: int) -> str:
    if count <= 0:
        return ""
    words = Words(
        f"另有 {count} 条:chenyu-etl alerts list", f"{count} more: chenyu-etl alerts list"
    )
    return words.in_language(language)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[: limit - 1] + "…" if limit > 40 else ""
