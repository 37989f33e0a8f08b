"""Usage before the first poll, as the bill shows it. Pure.

The bill reaches back further than anybody looked. A charge names no instance and no GPU, but it may be
what just one model and number of GPUs cost in its window; windows that follow one another are of one
run; and a run whose start is known began with a window. What a run costs that went on at the first poll
is left out: it counts as observed since its start. Amounts are millionths of a yuan.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from etl.history.days import Zone, share
from etl.money.billing.hypotheses import Periods
from etl.money.charging import ChargingModel
from etl.money.formulas import stepped
from etl.money.tariffs import PriceTerms
from etl.poll import SKEW_S, Instant
from etl.units import DAY_S, FEN, HOUR_S


class PastCharge(NamedTuple):
    """A charge before the first poll: all lines of one order for a window."""

    starts_s: Instant
    ends_s: Instant
    order_number: str
    remark: str
    amount: int

    @property
    def is_of_days(self) -> bool:
        """Tell whether it is charged by the day, or at a moment: it settles no run."""
        return (self.ends_s - self.starts_s) % DAY_S == 0


class RentedCards(NamedTuple):
    """A GPU model, and how many of them one instance had."""

    gpu_uuid: str
    gpu_name: str
    gpu_nums: int


class PastRun(NamedTuple):
    """A run that began before the first poll, as polls know it: a window of its own begins between
    `begins_s` and `latest_s`. `is_observed`: it still went on at the first poll.
    """

    instance_uuid: str
    begins_s: Instant
    latest_s: Instant
    terms: PriceTerms
    cards: RentedCards
    is_observed: bool


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """A charge before the first poll, with what it is for: None if the bill leaves that open."""

    charge: PastCharge
    cards: RentedCards | None = None
    instance_uuid: str | None = None


class BilledPart(NamedTuple):
    """What was charged in a day for an instance and its cards; None stands for what is not known."""

    day: str
    kind: str
    instance_uuid: str | None
    cards: RentedCards | None
    charges: int
    billed_s: int
    amount: int


def billed_usage(
    charges: Sequence[PastCharge], runs: Sequence[PastRun], rates: Rates, until: Instant
) -> list[BilledUsage]:
    """Return the charges that begin before the first poll at `until`, without those of runs that it
    observed.
    """
    charges = _joined(charges, rates)
    chains = _Chains(charges, [rates.cards_of(charge) for charge in charges])
    observed: set[int] = set()
    for run in runs:
        if run.is_observed:
            observed.update(chains.observed(run, rates, until, observed))
    owners = _owners(chains, [run for run in runs if not run.is_observed], observed)
    return [
        _usage_of(charges[at], chains.cards[head], owners.get(head))
        for head, links in chains.links.items()
        for at in links
        if at not in observed
    ]


def by_day(usage: Iterable[BilledUsage], zone: Zone, until: Instant) -> list[BilledPart]:
    """Cut charges by day and add up what is for the same; what lies after `until` is left out."""
    sums: dict[tuple[str, str, str | None, RentedCards | None], Counter[str]] = defaultdict(Counter)
    for each in usage:
        charge = each.charge
        kind = "held" if charge.is_of_days else "running"
        length, seen = charge.ends_s - charge.starts_s, min(charge.ends_s, until)
        amount = charge.amount * (seen - charge.starts_s) // length if length else charge.amount
        seconds = share(zone, charge.starts_s, seen, seen - charge.starts_s)
        parts = zip(share(zone, charge.starts_s, seen, amount), seconds, strict=True)
        for (day, part), (_, billed_s) in parts:
            sums[day, kind, each.instance_uuid, each.cards].update(
                charges=1, billed_s=billed_s, amount=part
            )
    rows = [
        BilledPart(*key, each["charges"], each["billed_s"], each["amount"])
        for key, each in sums.items()
    ]
    return sorted(rows, key=lambda row: (*row[:2], row.instance_uuid or "", row.cards or ()))


def _joined(charges: Iterable[PastCharge], rates: Rates) -> list[PastCharge]:
    """Join charges of one window that fit no cards but together do: parts that card and balance paid
    have orders of their own.
    """
    windows: dict[tuple[Instant, Instant, str], list[PastCharge]] = defaultdict(list)
    for charge in charges:
        windows[charge.starts_s, charge.ends_s, charge.remark].append(charge)
    joined: list[PastCharge] = []
    for parts in windows.values():
        odd = [charge for charge in parts if not rates.cards_of(charge)]
        whole = parts[0]._replace(amount=sum(charge.amount for charge in odd))
        if len(odd) > 1 and rates.cards_of(whole):
            parts = [odd[0]._replace(amount=whole.amount), *(x for x in parts if x not in odd)]
        joined += parts
    return sorted(joined)


class Rates:
    """The prices of every known model and number of GPUs over time, under a charging model."""

    def __init__(
        self,
        cards: Iterable[tuple[RentedCards, PriceTerms]],
        periods: Periods,
        model: ChargingModel,
    ) -> None:
        self._step_s = model.step_s
        self._cards = list(dict.fromkeys(cards))
        self._periods = {terms: periods(terms) for _, terms in self._cards}
        edges = {p.starts_s for known in self._periods.values() for p in known}
        self._edges = sorted(edges)
        self._rates: dict[int, list[tuple[int, RentedCards]]] = {}

    def cards_of(self, charge: PastCharge) -> frozenset[RentedCards]:
        """Return the cards that cost this amount in this window, to the fen."""
        if charge.is_of_days or charge.amount <= 0:
            return frozenset()
        charged_s = stepped(charge.ends_s - charge.starts_s, self._step_s)
        epochs = range(self._epoch(charge.starts_s), self._epoch(charge.ends_s - 1) + 1)
        # a price that changes within the window explains no amount
        return frozenset.intersection(
            *(self._fitting(epoch, charge.amount, charged_s) for epoch in epochs)
        )

    def _fitting(self, epoch: int, amount: int, charged_s: int) -> frozenset[RentedCards]:
        known = self._known(epoch)
        # rate x seconds / hour lies within less than a fen of the amount
        since = bisect_right(known, (amount - FEN) * HOUR_S // charged_s, key=_rate_of)
        until = bisect_left(known, -(-(amount + FEN) * HOUR_S // charged_s), key=_rate_of)
        return frozenset(cards for _, cards in known[since:until])

    def cost(self, run: PastRun, since: Instant, until: Instant) -> int | None:
        """Return what a run costs in a time; None if its price is not known."""
        for rate, cards in self._known(self._epoch(since)):
            if cards == run.cards:
                return rate * stepped(until - since, self._step_s) // HOUR_S
        return None

    def _epoch(self, at: Instant) -> int:
        return bisect_right(self._edges, at) - 1

    def _known(self, epoch: int) -> list[tuple[int, RentedCards]]:
        """Return (millionths an hour, cards) in order, as it is from an edge of a price on."""
        if epoch not in self._rates:
            at = self._edges[epoch] if epoch >= 0 else 0
            self._rates[epoch] = sorted(self._rates_at(at), key=lambda rate: (rate[0], rate[1]))
        return self._rates[epoch]

    def _rates_at(self, at: Instant) -> Iterator[tuple[int, RentedCards]]:
        for cards, terms in self._cards:
            period = next(p for p in self._periods[terms] if p.starts_s <= at < p.ends_s)
            if period.price_microcny is not None and period.kind == "running":
                price = cards.gpu_nums * period.price_microcny + (period.flat_microcny or 0)
                yield price * HOUR_S // period.per_s, cards


def _rate_of(rate: tuple[int, RentedCards]) -> int:
    return rate[0]


class _Chains:
    """Charges linked to those that follow them, by number; `links` has each chain by its head, and
    `cards` the cards that fit all of it.
    """

    def __init__(
        self, charges: Sequence[PastCharge], fitting: Sequence[frozenset[RentedCards]]
    ) -> None:
        self._charges, self._fitting = charges, fitting
        following = dict(self._followed())
        followers = set(following.values())
        self.links: dict[int, list[int]] = {}
        self.cards: dict[int, frozenset[RentedCards]] = {}
        self._head_of: dict[int, int] = {}
        for head in range(len(charges)):
            if head not in followers:
                self._add(head, following)
        self._begins = sorted(range(len(charges)), key=lambda at: charges[at].starts_s)
        self._begun = [charges[at].starts_s for at in self._begins]

    def heads(self, run: PastRun) -> list[int]:
        """Return the chains that may be a run's."""
        since = bisect_left(self._begun, run.begins_s)
        until = bisect_right(self._begun, run.latest_s)
        return [
            at
            for at in self._begins[since:until]
            if at in self.links and run.cards in self.cards[at]
        ]

    def observed(
        self, run: PastRun, rates: Rates, until: Instant, taken: Set[int]
    ) -> Iterator[int]:
        """Yield the charges of a run that went on at the first poll."""
        first = self._reaching((at for at in self.heads(run) if at not in taken), until)
        if first is None:
            first = self._slot(run, rates, taken)
        while first is not None:
            rest = self.links[self._head_of[first]]
            rest = rest[rest.index(first) :]
            yield from rest
            ends_s = self._charges[rest[-1]].ends_s
            # chains that cannot be told apart have no links: it surely went on in one of them
            first = None
            if ends_s < until:
                since, to = bisect_left(self._begun, ends_s), bisect_right(self._begun, ends_s)
                going_on = (
                    at
                    for at in self._begins[since:to]
                    if at not in taken and run.cards in self._fitting[at]
                )
                first = self._reaching(going_on, until)

    def _slot(self, run: PastRun, rates: Rates, taken: Set[int]) -> int | None:
        """Return the charge of a slot of the clock in which a run began, if there is one."""
        since = bisect_left(self._begun, run.latest_s - DAY_S)
        until = bisect_right(self._begun, run.latest_s)
        began_s = (run.begins_s + run.latest_s) // 2
        for at in self._begins[since:until]:
            charge = self._charges[at]
            if at in taken or not began_s < charge.ends_s:
                continue
            cost = rates.cost(run, began_s, charge.ends_s)
            if cost is not None and abs(cost - charge.amount) < 2 * FEN:
                return at
        return None

    def _reaching(self, starts: Iterable[int], until: Instant) -> int | None:
        """Return the charge whose chain comes nearest to `until`, the earliest of several."""
        return max(
            starts,
            key=lambda at: (
                min(until, self._charges[self.links[self._head_of[at]][-1]].ends_s),
                -self._charges[at].starts_s,
                -at,
            ),
            default=None,
        )

    def _add(self, head: int, following: Mapping[int, int]) -> None:
        links = [head]
        while links[-1] in following:
            links.append(following[links[-1]])
        self.links[head] = links
        self.cards[head] = frozenset.intersection(*(self._fitting[at] for at in links))
        self._head_of |= dict.fromkeys(links, head)

    def _followed(self) -> Iterator[tuple[int, int]]:
        """Yield charges with the one that surely follows each."""
        begun: dict[tuple[str, Instant], list[int]] = defaultdict(list)
        ended: dict[tuple[str, Instant], list[int]] = defaultdict(list)
        for at, charge in enumerate(self._charges):
            if not charge.is_of_days:
                begun[charge.remark, charge.starts_s].append(at)
                ended[charge.remark, charge.ends_s].append(at)
        for moment in sorted(begun.keys() & ended.keys()):
            by_order = dict(_matched(ended[moment], begun[moment], self._is_of_order))
            yield from by_order.items()
            rest = [at for at in ended[moment] if at not in by_order]
            others = [at for at in begun[moment] if at not in by_order.values()]
            yield from _matched(rest, others, self._is_alike)

    def _is_of_order(self, before: int, after: int) -> bool:
        return self._charges[before].order_number == self._charges[after].order_number

    def _is_alike(self, before: int, after: int) -> bool:
        return bool(self._fitting[before] & self._fitting[after])


