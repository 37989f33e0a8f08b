"""samples of GPU load"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

GPU = "which of its GPUs: its index, or its uuid if no index was given"
SAMPLES_ABOUT = "Imported samples of a GPU's load in a day, from which gpu_load is made"
LOAD_ABOUT = (
    "A time within a day of UTC in which samples show a GPU busy, or idle; derived from gpu_samples"
)


def _of_gpu() -> list[sa.Column[Any]]:
    return [
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        _number("utc_day", "day of UTC, days since 1970-01-01"),
        sa.Column("gpu", sa.Text(), nullable=False, comment=GPU),
    ]


def _number(name: str, about: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, comment=about)


def _seconds(name: str, about: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, comment=about)


def _instance(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account_id", "instance_uuid"],
        ["instance.account_id", "instance.instance_uuid"],
        name=op.f(f"fk_{table}_account_id_instance"),
    )


def upgrade() -> None:
    op.create_table(
        "gpu_samples",
        *_of_gpu(),
        _number("samples", "how many"),
        sa.Column(
            "packed",
            sa.LargeBinary(),
            nullable=False,
            comment="each sample's second, utilisation and memory, compressed",
        ),
        _instance("gpu_samples"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "utc_day", "gpu", name=op.f("pk_gpu_samples")
        ),
        comment=SAMPLES_ABOUT,
    )
    op.create_table(
        "gpu_load",
        *_of_gpu(),
        _seconds("begins_s", "its first second, epoch seconds"),
        _seconds("ends_s", "the second after it, epoch seconds"),
        _number("is_busy", "1 busy, 0 idle"),
        _number("samples", "samples in it"),
        _seconds("percent_sum", "sum of their utilisation, percent"),
        sa.Column(
            "memory_max_mb", sa.BigInteger(), comment="most GPU memory used, MiB; null: not known"
        ),
        sa.Column("memory_total_mb", sa.BigInteger(), comment="GPU memory, MiB; null: not known"),
        sa.CheckConstraint("begins_s < ends_s", name=op.f("ck_gpu_load_seconds")),
        _instance("gpu_load"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "utc_day", "gpu", "begins_s", name=op.f("pk_gpu_load")
        ),
        comment=LOAD_ABOUT,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("gpu_load")
    op.drop_table("gpu_samples")
