"""Stops by the bill: which settlement window ends with each, and whether the account settles so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select

from etl import tables
from etl.history import usage
from etl.history.codes import PREPAID_UNITS
from etl.history.diff import Changes
from etl.history.ends import EndEvidence
from etl.history.stretches import Stretch, Terms
from etl.money.billing.stops import (
    NEWEST,
    Settled,
    SettledWindow,
    SettlementRule,
    Settling,
    UnseenStop,
    settled_windows,
    settlement_rule,
)
from etl.money.periods import BEGINNING, FOREVER
from etl.poll import Instant
from etl.store.costs import charging_model
from etl.store.instances import InstancesWriter
from etl.store.known_instances import InstancesReader
from etl.store.price_periods import price_terms
from etl.store.rows import TERM_NAMES

SETTLEABLE: Final = ("observed", "unseen_run", "booting", "gone")
"""Evidence of stretches whose start is that of the run, and whose end may be a stop."""
BATCH: Final = 5_000
LAST: Final = FOREVER - 1
"""The last instant that a database can hold."""
_usage: Final = tables.instance_usage.c
_bill: Final = tables.bill.c
_rule: Final = tables.settlement_rule.c
_MINE: Final = (
    _usage.account_id == bindparam("account"),
    _usage.kind == "running",
    _usage.evidence.in_(SETTLEABLE),
    # where both bounds meet there is nothing to settle
    _usage.ended_min < _usage.ended_max,
)
_STOPS: Final = (
    select(
        _usage.instance_uuid,
        _usage.usage_no,
        _usage.started_at,
        _usage.ended_min,
        _usage.ended_max,
        *(_usage[name] for name in TERM_NAMES),
        _usage.settlements,
        _usage.settled_at,
    )
    .where(*_MINE, _usage.ended_max >= bindparam("lower"), _usage.ended_min < bindparam("upper"))
    .order_by(_usage.ended_max, _usage.instance_uuid, _usage.usage_no)
)
_VALID: Final = _bill.account_id == bindparam("account"), _bill.superseded_at.is_(None)
_BILL_UNTIL: Final = select(func.max(_bill.settle_end_at)).where(*_VALID)
_LINES: Final = (
    select(_bill.settle_start_at, _bill.settle_end_at, _bill.order_number, _bill.amount_microcny)
    .where(*_VALID, _bill.settle_start_at < _bill.settle_end_at)
    .order_by(_bill.settle_end_at, _bill.settle_start_at)
)
_next: Final = tables.bill.alias("following").c
_ENDING: Final = _LINES.where(
    _bill.settle_end_at > bindparam("lower"),
    _bill.settle_end_at <= bindparam("upper"),
    # a window that another one of its kind follows did not end with a stop
    ~select(1)
    .where(
        _next.account_id == _bill.account_id,
        _next.settle_start_at == _bill.settle_end_at,
        _next.settle_end_at > _next.settle_start_at,
        _next.remark == _bill.remark,
        _next.superseded_at.is_(None),
    )
    .exists(),
)
_ENDING_AT: Final = _LINES.where(_bill.settle_end_at.in_(bindparam("ends", expanding=True)))
_FOLLOWED: Final = select(func.min(_bill.settle_end_at)).where(
    _bill.account_id == bindparam("account"),
    _next.account_id == _bill.account_id,
    _next.settle_start_at == _bill.settle_end_at,
    _next.settle_end_at >= bindparam("lower"),
    _next.settle_end_at <= bindparam("upper"),
)
"""The first end of a window after which a changed line may begin."""
_FOLLOWING: Final = select(func.max(_bill.settle_end_at)).where(
    _bill.account_id == bindparam("account"),
    _bill.settle_start_at >= bindparam("lower"),
    _bill.settle_start_at <= bindparam("upper"),
)
"""The last end of a window that may begin after a changed line."""
_JUDGED: Final = (
    select(_usage.settlements)
    .where(*_MINE, _usage.evidence == "observed", _usage.settlements.is_not(None))
    # in one order also where stops are equally new, or the databases would judge others
    .order_by(_usage.ended_max.desc(), _usage.instance_uuid, _usage.usage_no)
    .limit(NEWEST)
)
_NEWEST_SETTLED: Final = (
    select(_usage.instance_uuid, _usage.usage_no, _usage.settled_at)
    .where(*_MINE, _usage.evidence == "observed", _usage.settled_at.is_not(None))
    .order_by(_usage.ended_max.desc(), _usage.instance_uuid, _usage.usage_no)
    .limit(NEWEST)
)
_RULE: Final = select(_rule.bill_until, _rule.judged, _rule.matched, _rule.single).where(
    _rule.account_id == bindparam("account")
)


class _Judged(NamedTuple):
    """A stop with its stored settlement and the one by the bill."""

    stop: UnseenStop
    kept: Settled
    settled: Settled


class SettlingReader(InstancesReader):
    """Reader of stops by the bill, and of stored ones that are not right."""

    def settlement_rule(self) -> SettlementRule:
        """Return how the account is settled, as stored."""
        return self._kept_rule()[1]

    def wrongly_settled(self) -> Iterator[str]:
        """Yield the instances whose stored ends of windows are not those of the bill, and `settlement`
        if the stored rule is not that of the stops.
        """
        until = self._bill_until()
        for judged in self._judged(BEGINNING, LAST, until):
            if judged.kept != judged.settled:
                yield judged.stop.instance_uuid
        if self._kept_rule() != (until, self._new_rule()):
            yield "settlement"

    def settled_distances(self) -> dict[EndEvidence, tuple[int, int]]:
        """Map each evidence of an estimate by polls alone to the number of the newest settled stops that
        have it, and the seconds by which the bill is off it on average.
        """
        asked = self._ask(_NEWEST_SETTLED).all()
        polled = self.polled_ends(sorted({row[0] for row in asked}))
        distances: dict[EndEvidence, list[int]] = {}
        for uuid, number, settled_at in asked:
            stretch = polled[uuid, number]
            if stretch.end_evidence is not None and stretch.ended_at is not None:
                off_s = abs(settled_at - stretch.ended_at)
                distances.setdefault(stretch.end_evidence, []).append(off_s)
        return {by: (len(off), round(fmean(off))) for by, off in distances.items()}

    def polled_ends(self, uuids: Sequence[str]) -> dict[tuple[str, int], Stretch]:
        """Return the stretches of instances as polls alone give them, by uuid and number."""
        codes, lengths = self.codes(), self.all_lengths()
        return {
            (uuid, stretch.usage_no): stretch
            for uuid, versions in self.histories(uuids)
            for stretch in usage.fold(versions, codes, lengths).written
        }

    def _judged(self, lower: Instant, upper: Instant, until: Instant | None) -> Iterator[_Judged]:
        """Judge the stops in a time by the bill, which reaches until `until`."""
        periods = self.deriver().periods
        settling = Settling(charging_model(self._conn), periods, self._windows_ending_at)
        rows = self._ask(_STOPS, lower=lower, upper=upper).all()
        prepaid = {code for code, unit in self.codes().units.items() if unit in PREPAID_UNITS}
        for at in range(0, len(rows), BATCH):
            kept: dict[UnseenStop, Settled] = {}
            for *stop, settlements, settled_at in rows[at : at + BATCH]:
                known = _stop_of(stop)
                kept[known] = settlements, settled_at
            reached = [
                stop
                for stop in kept
                if until is not None
                # a bill that has not reached the latest end may still bring the window that fits
                and stop.hi_s <= until
                and stop.terms.charging_type not in prepaid
            ]
            by_bill = dict(settling.settled(self._with_windows(reached)))
            for stop, was in kept.items():
                yield _Judged(stop, was, by_bill.get(stop, (None, None)))

    def _with_windows(
        self, stops: Sequence[UnseenStop]
    ) -> Iterator[tuple[UnseenStop, Sequence[SettledWindow]]]:
        if not stops:
            return
        # one query for all of them: each takes its windows from the list by their ends
        lower, upper = min(stop.lo_s for stop in stops), max(stop.hi_s for stop in stops)
        windows = settled_windows(self._ask(_ENDING, lower=lower, upper=upper))
        ends = [window.ends_s for window in windows]
        for stop in stops:
            yield stop, windows[bisect_right(ends, stop.lo_s) : bisect_right(ends, stop.hi_s)]

    def _windows_ending_at(self, ends: Iterable[Instant]) -> list[SettledWindow]:
        return settled_windows(self._ask(_ENDING_AT, ends=list(ends)))

    def _bill_until(self) -> Instant | None:
        until: Instant | None = self._ask(_BILL_UNTIL).scalar()
        return until

    def _kept_rule(self) -> tuple[Instant | None, SettlementRule]:
        row = self._ask(_RULE).first()
        return (None, SettlementRule()) if row is None else (row[0], SettlementRule(*row[1:]))

    def _new_rule(self) -> SettlementRule:
        return settlement_rule(self._ask(_JUDGED).scalars())


class SettlingWriter(SettlingReader, InstancesWriter):
    """Writer of stops by the bill."""

    def settle_stops(self, lower: Instant = BEGINNING, upper: Instant = LAST) -> None:
        """Judge stops by the bill again: those whose interval, prices or lines changed between two
        instants. Estimates move to the ends of windows, or back; bounds stay.
        """
        until, (was_until, rule) = self._bill_until(), self._kept_rule()
        # an account without a bill costs no query more
        if until is None and was_until is None:
            return
        if until == was_until and until is not None and lower > until:
            return  # the bill does not reach there yet
        # a line may take the end of a run away from the window before it, or begin after one
        if (lower, upper) != (BEGINNING, LAST):
            lower, upper = self._widened(lower, upper, until, was_until)
        # most stops are judged as before: only those that are not are written
        moved = [
            judged for judged in self._judged(lower, upper, until) if judged.kept != judged.settled
        ]
        self._keep_settled(moved)
        now = self._new_rule()
        self._keep_rule(until, now)
        # the verdict turned: every end that the bill knows moves, or moves back
        if now.is_at_stops != rule.is_at_stops:
            self._move_ends(self._all_settled(), is_at_stops=now.is_at_stops)
        else:
            keys = [(judged.stop.instance_uuid, judged.stop.usage_no) for judged in moved]
            self._move_ends(keys, is_at_stops=now.is_at_stops)

    def _widened(
        self, lower: Instant, upper: Instant, until: Instant | None, was_until: Instant | None
    ) -> tuple[Instant, Instant]:
        """Return the time in which windows before or after the changed lines end, with the time that the
        bill reaches newly, or no longer.
        """
        followed = self._ask(_FOLLOWED, lower=lower, upper=upper).scalar()
        following = self._ask(_FOLLOWING, lower=lower, upper=upper).scalar()
        reached = (until, was_until) if until != was_until else ()
        if None in reached:
            return BEGINNING, LAST
        instants = [at for at in (followed, following, *reached) if at is not None]
        return min([lower, *instants]), max([upper, *instants])

    def _keep_settled(self, moved: Sequence[_Judged]) -> None:
        self._database.update(
            self._conn,
            tables.instance_usage,
            ("account_id", "instance_uuid", "usage_no"),
            ("settlements", "settled_at"),
            [
                (*judged.settled, self._account_id, judged.stop.instance_uuid, judged.stop.usage_no)
                for judged in moved
            ],
        )

    def _keep_rule(self, until: Instant | None, rule: SettlementRule) -> None:
        # a poll that brings nothing new writes nothing
        if (until, rule) == self._kept_rule():
            return
        self._conn.execute(
            delete(tables.settlement_rule).where(_rule.account_id == self._account_id)
        )
        if until is not None:
            self._conn.execute(
                insert(tables.settlement_rule).values(
                    account_id=self._account_id, bill_until=until, **rule._asdict()
                )
            )

    def _all_settled(self) -> list[tuple[str, int]]:
        """Return the keys of all stops that the bill was asked for, or that it settled."""
        known = _usage.settlements.is_not(None) | (_usage.end_evidence == "settled")
        asked = select(_usage.instance_uuid, _usage.usage_no).where(*_MINE, known)
        return [(row[0], row[1]) for row in self._ask(asked)]

    def _move_ends(self, keys: Sequence[tuple[str, int]], *, is_at_stops: bool) -> None:
        """Rewrite the ends of stretches whose estimate is not the one that it must be."""
        for at in range(0, len(keys), BATCH):
            chosen = set(keys[at : at + BATCH])
            uuids = sorted({uuid for uuid, _ in chosen})
            kept = self.kept_usage(uuids).stretches
            mine = [(u, s) for u in uuids for s in kept.get(u, ()) if (u, s.usage_no) in chosen]
            # what polls alone say of a settled stop is not stored
            settled = {uuid for uuid, s in mine if s.end_evidence == "settled"}
            polled = self.polled_ends(sorted(settled))
            # whole stretches, not their ends alone: days, costs and sums follow from them
            rewritten = []
            for uuid, stretch in mine:
                was = polled.get((uuid, stretch.usage_no), stretch)
                now = replace(
                    was, settlements=stretch.settlements, settled_at=stretch.settled_at
                ).with_bill(is_at_stops=is_at_stops)
                if now != stretch:
                    rewritten.append((uuid, now, False))
            self._rewrite(rewritten)

    def _rewrite(self, stretches: Sequence[tuple[str, Stretch, bool]]) -> None:
        # as nearly always: ends are where they must be
        if not stretches:
            return
        changes = Changes(reopened=[(uuid, s.usage_no) for uuid, s, _ in stretches])
        cut = self._undo_usage(changes) | self.write_usage(stretches)
        self.deriver().sums.renew(cut)


def _stop_of(row: Sequence[Any]) -> UnseenStop:
    uuid, number, started_at, lo, hi, *terms = row
    known = Terms(*terms)
    return UnseenStop(uuid, number, started_at, lo, hi, price_terms(known), known.gpu_nums)
