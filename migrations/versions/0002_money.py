"""list prices, bill, balance, cards and recharges; the image of a stretch"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from etl.dialect.types import CalendarDay, UtcInstant

revision = "0002"
down_revision = "0001"

DAY_COLUMNS = [
    "account_id",
    "instance_uuid",
    "usage_no",
    "day",
    "kind",
    "started_at",
    "running_s",
    "running_min_s",
    "running_max_s",
    "gpu_uuid",
    "gpu_name",
    "gpu_nums",
    "charging_type",
]
IMAGES = """
    UPDATE instance_usage SET image_uuid = (
        SELECT h.image_uuid FROM instance_history h
        WHERE h.account_id = instance_usage.account_id
            AND h.instance_uuid = instance_usage.instance_uuid
            AND h.first_seen_at >= instance_usage.started_at
        ORDER BY h.version LIMIT 1
    )
"""
"""The image of the version that opened a stretch, as `rebuild` finds it too."""


def upgrade() -> None:
    op.create_table(
        "balance",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column(
            "first_seen_at",
            UtcInstant(),
            nullable=False,
            comment="end of the poll that first saw it",
        ),
        sa.Column(
            "balance_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="what is left in cash; millionths of a yuan",
        ),
        sa.Column(
            "card_balance_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="what is left on compute cards; millionths of a yuan",
        ),
        sa.Column(
            "after_at",
            UtcInstant(),
            nullable=True,
            comment="it began after this moment; null: was there before",
        ),
        sa.Column(
            "last_seen_at",
            UtcInstant(),
            nullable=True,
            comment="null while it is listed; else the start of the last poll that surely saw it",
        ),
        sa.Column(
            "missing_since",
            UtcInstant(),
            nullable=True,
            comment="end of the first complete poll that did not list it; null while listed",
        ),
        sa.Column(
            "ended_at",
            UtcInstant(),
            nullable=True,
            comment="first_seen_at of the next, or missing_since; null: current",
        ),
        sa.Column(
            "extra",
            sa.Text(),
            nullable=True,
            comment="JSON of what no column holds, without secrets",
        ),
        sa.CheckConstraint(
            "ended_at IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_balance_ended")
        ),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_balance_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_balance_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "first_seen_at", name=op.f("pk_balance")),
        comment="A balance while it held",
    )
    op.create_index(
        "uq_balance_current",
        "balance",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "bill",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("order_number", sa.Text(), nullable=False, comment="the source's order"),
        sa.Column(
            "settle_start_at",
            UtcInstant(),
            nullable=False,
            comment="start of the window that it settles; where the source gives none, ordered_at",
        ),
        sa.Column("settle_end_at", UtcInstant(), nullable=False, comment="end of that window"),
        sa.Column(
            "charge_channel",
            sa.Integer(),
            nullable=False,
            comment="1 balance, 2 compute card, 0 unknown",
        ),
        sa.Column(
            "remark", sa.Text(), nullable=False, comment="free text; empty where there is none"
        ),
        sa.Column(
            "line_no",
            sa.Integer(),
            nullable=False,
            comment="1; counts on where one page lists several lines that are alike in all before",
        ),
        sa.Column(
            "amount_microcny",
            sa.BigInteger(),
            nullable=False,
            comment="charged; millionths of a yuan",
        ),
        sa.Column("ordered_at", UtcInstant(), nullable=True, comment="when it was ordered"),
        sa.Column(
            "charged_day",
            CalendarDay(),
            nullable=False,
            comment="day of the reporting time zone in which it was charged: of ordered_at, else settle_end_at",
        ),
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
            comment="end of the poll that last changed it",
        ),
        sa.Column(
            "extra",
            sa.Text(),
            nullable=True,
            comment="JSON of what no column holds, without secrets",
        ),
        sa.CheckConstraint("settle_start_at <= settle_end_at", name=op.f("ck_bill_window")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_bill_account_id_account")
        ),
        sa.PrimaryKeyConstraint(
            "account_id",
            "order_number",
            "settle_start_at",
            "settle_end_at",
            "charge_channel",
            "remark",
            "line_no",
            name=op.f("pk_bill"),
        ),
        comment="A line of the bill; never deleted",
    )
    op.create_index(
        "ix_bill_account_id_settle_end_at", "bill", ["account_id", "settle_end_at"], unique=False
    )
    op.create_index("ix_bill_charged_day", "bill", ["charged_day"], unique=False)
    op.create_table(
        "bill_day",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="of the line"),
        sa.Column("order_number", sa.Text(), nullable=False, comment="of the line"),
        sa.Column("settle_start_at", UtcInstant(), nullable=False, comment="of the line"),
        sa.Column("settle_end_at", UtcInstant(), nullable=False, comment="of the line"),
        sa.Column("charge_channel", sa.Integer(), nullable=False, comment="of the line"),
        sa.Column("remark", sa.Text(), nullable=False, comment="of the line"),
        sa.Column("line_no", sa.Integer(), nullable=False, comment="of the line"),
        sa.Column("day", CalendarDay(), nullable=False, comment="day of the reporting time zone"),
        sa.Column(
            "amount_microcny",
            sa.BigInteger(),
            nullable=False,
            comment="the part of the amount that falls into it, by time; millionths of a yuan",
        ),
        sa.ForeignKeyConstraint(
            [
                "account_id",
                "order_number",
                "settle_start_at",
                "settle_end_at",
                "charge_channel",
                "remark",
                "line_no",
            ],
            [
                "bill.account_id",
                "bill.order_number",
                "bill.settle_start_at",
                "bill.settle_end_at",
                "bill.charge_channel",
                "bill.remark",
                "bill.line_no",
            ],
            name=op.f(
                "fk_bill_day_account_id_order_number_settle_start_at_settle_end_at_charge_channel_remark_line_no_bill"
            ),
        ),
        sa.PrimaryKeyConstraint(
            "account_id",
            "order_number",
            "settle_start_at",
            "settle_end_at",
            "charge_channel",
            "remark",
            "line_no",
            "day",
            name=op.f("pk_bill_day"),
        ),
        comment="The part of a bill line whose window reaches into a day; derived from bill",
    )
    op.create_index("ix_bill_day_day", "bill_day", ["day"], unique=False)
    op.create_table(
        "card",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("uuid", sa.Text(), nullable=False, comment="identity"),
        sa.Column(
            "first_seen_at",
            UtcInstant(),
            nullable=False,
            comment="end of the poll that first saw it",
        ),
        sa.Column("title", sa.Text(), nullable=True, comment="its name"),
        sa.Column(
            "card_no", sa.Text(), nullable=True, comment="the last four characters of its number"
        ),
        sa.Column(
            "face_amount_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="what it is good for; millionths of a yuan",
        ),
        sa.Column(
            "sale_price_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="what was paid for it; millionths of a yuan",
        ),
        sa.Column(
            "leave_amount_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="what is left on it; millionths of a yuan",
        ),
        sa.Column(
            "bind_time", UtcInstant(), nullable=True, comment="when it was bound to the account"
        ),
        sa.Column("expire_date", UtcInstant(), nullable=True, comment="when it expires"),
        sa.Column("valid_days", sa.Integer(), nullable=True, comment="days for which it is good"),
        sa.Column(
            "status_txt", sa.Text(), nullable=True, comment="the source's word for its state"
        ),
        sa.Column(
            "bind_txt",
            sa.Text(),
            nullable=True,
            comment="the source's word for what it is bound to",
        ),
        sa.Column(
            "pods",
            sa.Text(),
            nullable=True,
            comment="applications that it pays for: sorted JSON array",
        ),
        sa.Column(
            "after_at",
            UtcInstant(),
            nullable=True,
            comment="it began after this moment; null: was there before",
        ),
        sa.Column(
            "last_seen_at",
            UtcInstant(),
            nullable=True,
            comment="null while it is listed; else the start of the last poll that surely saw it",
        ),
        sa.Column(
            "missing_since",
            UtcInstant(),
            nullable=True,
            comment="end of the first complete poll that did not list it; null while listed",
        ),
        sa.Column(
            "ended_at",
            UtcInstant(),
            nullable=True,
            comment="first_seen_at of the next, or missing_since; null: current",
        ),
        sa.Column(
            "extra",
            sa.Text(),
            nullable=True,
            comment="JSON of what no column holds, without secrets",
        ),
        sa.CheckConstraint(
            "ended_at IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_card_ended")
        ),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_card_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_card_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "uuid", "first_seen_at", name=op.f("pk_card")),
        comment="A compute card (prepaid credit) while it was as it was",
    )
    op.create_index(
        "uq_card_current",
        "card",
        ["account_id", "uuid"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "gpu_price",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column("gpu_uuid", sa.Text(), nullable=False, comment="GPU model"),
        sa.Column(
            "valid_from", UtcInstant(), nullable=False, comment="end of the poll that first saw it"
        ),
        sa.Column("gpu_name", sa.Text(), nullable=True, comment="name of the GPU model"),
        sa.Column(
            "status", sa.Integer(), nullable=True, comment="the source's code: 1 can be rented"
        ),
        sa.Column(
            "hour_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="one GPU for an hour; millionths of a yuan",
        ),
        sa.Column(
            "day_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="one GPU for a day; millionths of a yuan",
        ),
        sa.Column(
            "week_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="one GPU for a week; millionths of a yuan",
        ),
        sa.Column(
            "month_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="one GPU for a month; millionths of a yuan",
        ),
        sa.Column(
            "year_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="one GPU for a year; millionths of a yuan",
        ),
        sa.Column(
            "after_at",
            UtcInstant(),
            nullable=True,
            comment="it began after this moment; null: was there before",
        ),
        sa.Column(
            "last_seen_at",
            UtcInstant(),
            nullable=True,
            comment="null while it is listed; else the start of the last poll that surely saw it",
        ),
        sa.Column(
            "missing_since",
            UtcInstant(),
            nullable=True,
            comment="end of the first complete poll that did not list it; null while listed",
        ),
        sa.Column(
            "valid_to",
            UtcInstant(),
            nullable=True,
            comment="valid_from of the next, or missing_since; null: current",
        ),
        sa.Column(
            "extra",
            sa.Text(),
            nullable=True,
            comment="JSON of what no column holds, without secrets",
        ),
        sa.CheckConstraint("valid_from <= valid_to", name=op.f("ck_gpu_price_instants")),
        sa.CheckConstraint(
            "valid_to IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_gpu_price_ended")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_gpu_price_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "gpu_uuid", "valid_from", name=op.f("pk_gpu_price")),
        comment="A list price while it held",
    )
    op.create_index(
        "uq_gpu_price_current",
        "gpu_price",
        ["account_id", "gpu_uuid"],
        unique=True,
        sqlite_where=sa.text("valid_to IS NULL"),
        postgresql_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "recharge",
        sa.Column("account_id", sa.Integer(), nullable=False, comment="whose"),
        sa.Column(
            "recharge_id",
            sa.Text(),
            nullable=False,
            comment="out_trade_no; where the source gives none, a hash of the record",
        ),
        sa.Column(
            "amount_microcny",
            sa.BigInteger(),
            nullable=True,
            comment="paid in; millionths of a yuan",
        ),
        sa.Column("created_at", UtcInstant(), nullable=True, comment="when it was ordered"),
        sa.Column("paid_at", UtcInstant(), nullable=True, comment="when it was paid"),
        sa.Column(
            "pay_channel", sa.Text(), nullable=True, comment="the source's word for how it was paid"
        ),
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
            comment="end of the poll that last changed it",
        ),
        sa.Column(
            "extra",
            sa.Text(),
            nullable=True,
            comment="JSON of what no column holds, without secrets",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_recharge_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "recharge_id", name=op.f("pk_recharge")),
        comment="A recharge of the balance; never deleted",
    )
    op.add_column(
        "instance_usage",
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image, as of its start"),
    )
    op.execute(IMAGES)
    _remake_usage_day(
        [*DAY_COLUMNS, "image_uuid", "usage_started_at"],
        "d.*, u.image_uuid, u.started_at AS usage_started_at",
        sa.Column("image_uuid", sa.Text(), nullable=True, comment="image, as of its start"),
        sa.Column("usage_started_at", UtcInstant(), nullable=False, comment="start of the stretch"),
    )


def downgrade() -> None:
    _remake_usage_day(DAY_COLUMNS, "d.*")
    op.drop_column("instance_usage", "image_uuid")
    op.drop_index("uq_card_current", table_name="card")
    op.drop_table("card")
    op.drop_index("uq_balance_current", table_name="balance")
    op.drop_table("balance")
    op.drop_index("uq_gpu_price_current", table_name="gpu_price")
    op.drop_table("gpu_price")
    op.drop_table("recharge")
    op.drop_index("ix_bill_day_day", table_name="bill_day")
    op.drop_table("bill_day")
    op.drop_index("ix_bill_charged_day", table_name="bill")
    op.drop_index("ix_bill_account_id_settle_end_at", table_name="bill")
    op.drop_table("bill")


def _remake_usage_day(names: list[str], kept: str, *columns: sa.Column[Any]) -> None:
    """The table anew with other columns, and what it holds: SQLite cannot add one that is never null."""
    op.execute(
        f"CREATE TEMPORARY TABLE kept_day AS SELECT {kept} FROM usage_day d JOIN instance_usage u"
        " ON u.account_id = d.account_id AND u.instance_uuid = d.instance_uuid"
        " AND u.usage_no = d.usage_no"
    )
    op.drop_index("ix_usage_day_day", table_name="usage_day")
    op.drop_table("usage_day")
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
        *columns,
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
    listed = ", ".join(names)
    op.execute(f"INSERT INTO usage_day ({listed}) SELECT {listed} FROM kept_day")
    op.execute("DROP TABLE kept_day")
