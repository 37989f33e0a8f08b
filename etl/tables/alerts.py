"""Alerts: causes, when each was sent, and the messages on their way."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from etl.dialect import UtcInstant
from etl.tables.base import Serial, metadata, one_of

alert = Table(
    "alert",
    metadata,
    # by the cause, not by a number: the next tick must find the alert that it caused
    Column("key", Text, nullable=False, comment="the cause: rule, account and what it is about"),
    Column("rule", Text, nullable=False, comment="which rule: docs/alerts.md"),
    Column("account", Text, comment="the account's name; null: of no single account"),
    Column("owner", Text, comment="whose, as the settings say; null: nobody's"),
    Column("severity", Text, nullable=False, comment="info, warning or urgent"),
    Column("zh", Text, nullable=False, comment="the text that was sent last, in Chinese"),
    Column("en", Text, nullable=False, comment="the same in English"),
    Column("first_at", UtcInstant, nullable=False, comment="since when it holds"),
    Column("last_sent_at", UtcInstant, comment="when it was last sent; null: never"),
    Column("cleared_at", UtcInstant, comment="when it held no longer; null: it holds"),
    Column("acked_at", UtcInstant, comment="when somebody acknowledged it; no reminders after it"),
    Column(
        "deliveries",
        Text,
        nullable=False,
        comment="JSON: when it was last sent, epoch seconds by channel",
    ),
    # it says account and object too: a cause has one row, however often it is judged
    PrimaryKeyConstraint("key"),
    one_of("severity", ("info", "warning", "urgent"), "severity"),
    comment="A cause for an alert: it fires once, may be repeated while it holds, and clears",
    info={"internal": True},
)
# a tick asks for the open ones each minute, among the alerts of three months
Index("ix_alert_open", alert.c.key, info={"where": alert.c.cleared_at.is_(None)})

alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("delivery_id", Serial, primary_key=True, comment="grows with every message"),
    Column("channel", Text, nullable=False, comment="the channel's name in the settings"),
    Column("created_at", UtcInstant, nullable=False, comment="when it was put together"),
    Column("next_at", UtcInstant, nullable=False, comment="not tried before this moment"),
    Column("attempts", Integer, nullable=False, comment="how often it was tried"),
    Column("claimed_by", Text, comment="who sends it just now"),
    Column("claimed_until", UtcInstant, comment="after this moment another may send it"),
    Column("sent_at", UtcInstant, comment="when the channel took it; null: not yet"),
    Column("gave_up_at", UtcInstant, comment="when it was given up"),
    Column("error", Text, comment="why the last attempt failed, without secrets"),
    Column(
        "taken_by",
        Text,
        nullable=False,
        server_default="[]",
        comment="JSON: recipients of the channel that took it, by names without secrets",
    ),
    Column("message", Text, nullable=False, comment="JSON: its text, and its causes"),
    CheckConstraint("sent_at IS NULL OR gave_up_at IS NULL", name="ended"),
    comment="A message to a channel, until it is sent or given up",
    info={"internal": True},
)
Index(
    # nearly all messages are sent: the index holds the few that are not
    "ix_alert_delivery_pending",
    alert_delivery.c.next_at,
    info={"where": alert_delivery.c.sent_at.is_(None) & alert_delivery.c.gave_up_at.is_(None)},
)
Index("ix_alert_delivery_channel_created_at", alert_delivery.c.channel, alert_delivery.c.created_at)
