"""Reader of all that a poll needs to know from the database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Executable

from etl.dialect import Database
from etl.errors import ErrorKind, StalePoll
from etl.history import days
from etl.history.codes import Codes
from etl.history.diff import Known, Usage
from etl.history.lengths import Lengths
from etl.history.usage import RunningState, SeenVersion
from etl.history.versions import Lasting
from etl.history.windows import Held
from etl.poll import SKEW_S, ClockMemory, Instant, LastPoll, RefusedReading
from etl.resources import Record
from etl.store import resource_tables, statements
from etl.store.allocations import Derived
from etl.store.rows import (
    Attempt,
    KeptUsage,
    PollDistance,
    by_instance,
    distance_from,
    known_of,
    stretch_of,
)
from etl.store.state_lengths import StateLengths
from etl.timing.freshness import FUTURE_ADVICE, FUTURE_S, usual_offset_s

APPLIED: Final = ("complete", "partial")
OFFSETS_KEPT: Final = 3
"""A reading is compared with those of so many applied polls: one may have been a little off."""


class Reader:
    """Reader of one account, inside one transaction. Values that no poll changes are read once."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id
        self._codes: Codes | None = None
        self._timezone: str | None = None
        self._deriver: Derived | None = None

    def codes(self) -> Codes:
        if self._codes is None:
            states, units = self._ask(statements.STATES), self._ask(statements.UNITS)
            self._codes = Codes(states=dict(states.all()), units=dict(units.all()))
        return self._codes

    def database_id(self) -> str:
        """Return the id of this database; a backup of it has the same id."""
        return str(self._ask(statements.OWN_ID).scalar_one())

    def archive_folders(self) -> list[Path]:
        """Return the folders that polls were ever archived in."""
        kept = self._ask(statements.ARCHIVES).scalar()
        return [Path(folder) for folder in json.loads(kept or "[]")]

    def last_poll(self, resource: str) -> LastPoll | None:
        """Return the newest applied poll; its digest only if an equal listing changes nothing."""
        newest = [
            LastPoll(*row)
            for outcome in APPLIED  # one look into the index each, however long the history
            for row in self._ask(statements.NEWEST_RUN, resource=resource, outcome=outcome)
        ]
        return max(newest, key=lambda last: last.started_at, default=None)

    def attempts(self, resource: str) -> list[Attempt]:
        """Return the newest attempts that were not skipped, newest first by the order in which they
        were made: their instants cannot order them, as a clock may have been wrong.
        """
        return [Attempt(*row) for row in self._ask(statements.NEWEST_ATTEMPTS, resource=resource)]

    def clock_memory(self, resource: str) -> ClockMemory:
        """Return the offsets of the source's clock that earlier polls measured, those of instances
        included.
        """
        attempts, last = self.attempts(resource), self.last_poll(resource)
        offsets = [a.clock_offset_s for a in attempts if a.outcome in APPLIED][:OFFSETS_KEPT]
        main = self.last_poll("instances") if resource != "instances" else None
        offsets = [main.clock_offset_s if main else None, *offsets]
        offsets.append(last.clock_offset_s if last else None)
        known = tuple(dict.fromkeys(o for o in offsets if o is not None))
        return ClockMemory(known, last.started_at if last else None, _refused_reading(attempts))

    def usual_offset_s(self, resource: str) -> float:
        """Return the source's clock minus the local one, as the newest applied polls measured it."""
        applied = (a for a in self.attempts(resource) if a.outcome in APPLIED)
        return usual_offset_s(attempt.clock_offset_s for attempt in applied)

    def strayed_steps(self) -> Iterator[tuple[PollDistance, int]]:
        """Return the correct distances of complete polls from the one before, for rows that hold
        others.
        """
        before: tuple[int | None, Instant, Instant] | None = None
        last = None
        for run_id, resource, started_at, finished_at, *kept in self._ask(statements.STEPS):
            step = distance_from(before if resource == last else None, started_at)
            if step != tuple(kept):
                yield step, run_id
            before, last = (step[0], started_at, finished_at), resource

    def first_complete_at(self, resource: str) -> Instant | None:
        """Return the start of the account's first complete poll."""
        at: Instant | None = self._ask(statements.FIRST_COMPLETE, resource=resource).scalar()
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
                f"a poll of {days.iso(started_at)} is not newer than the newest applied one,"
                f" {days.iso(last.started_at)}",
                advice=FUTURE_ADVICE if is_far else "check the clocks: chenyu-etl doctor",
                offset_s=offset_s,
            )
        return last

    def known(self, uuids: Sequence[str]) -> dict[str, Known]:
        """Map uuids to instances as the newest applied poll left them; unknown ones are left
        out.
        """
        seen_at = self._seen_at("instances")
        rows = self._ask_among(statements.known, uuids)
        return {row[0]: known_of(row, seen_at) for row in rows}

    def newest_complete_at(self, resource: str) -> Instant | None:
        """Return the start of the account's newest complete poll."""
        at: Instant | None = self._ask(statements.NEWEST_COMPLETE, resource=resource).scalar()
        return at

    def versions(self, resource: str) -> dict[str, Lasting]:
        """Return the current versions of a resource's records, by identity."""
        layout, seen_at = resource_tables.RESOURCE_TABLES[resource], self._seen_at(resource)
        versions = (
            resource_tables.lasting_of(layout, r, seen_at)
            for r in self._ask(resource_tables.current(resource))
        )
        return {lasting.record.identity: lasting for lasting in versions}

    def held(self, resource: str, records: Sequence[Record]) -> list[Held]:
        """Return all held records in the same groups as these, including superseded ones."""
        layout = resource_tables.RESOURCE_TABLES[resource]
        at = layout.form.columns.index(layout.among)
        names = sorted({record.facts[at] for record in records})
        condition, parameters = self._database.among(layout.among, names)
        rows = self._ask(resource_tables.same_group(resource, condition), **parameters)
        return [resource_tables.held_of(row) for row in rows]

    def unsuperseded(self, resource: str) -> Iterator[Held]:
        """Yield the valid records of a window, one at a time."""
        streamed = {"stream_results": True, "max_row_buffer": resource_tables.TOGETHER}
        rows = self._conn.execute(
            resource_tables.unsuperseded(resource),
            {"account": self._account_id},
            execution_options=streamed,
        )
        return (resource_tables.held_of(row) for row in rows)

    def window(self, resource: str) -> tuple[int | None, Instant]:
        """Return the total of a window's newest complete poll, None if a record is missing, so that
        all must be read; and when a complete poll last read all of it (0: never).
        """
        total = self._ask(statements.NEWEST_TOTAL, resource=resource).scalar()
        whole_at = self._ask(statements.NEWEST_WHOLE, resource=resource).scalar()
        return None if self.is_missing(resource) else total, whole_at or 0

    def how_many_hold(self, resource: str) -> int:
        """Count the valid records of a window."""
        return int(self._ask(resource_tables.how_many_hold(resource)).scalar_one())

    def is_missing(self, resource: str) -> bool:
        """Tell whether a whole listing lacked a record of a window that is not superseded yet."""
        return self._ask(resource_tables.missing(resource)).scalar() is not None

    def listed(self) -> set[str]:
        """Return the instances that are not gone."""
        return set(self._ask(statements.LISTED).scalars())

    def pending(self) -> bool:
        """Tell whether an instance is missing, or its record could not be read last time."""
        return self._ask(statements.PENDING).scalar() is not None

    def usages(self, uuids: Sequence[str], returned: Sequence[str]) -> dict[str, Usage]:
        """Return the running time of each instance, with its versions for those `returned`."""
        usages = {uuid: Usage(state) for uuid, state in self._states(uuids).items()}
        for uuid, versions in self.histories(returned):
            usages[uuid] = Usage(usages[uuid].state, tuple(versions))
        return usages

    def histories(self, uuids: Sequence[str]) -> Iterator[tuple[str, list[SeenVersion]]]:
        """Return the versions of each instance, oldest first."""
        return by_instance(self._ask_among(statements.histories, uuids)) if uuids else iter(())

    def kept_usage(self, uuids: Sequence[str]) -> KeptUsage:
        """Return the stored rows that were derived from the versions of these instances."""
        kept = KeptUsage()
        for uuid, *row in self._ask_among(statements.stretches, uuids, only_open=False):
            kept.stretches.setdefault(uuid, []).append(stretch_of(row))
        for part in self._ask_among(statements.day_parts, uuids):
            kept.day_rows.setdefault(part.instance_uuid, []).append(tuple(part)[1:])
        for uuid, _, last_start in self._ask_among(statements.usage_counts, uuids):
            kept.last_starts[uuid] = last_start
        return kept

    def all_uuids(self) -> list[str]:
        """Return the uuids of all instances ever seen."""
        return list(self._ask(statements.ALL_UUIDS).scalars())

    def lengths(self) -> Lengths:
        """Return how long shutting down and booting last, by the polls before each poll."""
        return self._state_lengths().live()

    def all_lengths(self) -> Lengths:
        """Return these lengths for all polls, read at once: for a rebuild."""
        return self._state_lengths().all()

    def lengths_differ(self) -> bool:
        """Tell whether the stored lengths are not those that the versions teach."""
        return self._state_lengths().differ()

    def deriver(self) -> Derived:
        """Return the account's writer of costs and allocations."""
        if self._deriver is None:
            self._deriver = Derived(
                self._database, self._conn, self._account_id, self.codes().units
            )
        return self._deriver

    def zone(self) -> days.Zone:
        """Return the reporting time zone."""
        if self._timezone is None:
            self._timezone = self._ask(statements.TIMEZONE).scalar_one()
        return _zone(self._timezone)

    def _state_lengths(self) -> StateLengths:
        return StateLengths(self._database, self._conn, self._account_id)

    def _ask(self, statement: Executable, **parameters: Any) -> Any:
        return self._conn.execute(statement, {"account": self._account_id, **parameters})

    def _ask_among(self, question: Any, uuids: Sequence[str], **options: Any) -> Any:
        """Run a query about some instances, as one statement whatever their number."""
        condition, parameters = self._database.among("instance_uuid", uuids)
        return self._ask(question(condition, **options), **parameters)

    def _seen_at(self, resource: str) -> dict[Instant | None, Instant]:
        """Map the end of each later partial poll to its start; None stands for the newest complete
        poll. Only partial polls can leave a newer `changed_at` on an instance.
        """
        newest = self._ask(statements.NEWEST_COMPLETE, resource=resource).scalar() or 0
        since = self._ask(statements.PARTIAL_SINCE, resource=resource, since=newest)
        return {**dict(since.all()), None: newest}

    def _states(self, uuids: Sequence[str]) -> dict[str, RunningState]:
        states = {
            uuid: RunningState(count=count, last_start=last_start)
            for uuid, count, last_start in self._ask_among(statements.usage_counts, uuids)
        }
        for uuid, *row in self._ask_among(statements.stretches, uuids, only_open=True):
            stretch, was = stretch_of(row), states[uuid]
            running = stretch if stretch.kind == "running" else was.running
            held = stretch if stretch.kind == "held" else was.held
            states[uuid] = RunningState(was.count, was.last_start, running, held)
        return states


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


@lru_cache(maxsize=8)
def _zone(name: str) -> days.Zone:
    return days.Zone(name)
