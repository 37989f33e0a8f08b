"""Find the instance that a sample is of, by the names that instances had at that moment. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from etl.poll import Instant
from etl.samples.gathered import SampleSource


class NamedTime(NamedTuple):
    """A time in which an instance was called by a word: its uuid, its title, or a host of its services."""

    account_id: int
    account: str
    instance_uuid: str
    starts_s: Instant
    ends_s: Instant


class Unmatched(StrEnum):
    """Reasons why a sample is of no instance."""

    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    EARLY = "early"
    LATE = "late"
    FUTURE = "future"


class MatchedInstance(NamedTuple):
    """An instance that samples are of."""

    account_id: int
    instance_uuid: str


class MapEntry(NamedTuple):
    """A line of a map: a word of a file (a host, title, uuid of a GPU, or a file's name) means an instance."""

    word: str
    instance: str
    starts_s: Instant
    ends_s: Instant


class _Timeline:
    """Who was called by one word, over time."""

    def __init__(self, times: Sequence[NamedTime]) -> None:
        changes: defaultdict[Instant, Counter[MatchedInstance]] = defaultdict(Counter)
        for account_id, _, uuid, starts_s, ends_s in times:
            changes[starts_s][MatchedInstance(account_id, uuid)] += 1
            changes[ends_s][MatchedInstance(account_id, uuid)] -= 1
        self._edges = sorted(changes)
        self._matches: list[MatchedInstance | Unmatched] = []
        called: Counter[MatchedInstance] = Counter()
        for edge in self._edges:
            called.update(changes[edge])
            called = +called  # hundreds may have had the same title, one after the other
            self._matches.append(self._match(called, edge))

    def at(self, moment: Instant) -> MatchedInstance | Unmatched:
        index = bisect_right(self._edges, moment) - 1
        return self._matches[index] if index >= 0 else Unmatched.EARLY

    def _match(
        self, called: Collection[MatchedInstance], at: Instant
    ) -> MatchedInstance | Unmatched:
        if len(called) == 1:
            return next(iter(called))
        if called:
            return Unmatched.AMBIGUOUS
        return Unmatched.LATE if at == self._edges[-1] else Unmatched.UNKNOWN


class Matcher:
    """Finds instances by the words of files; `named` maps words to the times in which they held."""

    def __init__(
        self, named: Mapping[str, Sequence[NamedTime]], entries: Iterable[MapEntry] = ()
    ) -> None:
        self._timelines = {word: _Timeline(times) for word, times in named.items() if times}
        self._entries: dict[str, list[MapEntry]] = {}
        for entry in entries:
            self._entries.setdefault(entry.word, []).append(entry)

    def match(self, words: Sequence[str], at: Instant) -> MatchedInstance | Unmatched:
        """Return the instance that was called by the first known one of some words at a moment."""
        for word in words:
            mapped = [e for e in self._entries.get(word, ()) if e.starts_s <= at < e.ends_s]
            called = mapped[0].instance if mapped else word
            if (timeline := self._timelines.get(called)) is not None:
                return timeline.at(at)
            # what is mapped means that instance, even if there is none
            if mapped:
                return Unmatched.UNKNOWN
        return Unmatched.UNKNOWN


def words_of(source: SampleSource, chosen: str | None, file_word: str) -> list[str]:
    """Return the words that may name the instance of a file's samples, the surest first."""
    if chosen:
        return [chosen]
    own = [source.uuid, source.instance, source.title, source.host]
    words = [word for word in own if word]
    # the name of a file counts only if the file itself names nobody but a GPU
    return words if any(own[1:]) else [*words, file_word]
