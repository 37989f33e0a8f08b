"""The bill's settlement windows beside the usage in them, for learning how time is charged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select, text

from etl import tables
from etl.dialect import Database
from etl.history.codes import PREPAID_UNITS
from etl.history.ends import EndEvidence
from etl.history.stretches import Terms
from etl.money.billing.evidence import BillLine, Gap, MeteredRun
from etl.money.billing.prepaid import HeldStretch
from etl.money.billing.stops import SettlementRule
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import Prices, PriceTerms
from etl.poll import Instant
from etl.store.account import Reader
from etl.store.costs import charging_model
from etl.store.monthly import AccountKey
from etl.store.price_periods import overrides, price_terms
from etl.store.state_lengths import learned_boots
from etl.store.subject import Subject
from etl.units import DAY_S

CERTAIN: Final = frozenset({"observed", "unseen_run"})
"""Evidence of stretches whose start is the start of a run."""


@dataclass(frozen=True, slots=True)
class ObservedSpan:
    """Span of time in which both the bill and the instances are known."""

    since: Instant
    until: Instant


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an account is settled, by its newest stops. `distances` maps each evidence of an estimate by
    polls alone to the number of stops, and the seconds by which the bill is off it on average.
    """

    rule: SettlementRule
    distances: Mapping[EndEvidence, tuple[int, int]]


class LearningReader(Subject):
    """Reader of the bills of all accounts, inside one transaction."""

    def evidence(self, account: AccountKey) -> EvidenceReader:
        """Return the reader of one account's bill."""
        return EvidenceReader(self._database, self._conn, *account)


class EvidenceReader:
    """Reader of one account's bill and running time, inside one transaction."""

    def __init__(self, database: Database, conn: Connection, account_id: int, name: str) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id
        self._reader = Reader(database, conn, account_id)
        self.account = name

    def observed(self, days: int) -> ObservedSpan | None:
        """Return the newest `days` of the bill, as far as instances were observed in them."""
        run, bill = tables.sync_run.c, tables.bill.c
        complete = (
            run.account_id == self._account_id,
            run.resource == "instances",
            run.outcome == "complete",
        )
        # from the end of the first poll: what it saw was observed only when it had read it
        first, last = self._conn.execute(
            select(func.min(run.finished_at), func.max(run.started_at)).where(*complete)
        ).one()
        newest = self._conn.scalar(
            # counted back from the bill's end, not from now: a bill that is late would leave few
            # windows
            select(func.max(bill.settle_end_at)).where(
                bill.account_id == self._account_id, bill.superseded_at.is_(None)
            )
        )
        if first is None or newest is None:
            return None
        return ObservedSpan(max(first, newest - days * DAY_S), last)

    def gaps(self) -> list[Gap]:
        """Return the times without observation, by the rule of the view `sync_gap`."""
        rows = self._conn.execute(
            text(
                "SELECT gap_from_s, gap_to_s FROM sync_gap WHERE account = :account"
                " ORDER BY gap_from_s"
            ),
            {"account": self.account},
        )
        return [Gap(*row) for row in rows]

    def lines(self, span: ObservedSpan) -> list[BillLine]:
        """Return the lines whose windows lie in `span`, in order."""
        b = tables.bill.c
        rows = self._conn.execute(
            select(b.settle_start_at, b.settle_end_at, b.amount_microcny, b.remark)
            .where(b.account_id == self._account_id, b.settle_start_at >= span.since)
            # whole windows alone: of one that reaches beyond, nobody saw what ran in it
            .where(b.settle_end_at >= span.since, b.settle_end_at <= span.until)
            .where(b.superseded_at.is_(None))
            .order_by(b.settle_start_at, b.settle_end_at)
        )
        return [BillLine(*row) for row in rows]

    def metered_runs(self, span: ObservedSpan) -> list[MeteredRun]:
        """Return the runs that are not prepaid."""
        units = self.units()
        return [
            _metered_run(row, span.until)
            for row in self._stretches(span.since, "running")
            # prepaid time costs the same whether it runs or not: it would say nothing of how runs
            # are charged
            if units.get(row.charging_type) not in PREPAID_UNITS
        ]

    def held_stretches(self, span: ObservedSpan) -> list[HeldStretch]:
        """Return the stretches in which instances were held on prepaid terms."""
        return [
            HeldStretch(row.started_at, row.ended_at, _price_terms_of(row), row.gpu_nums or 0)
            for row in self._stretches(span.since, "held")
        ]

    def prices(self) -> Prices:
        """Return the prices without those that were learned from the bill."""
        listed = self._reader.deriver().listed_prices()
        # a learned price would explain the very windows that it was learned from
        return Prices(self.account, listed, overrides(self._conn, "user"), self.units())

    def units(self) -> dict[int, str | None]:
        """Map charging codes to their units."""
        return dict(self._reader.codes().units)

    def model_with_boots(self) -> ChargingModel:
        """Return the charging model in force, with boots as long as polls saw them if any did."""
        chosen, boots = charging_model(self._conn), learned_boots(self._database, self._conn)
        is_open = boots.starts and chosen.counts_from == "start"
        # boots that somebody chose with a model that counts from running stay: costs rest on them
        return chosen.with_boots(boots.boot_s, boots.longest_s) if is_open else chosen

    def settlement(self) -> Settlement:
        """Return whether the account is settled at stops, as its newest stops show."""
        return Settlement(self._reader.settlement_rule(), self._reader.settled_distances())

    def _stretches(self, since: Instant, kind: str) -> Sequence[Any]:
        u = tables.instance_usage.c
        return self._conn.execute(
            select(tables.instance_usage)
            .where(u.account_id == self._account_id, u.kind == kind)
            # by the latest end: a run that may have reached into the first window is needed to
            # explain it
            .where(or_(u.ended_max.is_(None), u.ended_max >= since))
            .order_by(u.started_at, u.instance_uuid)
        ).all()


def _metered_run(row: Any, horizon: Instant) -> MeteredRun:
    is_open = row.ended_at is None
    # a possible run explains any window: it is no evidence of how time is charged
    is_known = row.evidence in CERTAIN and row.gpu_nums is not None and row.gpu_nums >= 0
    return MeteredRun(
        row.instance_uuid,
        row.started_at,
        max(row.started_at, horizon) if is_open else row.ended_min,
        max(row.started_at, horizon) if is_open else row.ended_at,
        # nothing says that an open run has ended: it may explain every later window
        FOREVER if is_open else row.ended_max,
        _price_terms_of(row),
        row.gpu_nums or 0,
        is_known,
    )


def _price_terms_of(row: Any) -> PriceTerms:
    return price_terms(
        Terms(row.gpu_uuid, row.gpu_name, row.gpu_nums, row.charging_type, row.image_uuid)
    )
