"""what the estimate of a stop rests on; how long shutting down and booting last"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
EVIDENCE = "what the estimate of its stop rests on: exact, timer, settled (the bill), status (seen shutting down) or middle; null: open, or no stop is estimated"
LENGTH = "How long shutting down and booting last, as learned from all polls up to one that saw a stop or a start; derived from instance_history"
SUMS = {
    "stops": "stops seen up to then, by instances that were seen off later",
    "stopping_seen": "sightings of them while they shut down, millionths",
    "stopping_per_s": "sum of 1 / seconds between the polls around each, 10^-12",
    "starts": "starts seen up to then, by instances that were seen up later",
    "booting_seen": "sightings of them while they booted, millionths",
    "booting_per_s": "sum of 1 / seconds between the polls around each, 10^-12",
}


def upgrade() -> None:
    op.add_column("instance_usage", sa.Column("end_evidence", sa.Text(), comment=EVIDENCE))
    op.create_table(
        "state_length",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column(
            "seen_at", INSTANT, nullable=False, comment="end of the poll that saw the newest"
        ),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False, comment=about)
            for name, about in SUMS.items()
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_state_length_account_id_account"),
        ),
        sa.PrimaryKeyConstraint("account_id", "seen_at", name=op.f("pk_state_length")),
        comment=LENGTH,
    )


def downgrade() -> None:
    op.drop_table("state_length")
    op.drop_column("instance_usage", "end_evidence")
