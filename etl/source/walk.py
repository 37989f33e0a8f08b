"""A whole listing, or an honest statement that it is not whole.

A walk reads page 1, learns `total` and the page size that the server really uses (the length of
page 1: it may cap the size, or ignore paging), then the other pages, a few at a time. If `total` is
missing, it goes on page by page until one is empty or repeated. A poll takes up to
`MAX_WALKS` walks until one is whole, fewer if another walk cannot do better.

Bound: a walk asks for at most `MAX_PAGES + 1` pages (the one more is the probe below), so a poll
makes at most `MAX_WALKS * (MAX_PAGES + 1)` gets: 30 003. Each get sends at most
`attempts * (1 + MAX_REDIRECTS)` requests and ends within `Retrying.total_s` (see `etl.source.client`).

Meaning of "complete". The list is live, and paging by number is no snapshot: of the list A B | C D
read oldest first, page 1 says A B; then A is destroyed and E created; page 2 of B C D E says D E.
Both pages say total 4, both are full, four identities are distinct, and C is missing although it
was there throughout. In general: at the first request `total` instances lived, so a walk of `total`
distinct identities can miss m of them only if it lists m others that were created during the walk.
Hence a walk of several pages is taken as complete only if every identity that it lists existed
before it began: an earlier walk of the same poll listed it, or its `created` member is more than
`YOUNG_S` older. Then it lists exactly the instances that lived at its first request. A walk of one page is the
server's own snapshot. If the source gives no total, two walks in a row that read the same at every
position (identity and facts, nothing twice, down to an empty page) prove a state between them: the
double collect of atomic snapshots (Afek et al. 1993), where an instance that left its position does
not come back to it with the same facts. `total` itself, at the moment of each answer, has to be believed. If
page and total leave no short page as evidence of the end, the page behind it is asked for (probe).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from etl.errors import Changed, Unavailable
from etl.poll import ClockMemory, LastPoll, Page, Poll
from etl.resources import Listing, Resource
from etl.source.answers import ADVICE_CHANGED
from etl.source.fetching import Fetches
from etl.source.instants import ClockReadings
from etl.source.reading import PageRead, ReadListing, Walk
from etl.source.wholeness import Tally, Verdict, collected, older, sha256, tally_of

if TYPE_CHECKING:
    from etl.source.answers import Answer

MAX_WALKS: Final = 3
MAX_PAGES: Final = 10_000
YOUNG_S: Final = 60

Progress = Callable[[int, int | None], None]
"""Called with the pages read so far and the pages expected (None: not known)."""


class Source(Protocol):
    """Interface that a walk needs of `etl.source.client.Client`."""

    @property
    def requests(self) -> int: ...
    @property
    def retries(self) -> int: ...
    def get(self, path: str, params: Mapping[str, str]) -> Answer: ...


class Walker:
    """Reader of one listing, for one poll: `read_whole`, or as far as `front` goes; then `poll`."""

    def __init__(
        self,
        client: Source,
        resource: Resource[Any],
        *,
        page_size: int = 100,
        concurrency: int = 4,
        progress: Progress | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._page_size = page_size
        self._concurrency = concurrency
        self._progress = progress or (lambda read, expected: None)
        self._span = ClockReadings()
        # a client outlives the poll: its counters are compared
        self._before = client.requests, client.retries

    def poll(self, account: str, reading: ReadListing, memory: ClockMemory) -> Poll:
        """Return the poll that a reading makes. Raises `ClockUnsure`."""
        when = self._span.instants(memory)
        requests, retries = self._before
        return Poll(
            account=account,
            resource=self._resource.name,
            started_at=when.started_at,
            finished_at=when.finished_at,
            complete=reading.verdict.complete,
            walks=tuple(tuple(walk.pages) for walk in reading.walks),
            unchanged=reading.unchanged,
            digest=reading.digest,
            reported_total=reading.verdict.total,
            listed=reading.listed,
            requests=self._client.requests - requests,
            retries=self._client.retries - retries,
            clock_offset_s=when.offset_s,
            notes=reading.verdict.notes + when.notes,
        )

    def front(self, last: LastPoll | None, seed: bytes) -> Front:
        """Return the first pages of a window, to be read one by one."""
        return Front(self, self._resource, last, seed)

    def read_whole(self, last: LastPoll | None, seed: bytes) -> ReadListing:
        """Read all of a listing, in up to `MAX_WALKS` walks. Raises `Refused`, and any error of
        page 1 of the first walk; every other failure makes the reading incomplete.
        """
        # outside the try: without page 1 of the first walk there is nothing to report
        walks = [self._walk()]
        if last is not None and walks[0].repeats(last, seed):
            return ReadListing.unchanged_since(last, walks[0])
        verdict = self._verdict(walks[0], set())
        seen = set(verdict.identities)
        while not (verdict.complete or walks[-1].is_final) and len(walks) < MAX_WALKS:
            before = verdict
            try:
                walks.append(self._walk())
            except (Unavailable, Changed) as error:
                notes = (*before.notes, f"walk {len(walks) + 1}, page 1: {error}")
                verdict = Verdict(False, before.total, set(), notes)
                break
            verdict = self._verdict(walks[-1], seen, walks[-2])
            seen |= verdict.identities
            # two walks that end alike: a third would too, unless it is compared with its neighbour
            if verdict == before and verdict.total is not None:
                break
        # only bytes that were whole by themselves may stand for the listing next time
        one = verdict.complete and len(walks) == 1
        return ReadListing(walks, verdict, len(seen), walks[0].digest(seed) if one else None)

    def _walk(self) -> Walk:
        """Make one walk. Raises the error of page 1, and `Refused` whatever the page."""
        walk = Walk()
        first = self.ask(1)
        listing = self.open(first.page)
        # by the length of page 1, not by the size that was asked for: servers cap it
        expected = _page_count(listing) if self._resource.paged else 1
        self.take(walk, first, expected)
        if expected is None:
            self._read_on(walk, listing)
        else:
            self._read_others(walk, expected)
        return walk

    def ask(self, number: int) -> PageRead:
        """Return the answer to one request for a page."""
        # the published page says that no parameters are needed, and its example sends these
        params = {"page": str(number), "page_size": str(self._page_size)}
        if not self._resource.paged:
            params = {}
        answer = self._client.get(self._resource.path, params)
        return PageRead(Page(number, self._page_size, answer.body), sha256(answer.body), answer)

    def open(self, page: Page) -> Listing:
        """Return the listing of a page. Raises `Changed`, with the path that was asked."""
        try:
            return self._resource.open(page.body)
        except Changed as error:
            what = f"GET {self._resource.path}: {error}"
            raise Changed(what, advice=ADVICE_CHANGED, path=error.path) from error

    def take(self, walk: Walk, read: PageRead, expected: int | None) -> None:
        """Add a page to a walk that expects so many."""
        walk.take(read)
        self._span.add(read.answer)
        self._progress(len(walk.pages), expected)

    def _read_others(self, walk: Walk, expected: int) -> None:
        """Read pages 2 to `expected`, a few at a time. After a failure, pages in flight still
        count.
        """
        fetches = Fetches(self.ask, range(2, min(expected, MAX_PAGES) + 1), self._concurrency)
        fatal: BaseException | None = None
        for number, came in fetches:
            if isinstance(came, PageRead):
                self.take(walk, came, expected)
            elif isinstance(came, Unavailable | Changed):
                walk.ends(f"page {number}: {came}", final=True)
            else:
                fatal = fatal or came
            # the walk cannot become whole any more: spare the source the other pages
            if fatal or walk.flaw:
                fetches.stop()
        # after the loop, so that the threads have ended before the error leaves
        if fatal:
            raise fatal
        # a total of billions must not keep a poll at work for days
        if expected > MAX_PAGES:
            walk.ends(f"more than {MAX_PAGES} pages", final=True)

    def _read_on(self, walk: Walk, first: Listing) -> None:
        """Read page by page until one is empty or brings nothing new: there is no total, so that a
        short page does not show the end.
        """
        listing, seen, number = first, set(first.identities), 1
        while listing.identities:
            number += 1
            # without a total nothing else ends a list that never becomes short
            if number > MAX_PAGES:
                walk.ends(f"more than {MAX_PAGES} pages", final=True)
                return
            try:
                read = self.ask(number)
                listing = self.open(read.page)
            except (Unavailable, Changed) as error:
                walk.ends(f"page {number}: {error}", final=True)
                return
            self.take(walk, read, None)
            # a source that ignores paging answers with the same list for ever
            if seen.issuperset(listing.identities):
                return
            seen.update(listing.identities)

    def _verdict(self, walk: Walk, seen: set[str], before: Walk | None = None) -> Verdict:
        """Judge a walk, given the identities that earlier walks of this poll listed, and the walk just
        before it.
        """
        tally = tally_of(self._resource, walk.pages)
        walk.drop(tally.unreadable)
        can_repeat = self._resource.whole and self._resource.paged and not walk.flaw
        if tally.total is None and not can_repeat:
            walk.is_final = True
        if tally.total is None and before is not None and self._collects_again(before, walk):
            return Verdict(True, None, tally.identities)
        verdict = tally.verdict()
        if verdict.complete and tally.repeated and not self._repeats(before, walk):
            verdict = _doubted(tally)
        probed = self._resource.paged and tally.ends_full(self._page_size)
        # a total that is too small shows only behind the last page
        if verdict.complete and not walk.flaw and probed:
            verdict = self._probed(walk, tally, verdict)
        # one page is the server's own snapshot, and needs no such proof
        if verdict.complete and self._resource.whole and len(walk.pages) > 1:
            verdict = self._proven(walk, tally, verdict, seen)
        if walk.flaw:
            notes = (walk.flaw, *verdict.notes)
            verdict = Verdict(False, verdict.total, verdict.identities, notes)
        return verdict

    def _repeats(self, before: Walk | None, walk: Walk) -> bool:
        """Tell whether two walks in a row list the same at every position."""
        if before is None or before.flaw or walk.flaw:
            return False
        return self._positions(before) == self._positions(walk)

    def _positions(self, walk: Walk) -> list[tuple[str | None, ...]]:
        pages = sorted(walk.pages, key=lambda page: page.number)
        return [self._resource.open(page.body).identities for page in pages]

    def _collects_again(self, before: Walk, walk: Walk) -> bool:
        """Tell whether two walks in a row read the same at every position: then they show the list at
        some instant between them.
        """
        if before.flaw or walk.flaw or walk.is_final:
            return False
        first = collected(self._resource, before.pages)
        return first is not None and first == collected(self._resource, walk.pages)

    def _probed(self, walk: Walk, tally: Tally, verdict: Verdict) -> Verdict:
        """Return the verdict after asking for the page behind a full last page, which must bring
        nothing new.

        By the source's own total there is no such page, so an error there proves nothing.
        """
        number = len(walk.pages) + 1
        try:
            read = self.ask(number)
            listing = self._resource.open(read.page.body)
        except (Unavailable, Changed):
            return verdict
        self._span.add(read.answer)
        if verdict.identities.issuperset(listing.identities):
            return verdict
        walk.take(read)
        tally.add(number, listing)
        # there was more: with that page the walk does not add up, and is made again
        return tally.verdict()

    def _proven(self, walk: Walk, tally: Tally, verdict: Verdict, seen: set[str]) -> Verdict:
        """Return the verdict after checking that all listed identities existed when the walk
        began.
        """
        # `create_time` may come from another clock of the source than `Date`
        before = self._span.source_time(walk.sent_at) - YOUNG_S
        # nearly always, and told without looking at each record again
        if tally.newest < before:
            return verdict
        newcomers = verdict.identities - seen
        for page in walk.pages:
            # by the source's own creation times: the only witness of who was there before
            newcomers -= older(self._resource, page, before)
        if not newcomers:
            return verdict
        note = f"{len(newcomers)} of them may have been created during the walk"
        return Verdict(False, verdict.total, verdict.identities, (note,))


class Front:
    """The first pages of a window. Iterating asks for one page after the other, as long as the page
    before brought news; whoever iterates compares each with the held records, and notes the result."""

    def __init__(self, walker: Walker, resource: Resource[Any], last: LastPoll | None, seed: bytes):
        self._walker = walker
        self._resource = resource
        self._last = last
        self._seed = seed
        self._walk = Walk()
        self._added = 0
        self._tally = Tally(counts=resource.counts)
        self._is_repeated = False
        self._is_done = False

    def __iter__(self) -> Iterator[Page]:
        while not self._is_done and len(self._walk.pages) < MAX_PAGES:
            page = self._next()
            if page is None:
                return
            yield page

    def note(self, *, added: int, is_changed: bool) -> None:
        """Note of the newest page how many records are not held yet, and whether others changed."""
        self._added += added
        # a page without news: what comes after it is older, and known
        self._is_done = not (added or is_changed)

    def reading(self, held_total: int) -> ReadListing | None:
        """Return the reading of the front, if its pages account for all records: those held when
        the total was `held_total`, and those added since. None if all pages must be read.
        """
        if self._is_repeated and self._last is not None:
            return ReadListing.unchanged_since(self._last, self._walk)
        # a record that vanished from the middle makes the total fall short: read everything
        if not self._is_done or self._tally.total != held_total + self._added:
            return None
        # a page in another order may show some twice, in the place of as many that it hides
        if self._tally.repeated:
            return None
        names = self._tally.identities
        verdict = Verdict(True, self._tally.total, names)
        return ReadListing([self._walk], verdict, len(names), self._walk.digest(self._seed))

    def _next(self) -> Page | None:
        """Return the next page; None if the front ends without having accounted for all records."""
        walk = self._walk
        try:
            read = self._walker.ask(len(walk.pages) + 1)
            listing = self._walker.open(read.page)
        except (Unavailable, Changed):
            # without its first page the source gave nothing: that is an error, not a short front
            if not walk.pages:
                raise
            return None
        self._walker.take(walk, read, None)
        self._is_repeated = walk.repeats(self._last, self._seed)
        self._tally.add(read.page.number, listing)
        if self._is_repeated or not self._tally.is_steady or walk.flaw:
            return None
        return read.page


def _doubted(tally: Tally) -> Verdict:
    """Return the doubt about a walk whose pages list records alike: one of them may have moved to the
    next page while they were read, or a page may be in another order than the others.
    """
    note = f"{len(tally.repeated)} records are alike on two pages"
    return Verdict(False, tally.total, tally.identities, (note,))


def _page_count(first: Listing) -> int | None:
    """Return how many pages there are, by the total and the length of the first."""
    if first.total is None:
        return None
    # an empty page beside a total contradicts itself; to ask for more pages would not settle it
    return max(1, math.ceil(first.total / len(first.identities))) if first.identities else 1
