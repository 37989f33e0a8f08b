"""Prices over all time for all charging terms in use, from list prices and overrides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from etl import tables
from etl.dialect import Database
from etl.history.stretches import Terms
from etl.money.tariffs import OFFERED, ListPrice, Override, PricePeriod, Prices, PriceTerms
from etl.store.rows import TERM_NAMES

_period: Final = tables.price_period.c
_TERM_COLUMNS: Final = tuple(f.name for f in fields(PriceTerms))
_PERIOD_COLUMNS: Final = tuple(f.name for f in fields(PricePeriod))
STARTS_AT: Final = len(_TERM_COLUMNS)
"""Where a row of periods says when it begins."""
CHARGED_AT: Final = _TERM_COLUMNS.index("charging_type")
"""Where a row of periods says by which code it is charged."""
OFFERED_CODES: Final = frozenset(OFFERED.values())
_OVERRIDE_COLUMNS: Final = tuple(f.name for f in fields(Override))
_UNITS: Final = ("hour", "day", "week", "month", "year")

PeriodRows = set[tuple[Any, ...]]


class PricePeriods:
    """Prices of one account, inside one transaction."""

    def __init__(
        self, database: Database, conn: Connection, account_id: int, units: Mapping[int, str | None]
    ) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id
        self._units = units
        self._prices: Prices | None = None
        self._known_periods: dict[PriceTerms, list[PricePeriod]] = {}

    def priced_terms(self) -> set[PriceTerms]:
        """Return the terms that have prices."""
        rows = self._conn.execute(
            select(*(_period[name] for name in _TERM_COLUMNS))
            .where(
                _period.account_id == self._account_id, _period.charging_type.not_in(OFFERED_CODES)
            )
            .distinct()
        )
        return {PriceTerms(*row) for row in rows}

    def used_terms(self) -> set[PriceTerms]:
        """Return the terms that occur in usage."""
        used = tables.instance_usage.c
        names = (used[name] for name in TERM_NAMES)
        rows = self._conn.execute(
            select(*names).where(used.account_id == self._account_id).distinct()
        )
        return {price_terms(Terms(*row)) for row in rows}

    def add_prices(self, terms: Iterable[PriceTerms]) -> None:
        """Add prices for those terms that have none yet."""
        # those that have prices already are computed again when a price changes
        new = set(terms) - self.priced_terms()
        if new:
            # usage on other terms of the same GPU and image has the same offers
            self._insert_prices(self._rows(new) - self._kept())

    def prices_differ(self) -> bool:
        """Tell whether stored prices differ from list prices and overrides, or terms in use have
        none.
        """
        return self._rows(self.priced_terms() | self.used_terms()) != self._kept()

    def listed_prices(self) -> list[ListPrice]:
        """Return every version of every list price."""
        c = tables.gpu_price.c
        rows = self._conn.execute(
            select(
                c.gpu_uuid,
                c.gpu_name,
                c.valid_from,
                c.last_seen_at,
                c.valid_to,
                *(c[f"{unit}_microcny"] for unit in _UNITS),
            ).where(c.account_id == self._account_id)
        )
        return [
            ListPrice(uuid, name or "", begins, seen, ends, dict(zip(_UNITS, amounts, strict=True)))
            for uuid, name, begins, seen, ends, *amounts in rows
        ]

    def name(self) -> str:
        """Return the account's name."""
        c = tables.account.c
        return str(
            self._conn.execute(select(c.name).where(c.account_id == self._account_id)).scalar_one()
        )

    def _kept(self) -> PeriodRows:
        names = (*_TERM_COLUMNS, *_PERIOD_COLUMNS)
        rows = self._conn.execute(
            select(*(_period[name] for name in names)).where(_period.account_id == self._account_id)
        )
        return {tuple(row) for row in rows}

    def _rows(self, terms: Iterable[PriceTerms]) -> PeriodRows:
        return {
            (*_stored_values(term), *_stored_values(period))
            for used in terms
            for term, periods in self._used_and_offered(used)
            for period in periods
        }

    def _used_and_offered(
        self, terms: PriceTerms
    ) -> Iterator[tuple[PriceTerms, list[PricePeriod]]]:
        """Yield terms with their prices, and what the same usage would be charged in each unit."""
        yield terms, self.periods(terms)
        yield from self._all_prices().offers(terms)

    def periods(self, terms: PriceTerms) -> list[PricePeriod]:
        """Return the prices of terms over all time."""
        # thousands of stretches share a few terms
        if terms not in self._known_periods:
            self._known_periods[terms] = self._all_prices().periods(terms)
        return self._known_periods[terms]

    def _all_prices(self) -> Prices:
        if self._prices is None:
            self._prices = Prices(
                self.name(), self.listed_prices(), overrides(self._conn), self._units
            )
        return self._prices

    def _forget(self) -> None:
        """Drop cached values after something was written."""
        self._prices = None
        self._known_periods.clear()

    def _replace_prices(self, rows: PeriodRows) -> None:
        mine = tables.price_period.c.account_id == self._account_id
        # whole: the periods of one set of terms are disjoint, so that a new edge moves its
        # neighbours
        self._conn.execute(delete(tables.price_period).where(mine))
        self._insert_prices(rows)

    def _insert_prices(self, rows: PeriodRows) -> None:
        self._database.insert(
            self._conn,
            tables.price_period,
            ("account_id", *_TERM_COLUMNS, *_PERIOD_COLUMNS),
            # by repr: rows hold nulls beside numbers, and a set has no order of its own
            [(self._account_id, *row) for row in sorted(rows, key=repr)],
        )


def price_terms(terms: Terms) -> PriceTerms:
    """Return the part of `terms` that the price depends on."""
    return PriceTerms(
        # no nulls: prices are joined to usage by equality
        terms.gpu_uuid or "",
        terms.gpu_name or "",
        terms.image_uuid or "",
        -1 if terms.charging_type is None else terms.charging_type,
        terms.gpu_nums == 0,
    )


def overrides(conn: Connection, source: str | None = None) -> list[Override]:
    """Return the overrides in the order of their file."""
    c = tables.price_override.c
    asked = select(*(c[name] for name in _OVERRIDE_COLUMNS)).order_by(c.price_override_id)
    if source is not None:
        asked = asked.where(c.source == source)
    return [Override(*row) for row in conn.execute(asked)]


def write_overrides(database: Database, conn: Connection, chosen: Sequence[Override]) -> None:
    """Replace the overrides of the same sources."""
    c = tables.price_override.c
    conn.execute(
        # "user" even if no override is given: an empty file takes all of them away
        delete(tables.price_override).where(c.source.in_({o.source for o in chosen} | {"user"}))
    )
    # numbered behind those that stay: the order of rows is that of the overrides
    begins = conn.scalar(select(func.coalesce(func.max(c.price_override_id), 0))) or 0
    database.insert(
        conn,
        tables.price_override,
        ("price_override_id", *_OVERRIDE_COLUMNS),
        [(begins + n, *astuple(o)) for n, o in enumerate(chosen, 1)],
    )


def _stored_values(value: PriceTerms | PricePeriod) -> tuple[Any, ...]:
    """Return a value as the database holds it: a flag is 0 or 1."""
    return tuple(int(v) if isinstance(v, bool) else v for v in astuple(value))
