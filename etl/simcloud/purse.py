"""Payment of charges: from compute cards as long as they have money, and from the balance."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from etl.poll import Instant
from etl.simcloud.billing import Charge, order_number

BALANCE, CARD = 1, 2
"""The source's channels."""
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Card:
    """A compute card: pays up to `face_amount` of charges due after `bind_time`, until it expires.
    `sale_price` was paid for it outside of the balance. `pods`: uuid and title of the applications
    that it is shown to be bound to; it pays for all. Amounts are millionths of a yuan."""

    uuid: str
    face_amount: int
    sale_price: int
    bind_time: Instant
    valid_days: int = 90
    title: str = "算力卡"
    pods: tuple[tuple[str, str], ...] = ()

    @property
    def expire_date(self) -> Instant:
        return self.bind_time + self.valid_days * DAY_S

    def is_valid(self, t: Instant) -> bool:
        return self.bind_time <= t < self.expire_date

    def pays(self, t: Instant) -> bool:
        """Tell whether the card pays a charge due at t: one due when it was bound is already
        paid.
        """
        return self.bind_time < t < self.expire_date


@dataclass(frozen=True, slots=True)
class Recharge:
    """A payment into the balance."""

    at: Instant
    amount: int
    pay_channel: str = "alipay"


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A paid run of a workflow: `quote_amount` of the balance is frozen from its begin to its end,
    then `final_amount` is taken, and the rest released. `is_billed`: a line of the bill takes it."""

    run_order_id: str
    workflow_id: str
    created_at: Instant
    ended_at: Instant
    quote_amount: int
    final_amount: int
    is_billed: bool = False

    def held(self, t: Instant) -> int:
        """Return what the balance lacks at t for this run, beside the lines of the bill."""
        if t < self.created_at:
            return 0
        if t < self.ended_at:
            return self.quote_amount
        return 0 if self.is_billed else self.final_amount


@dataclass(frozen=True, slots=True)
class PrivateImage:
    """A private image that is kept until `removed_at`."""

    uuid: str
    title: str
    size_mb: int
    pod_uuid: str
    create_time: Instant
    removed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the bill: the part of a charge that one channel paid."""

    order_number: str
    order_time: Instant
    settle_start: Instant
    settle_end: Instant
    amount: int
    charge_channel: int
    remark: str
    instance_uuid: str | None


@dataclass(slots=True)
class Ledger:
    """Everything paid, in order. Lists are sorted by time."""

    opening: int
    cards: Sequence[Card]
    lines: list[Line] = field(default_factory=list)
    recharges: list[Recharge] = field(default_factory=list)
    cash: list[tuple[Instant, int]] = field(default_factory=list)
    by_card: dict[str, list[tuple[Instant, int]]] = field(default_factory=dict)

    def balance(self, t: Instant) -> int:
        """Return the cash left at t; below zero if more was used than paid in."""
        return _last(self.cash, t, self.opening)

    def left_on(self, card: Card, t: Instant) -> int:
        """Return the amount left on a card at t, though it may have expired."""
        return _last(self.by_card.get(card.uuid, ()), t, card.face_amount)

    def card_balance(self, t: Instant) -> int:
        """Return the amount left at t on cards that are valid then."""
        return sum(self.left_on(card, t) for card in self.cards if card.is_valid(t))

    def expired(self, t: Instant) -> int:
        """Return the amount lost by t on cards that expired."""
        return sum(self.left_on(card, t) for card in self.cards if card.expire_date <= t)


def settle(
    charges: Iterable[Charge],
    *,
    opening: int = 0,
    cards: Sequence[Card] = (),
    recharges: Iterable[Recharge] = (),
    refill: int | None = None,
    order_per_line: bool = True,
) -> Ledger:
    """Pay charges, sorted by time, one after the other.

    The card that expires first pays first; the balance pays the rest. If the balance would fall below
    zero, it is recharged by as many times `refill` as it takes (None: never). A charge below zero is
    paid back into the balance.
    """
    # by uuid too, so that equal dates give the same bill every time
    ledger = Ledger(opening, sorted(cards, key=lambda card: (card.expire_date, card.uuid)))
    waiting = sorted(recharges, key=lambda recharge: recharge.at)
    index = 0
    for charge in charges:
        # a recharge in the second of a charge comes after it
        while index < len(waiting) and waiting[index].at < charge.at:
            _pay_in(ledger, waiting[index])
            index += 1
        from_cards = _use_cards(ledger, charge)
        rest = charge.amount - from_cards
        if rest:
            _use_cash(ledger, charge.at, rest, refill)
        for channel, amount in ((CARD, from_cards), (BALANCE, rest)):
            # a charge that cards and balance pay has a line of each
            if amount:
                ledger.lines.append(_bill_line(charge, channel, amount, order_per_line))
    for recharge in waiting[index:]:
        _pay_in(ledger, recharge)
    return ledger


def _use_cards(ledger: Ledger, charge: Charge) -> int:
    """Take as much of a charge from cards as they have; return that amount."""
    paid = 0
    for card in ledger.cards:
        spent = ledger.by_card.setdefault(card.uuid, [])
        left = spent[-1][1] if spent else card.face_amount
        # what the cards before it have left over
        amount = min(left, charge.amount - paid) if card.pays(charge.at) else 0
        # a charge below zero goes to the balance: cards are never filled up
        if amount > 0:
            spent.append((charge.at, left - amount))
            paid += amount
    return paid


def _use_cash(ledger: Ledger, at: Instant, amount: int, refill: int | None) -> None:
    left = ledger.cash[-1][1] if ledger.cash else ledger.opening
    if refill and left < amount:
        _pay_in(ledger, Recharge(at, -((left - amount) // refill) * refill, "auto"))
        left = ledger.cash[-1][1]
    ledger.cash.append((at, left - amount))


def _pay_in(ledger: Ledger, recharge: Recharge) -> None:
    left = ledger.cash[-1][1] if ledger.cash else ledger.opening
    ledger.recharges.append(recharge)
    ledger.cash.append((recharge.at, left + recharge.amount))


def _bill_line(charge: Charge, channel: int, amount: int, order_per_line: bool) -> Line:
    # the source may give the parts of one charge an order each, or one for all
    order = f"{charge.order}/{channel}" if order_per_line else charge.order
    return Line(
        order_number(order),
        charge.at,
        charge.settle_start,
        charge.settle_end,
        amount,
        channel,
        charge.remark,
        charge.instance_uuid,
    )


def _last(levels: Sequence[tuple[Instant, int]], t: Instant, default: int) -> int:
    index = bisect_right(levels, t, key=lambda level: level[0])
    return levels[index - 1][1] if index else default
