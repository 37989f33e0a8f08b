"""What tests of money share: list prices, overrides, bill lines and rules, put in by hand."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from sqlalchemy import delete, insert, select

from etl import tables
from etl.books.price_files import set_model
from etl.dialect import Database
from etl.money.charging import ChargingModel
from etl.money.tariffs import Override
from etl.poll import Instant
from etl.simcloud import gpu_uuid
from etl.store import Store, writing
from etl.store.price_periods import write_overrides
from tests.support import ACCOUNT

YUAN = 1_000_000
PRICE = ("valid_from", "last_seen_at", "valid_to")


def lists(
    database: Database,
    model: str,
    *versions: tuple[Instant, Instant | None, Instant | None, int | None],
    account: str = ACCOUNT,
    **more: int,
) -> None:
    """A model's list prices: (valid_from, last_seen_at, valid_to, microcny an hour)."""
    with Store(database, account).writing() as tx:
        for *when, hour in versions:
            tx._conn.execute(
                insert(tables.gpu_price).values(
                    account_id=tx._account_id,
                    gpu_uuid=gpu_uuid(model),
                    gpu_name=model,
                    hour_microcny=hour,
                    **dict(zip(PRICE, when, strict=True)),
                    **more,
                )
            )
        tx.refresh_prices()


def set_prices(database: Database, *overrides: Override) -> None:
    """The user's overrides, all of them."""
    with database.writing() as conn:
        write_overrides(database, conn, overrides)
        names = conn.execute(select(tables.account.c.name)).scalars().all()
    for name in names:
        with Store(database, name).writing() as tx:
            tx.refresh_prices()


def bills(database: Database, starts: Instant, ends: Instant, amount: int, **more: Any) -> None:
    """A line of the bill, by which stops and the past are judged as after a poll of the bill."""
    with Store(database, ACCOUNT).writing() as tx:
        values = {
            "order_number": f"o{starts}",
            "charge_channel": 1,
            "remark": "",
            "line_no": 1,
            "first_seen_at": ends + 60,
            "changed_at": ends + 60,
            **more,
        }
        tx._conn.execute(
            insert(tables.bill).values(
                account_id=tx._account_id,
                settle_start_at=starts,
                settle_end_at=ends,
                amount_microcny=amount,
                charged_day=tx.zone().day_at(ends).day,
                **values,
            )
        )
        tx.settle_stops(starts, ends)
        tx.settle_past(starts, ends)


def learns(database: Database, learned: Sequence[Override]) -> None:
    """Prices learned from the bill and accepted."""
    with writing(database) as known:
        known.books.replace_learned(learned)


def charges(database: Database, **model: Any) -> ChargingModel:
    """Charge by another model."""
    chosen = ChargingModel(**model)
    set_model(database, chosen)
    return chosen


def forgets_prices(database: Database) -> None:
    with database.writing() as conn:
        conn.execute(delete(tables.gpu_price))


def generated_overrides(
    dice: Random, models: Sequence[str], images: Sequence[str], begins: Instant, ends: Instant
) -> list[Override]:
    """Overrides of all ranks, none of them in each other's way."""
    found = []
    for model in models:
        at = dice.randint(begins, ends)
        if dice.random() < 0.5:
            price = dice.randint(1, 9 * YUAN)
            found.append(Override("hour", price, gpu_name=model, valid_from=at))
        if dice.random() < 0.4:
            to = dice.randint(at + 1, ends + 1)
            price = dice.randint(1, 9 * YUAN)
            found.append(
                Override("hour", price, gpu_uuid=gpu_uuid(model), valid_from=at, valid_to=to)
            )
    for image in images:
        if dice.random() < 0.5:
            per = dice.choice(("gpu", "instance"))
            found.append(
                Override("hour", dice.randint(1, YUAN), image_uuid=image, adds=True, per=per)
            )
    if dice.random() < 0.5:
        found.append(Override("month", 1_234_567_891, charging_type=2, source="bill"))
    return found
