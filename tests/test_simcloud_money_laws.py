"""The simulated cloud's money adds up: true cost, bill, cards and balance, under every model."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from etl.simcloud import (
    PREPAID,
    T0,
    Charging,
    Fleet,
    Life,
    Money,
    PriceList,
    Run,
    microcny,
)
from etl.simcloud.billing import to_fen

HOUR, DAY = 3_600, 86_400
FEN = 10_000
MORNING = T0 + DAY + HOUR
IMAGE = "PyTorch 2.0 环境"
MODELS = (
    Charging(),
    Charging(counts_from="running", by="minute", image_hour={IMAGE: microcny("0.35")}),
    Charging(by="hour", stopped_hour=microcny("0.02")),
    Charging(by="minute", rounds="nearest", rounding="down", settle_every_s=300, lag_s=90),
    Charging(counts_from="running", by="hour", order_numbers="run", rounding="up"),
)


def fleet_of(seed: int, **habits: Any) -> Fleet:
    mixed: dict[str, Any] = {
        "prepaid": 0.1,
        "prepaid_week": 0.1,
        "prepaid_month": 0.1,
        "no_card": 0.1,
        "destroyed": 0.4,
    }
    return Fleet.generate(seed, instances=8, start=T0, days=4, **{**mixed, **habits})


def money_of(seed: int, charging: Charging, **habits: Any) -> Money:
    """A fleet whose prices change midway, with cards that run out and expire, and recharges."""
    prices = PriceList()
    prices.change("RTX 4090", T0 + 2 * DAY + 1234, hour="6.17", day=131)
    prices.change("A100", T0 + 3 * DAY + 55, hour="11.11", week=None)
    money = Money(fleet_of(seed, **habits), charging, prices, opening=microcny("123.45"))
    money.give_card(T0 + DAY, 200, sale_price=150, valid_days=2)
    money.give_card(T0 + 2 * DAY, "88.88", valid_days=30)
    for day in range(4):
        money.recharge(T0 + day * DAY + 777, 500)
    return money


def test_fleets_can_be_prepaid_by_the_week_and_month_and_run_without_gpus() -> None:
    fleet = Fleet.generate(
        1,
        instances=60,
        start=T0,
        days=2,
        prepaid=0.2,
        prepaid_week=0.2,
        prepaid_month=0.2,
        no_card=0.3,
    )
    assert {life.charging_type for life in fleet.lives} == {1, *PREPAID}
    runs = [run for life in fleet.lives for run in life.runs]
    assert 0.2 < sum(not run.gpu_nums for run in runs) / len(runs) < 0.4


def test_how_a_fleet_is_charged_does_not_change_how_it_lives() -> None:
    plain, prepaid = fleet_of(5, prepaid_week=0.0, prepaid_month=0.0), fleet_of(5)
    assert [len(life.runs) for life in plain.lives] == [len(life.runs) for life in prepaid.lives]
    assert plain.gpu_seconds(T0, T0 + 4 * DAY) == prepaid.gpu_seconds(T0, T0 + 4 * DAY)


def naive_cost(life: Life, charging: Charging, prices: PriceList, t0: int, t1: int) -> Fraction:
    """The cost of a life's runs in a window, step by step."""
    step_s = {"second": 1, "minute": 60, "hour": HOUR}[charging.by]
    total = Fraction(0)
    for run in life.runs:
        end = min(e for e in (run.end, life.destroyed_at, t1 + DAY) if e is not None)
        if run.charging_type in PREPAID or end <= run.up_at:
            continue
        begins = run.start if charging.counts_from == "start_time" else run.up_at
        for step in range(begins, min(end, t1 + HOUR), step_s):
            if step < t0 - HOUR:
                continue
            charged_at = step + (step_s // 2 if charging.rounds == "nearest" else 1)
            if charging.rounds == "nearest" and charged_at > min(end, t1):
                continue
            if t0 < charged_at <= t1:
                total += naive_rate(life, run, charging, prices, step) * Fraction(step_s, HOUR)
    return total


def naive_rate(life: Life, run: Run, charging: Charging, prices: PriceList, t: int) -> int:
    extra = charging.image_hour.get(life.image[0], 0)
    if not run.gpu_nums:
        return charging.no_card_hour + extra
    return run.gpu_nums * (prices.at(run.gpu_name, t).hour or 0) + extra


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    charging=st.sampled_from([replace(model, stopped_hour=0) for model in MODELS]),
    shift=st.integers(-5 * HOUR, 2 * DAY),
)
def test_true_cost_is_what_adding_step_by_step_gives(
    seed: int, charging: Charging, shift: int
) -> None:
    money = money_of(seed, charging, prepaid=0.0, prepaid_week=0.0, prepaid_month=0.0)
    t0 = MORNING + shift
    t1 = t0 + 3 * HOUR + 11
    for life in money.fleet.lives:
        naive = naive_cost(life, charging, money.prices, t0, t1)
        runs = sum(t0 < (run.end or t1) and run.start < t1 for run in life.runs)
        assert abs(money.true_cost(life.instance_uuid, t0, t1) - naive) <= max(1, runs)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    charging=st.sampled_from(MODELS),
    cuts=st.lists(st.integers(0, 5 * DAY), max_size=6),
)
def test_true_costs_of_adjoining_windows_add_up(
    seed: int, charging: Charging, cuts: list[int]
) -> None:
    money = money_of(seed, charging)
    marks = [T0, *sorted(T0 + cut for cut in cuts), T0 + 5 * DAY]
    for life in money.fleet.lives:
        parts = [money.true_cost(life.instance_uuid, a, b) for a, b in pairwise(marks)]
        assert min(parts) >= 0
        assert sum(parts) == money.true_cost(life.instance_uuid, T0, T0 + 5 * DAY)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), charging=st.sampled_from(MODELS))