def _matched(
    before: Sequence[int], after: Sequence[int], fits: Callable[[int, int], bool]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of which neither fits any other."""
    pairs = [(x, y) for x in before for y in after if fits(x, y)]
    firsts, seconds = Counter(x for x, _ in pairs), Counter(y for _, y in pairs)
    yield from ((x, y) for x, y in pairs if firsts[x] == seconds[y] == 1)


def _owners(chains: _Chains, runs: Sequence[PastRun], observed: Set[int]) -> dict[int, PastRun]:
    """Map heads of chains to the run that each is of, if just one of either fits the other."""
    pairs = [
        (number, head)
        for number, run in enumerate(runs)
        for head in chains.heads(run)
        if head not in observed
    ]
    by_run, by_head = Counter(n for n, _ in pairs), Counter(head for _, head in pairs)
    return {head: runs[n] for n, head in pairs if by_run[n] == by_head[head] == 1}


def _usage_of(
    charge: PastCharge, fitting: frozenset[RentedCards], owner: PastRun | None
) -> BilledUsage:
    if owner is not None:
        return BilledUsage(charge, owner.cards, owner.instance_uuid)
    return BilledUsage(charge, next(iter(fitting)) if len(fitting) == 1 else None)


KNOWN_COUNTS: Final = (1, 2, 4, 8)
"""Numbers of GPUs that an instance of the source can have."""


def known_start(
    begins_s: Instant, model: ChargingModel, longest_boot_s: int
) -> tuple[Instant, Instant]:
    """Return between which instants the first window of a run with a known start begins."""
    boot_s = longest_boot_s if model.counts_from == "running" else 0
    return begins_s - SKEW_S, begins_s + SKEW_S + boot_s
