"""Alerts, queued messages, and the facts that alert rules judge.

Several daemons may write them at once: a message is claimed before it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update

from etl.alerts.cause import Alert
from etl.alerts.message import Message
from etl.dialect import UtcInstant
from etl.history.days import Zone
from etl.poll import Instant
from etl.store import schema
from etl.store.subject import Subject
from etl.tables import alert, alert_delivery
from etl.units import DAY_S, HOUR_S

CLAIM_S: Final = 300
"""A claim of a process that died is free again after so long; no channel takes that long."""
FIRST_WAIT_S: Final = 60
LONGEST_WAIT_S: Final = HOUR_S
GIVE_UP_S: Final = DAY_S
"""A message that could not be delivered in so long is given up."""
KEPT_S: Final = 90 * DAY_S
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to be sent. `attempts` includes the current one; `taken_by` are the recipients that
    already took it.
    """

    delivery_id: int
    channel: str
    created_at: Instant
    attempts: int
    message: Message
    taken_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel that fails to take messages: `waiting` to be tried again, `given_up` recently."""

    channel: str
    waiting: int
    given_up: int
    error: str | None


class AlertsReader(Subject):
    """Reader of alerts and messages, and of all that alert rules ask."""

    def ask(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """Return the rows of a query on our views."""
        rows: Sequence[Any] = self._ask(sql, **parameters).all()
        return rows

    def zone(self) -> Zone:
        """Return the reporting time zone."""
        return Zone(schema.stored_timezone(self._conn))

    def known(self, keys: Collection[str]) -> dict[str, Alert]:
        """Return the alerts with these keys, and all open ones."""
        c = alert.c
        opened = self._conn.execute(select(alert).where(c.cleared_at.is_(None)))
        # all open ones too: the plan must see which causes no longer hold
        known = {row.key: _alert(row) for row in opened}
        # in batches: SQLite takes a limited number of parameters
        left = sorted(set(keys) - known.keys())
        for at in range(0, len(left), _BATCH):
            rows = self._conn.execute(select(alert).where(c.key.in_(left[at : at + _BATCH])))
            known.update({row.key: _alert(row) for row in rows})
        return known

    def open_keys(self) -> frozenset[str]:
        return frozenset(
            self._conn.scalars(select(alert.c.key).where(alert.c.cleared_at.is_(None)))
        )

    def last_message_at(self, channels: Iterable[str]) -> dict[str, Instant]:
        """Return when the newest message to each channel was put together."""
        c = alert_delivery.c
        # one query a channel: the index gives the newest of a channel at once, a grouping reads all
        newest = {
            name: self._conn.scalar(select(func.max(c.created_at)).where(c.channel == name))
            for name in channels
        }
        return {name: at for name, at in newest.items() if at is not None}

    def listed(self, since: Instant | None) -> list[Alert]:
        """Return open alerts, newest first; with `since` also those that cleared after it."""
        c = alert.c
        wanted: ColumnElement[bool] = c.cleared_at.is_(None)
        if since is not None:
            wanted = or_(wanted, c.cleared_at >= since)
        query = select(alert).where(wanted).order_by(c.first_at.desc(), c.key)
        return [_alert(row) for row in self._conn.execute(query)]

    def due(self, now: Instant) -> list[int]:
        """Return the ids of messages that are due and not being sent, oldest first."""
        c = alert_delivery.c
        query = select(c.delivery_id).where(*_free(now)).order_by(c.delivery_id)
        return list(self._conn.scalars(query))

    def troubles(self, since: Instant) -> list[Trouble]:
        """Return the channels with messages that failed and wait, or were given up after
        `since`.
        """
        c = alert_delivery.c
        # a message that waits for its first attempt is no trouble
        is_waiting = c.sent_at.is_(None) & c.gave_up_at.is_(None) & c.error.is_not(None)
        rows = self._conn.execute(
            select(c.channel, c.gave_up_at, c.error)
            .where(or_(is_waiting, c.gave_up_at >= since))
            .order_by(c.delivery_id)
        ).all()
        by_channel = {name: [r for r in rows if r.channel == name] for name in _channels_in(rows)}
        return [
            Trouble(
                channel=name,
                waiting=sum(row.gave_up_at is None for row in own),
                given_up=sum(row.gave_up_at is not None for row in own),
                error=own[-1].error,
            )
            for name, own in by_channel.items()
        ]


class AlertsWriter(AlertsReader):
    """Writer of alerts and messages, in a write transaction."""

    def write(
        self,
        alerts: Iterable[Alert],
        messages: Sequence[tuple[str, Message]],
        known: Collection[str],
        now: Instant,
    ) -> None:
        """Write alerts, of which some are `known` already, and messages to be sent, each with its
        channel; old rows are deleted as well.
        """
        changed = list(alerts)
        added = [_row(changed_alert) for changed_alert in changed if changed_alert.key not in known]
        if added:
            self._conn.execute(insert(alert), added)
        for changed_alert in changed:
            if changed_alert.key in known:
                self._update(changed_alert)
        for channel, message in messages:
            self._add(channel, message, now)
        # old rows go with new messages, so that a tick without news writes nothing
        if messages:
            self._forget(now - KEPT_S)

    def bring_back(self, now: Instant) -> None:
        """Let nothing wait for a moment that a clock which was ahead has named."""
        # nothing of ours waits longer than that: what lies further ahead came of a clock that was
        # wrong
        latest = now + LONGEST_WAIT_S
        for table in (alert, alert_delivery):
            for column in table.c:
                if isinstance(column.type, UtcInstant):
                    late = update(table).where(column > latest)
                    self._conn.execute(late.values({column.name: now}))
        for kept in self.known(()).values():
            sent = {channel: min(at, now) for channel, at in kept.deliveries.items()}
            if sent != kept.deliveries:
                self._update(replace(kept, deliveries=sent))

    def acknowledge(self, keys: Collection[str], now: Instant) -> list[str]:
        """Acknowledge these open alerts; return the keys of those that were not acknowledged
        before.
        """
        c = alert.c
        fresh = select(c.key).where(c.cleared_at.is_(None), c.acked_at.is_(None))
        # once: a second acknowledgement would move the time of the first
        noted = [key for key in self._conn.scalars(fresh.order_by(c.key)) if key in keys]
        for key in noted:
            self._conn.execute(update(alert).where(c.key == key).values(acked_at=now))
        return noted

    def claim(self, delivery_id: int, claimant: str, now: Instant) -> Delivery | None:
        """Claim a message, so that this process alone sends it; return None if another one was
        quicker.
        """
        c = alert_delivery.c
        done = self._conn.execute(
            update(alert_delivery)
            .where(c.delivery_id == delivery_id, *_free(now))
            .values(claimed_by=claimant, claimed_until=now + CLAIM_S, attempts=c.attempts + 1)
        )
        # the condition and the update are one statement: two daemons cannot both claim it
        if done.rowcount != 1:
            return None
        row = self._conn.execute(select(alert_delivery).where(c.delivery_id == delivery_id)).one()
        message = msgspec.json.decode(row.message, type=Message)
        # recipients that took it in an earlier attempt are left out of this one
        taken_by = tuple(json.loads(row.taken_by))
        return Delivery(
            row.delivery_id, row.channel, row.created_at, row.attempts, message, taken_by
        )

    def note_taken(self, delivery: Delivery, claimant: str, taken_by: Sequence[str]) -> None:
        """Note which recipients have taken a claimed message: they do not get it again."""
        self._change(delivery, claimant, {"taken_by": json.dumps(taken_by, ensure_ascii=False)})

    def finish(self, delivery: Delivery, claimant: str, now: Instant, error: str | None) -> None:
        """Note the end of an attempt: the message was taken, is to be tried again, or is given up."""
        values: dict[str, Any] = {"claimed_by": None, "claimed_until": None, "error": error}
        if error is None:
            values["sent_at"] = now
        # news this old would mislead whoever reads it
        elif now - delivery.created_at >= GIVE_UP_S:
            values["gave_up_at"] = now
        else:
            values["next_at"] = now + wait_s(delivery.attempts)
        if self._change(delivery, claimant, values) and "gave_up_at" in values:
            self._withdraw(delivery)

    def _withdraw(self, delivery: Delivery) -> None:
        """Mark causes whose message reached nobody as not sent, so that they are due again while
        they last.
        """
        # whoever took it knows of the causes: sending them again would repeat them
        if delivery.taken_by:
            return
        known = self.known(delivery.message.keys)
        for sent in (known[key] for key in delivery.message.keys if key in known):
            # another message about the same cause may have arrived since: then people know of it
            if sent.deliveries.get(delivery.channel) == delivery.created_at:
                left = {k: at for k, at in sent.deliveries.items() if k != delivery.channel}
                self._update(replace(sent, deliveries=left))

    def _change(self, delivery: Delivery, claimant: str, values: Mapping[str, Any]) -> bool:
        """Change the row of a message unless another process took over the claim; return whether it
        changed.
        """
        c = alert_delivery.c
        done = self._conn.execute(
            update(alert_delivery)
            # a claim expires: another process may be sending the message by now
            .where(c.delivery_id == delivery.delivery_id, c.claimed_by == claimant)
            .values(**values)
        )
        return bool(done.rowcount)

    def _update(self, changed: Alert) -> None:
        row = _row(changed)
        self._conn.execute(update(alert).where(alert.c.key == changed.key).values(row))

    def _add(self, channel: str, message: Message, now: Instant) -> None:
        self._conn.execute(
            insert(alert_delivery).values(
                channel=channel,
                created_at=now,
                next_at=now,
                attempts=0,
                taken_by="[]",
                message=msgspec.json.encode(message).decode(),
            )
        )

    def _forget(self, before: Instant) -> None:
        self._conn.execute(delete(alert).where(alert.c.cleared_at < before))
        self._conn.execute(delete(alert_delivery).where(alert_delivery.c.created_at < before))


def wait_s(attempts: int) -> int:
    """Return the seconds from a failed attempt to the next: 1, 2, 4 … minutes, at most an hour."""
    # 10: the power must not grow without end while a channel is away for weeks
    doubled: int = FIRST_WAIT_S * 2 ** min(attempts - 1, 10)
    return min(LONGEST_WAIT_S, doubled)


# one condition for `due` and `claim`: what is listed as due can be claimed
def _free(now: Instant) -> tuple[Any, ...]:
    c = alert_delivery.c
    return (
        c.sent_at.is_(None),
        c.gave_up_at.is_(None),
        c.next_at <= now,
        or_(c.claimed_until.is_(None), c.claimed_until <= now),
    )


def _channels_in(rows: Iterable[Any]) -> list[str]:
    return sorted({row.channel for row in rows})


def _alert(row: Any) -> Alert:
    # columns are named as the fields are, so that a fact of an alert is named once
    return Alert(**{**row._mapping, "deliveries": json.loads(row.deliveries)})


def _row(kept: Alert) -> dict[str, Any]:
    return {**asdict(kept), "deliveries": json.dumps(kept.deliveries, sort_keys=True)}
