"""A whole listing, or an honest statement that it is not whole.

A walk reads page 1, learns `total` and the page size that the server really uses (the length of
page 1: it may cap the size, or ignore paging), then the other pages, a few at a time. Where `total`
is missing, it goes on page by page until one is short, empty or repeated. A poll takes up to
`MAX_WALKS` walks until one is whole, fewer where another walk cannot do better.

Bound: a walk asks for at most `MAX_PAGES + 1` pages (the one more is the probe below), so a poll
makes at most `MAX_WALKS * (MAX_PAGES + 1)` gets: 30 003. Each get sends at most
`attempts * (1 + MAX_REDIRECTS)` requests and ends within `Retrying.total_s` (see `etl.source.client`).

What "complete" proves. The list is live, and paging by number is no snapshot: of the list A B | C D
read oldest first, page 1 says A B; then A is destroyed and E created; page 2 of B C D E says D E.
Both pages say total 4, both are full, four identities are distinct, and C is missing although it
was there throughout. In general: at the first request `total` instances lived, so a walk of `total`
distinct identities can miss m of them only if it lists m others that were created during the walk.
Hence a walk of several pages is taken as complete only if every identity that it lists existed
before it began: an earlier walk of the same poll listed it, or its `created` member is more than
`YOUNG_S` older. Then it lists exactly what lived at its first request. A walk of one page is the
server's own snapshot. What remains believed is `total` itself, at the moment of each answer. Where
page and total leave no short page as evidence of the end, the page behind it is asked for (probe).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from etl.errors import Changed, Unavailable
from etl.poll import LastPoll, Page, Poll
from etl.resources import Listing, Resource
from etl.source.span import Span
from etl.source.wholeness import Verdict, digest, digest_of, judge, older, sha256, tally_of

if TYPE_CHECKING:
    from etl.source.client import Answer

MAX_WALKS: Final = 3
MAX_PAGES: Final = 10_000
YOUNG_S: Final = 60

__all__ = ["MAX_PAGES", "MAX_WALKS", "Source", "Verdict", "digest", "judge", "poll"]

Progress = Callable[[int, int | None], None]
"""Called with the pages read so far and the pages expected (None: not known)."""


class News(NamedTuple):
    """Of the records on a page: those that are not held yet, and those that are held otherwise."""

    added: set[str]
    changed: set[str]


@dataclass(frozen=True, slots=True)
class Front:
    """What is held of a window: the total that the newest complete poll reported, and what a page
    brings beyond what is held."""

    total: int
    news: Callable[[bytes], News]


class Source(Protocol):
    """What a walk needs of `etl.source.client.Client`."""

    @property
    def requests(self) -> int: ...
    @property
    def retries(self) -> int: ...
    def get(self, path: str, params: Mapping[str, str]) -> Answer: ...


def poll(
    client: Source,
    resource: Resource[Any],
    *,
    account: str,
    clock: Callable[[], float],
    page_size: int = 100,
    concurrency: int = 4,
    last: LastPoll | None = None,
    seed: bytes = b"",
    progress: Progress | None = None,
    front: Front | None = None,
) -> Poll:
    """One poll of a listing. Raises `Refused`, and whatever keeps page 1 of its first walk away.

    Every other failure makes the poll partial. `clock` is that of the client: each answer carries
    its instants, so it is asked for nothing. With `front` only the first pages of a window are read,
    as long as they bring news and their number adds up.
    """
    poller = _Poller(client, resource, page_size, concurrency, progress)
    return poller.poll(account, last, seed, front)


class _Poller:
    def __init__(
        self,
        client: Source,
        resource: Resource[Any],
        page_size: int,
        concurrency: int,
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._page_size = page_size
        self._concurrency = concurrency
        self._progress = progress or (lambda read, expected: None)
        self._span = Span()

    def poll(self, account: str, last: LastPoll | None, seed: bytes, front: Front | None) -> Poll:
        requests, retries = self._client.requests, self._client.retries
        read = self._front(front, last, seed) if front is not None else None
        walks, verdict, listed, unchanged = read or self._walks(last, seed)
        started_at, finished_at, offset_s, notes = self._span.instants()
        one = verdict.complete and len(walks) == 1
        return Poll(
            account=account,
            resource=self._resource.name,
            started_at=started_at,
            finished_at=finished_at,
            complete=verdict.complete,
            walks=tuple(tuple(walk.pages) for walk in walks),
            unchanged=unchanged,
            digest=walks[0].digest(seed) if one else None,
            reported_total=verdict.total,
            listed=listed,
            requests=self._client.requests - requests,
            retries=self._client.retries - retries,
            clock_offset_s=offset_s,
            notes=verdict.notes + notes,
        )

    def _front(self, front: Front, last: LastPoll | None, seed: bytes) -> _Reading | None:
        """The first pages of a window, up to one that brings nothing new. None where that does not
        account for the total: then all of it must be read."""
        walk, added, names = _Walk(), set[str](), set[str | None]()
        while len(walk.pages) < MAX_PAGES:
            try:
                read = self._ask(len(walk.pages) + 1)
                listing = self._resource.open(read.page.body)
            except (Unavailable, Changed):
                if not walk.pages:
                    raise
                return None
            self._take(walk, read, None)
            if last and last.digest and last.digest == walk.digest(seed):
                return [walk], Verdict(True, last.reported_total, set()), last.listed, True
            names.update(listing.identities)
            news = front.news(read.page.body)
            added |= news.added
            if listing.total is None or None in names or walk.flaw:
                return None
            if not (news.added or news.changed):
                if listing.total != front.total + len(added):
                    return None
                return [walk], Verdict(True, listing.total, added), len(names), False
        return None

    def _walks(self, last: LastPoll | None, seed: bytes) -> _Reading:
        """All walks, the verdict on the last of them, how many were listed, and whether nothing
        changed since `last`."""
        walks = [self._walk()]
        if last and last.digest and not walks[0].flaw and walks[0].digest(seed) == last.digest:
            return walks, Verdict(True, last.reported_total, set()), last.listed, True
        verdict = self._verdict(walks[0], set())
        seen = set(verdict.identities)
        while not (verdict.complete or walks[-1].is_final) and len(walks) < MAX_WALKS:
            before = verdict
            try:
                walks.append(self._walk())
            except (Unavailable, Changed) as error:
                notes = (*before.notes, f"walk {len(walks) + 1}, page 1: {error}")
                return walks, Verdict(False, before.total, set(), notes), len(seen), False
            verdict = self._verdict(walks[-1], seen)
            seen |= verdict.identities
            if verdict == before:
                break
        return walks, verdict, len(seen), False

    def _walk(self) -> _Walk:
        """One walk. Raises what keeps page 1 away, and `Refused` whatever the page."""
        walk = _Walk()
        first = self._ask(1)
        listing = self._resource.open(first.page.body)
        expected = _pages(listing) if self._resource.paged else 1
        self._take(walk, first, expected)
        if expected is None:
            self._read_on(walk, listing)
        else:
            self._read_others(walk, expected)
        return walk

    def _ask(self, number: int) -> _Read:
        params = {"page": str(number), "page_size": str(self._page_size)}
        if not self._resource.paged:
            params = {}
        answer = self._client.get(self._resource.path, params)
        return _Read(Page(number, self._page_size, answer.body), sha256(answer.body), answer)

    def _take(self, walk: _Walk, read: _Read, expected: int | None) -> None:
        walk.take(read)
        self._span.add(read.answer)
        self._progress(len(walk.pages), expected)

    def _read_others(self, walk: _Walk, expected: int) -> None:
        """Pages 2 to `expected`, a few at a time. A failure lets those in flight come in."""
        crew = _Crew(self._ask, range(2, min(expected, MAX_PAGES) + 1), self._concurrency)
        fatal: BaseException | None = None
        for number, came in crew:
            if isinstance(came, _Read):
                self._take(walk, came, expected)
            elif isinstance(came, Unavailable | Changed):
                walk.ends(f"page {number}: {came}", final=True)
            else:
                fatal = fatal or came
            if fatal or walk.flaw:
                crew.stop()
        if fatal:
            raise fatal
        if expected > MAX_PAGES:
            walk.ends(f"more than {MAX_PAGES} pages", final=True)

    def _read_on(self, walk: _Walk, first: Listing) -> None:
        """Page by page until one is short, empty or brings nothing new: there is no total."""
        listing, seen, number = first, set(first.identities), 1
        while listing.identities and len(listing.identities) >= len(first.identities):
            number += 1
            if number > MAX_PAGES:
                walk.ends(f"more than {MAX_PAGES} pages", final=True)
                return
            try:
                read = self._ask(number)
                listing = self._resource.open(read.page.body)
            except (Unavailable, Changed) as error:
                walk.ends(f"page {number}: {error}", final=True)
                return
            self._take(walk, read, None)
            if seen.issuperset(listing.identities):
                return
            seen.update(listing.identities)

    def _verdict(self, walk: _Walk, seen: set[str]) -> Verdict:
        """What a walk proves, given what earlier walks of this poll listed."""
        tally = tally_of(self._resource, walk.pages)
        walk.drop(tally.unreadable)
        if tally.total is None:
            walk.is_final = True
        verdict = tally.verdict()
        probed = self._resource.paged and tally.ends_full(self._page_size)
        if verdict.complete and not walk.flaw and probed:
            verdict = self._probed(walk, verdict)
        if verdict.complete and self._resource.whole and len(walk.pages) > 1:
            verdict = self._proven(walk, verdict, seen)
        if walk.flaw:
            notes = (walk.flaw, *verdict.notes)
            verdict = Verdict(False, verdict.total, verdict.identities, notes)
        return verdict

    def _probed(self, walk: _Walk, verdict: Verdict) -> Verdict:
        """The verdict after a look behind the last page, which was full, where nothing new may be.

        By the source's own words there is no such page, so an error there proves nothing.
        """
        number = len(walk.pages) + 1
        try:
            read = self._ask(number)
            names = self._resource.open(read.page.body).identities
        except (Unavailable, Changed):
            return verdict
        self._span.add(read.answer)
        if verdict.identities.issuperset(names):
            return verdict
        walk.take(read)
        return judge(self._resource, walk.pages)

    def _proven(self, walk: _Walk, verdict: Verdict, seen: set[str]) -> Verdict:
        """The verdict after asking whether all that it lists lived when the walk began."""
        newcomers = verdict.identities - seen
        before = self._span.source_time(walk.sent_at) - YOUNG_S
        for page in walk.pages:
            newcomers -= older(self._resource, page, before)
        if not newcomers:
            return verdict
        note = f"{len(newcomers)} of them may have been created during the walk"
        return Verdict(False, verdict.total, verdict.identities, (note,))


_Reading: TypeAlias = "tuple[list[_Walk], Verdict, int, bool]"
"""All walks, the verdict on the last of them, how many were listed, whether nothing changed."""


def _pages(first: Listing) -> int | None:
    """How many pages there are, by the words and the length of the first."""
    if first.total is None:
        return None
    return max(1, math.ceil(first.total / len(first.identities))) if first.identities else 1


@dataclass(frozen=True, slots=True)
class _Read:
    page: Page
    sha256: str
    answer: Answer


class _Walk:
    """Pages in the order in which they arrived. `flaw` says why the walk ended early, `is_final`
    that another walk would do no better."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.sent_at = math.inf
        self.flaw: str | None = None
        self.is_final = False
        self._hashes: dict[str, int] = {}

    def take(self, read: _Read) -> None:
        self.pages.append(read.page)
        self.sent_at = min(self.sent_at, read.answer.sent_at)
        twin = self._hashes.setdefault(read.sha256, read.page.number)
        if twin != read.page.number:
            self.ends(f"pages {twin} and {read.page.number} are the same")

    def ends(self, flaw: str, *, final: bool = False) -> None:
        self.flaw = self.flaw or flaw
        self.is_final = self.is_final or final

    def drop(self, unreadable: Mapping[int, str]) -> None:
        """Take out pages that are no listing."""
        self.pages = [page for page in self.pages if page.number not in unreadable]
        for number, reason in unreadable.items():
            self.ends(f"page {number}: {reason}", final=True)

    def digest(self, seed: bytes) -> str:
        sizes = {page.number: page.page_size for page in self.pages}
        return digest_of(seed, [(n, sizes[n], sha256) for sha256, n in self._hashes.items()])


