"""Merge list prices and the user's overrides into prices over all time.

Pure. A price is whole millionths of a yuan for `per_s` seconds, in two shares: of each GPU, and flat,
of the instance whatever its GPUs. The rules stand in `docs/design.md`, "Money".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal

from etl.history.codes import PREPAID_UNITS
from etl.money.periods import BEGINNING, FOREVER, merge_adjacent
from etl.poll import Instant
from etl.units import (
    DAY_S,
    HOUR_S,
    MONTH_DAYS,
    OFFERED_DAY,
    OFFERED_HOUR,
    OFFERED_MONTH,
    OFFERED_WEEK,
    WEEK_DAYS,
)

Source = Literal["user", "bill"]
PriceSource = Literal["override", "learned", "list", "list_assumed", "unknown"]

PER_S: Final[Mapping[str, int]] = {
    "hour": HOUR_S,
    "day": DAY_S,
    "week": WEEK_DAYS * DAY_S,
    # the source does not say how long its month is: see ASSUMED_UNITS
    "month": MONTH_DAYS * DAY_S,
    "year": 365 * DAY_S,
}
ASSUMED_UNITS: Final = frozenset({"month", "year"})
"""Units whose length we assume, since the source does not state it."""
OFFERED: Final[Mapping[str, int]] = {
    "hour": OFFERED_HOUR,
    "day": OFFERED_DAY,
    "week": OFFERED_WEEK,
    "month": OFFERED_MONTH,
}
"""Units in which any usage could be charged, by the code under which `price_period` holds the price."""
HIGHEST_MICROCNY: Final = 10**12
"""The highest price of a GPU for a unit, a million yuan: more is a mistake, and overflows sums."""


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """The terms on which a price depends. '' and -1 stand for unknown ones, as in `price_period`."""

    gpu_uuid: str
    gpu_name: str
    image_uuid: str
    charging_type: int
    no_card: bool


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A version of a list price, with `amounts` by unit.

    `last_seen_at` and `valid_to` are None while it is listed; it ended unseen between the two.
    """

    gpu_uuid: str
    gpu_name: str
    valid_from: Instant
    last_seen_at: Instant | None
    valid_to: Instant | None
    amounts: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Override:
    """A price that the user set; None matches anything.

    Without a `charging_type` it is for every one that counts in `unit`. If `valid_to` is None it lasts
    until another one with the same subject begins.
    """

    unit: str
    price_microcny: int
    account: str | None = None
    gpu_uuid: str | None = None
    gpu_name: str | None = None
    image_uuid: str | None = None
    charging_type: int | None = None
    no_card: bool = False
    per: Literal["gpu", "instance"] = "gpu"
    adds: bool = False
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    note: str | None = None
    source: Source = "user"

    @property
    def subject(self) -> tuple[object, ...]:
        """Return its subject: of two with the same subject only one can hold at a time."""
        about = (self.account, self.gpu_uuid, self.gpu_name, self.image_uuid, self.charging_type)
        # one that names a charging type is about that type, in whichever unit it is given
        unit = self.unit if self.charging_type is None else None
        return (*about, unit, self.no_card, self.adds, self.source)

    @property
    def rank(self) -> tuple[object, ...]:
        """Return its rank: the higher, the more specific; of equally specific ones the latest wins."""
        return (
            # what a person set holds before what was learned from the bill
            self.source == "user",
            self.image_uuid is not None,
            self.gpu_uuid is not None,
            self.gpu_name is not None,
            self.charging_type is not None,
            self.account is not None,
            self.begins,
        )

    @property
    def begins(self) -> Instant:
        return BEGINNING if self.valid_from is None else self.valid_from

    def fits(self, account: str, terms: PriceTerms, unit: str | None) -> bool:
        """Tell whether it applies to usage of `account` on `terms`, charged by `unit`."""
        return (
            self.account in (None, account)
            and self.gpu_uuid in (None, terms.gpu_uuid)
            and self.gpu_name in (None, terms.gpu_name)
            and self.image_uuid in (None, terms.image_uuid)
            and (
                # an hourly price is never taken for a monthly rent
                self.unit == unit
                if self.charging_type is None
                else self.charging_type == terms.charging_type
            )
            and self.no_card == terms.no_card
        )

    def holds(self, at: Instant) -> bool:
        return self.begins <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True)
