"""Derive the changes that a poll makes to versioned records without running time: prices, balance,
cards. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from etl.history.absence import absence
from etl.poll import Instant
from etl.resources import Record


@dataclass(frozen=True, slots=True)
class Lasting:
    """The current version of a record. `seen_at` is the start of the last poll that surely found it
    as it is."""

    record: Record
    began_at: Instant
    seen_at: Instant
    last_seen_at: Instant | None = None
    missing_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Began:
    """A version that begins. It began after `after_at`; None: it was there before the first
    poll.
    """

    record: Record
    began_at: Instant
    after_at: Instant | None


@dataclass(frozen=True, slots=True)
class VersionPresence:
    """State of a version after a poll: listed (both None), missing, or ended."""

    was: Lasting
    last_seen_at: Instant | None = None
    missing_since: Instant | None = None
    ended_at: Instant | None = None


@dataclass(slots=True)
class VersionChanges:
    """Changes that a poll makes to versions. Ends are written before beginnings, since only one
    version of a record is current.
    """

    began: list[Began] = field(default_factory=list)
    presences: list[VersionPresence] = field(default_factory=list)
    replaced: int = 0

    @property
    def added(self) -> int:
        # a changed record begins a version too, and is counted as changed
        return len(self.began) - self.replaced

    @property
    def gone(self) -> int:
        return sum(presence.ended_at is not None for presence in self.presences) - self.replaced

    @property
    def pending(self) -> bool:
        return any(s.last_seen_at is not None and s.ended_at is None for s in self.presences)


def compare_versions(
    known: Mapping[str, Lasting],
    records: Iterable[Record],
    rejected: AbstractSet[str],
    *,
    newest: Instant | None,
    b: Instant,
    complete: bool,
) -> VersionChanges:
    """Return the changes that a poll makes, which ended at `b`. `newest` is the start of the newest complete
    poll before.

    As with instances, a record that two complete polls in a row do not list has ended; one in
    `rejected` is listed but could not be understood.
    """
    changes = VersionChanges()
    seen: set[str] = set()
    for record in records:
        was = known.get(record.identity)
        seen.add(record.identity)
        if was is None:
            # it was not on the newest complete listing, so it began after that
            changes.began.append(Began(record, b, newest))
        elif was.record.facts != record.facts:
            _begin_version(changes, was, record, b)
        elif was.last_seen_at is not None or was.missing_since is not None:
            changes.presences.append(VersionPresence(was))
    for identity in known.keys() - seen:
        was = known[identity]
        state = absence(was, b, is_listed=identity in rejected, is_complete=complete)
        if state is not None:
            # not before its begin: a poll may end in the second in which the version began
            ended_at = None if state.gone_at is None else max(state.gone_at, was.began_at)
            changes.presences.append(
                VersionPresence(was, state.last_seen_at, state.missing_since, ended_at)
            )
    return changes


def _begin_version(changes: VersionChanges, was: Lasting, record: Record, b: Instant) -> None:
    began_at = max(b, was.began_at + 1)  # two polls may end in the same second
    # the old version ends when the new one is seen: the change itself was not observed
    changes.presences.append(VersionPresence(was, was.seen_at, was.missing_since, began_at))
    changes.began.append(Began(record, began_at, was.seen_at))
    changes.replaced += 1
