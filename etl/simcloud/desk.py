"""Parts of every simulated answer: paging, the envelope, amounts as the source writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from etl.simcloud.behaviour import Fail
from etl.simcloud.record import Record, to_json

Query: TypeAlias = Mapping[str, str]
Desk: TypeAlias = Callable[[float, Query], bytes | Fail]


def json_yuan(amount: int) -> int | float:
    """Return millionths as a JSON number of exactly that many yuan."""
    # the source writes 12, not 12.0
    return amount / 1_000_000 if amount % 1_000_000 else amount // 1_000_000


def count(query: Query, name: str, default: int) -> int:
    """Return a parameter that must be 1 or more, 0 if it is not such a number."""
    text = query.get(name, str(default))
    # a bad parameter is answered with 400, as the source documents
    return int(text) if text.isdecimal() else 0


def answer_of(listing: Record) -> bytes:
    """Return a listing in the envelope of an answer that went well."""
    return to_json({"code": 0, "msg": "success", "data": listing})


T = TypeVar("T")


def paged_answer(
    query: Query,
    list_key: str,
    records: Sequence[T],
    as_record: Callable[[T], Any] = lambda record: record,
) -> bytes | Fail:
    """Return the page of `records` that a query asks for; an error about the query."""
    number, page_size = count(query, "page", 1), count(query, "page_size", 10)
    if not number or not page_size:
        return Fail(400, 400, "bad parameter")
    page = records[(number - 1) * page_size : number * page_size]
    # only what is shown is written: a bill has many thousand lines
    return answer_of({list_key: [as_record(record) for record in page], "total": len(records)})
