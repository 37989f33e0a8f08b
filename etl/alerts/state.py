"""Alerts and messages in the database: read, written, claimed. Several daemons may do so at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from etl.alerts.message import Message
from etl.alerts.plan import Alert, Plan
from etl.poll import Instant
from etl.tables import alert, alert_delivery
from etl.units import DAY_S

CLAIM_S: Final = 300
"""A claim of a process that died is free again after so long; no channel takes that long."""
FIRST_WAIT_S: Final = 60
LONGEST_WAIT_S: Final = 3_600
GIVE_UP_S: Final = DAY_S
"""A message that could not be delivered in so long is given up."""
KEPT_S: Final = 90 * DAY_S
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is to be sent. `attempts` counts the one in hand."""

    delivery_id: int
    channel: str
    created_at: Instant
    attempts: int
    message: Message


def known(conn: Connection, keys: Collection[str]) -> dict[str, Alert]:
    """The alerts with these keys, and all that are open."""
    c = alert.c
    found = {
        row.key: _alert(row) for row in conn.execute(select(alert).where(c.cleared_at.is_(None)))
    }
    left = sorted(set(keys) - found.keys())
    for at in range(0, len(left), _BATCH):
        rows = conn.execute(select(alert).where(c.key.in_(left[at : at + _BATCH])))
        found.update({row.key: _alert(row) for row in rows})
    return found


def open_keys(conn: Connection) -> frozenset[str]:
    return frozenset(conn.scalars(select(alert.c.key).where(alert.c.cleared_at.is_(None))))


def last_message_at(conn: Connection, channels: Iterable[str]) -> dict[str, Instant]:
    """When the newest message to each channel was put together."""
    c = alert_delivery.c
    newest = {
        name: conn.scalar(select(func.max(c.created_at)).where(c.channel == name))
        for name in channels
    }
    return {name: at for name, at in newest.items() if at is not None}


def write(conn: Connection, plan: Plan, was: Mapping[str, Alert], now: Instant) -> None:
    """What a plan changes; what is long past is dropped on the way."""
    added = [_row(each) for each in plan.alerts if each.key not in was]
    if added:
        conn.execute(insert(alert), added)
    for each in plan.alerts:
        if each.key in was:
            conn.execute(update(alert).where(alert.c.key == each.key).values(_row(each)))
    for channel, message in plan.messages:
        conn.execute(
            insert(alert_delivery).values(
                channel=channel,
                created_at=now,
                next_at=now,
                attempts=0,
                message=msgspec.json.encode(message).decode(),
            )
        )
    if plan.messages:
        _forget(conn, now - KEPT_S)


def due(conn: Connection, now: Instant) -> list[tuple[int, str]]:
    """(id, channel) of the messages that nobody is sending and whose time has come, oldest first."""
    c = alert_delivery.c
    query = select(c.delivery_id, c.channel).where(*_free(now)).order_by(c.delivery_id)
    return [(row[0], row[1]) for row in conn.execute(query)]


def claim(conn: Connection, delivery_id: int, who: str, now: Instant) -> Delivery | None:
    """The message, to be sent by `who` alone; None where another was quicker."""
    c = alert_delivery.c
    done = conn.execute(
        update(alert_delivery)
        .where(c.delivery_id == delivery_id, *_free(now))
        .values(claimed_by=who, claimed_until=now + CLAIM_S, attempts=c.attempts + 1)
    )
    if done.rowcount != 1:
        return None
    row = conn.execute(select(alert_delivery).where(c.delivery_id == delivery_id)).one()
    message = msgspec.json.decode(row.message, type=Message)
    return Delivery(row.delivery_id, row.channel, row.created_at, row.attempts, message)


def finish(conn: Connection, delivery: Delivery, who: str, now: Instant, error: str | None) -> None:
    """What became of a claimed message: sent, to be tried again later, or given up."""
    c = alert_delivery.c
    values: dict[str, Any] = {"claimed_by": None, "claimed_until": None, "error": error}
    if error is None:
        values["sent_at"] = now
    elif now - delivery.created_at >= GIVE_UP_S:
        values["gave_up_at"] = now
    else:
        values["next_at"] = now + wait_s(delivery.attempts)
    conn.execute(
        update(alert_delivery)
        .where(c.delivery_id == delivery.delivery_id, c.claimed_by == who)
        .values(**values)
    )


def wait_s(attempts: int) -> int:
    """Seconds from a failed attempt to the next: 1, 2, 4 … minutes, at most an hour."""
    doubled: int = FIRST_WAIT_S * 2 ** min(attempts - 1, 10)
    return min(LONGEST_WAIT_S, doubled)


def acknowledge(conn: Connection, keys: Collection[str], now: Instant) -> list[str]:
    """Somebody knows of these open alerts: no reminders. The keys that were open and new to them."""
    c = alert.c
    fresh = select(c.key).where(c.cleared_at.is_(None), c.acked_at.is_(None))
    found = [key for key in conn.scalars(fresh.order_by(c.key)) if key in keys]
    for key in found:
        conn.execute(update(alert).where(c.key == key).values(acked_at=now))
    return found


def listed(conn: Connection, since: Instant | None) -> list[Alert]:
    """Open alerts, newest first; with `since` also those that cleared after it."""
    c = alert.c
    shown: ColumnElement[bool] = c.cleared_at.is_(None)
    if since is not None:
        shown = or_(shown, c.cleared_at >= since)
    query = select(alert).where(shown).order_by(c.first_at.desc(), c.key)
    return [_alert(row) for row in conn.execute(query)]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel that does not take its messages: `waiting` to be tried again, `given_up` of late."""

    channel: str
    waiting: int
    given_up: int
    error: str | None


def troubles(conn: Connection, since: Instant) -> list[Trouble]:
    """Channels with messages that failed and wait, or were given up after `since`."""
    c = alert_delivery.c
    is_waiting = c.sent_at.is_(None) & c.gave_up_at.is_(None) & c.error.is_not(None)
    rows = conn.execute(
        select(c.channel, c.gave_up_at, c.error)
        .where(or_(is_waiting, c.gave_up_at >= since))
        .order_by(c.delivery_id)
    ).all()
    return [
        Trouble(
            channel=name,
            waiting=sum(r.channel == name and r.gave_up_at is None for r in rows),
            given_up=sum(r.channel == name and r.gave_up_at is not None for r in rows),
            error=[r.error for r in rows if r.channel == name][-1],
        )
        for name in sorted({row.channel for row in rows})
    ]


def _free(now: Instant) -> tuple[Any, ...]:
    c = alert_delivery.c
    return (
        c.sent_at.is_(None),
        c.gave_up_at.is_(None),
        c.next_at <= now,
        or_(c.claimed_until.is_(None), c.claimed_until <= now),
    )


def _forget(conn: Connection, before: Instant) -> None:
    conn.execute(delete(alert).where(alert.c.cleared_at < before))
    conn.execute(delete(alert_delivery).where(alert_delivery.c.created_at < before))


def _alert(row: Any) -> Alert:
    return Alert(**{**row._mapping, "deliveries": json.loads(row.deliveries)})


def _row(each: Alert) -> dict[str, Any]:
    return {**asdict(each), "deliveries": json.dumps(each.deliveries, sort_keys=True)}
