"""Table `billed_usage_day`: usage before the first poll, as the bill shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, or_, select

from etl import tables
from etl.history.stretches import Terms
from etl.money.billing.evidence import LONGEST_BOOT_S, LONGEST_USUAL_BOOT_S
from etl.money.billing.past import (
    KNOWN_COUNTS,
    BilledPart,
    PastCharge,
    PastRun,
    Rates,
    RentedCards,
    billed_usage,
    by_day,
    known_start,
)
from etl.money.charging import ChargingModel
from etl.money.periods import LAST
from etl.money.tariffs import PriceTerms
from etl.poll import Instant
from etl.resources import INSTANCES
from etl.store.costs import charging_model
from etl.store.price_periods import price_terms
from etl.store.rows import TERM_NAMES
from etl.store.settling import SettlingReader, SettlingWriter

COLUMNS: Final = (
    *("account_id", "part_no", "day", "kind", "instance_uuid"),
    *("gpu_uuid", "gpu_name", "gpu_nums", "charges", "billed_s", "amount_microcny"),
)
_billed: Final = tables.billed_usage_day.c
_bill: Final = tables.bill.c
_usage: Final = tables.instance_usage.c
_seen: Final = tables.instance_history.c
_MINE: Final = _billed.account_id == bindparam("account")
_KEPT: Final = (
    select(*(_billed[name] for name in COLUMNS[1:])).where(_MINE).order_by(_billed.part_no)
)
_window: Final = (
    _bill.settle_start_at,
    _bill.settle_end_at,
    _bill.order_number,
    _bill.remark,
)
_CHARGES: Final = (
    select(*_window, func.sum(_bill.amount_microcny))
    .where(
        _bill.account_id == bindparam("account"),
        _bill.superseded_at.is_(None),
        _bill.settle_start_at < bindparam("until"),
    )
    .group_by(*_window)
    .order_by(*_window)
)
_EARLIEST: Final = select(func.min(_bill.settle_start_at)).where(
    _bill.account_id == bindparam("account"),
    _bill.settle_end_at >= bindparam("lower"),
    _bill.settle_end_at <= bindparam("upper"),
)
_OBSERVED: Final = (
    select(
        _usage.instance_uuid,
        _usage.kind,
        _usage.started_at,
        *(_usage[name] for name in TERM_NAMES),
    )
    .where(
        _usage.account_id == bindparam("account"),
        _usage.evidence != "possible_run",
        _usage.started_at < bindparam("until"),
    )
    .order_by(_usage.started_at, _usage.instance_uuid)
)
_KNOWN: Final = (
    select(
        _seen.instance_uuid,
        _seen.create_time,
        _seen.start_time,
        *(_seen[name] for name in TERM_NAMES),
    )
    .where(
        _seen.account_id == bindparam("account"),
        _seen.version == 1,
        or_(_seen.create_time < bindparam("until"), _seen.start_time < bindparam("until")),
    )
    .order_by(_seen.instance_uuid)
)


class PastUsageReader(SettlingReader):
    """Reader of what the bill says of the time before the first poll."""

    def past_usage_differs(self) -> bool:
        """Tell whether what is stored is not what the bill says."""
        return [tuple(row) for row in self._ask(_KEPT)] != list(self._past_rows())

    def _past_rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of `billed_usage_day`, but for the account."""
        for number, part in enumerate(self._past_parts(), 1):
            cards = part.cards or (None, None, None)
            yield (number, *part[:3], *cards, part.charges, part.billed_s, part.amount)

    def _past_parts(self) -> Sequence[BilledPart]:
        until = self.first_complete_at(INSTANCES.name)
        if until is None:
            return []
        charges = [
            PastCharge(starts, ends, order, remark, int(amount))
            for starts, ends, order, remark, amount in self._ask(_CHARGES, until=until)
        ]
        if not charges:
            return []
        model, observed = charging_model(self._conn), self._ask(_OBSERVED, until=until).all()
        metered = [row for row in observed if row.kind == "running" and not self._is_prepaid(row)]
        runs = [*_observed_runs(metered, model), *self._past_runs(observed, until, model)]
        # what is held when the first poll comes counts as observed since its creation
        held_since = min((row.started_at for row in observed if row.kind == "held"), default=LAST)
        known = [x for x in charges if not x.is_of_days or x.ends_s < held_since]
        rates = Rates(self._past_cards(runs), self.deriver().periods, model)
        return by_day(billed_usage(known, runs, rates, until), self.zone(), until)

    def _past_runs(
        self, observed: Sequence[Any], until: Instant, model: ChargingModel
    ) -> Iterator[PastRun]:
        """Yield the runs that polls know of, though they were over: the last one of each instance,
        and the one that its creation began.
        """
        going_on = {(row.instance_uuid, row.started_at) for row in observed}
        for uuid, created_at, started_at, *terms in self._ask(_KNOWN, until=until):
            cards = _cards(Terms(*terms))
            if cards is None or self.codes().is_prepaid(terms[3]):
                continue
            known = PastRun(uuid, 0, 0, price_terms(Terms(*terms)), cards, False)
            if started_at is not None and (created_at is None or started_at >= created_at):
                since, to = known_start(started_at, model, LONGEST_BOOT_S)
                if (uuid, started_at) not in going_on:
                    yield known._replace(begins_s=since, latest_s=to)
            if created_at is not None and created_at < until:
                since, to = known_start(created_at, model, LONGEST_BOOT_S)
                to += LONGEST_USUAL_BOOT_S
                if started_at is None or not since <= started_at <= to:
                    yield known._replace(begins_s=since, latest_s=to)

    def _is_prepaid(self, row: Any) -> bool:
        return self.codes().is_prepaid(row.charging_type)

    def _past_cards(self, runs: Sequence[PastRun]) -> Iterator[tuple[RentedCards, PriceTerms]]:
        """Yield all that may have been rented before the first poll, with the terms of its price."""
        # of usage only what began by then: what is rented later must change nothing that is settled
        yield from ((run.cards, run.terms) for run in runs)
        hourly = [code for code, unit in self.codes().units.items() if unit == "hour"]
        counts = sorted({*KNOWN_COUNTS, *(run.cards.gpu_nums for run in runs)} - {0})
        models = {price.gpu_uuid: price.gpu_name for price in self.deriver().listed_prices()}
        models |= {run.cards.gpu_uuid: run.cards.gpu_name for run in runs if run.cards.gpu_uuid}
        for gpu_uuid, gpu_name in sorted(models.items()):
            terms = PriceTerms(gpu_uuid, gpu_name, "", min(hourly, default=-1), False)
            yield from ((RentedCards(gpu_uuid, gpu_name, count), terms) for count in counts)


