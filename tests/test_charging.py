"""What a part of usage costs by the charging model. No database."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.money.charging import ChargingModel, Part, Piece, hour_microcny, pieces
from etl.money.periods import BEGINNING, FOREVER
from etl.money.tariffs import HIGHEST_MICROCNY, PER_S, PricePeriod

DAY, HOUR = 86_400, 3_600
CAPACITY = 2**63
"""What a whole number of the databases holds."""


def price(
    amount: int | None, begins: int = BEGINNING, ends: int = FOREVER, *, unit: str = "hour"
) -> PricePeriod:
    kind = "running" if unit == "hour" else "held"
    source, flat = ("unknown", None) if amount is None else ("list", 0)
    per_s = PER_S[unit]
    return PricePeriod(
        begins, ends, kind, source, per_s, False, amount, amount, amount, flat, per_s, amount
    )


def part(
    ends: int,
    *,
    begins: int = 0,
    origin: int = 0,
    least: int | None = None,
    most: int | None = None,
    gpus: int | None = 1,
    kind: str = "running",
    evidence: str = "observed",
) -> Part:
    lengths = [end - begins for end in (ends, ends if least is None else least, most or ends)]
    return Part(kind, evidence, origin, begins, *lengths, gpus)


def charged(each: Piece) -> tuple[int, int, int]:
    return each.charged_min_s, each.charged_s, each.charged_max_s


def cost(each: Piece) -> tuple[int | None, ...]:
    return each.cost_min_microcny, each.cost_microcny, each.cost_max_microcny


def only(part: Part, price: PricePeriod, **model: object) -> Piece:
    found = list(pieces(part, [price], ChargingModel(**model)))  # type: ignore[arg-type]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("model", "seconds"),
    [
        ({}, 3_661),
        ({"step_s": 60}, 3_720),
        ({"step_s": 3_600}, 7_200),
        ({"counts_from": "running"}, 3_601),
        ({"counts_from": "running", "step_s": 60, "boot_s": 61}, 3_600),
        ({"counts_from": "running", "step_s": 60, "boot_s": 59}, 3_660),
    ],
)
def test_seconds_are_charged_by_the_model(model: dict[str, object], seconds: int) -> None:
    assert only(part(3_661), price(1), **model).charged_s == seconds


@pytest.mark.parametrize(
    ("gpus", "amount"), [(None, None), (-1, None), (0, 0), (1, 5), (64, 320), (65, None)]
)
def test_up_to_64_gpus_are_charged(gpus: int | None, amount: int | None) -> None:
    found = only(part(HOUR, gpus=gpus), price(5))
    assert cost(found) == (amount, amount, amount)
    assert found.price_source == ("unknown" if amount is None else "list")
    assert hour_microcny(price(5), gpus) == amount


@pytest.mark.parametrize(
    ("evidence", "seconds"),
    [
        ("observed", (3_420, 3_540, 3_600)),
        ("booting", (3_420, 3_540, 3_600)),
        ("unseen_run", (3_420, 3_540, 3_600)),
        ("gone", (3_420, 3_540, 3_600)),
        ("unknown_start", (3_600, 3_600, 3_600)),
        ("possible_run", (3_600, 3_600, 3_600)),
    ],
)
def test_a_boot_is_free_only_if_the_stretch_may_begin_with_it(
    evidence: str, seconds: tuple[int, int, int]
) -> None:
    """A run whose start is not known was seen up when its stretch began."""
    found = only(
        part(HOUR, evidence=evidence), price(1), counts_from="running", boot_s=60, boot_max_s=180
    )
    assert charged(found) == seconds


def test_a_model_takes_boots_that_were_seen_and_never_a_shorter_longest() -> None:
    usual = ChargingModel()
    assert (usual.counts_from, usual.step_s, usual.boot_max_s) == ("start", 1, 180)
    assert usual.with_boots(50, 60) == ChargingModel("start", 1, 50, 180)
    assert usual.with_boots(200, 100) == ChargingModel("start", 1, 200, 200)
    assert usual.with_boots(90, 400) == ChargingModel("start", 1, 90, 400)


def test_an_image_costs_its_price_beside_that_of_the_gpus() -> None:
    with_image = replace(price(5), flat_microcny=3, list_microcny=7)
    found = only(part(2 * HOUR, least=HOUR, most=3 * HOUR, gpus=2), with_image)
    assert cost(found) == (13, 26, 39)
    # the list has prices of GPUs alone, and is asked for the estimate
    assert found.list_cost_microcny == 28
    assert hour_microcny(with_image, 2) == 13
    assert hour_microcny(replace(with_image, flat_microcny=None), 2) == 10
    assert hour_microcny(price(None), 2) is None


def test_a_price_of_nothing_is_a_price() -> None:
    assert cost(only(part(HOUR, least=60), price(0))) == (0, 0, 0)


def test_a_part_is_cut_only_at_moments_and_prices_inside_it() -> None:
    """A price that begins or ends with the part, and a cut where a price begins, make no empty piece."""
    prices = [price(1, ends=100), price(2, 100, 200), price(3, 200, 300), price(4, 300)]
    found = list(pieces(part(300, begins=100), prices, ChargingModel(), [50, 100, 200, 250, 300]))
    assert [(p.starts_s, p.ends_s, p.used_s) for p in found] == [
        (100, 200, 100),
        (200, 250, 50),
        (250, 300, 50),
    ]


@pytest.mark.parametrize(
    ("kind", "evidence", "seconds"),
    [
        ("running", "observed", (120, 120, 120)),
        ("running", "unseen_run", (120, 120, 120)),
        ("running", "unknown_start", (60, 120, 120)),
        ("running", "gone", (60, 120, 120)),
        ("running", "possible_run", (60, 100, 120)),
        ("held", "observed", (100, 100, 100)),
        ("held", "unknown_start", (100, 100, 100)),
    ],
)
def test_whole_minutes_are_charged_as_surely_as_the_start_is_known(
    kind: str, evidence: str, seconds: tuple[int, int, int]
) -> None:
    """Of 100 s in minutes that may begin anywhere one surely fits, and two are touched at most."""
    unit = "hour" if kind == "running" else "month"
    found = only(part(100, kind=kind, evidence=evidence), price(1, unit=unit), step_s=60)
    assert charged(found) == seconds


def test_a_later_part_of_a_stretch_goes_on_with_its_steps() -> None:
    """The third minute was charged when it began; by the second, all of a later part is charged."""
    later = part(179, begins=130)
    assert charged(only(later, price(1), step_s=60)) == (0, 0, 0)
    assert charged(only(replace(later, evidence="gone"), price(1), step_s=60)) == (0, 0, 60)
    after_boot = part(1_000, begins=500)
    model = {"counts_from": "running", "boot_s": 60, "boot_max_s": 180}
    assert charged(only(after_boot, price(1), **model)) == (500, 500, 500)
    assert charged(only(part(3), price(1), step_s=2)) == (4, 4, 4)


def test_bounds_of_an_amount_are_rounded_away_from_it() -> None:
    assert cost(only(part(1), price(1))) == (0, 0, 1)
    assert cost(only(part(1_800), price(1))) == (0, 1, 1)
    assert cost(only(part(HOUR), price(1))) == (1, 1, 1)


def test_what_is_shorter_than_its_boot_costs_nothing() -> None:
    model = {"counts_from": "running", "step_s": 3_600, "boot_s": 60, "boot_max_s": 90}
    assert charged(only(part(60), price(1), **model)) == (0, 0, 3_600)
    assert charged(only(part(61), price(1), **model)) == (0, 3_600, 3_600)
    assert charged(only(part(91), price(1), **model)) == (3_600, 3_600, 3_600)


def test_an_hour_that_begins_before_midnight_is_charged_before_midnight() -> None:
    origin = DAY - 600
    before = only(part(DAY, begins=origin, origin=origin), price(1), step_s=3_600)
    after = only(part(DAY + 3_100, begins=DAY, origin=origin), price(1), step_s=3_600)
    assert (before.charged_s, after.charged_s) == (3_600, 3_600)


def test_a_step_that_may_have_begun_before_midnight_is_not_sure_after_it() -> None:
    """By a boot of 0 s the second hour begins at 3,600, by one of 300 s at 3,900."""
    after = part(3_950, begins=3_700)
    model = {"counts_from": "running", "step_s": 3_600, "boot_s": 0, "boot_max_s": 300}
    assert charged(only(after, price(1), **model)) == (0, 0, 3_600)


def test_a_possible_run_is_no_begun_hour_but_may_be_one() -> None:
    maybe = part(50, least=0, most=100, evidence="possible_run")
    assert charged(only(maybe, price(1), step_s=3_600)) == (0, 50, 3_600)


def test_prepaid_time_is_charged_as_it_passes() -> None:
    held = part(DAY, kind="held", gpus=8)
    found = only(held, price(3_000_000_000, unit="month"), counts_from="running", step_s=3_600)
    assert (found.charged_s, found.cost_microcny) == (DAY, 800_000_000)


def test_time_that_is_not_what_is_charged_costs_nothing() -> None:
    assert list(pieces(part(60), [price(1, unit="month")], ChargingModel())) == []


def test_amounts_are_rounded_once_and_bounds_outwards() -> None:
    assert cost(only(part(1, gpus=2), price(900))) == (0, 1, 1)
    assert cost(only(part(1, gpus=2), price(899))) == (0, 0, 1)


@pytest.mark.parametrize("gpus", [None, -1, 65])
def test_a_number_of_gpus_that_cannot_be_has_no_cost(gpus: int | None) -> None:
    found = only(part(HOUR, gpus=gpus), price(1))
    assert (*cost(found), found.list_cost_microcny) == (None,) * 4
    assert (found.price_source, found.charged_s) == ("unknown", HOUR)


def test_an_unknown_price_has_no_cost() -> None:
    assert cost(only(part(HOUR), price(None))) == (None,) * 3


@pytest.mark.parametrize("unit", PER_S)
def test_the_dearest_day_of_most_gpus_fits_the_databases(unit: str) -> None:
    kind = "running" if unit == "hour" else "held"
    found = only(
        part(25 * HOUR, gpus=64, kind=kind), price(HIGHEST_MICROCNY, unit=unit), step_s=HOUR
    )
    assert found.charged_max_s * 64 * HIGHEST_MICROCNY + PER_S[unit] < CAPACITY


MODELS = st.builds(
    ChargingModel,
    st.sampled_from(["start", "running"]),
    st.sampled_from([1, 60, 3_600]),
    st.integers(0, 100),
    st.integers(100, 300),
)


@given(
    MODELS,
    st.integers(0, 3 * HOUR),
    st.lists(st.integers(1, 2 * HOUR), max_size=4),
    st.lists(st.integers(1, 9 * HOUR), max_size=4),
    st.lists(st.integers(-HOUR, 4 * HOUR), max_size=4).map(sorted),
)
def test_the_parts_of_a_stretch_add_up(
    model: ChargingModel, length: int, cuts: list[int], changes: list[int], payers: list[int]
) -> None:
    """However a stretch is cut into days, prices and payers, as many seconds are charged."""
    whole = (
        only(
            part(length),
            price(1),
            counts_from=model.counts_from,
            step_s=model.step_s,
            boot_s=model.boot_s,
            boot_max_s=model.boot_max_s,
        )
        if length
        else None
    )
    days = sorted({0, length, *(cut for cut in cuts if cut < length)})
    steps = sorted({BEGINNING, FOREVER, *changes})
    prices = [price(7, a, b) for a, b in pairwise(steps)]
    found = [
        each
        for begins, ends in pairwise(days)
        for each in pieces(part(ends, begins=begins), prices, model, payers)
    ]
    assert not any(each.starts_s < payer < each.ends_s for each in found for payer in payers)
    assert sum(each.charged_s for each in found) == (whole.charged_s if whole else 0)
    assert sum(each.used_s for each in found) == length


@given(
    model=MODELS,
    boot=st.integers(0, 300),
    origin=st.integers(0, DAY),
    ends=st.tuples(*[st.integers(0, 5 * HOUR)] * 4),
    rise=st.integers(0, 6 * HOUR),
    began_seen=st.booleans(),
    payers=st.lists(st.integers(0, 2 * DAY), max_size=3).map(sorted),
)
def test_the_true_charge_lies_within_the_bounds_of_every_part(
    model: ChargingModel,
    boot: int,
    origin: int,
    ends: tuple[int, ...],
    rise: int,
    began_seen: bool,
    payers: list[int],
) -> None:
    """A true run from `origin`; of its end only bounds are known, and, where it was not `began_seen`,
    its beginning neither. It is charged step by step, at the price in force when the step begins."""
    least, truth, estimate, most = sorted(ends)
    boots = min(boot, model.boot_max_s) if model.counts_from == "running" else 0
    shift = 0 if began_seen else min(least, 100 + boots)
    start = origin + shift
    evidence = "observed" if began_seen else "unknown_start"
    prices = [price(10, BEGINNING, origin + rise), price(50, origin + rise, FOREVER)]
    midnight = DAY if start < DAY < origin + most else origin + most
    for begins, to in ((start, midnight), (midnight, origin + most)):
        if begins >= to:
            continue
        lengths = [max(0, min(origin + end, to) - begins) for end in (estimate, least, most)]
        day = Part("running", evidence, start, begins, *lengths, 1)
        found = list(pieces(day, prices, model, payers))
        true_steps = [
            at for at in range(origin + boots, origin + truth, model.step_s) if begins <= at < to
        ]
        true_cost = sum(model.step_s * (10 if at < origin + rise else 50) for at in true_steps)
        assert sum(p.charged_min_s for p in found) <= model.step_s * len(true_steps)
        assert sum(p.charged_max_s for p in found) >= model.step_s * len(true_steps)
        assert sum(p.cost_min_microcny or 0 for p in found) * HOUR <= true_cost
        assert sum(p.cost_max_microcny or 0 for p in found) * HOUR >= true_cost
        for each in found:
            assert each.charged_min_s <= each.charged_s <= each.charged_max_s
            assert each.cost_min_microcny <= each.cost_microcny <= each.cost_max_microcny  # type: ignore[operator]


@pytest.mark.parametrize("evidence", ["observed", "unknown_start"])
def test_held_time_is_charged_by_the_second(evidence: str) -> None:
    found = only(part(101, kind="held", evidence=evidence), price(1, unit="month"), step_s=60)
    assert charged(found) == (101, 101, 101)


def test_the_estimate_of_a_possible_run_is_charged_by_the_second() -> None:
    assert only(part(101, evidence="possible_run"), price(1), step_s=60).charged_s == 101
