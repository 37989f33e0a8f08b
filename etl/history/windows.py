"""Derive the changes that a listing makes to a window (bill, recharges): records are added,
corrected, and superseded once two whole listings in a row lack them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from etl.history.absence import is_confirmed
from etl.poll import Instant
from etl.resources import Record, Resource, ValidTime

Key = tuple[Any, ...]


class Held(NamedTuple):
    """A record as the database holds it. `number` counts those that are alike in their group."""

    number: int
    record: Record
    missing_since: Instant | None = None
    superseded_at: Instant | None = None

    def key(self, group: int) -> Key:
        """Return the key that identifies the row."""
        return (*self.record.facts[:group], self.number)


class Added(NamedTuple):
    """A new record, and its number among those that are alike in their group."""

    record: Record
    number: int


class Correction(NamedTuple):
    """A held record whose listed facts have changed."""

    was: Held
    record: Record


class RecordState(NamedTuple):
    """New state of a held record: listed again (both None), missing, or superseded."""

    was: Held
    missing_since: Instant | None = None
    superseded_at: Instant | None = None


@dataclass(slots=True)
class WindowChanges:
    """Changes that a listing makes to the held records."""

    added: list[Added] = field(default_factory=list)
    changed: list[Correction] = field(default_factory=list)
    states: list[RecordState] = field(default_factory=list)

    @property
    def is_news(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.added or self.changed or self.states)

    def records(self) -> Iterator[Record]:
        """Yield all records that are new, as they were and are, or that changed their state."""
        yield from (record for record, _ in self.added)
        for was, record in self.changed:
            yield from (was.record, record)
        yield from (state.was.record for state in self.states)

    @property
    def gone(self) -> int:
        """Count the superseded records."""
        return sum(state.superseded_at is not None for state in self.states)

    @property
    def returned(self) -> int:
        """Count the superseded records that are listed again."""
        return sum(
            state.superseded_at is None and state.was.superseded_at is not None
            for state in self.states
        )


class Matching:
    """Matching of listed records with held ones, batch by batch.

    A listed record that equals a held one is that one. Any other is new, or corrects a held record
    of the same group that is no longer listed. If several may be alike, only a whole listing can
    tell: until then they wait in `unsettled`.
    """

    def __init__(self, resource: Resource[Any]) -> None:
        self._group: Final = resource.group
        self._counts: Final = resource.counts
        # by key, not by record: of a bill of years only this stays in memory
        self._taken: set[Key] = set()
        self.unsettled: list[Record] = []

    @property
    def listed(self) -> int:
        """Count the valid records listed so far, including new ones."""
        return len(self._taken)

    def match(self, held: Iterable[Held], records: Iterable[Record]) -> WindowChanges:
        """Return the changes that these records make; `held` are all records of their groups, superseded ones
        too.
        """
        groups = self._grouped(held)
        changes = WindowChanges()
        left: list[Record] = []
        for record in records:
            if not self._counts and (*self._of(record), 1) in self._taken:
                continue  # it moved to the next page while they were read
            group = groups.setdefault(self._of(record), _Group())
            was = group.take_equal(record)
            if was is None:
                left.append(record)
            else:
                self._matched(was, record, changes)
        # only after all equal records were matched can the rest be corrections
        for record in left:
            group = groups[self._of(record)]
            # a later page may list that one as it was: only the end of the listing tells
            if self._counts and any(held.superseded_at is None for held in group.free):
                self.unsettled.append(record)
            else:
                self._settle(group, record, changes)
        return changes

    def settle(self, held: Iterable[Held], *, corrects: bool) -> WindowChanges:
        """Settle the waiting records: as corrections of held records that were not listed, if
        `corrects`; else as new ones.
        """
        groups = self._grouped(held)
        changes = WindowChanges()
        for record in self.unsettled:
            group = groups.setdefault(self._of(record), _Group())
            if corrects:
                self._settle(group, record, changes)
            else:
                self._add(group, record, changes)
        self.unsettled = []
        return changes

    def unlisted(self, held: Iterable[Held]) -> Iterator[Held]:
        """Return the held records that no listed record was matched with."""
        return (record for record in held if record.key(self._group) not in self._taken)

    def _of(self, record: Record) -> Key:
        return record.facts[: self._group]

    def _grouped(self, held: Iterable[Held]) -> dict[Key, _Group]:
        groups: dict[Key, _Group] = {}
        # valid records first: a superseded one comes back only if none of them fits
        for held_record in sorted(held, key=lambda h: (h.superseded_at is not None, h.number)):
            group = groups.setdefault(self._of(held_record.record), _Group())
            group.highest = max(group.highest, held_record.number)
            if held_record.key(self._group) not in self._taken:
                group.free.append(held_record)
        return groups

    def _matched(self, was: Held, record: Record, changes: WindowChanges) -> None:
        self._taken.add(was.key(self._group))
        if was.record[1:] != record[1:]:  # the identity counts those alike on a page
            changes.changed.append(Correction(was, record))
        if was.missing_since is not None or was.superseded_at is not None:
            changes.states.append(RecordState(was))

    def _settle(self, group: _Group, record: Record, changes: WindowChanges) -> None:
        # if equal records count, a superseded one may be another charge: never correct it
        was = group.take_valid() if self._counts else group.take_any()
        if was is None:
            self._add(group, record, changes)
        else:
            self._matched(was, record, changes)

    def _add(self, group: _Group, record: Record, changes: WindowChanges) -> None:
        group.highest += 1
        self._taken.add((*self._of(record), group.highest))
        # numbers only grow: those of superseded records are never given again
        changes.added.append(Added(record, group.highest))


@dataclass(slots=True)
class _Group:
    """Held records that are alike in all facts that a correction leaves alone."""

    free: list[Held] = field(default_factory=list)
    highest: int = 0

    def take_equal(self, record: Record) -> Held | None:
        return self._take(held for held in self.free if held.record.facts == record.facts)

    def take_valid(self) -> Held | None:
        return self._take(held for held in self.free if held.superseded_at is None)

    def take_any(self) -> Held | None:
        return self._take(iter(self.free))

    def _take(self, fitting: Iterator[Held]) -> Held | None:
        held = next(fitting, None)
        # each held record is matched once: equal lines of a bill are as many charges
        if held is not None:
            self.free.remove(held)
        return held


class Cover:
    """Coverage of a whole listing: the time after the oldest of its records, and whatever overlaps
    a record of the same order. A source may have forgotten older ones, so their absence means
    nothing.
    """

    def __init__(self, valid_time: Callable[[Sequence[Any]], ValidTime | None]) -> None:
        self._valid_time = valid_time
        self._starts_at: Instant | None = None
        self._at: Instant | None = None
        self._listed_times: dict[Hashable, list[tuple[Instant, Instant]]] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Extend the coverage by listed records."""
        for valid in filter(None, (self._valid_time(record.facts) for record in records)):
            self._starts_at = min(valid.starts_at, self._starts_at or valid.starts_at)
            self._at = min(valid.at, self._at or valid.at)
            self._listed_times.setdefault(valid.subject, []).append(
                (valid.starts_at, valid.ends_at)
            )

    def covers(self, record: Record) -> bool:
        """Tell whether the listing would contain the record if it were still valid."""
        valid = self._valid_time(record.facts)
        if valid is None or self._starts_at is None or self._at is None:
            return False
        # a record exactly as old as the oldest one may already be forgotten by the source
        if valid.starts_at > self._starts_at and valid.at > self._at:
            return True
        listed = self._listed_times.get(valid.subject, ())
        return any(_overlap(valid, starts_at, ends_at) for starts_at, ends_at in listed)


def superseded(unlisted: Iterable[Held], cover: Cover, b: Instant) -> list[RecordState]:
    """Return the states of records that a whole listing, which ended at `b`, lacks: missing by the
    first such listing in a row, superseded by the second.
    """
    return [
        RecordState(held, b)
        if held.missing_since is None
        else RecordState(held, held.missing_since, b)
        for held in unlisted
        if held.superseded_at is None
        and (held.missing_since is None or is_confirmed(held.missing_since, b))
        and cover.covers(held.record)
    ]


def _overlap(valid: ValidTime, starts_at: Instant, ends_at: Instant) -> bool:
    # a moment has no length and overlaps nothing, so equality is asked apart
    same = (valid.starts_at, valid.ends_at) == (starts_at, ends_at)
    return same or (valid.starts_at < ends_at and starts_at < valid.ends_at)
