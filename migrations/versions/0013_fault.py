"""a failure of the program itself is a sort of failure, too"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

BEFORE = (
    "which sort of failure it was, for programs: unavailable, limited, key_refused, forbidden, missing,"
    " changed, clock, stale, settings, no_key, archive, lock, busy, away or database; null where it is applied"
)
AFTER = BEFORE.replace("away or database;", "away, database or fault;")


def upgrade() -> None:
    _say(AFTER, BEFORE)


def downgrade() -> None:
    _say(BEFORE, AFTER)


def _say(comment: str, was: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column("sync_run", "error_kind", comment=comment, existing_comment=was)