class PricePeriod:
    """A row of `price_period` without its account and terms.

    Amounts are None if the price is not known; `starts_s` and `ends_s` are epoch seconds, the end
    exclusive.
    """

    starts_s: Instant
    ends_s: Instant
    kind: Literal["running", "held"]
    price_source: PriceSource
    per_s: int
    is_assumed: bool
    price_microcny: int | None = None
    price_min_microcny: int | None = None
    price_max_microcny: int | None = None
    flat_microcny: int | None = None
    list_per_s: int = PER_S["hour"]
    list_microcny: int | None = None


@dataclass(frozen=True, slots=True)
class _Listed:
    """The list price during a time."""

    starts_s: Instant
    source: PriceSource
    amount: int | None = None
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """All known prices of an account. `units` maps charging codes to units."""

    account: str
    listed: Sequence[ListPrice]
    overrides: Sequence[Override]
    units: Mapping[int, str | None] = field(default_factory=dict)

    def periods(self, terms: PriceTerms) -> list[PricePeriod]:
        """Return the prices of usage on `terms`: disjoint periods, in order, that cover all time."""
        unit = self.units.get(terms.charging_type)
        fitting = [o for o in self.overrides if o.fits(self.account, terms, unit)]
        listed = list(_over_time(self._versions(terms), unit))
        begins = {BEGINNING} | {step.starts_s for step in listed}
        for override in fitting:
            # an open end adds no edge: the beginning is one already
            begins |= {override.begins, override.valid_to or BEGINNING}
        starts = sorted(at for at in begins if BEGINNING <= at < FOREVER)
        periods = [
            _period_between(at, to, unit, _at(listed, at), [o for o in fitting if o.holds(at)])
            for at, to in pairwise([*starts, FOREVER])
        ]
        return list(merge_adjacent(periods))

    def offers(self, terms: PriceTerms) -> Iterator[tuple[PriceTerms, list[PricePeriod]]]:
        """Yield what usage on `terms` would be charged in each unit: terms with the unit's code in
        `OFFERED`, and their prices.
        """
        for unit, offered in OFFERED.items():
            # a price that the user set for the code of a unit is a price in that unit
            codes = sorted(code for code, name in self.units.items() if name == unit)
            asked = replace(terms, charging_type=codes[0] if codes else offered)
            prices = replace(self, units={**self.units, offered: unit})
            yield replace(terms, charging_type=offered), prices.periods(asked)

    def _versions(self, terms: PriceTerms) -> list[ListPrice]:
        """Return the list prices of a model, by its name only if usage names no uuid."""
        # a list price is of a GPU: nothing is known of time without one
        if terms.no_card:
            return []
        return sorted(
            (
                version
                for version in self.listed
                if (
                    version.gpu_uuid == terms.gpu_uuid
                    if terms.gpu_uuid
                    else version.gpu_name == terms.gpu_name != ""
                )
            ),
            key=lambda version: version.valid_from,
        )


def clashes(overrides: Sequence[Override]) -> Iterator[tuple[int, int]]:
    """Yield the indexes of pairs that contradict each other.

    They have the same subject, and begin together, or the earlier has a written end after the begin of
    the later.
    """
    by_subject: dict[tuple[object, ...], list[int]] = {}
    for index, override in enumerate(overrides):
        by_subject.setdefault(override.subject, []).append(index)
    for indexes in by_subject.values():
        # sorted by begin: whoever overlaps another one overlaps the next
        for i, j in pairwise(sorted(indexes, key=lambda i: overrides[i].begins)):
            first, then = overrides[i], overrides[j]
            # An open end is no clash: it gives way to the override that begins later.
            if first.begins == then.begins or (first.valid_to or BEGINNING) > then.begins:
                yield i, j


