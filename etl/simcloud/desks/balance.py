"""The answer about the balance."""

from __future__ import annotations

from typing import Final

from etl.poll import Instant
from etl.simcloud.desk import Query, answer_of, json_yuan
from etl.simcloud.money import Money

PATH: Final = "/balance/info"


def answer(money: Money, t: Instant, query: Query) -> bytes:
    """Return the money left at a moment."""
    return answer_of(
        {
            "balance": json_yuan(money.balance(t)),
            "card_balance": json_yuan(money.card_balance(t)),
        }
    )
