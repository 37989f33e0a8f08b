"""Costs of the parts of closed stretches, by prices, the charging model and the payers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, bindparam, delete, func, select, text

from etl import tables
from etl.dialect import Database
from etl.history.stretches import Terms
from etl.money.allocation import RuleBook
from etl.money.charging import ChargingModel, Part, Piece, pieces
from etl.money.periods import BEGINNING
from etl.poll import Instant
from etl.store.price_periods import CHARGED_AT, OFFERED_CODES, STARTS_AT, PricePeriods, price_terms
from etl.store.rollups import EVER, Rollups
from etl.store.rows import DAY_COLUMNS, TERM_NAMES
from etl.store.rules import rule_book

MODEL_SETTINGS: Final = {
    "charge_from": "counts_from",
    "charge_step_s": "step_s",
    "charge_boot_s": "boot_s",
    "charge_boot_max_s": "boot_max_s",
}
"""Names in table `setting` of what a `ChargingModel` holds; the view `_charging_model` reads them too."""
_HEAD: Final = DAY_COLUMNS.index("day") + 1
"""How many columns a part and its costs have in common."""
COST_COLUMNS: Final = (*DAY_COLUMNS[:_HEAD], *(f.name for f in fields(Piece)))
_terms_in: Final = itemgetter(*map(DAY_COLUMNS.index, TERM_NAMES))
_part_in: Final = itemgetter(*(DAY_COLUMNS.index(f.name) for f in fields(Part)))
_UUID: Final = DAY_COLUMNS.index("instance_uuid")
_piece_row: Final = attrgetter(*(f.name for f in fields(Piece)))
"""`dataclasses.astuple` copies deeply, which took half the time of costing a year."""
BATCH: Final = 5_000


class UsageCosts(PricePeriods):
    """Writer of the costs of one account, inside one transaction."""

    def __init__(
        self, database: Database, conn: Connection, account_id: int, units: Mapping[int, str | None]
    ) -> None:
        super().__init__(database, conn, account_id, units)
        self.sums = Rollups(database, conn, account_id)
        self.recharged_since: Instant | None = None
        """Since when usage has other costs, as prices or the model changed in this transaction."""
        self._model: ChargingModel | None = None
        self._book: RuleBook | None = None

    def book(self) -> RuleBook:
        """Return the rules about instances."""
        if self._book is None:
            self._book = rule_book(self._conn)
        return self._book

    def use_book(self, book: RuleBook) -> None:
        """Take the rules that were just written, instead of reading them again."""
        self._book = book

    def refresh_prices(self) -> None:
        """Recompute all prices, and the costs from the first moment on at which a price differs."""
        self._forget()
        kept, rows = self._kept(), self._rows(self.priced_terms() | self.used_terms())
        # the usual case: list prices are polled all day and hardly ever change
        if rows != kept:
            self._replace_prices(rows)
            charged = [row for row in rows ^ kept if row[CHARGED_AT] not in OFFERED_CODES]
            # costs before the first difference stay, and what is only offered costs nothing
            if charged:
                self.charge_anew(since=min(row[STARTS_AT] for row in charged))

    def charge(self, day_rows: Sequence[Sequence[Any]]) -> None:
        """Insert the costs of parts of closed stretches; rows as of `usage_day`, see `DAY_COLUMNS`."""
        rows = self._cost_rows(day_rows)
        self._database.insert(self._conn, tables.usage_cost, COST_COLUMNS, rows)

    def charge_anew(self, *, since: Instant | None = None) -> None:
        """Recompute the costs of all parts of closed stretches, of the days from `since` on."""
        self._forget()
        self.recharged_since = BEGINNING if since is None else since
        first = self._first_day(since)
        cost = tables.usage_cost.c
        self._conn.execute(
            delete(tables.usage_cost).where(cost.account_id == self._account_id, cost.day >= first)
        )
        self._charge_days(tables.usage_day.c.day >= first)
        # after all parts: a sum is made of its parts, never corrected by a difference
        self.sums.renew_since(first)

    def wrongly_charged(self, uuids: Sequence[str]) -> set[str]:
        """Return the instances whose stored costs differ from prices and the charging model."""
        condition, parameters = self._database.among("instance_uuid", uuids)

        def asked(table: Table, names: Sequence[str]) -> Any:
            mine = table.c.account_id == self._account_id
            asking = select(*(table.c[name] for name in names)).where(mine, text(condition))
            return self._conn.execute(asking, parameters)

        kept = {tuple(row) for row in asked(tables.usage_cost, COST_COLUMNS)}
        wanted = set(self._cost_rows(asked(tables.usage_day, DAY_COLUMNS).all()))
        # both ways: a cost without its part is as wrong as a part without its cost
        return {row[_UUID] for row in kept ^ wanted}

    def _charge_instances(self, uuids: Sequence[str]) -> None:
        """Recompute the costs of all parts of closed stretches of some instances, leaving sums
        alone.
        """
        condition, parameters = self._database.among("instance_uuid", uuids)
        mine = tables.usage_cost.c.account_id == self._account_id
        self._conn.execute(delete(tables.usage_cost).where(mine, text(condition)), parameters)
        self._charge_days(text(condition), parameters)

    def _charge_days(self, chosen: Any, parameters: Mapping[str, Any] | None = None) -> None:
        day = tables.usage_day.c
        parts = self._conn.execute(
            select(*(day[name] for name in DAY_COLUMNS))
            .where(day.account_id == self._account_id, chosen)
            .order_by(day.instance_uuid, day.usage_no, day.day),
            parameters,
            # years of parts do not fit in memory
            execution_options={"stream_results": True, "max_row_buffer": BATCH},
        )
        while rows := parts.fetchmany(BATCH):
            self.charge(rows)

    def _cost_rows(self, day_rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        cuts = self._cuts({row[_UUID] for row in day_rows})
        return [cost for row in day_rows for cost in self._costs_of(row, cuts.get(row[_UUID], ()))]

    def _costs_of(
        self, day_row: Sequence[Any], cuts: Sequence[Instant]
    ) -> Iterator[tuple[Any, ...]]:
        if self._model is None:
            self._model = charging_model(self._conn)
        # by position: this runs once for each of a year's half million parts
        terms = Terms(*_terms_in(day_row))
        part = Part(*_part_in(day_row))
        periods = self.periods(price_terms(terms))
        for piece in pieces(part, periods, self._model, cuts):
            yield (*day_row[:_HEAD], *_piece_row(piece))

    def _cuts(self, uuids: Collection[str]) -> dict[str, list[Instant]]:
        """Return the moments, in order, at which the payer of instances changes."""
        condition, parameters = self._database.among("instance_uuid", sorted(uuids))
        given = {"account": self._account_id, **parameters}
        rows = self._database.ask(self._conn, _cuts(condition), given)
        cuts: dict[str, list[Instant]] = {}
        for uuid, starts_s in rows:
            cuts.setdefault(uuid, []).append(starts_s)
        return cuts

    def _first_day(self, since: Instant | None) -> str:
        """Return the day that contains `since`, or an earlier one, so that nothing is missed."""
        c = tables.calendar_day.c
        begun = c.starts_s <= (BEGINNING if since is None else since)
        day: str | None = self._conn.scalar(select(func.max(c.day)).where(begun))
        # before the calendar begins there is no day to start from
        return day or EVER

    def _forget(self) -> None:
        super()._forget()
        self._model = self._book = None


@cache
def _cuts(among: str) -> Select[Any]:
    """Select allocations in order, but for the first of each instance."""
    c = tables.allocation.c
    # that one begins before all usage, so it cuts nothing
    late = c.account_id == bindparam("account"), c.starts_s > BEGINNING, text(among)
    return select(c.instance_uuid, c.starts_s).where(*late).order_by(c.instance_uuid, c.starts_s)


def charging_model(conn: Connection) -> ChargingModel:
    """Return the charging model in the database, with defaults for missing values."""
    c, default = tables.setting.c, ChargingModel()
    # there are no rows until somebody sets a model: defaults stand in `ChargingModel` alone
    kept = dict(conn.execute(select(c.name, c.value).where(c.name.in_(MODEL_SETTINGS))).all())
    values = {field: kept[name] for name, field in MODEL_SETTINGS.items() if name in kept}
    counts_from: Any = values.pop("counts_from", default.counts_from)
    return replace(default, counts_from=counts_from, **{k: int(v) for k, v in values.items()})
