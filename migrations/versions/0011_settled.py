"""stops that the bill knows, and whether accounts are settled at stops"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
SETTLEMENTS = "how many settlement windows of the bill may end with its stop; null: not asked, since the bill does not reach there, or no price is known"
SETTLED = "the end of that window if there is just one"
COUNTS = {
    "judged": "newest stops that the bill reaches",
    "matched": "of them, with a window that may end there",
    "single": "of them, with exactly one",
}
RULE = "Whether an account is settled at stops, by its newest stops; derived from instance_usage and bill"
INDEX = "ix_bill_account_id_settle_start_at"


def upgrade() -> None:
    op.add_column("instance_usage", sa.Column("settlements", sa.Integer(), comment=SETTLEMENTS))
    op.add_column("instance_usage", sa.Column("settled_at", INSTANT, comment=SETTLED))
    op.create_index(INDEX, "bill", ["account_id", "settle_start_at"])
    op.create_table(
        "settlement_rule",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("bill_until", INSTANT, comment="end of the newest settlement window"),
        *(
            sa.Column(name, sa.Integer(), nullable=False, comment=about)
            for name, about in COUNTS.items()
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_settlement_rule_account_id_account"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_settlement_rule")),
        comment=RULE,
    )


def downgrade() -> None:
    op.drop_table("settlement_rule")
    op.drop_index(INDEX, "bill")
    op.drop_column("instance_usage", "settled_at")
    op.drop_column("instance_usage", "settlements")
