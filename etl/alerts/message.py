"""Messages of several causes each, shortened to the length that a service takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from etl.alerts.cause import SEVERITIES, Cause
from etl.alerts.words import short_line, truncate
from etl.poll import Instant
from etl.texts import Text, tr

# a list that nobody reads to its end; the rest is counted
ITEMS: Final = 200
TEXT_LIMIT: Final = 20_000
"""Characters of a message as it is kept: more than nearly all services take."""
_MARKS: Final = {"urgent": "🔴", "warning": "🟠", "info": "🔵"}

Fits = Callable[[Sequence[str]], bool]
"""Tells whether a service takes these lines as one message."""


class Item(msgspec.Struct, frozen=True):
    key: str
    rule: str
    severity: str
    text: str
    account: str | None = None
    owner: str | None = None

    @property
    def line(self) -> str:
        """Return the text with its mark, and with the account unless that is the only, default one."""
        whose = f"[{short_line(self.account)}] " if self.account not in (None, "default") else ""
        return f"{_MARKS[self.severity]} {whose}{self.text}"


class DigestOf(msgspec.Struct, frozen=True):
    """The days of a digest, both included, and the owner or project that it is about, if any."""

    first: str
    last: str
    owner: str | None = None
    project: str | None = None


class Picture(msgspec.Struct, frozen=True):
    """A chart as PNG, with the name of a file, and words for those who do not see it."""

    name: str
    words: str
    png: bytes


class Message(msgspec.Struct, frozen=True):
    """A message for one channel.

    `mentions` are ids of people in the channel's own terms, `created_at` is epoch seconds. `total`
    counts the causes, both the items and those that had no room. `digests` are those among them;
    their `pictures` are drawn when the message is sent, and not kept.
    """

    title: str
    severity: str
    created_at: Instant
    items: tuple[Item, ...]
    mentions: tuple[str, ...] = ()
    language: str = "zh"
    total: int = 0
    digests: tuple[DigestOf, ...] = ()
    pictures: tuple[Picture, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(item.key for item in self.items)

    @property
    def text(self) -> str:
        """Return the text of the whole message."""
        return "\n".join(self.lines_within(lambda lines: True))

    def lines_within(self, fits: Fits) -> list[str]:
        """Return as many causes as fit, then a line that counts those left out."""
        lines = [item.line for item in self.items]
        # searched, not computed: services count bytes, characters or elements, each in their own
        # way
        count_shown = _most(len(lines), lambda n: fits(self._with_rest(lines[:n], n)))
        whole = lines[:count_shown]
        if count_shown < len(lines):
            part = self._part(whole, lines[count_shown], fits)
            if part:
                return self._with_rest([*whole, part], count_shown + 1)
        return self._with_rest(whole, count_shown)

    def _part(self, whole: list[str], line: str, fits: Fits) -> str:
        """Return the beginning of a cause that does not fit: some of its lines, or of its characters
        if it would be the only one."""
        parts, count = line.split("\n"), len(whole) + 1

        def shortened(count_shown: int) -> str:
            left = len(parts) - count_shown
            rest = tr("  … and {count} more lines", count=left)
            return "\n".join([*parts[:count_shown], rest.in_language(self.language)])

        count_shown = _most(
            len(parts) - 1, lambda n: fits(self._with_rest([*whole, shortened(n)], count))
        )
        if count_shown:
            return shortened(count_shown)
        # a line that is cut off says little beside whole ones
        if whole:
            return ""
        length = _most(
            len(parts[0]), lambda n: fits(self._with_rest([truncate(parts[0], n) + "…"], count))
        )
        return truncate(parts[0], length) + "…"

    def _with_rest(self, lines: list[str], count_shown: int) -> list[str]:
        # of those too that had no room in the message as it is kept
        left = max(self.total, len(self.items)) - count_shown
        if left <= 0:
            return lines
        rest = tr("and {count} more: chenyu-etl alerts list", count=left)
        return [*lines, rest.in_language(self.language)]


def compose(
    causes: Sequence[Cause], language: str, mentions: Mapping[str, str], now: Instant
) -> Message:
    """Return one message of all causes, the worst first. `mentions` are ids by owner."""
    # the worst first: what does not fit is cut at the end
    ordered = sorted(causes, key=lambda cause: -SEVERITIES.index(cause.severity))
    items: list[Item] = []
    room = TEXT_LIMIT
    for cause in ordered[:ITEMS]:
        text = cause.words.in_language(language)
        room -= len(text)
        # at least one: a message without any would say nothing
        if items and room < 0:
            break
        items.append(Item(cause.key, cause.rule, cause.severity, text, cause.account, cause.owner))
    digests = [DigestOf(*c.days, c.owner, c.project) for c in ordered if c.days is not None]
    # of shown causes alone: nobody is called for what they cannot read
    ids = [mentions.get(item.owner or "") for item in items]
    return Message(
        title=_headline(len(causes), ordered[0].severity).in_language(language),
        severity=ordered[0].severity,
        created_at=now,
        items=tuple(items),
        # each person once, in the order of the causes
        mentions=tuple(dict.fromkeys(who for who in ids if who)),
        language=language,
        total=len(causes),
        digests=tuple(digests),
    )


def _most(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to `most` that fits, by binary search; 0 if none does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _headline(count: int, severity: str) -> Text:
    # the sender's name stands in it: group robots can be set to require a keyword
    if severity == "urgent":
        one, many = tr("Chenyu Cloud: 1 urgent alert"), tr("Chenyu Cloud: {count} urgent alerts")
    else:
        one, many = tr("Chenyu Cloud: 1 alert"), tr("Chenyu Cloud: {count} alerts")
    return one if count == 1 else many.filled(count=count)
