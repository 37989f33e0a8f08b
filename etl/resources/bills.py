"""The bill: the lines that `/bill/list` shows, each what was charged for one settlement window.

A line has no identity of its own: order, window, channel and remark tell it apart. Lines of one page
that are alike in all of them are counted, by amount; on different pages they are the same line, which
moved while the pages were read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Member, Record, list_in
from etl.resources.values import Extra, OddValue, amount, code, instant_of, words

VERSION = 2
LIST_KEY = "order_list"
LINE_NO, NAME = "_line_no", "_name"


def _order(value: Any, name: str, extra: Extra) -> str:
    found = words(str(value) if isinstance(value, int) else value, name, extra)
    if not found:
        raise OddValue("Expected an order number")
    return found


def _channel(value: Any, name: str, extra: Extra) -> int:
    return code(value, name, extra) or 0


def _remark(value: Any, name: str, extra: Extra) -> str:
    return words(value, name, extra) or ""


def _charged(value: Any, name: str, extra: Extra) -> int:
    found = amount(value, name, extra)
    if found is None:
        raise OddValue("Expected an amount")
    return found


def _complete(columns: dict[str, Any]) -> None:
    """A line without a window settles the moment in which it was ordered."""
    starts, ends, ordered = (
        columns[name] for name in ("settle_start_at", "settle_end_at", "ordered_at")
    )
    starts = next((at for at in (starts, ordered, ends) if at is not None), None)
    if starts is None:
        raise OddValue("Expected an instant - at `$.settle_start_time`")
    columns["settle_start_at"] = starts
    columns["settle_end_at"] = starts if ends is None else ends
    if columns["settle_end_at"] < starts:
        raise OddValue("the window ends before it starts - at `$.settle_end_time`")


KEY_MEMBERS = (
    Member("order_number", "order_number", _order),
    Member("settle_start_at", "settle_start_time", instant_of),
    Member("settle_end_at", "settle_end_time", instant_of),
    Member("charge_channel", "charge_channel", _channel),
    Member("remark", "remark", _remark),
)
ORDERED = Member("ordered_at", "order_time", instant_of)


def _name_of(facts: Sequence[Any]) -> str:
    """A hash of what tells a line apart."""
    return hashlib.sha256(repr(tuple(facts[: len(KEY_MEMBERS) + 1])).encode()).hexdigest()[:32]


FORM = Form(
    members=(
        *KEY_MEMBERS,
        Member("line_no", LINE_NO, code),
        ORDERED,
        Member("amount_microcny", "amount", _charged),
    ),
    identify=lambda line: line.get(NAME),
    own=frozenset({LINE_NO, NAME}),
    name_of=_name_of,
    finish=_complete,
)


def open_answer(body: bytes) -> Listing:
    total, records = list_in(body, LIST_KEY)
    return Listing(total, tuple(FORM.identity(line) for line in _numbered(records)))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(_numbered(list_in(body, LIST_KEY).records))


def _alike(line: dict[str, Any]) -> tuple[Any, ...]:
    """What lines that are alike have in common, as its columns hold it. Raises `OddValue`."""
    columns = {
        column: reading(line.get(name), name, {})
        for column, name, reading in (*KEY_MEMBERS, ORDERED)
    }
    _complete(columns)
    return tuple(columns.values())[: len(KEY_MEMBERS)]


def _numbered(records: list[Any]) -> list[Any]:
    """Each line with its number among those of its page that are alike, and its name."""
    numbers: Counter[tuple[Any, ...]] = Counter()
    numbered = list(records)
    for at in sorted(range(len(records)), key=lambda at: str(_get(records[at], "amount"))):
        if isinstance(records[at], dict):
            numbered[at] = {**records[at], **_named(numbers, records[at])}
    return numbered


def _named(numbers: Counter[tuple[Any, ...]], line: dict[str, Any]) -> dict[str, Any]:
    try:
        alike = _alike(line)
    except OddValue:
        return {LINE_NO: 1, NAME: None}
    numbers[alike] += 1
    return {LINE_NO: numbers[alike], NAME: _name_of((*alike, numbers[alike]))}


def _get(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, dict) else None
