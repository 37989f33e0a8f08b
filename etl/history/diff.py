"""Derive the changes that a poll makes to the known instances. Pure: the caller reads and writes.

In two steps, so that the store reads running time of few instances only: `compare` finds the instances
that changed, `derive_changes` derives their versions and running time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from etl.history import usage
from etl.history.absence import absence
from etl.history.codes import Codes
from etl.history.lengths import Lengths, MeanLengths
from etl.history.stretches import RunningState, Stretch
from etl.history.usage import SeenVersion
from etl.poll import Instant
from etl.resources.instances import Instance, Sighting

Beginning = Literal["first_seen", "changed", "returned"]
Ending = Literal["changed", "gone"]


@dataclass(frozen=True, slots=True)
class Known:
    """An instance as the database holds it. `seen_at` is the `a` of its next pair of sightings: the
    start of the last poll that surely found it as it is.
    """

    facts: Instance
    version: int
    seen_at: Instant
    last_seen_at: Instant | None = None
    missing_since: Instant | None = None
    gone_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Known running time of an instance; `history` is filled only if the instance was gone."""

    state: RunningState = field(default_factory=RunningState)
    history: tuple[SeenVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The current poll. `b` is its end. Instances created at `created_since` or later were created
    under observation: it is the start of the account's first complete poll, and in that poll itself
    the second after it (None: there was none yet).
    """

    b: Instant
    complete: bool
    created_since: Instant | None
    codes: Codes
    lengths: Lengths

    @property
    def means(self) -> MeanLengths:
        """Return how long states last, as polls before this one saw it."""
        return self.lengths.at(self.b).means


class Version(msgspec.Struct, frozen=True):
    """A version that begins: a row of `instance_history`, and the new row of `instance`."""

    facts: Instance
    extra: str | None
    version: int
    after_at: Instant | None
    first_seen_at: Instant
    began_by: Beginning
    last_start: Instant | None


class Ended(msgspec.Struct, frozen=True):
    """A version that ends."""

    instance_uuid: str
    version: int
    last_seen_at: Instant
    ended_at: Instant
    ended_by: Ending


class Presence(msgspec.Struct, frozen=True):
    """Presence in the listing of an instance that began no version."""

    instance_uuid: str
    last_seen_at: Instant | None
    missing_since: Instant | None
    gone_at: Instant | None = None


@dataclass(slots=True)
class Changes:
    """Changes that one poll, or a part of it, writes.

    `stretches` holds (instance, stretch, whether it is a new row). Before they are written, the
    stretches in `deleted` and the day parts of those in `reopened` are removed; both hold
    (instance, usage_no).
    """

    versions: list[Version] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    stretches: list[tuple[str, Stretch, bool]] = field(default_factory=list)
    deleted: list[tuple[str, int]] = field(default_factory=list)
    reopened: list[tuple[str, int]] = field(default_factory=list)

    @property
    def added(self) -> int:
        return sum(version.began_by == "first_seen" for version in self.versions)

    @property
    def changed(self) -> int:
        return len(self.versions) - self.added

    @property
    def gone(self) -> int:
        return sum(ended.ended_by == "gone" for ended in self.ended)


@dataclass(slots=True)
class Moves:
    """Instances of one part of a poll that changed."""

    added: list[Sighting] = field(default_factory=list)
    changed: list[tuple[Known, Sighting]] = field(default_factory=list)
    left: list[Known] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)

    def moved(self) -> list[str]:
        """Return the instances whose running time `derive_changes` needs."""
        # only these: a poll that changes little must read little
        return [sighting.identity for _, sighting in self.changed] + [
            known.facts.instance_uuid for known in self.left
        ]

    @property
    def changes_status(self) -> bool:
        # the length of a state is learned from passages through it alone
        return any(known.facts.status != s.facts.status for known, s in self.changed)

    def returned(self) -> list[str]:
        return [s.identity for known, s in self.changed if known.gone_at is not None]


def compare(known: Mapping[str, Known], sightings: Iterable[Sighting]) -> Moves:
    """Return the changes among the sightings, by the newest sighting of each instance."""
    if not known:
        return Moves(added=list(sightings))
    moves = Moves()
    for sighting in sightings:
        was = known.get(sighting.identity)
        if was is None:
            moves.added.append(sighting)
        # a return begins a version even if nothing else changed: its history must show the hole
        elif was.facts != sighting.facts or was.gone_at is not None:
            moves.changed.append((was, sighting))
        # nothing is written for an instance that stays as it is: that keeps a poll at one row
        elif was.last_seen_at is not None or was.missing_since is not None:
            moves.presences.append(Presence(sighting.identity, None, None))
    return moves


def compare_absent(known: Sequence[Known], rejected: AbstractSet[str], window: Window) -> Moves:
    """Return the changes among the known instances that this poll did not sight.

    Those in `rejected` are listed, in records that could not be understood: they are not missing,
    but not seen either.
    """
    moves = Moves()
    for was in known:
        # what is gone already cannot be missed again
        if was.gone_at is not None:
            continue
        uuid = was.facts.instance_uuid
        state = absence(was, window.b, is_listed=uuid in rejected, is_complete=window.complete)
        if state is None:
            continue
        if state.gone_at is None:
            moves.presences.append(Presence(uuid, state.last_seen_at, state.missing_since))
        else:
            moves.left.append(was)
    return moves


def derive_changes(moves: Moves, usages: Mapping[str, Usage], window: Window) -> Changes:
    """Return the changes to write for these moves. `usages` holds the running time of `moves.moved()`."""
    changes, means = Changes(presences=list(moves.presences)), window.means
    for sighting in moves.added:
        _begin_history(changes, sighting, window, means)
    for was, sighting in moves.changed:
        _change(changes, was, sighting, usages[sighting.identity], window)
    for was in moves.left:
        _leave(changes, was, usages[was.facts.instance_uuid])
    return changes


def _begin_history(
    changes: Changes, sighting: Sighting, window: Window, means: MeanLengths
) -> None:
    facts, since = sighting.facts, window.created_since
    created = facts.create_time
    # older than the first complete poll: it ran unobserved, so its creation bounds nothing
    is_new = created is not None and since is not None and since <= created <= window.b
    after_at = created if is_new else None
    step = usage.begin(facts, after_at, window.b, window.codes, means)
    changes.versions.append(
        Version(facts, sighting.extra, 1, after_at, window.b, "first_seen", step.state.last_start)
    )
    _add_stretches(changes, facts.instance_uuid, 0, step.written)


def _change(changes: Changes, was: Known, sighting: Sighting, known: Usage, window: Window) -> None:
    a, b, uuid = was.seen_at, window.b, sighting.identity
    state, undone = known.state, tuple[Stretch, ...]()
    if was.gone_at is not None:
        state, undone = _undo_going(changes, uuid, known, window)
    step = usage.move(state, was.facts, sighting.facts, a, b, window.codes, window.means)
    changes.versions.append(
        Version(
            facts=sighting.facts,
            extra=sighting.extra,
            version=was.version + 1,
            after_at=a,
            first_seen_at=b,
            # told apart, so that an undone going leaves a trace for `instance_event`
            began_by="changed" if was.gone_at is None else "returned",
            last_start=step.state.last_start,
        )
    )
    changes.ended.append(Ended(uuid, was.version, a, b, "changed"))
    # what the going had closed comes first, and is overwritten if the pair moved it again
    stretches = {stretch.usage_no: stretch for stretch in (*undone, *step.written)}
    _add_stretches(changes, uuid, state.count, stretches.values())


def _undo_going(
    changes: Changes, uuid: str, known: Usage, window: Window
) -> tuple[RunningState, tuple[Stretch, ...]]:
    """Return the state before the instance was gone, with the stretches that this had closed
    reopened.
    """
    *before, last = known.history
    # its absence was an error of the listing: fold the versions as if it had never been gone
    lasting = SeenVersion(last.facts, last.after_at, last.first_seen_at)
    state = usage.fold([*before, lasting], window.codes, window.lengths).state
    undone = tuple(s for s in (state.running, state.held) if s is not None)
    changes.reopened.extend((uuid, stretch.usage_no) for stretch in undone)
    # stretches that only the going had added: numbers stay without holes
    changes.deleted.extend((uuid, no) for no in range(state.count + 1, known.state.count + 1))
    return state, undone


def _leave(changes: Changes, was: Known, known: Usage) -> None:
    uuid, gone_at = was.facts.instance_uuid, was.missing_since
    assert gone_at is not None
    step = usage.leave(known.state, was.facts, was.seen_at, gone_at)
    changes.presences.append(Presence(uuid, was.seen_at, gone_at, gone_at))
    # it ends when it was first missed: the second poll only confirms that
    changes.ended.append(Ended(uuid, was.version, was.seen_at, gone_at, "gone"))
    _add_stretches(changes, uuid, known.state.count, step.written)


def _add_stretches(changes: Changes, uuid: str, count: int, written: Iterable[Stretch]) -> None:
    """Add a step's stretches to the changes; `count` of the instance's are in the database
    already.
    """
    changes.stretches.extend([(uuid, s, s.usage_no > count) for s in written])
