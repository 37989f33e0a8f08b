"""Records of few kinds of members, read by a table of them: prices, balance, cards, bill, recharges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any, NamedTuple

from etl.errors import Changed
from etl.poll import Instant
from etl.redact import redact
from etl.resources.listing import (
    LONGEST_NUMBER,
    Listing,
    Reject,
    is_identity,
    parse_answer,
    records_of,
    reported_total,
)
from etl.resources.values import Extra, OddValue, Reading, canonical, reject_of
from etl.texts import tr


class Member(NamedTuple):
    """A member of a record: the column that holds it, its name (`price.hour`: of an object inside)."""

    column: str
    name: str
    reading: Reading


class Record(NamedTuple):
    """A record as one answer shows it. `facts` are in the order of its form's columns, `extra` is
    canonical JSON of the members that no column holds.
    """

    identity: str
    facts: tuple[Any, ...]
    extra: str | None


class ValidTime(NamedTuple):
    """The time that a record of a window is about, in epoch seconds. Two of the same `subject` that
    overlap cannot both be valid; the source is assumed to forget records in the order of `at`.
    """

    subject: tuple[Any, ...]
    starts_at: Instant
    ends_at: Instant
    at: Instant


Identify = Callable[[dict[str, Any]], Any]


class Listed(NamedTuple):
    """The records of one answer, unread, and the total that it reports."""

    total: int | None
    records: list[Any]


def list_in(body: bytes, list_key: str) -> Listed:
    """Return the list of an answer, numbers exact. Raises `Changed` if there is none."""
    content, records = records_of(parse_answer(body, _exact), list_key)
    return Listed(reported_total(content.get("total")), records)


def likely_list_in(body: bytes, list_key: str) -> Listed:
    """Return the list of an answer whose form is not published, numbers exact: that of a likely name,
    else the only one that there is. Raises `Changed` if there is none.
    """
    answer = parse_answer(body)
    content = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(content, list):
        return Listed(None, content)
    content = content_of(body)
    lists = [value for value in content.values() if isinstance(value, list)]
    records = content.get(list_key, lists[0] if len(lists) == 1 else content)
    if records is not None and not isinstance(records, list):
        raise Changed(
            tr("the answer has no {list_key}", list_key=list_key), path=f"$.data.{list_key}"
        )
    return Listed(reported_total(content.get("total")), records or [])


def content_of(body: bytes) -> dict[str, Any]:
    """Return the `data` of an answer, numbers exact. Raises `Changed` if it is no object."""
    answer = parse_answer(body, _exact)
    content = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(content, dict):
        raise Changed(tr("the answer has no data"), path="$.data")
    return content


@dataclass(frozen=True, slots=True)
class Form:
    """Form of the records of a resource: how they are read.

    `identify` gives a record's identity (anything else than a usable name: it has none), `name_of`
    that of facts in the order of the columns; `finish` may complete the columns of a record that was
    read, and raises `OddValue`. `own` are members that the resource itself added to a record.
    """

    members: tuple[Member, ...]
    identify: Identify
    name_of: Callable[[Sequence[Any]], str] = itemgetter(0)
    finish: Callable[[dict[str, Any]], None] = lambda _columns: None
    own: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(member.column for member in self.members)

    def identity(self, record: Any) -> str | None:
        """Return the identity of a record, None if that cannot be read."""
        if not isinstance(record, dict):
            return None
        try:
            identity = self.identify(record)
        except OddValue:
            return None
        return identity if is_identity(identity) else None

    def open(self, listed: Listed) -> Listing:
        return Listing(listed.total, tuple(self.identity(record) for record in listed.records))

    def read(self, records: Iterable[Any]) -> tuple[list[Record], list[Reject]]:
        """Return the records that could be understood, and those that could not."""
        understood: list[Record] = []
        rejects: list[Reject] = []
        for record in records:
            identity = self.identity(record)
            try:
                understood.append(self._read_one(record, identity))
            except OddValue as error:
                # as the source sent it: who looks for the fault compares it with an answer
                rejects.append(reject_of(self._as_it_came(record), str(error), identity))
        return understood, rejects

    def _as_it_came(self, record: Any) -> Any:
        """Return a record without the members that its resource added."""
        if not isinstance(record, dict):
            return record
        return {name: value for name, value in record.items() if name not in self.own}

    def _read_one(self, record: Any, identity: str | None) -> Record:
        if not isinstance(record, dict):
            raise OddValue("Expected `object` - at `$`")
        extra, columns = _unread(self._as_it_came(record), self.members), dict[str, Any]()
        for column, name, reading in self.members:
            try:
                columns[column] = reading(_member_value(record, name), name, extra)
            except OddValue as error:
                # in the words of msgspec, as those of instances are
                raise OddValue(f"{error} - at `$.{name}`") from None
        self.finish(columns)
        # last, so that the reason names the member that is wrong, and not only the name
        if identity is None:
            raise OddValue("Expected a name - at `$`")
        # members that nobody knows yet may hold secrets that nobody expects
        plain = redact(extra)
        return Record(identity, tuple(columns.values()), canonical(plain) if plain else None)


def _exact(digits: str) -> Decimal | str:
    """Return a number with a point or an exponent, as text if it is far out of every range."""
    try:
        exact = Decimal(digits)
    except InvalidOperation:
        return digits
    # a short `1e999999999` would take gigabytes as a whole number
    return exact if abs(exact.adjusted()) < LONGEST_NUMBER else digits


def _member_value(record: dict[str, Any], name: str) -> Any:
    outer, dot, inner = name.partition(".")
    # missing and null are the same: absence
    value = record.get(outer)
    if not dot or value is None:
        return value
    if not isinstance(value, dict):
        raise OddValue("Expected `object`")
    return value.get(inner)


def _unread(record: dict[str, Any], members: Iterable[Member]) -> Extra:
    """Return the members of a record that the form does not know."""
    # what no column holds is kept: the next version of the program may know it
    taken = {member.name for member in members}
    inside: dict[str, set[str]] = {}
    for name in taken:
        outer, dot, inner = name.partition(".")
        if dot:
            inside.setdefault(outer, set()).add(inner)
    extra: Extra = {}
    for name, value in record.items():
        if name in inside and isinstance(value, dict):
            left = {k: v for k, v in value.items() if k not in inside[name]}
            if left:
                extra[name] = left
        elif name not in taken:
            extra[name] = value
    return extra
