"""versions of the rules and budgets, to come back to"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rule_version",
        sa.Column(
            "version", sa.Integer(), autoincrement=False, nullable=False, comment="1, 2, 3 …"
        ),
        sa.Column("imported_at", INSTANT, nullable=False, comment="when it was imported"),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="the file's name, or what it was restored from",
        ),
        sa.Column("rules", sa.Integer(), nullable=False, comment="number of rules in it"),
        sa.Column("budgets", sa.Integer(), nullable=False, comment="number of budgets in it"),
        sa.Column(
            "content", sa.Text(), nullable=False, comment="all of it, as the text of a TOML file"
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_rule_version")),
        comment="Rules and budgets as they were imported, to come back to",
    )


def downgrade() -> None:
    op.drop_table("rule_version")
