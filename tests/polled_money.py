"""A fleet and its money, polled in simulated time by the flow that live polls take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from etl.apply import apply
from etl.dialect import Database
from etl.poll import Instant, Page, Poll
from etl.resources import RESOURCES
from etl.simcloud import (
    BALANCE_PATH,
    BILL_PATH,
    CARD_PATH,
    GPU_PATH,
    RECHARGE_PATH,
    Fleet,
    Money,
)
from etl.simcloud.desks import desks
from etl.store import Store
from tests.support import ACCOUNT

ALL: Final = {"page": "1", "page_size": "1000000"}
PATHS: Final = {
    "gpu_prices": GPU_PATH,
    "bills": BILL_PATH,
    "balance": BALANCE_PATH,
    "cards": CARD_PATH,
    "recharges": RECHARGE_PATH,
}
EVERY_S: Final = {"gpu_prices": 1800, "balance": 600}
HOURLY: Final = 3600


def polled(
    database: Database,
    fleet: Fleet,
    money: Money,
    times: Iterable[Instant],
    account: str = ACCOUNT,
    bills_every_s: int = HOURLY,
) -> None:
    """Poll at these times: instances always, the others when they are due, and at the end."""
    answers, last = desks(money), dict[str, Instant]()
    moments = list(times)
    for now in moments:
        _apply(database, "instances", fleet.body(now, 1, 100_000), now, account)
        for name, path in PATHS.items():
            every_s = EVERY_S.get(name, bills_every_s)
            if now - last.get(name, 0) >= every_s or now == moments[-1]:
                last[name] = now
                body = answers[path](now, ALL)
                assert isinstance(body, bytes)
                _apply(database, name, body, now, account)


def settled(
    database: Database, fleet: Fleet, money: Money, now: Instant, account: str = ACCOUNT
) -> None:
    """Poll what there is of money, and no instances."""
    for name, path in PATHS.items():
        body = desks(money)[path](now, ALL)
        assert isinstance(body, bytes)
        _apply(database, name, body, now, account)


def _apply(database: Database, name: str, body: bytes, now: Instant, account: str) -> Any:
    resource = RESOURCES[name]
    listing = resource.open(body)
    listed = len(set(listing.identities))
    poll = Poll(
        account=account,
        resource=name,
        started_at=now,
        finished_at=now + 1,
        complete=True,
        walks=((Page(1, 1_000_000, body),),),
        listed=listed,
        reported_total=listing.total,
    )
    with Store(database, account).writing() as tx:
        last = tx.refuse_stale(name, now)
        digest = sha256(body).hexdigest()
        is_same = last is not None and last.digest == digest
        return apply(resource, replace(poll, digest=digest, unchanged=is_same), tx, last)
