"""Prices, rules and budgets of all accounts: read, and written with all that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields, replace
from typing import Final, NamedTuple

from sqlalchemy import delete, func, insert, select, text

from etl import tables
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.history.months import Month
from etl.money.allocation import Labels, Rule
from etl.money.budget import MonthlyBudget
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import Override
from etl.poll import APPLIED, Instant
from etl.store import schema
from etl.store.account import Reader, Tx
from etl.store.costs import MODEL_SETTINGS, charging_model
from etl.store.price_periods import overrides, write_overrides
from etl.store.rules import allocation_rules, write_rules
from etl.store.state_lengths import Boots, learned_boots
from etl.store.subject import Subject
from etl.texts import tr
from etl.timing.freshness import READINGS, usual_offset_s

BATCH: Final = 5_000
_BUDGET_COLUMNS: Final = tuple(f.name for f in fields(MonthlyBudget))
_FROZEN: Final = (
    "day",
    "instance_uuid",
    "title",
    "project",
    "owner",
    "cost_centre",
    "kind",
    "gpu_uuid",
    "gpu_name",
    "gpu_nums",
    "charging_type",
    "image_uuid",
    "price_source",
    "settled",
    "used_s",
    "gpu_s",
    "charged_s",
    "unpriced_s",
    "unpriced_max_s",
    "cost_microcny",
    "cost_min_microcny",
    "cost_max_microcny",
    "list_cost_microcny",
)
"""The columns of `_cost_line` that `closed_cost` keeps."""


class AccountKey(NamedTuple):
    """An account by its number and its name."""

    account_id: int
    name: str


class PriceInUse(NamedTuple):
    """Price of charging terms in use, valid from a moment on, as in `price_period`."""

    account: str
    gpu_name: str
    image_uuid: str
    charging_type: int
    no_card: int
    starts_s: Instant
    per_s: int
    price_microcny: int | None
    flat_microcny: int | None
    price_source: str
    is_assumed: int


class CostShare(NamedTuple):
    """The cost of an account in a month that one payer bears; None if no rule says who."""

    account: str
    month: str
    project: str | None
    owner: str | None
    cost_centre: str | None


class RuleVersion(NamedTuple):
    """Rules and budgets as they were imported once, as the text of a TOML file."""

    version: int
    imported_at: Instant
    source: str
    rules: int
    budgets: int
    content: str


class FrozenMonth(NamedTuple):
    """A closed month: its cost as frozen, and as computed today."""

    account: str
    month: str
    closed_at: Instant
    frozen_microcny: int
    known_today_microcny: int


class ObservedBounds(NamedTuple):
    """The starts of an account's first and newest complete poll; both None before the first."""

    first_at: Instant | None
    last_at: Instant | None


class InstanceBatch(NamedTuple):
    """Some instances of an account, and their titles and images over time."""

    account: AccountKey
    labels: Mapping[str, Sequence[Labels]]


