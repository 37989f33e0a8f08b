"""The simulated cloud charges as it is told to, pays from cards and balance: cases by hand."""

from __future__ import annotations

import pytest

from etl.simcloud import (
    T0,
    Charging,
    Fleet,
    Life,
    Line,
    Money,
    Options,
    Price,
    PriceList,
    Run,
    Story,
    microcny,
)

HOUR, DAY = 3_600, 86_400
IMAGE = "PyTorch 2.0 环境"


def amounts(lines: list[Line]) -> list[str]:
    return [f"{line.amount / 1_000_000:.2f}" for line in lines]


# what a run costs, by hand


def run_of_3700_s(charging: Charging, boot_s: int = 100, gpus: int = 2) -> Story:
    """Runs for 3,700 seconds, booting included, on GPUs of 5.50 yuan an hour."""
    cloud = Story(charging=charging)
    a = cloud.rents(gpus=gpus, boot_s=boot_s)
    cloud.passes(seconds=3_700)
    cloud.stops(a)
    cloud.passes(hours=1)
    return cloud


@pytest.mark.parametrize(
    ("charging", "expected"),
    [
        (Charging(), ["11.00", "0.31"]),  # 100 s x 11 / 3600 = 0.3056
        (Charging(counts_from="running"), ["11.00"]),
        (Charging(by="minute"), ["11.00", "0.37"]),  # two minutes
        (Charging(by="minute", rounds="nearest"), ["11.00", "0.37"]),
        (Charging(by="hour"), ["11.00", "11.00"]),
        (Charging(by="hour", rounds="nearest"), ["11.00"]),
        (Charging(rounding="down"), ["11.00", "0.30"]),
        (Charging(image_hour={IMAGE: 1_000_000}), ["12.00", "0.33"]),
        (Charging(image_hour={IMAGE: 1_000_000}, image_per_gpu=True), ["13.00", "0.36"]),
        (Charging(image_hour={"another": 1_000_000}), ["11.00", "0.31"]),
        (Charging(settle_every_s=1_800), ["5.50", "5.50", "0.31"]),
        (Charging(settle_every_s=1_800, by="hour"), ["11.00", "11.00"]),
    ],
)
def test_a_run_is_charged_by_the_model(charging: Charging, expected: list[str]) -> None:
    cloud = run_of_3700_s(charging)
    assert amounts(cloud.money.lines(cloud.now)) == expected


def test_lines_settle_full_hours_and_the_end_of_a_run() -> None:
    cloud = run_of_3700_s(Charging(lag_s=60))
    lines = cloud.money.lines(cloud.now)
    windows = [(n.settle_start - T0, n.settle_end - T0, n.order_time - T0) for n in lines]
    assert windows == [(0, 3_600, 3_660), (3_600, 3_700, 3_760)]
    assert len({line.order_number for line in lines}) == 2
    assert cloud.money.lines(T0 + 3_659) == []


def test_an_order_number_can_stand_for_a_run() -> None:
    cloud = run_of_3700_s(Charging(order_numbers="run"))
    numbers = {line.order_number for line in cloud.money.lines(cloud.now)}
    assert [len(number) for number in numbers] == [20]


def test_a_run_without_gpus_has_its_own_price() -> None:
    cloud = run_of_3700_s(Charging(no_card_hour=500_000), gpus=0)
    assert amounts(cloud.money.lines(cloud.now)) == ["0.50", "0.01"]


def test_a_boot_that_fails_is_free() -> None:
    cloud = run_of_3700_s(Charging(), boot_s=4_000)
    assert cloud.money.lines(cloud.now) == []
    assert cloud.money.true_costs(T0, cloud.now) == {}


def test_a_prepaid_instance_without_gpus_pays_for_those_it_had() -> None:
    cloud = Story()
    a = cloud.rents(charging_type=2, gpus=2)
    cloud.passes(hours=1)
    cloud.stops(a)
    cloud.starts(a, gpus=0)
    cloud.passes(days=1)
    assert amounts(cloud.money.lines(cloud.now)) == ["240.00", "240.00"]


def test_a_price_holds_from_its_moment_on() -> None:
    cloud = Story()
    a = cloud.rents()
    cloud.passes(minutes=30)
    cloud.price("RTX 4090", hour=11)
    cloud.passes(minutes=30)
    assert amounts(cloud.money.lines(cloud.now)) == ["8.25"]
    assert cloud.true_cost(a) == microcny("8.25")
    assert cloud.true_cost(a, T0, T0 + 1_800) == microcny("2.75")
    assert cloud.money.prices.at("RTX 4090", cloud.now).day == microcny(120)


