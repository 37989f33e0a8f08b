"""Recharges of the balance. Their form is not published: members that are understood get a column,
all others are kept as they came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from etl.poll import Instant
from etl.redact import redact
from etl.resources.listing import Listing, Reject, is_identity
from etl.resources.records import Form, Listed, Member, Record, ValidTime, likely_list_in
from etl.resources.resource import Resource
from etl.resources.values import (
    OddValue,
    any_words,
    canonical,
    code,
    identifier,
    local_instant,
    microcny_of,
)
from etl.units import HOUR_S

VERSION = 4
ID, PAID = "_recharge_id", "_is_paid"
LIST_KEY = "recharge_list"
"""Name of the list, a guess from its sisters: any other list in the answer will do."""


class RechargeFacts(NamedTuple):
    """The facts of a recharge, in the order of the columns."""

    recharge_id: str
    amount_microcny: int | None
    created_at: Instant | None
    paid_at: Instant | None
    pay_channel: str | None
    is_paid: int


FORM = Form(
    members=(
        Member("recharge_id", ID, identifier),
        Member("amount_microcny", "amount", microcny_of),
        Member("created_at", "created_at", local_instant),
        Member("paid_at", "pay_time", local_instant),
        Member("pay_channel", "pay_channel", any_words),
        Member("is_paid", PAID, code),
    ),
    identify=lambda record: record.get(ID),
    own=frozenset({ID, PAID}),
)


def open_answer(body: bytes) -> Listing:
    return FORM.open(_records_in(body))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(_records_in(body).records)


def _records_in(body: bytes) -> Listed:
    listed = likely_list_in(body, LIST_KEY)
    return Listed(listed.total, [_with_identity(record) for record in listed.records])


def _with_identity(record: Any) -> Any:
    """Give a record its identity: the number of its payment; else a hash of the members that do not
    change while it is paid, if they can be read; else a hash of all members. An empty `pay_time` is
    that of a recharge that was not paid.
    """
    # one that says nothing is no recharge: a hash of nothing would make it one
    if not isinstance(record, dict) or not record:
        return record
    # the number of the payment stays the same when the recharge is paid
    name = str(record.get("out_trade_no") or "").strip()
    if not is_identity(name):
        # a hash has a fixed length, and shows nothing of the members
        name = hashlib.sha256(canonical(_stable_members(record)).encode()).hexdigest()[:32]
    # a record without the member is taken as paid: only an empty one says otherwise
    is_paid = "pay_time" not in record or str(record["pay_time"] or "0").strip() not in ("", "0")
    return {**record, ID: name, PAID: int(is_paid)}


def _stable_members(record: dict[str, Any]) -> Any:
    try:
        paid, created = (
            microcny_of(record.get("amount"), "", {}),
            local_instant(record.get("created_at"), "", {}),
        )
    except OddValue:
        paid = created = None
    # all of it then: two recharges must not become one because neither can be read
    if paid is None or created is None:
        return redact(record)
    return [paid, created, record.get("id")]


def valid_time(facts: Sequence[Any]) -> ValidTime | None:
    """Return when a recharge was ordered."""
    recharge = RechargeFacts(*facts)
    at = recharge.created_at
    return None if at is None else ValidTime((recharge.recharge_id,), at, at, at)


RESOURCE: Resource[Record] = Resource(
    name="recharges",
    path="/recharge/list",
    keeping="window",
    every_s=HOUR_S,
    version=VERSION,
    table="recharge",
    open=open_answer,
    read=read,
    form=FORM,
    valid_time=valid_time,
)
