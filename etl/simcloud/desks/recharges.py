"""The answer about recharges."""

from __future__ import annotations

from typing import Final

from etl.poll import Instant
from etl.simcloud.behaviour import Fail
from etl.simcloud.desk import Query, json_yuan, paged_answer
from etl.simcloud.money import Money
from etl.simcloud.purse import Recharge
from etl.simcloud.record import Record

PATH: Final = "/recharge/list"


def answer(money: Money, t: Instant, query: Query) -> bytes | Fail:
    """Return a page of the recharges, in the order in which the source lists them."""
    paid_in = [_recharge(n, r) for n, r in enumerate(money.paid_in(t), 1)]
    return paged_answer(
        query, "recharge_list", paid_in[::-1] if money.order == "newest" else paid_in
    )


def _recharge(number: int, recharge: Recharge) -> Record:
    return {
        # ordered some seconds before it is paid; never before 1970
        "created_at": recharge.at - min(20, recharge.at),
        "pay_time": recharge.at,
        "out_trade_no": f"R{recharge.at}{number:08d}",
        "pay_channel": recharge.pay_channel,
        "amount": json_yuan(recharge.amount),
    }
