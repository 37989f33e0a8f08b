"""Money of one account: the true cost of its lives, the charges, and the balance."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from etl.poll import Instant
from etl.simcloud.billing import Charge, charges_of
from etl.simcloud.charging import Charging, Metered, PrepaidPeriod, costs_of
from etl.simcloud.fleet import Fleet
from etl.simcloud.life import FOREVER, Life
from etl.simcloud.prices import PriceList, Yuan, microcny
from etl.simcloud.purse import (
    DAY_S,
    Card,
    Ledger,
    Line,
    PrivateImage,
    Recharge,
    WorkflowRun,
    settle,
)

State: TypeAlias = tuple[int, int, int]
REFILL: Final = microcny(10_000)


class Money:
    """The fleet's money under a charging model. Amounts are millionths of a yuan.

    Answers about an instant t are those that the source would give then: they depend neither on
    earlier questions nor on later events. `order` is that of bills and recharges.
    """

    def __init__(
        self,
        fleet: Fleet,
        charging: Charging | None = None,
        prices: PriceList | None = None,
        *,
        opening: int = 0,
        cards: Iterable[Card] = (),
        recharges: Iterable[Recharge] = (),
        refill: int | None = REFILL,
        order: Literal["newest", "oldest"] = "newest",
    ) -> None:
        self.fleet = fleet
        self.charging = charging or Charging()
        self.prices = prices or PriceList()
        self.opening = opening
        self.cards = list(cards)
        self.recharges = list(recharges)
        self.further: list[Charge] = []
        self.workflow_runs: list[WorkflowRun] = []
        self.images: list[PrivateImage] = []
        self.refill = refill
        self.order: Literal["newest", "oldest"] = order
        self._paid: Ledger | None = None
        self._paid_until = -1
        self._known: dict[str, tuple[Instant, list[Metered | PrepaidPeriod]]] = {}
        self._version = 0
        self._paid_for = self._known_for = self._state()

    @classmethod
    def usual(cls, fleet: Fleet) -> Money:
        """Return the usual money of a fleet: list prices, a card from the first instance on, and a
        recharge whenever the balance is empty.
        """
        money = cls(fleet)
        if fleet.lives:
            first = min(life.create_time for life in fleet.lives)
            money.give_card(first, 500, sale_price=450)
        return money

    def refresh(self) -> None:
        """Drop cached results, after a member was changed by other means than the methods here."""
        self._version += 1

    # what happens

    def recharge(self, at: Instant, yuan: Yuan, pay_channel: str = "alipay") -> None:
        """Pay into the balance."""
        self.recharges.append(Recharge(at, microcny(yuan), pay_channel))
        self.refresh()

    def give_card(
        self,
        at: Instant,
        face_amount: Yuan,
        *,
        sale_price: Yuan | None = None,
        valid_days: int = 90,
        title: str = "算力卡",
        uuid: str | None = None,
        pods: tuple[tuple[str, str], ...] = (),
    ) -> Card:
        """Bind a compute card at `at`, bought at its face amount by default."""
        face = microcny(face_amount)
        paid = face if sale_price is None else microcny(sale_price)
        name = uuid or f"card_{len(self.cards) + 1:08d}"
        card = Card(name, face, paid, at, valid_days, title, pods)
        self.cards.append(card)
        self.refresh()
        return card

    def charge(
        self,
        at: Instant,
        yuan: Yuan,
        remark: str = "其他费用",
        window: tuple[Instant, Instant] | None = None,
    ) -> None:
        """Add a charge that no instance explains; a negative one is paid back."""
        begins, ends = window or (at, at)
        order = f"~{len(self.further):08d}"  # sorts after what lives cost
        self.further.append(Charge(at, begins, ends, microcny(yuan), remark, order))
        self.refresh()

    def run_workflow(
        self,
        at: Instant,
        quote: Yuan,
        final: Yuan,
        *,
        lasts_s: int = 600,
        is_billed: bool = False,
        workflow_id: str = "wf-translate",
    ) -> WorkflowRun:
        """Run a workflow, which freezes `quote` and costs `final`."""
        name = f"wro_{len(self.workflow_runs) + 1:08d}"
        ended_at = at + lasts_s
        run = WorkflowRun(
            name, workflow_id, at, ended_at, microcny(quote), microcny(final), is_billed
        )
        self.workflow_runs.append(run)
        if is_billed:
            self.charge(ended_at, final, "工作流")
        return run

    def save_image(
        self, at: Instant, size_mb: int, *, title: str = "my-image", pod_uuid: str = "pod-1"
    ) -> PrivateImage:
        """Save a private image, which is kept from then on."""
        name = f"img_{len(self.images) + 1:08d}"
        image = PrivateImage(name, title, size_mb, pod_uuid, at)
        self.images.append(image)
        return image

    # truth

    def true_cost(self, instance_uuid: str, t0: Instant, t1: Instant) -> int:
        """Return the cost of an instance in [t0, t1), rounded down to a millionth once, not by
        window, so that adjoining windows add up. Raises `KeyError` for an unknown instance.
        """
        return self._cost(self.fleet.life(instance_uuid), t0, t1)

    def true_costs(self, t0: Instant, t1: Instant) -> dict[str, int]:
        """Return the true cost in [t0, t1) of every instance that cost anything."""
        costs = {life.instance_uuid: self._cost(life, t0, t1) for life in self.fleet.lives}
        return {uuid: cost for uuid, cost in costs.items() if cost}

    def unused(self, instance_uuid: str, t: Instant) -> int:
        """Return the amount paid by t for prepaid time that was not held by then."""
        costs = costs_of(self.fleet.life(instance_uuid), self.charging, self.prices, t)
        return sum(cost.price - cost.by(t) for cost in costs if isinstance(cost, PrepaidPeriod))

    # what is charged and left

    def ledger(self, t: Instant) -> Ledger:
        """Return everything paid up to t, and some later payments."""
        state = self._state()
        if self._paid is None or state != self._paid_for or t > self._paid_until:
            first = min((life.create_time for life in self.fleet.lives), default=t)
            # some way ahead, since polls ask for later and later times: not each settles a year
            # again
            until = min(FOREVER, t + max(DAY_S, (t - first) // 4))
            self._paid = self._settled(until)
            self._paid_until, self._paid_for = until, state
        return self._paid

    def lines(self, t: Instant) -> list[Line]:
        """Return the lines of the bill at t, oldest first."""
        lines = self.ledger(t).lines
        return lines[: bisect_right(lines, t, key=lambda line: line.order_time)]

    def paid_in(self, t: Instant) -> list[Recharge]:
        """Return the recharges by t, oldest first."""
        return [recharge for recharge in self.ledger(t).recharges if recharge.at <= t]

    def balance(self, t: Instant) -> int:
        """Return the balance at t: `opening`, plus the recharges, less the lines of channel 1 and what
        runs of workflows froze or took."""
        return self.ledger(t).balance(t) - sum(run.held(t) for run in self.workflow_runs)

    def card_balance(self, t: Instant) -> int:
        """Return the amount left at t on cards that are valid then."""
        return self.ledger(t).card_balance(t)

    def left_on(self, card: Card, t: Instant) -> int:
        return self.ledger(t).left_on(card, t)

    def _cost(self, life: Life, t0: Instant, t1: Instant) -> int:
        near = (cost for cost in self._costs(life, t1) if cost.begins < t1 and cost.ends > t0)
        return sum(cost.by(t1) - cost.by(t0) for cost in near)

    def _costs(self, life: Life, t: Instant) -> list[Metered | PrepaidPeriod]:
        """Return the costs of a life by t, and some later ones, from a cache."""
        if self._known_for != self._state():
            self._known, self._known_for = {}, self._state()
        until, costs = self._known.get(life.instance_uuid, (-1, []))
        if until < t:
            until = t + 30 * DAY_S
            costs = list(costs_of(life, self.charging, self.prices, until))
            self._known[life.instance_uuid] = until, costs
        return costs

    def _state(self) -> State:
        """Return a value that differs if anything changed."""
        return self.fleet.version, self.prices.version, self._version

    def _settled(self, until: Instant) -> Ledger:
        charges = charges_of(self.fleet.lives, self.charging, self.prices, until)
        if self.further:
            charges += [charge for charge in self.further if charge.at <= until]
            # stable: of charges that are due in the same second those of lives keep their order
            charges.sort(key=lambda charge: (charge.at, charge.order[0] == "~"))
        return settle(
            charges,
            opening=self.opening,
            cards=self.cards,
            recharges=self.recharges,
            refill=self.refill,
            order_per_line=self.charging.order_numbers == "line",
        )
