"""Settlement of the cost of lives as charges, each rounded to the fen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from etl.poll import Instant
from etl.simcloud.charging import Charging, Metered, PrepaidPeriod, costs_of
from etl.simcloud.life import Life
from etl.simcloud.prices import PriceList

Window: TypeAlias = tuple[Instant, Instant]
FEN: Final = 10_000
"""Millionths of a yuan."""
STOPPED_EVERY_S: Final = 86_400
REMARKS: Final = {
    "run": "实例按量计费",
    "stopped": "实例关机保留",
    "day": "实例包天",
    "week": "实例包周",
    "month": "实例包月",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount (millionths, whole fen) that is due at `at` for a window. `order` tells orders
    apart; `instance_uuid` is the truth, which no bill shows."""

    at: Instant
    settle_start: Instant
    settle_end: Instant
    amount: int
    remark: str
    order: str
    instance_uuid: str | None = None


def charges_of(
    lives: Iterable[Life], charging: Charging, prices: PriceList, until: Instant
) -> list[Charge]:
    """Return the charges of lives that are due by `until`, oldest first. They do not depend on what
    happens later.
    """
    charges = (
        charge
        for life in lives
        for cost in costs_of(life, charging, prices, until)
        for charge in _charges(life.instance_uuid, cost, charging, until)
        if charge.amount
    )
    return sorted(charges, key=lambda charge: (charge.at, charge.settle_start, charge.order))


def to_fen(amount: int, rounding: str) -> int:
    """Return millionths rounded to whole fen, as `Charging.rounding` says."""
    more = {"half_up": FEN // 2, "down": 0, "up": FEN - 1}[rounding]
    return (amount + more) // FEN * FEN


def settlement_windows(
    begins: Instant, ends: Instant, every_s: int, until: Instant
) -> Iterator[Window]:
    """Yield the windows of a run that have ended by `until`."""
    at = begins
    while at < ends:
        to = min(at + every_s, ends)
        if to > until:
            return
        yield at, to
        at = to


def _charges(
    uuid: str, cost: Metered | PrepaidPeriod, charging: Charging, until: Instant
) -> Iterator[Charge]:
    if isinstance(cost, PrepaidPeriod):
        at = cost.begins
        if at + charging.lag_s <= until:
            ends = cost.paid_until if charging.shows_period else at
            yield _charge(uuid, cost.unit, (at, ends), at, cost.price, charging)
        return
    every_s = charging.settle_every_s if cost.kind == "run" else STOPPED_EVERY_S
    run = cost.begins if charging.order_numbers == "run" else None
    charged = 0
    for begins, ends in settlement_windows(cost.begins, cost.ends, every_s, until - charging.lag_s):
        now = cost.by(ends)
        yield _charge(uuid, cost.kind, (begins, ends), ends, now - charged, charging, run)
        charged = now


def _charge(
    uuid: str,
    kind: str,
    window: Window,
    at: Instant,
    amount: int,
    charging: Charging,
    run: Instant | None = None,
) -> Charge:
    begins, ends = window
    order = f"{uuid}/{kind}/{begins if run is None else run}"
    rounded = to_fen(amount, charging.rounding)
    return Charge(at + charging.lag_s, begins, ends, rounded, REMARKS[kind], order, uuid)


def order_number(order: str) -> str:
    """Return an order number of twenty digits, as the source's are: too long for a float."""
    return str(int(sha256(order.encode()).hexdigest()[:16], 16) % 10**18 + 20 * 10**18)
