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
    """Return the charges of lives that are due by `until`, oldest first. They do not depend on later
    events.
    """
    charges = (
        charge
        for life in lives
        for cost in costs_of(life, charging, prices, until)
        for charge in _charges(life.instance_uuid, cost, charging, until)
        # a line of no fen is not made
        if charge.amount
    )
    return sorted(charges, key=lambda charge: (charge.at, charge.settle_start, charge.order))


def to_fen(amount: int, rounding: str) -> int:
    """Return millionths rounded to whole fen, as `Charging.rounding` says."""
    if rounding == "jiao":
        return (amount + 5 * FEN) // (10 * FEN) * 10 * FEN
    more = {"half_up": FEN // 2, "down": 0, "up": FEN - 1}[rounding]
    return (amount + more) // FEN * FEN


def settlement_windows(
    cost: Metered, charging: Charging, until: Instant
) -> Iterator[tuple[Window, Instant]]:
    """Yield the windows of a run that have ended by `until`, each with the end of the charged time."""
    is_run = cost.kind == "run"
    every_s = charging.settle_every_s if is_run else STOPPED_EVERY_S
    settles = charging.settles if is_run else "run"
    origin = cost.begins if settles in ("run", "begun") else 0
    at = cost.begins
    while at < cost.ends:
        # the next mark after `at`, even if `at` is one: a window is never empty
        mark = origin + ((at - origin) // every_s + 1) * every_s
        over = min(mark, cost.ends)
        to = mark if settles in ("slots", "begun") else over
        if to > until:
            return
        yield (mark - every_s if settles == "slots" else at, to), over
        at = over


def _charges(
    uuid: str, cost: Metered | PrepaidPeriod, charging: Charging, until: Instant
) -> Iterator[Charge]:
    if isinstance(cost, PrepaidPeriod):
        at = cost.begins
        if at + charging.lag_s <= until:
            ends = cost.paid_until if charging.shows_period else at
            yield _charge(uuid, cost.unit, (at, ends), at, cost.price, charging)
        return
    run = cost.begins if charging.order_numbers == "run" else None
    # exact sums: a line is rounded by itself, and the next one does not make up for it
    charged = 0
    late_s = charging.late_s
    # a window that is shown late is not known before it is shown
    known = until - charging.lag_s - late_s
    for (begins, ends), over in settlement_windows(cost, charging, known):
        now, window = cost.by(over), (begins + late_s, ends + late_s)
        yield _charge(uuid, cost.kind, window, window[1], now - charged, charging, run)
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
    # made of the order alone: every question gives the same number
    return str(int(sha256(order.encode()).hexdigest()[:16], 16) % 10**18 + 20 * 10**18)
