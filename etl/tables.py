"""The tables: names, keys and what the databases enforce. The contract is `docs/schema.md`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    and_,
)
from sqlalchemy.types import TypeEngine

from etl.codes import STATES, UNITS
from etl.dialect import CalendarDay, UtcInstant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Serial = BigInteger().with_variant(Integer(), "sqlite")


def _one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def _instance_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["account_id", "instance_uuid"], ["instance.account_id", "instance.instance_uuid"]
    )


FACTS: tuple[tuple[str, type[TypeEngine[Any]]], ...] = (
    ("status", Integer),
    ("title", Text),
    ("create_time", UtcInstant),
    ("start_time", UtcInstant),
    ("charging_type", Integer),
    ("shutdown_time", UtcInstant),
    ("shutdown_enabled", Boolean),
    ("save_image_status", Integer),
    ("image_uuid", Text),
    ("image_name", Text),
    ("image_tag", Text),
    ("gpu_uuid", Text),
    ("gpu_name", Text),
    ("gpu_nums", Integer),
    ("server_url", Text),
    ("server_map", Text),
)
"""The facts of an instance, in the order of `etl.resources.instances.Instance`."""


def _facts() -> list[Column[Any]]:
    return [Column(name, kind, nullable=name != "status") for name, kind in FACTS]


setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("account_id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    UniqueConstraint("name"),
)

sync_run = Table(
    "sync_run",
    metadata,
    Column("sync_run_id", Serial, primary_key=True),
    Column("account_id", Integer, ForeignKey("account.account_id"), nullable=False),
    Column("resource", Text, nullable=False),
    Column("started_at", UtcInstant, nullable=False),
    Column("finished_at", UtcInstant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("walks", Integer, nullable=False),
    Column("listed", Integer),
    Column("reported_total", Integer),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("gone", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("clock_offset_s", Numeric(12, 3, asdecimal=False)),
    Column("digest", Text),
    Column("error", Text),
    _one_of("outcome", ("complete", "partial", "failed", "skipped"), "outcome"),
    CheckConstraint("started_at <= finished_at", name="instants"),
    Index(
        "ix_sync_run_account_id_resource_outcome_started_at",
        "account_id",
        "resource",
        "outcome",
        "started_at",
    ),
)

instance = Table(
    "instance",
    metadata,
    Column("account_id", Integer, ForeignKey("account.account_id"), nullable=False),
    Column("instance_uuid", Text, nullable=False),
    *_facts(),
    Column("version", Integer, nullable=False),
    Column("first_seen_at", UtcInstant, nullable=False),
    Column("changed_at", UtcInstant, nullable=False),
    Column("last_seen_at", UtcInstant),
    Column("missing_since", UtcInstant),
    Column("gone_at", UtcInstant),
    Column("last_start_at", UtcInstant),
    Column("extra", Text),
    PrimaryKeyConstraint("account_id", "instance_uuid"),
    CheckConstraint("first_seen_at <= changed_at", name="instants"),
    CheckConstraint("gone_at IS NULL OR gone_at = missing_since", name="gone_at"),
)
Index(
    "ix_instance_listed",
    instance.c.account_id,
    instance.c.instance_uuid,
    sqlite_where=instance.c.gone_at.is_(None),
    postgresql_where=instance.c.gone_at.is_(None),
)

Index(
    "ix_instance_missing",
    instance.c.account_id,
    instance.c.instance_uuid,
    sqlite_where=and_(instance.c.gone_at.is_(None), instance.c.last_seen_at.is_not(None)),
    postgresql_where=and_(instance.c.gone_at.is_(None), instance.c.last_seen_at.is_not(None)),
)

instance_history = Table(
    "instance_history",
    metadata,
    Column("account_id", Integer, nullable=False),
    Column("instance_uuid", Text, nullable=False),
    Column("version", Integer, nullable=False),
    *_facts(),
    Column("after_at", UtcInstant),
    Column("first_seen_at", UtcInstant, nullable=False),
    Column("began_by", Text, nullable=False),
    Column("last_seen_at", UtcInstant),
    Column("ended_at", UtcInstant),
    Column("ended_by", Text),
    PrimaryKeyConstraint("account_id", "instance_uuid", "version"),
    _instance_key(),
    _one_of("began_by", ("first_seen", "changed", "returned"), "began_by"),
    _one_of("ended_by", ("changed", "gone"), "ended_by"),
    CheckConstraint("first_seen_at <= ended_at", name="instants"),
    CheckConstraint(
        "(ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (last_seen_at IS NULL)",
        name="ended",
    ),
)
Index(
    "uq_instance_history_current",
    instance_history.c.account_id,
    instance_history.c.instance_uuid,
    unique=True,
    sqlite_where=instance_history.c.ended_at.is_(None),
    postgresql_where=instance_history.c.ended_at.is_(None),
)

TERMS: tuple[tuple[str, type[TypeEngine[Any]]], ...] = (
    ("gpu_uuid", Text),
    ("gpu_name", Text),
    ("gpu_nums", Integer),
    ("charging_type", Integer),
)
"""What a stretch is charged by, in the order of `etl.usage.Terms`."""

instance_usage = Table(
    "instance_usage",
    metadata,
    Column("account_id", Integer, nullable=False),
    Column("instance_uuid", Text, nullable=False),
    Column("usage_no", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_at", UtcInstant, nullable=False),
    Column("ended_min", UtcInstant),
    Column("ended_at", UtcInstant),
    Column("ended_max", UtcInstant),
    *(Column(name, kind) for name, kind in TERMS),
    Column("evidence", Text, nullable=False),
    PrimaryKeyConstraint("account_id", "instance_uuid", "usage_no"),
    _instance_key(),
    _one_of("kind", ("running", "held"), "kind"),
    _one_of(
        "evidence",
        ("observed", "booting", "unseen_run", "unknown_start", "possible_run", "gone"),
        "evidence",
    ),
    CheckConstraint(
        "started_at <= ended_min AND ended_min <= ended_at AND ended_at <= ended_max",
        name="instants",
    ),
    CheckConstraint(
        "(ended_min IS NULL) = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_max IS NULL)",
        name="ended",
    ),
)
Index(
    "uq_instance_usage_open",
    instance_usage.c.account_id,
    instance_usage.c.instance_uuid,
    instance_usage.c.kind,
    unique=True,
    sqlite_where=instance_usage.c.ended_at.is_(None),
    postgresql_where=instance_usage.c.ended_at.is_(None),
)

usage_day = Table(
    "usage_day",
    metadata,
    Column("account_id", Integer, nullable=False),
    Column("instance_uuid", Text, nullable=False),
    Column("usage_no", Integer, nullable=False),
    Column("day", CalendarDay, nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_at", UtcInstant, nullable=False),
    Column("running_s", Integer, nullable=False),
    Column("running_min_s", Integer, nullable=False),
    Column("running_max_s", Integer, nullable=False),
    *(Column(name, kind) for name, kind in TERMS),
    PrimaryKeyConstraint("account_id", "instance_uuid", "usage_no", "day"),
    ForeignKeyConstraint(
        ["account_id", "instance_uuid", "usage_no"],
        [
            "instance_usage.account_id",
            "instance_usage.instance_uuid",
            "instance_usage.usage_no",
        ],
    ),
    CheckConstraint(
        "0 <= running_min_s AND running_min_s <= running_s AND running_s <= running_max_s",
        name="bounds",
    ),
    Index("ix_usage_day_day", "day"),
)

rejected_record = Table(
    "rejected_record",
    metadata,
    Column("account_id", Integer, ForeignKey("account.account_id"), nullable=False),
    Column("resource", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload_hash", Text, nullable=False),
    Column("identity", Text),
    Column("first_seen_at", UtcInstant, nullable=False),
    Column("payload", Text, nullable=False),
    PrimaryKeyConstraint("account_id", "resource", "reason", "payload_hash"),
)

instance_status = Table(
    "instance_status",
    metadata,
    Column("status", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("is_up", Boolean, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    _one_of("state", STATES, "state"),
)

charging_type = Table(
    "charging_type",
    metadata,
    Column("charging_type", Integer, primary_key=True, autoincrement=False),
    Column("unit", Text),
    Column("name_en", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    _one_of("unit", UNITS, "unit"),
)

calendar_day = Table(
    "calendar_day",
    metadata,
    Column("day", CalendarDay, primary_key=True),
    Column("starts_s", BigInteger, nullable=False),
    Column("ends_s", BigInteger, nullable=False),
    Column("week", Text, nullable=False),
    Column("month", Text, nullable=False),
    UniqueConstraint("starts_s"),
)
