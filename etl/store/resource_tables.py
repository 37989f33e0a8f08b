"""Tables of all resources except instances, with the queries that read and write their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, Table, bindparam, func, literal, select, text

from etl import tables
from etl.history.days import Zone
from etl.history.versions import Began, Lasting, VersionPresence
from etl.history.windows import Held
from etl.resources import RESOURCES, Record, Resource
from etl.resources.records import Form
from etl.store.runs import PollStarts

PART_COLUMNS: Final = ("day", "amount_microcny")
TOGETHER: Final = 5_000
"""Records derived anew at a time."""
STATE: Final = ("last_seen_at", "missing_since")
ENDED: Final = {"first_seen_at": "ended_at", "valid_from": "valid_to"}
"""Where versions that begin at a column end."""
SUPERSEDED: Final = ("missing_since", "superseded_at")


@dataclass(frozen=True, slots=True)
class ResourceTable:
    """Table of a resource. Versions last from the column `began` to the column `ended`. Records of
    a window are selected by the first column of the key, and numbered by the last, `number`, if
    several may be alike. `parts` holds the records cut by day.
    """

    resource: Resource[Any]
    table: Table
    form: Form
    key: tuple[str, ...]
    began: str = "first_seen_at"
    ended: str = "ended_at"
    number: str | None = None
    parts: Table | None = None

    @property
    def among(self) -> str:
        """Return the column by which records of a window are selected."""
        return self.key[0]

    @property
    def derived(self) -> tuple[str, ...]:
        """Return the columns that are computed in the reporting time zone."""
        return self.resource.derived

    def derive(self, record: Record, zone: Zone) -> tuple[Any, ...]:
        """Return the values of the columns `derived`."""
        return self.resource.derive(record.facts, zone)

    def cut(self, record: Record, zone: Zone) -> Iterator[tuple[str, int]]:
        """Return the parts of a record by day."""
        return self.resource.cut(record.facts, zone)

    def numbers(self, number: int) -> tuple[int, ...]:
        """Return the value of the column `number`, if the table has it."""
        return () if self.number is None else (number,)

    def record(self, facts: Sequence[Any], extra: str | None) -> Record:
        return Record(self.form.name_of(facts), tuple(facts), extra)


def _table_of(resource: Resource[Any]) -> ResourceTable:
    """Return the table of a resource, whose key is that of the table, without the account and, of
    versions, without the column that says when they began.
    """
    # instances have tables of their own
    assert resource.form is not None
    table = tables.metadata.tables[resource.table]
    # without the account, which leads every key and is known
    key = tuple(c.name for c in table.primary_key)[1:]
    parts = tables.metadata.tables[resource.parts] if resource.parts is not None else None
    if resource.keeping == "window":
        # records that may be alike in all their facts are told apart by counting them
        number = key[-1] if resource.counts else None
        return ResourceTable(resource, table, resource.form, key, number=number, parts=parts)
    # versions of one record differ in when they began
    *key_alone, began = key
    return ResourceTable(resource, table, resource.form, tuple(key_alone), began, ENDED[began])


RESOURCE_TABLES: Final[Mapping[str, ResourceTable]] = {
    name: _table_of(resource)
    for name, resource in RESOURCES.items()
    if resource.keeping != "instances"
}


@cache
def current(resource: str) -> Select[Any]:
    """Select the current versions: began, last_seen_at, missing_since, extra, then the facts."""
    layout = RESOURCE_TABLES[resource]
    c = layout.table.c
    chosen = (layout.began, *STATE, "extra", *layout.form.columns)
    return select(*(c[name] for name in chosen)).where(
        c.account_id == bindparam("account"), c[layout.ended].is_(None)
    )


@cache
def everything(resource: str) -> Select[Any]:
    """Select all records of a window, in the form that `held_of` takes."""
    layout = RESOURCE_TABLES[resource]
    c = layout.table.c
    number = literal(1) if layout.number is None else c[layout.number]
    chosen = (c[name] for name in (*SUPERSEDED, "extra", *layout.form.columns))
    return select(number, *chosen).where(c.account_id == bindparam("account"))


@cache
def same_group(resource: str, among: str) -> Select[Any]:
    """Select records of a window, superseded ones too, in the form that `held_of` takes."""
    return everything(resource).where(text(among))


@cache
def unsuperseded(resource: str) -> Select[Any]:
    """Select the valid records of a window, in the form that `held_of` takes."""
    return everything(resource).where(RESOURCE_TABLES[resource].table.c.superseded_at.is_(None))


@cache
def how_many_hold(resource: str) -> Select[Any]:
    """Select the number of valid records of a window."""
    c = RESOURCE_TABLES[resource].table.c
    mine = c.account_id == bindparam("account"), c.superseded_at.is_(None)
    return select(func.count()).where(*mine)


@cache
def missing(resource: str) -> Select[Any]:
    """Select one row if any record of a window is missing."""
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


def held_of(row: Sequence[Any]) -> Held:
    """Return a record of a window, with its state."""
    number, missing_since, superseded_at, extra, *facts = row
    # windows are compared by facts: no name is worth its hash
    record = Record("", tuple(facts), extra)
    return Held(number, record, missing_since, superseded_at)


def lasting_of(layout: ResourceTable, row: Sequence[Any], starts: PollStarts) -> Lasting:
    began_at, last_seen_at, missing_since, extra, *facts = row
    return Lasting(
        record=layout.record(facts, extra),
        began_at=began_at,
        seen_at=starts.seen_at(began_at, last_seen_at),
        last_seen_at=last_seen_at,
        missing_since=missing_since,
    )


def began_row(account: int, began: Began) -> tuple[Any, ...]:
    record = began.record
    return (account, *record.facts, record.extra, began.began_at, began.after_at)


def presence_row(account: int, layout: ResourceTable, presence: VersionPresence) -> tuple[Any, ...]:
    key = presence.was.record.facts[: len(layout.key)]
    state = (presence.last_seen_at, presence.missing_since, presence.ended_at)
    return (*state, account, *key, presence.was.began_at)
