"""Find the instance that a sample is of, by the names that instances had at that moment. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
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
        self._edges = sorted({edge for t in times for edge in (t.starts_s, t.ends_s)})
        self._matches = [self._match(times, at) for at in self._edges]

    def at(self, moment: Instant) -> MatchedInstance | Unmatched:
        index = bisect_right(self._edges, moment) - 1
        return self._matches[index] if index >= 0 else Unmatched.EARLY

    def _match(self, times: Sequence[NamedTime], at: Instant) -> MatchedInstance | Unmatched:
        called = {
            MatchedInstance(t.account_id, t.instance_uuid)
            for t in times
            if t.starts_s <= at < t.ends_s
        }
        if len(called) == 1:
            return called.pop()
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
