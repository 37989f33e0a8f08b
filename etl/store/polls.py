"""Attempts to poll, their distances in time, and rejected records: read, and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, tuple_

from etl import tables
from etl.dialect import Database
from etl.errors import ErrorKind, StalePoll
from etl.history import days
from etl.poll import APPLIED, SKEW_S, ClockMemory, Instant, LastPoll, RefusedReading
from etl.resources.listing import Reject
from etl.store import run_statements
from etl.store.registry import RegistryReader
from etl.store.runs import STEP_NAMES, Attempt, PollDistance, PollStarts, SyncRun, distance_from
from etl.store.subject import AccountSubject
from etl.texts import tr
from etl.timing.freshness import (
    FUTURE_ADVICE,
    FUTURE_S,
    READINGS,
    newest_readings,
    usual_offset_s,
)
from etl.units import FOLD_S

_run: Final = tables.sync_run.c
_values_of: Final = attrgetter(*SyncRun.__slots__)


class PollsReader(AccountSubject):
    """Reader of earlier polls, as far as the next one must know them."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        super().__init__(database, conn, account_id)
        self._first_complete: dict[str, Instant] = {}
        self._starts: dict[str, PollStarts] = {}

    def archive_folders(self) -> list[Path]:
        """Return the folders that polls were ever archived in."""
        kept = self._ask(run_statements.ARCHIVES).scalar()
        return [Path(folder) for folder in json.loads(kept or "[]")]

    def former_names(self) -> tuple[str, ...]:
        """Return the names that the account had before, oldest first."""
        c = tables.account.c
        name = self._conn.scalar(select(c.name).where(c.account_id == self._account_id))
        return RegistryReader(self._database, self._conn).former_names(name or "")

    def last_poll(self, resource: str) -> LastPoll | None:
        """Return the newest applied poll; its digest only if an equal listing changes nothing."""
        newest = [
            LastPoll(*row)
            for outcome in APPLIED  # one look into the index each, however long the history
            for row in self._ask(run_statements.NEWEST_RUN, resource=resource, outcome=outcome)
        ]
        return max(newest, key=lambda last: last.started_at, default=None)

    def known_listing(self, resource: str) -> tuple[str | None, bytes]:
        """Return the digest of the listing whose records are remembered, None if there is none, and
        their signatures.
        """
        row = self._ask(run_statements.KNOWN_LISTING, resource=resource).first()
        return (None, b"") if row is None else (row.digest, row.signatures)

    def attempts(self, resource: str) -> list[Attempt]:
        """Return the newest attempts that were not skipped, newest first by the order in which they
        were made: their instants cannot order them, as a clock may have been wrong.
        """
        return [
            Attempt(*row) for row in self._ask(run_statements.NEWEST_ATTEMPTS, resource=resource)
        ]

    def clock_memory(self, resource: str) -> ClockMemory:
        """Return the offsets of the source's clock that earlier polls measured, those of instances
        included.
        """
        attempts, last = self.attempts(resource), self.last_poll(resource)
        # the source has one clock: the resource that is polled most knows it best
        main = self.last_poll("instances") if resource != "instances" else None
        offsets = [main.clock_offset_s if main else None, *newest_readings(_applied(attempts))]
        offsets.append(last.clock_offset_s if last else None)
        # without duplicates, in the order of trust
        known = tuple(dict.fromkeys(o for o in offsets if o is not None))
        return ClockMemory(known, last.started_at if last else None, _refused_reading(attempts))

    def usual_offset_s(self, resource: str) -> float:
        """Return the source's clock minus the local one, as the newest applied polls measured it."""
        return usual_offset_s(_applied(self.attempts(resource)))

    def offset_until_s(self, until: Instant) -> float:
        """Return the source's clock minus the local one, by polls of any resource that ended until an
        instant.
        """
        newest = (
            select(_run.clock_offset_s)
            .where(
                _run.account_id == self._account_id,
                _run.outcome.in_(APPLIED),
                _run.finished_at <= until,
                _run.clock_offset_s.is_not(None),
            )
            # by number: the order in which rows were written holds even if their instants do not
            .order_by(_run.sync_run_id.desc())
            .limit(READINGS)
        )
        return usual_offset_s(self._conn.scalars(newest))

    def strayed_steps(self) -> Iterator[tuple[PollDistance, int]]:
        """Return the correct distances of complete polls from the one before, for rows that hold
        others.
        """
        before: tuple[int | None, Instant, Instant] | None = None
        last, folded = None, self.folded_until()
        for run_id, resource, started_at, finished_at, *kept in self._ask(run_statements.STEPS):
            # rows come by resource: the first poll of the next one has none before it
            before = before if resource == last else None
            step = distance_from(before, started_at)
            # the poll before may be a folded one: what was stored then stands
            is_known = resource not in folded or (before and before[1] >= folded[resource])
            if is_known and step != tuple(kept):
                yield step, run_id
            number = step[0] if is_known else kept[0]
            before, last = (number, started_at, finished_at), resource

    def folded_until(self) -> dict[str, Instant]:
        """Map each resource of which polls were folded to the end of the time in which they began."""
        f = tables.folded_poll.c
        newest = select(f.resource, func.max(f.begins_at)).where(f.account_id == self._account_id)
        rows = self._conn.execute(newest.group_by(f.resource))
        return {resource: begins_at + FOLD_S for resource, begins_at in rows}

    def first_complete_at(self, resource: str) -> Instant | None:
        """Return the start of the account's first complete poll."""
        # once there is one, it stays the first
        at: Instant | None = self._first_complete.get(resource)
        if at is None:
            at = self._ask(run_statements.FIRST_COMPLETE, resource=resource).scalar()
        if at is not None:
            self._first_complete[resource] = at
        return at

    def newest_complete_at(self, resource: str) -> Instant | None:
        """Return the start of the account's newest complete poll."""
        at: Instant | None = self._ask(run_statements.NEWEST_COMPLETE, resource=resource).scalar()
        return at

    def refuse_stale(
        self, resource: str, started_at: Instant, offset_s: float | None = None
    ) -> LastPoll | None:
        """Return the newest applied poll. Raises `StalePoll` unless it is older than
        `started_at`.
        """
        last = self.last_poll(resource)
        # asked inside the write transaction, so that order does not rest on the account lock
        if last is not None and started_at <= last.started_at:
            is_far = last.started_at - started_at > FUTURE_S
            raise StalePoll(
                tr(
                    "a poll of {iso} is not newer than the newest applied one, {iso2}",
                    iso=days.iso(started_at),
                    iso2=days.iso(last.started_at),
                ),
                advice=(FUTURE_ADVICE if is_far else tr("check the clocks: chenyu-etl doctor")),
                offset_s=offset_s,
            )
        return last

    def early_sightings(self, now: Instant) -> list[tuple[Instant, Instant]]:
        """Return when instances were first listed and when they were created, for those that were listed
        before.
        """
        h = tables.instance_history.c
        asked = select(h.first_seen_at, h.create_time).where(
            *(h.account_id == self._account_id, h.create_time > h.first_seen_at),
            h.create_time <= now,
        )
        return [(row.first_seen_at, row.create_time) for row in self._conn.execute(asked)]

    def _forget_polls(self) -> None:
        """Forget what was read of polls: their dates are written anew."""
        self._first_complete.clear()
        self._starts.clear()

    def _poll_starts(self, resource: str) -> PollStarts:
        # of complete polls the newest will do: only a partial one can begin a version after it
        # before the first complete poll everything is newer than 0
        if resource not in self._starts:
            newest = self._ask(run_statements.NEWEST_COMPLETE, resource=resource).scalar() or 0
            since = self._ask(run_statements.PARTIAL_SINCE, resource=resource, since=newest)
            self._starts[resource] = PollStarts(newest, dict(since.all()))
        return self._starts[resource]