def test_what_is_charged_by_the_hour_costs_what_it_cost_when_the_hour_began() -> None:
    cloud = Story(charging=Charging(by="hour"))
    a = cloud.rents()
    cloud.passes(minutes=90)
    cloud.price("RTX 4090", hour=100)
    cloud.passes(minutes=10)
    cloud.stops(a)
    assert amounts(cloud.money.lines(cloud.now)) == ["5.50", "5.50"]


def test_a_stopped_instance_can_cost_something() -> None:
    cloud = Story(charging=Charging(stopped_hour=microcny("0.10")))
    a = cloud.rents(starts=False)
    cloud.passes(hours=2)
    cloud.starts(a)
    cloud.passes(hours=1)
    cloud.stops(a)
    cloud.passes(hours=30)
    cloud.destroys(a)
    cloud.passes(hours=1)
    assert amounts(cloud.money.lines(cloud.now)) == ["0.20", "5.50", "2.40", "0.60"]
    assert cloud.true_cost(a) == microcny("8.70")


def test_a_model_that_is_not_listed_is_charged_all_the_same() -> None:
    cloud = Story()
    cloud.rents(model="Z9")
    cloud.passes(hours=1)
    assert amounts(cloud.money.lines(cloud.now)) == ["5.50"]


# prepaid


@pytest.mark.parametrize(("code", "price", "days"), [(2, 120, 1), (3, 800, 7), (4, 3200, 30)])
def test_a_prepaid_period_is_paid_when_it_begins(code: int, price: int, days: int) -> None:
    cloud = Story()
    a = cloud.rents(gpus=2, charging_type=code)
    lines = cloud.money.lines(T0)
    assert [(n.settle_start, n.settle_end) for n in lines] == [(T0, T0 + days * DAY)]
    assert cloud.money.unused(a, T0) == lines[0].amount == microcny(2 * price)
    cloud.passes(days=days / 2)
    cloud.stops(a)
    assert cloud.true_cost(a) == microcny(price)
    cloud.passes(days=days)
    assert len(cloud.money.lines(cloud.now)) == 2


def test_a_prepaid_period_costs_what_was_paid_for_it() -> None:
    cloud = Story(charging=Charging(shows_period=False))
    a = cloud.rents(charging_type=2)
    cloud.passes(hours=12)
    cloud.price("RTX 4090", day=240)
    cloud.passes(hours=18)
    cloud.destroys(a)
    cloud.passes(days=9)
    lines = cloud.money.lines(cloud.now)
    assert [(n.settle_start - T0, n.settle_end - T0) for n in lines] == [(0, 0), (DAY, DAY)]
    assert amounts(lines) == ["120.00", "240.00"]
    assert cloud.true_cost(a) == microcny(120 + 60)
    assert cloud.money.unused(a, cloud.now) == microcny(180)


def test_prepaid_ends_where_a_start_is_charged_otherwise() -> None:
    cloud = Story()
    a = cloud.rents(charging_type=2)
    cloud.passes(days=1)
    cloud.stops(a)
    cloud.starts(a, charging_type=1)
    cloud.passes(hours=1)
    assert amounts(cloud.money.lines(cloud.now)) == ["120.00", "5.50"]


# the purse


def test_cards_pay_as_long_as_they_have_money_the_first_to_expire_first() -> None:
    cloud = Story()
    late = cloud.gives_card(20)
    soon = cloud.gives_card(8, sale_price=6, valid_days=30)
    cloud.rents()
    cloud.recharges(100)
    cloud.passes(hours=6)
    lines = cloud.money.lines(cloud.now)
    assert [line.charge_channel for line in lines] == [2, 2, 2, 2, 2, 2, 1]
    assert amounts(lines) == ["5.50"] * 5 + ["0.50", "5.00"]
    at_2 = {c.uuid: cloud.money.left_on(c, T0 + 2 * HOUR) for c in cloud.money.cards}
    assert at_2 == {soon: 0, late: microcny(17)}
    assert cloud.money.balance(cloud.now) == microcny(95)


