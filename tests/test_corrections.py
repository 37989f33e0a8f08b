"""Lines of the bill that the source no longer lists: they are named until a second reading confirms it."""

from __future__ import annotations

from typing import Any

import pytest

from etl import reports
from etl.dialect import Database
from etl.resources import BILLS
from etl.simcloud import Story
from tests.priced import YUAN, lists
from tests.support import apply, newest, poll_story
from tests.test_money_records import LINE
from tests.test_money_store import take

S = 1_795_132_800
"""2026-11-20T00:00:00Z."""
HOUR, DAY = 3_600, 86_400


def asked(database: Database, name: str, *columns: str) -> list[tuple[Any, ...]]:
    period = {"from_day": "2026-11-01", "to_day": "2026-11-30", "now": newest(database)}
    names, found = reports.run(database, reports.load_report(name), period)
    return [tuple(row[names.index(column)] for column in columns) for row in found]


def test_a_corrected_line_is_the_cause_of_a_difference_until_it_is_superseded(
    database: Database,
) -> None:
    """Two hours at 10 yuan are billed as one line of 20; its remark is corrected later."""
    cloud = Story(S)
    lists(database, "RTX 4090", (S - DAY, None, None, 10 * YUAN))
    one = cloud.rents()
    for _ in range(3):
        apply(database, poll_story(cloud))
        cloud.passes(hours=1)
    cloud.stops(one)
    apply(database, poll_story(cloud))
    hours = {"settle_start_time": S, "settle_end_time": S + 3 * HOUR, "order_time": S + 3 * HOUR}
    old = {**LINE, **hours, "amount": 30, "remark": ""}
    new = {**old, "order_number": "O2", "remark": "corrected"}
    rest = {**LINE, "order_number": "O0", "order_time": S - DAY, "amount": 0}
    rest |= {"settle_start_time": S - DAY, "settle_end_time": S - DAY}
    columns = ("billed_yuan", "awaiting_yuan", "cause")

    def differences() -> tuple[Any, ...]:
        return next(row for row in asked(database, "reconciliation", *columns) if row[0] > 0)

    take(database, BILLS, old, rest, at=S + DAY)
    assert differences() == (30, 0, "within_bounds")
    take(database, BILLS, new, rest, at=S + 2 * DAY)
    assert differences() == (60, 30, "correction")
    states = dict(asked(database, "bill-lines", "order_number", "state"))
    assert states == {"O0": None, "O2": None, old["order_number"]: "awaiting confirmation"}
    take(database, BILLS, new, rest, at=S + 3 * DAY)
    assert differences() == (30, 0, "within_bounds")


@pytest.mark.parametrize(
    ("after", "billed", "corrected"),
    [
        ({"amount": 30, "remark": "x"}, 30, None),
        (None, 0, (30, "correction")),
        ({"amount": 12, "remark": "x"}, 12, (18, "correction")),
        ({"amount": 55, "remark": "x"}, 55, (-25, "correction")),
    ],
)
def test_what_the_source_took_back_or_replaced_is_the_cause_of_a_difference(
    after: dict[str, Any] | None, billed: int, corrected: Any, database: Database
) -> None:
    """Three hours at 10 yuan were billed right; the line is withdrawn, or comes back with another amount."""
    cloud = Story(S)
    lists(database, "RTX 4090", (S - DAY, None, None, 10 * YUAN))
    one = cloud.rents()
    for _ in range(3):
        apply(database, poll_story(cloud))
        cloud.passes(hours=1)
    cloud.stops(one)
    apply(database, poll_story(cloud))
    window = {"settle_start_time": S, "settle_end_time": S + 3 * HOUR, "order_time": S + 3 * HOUR}
    line = {**LINE, **window, "amount": 30, "remark": ""}
    # an older line, or the source could have forgotten this one with age, and a later one
    rest = [
        {
            **LINE,
            "order_number": f"O{at}",
            "order_time": at,
            "settle_start_time": at,
            "settle_end_time": at,
        }
        for at in (S - DAY, S + 3 * DAY)
    ]
    take(database, BILLS, line, *rest, at=S + 4 * DAY)
    now = [] if after is None else [{**line, **after}]
    for days in (5, 6):
        take(database, BILLS, *now, *rest, at=S + days * DAY)
    columns = ("billed_yuan", "corrected_yuan", "cause")
    (found,) = (
        row[1:]
        for row in asked(database, "reconciliation", "what", *columns)
        if row[0] == "2026-11-20"
    )
    assert found == (billed, *(corrected or (0, "within_bounds")))
