"""What the source says of money, read record by record: exact, and odd values each in its way."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import Changed
from etl.resources import (
    BALANCE,
    BILLS,
    CARDS,
    GPU_PRICES,
    RECHARGES,
    RESOURCES,
    Record,
    Reject,
    Resource,
    bills,
    recharges,
)
from tests.test_canaries import RECORDS

SIDE = (GPU_PRICES, BALANCE, CARDS, BILLS, RECHARGES)
LIST_KEYS = {
    "gpu_prices": "gpu_list",
    "cards": "card_list",
    "bills": "order_list",
    "recharges": "recharge_list",
    "workflow_runs": "run_list",
    "images": "image_list",
}
PRICE = {
    "gpu_uuid": "gpu-4090",
    "gpu_name": "RTX 4090",
    "status": 1,
    "price": {"hour": 5.5, "day": 120, "week": 800, "month": 3200, "year": 35000},
}
LINE = {
    "amount": 25.50,
    "charge_channel": 1,
    "order_number": "O1",
    "order_time": 1_790_000_100,
    "settle_start_time": 1_790_000_000,
    "settle_end_time": 1_790_000_100,
    "remark": "GPU",
}
CARD = {
    "uuid": "card-1",
    "title": "暑期卡",
    "card_no": "6222000011112222",
    "face_amount": 100,
    "sale_price": 80,
    "leave_amount": 99.5,
    "bind_time": 1_790_000_000,
    "expire_date": 1_800_000_000,
    "valid_days": 90,
    "status_txt": "使用中",
    "bind_txt": "通用",
    "pods": [{"uuid": "b", "title": "B"}, {"uuid": "a", "title": "A"}],
}
RECHARGE = {"out_trade_no": "T1", "amount": "100.00", "pay_time": 1_790_000_000, "pay_channel": 2}
SAMPLES = {"gpu_prices": PRICE, "cards": CARD, "bills": LINE, "recharges": RECHARGE}


def answer(resource: Resource[Any], *records: Any, **more: Any) -> bytes:
    """An answer that lists `records`; the balance is its one record."""
    if resource is BALANCE:
        content = records[0]
    else:
        content = {LIST_KEYS[resource.name]: list(records), "total": len(records), **more}
    return json.dumps({"code": 0, "msg": "success", "data": content}).encode()


def read(resource: Resource[Any], *records: Any) -> tuple[list[Record], list[Reject]]:
    found, odd = resource.read(answer(resource, *records))
    return list(found), list(odd)


def columns(resource: Resource[Any], record: Any) -> dict[str, Any]:
    """A record that was understood, by column."""
    ((found,), odd) = read(resource, record)
    assert odd == []
    assert resource.form is not None
    return {**dict(zip(resource.form.columns, found.facts, strict=True)), "extra": found.extra}


def test_every_documented_member_has_its_column() -> None:
    assert columns(GPU_PRICES, PRICE) == {
        "gpu_uuid": "gpu-4090",
        "gpu_name": "RTX 4090",
        "status": 1,
        "hour_microcny": 5_500_000,
        "day_microcny": 120_000_000,
        "week_microcny": 800_000_000,
        "month_microcny": 3_200_000_000,
        "year_microcny": 35_000_000_000,
        "extra": None,
    }
    assert columns(BALANCE, {"balance": 12.34, "card_balance": 0}) == {
        "balance_microcny": 12_340_000,
        "card_balance_microcny": 0,
        "extra": None,
    }
    bill = columns(BILLS, LINE)
    assert (bill["amount_microcny"], bill["extra"]) == (25_500_000, None)
    card = columns(CARDS, CARD)
    assert card["pods"] == '[{"title":"A","uuid":"a"},{"title":"B","uuid":"b"}]'
    assert (card["leave_amount_microcny"], card["extra"]) == (99_500_000, None)
    recharge = columns(RECHARGES, RECHARGE)
    assert (recharge["recharge_id"], recharge["amount_microcny"]) == ("T1", 100_000_000)


def test_facts_are_named_in_the_order_of_their_columns() -> None:
    assert bills.LineFacts._fields == bills.FORM.columns
    assert recharges.RechargeFacts._fields == recharges.FORM.columns


def test_of_a_card_number_four_characters_stay() -> None:
    assert columns(CARDS, CARD)["card_no"] == "2222"
    assert columns(CARDS, {**CARD, "card_no": 6222000011112222})["card_no"] == "2222"
    _, (reject,) = read(CARDS, {**CARD, "valid_days": "many"})
    assert "62220000" not in reject.payload


@given(st.integers(-(10**14), 10**14))
def test_an_amount_is_exact_to_the_millionth_as_number_and_as_text(micro: int) -> None:
    yuan = str(Decimal(micro) / 1_000_000)
    for said in (yuan, f'"{yuan}"'):
        body = f'{{"code":0,"data":{{"balance":{said},"card_balance":0}}}}'.encode()
        ((record,), _) = BALANCE.read(body)
        assert record.facts[0] == micro


def test_the_noise_of_floating_point_is_no_fraction_of_a_fen() -> None:
    assert columns(BILLS, {**LINE, "amount": 0.1 + 0.2})["amount_microcny"] == 300_000
    assert columns(BILLS, {**LINE, "amount": 25.499999999999996})["extra"] is None
    assert columns(BILLS, {**LINE, "amount": 25.499999999999996})["amount_microcny"] == 25_500_000


def test_a_finer_amount_is_rounded_and_kept() -> None:
    found = columns(BILLS, {**LINE, "amount": "0.12345678"})
    assert (found["amount_microcny"], found["extra"]) == (123_457, '{"amount":"0.12345678"}')


@pytest.mark.parametrize("amount", [None, "", "free", True, [], {}, float("nan"), 1e30, "1e400"])
def test_a_line_whose_amount_is_none_is_a_reject_that_names_it(amount: Any) -> None:
    found, (reject,) = read(BILLS, {**LINE, "amount": amount}, {**LINE, "order_number": "O2"})
    assert [record.facts[0] for record in found] == ["O2"]
    assert reject.reason.startswith("$.amount: ")
    assert reject.identity is not None


@pytest.mark.parametrize(
    "number", ["1e99999999999999999999", "1e-99999999999999999999", "9" * 5_000]
)
@pytest.mark.parametrize("name", ["amount", "unknown"])
def test_a_number_that_no_decimal_holds_costs_no_neighbour(name: str, number: str) -> None:
    body = answer(BILLS, LINE, {**LINE, "order_number": "odd", name: 0.25})
    at = body.rindex(b"0.25")
    body = body[:at] + number.encode() + body[at + 4 :]
    found, odd = BILLS.read(body)
    assert found[0].facts[0] == "O1"
    assert len(found) + len(odd) == 2
    assert len(BILLS.open(body).identities) == 2


@pytest.mark.parametrize("resource", [CARDS, BILLS, RECHARGES])
def test_an_instant_of_a_billion_digits_is_none_at_once(resource: Resource[Any]) -> None:
    """Written out, the number would fill the memory."""
    sample = SAMPLES[resource.name]
    for name in (n for n, value in sample.items() if str(value)[:2] in ("17", "18")):
        body = answer(resource, {**sample, name: 0.25}).replace(b"0.25", b"171e999672200")
        (found, odd) = resource.read(body)
        assert len(found) + len(odd) == 1


def test_a_price_for_some_units_only_is_null_for_the_others() -> None:
    found = columns(GPU_PRICES, {**PRICE, "price": {"hour": "1.98", "season": 7}})
    assert found["hour_microcny"] == 1_980_000
    assert found["day_microcny"] is None
    assert found["extra"] == '{"price":{"season":7}}'


def test_unknown_members_are_kept_without_secrets() -> None:
    found = columns(GPU_PRICES, {**PRICE, "vram": 24, "token": "t", "at": "https://u:p@h/x?k=1"})
    assert found["extra"] == '{"at":"https://h/x","token":"***","vram":24}'


def test_a_line_without_a_window_settles_the_moment_of_its_order() -> None:
    bare = {k: v for k, v in LINE.items() if not k.startswith("settle")}
    found = columns(BILLS, bare)
    assert found["settle_start_at"] == found["settle_end_at"] == 1_790_000_100
    _, (reject,) = read(BILLS, {**bare, "order_time": 0})
    assert "settle_start_time" in reject.reason
    _, (reject,) = read(BILLS, {**LINE, "settle_end_time": 1_789_000_000})
    assert "ends before it starts" in reject.reason


def test_lines_of_one_page_that_are_alike_are_counted() -> None:
    found, _ = read(BILLS, LINE, {**LINE, "amount": 1}, LINE)
    first, other, second = (record.identity for record in found)
    assert second == f"{first}/2"
    assert other not in (first, second)


def test_a_line_is_the_same_however_its_numbers_are_written() -> None:
    said = {"charge_channel": "1", "settle_start_time": 1_790_000_000.0, "order_number": "O1"}
    (one, other), _ = (read(BILLS, LINE)[0] + read(BILLS, {**LINE, **said})[0]), None
    assert one == other


def test_the_name_of_a_record_is_that_of_its_columns() -> None:
    for resource in SIDE:
        sample = SAMPLES.get(resource.name, {"balance": 1, "card_balance": 2})
        ((record,), _) = read(resource, sample)
        assert resource.form is not None
        assert resource.form.name_of(record.facts) == record.identity
        listing = resource.open(answer(resource, sample))
        assert listing.identities == (record.identity,)


def test_a_recharge_without_a_number_is_named_by_what_it_says() -> None:
    one, two = {"amount": 5, "created_at": "2026-03-01 10:00:00"}, {"amount": 6}
    (first, second), _ = read(RECHARGES, one, two)
    assert first.identity != second.identity
    assert read(RECHARGES, dict(reversed(one.items())))[0][0] == first
    assert read(RECHARGES, {**one, "status": 2})[0][0].identity == first.identity
    assert first.facts[2] == 1_772_330_400  # a local time of China
    assert first.extra == '{"created_at":"2026-03-01 10:00:00"}'


def test_the_list_of_recharges_may_have_another_name() -> None:
    for content in ({"list": [RECHARGE], "total": 1}, {"recharge_list": None, "total": 0}):
        listing = RECHARGES.open(json.dumps({"code": 0, "data": content}).encode())
        assert len(listing.identities) == listing.total
    with pytest.raises(Changed):
        RECHARGES.open(b'{"code":0,"data":{"a":[],"b":[]}}')


@pytest.mark.parametrize("resource", SIDE, ids=lambda r: r.name)
@pytest.mark.parametrize(
    "body", [b"", b"nope", b"[]", b'{"data":null}', b"[" * 100_000, b'{"data":1}']
)
def test_an_answer_of_another_form_is_changed(resource: Resource[Any], body: bytes) -> None:
    for ask in (resource.open, resource.read):
        with pytest.raises(Changed):
            ask(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("resource", [r for r in SIDE if r is not BALANCE], ids=lambda r: r.name)
@given(odd=values, at=st.integers(0, 11))
def test_any_record_is_understood_or_rejected_and_costs_no_neighbour(
    resource: Resource[Any], odd: Any, at: int
) -> None:
    sample = SAMPLES[resource.name]
    name = list(sample)[at % len(sample)]
    other = (
        {**sample, next(iter(sample)): "other"} if resource is not BILLS else LINE | {"remark": "y"}
    )
    body = json.dumps(
        {"data": {LIST_KEYS[resource.name]: [{**sample, name: odd}, odd, other], "total": 3}}
    ).encode()
    found, rejects = resource.read(body)
    assert len(found) + len(rejects) == 3
    assert len(resource.open(body).identities) == 3
    for record in found:
        record.identity.encode()
        assert "\x00" not in repr(record)


@pytest.mark.parametrize(
    ("written", "total"),
    [
        *(("7", 7), ("7.0", 7), ('"7"', 7), ('"7.0"', 7), ('" 7 "', 7), ("70e-1", 7)),
        *(("7.5", None), ('"7.5"', None), ("-7", None), ("true", None), ('"1_0"', None)),
    ],
)
@pytest.mark.parametrize("name", [name for name in RESOURCES if name != "balance"])
def test_a_total_is_read_alike_in_every_listing(name: str, written: str, total: int | None) -> None:
    lists = ",".join(f'"{key}":[]' for key in (*LIST_KEYS.values(), "instance_list"))
    body = f'{{"code":0,"data":{{{lists},"total":{written}}}}}'.encode()
    assert RESOURCES[name].open(body).total == total


NUMBERS = ("1e999999999", "-1e999999999", "1e-999999999", "1e9999999999999999999", "9" * 5_000)
"""Numbers that take gigabytes, or overflow, or that Python refuses to read, if they are taken as written."""


@pytest.mark.parametrize("number", [*NUMBERS, *(f'"{number}"' for number in NUMBERS)])
@pytest.mark.parametrize("name", [name for name in RESOURCES if name != "balance"])
def test_a_number_out_of_every_range_costs_its_record_at_most(name: str, number: str) -> None:
    resource, (key, sample) = RESOURCES[name], RECORDS[name]
    for member in sample:
        odd = json.dumps({**sample, member: "here"}).replace('"here"', number)
        body = f'{{"code":0,"data":{{"{key}":[{odd},{json.dumps(sample)}],"total":{number}}}}}'
        listing = resource.open(body.encode())
        assert listing.total in (None, 0)
        assert len(listing.identities) == 2
        understood, rejects = resource.read(body.encode())
        assert len(understood) + len(rejects) == 2
        assert understood


def test_a_recharge_that_says_nothing_is_none() -> None:
    understood, rejects = RECHARGES.read(answer(RECHARGES, {}, RECHARGE))
    assert (len(understood), len(rejects)) == (1, 1)
