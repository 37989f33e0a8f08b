"""The story of one poll: locked, read, compared, written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final

from etl.history import diff
from etl.history.diff import Changes, Window
from etl.history.versions import compare_versions, compare_window
from etl.poll import Instant, LastPoll, Page, Poll
from etl.resources import Record, Reject, Resource
from etl.source.walk import Front, News
from etl.store import Reader, Run, Store, Tx

BATCH: Final = 2000
"""Records compared at a time: bounds memory, whatever the size of the fleet."""

WHOLE_EVERY_S: Final = 86_400
"""A window is read whole at least so often: old lines may have changed."""

Source = Callable[[LastPoll | None, bytes], Poll]
"""Polls, given the newest applied poll and the seed of its digest."""

Keep = Callable[[Poll, LastPoll | None], None]
"""Archives a poll just before its commit, given the newest poll applied before it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a poll did: its row of `sync_run`."""

    account: str
    resource: str
    run: Run


def sync(
    resource: Resource[Any], source: Source, store: Store, keep: Keep = lambda _poll, _last: None
) -> Outcome:
    """Bring one resource of one account up to date with one poll.

    Raises `Busy` where another sync of the account is at work, `SourceError` where the source gave
    nothing, `StoreError`; then nothing was written.
    """
    with store.account_lock() as still_held:
        with store.reading() as known:
            seed = digest_seed(resource, known)
            last = known.last_poll(resource.name)
        poll = source(last, seed)
        with store.writing() as tx:
            still_held()  # else another one may have polled meanwhile
            last = tx.refuse_stale(resource.name, poll.started_at)
            if poll.unchanged and (last is None or last.digest != poll.digest):
                poll = replace(poll, unchanged=False)  # another poll came in between
            run = apply(resource, poll, tx, last)
            keep(poll, last)
    return Outcome(poll.account, resource.name, run)


def front_of(resource: Resource[Any], store: Store) -> Front | None:
    """What is held of a window, for a poll that reads its first pages alone; None where the whole
    listing is to be read: another kind of listing, or not read whole for a day."""
    if resource.keeping != "window":
        return None
    with store.reading() as known:
        last = known.last_poll(resource.name)
        total, whole_at = known.window(resource.name)
    if last is None or total is None or last.started_at - whole_at >= WHOLE_EVERY_S:
        return None

    def news(body: bytes) -> News:
        records = list(resource.read(body)[0])
        with store.reading() as known:
            changes = compare_window(known.held(resource.name, records), records)
        return News({r.identity for r in changes.added}, {r.identity for r in changes.changed})

    return Front(total, news)


def digest_seed(resource: Resource[Any], known: Reader) -> bytes:
    """What makes equal bytes mean the same: how they are decoded, and the lookups."""
    return f"{resource.name} {resource.version} ".encode() + known.codes().fingerprint()


def apply(resource: Resource[Any], poll: Poll, tx: Tx, last: LastPoll | None) -> Run:
    """Write what `poll` says that is new, and its own row. `last` is the newest applied poll."""
    finished_at = max(poll.finished_at, last.finished_at if last else 0)
    tally = _Tally()
    if not poll.unchanged:
        _APPLY[resource.keeping](resource, poll, finished_at, tx, tally)
    run = Run(
        started_at=poll.started_at,
        finished_at=finished_at,
        outcome="complete" if poll.complete else "partial",
        requests=poll.requests,
        retries=poll.retries,
        walks=len(poll.walks),
        listed=poll.listed,
        reported_total=poll.reported_total,
        added=tally.added,
        changed=tally.changed,
        gone=tally.gone,
        rejected=len({reject.identity or reject.payload for reject in tally.rejects}),
        clock_offset_s=poll.clock_offset_s,
        digest=poll.digest if poll.unchanged or not (tally.rejects or tally.pending) else None,
        error="; ".join(poll.notes) or None,
    )
    tx.record(resource.name, run)
    return run


class _Tally:
    """What a poll changed, counted while its parts are written."""

    def __init__(self) -> None:
        self.added = self.changed = self.gone = 0
        self.pending = False
        self.rejects: list[Reject] = []

    def count(self, changes: Changes) -> None:
        self.added += changes.added
        self.changed += changes.changed
        self.gone += changes.gone


def _apply_instances(
    resource: Resource[Any], poll: Poll, b: Instant, tx: Tx, tally: _Tally
) -> None:
    first = tx.first_complete_at(resource.name)
    window = Window(
        b=b,
        complete=poll.complete,
        created_since=poll.started_at + 1 if first is None and poll.complete else first,
        codes=tx.codes(),
    )
    absent = tx.listed()
    seen: set[str] = set()
    for batch in _batches(resource, poll.walks, seen, tally.rejects):
        moves = diff.compare(tx.known([s.identity for s in batch]), batch)
        _settle(moves, window, tx, tally)
        absent.difference_update(s.identity for s in batch)
    rejected = {r.identity for r in tally.rejects if r.identity is not None} - seen
    missing = sorted(absent)
    for at in range(0, len(missing), BATCH):
        known = tx.known(missing[at : at + BATCH])
        _settle(diff.compare_absent(list(known.values()), rejected, window), window, tx, tally)
    _reject(resource, b, tx, tally)
    tally.pending = tx.pending()


def _apply_versions(
    resource: Resource[Record], poll: Poll, b: Instant, tx: Tx, tally: _Tally
) -> None:
    records = [r for batch in _batches(resource, poll.walks, set(), tally.rejects) for r in batch]
    changes = compare_versions(
        tx.versions(resource.name),
        records,
        {reject.identity for reject in tally.rejects if reject.identity is not None},
        newest=tx.newest_complete_at(resource.name),
        b=b,
        complete=poll.complete,
    )
    tx.apply_versions(resource.name, changes)
    tally.added, tally.changed, tally.gone = changes.added, changes.replaced, changes.gone
    tally.pending = changes.pending
    _reject(resource, b, tx, tally)


def _apply_window(
    resource: Resource[Record], poll: Poll, b: Instant, tx: Tx, tally: _Tally
) -> None:
    for batch in _batches(resource, poll.walks, set(), tally.rejects):
        changes = compare_window(tx.held(resource.name, batch), batch)
        tx.apply_window(resource.name, changes, b)
        tally.added += len(changes.added)
        tally.changed += len(changes.changed)
    _reject(resource, b, tx, tally)


_APPLY: Final = {
    "instances": _apply_instances,
    "versions": _apply_versions,
    "window": _apply_window,
}


def _reject(resource: Resource[Any], b: Instant, tx: Tx, tally: _Tally) -> None:
    if tally.rejects:
        tx.reject(resource.name, tally.rejects, b)


def _settle(moves: diff.Moves, window: Window, tx: Tx, tally: _Tally) -> None:
    moved = moves.moved()
    usages = tx.usages(moved, moves.returned()) if moved else {}
    changes = diff.settle(moves, usages, window)
    tx.apply(changes)
    tally.count(changes)


_identity: Final = attrgetter("identity")


def _batches(
    resource: Resource[Any],
    walks: Sequence[Sequence[Page]],
    seen: set[str],
    rejects: list[Reject],
) -> Iterator[list[Any]]:
    """The newest sighting of each identity; `seen` and `rejects` are filled on the way.

    Each batch is sorted: an index is read and grows faster in order.
    """
    batch: list[Any] = []
    for page in (page for walk in reversed(walks) for page in reversed(walk)):
        sightings, odd = resource.read(page.body)
        rejects.extend(odd)
        for sighting in reversed(sightings):
            if sighting.identity not in seen:
                seen.add(sighting.identity)
                batch.append(sighting)
        if len(batch) >= BATCH:
            yield sorted(batch, key=_identity)
            batch = []
    if batch:
        yield sorted(batch, key=_identity)
