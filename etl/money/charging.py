"""Charge a part of usage: count its seconds by the charging model, at every price that held.

Pure; the view `_cost_open` counts stretches that are still open by the same formulas. Seconds are
charged from the start of the stretch on, so that its parts add up: whoever has run for d seconds was
charged F(d) = max(0, d - boot) rounded up to whole steps. Each amount is rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from etl.history.lengths import USUAL_BOOT_S
from etl.money import formulas
from etl.money.tariffs import PricePeriod
from etl.poll import Instant
from etl.units import HOUR_S


@dataclass(frozen=True, slots=True)
class ChargingModel:
    """The way in which running time is charged.

    `boot_s` and `boot_max_s`: seconds after the start that are not charged if it counts from running,
    estimate and at most.
    """

    counts_from: Literal["start", "running"] = "start"
    step_s: int = 1
    # the source says that booting takes one to three minutes
    boot_s: int = USUAL_BOOT_S
    boot_max_s: int = 180

    def with_boots(self, boot_s: int, longest_s: int) -> ChargingModel:
        """Return the model with boots of a mean length, and at most as long as the longest seen."""
        most = max(self.boot_max_s, boot_s, longest_s)
        return replace(self, boot_s=boot_s, boot_max_s=most)


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a stretch that falls into one day; instants are epoch seconds."""

    kind: str
    evidence: str
    usage_started_at: Instant
    started_at: Instant
    running_s: int
    running_min_s: int
    running_max_s: int
    gpu_nums: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """The charge for a part at one price, as `usage_cost` holds it.

    Amounts are millionths of a yuan, None if the price or the number of GPUs is not known.
    """

    starts_s: Instant
    ends_s: Instant
    price_source: str
    used_s: int
    charged_s: int
    charged_min_s: int
    charged_max_s: int
    cost_microcny: int | None
    cost_min_microcny: int | None
    cost_max_microcny: int | None
    list_cost_microcny: int | None


def hour_microcny(price: PricePeriod, gpu_nums: int | None) -> int | None:
    """Return the cost of an hour of all GPUs of an instance at a price; None if it is not known."""
    gpus = formulas.chargeable_gpus(gpu_nums)
    if gpus is None or price.price_microcny is None:
        return None
    rate = formulas.rate(gpus, price.price_microcny, price.flat_microcny or 0)
    return formulas.amount_min(HOUR_S, rate, price.per_s)


def pieces(
    part: Part,
    periods: Sequence[PricePeriod],
    model: ChargingModel,
    cuts: Sequence[Instant] = (),
) -> Iterator[Piece]:
    """Charge a part at each of its prices, one piece for each; none if its kind is not charged so.

    `cuts` are the moments, in order, at which somebody else begins to pay: no piece spans one.
    """
    begins, origin = part.started_at, part.usage_started_at
    # the latest end: bounds need the prices up to there
    ends = begins + part.running_max_s
    for period in _split_at(periods, [cut for cut in cuts if begins < cut < ends]):
        if period.starts_s >= ends or period.ends_s <= begins or period.kind != part.kind:
            continue
        at = max(period.starts_s, begins)
        # Ages, not lengths: whole steps are counted from the start of the stretch, so that its parts
        # add up to what the stretch as a whole is charged.
        least, estimate, most = (
            formulas.clamped(begins + length, at, period.ends_s) - origin
            for length in (part.running_min_s, part.running_s, part.running_max_s)
        )
        charged = _charged_seconds(part, model, at - origin, least, estimate, most)
        gpus = formulas.chargeable_gpus(part.gpu_nums)
        yield _piece_at(at, origin + estimate, charged, gpus, period)


def _split_at(periods: Sequence[PricePeriod], cuts: Sequence[Instant]) -> Iterator[PricePeriod]:
    """Split periods at the moments inside them."""
    for period in periods:
        inside = [cut for cut in cuts if period.starts_s < cut < period.ends_s]
        # a piece is paid by one payer: nobody pays for the rest of another's day
        if inside:
            for starts_s, ends_s in pairwise((period.starts_s, *inside, period.ends_s)):
                yield replace(period, starts_s=starts_s, ends_s=ends_s)
        else:
            yield period


def _charged_seconds(
    part: Part, model: ChargingModel, begins: int, least: int, estimate: int, most: int
) -> tuple[int, int, int]:
    """Return the seconds charged between two ages of a stretch: estimate, at least, at most."""
    kind, evidence = part.kind, part.evidence
    # if the begin of a run is not known, nobody knows where its steps begin
    is_certain = formulas.knows_steps(kind, evidence, model.step_s)
    most_step_s = formulas.most_step_of(kind, model.step_s)
    boot_s, boot_max_s = (
        formulas.boot_of(kind, evidence, seconds if model.counts_from == "running" else 0)
        for seconds in (model.boot_s, model.boot_max_s)
    )
    step_s = formulas.step_of(kind, evidence, model.step_s)
    return (
        formulas.charged(begins, estimate, boot_s, step_s),
        formulas.charged_min(begins, least, boot_max_s, most_step_s, is_certain),
        formulas.charged_max(begins, most, boot_max_s, most_step_s, is_certain),
    )


def _piece_at(
    at: Instant,
    ends_s: Instant,
    charged: tuple[int, int, int],
    gpus: int | None,
    price: PricePeriod,
) -> Piece:
    cost, cost_min, cost_max = _costs(charged, gpus, price)
    return Piece(
        at,
        ends_s,
        # also if the price is known and the number of GPUs is not
        "unknown" if cost is None else price.price_source,
        ends_s - at,
        *charged,
        cost,
        cost_min,
        cost_max,
        _list_cost(charged[0], gpus, price),
    )


def _costs(
    charged: tuple[int, int, int], gpus: int | None, price: PricePeriod
) -> tuple[int | None, int | None, int | None]:
    """Return the cost of charged seconds: estimate, at least, at most."""
    if gpus is None or price.price_microcny is None:
        return None, None, None
    charged_s, charged_min_s, charged_max_s = charged
    rate, rate_min, rate_max = (
        formulas.rate(gpus, microcny or 0, price.flat_microcny or 0)
        for microcny in (price.price_microcny, price.price_min_microcny, price.price_max_microcny)
    )
    return (
        formulas.amount(charged_s, rate, price.per_s),
        formulas.amount_min(charged_min_s, rate_min, price.per_s),
        formulas.amount_max(charged_max_s, rate_max, price.per_s),
    )


def _list_cost(charged_s: int, gpus: int | None, price: PricePeriod) -> int | None:
    if gpus is None or price.list_microcny is None:
        return None
    # the image costs nothing: the list has prices of GPUs alone
    listed = formulas.rate(gpus, price.list_microcny, 0)
    return formulas.amount(charged_s, listed, price.list_per_s)
