"""Rows of `sync_run` as values. Free of what running time needs: a poll that changes nothing loads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from etl.poll import Instant, LastPoll

STEP_NAMES: Final = ("polls_before", "step_s", "gap_s")
PollDistance = tuple[int, int | None, int | None]


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A row of `sync_run`, but for its account and resource."""

    started_at: Instant
    finished_at: Instant
    outcome: str
    requests: int = 0
    retries: int = 0
    walks: int = 0
    listed: int | None = None
    reported_total: int | None = None
    added: int = 0
    changed: int = 0
    gone: int = 0
    rejected: int = 0
    clock_offset_s: float | None = None
    digest: str | None = None
    error: str | None = None
    error_kind: str | None = None

    def as_last_poll(self) -> LastPoll:
        """Return this run in the form that the next poll needs."""
        return LastPoll(
            self.started_at,
            self.finished_at,
            self.digest,
            self.listed or 0,
            self.reported_total,
            self.clock_offset_s,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was not skipped, as far as the next one needs to know it."""

    outcome: str
    started_at: Instant
    error_kind: str | None
    clock_offset_s: float | None


@dataclass(frozen=True, slots=True)
class PollStarts:
    """Starts of the polls that may have been the last to see a record: of the newest complete one,
    and of each later partial one, by its end.
    """

    newest: Instant
    partial: Mapping[Instant, Instant]

    def seen_at(self, began_at: Instant, last_seen_at: Instant | None) -> Instant:
        """Return the start of the last poll that surely found a record as it is, given the end of the
        poll that began its version.
        """
        if last_seen_at is not None:
            return last_seen_at
        # nothing is written for what stays as it is: that it was seen follows from the polls
        return max(self.newest, self.partial.get(began_at, 0))


def distance_from(
    before: tuple[int | None, Instant, Instant] | None, started_at: Instant
) -> PollDistance:
    """Return the values of `STEP_NAMES` of a complete poll, given the one before it."""
    if before is None:
        return (0, None, None)
    number, began_at, finished_at = before
    return ((number or 0) + 1, started_at - began_at, started_at - finished_at)
