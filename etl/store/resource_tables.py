"""Where the records of each resource live, and how they are asked for and written: all but instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, Table, bindparam, literal, select, text

from etl import tables
from etl.history.days import Zone, share
from etl.history.versions import Began, Lasting, Shown
from etl.history.windows import Held
from etl.poll import Instant
from etl.resources import RESOURCES, Record
from etl.resources.bills import Line
from etl.resources.records import Form

PART_COLUMNS: Final = ("day", "amount_microcny")
TOGETHER: Final = 5_000
"""Records derived anew at a time."""
STATE: Final = ("last_seen_at", "missing_since")
SUPERSEDED: Final = ("missing_since", "superseded_at")


@dataclass(frozen=True, slots=True)
class ResourceTable:
    """A table: of versions, which last from the column `began` to the column `ended`; or of a window,
    whose records are asked for by the column `among`, and counted by the last of the key, `number`, where
    several may be alike. Of those the columns `derived` and the rows of
    `parts` are computed, in the reporting time zone."""

    table: Table
    form: Form
    key: tuple[str, ...]
    began: str = "first_seen_at"
    ended: str = "ended_at"
    among: str = ""
    number: str | None = None
    derived: tuple[str, ...] = ()
    derive: Callable[[Record, Zone], tuple[Any, ...]] = lambda _record, _zone: ()
    parts: Table | None = None
    cut: Callable[[Record, Zone], Iterator[tuple[str, int]]] = lambda _record, _zone: iter(())

    def numbers(self, number: int) -> tuple[int, ...]:
        """The value of the column that counts, if there is one."""
        return () if self.number is None else (number,)

    def record(self, facts: Sequence[Any], extra: str | None) -> Record:
        return Record(self.form.name_of(facts), tuple(facts), extra)


def _table_of(resource: str, table: Table, *key: str, **more: Any) -> ResourceTable:
    form = RESOURCES[resource].form
    assert form is not None
    return ResourceTable(table, form, key, **more)


def _charged_day(record: Record, zone: Zone) -> tuple[str]:
    """The day in which a bill line was charged."""
    return (zone.day_at(Line(*record.facts).charged_at).day,)


def _days_of_line(record: Record, zone: Zone) -> Iterator[tuple[str, int]]:
    """(day, part of the amount) of a bill line."""
    line = Line(*record.facts)
    return share(zone, line.settle_start_at, line.settle_end_at, line.amount_microcny)


RESOURCE_TABLES: Final[Mapping[str, ResourceTable]] = {
    "gpu_prices": _table_of(
        "gpu_prices", tables.gpu_price, "gpu_uuid", began="valid_from", ended="valid_to"
    ),
    "balance": _table_of("balance", tables.balance),
    "cards": _table_of("cards", tables.card, "uuid"),
    "bills": _table_of(
        "bills",
        tables.bill,
        *tables.BILL_KEY[1:],
        among="order_number",
        number="line_no",
        derived=("charged_day",),
        derive=_charged_day,
        parts=tables.bill_day,
        cut=_days_of_line,
    ),
    "recharges": _table_of("recharges", tables.recharge, "recharge_id", among="recharge_id"),
}


@cache
def current(resource: str) -> Select[Any]:
    """Current versions: began, last_seen_at, missing_since, extra, then the facts."""
    place = RESOURCE_TABLES[resource]
    c = place.table.c
    chosen = (place.began, *STATE, "extra", *place.form.columns)
    return select(*(c[name] for name in chosen)).where(
        c.account_id == bindparam("account"), c[place.ended].is_(None)
    )


@cache
def everything(resource: str) -> Select[Any]:
    """All records of a window, as `held_of` takes them."""
    place = RESOURCE_TABLES[resource]
    c = place.table.c
    number = literal(1) if place.number is None else c[place.number]
    chosen = (c[name] for name in (*SUPERSEDED, "extra", *place.form.columns))
    return select(number, *chosen).where(c.account_id == bindparam("account"))


@cache
def held(resource: str, among: str) -> Select[Any]:
    """Records of a window, superseded ones too, as `held_of` takes them."""
    return everything(resource).where(text(among))


@cache
def unsuperseded(resource: str) -> Select[Any]:
    """Records of a window that hold, as `held_of` takes them."""
    return everything(resource).where(RESOURCE_TABLES[resource].table.c.superseded_at.is_(None))


@cache
def missing(resource: str) -> Select[Any]:
    """A row if a record of a window is missing."""
    c = RESOURCE_TABLES[resource].table.c
    return (
        select(1)
        .where(
            c.account_id == bindparam("account"),
            c.missing_since.is_not(None),
            c.superseded_at.is_(None),
        )
        .limit(1)
    )


def held_of(place: ResourceTable, row: Sequence[Any]) -> Held:
    """A record of a window, and what became of it."""
    number, missing_since, superseded_at, extra, *facts = row
    return Held(number, place.record(facts, extra), missing_since, superseded_at)


def lasting_of(
    place: ResourceTable, row: Sequence[Any], seen_at: dict[Instant | None, Instant]
) -> Lasting:
    began_at, last_seen_at, missing_since, extra, *facts = row
    newest = seen_at[None]
    return Lasting(
        record=place.record(facts, extra),
        began_at=began_at,
        seen_at=max(newest, seen_at.get(began_at, 0)) if last_seen_at is None else last_seen_at,
        last_seen_at=last_seen_at,
        missing_since=missing_since,
    )


def began_row(account: int, began: Began) -> tuple[Any, ...]:
    record = began.record
    return (account, *record.facts, record.extra, began.began_at, began.after_at)


def shown_row(account: int, place: ResourceTable, shown: Shown) -> tuple[Any, ...]:
    key = shown.was.record.facts[: len(place.key)]
    state = (shown.last_seen_at, shown.missing_since, shown.ended_at)
    return (*state, account, *key, shown.was.began_at)
