"""leases of instances, and limits of accounts, projects and owners"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
LEASE = "How long and how much each instance may run: the first that matches holds. Nothing is stopped by it"
LIMIT = "What an account, a project or an owner may use. Nothing is stopped by it"
CARRIED = "at most so many card-seconds are carried over into the next month"


def _text(name: str, about: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=about)


def _dated(table: str) -> list[Any]:
    return [
        sa.Column("valid_from", INSTANT, comment="from when on; null: since ever"),
        sa.Column("valid_to", INSTANT, comment="until when, not included; null: until another"),
        _text("note", "the user's words"),
        sa.CheckConstraint("valid_from < valid_to", name=op.f(f"ck_{table}_instants")),
    ]


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("lease_no", sa.Integer(), nullable=False, comment="1 is asked first"),
        _text("account", "the account's name; null: any"),
        _text("instance_uuid", "instance; null: any"),
        _text("title", "pattern of its title with * and ?; null: any"),
        _text("image", "its image, by uuid or pattern of the name; null: any"),
        _text("project", "project that pays; null: any"),
        _text("owner", "who it is for; null: any"),
        sa.Column("until", INSTANT, comment="until when it may run, not included; null: for ever"),
        sa.Column(
            "max_running_s", sa.BigInteger(), comment="seconds for which it may run; null: any"
        ),
        sa.Column("max_gpus", sa.Integer(), comment="GPUs that it may have; null: any"),
        *_dated("lease"),
        sa.CheckConstraint("max_running_s >= 0 AND max_gpus >= 0", name=op.f("ck_lease_amounts")),
        sa.PrimaryKeyConstraint("lease_no", name=op.f("pk_lease")),
        comment=LEASE,
    )
    op.create_table(
        "usage_limit",
        sa.Column("limit_no", sa.Integer(), nullable=False, comment="its place"),
        _text("scope", "account, project or owner", nullable=False),
        _text("name", "of the account, project or owner", nullable=False),
        sa.Column("month_gpu_s", sa.BigInteger(), comment="card-seconds a month; null: any"),
        sa.Column("carry_s", sa.BigInteger(), nullable=False, comment=CARRIED),
        sa.Column("max_gpus", sa.Integer(), comment="GPUs that may run at a time; null: any"),
        *_dated("usage_limit"),
        sa.CheckConstraint(
            "scope IN ('account', 'project', 'owner')", name=op.f("ck_usage_limit_scope")
        ),
        sa.CheckConstraint(
            "month_gpu_s >= 0 AND carry_s >= 0 AND max_gpus >= 0",
            name=op.f("ck_usage_limit_amounts"),
        ),
        sa.PrimaryKeyConstraint("limit_no", name=op.f("pk_usage_limit")),
        comment=LIMIT,
    )
    held = sa.Column(
        "lease_no",
        sa.Integer(),
        nullable=False,
        server_default="0",
        comment="the lease that holds; 0: none",
    )
    op.add_column("allocation", held)


def downgrade() -> None:
    op.drop_column("allocation", "lease_no")
    op.drop_table("usage_limit")
    op.drop_table("lease")
