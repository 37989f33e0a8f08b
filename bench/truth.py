"""How far estimates are from the truth: `python -m bench.truth --instances 200 --days 7`.

Generated fleets are polled at several intervals; each row is an interval and a kind of fleet, and says
the mean error of an instance-day in % of running time: by the middle alone, by status, and with the
bill; and the instance-days whose truth is not between their bounds, which must be none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from etl.history.codes import SEEDED
from etl.history.days import Zone
from etl.history.ends import middle
from etl.history.usage import Stretch
from etl.poll import Instant
from etl.simcloud import Fleet, Life
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


def main(arguments: Sequence[str] | None = None) -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--instances", type=int, default=200)
    asked.add_argument("--days", type=float, default=7)
    asked.add_argument("--minutes", type=int, nargs="*", default=[1, 2, 5, 15, 60])
    chosen = asked.parse_args(arguments)
    for minutes in chosen.minutes:
        for flapping in (0.0, 0.05, 0.3):
            fleet = Fleet.generate(
                7,
                instances=chosen.instances,
                start=MIDNIGHT,
                days=chosen.days,
                flapping=flapping,
            )
            ends = MIDNIGHT + round(chosen.days * DAY_S)
            watch = steady(fleet, MIDNIGHT, ends, 60 * minutes)
            memory = Memory(SEEDED).watch(watch.polls)
            before, status = errors(watch, memory, by_middle), errors(watch, memory, by_status)
            print(
                f"{minutes:3} min, flapping {flapping:4}: before {before.percent:.4f} %,"
                f" status {status.percent:.4f} %, outside {status.outside},"
                f" D {memory.lengths().at(ends).stopping_s} {memory.lengths().at(ends).boot_s}",
                flush=True,
            )


if __name__ == "__main__":
    main()
