"""Replay archived polls into the database in time order, as if they were live."""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final

from etl import archive
from etl.apply import apply
from etl.archive import Archived
from etl.dialect import Database
from etl.errors import ClockUnsure, ErrorKind, SettingsError
from etl.history.days import iso
from etl.poll import Instant, LastPoll, Page, Poll
from etl.repeats import digest_seed, end_of, run_of
from etl.resources import RESOURCES, Resource
from etl.resources.listing import parse_json
from etl.resources.slices import ListingMemory
from etl.source.wholeness import digest_of_pages, tally_of
from etl.steps import report_steps
from etl.store import Store, SyncRun, writing
from etl.texts import tr
from etl.timing import freshness

TOGETHER: Final = 500
"""Polls in one transaction: each is still all or nothing, and what is done stays done."""

log = logging.getLogger("etl.replay")

Walks = tuple[tuple[Page, ...], ...]


@dataclass(slots=True)
class ReplayCounts:
    """Counts of a replay. `skipped` polls were not newer than the newest applied one; `damaged`
    lines could not be read; `future` holds the starts of polls that lie in the future of this machine's
    clock, by account and resource.
    """

    applied: int = 0
    skipped: int = 0
    damaged: int = 0
    future: dict[tuple[str, str], list[Instant]] = field(default_factory=dict)


@dataclass(slots=True)
class _Series:
    """The polls of one account and resource, as they come, and the pages of the newest."""

    resource: Resource[Any]
    seed: bytes
    last: LastPoll | None
    memory: ListingMemory
    opened: Walks | None = None
    walks: Walks = ()
    digest: str | None = None
    complete: bool = False
    listed: int = 0
    total: int | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)

    def poll(self, archived: Archived) -> Poll:
        """Return the poll of a line, judged from its pages if the line has no verdict.

        Raises `ValueError` if none of its pages is a listing.
        """
        assert archived.walks is not None
        # an archive repeats an unchanged poll by reference: its pages are judged once
        if archived.walks is not self.opened:
            self._open(archived.walks, by_other_means=archived.complete is None)
        # a page that is no listing was left out, so nothing proves what it held
        is_read = self.walks == self.opened
        complete = is_read and (self.complete if archived.complete is None else archived.complete)
        # digests are compared as a live poll does, so that a replay writes the same rows
        known = self.last.digest if self.last else None
        return Poll(
            account=archived.account,
            resource=archived.resource,
            started_at=archived.started_at,
            finished_at=archived.finished_at,
            complete=complete,
            walks=self.walks,
            unchanged=complete and known is not None and known == self.digest,
            digest=self.digest if complete else None,
            reported_total=self.total,
            listed=self.listed,
            notes=() if complete else self.notes,
            was_complete=archived.was_complete and is_read,
        )

    def _open(self, walks: Walks, *, by_other_means: bool) -> None:
        failed = {page for walk in walks for page in walk if by_other_means and _is_failure(page)}
        tallies = [tally_of(self.resource, [p for p in walk if p not in failed]) for walk in walks]
        self.opened = walks
        self.walks = tuple(
            tuple(p for p in walk if p not in failed and p.number not in tally.unreadable)
            for walk, tally in zip(walks, tallies, strict=True)
        )
        if not any(self.walks):
            raise ValueError(tr("no page is a listing"))
        verdicts = [tally.verdict() for tally in tallies]
        last = verdicts[-1]
        notes = last.notes if not failed else (*last.notes, "an answer is a failure by its code")
        self.listed = len(set[str]().union(*(verdict.identities for verdict in verdicts)))
        self.complete, self.total, self.notes = not notes, last.total, notes
        # as a live poll does it: only a walk that was whole at once stands for the listing
        self.digest = digest_of_pages(self.seed, walks[0]) if len(walks) == 1 else None


def refuse_unreadable(paths: Iterable[str]) -> None:
    """Raise `SettingsError` if one of the files cannot be opened; `-` is standard input."""
    for path in paths:
        if path != "-":
            # asked before a database is made: a mistyped name must not begin a new history
            with _refusing_unreadable(path), open(path, "rb"):
                pass


