"""The answer about paid runs of workflows."""

from __future__ import annotations

from typing import Final

from etl.poll import Instant
from etl.simcloud.behaviour import Fail
from etl.simcloud.desk import Query, count, paged_answer
from etl.simcloud.money import Money
from etl.simcloud.purse import WorkflowRun
from etl.simcloud.record import Record

PATH: Final = "/workflow/run/list"
MOST: Final = 100


def answer(money: Money, t: Instant, query: Query) -> bytes | Fail:
    """Return a page of the runs, the newest first; an error about a page of more than `MOST`."""
    if count(query, "page_size", 20) > MOST:
        return Fail(400, 400, "page_size must not be above 100")
    runs = sorted(
        (run for run in money.workflow_runs if run.created_at <= t),
        key=lambda run: (run.created_at, run.run_order_id),
        reverse=True,
    )
    usual = {"page": query.get("page", "1"), "page_size": query.get("page_size", "20")}
    return paged_answer(usual, "run_list", runs, lambda run: _run(run, t))


def _run(run: WorkflowRun, t: Instant) -> Record:
    is_over = run.ended_at <= t
    final = run.final_amount if is_over else 0
    return {
        "run_order_id": run.run_order_id,
        "workflow_id": run.workflow_id,
        "revision_id": f"{run.workflow_id}-r1",
        "run_status": "succeeded" if is_over else "running",
        "quote_amount": _decimal(run.quote_amount),
        "freeze_status": "released" if is_over else "frozen",
        "settlement_status": "settled" if is_over else "pending",
        "final_amount": _decimal(final),
        "released_amount": _decimal(run.quote_amount - final if is_over else 0),
        "compute_cost": _decimal(final),
        "external_model_cost": _decimal(0),
        "total_cost": _decimal(final),
        "actual_execution_duration_sec": run.ended_at - run.created_at if is_over else None,
        "created_at": run.created_at,
        "started_at": run.created_at,
        "terminal_at": run.ended_at if is_over else None,
    }


def _decimal(amount: int) -> str:
    # text with eight places, as the source writes amounts here
    return f"{amount // 1_000_000}.{amount % 1_000_000:06d}00"
