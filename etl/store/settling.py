"""Stops by the bill: which settlement window ends with each, and whether the account settles so."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set
from statistics import fmean
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Select, delete, insert

from etl import tables
from etl.history import usage
from etl.history.codes import PREPAID_UNITS
from etl.history.diff import Changes
from etl.history.ends import EndEvidence
from etl.history.stretches import Stretch, Terms
from etl.money.billing.evidence import LONGEST_USUAL_BOOT_S
from etl.money.billing.stops import (
    Settled,
    SettledWindow,
    SettlementRule,
    Settling,
    UnseenStart,
    UnseenStop,
    UnseenTime,
    settled_windows,
    settlement_rule,
)
from etl.money.periods import BEGINNING, LAST
from etl.poll import SKEW_S, Instant
from etl.store import settling_sql as sql
from etl.store.costs import charging_model
from etl.store.instances import InstancesWriter
from etl.store.known_instances import InstancesReader
from etl.store.price_periods import price_terms

BATCH: Final = 5_000
_rule: Final = tables.settlement_rule.c


class _Judged(NamedTuple):
    """A stop or a start with its stored settlement and the one by the bill."""

    unseen: UnseenStop | UnseenStart | UnseenTime
    kept: Settled
    settled: Settled

    @property
    def key(self) -> tuple[str, int]:
        return self.unseen.instance_uuid, self.unseen.usage_no

    @property
    def is_moved(self) -> bool:
        return self.kept != self.settled


class SettlingReader(InstancesReader):
    """Reader of stops and starts by the bill, and of stored ones that are not right."""

    def settlement_rule(self) -> SettlementRule:
        """Return how the account is settled, as stored."""
        return self._kept_rule()[1]

    def wrongly_settled(self) -> Iterator[str]:
        """Yield the instances whose stored ends of windows are not those of the bill, and `settlement`
        if the stored rule is not that of the stops.
        """
        until = self._bill_until()
        for judged in (
            *self._judged_starts(BEGINNING, LAST, until),
            *self._judged_times(BEGINNING, LAST, until),
            *self._judged_stops(until),
        ):
            if judged.is_moved:
                yield judged.unseen.instance_uuid
        if self._kept_rule() != (until, self._new_rule()):
            yield "settlement"

    def settled_distances(self) -> dict[EndEvidence, tuple[int, int]]:
        """Map each evidence of an estimate by polls alone to the number of the newest settled stops that
        have it, and the seconds by which the bill is off it on average.
        """
        asked = self._ask(sql.NEWEST_SETTLED).all()
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

    def _judged_stops(
        self,
        until: Instant | None,
        asked: Select[Any] = sql.STOPS,
        **parameters: Any,
    ) -> Iterator[_Judged]:
        """Judge the stops that `asked` selects by the bill, which reaches until `until`."""
        settling, prepaid = self._settling(), self._prepaid()
        rows = self._ask(asked, **parameters).all()
        for at in range(0, len(rows), BATCH):
            kept: dict[UnseenStop, Settled] = {}
            reached: list[UnseenStop] = []
            for uuid, number, evidence, started_at, begun_at, *rest in rows[at : at + BATCH]:
                *stop, settlements, settled_at = rest
                is_unknown = evidence == "unknown_start"
                began_at = begun_at if is_unknown else started_at
                known = _stop_of(uuid, number, started_at if began_at is None else began_at, *stop)
                kept[known] = settlements, settled_at
                # without its start nothing tells which windows are its own
                if began_at is not None and _is_reached(known, until, prepaid):
                    reached.append(known)
            by_bill = dict(settling.settled(self._with_windows(reached)))
            for known, was in kept.items():
                yield _Judged(known, was, by_bill.get(known, (None, None)))

    def _judged_starts(
        self, lower: Instant, upper: Instant, until: Instant | None
    ) -> Iterator[_Judged]:
        """Judge the starts in a time by the bill, which reaches until `until`."""
        prepaid = self._prepaid()
        kept: dict[UnseenStart, Settled] = {}
        for *start, settlements, settled_at in self._ask(
            sql.STARTS_WITHIN, lower=lower, upper=upper
        ):
            kept[_start_of(*start)] = settlements, settled_at
        reached = [start for start in kept if _is_reached(start, until, prepaid)]
        by_bill: dict[UnseenStart, Settled] = {}
        if reached:
            windows = settled_windows(
                self._ask(
                    sql.BEGINNING_WITHIN,
                    lower=min(start.lo_s for start in reached),
                    upper=max(start.hi_s for start in reached),
                )
            )
            within = _Windows(windows, [window.starts_s for window in windows])
            settling = self._settling()
            by_bill = dict(settling.begun((x, within.between(x.lo_s, x.hi_s)) for x in reached))
        for start, was in kept.items():
            yield _Judged(start, was, by_bill.get(start, (None, None)))

    def _judged_times(
        self, lower: Instant, upper: Instant, until: Instant | None
    ) -> Iterator[_Judged]:
        """Judge the times before a start, between two instants, in which runs may have gone unseen."""
        kept: dict[UnseenTime, Settled] = {}
        for *time, settlements, settled_at in self._ask(sql.TIMES_WITHIN, lower=lower, upper=upper):
            kept[_time_of(*time)] = settlements, settled_at
        if not kept or until is None:
            yield from (_Judged(time, was, (None, None)) for time, was in kept.items())
            return
        # whatever may have a window in common with them takes part
        hull = min(time.lo_s for time in kept), max(time.hi_s for time in kept)
        rows = self._ask(sql.TIMES_WITHIN, lower=hull[0], upper=hull[1]).all()
        every = [_time_of(*row[:-2]) for row in rows]
        windows = self._free_windows(
            min(time.lo_s for time in every), max(time.hi_s for time in every)
        )
        within = _Windows(windows, [window.starts_s for window in windows])
        inside = (
            (t, [w for w in within.between(t.lo_s, t.hi_s) if w.ends_s <= t.hi_s]) for t in every
        )
        by_bill, prepaid = dict(self._settling().unseen_runs(list(inside))), self._prepaid()
        for time, was in kept.items():
            is_reached = _is_reached(time, until, prepaid)
            yield _Judged(time, was, by_bill[time] if is_reached else (None, None))

    def _free_windows(self, lower: Instant, upper: Instant) -> list[SettledWindow]:
        """Return the windows of a whole run that begin with no known start."""
        boot_s = LONGEST_USUAL_BOOT_S if charging_model(self._conn).counts_from == "running" else 0
        before_s = SKEW_S + boot_s
        starts: list[Instant] = list(
            self._ask(sql.BEGUN_WITHIN, lower=lower - before_s, upper=upper + SKEW_S).scalars()
        )
        windows = settled_windows(self._ask(sql.WHOLE_WITHIN, lower=lower, upper=upper))
        return [
            window
            for window in windows
            if bisect_left(starts, window.starts_s - before_s)
            == bisect_right(starts, window.starts_s + SKEW_S)
        ]

    def _settling(self) -> Settling:
        periods = self.deriver().periods
        return Settling(charging_model(self._conn), periods, self._windows_ending_at)

    def _prepaid(self) -> set[int]:
        return {code for code, unit in self.codes().units.items() if unit in PREPAID_UNITS}

    def _with_windows(
        self, stops: Sequence[UnseenStop]
    ) -> Iterator[tuple[UnseenStop, Sequence[SettledWindow]]]:
        if not stops:
            return
        # one query for all of them: each takes its windows from the list by their ends
        lower, upper = min(stop.lo_s for stop in stops), max(stop.hi_s for stop in stops)
        windows = settled_windows(self._ask(sql.ENDING, lower=lower, upper=upper))
        within = _Windows(windows, [window.ends_s for window in windows])
        for stop in stops:
            yield stop, within.between(stop.lo_s, stop.hi_s)

    def _windows_ending_at(self, ends: Iterable[Instant]) -> list[SettledWindow]:
        return settled_windows(self._ask(sql.ENDING_AT, ends=list(ends)))

    def _bill_until(self) -> Instant | None:
        until: Instant | None = self._ask(sql.BILL_UNTIL).scalar()
        return until

    def _kept_rule(self) -> tuple[Instant | None, SettlementRule]:
        row = self._ask(sql.RULE).first()
        return (None, SettlementRule()) if row is None else (row[0], SettlementRule(*row[1:]))

    def _new_rule(self) -> SettlementRule:
        return settlement_rule(self._ask(sql.NEWEST_JUDGED).scalars())


class SettlingWriter(SettlingReader, InstancesWriter):
    """Writer of stops and starts by the bill."""

    def settle_stops(self, lower: Instant = BEGINNING, upper: Instant = LAST) -> None:
        """Judge stops and unseen starts by the bill again: those whose interval, prices or lines
        changed between two instants. Estimates move to the ends and begins of windows, or back;
        bounds stay.
        """
        # an account without a bill costs no query more
        if self._has_no_bill:
            return
        until, (was_until, rule) = self._bill_until(), self._kept_rule()
        if until is None and was_until is None:
            self._has_no_bill = True
            return
        if until == was_until and until is not None and lower > until:
            return  # the bill does not reach there yet
        # a line may take the end of a run away from the window before it, or begin after one
        if (lower, upper) != (BEGINNING, LAST):
            lower, upper = self._widened(lower, upper, until, was_until)
        # most stops are judged as before: only those that are not are written
        moved = self._settle_within(lower, upper, until)
        now = self._new_rule()
        self._keep_rule(until, now)
        # the verdict turned: every end that the bill knows moves, or moves back
        if now.is_at_stops != rule.is_at_stops:
            self._move_ends(self._all_settled(), is_at_stops=now.is_at_stops)
        else:
            self._move_ends([judged.key for judged in moved], is_at_stops=now.is_at_stops)

    def _settle_within(
        self, lower: Instant, upper: Instant, until: Instant | None
    ) -> list[_Judged]:
        """Keep what the bill says of starts and stops in a time; return those of which it says
        something else than before.
        """
        starts = [judged for judged in self._judged_starts(lower, upper, until) if judged.is_moved]
        times = [judged for judged in self._judged_times(lower, upper, until) if judged.is_moved]
        # first the starts: a stop is looked for by when its run began
        self._keep_settled([*starts, *times])
        stops = [*self._judged_stops(until, sql.STOPS_WITHIN, lower=lower, upper=upper)]
        uuids = sorted({judged.unseen.instance_uuid for judged in starts})
        for at in range(0, len(uuids), BATCH):
            among = uuids[at : at + BATCH]
            stops += self._judged_stops(until, sql.STOPS_AFTER_STARTS, uuids=among)
        moved = list({judged.key: judged for judged in stops if judged.is_moved}.values())
        self._keep_settled(moved)
        return [*starts, *times, *moved]

    def _widened(
        self, lower: Instant, upper: Instant, until: Instant | None, was_until: Instant | None
    ) -> tuple[Instant, Instant]:
        """Return the time in which the changed lines begin, in which windows before or after them end,
        with the time that the bill reaches newly, or no longer.
        """
        begun = self._ask(sql.BEGUN, lower=lower, upper=upper).scalar()
        followed = self._ask(sql.FOLLOWED, lower=lower, upper=upper).scalar()
        following = self._ask(sql.FOLLOWING, lower=lower, upper=upper).scalar()
        reached = (until, was_until) if until != was_until else ()
        if None in reached:
            return BEGINNING, LAST
        instants = [at for at in (begun, followed, following, *reached) if at is not None]
        return min([lower, *instants]), max([upper, *instants])

    def _keep_settled(self, moved: Sequence[_Judged]) -> None:
        self._database.update(
            self._conn,
            tables.instance_usage,
            ("account_id", "instance_uuid", "usage_no"),
            ("settlements", "settled_at"),
            [(*judged.settled, self._account_id, *judged.key) for judged in moved],
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
        """Return the keys of all stretches that the bill was asked for, or that it settled."""
        return [(row[0], row[1]) for row in self._ask(sql.ALL_SETTLED)]

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
        if not stretches:
            return
        changes = Changes(reopened=[(uuid, s.usage_no) for uuid, s, _ in stretches])
        cut = self._undo_usage(changes) | self.write_usage(stretches)
        self.deriver().sums.renew(cut)


class _Windows(NamedTuple):
    """Windows sorted by one of their instants."""

    windows: Sequence[SettledWindow]
    instants: Sequence[Instant]

    def between(self, lo: Instant, hi: Instant) -> Sequence[SettledWindow]:
        """Return those whose instant lies in (lo, hi]."""
        return self.windows[bisect_right(self.instants, lo) : bisect_right(self.instants, hi)]


def _is_reached(
    unseen: UnseenStop | UnseenStart | UnseenTime, until: Instant | None, prepaid: Set[int]
) -> bool:
    # a bill that has not reached the latest end may still bring the window that fits
    return until is not None and unseen.hi_s <= until and unseen.terms.charging_type not in prepaid


def _stop_of(
    uuid: str, number: int, started_at: Instant, lo: Instant, hi: Instant, *terms: Any
) -> UnseenStop:
    known = Terms(*terms)
    return UnseenStop(uuid, number, started_at, lo, hi, price_terms(known), known.gpu_nums)


def _start_of(uuid: str, number: int, lo: Instant, hi: Instant, *terms: Any) -> UnseenStart:
    known = Terms(*terms)
    return UnseenStart(uuid, number, lo, hi, price_terms(known), known.gpu_nums)


def _time_of(uuid: str, number: int, lo: Instant, hi: Instant, *terms: Any) -> UnseenTime:
    known = Terms(*terms)
    return UnseenTime(uuid, number, lo, hi, price_terms(known), known.gpu_nums)
