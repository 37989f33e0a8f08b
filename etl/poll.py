"""Result of one poll: the pages as they arrived, and how much they prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias
from unicodedata import normalize

Instant: TypeAlias = int
"""Whole seconds since 1970-01-01T00:00:00Z."""


# NTP keeps servers within milliseconds; dates of 1 to 2 s ago are
# common, and two servers that were 4 s apart have been seen
SKEW_S: Final = 5
"""The most seconds by which the clocks of a source differ (its servers, its proxy's `Date`, the one
that its records are written by): both instants of a poll are so much wider than they were measured."""
APART_S: Final = 30
"""The least seconds between the ends of two complete polls that retire a record: a source that fails
over, or whose cache is empty, hides all of its list for some seconds."""
# 500 ppm: NTP itself corrects no more
DRIFT: Final = 1 / 2_000
"""The most that a clock which nobody disciplines gains or loses, as a share of the time that passes."""


# the name stands in messages, file names and units
LONGEST_ACCOUNT: Final = 100


def is_account_name(name: str) -> bool:
    """Tell whether an account can have this name: short, on one line, without spaces at its ends."""
    # NFC, or two names that look the same would be two accounts
    is_plain = name.strip() == name != "" and normalize("NFC", name) == name
    return is_plain and len(name) <= LONGEST_ACCOUNT and name.isprintable()


APPLIED: Final = ("complete", "partial")
"""Outcomes of polls whose content was written."""
OUTCOMES: Final = (*APPLIED, "failed", "skipped")
"""All outcomes: a failed poll wrote nothing, a skipped one found another at work."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer. `number` (from 1) and `page_size` are those requested, not those received.

    `body` is the whole answer as it came, so it holds secrets: it is decoded and hashed, never
    stored or logged.
    """

    number: int
    page_size: int
    body: bytes


@dataclass(frozen=True, slots=True)
class LastPoll:
    """The newest applied poll of an account and resource. `digest` is None unless an equal listing
    may be skipped without decoding."""

    started_at: Instant
    finished_at: Instant
    digest: str | None
    listed: int
    reported_total: int | None
    clock_offset_s: float | None = None

    @property
    def began_at(self) -> Instant:
        """Return about when its first request was sent."""
        # the start was put back by the skew when it was measured
        return self.started_at + SKEW_S


@dataclass(frozen=True, slots=True)
class RefusedReading:
    """An offset that an attempt measured and that nothing confirmed. `at` is the time of that
    attempt, by the earlier of the clocks.
    """

    offset_s: float
    at: Instant


@dataclass(frozen=True, slots=True)
class ClockMemory:
    """Memory of the source's clock minus the local one, from earlier polls: the offsets of the
    newest applied ones, newest first; the start of the newest; and the reading that the attempt
    before this one measured in vain.
    """

    offsets: tuple[float, ...] = ()
    started_at: Instant | None = None
    refused: RefusedReading | None = None

    @property
    def offset_s(self) -> float:
        """Return the newest known offset; 0, the local clock, if none was ever measured."""
        return self.offsets[0] if self.offsets else 0.0


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll of one resource of one account.

    Both instants are on the source's clock, and wide enough for every clock of it: `started_at` is
    not later than the moment of the first request, `finished_at` not earlier than that of the last
    answer. `walks` holds the pages of each walk, oldest walk first, pages in the order in which
    they arrived. `unchanged` means that the bytes are those of the last complete poll: `walks` is
    still given, but need not be decoded. `listed` counts distinct identities over all walks.
    `notes` say why a poll is not complete, or odd. `clock_offset_s` is source clock minus
    local clock, None if unknown. `was_complete`: it was, until a repair of the clock found no moment for it:
    it proves nothing of a time any more, but what it listed is still true.
    """

    account: str
    resource: str
    started_at: Instant
    finished_at: Instant
    complete: bool
    walks: tuple[tuple[Page, ...], ...]
    unchanged: bool = False
    digest: str | None = None
    reported_total: int | None = None
    listed: int = 0
    requests: int = 0
    retries: int = 0
    clock_offset_s: float | None = None
    notes: tuple[str, ...] = ()
    was_complete: bool = False

    @property
    def is_sound(self) -> bool:
        """Tell whether its records are those of one listing, in which equal ones count."""
        return self.complete or self.was_complete

    @property
    def shows_all(self) -> bool:
        """Tell whether its records are all that there were: a complete poll of a window may have read
        only its front.
        """
        total = self.reported_total
        # walks of one poll together may list more than the last total says
        return self.is_sound and total is not None and self.listed >= total

    @property
    def is_whole(self) -> bool:
        """Tell whether what it lacks was not there at its time."""
        return self.complete and self.shows_all
