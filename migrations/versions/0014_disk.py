"""the size of an instance's disk is a fact"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for table in ("instance", "instance_history"):
        op.add_column(table, sa.Column("disk_gb", sa.Integer(), comment="size of its disk"))


def downgrade() -> None:
    for table in ("instance", "instance_history"):
        op.drop_column(table, "disk_gb")
