"""Known instances: their current state, versions and running time, as a poll compares them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from etl.history.diff import Known, Usage
from etl.history.lengths import Lengths
from etl.history.stretches import RunningState
from etl.history.usage import SeenVersion
from etl.store import statements
from etl.store.polls import PollsReader
from etl.store.rows import KeptUsage, by_instance, known_of, stretch_of
from etl.store.state_lengths import StateLengths


class InstancesReader(PollsReader):
    """Reader of instances, their versions and their running time."""

    _lengths: StateLengths | None = None

    def known(self, uuids: Sequence[str]) -> dict[str, Known]:
        """Map uuids to instances as the newest applied poll left them; unknown ones are left
        out.
        """
        starts = self._poll_starts("instances")
        rows = self._ask_among(statements.known, uuids)
        return {row[0]: known_of(row, starts) for row in rows}

    def unlisted(self, count: int, seen: Callable[[], AbstractSet[str]]) -> list[str]:
        """Return the instances that are not gone, and not among the `count` that were `seen`, none of
        which is gone.
        """
        # counted inside the database: hardly a poll lacks one
        if self._ask(statements.HOW_MANY_LISTED).scalar_one() == count:
            return []
        names = seen()
        # uuids alone, not facts, one after the other: a fleet of any size fits in memory
        return [uuid for uuid in self._ask(statements.LISTED).scalars() if uuid not in names]

    def pending(self) -> bool:
        """Tell whether an instance is missing, or its record could not be read last time."""
        return self._ask(statements.PENDING).scalar() is not None

    def usages(self, uuids: Sequence[str], returned: Sequence[str]) -> dict[str, Usage]:
        """Return the running time of each instance, with its versions for those `returned`."""
        usages = {uuid: Usage(state) for uuid, state in self._states(uuids).items()}
        # a going is undone by folding the history again, which needs all of it
        for uuid, versions in self.histories(returned):
            usages[uuid] = Usage(usages[uuid].state, tuple(versions))
        return usages

    def histories(self, uuids: Sequence[str]) -> Iterator[tuple[str, list[SeenVersion]]]:
        """Return the versions of each instance, oldest first."""
        # one query whatever their number: a rebuild asks for thousands
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

    def _state_lengths(self) -> StateLengths:
        if self._lengths is None:
            self._lengths = StateLengths(self._database, self._conn, self._account_id)
        return self._lengths

    def _states(self, uuids: Sequence[str]) -> dict[str, RunningState]:
        # an instance without a stretch has a state too: nothing written, nothing open
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
