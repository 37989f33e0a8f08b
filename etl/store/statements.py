"""Statements about instances that every poll that changes something runs, built once: building one costs
more than running it. Each binds `account`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import (
    Insert,
    Select,
    TextClause,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    text,
)

from etl import tables
from etl.store.rows import DAY_COLUMNS, FACT_NAMES, TERM_NAMES

_instance: Final = tables.instance.c
_version: Final = tables.instance_history.c
_usage: Final = tables.instance_usage.c
_day: Final = tables.usage_day.c

LISTED: Final = select(_instance.instance_uuid).where(
    _instance.account_id == bindparam("account"), _instance.gone_at.is_(None)
)
HOW_MANY_LISTED: Final = select(func.count()).where(
    _instance.account_id == bindparam("account"), _instance.gone_at.is_(None)
)
# whether there is any at all: most polls find none missing, and read no more
PENDING: Final = (
    select(1)
    .where(
        _instance.account_id == bindparam("account"),
        _instance.gone_at.is_(None),
        _instance.last_seen_at.is_not(None),
    )
    .limit(1)
)
ALL_UUIDS: Final = (
    select(_instance.instance_uuid)
    .where(_instance.account_id == bindparam("account"))
    .order_by(_instance.instance_uuid)
)


@cache
def known(among: str) -> Select[Any]:
    """Select instances: facts, then version, changed_at, last_seen_at, missing_since, gone_at."""
    return select(
        *(_instance[name] for name in FACT_NAMES),
        _instance.version,
        _instance.changed_at,
        _instance.last_seen_at,
        _instance.missing_since,
        _instance.gone_at,
    ).where(_instance.account_id == bindparam("account"), text(among))


@cache
def usage_counts(among: str) -> Select[Any]:
    """Select instances: uuid, number of stretches, newest believed start."""
    # by the key: counting rows would read all stretches of an instance
    count = (
        select(func.coalesce(func.max(_usage.usage_no), 0))
        .where(
            _usage.account_id == _instance.account_id,
            _usage.instance_uuid == _instance.instance_uuid,
        )
        .scalar_subquery()
    )
    return select(_instance.instance_uuid, count, _instance.last_start_at).where(
        _instance.account_id == bindparam("account"), text(among)
    )


@cache
def stretches(among: str, *, only_open: bool) -> Select[Any]:
    """Select stretches in order: uuid, then in the form that `rows.stretch_of` takes."""
    chosen = select(
        _usage.instance_uuid,
        _usage.usage_no,
        _usage.kind,
        _usage.started_at,
        _usage.evidence,
        *(_usage[name] for name in TERM_NAMES),
        _usage.ended_min,
        _usage.ended_at,
        _usage.ended_max,
        _usage.end_evidence,
        _usage.settlements,
        _usage.settled_at,
    ).where(_usage.account_id == bindparam("account"), text(among))
    if only_open:
        return chosen.where(_usage.ended_at.is_(None))
    # ordered only where all are read: of open ones an instance has two at most
    return chosen.order_by(_usage.instance_uuid, _usage.usage_no)


@cache
def day_parts(among: str) -> Select[Any]:
    return (
        select(*(_day[name] for name in DAY_COLUMNS))
        .where(_day.account_id == bindparam("account"), text(among))
        .order_by(_day.instance_uuid, _day.usage_no, _day.day)
    )


@cache
def histories(among: str) -> Select[Any]:
    """Select versions in order, in the form that `rows.by_instance` takes."""
    return (
        select(
            *(_version[name] for name in FACT_NAMES),
            _version.after_at,
            _version.first_seen_at,
            _version.last_seen_at,
            _version.ended_at,
            _version.ended_by,
        )
        .where(_version.account_id == bindparam("account"), text(among))
        .order_by(_version.instance_uuid, _version.version)
    )


@cache
def copy_as_first_versions(among: str) -> Insert:
    """Copy instances just added as their own first versions, so that their facts are not sent
    twice.
    """
    names = [*FACT_NAMES, "version", "first_seen_at"]
    copied = select(
        _instance.account_id,
        *(_instance[name] for name in names),
        literal_column("'first_seen'"),
    ).where(_instance.account_id == bindparam("account"), text(among))
    columns = ["account_id", *names, "began_by"]
    return insert(tables.instance_history).from_select(columns, copied)


@lru_cache(maxsize=256)
def statement(sql: str) -> TextClause:
    """Return the statement of a text, which is taken apart once."""
    return text(sql)
