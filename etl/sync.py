"""The story of one poll: lock, catch up, look at the front, walk, apply, keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from etl import store
from etl.archive import Archive
from etl.errors import AlreadyPolled, Changed, ClockUnsure
from etl.history.days import iso
from etl.poll import ClockMemory, LastPoll, Poll
from etl.repeats import digest_seed, record_repeat
from etl.resources import Resource
from etl.source.answers import ADVICE_CHANGED
from etl.source.instants import ADVICE
from etl.source.reading import ReadListing
from etl.source.walk import Progress, Source, Walker
from etl.source.wholeness import is_created_later
from etl.store import Store, SyncRun
from etl.store.polls import PollsReader
from etl.texts import tr
from etl.timing.clock import ClockSteps, SteadyOffset
from etl.timing.freshness import FUTURE_S
from etl.units import DAY_S

WHOLE_EVERY_S: Final = DAY_S
"""The longest time between two readings of a whole window: old lines may have changed."""
SHARED_SECOND_S: Final = 1.6
"""The least time between the starts of two polls: `started_at` is rounded down, and the source's clock
is known to half a second."""
LARGEST_STEP_S: Final = 2.0
"""The largest step of the local clock during a poll: less than the clocks of a source may differ."""

Covers = Callable[[LastPoll | None], bool]
"""Function that tells whether the newest applied poll makes another one needless."""


@dataclass(frozen=True, slots=True)
class Job:
    """Inputs of a poll of one resource of one account. `archive` keeps every poll, None for none;
    `clock` gives seconds since 1970 on the local clock, which may be set, `monotonic` seconds on
    one that nobody sets; `steady` is the clock offset that earlier polls of this process learned; `named` are all accounts
    of the settings; `secret` is what nobody knows who has the database.
    """

    account: str
    resource: Resource[Any]
    client: Source
    store: Store
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    monotonic: Callable[[], float] = time.monotonic
    steady: SteadyOffset = field(default_factory=SteadyOffset)
    archive: Archive | None = None
    page_size: int = 100
    concurrency: int = 4
    progress: Progress | None = None
    named: Collection[str] = ()
    secret: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a poll: its row of `sync_run`."""

    account: str
    resource: str
    run: SyncRun


@dataclass(frozen=True, slots=True)
class _BeforePoll:
    """State that a poll must know before it asks the source. `front_total` is how many records of a
    window are held, None if the whole listing is to be read; `archives` are the folders that polls were
    ever archived in.
    """

    last: LastPoll | None
    memory: ClockMemory
    seed: bytes
    database_id: str
    archives: Collection[Path]
    front_total: int | None = None


def sync(job: Job, covers: Covers | None = None) -> Outcome:
    """Bring one resource of one account up to date with one poll.

    Raises `AlreadyPolled` if the newest poll `covers` this one, `Busy` if another sync of the
    account is at work, `SourceError` if the source gave nothing, `StoreError`; then nothing was
    written.
    """
    with job.store.account_lock() as still_held:
        known = _look(job)
        if _catch_up(job, known):
            known = _look(job)
        if covers is not None and covers(known.last):
            raise AlreadyPolled(
                tr(
                    "{account} {name} is polled already",
                    account=job.account,
                    name=job.resource.name,
                )
            )
        poll = _poll(job, known)
        _refuse_unknown_form(job.resource, poll)
        if known.last is None and job.resource.keeping == "instances":
            note = _continue_former(job, poll)
            if note is not None:
                # once more, compared with the history that is this account's now
                poll = _poll(job, _look(job))
                poll = replace(poll, notes=(*poll.notes, note))
        # the source was asked outside of any transaction, so that slow answers block no writer
        run = _recorded(job, poll, still_held) or _applied(job, poll, still_held)
    return Outcome(job.account, job.resource.name, run)


def _recorded(job: Job, poll: Poll, still_held: Callable[[], object]) -> SyncRun | None:
    """Record a poll that repeats the newest applied one. Return None, and write nothing, if it does
    not.
    """
    if not poll.unchanged:
        return None
    with job.store.recording() as tx:
        still_held()  # else another one may have polled meanwhile
        last = tx.refuse_stale(job.resource.name, poll.started_at, poll.clock_offset_s)
        if last is None or last.digest != poll.digest:
            return None  # another poll came in between
        run = record_repeat(job.resource, poll, tx, last)
        _keep(job, poll, last, tx)
    return run


