"""Money in the source's own form: the answers about prices, bills, balance, cards and recharges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from etl.poll import Instant
from etl.simcloud.behaviour import Fail
from etl.simcloud.money import Money
from etl.simcloud.prices import Price
from etl.simcloud.purse import Card, Line, Recharge
from etl.simcloud.record import LEAK_MARK, Record, gpu_uuid, to_json

GPU_PATH: Final = "/gpu/list"
BILL_PATH: Final = "/bill/list"
BALANCE_PATH: Final = "/balance/info"
CARD_PATH: Final = "/card/list"
RECHARGE_PATH: Final = "/recharge/list"

Query: TypeAlias = Mapping[str, str]
Desk: TypeAlias = Callable[[float, Query], bytes | Fail]


def desks(money: Money) -> dict[str, Desk]:
    """Map each path to its handler: (time, query) -> the answer, or an error about the query."""
    return {
        GPU_PATH: lambda t, query: _answer(_prices(money, int(t))),
        BILL_PATH: lambda t, query: _bill(money, int(t), query),
        BALANCE_PATH: lambda t, query: _answer(_balance_record(money, int(t))),
        CARD_PATH: lambda t, query: _paged(query, "card_list", _cards(money, int(t))),
        RECHARGE_PATH: lambda t, query: _paged(query, "recharge_list", _recharges(money, int(t))),
    }


def json_yuan(amount: int) -> int | float:
    """Return millionths as a JSON number of exactly that many yuan."""
    # the source writes 12, not 12.0
    return amount / 1_000_000 if amount % 1_000_000 else amount // 1_000_000


def count(query: Query, name: str, default: int) -> int:
    """Return a parameter that must be 1 or more, 0 if it is not such a number."""
    text = query.get(name, str(default))
    return int(text) if text.isdecimal() else 0


def _answer(listing: Record) -> bytes:
    return to_json({"code": 0, "msg": "success", "data": listing})


def _paged(query: Query, list_key: str, records: Sequence[Record]) -> bytes | Fail:
    number, page_size = count(query, "page", 1), count(query, "page_size", 10)
    if not number or not page_size:
        return Fail(400, 400, "bad parameter")
    page = records[(number - 1) * page_size : number * page_size]
    return _answer({list_key: page, "total": len(records)})


def _prices(money: Money, t: Instant) -> Record:
    listed = [_price(gpu_name, price) for gpu_name, price in money.prices.listed(t)]
    return {"gpu_list": listed, "total": len(listed)}


def _price(gpu_name: str, price: Price) -> Record:
    return {
        "gpu_name": gpu_name,
        "gpu_uuid": gpu_uuid(gpu_name),
        "status": price.status,
        "price": {unit: json_yuan(amount) for unit, amount in price.units()},
    }


def _bill(money: Money, t: Instant, query: Query) -> bytes | Fail:
    lines = money.lines(t)
    if order_number := query.get("order_number"):
        lines = [line for line in lines if line.order_number == order_number]
    if channel := query.get("charge_channel"):
        lines = [line for line in lines if str(line.charge_channel) == channel]
    number, page_size = count(query, "page", 1), count(query, "page_size", 10)
    if not number or not page_size:
        return Fail(400, 400, "bad parameter")
    if money.order == "newest":
        lines = lines[::-1]
    page = lines[(number - 1) * page_size : number * page_size]
    return _answer({"order_list": [_line_record(line) for line in page], "total": len(lines)})


def _line_record(line: Line) -> Record:
    return {
        "amount": json_yuan(line.amount),
        "charge_channel": line.charge_channel,
        "order_number": line.order_number,
        "order_time": line.order_time,
        "settle_start_time": line.settle_start,
        "settle_end_time": line.settle_end,
        "remark": line.remark,
    }


def _balance_record(money: Money, t: Instant) -> Record:
    return {
        "balance": json_yuan(money.balance(t)),
        "card_balance": json_yuan(money.card_balance(t)),
    }


def _cards(money: Money, t: Instant) -> list[Record]:
    bound = sorted(money.cards, key=lambda card: (card.bind_time, card.uuid), reverse=True)
    return [_card(card, money.left_on(card, t), t) for card in bound if card.bind_time <= t]


def _card(card: Card, left: int, t: Instant) -> Record:
    number = int(sha256(card.uuid.encode()).hexdigest()[:12], 16) % 10**12
    valid = "有效" if left else "已用完"
    return {
        "uuid": card.uuid,
        "title": card.title,
        "card_no": f"{LEAK_MARK}{number:012d}",
        "face_amount": json_yuan(card.face_amount),
        "sale_price": json_yuan(card.sale_price),
        "leave_amount": json_yuan(left),
        "bind_time": card.bind_time,
        "expire_date": card.expire_date,
        "valid_days": card.valid_days,
        "status_txt": valid if card.is_valid(t) else "已过期",
        "bind_txt": "指定应用" if card.pods else "全部应用",
        "pods": [{"uuid": uuid, "title": title} for uuid, title in card.pods],
    }


def _recharges(money: Money, t: Instant) -> list[Record]:
    paid_in = [_recharge(n, r) for n, r in enumerate(money.paid_in(t), 1)]
    return paid_in[::-1] if money.order == "newest" else paid_in


def _recharge(number: int, recharge: Recharge) -> Record:
    return {
        "created_at": recharge.at - min(20, recharge.at),
        "pay_time": recharge.at,
        "out_trade_no": f"R{recharge.at}{number:08d}",
        "pay_channel": recharge.pay_channel,
        "amount": json_yuan(recharge.amount),
    }
