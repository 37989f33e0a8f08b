"""Tables of the source's money records: list prices, the bill, balance, compute cards, recharges,
paid runs of workflows; and of stored images.

Amounts are whole millionths of a yuan.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from etl.dialect import CalendarDay, UtcInstant
from etl.tables.base import metadata, one_of, whose


def _amount(name: str, about: str) -> Column[int]:
    return Column(name, BigInteger, comment=f"{about}; millionths of a yuan")


def _extra() -> Column[str]:
    return Column("extra", Text, comment="JSON of what no column holds, without secrets")


def _lasting(began: str, ended: str) -> list[Column[Any] | CheckConstraint]:
    """Return the columns of a version's life: known to be valid from `began` on, until `ended`."""
    return [
        Column(
            "after_at", UtcInstant, comment="it began after this moment; null: was there before"
        ),
        Column(
            "last_seen_at",
            UtcInstant,
            comment="null while it is listed; else the start of the last poll that surely saw it",
        ),
        Column(
            "missing_since",
            UtcInstant,
            comment="end of the first complete poll that did not list it; null while listed",
        ),
        Column(ended, UtcInstant, comment=f"{began} of the next, or missing_since; null: current"),
        CheckConstraint(f"{began} <= {ended}", name="instants"),
        CheckConstraint(f"{ended} IS NULL OR last_seen_at IS NOT NULL", name="ended"),
    ]


def _current(table: Table, ended: str, *keys: str) -> None:
    Index(
        # two current versions would count twice: the database itself refuses them
        f"uq_{table.name}_current",
        *(table.c[key] for key in ("account_id", *keys)),
        unique=True,
        info={"where": table.c[ended].is_(None)},
    )


gpu_price = Table(
    "gpu_price",
    metadata,
    whose(),
    Column("gpu_uuid", Text, nullable=False, comment="GPU model"),
    Column("valid_from", UtcInstant, nullable=False, comment="end of the poll that first saw it"),
    Column("gpu_name", Text, comment="name of the GPU model"),
    Column("status", Integer, comment="the source's code: 1 can be rented"),
    _amount("hour_microcny", "one GPU for an hour"),
    _amount("day_microcny", "one GPU for a day"),
    _amount("week_microcny", "one GPU for a week"),
    _amount("month_microcny", "one GPU for a month"),
    _amount("year_microcny", "one GPU for a year"),
    *_lasting("valid_from", "valid_to"),
    _extra(),
    PrimaryKeyConstraint("account_id", "gpu_uuid", "valid_from"),
    comment="A list price while it held",
)
_current(gpu_price, "valid_to", "gpu_uuid")

balance = Table(
    "balance",
    metadata,
    whose(),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    _amount("balance_microcny", "what is left in cash"),
    # beside the cash: a bill is paid from both
    _amount("card_balance_microcny", "what is left on compute cards"),
    *_lasting("first_seen_at", "ended_at"),
    _extra(),
    PrimaryKeyConstraint("account_id", "first_seen_at"),
    comment="A balance while it held",
)
_current(balance, "ended_at")

card = Table(
    "card",
    metadata,
    whose(),
    Column("uuid", Text, nullable=False, comment="identity"),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    Column("title", Text, comment="its name"),
    # the end of it is enough to tell cards apart, and no secret
    Column("card_no", Text, comment="the last four characters of its number"),
    _amount("face_amount_microcny", "what it is good for"),
    _amount("sale_price_microcny", "what was paid for it"),
    _amount("leave_amount_microcny", "what is left on it"),
    Column("bind_time", UtcInstant, comment="when it was bound to the account"),
    Column("expire_date", UtcInstant, comment="when it expires"),
    Column("valid_days", Integer, comment="days for which it is good"),
    Column("status_txt", Text, comment="the source's word for its state"),
    Column("bind_txt", Text, comment="the source's word for what it is bound to"),
    Column("pods", Text, comment="applications that it pays for: sorted JSON array"),
    *_lasting("first_seen_at", "ended_at"),
    _extra(),
    PrimaryKeyConstraint("account_id", "uuid", "first_seen_at"),
    comment="A compute card (prepaid credit) while it was as it was",
)
_current(card, "ended_at", "uuid")