def _applied(job: Job, poll: Poll, still_held: Callable[[], object]) -> SyncRun:
    """Apply a poll in one transaction."""
    # here: a poll that repeats the one before needs none of it
    from etl.apply import apply
    from etl.resources.slices import ListingMemory, key_of

    name = job.resource.name
    with job.store.writing() as tx:
        still_held()
        last = tx.refuse_stale(name, poll.started_at, poll.clock_offset_s)
        poll = replace(poll, unchanged=False)
        digest, signatures = tx.known_listing(name)
        key = key_of(job.secret, digest_seed(job.resource, tx))
        memory = ListingMemory(key, digest, signatures)
        run = apply(job.resource, poll, tx, last, memory)
        if memory.digest is not None and memory.digest != digest:
            tx.remember_listing(name, memory.digest, memory.signatures)
        _keep(job, poll, last, tx)
    return run


def _keep(job: Job, poll: Poll, last: LastPoll | None, tx: PollsReader) -> None:
    """Archive a poll, just before it is committed."""
    if job.archive is not None:
        job.archive.append(poll, last, tx.former_names())


def _continue_former(job: Job, poll: Poll) -> str | None:
    """Give a known account the name of this one, and say so, if the first listing shows that they are the
    same: it was renamed in the settings, and its history would else count twice.
    """

    def listed() -> set[str]:
        pages = (page for walk in poll.walks for page in walk)
        names = (name for page in pages for name in job.resource.open(page.body).identities)
        return {name for name in names if name is not None}

    with store.reading(job.store.database) as known:
        former = known.registry.same_account(listed, {*job.named, job.account})
    if former is None:
        return None
    # a poll under the former name that is at work now would write under a name that is gone
    with Store(job.store.database, former).account_lock(), store.writing(job.store.database) as tx:
        tx.registry.continue_as(former, job.account, poll.finished_at)
    return f"account {former} goes on as {job.account}: they list the same instances"


def _catch_up(job: Job, known: _BeforePoll) -> int:
    """Apply the polls of archives that the database lacks: the one of a sync that was killed before
    its commit, and all that came after a backup that was restored. Return how many it lacked.
    """
    last, own_id = known.last, known.database_id
    own = job.archive.folder.absolute() if job.archive is not None else Path()
    if job.archive is not None:
        job.archive.claim(own_id)
        job.archive.pack()
        if own not in known.archives:
            with job.store.recording() as tx:
                tx.remember_archive(own)
    if last is None and _is_former(job):
        return 0  # its archive holds polls that were applied while another account had this name
    # a sync by hand may not name the archive: what waits there must be applied before the next poll
    others = [
        Archive(folder, job.account, job.resource) for folder in known.archives if folder != own
    ]
    waiting = [job.archive.unapplied(last)] if job.archive is not None else []
    waiting += [archive.unapplied_if_ours(own_id, last) for archive in others]
    if not waiting:
        return 0
    from etl.replay import catch_up

    polls = merge(*waiting, key=attrgetter("started_at"))
    return catch_up(job.store, job.resource, polls, job.clock() + known.memory.offset_s)


def _is_former(job: Job) -> bool:
    with store.reading(job.store.database) as known:
        return known.registry.is_former(job.account)


def _memory(job: Job, known: PollsReader) -> ClockMemory:
    """Return all that is known of the source's clock, by this process first."""
    memory = known.clock_memory(job.resource.name)
    steady_s = job.steady.offset_s(job.clock(), job.monotonic())
    return memory if steady_s is None else replace(memory, offsets=(steady_s, *memory.offsets))


