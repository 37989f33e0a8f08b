"""The balance: the money left in cash and on compute cards, by `/balance/info`."""

from __future__ import annotations

from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Member, Record, content_of
from etl.resources.resource import Resource
from etl.resources.values import OddValue, microcny_of

VERSION = 3
IDENTITY = "balance"
"""Identity of the only balance, which has no name."""


def _demand_an_amount(columns: dict[str, int | None]) -> None:
    # an answer without any amount is a changed API, not an empty purse
    if all(value is None for value in columns.values()):
        raise OddValue("Expected an amount - at `$.balance`")


FORM = Form(
    members=(
        Member("balance_microcny", "balance", microcny_of),
        Member("card_balance_microcny", "card_balance", microcny_of),
    ),
    identify=lambda _record: IDENTITY,
    name_of=lambda _facts: IDENTITY,
    finish=_demand_an_amount,
)


def open_answer(body: bytes) -> Listing:
    # opened for its error alone: an answer without data is no balance
    content_of(body)
    return Listing(1, (IDENTITY,))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read([content_of(body)])


RESOURCE: Resource[Record] = Resource(
    name="balance",
    path="/balance/info",
    keeping="versions",
    every_s=600,
    version=VERSION,
    table="balance",
    open=open_answer,
    read=read,
    paged=False,
    form=FORM,
)
