"""The story of one poll: lock, catch up, look at the front, walk, apply, keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from etl.apply import apply, digest_seed
from etl.archive import Archive
from etl.errors import AlreadyPolled
from etl.history.versions import compare_window
from etl.poll import LastPoll, Poll
from etl.replay import catch_up
from etl.resources import Resource
from etl.source.reading import ReadListing
from etl.source.walk import Progress, Source, Walker
from etl.store import Run, Store

WHOLE_EVERY_S: Final = 86_400
"""A window is read whole at least so often: old lines may have changed."""
SHARED_SECOND_S: Final = 1.6
"""A poll begins at least so long after the start of the one before it: `started_at` is rounded
down, and the source's clock is known to half a second."""
POLLS_AGAIN: Final = 3
NEAR_S: Final = 10
"""A poll that seems not newer than the last one by less than this is taken again, not refused."""

Covers = Callable[[LastPoll | None], bool]
"""Whether the newest applied poll makes another one needless."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a poll of one resource of one account works with. `archive` keeps every poll, None for
    none; `clock` gives seconds since 1970 on the local clock."""

    account: str
    resource: Resource[Any]
    client: Source
    store: Store
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    archive: Archive | None = None
    page_size: int = 100
    concurrency: int = 4
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a poll did: its row of `sync_run`."""

    account: str
    resource: str
    run: Run


@dataclass(frozen=True, slots=True)
class _Known:
    """What a poll must know before it asks the source. `front_total` is how many records of a window
    are held, None if the whole listing is to be read."""

    last: LastPoll | None
    seed: bytes
    front_total: int | None


def sync(job: Job, covers: Covers | None = None) -> Outcome:
    """Bring one resource of one account up to date with one poll.

    Raises `AlreadyPolled` if the newest poll `covers` this one, `Busy` if another sync of the
    account is at work, `SourceError` if the source gave nothing, `StoreError`; then nothing was
    written.
    """
    with job.store.account_lock() as still_held:
        _catch_up(job)
        known = _look(job)
        if covers is not None and covers(known.last):
            raise AlreadyPolled(f"{job.account} {job.resource.name} is polled already")
        poll = _poll(job, known)
        with job.store.writing() as tx:
            still_held()  # else another one may have polled meanwhile
            last = tx.refuse_stale(job.resource.name, poll.started_at)
            if poll.unchanged and (last is None or last.digest != poll.digest):
                poll = replace(poll, unchanged=False)  # another poll came in between
            run = apply(job.resource, poll, tx, last)
            if job.archive is not None:
                job.archive.append(poll, last)  # just before the commit
    return Outcome(job.account, job.resource.name, run)


def _catch_up(job: Job) -> None:
    """Apply the polls of the archive that the database lacks: the one of a sync that was killed before its
    commit, and all that came after a backup that was restored."""
    if job.archive is None:
        return
    with job.store.reading() as known:
        job.archive.claim(known.database_id())
        last = known.last_poll(job.resource.name)
    job.archive.pack()
    catch_up(job.store, job.resource, job.archive.unapplied(last))


def _look(job: Job) -> _Known:
    resource = job.resource
    with job.store.reading() as known:
        last, seed = known.last_poll(resource.name), digest_seed(resource, known)
        if resource.keeping != "window" or last is None:
            return _Known(last, seed, None)
        total, whole_at = known.window(resource.name)
    is_due_whole = last.started_at - whole_at >= WHOLE_EVERY_S
    return _Known(last, seed, None if is_due_whole else total)


def _poll(job: Job, known: _Known) -> Poll:
    last = known.last
    _wait_for_next_second(job, last)
    poll = _walk(job, known)
    for _ in range(POLLS_AGAIN):
        # slow answers leave the source's clock less well known than it was
        if last is None or not 0 <= last.started_at - poll.started_at < NEAR_S:
            break
        job.sleep(last.started_at - poll.started_at + 1)
        poll = _walk(job, known)
    return poll


def _wait_for_next_second(job: Job, last: LastPoll | None) -> None:
    if last is None:
        return
    source_now = job.clock() + (last.clock_offset_s or 0.0)
    wait_s = last.started_at + SHARED_SECOND_S - source_now
    if 0 < wait_s <= SHARED_SECOND_S:
        job.sleep(wait_s)


def _walk(job: Job, known: _Known) -> Poll:
    walker = Walker(
        job.client,
        job.resource,
        page_size=job.page_size,
        concurrency=job.concurrency,
        progress=job.progress,
    )
    reading = _read_front(job, known, walker) or walker.read_whole(known.last, known.seed)
    return walker.poll(job.account, reading)


def _read_front(job: Job, known: _Known, walker: Walker) -> ReadListing | None:
    """The first pages of a window, as long as they bring news; None if that does not account for
    all of its records: then all of it must be read."""
    if known.front_total is None:
        return None
    front = walker.front(known.last, known.seed)
    for page in front:
        records = list(job.resource.read(page.body)[0])
        with job.store.reading() as held:
            changes = compare_window(held.held(job.resource.name, records), records)
        front.note(added={r.identity for r in changes.added}, is_changed=bool(changes.changed))
    return front.reading(known.front_total)
