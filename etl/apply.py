"""Apply one poll, live or archived, to the database: compare it with the known state, and write the
difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final

import msgspec

from etl.history import diff
from etl.history.diff import Version, Window
from etl.history.stretches import Stretch
from etl.history.versions import compare_versions
from etl.history.windows import Cover, Matching, WindowChanges, superseded
from etl.money.periods import LAST
from etl.poll import Instant, LastPoll, Poll
from etl.repeats import end_of, record_repeat, run_of
from etl.resources import GPU_PRICES, Keeping, Reject, Resource
from etl.resources.slices import (
    ListingMemory,
    Slice,
    answer_of,
    numbers_of,
    records_in,
    slices_of,
)
from etl.store import SyncRun
from etl.store.account import Tx

BATCH: Final = 1000
"""Records compared at a time, whatever the size of the fleet: it bounds memory."""
ANSWER: Final = 100
"""Records read at a time."""


def apply(
    resource: Resource[Any],
    poll: Poll,
    tx: Tx,
    last: LastPoll | None,
    memory: ListingMemory | None = None,
) -> SyncRun:
    """Write the changes that `poll` brings, and its own row. `last` is the newest applied poll;
    `memory`, which knows the records of some listing, learns those of this one.
    """
    if poll.unchanged:
        return record_repeat(resource, poll, tx, last)
    b = end_of(resource, poll, last)
    records = _Records(resource, poll, memory, known=_known_records(memory, last))
    written = _APPLY[resource.keeping](records, b, tx)
    if written.touched is not None:
        tx.settle_stops(*written.touched)
        tx.settle_past(*written.touched)
    if records.rejects:
        tx.reject(resource.name, records.rejects, b)
    run = replace(
        run_of(poll, b),
        added=written.added,
        changed=written.changed,
        gone=written.gone,
        rejected=len({reject.identity or reject.payload for reject in records.rejects}),
        digest=None if records.rejects or written.is_pending else poll.digest,
    )
    tx.record(resource.name, run)
    if written.shows_past:
        # after its row: the first complete poll says up to when all is past
        tx.settle_past_anew()
    if memory is not None and run.digest is not None:
        memory.learn(run.digest, bytes(records.signatures))
    return run


def _known_records(memory: ListingMemory | None, last: LastPoll | None) -> AbstractSet[int]:
    """Return the signatures of the records that say nothing new: those of the newest applied listing,
    if that one was whole, each record understood, and none missing. Only then it has a digest.
    """
    return memory.of(last.digest) if memory is not None and last is not None else frozenset()


@dataclass(frozen=True, slots=True)
class _Written:
    """Counts of records that a poll added, changed and retired. `is_pending`: the next poll must be
    decoded even if its bytes are equal. `is_teaching`: a status changed, so that the length of a
    state may be learned. `touched`: between which instants the bill must be asked again for stops.
    `shows_past`: it must be asked again for the time before the first poll.
    """

    added: int = 0
    changed: int = 0
    gone: int = 0
    is_pending: bool = False
    is_teaching: bool = False
    touched: tuple[Instant, Instant] | None = None
    shows_past: bool = False

    def touching(self, instants: Iterable[Instant]) -> _Written:
        """Return these counts, and ask the bill again at these instants, too."""
        every = [*instants, *(self.touched or ())]
        return replace(self, touched=(min(every), max(every))) if every else self


_identity: Final = attrgetter("identity")


@dataclass(slots=True)
class _Records:
    """The records of a poll. Once `batches` has ended, `read` holds the identities of those that were
    read, `rejects` those that could not be, and `unread` counts those whose signature is `known`: they
    are seen, and in no batch.
    """

    resource: Resource[Any]
    poll: Poll
    memory: ListingMemory | None = None
    known: AbstractSet[int] = frozenset()
    read: set[str] = field(default_factory=set)
    unread: int = 0
    rejects: list[Reject] = field(default_factory=list)
    signatures: bytearray = field(default_factory=bytearray)

    def batches(self) -> Iterator[list[Any]]:
        """Yield the newest sighting of each identity, in batches.

        Each batch is sorted, and they are if they can be: an index is read and grows faster in order.
        """
        new = self._new_slices()
        if new is not None:
            return self._batches_of(new)
        # of two records of one identity one alone is what is stored: the other must be read if it comes back
        self.signatures.clear()
        return self._batches_of_pages()

    def _new_slices(self) -> list[Slice] | None:
        """Return the records that may say something new, unread; None if two may be of one identity,
        so that all must be read in their order.
        """
        if len(self.poll.walks) != 1:
            return None
        listed, new = 0, list[Slice]()
        for page in self.poll.walks[0]:
            records = records_in(self.resource, page.body)
            if records is None:
                return None
            listed += len(records)
            unknown = self._unknown(records)
            slices = slices_of(self.resource, unknown) if unknown else []
            if slices is None:
                return None
            new += slices
        # fewer identities than records: two are of one
        if listed != self.poll.listed:
            return None
        self.unread = listed - len(new)
        return new

    def _batches_of(self, new: list[Slice]) -> Iterator[list[Any]]:
        """Yield the sightings of these records in the order of their identities."""
        new.sort(key=_identity)
        for at in range(0, len(new), BATCH):
            batch: list[Any] = []
            # by small answers: one odd record makes all of its answer be read the slow way
            for start in range(at, min(at + BATCH, len(new)), ANSWER):
                some = new[start : start + ANSWER]
                answer = answer_of(self.resource, [each.record for each in some])
                sightings, rejects = self.resource.read(answer)
                self.rejects.extend(rejects)
                batch.extend(sightings)
            # no two are of one identity
            self.read.update([sighting.identity for sighting in batch])
            yield batch

    def _unknown(self, records: list[msgspec.Raw]) -> list[msgspec.Raw]:
        """Sign records; return those whose signature is not known."""
        if self.memory is None:
            return records
        signed = self.memory.sign(records)
        self.signatures += signed
        known = self.known
        return [
            r for r, number in zip(records, numbers_of(signed), strict=True) if number not in known
        ]

    def _batches_of_pages(self) -> Iterator[list[Any]]:
        batch: list[Any] = []
        counted = self.resource.counts and self.poll.is_sound
        # a union of walks would count a line twice that both of them show
        walks = self.poll.walks[-1:] if counted else self.poll.walks
        # newest answers first: of several sightings of one identity the newest counts
        for page in (page for walk in reversed(walks) for page in reversed(walk)):
            batch.extend(self._all(page.body) if counted else self._unseen(page.body))
            if len(batch) >= BATCH:
                yield sorted(batch, key=_identity)
                batch = []
        if batch:
            yield sorted(batch, key=_identity)

    def _unseen(self, body: bytes) -> Iterator[Any]:
        sightings, rejects = self.resource.read(body)
        self.rejects.extend(rejects)
        # an instance that moved down a list while it was read shows its newest state last
        for sighting in reversed(sightings):
            if sighting.identity not in self.read:
                self.read.add(sighting.identity)
                yield sighting

    def _all(self, body: bytes) -> Sequence[Any]:
        """Return every record of a page: a record that a whole listing shows twice exists twice."""
        sightings, rejects = self.resource.read(body)
        self.rejects.extend(rejects)
        return sightings

    @property
    def seen(self) -> int:
        """Return how many identities were seen."""
        return self.unread + len(self.read)

    def names(self) -> set[str]:
        """Return the identities that were seen."""
        if not self.unread:
            return self.read
        names = set(self.read)
        rejected = self.rejected()
        for page in self.poll.walks[0]:
            names.update(name for name in self.resource.open(page.body).identities if name)
        # a poll of one walk that lists nothing twice: who is not rejected is seen
        return names - (rejected - self.read)

    def rejected(self) -> set[str]:
        """Return the identities of records that could not be understood."""
        return {reject.identity for reject in self.rejects if reject.identity is not None}


def _apply_instances(records: _Records, b: Instant, tx: Tx) -> _Written:
    poll = records.poll
    first = tx.first_complete_at(poll.resource)
    window = Window(
        b=b,
        complete=poll.complete,
        created_since=poll.started_at + 1 if first is None and poll.complete else first,
        codes=tx.codes(),
        lengths=tx.lengths(),
    )
    written = _Written()
    for batch in records.batches():
        names = [sighting.identity for sighting in batch]
        written = _write_moves(diff.compare(tx.known(names), batch), window, tx, written)
    # an earlier walk of the poll may have shown it in a form that could be read
    unreadable = records.rejected() - records.read
    # sorted, so that batches touch neighbouring pages of the index
    missing = sorted(tx.unlisted(records.seen, records.names))
    for at in range(0, len(missing), BATCH):
        known = list(tx.known(missing[at : at + BATCH]).values())
        written = _write_moves(diff.compare_absent(known, unreadable, window), window, tx, written)
    if written.is_teaching:
        tx.learn_lengths(b)
    # all that lies before the first complete poll is past from now on
    is_first = first is None and poll.complete
    shows_past = written.shows_past or is_first
    return replace(written, is_pending=tx.pending(), shows_past=shows_past)


def _write_moves(moves: diff.Moves, window: Window, tx: Tx, before: _Written) -> _Written:
    """Write the changes that follow from the moves of a batch; return the counts of all batches so far."""
    moved = moves.moved()
    usages = tx.usages(moved, moves.returned()) if moved else {}
    changes = diff.derive_changes(moves, usages, window)
    tx.apply(changes)
    written = replace(
        before,
        added=before.added + changes.added,
        changed=before.changed + changes.changed,
        gone=before.gone + changes.gone,
        is_teaching=before.is_teaching or moves.changes_status,
        shows_past=before.shows_past or any(_is_past(v, window) for v in changes.versions),
    )
    return written.touching(_edges([s for _, s, _ in changes.stretches]))


def _edges(stretches: Sequence[Stretch]) -> list[Instant]:
    """Return the instants near which windows of the bill may be understood otherwise now."""
    ends = [s.ended_max for s in stretches if s.ended_max is not None]
    # a window that begins with a known start is of no unseen run
    starts = [
        s.started_at
        for s in stretches
        if s.ended_max is None or s.evidence in ("possible_run", "unseen_run")
    ]
    return ends + starts


def _is_past(version: Version, window: Window) -> bool:
    """Tell whether a version is the first of an instance that may have run before the first poll."""
    since, facts = window.created_since, version.facts
    started_at = min(facts.create_time or 0, facts.start_time or 0)
    return version.version == 1 and since is not None and started_at < since


def _apply_versions(records: _Records, b: Instant, tx: Tx) -> _Written:
    poll = records.poll
    seen = [record for batch in records.batches() for record in batch]
    changes = compare_versions(
        tx.versions(poll.resource),
        seen,
        records.rejected(),
        newest=tx.newest_complete_at(poll.resource),
        b=b,
        complete=poll.complete,
    )
    tx.apply_versions(poll.resource, changes)
    written = _Written(
        changes.added,
        changes.replaced,
        changes.gone,
        changes.pending,
        shows_past=poll.resource == GPU_PRICES.name and bool(changes.began or changes.presences),
    )
    # other prices fit other windows
    since = tx.deriver().recharged_since
    return written if since is None else written.touching((since, LAST))


def _apply_window(records: _Records, b: Instant, tx: Tx) -> _Written:
    name, poll = records.poll.resource, records.poll
    matching, cover = Matching(records.resource), Cover(records.resource.valid_time)
    written = _Written()
    for batch in records.batches():
        cover.add(batch)
        written = _write_window(
            tx, records, matching.match(tx.held(name, batch), batch), b, written
        )
    left = matching.unsettled
    if left:
        # what a part lacks, as a front does, may well be listed further back
        changes = matching.settle(tx.held(name, left), corrects=poll.shows_all)
        written = _write_window(tx, records, changes, b, written)
    if poll.is_whole and not records.rejects and tx.how_many_hold(name) != matching.listed:
        # streamed: only a listing that lacks something makes all held records be read
        unlisted = matching.unlisted(tx.unsuperseded(name))
        changes = WindowChanges(states=superseded(unlisted, cover, b))
        written = _write_window(tx, records, changes, b, written)
    return replace(written, is_pending=tx.is_missing(name))


def _write_window(
    tx: Tx, records: _Records, changes: WindowChanges, b: Instant, before: _Written
) -> _Written:
    """Write changes of a window; return the counts of all changes so far."""
    if not changes.is_news:
        return before
    resource = records.resource
    tx.apply_window(resource.name, changes, b)
    written = replace(
        before,
        added=before.added + len(changes.added),
        changed=before.changed + len(changes.changed) + changes.returned,
        gone=before.gone + changes.gone,
    )
    # recharges settle no run
    if resource.name != "bills":
        return written
    spans = (resource.valid_time(record.facts) for record in changes.records())
    return written.touching(span.ends_at for span in spans if span is not None)


_APPLY: Final[dict[Keeping, Callable[[_Records, Instant, Tx], _Written]]] = {
    "instances": _apply_instances,
    "versions": _apply_versions,
    "window": _apply_window,
}
