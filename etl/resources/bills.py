"""The bill: the lines of `/bill/list`, each the charge of one settlement window.

A line has no identity of its own. Lines that are alike in all that they say are counted; a listing
that is proven whole may hold them on several pages, else two that are alike are one line,
which moved while pages were read. A correction of the amount leaves order, window, channel and
remark alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from etl.history.days import Zone, share
from etl.poll import Instant
from etl.redact import redact
from etl.resources.listing import Listing, Reject, numbered
from etl.resources.records import Form, Member, Record, ValidTime, list_in
from etl.resources.resource import Resource
from etl.resources.values import Extra, OddValue, code, identifier, instant_of, microcny_of, words
from etl.units import DAY_S, HOUR_S

VERSION = 5
LIST_KEY, AMOUNT = "order_list", "amount"
LONGEST_WINDOW_S = 366 * DAY_S
"""The longest settlement window: a year is the longest unit of charging, and each day of a window
becomes a row."""
NAME = "_name"
"""The member that `_with_names` adds to a line."""


def _order(value: Any, name: str, extra: Extra) -> str:
    # sources write order numbers as numbers, too; a key of both databases holds text
    number = identifier(str(value) if isinstance(value, int) else value, name, extra)
    if not number:
        raise OddValue("Expected an order number")
    return number


def _charge_channel(value: Any, name: str, extra: Extra) -> int:
    # a key holds no null; no channel is written as 0
    return code(value, name, extra) or 0


def _remark(value: Any, name: str, extra: Extra) -> str:
    # likewise: no remark is an empty one
    return words(value, name, extra) or ""


def _line_amount(value: Any, name: str, extra: Extra) -> int:
    microcny = microcny_of(value, name, extra)
    if microcny is None:
        raise OddValue("Expected an amount")
    return microcny


def _complete(columns: dict[str, Any]) -> None:
    """Give a line without a window the moment of its order as its window."""
    starts, ends, ordered = (
        columns[name] for name in ("settle_start_at", "settle_end_at", "ordered_at")
    )
    # a charge without a window still has to fall into a day
    starts = next((at for at in (starts, ordered, ends) if at is not None), None)
    if starts is None:
        raise OddValue("Expected an instant - at `$.settle_start_time`")
    columns["settle_start_at"] = starts
    columns["settle_end_at"] = starts if ends is None else ends
    if columns["settle_end_at"] < starts:
        raise OddValue("the window ends before it starts - at `$.settle_end_time`")
    if columns["settle_end_at"] - starts > LONGEST_WINDOW_S:
        raise OddValue("the window is longer than a year - at `$.settle_end_time`")


class LineFacts(NamedTuple):
    """The facts of a line, in the order of the columns."""

    order_number: str
    settle_start_at: Instant
    settle_end_at: Instant
    charge_channel: int
    remark: str
    ordered_at: Instant | None
    amount_microcny: int

    @property
    def charged_at(self) -> Instant:
        """Return when the line was charged."""
        return self.settle_end_at if self.ordered_at is None else self.ordered_at


# what a correction leaves alone, see `docs/design.md`
GROUP = LineFacts._fields.index("ordered_at")
"""Number of facts that lead the key: lines alike in them are corrected in place."""
MEMBERS = (
    Member("order_number", "order_number", _order),
    Member("settle_start_at", "settle_start_time", instant_of),
    Member("settle_end_at", "settle_end_time", instant_of),
    Member("charge_channel", "charge_channel", _charge_channel),
    Member("remark", "remark", _remark),
    Member("ordered_at", "order_time", instant_of),
    Member("amount_microcny", AMOUNT, _line_amount),
)


def _name_of(facts: Sequence[Any]) -> str:
    """Return a hash of all facts of a line."""
    # a line has no identity: what it says is its name, at a fixed length
    return hashlib.sha256(repr(tuple(facts)).encode()).hexdigest()[:32]


FORM = Form(
    members=MEMBERS,
    identify=lambda line: line.get(NAME),
    own=frozenset({NAME}),
    name_of=_name_of,
    finish=_complete,
)


def valid_time(facts: Sequence[Any]) -> ValidTime:
    """Return the window that a line settles, and when it was charged."""
    line = LineFacts(*facts)
    subject = (line.order_number, line.charge_channel)
    return ValidTime(subject, line.settle_start_at, line.settle_end_at, line.charged_at)


def _charged_day(facts: Sequence[Any], zone: Zone) -> tuple[str]:
    """Return the day in which a line was charged."""
    return (zone.day_at(LineFacts(*facts).charged_at).day,)


def _amount_by_day(facts: Sequence[Any], zone: Zone) -> Iterator[tuple[str, int]]:
    """Return (day, part of the amount) pairs of a line, spread evenly over its window."""
    line = LineFacts(*facts)
    return share(zone, line.settle_start_at, line.settle_end_at, line.amount_microcny)


def open_answer(body: bytes) -> Listing:
    total, records = list_in(body, LIST_KEY)
    return Listing(total, tuple(FORM.identity(line) for line in _with_names(records)))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(_with_names(list_in(body, LIST_KEY).records))


def _with_names(records: list[Any]) -> list[Any]:
    """Name the lines of a page; lines that are alike in everything are numbered."""
    counts: Counter[str] = Counter()
    return [
        {**line, NAME: _numbered_name(counts, line)} if isinstance(line, dict) else line
        for line in records
    ]


def _numbered_name(counts: Counter[str], line: dict[str, Any]) -> str | None:
    try:
        name = _name_of(_facts_of(line))
    except OddValue:
        # a poll with such a line is never proven whole, so that it supersedes nothing
        return None
    return numbered(counts, name)


def _facts_of(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return the facts of a line. An amount that cannot be read is given as its text without
    secrets, as an archive keeps it.
    """
    columns = {
        column: reading(line.get(name), name, {})
        for column, name, reading in MEMBERS
        if name != AMOUNT
    }
    _complete(columns)
    try:
        columns["amount_microcny"] = _line_amount(line.get(AMOUNT), AMOUNT, {})
    except OddValue:
        # named all the same: a line that cannot be read still counts as listed
        columns["amount_microcny"] = repr(redact(line.get(AMOUNT)))
    return tuple(columns.values())


RESOURCE: Resource[Record] = Resource(
    name="bills",
    path="/bill/list",
    keeping="window",
    # full hours and stops are the likely moments of settlement
    every_s=HOUR_S,
    version=VERSION,
    table="bill",
    open=open_answer,
    read=read,
    form=FORM,
    group=GROUP,
    # equal lines are as many charges
    counts=True,
    valid_time=valid_time,
    derived=("charged_day",),
    derive=_charged_day,
    parts="bill_day",
    cut=_amount_by_day,
)
