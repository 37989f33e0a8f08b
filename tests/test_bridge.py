"""One bridge leads from bill to bill, on a month that is computed by hand, on both databases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from etl import reports
from etl.dialect import Database
from etl.poll import Instant
from etl.resources import BALANCE, BILLS
from tests.support import apply, poll_of

MONTH: Final = {"from_day": "2026-11-01", "to_day": "2026-11-30"}
S: Final = 1_793_462_400
"""2026-11-01T00:00:00 in Shanghai."""
HOUR, DAY = 3_600, 86_400
END: Final = S + 30 * DAY
Line = tuple[Instant, Instant, Instant, float, int]
LINES: Final[tuple[Line, ...]] = (
    # starts, ends, ordered, yuan, channel
    (S - 2 * HOUR, S, S - 30 * 60, 3, 1),  # October's, after the balance was last polled in it
    (S - HOUR, S + HOUR, S + HOUR, 10, 1),  # half of it October's
    (S + DAY, S + DAY + HOUR, S + DAY + HOUR, 100, 1),
    (S + DAY, S + DAY + HOUR, S + DAY + HOUR, 40, 2),
    (S + 2 * DAY, S + 3 * DAY, S + 2 * DAY, 24, 1),  # a day, prepaid
    (S - DAY, S + 2 * DAY, S - DAY, 30, 1),  # three days, prepaid in October
    (END - DAY, END + 2 * DAY, END - DAY, 60, 1),  # three days, two of them December's
    (END - 2 * HOUR, END - HOUR, END + HOUR, 7, 1),  # ordered in December
    (END - HOUR, END - 20 * 60, END - 10 * 60, 5, 1),  # after the balance was last polled
)


def bill(database: Database, at: Instant, *lines: Line) -> None:
    listed = [
        {
            "order_number": f"o{number}",
            "settle_start_time": starts,
            "settle_end_time": ends,
            "order_time": ordered,
            "amount": yuan,
            "charge_channel": channel,
            "remark": "",
        }
        for number, (starts, ends, ordered, yuan, channel) in enumerate(lines)
    ]
    _apply(database, BILLS, {"order_list": listed, "total": len(listed)}, at)


def left(database: Database, at: Instant, yuan: float) -> None:
    _apply(database, BALANCE, {"balance": yuan, "card_balance": 0}, at)


def _apply(database: Database, resource: Any, data: Mapping[str, Any], at: Instant) -> None:
    body = json.dumps({"code": 0, "msg": "success", "data": data}).encode()
    apply(database, poll_of([body], at, at + 1, resource=resource))


def bridge(database: Database, **said: Any) -> dict[str, float | None]:
    """Each line, with its amount or its figure."""
    _, found = reports.run(database, reports.load_report("bridge"), {**MONTH, **said})
    return {
        line: amount if figure is None else figure for _, line, amount, figure, _report in found
    }


def test_each_billed_figure_leads_to_the_next_and_nothing_remains(database: Database) -> None:
    """10 half October's, 100, 40 by card, a third of 60, 7 and 5 are November's windows; with 24 and two thirds
    of 30. The balance fell by 202, of which 3 were charged in October and 0.50 by nothing at all."""
    left(database, S - HOUR, 1_000)
    left(database, S + 5 * DAY, 1_000 - 137)
    left(database, END - HOUR, 1_000 - 197.5)
    bill(database, END + 2 * HOUR, *LINES)
    assert bridge(database) == {
        "billed for running time": 157.0,
        "prepaid: whole days, and moments": 64.0,
        "billed by settlement window": 221.0,
        "charged in the period for time before it": 5.0,
        "charged in the period for time after it": 40.0,
        "time in the period that was charged after it": -7.0,
        "time in the period that was charged before it": -20.0,
        "billed by day of charge": 239.0,
        "paid by compute cards": -40.0,
        "charged before the period, after the last poll of the balance": 3.0,
        "charged in the period, after the last poll of the balance": -5.0,
        "charged before the balance was known": 0.0,
        "billed to the balance": 197.0,
        "unexplained by the balance": 0.5,
        "opening + added - closing": 197.5,
        "remains": 0.0,
    }


def test_what_was_charged_before_the_balance_was_known_is_a_line(database: Database) -> None:
    left(database, S + 3 * DAY, 800)
    left(database, END - HOUR, 740)
    bill(database, END + 2 * HOUR, *LINES)
    found = bridge(database)
    assert found["charged before the balance was known"] == -134.0
    assert (found["billed to the balance"], found["remains"]) == (60.0, 0.0)


def test_without_a_balance_it_ends_at_the_bill(database: Database) -> None:
    bill(database, END + 2 * HOUR, *LINES)
    found = bridge(database)
    assert (found["billed by day of charge"], found["remains"]) == (239.0, 0.0)
    assert found["billed to the balance"] is found["opening + added - closing"] is None


@pytest.mark.parametrize(
    ("line", "name", "column"),
    [
        ("billed for running time", "settlement", "billed_yuan"),
        ("billed by settlement window", "bills", "billed_yuan"),
        ("billed by day of charge", "bill-lines", "amount_yuan"),
        ("billed to the balance", "balance", "billed_yuan"),
    ],
)
def test_its_figures_are_those_of_the_reports(
    line: str, name: str, column: str, database: Database
) -> None:
    left(database, S - HOUR, 1_000)
    left(database, END - HOUR, 800)
    bill(database, END + 2 * HOUR, *LINES)
    names, found = reports.run(database, reports.load_report(name), MONTH)
    rows = [dict(zip(names, row, strict=True)) for row in found]
    counted = [row[column] for row in rows if name != "balance" or row["channel"] == "balance"]
    assert sum(counted) == bridge(database)[line]
