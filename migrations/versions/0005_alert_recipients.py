"""which recipients of a channel took a message, and plainer comments of alerts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COMMENTS = (
    ("alert", "zh", "the text that was sent last, in Chinese", "what was said last, in Chinese"),
    (
        "alert",
        "last_sent_at",
        "when it was last sent; null: never",
        "when a message last said it; null: never",
    ),
    (
        "alert",
        "acked_at",
        "when somebody acknowledged it; no reminders after it",
        "when somebody said that they know; no reminders after it",
    ),
    (
        "alert",
        "deliveries",
        "JSON: when it was last sent, epoch seconds by channel",
        "JSON: when it was last said, epoch seconds by channel",
    ),
    (
        "alert_delivery",
        "message",
        "JSON: its text, and its causes",
        "JSON: what it says, and of which causes",
    ),
)
"""(table, column, comment, comment before)."""


def upgrade() -> None:
    taken_by = sa.Column(
        "taken_by",
        sa.Text(),
        nullable=False,
        server_default="[]",
        comment="JSON: recipients of the channel that took it, by names without secrets",
    )
    op.add_column("alert_delivery", taken_by)
    for table, column, comment, _ in COMMENTS:
        _comment(table, column, comment)


def downgrade() -> None:
    op.drop_column("alert_delivery", "taken_by")
    for table, column, _, before in COMMENTS:
        _comment(table, column, before)


def _comment(table: str, column: str, comment: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column(table, column, comment=comment)
