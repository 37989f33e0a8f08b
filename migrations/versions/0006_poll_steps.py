"""how far complete polls are apart, kept with each, so that gaps are found without reading all polls"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

STEPS = """
    UPDATE sync_run SET polls_before = s.polls_before, step_s = s.step_s, gap_s = s.gap_s
    FROM (
        SELECT
            sync_run_id AS run_id,
            ROW_NUMBER() OVER polls - 1 AS polls_before,
            {epoch}started_at) - {epoch}LAG(started_at) OVER polls) AS step_s,
            {epoch}started_at) - {epoch}LAG(finished_at) OVER polls) AS gap_s
        FROM sync_run
        WHERE outcome = 'complete'
        WINDOW polls AS (PARTITION BY account_id, resource ORDER BY started_at, sync_run_id)
    ) s
    WHERE s.run_id = sync_run.sync_run_id
"""
EPOCH = {"sqlite": "strftime('%s', ", "postgresql": "EXTRACT(EPOCH FROM "}
ABOUT = {
    "polls_before": "complete polls of the resource before it; null: it is not complete itself",
    "step_s": "seconds from the start of the complete poll before to its own; null: there is none",
    "gap_s": "seconds from the end of that poll to the start of this one",
}
INDEXES = {
    "ix_sync_run_gap": (["account_id", "resource", "started_at"], "gap_s > 600"),
    "ix_sync_run_sample": (
        ["account_id", "resource", "polls_before", "step_s"],
        "polls_before = 19 * (polls_before / 19)",
    ),
}


def upgrade() -> None:
    for name, about in ABOUT.items():
        op.add_column("sync_run", sa.Column(name, sa.Integer(), comment=about))
    op.execute(STEPS.format(epoch=EPOCH[op.get_bind().dialect.name]))
    for name, (columns, where) in INDEXES.items():
        said = sa.text(where)
        op.create_index(name, "sync_run", columns, sqlite_where=said, postgresql_where=said)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="sync_run")
    for name in ABOUT:
        op.drop_column("sync_run", name)
