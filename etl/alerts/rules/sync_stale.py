"""No complete poll for long, though a daemon watched or tried for as long.

A machine that was switched off for the night is not stale in the morning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.polling import Polling, polling
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import NOTHING, local_time, short_line
from etl.history.days import Zone
from etl.texts import Text, tr
from etl.timing.freshness import why_stale


class StaleOptions(RuleOptions, frozen=True, kw_only=True):
    stale_minutes: Annotated[int, Meta(ge=1, le=100_000)] = 30


class SyncStale(AlertRule[Polling, StaleOptions]):
    name = "sync_stale"
    prompt = True
    options = StaleOptions

    def facts(self, snapshot: Snapshot, options: StaleOptions) -> Sequence[Polling]:
        return polling(snapshot)

    def causes(
        self, facts: Sequence[Polling], options: StaleOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            # a refused key has an alert of its own, which says what to do
            if not row.is_refused and _is_stale(row, options.stale_minutes * 60, moment):
                yield self.cause(
                    row.account,
                    severity="urgent",
                    account=row.account,
                    words=_words(row, moment.zone),
                )


def _is_stale(row: Polling, limit_s: int, moment: Moment) -> bool:
    last, tried, now = row.seen_at, row.tried_since, moment.now
    if why_stale(last, now, limit_s) is None or (last is None and tried is None):
        return False
    if last is not None and last > now:
        return True  # no right poll is applied until then, however long anybody watches
    # watched by us, or tried by another process: else nobody noticed, and nothing is late
    watched_s = max(now - moment.watching_since, 0 if tried is None else now - tried)
    return watched_s >= limit_s and (last is None or not _is_newest_due(row, last, limit_s, moment))


def _is_newest_due(row: Polling, last: float, limit_s: int, moment: Moment) -> bool:
    """Tell whether no poll was due since the last: polls may be hours apart, or rest at night.

    A poll of another daemon comes a little before the tick.
    """
    if moment.due is None:
        return False
    due_at = moment.due(row.account, moment.now - limit_s / 2)
    return due_at is not None and last >= due_at - limit_s / 4


def _words(row: Polling, zone: Zone) -> Text:
    why = tr(": {reason}", reason=short_line(row.error, 160)) if row.error else NOTHING
    if row.last_complete_at is None:
        return tr("There was never a complete poll{why}", why=why)
    at = local_time(zone, row.last_complete_at)
    return tr("No complete poll since {at}{why}", at=at, why=why)


RULE = SyncStale()
