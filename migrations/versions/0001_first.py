"""the first shape: accounts and polls, instances and their history, money, alerts"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT, INTEGER, BIGINT, BOOLEAN = sa.Text(), sa.Integer(), sa.BigInteger(), sa.Boolean()
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
DAY = sa.Text().with_variant(sa.Date(), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OFFSET = sa.Numeric(precision=12, scale=3, asdecimal=False)

STATUS = (
    (0, "creating", False, "created", "已创建"),
    (1, "starting", False, "starting", "启动中"),
    (2, "running", True, "running", "运行中"),
    (3, "stopping", False, "stopping", "停止中"),
    (4, "stopped", False, "stopped", "已停止"),
    (9, "destroyed", False, "destroyed", "已销毁"),
    (21, "stopping", False, "shutting down", "关机中"),
    (22, "stopped", False, "shut down", "已关机"),
    (23, "stopped", False, "stopped abnormally", "异常关机"),
    (24, "starting", False, "starting", "开机中"),
    (27, "restarting", True, "restarting", "重启中"),
)
CHARGING = ((1, "hour", "hourly (assumed)", "按小时(推定)"),)
TABLES = (
    "account",
    "alert",
    "alert_delivery",
    "allocation_rule",
    "budget",
    "calendar_day",
    "charging_type",
    "instance_status",
    "price_override",
    "setting",
    "allocation",
    "balance",
    "bill",
    "card",
    "closed_cost",
    "closed_month",
    "cost_sum",
    "gpu_price",
    "instance",
    "price_period",
    "recharge",
    "rejected_record",
    "running_sum",
    "sync_run",
    "bill_day",
    "instance_history",
    "instance_usage",
    "usage_cost",
    "usage_day",
)


def upgrade() -> None:
    op.create_table(
        "account",
        must("account_id", INTEGER, "leads every key of synced facts"),
        must("name", TEXT, "the configured name"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
        comment="An account; never its key",
    )
    op.create_table(
        "alert",
        must("key", TEXT, "the cause: rule, account and what it is about"),
        must("rule", TEXT, "which rule: docs/alerts.md"),
        may("account", TEXT, "the account's name; null: of no single account"),
        may("owner", TEXT, "whose, as the settings say; null: nobody's"),
        must("severity", TEXT, "info, warning or urgent"),
        must("zh", TEXT, "what was said last, in Chinese"),
        must("en", TEXT, "the same in English"),
        must("first_at", INSTANT, "since when it holds"),
        may("last_sent_at", INSTANT, "when a message last said it; null: never"),
        may("cleared_at", INSTANT, "when it held no longer; null: it holds"),
        may("acked_at", INSTANT, "when somebody said that they know; no reminders after it"),
        must("deliveries", TEXT, "JSON: when it was last said, epoch seconds by channel"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alert")),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'urgent')", name=op.f("ck_alert_severity")
        ),
        comment="A cause for an alert: it fires once, may be repeated while it holds, and clears",
    )
    index("ix_alert_open", "alert", ["key"], where="cleared_at IS NULL")
    op.create_table(
        "alert_delivery",
        must("delivery_id", SERIAL, "grows with every message"),
        must("channel", TEXT, "the channel's name in the settings"),
        must("created_at", INSTANT, "when it was put together"),
        must("next_at", INSTANT, "not tried before this moment"),
        must("attempts", INTEGER, "how often it was tried"),
        may("claimed_by", TEXT, "who sends it just now"),
        may("claimed_until", INSTANT, "after this moment another may send it"),
        may("sent_at", INSTANT, "when the channel took it; null: not yet"),
        may("gave_up_at", INSTANT, "when it was given up"),
        may("error", TEXT, "why the last attempt failed, without secrets"),
        must("message", TEXT, "JSON: what it says, and of which causes"),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_alert_delivery")),
        sa.CheckConstraint(
            "sent_at IS NULL OR gave_up_at IS NULL", name=op.f("ck_alert_delivery_ended")
        ),
        comment="A message to a channel, until it is sent or given up",
    )
    index("ix_alert_delivery_channel_created_at", "alert_delivery", ["channel", "created_at"])
    index(
        "ix_alert_delivery_pending",
        "alert_delivery",
        ["next_at"],
        where="sent_at IS NULL AND gave_up_at IS NULL",
    )
    op.create_table(
        "allocation_rule",
        must("rule_no", INTEGER, "1 is asked first", autoincrement=False),
        may("account", TEXT, "the account's name; null: any"),
        may("instance_uuid", TEXT, "instance; null: any"),
        may("title", TEXT, "pattern of its title with * and ?; null: any"),
        may("image", TEXT, "its image, by uuid or pattern of the name; null: any"),
        may("project", TEXT, "project that pays"),
        may("owner", TEXT, "who it is for"),
        may("cost_centre", TEXT, "cost centre"),
        may("valid_from", INSTANT, "from when on; null: since ever"),
        may("valid_to", INSTANT, "until when, not included; null: until another"),
        may("note", TEXT, "the user's words"),
        sa.PrimaryKeyConstraint("rule_no", name=op.f("pk_allocation_rule")),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_allocation_rule_instants")),
        comment="Who pays: the first rule that matches holds",
    )
    op.create_table(
        "budget",
        must("scope", TEXT, "project or account"),
        must("name", TEXT, "of the project or account"),
        must("month", TEXT, "2026-11; '' for every month without its own"),
        must("amount_microcny", BIGINT, "millionths of a yuan"),
        sa.PrimaryKeyConstraint("scope", "name", "month", name=op.f("pk_budget")),
        sa.CheckConstraint("amount_microcny >= 0", name=op.f("ck_budget_amount")),
        sa.CheckConstraint("scope IN ('project', 'account')", name=op.f("ck_budget_scope")),
        comment="What a project or an account may cost in a month",
    )
    op.create_table(
        "calendar_day",
        must("day", DAY, "the day"),
        must("starts_s", BIGINT, "its first second, epoch seconds"),
        must("ends_s", BIGINT, "the first second of the next day"),
        must("week", TEXT, "ISO week, 2026-W48"),
        must("month", TEXT, "2026-11"),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
        sa.UniqueConstraint("starts_s", name=op.f("uq_calendar_day_starts_s")),
        comment="A day of the reporting time zone",
    )
    op.create_table(
        "charging_type",
        must("charging_type", INTEGER, "the source's code", autoincrement=False),
        may("unit", TEXT, "hour, day, week, month or year; null: unknown"),
        must("name_en", TEXT, "English name"),
        must("name_zh", TEXT, "Chinese name"),
        sa.PrimaryKeyConstraint("charging_type", name=op.f("pk_charging_type")),
        sa.CheckConstraint(
            "unit IN ('hour', 'day', 'week', 'month', 'year')", name=op.f("ck_charging_type_unit")
        ),
        comment="Meaning of a charging code",
    )
    op.create_table(
        "instance_status",
        must("status", INTEGER, "the source's code", autoincrement=False),
        must(
            "state",
            TEXT,
            "creating, starting, running, restarting, stopping, stopped, destroyed or unknown",
        ),
        must("is_up", BOOLEAN, "whether it counts as running time: running, restarting"),
        must("name_en", TEXT, "English name"),
        must("name_zh", TEXT, "Chinese name"),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_instance_status")),
        sa.CheckConstraint(
            "state IN ('creating', 'starting', 'running', 'restarting', 'stopping', 'stopped', 'destroyed', 'unknown')",
            name=op.f("ck_instance_status_state"),
        ),
        comment="Meaning of a status code",
    )
    op.create_table(
        "price_override",
        must("price_override_id", SERIAL, "order in the file"),
        may("account", TEXT, "the account's name; null: any"),
        may("gpu_uuid", TEXT, "GPU model; null: any, or gpu_name says it"),
        may("gpu_name", TEXT, "name of the GPU model; null: any, or gpu_uuid says it"),
        may("image_uuid", TEXT, "image; null: any"),
        may("charging_type", INTEGER, "the source's code; null: any that counts in unit"),
        must("no_card", BOOLEAN, "for runs without a GPU; else for those with"),
        must("per", TEXT, "gpu (times the number of GPUs) or instance"),
        must("unit", TEXT, "hour, day, week, month or year"),
        must("price_microcny", BIGINT, "millionths of a yuan a unit"),
        must("adds", BOOLEAN, "on top of the price, not in its place"),
        may("valid_from", INSTANT, "from when on; null: since ever"),
        may("valid_to", INSTANT, "until when, not included; null: until another"),
        may("note", TEXT, "the user's words"),
        must("source", TEXT, "user, or bill: learned from it and accepted"),
        sa.PrimaryKeyConstraint("price_override_id", name=op.f("pk_price_override")),
        sa.CheckConstraint(
            "gpu_uuid IS NULL OR gpu_name IS NULL", name=op.f("ck_price_override_gpu")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_price_override_instants")),
        sa.CheckConstraint("per IN ('gpu', 'instance')", name=op.f("ck_price_override_per")),
        sa.CheckConstraint("price_microcny >= 0", name=op.f("ck_price_override_price")),
        sa.CheckConstraint("source IN ('user', 'bill')", name=op.f("ck_price_override_source")),
        sa.CheckConstraint(
            "unit IN ('hour', 'day', 'week', 'month', 'year')", name=op.f("ck_price_override_unit")
        ),
        comment="What the user says it costs; the most specific one holds",
    )
    op.create_table(
        "setting",
        must("name", TEXT, "what: timezone (the zone of days), views (digest of the view texts)"),
        must("value", TEXT, "its value"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        comment="What the database itself remembers",
    )
    op.create_table(
        "allocation",
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("starts_s", BIGINT, "first second, epoch seconds"),
        must("ends_s", BIGINT, "first second after it"),
        must("rule_no", INTEGER, "the rule that says so"),
        may("project", TEXT, "project that pays"),
        may("owner", TEXT, "who it is for"),
        may("cost_centre", TEXT, "cost centre"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "starts_s", name=op.f("pk_allocation")
        ),
        sa.CheckConstraint("starts_s < ends_s", name=op.f("ck_allocation_span")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_allocation_account_id_account")
        ),
        comment="What the rules say of an instance, while it holds; no row: no rule matches. Derived",
    )
    op.create_table(
        "balance",
        must("account_id", INTEGER, "whose"),
        must("first_seen_at", INSTANT, "end of the poll that first saw it"),
        may("balance_microcny", BIGINT, "what is left in cash; millionths of a yuan"),
        may("card_balance_microcny", BIGINT, "what is left on compute cards; millionths of a yuan"),
        may("after_at", INSTANT, "it began after this moment; null: was there before"),
        may(
            "last_seen_at",
            INSTANT,
            "null while it is listed; else the start of the last poll that surely saw it",
        ),
        may(
            "missing_since",
            INSTANT,
            "end of the first complete poll that did not list it; null while listed",
        ),
        may("ended_at", INSTANT, "first_seen_at of the next, or missing_since; null: current"),
        may("extra", TEXT, "JSON of what no column holds, without secrets"),
        sa.PrimaryKeyConstraint("account_id", "first_seen_at", name=op.f("pk_balance")),
        sa.CheckConstraint(
            "ended_at IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_balance_ended")
        ),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_balance_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_balance_account_id_account")
        ),
        comment="A balance while it held",
    )
    index("uq_balance_current", "balance", ["account_id"], unique=True, where="ended_at IS NULL")
    op.create_table(
        "bill",
        must("account_id", INTEGER, "whose"),
        must("order_number", TEXT, "the source's order"),
        must(
            "settle_start_at",
            INSTANT,
            "start of the window that it settles; where the source gives none, ordered_at",
        ),
        must("settle_end_at", INSTANT, "end of that window"),
        must("charge_channel", INTEGER, "1 balance, 2 compute card, 0 unknown"),
        must("remark", TEXT, "free text; empty where there is none"),
        must(
            "line_no",
            INTEGER,
            "1; counts on where one page lists several lines that are alike in all before",
        ),
        must("amount_microcny", BIGINT, "charged; millionths of a yuan"),
        may("ordered_at", INSTANT, "when it was ordered"),
        must(
            "charged_day",
            DAY,
            "day of the reporting time zone in which it was charged: of ordered_at, else settle_end_at",
        ),
        must("first_seen_at", INSTANT, "end of the poll that first saw it"),
        must("changed_at", INSTANT, "end of the poll that last changed it"),
        may("extra", TEXT, "JSON of what no column holds, without secrets"),
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
        sa.CheckConstraint("settle_start_at <= settle_end_at", name=op.f("ck_bill_window")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_bill_account_id_account")
        ),
        comment="A line of the bill; never deleted",
    )
    index("ix_bill_account_id_settle_end_at", "bill", ["account_id", "settle_end_at"])
    index("ix_bill_charged_day", "bill", ["charged_day"])
    op.create_table(
        "card",
        must("account_id", INTEGER, "whose"),
        must("uuid", TEXT, "identity"),
        must("first_seen_at", INSTANT, "end of the poll that first saw it"),
        may("title", TEXT, "its name"),
        may("card_no", TEXT, "the last four characters of its number"),
        may("face_amount_microcny", BIGINT, "what it is good for; millionths of a yuan"),
        may("sale_price_microcny", BIGINT, "what was paid for it; millionths of a yuan"),
        may("leave_amount_microcny", BIGINT, "what is left on it; millionths of a yuan"),
        may("bind_time", INSTANT, "when it was bound to the account"),
        may("expire_date", INSTANT, "when it expires"),
        may("valid_days", INTEGER, "days for which it is good"),
        may("status_txt", TEXT, "the source's word for its state"),
        may("bind_txt", TEXT, "the source's word for what it is bound to"),
        may("pods", TEXT, "applications that it pays for: sorted JSON array"),
        may("after_at", INSTANT, "it began after this moment; null: was there before"),
        may(
            "last_seen_at",
            INSTANT,
            "null while it is listed; else the start of the last poll that surely saw it",
        ),
        may(
            "missing_since",
            INSTANT,
            "end of the first complete poll that did not list it; null while listed",
        ),
        may("ended_at", INSTANT, "first_seen_at of the next, or missing_since; null: current"),
        may("extra", TEXT, "JSON of what no column holds, without secrets"),
        sa.PrimaryKeyConstraint("account_id", "uuid", "first_seen_at", name=op.f("pk_card")),
        sa.CheckConstraint(
            "ended_at IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_card_ended")
        ),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_card_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_card_account_id_account")
        ),
        comment="A compute card (prepaid credit) while it was as it was",
    )
    index("uq_card_current", "card", ["account_id", "uuid"], unique=True, where="ended_at IS NULL")
    op.create_table(
        "closed_cost",
        must("account_id", INTEGER, "whose"),
        must("month", TEXT, "the month that it is frozen with"),
        must("line_no", INTEGER, "1, 2, 3 …"),
        must("day", DAY, "day of the reporting time zone"),
        must("instance_uuid", TEXT, "identity"),
        may("title", TEXT, "the user's name for it when the month was closed"),
        may("project", TEXT, "project that pays"),
        may("owner", TEXT, "who it is for"),
        may("cost_centre", TEXT, "cost centre"),
        must("kind", TEXT, "running or held"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("charging_type", INTEGER, "the source's code"),
        may("image_uuid", TEXT, "image"),
        must("price_source", TEXT, "override, learned, list, list_assumed, unknown"),
        must("settled", TEXT, "settled, partly or estimated, when closed"),
        must("used_s", BIGINT, "seconds of usage, estimate"),
        may("gpu_s", BIGINT, "card-seconds, estimate; null: number of GPUs unknown"),
        must("charged_s", BIGINT, "seconds charged, estimate"),
        must("unpriced_s", BIGINT, "of them, seconds without a known price"),
        must("unpriced_max_s", BIGINT, "the same, at most"),
        may("cost_microcny", BIGINT, "estimate; null: no price is known"),
        may("cost_min_microcny", BIGINT, "at least"),
        may("cost_max_microcny", BIGINT, "at most"),
        may("list_cost_microcny", BIGINT, "at list prices"),
        sa.PrimaryKeyConstraint("account_id", "month", "line_no", name=op.f("pk_closed_cost")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_closed_cost_account_id_account")
        ),
        comment="A line of cost as it was when its month was closed",
    )
    index("ix_closed_cost_day", "closed_cost", ["day"])
    op.create_table(
        "closed_month",
        must("account_id", INTEGER, "whose"),
        must("month", TEXT, "2026-10, of the reporting time zone"),
        must("closed_at", INSTANT, "when it was closed"),
        sa.PrimaryKeyConstraint("account_id", "month", name=op.f("pk_closed_month")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_closed_month_account_id_account")
        ),
        comment="A month whose costs are frozen",
    )
    op.create_table(
        "cost_sum",
        must("day", DAY, "day of the reporting time zone"),
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("line_no", INTEGER, "1, 2, 3 … by when they began"),
        may("project", TEXT, "project that pays"),
        may("owner", TEXT, "who it is for"),
        may("cost_centre", TEXT, "cost centre"),
        must("kind", TEXT, "running or held"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("charging_type", INTEGER, "the source's code; meaning: charging_type"),
        may("image_uuid", TEXT, "image, as of its start"),
        must("price_source", TEXT, "override, learned, list, list_assumed, unknown"),
        must("used_s", INTEGER, "seconds of usage, estimate"),
        must("charged_s", INTEGER, "seconds charged, estimate"),
        must("unpriced_s", INTEGER, "of them, seconds without a known price"),
        must("unpriced_max_s", INTEGER, "the same, at most"),
        may("cost_microcny", BIGINT, "estimate; null: no price is known"),
        may("cost_min_microcny", BIGINT, "at least"),
        may("cost_max_microcny", BIGINT, "at most"),
        may("list_cost_microcny", BIGINT, "at list prices"),
        sa.PrimaryKeyConstraint(
            "day", "account_id", "instance_uuid", "line_no", name=op.f("pk_cost_sum")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_cost_sum_account_id_account")
        ),
        sqlite_with_rowid=False,
        comment="What closed stretches cost in one day, of an instance on one set of terms that one project pays; derived: usage_cost added up by what allocation says of the start of each part",
    )
    op.create_table(
        "gpu_price",
        must("account_id", INTEGER, "whose"),
        must("gpu_uuid", TEXT, "GPU model"),
        must("valid_from", INSTANT, "end of the poll that first saw it"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("status", INTEGER, "the source's code: 1 can be rented"),
        may("hour_microcny", BIGINT, "one GPU for an hour; millionths of a yuan"),
        may("day_microcny", BIGINT, "one GPU for a day; millionths of a yuan"),
        may("week_microcny", BIGINT, "one GPU for a week; millionths of a yuan"),
        may("month_microcny", BIGINT, "one GPU for a month; millionths of a yuan"),
        may("year_microcny", BIGINT, "one GPU for a year; millionths of a yuan"),
        may("after_at", INSTANT, "it began after this moment; null: was there before"),
        may(
            "last_seen_at",
            INSTANT,
            "null while it is listed; else the start of the last poll that surely saw it",
        ),
        may(
            "missing_since",
            INSTANT,
            "end of the first complete poll that did not list it; null while listed",
        ),
        may("valid_to", INSTANT, "valid_from of the next, or missing_since; null: current"),
        may("extra", TEXT, "JSON of what no column holds, without secrets"),
        sa.PrimaryKeyConstraint("account_id", "gpu_uuid", "valid_from", name=op.f("pk_gpu_price")),
        sa.CheckConstraint(
            "valid_to IS NULL OR last_seen_at IS NOT NULL", name=op.f("ck_gpu_price_ended")
        ),
        sa.CheckConstraint("valid_from <= valid_to", name=op.f("ck_gpu_price_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_gpu_price_account_id_account")
        ),
        comment="A list price while it held",
    )
    index(
        "uq_gpu_price_current",
        "gpu_price",
        ["account_id", "gpu_uuid"],
        unique=True,
        where="valid_to IS NULL",
    )
    op.create_table(
        "instance",
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("status", INTEGER, "the source's code; meaning: instance_status"),
        may("title", TEXT, "the user's name for it"),
        may("create_time", INSTANT, "creation"),
        may(
            "start_time",
            INSTANT,
            "start of the current or last run, as listed; null: never, or unreadable (then in extra)",
        ),
        may("charging_type", INTEGER, "the source's code; meaning: charging_type"),
        may("shutdown_time", INSTANT, "scheduled shutdown; null: none"),
        may("shutdown_enabled", BOOLEAN, "whether the scheduled shutdown is on"),
        may("save_image_status", INTEGER, "1 uploading, 2 uploaded, 3 upload failed"),
        may("image_uuid", TEXT, "image"),
        may("image_name", TEXT, "image name"),
        may("image_tag", TEXT, "image tag"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("server_url", TEXT, "service addresses: sorted JSON array, without secrets"),
        may("server_map", TEXT, "services: sorted JSON array, without secrets"),
        must("version", INTEGER, "number of the current version"),
        must("first_seen_at", INSTANT, "end of the poll that first saw it"),
        must("changed_at", INSTANT, "end of the poll that first saw the current version"),
        may(
            "last_seen_at",
            INSTANT,
            "null while it is listed and understood; else the start of the last poll that surely saw it",
        ),
        may(
            "missing_since",
            INSTANT,
            "end of the first complete poll that did not list it; null while listed",
        ),
        may("gone_at", INSTANT, "equal to missing_since, set by the second such poll in a row"),
        may("last_start_at", INSTANT, "newest start_time that was believed"),
        may(
            "extra",
            TEXT,
            "JSON of what no column holds, as of the current version, without secrets",
        ),
        sa.PrimaryKeyConstraint("account_id", "instance_uuid", name=op.f("pk_instance")),
        sa.CheckConstraint(
            "gone_at IS NULL OR (missing_since IS NOT NULL AND gone_at = missing_since)",
            name=op.f("ck_instance_gone_at"),
        ),
        sa.CheckConstraint("first_seen_at <= changed_at", name=op.f("ck_instance_instants")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_instance_account_id_account")
        ),
        comment="An instance as last seen",
    )
    index(
        "ix_instance_listed", "instance", ["account_id", "instance_uuid"], where="gone_at IS NULL"
    )
    index(
        "ix_instance_missing",
        "instance",
        ["account_id", "instance_uuid"],
        where="gone_at IS NULL AND last_seen_at IS NOT NULL",
    )
    op.create_table(
        "price_period",
        must("account_id", INTEGER, "whose"),
        must("gpu_uuid", TEXT, "GPU model; '' where there is none"),
        must("gpu_name", TEXT, "name of the GPU model; '' likewise"),
        must("image_uuid", TEXT, "image; '' likewise"),
        must("charging_type", INTEGER, "the source's code; -1 likewise"),
        must("no_card", INTEGER, "1 for runs without a GPU, else 0"),
        must("starts_s", BIGINT, "first second, epoch seconds"),
        must("ends_s", BIGINT, "first second after it"),
        must("kind", TEXT, "usage that is charged: running or held"),
        must("price_source", TEXT, "override, learned, list, list_assumed, unknown"),
        must("per_s", INTEGER, "seconds that the prices are for"),
        must("is_assumed", INTEGER, "1 where a month is taken as 30 days, or a year as 365"),
        may("price_microcny", BIGINT, "of one GPU, estimate; null: unknown"),
        may("price_min_microcny", BIGINT, "at least"),
        may("price_max_microcny", BIGINT, "at most"),
        may("flat_microcny", BIGINT, "of the instance, whatever its GPUs"),
        must("list_per_s", INTEGER, "seconds that the list price is for"),
        may("list_microcny", BIGINT, "list price of one GPU; null: unknown"),
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
        sa.CheckConstraint(
            "price_min_microcny <= price_microcny AND price_microcny <= price_max_microcny",
            name=op.f("ck_price_period_bounds"),
        ),
        sa.CheckConstraint("kind IN ('running', 'held')", name=op.f("ck_price_period_kind")),
        sa.CheckConstraint(
            "(price_source = 'unknown') = (price_microcny IS NULL) AND (price_microcny IS NULL) = (price_min_microcny IS NULL) AND (price_microcny IS NULL) = (price_max_microcny IS NULL) AND (price_microcny IS NULL) = (flat_microcny IS NULL)",
            name=op.f("ck_price_period_known"),
        ),
        sa.CheckConstraint(
            "price_source IN ('override', 'learned', 'list', 'list_assumed', 'unknown')",
            name=op.f("ck_price_period_price_source"),
        ),
        sa.CheckConstraint("starts_s < ends_s", name=op.f("ck_price_period_span")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_price_period_account_id_account")
        ),
        comment="The price of usage on some terms while it holds: for all terms in instance_usage, and all time; derived",
    )
    op.create_table(
        "recharge",
        must("account_id", INTEGER, "whose"),
        must(
            "recharge_id", TEXT, "out_trade_no; where the source gives none, a hash of the record"
        ),
        may("amount_microcny", BIGINT, "paid in; millionths of a yuan"),
        may("created_at", INSTANT, "when it was ordered"),
        may("paid_at", INSTANT, "when it was paid"),
        may("pay_channel", TEXT, "the source's word for how it was paid"),
        must("first_seen_at", INSTANT, "end of the poll that first saw it"),
        must("changed_at", INSTANT, "end of the poll that last changed it"),
        may("extra", TEXT, "JSON of what no column holds, without secrets"),
        sa.PrimaryKeyConstraint("account_id", "recharge_id", name=op.f("pk_recharge")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_recharge_account_id_account")
        ),
        comment="A recharge of the balance; never deleted",
    )
    op.create_table(
        "rejected_record",
        must("account_id", INTEGER, "whose"),
        must("resource", TEXT, "of what"),
        must("reason", TEXT, "path in the record, and what is wrong there"),
        must("payload_hash", TEXT, "SHA-256 of payload, 32 hex digits"),
        may("identity", TEXT, "its identity, where that could be read"),
        must("first_seen_at", INSTANT, "end of the poll that first brought it"),
        must("payload", TEXT, "the record as JSON, without secrets"),
        sa.PrimaryKeyConstraint(
            "account_id", "resource", "reason", "payload_hash", name=op.f("pk_rejected_record")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_rejected_record_account_id_account"),
        ),
        comment="A record that could not be understood, without secrets",
    )
    op.create_table(
        "running_sum",
        must("day", DAY, "day of the reporting time zone"),
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("line_no", INTEGER, "1, 2, 3 … by when they began"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        must("running_s", INTEGER, "seconds, estimate"),
        must("running_min_s", INTEGER, "seconds, at least"),
        must("running_max_s", INTEGER, "seconds, at most"),
        must("night_s", INTEGER, "of running_s, in the day's first eight hours"),
        sa.PrimaryKeyConstraint(
            "day", "account_id", "instance_uuid", "line_no", name=op.f("pk_running_sum")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_running_sum_account_id_account")
        ),
        sqlite_with_rowid=False,
        comment="Running time of closed stretches in one day, of an instance with one GPU model and count; derived: usage_day added up",
    )
    op.create_table(
        "sync_run",
        must("sync_run_id", SERIAL, "grows with every attempt"),
        must("account_id", INTEGER, "whose"),
        must("resource", TEXT, "what was polled: instances"),
        must("started_at", INSTANT, "not later than the first request; source's clock"),
        must("finished_at", INSTANT, "not earlier than the last answer; source's clock"),
        must(
            "outcome",
            TEXT,
            "complete (proven whole), partial (what was seen is written), failed (nothing is written), skipped (another sync was at work)",
        ),
        must("requests", INTEGER, "HTTP requests sent, retries included"),
        must("retries", INTEGER, "of them, repeated ones"),
        must("walks", INTEGER, "how often the list was read"),
        may("listed", INTEGER, "distinct identities listed; null where nothing was read"),
        may("reported_total", INTEGER, "the total that the source reported"),
        must("added", INTEGER, "instances seen for the first time"),
        must("changed", INTEGER, "versions begun by a change or a return"),
        must("gone", INTEGER, "instances declared gone"),
        must("rejected", INTEGER, "records that could not be understood"),
        may(
            "clock_offset_s",
            OFFSET,
            "source's clock minus this machine's, seconds; null: unknown, local clock taken",
        ),
        may(
            "digest",
            TEXT,
            "of the pages of a complete poll after which nothing was pending; an equal listing needs no decoding",
        ),
        may("error", TEXT, "why it is not complete, or what was odd"),
        may(
            "polls_before",
            INTEGER,
            "complete polls of the resource before it; null: it is not complete itself",
        ),
        may(
            "step_s",
            INTEGER,
            "seconds from the start of the complete poll before to its own; null: there is none",
        ),
        may("gap_s", INTEGER, "seconds from the end of that poll to the start of this one"),
        sa.PrimaryKeyConstraint("sync_run_id", name=op.f("pk_sync_run")),
        sa.CheckConstraint("started_at <= finished_at", name=op.f("ck_sync_run_instants")),
        sa.CheckConstraint(
            "outcome IN ('complete', 'partial', 'failed', 'skipped')",
            name=op.f("ck_sync_run_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_sync_run_account_id_account")
        ),
        comment="One attempt to poll one resource of one account, failed and skipped ones too",
    )
    index(
        "ix_sync_run_account_id_resource_outcome_started_at_finished_at",
        "sync_run",
        ["account_id", "resource", "outcome", "started_at", "finished_at"],
    )
    index(
        "ix_sync_run_gap", "sync_run", ["account_id", "resource", "started_at"], where="gap_s > 600"
    )
    index(
        "ix_sync_run_sample",
        "sync_run",
        ["account_id", "resource", "polls_before", "step_s"],
        where="polls_before = 19 * (polls_before / 19)",
    )
    op.create_table(
        "bill_day",
        must("account_id", INTEGER, "of the line"),
        must("order_number", TEXT, "of the line"),
        must("settle_start_at", INSTANT, "of the line"),
        must("settle_end_at", INSTANT, "of the line"),
        must("charge_channel", INTEGER, "of the line"),
        must("remark", TEXT, "of the line"),
        must("line_no", INTEGER, "of the line"),
        must("day", DAY, "day of the reporting time zone"),
        must(
            "amount_microcny",
            BIGINT,
            "the part of the amount that falls into it, by time; millionths of a yuan",
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
        comment="The part of a bill line whose window reaches into a day; derived from bill",
    )
    index("ix_bill_day_day", "bill_day", ["day"])
    op.create_table(
        "instance_history",
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("version", INTEGER, "1, 2, 3 … without holes"),
        must("status", INTEGER, "the source's code; meaning: instance_status"),
        may("title", TEXT, "the user's name for it"),
        may("create_time", INSTANT, "creation"),
        may(
            "start_time",
            INSTANT,
            "start of the current or last run, as listed; null: never, or unreadable (then in extra)",
        ),
        may("charging_type", INTEGER, "the source's code; meaning: charging_type"),
        may("shutdown_time", INSTANT, "scheduled shutdown; null: none"),
        may("shutdown_enabled", BOOLEAN, "whether the scheduled shutdown is on"),
        may("save_image_status", INTEGER, "1 uploading, 2 uploaded, 3 upload failed"),
        may("image_uuid", TEXT, "image"),
        may("image_name", TEXT, "image name"),
        may("image_tag", TEXT, "image tag"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("server_url", TEXT, "service addresses: sorted JSON array, without secrets"),
        may("server_map", TEXT, "services: sorted JSON array, without secrets"),
        may("after_at", INSTANT, "it began after this moment; null: it was there before we looked"),
        must("first_seen_at", INSTANT, "end of the poll that first saw it: it began not later"),
        must("began_by", TEXT, "first_seen, changed or returned (after it was declared gone)"),
        may("last_seen_at", INSTANT, "it still held at this moment; null while current"),
        may(
            "ended_at",
            INSTANT,
            "first_seen_at of the next version, or missing_since; null while current",
        ),
        may("ended_by", TEXT, "changed or gone; null while current"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "version", name=op.f("pk_instance_history")
        ),
        sa.CheckConstraint(
            "began_by IN ('first_seen', 'changed', 'returned')",
            name=op.f("ck_instance_history_began_by"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (last_seen_at IS NULL)",
            name=op.f("ck_instance_history_ended"),
        ),
        sa.CheckConstraint(
            "ended_by IN ('changed', 'gone')", name=op.f("ck_instance_history_ended_by")
        ),
        sa.CheckConstraint("first_seen_at <= ended_at", name=op.f("ck_instance_history_instants")),
        sa.ForeignKeyConstraint(
            ["account_id", "instance_uuid"],
            ["instance.account_id", "instance.instance_uuid"],
            name=op.f("fk_instance_history_account_id_instance_uuid_instance"),
        ),
        comment="One version of an instance. Open at t: first_seen_at <= t and (ended_at is null or t < ended_at)",
    )
    index(
        "ix_instance_history_first_seen_at_instance_uuid_account_id",
        "instance_history",
        ["first_seen_at", "instance_uuid", "account_id"],
    )
    index(
        "uq_instance_history_current",
        "instance_history",
        ["account_id", "instance_uuid"],
        unique=True,
        where="ended_at IS NULL",
    )
    op.create_table(
        "instance_usage",
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("usage_no", INTEGER, "1, 2, 3 … without holes"),
        must("kind", TEXT, "running, or held (prepaid: from creation to gone)"),
        must("started_at", INSTANT, "its start"),
        may("ended_min", INSTANT, "it surely lasted until then; null while open"),
        may("ended_at", INSTANT, "best estimate of its end; null while open"),
        may("ended_max", INSTANT, "it lasted until then at the latest; null while open"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("charging_type", INTEGER, "the source's code; meaning: charging_type"),
        must(
            "evidence",
            TEXT,
            "observed, booting (not yet seen up), unseen_run (fell between two polls), unknown_start, possible_run (no run may have been), gone",
        ),
        may("image_uuid", TEXT, "image, as of its start"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "usage_no", name=op.f("pk_instance_usage")
        ),
        sa.CheckConstraint(
            "(ended_min IS NULL) = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_max IS NULL)",
            name=op.f("ck_instance_usage_ended"),
        ),
        sa.CheckConstraint(
            "evidence IN ('observed', 'booting', 'unseen_run', 'unknown_start', 'possible_run', 'gone')",
            name=op.f("ck_instance_usage_evidence"),
        ),
        sa.CheckConstraint(
            "started_at <= ended_min AND ended_min <= ended_at AND ended_at <= ended_max",
            name=op.f("ck_instance_usage_instants"),
        ),
        sa.CheckConstraint("kind IN ('running', 'held')", name=op.f("ck_instance_usage_kind")),
        sa.ForeignKeyConstraint(
            ["account_id", "instance_uuid"],
            ["instance.account_id", "instance.instance_uuid"],
            name=op.f("fk_instance_usage_account_id_instance_uuid_instance"),
        ),
        comment="A stretch of running time of one instance with one GPU model, count and charging type; or, for prepaid charging, of time for which it was held",
    )
    index("ix_instance_usage_ended_max", "instance_usage", ["ended_max"])
    index("ix_instance_usage_started_at", "instance_usage", ["started_at"])
    index(
        "uq_instance_usage_open",
        "instance_usage",
        ["account_id", "instance_uuid", "kind"],
        unique=True,
        where="ended_at IS NULL",
    )
    op.create_table(
        "usage_cost",
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("usage_no", INTEGER, "of the stretch"),
        must("day", DAY, "day of the reporting time zone"),
        must("starts_s", BIGINT, "start of the part, epoch seconds"),
        must("ends_s", BIGINT, "its end, estimate, epoch seconds"),
        must("kind", TEXT, "running or held"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("charging_type", INTEGER, "the source's code; meaning: charging_type"),
        may("image_uuid", TEXT, "image, as of its start"),
        must("price_source", TEXT, "override, learned, list, list_assumed, unknown"),
        must("used_s", INTEGER, "seconds of usage, estimate"),
        must("charged_s", INTEGER, "seconds charged, estimate"),
        must("charged_min_s", INTEGER, "at least"),
        must("charged_max_s", INTEGER, "at most"),
        may("cost_microcny", BIGINT, "estimate; null: no price is known"),
        may("cost_min_microcny", BIGINT, "at least"),
        may("cost_max_microcny", BIGINT, "at most"),
        may("list_cost_microcny", BIGINT, "at list prices"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "usage_no", "day", "starts_s", name=op.f("pk_usage_cost")
        ),
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
        comment="A part of a closed stretch in one day at one price, and what it cost; derived from usage_day, price_period and the charging model",
    )
    index("ix_usage_cost_day", "usage_cost", ["day", "account_id", "kind", "starts_s"])
    op.create_table(
        "usage_day",
        must("account_id", INTEGER, "whose"),
        must("instance_uuid", TEXT, "identity"),
        must("usage_no", INTEGER, "of the stretch"),
        must("day", DAY, "day of the reporting time zone"),
        must("kind", TEXT, "running or held"),
        must("started_at", INSTANT, "start of the part"),
        must("running_s", INTEGER, "seconds, estimate"),
        must("running_min_s", INTEGER, "seconds, at least"),
        must("running_max_s", INTEGER, "seconds, at most"),
        may("gpu_uuid", TEXT, "GPU model"),
        may("gpu_name", TEXT, "name of the GPU model"),
        may("gpu_nums", INTEGER, "number of GPUs"),
        may("charging_type", INTEGER, "the source's code; meaning: charging_type"),
        may("image_uuid", TEXT, "image, as of its start"),
        must("usage_started_at", INSTANT, "start of the stretch"),
        may("evidence", TEXT, "of the stretch"),
        sa.PrimaryKeyConstraint(
            "account_id", "instance_uuid", "usage_no", "day", name=op.f("pk_usage_day")
        ),
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
        comment="The part of a closed stretch that falls into one day; derived from instance_usage",
    )
    index(
        "ix_usage_day_day_account_id_instance_uuid",
        "usage_day",
        ["day", "account_id", "instance_uuid"],
    )
    _seed()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def must(name: str, kind: Any, comment: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment, **options)


def may(name: str, kind: Any, comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True, comment=comment)


def index(
    name: str, table: str, columns: list[str], *, unique: bool = False, where: str | None = None
) -> None:
    only = None if where is None else sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=only, postgresql_where=only)


def _seed() -> None:
    """Write the meanings of the codes that were known, and that revisions are counted from here."""
    setting = sa.table("setting", sa.column("name"), sa.column("value"))
    op.bulk_insert(setting, [{"name": "baseline", "value": revision}])
    status = sa.table(
        "instance_status", *map(sa.column, ("status", "state", "is_up", "name_en", "name_zh"))
    )
    op.bulk_insert(status, [dict(zip(status.c.keys(), row, strict=True)) for row in STATUS])
    charging = sa.table(
        "charging_type", *map(sa.column, ("charging_type", "unit", "name_en", "name_zh"))
    )
    op.bulk_insert(charging, [dict(zip(charging.c.keys(), row, strict=True)) for row in CHARGING])
