"""tags of instances, by their titles or by rule"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

TAGS = "its tags: JSON object of texts; null: none"
WAS_DOUBT = "1 while others may pay: the title or image changed at a moment that nobody saw"
DOUBT = (
    "1 while others may pay or tags differ: the title or image changed at a moment that nobody saw"
)
WAS_ALLOCATION = (
    "What the rules say of an instance, while it holds; nothing if there are no rules. Derived"
)
ALLOCATION = "What the rules and its title say of an instance, while it holds; nothing if there are no rules and no tags. Derived"
WAS_SUM = "What closed stretches cost in one day, of an instance on one set of terms that one project pays; derived: usage_cost added up by what allocation says of the start of each part"
SUM = "What closed stretches cost in one day, of an instance on one set of terms that one project pays, with one set of tags; derived: usage_cost added up by what allocation says of the start of each part"
ABOUT = "Tags by rule: for each key the first rule that matches holds, and goes before the title"


def _text(name: str, about: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), comment=about)


def upgrade() -> None:
    instant = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
    op.create_table(
        "tag_rule",
        sa.Column("tag_rule_no", sa.Integer(), nullable=False, comment="1 goes first"),
        _text("account", "the account's name; null: any"),
        _text("instance_uuid", "instance; null: any"),
        _text("title", "pattern of its title with * and ?; null: any"),
        _text("image", "its image, by uuid or pattern of the name; null: any"),
        sa.Column(
            "tags",
            sa.Text(),
            nullable=False,
            comment="the tags that it gives: JSON object of texts",
        ),
        sa.Column("valid_from", instant, comment="from when on; null: since ever"),
        sa.Column("valid_to", instant, comment="until when, not included; null: until another"),
        _text("note", "the user's words"),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_tag_rule_instants")),
        sa.PrimaryKeyConstraint("tag_rule_no", name=op.f("pk_tag_rule")),
        comment=ABOUT,
    )
    for table in ("allocation", "cost_sum", "closed_cost"):
        op.add_column(table, _text("tags", TAGS))
    op.add_column("allocation", _text("or_tags", "its tags then"))
    _comment(DOUBT, ALLOCATION, SUM)


def downgrade() -> None:
    _comment(WAS_DOUBT, WAS_ALLOCATION, WAS_SUM)
    op.drop_column("allocation", "or_tags")
    for table in ("closed_cost", "cost_sum", "allocation"):
        op.drop_column(table, "tags")
    op.drop_table("tag_rule")


def _comment(doubt: str, allocation: str, cost_sum: str) -> None:
    # SQLite keeps no comments
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("allocation", "is_doubtful", comment=doubt)
        op.create_table_comment("allocation", allocation)
        op.create_table_comment("cost_sum", cost_sum)
