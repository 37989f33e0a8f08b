"""usage before the first poll, as the bill shows it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

TEXTS = {
    "instance_uuid": "identity; null: the bill does not tell",
    "gpu_uuid": "GPU model; null likewise",
    "gpu_name": "name of the GPU model; null likewise",
}
AMOUNT = "the part of their amounts that falls into the day, by time; millionths of a yuan"
ABOUT = "Usage before the first poll as the bill shows it, never mixed with what was observed; derived from bill, prices, the first versions of instances and the charging model"
KIND = "running, or held: charged by the day"


def upgrade() -> None:
    day = sa.Text().with_variant(sa.Date(), "postgresql")
    op.create_table(
        "billed_usage_day",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("part_no", sa.Integer(), nullable=False, comment="1, 2, 3 … without holes"),
        sa.Column("day", day, nullable=False, comment="day of the reporting time zone"),
        sa.Column("kind", sa.Text(), nullable=False, comment=KIND),
        *(sa.Column(name, sa.Text(), comment=about) for name, about in TEXTS.items()),
        sa.Column("gpu_nums", sa.Integer(), comment="number of GPUs; null likewise"),
        sa.Column(
            "charges", sa.Integer(), nullable=False, comment="charges that reach into the day"
        ),
        sa.Column(
            "billed_s",
            sa.BigInteger(),
            nullable=False,
            comment="seconds of their windows in the day",
        ),
        sa.Column("amount_microcny", sa.BigInteger(), nullable=False, comment=AMOUNT),
        sa.CheckConstraint("kind IN ('running', 'held')", name=op.f("ck_billed_usage_day_kind")),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_billed_usage_day_account_id_account"),
        ),
        sa.PrimaryKeyConstraint("account_id", "part_no", name=op.f("pk_billed_usage_day")),
        comment=ABOUT,
    )
    op.create_index("ix_billed_usage_day_day", "billed_usage_day", ["day"])


def downgrade() -> None:
    op.drop_index("ix_billed_usage_day_day", "billed_usage_day")
    op.drop_table("billed_usage_day")
