"""Tables of costs and payers: the user's prices and rules, all that follows, and closed months.

Amounts are whole millionths of a yuan. Tables that are read with every part of usage hold epoch
seconds, and '' or -1 if a term is not known: they are joined on equality.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from etl.history.codes import UNITS
from etl.tables.base import Serial, metadata, one_of, whose
from etl.tables.instances import TERMS

_COUNTED = ("used_s", "charged_s", "unpriced_s", "unpriced_max_s")
PRICE_SOURCES = ("override", "learned", "list", "list_assumed", "unknown")


def _span() -> list[Column[Any] | CheckConstraint]:
    return [
        Column("starts_s", BigInteger, nullable=False, comment="first second, epoch seconds"),
        Column("ends_s", BigInteger, nullable=False, comment="first second after it"),
        CheckConstraint("starts_s < ends_s", name="span"),
    ]


def _dated() -> list[Column[Any] | CheckConstraint]:
    return [
        Column("valid_from", UtcInstant, comment="from when on; null: since ever"),
        Column("valid_to", UtcInstant, comment="until when, not included; null: until another"),
        CheckConstraint("valid_from < valid_to", name="instants"),
    ]


def payers() -> list[Column[str]]:
    """Return the columns that say who pays."""
    return [
        Column("project", Text, comment="project that pays"),
        Column("owner", Text, comment="who it is for"),
        Column("cost_centre", Text, comment="cost centre"),
    ]


def _instances() -> list[Column[str]]:
    """Return the columns that say which instances a rule is about."""
    return [
        Column("account", Text, comment="the account's name; null: any"),
        Column("instance_uuid", Text, comment="instance; null: any"),
        Column("title", Text, comment="pattern of its title with * and ?; null: any"),
        Column("image", Text, comment="its image, by uuid or pattern of the name; null: any"),
    ]


def tags_then() -> Column[str]:
    """Return the column of an instance's tags at some time."""
    return Column("tags", Text, comment="its tags: JSON object of texts; null: none")


price_override = Table(
    "price_override",
    metadata,
    Column("price_override_id", Serial, primary_key=True, comment="order in the file"),
    Column("account", Text, comment="the account's name; null: any"),
    Column("gpu_uuid", Text, comment="GPU model; null: any, or gpu_name says it"),
    Column("gpu_name", Text, comment="name of the GPU model; null: any, or gpu_uuid says it"),
    Column("image_uuid", Text, comment="image; null: any"),
    Column("charging_type", Integer, comment="the source's code; null: any that counts in unit"),
    Column(
        "no_card", Boolean, nullable=False, comment="for runs without a GPU; else for those with"
    ),
    Column("per", Text, nullable=False, comment="gpu (times the number of GPUs) or instance"),
    Column("unit", Text, nullable=False, comment="hour, day, week, month or year"),
    Column("price_microcny", BigInteger, nullable=False, comment="millionths of a yuan a unit"),
    Column("adds", Boolean, nullable=False, comment="on top of the price, not in its place"),
    *_dated(),
    Column("note", Text, comment="the user's words"),
    Column("source", Text, nullable=False, comment="user, or bill: learned from it and accepted"),
    one_of("per", ("gpu", "instance"), "per"),
    one_of("unit", UNITS, "unit"),
    one_of("source", ("user", "bill"), "source"),
    CheckConstraint("price_microcny >= 0", name="price"),
    # one that names both could contradict itself
    CheckConstraint("gpu_uuid IS NULL OR gpu_name IS NULL", name="gpu"),
    comment="What the user says it costs; the most specific one holds",
)

price_period = Table(
    "price_period",
    metadata,
    whose(),
    # no nulls in the key: usage is joined to it by equality, which null never fulfils
    Column("gpu_uuid", Text, nullable=False, comment="GPU model; '' where there is none"),
    Column("gpu_name", Text, nullable=False, comment="name of the GPU model; '' likewise"),
    Column("image_uuid", Text, nullable=False, comment="image; '' likewise"),
    Column("charging_type", Integer, nullable=False, comment="the source's code; -1 likewise"),
    Column("no_card", Integer, nullable=False, comment="1 for runs without a GPU, else 0"),
    *_span(),
    Column("kind", Text, nullable=False, comment="usage that is charged: running or held"),
    Column("price_source", Text, nullable=False, comment=", ".join(PRICE_SOURCES)),
    Column("per_s", Integer, nullable=False, comment="seconds that the prices are for"),
    Column(
        "is_assumed",
        Integer,
        nullable=False,
        comment="1 where a month is taken as 30 days, or a year as 365",
    ),
    Column("price_microcny", BigInteger, comment="of one GPU, estimate; null: unknown"),
    Column("price_min_microcny", BigInteger, comment="at least"),
    Column("price_max_microcny", BigInteger, comment="at most"),
    Column("flat_microcny", BigInteger, comment="of the instance, whatever its GPUs"),
    Column("list_per_s", Integer, nullable=False, comment="seconds that the list price is for"),
    Column("list_microcny", BigInteger, comment="list price of one GPU; null: unknown"),
    PrimaryKeyConstraint(
        "account_id",
        "gpu_uuid",
        "gpu_name",
        "image_uuid",
        "charging_type",
        "no_card",
        "starts_s",
    ),
    one_of("kind", ("running", "held"), "kind"),
    one_of("price_source", PRICE_SOURCES, "price_source"),
    CheckConstraint(
        "(price_source = 'unknown') = (price_microcny IS NULL)"
        " AND (price_microcny IS NULL) = (price_min_microcny IS NULL)"
        " AND (price_microcny IS NULL) = (price_max_microcny IS NULL)"
        " AND (price_microcny IS NULL) = (flat_microcny IS NULL)",
        name="known",
    ),
    CheckConstraint(
        "price_min_microcny <= price_microcny AND price_microcny <= price_max_microcny",
        name="bounds",
    ),
    comment="The price of usage on some terms while it holds: for all terms in instance_usage, and all time; derived",
)