BILL_KEY = (
    "account_id",
    "order_number",
    "settle_start_at",
    "settle_end_at",
    "charge_channel",
    "remark",
    # the source gives a line no identity: those that are alike in all before are counted
    "line_no",
)


def _superseded() -> list[Column[int]]:
    return [
        Column(
            "missing_since",
            UtcInstant,
            comment="end of the first whole listing that lacked it; null while listed",
        ),
        Column(
            "superseded_at",
            UtcInstant,
            comment="end of the second such listing in a row: it counts no longer; null: it holds",
        ),
    ]


bill = Table(
    "bill",
    metadata,
    whose(),
    Column("order_number", Text, nullable=False, comment="the source's order"),
    Column(
        "settle_start_at",
        UtcInstant,
        nullable=False,
        comment="start of the window that it settles; where the source gives none, ordered_at",
    ),
    Column("settle_end_at", UtcInstant, nullable=False, comment="end of that window"),
    Column(
        "charge_channel", Integer, nullable=False, comment="1 balance, 2 compute card, 0 unknown"
    ),
    Column("remark", Text, nullable=False, comment="free text; empty where there is none"),
    Column(
        "line_no",
        Integer,
        nullable=False,
        comment="1; counts on where several lines are alike in all before",
    ),
    Column("amount_microcny", BigInteger, nullable=False, comment="charged; millionths of a yuan"),
    Column("ordered_at", UtcInstant, comment="when it was ordered"),
    Column(
        "charged_day",
        CalendarDay,
        nullable=False,
        comment="day of the reporting time zone in which it was charged: of ordered_at, else settle_end_at",
    ),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    Column(
        "changed_at", UtcInstant, nullable=False, comment="end of the poll that last changed it"
    ),
    _extra(),
    *_superseded(),
    PrimaryKeyConstraint(*BILL_KEY),
    Index("ix_bill_account_id_settle_end_at", "account_id", "settle_end_at"),
    # windows that follow one another are looked up from both ends
    Index("ix_bill_account_id_settle_start_at", "account_id", "settle_start_at"),
    # reports ask for days of charge, of all accounts together
    Index("ix_bill_charged_day", "charged_day"),
    CheckConstraint("settle_start_at <= settle_end_at", name="window"),
    comment="A line of the bill; never deleted: one that the source corrected is superseded",
    info={"partition": "charged_day"},
)

settlement_rule = Table(
    "settlement_rule",
    metadata,
    whose(),
    # kept with the verdict: a bill that has not moved on needs no new one
    Column("bill_until", UtcInstant, comment="end of the newest settlement window"),
    Column("judged", Integer, nullable=False, comment="newest stops that the bill reaches"),
    Column("matched", Integer, nullable=False, comment="of them, with a window that may end there"),
    Column("single", Integer, nullable=False, comment="of them, with exactly one"),
    PrimaryKeyConstraint("account_id"),
    comment="Whether an account is settled at stops, by its newest stops; derived from instance_usage and bill",
)

bill_day = Table(
    "bill_day",
    metadata,
    *(Column(name, bill.c[name].type, nullable=False, comment="of the line") for name in BILL_KEY),
    Column("day", CalendarDay, nullable=False, comment="day of the reporting time zone"),
    Column(
        "amount_microcny",
        BigInteger,
        nullable=False,
        comment="the part of the amount that falls into it, by time; millionths of a yuan",
    ),
    PrimaryKeyConstraint(*BILL_KEY, "day"),
    # no part of a line that is not there: both are written in one transaction
    ForeignKeyConstraint(BILL_KEY, [f"bill.{name}" for name in BILL_KEY]),
    Index("ix_bill_day_day", "day"),
    comment="The part of a bill line whose window reaches into a day; derived from bill",
    info={"partition": "day"},
)

