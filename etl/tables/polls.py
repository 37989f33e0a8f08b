"""Tables of polls: every attempt, and the records that it could not understand."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from etl.dialect import UtcInstant
from etl.poll import OUTCOMES
from etl.tables.base import Serial, metadata, one_of, whose
from etl.units import GAP_S, SAMPLE_STEP

sync_run = Table(
    "sync_run",
    metadata,
    Column("sync_run_id", Serial, primary_key=True, comment="grows with every attempt"),
    whose(),
    Column("resource", Text, nullable=False, comment="what was polled: instances"),
    Column(
        "started_at",
        UtcInstant,
        nullable=False,
        comment="not later than the first request; source's clock, 5 s early for the skew of its servers",
    ),
    Column(
        "finished_at",
        UtcInstant,
        nullable=False,
        comment="not earlier than the last answer; source's clock, 5 s late",
    ),
    Column(
        "outcome",
        Text,
        nullable=False,
        comment="complete (proven whole), partial (what was seen is written), failed (nothing is written), skipped (another sync was at work)",
    ),
    Column("requests", Integer, nullable=False, comment="HTTP requests sent, retries included"),
    Column("retries", Integer, nullable=False, comment="of them, repeated ones"),
    Column("walks", Integer, nullable=False, comment="how often the list was read"),
    Column("listed", Integer, comment="distinct identities listed; null where nothing was read"),
    Column("reported_total", Integer, comment="the total that the source reported"),
    Column("added", Integer, nullable=False, comment="instances seen for the first time"),
    Column("changed", Integer, nullable=False, comment="versions begun by a change or a return"),
    Column("gone", Integer, nullable=False, comment="instances declared gone"),
    Column("rejected", Integer, nullable=False, comment="records that could not be understood"),
    Column(
        "clock_offset_s",
        # milliseconds; a float in Python, since it is compared and never added up
        Numeric(12, 3, asdecimal=False),
        comment="source's clock minus this machine's, seconds, as it was measured; null: it was not",
    ),
    Column(
        "digest",
        Text,
        comment="of the pages of a complete poll after which nothing was pending; an equal listing needs no decoding",
    ),
    Column("error", Text, comment="why it is not complete, or what was odd"),
    Column(
        "error_kind",
        Text,
        comment="which sort of failure it was, for programs: unavailable, limited, key_refused, forbidden, missing, changed, clock, stale, settings, no_key, archive, lock, busy, away, database or fault; null where it is applied",
    ),
    Column(
        "polls_before",
        Integer,
        comment="complete polls of the resource before it; null: it is not complete itself",
    ),
    Column(
        "step_s",
        Integer,
        comment="seconds from the start of the complete poll before to its own; null: there is none",
    ),
    Column("gap_s", Integer, comment="seconds from the end of that poll to the start of this one"),
    one_of("outcome", OUTCOMES, "outcome"),
    CheckConstraint("started_at <= finished_at", name="instants"),
    Index(
        "ix_sync_run_account_id_resource_outcome_started_at_finished_at",
        "account_id",
        "resource",
        "outcome",
        "started_at",
        "finished_at",
    ),
    # the newest attempts by number: instants cannot order them while a clock is wrong
    Index("ix_sync_run_account_id_resource_sync_run_id", "account_id", "resource", "sync_run_id"),
    comment="One attempt to poll one resource of one account, failed and skipped ones too",
    info={"partition": "started_at"},
)
Index(
    # gaps are few among a year of polls: found without reading the others
    "ix_sync_run_gap",
    sync_run.c.account_id,
    sync_run.c.resource,
    sync_run.c.started_at,
    info={"where": text(f"gap_s > {GAP_S}")},
)
Index(
    # the usual distance is the median of every nineteenth poll, which suffices and is read in no
    # time
    "ix_sync_run_sample",
    sync_run.c.account_id,
    sync_run.c.resource,
    sync_run.c.polls_before,
    sync_run.c.step_s,
    info={"where": text(f"polls_before = {SAMPLE_STEP} * (polls_before / {SAMPLE_STEP})")},
)

folded_poll = Table(
    "folded_poll",
    metadata,
    whose(),
    Column("resource", Text, nullable=False, comment="what was polled"),
    Column("outcome", Text, nullable=False, comment="as in sync_run"),
    Column(
        "begins_at",
        UtcInstant,
        nullable=False,
        comment="of the quarter of an hour in which they began, which days of every time zone hold whole",
    ),
    Column("polls", Integer, nullable=False, comment="how many"),
    one_of("outcome", OUTCOMES, "outcome"),
    PrimaryKeyConstraint("account_id", "resource", "outcome", "begins_at"),
    sqlite_with_rowid=False,
    comment="How many old polls were folded: their rows of sync_run are no more, since no figure rests on them but their number",
    info={"partition": "begins_at"},
)

rejected_record = Table(
    "rejected_record",
    metadata,
    whose(),
    Column("resource", Text, nullable=False, comment="of what"),
    Column("reason", Text, nullable=False, comment="path in the record, and what is wrong there"),
    Column("payload_hash", Text, nullable=False, comment="SHA-256 of payload, 32 hex digits"),
    Column("identity", Text, comment="its identity, where that could be read"),
    Column(
        "first_seen_at", UtcInstant, nullable=False, comment="end of the poll that first brought it"
    ),
    Column("payload", Text, nullable=False, comment="the record as JSON, without secrets"),
    PrimaryKeyConstraint("account_id", "resource", "reason", "payload_hash"),
    comment="A record that could not be understood, without secrets",
)

known_listing = Table(
    "known_listing",
    metadata,
    whose(),
    Column("resource", Text, nullable=False, comment="what was listed: instances"),
    Column("digest", Text, nullable=False, comment="of which listing, as in sync_run"),
    Column(
        "signatures",
        LargeBinary,
        nullable=False,
        comment="keyed hashes of the records' bytes, 8 bytes each; the key is not in the database",
    ),
    PrimaryKeyConstraint("account_id", "resource"),
    info={"internal": True},
    comment="Signatures of the records of an account's newest listing: one that comes with the same bytes is not read again",
)