def _over_time(versions: Sequence[ListPrice], unit: str | None) -> Iterator[_Listed]:
    """Yield a unit's list price over all time; the first and the last known one are extended."""
    amounts = [(version, version.amounts.get(unit or "")) for version in versions]
    # a price beyond that is taken for an error of the source
    known = [(v, a) for v, a in amounts if a is not None and 0 <= a <= HIGHEST_MICROCNY]
    if not known:
        yield _Listed(BEGINNING, "unknown")
        return
    amount = known[0][1]
    yield _Listed(BEGINNING, "list_assumed", amount, amount, amount)
    for (version, amount), following in zip(known, [*known[1:], None], strict=True):
        yield _Listed(version.valid_from, "list", amount, amount, amount)
        if version.valid_to is None or version.last_seen_at is None:
            continue
        next_amount = amount if following is None else following[1]
        least, most = sorted((amount, next_amount))
        # a version may be missing from its first poll on
        unseen_from = max(version.valid_from, version.last_seen_at)
        is_next = following is not None and following[0].valid_from == version.valid_to
        yield _Listed(unseen_from, "list" if is_next else "list_assumed", amount, least, most)


def _at(listed: Sequence[_Listed], at: Instant) -> _Listed:
    """Return the list price at a moment: the last that began; of several in one second the last."""
    return [step for step in listed if step.starts_s <= at][-1]


def _period_between(
    at: Instant, to: Instant, unit: str | None, listed: _Listed, overrides: Sequence[Override]
) -> PricePeriod:
    # what replaces a price and what comes on top of it are chosen apart: both may hold
    replacing = max((o for o in overrides if not o.adds), key=lambda o: o.rank, default=None)
    adding = max((o for o in overrides if o.adds), key=lambda o: o.rank, default=None)
    # a code that nobody knows has no price, but its row needs a length
    charged_by = unit or "hour"
    price = PricePeriod(
        starts_s=at,
        ends_s=to,
        kind="held" if unit in PREPAID_UNITS else "running",
        price_source=listed.source,
        per_s=PER_S[charged_by],
        is_assumed=charged_by in ASSUMED_UNITS,
        price_microcny=listed.amount,
        price_min_microcny=listed.least,
        price_max_microcny=listed.most,
        flat_microcny=None if listed.amount is None else 0,
        list_per_s=PER_S[charged_by],
        list_microcny=listed.amount,
    )
    if replacing is not None:
        price = _overridden(price, replacing)
    if adding is not None and price.price_microcny is not None:
        price = _added(price, adding)
    return _unless_out_of_range(price)


def _overridden(price: PricePeriod, override: Override) -> PricePeriod:
    is_flat = override.no_card or override.per == "instance"
    # without a card there is nothing to count the price by
    per_gpu = 0 if is_flat else override.price_microcny
    return replace(
        price,
        price_source="override" if override.source == "user" else "learned",
        per_s=PER_S[override.unit],
        is_assumed=override.unit in ASSUMED_UNITS,
        price_microcny=per_gpu,
        price_min_microcny=per_gpu,
        price_max_microcny=per_gpu,
        flat_microcny=override.price_microcny if is_flat else 0,
    )


def _added(price: PricePeriod, override: Override) -> PricePeriod:
    """Return a price with an extra on top, converted to the price's own unit of time and rounded."""
    per_s = PER_S[override.unit]
    # in whole millionths, rounded to the nearest: periods are compared for equality
    extra = (override.price_microcny * price.per_s + per_s // 2) // per_s
    is_flat = override.no_card or override.per == "instance"
    on_gpus, on_instance = (0, extra) if is_flat else (extra, 0)
    return replace(
        price,
        price_source="override" if override.source == "user" else "learned",
        is_assumed=price.is_assumed or override.unit in ASSUMED_UNITS,
        price_microcny=(price.price_microcny or 0) + on_gpus,
        price_min_microcny=(price.price_min_microcny or 0) + on_gpus,
        price_max_microcny=(price.price_max_microcny or 0) + on_gpus,
        flat_microcny=(price.flat_microcny or 0) + on_instance,
    )


def _unless_out_of_range(price: PricePeriod) -> PricePeriod:
    # a price and what comes on top can leave the range together
    if (price.price_max_microcny or 0) + (price.flat_microcny or 0) <= HIGHEST_MICROCNY:
        return price
    return replace(
        price,
        price_source="unknown",
        price_microcny=None,
        price_min_microcny=None,
        price_max_microcny=None,
        flat_microcny=None,
    )
