"""Charging model of the simulated cloud, and the true cost of each life by it.

Amounts are whole millionths of a yuan. A cost is defined as the charge up to an instant, rounded
down to a millionth once, so that the costs of adjoining stretches of time always add up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, Protocol

from etl.poll import Instant
from etl.simcloud.life import FOREVER, Life, Run
from etl.simcloud.prices import HOUR_S, PERIODS_S, PriceList

PREPAID: Final = {2: "day", 3: "week", 4: "month"}
"""The simulation's own codes of prepaid charging; every other code is charged by time."""
STEPS_S: Final = {"second": 1, "minute": 60, "hour": 3_600}


@dataclass(frozen=True, slots=True)
class Charging:
    """Hidden parameters of the bill.

    A run costs GPUs x list price (a run without GPUs: `no_card_hour`), and the `image_hour` of its
    image, once a run or, with `image_per_gpu`, for each GPU. It counts from its start_time or,
    without booting, from running; a run that ends while it boots is free. Time counts `by` second,
    minute or hour: each is charged when it has begun, or, `rounds` to the nearest, when half of it
    has passed, at the price in force at its beginning. A stopped instance costs `stopped_hour`, by
    the second. Prepaid periods begin with the charging type, at the price of that moment, and are
    renewed until the instance is destroyed or charged otherwise.

    It settles `settle_every_s` (of a run, from where it counts) and at its end; stopped time every
    24 hours and at its end; a prepaid period when it begins. The line appears `lag_s` later. Each
    line is rounded to the fen as `rounding` says, `jiao` to ten of them; one of no fen is not made. `order_numbers` are
    one a line, or one a run. `shows_period`: a prepaid line settles its period, else its moment.
    `settles` is how a run's windows are cut: from its own begin (`run`), at full marks of the clock and
    its end (`clock`), in whole slots of the clock (`slots`), or in whole steps from its begin, the last
    one ending after it (`begun`). Windows are shown `late_s` later than they were.
    Amounts an hour are millionths of a yuan.
    """

    counts_from: Literal["start_time", "running"] = "start_time"
    by: Literal["second", "minute", "hour"] = "second"
    rounds: Literal["begun", "nearest"] = "begun"
    image_hour: Mapping[str, int] = field(default_factory=dict)
    image_per_gpu: bool = False
    no_card_hour: int = 100_000
    stopped_hour: int = 0
    settle_every_s: int = 3_600
    lag_s: int = 0
    rounding: Literal["half_up", "down", "up", "jiao"] = "half_up"
    order_numbers: Literal["line", "run"] = "line"
    shows_period: bool = True
    settles: Literal["run", "clock", "slots", "begun"] = "run"
    late_s: int = 0


class Cost(Protocol):
    """Something that costs from `begins` to `ends` (`FOREVER`: not yet over)."""

    @property
    def begins(self) -> Instant: ...

    @property
    def ends(self) -> Instant: ...

    def by(self, t: Instant) -> int:
        """Return the cost up to t."""
        ...


