"""who else may pay while a change of title or image was not seen yet"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

DOUBT = "1 while others may pay: the title or image changed at a moment that nobody saw"
OTHERS = {
    "or_project": "project that then pays",
    "or_owner": "who it is then for",
    "or_cost_centre": "cost centre then",
}


def upgrade() -> None:
    doubtful = sa.Column(
        "is_doubtful", sa.Integer, nullable=False, server_default="0", comment=DOUBT
    )
    op.add_column("allocation", doubtful)
    for name, comment in OTHERS.items():
        op.add_column("allocation", sa.Column(name, sa.Text, comment=comment))


def downgrade() -> None:
    for name in ("is_doubtful", *OTHERS):
        op.drop_column("allocation", name)
