"""The answer about compute cards."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from etl.poll import Instant
from etl.simcloud.behaviour import Fail
from etl.simcloud.desk import Query, json_yuan, paged_answer
from etl.simcloud.money import Money
from etl.simcloud.purse import Card
from etl.simcloud.record import LEAK_MARK, Record

PATH: Final = "/card/list"


def answer(money: Money, t: Instant, query: Query) -> bytes | Fail:
    """Return a page of the cards that are bound, the newest first."""
    bound = sorted(money.cards, key=lambda card: (card.bind_time, card.uuid), reverse=True)
    # cards that expired, or are used up, stay in the list
    cards = [_card(card, money.left_on(card, t), t) for card in bound if card.bind_time <= t]
    return paged_answer(query, "card_list", cards)


def _card(card: Card, left: int, t: Instant) -> Record:
    number = int(sha256(card.uuid.encode()).hexdigest()[:12], 16) % 10**12
    valid = "有效" if left else "已用完"
    return {
        "uuid": card.uuid,
        "title": card.title,
        # a secret, marked as one: tests look for the mark in everything that is written
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
