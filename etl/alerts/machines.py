"""Instances as alerts see them: owner, cost, and whether somebody may have forgotten them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from etl.alerts.words import NOTHING, short_line
from etl.history.days import Zone, cut_by_day
from etl.money.charging import ChargingModel, Part, hour_microcny, pieces
from etl.money.tariffs import PricePeriod
from etl.poll import Instant
from etl.texts import Text, tr

# the platform carries a timer out by itself, and a poll sees that some minutes later
TIMER_GRACE_S: Final = 600
"""Seconds after which a timer that passed evidently did not stop its instance."""


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance as a message names it. `unclaimed`: it has no owner, though owners are in use."""

    account: str
    instance_uuid: str
    title: str | None
    owner: str | None = None
    gpu_name: str | None = None
    gpu_nums: int | None = None
    unclaimed: bool = False

    @property
    def words(self) -> Text:
        """Return `train (李雷), 2 × RTX 4090`. An owner whom the title names is not named again."""
        title, owner = short_line(self.title) or self.instance_uuid, short_line(self.owner)
        who = tr("unassigned") if self.unclaimed else owner
        # a run without a card costs too, and is named with none
        gpus = f"{self.gpu_nums or 0} × {short_line(self.gpu_name) or 'GPU'}"
        is_named = who and not (owner and owner in title)
        known = tr(" ({name})", name=who) if is_named else NOTHING
        return tr("{title}{owner}, {gpus}", title=title, owner=known, gpus=gpus)


@dataclass(frozen=True, slots=True)
class Meter:
    """The cost of a run by its prices over time and the charging model, now or at a later moment.

    For time that has passed it agrees with view `cost_daily`: `days` cuts the run at the same moments,
    so that both round alike.
    """

    started_at: Instant
    gpu_nums: int | None
    periods: tuple[PricePeriod, ...]
    model: ChargingModel
    days: Zone
    evidence: str = "observed"

    def cost(self, until: Instant) -> int | None:
        """Return the millionths of a yuan that it costs if it runs until then.

        None if a price of that time is not known.
        """
        parts = self._parts(until)
        costs = [
            piece.cost_microcny
            for part in parts
            for piece in pieces(part, self.periods, self.model)
        ]
        known = [cost for cost in costs if cost is not None]
        # half of a sum would be read as the whole
        return sum(known) if known and len(known) == len(costs) else None

    def hour(self, at: Instant) -> int | None:
        """Return the price of an hour of all its GPUs at that moment."""
        for price in self.periods:
            # no price of prepaid time: it is paid by the month, and costs nothing more by the hour
            if price.starts_s <= at < price.ends_s and price.kind == "running":
                return hour_microcny(price, self.gpu_nums)
        return None

    def _parts(self, until: Instant) -> Iterator[Part]:
        for day in cut_by_day(self.days, self.started_at, until, until, until):
            lengths = day.running_s, day.running_min_s, day.running_max_s
            yield Part(
                "running", self.evidence, self.started_at, day.started_at, *lengths, self.gpu_nums
            )


@dataclass(frozen=True, slots=True)
class Running:
    """An instance that runs, and since when.

    `as_of`: until when it was surely seen to run. `timer_at`: when it will be shut down. `prepaid`: it
    costs the same whether it runs or not. `meter` is None if nothing is known of its price.
    """

    machine: Machine
    since: Instant
    as_of: Instant
    timer_at: Instant | None = None
    prepaid: bool = False
    meter: Meter | None = field(default=None)
    project: str | None = None

    @property
    def is_unattended(self) -> bool:
        """Tell whether its time costs money, and no timer will stop it."""
        # by the last sighting, not by now: an unobserved machine may have been stopped by its timer
        timed = self.timer_at is not None and self.as_of < self.timer_at + TIMER_GRACE_S
        return not self.prepaid and not timed

    @property
    def hour_microcny(self) -> int | None:
        """Return the price of an hour of all its GPUs at the time last seen."""
        return None if self.meter is None else self.meter.hour(self.as_of)

    def cost(self, until: Instant) -> int | None:
        """Return the millionths of a yuan that the run costs up to a moment, past or to come."""
        return None if self.meter is None else self.meter.cost(until)
