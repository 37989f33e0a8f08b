"""Writer of attempts to poll, their distances in time, and rejected records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import delete, insert, select, tuple_

from etl import tables
from etl.poll import Instant
from etl.resources.listing import Reject
from etl.store import statements
from etl.store.reading import Reader
from etl.store.rows import (
    STEP_NAMES,
    SyncRun,
    distance_from,
)


class PollsWriter(Reader):
    """Writer of the rows about a poll itself."""

    def record(self, resource: str, run: SyncRun) -> None:
        """Write a row of `sync_run`."""
        self._conn.execute(
            insert(tables.sync_run),
            {
                "account_id": self._account_id,
                "resource": resource,
                **{name: getattr(run, name) for name in SyncRun.__slots__},
                **self._step(resource, run),
            },
        )

    def remember_archive(self, folder: Path) -> None:
        """Remember a folder that polls are archived in, for syncs that do not name it."""
        folders = [str(known) for known in self.archive_folders()]
        c = tables.setting.c
        self._conn.execute(delete(tables.setting).where(c.name == statements.ARCHIVES_SETTING))
        value = json.dumps([*folders, str(folder)])
        self._conn.execute(
            insert(tables.setting).values(name=statements.ARCHIVES_SETTING, value=value)
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

    def _step(self, resource: str, run: SyncRun) -> dict[str, int | None]:
        """Return how far a complete poll is from the one before; it is stored so that no query must
        read all polls to find gaps.
        """
        if run.outcome != "complete":
            return {}
        asked = self._ask(statements.COMPLETE_BEFORE, resource=resource, before=run.started_at)
        return dict(zip(STEP_NAMES, distance_from(asked.first(), run.started_at), strict=True))
