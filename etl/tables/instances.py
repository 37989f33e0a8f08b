"""Tables of instances: the current state, every version, and the running time that follows."""

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
    and_,
)
from sqlalchemy.types import TypeEngine

from etl.dialect import CalendarDay, UtcInstant
from etl.tables.base import metadata, one_of, whose


def _instance_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["account_id", "instance_uuid"], ["instance.account_id", "instance.instance_uuid"]
    )


FACTS: tuple[tuple[str, type[TypeEngine[Any]], str], ...] = (
    ("status", Integer, "the source's code; meaning: instance_status"),
    ("title", Text, "the user's name for it"),
    ("create_time", UtcInstant, "creation"),
    (
        "start_time",
        UtcInstant,
        "start of the current or last run, as listed; null: never, or unreadable (then in extra)",
    ),
    ("charging_type", Integer, "the source's code; meaning: charging_type"),
    ("shutdown_time", UtcInstant, "scheduled shutdown; null: none"),
    ("shutdown_enabled", Boolean, "whether the scheduled shutdown is on"),
    ("save_image_status", Integer, "1 uploading, 2 uploaded, 3 upload failed"),
    ("image_uuid", Text, "image"),
    ("image_name", Text, "image name"),
    ("image_tag", Text, "image tag"),
    ("gpu_uuid", Text, "GPU model"),
    ("gpu_name", Text, "name of the GPU model"),
    ("gpu_nums", Integer, "number of GPUs"),
    # text of both databases alike, so that rows compare equal; Postgres reads it with ::jsonb
    ("server_url", Text, "service addresses: sorted JSON array, without secrets"),
    ("server_map", Text, "services: sorted JSON array, without secrets"),
)
"""The facts of an instance: a column for each member of `etl.resources.instances.Instance`."""


def _facts() -> list[Column[Any]]:
    return [
        Column(name, kind, nullable=name != "status", comment=about) for name, kind, about in FACTS
    ]


instance = Table(
    "instance",
    metadata,
    whose(),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    *_facts(),
    Column("version", Integer, nullable=False, comment="number of the current version"),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first saw it"
    ),
    Column(
        "changed_at",
        UtcInstant,
        nullable=False,
        comment="end of the poll that first saw the current version",
    ),
    Column(
        "last_seen_at",
        UtcInstant,
        comment="null while it is listed and understood; else the start of the last poll that surely saw it",
    ),
    Column(
        "missing_since",
        UtcInstant,
        comment="end of the first complete poll that did not list it; null while listed",
    ),
    Column(
        "gone_at",
        UtcInstant,
        comment="equal to missing_since, set by the second such poll in a row",
    ),
    Column("last_start_at", UtcInstant, comment="newest start_time that was believed"),
    Column(
        "extra",
        Text,
        comment="JSON of what no column holds, as of the current version, without secrets",
    ),
    PrimaryKeyConstraint("account_id", "instance_uuid"),
    CheckConstraint("first_seen_at <= changed_at", name="instants"),
    CheckConstraint(
        "gone_at IS NULL OR (missing_since IS NOT NULL AND gone_at = missing_since)", name="gone_at"
    ),
    comment="An instance as last seen",
)
Index(
    # a fleet has far more instances that are gone than listed ones: a poll reads only the latter
    # partial: after years most instances are gone
    "ix_instance_listed",
    instance.c.account_id,
    instance.c.instance_uuid,
    info={"where": instance.c.gone_at.is_(None)},
)

Index(
    # asked at each poll, and nearly always empty
    # partial: every poll asks whether any is missing, and hardly ever one is
    "ix_instance_missing",
    instance.c.account_id,
    instance.c.instance_uuid,
    info={"where": and_(instance.c.gone_at.is_(None), instance.c.last_seen_at.is_not(None))},
)

instance_history = Table(
    "instance_history",
    metadata,
    Column("account_id", Integer, nullable=False, comment="whose"),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    Column("version", Integer, nullable=False, comment="1, 2, 3 … without holes"),
    *_facts(),
    Column(
        "after_at",
        UtcInstant,
        comment="it began after this moment; null: it was there before we looked",
    ),
    Column(
        "first_seen_at",
        UtcInstant,
        nullable=False,
        comment="end of the poll that first saw it: it began not later",
    ),
    Column(
        "began_by",
        Text,
        nullable=False,
        comment="first_seen, changed or returned (after it was declared gone)",
    ),
    Column("last_seen_at", UtcInstant, comment="it still held at this moment; null while current"),
    Column(
        "ended_at",
        UtcInstant,
        comment="first_seen_at of the next version, or missing_since; null while current",
    ),
    Column("ended_by", Text, comment="changed or gone; null while current"),
    PrimaryKeyConstraint("account_id", "instance_uuid", "version"),
    _instance_key(),
    one_of("began_by", ("first_seen", "changed", "returned"), "began_by"),
    one_of("ended_by", ("changed", "gone"), "ended_by"),
    CheckConstraint("first_seen_at <= ended_at", name="instants"),
    CheckConstraint(
        "(ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (last_seen_at IS NULL)",
        name="ended",
    ),
    Index(
        "ix_instance_history_first_seen_at_instance_uuid_account_id",
        "first_seen_at",
        "instance_uuid",
        "account_id",
    ),
    comment="One version of an instance. Open at t: first_seen_at <= t and (ended_at is null or t < ended_at)",
    info={"partition": "first_seen_at"},
)
Index(
    # two current versions would double every figure: the database itself refuses them
    "uq_instance_history_current",
    instance_history.c.account_id,
    instance_history.c.instance_uuid,
    unique=True,
    info={"where": instance_history.c.ended_at.is_(None)},
)

