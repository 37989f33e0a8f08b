"""List prices of `/gpu/list`: the price of one GPU of each model, by unit of time."""

from __future__ import annotations

from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Member, Record, list_in
from etl.resources.resource import Resource
from etl.resources.values import code, identifier, microcny_of, words

VERSION = 3
LIST_KEY = "gpu_list"
UNITS = ("hour", "day", "week", "month", "year")

FORM = Form(
    members=(
        Member("gpu_uuid", "gpu_uuid", identifier),
        Member("gpu_name", "gpu_name", words),
        Member("status", "status", code),
        # `price` is an object of units: a unit that is missing or null has no price
        *(Member(f"{unit}_microcny", f"price.{unit}", microcny_of) for unit in UNITS),
    ),
    identify=lambda record: record.get("gpu_uuid"),
)


def open_answer(body: bytes) -> Listing:
    return FORM.open(list_in(body, LIST_KEY))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(list_in(body, LIST_KEY).records)


RESOURCE: Resource[Record] = Resource(
    name="gpu_prices",
    path="/gpu/list",
    keeping="versions",
    every_s=1_800,
    version=VERSION,
    table="gpu_price",
    open=open_answer,
    read=read,
    # the source documents no parameters for it
    paged=False,
    form=FORM,
)