class BooksReader(Subject):
    """Prices, rules, budgets and closed months inside one transaction."""

    def zone(self) -> Zone:
        """Return the reporting time zone."""
        return Zone(schema.stored_timezone(self._conn))

    def accounts(self, name: str | None = None) -> list[AccountKey]:
        """Return all accounts, or the one of that name. Raises `SettingsError` if there is none."""
        c = tables.account.c
        asked = select(c.account_id, c.name).order_by(c.name)
        rows = self._conn.execute(asked if name is None else asked.where(c.name == name)).all()
        # a name that is not there may be a typing error: an empty answer would hide it
        if not rows:
            raise SettingsError(
                (
                    tr("there is no account {name!r}", name=name)
                    if name
                    else tr("nothing is synced yet")
                ),
                advice=tr("see chenyu-etl status"),
            )
        return [AccountKey(*row) for row in rows]

    def overrides(self, source: str | None = None) -> list[Override]:
        return overrides(self._conn, source)

    def charging_model(self) -> ChargingModel:
        return charging_model(self._conn)

    def boots(self) -> Boots:
        """Return how long boots last, as polls of all accounts saw them."""
        return learned_boots(self._database, self._conn)

    def prices_in_use(self) -> list[PriceInUse]:
        """Return the prices of all terms in use, in order."""
        p, a = tables.price_period.c, tables.account.c
        rows = self._conn.execute(
            select(a.name, *(p[name] for name in PriceInUse._fields[1:]))
            .join(tables.account, a.account_id == p.account_id)
            .order_by(a.name, p.gpu_name, p.image_uuid, p.charging_type, p.no_card, p.starts_s)
        )
        return [PriceInUse(*row) for row in rows]

    def known_terms(self) -> dict[str, set[str]]:
        """Map account, gpu_uuid, gpu_name and image_uuid to the values that occur anywhere."""
        listed, used, term = tables.gpu_price.c, tables.instance.c, tables.price_period.c
        columns = {
            "account": (tables.account.c.name,),
            "gpu_uuid": (listed.gpu_uuid, used.gpu_uuid, term.gpu_uuid),
            "gpu_name": (listed.gpu_name, used.gpu_name, term.gpu_name),
            "image_uuid": (used.image_uuid, term.image_uuid),
        }
        return {
            name: {
                str(value)
                for column in columns_of_name
                for value in self._conn.scalars(select(column).distinct())
                if value
            }
            for name, columns_of_name in columns.items()
        }

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are tried."""
        return allocation_rules(self._conn)

    def budgets(self) -> list[MonthlyBudget]:
        c = tables.budget.c
        asked = select(*(c[name] for name in _BUDGET_COLUMNS))
        rows = self._conn.execute(asked.order_by(c.scope, c.name, c.month))
        return [MonthlyBudget(*row) for row in rows]

    def rule_versions(self) -> list[RuleVersion]:
        """Return all imports of rules and budgets that are kept, oldest first."""
        c = tables.rule_version.c
        rows = self._conn.execute(
            select(*(c[name] for name in RuleVersion._fields)).order_by(c.version)
        )
        return [RuleVersion(*row) for row in rows]

    def account_names(self) -> set[str]:
        return set(self._conn.scalars(select(tables.account.c.name)))

    def instances_by_rule(self) -> Counter[int]:
        """Count the instances that each rule holds for now."""
        a = tables.allocation.c
        # the last allocation of an instance is the one that holds for now
        return Counter(self._conn.scalars(select(a.rule_no).where(a.ends_s == FOREVER)))

    def batches(self) -> Iterator[InstanceBatch]:
        """Yield all instances with their titles and images, some at a time."""
        c = tables.account.c
        rows = self._conn.execute(select(c.account_id, c.name).order_by(c.account_id)).all()
        for account in (AccountKey(*row) for row in rows):
            reader = Reader(self._database, self._conn, account.account_id)
            uuids = reader.all_uuids()
            for at in range(0, len(uuids), BATCH):
                yield InstanceBatch(account, reader.deriver().labels(uuids[at : at + BATCH]))

    def monthly_costs(self, month: Month | None = None) -> Counter[CostShare]:
        """Return the cost of each month, or of one, by who pays it, in millionths of a yuan."""
        # no `:month IS NULL OR`: SQLite would then read the days of all months
        chosen = "" if month is None else "WHERE c.month = :month"
        rows = self._ask(
            "SELECT l.account, c.month, l.project, l.owner, l.cost_centre,"
            " CAST(SUM(l.cost_microcny) AS BIGINT) AS cost FROM _cost_line l"
            f" JOIN calendar_day c ON c.day = l.day {chosen}"
            " GROUP BY l.account, c.month, l.project, l.owner, l.cost_centre",
            **({} if month is None else {"month": str(month)}),
        )
        return Counter(
            {
                CostShare(r.account, r.month, r.project, r.owner, r.cost_centre): r.cost or 0
                for r in rows
            }
        )

    def frozen_months(self) -> list[FrozenMonth]:
        """Return the closed months by account."""
        m, a = tables.closed_month.c, tables.account.c
        rows = self._conn.execute(
            select(a.name, m.account_id, m.month, m.closed_at)
            .join(tables.account, a.account_id == m.account_id)
            .order_by(a.name, m.month)
        ).all()
        return [
            FrozenMonth(
                row.name,
                row.month,
                row.closed_at,
                self._frozen_cost(row.account_id, row.month),
                self._cost_today(row.account_id, row.month),
            )
            for row in rows
        ]

    def closed_months(self) -> list[str]:
        """Return the months that some account has closed, in order."""
        c = tables.closed_month.c
        return list(self._conn.scalars(select(c.month).distinct().order_by(c.month)))

    def is_closed(self, account: AccountKey, month: Month) -> bool:
        c = tables.closed_month.c
        mine = c.account_id == account.account_id, c.month == str(month)
        return self._conn.scalar(select(c.month).where(*mine)) is not None

    def observed(self, account: AccountKey) -> ObservedBounds:
        run = tables.sync_run.c
        row = self._conn.execute(
            select(func.min(run.started_at), func.max(run.started_at)).where(
                run.account_id == account.account_id,
                run.resource == "instances",
                run.outcome == "complete",
            )
        ).one()
        return ObservedBounds(*row)

    def _frozen_cost(self, account_id: int, month: str) -> int:
        c = tables.closed_cost.c
        mine = c.account_id == account_id, c.month == month
        return int(self._conn.scalar(select(func.sum(c.cost_microcny)).where(*mine)) or 0)

    def _cost_today(self, account_id: int, month: str) -> int:
        asked = text(
            "SELECT SUM(p.cost_microcny) FROM _cost_part p JOIN calendar_day d ON d.day = p.day"
            " WHERE p.account_id = :account AND d.month = :month"
        )
        cost = self._conn.scalar(asked, {"account": account_id, "month": month})
        return int(cost or 0)


class BooksWriter(BooksReader):
    """Writer of prices, rules, budgets and closed months; costs and allocations are updated in the
    same transaction.
    """

    def replace_overrides(self, chosen: Sequence[Override]) -> None:
        """Replace the overrides from the same sources."""
        write_overrides(self._database, self._conn, chosen)
        self._refresh_prices()

    def replace_learned(self, learned: Sequence[Override]) -> None:
        """Replace the prices learned from the bill."""
        # the order of overrides is that of their rows, so all are written anew
        kept = self.overrides("user")
        self._conn.execute(delete(tables.price_override))
        from_bill = [replace(override, source="bill") for override in learned]
        self.replace_overrides([*kept, *from_bill])

    def set_charging_model(self, model: ChargingModel) -> None:
        """Change the charging model, for past usage as well."""
        c = tables.setting.c
        self._conn.execute(delete(tables.setting).where(c.name.in_(MODEL_SETTINGS)))
        for name, field in MODEL_SETTINGS.items():
            value = f"{getattr(model, field)}"
            self._conn.execute(insert(tables.setting).values(name=name, value=value))
        for tx in self._transactions():
            # the model applies to past usage too, so that one month has one rule
            tx.deriver().charge_anew()
            tx.settle_stops()

    def replace_rules(self, chosen: Sequence[Rule], batches: Sequence[InstanceBatch]) -> None:
        """Replace all rules; `batches` are all instances, as `batches()` gives them."""
        write_rules(self._database, self._conn, chosen)
        for batch in batches:
            tx = Tx(self._database, self._conn, batch.account.account_id)
            tx.deriver().allocate_anew(list(batch.labels), batch.labels)

    def replace_budgets(self, chosen: Sequence[MonthlyBudget]) -> None:
        """Replace all budgets."""
        self._conn.execute(delete(tables.budget))
        rows = [astuple(budget) for budget in chosen]
        self._database.insert(self._conn, tables.budget, _BUDGET_COLUMNS, rows)

    def add_rule_version(self, version: RuleVersion) -> None:
        """Keep an import of rules and budgets, so that it can be restored."""
        self._conn.execute(insert(tables.rule_version).values(**version._asdict()))

    def freeze(self, account: AccountKey, month: Month, now: Instant) -> None:
        """Freeze an account's costs of a month as they are now."""
        names = ", ".join(_FROZEN)
        self._conn.execute(
            text(
                f"INSERT INTO closed_cost (account_id, month, line_no, {names})"
                # numbered by all that it says, so that closing twice gives the same rows
                f" SELECT account_id, :month, ROW_NUMBER() OVER (ORDER BY {names}), {names}"
                " FROM _cost_line WHERE account = :name"
                " AND day IN (SELECT day FROM calendar_day WHERE month = :month)"
            ),
            {"month": str(month), "name": account.name},
        )
        self._conn.execute(
            insert(tables.closed_month).values(
                account_id=account.account_id,
                month=str(month),
                # compared with instants of polls, which are on the source's clock
                closed_at=now + self._clock_offset_s(account),
                bill_until=self._bill_until(account),
            )
        )

    def thaw(self, account: AccountKey, month: Month) -> None:
        """Reopen a month of an account: its costs follow the data again."""
        for table in (tables.closed_cost, tables.closed_month):
            mine = table.c.account_id == account.account_id, table.c.month == str(month)
            self._conn.execute(delete(table).where(*mine))

    def _clock_offset_s(self, account: AccountKey) -> int:
        """Return the source's clock minus the local one by the newest applied polls; 0 if none measured it."""
        run = tables.sync_run.c
        newest = (
            select(run.clock_offset_s)
            .where(
                run.account_id == account.account_id,
                run.outcome.in_(APPLIED),
                run.clock_offset_s.is_not(None),
            )
            .order_by(run.started_at.desc())
            .limit(READINGS)
        )
        return round(usual_offset_s(self._conn.scalars(newest)))

    def _bill_until(self, account: AccountKey) -> Instant:
        """Return the time until which the bill is known, by the clock of the polls; 0 if it is
        not.
        """
        run, bill = tables.sync_run.c, tables.bill.c
        polled = select(func.max(run.finished_at)).where(
            run.account_id == account.account_id,
            run.resource == "bills",
            run.outcome.in_(APPLIED),
        )
        came = select(func.max(bill.changed_at)).where(bill.account_id == account.account_id)
        return max(self._conn.scalar(newest) or 0 for newest in (polled, came))

    def _refresh_prices(self) -> None:
        for tx in self._transactions():
            tx.refresh_prices()
            tx.settle_stops()

    def _transactions(self) -> list[Tx]:
        account_ids = self._conn.scalars(select(tables.account.c.account_id)).all()
        return [Tx(self._database, self._conn, account_id) for account_id in account_ids]