class _Crew:
    """A few threads that ask for pages; iterating gives what came of each, until all have ended.

    The threads are daemons: those of a `ThreadPoolExecutor` are awaited when the interpreter ends,
    so that Ctrl-C would wait for an answer, or for the wait before a retry.
    """

    def __init__(self, ask: Callable[[int], _Read], numbers: Sequence[int], size: int) -> None:
        self._ask = ask
        self._numbers = iter(numbers)
        self._size = min(size, len(numbers))
        self._taking = threading.Lock()
        self._stopped = threading.Event()
        self._lead = threading.Semaphore(2 * self._size)
        self._came: SimpleQueue[tuple[int, _Read | BaseException] | None] = SimpleQueue()

    def stop(self) -> None:
        """Ask for no further page."""
        self._stopped.set()
        for _ in range(self._size):
            self._lead.release()

    def __iter__(self) -> Iterator[tuple[int, _Read | BaseException]]:
        try:
            for _ in range(self._size):
                threading.Thread(target=self._work, daemon=True).start()
            ended = 0
            while ended < self._size:
                came = self._came.get()
                if came is None:
                    ended += 1
                else:
                    yield came
                    self._lead.release()
        finally:
            self.stop()

    def _work(self) -> None:
        while (number := self._next()) is not None:
            try:
                self._came.put((number, self._ask(number)))
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                self._came.put((number, error))
        self._came.put(None)

    def _next(self) -> int | None:
        """The next page to ask for, where those that came were looked at: they may say enough."""
        self._lead.acquire()
        with self._taking:
            return None if self._stopped.is_set() else next(self._numbers, None)
