"""Closed months: their costs are frozen, whatever is learned later."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, text

from etl import tables
from etl.dialect import Database, translated
from etl.errors import SettingsError
from etl.history.days import Zone, iso
from etl.poll import Instant
from etl.store import schema

_LINE: Final = (
    "day",
    "instance_uuid",
    "title",
    "project",
    "owner",
    "cost_centre",
    "kind",
    "gpu_uuid",
    "gpu_name",
    "gpu_nums",
    "charging_type",
    "image_uuid",
    "price_source",
    "settled",
    "used_s",
    "gpu_s",
    "charged_s",
    "unpriced_s",
    "unpriced_max_s",
    "cost_microcny",
    "cost_min_microcny",
    "cost_max_microcny",
    "list_cost_microcny",
)
"""What `closed_cost` keeps of a line of `cost_line`."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Names of accounts; remarks on those whose month is not whole, or was left out."""

    accounts: list[str]
    remarks: list[str]


def close(database: Database, month: str, account: str | None, now: Instant) -> Closed:
    """Freeze a month's costs, of one account or of all that were observed in it.

    Raises `SettingsError` where the month is not observed to its end, or at all, or closed already.
    """
    done = Closed([], [])
    with translated(database), database.writing() as conn:
        starts, ends = _span(month, Zone(schema.stored_timezone(conn)))
        for account_id, name in _chosen(conn, account):
            since = _refuse_early(conn, account_id, name, month, ends)
            if since > starts:
                done.remarks.append(f"{month} of {name} was observed since {iso(since)} only")
            if since >= ends:
                done.remarks[-1] += ": it stays open"
                continue
            _freeze(conn, account_id, name, month, now)
            done.accounts.append(name)
    if not done.accounts:
        raise SettingsError("; ".join(done.remarks), advice="there is nothing to close")
    return done


def reopen(database: Database, month: str, account: str | None) -> list[str]:
    """Let a month's costs follow what is known again; returns the names of the accounts."""
    with translated(database), database.writing() as conn:
        chosen = [each for each in _chosen(conn, account) if _is_closed(conn, each[0], month)]
        if not chosen:
            raise SettingsError(f"{month} is not closed", advice="see chenyu-etl month show")
        for account_id, _ in chosen:
            for table in (tables.closed_cost, tables.closed_month):
                mine = table.c.account_id == account_id, table.c.month == month
                conn.execute(delete(table).where(*mine))
    return [name for _, name in chosen]


def shown(database: Database) -> tuple[list[str], list[Sequence[Any]]]:
    """Column names and rows: each closed month, its frozen cost, and what it would cost by what is
    known today, in yuan."""
    with translated(database), database.reading() as conn:
        c, m, a = tables.closed_cost.c, tables.closed_month.c, tables.account.c
        found = conn.execute(
            select(a.name, m.account_id, m.month, m.closed_at)
            .join(tables.account, a.account_id == m.account_id)
            .order_by(a.name, m.month)
        ).all()
        rows: list[Sequence[Any]] = []
        for name, account_id, month, closed_at in found:
            frozen = conn.scalar(
                select(func.sum(c.cost_microcny)).where(
                    c.account_id == account_id, c.month == month
                )
            )
            frozen_yuan, today_yuan = (
                int(frozen or 0) / 1e6,
                _known_today(conn, account_id, month) / 1e6,
            )
            rows.append((name, month, iso(closed_at), frozen_yuan, today_yuan))
    return ["account", "month", "closed_at", "frozen_yuan", "known_today_yuan"], rows


def _known_today(conn: Connection, account_id: int, month: str) -> int:
    asked = text(
        "SELECT SUM(cost_microcny) FROM cost_part"
        " WHERE account_id = :account AND SUBSTR(CAST(day AS TEXT), 1, 7) = :month"
    )
    return int(conn.execute(asked, {"account": account_id, "month": month}).scalar() or 0)


def _span(month: str, zone: Zone) -> tuple[Instant, Instant]:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise SettingsError(f"{month!r} is no month", advice="use one such as 2026-10")
    first = date.fromisoformat(f"{month}-01")
    return zone.starts(first), zone.starts((first + timedelta(days=31)).replace(day=1))


def _chosen(conn: Connection, account: str | None) -> list[tuple[int, str]]:
    c = tables.account.c
    asked = select(c.account_id, c.name).order_by(c.name)
    found = conn.execute(asked if account is None else asked.where(c.name == account)).all()
    if not found:
        raise SettingsError(
            f"there is no account {account!r}" if account else "nothing is synced yet",
            advice="see chenyu-etl status",
        )
    return [(row[0], row[1]) for row in found]


def _is_closed(conn: Connection, account_id: int, month: str) -> bool:
    c = tables.closed_month.c
    mine = c.account_id == account_id, c.month == month
    return conn.scalar(select(func.count()).select_from(tables.closed_month).where(*mine)) != 0


def _refuse_early(
    conn: Connection, account_id: int, name: str, month: str, ends: Instant
) -> Instant:
    """The start of the first complete poll. Raises where the newest does not reach past the month."""
    if _is_closed(conn, account_id, month):
        raise SettingsError(
            f"{month} of {name} is closed", advice=f"chenyu-etl month reopen {month} first"
        )
    run = tables.sync_run.c
    oldest, newest = conn.execute(
        select(func.min(run.started_at), func.max(run.started_at)).where(
            run.account_id == account_id, run.resource == "instances", run.outcome == "complete"
        )
    ).one()
    if newest is None or newest < ends:
        raise SettingsError(
            f"{month} of {name} is not observed to its end",
            advice="close it after a complete poll on the first of the next month",
        )
    since: Instant = oldest
    return since


def _freeze(conn: Connection, account_id: int, name: str, month: str, now: Instant) -> None:
    names = ", ".join(_LINE)
    conn.execute(
        text(
            f"INSERT INTO closed_cost (account_id, month, line_no, {names})"
            f" SELECT account_id, :month, ROW_NUMBER() OVER (ORDER BY {names}), {names}"
            " FROM cost_line WHERE account = :name AND SUBSTR(CAST(day AS TEXT), 1, 7) = :month"
        ),
        {"month": month, "name": name},
    )
    conn.execute(
        insert(tables.closed_month).values(account_id=account_id, month=month, closed_at=now)
    )
