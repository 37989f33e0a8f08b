"""the sort of failure of a poll, apart from its words; attempts by their order"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KIND = (
    "which sort of failure it was, for programs: unavailable, limited, key_refused, forbidden, missing,"
    " changed, clock, stale, settings, no_key, archive, lock, busy, away or database; null where it is applied"
)
COMMENTS = {
    "started_at": (
        "not later than the first request; source's clock",
        "not later than the first request; source's clock, 5 s early for the skew of its servers",
    ),
    "finished_at": (
        "not earlier than the last answer; source's clock",
        "not earlier than the last answer; source's clock, 5 s late",
    ),
    "clock_offset_s": (
        "source's clock minus this machine's, seconds; null: unknown, local clock taken",
        "source's clock minus this machine's, seconds, as it was measured; null: it was not",
    ),
}


def upgrade() -> None:
    op.add_column("sync_run", sa.Column("error_kind", sa.Text(), comment=KIND))
    op.create_index(
        "ix_sync_run_account_id_resource_sync_run_id",
        "sync_run",
        ["account_id", "resource", "sync_run_id"],
    )
    _say({name: new for name, (_, new) in COMMENTS.items()})


def downgrade() -> None:
    _say({name: old for name, (old, _) in COMMENTS.items()})
    op.drop_index("ix_sync_run_account_id_resource_sync_run_id", "sync_run")
    op.drop_column("sync_run", "error_kind")


def _say(comments: dict[str, str]) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        for name, comment in comments.items():
            op.alter_column("sync_run", name, comment=comment)
