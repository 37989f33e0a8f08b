"""The answer about list prices."""

from __future__ import annotations

from typing import Final

from etl.poll import Instant
from etl.simcloud.desk import Query, answer_of, json_yuan
from etl.simcloud.money import Money
from etl.simcloud.prices import Price
from etl.simcloud.record import Record, gpu_uuid

PATH: Final = "/gpu/list"


def answer(money: Money, t: Instant, query: Query) -> bytes:
    """Return all list prices at a moment: this listing has no pages."""
    listed = [_price(gpu_name, price) for gpu_name, price in money.prices.listed(t)]
    return answer_of({"gpu_list": listed, "total": len(listed)})


def _price(gpu_name: str, price: Price) -> Record:
    return {
        "gpu_name": gpu_name,
        "gpu_uuid": gpu_uuid(gpu_name),
        "status": price.status,
        "price": {unit: json_yuan(amount) for unit, amount in price.units()},
    }
