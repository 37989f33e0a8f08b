"""Folding of old polls into counts: their rows go, and every figure stays."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import bindparam, func, select, text

from etl import tables
from etl.poll import APPLIED, Instant
from etl.store.polls import PollsReader
from etl.units import DAY_S, ERA_POLLS, RECENT_ATTEMPTS

_run: Final = tables.sync_run.c
_FOLDABLE: Final = """
    account_id = :account AND resource = :resource
    AND started_at < instant(:until_s) AND finished_at < instant(:until_s)
    AND sync_run_id NOT IN :kept
    -- the usual distance is the median of a sample, and gaps are told from it
    AND NOT (resource = 'instances' AND outcome = 'complete' AND (
        polls_before = {SAMPLE_STEP} * (polls_before / {SAMPLE_STEP}) OR COALESCE(gap_s, 0) > {GAP_S}
    ))
"""
_COUNT: Final = f"""
    INSERT INTO folded_poll (account_id, resource, outcome, begins_at, polls)
    SELECT account_id, resource, outcome, begins_at, COUNT(*)
    FROM (
        SELECT account_id, resource, outcome, instant(epoch(started_at) / {{FOLD_S}} * {{FOLD_S}}) AS begins_at
        FROM sync_run
        WHERE {_FOLDABLE}
    ) folded
    -- SQLite would take ON CONFLICT for the condition of a join
    WHERE 1 = 1
    GROUP BY account_id, resource, outcome, begins_at
    ON CONFLICT (account_id, resource, outcome, begins_at)
    DO UPDATE SET polls = folded_poll.polls + excluded.polls
"""
_DELETE: Final = f"DELETE FROM sync_run WHERE {_FOLDABLE}"


class FoldingWriter(PollsReader):
    """Writer that folds the polls of one account."""

    def foldable_until(self, resource: str, until: Instant) -> Instant:
        """Return until when polls can be folded, `until` at the latest; 0 if none can."""
        newest = self._conn.execute(
            select(_run.started_at, _run.polls_before)
            .where(*self._of(resource), _run.outcome == "complete")
            .order_by(_run.started_at.desc())
            .limit(1)
        ).first()
        # of fewer polls than two eras all count for the usual distance, of more a sample
        if newest is None or newest.polls_before < 2 * ERA_POLLS:
            return 0
        # what failed since the newest complete poll is looked at by status and alerts
        last: Instant = newest.started_at
        return min(until, last)

    def fold(self, resource: str, until: Instant) -> int:
        """Fold the polls that ended before an instant; return how many. It is for `foldable_until`."""
        kept = {
            "account": self._account_id,
            "resource": resource,
            "until_s": until,
            "kept": sorted(set(self._kept(resource, until))),
        }
        self._run(_COUNT, kept)
        return int(self._run(_DELETE, kept).rowcount)

    def _run(self, sql: str, values: dict[str, Any]) -> Any:
        asked = text(self._database.render(sql)).bindparams(bindparam("kept", expanding=True))
        return self._conn.execute(asked, values)

    def _of(self, resource: str) -> tuple[Any, Any]:
        return (_run.account_id == self._account_id, _run.resource == resource)

    def _kept(self, resource: str, until: Instant) -> Iterator[int]:
        """Yield the polls on which something rests but counts, gaps and the usual distance."""
        mine, complete = self._of(resource), _run.outcome == "complete"
        by_time, by_number = _run.started_at.desc(), _run.sync_run_id.desc()
        newest = (
            # attempts, and readings of the clock, are looked at by number
            ((), by_number, RECENT_ATTEMPTS),
            ((_run.outcome != "skipped",), by_number, RECENT_ATTEMPTS),
            (
                (_run.outcome.in_(APPLIED), _run.clock_offset_s.is_not(None)),
                by_number,
                RECENT_ATTEMPTS,
            ),
            # whole listings of windows, and what they could not read
            ((complete, _run.listed >= _run.reported_total), by_time, 1),
            ((_run.outcome.in_(APPLIED), _all_read()), by_number, 1),
            # the shell completes days from the first one on
            ((), _run.sync_run_id, 1),
        )
        for conditions, order, most in newest:
            asked = select(_run.sync_run_id).where(*mine, *conditions).order_by(order).limit(most)
            yield from self._conn.scalars(asked)
        ends = select(_run.outcome, func.min(_run.started_at), func.max(_run.started_at))
        for outcome, first, last in self._conn.execute(
            ends.where(*mine).group_by(_run.outcome)
        ).all():
            # the time that was polled ends with one that began within a day of the newest
            is_end = (_run.started_at == first) | (_run.started_at >= last - DAY_S)
            asked = select(_run.sync_run_id).where(*mine, _run.outcome == outcome, is_end)
            yield from self._conn.scalars(asked.where(_run.started_at < until))
        if resource == "balance":
            yield from self._before_midnights(until)

    def _before_midnights(self, until: Instant) -> Iterator[int]:
        """Yield the polls of the balance that a day of it begins or ends with."""
        days = self._conn.scalars(select(tables.calendar_day.c.starts_s))
        midnights = sorted(days)
        polls = self._conn.execute(
            select(_run.finished_at, _run.sync_run_id)
            .where(*self._of("balance"), _run.outcome == "complete", _run.started_at < until)
            .order_by(_run.started_at)
        ).all()
        yield from (run_id for (_, run_id) in polls[-1:])
        for (ended, run_id), (next_ended, _) in pairwise(polls):
            if bisect_right(midnights, ended) < bisect_right(midnights, next_ended):
                yield run_id


def _all_read() -> Any:
    return _run.listed + _run.rejected >= func.coalesce(_run.reported_total, 0)
