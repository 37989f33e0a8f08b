"""Bill lines that charge a prepaid period. Pure; amounts are millionths of a yuan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etl.money.billing.evidence import BillLine
from etl.money.billing.hypotheses import Periods
from etl.money.tariffs import PER_S, PriceTerms
from etl.poll import Instant


@dataclass(frozen=True, slots=True)
class HeldStretch:
    """A stretch in which an instance was held on prepaid terms; `ended_s` is None while it is held."""

    started_s: Instant
    ended_s: Instant | None
    terms: PriceTerms
    gpus: int


@dataclass(frozen=True, slots=True)
class PrepaidEvidence:
    """Prepaid periods and the lines that charge them.

    `expected` counts the periods that passed whole, `as_priced` the lines that charge one at the
    known price; `lines` are all lines of prepaid periods.
    """

    expected: int
    as_priced: int
    lines: frozenset[BillLine]


def prepaid_evidence(
    lines: Sequence[BillLine],
    held: Sequence[HeldStretch],
    *,
    since: Instant,
    until: Instant,
    units: Mapping[int, str | None],
    periods: Periods,
) -> PrepaidEvidence:
    """Find the lines of prepaid periods among the lines of an observed time."""
    expected = 0
    of_periods: set[BillLine] = set()
    as_priced: set[BillLine] = set()
    for stretch in held:
        per_s = PER_S[units.get(stretch.terms.charging_type) or "month"]
        begins = max(since, stretch.started_s)
        ends = until if stretch.ended_s is None else min(until, stretch.ended_s)
        # whole ones: whether a begun period is charged is not known
        expected += max(0, ends - begins) // per_s
        for line in lines:
            length_s = line.ends_s - line.starts_s
            # a prepaid line has its whole period as window, or the moment of the order
            if length_s not in (0, per_s) or not begins <= line.starts_s < ends:
                continue
            is_priced = price_of_period(stretch, line.starts_s, periods) == line.amount
            # a moment may be of anything: only its amount shows that it pays a period
            if is_priced or length_s:
                of_periods.add(line)
            if is_priced:
                as_priced.add(line)
    return PrepaidEvidence(expected, len(as_priced), frozenset(of_periods))


def price_of_period(stretch: HeldStretch, at: Instant, periods: Periods) -> int | None:
    """Return the price of a prepaid period that begins at `at`; None if it is not known."""
    price = next(p for p in periods(stretch.terms) if p.starts_s <= at < p.ends_s)
    if price.price_microcny is None or price.flat_microcny is None:
        return None
    return stretch.gpus * price.price_microcny + price.flat_microcny
