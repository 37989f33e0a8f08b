"""Derive again which records were missing or gone, and until when each was surely seen, after polls were
given other dates and lost their proof. Pure.

A repair of the clock keeps what polls saw, but some of them prove no whole listing any more. All that
followed from their proof must go: what is left is what a replay of the same polls gives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from etl.history.absence import Absence, absence, is_confirmed
from etl.poll import Instant


class JudgedPoll(NamedTuple):
    """An applied poll under its new date: whether it was complete before, and whether it is now."""

    started_at: Instant
    finished_at: Instant
    was_complete: bool
    is_complete: bool


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version as the database holds it. `began_by` and `created_at` are an instance's; of other
    records `began_by` is empty.
    """

    facts: Hashable
    began_at: Instant
    after_at: Instant | None
    last_seen_at: Instant | None = None
    missing_since: Instant | None = None
    ended_at: Instant | None = None
    is_gone: bool = False
    began_by: str = ""
    created_at: Instant | None = None


@dataclass(frozen=True)
class Proofs:
    """All applied polls of a resource in their order; those from number `since` on are judged again."""

    polls: Sequence[JudgedPoll]
    since: int
    _newest: Sequence[Instant | None] = field(init=False, repr=False)
    _ends: Sequence[Instant] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # of years of polls each is looked at once
        newest: list[Instant | None] = [None]
        for poll in self.polls:
            newest.append(poll.started_at if poll.is_complete else newest[-1])
        object.__setattr__(self, "_newest", newest)
        object.__setattr__(self, "_ends", tuple(poll.finished_at for poll in self.polls))

    def versions(self, kept: Sequence[KeptVersion]) -> list[KeptVersion]:
        """Return the versions of one record, oldest first, as a replay of the polls gives them."""
        versions: list[KeptVersion] = []
        for was, following in zip(kept, (*kept[1:], None), strict=True):
            until = len(self.polls) if following is None else self._index(following.began_at)
            began, missing = self._index(was.began_at), was.missing_since
            if following is not None and following.began_by == "returned":
                missing = self._missed_after(was)
            if until < self.since:
                versions.append(was)  # the next one began before all that is judged again
                continue
            if began < self.since:
                versions.append(self._as_before(was, missing))
            else:
                self._sight(versions, was, began)
            if was.last_seen_at is not None:
                judged = range(max(began + 1, self.since), until)
                self._miss(versions, judged, was.last_seen_at, missing)
        return versions

    def window(self, missing_since: Instant) -> tuple[Instant | None, Instant | None]:
        """Return since when a record of a window is missing, and when it was superseded, if all listings
        from `missing_since` on lack it.
        """
        first = self._index(missing_since)
        missing = missing_since if first < self.since else None
        for poll in self.polls[max(first, self.since) :]:
            if poll.is_complete and missing is None:
                missing = poll.finished_at
            elif poll.is_complete and missing and is_confirmed(missing, poll.finished_at):
                return missing, poll.finished_at
        return missing, None

    def _index(self, instant: Instant) -> int:
        """Return the number of the poll that ended at an instant or right before it, -1 for one before
        these.
        """
        return bisect_right(self._ends, instant) - 1

    def _sight(self, versions: list[KeptVersion], was: KeptVersion, at: int) -> None:
        """Add a version that a poll saw begin; or go on with the one before, if it was never gone."""
        before = versions[-1] if versions else None
        if before is None or (before.is_gone and not was.began_by):
            versions.append(_current(was, after_at=self._first_after(was, at)))
        elif before.facts == was.facts and not before.is_gone:
            versions[-1] = replace(before, last_seen_at=None, missing_since=None)
        else:
            a, end = self._seen_at(before, at), was.began_at
            versions[-1] = replace(before, last_seen_at=a, ended_at=end, is_gone=False)
            began_by = was.began_by and ("returned" if before.is_gone else "changed")
            versions.append(_current(was, after_at=a, began_by=began_by))

    def _as_before(self, was: KeptVersion, missing: Instant | None) -> KeptVersion:
        """Return a version that began earlier in the state that the first judged poll found; `missing` is
        since when it is missing.
        """
        seen, newest = was.last_seen_at, self._newest[self.since]
        if missing is None or self._index(missing) >= self.since:
            # a complete poll came after that and could not read it
            is_unread = seen is not None and newest is not None and seen < newest
            return _current(was, last_seen_at=seen if is_unread else None)
        ends = (poll.finished_at for poll in reversed(self.polls[: self.since]) if poll.is_complete)
        end = next(ends, None)
        # polls that were folded are not among these: what is gone since then stays so
        is_gone = was.ended_at is not None and (end is None or is_confirmed(missing, end))
        state = Absence(seen, missing, gone_at=missing if is_gone else None)
        return _absent(_current(was), state)

    def _missed_after(self, was: KeptVersion) -> Instant | None:
        """Return the end of the first complete poll that lacked a version which returned later."""
        seen = was.last_seen_at
        if seen is None:
            return None
        first = bisect_right(self.polls, seen, key=lambda poll: poll.started_at)
        ends = (poll.finished_at for poll in self.polls[first:] if poll.was_complete)
        return next(ends, seen)

    def _miss(
        self, versions: list[KeptVersion], polls: range, seen: Instant, missing: Instant | None
    ) -> None:
        """Let complete polls after `seen` find the newest version unreadable, from `missing` on
        absent.
        """
        for at in polls:
            poll, version = self.polls[at], versions[-1]
            if version.is_gone or not poll.was_complete or poll.started_at <= seen:
                continue
            is_listed = missing is None or poll.finished_at < missing
            kept = _Kept(self._seen_at(version, at), version.last_seen_at, version.missing_since)
            state = absence(
                kept, poll.finished_at, is_listed=is_listed, is_complete=poll.is_complete
            )
            if state is not None:
                versions[-1] = _absent(version, state)

    def _seen_at(self, version: KeptVersion, at: int) -> Instant:
        """Return the start of the last poll before one of these that surely found a version as it is."""
        if version.last_seen_at is not None:
            return version.last_seen_at
        began = self._index(version.began_at)
        start = self.polls[began].started_at if began >= 0 else 0
        return max(start, self._newest[at] or 0)

    def _first_after(self, was: KeptVersion, at: int) -> Instant | None:
        """Return the moment after which the first version of a record began, None if that is not known."""
        if not was.began_by:
            return self._newest[at]
        poll, created = self.polls[at], was.created_at
        complete = (poll.started_at for poll in self.polls[:at] if poll.is_complete)
        first = next(complete, poll.started_at + 1 if poll.is_complete else None)
        is_new = created is not None and first is not None and first <= created <= poll.finished_at
        return created if is_new else None


class _Kept(NamedTuple):
    """A version as `absence` asks for it."""

    seen_at: Instant
    last_seen_at: Instant | None
    missing_since: Instant | None


def _current(was: KeptVersion, **facts: Any) -> KeptVersion:
    """Return a version as it began."""
    state = {"last_seen_at": None, "missing_since": None, "ended_at": None, "is_gone": False}
    return replace(was, **(state | facts))


def _absent(version: KeptVersion, state: Absence) -> KeptVersion:
    is_gone = state.gone_at is not None
    return replace(
        version,
        last_seen_at=state.last_seen_at,
        missing_since=state.missing_since,
        is_gone=is_gone,
        # not before its begin: a poll may end in the second in which the version began
        ended_at=None if state.gone_at is None else max(state.gone_at, version.began_at),
    )
