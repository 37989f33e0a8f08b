"""what usage costs and who pays; closed months; the evidence of day parts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.dialect.types import CalendarDay, UtcInstant

revision = "0003"
down_revision = "0002"

EVIDENCE = """
    UPDATE usage_day SET evidence = (
        SELECT u.evidence FROM instance_usage u
        WHERE u.account_id = usage_day.account_id AND u.instance_uuid = usage_day.instance_uuid
            AND u.usage_no = usage_day.usage_no
    )
"""


def upgrade() -> None:
    op.create_table(
        "allocation_rule",
        sa.Column(
            "rule_no", sa.Integer(), autoincrement=False, nullable=False, comment="1 is asked first"
        ),
        sa.Column("account", sa.Text(), nullable=True, comment="the account's name; null: any"),
        sa.Column("instance_uuid", sa.Text(), nullable=True, comment="instance; null: any"),
        sa.Column(
            "title",
            sa.Text(),
            nullable=True,
            comment="pattern of its title with * and ?; null: any",
        ),
        sa.Column(
            "image",
            sa.Text(),
            nullable=True,
            comment="its image, by uuid or pattern of the name; null: any",
        ),
        sa.Column("project", sa.Text(), nullable=True, comment="project that pays"),
        sa.Column("owner", sa.Text(), nullable=True, comment="who it is for"),
        sa.Column("cost_centre", sa.Text(), nullable=True, comment="cost centre"),
        sa.Column(
            "valid_from", UtcInstant(), nullable=True, comment="from when on; null: since ever"
        ),
        sa.Column(
            "valid_to",
            UtcInstant(),
            nullable=True,
            comment="until when, not included; null: until another",
        ),
        sa.Column("note", sa.Text(), nullable=True, comment="the user's words"),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_allocation_rule_instants")),
        sa.PrimaryKeyConstraint("rule_no", name=op.f("pk_allocation_rule")),
        comment="Who pays: the first rule that matches holds",
    )
    op.create_table(
        "budget",
        sa.Column("scope", sa.Text(), nullable=False, comment="project or account"),
        sa.Column("name", sa.Text(), nullable=False, comment="of the project or account"),
        sa.Column(
            "month",
            sa.Text(),
            nullable=False,
            comment="2026-11; '' for every month without its own",
        ),
        sa.Column(
            "amount_microcny", sa.BigInteger(), nullable=False, comment="millionths of a yuan"
        ),
        sa.CheckConstraint("scope IN ('project', 'account')", name=op.f("ck_budget_scope")),
        sa.CheckConstraint("amount_microcny >= 0", name=op.f("ck_budget_amount")),
        sa.PrimaryKeyConstraint("scope", "name", "month", name=op.f("pk_budget")),
        comment="What a project or an account may cost in a month",
    )
    op.create_table(
        "price_override",
        sa.Column(
            "price_override_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="order in the file",
        ),
        sa.Column("account", sa.Text(), nullable=True, comment="the account's name; null: any"),
        sa.Column(
            "gpu_uuid",
            sa.Text(),
            nullable=True,
            comment="GPU model; null: any, or gpu_name says it",
        ),
        sa.Column(
            "gpu_name",
            sa.Text(),
            nullable=True,
            comment="name of the GPU model; null: any, or gpu_uuid says it",
        ),
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image; null: any"),
        sa.Column(
            "charging_type",
            sa.Integer(),
            nullable=True,
            comment="the source's code; null: any that counts in unit",
        ),
        sa.Column(
            "no_card",
            sa.Boolean(),
            nullable=False,
            comment="for runs without a GPU; else for those with",
        ),
        sa.Column(
            "per", sa.Text(), nullable=False, comment="gpu (times the number of GPUs) or instance"
        ),
        sa.Column("unit", sa.Text(), nullable=False, comment="hour, day, week, month or year"),
        sa.Column(
            "price_microcny", sa.BigInteger(), nullable=False, comment="millionths of a yuan a unit"
        ),
        sa.Column(
            "adds", sa.Boolean(), nullable=False, comment="on top of the price, not in its place"
        ),
        sa.Column(
            "valid_from", UtcInstant(), nullable=True, comment="from when on; null: since ever"
        ),
        sa.Column(
            "valid_to",
            UtcInstant(),
            nullable=True,
            comment="until when, not included; null: until another",
        ),
        sa.Column("note", sa.Text(), nullable=True, comment="the user's words"),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="user, or bill: learned from it and accepted",
        ),
        sa.CheckConstraint("per IN ('gpu', 'instance')", name=op.f("ck_price_override_per")),
        sa.CheckConstraint("source IN ('user', 'bill')", name=op.f("ck_price_override_source")),
        sa.CheckConstraint(
            "unit IN ('hour', 'day', 'week', 'month', 'year')", name=op.f("ck_price_override_unit")
        ),
        sa.CheckConstraint(
            "gpu_uuid IS NULL OR gpu_name IS NULL", name=op.f("ck_price_override_gpu")
        ),
        sa.CheckConstraint("price_microcny >= 0", name=op.f("ck_price_override_price")),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_price_override_instants")),
        sa.PrimaryKeyConstraint("price_override_id", name=op.f("pk_price_override")),
        comment="What the user says it costs; the most specific one holds",
    )
    op.create_table(
        "allocation",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column(
            "starts_s", sa.BigInteger(), nullable=False, comment="first second, epoch seconds"
        ),
        sa.Column("ends_s", sa.BigInteger(), nullable=False, comment="first second after it"),
        sa.Column("rule_no", sa.Integer(), nullable=False, comment="the rule that says so"),
        sa.Column("project", sa.Text(), nullable=True, comment="project that pays"),
        sa.Column("owner", sa.Text(), nullable=True, comment="who it is for"),
        sa.Column("cost_centre", sa.Text(), nullable=True, comment="cost centre"),
        sa.CheckConstraint("starts_s < ends_s", name=op.f("ck_allocation_span")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_allocation_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "starts_s", name=op.f("pk_allocation")
        ),
        comment="What the rules say of an instance, while it holds; no row: no rule matches. Derived",
    )
    op.create_table(
        "closed_cost",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("month", sa.Text(), nullable=False, comment="the month that it is frozen with"),
        sa.Column("line_no", sa.Integer(), nullable=False, comment="1, 2, 3 …"),
        sa.Column("day", CalendarDay(), nullable=False, comment="day of the reporting time zone"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column(
            "title",
            sa.Text(),
            nullable=True,
            comment="the user's name for it when the month was closed",
        ),
        sa.Column("project", sa.Text(), nullable=True, comment="project that pays"),
        sa.Column("owner", sa.Text(), nullable=True, comment="who it is for"),
        sa.Column("cost_centre", sa.Text(), nullable=True, comment="cost centre"),
        sa.Column("kind", sa.Text(), nullable=False, comment="running or held"),
        sa.Column("gpu_uuid", sa.Text(), nullable=True, comment="GPU model"),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), nullable=True, comment="number of GPUs"),
        sa.Column("charging_type", sa.Integer(), nullable=True, comment="the source's code"),
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image"),
        sa.Column(
            "price_source",
            sa.Text(),
            nullable=False,
            comment="override, learned, list, list_assumed, unknown",
        ),
        sa.Column(
            "settled",
            sa.Text(),
            nullable=False,
            comment="settled, partly or estimated, when closed",
        ),
        sa.Column("used_s", sa.BigInteger(), nullable=False, comment="seconds of usage, estimate"),
        sa.Column(
            "gpu_s",
            sa.BigInteger(),
            nullable=True,
            comment="card-seconds, estimate; null: number of GPUs unknown",
        ),
        sa.Column(
            "charged_s", sa.BigInteger(), nullable=False, comment="seconds charged, estimate"
        ),
        sa.Column(
            "unpriced_s",
            sa.BigInteger(),
            nullable=False,
            comment="of them, seconds without a known price",
        ),
        sa.Column("unpriced_max_s", sa.BigInteger(), nullable=False, comment="the same, at most"),
        sa.Column(
            "cost_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="estimate; null: no price is known",
        ),
        sa.Column("cost_min_microcny", sa.BigInteger(), nullable=True, comment="at least"),
        sa.Column("cost_max_microcny", sa.BigInteger(), nullable=True, comment="at most"),
        sa.Column("list_cost_microcny", sa.BigInteger(), nullable=True, comment="at list prices"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_closed_cost_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "month", "line_no", name=op.f("pk_closed_cost")),
        comment="A line of cost as it was when its month was closed",
    )
    op.create_index("ix_closed_cost_day", "closed_cost", ["day"], unique=False)

    op.create_table(
        "closed_month",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column(
            "month", sa.Text(), nullable=False, comment="2026-10, of the reporting time zone"
        ),
        sa.Column("closed_at", UtcInstant(), nullable=False, comment="when it was closed"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_closed_month_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "month", name=op.f("pk_closed_month")),
        comment="A month whose costs are frozen",
    )
    op.create_table(
        "price_period",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column(
            "gpu_uuid", sa.Text(), nullable=False, comment="GPU model; '' where there is none"
        ),
        sa.Column(
            "gpu_name", sa.Text(), nullable=False, comment="name of the GPU model; '' likewise"
        ),
        sa.Column("image_uuid", sa.Text(), nullable=False, comment="image; '' likewise"),
        sa.Column(
            "charging_type", sa.Integer(), nullable=False, comment="the source's code; -1 likewise"
        ),
        sa.Column(
            "no_card", sa.Integer(), nullable=False, comment="1 for runs without a GPU, else 0"
        ),
        sa.Column(
            "starts_s", sa.BigInteger(), nullable=False, comment="first second, epoch seconds"
        ),
        sa.Column("ends_s", sa.BigInteger(), nullable=False, comment="first second after it"),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="usage that is charged: running or held"
        ),
        sa.Column(
            "price_source",
            sa.Text(),
            nullable=False,
            comment="override, learned, list, list_assumed, unknown",
        ),
        sa.Column("per_s", sa.Integer(), nullable=False, comment="seconds that the prices are for"),
        sa.Column(
            "is_assumed",
            sa.Integer(),
            nullable=False,
            comment="1 where a month is taken as 30 days, or a year as 365",
        ),
        sa.Column(
            "price_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="of one GPU, estimate; null: unknown",
        ),
        sa.Column("price_min_microcny", sa.BigInteger(), nullable=True, comment="at least"),
        sa.Column("price_max_microcny", sa.BigInteger(), nullable=True, comment="at most"),
        sa.Column(
            "flat_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="of the instance, whatever its GPUs",
        ),
        sa.Column(
            "list_per_s", sa.Integer(), nullable=False, comment="seconds that the list price is for"
        ),
        sa.Column(
            "list_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="list price of one GPU; null: unknown",
        ),
        sa.CheckConstraint(
            "(price_source = 'unknown') = (price_microcny IS NULL) AND (price_microcny IS NULL) = (price_min_microcny IS NULL) AND (price_microcny IS NULL) = (price_max_microcny IS NULL) AND (price_microcny IS NULL) = (flat_microcny IS NULL)",
            name=op.f("ck_price_period_known"),
        ),
        sa.CheckConstraint("kind IN ('running', 'held')", name=op.f("ck_price_period_kind")),
        sa.CheckConstraint(
            "price_source IN ('override', 'learned', 'list', 'list_assumed', 'unknown')",
            name=op.f("ck_price_period_price_source"),
        ),
        sa.CheckConstraint(
            "price_min_microcny <= price_microcny AND price_microcny <= price_max_microcny",
            name=op.f("ck_price_period_bounds"),
        ),
        sa.CheckConstraint("starts_s < ends_s", name=op.f("ck_price_period_span")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_price_period_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id",
            "gpu_uuid",
            "gpu_name",
            "image_uuid",
            "charging_type",
            "no_card",
            "starts_s",
            name=op.f("pk_price_period"),
        ),
        comment="The price of usage on some terms while it holds: for all terms in instance_usage, and all time; derived",
    )
    op.create_table(
        "usage_cost",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("instance_uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column("usage_no", sa.Integer(), nullable=False, comment="of the stretch"),
        sa.Column("day", CalendarDay(), nullable=False, comment="day of the reporting time zone"),
        sa.Column(
            "starts_s", sa.BigInteger(), nullable=False, comment="start of the part, epoch seconds"
        ),
        sa.Column(
            "ends_s", sa.BigInteger(), nullable=False, comment="its end, estimate, epoch seconds"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="running or held"),
        sa.Column("gpu_uuid", sa.Text(), nullable=True, comment="GPU model"),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column("gpu_nums", sa.Integer(), nullable=True, comment="number of GPUs"),
        sa.Column(
            "charging_type",
            sa.Integer(),
            nullable=True,
            comment="the source's code; meaning: charging_type",
        ),
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image, as of its start"),
        sa.Column(
            "price_source",
            sa.Text(),
            nullable=False,
            comment="override, learned, list, list_assumed, unknown",
        ),
        sa.Column("used_s", sa.Integer(), nullable=False, comment="seconds of usage, estimate"),
        sa.Column("charged_s", sa.Integer(), nullable=False, comment="seconds charged, estimate"),
        sa.Column("charged_min_s", sa.Integer(), nullable=False, comment="at least"),
        sa.Column("charged_max_s", sa.Integer(), nullable=False, comment="at most"),
        sa.Column(
            "cost_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="estimate; null: no price is known",
        ),
        sa.Column("cost_min_microcny", sa.BigInteger(), nullable=True, comment="at least"),
        sa.Column("cost_max_microcny", sa.BigInteger(), nullable=True, comment="at most"),
        sa.Column("list_cost_microcny", sa.BigInteger(), nullable=True, comment="at list prices"),
        sa.CheckConstraint(
            "charged_min_s <= charged_s AND charged_s <= charged_max_s AND cost_min_microcny <= cost_microcny AND cost_microcny <= cost_max_microcny",
            name=op.f("ck_usage_cost_bounds"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "instance_uuid", "usage_no"],
            [
                "instance_usage.account_id",
                "instance_usage.instance_uuid",
                "instance_usage.usage_no",
            ],
            name=op.f("fk_usage_cost_account_id_instance_uuid_usage_no_instance_usage"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "usage_no", "day", "starts_s", name=op.f("pk_usage_cost")
        ),
        comment="A part of a closed stretch in one day at one price, and what it cost; derived from usage_day, price_period and the charging model",
    )
    op.create_index(
        "ix_usage_cost_day", "usage_cost", ["day", "account_id", "kind", "starts_s"], unique=False
    )

    op.add_column(
        "usage_day", sa.Column("evidence", sa.Text(), nullable=True, comment="of the stretch")
    )
    op.execute(EVIDENCE)


def downgrade() -> None:
    op.drop_column("usage_day", "evidence")

    op.drop_index("ix_usage_cost_day", table_name="usage_cost")

    op.drop_table("usage_cost")
    op.drop_table("price_period")
    op.drop_table("closed_month")
    op.drop_index("ix_closed_cost_day", table_name="closed_cost")

    op.drop_table("closed_cost")
    op.drop_table("allocation")
    op.drop_table("price_override")
    op.drop_table("budget")
    op.drop_table("allocation_rule")
