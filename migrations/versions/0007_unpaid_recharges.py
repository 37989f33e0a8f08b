"""recharges that were ordered and not paid are told apart"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "recharge",
        sa.Column(
            "is_paid",
            sa.Integer(),
            nullable=False,
            server_default="1",
            comment="0 where the source gives an empty pay_time: it is no money yet",
        ),
    )
    # else the next poll passes over a listing of equal bytes, and all it holds stays paid
    op.execute("UPDATE sync_run SET digest = NULL WHERE resource = 'recharges'")


def downgrade() -> None:
    op.drop_column("recharge", "is_paid")
