"""Paid runs of workflows, by `/workflow/run/list`: a product that no instance explains. Money is frozen
when a run is submitted; at its end a part is settled, and the rest released.

The vendor calls the page a draft: the name of the list and the form of instants are not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from etl.poll import Instant
from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Member, Record, ValidTime, likely_list_in
from etl.resources.resource import Resource
from etl.resources.values import (
    Extra,
    OddValue,
    any_words,
    code,
    decimal_of,
    identifier,
    local_instant,
    microcny_of,
)
from etl.units import HOUR_S

VERSION = 1
LIST_KEY = "run_list"
MOST_PER_PAGE = 100
"""The only limit that the source publishes."""


def _name(value: Any, name: str, extra: Extra) -> str | None:
    return identifier(str(value) if isinstance(value, int) else value, name, extra)


def _duration(value: Any, name: str, extra: Extra) -> int | None:
    """Read whole seconds; a fraction of one is cut off, and what is no number kept as it came."""
    if value is None:
        return None
    try:
        return code(int(decimal_of(value)), name, extra)
    except OddValue:
        extra[name] = value if isinstance(value, str | dict | list) else str(value)
        return None


class WorkflowRunFacts(NamedTuple):
    """The facts of a run, in the order of the columns."""

    run_order_id: str
    workflow_id: str | None
    revision_id: str | None
    run_status: str | None
    freeze_status: str | None
    settlement_status: str | None
    quote_microcny: int | None
    final_microcny: int | None
    released_microcny: int | None
    compute_microcny: int | None
    external_model_microcny: int | None
    total_microcny: int | None
    execution_s: int | None
    created_at: Instant | None
    started_at: Instant | None
    ended_at: Instant | None


FORM = Form(
    members=(
        Member("run_order_id", "run_order_id", _name),
        Member("workflow_id", "workflow_id", any_words),
        Member("revision_id", "revision_id", any_words),
        Member("run_status", "run_status", any_words),
        Member("freeze_status", "freeze_status", any_words),
        Member("settlement_status", "settlement_status", any_words),
        Member("quote_microcny", "quote_amount", microcny_of),
        Member("final_microcny", "final_amount", microcny_of),
        Member("released_microcny", "released_amount", microcny_of),
        Member("compute_microcny", "compute_cost", microcny_of),
        Member("external_model_microcny", "external_model_cost", microcny_of),
        Member("total_microcny", "total_cost", microcny_of),
        Member("execution_s", "actual_execution_duration_sec", _duration),
        Member("created_at", "created_at", local_instant),
        Member("started_at", "started_at", local_instant),
        Member("ended_at", "terminal_at", local_instant),
    ),
    identify=lambda record: _name(record.get("run_order_id"), "", {}),
)


def open_answer(body: bytes) -> Listing:
    return FORM.open(likely_list_in(body, LIST_KEY))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(likely_list_in(body, LIST_KEY).records)


def valid_time(facts: Sequence[Any]) -> ValidTime | None:
    """Return when a run was submitted."""
    run = WorkflowRunFacts(*facts)
    at = run.created_at
    return None if at is None else ValidTime((run.run_order_id,), at, at, at)


RESOURCE: Resource[Record] = Resource(
    name="workflow_runs",
    path="/workflow/run/list",
    keeping="window",
    every_s=HOUR_S,
    version=VERSION,
    table="workflow_run",
    open=open_answer,
    read=read,
    form=FORM,
    most_per_page=MOST_PER_PAGE,
    valid_time=valid_time,
)