def test_what_is_left_on_a_card_is_lost_when_it_expires() -> None:
    cloud = Story()
    cloud.gives_card(50, valid_days=1)
    cloud.rents()
    cloud.passes(days=1)
    assert cloud.money.card_balance(cloud.now - 1) == 0
    assert cloud.money.ledger(cloud.now).expired(cloud.now) == 0
    cloud.gives_card(150, valid_days=1)
    cloud.passes(hours=2)
    assert cloud.money.card_balance(cloud.now) == microcny(139)
    cloud.passes(hours=22)
    assert cloud.money.ledger(cloud.now - 1).expired(cloud.now - 1) == 0
    assert cloud.money.ledger(cloud.now).expired(cloud.now) == microcny("23.50")
    cloud.passes(days=1)
    assert cloud.money.card_balance(cloud.now) == 0
    assert cloud.money.ledger(cloud.now).expired(cloud.now) == microcny("23.50")
    assert cloud.money.lines(cloud.now)[-1].charge_channel == 1


def test_a_charge_below_zero_is_paid_back() -> None:
    cloud = Story()
    cloud.gives_card(10)
    cloud.passes(hours=1)
    cloud.is_charged("-2.50", "退款")
    assert cloud.money.balance(cloud.now) == microcny("2.50")
    assert amounts(cloud.money.lines(cloud.now)) == ["-2.50"]


def test_what_a_story_tells_does_not_change_its_bill_so_far() -> None:
    cloud = Story()
    a = cloud.rents()
    cloud.passes(hours=3)
    before = cloud.money.lines(cloud.now)
    cloud.price("RTX 4090", hour=99)
    cloud.stops(a)
    cloud.recharges(1000)
    cloud.gives_card(1000)
    assert cloud.money.lines(cloud.now) == before
    cloud.passes(hours=5)
    assert cloud.money.lines(cloud.now) == before


def test_the_bill_follows_what_happens_after_it_was_asked_for() -> None:
    cloud = Story()
    a = cloud.rents()
    assert cloud.money.lines(cloud.now) == []
    cloud.price("RTX 4090", hour=7)
    cloud.passes(hours=2)
    assert amounts(cloud.money.lines(cloud.now)) == ["7.00", "7.00"]
    cloud.stops(a)
    cloud.passes(hours=5)
    assert amounts(cloud.money.lines(cloud.now)) == ["7.00", "7.00"]
    cloud.starts(a)
    cloud.passes(hours=1)
    assert len(cloud.money.lines(cloud.now)) == 3
    cloud.passes(days=40)
    assert len(cloud.money.lines(cloud.now)) == 3 + 40 * 24
    assert cloud.true_cost(a) == microcny(7 * (3 + 40 * 24))


def test_a_recharge_does_not_undo_one_that_was_needed_at_that_moment() -> None:
    cloud = Story()
    cloud.money.refill = microcny(10)
    cloud.rents()
    cloud.passes(hours=1)
    assert [r.amount for r in cloud.money.paid_in(cloud.now)] == [microcny(10)]
    cloud.recharges(100)
    paid_in = [microcny(10), microcny(100)]
    assert [r.amount for r in cloud.money.paid_in(cloud.now)] == paid_in


def test_options_of_the_instance_list_do_not_double_the_boot() -> None:
    life = Life("inst_a", T0, runs=[Run(T0, T0 + HOUR, boot_s=600)])
    shown_when_running = Money(Fleet([life], Options(start_time_at_boot=False)))
    assert shown_when_running.true_cost("inst_a", 0, T0 + DAY) == microcny(5.5) * 50 // 60


# prices


def test_a_price_change_keeps_the_other_units() -> None:
    prices = PriceList({"X": Price.of(hour=1, day=20)})
    prices.change("X", T0, hour="1.5")
    prices.change("X", T0 + 9, day=None, status=0)
    assert list(prices.at("X", T0).units()) == [("hour", 1_500_000), ("day", 20_000_000)]
    assert list(prices.at("X", T0 + 9).units()) == [("hour", 1_500_000)]
    assert prices.at("X", T0 + 9).for_unit("day") == microcny(36)
    assert [price.status for _, price in prices.listed(T0 + 9)] == [0]
    with pytest.raises(ValueError, match="changes later"):
        prices.change("X", T0 + 8, hour=2)


def test_amounts_are_exact() -> None:
    assert [microcny(y) for y in (25.5, "25.50", 0.29, 3)] == [25_500_000] * 2 + [
        290_000,
        3_000_000,
    ]
    with pytest.raises(ValueError, match="millionths"):
        microcny("0.0000001")
