"""Proof that the pages of one walk are a whole listing. Pure; archives are judged by it as well."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from etl.errors import Changed
from etl.poll import Page
from etl.resources import Listing, Resource
from etl.resources.listing import are_identities, is_identity, numbered, parse_json, records_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on the pages of one walk. `notes` say, for an operator, why it is not whole."""

    complete: bool
    total: int | None
    identities: set[str]
    notes: tuple[str, ...] = ()


def digest_of_pages(seed: bytes, pages: Sequence[Page]) -> str:
    """Return a hash of a walk that does not depend on the order in which its pages arrived."""
    return digest_of(seed, [(p.number, p.page_size, sha256(p.body)) for p in pages])


class Tally:
    """The pages of a walk, added in the order of their numbers. `repeated` are records equal to
    some on earlier pages: different ones, or one that moved while pages were read.
    """

    def __init__(self, *, counts: bool = False) -> None:
        """Start an empty tally. `counts`: records that are equal on several pages are several
        records.
        """
        self.unreadable: dict[int, str] = {}
        self.repeated: set[str] = set()
        self._counts: Counter[str] | None = Counter() if counts else None
        self._lengths: list[tuple[int, int]] = []
        self._totals: list[int | None] = []
        self._identities: set[str] = set()
        self._nameless = 0
        self._newest: float = 0

    @property
    def total(self) -> int | None:
        return self._totals[0] if self._totals else None

    def add(self, number: int, listing: Listing) -> None:
        self._lengths.append((number, len(listing.identities)))
        # the first is the total; any other contradicts it: the list changed while it was read
        if listing.total not in self._totals:
            self._totals.append(listing.total)
        names = [name for name in listing.identities if name is not None]
        if self._counts is not None:
            counted = [numbered(self._counts, name) for name in names]
            # numbered names are those that an earlier page had already
            self.repeated.update(set(counted) - set(names))
            self._identities.update(counted)
        else:
            self._identities.update(names)
        self._nameless += len(listing.identities) - len(names)
        self._newest = max(self._newest, math.inf if listing.newest is None else listing.newest)

    @property
    def identities(self) -> set[str]:
        """Return the identities that the pages listed."""
        return self._identities

    @property
    def newest(self) -> float:
        """Return the latest creation of a record, infinite if one does not say its own."""
        return self._newest

    @property
    def is_steady(self) -> bool:
        """Tell whether all pages agree on a total, and every record has an identity."""
        return len(self._totals) == 1 and self.total is not None and not self._nameless

    def ends_full(self, page_size: int) -> bool:
        """Tell whether no short page shows the end of the list."""
        first, last = self._lengths[0][1], self._lengths[-1][1]
        return 0 < first == last and (len(self._lengths) > 1 or first == page_size)

    def verdict(self) -> Verdict:
        """Judge whether the pages are a whole listing: every page agrees on `total`, all but the last
        are as long as page 1, and the distinct identities add up to `total`.
        """
        notes = tuple(self._notes())
        return Verdict(not notes, self.total, self._identities, notes)

    def _notes(self) -> Iterator[str]:
        yield from (f"page {number}: {why}" for number, why in self.unreadable.items())
        if not self._lengths:
            yield "no page was read"
            return
        if len(self._totals) > 1:
            yield f"pages disagree on the total: {', '.join(map(str, self._totals))}"
        elif self.total is None:
            yield "the source gives no total, so nothing proves that the list is whole"
        full = self._lengths[0][1]
        # a short page in the middle hides records that moved on to nowhere
        for number, length in self._lengths[:-1]:
            if length != full:
                yield f"page {number} has {length} records, page 1 has {full}"
        if self.total is not None and len(self._identities) != self.total:
            yield f"{len(self._identities)} distinct identities, but the total is {self.total}"
        if self._nameless:
            # one without a name may be that of a neighbour that moved
            yield f"{self._nameless} records have no readable identity"


def tally_of(resource: Resource[Any], pages: Iterable[Page]) -> Tally:
    """Return the tally of all pages of a walk, opened one at a time."""
    tally = Tally(counts=resource.counts)
    for page in sorted(pages, key=lambda page: page.number):
        try:
            tally.add(page.number, resource.open(page.body))
        except Changed as error:
            # noted, not raised: the other pages still count as sightings
            tally.unreadable[page.number] = error.message
    return tally


def older(resource: Resource[Any], page: Page, before: float) -> set[str]:
    """Return the identities on a page that, by the source's own members, were created before an
    instant.
    """
    if resource.births is None:
        return set()
    list_key, identity, created = resource.births
    try:
        answer = _births(list_key, identity, created).decode(page.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # one odd record must not hide the births of all others
        _, records = records_of(parse_json(page.body), list_key)
        dicts = (record for record in records if isinstance(record, dict))
        births: list[tuple[Any, Any]] = [(r.get(identity), r.get(created)) for r in dicts]
        return {name for name, at in births if is_identity(name) and _is_before(at, before)}
    # at once: a poll that changes anything asks this of every record
    names = [
        record.identity for record in answer.data.records if _is_before(record.created, before)
    ]
    return set(names) if are_identities(names) else set(filter(is_identity, names))


def is_created_later(resource: Resource[Any], pages: Iterable[Page], instant: float) -> bool:
    """Tell whether most of what is listed was created after an instant, which cannot be: a clock is
    behind. A single record may be wrong itself.
    """
    listed, later = 0, 0
    for page in pages:
        listed += len(resource.open(page.body).identities)
        later += len(older(resource, page, math.inf)) - len(older(resource, page, instant))
    return 2 * later > listed


Collected = tuple[tuple[tuple[str, object], ...], ...]
"""The records of a walk, page by page in their order, each with its identity and facts."""


def collected(resource: Resource[Any], pages: Iterable[Page]) -> Collected | None:
    """Return the records of a walk without a total by position, down to its empty last page; None if
    it read a record twice, or one that cannot be understood.
    """
    read: list[tuple[tuple[str, object], ...]] = []
    for page in sorted(pages, key=lambda page: page.number):
        records, rejects = resource.read(page.body)
        if rejects:
            return None
        read.append(tuple((record.identity, record.facts) for record in records))
    names = [name for page in read for name, _ in page]
    lengths = [len(page) for page in read]
    # a page that is cut short, but for the last one, may hide what comes after it
    is_paged = not lengths or (lengths[-1] == 0 and len(set(lengths[:-2])) <= 1)
    return tuple(read) if is_paged and len(set(names)) == len(names) else None


def _is_before(created: Any, instant: float) -> bool:
    # twenty digits and more would be no instant, and a slow int
    if isinstance(created, str) and created.isdecimal() and len(created) < 20:
        created = int(created)
    return isinstance(created, int | float) and 0 < created < instant


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of(seed: bytes, parts: Iterable[tuple[int, int, str]]) -> str:
    """Return the digest of pages known by number, page size and hash."""
    whole = hashlib.sha256(sha256(seed).encode())
    # sorted: pages arrive in any order
    for number, page_size, hashed in sorted(parts):
        whole.update(f" {number} {page_size} {hashed}".encode())
    return whole.hexdigest()


@cache
def _births(list_key: str, identity: str, created: str) -> msgspec.json.Decoder[Any]:
    names = {"identity": identity, "created": created}
    record = msgspec.defstruct("Birth", [("identity", str), ("created", Any, None)], rename=names)
    content = msgspec.defstruct(
        "Births",
        [("records", list[record])],  # type: ignore[valid-type]
        rename={"records": list_key},
    )
    return msgspec.json.Decoder(msgspec.defstruct("BirthsAnswer", [("data", content)]))
