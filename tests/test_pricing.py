"""Prices over time: what list prices and overrides say of usage on some terms. No database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.money.tariffs import (
    BEGINNING,
    FOREVER,
    OFFERED,
    PER_S,
    ListPrice,
    Override,
    PricePeriod,
    Prices,
    PriceTerms,
    clashes,
)

GPU = PriceTerms("gpu-1", "RTX 4090", "image-1", 1, False)
UNITS = {1: "hour", 2: "month", 9: None}


def listed(
    begins: int, hour: int | None, seen: int | None = None, to: int | None = None, **more: int
) -> ListPrice:
    return ListPrice("gpu-1", "RTX 4090", begins, seen, to, {"hour": hour, **more})


def periods(
    *listed: ListPrice, overrides: Sequence[Override] = (), terms: PriceTerms = GPU
) -> list[PricePeriod]:
    return Prices("lab", listed, overrides, UNITS).periods(terms)


def short(found: Sequence[PricePeriod]) -> list[tuple[Any, ...]]:
    return [
        (p.starts_s, p.price_microcny, p.price_min_microcny, p.price_max_microcny, p.price_source)
        for p in found
    ]


def one(*overrides: Override, terms: PriceTerms = GPU, price: int | None = 500) -> PricePeriod:
    found = periods(listed(0, price), overrides=overrides, terms=terms)
    assert len(found) == 1
    return found[0]


def test_before_the_first_known_list_price_it_is_assumed() -> None:
    assert short(periods(listed(100, 500))) == [
        (BEGINNING, 500, 500, 500, "list_assumed"),
        (100, 500, 500, 500, "list"),
    ]


def test_while_a_change_went_unseen_the_old_price_is_the_estimate_and_both_are_bounds() -> None:
    found = periods(listed(100, 500, seen=180, to=200), listed(200, 300))
    assert short(found)[1:] == [
        (100, 500, 500, 500, "list"),
        (180, 500, 300, 500, "list"),
        (200, 300, 300, 300, "list"),
    ]


def test_a_model_that_is_not_listed_for_a_while_keeps_its_price_but_assumed() -> None:
    found = periods(listed(100, 500, seen=180, to=200), listed(400, 700))
    assert short(found)[2:] == [
        (180, 500, 500, 700, "list_assumed"),
        (400, 700, 700, 700, "list"),
    ]


def test_a_unit_that_a_version_does_not_price_is_priced_as_in_the_version_before() -> None:
    month = PriceTerms("gpu-1", "RTX 4090", "", 2, False)
    found = periods(listed(100, 1, seen=190, to=200, month=90), listed(200, 2), terms=month)
    assert short(found)[1:] == [(100, 90, 90, 90, "list"), (190, 90, 90, 90, "list_assumed")]
    assert {(p.per_s, p.kind, p.is_assumed) for p in found} == {(30 * 86_400, "held", True)}


@pytest.mark.parametrize(
    "terms",
    [
        PriceTerms("gpu-2", "RTX 4090", "", 1, False),
        PriceTerms("gpu-1", "RTX 4090", "", 9, False),
        PriceTerms("gpu-1", "RTX 4090", "", -1, False),
        PriceTerms("gpu-1", "RTX 4090", "", 2, False),
        PriceTerms("gpu-1", "RTX 4090", "", 1, True),
        PriceTerms("", "", "", 1, False),
    ],
    ids=["model", "code", "no code", "unit", "no card", "nothing"],
)
def test_a_price_that_nobody_knows_is_null_and_never_zero(terms: PriceTerms) -> None:
    assert short(periods(listed(100, 500), terms=terms)) == [(0, None, None, None, "unknown")]


def test_a_model_without_a_uuid_is_priced_by_its_name() -> None:
    assert one(terms=PriceTerms("", "RTX 4090", "", 1, False)).price_microcny == 500


@pytest.mark.parametrize("price", [-1, 10**12 + 1])
def test_a_price_out_of_all_range_is_no_price(price: int) -> None:
    assert one(price=price).price_source == "unknown"


RANKS = [
    Override("hour", 2, source="bill", image_uuid="image-1"),
    Override("hour", 3),
    Override("hour", 4, account="lab"),
    Override("hour", 5, charging_type=1),
    Override("hour", 6, gpu_name="RTX 4090"),
    Override("hour", 7, gpu_uuid="gpu-1"),
    Override("hour", 8, image_uuid="image-1"),
    Override("hour", 9, image_uuid="image-1", gpu_uuid="gpu-1"),
]


@pytest.mark.parametrize("count", range(1, len(RANKS) + 1))
def test_the_most_specific_override_holds(count: int) -> None:
    said = RANKS[:count]
    for given_in in (said, said[::-1]):
        found = one(*given_in)
        assert found.price_microcny == RANKS[count - 1].price_microcny
        assert found.price_source == ("learned" if count == 1 else "override")
        assert found.list_microcny == 500


def test_of_two_for_the_same_the_latest_begun_holds() -> None:
    found = periods(overrides=[Override("hour", 1), Override("hour", 2, valid_from=50)])
    assert short(found) == [(0, 1, 1, 1, "override"), (50, 2, 2, 2, "override")]


def test_an_override_holds_from_its_first_to_before_its_last_moment() -> None:
    found = periods(listed(0, 500), overrides=[Override("hour", 1, valid_from=10, valid_to=20)])
    assert [row[:2] for row in short(found)] == [(0, 500), (10, 1), (20, 500)]


def test_an_override_for_any_charging_counts_only_where_its_unit_does() -> None:
    month = PriceTerms("gpu-1", "RTX 4090", "", 2, False)
    assert one(Override("hour", 1), terms=month).price_source == "unknown"
    assert one(Override("month", 9), terms=month).price_microcny == 9
    by_hour = one(Override("hour", 1, charging_type=2), terms=month)
    assert (by_hour.price_microcny, by_hour.per_s) == (1, 3_600)


def test_an_override_gives_a_price_to_a_charging_code_that_nobody_knows() -> None:
    unknown = PriceTerms("gpu-1", "RTX 4090", "", 9, False)
    found = one(Override("day", 24, charging_type=9), terms=unknown)
    assert (found.price_microcny, found.per_s, found.kind) == (24, 86_400, "running")


def test_an_extra_comes_on_top_of_the_list_price_with_its_bounds() -> None:
    extra = Override("hour", 30, image_uuid="image-1", adds=True)
    found = periods(listed(0, 500, seen=80, to=90), listed(90, 600), overrides=[extra])
    assert [row[:4] for row in short(found)] == [
        (0, 530, 530, 530),
        (80, 530, 530, 630),
        (90, 630, 630, 630),
    ]


def test_an_extra_of_the_instance_is_not_multiplied() -> None:
    found = one(Override("hour", 30, adds=True, per="instance"))
    assert (found.price_microcny, found.flat_microcny) == (500, 30)


def test_an_extra_alone_makes_no_price() -> None:
    assert one(Override("hour", 30, adds=True), price=None).price_microcny is None


def test_a_run_without_a_card_has_the_price_that_is_said_for_it_alone() -> None:
    no_card = PriceTerms("gpu-1", "RTX 4090", "", 1, True)
    said = [Override("hour", 7), Override("hour", 100, no_card=True)]
    found = one(*said, terms=no_card)
    assert (found.price_microcny, found.flat_microcny) == (0, 100)
    assert one(*said).price_microcny == 7


def test_what_nobody_could_decide_is_a_clash() -> None:
    def clash(*said: Override) -> list[tuple[int, int]]:
        return list(clashes(said))

    open_end = Override("hour", 1, gpu_name="a", valid_from=10)
    assert clash(open_end, Override("hour", 2, gpu_name="a", valid_from=20)) == []
    assert clash(open_end, Override("hour", 2, gpu_name="a", valid_from=10)) == [(0, 1)]
    assert clash(open_end, Override("hour", 2, gpu_name="b", valid_from=10)) == []
    assert clash(open_end, Override("hour", 2, gpu_name="a", valid_from=10, adds=True)) == []
    ends = Override("hour", 1, gpu_name="a", valid_from=10, valid_to=30)
    assert clash(ends, Override("hour", 2, gpu_name="a", valid_from=29)) == [(0, 1)]
    assert clash(ends, Override("hour", 2, gpu_name="a", valid_from=30)) == []


VERSIONS = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.integers(0, 30),
        st.booleans(),
        st.one_of(st.none(), st.integers(0, 99)),
    ),
    max_size=5,
)
OVERRIDES = st.lists(
    st.builds(
        Override,
        st.sampled_from(sorted(PER_S)),
        st.integers(0, 10**12),
        gpu_name=st.sampled_from([None, "RTX 4090"]),
        charging_type=st.sampled_from([None, 1, 2]),
        per=st.sampled_from(["gpu", "instance"]),
        adds=st.booleans(),
        valid_from=st.one_of(st.none(), st.integers(0, 200)),
        valid_to=st.one_of(st.none(), st.integers(201, 300)),
        source=st.sampled_from(["user", "bill"]),
    ),
    max_size=6,
)


@given(VERSIONS, OVERRIDES, st.sampled_from([1, 2, 9]))
def test_periods_cover_all_time_once_and_are_in_order(
    versions: list[Any], overrides: list[Override], code: int
) -> None:
    at, told = 0, []
    for lasts, unseen, is_next, hour in versions:
        to = at + lasts + unseen
        told.append(listed(at, hour, seen=at + lasts, to=to, month=hour or 0))
        at = to + (0 if is_next else 17)
    found = periods(
        *told, overrides=overrides, terms=PriceTerms("gpu-1", "RTX 4090", "image-1", code, False)
    )
    assert (found[0].starts_s, found[-1].ends_s) == (BEGINNING, FOREVER)
    for one, then in pairwise(found):
        assert one.ends_s == then.starts_s
        assert one.starts_s < one.ends_s
    for each in found:
        amounts = each.price_min_microcny, each.price_microcny, each.price_max_microcny
        assert (each.price_source == "unknown") == (None in amounts) == (amounts == (None,) * 3)
        if each.price_microcny is not None:
            assert list(amounts) == sorted(amounts)  # type: ignore[type-var]
            assert each.price_max_microcny + each.flat_microcny <= 10**12  # type: ignore[operator]


def test_usage_is_offered_in_every_unit_at_its_own_prices() -> None:
    """Code 2 is monthly: a price for it is one of a month. Code 9 is unknown, and no day is listed."""
    overrides = (Override("month", 70, charging_type=2), Override("hour", 4, gpu_name="RTX 4090"))
    prices = Prices("lab", [listed(0, 5, week=30, month=90)], overrides, UNITS)
    for terms in (GPU, replace(GPU, charging_type=9)):
        offers = {t.charging_type: p[-1].price_microcny for t, p in prices.offers(terms)}
        assert offers == {
            OFFERED["hour"]: 4,
            OFFERED["day"]: None,
            OFFERED["week"]: 30,
            OFFERED["month"]: 70,
        }