def _look(job: Job) -> _BeforePoll:
    resource = job.resource
    with job.store.polls() as known:
        # in one transaction: a daemon opens SQLite's file anew for each, which reads all views
        before = _BeforePoll(
            last=known.last_poll(resource.name),
            memory=_memory(job, known),
            seed=digest_seed(resource, known),
            database_id=known.database_id(),
            archives=known.archive_folders(),
        )
    if resource.keeping != "window" or before.last is None:
        return before
    with job.store.reading() as held:
        total, whole_at = held.window(resource.name)
    # a front never shows corrections of old records
    is_due_whole = before.last.started_at - whole_at >= WHOLE_EVERY_S
    return before if is_due_whole else replace(before, front_total=total)


def _poll(job: Job, known: _BeforePoll) -> Poll:
    """Read the listing. Raises `ClockUnsure` if the time of the poll cannot be determined."""
    _wait_for_next_second(job, known)
    # offsets are differences of two clocks: a step between the two readings would fake one
    steps = ClockSteps(job.clock() - job.monotonic())
    walker = Walker(
        job.client,
        job.resource,
        page_size=min(job.page_size, job.resource.most_per_page or job.page_size),
        concurrency=job.concurrency,
        progress=job.progress,
    )
    reading = _read_front(job, known, walker) or walker.read_whole(known.last, known.seed)
    step_s = steps.step_s(job.clock(), job.monotonic())
    # instants taken before and after such a step cannot be compared
    if abs(step_s) > LARGEST_STEP_S:
        raise ClockUnsure(
            tr(
                "this machine's clock was set by {step_s:.0f} s during the poll, or it was "
                "suspended",
                step_s=step_s,
            ),
            advice=tr("the next poll tries again"),
        )
    poll = walker.poll(job.account, reading, known.memory)
    _refuse_if_behind(job.resource, poll)
    if poll.clock_offset_s is not None:
        job.steady.learn(poll.clock_offset_s, job.clock(), job.monotonic())
    return poll


def _refuse_unknown_form(resource: Resource[Any], poll: Poll) -> None:
    """Raise `Changed` if an optional resource lists records and none of them can be read: it is one
    that this program does not know, and no part of what it knows is missing.
    """
    if not resource.is_optional or poll.complete or poll.listed:
        return
    rejects = [reject for page in poll.walks[-1] for reject in resource.read(page.body)[1]]
    if rejects:
        raise Changed(
            tr(
                "GET {path}: none of the records can be read: {reason}",
                path=resource.path,
                reason=rejects[0].reason,
            ),
            advice=ADVICE_CHANGED,
            path="$.data",
        )


def _refuse_if_behind(resource: Resource[Any], poll: Poll) -> None:
    """Raise `ClockUnsure` if no answer had a date, and by the local clock most of the list is not made
    yet.
    """
    if poll.clock_offset_s is not None or poll.unchanged or resource.births is None:
        return
    if is_created_later(resource, poll.walks[-1], poll.finished_at + FUTURE_S):
        raise ClockUnsure(
            tr(
                "by this machine's clock it is {now}, and most of what the source lists was created "
                "later",
                now=iso(poll.finished_at),
            ),
            advice=ADVICE,
            at=poll.started_at,
        )


def _wait_for_next_second(job: Job, known: _BeforePoll) -> None:
    if known.last is None:
        return
    # the poll before is on the source's clock, so it is compared with that
    source_now = job.clock() + known.memory.offset_s
    wait_s = known.last.began_at + SHARED_SECOND_S - source_now
    # two polls that share a second of the source cannot be told apart in time
    if 0 < wait_s <= SHARED_SECOND_S:
        job.sleep(wait_s)


def _read_front(job: Job, known: _BeforePoll, walker: Walker) -> ReadListing | None:
    """Return the first pages of a window, read as long as they bring news; None if they do not
    account for all of its records, so that all of it must be read.
    """
    if known.front_total is None:
        return None
    from etl.history.windows import Matching

    # held records are compared page by page, in short read transactions: pages take seconds
    front, matching = walker.front(known.last, known.seed), Matching(job.resource)
    for page in front:
        records = list(job.resource.read(page.body)[0])
        with job.store.reading() as held:
            changes = matching.match(held.held(job.resource.name, records), records)
        front.note(
            added=len(changes.added) + len(matching.unsettled),
            is_changed=bool(changes.changed or changes.states),
        )
        # whether they are new or corrections is decided by the poll that is applied
        matching.unsettled = []
    return front.reading(known.front_total)
