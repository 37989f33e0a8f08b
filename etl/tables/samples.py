"""Tables of GPU load: samples from people's files, packed by day, and the times that follow from them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from etl.tables.base import metadata


def _of_gpu() -> tuple[Column[int] | Column[str], ...]:
    return (
        Column("account_id", Integer, nullable=False, comment="whose"),
        Column("instance_uuid", Text, nullable=False, comment="identity"),
        Column("utc_day", Integer, nullable=False, comment="day of UTC, days since 1970-01-01"),
        Column(
            "gpu",
            Text,
            nullable=False,
            comment="which of its GPUs: its index, or its uuid if no index was given",
        ),
    )


def _instance_of_load() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["account_id", "instance_uuid"], ["instance.account_id", "instance.instance_uuid"]
    )


gpu_samples = Table(
    "gpu_samples",
    metadata,
    *_of_gpu(),
    Column("samples", Integer, nullable=False, comment="how many"),
    Column(
        "packed",
        LargeBinary,
        nullable=False,
        comment="each sample's second, utilisation and memory, compressed",
    ),
    PrimaryKeyConstraint("account_id", "instance_uuid", "utc_day", "gpu"),
    _instance_of_load(),
    info={"internal": True},
    comment="Imported samples of a GPU's load in a day, from which gpu_load is made",
)

gpu_load = Table(
    "gpu_load",
    metadata,
    *_of_gpu(),
    Column("begins_s", BigInteger, nullable=False, comment="its first second, epoch seconds"),
    Column("ends_s", BigInteger, nullable=False, comment="the second after it, epoch seconds"),
    Column("is_busy", Integer, nullable=False, comment="1 busy, 0 idle"),
    Column("samples", Integer, nullable=False, comment="samples in it"),
    Column("percent_sum", BigInteger, nullable=False, comment="sum of their utilisation, percent"),
    Column("memory_max_mb", BigInteger, comment="most GPU memory used, MiB; null: not known"),
    Column("memory_total_mb", BigInteger, comment="GPU memory, MiB; null: not known"),
    PrimaryKeyConstraint("account_id", "instance_uuid", "utc_day", "gpu", "begins_s"),
    _instance_of_load(),
    CheckConstraint("begins_s < ends_s", name="seconds"),
    # what a report asks of one instance lies together
    sqlite_with_rowid=False,
    comment="A time within a day of UTC in which samples show a GPU busy, or idle; derived from gpu_samples",
)
