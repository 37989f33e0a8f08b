"""Compute cards: the prepaid credit that `/card/list` shows. Only four characters of a card's
number are kept.
"""

from __future__ import annotations

from typing import Any

from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Member, Record, list_in
from etl.resources.resource import Resource
from etl.resources.values import Extra, code, identifier, instant_of, json_of, microcny_of, words
from etl.units import HOUR_S

VERSION = 3
LIST_KEY = "card_list"


def _card_suffix(value: Any, name: str, extra: Extra) -> str | None:
    text = words(value if value is None else str(value), name, extra)
    # a card number pays: enough is kept to tell cards apart, not to use one
    return None if text is None else text[-4:]


FORM = Form(
    members=(
        Member("uuid", "uuid", identifier),
        Member("title", "title", words),
        Member("card_no", "card_no", _card_suffix),
        Member("face_amount_microcny", "face_amount", microcny_of),
        Member("sale_price_microcny", "sale_price", microcny_of),
        Member("leave_amount_microcny", "leave_amount", microcny_of),
        Member("bind_time", "bind_time", instant_of),
        Member("expire_date", "expire_date", instant_of),
        Member("valid_days", "valid_days", code),
        Member("status_txt", "status_txt", words),
        Member("bind_txt", "bind_txt", words),
        # sorted, since their order means nothing: a shuffled list would be a new version
        Member("pods", "pods", json_of),
    ),
    identify=lambda record: record.get("uuid"),
)


def open_answer(body: bytes) -> Listing:
    return FORM.open(list_in(body, LIST_KEY))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(list_in(body, LIST_KEY).records)


RESOURCE: Resource[Record] = Resource(
    name="cards",
    path="/card/list",
    keeping="versions",
    every_s=HOUR_S,
    version=VERSION,
    table="card",
    open=open_answer,
    read=read,
    form=FORM,
)
