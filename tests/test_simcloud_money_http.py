"""Prices, bills, balance, cards and recharges over HTTP, by the book and otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

import httpx
import pytest

from etl.simcloud import (
    ANY,
    BALANCE_PATH,
    BILL_PATH,
    CARD_PATH,
    GPU_PATH,
    LEAK_MARK,
    RECHARGE_PATH,
    T0,
    Behaviour,
    Charging,
    Fail,
    Fleet,
    Money,
    Server,
    Story,
    gpu_uuid,
    serve,
)
from etl.simcloud.habits import MODELS

PATHS = (GPU_PATH, BILL_PATH, BALANCE_PATH, CARD_PATH, RECHARGE_PATH)


@pytest.fixture
def cloud() -> Story:
    """Two H100s for 24 hours: 24 lines, the first two by card."""
    story = Story()
    story.gives_card(51, sale_price="40.80")
    story.recharges("1000.29")
    story.rents(model="H100")
    story.passes(hours=24)
    return story


@pytest.fixture
def server(cloud: Story) -> Iterator[Server]:
    with serve(cloud) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    key = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.base_url, headers=key, trust_env=False) as connected:
        yield connected


def listing(client: httpx.Client, path: str, **query: str) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200
    return json.loads(answer.content, parse_float=Decimal)["data"]


def bill(client: httpx.Client, page: int = 1, page_size: int = 10, **query: str) -> Any:
    return listing(client, BILL_PATH, page=str(page), page_size=str(page_size), **query)


def test_prices_are_listed_as_published(cloud: Story, client: httpx.Client) -> None:
    listed = listing(client, GPU_PATH)
    assert listed["total"] == len(listed["gpu_list"]) == len(MODELS)
    by_name = {gpu["gpu_name"]: gpu for gpu in listed["gpu_list"]}
    assert by_name["RTX 4090"] == {
        "gpu_name": "RTX 4090",
        "gpu_uuid": gpu_uuid("RTX 4090"),
        "status": 1,
        "price": {"hour": Decimal("5.5"), "day": 120, "week": 800, "month": 3200, "year": 35000},
    }
    assert "year" not in by_name["L40S"]["price"]
    cloud.price("RTX 4090", hour="6.05", week=None, status=0)
    changed = listing(client, GPU_PATH)["gpu_list"][0]
    assert changed["status"] == 0
    assert changed["price"]["hour"] == Decimal("6.05")
    assert "week" not in changed["price"]


def test_an_amount_has_the_digits_that_it_is_written_with(client: httpx.Client) -> None:
    text = client.get(BILL_PATH).text
    assert '"amount":25.5,' in text
    assert '"balance":' in (balance := client.get(BALANCE_PATH).text)
    assert json.loads(balance, parse_float=Decimal)["data"]["balance"] == Decimal("439.29")
    assert '"amount":1000.29}' in client.get(RECHARGE_PATH).text


def test_the_bill_comes_in_pages_the_newest_line_first(cloud: Story, client: httpx.Client) -> None:
    pages = [bill(client, n) for n in (1, 2, 3, 4)]
    assert [len(page["order_list"]) for page in pages] == [10, 10, 4, 0]
    assert {page["total"] for page in pages} == {24}
    times = [line["order_time"] for page in pages for line in page["order_list"]]
    assert times == [T0 + hour * 3_600 for hour in range(24, 0, -1)]
    cloud.money.order = "oldest"
    newest_first = [line for page in pages for line in page["order_list"]]
    assert bill(client)["order_list"] == newest_first[:-11:-1]
    assert list(pages[0]["order_list"][0]) == [
        "amount",
        "charge_channel",
        "order_number",
        "order_time",
        "settle_start_time",
        "settle_end_time",
        "remark",
    ]


def test_the_bill_can_be_filtered(client: httpx.Client) -> None:
    cards = bill(client, charge_channel="2")
    assert (cards["total"], {n["charge_channel"] for n in cards["order_list"]}) == (2, {2})
    number = cards["order_list"][0]["order_number"]
    assert bill(client, order_number=number)["order_list"] == cards["order_list"][:1]
    assert bill(client, order_number=number, charge_channel="1")["order_list"] == []


def test_the_shown_equation_closes(client: httpx.Client) -> None:
    lines = bill(client, 1, 100)["order_list"]
    shown = listing(client, BALANCE_PATH)
    paid_in = sum(r["amount"] for r in listing(client, RECHARGE_PATH)["recharge_list"])
    spent = {
        channel: sum(n["amount"] for n in lines if n["charge_channel"] == channel)
        for channel in (1, 2)
    }
    assert shown == {"balance": paid_in - spent[1], "card_balance": 51 - spent[2]}


def test_cards_are_shown_with_what_is_left_and_their_numbers_marked(
    cloud: Story, client: httpx.Client
) -> None:
    cloud.gives_card(30)
    new, used = listing(client, CARD_PATH)["card_list"]
    assert (new["leave_amount"], used["leave_amount"]) == (30, 0)
    assert (used["face_amount"], used["sale_price"]) == (51, Decimal("40.8"))
    assert used["expire_date"] == used["bind_time"] + used["valid_days"] * 86_400
    assert [card["status_txt"] for card in (new, used)] == ["有效", "已用完"]
    assert new["card_no"].startswith(LEAK_MARK)
    assert new["card_no"] != used["card_no"]
    cloud.passes(days=100)
    assert listing(client, CARD_PATH)["card_list"][0]["status_txt"] == "已过期"


def test_recharges_are_shown_the_newest_first(cloud: Story, client: httpx.Client) -> None:
    cloud.recharges(7)
    shown = listing(client, RECHARGE_PATH, page="1", page_size="1")
    assert (shown["total"], [r["amount"] for r in shown["recharge_list"]]) == (2, [7])
    assert listing(client, RECHARGE_PATH, page="2", page_size="1")["recharge_list"] != []
    assert shown["recharge_list"][0]["pay_time"] == cloud.now


@pytest.mark.parametrize("path", PATHS)
def test_each_path_can_be_forbidden_or_fail_while_the_others_answer(
    server: Server, client: httpx.Client, path: str
) -> None:
    others = [other for other in (*PATHS, "/instance/list") if other != path]
    server.forbids(path)
    assert (client.get(path).status_code, client.get(path).json()["code"]) == (403, 403)
    assert [client.get(other).status_code for other in others] == [200] * 5
    server.at(path).fail = {ANY: Fail(200, -2, times=1), 1: Fail(500, 500, times=1)}
    answers = [client.get(path) for _ in range(3)]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(500, 500), (200, -2), (200, 0)]
    assert server.pages_asked() == [1]


def test_a_line_can_come_in_between_two_pages(
    cloud: Story, server: Server, client: httpx.Client
) -> None:
    server.at(BILL_PATH).before_page = lambda number: number == 2 and cloud.is_charged(3, "盘")
    first, second = bill(client, 1), bill(client, 2)
    assert (first["total"], second["total"]) == (24, 25)
    assert second["order_list"][0] == first["order_list"][-1]
    assert bill(client, 1)["order_list"][0]["remark"] == "盘"


def test_lists_of_money_page_as_badly_as_they_are_told(
    server: Server, client: httpx.Client
) -> None:
    behaviour = server.at(BILL_PATH)
    behaviour.cap = 4
    assert len(bill(client)["order_list"]) == 4
    behaviour.cap, behaviour.ignore_paging = None, True
    assert len(bill(client)["order_list"]) == 24
    behaviour.ignore_paging, behaviour.omit_total = False, True
    assert "total" not in bill(client)
    behaviour.null_when_empty = True
    assert bill(client, 9)["order_list"] is None
    assert client.get(BILL_PATH, params={"page": "0"}).status_code == 400
    server.behaviour = Behaviour(cap=1)
    assert len(bill(client)["order_list"]) == 10


def test_a_fleet_is_served_with_money_of_its_own() -> None:
    fleet = Fleet.generate(1, instances=20, start=T0, days=2)
    now = float(T0 + 2 * 86_400)
    with serve(fleet, clock=lambda: now) as server:
        key = {"Authorization": f"Bearer {server.key}"}
        with httpx.Client(base_url=server.base_url, headers=key, trust_env=False) as client:
            shown = {path: listing(client, path) for path in PATHS}
        assert shown[BILL_PATH]["total"] == len(server.money.lines(int(now))) > 100
        assert shown[RECHARGE_PATH]["total"] > 0
        assert shown[CARD_PATH]["card_list"][0]["leave_amount"] == 0
        assert 0 <= shown[BALANCE_PATH]["balance"] < 10_000


def test_other_money_can_be_served() -> None:
    fleet = Fleet.generate(1, instances=5, start=T0, days=1)
    money = Money(fleet, Charging(by="hour"))
    with serve(fleet, clock=lambda: float(T0 + 86_400), money=money) as server:
        assert server.money is money


def test_fleets_of_before_are_the_same_byte_for_byte() -> None:
    seen = sha256()
    for seed in range(3):
        fleet = Fleet.generate(seed, instances=30, start=T0, days=5)
        for t in range(T0, T0 + 5 * 86_400, 7_200):
            seen.update(fleet.body(t, 1, 1_000))
    assert seen.hexdigest() == "2630edb17e85e2dc6bbd27d6a85b260c12adc593aeb11632d55e6e0fcd0f3687"