TERMS: tuple[tuple[str, type[TypeEngine[Any]], str], ...] = (
    ("gpu_uuid", Text, "GPU model"),
    ("gpu_name", Text, "name of the GPU model"),
    ("gpu_nums", Integer, "number of GPUs"),
    ("charging_type", Integer, "the source's code; meaning: charging_type"),
    ("image_uuid", Text, "image, as of its start"),
)
"""What a stretch is charged by: a column for each member of `etl.history.stretches.Terms`."""

instance_usage = Table(
    "instance_usage",
    metadata,
    Column("account_id", Integer, nullable=False, comment="whose"),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    Column("usage_no", Integer, nullable=False, comment="1, 2, 3 … without holes"),
    Column(
        "kind", Text, nullable=False, comment="running, or held (prepaid: from creation to gone)"
    ),
    Column("started_at", UtcInstant, nullable=False, comment="its start"),
    Column("ended_min", UtcInstant, comment="it surely lasted until then; null while open"),
    Column("ended_at", UtcInstant, comment="best estimate of its end; null while open"),
    Column("ended_max", UtcInstant, comment="it lasted until then at the latest; null while open"),
    *(Column(name, kind, comment=about) for name, kind, about in TERMS),
    Column(
        "evidence",
        Text,
        nullable=False,
        comment="observed, booting (not yet seen up), unseen_run (fell between two polls), unknown_start, possible_run (no run may have been), gone",
    ),
    Column(
        "end_evidence",
        Text,
        comment="what the estimate of its stop rests on: exact, timer, settled (the bill), status (seen shutting down) or middle; null: open, or no stop is estimated",
    ),
    Column(
        "settlements",
        Integer,
        comment="how many settlement windows of the bill may end with its stop; null: not asked, since the bill does not reach there, or no price is known",
    ),
    Column("settled_at", UtcInstant, comment="the end of that window if there is just one"),
    PrimaryKeyConstraint("account_id", "instance_uuid", "usage_no"),
    _instance_key(),
    one_of("kind", ("running", "held"), "kind"),
    one_of(
        "evidence",
        ("observed", "booting", "unseen_run", "unknown_start", "possible_run", "gone"),
        "evidence",
    ),
    CheckConstraint(
        "started_at <= ended_min AND ended_min <= ended_at AND ended_at <= ended_max",
        name="instants",
    ),
    CheckConstraint(
        "(ended_min IS NULL) = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_max IS NULL)",
        name="ended",
    ),
    Index("ix_instance_usage_started_at", "started_at"),
    # a period is cut out by both: begun before its end, ended after its start
    Index("ix_instance_usage_ended_max", "ended_max"),
    comment="A stretch of running time of one instance with one GPU model, count and charging type; or, for prepaid charging, of time for which it was held",
    info={"partition": "started_at"},
)
Index(
    # kind in the key: a prepaid instance runs and is held at the same time
    "uq_instance_usage_open",
    instance_usage.c.account_id,
    instance_usage.c.instance_uuid,
    instance_usage.c.kind,
    unique=True,
    info={"where": instance_usage.c.ended_at.is_(None)},
)

usage_day = Table(
    "usage_day",
    metadata,
    Column("account_id", Integer, nullable=False, comment="whose"),
    Column("instance_uuid", Text, nullable=False, comment="identity"),
    Column("usage_no", Integer, nullable=False, comment="of the stretch"),
    Column("day", CalendarDay, nullable=False, comment="day of the reporting time zone"),
    Column("kind", Text, nullable=False, comment="running or held"),
    Column("started_at", UtcInstant, nullable=False, comment="start of the part"),
    Column("usage_started_at", UtcInstant, nullable=False, comment="start of the stretch"),
    Column("running_s", Integer, nullable=False, comment="seconds, estimate"),
    Column("running_min_s", Integer, nullable=False, comment="seconds, at least"),
    Column("running_max_s", Integer, nullable=False, comment="seconds, at most"),
    *(Column(name, kind, comment=about) for name, kind, about in TERMS),
    Column("evidence", Text, comment="of the stretch"),
    PrimaryKeyConstraint("account_id", "instance_uuid", "usage_no", "day"),
    ForeignKeyConstraint(
        ["account_id", "instance_uuid", "usage_no"],
        [
            "instance_usage.account_id",
            "instance_usage.instance_uuid",
            "instance_usage.usage_no",
        ],
    ),
    CheckConstraint(
        "0 <= running_min_s AND running_min_s <= running_s AND running_s <= running_max_s",
        name="bounds",
    ),
    # the primary key leads by instance, for writers; reports ask by day
    Index("ix_usage_day_day_account_id_instance_uuid", "day", "account_id", "instance_uuid"),
    comment="The part of a closed stretch that falls into one day; derived from instance_usage",
    info={"partition": "day"},
)

state_length = Table(
    "state_length",
    metadata,
    whose(),
    Column("seen_at", UtcInstant, nullable=False, comment="end of the poll that saw the newest"),
    *(
        Column(name, BigInteger, nullable=False, comment=about)
        for name, about in (
            ("stops", "stops seen up to then, by instances that were seen off later"),
            ("stopping_seen", "sightings of them while they shut down, millionths"),
            ("stopping_per_s", "sum of 1 / seconds between the polls around each, 10^-12"),
            ("starts", "starts seen up to then, by instances that were seen up later"),
            ("booting_seen", "sightings of them while they booted, millionths"),
            ("booting_per_s", "sum of 1 / seconds between the polls around each, 10^-12"),
        )
    ),
    PrimaryKeyConstraint("account_id", "seen_at"),
    comment="How long shutting down and booting last, as learned from all polls up to one that saw a stop or a start; derived from instance_history",
)
