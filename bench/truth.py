"""How far estimates are from the truth: `python -m bench.truth --instances 200 --days 7`.

Generated fleets are polled at several intervals; each row is an interval and a kind of fleet, and says
the mean error of an instance-day in % of running time: by the middle alone, by status, and with the
bill; and the instance-days whose truth is not between their bounds, which must be none.
"""

from __future__ import annotations

import argparse
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from etl.history.codes import SEEDED
from etl.history.days import Zone
from etl.history.ends import middle
from etl.history.stretches import Stretch
from etl.money.billing.stops import (
    SettledWindow,
    Settling,
    UnseenStop,
    settled_windows,
    settlement_rule,
)
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import PricePeriod, PriceTerms
from etl.poll import Instant
from etl.simcloud import Charging, Fleet, Life, Line, Money
from etl.store.price_periods import price_terms
from etl.store.settling import SETTLEABLE
from tests.conftest import ZONE
from tests.memory import Memory
from tests.watched import MIDNIGHT, Watch, steady

DAY_S = 86_400
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
    if stretch.end_evidence in ("status", "middle", "settled"):
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


def by_bill(memory: Memory, money: Money, model: ChargingModel, until: Instant) -> Estimate:
    """Return the estimate with the bill as it is read long after the fleet's last day."""
    lines = [line for line in money.lines(until) if line.settle_end > line.settle_start]
    begun = {(line.settle_start, line.remark) for line in lines}
    keys = {id(line): (line.settle_start, line.settle_end) for line in lines}

    def windows_of(chosen: Iterable[Line]) -> list[SettledWindow]:
        return settled_windows((*keys[id(x)], x.order_number, x.amount) for x in chosen)

    by_end: dict[Instant, list[Line]] = defaultdict(list)
    for line in lines:
        by_end[line.settle_end].append(line)
    ends = sorted(at for at in by_end)

    def inside(stop: UnseenStop) -> list[SettledWindow]:
        chosen = ends[bisect_right(ends, stop.lo_s) : bisect_right(ends, stop.hi_s)]
        return windows_of(
            line for at in chosen for line in by_end[at] if (at, line.remark) not in begun
        )

    def periods(terms: PriceTerms) -> list[PricePeriod]:
        hour = 0 if terms.no_card else money.prices.at(terms.gpu_name, until).hour
        flat = money.charging.no_card_hour if terms.no_card else 0
        return [PricePeriod(0, FOREVER, "running", "list", 3600, False, hour, hour, hour, flat)]

    settling = Settling(model, periods, lambda at: windows_of(x for t in at for x in by_end[t]))
    stops = {
        _stop_of(uuid, s): s
        for uuid, kept in memory.stretches.items()
        for s in kept.values()
        if s.kind == "running"
        and s.evidence in SETTLEABLE
        and s.ended_at is not None
        and s.ended_min != s.ended_max
    }
    found = {
        id(stops[stop]): replace(stops[stop], settlements=settled[0], settled_at=settled[1])
        for stop, settled in settling.settled((stop, inside(stop)) for stop in stops)
    }
    newest = sorted(found.values(), key=lambda s: -(s.ended_max or 0))
    rule = settlement_rule(
        s.settlements for s in newest if s.evidence == "observed" and s.settlements is not None
    )

    def estimate(stretch: Stretch) -> Instant:
        known = found.get(id(stretch), stretch)
        return by_status(known.with_bill(is_at_stops=rule.is_at_stops))

    return estimate


def _stop_of(uuid: str, s: Stretch) -> UnseenStop:
    assert s.ended_min is not None
    assert s.ended_max is not None
    terms = price_terms(s.terms)
    return UnseenStop(
        uuid, s.usage_no, s.started_at, s.ended_min, s.ended_max, terms, s.terms.gpu_nums
    )


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


def rows_of(
    instances: int, days: float, minutes: int, flapping: float, providers: Iterable[str]
) -> Iterator[str]:
    """Yield the row of an interval and a fleet: errors by the middle, by status, and by each bill."""
    fleet = Fleet.generate(
        7, instances=instances, start=MIDNIGHT, days=days, flapping=flapping, prepaid=0
    )
    ends = MIDNIGHT + round(days * DAY_S)
    watch = steady(fleet, MIDNIGHT, ends, 60 * minutes)
    memory = Memory(SEEDED).watch(watch.polls)
    found = [errors(watch, memory, by_middle), errors(watch, memory, by_status)]
    for name in providers:
        charging, model = PROVIDERS[name]
        bill = by_bill(memory, Money(fleet, charging), model, ends + 30 * DAY_S)
        found.append(errors(watch, memory, bill))
    values = " | ".join(f"{each.percent:.3f}" for each in found)
    yield f"| {minutes} | {flapping:.0%} | {values} | {sum(each.outside for each in found)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--instances", type=int, default=200)
    asked.add_argument("--days", type=float, default=7)
    asked.add_argument("--minutes", type=int, nargs="*", default=[1, 2, 5, 15, 60])
    asked.add_argument("--flapping", type=float, nargs="*", default=[0.0, 0.05, 0.3])
    chosen = asked.parse_args(arguments)
    print(f"| minutes | flapping | before | status | {' | '.join(PROVIDERS)} | outside |")
    print("|---" * (len(PROVIDERS) + 5) + "|")
    for minutes in chosen.minutes:
        for flapping in chosen.flapping:
            size = chosen.instances, chosen.days
            for row in rows_of(*size, minutes, flapping, PROVIDERS):
                print(row, flush=True)


if __name__ == "__main__":
    main()
