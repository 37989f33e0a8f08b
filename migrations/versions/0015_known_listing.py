"""signatures of the newest listing's records"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

ABOUT = "Signatures of the records of an account's newest listing: one that comes with the same bytes is not read again"
SIGNATURES = "keyed hashes of the records' bytes, 8 bytes each; the key is not in the database"


def upgrade() -> None:
    op.create_table(
        "known_listing",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("resource", sa.Text(), nullable=False, comment="what was listed: instances"),
        sa.Column("digest", sa.Text(), nullable=False, comment="of which listing, as in sync_run"),
        sa.Column("signatures", sa.LargeBinary(), nullable=False, comment=SIGNATURES),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_known_listing_account_id_account"),
        ),
        sa.PrimaryKeyConstraint("account_id", "resource", name=op.f("pk_known_listing")),
        comment=ABOUT,
    )


def downgrade() -> None:
    op.drop_table("known_listing")
