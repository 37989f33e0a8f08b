"""Running time computed again, from `instance_history` alone; and what codes mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, insert, select, update

from etl import tables
from etl.dialect import Database, translated
from etl.errors import SettingsError
from etl.history import usage
from etl.history.codes import STATES, UNITS, UP_STATES
from etl.history.days import Zone
from etl.history.usage import Stretch
from etl.poll import Instant
from etl.store import Tx, schema

BATCH: Final = 5_000
"""Instances computed at a time."""


def rebuild(database: Database, timezone: str | None, today: date) -> int:
    """Replace all running time by what the versions say, prices and allocations by what list prices,
    overrides and rules say, and distances of polls by when they were; returns the number of stretches.

    With `timezone` the days are cut anew in that zone. All in one transaction. Raises `SettingsError`
    where a closed month is cut in another.
    """
    with translated(database), database.writing() as conn:
        if timezone is not None:
            _refuse_closed(conn, timezone)
            schema.recut_calendar(conn, Zone(timezone), today)
            for _, tx in _accounts(database, conn):
                tx.recut("bills")
        return _rebuild(database, conn)


def _refuse_closed(conn: Connection, timezone: str) -> None:
    """The hours between two midnights would be in a frozen month and in the one beside it, or in none."""
    zone, c = schema.stored_timezone(conn), tables.closed_month.c
    months = conn.execute(select(c.month).distinct().order_by(c.month)).scalars().all()
    if months and zone != timezone:
        raise SettingsError(
            f"closed months ({', '.join(months)}) are frozen by days of {zone}",
            advice="chenyu-etl month reopen each, rebuild, and close them again",
        )


def differences(database: Database) -> Iterator[str]:
    """What a rebuild would change: a line for each instance that differs, one for prices, and one for
    polls."""
    with translated(database), database.reading() as conn:
        for name, tx in _accounts(database, conn):
            zone = tx.zone()
            for uuids in _batches(tx):
                kept = tx.kept_usage(uuids)
                derived = tx.deriver()
                strayed = derived.wrongly_allocated(uuids) | derived.wrongly_charged(uuids)
                strayed |= derived.sums.strayed(uuids)
                for uuid, stretches, last_start in _computed(tx, uuids):
                    if kept.differ(uuid, stretches, last_start, zone) or uuid in strayed:
                        yield f"{name} {uuid}"
            if tx.deriver().prices_differ():
                yield f"{name} prices"
            if next(tx.strayed_steps(), None) is not None:
                yield f"{name} polls"


def set_code(database: Database, kind: str, code: int, meaning: str) -> int:
    """Say what a status or charging code means, and rebuild in the same transaction.

    Returns the number of stretches. Raises `SettingsError` for a meaning that is none.
    """
    known = STATES if kind == "status" else (*UNITS, "unknown")
    if meaning not in known:
        raise SettingsError(
            f"{meaning!r} is no meaning of a {kind} code", advice=f"it can be {', '.join(known)}"
        )
    with translated(database), database.writing() as conn:
        if kind == "status":
            values = {"state": meaning, "is_up": meaning in UP_STATES}
            _put(conn, tables.instance_status, "status", code, values)
        else:
            unit = None if meaning == "unknown" else meaning
            _put(conn, tables.charging_type, "charging_type", code, {"unit": unit})
        return _rebuild(database, conn)


def known_codes(database: Database) -> tuple[list[str], list[Sequence[Any]]]:
    """Column names and rows of every known code."""
    with translated(database), database.reading() as conn:
        status, charging = tables.instance_status.c, tables.charging_type.c
        rows: list[Sequence[Any]] = [
            ("status", *row)
            for row in conn.execute(
                select(status.status, status.state, status.name_en, status.name_zh).order_by(
                    status.status
                )
            )
        ]
        rows += [
            ("charging", code, unit or "unknown", en, zh)
            for code, unit, en, zh in conn.execute(
                select(
                    charging.charging_type, charging.unit, charging.name_en, charging.name_zh
                ).order_by(charging.charging_type)
            )
        ]
    return ["kind", "code", "meaning", "name_en", "name_zh"], rows


def _put(conn: Connection, table: Table, key: str, code: int, values: dict[str, Any]) -> None:
    changed = conn.execute(update(table).where(table.c[key] == code).values(**values))
    if not changed.rowcount:
        named = {"name_en": f"code {code}", "name_zh": f"代码 {code}"}
        conn.execute(insert(table).values({key: code, **values, **named}))


def _rebuild(database: Database, conn: Connection) -> int:
    conn.execute(delete(tables.usage_cost))
    conn.execute(delete(tables.price_period))
    conn.execute(delete(tables.usage_day))
    conn.execute(delete(tables.instance_usage))
    count = 0
    for _, tx in _accounts(database, conn):
        tx.correct_steps()
        for uuids in _batches(tx):
            computed = list(_computed(tx, uuids))
            tx.write_usage([(uuid, s, True) for uuid, stretches, _ in computed for s in stretches])
            tx.write_last_starts([(uuid, last_start) for uuid, _, last_start in computed])
            tx.deriver().allocate_anew(uuids)
            count += sum(len(stretches) for _, stretches, _ in computed)
        tx.deriver().sums.renew_since()
    return count


def _computed(
    tx: Tx, uuids: Sequence[str]
) -> Iterator[tuple[str, tuple[Stretch, ...], Instant | None]]:
    codes = tx.codes()
    for uuid, versions in tx.histories(uuids):
        step = usage.fold(versions, codes)
        yield uuid, step.written, step.state.last_start


def _accounts(database: Database, conn: Connection) -> list[tuple[str, Tx]]:
    c = tables.account.c
    rows = conn.execute(select(c.account_id, c.name).order_by(c.account_id)).all()
    return [(name, Tx(database, conn, account_id)) for account_id, name in rows]


def _batches(tx: Tx) -> Iterator[list[str]]:
    uuids = tx.all_uuids()
    for at in range(0, len(uuids), BATCH):
        yield uuids[at : at + BATCH]
