"""A store in memory: what `etl.apply.apply` asks of a transaction, hundreds of fleets in seconds.

It is written from the design, not from `etl.store`, so it is also the model that the store is
compared with. `pour` writes what it holds into a real database, where the views judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from etl import tables
from etl.apply import apply
from etl.dialect import Database
from etl.history.codes import Codes
from etl.history.diff import Changes, Ended, Known, Presence, Usage, Version
from etl.history.lengths import Learned, Lengths, Passages
from etl.history.stretches import RunningState, Stretch
from etl.history.usage import SeenVersion
from etl.poll import Instant, Poll
from etl.resources import INSTANCES
from etl.store import Store, SyncRun

FACTS = ("instance_uuid", *(name for name, *_ in tables.FACTS))
HISTORY = (*FACTS, "version", "after_at", "first_seen_at", "began_by")
INSTANCE = (*FACTS, "version", "first_seen_at", "changed_at", "last_seen_at", "missing_since")


class Memory:
    """One account."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self.runs: list[SyncRun] = []
        self.versions: dict[str, list[Version]] = {}
        self.ended: dict[tuple[str, int], Ended] = {}
        self.presences: dict[str, Presence] = {}
        self.stretches: dict[str, dict[int, Stretch]] = {}
        self._began_at: dict[str, Instant] = {}
        self._passages: list[tuple[Instant, str, float, float]] = []
        self._polled_at: Instant = 0

    def take(self, poll: Poll) -> SyncRun:
        """Apply a poll."""
        self._polled_at = poll.started_at
        return apply(INSTANCES, poll, self, self.runs[-1] if self.runs else None)  # type: ignore[arg-type]

    def watch(self, polls: Sequence[Poll]) -> Memory:
        for poll in polls:
            self.take(poll)
        return self

    def presence(self, uuid: str) -> Presence:
        return self.presences.get(uuid, Presence(uuid, None, None))

    # what `etl.apply.apply` asks

    def codes(self) -> Codes:
        return self._codes

    def lengths(self) -> Lengths:
        return Lengths(self._learned)

    def first_complete_at(self, resource: str) -> Instant | None:
        return next(iter(self._complete_starts()), None)

    def unlisted(self, count: int, seen: Callable[[], AbstractSet[str]]) -> list[str]:
        kept = [uuid for uuid in self.versions if self.presence(uuid).gone_at is None]
        return [] if len(kept) == count else [uuid for uuid in kept if uuid not in seen()]

    def pending(self) -> bool:
        shown = map(self.presence, self.versions)
        return any(p.last_seen_at is not None and p.gone_at is None for p in shown)

    def known(self, uuids: Sequence[str]) -> dict[str, Known]:
        newest = max(self._complete_starts(), default=0)
        found = {}
        for uuid in uuids:
            if uuid in self.versions:
                current, shown = self.versions[uuid][-1], self.presence(uuid)
                seen_at = shown.last_seen_at or max(newest, self._began_at[uuid])
                found[uuid] = Known(
                    facts=current.facts,
                    version=current.version,
                    seen_at=seen_at,
                    last_seen_at=shown.last_seen_at,
                    missing_since=shown.missing_since,
                    gone_at=shown.gone_at,
                )
        return found

    def usages(self, uuids: Sequence[str], returned: Sequence[str]) -> dict[str, Usage]:
        found = {}
        for uuid in uuids:
            stretches = self.stretches.get(uuid, {})
            opened = {s.kind: s for s in stretches.values() if s.ended_at is None}
            state = RunningState(
                count=len(stretches),
                last_start=self.versions[uuid][-1].last_start,
                running=opened.get("running"),
                held=opened.get("held"),
            )
            history = tuple(self._history(uuid)) if uuid in returned else ()
            found[uuid] = Usage(state, history)
        return found

    def apply(self, changes: Changes) -> None:
        for ended in changes.ended:
            self.ended[ended.instance_uuid, ended.version] = ended
        for presence in changes.presences:
            self.presences[presence.instance_uuid] = presence
        for version in changes.versions:
            uuid = version.facts.instance_uuid
            self.versions.setdefault(uuid, []).append(version)
            self._began_at[uuid] = self._polled_at
            self.presences.pop(uuid, None)
        for uuid, number in changes.deleted:
            del self.stretches[uuid][number]
        for uuid, stretch, _ in changes.stretches:
            self.stretches.setdefault(uuid, {})[stretch.usage_no] = stretch

    def learn_lengths(self, b: Instant) -> None:
        for uuid, versions in self.versions.items():
            for n, version in enumerate(versions):
                if version.first_seen_at == b and n:
                    self._passages += self._passage(uuid, versions[max(0, n - 2) : n + 1])

    def _passage(self, uuid: str, versions: Sequence[Version]) -> Iterator[Any]:
        """What an instance's newest version says of how long it shut down or booted."""
        *_, was, now = versions
        up, state = self._codes.is_up(now.facts.status), self._codes.states.get(now.facts.status)
        if now.after_at is None or not (up or state == "stopped"):
            return
        if self._is_up(was) == (not up) and self._begins(was, now) == up:
            yield now.first_seen_at, "up" if up else "down", 0.0, apart(now)
        if len(versions) < 3 or now.facts.start_time != was.facts.start_time:
            return
        ended = self.ended[uuid, was.version]
        state = self._codes.states.get(was.facts.status)
        passing = state in (("creating", "starting") if up else ("stopping",))
        if was.after_at is None or ended.last_seen_at <= was.after_at or not passing:
            return
        before = versions[0]
        if self._is_up(before) == (not up) and self._begins(before, was) == up:
            times = min(ended.last_seen_at - was.after_at, max(apart(was), 1800)) / apart(was)
            yield now.first_seen_at, "up" if up else "down", times, apart(was)

    def _is_up(self, version: Version) -> bool | None:
        """None if nobody knows the meaning of its status: nothing is learned from it."""
        state = self._codes.states.get(version.facts.status, "unknown")
        return None if state == "unknown" else self._codes.is_up(version.facts.status)

    def _begins(self, was: Version, now: Version) -> bool | None:
        """Whether a new start lies between two versions; None where neither is clear."""
        then, start = was.facts.start_time, now.facts.start_time
        if start == then:
            return False
        assert now.after_at is not None
        is_new = start is not None and now.after_at < start <= now.first_seen_at
        return True if is_new and (then is None or then < start) else None  # type: ignore[operator]

    def _learned(self, b: Instant) -> Learned:
        def passages(way: str) -> Passages:
            known = [(n, s) for at, what, n, s in self._passages if at < b and what == way]
            sightings = sum(int(1e6 * times + 1e-6) for times, _ in known)
            return Passages(len(known), sightings, sum(10**12 // int(s) for _, s in known))

        return Learned(passages("down"), passages("up"))

    def settle_stops(self, *_: Any) -> None:
        """There is no bill."""

    def settle_past(self, *_: Any) -> None:
        """Nor is there one of the time before the first poll."""

    def settle_past_anew(self) -> None:
        """Likewise."""

    def reject(self, *_: Any) -> None:
        """Rejects are not modelled."""

    def record(self, resource: str, run: SyncRun) -> None:
        self.runs.append(run)

    def _complete_starts(self) -> list[Instant]:
        return [run.started_at for run in self.runs if run.outcome == "complete"]

    def _history(self, uuid: str) -> list[SeenVersion]:
        found = []
        for version in self.versions[uuid]:
            ended = self.ended.get((uuid, version.version))
            gone = (
                (ended.last_seen_at, ended.ended_at) if ended and ended.ended_by == "gone" else None
            )
            found.append(SeenVersion(version.facts, version.after_at, version.first_seen_at, gone))
        return found


def apart(version: Version) -> int:
    """How far the polls around the beginning of a version are from one another."""
    assert version.after_at is not None
    return version.first_seen_at - version.after_at


def pour(memory: Memory, database: Database, account: str) -> None:
    """Write all that `memory` holds as one account of a real database."""
    with Store(database, account).writing() as tx:
        for run in memory.runs:
            tx.record("instances", run)
    with database.writing() as conn:
        known = tables.account.c
        account_id = conn.scalar(tables.account.select().where(known.name == account))
        columns = ("account_id", *INSTANCE, "gone_at", "last_start_at", "extra")
        database.insert(conn, tables.instance, columns, list(_instances(memory, account_id)))
        columns = ("account_id", *HISTORY, "last_seen_at", "ended_at", "ended_by")
        database.insert(conn, tables.instance_history, columns, list(_history(memory, account_id)))
    with Store(database, account).writing() as tx:
        everything = memory.stretches.items()
        tx.write_usage([(u, kept[no], True) for u, kept in everything for no in sorted(kept)])
        tx.deriver().sums.renew_since()
        tx.learn_lengths_anew()


def _instances(memory: Memory, account_id: int) -> Iterator[tuple[Any, ...]]:
    for uuid, versions in memory.versions.items():
        current, shown = versions[-1], memory.presence(uuid)
        yield (
            account_id,
            *(getattr(current.facts, name) for name in FACTS),
            current.version,
            versions[0].first_seen_at,
            current.first_seen_at,
            shown.last_seen_at,
            shown.missing_since,
            shown.gone_at,
            current.last_start,
            current.extra,
        )


def _history(memory: Memory, account_id: int) -> Iterator[tuple[Any, ...]]:
    for uuid, versions in memory.versions.items():
        for v in versions:
            ended = memory.ended.get((uuid, v.version))
            yield (
                account_id,
                *(getattr(v.facts, name) for name in FACTS),
                *(v.version, v.after_at, v.first_seen_at, v.began_by),
                *((ended.last_seen_at, ended.ended_at, ended.ended_by) if ended else (None,) * 3),
            )
