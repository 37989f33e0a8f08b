"""alerts, and the messages on their way"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.dialect.types import UtcInstant

revision = "0004"
down_revision = "0003"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("cleared_at IS NULL")
PENDING = sa.text("sent_at IS NULL AND gave_up_at IS NULL")


def instant(name: str, comment: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, UtcInstant(), nullable=nullable, comment=comment)


def words(name: str, comment: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "alert",
        words("key", "the cause: rule, account and what it is about"),
        words("rule", "which rule: docs/alerts.md"),
        words("account", "the account's name; null: of no single account", nullable=True),
        words("owner", "whose, as the settings say; null: nobody's", nullable=True),
        words("severity", "info, warning or urgent"),
        words("zh", "what was said last, in Chinese"),
        words("en", "the same in English"),
        instant("first_at", "since when it holds", nullable=False),
        instant("last_sent_at", "when a message last said it; null: never"),
        instant("cleared_at", "when it held no longer; null: it holds"),
        instant("acked_at", "when somebody said that they know; no reminders after it"),
        words("deliveries", "JSON: when it was last said, epoch seconds by channel"),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'urgent')", name=op.f("ck_alert_severity")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alert")),
        comment="A cause for an alert: it fires once, may be repeated while it holds, and clears",
    )
    op.create_index("ix_alert_open", "alert", ["key"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "alert_delivery",
        sa.Column("delivery_id", SERIAL, nullable=False, comment="grows with every message"),
        words("channel", "the channel's name in the settings"),
        instant("created_at", "when it was put together", nullable=False),
        instant("next_at", "not tried before this moment", nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="how often it was tried"),
        words("claimed_by", "who sends it just now", nullable=True),
        instant("claimed_until", "after this moment another may send it"),
        instant("sent_at", "when the channel took it; null: not yet"),
        instant("gave_up_at", "when it was given up"),
        words("error", "why the last attempt failed, without secrets", nullable=True),
        words("message", "JSON: what it says, and of which causes"),
        sa.CheckConstraint(
            "sent_at IS NULL OR gave_up_at IS NULL", name=op.f("ck_alert_delivery_ended")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_alert_delivery")),
        comment="A message to a channel, until it is sent or given up",
    )
    op.create_index(
        "ix_alert_delivery_pending",
        "alert_delivery",
        ["next_at"],
        sqlite_where=PENDING,
        postgresql_where=PENDING,
    )
    op.create_index(
        "ix_alert_delivery_channel_created_at", "alert_delivery", ["channel", "created_at"]
    )


def downgrade() -> None:
    op.drop_index("ix_alert_delivery_channel_created_at", table_name="alert_delivery")
    op.drop_index("ix_alert_delivery_pending", table_name="alert_delivery")
    op.drop_table("alert_delivery")
    op.drop_index("ix_alert_open", table_name="alert")
    op.drop_table("alert")