class PastUsageWriter(PastUsageReader, SettlingWriter):
    """Writer of what the bill says of the time before the first poll."""

    def settle_past(self, lower: Instant, upper: Instant) -> None:
        """Say it again if lines between two instants changed that began before the first poll."""
        if self._has_no_bill:
            return
        until = self.first_complete_at(INSTANCES.name)
        earliest = self._ask(_EARLIEST, lower=lower, upper=upper).scalar()
        if until is not None and earliest is not None and earliest < until:
            self.settle_past_anew()

    def settle_past_anew(self) -> None:
        """Say all of it again."""
        self._conn.execute(
            delete(tables.billed_usage_day).where(_MINE), {"account": self._account_id}
        )
        rows = [(self._account_id, *row) for row in self._past_rows()]
        self._database.insert(self._conn, tables.billed_usage_day, COLUMNS, rows)


def _observed_runs(observed: Sequence[Any], model: ChargingModel) -> Iterator[PastRun]:
    for uuid, _, started_at, *terms in observed:
        cards = _cards(Terms(*terms))
        if cards is not None:
            since, to = known_start(started_at, model, LONGEST_BOOT_S)
            yield PastRun(uuid, since, to, price_terms(Terms(*terms)), cards, True)


def _cards(terms: Terms) -> RentedCards | None:
    if terms.gpu_nums is None or terms.gpu_nums < 0:
        return None
    return RentedCards(terms.gpu_uuid or "", terms.gpu_name or "", terms.gpu_nums)
