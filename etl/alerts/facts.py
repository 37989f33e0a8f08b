"""What the rules look at: plain rows, whatever query they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etl.alerts.words import Words
from etl.history.days import Zone, cut
from etl.money.charging import ChargingModel, Part, hour_microcny, pieces
from etl.money.pricing import PricePeriod
from etl.poll import Instant


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance as a message names it. `unclaimed`: owners are known, but none for it."""

    account: str
    instance_uuid: str
    title: str | None
    owner: str | None = None
    gpu_name: str | None = None
    gpu_nums: int | None = None
    unclaimed: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """What a run costs, by the prices over time of its terms and the charging model, as `cost_daily`
    says it of the time that has passed. `days` cuts it as that does, so that both round alike."""

    started_at: Instant
    gpu_nums: int | None
    periods: tuple[PricePeriod, ...]
    model: ChargingModel
    days: Zone
    evidence: str = "observed"

    def cost(self, until: Instant) -> int | None:
        """Millionths of a yuan from the start on, if it runs so long; None where a price of that
        time is not known."""
        parts = self._parts(until)
        found = [piece for part in parts for piece in pieces(part, self.periods, self.model)]
        known = [piece.cost_microcny for piece in found if piece.cost_microcny is not None]
        return sum(known) if known and len(known) == len(found) else None

    def hour(self, at: Instant) -> int | None:
        """What an hour costs at that moment."""
        for price in self.periods:
            if price.starts_s <= at < price.ends_s and price.kind == "running":
                return hour_microcny(price, self.gpu_nums)
        return None

    def _parts(self, until: Instant) -> Iterator[Part]:
        for day in cut(self.days, self.started_at, until, until, until):
            lengths = day.running_s, day.running_min_s, day.running_max_s
            yield Part(
                "running", self.evidence, self.started_at, day.started_at, *lengths, self.gpu_nums
            )


@dataclass(frozen=True, slots=True)
class Running:
    """What runs: since when, and until when it was surely seen to (`as_of`). `timer_at`: when it
    will be shut down. `prepaid`: it costs the same whether it runs or not. `meter` is None where
    nothing is known of its price."""

    machine: Machine
    since: Instant
    as_of: Instant
    timer_at: Instant | None = None
    prepaid: bool = False
    meter: Meter | None = None

    @property
    def hour_microcny(self) -> int | None:
        """What all its GPUs cost an hour now."""
        return None if self.meter is None else self.meter.hour(self.as_of)

    def cost(self, until: Instant) -> int | None:
        """Millionths of a yuan of this run up to a moment, past or to come."""
        return None if self.meter is None else self.meter.cost(until)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that ended. `cost_microcny` is None where it is not known."""

    machine: Machine
    started_at: Instant
    ended_at: Instant
    running_s: int
    cost_microcny: int | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left in all, over time, oldest first; each holds until the next. `as_of`: the newest
    moment for which the last one is known. `running_microcny`: what runs now costs an hour."""

    account: str
    as_of: Instant
    points: tuple[tuple[Instant, int], ...]
    running_microcny: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """A compute card with something left on it."""

    account: str
    uuid: str
    title: str | None
    left_microcny: int
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Budget:
    """`scope` is project or account, `name` its name, `month` like 2026-11. `projected_microcny`: at
    the end of the month, None where that cannot be told yet."""

    scope: str
    name: str
    month: str
    budget_microcny: int
    spent_microcny: int
    projected_microcny: int | None = None


@dataclass(frozen=True, slots=True)
class DayCost:
    """What a day cost, so far or in all. `day` is ISO text."""

    account: str
    day: str
    cost_microcny: int


@dataclass(frozen=True, slots=True)
class Polling:
    """How the polls of an account's instances go. `tried_since`: the first attempt after the last
    complete poll; `error`: of the newest attempt, None where it went well. `due_at`: the newest tick
    of its schedule that should be done by now; None where nobody knows of a schedule."""

    account: str
    last_complete_at: Instant | None
    tried_since: Instant | None = None
    error: str | None = None
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """A code that the lookups do not know. `kind` is status or charging."""

    account: str
    kind: str
    code: int
    instances: int


@dataclass(frozen=True, slots=True)
class FailedImage:
    machine: Machine
    failed_at: Instant


@dataclass(frozen=True, slots=True)
class DueDigest:
    """A digest whose time has come. `key` names its period."""

    key: str
    words: Words


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the rules need to know at one moment.

    `watching_since`: since when somebody has looked without a break; where nobody did, nothing can
    be said to have stopped. `open_keys` are the causes that held until now.
    """

    zone: Zone
    watching_since: Instant
    running: tuple[Running, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    balances: tuple[Balance, ...] = ()
    cards: tuple[Card, ...] = ()
    budgets: tuple[Budget, ...] = ()
    day_costs: tuple[DayCost, ...] = ()
    polling: tuple[Polling, ...] = ()
    unknown_codes: tuple[UnknownCode, ...] = ()
    failed_images: tuple[FailedImage, ...] = ()
    digests: tuple[DueDigest, ...] = ()
    open_keys: frozenset[str] = frozenset()
