"""The rule of two polls: only what two complete listings in a row lack is gone. Pure."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from etl.poll import APART_S, Instant


class KeptRecord(Protocol):
    """A record as the database holds it. `seen_at` is the start of the last poll that surely found
    it as it is.
    """

    @property
    def seen_at(self) -> Instant: ...
    @property
    def last_seen_at(self) -> Instant | None: ...
    @property
    def missing_since(self) -> Instant | None: ...


class Absence(NamedTuple):
    """New state of a record that a poll did not sight."""

    last_seen_at: Instant | None
    missing_since: Instant | None
    gone_at: Instant | None = None


def absence(was: KeptRecord, b: Instant, *, is_listed: bool, is_complete: bool) -> Absence | None:
    """Return the state of a record after a poll that ended at `b` without a sighting of it; None if
    nothing changes. `is_listed`: it is there, in a form that could not be understood.
    """
    before = was.last_seen_at, was.missing_since
    if is_listed:
        # a complete poll would else count as a sighting of all records without `last_seen_at`
        last_seen_at = was.seen_at if is_complete else was.last_seen_at
        # it is there, so that a row of missing, unreadable, missing retires nothing
        return Absence(last_seen_at, None) if (last_seen_at, None) != before else None
    # a failed page may hold it
    if not is_complete:
        return None
    # one complete poll without it proves little: the source may hide a record for a moment
    if was.missing_since is None:
        return Absence(was.seen_at, b)
    if not is_confirmed(was.missing_since, b):
        return None
    return Absence(was.seen_at, was.missing_since, gone_at=was.missing_since)


def is_confirmed(missing_since: Instant, b: Instant) -> bool:
    """Tell whether a listing that ended at `b` confirms that a record is missing."""
    # a person's sync may come two seconds after the daemon's, in the same failover of the source
    return b - missing_since >= APART_S
