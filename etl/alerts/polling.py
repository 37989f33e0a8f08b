"""Facts about the polls of each account's instances, for two rules. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from etl.alerts.snapshot import Snapshot
from etl.errors import UNFIT_KEY
from etl.poll import Instant
from etl.timing.freshness import usual_offset_s

NEWEST: Final = """
SELECT a.name AS account, r.outcome, r.sync_run_id, r.error, r.error_kind, epoch(r.finished_at) AS finished_s
FROM account a
CROSS JOIN (SELECT 'complete' AS outcome UNION ALL SELECT 'partial' UNION ALL SELECT 'failed') o
JOIN sync_run r ON r.account_id = a.account_id AND r.resource = 'instances' AND r.outcome = o.outcome
    AND r.started_at = (
        SELECT MAX(n.started_at) FROM sync_run n
        WHERE n.account_id = a.account_id AND n.resource = 'instances' AND n.outcome = o.outcome
    )
ORDER BY a.name, r.sync_run_id
"""
"""The newest poll of each outcome: one look into an index each, however many there are."""
TRIED_SINCE: Final = """
SELECT epoch(MIN(r.started_at)) AS tried_s
FROM sync_run r
JOIN account a ON a.account_id = r.account_id
WHERE a.name = :account AND r.resource = 'instances' AND r.outcome IN ('partial', 'failed')
    AND r.started_at > instant(:complete_s)
"""
# twenty rows for three readings: failed and unmeasured polls lie between them
OFFSETS: Final = """
SELECT clock_offset_s
FROM (
    SELECT r.clock_offset_s
    FROM sync_run r
    JOIN account a ON a.account_id = r.account_id
    WHERE a.name = :account AND r.resource = 'instances' AND r.outcome IN ('complete', 'partial')
    ORDER BY r.sync_run_id DESC
    LIMIT {RECENT_ATTEMPTS}
) n
"""


@dataclass(frozen=True, slots=True)
class Polling:
    """The state of polls of one account's instances.

    `offset_s`: the source's clock, which dates the polls, minus the local one. `tried_since`: the first
    attempt after the last complete poll; `error` and `error_kind`: of the newest attempt, None if it went
    well.
    """

    account: str
    last_complete_at: Instant | None
    tried_since: Instant | None = None
    error: str | None = None
    error_kind: str | None = None
    offset_s: float = 0.0

    @property
    def seen_at(self) -> float | None:
        """Return the end of the newest complete poll by the local clock."""
        return None if self.last_complete_at is None else self.last_complete_at - self.offset_s

    @property
    def is_refused(self) -> bool:
        """Tell whether the source refuses the key, or there is none: a person must act."""
        return self.error_kind in UNFIT_KEY


def polling(snapshot: Snapshot) -> list[Polling]:
    """Return the state of polls of every watched account that was ever polled."""
    rows = snapshot.ask(NEWEST)
    # those of another daemon are in the same database
    names = sorted({row.account for row in rows} & set(snapshot.moment.accounts))
    return [_polling(snapshot, name, [r for r in rows if r.account == name]) for name in names]


def _polling(snapshot: Snapshot, account: str, newest: list[Any]) -> Polling:
    complete = next((row.finished_s for row in newest if row.outcome == "complete"), None)
    # by the order of rows, which holds even if an instant does not
    last = newest[-1]
    error = None if last.outcome == "complete" else last.error or last.outcome
    kind = None if last.outcome == "complete" else last.error_kind
    # 0 if none was ever complete: every attempt counts then
    tried = snapshot.ask(TRIED_SINCE, account=account, complete_s=complete or 0)[0].tried_s
    offset_s = usual_offset_s(row.clock_offset_s for row in snapshot.ask(OFFSETS, account=account))
    return Polling(account, complete, tried, error, kind, offset_s)
