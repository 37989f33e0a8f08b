"""What is synced, how fresh it is, and what is odd: read from the database alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import combinations
from typing import Any

from sqlalchemy import Connection, func, select

from etl import tables
from etl.alerts import state
from etl.dialect import Database, translated
from etl.history.days import iso
from etl.poll import Instant
from etl.units import CARD, DAY_S

"""The channel of what compute cards pay."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """One resource of one account. `age_s` is the age of its newest complete poll in seconds, None
    where there was none."""

    account: str
    resource: str
    last_complete_at: str | None
    age_s: int | None
    last_outcome: str
    last_run_at: str
    last_error: str | None
    polls: int
    failed: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one account runs. `unknown_codes` are status codes whose meaning is not known: they count
    as not running."""

    account: str
    instances: int
    running: int
    gpus_running: int
    missing: int
    gone: int
    unreadable: int
    unknown_codes: list[int]


@dataclass(frozen=True, slots=True)
class Doubled:
    """Two accounts that list the same instances, as under one key, and how many."""

    accounts: tuple[str, str]
    instances: int

    def __str__(self) -> str:
        first, other = self.accounts
        return (
            f"accounts {first} and {other} list the same {self.instances} instances:"
            " everything of them is counted twice"
        )


def status(database: Database, now: Instant) -> dict[str, Any]:
    """`polls` (`Freshness` of each account and resource), `fleet` (`Fleet` of each account), `doubled`
    (`Doubled` of each two accounts), `alerts` (how many hold) and `channels` (`Trouble` of each that
    did not take a message of late)."""
    with translated(database), database.reading() as conn:
        names = dict(conn.execute(select(tables.account.c.account_id, tables.account.c.name)).all())
        return {
            "database": database.place,
            "polls": [asdict(f) for f in _polls(conn, names, now)],
            "fleet": [asdict(_fleet(conn, i, name)) for i, name in sorted(names.items())],
            "doubled": [asdict(d) | {"what": str(d)} for d in _doubled(conn, names)],
            "alerts": len(state.open_keys(conn)),
            "channels": [asdict(t) for t in state.troubles(conn, now - DAY_S)],
        }


def billed(database: Database, month: str) -> list[tuple[str, int, int]]:
    """(account, cash, cards) charged in a month (`2026-10`) of the reporting zone, in millionths of a
    yuan; accounts without a line are left out."""
    day, cash = tables.bill.c.charged_day, tables.bill.c.charge_channel != CARD
    amount = func.sum(tables.bill.c.amount_microcny)
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=32)).replace(day=1)
    with translated(database), database.reading() as conn:
        found = conn.execute(
            select(tables.account.c.name, amount.filter(cash), amount.filter(~cash))
            .join(tables.account, tables.account.c.account_id == tables.bill.c.account_id)
            .where(day >= first.isoformat(), day < following.isoformat())
            .group_by(tables.account.c.name)
            .order_by(tables.account.c.name)
        ).all()
    return [(name, int(balance or 0), int(cards or 0)) for name, balance, cards in found]


def _polls(conn: Connection, names: dict[int, str], now: Instant) -> list[Freshness]:
    run = tables.sync_run.c
    counted = conn.execute(
        select(
            run.account_id,
            run.resource,
            func.count(),
            func.count().filter(run.outcome == "failed"),
            func.max(run.sync_run_id),
        ).group_by(run.account_id, run.resource)
    ).all()
    return [
        _freshness(conn, names[account], account, resource, polls, failed, newest, now)
        for account, resource, polls, failed, newest in sorted(counted)
    ]


def _freshness(
    conn: Connection,
    name: str,
    account: int,
    resource: str,
    polls: int,
    failed: int,
    newest: int,
    now: Instant,
) -> Freshness:
    run = tables.sync_run.c
    last = conn.execute(
        select(run.outcome, run.finished_at, run.error).where(run.sync_run_id == newest)
    ).one()
    complete = conn.scalar(
        select(func.max(run.finished_at)).where(
            run.account_id == account, run.resource == resource, run.outcome == "complete"
        )
    )
    return Freshness(
        account=name,
        resource=resource,
        last_complete_at=None if complete is None else iso(complete),
        age_s=None if complete is None else max(0, now - complete),
        last_outcome=last.outcome,
        last_run_at=iso(last.finished_at),
        last_error=last.error,
        polls=polls,
        failed=failed,
    )


def _doubled(conn: Connection, names: dict[int, str]) -> list[Doubled]:
    i = tables.instance.c
    listed = i.gone_at.is_(None)
    twice = select(i.instance_uuid).where(listed).group_by(i.instance_uuid)
    found = conn.execute(
        select(i.instance_uuid, i.account_id)
        .where(listed, i.instance_uuid.in_(twice.having(func.count() > 1)))
        .order_by(i.instance_uuid, i.account_id)
    ).all()
    holders: dict[str, list[int]] = {}
    for uuid, account_id in found:
        holders.setdefault(uuid, []).append(account_id)
    pairs = Counter(pair for each in holders.values() for pair in combinations(each, 2))
    return [Doubled((names[a], names[b]), count) for (a, b), count in sorted(pairs.items())]


def _fleet(conn: Connection, account: int, name: str) -> Fleet:
    i, u = tables.instance.c, tables.instance_usage.c
    listed = (i.account_id == account, i.gone_at.is_(None))

    def count(*conditions: Any) -> int:
        return conn.scalar(select(func.count()).where(i.account_id == account, *conditions)) or 0

    running, gpus = conn.execute(
        select(func.count(), func.coalesce(func.sum(u.gpu_nums), 0)).where(
            u.account_id == account, u.ended_at.is_(None), u.kind == "running"
        )
    ).one()
    known = select(tables.instance_status.c.status)
    codes = conn.scalars(
        select(i.status).where(*listed, i.status.not_in(known)).distinct().order_by(i.status)
    ).all()
    return Fleet(
        account=name,
        instances=count(i.gone_at.is_(None)),
        running=running,
        gpus_running=int(gpus),
        missing=count(i.gone_at.is_(None), i.missing_since.is_not(None)),
        gone=count(i.gone_at.is_not(None)),
        unreadable=count(
            i.gone_at.is_(None), i.missing_since.is_(None), i.last_seen_at.is_not(None)
        ),
        unknown_codes=list(codes),
    )
