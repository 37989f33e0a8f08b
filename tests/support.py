"""What tests share: polls without a network, and a look at the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import text

from etl import apply as applying
from etl.dialect import Database
from etl.poll import Page, Poll
from etl.reports import plain
from etl.resources import INSTANCES, RESOURCES, Resource
from etl.store import Store, SyncRun
from etl.tables import BILL_KEY

ACCOUNT = "lab"
HELD_HERE = (
    "locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
"""Of Postgres's locks: those of this database, for other tests use the server too."""


class Lister(Protocol):
    now: int

    def body(self, number: int = 1, page_size: int = 100) -> bytes: ...


def poll_of(
    bodies: Iterable[bytes],
    started_at: int,
    finished_at: int | None = None,
    *,
    complete: bool = True,
    account: str = ACCOUNT,
    resource: Resource[Any] = INSTANCES,
) -> Poll:
    """A poll whose pages are `bodies`."""
    pages = tuple(Page(i, 100, body) for i, body in enumerate(bodies, 1))
    listed = {name for p in pages for name in resource.open(p.body).identities if name}
    return Poll(
        account=account,
        resource=resource.name,
        started_at=started_at,
        finished_at=started_at + 1 if finished_at is None else finished_at,
        complete=complete,
        walks=(pages,),
        listed=len(listed),
    )


def poll_story(cloud: Lister, *, complete: bool = True, lasts_s: int = 1) -> Poll:
    """A poll of a story at its present moment."""
    return poll_of([cloud.body(1, 100_000)], cloud.now, cloud.now + lasts_s, complete=complete)


def apply(database: Database, *polls: Poll) -> SyncRun:
    """Apply polls as live ones are, each in its transaction; the last one's run."""
    for poll in polls:
        with Store(database, poll.account).writing() as tx:
            last = tx.refuse_stale(poll.resource, poll.started_at)
            run = applying.apply(RESOURCES[poll.resource], poll, tx, last)
    return run


def rows(database: Database, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """What a query gives, as both databases give it alike."""
    with database.reading() as conn:
        found = conn.execute(text(sql), parameters)
        return [tuple(plain(value) for value in row) for row in found]


def newest(database: Database) -> int:
    """The start of the newest complete poll: in reports that are read then nothing is unseen."""
    return int(rows(database, "SELECT COALESCE(MAX(last_s), 0) FROM sync_span")[0][0])


def columns(database: Database, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    with database.reading() as conn:
        found = conn.execute(text(sql), parameters)
        return [{k: plain(v) for k, v in row._mapping.items()} for row in found]


COMPARED = {
    "instance": "account_id, instance_uuid",
    "instance_history": "account_id, instance_uuid, version",
    "instance_usage": "account_id, instance_uuid, usage_no",
    "usage_day": "account_id, instance_uuid, usage_no, day",
    "gpu_price": "account_id, gpu_uuid, valid_from",
    "balance": "account_id, first_seen_at",
    "card": "account_id, uuid, first_seen_at",
    "bill": ", ".join(BILL_KEY),
    "bill_day": ", ".join((*BILL_KEY, "day")),
    "recharge": "account_id, recharge_id",
    "rejected_record": "account_id, resource, reason, payload_hash",
}
"""The tables that a replay gives again, with their keys."""


def dump(database: Database, tables: Sequence[str] = tuple(COMPARED)) -> dict[str, Any]:
    """Every row of the synced tables, accounts by name, sorted in Python: the same on both
    databases."""
    names = dict(rows(database, "SELECT account_id, name FROM account"))
    dumped = {}
    for table in tables:
        found = columns(database, f"SELECT * FROM {table} ORDER BY {COMPARED[table]}")
        for row in found:
            row["account_id"] = names[row["account_id"]]
            for name in ("shutdown_enabled",):
                if row.get(name) is not None:
                    row[name] = bool(row[name])
        dumped[table] = sorted(found, key=lambda row: str(list(row.values())))
    return dumped