def replay(
    database: Database,
    paths: Iterable[str],
    *,
    now: float = math.inf,
) -> ReplayCounts:
    """Apply the polls of archive files.

    Polls of after `now` are refused, counted and recorded: applied, they would have all right
    polls until then refused. Raises `SettingsError` for a missing file, `Busy` if an account is
    being synced.
    """
    tally = ReplayCounts()
    polls = _in_time_order(list(paths), tally, now + freshness.FUTURE_S)
    chunk: list[Archived] = []
    replayer = _Replayer(database, tally)
    read = 0
    with ExitStack() as locks:
        for archived in polls:
            chunk.append(archived)
            if len(chunk) == TOGETHER:
                replayer.apply(chunk, locks)
                read += len(chunk)
                report_steps(read, None)
                chunk = []
        replayer.apply(chunk, locks)
    if tally.future:
        _record_future(database, tally, now)
    return tally


def catch_up(store: Store, resource: Resource[Any], polls: Iterable[Archived], now: float) -> int:
    """Apply archived polls that the database may lack, oldest first; return how many it lacked. The
    caller holds the account lock.

    The newest may be there after all: a COMMIT goes on in the server when its client is killed. Raises
    `ClockUnsure` at a poll that ends after `now`, by the source's clock, once those before it are
    applied: a clock was ahead, or this machine's is behind, and the polls that wait would be lost if the source
    were asked first.
    """
    tally, future = ReplayCounts(), list[Archived]()
    replayer = _Replayer(store.database, tally)
    # files may be copied together: only what belongs to the locked account is applied
    ours = (p for p in polls if (p.account, p.resource) == (store.account, resource.name))
    past = _past(ours, now + freshness.FUTURE_S, future)
    while chunk := list(islice(past, TOGETHER)):
        replayer.apply_held(chunk, store)
    if tally.applied:
        log.info(
            "%s %s: %d polls of the archive applied", store.account, resource.name, tally.applied
        )
    if future:
        raise ClockUnsure(
            tr(
                "the archive has a poll of {started_at}, which lies in the future",
                started_at=iso(future[0].started_at),
            ),
            advice=freshness.FUTURE_ADVICE,
        )
    return tally.applied


def _past(polls: Iterable[Archived], latest: float, future: list[Archived]) -> Iterator[Archived]:
    """Yield polls until one ended after `latest`, which goes into `future`."""
    for archived in polls:
        if archived.finished_at > latest:
            # the first one ends it: what follows it would make it too old
            # to be applied, even once its time has come
            future.append(archived)
            return
        yield archived


class _Replayer:
    """Replayer of polls, which takes each account's lock once and remembers the poll before the next
    one.
    """

    def __init__(self, database: Database, tally: ReplayCounts) -> None:
        self._database = database
        self._tally = tally
        self._series: dict[tuple[str, str], _Series] = {}
        self._locked: set[str] = set()

    def apply(self, chunk: list[Archived], locks: ExitStack) -> None:
        """Apply polls in time order, those of one account in one transaction."""
        for account, polls in _by_account(chunk):
            store = Store(self._database, account)
            # held until the replay ends: a live poll in between would make the rest stale
            if account not in self._locked:
                locks.enter_context(store.account_lock())
                self._locked.add(account)
            self.apply_held(polls, store)

    def apply_held(self, chunk: list[Archived], store: Store) -> None:
        """Apply polls of one account, whose lock is held, in one transaction."""
        self._continue(store.account, chunk[0])
        with store.writing() as tx:
            repeats: list[tuple[str, SyncRun]] = []
            for archived in chunk:
                self._apply_one(archived, tx, repeats)
            tx.record_all(repeats)

    def _continue(self, account: str, first: Archived) -> None:
        """Give the account the name that its polls have from `first` on."""
        if not first.was:
            return
        with writing(self._database) as tx:
            known = {a.name for a in tx.registry.known()}
            former = next((name for name in reversed(first.was) if name in known), None)
            if former is None or account in known:
                return
            tx.registry.rename(former, account, first.started_at)
        self._series = {
            (account if name == former else name, resource): series
            for (name, resource), series in self._series.items()
        }

    def _apply_one(self, archived: Archived, tx: Any, repeats: list[tuple[str, SyncRun]]) -> None:
        """Apply a poll; the row of one that changes nothing is added to `repeats`, of polls whose rows
        are not written yet.
        """
        resource = RESOURCES.get(archived.resource)
        if resource is None:
            log.warning("polls of %s are not known to this version", archived.resource)
            self._tally.damaged += 1
            return
        key = (archived.account, archived.resource)
        series = self._series.get(key)
        if series is None:
            seed = digest_seed(resource, tx)
            memory = ListingMemory(key=None)
            series = _Series(resource, seed, tx.last_poll(resource.name), memory)
            self._series[key] = series
        # replaying a file twice changes nothing
        if series.last is not None and archived.started_at <= series.last.started_at:
            self._tally.skipped += 1
            return
        try:
            poll = series.poll(archived)
        except ValueError as error:
            log.warning("the poll of %s at %s is skipped: %s", *key, error)
            self._tally.damaged += 1
            return
        if poll.unchanged:
            # written together: most polls change nothing
            run = run_of(poll, end_of(resource, poll, series.last))
            repeats.append((resource.name, run))
        else:
            tx.record_all(repeats)
            repeats.clear()
            run = apply(resource, poll, tx, series.last, series.memory)
        series.last = run.as_last_poll()
        self._tally.applied += 1


