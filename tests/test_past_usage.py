"""The time before the first poll by the bill: what it knows, and that it is never mixed with what was
observed."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from etl.books.price_files import set_model
from etl.dialect import Database
from etl.history.days import Zone
from etl.money.billing.past import (
    BilledUsage,
    PastCharge,
    PastRun,
    Rates,
    RentedCards,
    billed_usage,
    by_day,
)
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import PricePeriod, PriceTerms
from etl.poll import Poll
from etl.rebuild import differences, rebuild
from etl.simcloud import BILL_PATH, GPU_PATH, T0, Charging, Fleet, Money
from etl.simcloud.desks import desks
from tests.conftest import TODAY, ZONE, FreshDatabase
from tests.polled_money import ALL
from tests.support import apply, columns, poll_of, rows
from tests.test_schema import execute
from tests.test_settled import poll_at
from tests.watched import MIDNIGHT

DAY, HOUR = 86_400, 3_600
FIRST = MIDNIGHT + 3 * DAY + 11 * HOUR + 400
DAYS = Zone(ZONE)
BILLED = "SELECT * FROM billed_usage_day ORDER BY account_id, part_no"

# charges alone; instants are seconds after T0

TERMS = {name: PriceTerms(name, name, "", 1, False) for name in ("A", "B")}
YUAN = {"A": 3_600_000, "B": 7_200_000}
"""Two of A cost as much as one of B."""


def rates(model: ChargingModel | None = None, **yuan: int) -> Rates:
    def periods(terms: PriceTerms) -> list[PricePeriod]:
        hour = {**YUAN, **yuan}[terms.gpu_name]
        return [PricePeriod(0, FOREVER, "running", "list", HOUR, False, hour, hour, hour, 0)]

    cards = [
        (RentedCards(name, name, count), TERMS[name]) for name in TERMS for count in (1, 2, 4, 8)
    ]
    return Rates(cards, periods, model or ChargingModel())


def charge(begins: int, ends: int, yuan: float, order: str = "") -> PastCharge:
    return PastCharge(T0 + begins, T0 + ends, order or f"o{begins}", "", round(yuan * 1_000_000))


def run(begins: int, model: str = "A", *, uuid: str = "i-1", observed: bool = False) -> PastRun:
    cards, at = RentedCards(model, model, 1), T0 + begins
    return PastRun(uuid, at - 5, at + 5, TERMS[model], cards, observed)


def said(
    charges: Sequence[PastCharge], *runs: PastRun, until: int = DAY, **yuan: int
) -> list[tuple[int, str | None, str | None]]:
    """(begin, cards, instance) of what is not observed."""
    return [
        (
            each.charge.starts_s - T0,
            each.cards and f"{each.cards.gpu_nums} {each.cards.gpu_name}",
            each.instance_uuid,
        )
        for each in billed_usage(charges, runs, rates(**yuan), T0 + until)
    ]


def test_cards_are_known_if_just_one_model_and_number_fits_the_amount() -> None:
    assert said([charge(0, 3_600, 3.6)]) == [(0, "1 A", None)]
    assert said([charge(0, 3_600, 7.2)]) == [(0, None, None)], "two of A, or one of B"
    assert said([charge(0, 3_600, 7.2)], B=7_300_000) == [(0, "2 A", None)]
    assert said([charge(0, 3_600, 5.0)]) == [(0, None, None)]


def test_a_window_too_short_for_its_fen_is_known_by_those_before_it() -> None:
    hour, rest = charge(0, 3_600, 3.6), charge(3_600, 3_605, 0.01)
    assert said([rest]) == [(3_600, None, None)]
    assert said([hour, rest]) == [(0, "1 A", None), (3_600, "1 A", None)]


def test_windows_of_several_runs_at_one_moment_are_not_linked() -> None:
    hours = [charge(0, 3_600, 3.6, "a"), charge(10, 3_600, 3.59, "b")]
    rest = charge(3_600, 3_605, 0.01, "c")
    assert said([*hours, rest])[-1] == (3_600, None, None)
    by_order = charge(3_600, 3_605, 0.01, "a")
    assert said([*hours, by_order])[1] == (3_600, "1 A", None)


def test_a_charge_that_card_and_balance_paid_is_one() -> None:
    parts = [charge(0, 3_600, 1.0, "card"), charge(0, 3_600, 2.6, "balance")]
    assert said(parts) == [(0, "1 A", None)]


def test_an_instance_is_known_if_its_run_began_with_a_window() -> None:
    charges = [charge(0, 3_600, 3.6), charge(3_600, 5_600, 2.0)]
    assert said(charges, run(0)) == [(0, "1 A", "i-1"), (3_600, "1 A", "i-1")]
    assert {uuid for *_, uuid in said(charges, run(900))} == {None}
    assert {uuid for *_, uuid in said(charges, run(0, "B"))} == {None}


def test_two_instances_that_fit_one_window_leave_it_open() -> None:
    charges = [charge(0, 3_600, 3.6)]
    assert said(charges, run(0), run(3, uuid="i-2")) == [(0, "1 A", None)]


def test_a_run_that_went_on_at_the_first_poll_is_left_out() -> None:
    charges = [charge(0, 3_600, 3.6), charge(3_600, 7_200, 3.6), charge(500, 4_100, 3.6)]
    assert said(charges, run(0, observed=True), until=7_000) == [(500, "1 A", None)]


def test_of_machines_that_cannot_be_told_apart_as_many_are_left_out_as_were_observed() -> None:
    charges = [charge(n, 3_600, (3_600 - n) / 1000, f"a{n}") for n in (0, 40)]
    charges += [charge(3_600, 7_200, 3.6, f"b{n}") for n in (0, 40)]
    found = said(charges, run(0, observed=True), until=7_000)
    assert [begins for begins, *_ in found] == [40, 3_600]


def test_a_run_is_left_out_of_slots_of_the_clock() -> None:
    """It began 1600 s after the mark, and is charged for the rest of the slot."""
    charges = [charge(0, 3_600, 2.0, "a"), charge(3_600, 7_200, 3.6, "b")]
    assert said(charges, run(1_600, observed=True), until=7_000) == []


def test_begun_hours_are_known_by_what_is_charged() -> None:
    usage = billed_usage(
        [charge(0, 4_000, 7.2)], [], rates(ChargingModel("start", 3600), B=9_000_000), T0 + DAY
    )
    assert [each.cards for each in usage] == [RentedCards("A", "A", 1)]


def test_what_is_charged_by_the_day_or_at_a_moment_has_no_cards() -> None:
    assert said([charge(0, DAY, 86.4), charge(5, 5, 3.6)]) == [(0, None, None), (5, None, None)]


def test_what_lies_after_the_first_poll_is_cut_off() -> None:
    usage = [BilledUsage(charge(0, 3_600, 3.6))]
    (part,) = by_day(usage, DAYS, T0 + 900)
    assert (part.billed_s, part.amount) == (900, 900_000)


# a fleet whose bill knows the truth


@dataclass(frozen=True)
class Late:
    """A fleet that was first polled on its fourth day."""

    fleet: Fleet
    money: Money
    polls: list[Poll]

    def observed(self, database: Database) -> set[tuple[str, int]]:
        """The runs that were observed, by instance and start."""
        asked = "SELECT instance_uuid, started_s FROM usage_span WHERE kind = 'running'"
        return {(str(uuid), int(at)) for uuid, at in rows(database, asked)}


def late(charging: Charging, *, instances: int = 14) -> Late:
    fleet = Fleet.generate(
        3, instances=instances, start=MIDNIGHT, days=5, flapping=0, prepaid=0, other_gpu=0.3
    )
    money = Money(fleet, charging)
    money.give_card(MIDNIGHT + DAY // 2, 60, sale_price=50)
    polls = [
        poll_at("instances", fleet.body(t, 1, 10_000), t)
        for t in range(FIRST, FIRST + DAY // 2, 1_800)
    ]
    for name, path in (("gpu_prices", GPU_PATH), ("bills", BILL_PATH)):
        for now in (FIRST + 60, FIRST + 40 * HOUR):
            body = desks(money)[path](now, ALL)
            assert isinstance(body, bytes)
            polls.append(poll_at(name, body, now))
    return Late(fleet, money, sorted(polls, key=lambda poll: poll.started_at))


PROVIDERS = {
    "own hours": (Charging(), ChargingModel()),
    "full hours": (Charging(settles="clock"), ChargingModel()),
    "stops alone": (Charging(settle_every_s=30 * DAY, order_numbers="run"), ChargingModel()),
    "begun minutes after the boot": (
        Charging(counts_from="running", by="minute"),
        ChargingModel("running", 60),
    ),
}


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", PROVIDERS)
def test_card_hours_before_the_first_poll_are_the_true_ones(name: str, database: Database) -> None:
    """By day and model within half a percent, and instances are those that ran."""
    charging, model = PROVIDERS[name]
    found = late(charging)
    apply(database, *found.polls)
    set_model(database, model)
    observed, truth = found.observed(database), defaultdict[tuple[str, str], int](int)
    spans = [(life, span) for life in found.fleet.lives for span in life.spans]
    for life, span in spans:
        if span.started_at < FIRST and (life.instance_uuid, span.started_at) not in observed:
            for day in DAYS.calendar(DAYS.local_date(MIDNIGHT), DAYS.local_date(FIRST)):
                seconds = span.seconds(day.starts_s, min(day.ends_s, FIRST))
                truth[day.day, span.gpu_name] += seconds * span.gpu_nums
    asked = "SELECT * FROM billed_usage_daily WHERE day >= :day AND gpu_s IS NOT NULL"
    billed = defaultdict[tuple[str, str], int](int)
    for row in columns(database, asked, day=DAYS.local_date(MIDNIGHT).isoformat()):
        billed[row["day"], row["gpu_name"]] += row["gpu_s"]
    boots_s = 180 * 8 * 6 if name.endswith("boot") else 0
    for key, seconds in truth.items():
        assert abs(billed[key] - seconds) <= 0.005 * seconds + boots_s, key
    named = columns(database, "SELECT * FROM billed_usage_day WHERE instance_uuid IS NOT NULL")
    assert len(named) >= 5
    for row in named:
        day = DAYS.day_of(DAYS.local_date(MIDNIGHT).fromisoformat(row["day"]))
        life = found.fleet.life(row["instance_uuid"])
        ran = life.running(day.starts_s, day.ends_s)
        assert 0 < row["billed_s"] <= ran + 60, "begun minutes end after the stop"


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_cost_before_the_first_poll_is_the_bill_less_what_was_observed(database: Database) -> None:
    found = late(Charging())
    apply(database, *found.polls)
    observed = found.observed(database)
    asked = "SELECT SUM(amount_microcny) FROM billed_usage_day WHERE day >= :day"
    ((billed,),) = rows(database, asked, day=DAYS.local_date(MIDNIGHT).isoformat())
    truth = 0
    for life in found.fleet.lives:
        for span in life.spans:
            if (life.instance_uuid, span.started_at) not in observed:
                price = found.money.prices.at(span.gpu_name, FIRST).hour or 0
                seconds = span.seconds(MIDNIGHT, FIRST)
                truth += price * span.gpu_nums * seconds // HOUR
    assert billed == pytest.approx(truth, rel=0.001)


def test_any_order_of_polls_says_the_same_of_the_past(fresh_database: FreshDatabase) -> None:
    found = late(Charging(), instances=8)
    kept = []
    for order in itertools.permutations(("instances", "gpu_prices", "bills")):
        database = fresh_database()
        apply(database, *sorted(found.polls, key=lambda poll: order.index(poll.resource)))
        kept.append(rows(database, BILLED))
    database = fresh_database()
    apply(database, *found.polls)
    kept.append(rows(database, BILLED))
    assert len(kept[0]) > 5
    assert all(each == kept[0] for each in kept)
    assert list(differences(database)) == []
    rebuild(database, None, TODAY)
    assert rows(database, BILLED) == kept[0]


def test_usage_of_the_past_that_strayed_is_named(database: Database) -> None:
    found = late(Charging(), instances=6)
    apply(database, *found.polls)
    execute(database, "UPDATE billed_usage_day SET charges = charges + 1 WHERE part_no = 1")
    assert list(differences(database)) == ["lab usage before the first poll"]


def test_before_the_first_complete_poll_there_is_no_past(database: Database) -> None:
    found = late(Charging(), instances=6)
    bill = [poll for poll in found.polls if poll.resource == "bills"]
    apply(database, *bill)
    partial = poll_of([found.fleet.body(FIRST, 1, 9)], FIRST, FIRST + 1, complete=False)
    apply(database, partial)
    assert rows(database, BILLED) == []


def test_what_is_rented_later_changes_nothing_of_the_past(database: Database) -> None:
    """Three A100 fit a charge that nothing else fits; the bill is not asked again when they come."""
    found = late(Charging(), instances=6)
    apply(database, *found.polls)
    now, price = FIRST + 41 * HOUR, found.money.prices.at("A100", FIRST).hour or 0
    bill = json.loads(desks(found.money)[BILL_PATH](now, ALL))
    hour = {"settle_start_time": MIDNIGHT + HOUR, "settle_end_time": MIDNIGHT + 2 * HOUR}
    line = {**bill["data"]["order_list"][0], **hour, "order_number": "three"}
    bill["data"]["order_list"].append({**line, "amount": 3 * price / 1_000_000})
    bill["data"]["total"] += 1
    apply(database, poll_at("bills", json.dumps(bill).encode(), now))
    kept = rows(database, BILLED)
    seen = json.loads(found.fleet.body(now + 60, 1, 10_000))
    listed = seen["data"]["instance_list"]
    running = next(record for record in listed if record["gpu_name"] == "A100")
    listed.append(
        {**running, "instance_uuid": "i-3", "status": 2, "gpu_nums": 3, "create_time": now}
    )
    listed[-1]["start_time"] = now
    seen["data"]["total"] += 1
    apply(database, poll_at("instances", json.dumps(seen).encode(), now + 60))
    assert rows(database, "SELECT COUNT(*) FROM instance_usage WHERE gpu_nums = 3") == [(1,)]
    assert rows(database, BILLED) == kept
    assert list(differences(database)) == []
    rebuild(database, None, TODAY)
    assert rows(database, BILLED) == kept
