"""instances, their history and running time, runs, lookups"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.dialect.types import CalendarDay, UtcInstant
from etl.schema import seed

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "calendar_day",
        sa.Column("day", CalendarDay(), nullable=False),
        sa.Column("starts_s", sa.BigInteger(), nullable=False),
        sa.Column("ends_s", sa.BigInteger(), nullable=False),
        sa.Column("week", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
        sa.UniqueConstraint("starts_s", name=op.f("uq_calendar_day_starts_s")),
    )
    op.create_table(
        "charging_type",
        sa.Column("charging_type", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "unit IN ('hour', 'day', 'week', 'month', 'year')", name=op.f("ck_charging_type_unit")
        ),
        sa.PrimaryKeyConstraint("charging_type", name=op.f("pk_charging_type")),
    )
    op.create_table(
        "instance_status",
        sa.Column("status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_up", sa.Boolean(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('creating', 'starting', 'running', 'restarting', 'stopping', 'stopped', 'destroyed', 'unknown')",
            name=op.f("ck_instance_status_state"),
        ),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_instance_status")),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "instance",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("instance_uuid", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("create_time", UtcInstant(), nullable=True),
        sa.Column("start_time", UtcInstant(), nullable=True),
        sa.Column("charging_type", sa.Integer(), nullable=True),
        sa.Column("shutdown_time", UtcInstant(), nullable=True),
        sa.Column("shutdown_enabled", sa.Boolean(), nullable=True),
        sa.Column("save_image_status", sa.Integer(), nullable=True),
        sa.Column("image_uuid", sa.Text(), nullable=True),
        sa.Column("image_name", sa.Text(), nullable=True),
        sa.Column("image_tag", sa.Text(), nullable=True),
        sa.Column("gpu_uuid", sa.Text(), nullable=True),
        sa.Column("gpu_name", sa.Text(), nullable=True),
        sa.Column("gpu_nums", sa.Integer(), nullable=True),
        sa.Column("server_url", sa.Text(), nullable=True),
        sa.Column("server_map", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", UtcInstant(), nullable=False),
        sa.Column("changed_at", UtcInstant(), nullable=False),
        sa.Column("last_seen_at", UtcInstant(), nullable=True),
        sa.Column("missing_since", UtcInstant(), nullable=True),
        sa.Column("gone_at", UtcInstant(), nullable=True),
        sa.Column("last_start_at", UtcInstant(), nullable=True),
        sa.Column("extra", sa.Text(), nullable=True),
        sa.CheckConstraint("first_seen_at <= changed_at", name=op.f("ck_instance_instants")),
        sa.CheckConstraint(
            "gone_at IS NULL OR gone_at = missing_since", name=op.f("ck_instance_gone_at")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_instance_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "instance_uuid", name=op.f("pk_instance")),
    )
    op.create_index(
        "ix_instance_listed",
        "instance",
        ["account_id", "instance_uuid"],
        unique=False,
        sqlite_where=sa.text("gone_at IS NULL"),
        postgresql_where=sa.text("gone_at IS NULL"),
    )
    op.create_index(
        "ix_instance_missing",
        "instance",
        ["account_id", "instance_uuid"],
        unique=False,
        sqlite_where=sa.text("gone_at IS NULL AND last_seen_at IS NOT NULL"),
        postgresql_where=sa.text("gone_at IS NULL AND last_seen_at IS NOT NULL"),
    )
    op.create_table(
        "rejected_record",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("first_seen_at", UtcInstant(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_rejected_record_account_id_account"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "resource", "reason", "payload_hash", name=op.f("pk_rejected_record")
        ),
    )
    op.create_table(
        "sync_run",
        sa.Column(
            "sync_run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("started_at", UtcInstant(), nullable=False),
        sa.Column("finished_at", UtcInstant(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("walks", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Integer(), nullable=True),
        sa.Column("reported_total", sa.Integer(), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column(
            "clock_offset_s", sa.Numeric(precision=12, scale=3, asdecimal=False), nullable=True
        ),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('complete', 'partial', 'failed', 'skipped')",
            name=op.f("ck_sync_run_outcome"),
        ),
        sa.CheckConstraint("started_at <= finished_at", name=op.f("ck_sync_run_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_sync_run_account_id_account")
        ),
        sa.PrimaryKeyConstraint("sync_run_id", name=op.f("pk_sync_run")),
    )
    op.create_index(
        "ix_sync_run_account_id_resource_outcome_started_at",
        "sync_run",
        ["account_id", "resource", "outcome", "started_at"],
        unique=False,
    )
    op.create_table(
        "instance_history",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("instance_uuid", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("create_time", UtcInstant(), nullable=True),
        sa.Column("start_time", UtcInstant(), nullable=True),
        sa.Column("charging_type", sa.Integer(), nullable=True),
        sa.Column("shutdown_time", UtcInstant(), nullable=True),
        sa.Column("shutdown_enabled", sa.Boolean(), nullable=True),
        sa.Column("save_image_status", sa.Integer(), nullable=True),
        sa.Column("image_uuid", sa.Text(), nullable=True),
        sa.Column("image_name", sa.Text(), nullable=True),
        sa.Column("image_tag", sa.Text(), nullable=True),
        sa.Column("gpu_uuid", sa.Text(), nullable=True),
        sa.Column("gpu_name", sa.Text(), nullable=True),
        sa.Column("gpu_nums", sa.Integer(), nullable=True),
        sa.Column("server_url", sa.Text(), nullable=True),
        sa.Column("server_map", sa.Text(), nullable=True),
        sa.Column("after_at", UtcInstant(), nullable=True),
        sa.Column("first_seen_at", UtcInstant(), nullable=False),
        sa.Column("began_by", sa.Text(), nullable=False),
        sa.Column("last_seen_at", UtcInstant(), nullable=True),
        sa.Column("ended_at", UtcInstant(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "began_by IN ('first_seen', 'changed', 'returned')",
            name=op.f("ck_instance_history_began_by"),
        ),
        sa.CheckConstraint(
            "ended_by IN ('changed', 'gone')", name=op.f("ck_instance_history_ended_by")
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (last_seen_at IS NULL)",
            name=op.f("ck_instance_history_ended"),
        ),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_instance_history_instants")),
        sa.ForeignKeyConstraint(
            ["account_id", "instance_uuid"],
            ["instance.account_id", "instance.instance_uuid"],
            name=op.f("fk_instance_history_account_id_instance_uuid_instance"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "version", name=op.f("pk_instance_history")
        ),
    )
    op.create_index(
        "uq_instance_history_current",
        "instance_history",
        ["account_id", "instance_uuid"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "instance_usage",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("instance_uuid", sa.Text(), nullable=False),
        sa.Column("usage_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", UtcInstant(), nullable=False),
        sa.Column("ended_min", UtcInstant(), nullable=True),
        sa.Column("ended_at", UtcInstant(), nullable=True),
        sa.Column("ended_max", UtcInstant(), nullable=True),
        sa.Column("gpu_uuid", sa.Text(), nullable=True),
        sa.Column("gpu_name", sa.Text(), nullable=True),
        sa.Column("gpu_nums", sa.Integer(), nullable=True),
        sa.Column("charging_type", sa.Integer(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "evidence IN ('observed', 'booting', 'unseen_run', 'unknown_start', 'possible_run', 'gone')",
            name=op.f("ck_instance_usage_evidence"),
        ),
        sa.CheckConstraint("kind IN ('running', 'held')", name=op.f("ck_instance_usage_kind")),
        sa.CheckConstraint(
            "(ended_min IS NULL) = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_max IS NULL)",
            name=op.f("ck_instance_usage_ended"),
        ),
        sa.CheckConstraint(
            "started_at <= ended_min AND ended_min <= ended_at AND ended_at <= ended_max",
            name=op.f("ck_instance_usage_instants"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "instance_uuid"],
            ["instance.account_id", "instance.instance_uuid"],
            name=op.f("fk_instance_usage_account_id_instance_uuid_instance"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "usage_no", name=op.f("pk_instance_usage")
        ),
    )
    op.create_index(
        "uq_instance_usage_open",
        "instance_usage",
        ["account_id", "instance_uuid", "kind"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "usage_day",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("instance_uuid", sa.Text(), nullable=False),
        sa.Column("usage_no", sa.Integer(), nullable=False),
        sa.Column("day", CalendarDay(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", UtcInstant(), nullable=False),
        sa.Column("running_s", sa.Integer(), nullable=False),
        sa.Column("running_min_s", sa.Integer(), nullable=False),
        sa.Column("running_max_s", sa.Integer(), nullable=False),
        sa.Column("gpu_uuid", sa.Text(), nullable=True),
        sa.Column("gpu_name", sa.Text(), nullable=True),
        sa.Column("gpu_nums", sa.Integer(), nullable=True),
        sa.Column("charging_type", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "0 <= running_min_s AND running_min_s <= running_s AND running_s <= running_max_s",
            name=op.f("ck_usage_day_bounds"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "instance_uuid", "usage_no"],
            [
                "instance_usage.account_id",
                "instance_usage.instance_uuid",
                "instance_usage.usage_no",
            ],
            name=op.f("fk_usage_day_account_id_instance_uuid_usage_no_instance_usage"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "usage_no", "day", name=op.f("pk_usage_day")
        ),
    )
    op.create_index("ix_usage_day_day", "usage_day", ["day"], unique=False)
    seed(op.get_bind())


def downgrade() -> None:
    op.drop_index("ix_usage_day_day", table_name="usage_day")
    op.drop_table("usage_day")
    op.drop_index(
        "uq_instance_usage_open",
        table_name="instance_usage",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("instance_usage")
    op.drop_index(
        "uq_instance_history_current",
        table_name="instance_history",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("instance_history")
    op.drop_index("ix_sync_run_account_id_resource_outcome_started_at", table_name="sync_run")
    op.drop_table("sync_run")
    op.drop_table("rejected_record")
    op.drop_index(
        "ix_instance_missing",
        table_name="instance",
        sqlite_where=sa.text("gone_at IS NULL AND last_seen_at IS NOT NULL"),
        postgresql_where=sa.text("gone_at IS NULL AND last_seen_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_instance_listed",
        table_name="instance",
        sqlite_where=sa.text("gone_at IS NULL"),
        postgresql_where=sa.text("gone_at IS NULL"),
    )
    op.drop_table("instance")
    op.drop_table("setting")
    op.drop_table("instance_status")
    op.drop_table("charging_type")
    op.drop_table("calendar_day")
    op.drop_table("account")
