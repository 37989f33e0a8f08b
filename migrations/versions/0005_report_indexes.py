"""indexes by time, so that reports read their period alone"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

POLLS = ["account_id", "resource", "outcome", "started_at"]
OLD_POLLS = "ix_sync_run_account_id_resource_outcome_started_at"
NEW = (
    ("sync_run", (*POLLS, "finished_at")),
    ("instance_history", ("first_seen_at", "instance_uuid", "account_id")),
    ("instance_usage", ("started_at",)),
    ("instance_usage", ("ended_max",)),
)


def name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def upgrade() -> None:
    op.drop_index(OLD_POLLS, table_name="sync_run")
    for table, columns in NEW:
        op.create_index(name(table, columns), table, list(columns))


def downgrade() -> None:
    for table, columns in NEW:
        op.drop_index(name(table, columns), table_name=table)
    op.create_index(OLD_POLLS, "sync_run", POLLS)
