"""Databases of revisions that were numbered before the first migration was frozen.

Those revisions went from 0001 to 0007; the shape of 0007 is now that of 0001. Their data cannot be
fetched again, so a database at 0007 is taken over as it is.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert, inspect, select, text

from etl import tables
from etl.errors import SchemaTooNew, StoreError
from etl.texts import tr

LAST: Final = "0007"
"""The last revision of the earlier numbering."""
FIRST: Final = "0001"
"""The revision of the present numbering that has the same shape."""
BASELINE: Final = "baseline"
"""Name of the setting by which the present numbering is known: 0001 writes it."""
LAST_COMMIT: Final = "8727812"
"""A commit whose program brings older databases to `LAST`."""
VIEWS: Final = (
    "balance_daily bill_adjustment bill_attributed_daily bill_daily bill_line bill_reach bill_share"
    " bill_window budget_line budget_month burn_now card_now charging_model cost_daily cost_line"
    " cost_open cost_part coverage_daily day_bounds failed_start focus_cost_and_usage focus_line"
    " gpu_usage_daily gpu_usage_instance_daily image_save instance_event instance_now"
    " instance_version local_day night_weekend_daily recharge_daily reconciliation_daily run_cost"
    " run_span sync_bounds sync_gap sync_horizon sync_span uptime_daily usage_open_part usage_part"
    " usage_span"
)
"""The views of `LAST`, some of which today's program may not know."""


def is_earlier(conn: Connection) -> bool:
    """Tell whether the revision of a database of ours is of the earlier numbering."""
    c = tables.setting.c
    return conn.scalar(select(c.value).where(c.name == BASELINE)) is None


def refuse_unless_last(conn: Connection, at: str) -> None:
    """Raise unless a database of the earlier numbering has the revision and the shape of `LAST`."""
    # its numbers overlap with those of today: only the setting tells them apart
    if at > LAST:
        raise SchemaTooNew(
            tr(
                "the database is at revision {at} of a numbering that this program does not know",
                at=at,
            ),
            advice=tr("upgrade chenyu-etl: pip install --upgrade chenyu-etl"),
        )
    # a number alone may lie: the last two tables of that revision must be there
    missing = [name for name in ("running_sum", "cost_sum") if not inspect(conn).has_table(name)]
    if at != LAST or missing:
        raise StoreError(
            tr("the database is at revision {at} of the numbering before the first release", at=at),
            advice=tr(
                "git checkout {last_commit} and run its chenyu-etl db upgrade on it, then this one",
                last_commit=LAST_COMMIT,
            ),
        )


def adopt(conn: Connection) -> str:
    """Take a database at `LAST` over as one at `FIRST`; its rows stay as they are."""
    conn.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": FIRST})
    conn.execute(insert(tables.setting).values(name=BASELINE, value=FIRST))
    c = tables.setting.c
    # so that the upgrade drops views that today's program no longer has
    listed = c.value.concat(f" {VIEWS}")
    conn.execute(tables.setting.update().where(c.name == "views").values(value=listed))
    return FIRST
