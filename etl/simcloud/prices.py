"""List prices by GPU model, which change at given instants. Amounts are millionths of a yuan."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

from etl.poll import Instant

Yuan: TypeAlias = int | float | str | Decimal
"""An amount as people write it; a float counts as the decimal that it is written as."""

HOUR_S: Final = 3_600
PERIODS_S: Final = {"day": 86_400, "week": 604_800, "month": 30 * 86_400, "year": 365 * 86_400}
"""Lengths of the simulation's prepaid periods. No zone comes into it."""
UNITS: Final = ("hour", *PERIODS_S)


def microcny(yuan: Yuan) -> int:
    """Return an amount in millionths. Raises `ValueError` if it has more than six decimals."""
    # by its text: the float 5.1 is no 5.1
    exact = Decimal(str(yuan)).scaleb(6)
    if exact != exact.to_integral_value():
        raise ValueError(f"{yuan} yuan is no whole number of millionths")
    return int(exact)


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one GPU for each unit (None: not offered). `status` 1: can be rented."""

    hour: int | None = None
    day: int | None = None
    week: int | None = None
    month: int | None = None
    year: int | None = None
    status: int = 1

    @classmethod
    def of(cls, **yuan: Yuan | None) -> Price:
        """Return a price given in yuan by unit."""
        return cls().but(status=None, **yuan)

    def but(self, *, status: int | None = None, **yuan: Yuan | None) -> Price:
        """Return a price with the named units replaced. Raises `TypeError` for an unknown unit."""
        named = {unit: None if y is None else microcny(y) for unit, y in yuan.items()}
        return replace(self, status=self.status if status is None else status, **named)

    def units(self) -> Iterator[tuple[str, int]]:
        """Return the units that are offered, with their prices."""
        for unit in UNITS:
            amount = getattr(self, unit)
            if amount is not None:
                yield unit, amount

    def for_unit(self, unit: str) -> int:
        """Return the price for a unit; if it is not offered, that of as many hours as it has."""
        amount: int | None = getattr(self, unit)
        if amount is None:
            return (self.hour or 0) * PERIODS_S.get(unit, HOUR_S) // HOUR_S
        return amount


LISTED: Final[Mapping[str, Price]] = {
    "RTX 4090": Price.of(hour="5.50", day=120, week=800, month=3200, year=35000),
    "RTX 3090": Price.of(hour="3.28", day=72, week=470, month=1880),
    "A100": Price.of(hour="12.80", day=290, week="1888.80", month=7600, year=82000),
    "L40S": Price.of(hour="8.99", day="199.90", week=1330, month=5200),
    "H100": Price.of(hour="25.50", day=580, week=3900, month=15600, year=168000),
}
"""The prices to begin with: every model that generated fleets rent."""


class PriceList:
    """Prices of each model over time. A model that is not listed is charged as `unlisted`."""

    def __init__(
        self, listed: Mapping[str, Price] = LISTED, *, unlisted: Price = LISTED["RTX 4090"]
    ) -> None:
        self.version = 0
        self.unlisted = unlisted
        self._changes: dict[str, list[tuple[Instant, Price]]] = {
            gpu_name: [(0, price)] for gpu_name, price in listed.items()
        }

    def change(
        self, gpu_name: str, at: Instant, *, status: int | None = None, **yuan: Yuan | None
    ) -> None:
        """Set the price of these units from `at` on (None: no longer offered); others stay. Raises
        `ValueError` if a later change is known.
        """
        changes = self._changes.setdefault(gpu_name, [])
        if changes and changes[-1][0] > at:
            raise ValueError(f"the price of {gpu_name} changes later, at {changes[-1][0]}")
        before = changes[-1][1] if changes else Price()
        # two changes of one instant are one
        if changes and changes[-1][0] == at:
            changes.pop()
        changes.append((at, before.but(status=status, **yuan)))
        # answers that are kept are made anew when it has moved
        self.version += 1

    def at(self, gpu_name: str, t: Instant) -> Price:
        """Return the price that is charged at t."""
        return self._listed(gpu_name, t) or self.unlisted

    def changes(self, gpu_name: str) -> list[tuple[Instant, Price]]:
        """Return the prices with the instants from which they are charged, from 0 on, sorted."""
        listed = self._changes.get(gpu_name, [])
        return listed if listed and listed[0][0] == 0 else [(0, self.unlisted), *listed]

    def listed(self, t: Instant) -> Iterable[tuple[str, Price]]:
        """Return the price that the list shows at t."""
        for gpu_name in self._changes:
            price = self._listed(gpu_name, t)
            if price is not None:
                yield gpu_name, price

    def _listed(self, gpu_name: str, t: Instant) -> Price | None:
        changes = self._changes.get(gpu_name, [])
        index = bisect_right(changes, t, key=lambda change: change[0])
        return changes[index - 1][1] if index else None