usage_cost = Table(
    "usage_cost",
    metadata,
    # no foreign key of its own: that of the stretch leads there, and each row would be checked
    # twice
    Column("account_id", Integer, nullable=False, comment="whose"),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    Column("usage_no", Integer, nullable=False, comment="of the stretch"),
    Column("day", CalendarDay, nullable=False, comment="day of the reporting time zone"),
    Column("starts_s", BigInteger, nullable=False, comment="start of the part, epoch seconds"),
    Column("ends_s", BigInteger, nullable=False, comment="its end, estimate, epoch seconds"),
    Column("kind", Text, nullable=False, comment="running or held"),
    *(Column(name, kind, comment=about) for name, kind, about in TERMS),
    Column("price_source", Text, nullable=False, comment=", ".join(PRICE_SOURCES)),
    Column("used_s", Integer, nullable=False, comment="seconds of usage, estimate"),
    Column("charged_s", Integer, nullable=False, comment="seconds charged, estimate"),
    Column("charged_min_s", Integer, nullable=False, comment="at least"),
    Column("charged_max_s", Integer, nullable=False, comment="at most"),
    Column("cost_microcny", BigInteger, comment="estimate; null: no price is known"),
    Column("cost_min_microcny", BigInteger, comment="at least"),
    Column("cost_max_microcny", BigInteger, comment="at most"),
    Column("list_cost_microcny", BigInteger, comment="at list prices"),
    PrimaryKeyConstraint("account_id", "instance_uuid", "usage_no", "day", "starts_s"),
    ForeignKeyConstraint(
        ["account_id", "instance_uuid", "usage_no"],
        [
            "instance_usage.account_id",
            "instance_usage.instance_uuid",
            "instance_usage.usage_no",
        ],
    ),
    CheckConstraint(
        "charged_min_s <= charged_s AND charged_s <= charged_max_s"
        " AND cost_min_microcny <= cost_microcny AND cost_microcny <= cost_max_microcny",
        name="bounds",
    ),
    # by day first: most reports ask for a period of all accounts
    Index("ix_usage_cost_day", "day", "account_id", "kind", "starts_s"),
    comment="A part of a closed stretch in one day at one price, and what it cost; derived from usage_day, price_period and the charging model",
    info={"partition": "day"},
)

allocation_rule = Table(
    "allocation_rule",
    metadata,
    # its place in the file decides who is asked first, so the database must not number it
    Column("rule_no", Integer, primary_key=True, autoincrement=False, comment="1 is asked first"),
    *_instances(),
    *payers(),
    *_dated(),
    Column("note", Text, comment="the user's words"),
    comment="Who pays: the first rule that matches holds",
)

tag_rule = Table(
    "tag_rule",
    metadata,
    Column("tag_rule_no", Integer, primary_key=True, autoincrement=False, comment="1 goes first"),
    *_instances(),
    Column("tags", Text, nullable=False, comment="the tags that it gives: JSON object of texts"),
    *_dated(),
    Column("note", Text, comment="the user's words"),
    comment="Tags by rule: for each key the first rule that matches holds, and goes before the title",
)

lease = Table(
    "lease",
    metadata,
    Column("lease_no", Integer, primary_key=True, autoincrement=False, comment="1 is asked first"),
    *_instances(),
    Column("project", Text, comment="project that pays; null: any"),
    Column("owner", Text, comment="who it is for; null: any"),
    Column("until", UtcInstant, comment="until when it may run, not included; null: for ever"),
    Column("max_running_s", BigInteger, comment="seconds for which it may run; null: any"),
    Column("max_gpus", Integer, comment="GPUs that it may have; null: any"),
    *_dated(),
    Column("note", Text, comment="the user's words"),
    CheckConstraint("max_running_s >= 0 AND max_gpus >= 0", name="amounts"),
    comment="How long and how much each instance may run: the first that matches holds. Nothing is stopped by it",
)

