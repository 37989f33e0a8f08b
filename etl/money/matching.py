"""Find the rules that match an instance, without trying each of thousands with each title.

Pure. A rule is looked up by a part of its pattern that is spelled out, so that few are tried; the order in
which rules are tried stays that of the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant

REMEMBERED: Final = 65_536
"""Titles and images of which an index remembers the rules, so that memory is bounded."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The title and image of an instance, as first seen at `since`.

    They changed `after` the newest poll that still saw others; None if there were none.
    """

    since: Instant
    title: str
    images: tuple[str, ...] = ()
    after: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which instances a rule is about, and when. All must match; None matches anything.

    `title` and `image` are patterns with `*` and `?` that ignore case; `image` is compared with the
    image's uuid, its name and `name:tag`.
    """

    account: str | None = None
    instance_uuid: str | None = None
    title: str | None = None
    image: str | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    note: str | None = None

    def holds(self, at: Instant) -> bool:
        return self.begins <= at < self.ends

    def matches(self, account: str, instance_uuid: str, labels: Labels) -> bool:
        return (
            self.account in (None, account)
            and self.instance_uuid in (None, instance_uuid)
            and (self.title is None or _is_like(self.title, labels.title))
            and (self.image is None or any(_is_like(self.image, name) for name in labels.images))
        )

    @property
    def begins(self) -> Instant:
        return self.valid_from or BEGINNING

    @property
    def ends(self) -> Instant:
        """Return the first moment at which the rule holds no more."""
        return self.valid_to or FOREVER


M = TypeVar("M", bound=Condition)


class Matched(Generic[M]):
    """The rules that match an instance while its labels stay the same, in their order.

    `starts` are the moments at which another of them is the first that holds, `firsts` that rule or None.
    """

    __slots__ = ("firsts", "rules", "starts")

    def __init__(self, rules: tuple[M, ...]) -> None:
        self.rules = rules
        self.starts: list[Instant] = []
        self.firsts: list[M | None] = []
        for at, first in _firsts(rules):
            if not self.firsts or first is not self.firsts[-1]:
                self.starts.append(at)
                self.firsts.append(first)

    def first(self, at: Instant) -> M | None:
        """Return the rule that holds at a moment, None if no rule does."""
        return self.firsts[max(0, bisect_right(self.starts, at) - 1)]


class RuleIndex(Generic[M]):
    """Rules of one kind, in the order in which they are tried, looked up by what they match."""

    def __init__(self, rules: Sequence[M]) -> None:
        self.rules = rules
        self._of_instance: dict[str, list[int]] = defaultdict(list)
        titles: dict[int, str] = {}
        images: dict[int, str] = {}
        for rank, rule in enumerate(rules):
            if rule.instance_uuid is not None:
                self._of_instance[rule.instance_uuid].append(rank)
            elif rule.image is not None and not (rule.title or "").strip("*?"):
                images[rank] = rule.image
            else:
                # a rule for anything is looked up like one whose pattern spells nothing out
                titles[rank] = "*" if rule.title is None else rule.title
        self._titles, self._images = _Patterns(titles), _Patterns(images)
        self._remembered: dict[tuple[object, ...], Matched[M]] = {}
        self._by_ranks: dict[tuple[int, ...], Matched[M]] = {}

    def matched(self, account: str, instance_uuid: str, labels: Labels) -> Matched[M]:
        """Return the rules that match an instance by these labels."""
        own = instance_uuid if instance_uuid in self._of_instance else None
        key = account, own, labels.title, labels.images
        if key not in self._remembered:
            near = self.near(own, labels.title, labels.images)
            ranks = tuple(n for n in near if self.rules[n].matches(account, instance_uuid, labels))
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
                self._by_ranks.clear()
            if ranks not in self._by_ranks:
                self._by_ranks[ranks] = Matched(tuple(self.rules[n] for n in ranks))
            self._remembered[key] = self._by_ranks[ranks]
        return self._remembered[key]

    def near(self, instance_uuid: str | None, title: str, images: Sequence[str]) -> list[int]:
        """Return the ranks of all rules that may match, and of few others, in order."""
        ranks = {*self._titles.within(title)}
        ranks.update(self._of_instance.get(instance_uuid or "", ()))
        for image in images:
            ranks.update(self._images.within(image))
        return sorted(ranks)


class _Patterns:
    """Patterns by their rank, looked up by a part that each text that one matches must have."""

    def __init__(self, patterns: Mapping[int, str]) -> None:
        parts = {rank: _spelled_out(pattern) for rank, pattern in patterns.items()}
        often = Counter(part for spelled in parts.values() for part in spelled)
        self._ranks: dict[str, list[int]] = defaultdict(list)
        for rank, spelled in parts.items():
            # by the rarest: thousands of patterns may begin or end alike
            rarest = min(sorted(spelled), key=lambda part: (often[part], -len(part)), default="")
            self._ranks[rarest].append(rank)
        self._lengths = sorted({len(part) for part in self._ranks})

    def within(self, text: str) -> Iterator[int]:
        """Yield the ranks of the patterns whose part is in a text."""
        folded = _folded(text)
        for length in self._lengths:
            for part in {folded[at : at + length] for at in range(len(folded) - length + 1)}:
                # `get`: asking must not add a part
                yield from self._ranks.get(part, ())


def _firsts(rules: Sequence[M]) -> Iterator[tuple[Instant, M | None]]:
    """Yield the first rule that holds from each moment on at which a rule begins or ends, in order."""
    edges = {BEGINNING} | {at for rule in rules for at in (rule.begins, rule.ends)}
    waiting = sorted(range(len(rules)), key=lambda rank: rules[rank].begins, reverse=True)
    begun: list[int] = []
    for at in sorted(edge for edge in edges if BEGINNING <= edge < FOREVER):
        while waiting and rules[waiting[-1]].begins <= at:
            heappush(begun, waiting.pop())
        while begun and rules[begun[0]].ends <= at:
            heappop(begun)
        yield at, rules[begun[0]] if begun else None


def _is_like(pattern: str, text: str) -> bool:
    return _compiled(pattern).match(_folded(text)) is not None


def _spelled_out(pattern: str) -> set[str]:
    return {part for part in re.split(r"[*?]", pattern.casefold()) if part}


# of more rules than it holds, tried in order, each would be compiled every time
@lru_cache(maxsize=65_536)
def _compiled(pattern: str) -> re.Pattern[str]:
    # titles hold brackets such as [train]: only * and ? are meant as patterns
    return re.compile(translate(pattern.casefold().replace("[", "[[]")))


@lru_cache(maxsize=65_536)
def _folded(text: str) -> str:
    return text.casefold()
