"""Writer of instances: their versions, and whether they are still listed."""

from __future__ import annotations

from collections.abc import Sequence

from etl import tables
from etl.history.diff import Changes, Version
from etl.poll import Instant
from etl.store import statements
from etl.store.rows import (
    FACT_NAMES,
    STATE_NAMES,
    instance_state,
    values_of,
)
from etl.store.usage import UsageWriter


class InstancesWriter(UsageWriter):
    """Writer of the changes that a poll makes to instances, their versions and their running
    time.
    """

    def apply(self, changes: Changes) -> None:
        """Write changes. Ends come before beginnings, since only one version and one stretch may be
        open.
        """
        # an index allows one current version: the old one must end before the new one comes
        self._end_versions(changes)
        self._show_presences(changes)
        self._add_versions(changes.versions)
        # before the new ones, which take the numbers of those that are deleted
        cut = self._undo_usage(changes) | self.write_usage(changes.stretches)
        self.deriver().allocate(
            [(v.facts.instance_uuid, v.version, v.facts.title or "") for v in changes.versions]
        )
        # last: sums are made of parts, costs and allocations
        self.deriver().sums.renew(cut)

    def learn_lengths(self, b: Instant) -> None:
        """Learn how long shutting down and booting last from a poll that ended at `b`."""
        self._state_lengths().learn(b)

    def learn_lengths_anew(self) -> None:
        """Learn these lengths again from all versions."""
        self._state_lengths().learn_anew()

    def _end_versions(self, changes: Changes) -> None:
        self._database.update(
            self._conn,
            tables.instance_history,
            ("account_id", "instance_uuid", "version"),
            ("last_seen_at", "ended_at", "ended_by"),
            [
                (
                    e.last_seen_at,
                    e.ended_at,
                    e.ended_by,
                    self._account_id,
                    e.instance_uuid,
                    e.version,
                )
                for e in changes.ended
            ],
        )

    def _show_presences(self, changes: Changes) -> None:
        self._database.update(
            self._conn,
            tables.instance,
            ("account_id", "instance_uuid"),
            ("last_seen_at", "missing_since", "gone_at"),
            [
                (p.last_seen_at, p.missing_since, p.gone_at, self._account_id, p.instance_uuid)
                for p in changes.presences
            ],
        )

    def _add_versions(self, versions: Sequence[Version]) -> None:
        account, state = self._account_id, STATE_NAMES
        added = [v for v in versions if v.began_by == "first_seen"]
        self._database.insert(
            self._conn,
            tables.instance,
            ("account_id", *FACT_NAMES, *state, "first_seen_at"),
            [(account, *values_of(v.facts), *instance_state(v), v.first_seen_at) for v in added],
        )
        self._database.update(
            self._conn,
            tables.instance,
            ("account_id", "instance_uuid"),
            # without the first fact, which is the identity and in the key
            (*FACT_NAMES[1:], *state),
            [
                (*values_of(v.facts)[1:], *instance_state(v), account, v.facts.instance_uuid)
                for v in versions
                if v.began_by != "first_seen"
            ],
        )
        # a first load adds thousands: their facts are copied inside the database
        copied = [v.facts.instance_uuid for v in added if v.after_at is None]
        if copied:
            self._ask_among(statements.copy_as_first_versions, copied)
        self._database.insert(
            self._conn,
            tables.instance_history,
            ("account_id", *FACT_NAMES, "version", "after_at", "first_seen_at", "began_by"),
            [
                (account, *values_of(v.facts), v.version, v.after_at, v.first_seen_at, v.began_by)
                for v in versions
                # all but those that were just copied
                if v.began_by != "first_seen" or v.after_at is not None
            ],
        )
