"""How far estimates are from the truth: `python -m bench.truth --instances 200 --days 7`.

Generated fleets are watched at several intervals, also through outages, by servers whose clocks differ,
and without starts; each row is an interval and a kind of fleet, and says the mean error of an
instance-day in % of running time: by the middle alone, by status, and with the bill; and the
instance-days whose truth is not between their bounds, which must be none.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from bench.truth_fleets import DAY_S, KINDS, Kind
from etl.history.codes import SEEDED
from etl.history.days import Zone
from etl.history.ends import middle
from etl.history.stretches import Stretch
from etl.money.billing.evidence import LONGEST_USUAL_BOOT_S
from etl.money.billing.stops import (
    NEWEST,
    SettledWindow,
    Settling,
    UnseenStart,
    UnseenStop,
    UnseenTime,
    settled_windows,
    settlement_rule,
)
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import PricePeriod, PriceTerms
from etl.poll import SKEW_S, Instant
from etl.simcloud import Charging, Life, Line, Money
from etl.store.price_periods import price_terms
from etl.store.settling_sql import JUDGED, SETTLEABLE
from tests.conftest import ZONE
from tests.memory import Memory
from tests.watched import Watch

DAYS = Zone(ZONE)
Estimate = Callable[[Stretch], Instant]


@dataclass
class Errors:
    """Running seconds, the sum of the errors of instance-days, and how many are out of bounds."""

    truth: int = 0
    error: int = 0
    outside: int = 0

    @property
    def percent(self) -> float:
        return 100 * self.error / max(1, self.truth)


def by_middle(stretch: Stretch) -> Instant:
    """The end as it was estimated before: a timer, else the middle."""
    assert stretch.ended_min is not None
    assert stretch.ended_at is not None
    assert stretch.ended_max is not None
    if stretch.evidence == "booting":
        return stretch.started_at
    if stretch.end_evidence in ("status", "middle") or stretch.evidence == "unseen_run":
        return middle(stretch.ended_min, stretch.ended_max)
    return stretch.ended_at


def by_status(stretch: Stretch) -> Instant:
    assert stretch.ended_at is not None
    return stretch.ended_at


def errors(watch: Watch, memory: Memory, estimate: Estimate) -> Errors:
    """Compare the days of all instances with the truth."""
    sums = Errors()
    days = list(DAYS.calendar(DAYS.local_date(watch.first), DAYS.local_date(watch.horizon - 1)))
    for life in watch.fleet.lives:
        stretches = memory.stretches.get(life.instance_uuid, {}).values()
        running = [s for s in stretches if s.kind == "running"]
        for day in days:
            since, until = max(watch.first, day.starts_s), min(watch.horizon, day.ends_s)
            _compare(sums, life, running, since, until, watch.horizon, estimate)
    return sums


def _compare(
    sums: Errors,
    life: Life,
    running: Iterable[Stretch],
    since: Instant,
    until: Instant,
    horizon: Instant,
    estimate: Estimate,
) -> None:
    true_s = life.running(since, until)
    least = likely = most = 0
    for s in running:
        is_open = s.ended_at is None
        never = is_open and s.evidence == "booting"
        ends = (
            s.started_at if never else horizon if is_open else s.ended_min,
            s.started_at if never else horizon if is_open else estimate(s),
            horizon if is_open else s.ended_max,
        )
        parts = [max(0, min(until, end) - max(since, s.started_at)) for end in ends]  # type: ignore[operator, type-var]
        least, likely, most = least + parts[0], likely + parts[1], most + parts[2]
    sums.truth += true_s
    sums.error += abs(likely - true_s)
    sums.outside += not least <= true_s <= most


class Bill:
    """The bill of a provider as it is read long after a fleet's last day, and what it says of the
    stretches that polls alone gave. It stands in for `etl.store.settling`, without a database.
    """

    def __init__(self, money: Money, model: ChargingModel, until: Instant) -> None:
        lines = [line for line in money.lines(until) if line.settle_end > line.settle_start]
        self._money, self._until = money, until
        self._by_end = _Windows(lines, lambda line: line.settle_end)
        self._by_begin = _Windows(lines, lambda line: line.settle_start)
        self._begun = {(line.settle_start, line.remark) for line in lines}
        self._ended = {(line.settle_end, line.remark) for line in lines}
        self._begun_s = {line.settle_start for line in lines}
        self._from_start = model.counts_from == "start"
        self._settling = Settling(model, self._periods, self._by_end.at)

    def estimate(self, memory: Memory) -> Estimate:
        """Return the estimate of ends by polls and this bill."""
        kept = [(uuid, s) for uuid, mine in memory.stretches.items() for s in mine.values()]
        possible = [(u, s) for u, s in kept if s.evidence == "possible_run"]
        starts, times = self._starts(memory, possible), self._times(memory, possible)
        stops = self._stops(kept, starts)
        judged = sorted(
            (s for s in stops.values() if s.evidence in JUDGED and s.settlements is not None),
            key=lambda s: -(s.ended_max or 0),
        )
        self.rule = settlement_rule(
            s.settlements for s in judged[:NEWEST] if s.settlements is not None
        )
        known = {**starts, **times, **stops}

        def estimate(stretch: Stretch) -> Instant:
            settled = known.get(id(stretch), stretch)
            return by_status(settled.with_bill(is_at_stops=self.rule.is_at_stops))

        return estimate

    def _starts(
        self, memory: Memory, possible: Iterable[tuple[str, Stretch]]
    ) -> dict[int, Stretch]:
        """Return the times in which a run began that names no start, with what the bill says."""
        unseen = {
            _start_of(uuid, s): s
            for uuid, s in possible
            if (after := memory.stretches[uuid].get(s.usage_no + 1))
            and after.evidence == "unknown_start"
            and after.started_at == s.ended_max
        }
        asked = (
            (start, self._by_begin.between(start.lo_s, start.hi_s, self._ended)) for start in unseen
        )
        return {
            id(unseen[start]): replace(unseen[start], settlements=count, settled_at=at)
            for start, (count, at) in self._settling.begun(asked)
        }

    def _times(self, memory: Memory, possible: Iterable[tuple[str, Stretch]]) -> dict[int, Stretch]:
        """Return the times before a start in which runs may have gone unseen, with what the bill says."""
        known = sorted(
            s.started_at
            for mine in memory.stretches.values()
            for s in mine.values()
            if s.kind == "running" and s.evidence != "possible_run"
        )
        before_s = SKEW_S + (0 if self._from_start else LONGEST_USUAL_BOOT_S)
        unseen = {
            UnseenTime(*_start_of(uuid, s)): s
            for uuid, s in possible
            if (after := memory.stretches[uuid].get(s.usage_no + 1))
            and after.evidence != "unknown_start"
            and after.started_at == s.ended_max
        }
        asked = []
        for time in unseen:
            windows = self._by_begin.between(time.lo_s, time.hi_s, self._ended)
            inside = [
                w
                for w in windows
                if w.ends_s <= time.hi_s
                and w.ends_s not in self._begun_s
                and bisect_left(known, w.starts_s - before_s)
                == bisect_right(known, w.starts_s + SKEW_S)
            ]
            asked.append((time, inside))
        return {
            id(unseen[time]): replace(unseen[time], settlements=count, settled_at=at)
            for time, (count, at) in self._settling.unseen_runs(asked)
        }

    def _stops(
        self, kept: Iterable[tuple[str, Stretch]], starts: Mapping[int, Stretch]
    ) -> dict[int, Stretch]:
        """Return the stretches whose stops the bill may know, with what it says."""
        begun = {
            (uuid, s.usage_no + 1): starts[id(s)].settled_at for uuid, s in kept if id(s) in starts
        }
        unseen = {}
        for uuid, s in kept:
            began_at = s.started_at if s.evidence in SETTLEABLE else begun.get((uuid, s.usage_no))
            is_open = s.kind != "running" or s.ended_at is None or s.ended_min == s.ended_max
            if began_at is not None and not is_open:
                unseen[_stop_of(uuid, s, began_at)] = s
        asked = ((stop, self._by_end.between(stop.lo_s, stop.hi_s, self._begun)) for stop in unseen)
        return {
            id(unseen[stop]): replace(unseen[stop], settlements=count, settled_at=at)
            for stop, (count, at) in self._settling.settled(asked)
        }

    def _periods(self, terms: PriceTerms) -> list[PricePeriod]:
        hour = 0 if terms.no_card else self._money.prices.at(terms.gpu_name, self._until).hour
        flat = self._money.charging.no_card_hour if terms.no_card else 0
        return [PricePeriod(0, FOREVER, "running", "list", 3600, False, hour, hour, hour, flat)]


class _Windows:
    """Lines of a bill by one instant of their windows."""

    def __init__(self, lines: Iterable[Line], key: Callable[[Line], Instant]) -> None:
        self._lines: dict[Instant, list[Line]] = defaultdict(list)
        for line in lines:
            self._lines[key(line)].append(line)
        self._instants = sorted(self._lines)

    def at(self, instants: Iterable[Instant]) -> list[SettledWindow]:
        return _gathered(line for at in instants for line in self._lines.get(at, ()))

    def between(
        self, lo: Instant, hi: Instant, joined: Set[tuple[Instant, str]]
    ) -> list[SettledWindow]:
        """Return the windows whose instant lies in (lo, hi], unless another of its kind joins there."""
        found = self._instants
        chosen = found[bisect_right(found, lo) : bisect_right(found, hi)]
        return _gathered(
            line for at in chosen for line in self._lines[at] if (at, line.remark) not in joined
        )


def _gathered(lines: Iterable[Line]) -> list[SettledWindow]:
    return settled_windows((x.settle_start, x.settle_end, x.order_number, x.amount) for x in lines)


def _stop_of(uuid: str, s: Stretch, began_at: Instant) -> UnseenStop:
    assert s.ended_min is not None
    assert s.ended_max is not None
    terms = price_terms(s.terms)
    return UnseenStop(uuid, s.usage_no, began_at, s.ended_min, s.ended_max, terms, s.terms.gpu_nums)


def _start_of(uuid: str, s: Stretch) -> UnseenStart:
    assert s.ended_max is not None
    terms = price_terms(s.terms)
    return UnseenStart(uuid, s.usage_no, s.started_at, s.ended_max, terms, s.terms.gpu_nums)


PROVIDERS: Mapping[str, tuple[Charging, ChargingModel]] = {
    "own hours and stops": (Charging(), ChargingModel()),
    "full hours and stops": (Charging(settles="clock"), ChargingModel()),
    "begun hours, at stops": (
        Charging(by="hour", settle_every_s=30 * DAY_S, rounding="up"),
        ChargingModel("start", 3600),
    ),
    "begun minutes from running": (
        Charging(counts_from="running", by="minute"),
        ChargingModel("running", 60),
    ),
    "slots of an hour": (Charging(settles="slots"), ChargingModel()),
    "windows of begun hours": (
        Charging(settles="begun", by="hour"),
        ChargingModel("start", 3600),
    ),
    "late by two hours": (Charging(late_s=7_200), ChargingModel()),
    "tenths of a yuan": (Charging(rounding="jiao"), ChargingModel()),
}


class Row(NamedTuple):
    """An interval and a kind of fleet: errors by the middle, by status, and by each bill, in %."""

    minutes: int
    kind: str
    before: Errors
    status: Errors
    bills: Mapping[str, Errors]

    @property
    def outside(self) -> int:
        """Return the instance-days out of their bounds, by any estimate."""
        return sum(x.outside for x in (self.before, self.status, *self.bills.values()))

    def __str__(self) -> str:
        errors = (self.before, self.status, *self.bills.values())
        values = " | ".join(f"{x.percent:.3f}" for x in errors)
        return f"| {self.minutes} | {self.kind} | {values} | {self.outside} |"


def row_of(
    kind: Kind, minutes: int, instances: int, days: float, providers: Iterable[str] = PROVIDERS
) -> Row:
    """Watch a fleet and compare the estimates with the truth."""
    watch = kind.watch(7, instances, days, 60 * minutes)
    memory = Memory(SEEDED).watch(watch.polls)
    until = watch.plans[-1].finished_at + 30 * DAY_S
    bills = {}
    for name in providers:
        charging, model = PROVIDERS[name]
        bill = Bill(Money(watch.fleet, charging), model, until)
        bills[name] = errors(watch, memory, bill.estimate(memory))
    before, status = (errors(watch, memory, by) for by in (by_middle, by_status))
    return Row(minutes, kind.words, before, status, bills)


def main(arguments: Sequence[str] | None = None) -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--instances", type=int, default=200)
    asked.add_argument("--days", type=float, default=7)
    asked.add_argument("--minutes", type=int, nargs="*", default=[1, 2, 5, 15, 60])
    asked.add_argument("--kind", nargs="*", default=[kind.words for kind in KINDS])
    asked.add_argument("--provider", nargs="*", default=list(PROVIDERS))
    chosen = asked.parse_args(arguments)
    print(f"| minutes | fleet | before | status | {' | '.join(chosen.provider)} | outside |")
    print("|---" * (len(chosen.provider) + 5) + "|")
    for minutes in chosen.minutes:
        for kind in KINDS:
            if kind.words in chosen.kind and 60 * minutes <= kind.longest_s:
                print(
                    row_of(kind, minutes, chosen.instances, chosen.days, chosen.provider),
                    flush=True,
                )


if __name__ == "__main__":
    main()
