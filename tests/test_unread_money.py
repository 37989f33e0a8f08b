"""Money that was not understood is not silent, and recharges that were not paid are no money."""

from __future__ import annotations

from typing import Any

import pytest

from etl import reports
from etl.dialect import Database
from etl.reports.notes import notes_of_report, unread
from etl.resources import BILLS, RECHARGES
from etl.status import status
from tests.conftest import ZONE
from tests.priced import YUAN
from tests.support import rows
from tests.test_money_records import LINE
from tests.test_money_store import take

AT = 1_773_000_000
READ = {
    "1,100.00": 1_100 * YUAN,
    "￥12.50": 12_500_000,
    "12.50元": 12_500_000,
    " 7 ": 7 * YUAN,
    "１２": 12 * YUAN,
}


def line(number: int, amount: Any) -> dict[str, Any]:
    return {**LINE, "order_number": f"o{number}", "amount": amount}


@pytest.mark.parametrize("text", READ)
def test_amounts_of_the_bill_are_read_in_the_usual_spellings(text: str, database: Database) -> None:
    take(database, BILLS, line(1, text), at=AT)
    assert rows(database, "SELECT amount_microcny FROM bill") == [(READ[text],)]
    assert unread(database, None) == []


@pytest.mark.parametrize(
    "text",
    [
        "1.100,00",
        "12,5",
        "(5.00)",
        "5-",
        "$5",
        "5 USD",
        "1.5万",
        "1_000",
        "5元/小时",
        "五元",
        "NaN",
    ],
)
def test_an_amount_that_is_not_surely_one_is_counted_as_unread(
    text: str, database: Database
) -> None:
    take(database, BILLS, line(1, 5), line(2, text), at=AT)
    assert rows(database, "SELECT amount_microcny FROM bill") == [(5 * YUAN,)]
    assert unread(database, None) == ["lab: 1 of bills"]


def test_a_line_that_is_not_understood_is_counted_everywhere(database: Database) -> None:
    take(database, BILLS, line(1, 5), line(2, "1.100,00"), line(3, "lots"), at=AT)
    assert rows(database, "SELECT COUNT(*) FROM bill") == [(1,)]
    reasons = [reason for (reason,) in rows(database, "SELECT reason FROM rejected_record")]
    assert any("two ways" in reason for reason in reasons), reasons
    assert unread(database, None) == ["lab: 2 of bills"]
    assert status(database, AT)["unread"] == [{"account": "lab", "resource": "bills", "records": 2}]
    said = {"account": None, "from_day": "2026-03-01", "to_day": "2026-03-31"}
    found = notes_of_report(
        database, reports.load_report("bills"), said, zone=ZONE, made_at=AT, lang="zh"
    )
    assert ("未能读取的记录", "lab: 账单 2 条") in found
    take(database, BILLS, line(1, 5), line(2, "1100.00"), line(3, 6), at=AT + 600)
    assert unread(database, None) == []


@pytest.mark.parametrize(("name", "is_one"), [("bills", True), ("cost", True), ("uptime", False)])
def test_which_reports_are_about_money(name: str, is_one: bool) -> None:
    assert reports.is_about_money(reports.load_report(name)) is is_one


@pytest.mark.parametrize(
    ("paid", "is_paid"),
    [
        ({"pay_time": AT - 60}, 1),
        ({"pay_time": "2026-03-08 20:00:00"}, 1),
        ({}, 1),
        ({"pay_time": 0}, 0),
        ({"pay_time": None}, 0),
        ({"pay_time": ""}, 0),
        ({"pay_time": "0"}, 0),
    ],
)
def test_a_recharge_that_was_not_paid_is_no_money(
    database: Database, paid: dict[str, Any], is_paid: int
) -> None:
    record = {"out_trade_no": "R1", "amount": 500, "created_at": AT - 90, **paid}
    take(database, RECHARGES, record, at=AT)
    assert rows(database, "SELECT is_paid FROM recharge") == [(is_paid,)]
    assert len(rows(database, "SELECT day FROM recharge_daily")) == is_paid


def test_a_recharge_that_is_paid_later_is_money_then(database: Database) -> None:
    record = {"out_trade_no": "R1", "amount": 500, "created_at": AT, "pay_time": 0}
    take(database, RECHARGES, record, at=AT)
    take(database, RECHARGES, record | {"pay_time": AT + 60}, at=AT + 600)
    assert rows(database, "SELECT amount_microcny FROM recharge_daily") == [(500 * YUAN,)]