def test_every_line_is_the_true_cost_of_its_window_to_the_fen(
    seed: int, charging: Charging
) -> None:
    money = money_of(seed, charging, prepaid=0.0)
    windows: dict[tuple[str | None, int, int], int] = {}
    for line in money.lines(T0 + 5 * DAY):
        if "包" not in line.remark:
            key = line.instance_uuid, line.settle_start, line.settle_end
            windows[key] = windows.get(key, 0) + line.amount
    assert windows
    for (uuid, begins, ends), amount in windows.items():
        true = money.true_cost(str(uuid), begins, ends)
        assert amount == to_fen(true, charging.rounding)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), charging=st.sampled_from(MODELS))
def test_the_bill_is_the_true_cost_but_for_half_a_fen_a_line(seed: int, charging: Charging) -> None:
    """When all is over: every instance destroyed, every window settled."""
    charging = replace(charging, rounding="half_up")
    money = money_of(seed, charging)
    for life in money.fleet.lives:
        life.destroyed_at = life.destroyed_at or T0 + 4 * DAY
    money.fleet.refresh()
    end = T0 + 40 * DAY
    for life in money.fleet.lives:
        uuid = life.instance_uuid
        billed = sum(n.amount for n in money.lines(end) if n.instance_uuid == uuid)
        true = money.true_cost(uuid, 0, end) + money.unused(uuid, end)
        spans = sum(30 + (s.ended_at or end) - s.started_at for s in life.spans)
        stops = end - life.create_time if charging.stopped_hour else 0
        lines = spans // charging.settle_every_s + stops // DAY + 2 * len(life.runs) + 2
        assert abs(billed - true) <= lines * FEN // 2


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    charging=st.sampled_from(MODELS),
    moments=st.lists(st.integers(-3 * DAY, 6 * DAY), min_size=4, max_size=12),
    refill=st.sampled_from([None, microcny(100)]),
)
def test_the_balance_equation_closes_at_every_instant(
    seed: int, charging: Charging, moments: list[int], refill: int | None
) -> None:
    money = money_of(seed, charging)
    money.refill = refill
    for t in [T0 + s for s in moments]:
        lines = money.lines(t)
        paid_in = sum(recharge.amount for recharge in money.paid_in(t))
        cash = sum(line.amount for line in lines if line.charge_channel == 1)
        by_card = sum(line.amount for line in lines if line.charge_channel == 2)
        faces = sum(card.face_amount for card in money.cards if card.bind_time <= t)
        assert money.balance(t) == microcny("123.45") + paid_in - cash
        assert money.card_balance(t) + money.ledger(t).expired(t) == faces - by_card
        assert all(0 <= money.left_on(card, t) <= card.face_amount for card in money.cards)
        assert refill is None or money.balance(t) >= 0
        assert all(line.amount % FEN == 0 for line in lines)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    charging=st.sampled_from(MODELS),
    moments=st.lists(st.integers(0, 5 * DAY), min_size=2, max_size=6),
)
def test_what_was_asked_before_does_not_matter(
    seed: int, charging: Charging, moments: list[int]
) -> None:
    asked = money_of(seed, charging)
    for s in moments:
        fresh = money_of(seed, charging)
        assert asked.lines(T0 + s) == fresh.lines(T0 + s)
        assert asked.balance(T0 + s) == fresh.balance(T0 + s)
        assert asked.paid_in(T0 + s) == fresh.paid_in(T0 + s)
