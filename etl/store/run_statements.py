"""Statements about polls and lookups that every poll runs, built once: building one costs more than
running it. Those about an account bind `account`, those about a resource `resource` too.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, func, select

from etl import tables
from etl.dialect import DATABASE_ID
from etl.units import RECENT_ATTEMPTS

_run: Final = tables.sync_run.c

_RUNS: Final = (
    _run.account_id == bindparam("account"),
    _run.resource == bindparam("resource"),
)

_listing: Final = tables.known_listing.c

STATES: Final = select(tables.instance_status.c.status, tables.instance_status.c.state)
UNITS: Final = select(tables.charging_type.c.charging_type, tables.charging_type.c.unit)
OWN_ID: Final = select(tables.setting.c.value).where(tables.setting.c.name == DATABASE_ID)
ARCHIVES_SETTING: Final = "archives"
"""Name of the setting that lists the folders in which polls were archived, as JSON."""
ARCHIVES: Final = select(tables.setting.c.value).where(tables.setting.c.name == ARCHIVES_SETTING)
TIMEZONE: Final = select(tables.setting.c.value).where(tables.setting.c.name == "timezone")

NEWEST_RUN: Final = (
    select(
        _run.started_at,
        _run.finished_at,
        _run.digest,
        func.coalesce(_run.listed, 0),
        _run.reported_total,
        _run.clock_offset_s,
    )
    .where(*_RUNS, _run.outcome == bindparam("outcome"))
    .order_by(_run.started_at.desc())
    .limit(1)
)
COMPLETE_BEFORE: Final = (
    select(_run.polls_before, _run.started_at, _run.finished_at)
    .where(*_RUNS, _run.outcome == "complete", _run.started_at < bindparam("before"))
    .order_by(_run.started_at.desc())
    .limit(1)
)
STEPS: Final = (
    select(
        _run.sync_run_id,
        _run.resource,
        _run.started_at,
        _run.finished_at,
        _run.polls_before,
        _run.step_s,
        _run.gap_s,
    )
    .where(_run.account_id == bindparam("account"), _run.outcome == "complete")
    .order_by(_run.resource, _run.started_at, _run.sync_run_id)
)
NEWEST_COMPLETE: Final = select(func.max(_run.started_at)).where(*_RUNS, _run.outcome == "complete")
NEWEST_TOTAL: Final = (
    select(_run.reported_total)
    .where(*_RUNS, _run.outcome == "complete")
    .order_by(_run.started_at.desc())
    .limit(1)
)
NEWEST_WHOLE: Final = select(func.max(_run.started_at)).where(
    # a poll of a window may stop early, once its first pages account for everything: that one is
    # not whole
    *_RUNS,
    _run.outcome == "complete",
    _run.listed >= _run.reported_total,
)
NEWEST_ATTEMPTS: Final = (
    select(_run.outcome, _run.started_at, _run.error_kind, _run.clock_offset_s)
    .where(*_RUNS, _run.outcome != "skipped")
    .order_by(_run.sync_run_id.desc())
    .limit(RECENT_ATTEMPTS)
)
# an aggregate finds it at the edge of an index, without an order
FIRST_COMPLETE: Final = select(func.min(_run.started_at)).where(*_RUNS, _run.outcome == "complete")
PARTIAL_SINCE: Final = (
    # two polls may end in one second: what the earlier one saw is sure
    select(_run.finished_at, func.min(_run.started_at))
    .where(*_RUNS, _run.outcome == "partial", _run.started_at > bindparam("since"))
    .group_by(_run.finished_at)
)
KNOWN_LISTING: Final = select(_listing.digest, _listing.signatures).where(
    _listing.account_id == bindparam("account"), _listing.resource == bindparam("resource")
)
