"""What follows from prices and the user's words: prices over all time for all terms in use, what
closed stretches cost, and who pays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields, replace
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, or_, select, text

from etl import tables
from etl.dialect import Database
from etl.history.usage import Terms
from etl.money.allocation import Allocation, Looks, Rule, allocations
from etl.money.charging import ChargingModel, Part, Piece, pieces
from etl.money.pricing import BEGINNING, ListPrice, Override, PricePeriod, Prices, PriceTerms
from etl.poll import Instant
from etl.store.rows import DAY_COLUMNS
from etl.store.summing import EVER, Sums

_period: Final = tables.price_period.c
_TERM_COLUMNS: Final = tuple(f.name for f in fields(PriceTerms))
_PERIOD_COLUMNS: Final = tuple(f.name for f in fields(PricePeriod))
_OVERRIDE_COLUMNS: Final = tuple(f.name for f in fields(Override))
_RULE_COLUMNS: Final = tuple(f.name for f in fields(Rule))
_ALLOCATION_COLUMNS: Final = tuple(f.name for f in fields(Allocation))
_LOOKS: Final = ("title", "image_uuid", "image_name", "image_tag")
_UNITS: Final = ("hour", "day", "week", "month", "year")

MODEL_SETTINGS: Final = {
    "charge_from": "counts_from",
    "charge_step_s": "step_s",
    "charge_boot_s": "boot_s",
    "charge_boot_max_s": "boot_max_s",
}
"""Names in table `setting` of what a `ChargingModel` holds; the view `charging_model` reads them too."""
COST_COLUMNS: Final = (
    *DAY_COLUMNS[: DAY_COLUMNS.index("day") + 1],
    *(f.name for f in fields(Piece)),
)
_piece_row: Final = attrgetter(*(f.name for f in fields(Piece)))
"""`dataclasses.astuple` copies deeply, which took half the time of costing a year."""
BATCH: Final = 5_000

PeriodRows = set[tuple[Any, ...]]


class Deriver:
    """One account inside one transaction."""

    def __init__(
        self, database: Database, conn: Connection, account_id: int, units: Mapping[int, str | None]
    ) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id
        self._units = units
        self.sums = Sums(database, conn, account_id)
        self._rules: list[Rule] | None = None
        self._prices: Prices | None = None
        self._known_periods: dict[PriceTerms, list[PricePeriod]] = {}
        self._model: ChargingModel | None = None

    # prices

    def priced_terms(self) -> set[PriceTerms]:
        """The terms that have prices."""
        rows = self._conn.execute(
            select(*(_period[name] for name in _TERM_COLUMNS))
            .where(_period.account_id == self._account_id)
            .distinct()
        )
        return {PriceTerms(*row) for row in rows}

    def used_terms(self) -> set[PriceTerms]:
        """The terms that occur in usage."""
        used = tables.instance_usage.c
        names = (used.gpu_uuid, used.gpu_name, used.gpu_nums, used.charging_type, used.image_uuid)
        rows = self._conn.execute(
            select(*names).where(used.account_id == self._account_id).distinct()
        )
        return {price_terms(Terms(*row)) for row in rows}

    def add_prices(self, terms: Iterable[PriceTerms]) -> None:
        """Prices for those terms that have none yet."""
        new = set(terms) - self.priced_terms()
        if new:
            self._insert_prices(self._rows(new))

    def refresh_prices(self) -> None:
        """All prices anew, and the costs from the first moment on at which one differs."""
        self._forget()
        kept, rows = self._kept(), self._rows(self.priced_terms() | self.used_terms())
        if rows != kept:
            c = tables.price_period.c
            self._conn.execute(delete(tables.price_period).where(c.account_id == self._account_id))
            self._insert_prices(rows)
            at = len(_TERM_COLUMNS)
            self.charge_anew(since=min(row[at] for row in rows ^ kept))

    def prices_differ(self) -> bool:
        """Whether prices are not what list prices and overrides say, or terms in use have none."""
        return self._rows(self.priced_terms() | self.used_terms()) != self._kept()

    def _kept(self) -> PeriodRows:
        names = (*_TERM_COLUMNS, *_PERIOD_COLUMNS)
        rows = self._conn.execute(
            select(*(_period[name] for name in names)).where(_period.account_id == self._account_id)
        )
        return {tuple(row) for row in rows}

    def _rows(self, terms: Iterable[PriceTerms]) -> PeriodRows:
        return {
            (*_plain(each), *_plain(period)) for each in terms for period in self._periods(each)
        }

    def _periods(self, terms: PriceTerms) -> list[PricePeriod]:
        if self._prices is None:
            self._prices = Prices(
                self.name(), self.listed_prices(), overrides(self._conn), self._units
            )
        if terms not in self._known_periods:
            self._known_periods[terms] = self._prices.periods(terms)
        return self._known_periods[terms]

    def _forget(self) -> None:
        """What was read before something else was written."""
        self._prices = self._model = self._rules = None
        self._known_periods.clear()

    def _insert_prices(self, rows: PeriodRows) -> None:
        self._database.insert(
            self._conn,
            tables.price_period,
            ("account_id", *_TERM_COLUMNS, *_PERIOD_COLUMNS),
            [(self._account_id, *row) for row in sorted(rows, key=repr)],
        )

    def listed_prices(self) -> list[ListPrice]:
        """Every version of every list price."""
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

    # costs

    def charge(self, day_rows: Sequence[Sequence[Any]]) -> None:
        """Insert the costs of parts of closed stretches; rows as of `usage_day`, see `DAY_COLUMNS`."""
        rows = self._cost_rows(day_rows)
        self._database.insert(self._conn, tables.usage_cost, COST_COLUMNS, rows)

    def charge_anew(self, *, since: Instant | None = None) -> None:
        """The costs of all parts of closed stretches anew, of the days from `since` on."""
        self._forget()
        first = self._first_day(since)
        cost = tables.usage_cost.c
        self._conn.execute(
            delete(tables.usage_cost).where(cost.account_id == self._account_id, cost.day >= first)
        )
        self._charge_days(tables.usage_day.c.day >= first)
        self.sums.renew_since(first)

    def _charge_instances(self, uuids: Sequence[str]) -> None:
        """Recompute the costs of all parts of closed stretches of some instances, sums left alone."""
        condition, parameters = self._database.among("instance_uuid", uuids)
        mine = tables.usage_cost.c.account_id == self._account_id
        self._conn.execute(delete(tables.usage_cost).where(mine, text(condition)), parameters)
        self._charge_days(text(condition), parameters)

    def _charge_days(self, chosen: Any, parameters: Mapping[str, Any] | None = None) -> None:
        day = tables.usage_day.c
        found = self._conn.execute(
            select(*(day[name] for name in DAY_COLUMNS))
            .where(day.account_id == self._account_id, chosen)
            .order_by(day.instance_uuid, day.usage_no, day.day),
            parameters,
            execution_options={"stream_results": True, "max_row_buffer": BATCH},
        )
        while rows := found.fetchmany(BATCH):
            self.charge(rows)

    def wrongly_charged(self, uuids: Sequence[str]) -> set[str]:
        """Those of which other costs are kept than prices and the charging model say."""
        condition, parameters = self._database.among("instance_uuid", uuids)

        def asked(table: Table, names: Sequence[str]) -> Any:
            mine = table.c.account_id == self._account_id
            asking = select(*(table.c[name] for name in names)).where(mine, text(condition))
            return self._conn.execute(asking, parameters)

        kept = {tuple(row) for row in asked(tables.usage_cost, COST_COLUMNS)}
        wanted = set(self._cost_rows(asked(tables.usage_day, DAY_COLUMNS).all()))
        return {row[1] for row in kept ^ wanted}

    def _cost_rows(self, day_rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        cuts = self._cuts({row[1] for row in day_rows})
        return [cost for row in day_rows for cost in self._costs_of(row, cuts.get(row[1], ()))]

    def _costs_of(
        self, day_row: Sequence[Any], cuts: Sequence[Instant]
    ) -> Iterator[tuple[Any, ...]]:
        account, uuid, number, kind, *rest = day_row
        terms, (day, started_at, usage_started_at, ran, ran_min, ran_max, evidence) = (
            rest[:5],
            rest[5:],
        )
        if self._model is None:
            self._model = charging_model(self._conn)
        part = Part(kind, evidence, usage_started_at, started_at, ran, ran_min, ran_max, terms[2])
        periods = self._periods(price_terms(Terms(*terms)))
        for piece in pieces(part, periods, self._model, cuts):
            yield (account, uuid, number, kind, *terms, day, *_piece_row(piece))

    def _cuts(self, uuids: Collection[str]) -> dict[str, list[Instant]]:
        """The moments, in order, at which somebody else begins to pay for instances."""
        if not self.rules():
            return {}
        c = tables.allocation.c
        condition, parameters = self._database.among("instance_uuid", sorted(uuids))
        rows = self._conn.execute(
            select(c.instance_uuid, c.starts_s)
            .where(c.account_id == self._account_id, c.starts_s > BEGINNING, text(condition))
            .order_by(c.instance_uuid, c.starts_s),
            parameters,
        )
        cuts: dict[str, list[Instant]] = {}
        for uuid, starts_s in rows:
            cuts.setdefault(uuid, []).append(starts_s)
        return cuts

    def _first_day(self, since: Instant | None) -> str:
        """The day that `since` is in, or one before it: nothing is missed."""
        c = tables.calendar_day.c
        begun = c.starts_s <= (BEGINNING if since is None else since)
        found: str | None = self._conn.scalar(select(func.max(c.day)).where(begun))
        return found or EVER

    # who pays

    def allocate(self, versions: Sequence[tuple[str, int]]) -> None:
        """What the rules say of the instances of which these new versions (uuid and number of each) have
        another title or image than the one before; nothing where there are no rules."""
        if not versions or not self.rules():
            return
        table = tables.instance_history
        listed, parameters = self._database.listed(table, ("instance_uuid", "version"), versions)
        same = " AND ".join(f"COALESCE(h.{n}, '') = COALESCE(p.{n}, '')" for n in _LOOKS)
        changed = text(
            f"SELECT DISTINCT h.instance_uuid FROM {table.name} h LEFT JOIN {table.name} p"
            " ON p.account_id = h.account_id AND p.instance_uuid = h.instance_uuid"
            " AND p.version = h.version - 1 WHERE h.account_id = :account"
            f" AND (h.instance_uuid, h.version) IN {listed} AND (p.version IS NULL OR NOT ({same}))"
        )
        uuids = self._conn.scalars(changed, {"account": self._account_id, **parameters}).all()
        if uuids:
            self.allocate_anew(uuids)

    def allocate_anew(
        self, uuids: Sequence[str], looks: Mapping[str, Sequence[Looks]] | None = None
    ) -> None:
        """Recompute who pays, and the costs and sums that depend on it, even if no rule is left.
        `looks` are those of `looks()`, if they were asked for already."""
        wanted, kept = set(self._allocated(uuids, looks)), self._kept_allocations(uuids)
        keys = ("account_id", "instance_uuid", "starts_s")
        gone, new = sorted(kept - wanted, key=repr), sorted(wanted - kept, key=repr)
        table = tables.allocation
        self._database.delete(self._conn, table, keys, [(self._account_id, *r[:2]) for r in gone])
        columns = ("account_id", "instance_uuid", *_ALLOCATION_COLUMNS)
        self._database.insert(self._conn, table, columns, [(self._account_id, *r) for r in new])
        recut = {row[:2] for row in gone} ^ {row[:2] for row in new}
        moved = {uuid for uuid, starts_s in recut if starts_s > BEGINNING}
        if moved:
            self._charge_instances(sorted(moved))
        if gone or new:
            self.sums.renew_instances(sorted({row[0] for row in (*gone, *new)}))

    def wrongly_allocated(self, uuids: Sequence[str]) -> set[str]:
        """Those of which something else is kept than the rules say."""
        return {row[0] for row in set(self._allocated(uuids)) ^ self._kept_allocations(uuids)}

    def rules(self) -> list[Rule]:
        if self._rules is None:
            self._rules = rules(self._conn)
        return self._rules

    def looks(self, uuids: Sequence[str]) -> dict[str, list[Looks]]:
        """The titles and images of instances over time, without the versions that changed neither."""
        h = tables.instance_history.c
        condition, parameters = self._database.among("instance_uuid", uuids)
        before = [
            func.lag(h[name])
            .over(partition_by=h.instance_uuid, order_by=h.version)
            .label(f"was_{name}")
            for name in _LOOKS
        ]
        v = (
            select(h.instance_uuid, h.version, h.first_seen_at, *(h[n] for n in _LOOKS), *before)
            .where(h.account_id == self._account_id, text(condition))
            .subquery()
            .c
        )
        rows = self._conn.execute(
            select(v.instance_uuid, v.first_seen_at, *(v[name] for name in _LOOKS))
            .where(or_(v.version == 1, *(v[n].is_distinct_from(v[f"was_{n}"]) for n in _LOOKS)))
            .order_by(v.instance_uuid, v.version),
            parameters,
        )
        found: dict[str, list[Looks]] = {}
        for uuid, since, title, *image in rows:
            found.setdefault(uuid, []).append(Looks(since, title or "", _image_names(*image)))
        return found

    def _allocated(
        self, uuids: Sequence[str], looks: Mapping[str, Sequence[Looks]] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        name, said = self.name(), self.rules()
        if said:
            for uuid, seen in (self.looks(uuids) if looks is None else looks).items():
                for each in allocations(said, name, uuid, seen):
                    yield (uuid, *astuple(each))

    def _kept_allocations(self, uuids: Sequence[str]) -> set[tuple[Any, ...]]:
        c = tables.allocation.c
        condition, parameters = self._database.among("instance_uuid", uuids)
        rows = self._conn.execute(
            select(c.instance_uuid, *(c[name] for name in _ALLOCATION_COLUMNS)).where(
                c.account_id == self._account_id, text(condition)
            ),
            parameters,
        )
        return {tuple(row) for row in rows}

    def name(self) -> str:
        """Of the account."""
        c = tables.account.c
        return str(
            self._conn.execute(select(c.name).where(c.account_id == self._account_id)).scalar_one()
        )


def charging_model(conn: Connection) -> ChargingModel:
    """As the database holds it, with the defaults where it holds nothing."""
    c, default = tables.setting.c, ChargingModel()
    kept = dict(conn.execute(select(c.name, c.value).where(c.name.in_(MODEL_SETTINGS))).all())
    said = {field: kept[name] for name, field in MODEL_SETTINGS.items() if name in kept}
    counts_from: Any = said.pop("counts_from", default.counts_from)
    return replace(default, counts_from=counts_from, **{k: int(v) for k, v in said.items()})


def price_terms(terms: Terms) -> PriceTerms:
    """What the price of usage on `terms` depends on."""
    return PriceTerms(
        terms.gpu_uuid or "",
        terms.gpu_name or "",
        terms.image_uuid or "",
        -1 if terms.charging_type is None else terms.charging_type,
        terms.gpu_nums == 0,
    )


def overrides(conn: Connection, source: str | None = None) -> list[Override]:
    """The overrides in the order of their file."""
    c = tables.price_override.c
    asked = select(*(c[name] for name in _OVERRIDE_COLUMNS)).order_by(c.price_override_id)
    if source is not None:
        asked = asked.where(c.source == source)
    return [Override(*row) for row in conn.execute(asked)]


def write_overrides(database: Database, conn: Connection, said: Sequence[Override]) -> None:
    """Overrides in place of those of the same sources."""
    c = tables.price_override.c
    conn.execute(
        delete(tables.price_override).where(c.source.in_({o.source for o in said} | {"user"}))
    )
    begins = conn.scalar(select(func.coalesce(func.max(c.price_override_id), 0))) or 0
    database.insert(
        conn,
        tables.price_override,
        ("price_override_id", *_OVERRIDE_COLUMNS),
        [(begins + n, *astuple(o)) for n, o in enumerate(said, 1)],
    )


def rules(conn: Connection) -> list[Rule]:
    """The rules in the order in which they are asked."""
    c = tables.allocation_rule.c
    asked = select(*(c[name] for name in _RULE_COLUMNS)).order_by(c.rule_no)
    return [Rule(*row) for row in conn.execute(asked)]


def write_rules(database: Database, conn: Connection, said: Sequence[Rule]) -> None:
    """Rules in place of all others."""
    conn.execute(delete(tables.allocation_rule))
    database.insert(conn, tables.allocation_rule, _RULE_COLUMNS, [astuple(rule) for rule in said])


def _plain(value: PriceTerms | PricePeriod) -> tuple[Any, ...]:
    """As the database holds it: a flag is 0 or 1."""
    return tuple(int(v) if isinstance(v, bool) else v for v in astuple(value))


def _image_names(uuid: str | None, name: str | None, tag: str | None) -> tuple[str, ...]:
    tagged = f"{name}:{tag}" if name and tag else None
    return tuple(each for each in (uuid, name, tagged) if each)