class PollsWriter(PollsReader):
    """Writer of the rows about a poll itself."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        super().__init__(database, conn, account_id)
        # of each resource: nobody else writes polls of the account during its transaction
        self._newest_complete: dict[str, tuple[int, Instant, Instant]] = {}

    def _forget_polls(self) -> None:
        super()._forget_polls()
        self._newest_complete.clear()

    def record(self, resource: str, run: SyncRun) -> None:
        """Write a row of `sync_run`."""
        self.record_all([(resource, run)])

    def record_all(self, runs: Sequence[tuple[str, SyncRun]]) -> None:
        """Write rows of `sync_run`, with their resources, in the order in which the polls were made."""
        self._database.insert(
            self._conn,
            tables.sync_run,
            ("account_id", "resource", *SyncRun.__slots__, *STEP_NAMES),
            [
                # the distance is computed now, once: numbering a year of polls at each question about
                # gaps took 1.4 s
                (self._account_id, resource, *_values_of(run), *self._step(resource, run))
                for resource, run in runs
            ],
        )
        for resource, run in runs:
            known = self._starts.pop(resource, None)
            if known is not None and run.outcome == "complete" and run.started_at > known.newest:
                self._starts[resource] = PollStarts(run.started_at, {})

    def remember_listing(self, resource: str, digest: str, signatures: bytes) -> None:
        """Remember the records of a listing in place of those of the one before."""
        table, c = tables.known_listing, tables.known_listing.c
        mine = {"account_id": self._account_id, "resource": resource}
        self._conn.execute(
            delete(table).where(c.account_id == self._account_id, c.resource == resource)
        )
        self._conn.execute(insert(table).values(**mine, digest=digest, signatures=signatures))

    def remember_archive(self, folder: Path) -> None:
        """Remember a folder that polls are archived in, for syncs that do not name it."""
        folders = [str(known) for known in self.archive_folders()]
        c = tables.setting.c
        self._conn.execute(delete(tables.setting).where(c.name == run_statements.ARCHIVES_SETTING))
        value = json.dumps([*folders, str(folder)])
        self._conn.execute(
            insert(tables.setting).values(name=run_statements.ARCHIVES_SETTING, value=value)
        )

    def correct_steps(self) -> None:
        """Correct how far every complete poll is from the one before."""
        self._database.update(
            self._conn,
            tables.sync_run,
            ("sync_run_id",),
            STEP_NAMES,
            [(*step, run_id) for step, run_id in self.strayed_steps()],
        )

    def reject(self, resource: str, rejects: Sequence[Reject], b: Instant) -> None:
        """Keep records that could not be understood; those already kept stay as they are."""
        table = tables.rejected_record
        rows = {}
        for reject in rejects:
            # a key cannot hold a record: indexes limit the length of what they hold
            payload_hash = hashlib.sha256(reject.payload.encode()).hexdigest()[:32]
            rows[reject.reason, payload_hash] = (
                self._account_id,
                resource,
                reject.reason,
                payload_hash,
                reject.identity,
                b,
                reject.payload,
            )
        c = table.c
        # asked first: an insert that fails would end the transaction on Postgres
        kept = self._conn.execute(
            select(c.reason, c.payload_hash).where(
                c.account_id == self._account_id,
                c.resource == resource,
                tuple_(c.reason, c.payload_hash).in_(list(rows)),
            )
        )
        for key in kept.all():
            del rows[key]
        columns = ("reason", "payload_hash", "identity", "first_seen_at", "payload")
        self._database.insert(
            self._conn, table, ("account_id", "resource", *columns), list(rows.values())
        )

    def _step(self, resource: str, run: SyncRun) -> PollDistance | tuple[None, None, None]:
        """Return how far a complete poll is from the one before; it is stored so that no query must
        read all polls to find gaps.
        """
        if run.outcome != "complete":
            return (None, None, None)
        before = self._newest_complete.get(resource)
        if before is None or before[1] >= run.started_at:
            asked = self._ask(
                run_statements.COMPLETE_BEFORE, resource=resource, before=run.started_at
            )
            before = asked.first()
        step = distance_from(before, run.started_at)
        self._newest_complete[resource] = (step[0], run.started_at, run.finished_at)
        return step


def _applied(attempts: Iterable[Attempt]) -> Iterator[float | None]:
    """Yield the offsets that applied polls measured: those that were refused may be wrong."""
    return (attempt.clock_offset_s for attempt in attempts if attempt.outcome in APPLIED)


def _refused_reading(attempts: Sequence[Attempt]) -> RefusedReading | None:
    """Return the oldest clock reading refused since the last believed one, if the newest agrees
    with it.
    """
    refused: RefusedReading | None = None
    for attempt in attempts:
        offset_s = attempt.clock_offset_s
        if offset_s is None:
            continue
        differs = refused is not None and abs(offset_s - refused.offset_s) > SKEW_S
        # only an unbroken row of equal readings confirms that a clock was set
        if attempt.error_kind != ErrorKind.CLOCK or differs:
            break
        refused = RefusedReading(offset_s, attempt.started_at)
    return refused
