"""paid runs of workflows, and private images"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

FIRST_SEEN = "end of the poll that first saw it"
MISSING_WINDOW = "end of the first whole listing that lacked it; null while listed"
SUPERSEDED = "end of the second such listing in a row: it counts no longer; null: it holds"
EXTRA = "JSON of what no column holds, without secrets"
AFTER = "it began after this moment; null: was there before"
LAST_SEEN = "null while it is listed; else the start of the last poll that surely saw it"
MISSING = "end of the first complete poll that did not list it; null while listed"
ENDED = "first_seen_at of the next, or missing_since; null: current"


def _text(name: str, about: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), comment=about)


def _amount(name: str, about: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), comment=f"{about}; millionths of a yuan")


def _instant(name: str, about: str, *, nullable: bool = True) -> sa.Column[Any]:
    kind = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
    return sa.Column(name, kind, nullable=nullable, comment=about)


def _whose() -> sa.Column[Any]:
    return sa.Column("account_id", sa.Integer(), nullable=False, comment="whose")


def _owned(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account_id"], ["account.account_id"], name=op.f(f"fk_{table}_account_id_account")
    )


def upgrade() -> None:
    op.create_table(
        "workflow_run",
        _whose(),
        sa.Column("run_order_id", sa.Text(), nullable=False, comment="identity"),
        _text("workflow_id", "which workflow ran"),
        _text("revision_id", "which revision of it"),
        _text("run_status", "the source's word: queued, running, succeeded, failed"),
        _text("freeze_status", "the source's word for the frozen money"),
        _text("settlement_status", "the source's word for its settlement"),
        _amount("quote_microcny", "frozen when it was submitted"),
        _amount("final_microcny", "settled at its end"),
        _amount("released_microcny", "released at its end"),
        _amount("compute_microcny", "of the total, computing"),
        _amount("external_model_microcny", "of the total, models of others"),
        _amount("total_microcny", "what it cost"),
        sa.Column("execution_s", sa.Integer(), comment="seconds for which it really ran"),
        _instant("created_at", "when it was submitted"),
        _instant("started_at", "when it began to run"),
        _instant("ended_at", "when it succeeded or failed; null: not yet"),
        _instant("first_seen_at", FIRST_SEEN, nullable=False),
        _instant("changed_at", "end of the poll that last changed it", nullable=False),
        _text("extra", EXTRA),
        _instant("missing_since", MISSING_WINDOW),
        _instant("superseded_at", SUPERSEDED),
        _owned("workflow_run"),
        sa.PrimaryKeyConstraint("account_id", "run_order_id", name=op.f("pk_workflow_run")),
        comment="A paid run of a workflow, as last seen; never deleted",
    )
    op.create_table(
        "private_image",
        _whose(),
        sa.Column(
            "uuid", sa.Text(), nullable=False, comment="identity; the image_uuid of instances"
        ),
        _instant("first_seen_at", FIRST_SEEN, nullable=False),
        _text("title", "its name"),
        _text("remark", "what the user says of it"),
        sa.Column("layer_count", sa.Integer(), comment="number of its layers"),
        sa.Column("size_mb", sa.BigInteger(), comment="its size; megabytes"),
        _text("pod_uuid", "the application that it belongs to"),
        _text("pod_tag", "the version of the application"),
        sa.Column(
            "save_image_status", sa.Integer(), comment="1 being saved, 2 saved, 3 saving failed"
        ),
        _instant("create_time", "when it was made"),
        _instant("after_at", AFTER),
        _instant("last_seen_at", LAST_SEEN),
        _instant("missing_since", MISSING),
        _instant("ended_at", ENDED),
        _text("extra", EXTRA),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_private_image_instants")),
        sa.CheckConstraint(
            "ended_at IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_private_image_ended")
        ),
        _owned("private_image"),
        sa.PrimaryKeyConstraint(
            "account_id", "uuid", "first_seen_at", name=op.f("pk_private_image")
        ),
        comment="A private image while it was as it was",
    )
    op.create_index(
        "uq_private_image_current",
        "private_image",
        ["account_id", "uuid"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("private_image")
    op.drop_table("workflow_run")
