"""accounts may be retired: their history stays, nobody watches them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    comment = "since when nobody watches it; null: it is watched"
    op.add_column("account", sa.Column("retired_at", INSTANT, comment=comment))


def downgrade() -> None:
    op.drop_column("account", "retired_at")