usage_limit = Table(
    "usage_limit",
    metadata,
    Column("limit_no", Integer, primary_key=True, autoincrement=False, comment="its place"),
    Column("scope", Text, nullable=False, comment="account, project or owner"),
    Column("name", Text, nullable=False, comment="of the account, project or owner"),
    Column("month_gpu_s", BigInteger, comment="card-seconds a month; null: any"),
    Column(
        "carry_s",
        BigInteger,
        nullable=False,
        comment="at most so many card-seconds are carried over into the next month",
    ),
    Column("max_gpus", Integer, comment="GPUs that may run at a time; null: any"),
    *_dated(),
    Column("note", Text, comment="the user's words"),
    one_of("scope", ("account", "project", "owner"), "scope"),
    CheckConstraint("month_gpu_s >= 0 AND carry_s >= 0 AND max_gpus >= 0", name="amounts"),
    comment="What an account, a project or an owner may use. Nothing is stopped by it",
)

rule_version = Table(
    "rule_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 …"),
    Column("imported_at", UtcInstant, nullable=False, comment="when it was imported"),
    Column("source", Text, nullable=False, comment="the file's name, or what it was restored from"),
    Column("rules", Integer, nullable=False, comment="number of rules in it"),
    Column("budgets", Integer, nullable=False, comment="number of budgets in it"),
    Column("content", Text, nullable=False, comment="all of it, as the text of a TOML file"),
    comment="Rules and budgets as they were imported, to come back to",
)

allocation = Table(
    "allocation",
    metadata,
    whose(),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    *_span(),
    # no foreign key: rules are replaced as a whole, and 0 is none
    Column("rule_no", Integer, nullable=False, comment="the rule that says so; 0: no rule matches"),
    *payers(),
    tags_then(),
    Column(
        "is_doubtful",
        Integer,
        nullable=False,
        server_default="0",
        comment="1 while others may pay or tags differ: the title or image changed at a moment that nobody saw",
    ),
    Column("or_project", Text, comment="project that then pays"),
    Column("or_owner", Text, comment="who it is then for"),
    Column("or_cost_centre", Text, comment="cost centre then"),
    Column("or_tags", Text, comment="its tags then"),
    Column(
        "lease_no",
        Integer,
        nullable=False,
        server_default="0",
        comment="the lease that holds; 0: none",
    ),
    PrimaryKeyConstraint("account_id", "instance_uuid", "starts_s"),
    comment="What the rules and its title say of an instance, while it holds; nothing if there are no rules and no tags. Derived",
)

budget = Table(
    "budget",
    metadata,
    Column("scope", Text, nullable=False, comment="project or account"),
    Column("name", Text, nullable=False, comment="of the project or account"),
    # '' and not null, as a key holds none
    Column("month", Text, nullable=False, comment="2026-11; '' for every month without its own"),
    Column("amount_microcny", BigInteger, nullable=False, comment="millionths of a yuan"),
    PrimaryKeyConstraint("scope", "name", "month"),
    one_of("scope", ("project", "account"), "scope"),
    CheckConstraint("amount_microcny >= 0", name="amount"),
    comment="What a project or an account may cost in a month",
)

closed_month = Table(
    "closed_month",
    metadata,
    whose(),
    Column("month", Text, nullable=False, comment="2026-10, of the reporting time zone"),
    Column("closed_at", UtcInstant, nullable=False, comment="when it was closed"),
    Column(
        "bill_until",
        UtcInstant,
        comment="end of the newest poll of the bill before it was closed; what came later is an adjustment",
    ),
    PrimaryKeyConstraint("account_id", "month"),
    comment="A month whose costs are frozen",
)

closed_cost = Table(
    "closed_cost",
    metadata,
    whose(),
    Column("month", Text, nullable=False, comment="the month that it is frozen with"),
    Column("line_no", Integer, nullable=False, comment="1, 2, 3 …"),
    Column("day", CalendarDay, nullable=False, comment="day of the reporting time zone"),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    # copied, not joined: a closed month must not follow a later rename
    Column("title", Text, comment="the user's name for it when the month was closed"),
    *payers(),
    tags_then(),
    Column("kind", Text, nullable=False, comment="running or held"),
    Column("gpu_uuid", Text, comment="GPU model"),
    Column("gpu_name", Text, comment="name of the GPU model"),
    Column("gpu_nums", Integer, comment="number of GPUs"),
    Column("charging_type", Integer, comment="the source's code"),
    Column("image_uuid", Text, comment="image"),
    Column("price_source", Text, nullable=False, comment=", ".join(PRICE_SOURCES)),
    Column("settled", Text, nullable=False, comment="settled, partly or estimated, when closed"),
    *(
        Column(name, BigInteger, nullable=name not in _COUNTED, comment=about)
        for name, about in (
            ("used_s", "seconds of usage, estimate"),
            ("gpu_s", "card-seconds, estimate; null: number of GPUs unknown"),
            ("charged_s", "seconds charged, estimate"),
            ("unpriced_s", "of them, seconds without a known price"),
            ("unpriced_max_s", "the same, at most"),
            ("cost_microcny", "estimate; null: no price is known"),
            ("cost_min_microcny", "at least"),
            ("cost_max_microcny", "at most"),
            ("list_cost_microcny", "at list prices"),
        )
    ),
    PrimaryKeyConstraint("account_id", "month", "line_no"),
    Index("ix_closed_cost_day", "day"),
    comment="A line of cost as it was when its month was closed",
)
