"""The answer about the bill."""

from __future__ import annotations

from typing import Final

from etl.poll import Instant
from etl.simcloud.behaviour import Fail
from etl.simcloud.desk import Query, json_yuan, paged_answer
from etl.simcloud.money import Money
from etl.simcloud.purse import Line
from etl.simcloud.record import Record

PATH: Final = "/bill/list"


def answer(money: Money, t: Instant, query: Query) -> bytes | Fail:
    """Return a page of the lines of the bill, of one order or channel if the query names it."""
    lines = money.lines(t)
    if order_number := query.get("order_number"):
        lines = [line for line in lines if line.order_number == order_number]
    if channel := query.get("charge_channel"):
        lines = [line for line in lines if str(line.charge_channel) == channel]
    # in which order the source lists its bill is not documented: tests try both
    if money.order == "newest":
        lines = lines[::-1]
    return paged_answer(query, "order_list", lines, _line_record)


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
