"""instances, their history and running time, runs, lookups"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.dialect.types import CalendarDay, UtcInstant
from etl.store.schema import seed

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column(
            "account_id", sa.Integer(), nullable=False, comment="leads every key of synced facts"
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="the configured name"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
        comment="An account; never its key",
    )
    op.create_table(
        "calendar_day",
        sa.Column("day", CalendarDay(), nullable=False, comment="the day"),
        sa.Column(
            "starts_s", sa.BigInteger(), nullable=False, comment="its first second, epoch seconds"
        ),
        sa.Column(
            "ends_s", sa.BigInteger(), nullable=False, comment="the first second of the next day"
        ),
        sa.Column("week", sa.Text(), nullable=False, comment="ISO week, 2026-W48"),
        sa.Column("month", sa.Text(), nullable=False, comment="2026-11"),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
        sa.UniqueConstraint("starts_s", name=op.f("uq_calendar_day_starts_s")),
        comment="A day of the reporting time zone",
    )
    op.create_table(
        "charging_type",
        sa.Column(
            "charging_type",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the source's code",
        ),
        sa.Column(
            "unit",
            sa.Text(),
            nullable=True,
            comment="hour, day, week, month or year; null: unknown",
        ),
        sa.Column("name_en", sa.Text(), nullable=False, comment="English name"),
        sa.Column("name_zh", sa.Text(), nullable=False, comment="Chinese name"),
        sa.CheckConstraint(
            "unit IN ('hour', 'day', 'week', 'month', 'year')", name=op.f("ck_charging_type_unit")
        ),
        sa.PrimaryKeyConstraint("charging_type", name=op.f("pk_charging_type")),
        comment="Meaning of a charging code",
    )
    op.create_table(
        "instance_status",
        sa.Column(
            "status", sa.Integer(), autoincrement=False, nullable=False, comment="the source's code"
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="creating, starting, running, restarting, stopping, stopped, destroyed or unknown",
        ),
        sa.Column(
            "is_up",
            sa.Boolean(),
            nullable=False,
            comment="whether it counts as running time: running, restarting",
        ),
        sa.Column("name_en", sa.Text(), nullable=False, comment="English name"),
        sa.Column("name_zh", sa.Text(), nullable=False, comment="Chinese name"),
        sa.CheckConstraint(
            "state IN ('creating', 'starting', 'running', 'restarting', 'stopping', 'stopped', 'destroyed', 'unknown')",
            name=op.f("ck_instance_status_state"),
        ),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_instance_status")),
        comment="Meaning of a status code",
    )
    op.create_table(
        "setting",
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="what: timezone (the zone of days), views (digest of the view texts)",
        ),
        sa.Column("value", sa.Text(), nullable=False, comment="its value"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        comment="What the database itself remembers",
    )
    op.create_table(
        "instance",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column(
            "status",
            sa.Integer(),
            nullable=False,
            comment="the source's code; meaning: instance_status",
        ),
        sa.Column("title", sa.Text(), nullable=True, comment="the user's name for it"),
        sa.Column("create_time", UtcInstant(), nullable=True, comment="creation"),
        sa.Column(
            "start_time",
            UtcInstant(),
            nullable=True,
            comment="start of the current or last run, as listed; null: never, or unreadable (then in extra)",
        ),
        sa.Column(
            "charging_type",
            sa.Integer(),
            nullable=True,
            comment="the source's code; meaning: charging_type",
        ),
        sa.Column(
            "shutdown_time", UtcInstant(), nullable=True, comment="scheduled shutdown; null: none"
        ),
        sa.Column(
            "shutdown_enabled",
            sa.Boolean(),
            nullable=True,
            comment="whether the scheduled shutdown is on",
        ),
        sa.Column(
            "save_image_status",
            sa.Integer(),
            nullable=True,
            comment="1 uploading, 2 uploaded, 3 upload failed",
        ),
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image"),
        sa.Column("image_name", sa.Text(), nullable=True, comment="image name"),
        sa.Column("image_tag", sa.Text(), nullable=True, comment="image tag"),
        sa.Column("gpu_uuid", sa.Text(), nullable=True, comment="GPU model"),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), nullable=True, comment="number of GPUs"),
        sa.Column(
            "server_url",
            sa.Text(),
            nullable=True,
            comment="service addresses: sorted JSON array, without secrets",
        ),
        sa.Column(
            "server_map",
            sa.Text(),
            nullable=True,
            comment="services: sorted JSON array, without secrets",
        ),
        sa.Column("version", sa.Integer(), nullable=False, comment="number of the current version"),
        sa.Column(
            "first_seen_at",
            UtcInstant(),
            nullable=False,
            comment="end of the poll that first saw it",
        ),
        sa.Column(
            "changed_at",
            UtcInstant(),
            nullable=False,
            comment="end of the poll that first saw the current version",
        ),
        sa.Column(
            "last_seen_at",
            UtcInstant(),
            nullable=True,
            comment="null while it is listed and understood; else the start of the last poll that surely saw it",
        ),
        sa.Column(
            "missing_since",
            UtcInstant(),
            nullable=True,
            comment="end of the first complete poll that did not list it; null while listed",
        ),
        sa.Column(
            "gone_at",
            UtcInstant(),
            nullable=True,
            comment="equal to missing_since, set by the second such poll in a row",
        ),
        sa.Column(
            "last_start_at",
            UtcInstant(),
            nullable=True,
            comment="newest start_time that was believed",
        ),
        sa.Column(
            "extra",
            sa.Text(),
            nullable=True,
            comment="JSON of what no column holds, as of the current version, without secrets",
        ),
        sa.CheckConstraint("first_seen_at <= changed_at", name=op.f("ck_instance_instants")),
        sa.CheckConstraint(
            "gone_at IS NULL OR (missing_since IS NOT NULL AND gone_at = missing_since)",
            name=op.f("ck_instance_gone_at"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_instance_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "instance_uuid", name=op.f("pk_instance")),
        comment="An instance as last seen",
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
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("resource", sa.Text(), nullable=False, comment="of what"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="path in the record, and what is wrong there",
        ),
        sa.Column(
            "payload_hash", sa.Text(), nullable=False, comment="SHA-256 of payload, 32 hex digits"
        ),
        sa.Column(
            "identity", sa.Text(), nullable=True, comment="its identity, where that could be read"
        ),
        sa.Column(
            "first_seen_at",
            UtcInstant(),
            nullable=False,
            comment="end of the poll that first brought it",
        ),
        sa.Column(
            "payload", sa.Text(), nullable=False, comment="the record as JSON, without secrets"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_rejected_record_account_id_account"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "resource", "reason", "payload_hash", name=op.f("pk_rejected_record")
        ),
        comment="A record that could not be understood, without secrets",
    )
    op.create_table(
        "sync_run",
        sa.Column(
            "sync_run_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="grows with every attempt",
        ),
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("resource", sa.Text(), nullable=False, comment="what was polled: instances"),
        sa.Column(
            "started_at",
            UtcInstant(),
            nullable=False,
            comment="not later than the first request; source's clock",
        ),
        sa.Column(
            "finished_at",
            UtcInstant(),
            nullable=False,
            comment="not earlier than the last answer; source's clock",
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=False,
            comment="complete (proven whole), partial (what was seen is written), failed (nothing is written), skipped (another sync was at work)",
        ),
        sa.Column(
            "requests", sa.Integer(), nullable=False, comment="HTTP requests sent, retries included"
        ),
        sa.Column("retries", sa.Integer(), nullable=False, comment="of them, repeated ones"),
        sa.Column("walks", sa.Integer(), nullable=False, comment="how often the list was read"),
        sa.Column(
            "listed",
            sa.Integer(),
            nullable=True,
            comment="distinct identities listed; null where nothing was read",
        ),
        sa.Column(
            "reported_total",
            sa.Integer(),
            nullable=True,
            comment="the total that the source reported",
        ),
        sa.Column(
            "added", sa.Integer(), nullable=False, comment="instances seen for the first time"
        ),
        sa.Column(
            "changed",
            sa.Integer(),
            nullable=False,
            comment="versions begun by a change or a return",
        ),
        sa.Column("gone", sa.Integer(), nullable=False, comment="instances declared gone"),
        sa.Column(
            "rejected", sa.Integer(), nullable=False, comment="records that could not be understood"
        ),
        sa.Column(
            "clock_offset_s",
            sa.Numeric(precision=12, scale=3, asdecimal=False),
            nullable=True,
            comment="source's clock minus this machine's, seconds; null: unknown, local clock taken",
        ),
        sa.Column(
            "digest",
            sa.Text(),
            nullable=True,
            comment="of the pages of a complete poll after which nothing was pending; an equal listing needs no decoding",
        ),
        sa.Column(
            "error", sa.Text(), nullable=True, comment="why it is not complete, or what was odd"
        ),
        sa.CheckConstraint(
            "outcome IN ('complete', 'partial', 'failed', 'skipped')",
            name=op.f("ck_sync_run_outcome"),
        ),
        sa.CheckConstraint("started_at <= finished_at", name=op.f("ck_sync_run_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_sync_run_account_id_account")
        ),
        sa.PrimaryKeyConstraint("sync_run_id", name=op.f("pk_sync_run")),
        comment="One attempt to poll one resource of one account, failed and skipped ones too",
    )
    op.create_index(
        "ix_sync_run_account_id_resource_outcome_started_at",
        "sync_run",
        ["account_id", "resource", "outcome", "started_at"],
        unique=False,
    )
    op.create_table(
        "instance_history",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column("version", sa.Integer(), nullable=False, comment="1, 2, 3 … without holes"),
        sa.Column(
            "status",
            sa.Integer(),
            nullable=False,
            comment="the source's code; meaning: instance_status",
        ),
        sa.Column("title", sa.Text(), nullable=True, comment="the user's name for it"),
        sa.Column("create_time", UtcInstant(), nullable=True, comment="creation"),
        sa.Column(
            "start_time",
            UtcInstant(),
            nullable=True,
            comment="start of the current or last run, as listed; null: never, or unreadable (then in extra)",
        ),
        sa.Column(
            "charging_type",
            sa.Integer(),
            nullable=True,
            comment="the source's code; meaning: charging_type",
        ),
        sa.Column(
            "shutdown_time", UtcInstant(), nullable=True, comment="scheduled shutdown; null: none"
        ),
        sa.Column(
            "shutdown_enabled",
            sa.Boolean(),
            nullable=True,
            comment="whether the scheduled shutdown is on",
        ),
        sa.Column(
            "save_image_status",
            sa.Integer(),
            nullable=True,
            comment="1 uploading, 2 uploaded, 3 upload failed",
        ),
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image"),
        sa.Column("image_name", sa.Text(), nullable=True, comment="image name"),
        sa.Column("image_tag", sa.Text(), nullable=True, comment="image tag"),
        sa.Column("gpu_uuid", sa.Text(), nullable=True, comment="GPU model"),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), nullable=True, comment="number of GPUs"),
        sa.Column(
            "server_url",
            sa.Text(),
            nullable=True,
            comment="service addresses: sorted JSON array, without secrets",
        ),
        sa.Column(
            "server_map",
            sa.Text(),
            nullable=True,
            comment="services: sorted JSON array, without secrets",
        ),
        sa.Column(
            "after_at",
            UtcInstant(),
            nullable=True,
            comment="it began after this moment; null: it was there before we looked",
        ),
        sa.Column(
            "first_seen_at",
            UtcInstant(),
            nullable=False,
            comment="end of the poll that first saw it: it began not later",
        ),
        sa.Column(
            "began_by",
            sa.Text(),
            nullable=False,
            comment="first_seen, changed or returned (after it was declared gone)",
        ),
        sa.Column(
            "last_seen_at",
            UtcInstant(),
            nullable=True,
            comment="it still held at this moment; null while current",
        ),
        sa.Column(
            "ended_at",
            UtcInstant(),
            nullable=True,
            comment="first_seen_at of the next version, or missing_since; null while current",
        ),
        sa.Column(
            "ended_by", sa.Text(), nullable=True, comment="changed or gone; null while current"
        ),
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
        comment="One version of an instance. Open at t: first_seen_at <= t and (ended_at is null or t < ended_at)",
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
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column("usage_no", sa.Integer(), nullable=False, comment="1, 2, 3 … without holes"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="running, or held (prepaid: from creation to gone)",
        ),
        sa.Column("started_at", UtcInstant(), nullable=False, comment="its start"),
        sa.Column(
            "ended_min",
            UtcInstant(),
            nullable=True,
            comment="it surely lasted until then; null while open",
        ),
        sa.Column(
            "ended_at",
            UtcInstant(),
            nullable=True,
            comment="best estimate of its end; null while open",
        ),
        sa.Column(
            "ended_max",
            UtcInstant(),
            nullable=True,
            comment="it lasted until then at the latest; null while open",
        ),
        sa.Column("gpu_uuid", sa.Text(), nullable=True, comment="GPU model"),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), nullable=True, comment="number of GPUs"),
        sa.Column(
            "charging_type",
            sa.Integer(),
            nullable=True,
            comment="the source's code; meaning: charging_type",
        ),
        sa.Column(
            "evidence",
            sa.Text(),
            nullable=False,
            comment="observed, booting (not yet seen up), unseen_run (fell between two polls), unknown_start, possible_run (no run may have been), gone",
        ),
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
        comment="A stretch of running time of one instance with one GPU model, count and charging type; or, for prepaid charging, of time for which it was held",
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
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column("usage_no", sa.Integer(), nullable=False, comment="of the stretch"),
        sa.Column("day", CalendarDay(), nullable=False, comment="day of the reporting time zone"),
        sa.Column("kind", sa.Text(), nullable=False, comment="running or held"),
        sa.Column("started_at", UtcInstant(), nullable=False, comment="start of the part"),
        sa.Column("running_s", sa.Integer(), nullable=False, comment="seconds, estimate"),
        sa.Column("running_min_s", sa.Integer(), nullable=False, comment="seconds, at least"),
        sa.Column("running_max_s", sa.Integer(), nullable=False, comment="seconds, at most"),
        sa.Column("gpu_uuid", sa.Text(), nullable=True, comment="GPU model"),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), nullable=True, comment="number of GPUs"),
        sa.Column(
            "charging_type",
            sa.Integer(),
            nullable=True,
            comment="the source's code; meaning: charging_type",
        ),
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
        comment="The part of a closed stretch that falls into one day; derived from instance_usage",
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
