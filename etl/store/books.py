"""Prices, rules and budgets of all accounts: read, and written with all that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields, replace
from typing import Final, NamedTuple

from sqlalchemy import delete, insert, select

from etl import tables
from etl.money.allocation import RuleBook
from etl.money.budget import MonthlyBudget
from etl.money.charging import ChargingModel
from etl.money.limits import UsageLimit
from etl.money.matching import Labels
from etl.money.periods import FOREVER
from etl.money.tariffs import Override
from etl.poll import Instant
from etl.steps import report_steps
from etl.store.account import Reader, Tx
from etl.store.costs import MODEL_SETTINGS, charging_model
from etl.store.monthly import AccountKey, MonthsReader, MonthsWriter
from etl.store.price_periods import OFFERED_CODES, overrides, write_overrides
from etl.store.rules import rule_book, write_rules
from etl.store.state_lengths import Boots, learned_boots

BATCH: Final = 200
"""Instances read and allocated at a time: a progress bar moves with each batch."""
_LIMIT_COLUMNS: Final = tuple(f.name for f in fields(UsageLimit))
_BUDGET_COLUMNS: Final = tuple(f.name for f in fields(MonthlyBudget))


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


class RuleVersion(NamedTuple):
    """Rules and budgets as they were imported once, as the text of a TOML file."""

    version: int
    imported_at: Instant
    source: str
    rules: int
    budgets: int
    content: str


class InstanceBatch(NamedTuple):
    """Some instances of an account, and their titles and images over time."""

    account: AccountKey
    labels: Mapping[str, Sequence[Labels]]


class BooksReader(MonthsReader):
    """Prices, rules, budgets and closed months inside one transaction."""

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
            .where(p.charging_type.not_in(OFFERED_CODES))
            .order_by(a.name, p.gpu_name, p.image_uuid, p.charging_type, p.no_card, p.starts_s)
        )
        return [PriceInUse(*row) for row in rows]

    def known_terms(self) -> dict[str, set[str]]:
        """Map account, gpu_uuid, gpu_name and image_uuid to the values that occur anywhere."""
        listed, used, term = tables.gpu_price.c, tables.instance.c, tables.price_period.c
        # prices of models that are no longer listed, or were never used, are no typing errors
        # a price may be for a model that is listed and never used, or used and no longer listed
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

    def rule_book(self) -> RuleBook:
        """Return the rules about instances."""
        return rule_book(self._conn)

    def budgets(self) -> list[MonthlyBudget]:
        c = tables.budget.c
        asked = select(*(c[name] for name in _BUDGET_COLUMNS))
        rows = self._conn.execute(asked.order_by(c.scope, c.name, c.month))
        return [MonthlyBudget(*row) for row in rows]

    def limits(self) -> list[UsageLimit]:
        c = tables.usage_limit.c
        asked = select(*(c[name] for name in _LIMIT_COLUMNS)).order_by(c.limit_no)
        return [UsageLimit(*row) for row in self._conn.execute(asked)]

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
        done = 0
        c = tables.account.c
        rows = self._conn.execute(select(c.account_id, c.name).order_by(c.account_id)).all()
        for account in (AccountKey(*row) for row in rows):
            reader = Reader(self._database, self._conn, account.account_id)
            uuids = reader.all_uuids()
            # a batch at a time, so that not the labels of all instances are in memory at once
            for at in range(0, len(uuids), BATCH):
                batch = InstanceBatch(account, reader.deriver().labels(uuids[at : at + BATCH]))
                done += len(batch.labels)
                report_steps(done, None)
                yield batch


class BooksWriter(MonthsWriter, BooksReader):
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
        # written even if it is the default: a later default must not change what costs rest on
        self._conn.execute(delete(tables.setting).where(c.name.in_(MODEL_SETTINGS)))
        for name, field in MODEL_SETTINGS.items():
            value = f"{getattr(model, field)}"
            self._conn.execute(insert(tables.setting).values(name=name, value=value))
        for tx in self._transactions():
            # the model applies to past usage too, so that one month has one rule
            tx.deriver().charge_anew()
            tx.settle_stops()
            tx.settle_past_anew()

    def replace_rules(self, chosen: RuleBook, batches: Sequence[InstanceBatch]) -> None:
        """Replace all rules; `batches` are all instances, as `batches()` gives them."""
        write_rules(self._database, self._conn, chosen)
        total = sum(len(batch.labels) for batch in batches)
        done = 0
        for batch in batches:
            tx = Tx(self._database, self._conn, batch.account.account_id)
            deriver = tx.deriver()
            # one book for all accounts: its rules are put in order once
            deriver.use_book(chosen)
            deriver.allocate_anew(list(batch.labels), batch.labels)
            done += len(batch.labels)
            report_steps(done, total)

    def replace_budgets(self, chosen: Sequence[MonthlyBudget]) -> None:
        """Replace all budgets."""
        self._conn.execute(delete(tables.budget))
        # replaced whole: the file that is imported is the truth, and what it leaves out is gone
        # the imported file is the whole truth: a budget that it leaves out is gone
        rows = [astuple(budget) for budget in chosen]
        self._database.insert(self._conn, tables.budget, _BUDGET_COLUMNS, rows)

    def replace_limits(self, chosen: Sequence[UsageLimit]) -> None:
        """Replace all limits."""
        self._conn.execute(delete(tables.usage_limit))
        rows = [astuple(limit) for limit in chosen]
        self._database.insert(self._conn, tables.usage_limit, _LIMIT_COLUMNS, rows)

    def add_rule_version(self, version: RuleVersion) -> None:
        """Keep an import of rules and budgets, so that it can be restored."""
        self._conn.execute(insert(tables.rule_version).values(**version._asdict()))

    def _refresh_prices(self) -> None:
        for tx in self._transactions():
            # a stop is settled by a window that costs what the run does: prices decide that too
            tx.refresh_prices()
            tx.settle_stops()
            tx.settle_past_anew()

    def _transactions(self) -> list[Tx]:
        account_ids = self._conn.scalars(select(tables.account.c.account_id)).all()
        return [Tx(self._database, self._conn, account_id) for account_id in account_ids]
