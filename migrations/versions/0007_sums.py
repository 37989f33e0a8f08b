"""closed usage added up by instance and day, so that reports of a year need not read all of its parts"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from etl.dialect.types import CalendarDay

revision = "0007"
down_revision = "0006"

OLD_INDEX, OLD_COLUMNS = "ix_usage_day_day", ["day"]
NEW_INDEX = "ix_usage_day_day_account_id_instance_uuid"
NEW_COLUMNS = ["day", "account_id", "instance_uuid"]
EPOCH = {"sqlite": "CAST(strftime('%s', {}) AS BIGINT)", "postgresql": "EXTRACT(EPOCH FROM {})"}
RUNNING = """
    INSERT INTO running_sum
    SELECT
        day,
        account_id,
        instance_uuid,
        ROW_NUMBER() OVER (
            PARTITION BY day, account_id, instance_uuid ORDER BY MIN(starts_s), MIN(usage_no)
        ),
        gpu_uuid,
        gpu_name,
        gpu_nums,
        SUM(running_s),
        SUM(running_min_s),
        SUM(running_max_s),
        SUM(
            CASE
                WHEN starts_s >= night_ends_s THEN 0
                WHEN starts_s + running_s <= night_ends_s THEN running_s
                ELSE night_ends_s - starts_s
            END
        )
    FROM (
        SELECT d.*, {epoch} AS starts_s, c.starts_s + 28800 AS night_ends_s
        FROM usage_day d
        JOIN calendar_day c ON c.day = d.day
        WHERE d.kind = 'running'
    ) parts
    GROUP BY day, account_id, instance_uuid, gpu_uuid, gpu_name, gpu_nums
"""
COST = """
    INSERT INTO cost_sum
    SELECT
        u.day,
        u.account_id,
        u.instance_uuid,
        ROW_NUMBER() OVER (
            PARTITION BY u.day, u.account_id, u.instance_uuid
            ORDER BY MIN(u.starts_s), MIN(u.usage_no)
        ),
        w.project,
        w.owner,
        w.cost_centre,
        u.kind,
        u.gpu_uuid,
        u.gpu_name,
        u.gpu_nums,
        u.charging_type,
        u.image_uuid,
        u.price_source,
        SUM(u.used_s),
        SUM(u.charged_s),
        SUM(CASE WHEN u.cost_microcny IS NULL THEN u.charged_s ELSE 0 END),
        SUM(CASE WHEN u.cost_microcny IS NULL THEN u.charged_max_s ELSE 0 END),
        SUM(u.cost_microcny),
        SUM(u.cost_min_microcny),
        SUM(u.cost_max_microcny),
        SUM(u.list_cost_microcny)
    FROM usage_cost u
    LEFT JOIN allocation w
        ON w.account_id = u.account_id AND w.instance_uuid = u.instance_uuid
        AND w.starts_s <= u.starts_s AND w.ends_s > u.starts_s
    GROUP BY
        u.day, u.account_id, u.instance_uuid, w.project, w.owner, w.cost_centre, u.kind, u.gpu_uuid,
        u.gpu_name, u.gpu_nums, u.charging_type, u.image_uuid, u.price_source
"""


def upgrade() -> None:
    op.drop_index(OLD_INDEX, table_name="usage_day")
    op.create_index(NEW_INDEX, "usage_day", NEW_COLUMNS)
    _create(
        "running_sum",
        _text("gpu_uuid", "GPU model"),
        _text("gpu_name", "name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), comment="number of GPUs"),
        _count("running_s", "seconds, estimate"),
        _count("running_min_s", "seconds, at least"),
        _count("running_max_s", "seconds, at most"),
        _count("night_s", "of running_s, in the day's first eight hours"),
        comment="Running time of closed stretches in one day, of an instance with one GPU model and"
        " count; derived: usage_day added up",
    )
    _create(
        "cost_sum",
        _text("project", "project that pays"),
        _text("owner", "who it is for"),
        _text("cost_centre", "cost centre"),
        sa.Column("kind", sa.Text(), nullable=False, comment="running or held"),
        _text("gpu_uuid", "GPU model"),
        _text("gpu_name", "name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), comment="number of GPUs"),
        sa.Column(
            "charging_type", sa.Integer(), comment="the source's code; meaning: charging_type"
        ),
        _text("image_uuid", "image, as of its start"),
        sa.Column(
            "price_source",
            sa.Text(),
            nullable=False,
            comment="override, learned, list, list_assumed, unknown",
        ),
        _count("used_s", "seconds of usage, estimate"),
        _count("charged_s", "seconds charged, estimate"),
        _count("unpriced_s", "of them, seconds without a known price"),
        _count("unpriced_max_s", "the same, at most"),
        sa.Column("cost_microcny", sa.BigInteger(), comment="estimate; null: no price is known"),
        sa.Column("cost_min_microcny", sa.BigInteger(), comment="at least"),
        sa.Column("cost_max_microcny", sa.BigInteger(), comment="at most"),
        sa.Column("list_cost_microcny", sa.BigInteger(), comment="at list prices"),
        comment="What closed stretches cost in one day, of an instance on one set of terms that one"
        " project pays; derived: usage_cost added up by what allocation says of the start of each part",
    )
    op.execute(RUNNING.format(epoch=EPOCH[op.get_bind().dialect.name].format("d.started_at")))
    op.execute(COST)


def downgrade() -> None:
    op.drop_table("cost_sum")
    op.drop_table("running_sum")
    op.drop_index(NEW_INDEX, table_name="usage_day")
    op.create_index(OLD_INDEX, "usage_day", OLD_COLUMNS)


def _create(name: str, *columns: sa.Column[Any], comment: str) -> None:
    op.create_table(
        name,
        sa.Column("day", CalendarDay(), nullable=False, comment="day of the reporting time zone"),
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column("line_no", sa.Integer(), nullable=False, comment="1, 2, 3 … by when they began"),
        *columns,
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f(f"fk_{name}_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "day", "account_id", "instance_uuid", "line_no", name=op.f(f"pk_{name}")
        ),
        sqlite_with_rowid=False,
        comment=comment,
    )


def _text(name: str, about: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), comment=about)


def _count(name: str, about: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, comment=about)
