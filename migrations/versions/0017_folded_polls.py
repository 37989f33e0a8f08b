"""old polls, folded into counts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

OUTCOMES = "'complete', 'partial', 'failed', 'skipped'"
BEGINS = "of the quarter of an hour in which they began, which days of every time zone hold whole"
ABOUT = "How many old polls were folded: their rows of sync_run are no more, since no figure rests on them but their number"


def upgrade() -> None:
    instant = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
    op.create_table(
        "folded_poll",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("resource", sa.Text(), nullable=False, comment="what was polled"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="as in sync_run"),
        sa.Column("begins_at", instant, nullable=False, comment=BEGINS),
        sa.Column("polls", sa.Integer(), nullable=False, comment="how many"),
        sa.CheckConstraint(f"outcome IN ({OUTCOMES})", name=op.f("ck_folded_poll_outcome")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_folded_poll_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "resource", "outcome", "begins_at", name=op.f("pk_folded_poll")
        ),
        comment=ABOUT,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("folded_poll")