def _by_account(chunk: Sequence[Archived]) -> list[tuple[str, list[Archived]]]:
    """Group polls by account, but keep those of an account that was renamed meanwhile in their order."""
    if any(archived.was for archived in chunk):
        return [(name, list(polls)) for name, polls in groupby(chunk, key=attrgetter("account"))]
    names = dict.fromkeys(archived.account for archived in chunk)
    return [(name, [each for each in chunk if each.account == name]) for name in names]


def _in_time_order(paths: list[str], tally: ReplayCounts, latest: float) -> Iterator[Archived]:
    """Yield the polls of all files by their start; a file is open only during its own time
    range.
    """
    begins = sorted((_first_start(path, latest), number, path) for number, path in enumerate(paths))
    open_files: list[tuple[Instant, int, Archived, Iterator[Archived]]] = []

    def advance(number: int, polls: Iterator[Archived]) -> None:
        archived = next(polls, None)
        if archived is not None:
            # the number breaks ties, so that polls are never compared with each other
            heapq.heappush(open_files, (archived.started_at, number, archived, polls))

    waiting = iter(begins)
    upcoming = next(waiting, None)
    while upcoming is not None or open_files:
        # files may overlap: one is opened before any poll that is later than its first
        while upcoming is not None and (not open_files or upcoming[0] <= open_files[0][0]):
            advance(upcoming[1], _readable_polls(upcoming[2], tally, latest))
            upcoming = next(waiting, None)
        if open_files:
            _, number, archived, polls = heapq.heappop(open_files)
            yield archived
            advance(number, polls)


def _record_future(database: Database, tally: ReplayCounts, now: float) -> None:
    """Record the refused polls: one row for each account and resource."""
    at = math.floor(now)
    for (account, resource), starts in tally.future.items():
        # written by a later version, which collects more
        if resource not in RESOURCES:
            continue
        error = f"{len(starts)} archived polls lie in the future, the first at {iso(min(starts))}"
        with Store(database, account).writing() as tx:
            kind = ErrorKind.CLOCK
            tx.record(resource, SyncRun(at, at, "failed", error=error, error_kind=kind))


def _is_failure(page: Page) -> bool:
    """Tell whether an answer reports a failure: saved answers were never checked."""
    try:
        answer = parse_json(page.body)
    except (ValueError, RecursionError):
        return True
    return not isinstance(answer, dict) or str(answer.get("code", 0)).strip() not in ("0", "0.0")


def _first_start(path: str, latest: float) -> Instant:
    # standard input cannot be read twice, so it counts as beginning first
    if path == "-":
        return 0
    # counts of its own: the file is read once more, and its lines must not count twice
    first = next(_readable_polls(path, ReplayCounts(), latest), None)
    return 0 if first is None else first.started_at


def _readable_polls(path: str, tally: ReplayCounts, latest: float) -> Iterator[Archived]:
    """Yield the polls of a file up to `latest`; other and unusable lines are counted."""
    with _refusing_unreadable(path):
        for archived in archive.polls(path):
            if archived is None:
                tally.damaged += 1
            elif archived.finished_at > latest:
                of = archived.account, archived.resource
                tally.future.setdefault(of, []).append(archived.started_at)
            else:
                yield archived


@contextmanager
def _refusing_unreadable(path: str) -> Iterator[None]:
    """Raise `SettingsError` instead of the system's error about an archive."""
    try:
        yield
    except OSError as error:
        raise SettingsError(
            tr(
                "archive {path} cannot be read: {strerror}",
                path=path,
                strerror=error.strerror or error,
            ),
            advice=tr("name files that chenyu-etl sync --archive made"),
        ) from error