@dataclass(frozen=True, slots=True)
class Metered:
    """Time charged by the hour at `rates`: millionths an hour from when on, the first from 0."""

    kind: Literal["run", "stopped"]
    begins: Instant
    ends: Instant
    rates: tuple[tuple[Instant, int], ...]
    step_s: int = 1
    nearest: bool = False

    def by(self, t: Instant) -> int:
        steps = self._steps(max(0, min(t, self.ends) - self.begins))
        total = 0
        for (at, rate), (until, _) in pairwise((*self.rates, (FOREVER, 0))):
            first, last = self._first_step(at), min(steps, self._first_step(until))
            total += rate * self.step_s * max(0, last - first)
        # one division at the end: rounding each part would lose millionths
        return total // HOUR_S

    def _steps(self, seconds: int) -> int:
        """Return how many steps are charged after that many seconds."""
        return (seconds + (self.step_s // 2 if self.nearest else self.step_s - 1)) // self.step_s

    def _first_step(self, at: Instant) -> int:
        """Return the number of the first step that begins at an instant or after it."""
        return max(0, -((self.begins - at) // self.step_s))


@dataclass(frozen=True, slots=True)
class PrepaidPeriod:
    """A prepaid period. Its price accrues evenly as it passes; the rest is lost when the instance is
    no longer held, at `ends`."""

    unit: str
    begins: Instant
    ends: Instant
    price: int

    @property
    def paid_until(self) -> Instant:
        return self.begins + PERIODS_S[self.unit]

    def by(self, t: Instant) -> int:
        held_s = max(0, min(t, self.ends) - self.begins)
        return self.price * held_s // PERIODS_S[self.unit]


def costs_of(
    life: Life, charging: Charging, prices: PriceList, until: Instant
) -> Iterator[Metered | PrepaidPeriod]:
    """Return the costs of a life that begin by `until`."""
    # each is charged by itself: what a run cost does not hang on those before it
    for run in life.runs:
        cost = _of_run(life, run, charging, prices)
        if cost is not None and cost.begins <= until:
            yield cost
    # as a rule it is free: then there is nothing to go through
    if charging.stopped_hour:
        yield from (c for c in _stopped(life, charging) if c.begins <= until)
    yield from _periods(life, prices, until)


def _of_run(life: Life, run: Run, charging: Charging, prices: PriceList) -> Metered | None:
    ends = _run_end(life, run)
    # a boot that failed is free
    if run.charging_type in PREPAID or ends <= run.up_at:
        return None
    # a source that shows no start before it runs cannot count from it
    at_start = charging.counts_from == "start_time" and life.options.start_time_at_boot
    return Metered(
        "run",
        run.start if at_start else run.up_at,
        ends,
        _rates(life, run, charging, prices),
        STEPS_S[charging.by],
        charging.rounds == "nearest",
    )


def _rates(
    life: Life, run: Run, charging: Charging, prices: PriceList
) -> tuple[tuple[Instant, int], ...]:
    image = charging.image_hour.get(life.image[0], 0)
    if charging.image_per_gpu:
        image *= run.gpu_nums
    if not run.gpu_nums:
        # without a GPU no list price holds: such runs have a low price of their own
        return ((0, charging.no_card_hour + image),)
    return tuple(
        (at, run.gpu_nums * price.for_unit("hour") + image)
        for at, price in prices.changes(run.gpu_name)
    )


def _stopped(life: Life, charging: Charging) -> Iterator[Metered]:
    """Yield the costs of the time between runs, from creation to destruction, unless it is
    prepaid.
    """
    begins, charging_type = life.create_time, life.charging_type
    gone = life.destroyed_at or FOREVER
    for until, after, then in (
        *((run.start, _run_end(life, run), run.charging_type) for run in life.runs),
        (gone, gone, 0),
    ):
        if begins < until and charging_type not in PREPAID:
            yield Metered("stopped", begins, min(until, gone), ((0, charging.stopped_hour),))
        begins, charging_type = after, then


def _periods(life: Life, prices: PriceList, until: Instant) -> Iterator[PrepaidPeriod]:
    for begins, ends, unit in _held(life):
        at = begins
        while at < ends and at <= until:
            gpu_name, gpu_nums = _hardware(life, at)
            price = gpu_nums * prices.at(gpu_name, at).for_unit(unit)
            yield PrepaidPeriod(unit, at, min(ends, at + PERIODS_S[unit]), price)
            # renewed at the price of that moment, not at the one it was first paid at
            at += PERIODS_S[unit]


def _held(life: Life) -> Iterator[tuple[Instant, Instant, str]]:
    """Yield when an instance is held, and by which prepaid unit."""
    terms = [(life.create_time, life.charging_type)]
    terms += [(run.start, run.charging_type) for run in life.runs]
    # another run on the same terms renews nothing
    changes = [
        term for number, term in enumerate(terms) if not number or term[1] != terms[number - 1][1]
    ]
    gone = life.destroyed_at or FOREVER
    for (begins, charging_type), (ends, _) in pairwise((*changes, (gone, 0))):
        if charging_type in PREPAID:
            yield begins, min(ends, gone), PREPAID[charging_type]


def _hardware(life: Life, t: Instant) -> tuple[str, int]:
    """Return the GPUs that are held at t: those of the newest run that had any."""
    index = bisect_right(life.runs, t, key=lambda run: run.start)
    # a run without GPUs gives none of them back: they stay paid
    for run in reversed(life.runs[:index]):
        if run.gpu_nums:
            return run.gpu_name, run.gpu_nums
    return life.gpu_name, life.gpu_nums


def _run_end(life: Life, run: Run) -> Instant:
    return min(run.end or FOREVER, life.destroyed_at or FOREVER)