billed_usage_day = Table(
    "billed_usage_day",
    metadata,
    whose(),
    Column("part_no", Integer, nullable=False, comment="1, 2, 3 … without holes"),
    Column("day", CalendarDay, nullable=False, comment="day of the reporting time zone"),
    Column("kind", Text, nullable=False, comment="running, or held: charged by the day"),
    Column("instance_uuid", Text, comment="identity; null: the bill does not tell"),
    Column("gpu_uuid", Text, comment="GPU model; null likewise"),
    Column("gpu_name", Text, comment="name of the GPU model; null likewise"),
    Column("gpu_nums", Integer, comment="number of GPUs; null likewise"),
    Column("charges", Integer, nullable=False, comment="charges that reach into the day"),
    Column("billed_s", BigInteger, nullable=False, comment="seconds of their windows in the day"),
    Column(
        "amount_microcny",
        BigInteger,
        nullable=False,
        comment="the part of their amounts that falls into the day, by time; millionths of a yuan",
    ),
    PrimaryKeyConstraint("account_id", "part_no"),
    one_of("kind", ("running", "held"), "kind"),
    Index("ix_billed_usage_day_day", "day"),
    comment="Usage before the first poll as the bill shows it, never mixed with what was observed; derived from bill, prices, the first versions of instances and the charging model",
    info={"partition": "day"},
)

recharge = Table(
    "recharge",
    metadata,
    whose(),
    Column(
        "recharge_id",
        Text,
        nullable=False,
        comment="out_trade_no; where the source gives none, a hash of what does not change",
    ),
    _amount("amount_microcny", "paid in"),
    Column("created_at", UtcInstant, comment="when it was ordered"),
    Column("paid_at", UtcInstant, comment="when it was paid"),
    Column("pay_channel", Text, comment="the source's word for how it was paid"),
    Column(
        "is_paid",
        Integer,
        nullable=False,
        server_default="1",
        comment="0 where the source gives an empty pay_time: it is no money yet",
    ),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    Column(
        "changed_at", UtcInstant, nullable=False, comment="end of the poll that last changed it"
    ),
    _extra(),
    *_superseded(),
    PrimaryKeyConstraint("account_id", "recharge_id"),
    comment="A recharge of the balance; never deleted: one that the source corrected is superseded",
)

workflow_run = Table(
    "workflow_run",
    metadata,
    whose(),
    Column("run_order_id", Text, nullable=False, comment="identity"),
    Column("workflow_id", Text, comment="which workflow ran"),
    Column("revision_id", Text, comment="which revision of it"),
    Column("run_status", Text, comment="the source's word: queued, running, succeeded, failed"),
    Column("freeze_status", Text, comment="the source's word for the frozen money"),
    Column("settlement_status", Text, comment="the source's word for its settlement"),
    _amount("quote_microcny", "frozen when it was submitted"),
    _amount("final_microcny", "settled at its end"),
    _amount("released_microcny", "released at its end"),
    _amount("compute_microcny", "of the total, computing"),
    _amount("external_model_microcny", "of the total, models of others"),
    _amount("total_microcny", "what it cost"),
    Column("execution_s", Integer, comment="seconds for which it really ran"),
    Column("created_at", UtcInstant, comment="when it was submitted"),
    Column("started_at", UtcInstant, comment="when it began to run"),
    Column("ended_at", UtcInstant, comment="when it succeeded or failed; null: not yet"),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    Column(
        "changed_at", UtcInstant, nullable=False, comment="end of the poll that last changed it"
    ),
    _extra(),
    *_superseded(),
    PrimaryKeyConstraint("account_id", "run_order_id"),
    comment="A paid run of a workflow, as last seen; never deleted",
)

private_image = Table(
    "private_image",
    metadata,
    whose(),
    Column("uuid", Text, nullable=False, comment="identity; the image_uuid of instances"),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    Column("title", Text, comment="its name"),
    Column("remark", Text, comment="what the user says of it"),
    Column("layer_count", Integer, comment="number of its layers"),
    Column("size_mb", BigInteger, comment="its size; megabytes"),
    Column("pod_uuid", Text, comment="the application that it belongs to"),
    Column("pod_tag", Text, comment="the version of the application"),
    Column("save_image_status", Integer, comment="1 being saved, 2 saved, 3 saving failed"),
    Column("create_time", UtcInstant, comment="when it was made"),
    *_lasting("first_seen_at", "ended_at"),
    _extra(),
    PrimaryKeyConstraint("account_id", "uuid", "first_seen_at"),
    comment="A private image while it was as it was",
)
_current(private_image, "ended_at", "uuid")
