"""What the rules look at: plain rows, whatever query they come from."""

from __future__ import annotations

from dataclasses import dataclass

from etl.alerts.words import Words
from etl.days import Zone
from etl.poll import Instant


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance as a message names it. `hour_microcny` is what all its GPUs cost an hour, None
    where the price is not known."""

    account: str
    instance_uuid: str
    title: str | None
    owner: str | None = None
    gpu_name: str | None = None
    gpu_nums: int | None = None
    hour_microcny: int | None = None

    def cost(self, seconds: int) -> int | None:
        """Millionths of a yuan for so long a run."""
        if self.hour_microcny is None:
            return None
        return self.hour_microcny * max(0, seconds) // 3_600


@dataclass(frozen=True, slots=True)
class Running:
    """What runs: since when, and until when it was surely seen to (`as_of`). `timer_at`: when it
    will be shut down. `prepaid`: it costs the same whether it runs or not."""

    machine: Machine
    since: Instant
    as_of: Instant
    timer_at: Instant | None = None
    prepaid: bool = False


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
    moment for which the last one is known."""

    account: str
    as_of: Instant
    points: tuple[tuple[Instant, int], ...]


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
    """`name` is a project or an account, `month` like 2026-11. `projected_microcny`: at the end of
    the month, None where it is not known."""

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
    complete poll; `error`: of the newest attempt, None where it went well."""

    account: str
    last_complete_at: Instant | None
    tried_since: Instant | None = None
    error: str | None = None


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
