"""Pages of one walk as they arrived, and the result of reading a listing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl.poll import LastPoll, Page
from etl.source.wholeness import Verdict, digest_of

if TYPE_CHECKING:
    from etl.source.answers import Answer


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page with the hash of its body and the answer that brought it."""

    page: Page
    sha256: str
    answer: Answer


class Walk:
    """Pages in the order in which they arrived. `flaw` says why the walk ended early, `is_final`
    that another walk would do no better."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.sent_at = math.inf
        self.flaw: str | None = None
        self.is_final = False
        self._hashes: dict[str, int] = {}

    def take(self, read: PageRead) -> None:
        self.pages.append(read.page)
        self.sent_at = min(self.sent_at, read.answer.sent_at)
        # a server that ignores paging answers every page with the same bytes
        twin = self._hashes.setdefault(read.sha256, read.page.number)
        if twin != read.page.number:
            self.ends(f"pages {twin} and {read.page.number} are the same")

    def ends(self, flaw: str, *, final: bool = False) -> None:
        # the first is the cause: later ones may follow from it
        self.flaw = self.flaw or flaw
        self.is_final = self.is_final or final

    def drop(self, unreadable: Mapping[int, str]) -> None:
        """Remove pages that are no listing."""
        self.pages = [page for page in self.pages if page.number not in unreadable]
        for number, reason in unreadable.items():
            self.ends(f"page {number}: {reason}", final=True)

    def digest(self, seed: bytes) -> str:
        sizes = {page.number: page.page_size for page in self.pages}
        # sizes belong to it: the same bytes asked with another size prove another list
        return digest_of(seed, [(n, sizes[n], sha256) for sha256, n in self._hashes.items()])

    def repeats(self, last: LastPoll | None, seed: bytes) -> bool:
        """Tell whether these are the bytes of the newest applied poll."""
        # a walk that broke off proves nothing, whatever its bytes are
        if last is None or last.digest is None or self.flaw:
            return False
        return self.digest(seed) == last.digest


@dataclass(frozen=True, slots=True)
class ReadListing:
    """Result of reading a listing: all walks, the verdict on the last of them, how many records
    were listed, the digest of a walk that was whole at once, and whether the last poll brought the
    same bytes.
    """

    walks: Sequence[Walk]
    verdict: Verdict
    listed: int
    digest: str | None = None
    unchanged: bool = False

    @classmethod
    def unchanged_since(cls, last: LastPoll, walk: Walk) -> ReadListing:
        """Return the reading of a walk that repeats the last poll, which need not be decoded."""
        return cls(
            [walk], Verdict(True, last.reported_total, set()), last.listed, last.digest, True
        )
