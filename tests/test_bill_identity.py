"""A bill line has one identity, wherever the listing shows it and whatever of it is corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.dialect import Database, open_database
from etl.history.days import iso
from etl.poll import APART_S
from etl.reports import load_report
from etl.reports.notes import notes_of_report
from etl.resources import BILLS, GPU_PRICES, RECHARGES, Resource
from etl.simcloud import Story
from etl.store import Store
from tests.support import apply, poll_story, rows
from tests.test_money_records import LINE, PRICE, RECHARGE
from tests.test_money_store import T0, take
from tests.test_walk_window import SIZE, Bill, line

DAY = 86_400
OTHER_PRICE = {**PRICE, "gpu_uuid": "other", "gpu_name": "other"}
HELD = "SELECT SUM(amount_microcny) / 10000 FROM bill WHERE superseded_at IS NULL"
SUMS = (
    HELD,
    "SELECT SUM(amount_microcny) / 10000 FROM bill_line",
    "SELECT SUM(amount_microcny) / 10000 FROM bill_daily",
    "SELECT SUM(amount_microcny) / 10000 FROM bill_attributed_daily",
)


def fen(database: Database) -> list[int]:
    """The bill by every way in which it is added up."""
    return sorted({int(rows(database, sql)[0][0] or 0) for sql in SUMS})


def at(hour: int, **facts: Any) -> dict[str, Any]:
    """A line of an hour of one order, one yuan."""
    starts = 1_789_900_000 + hour * 3_600
    window = {"settle_start_time": starts, "settle_end_time": starts + 3_600}
    return {**LINE, **window, "order_time": starts + 3_600, "amount": 1, **facts}


def test_lines_alike_but_for_the_amount_stay_two_when_newer_ones_push_them_apart(
    database: Database,
) -> None:
    bill = Bill(database)
    bill.lines = [line(1), {**line(2), "amount": 10}, {**line(2), "amount": 9}, line(3)]
    for more in range(8):
        bill.lines.append(line(10 + more))
        assert bill.tick(after_s=DAY if more % 3 == 2 else 60).complete
        assert fen(database) == [2_100 + 100 * (more + 1)]


def test_lines_alike_in_all_are_counted_across_a_border_of_pages(database: Database) -> None:
    bill = Bill(database)
    bill.lines = [line(1), line(2), line(2), line(3)]
    for _ in range(3):
        assert bill.tick(after_s=DAY).complete
        assert fen(database) == [400]
        assert bill.store.database is database


def test_a_line_that_moves_to_the_next_page_while_they_are_read_is_not_two(
    database: Database,
) -> None:
    bill = Bill(database)
    bill.lines = [line(n) for n in range(2 * SIZE)]
    bill.between = [line(20)]
    bill.tick()
    bill.tick()
    assert fen(database) == [100 * (2 * SIZE + 1)]


CORRECTIONS = [
    pytest.param({"remark": "refund pending"}, id="remark"),
    pytest.param({"settle_end_time": 1_789_907_260, "order_time": 1_789_907_260}, id="longer"),
    pytest.param({"settle_start_time": 1_789_903_700}, id="shorter"),
    pytest.param({"settle_end_time": 1_789_907_000}, id="earlier"),
]


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("beside", [0, 2])
def test_a_corrected_line_counts_once_after_two_whole_listings(
    correction: dict[str, Any], beside: int, database: Database
) -> None:
    others = [at(5 + n, order_number=f"O{n}") for n in range(beside)]
    take(database, BILLS, at(1), *others, at=T0)
    first = take(database, BILLS, at(1, **correction), *others, at=T0 + 60)
    assert (first.gone, first.digest) == (0, None)
    second = take(database, BILLS, at(1, **correction), *others, at=T0 + 120)
    assert (second.gone, second.digest) == (1, "d")
    assert fen(database) == [100 * (1 + beside)]
    assert rows(database, "SELECT COUNT(*) FROM bill") == [(2 + beside,)]


@pytest.mark.parametrize(
    ("resource", "records"), [(BILLS, [at(1), at(5)]), (GPU_PRICES, [PRICE, OTHER_PRICE])]
)
def test_two_polls_within_seconds_retire_no_record(
    resource: Resource[Any], records: list[dict[str, Any]], database: Database
) -> None:
    take(database, resource, *records, at=T0)
    gone = [
        take(database, resource, records[0], at=T0 + s).gone for s in (60, 62, 62 + 27, 60 + 30)
    ]
    assert gone == [0, 0, 0, 1]


def test_reconciliation_says_what_was_corrected(database: Database) -> None:
    take(database, BILLS, at(1), at=T0)
    for n in (1, 2):
        take(database, BILLS, at(1, remark="x"), at=T0 + 60 * n)
    corrected = "SELECT amount_microcny / 10000, superseded_at FROM bill_correction"
    assert rows(database, corrected) == [(100, iso(T0 + 122))]
    days = {"account": None, "from_day": "2026-09-01", "to_day": "2026-09-30"}
    found = notes_of_report(database, load_report("reconciliation"), days, zone="UTC", made_at=T0)
    assert (
        "corrected by the source",
        "lab: 1 bill lines of 1.00 yuan in all no longer count",
    ) in found


def test_what_comes_back_counts_again(database: Database) -> None:
    other = at(1, remark="x")
    take(database, BILLS, at(1), at=T0)
    for n in (1, 2):
        take(database, BILLS, other, at=T0 + 60 * n)
    assert fen(database) == [100]
    assert take(database, BILLS, at(1), other, at=T0 + 180).changed == 1
    assert fen(database) == [200]
    assert rows(database, "SELECT COUNT(*) FROM bill WHERE missing_since IS NOT NULL") == [(0,)]


def test_one_listing_that_lacks_a_line_takes_nothing_away(database: Database) -> None:
    lines = [at(1), at(2, order_number="O2"), at(3)]
    take(database, BILLS, *lines, at=T0)
    take(database, BILLS, lines[0], lines[2], at=T0 + 60)
    assert fen(database) == [300]
    take(database, BILLS, *lines, at=T0 + 120)
    take(database, BILLS, lines[0], lines[2], at=T0 + 180)
    assert fen(database) == [300]
    take(database, BILLS, lines[0], lines[2], at=T0 + 240)
    assert fen(database) == [200]


def test_what_the_source_forgets_with_age_stays(database: Database) -> None:
    lines = [at(hour) for hour in range(6)]
    for n in range(4):
        take(database, BILLS, *lines[n:], at=T0 + 60 * n)
        take(database, BILLS, *lines[n:], at=T0 + 60 * n + 30)
    take(database, BILLS, at=T0 + 600)
    take(database, BILLS, at=T0 + 660)
    assert fen(database) == [600]


def test_a_partial_poll_and_one_with_an_unreadable_line_supersede_nothing(
    database: Database,
) -> None:
    lines = [at(1), at(2), at(3)]
    take(database, BILLS, *lines, at=T0)
    for n in (1, 2, 3):
        take(database, BILLS, lines[0], lines[2], at=T0 + 60 * n, complete=False)
        odd = at(2, amount="much")
        take(database, BILLS, lines[0], odd, lines[2], at=T0 + 60 * n + 30)
    assert fen(database) == [300]


def test_a_corrected_amount_is_corrected_in_place_among_lines_alike(database: Database) -> None:
    take(database, BILLS, at(1, amount=10), at(1, amount=9), at=T0)
    run = take(database, BILLS, at(1, amount=10), at(1, amount=8), at=T0 + 60)
    assert (run.added, run.changed) == (0, 1)
    assert fen(database) == [1_800]


@pytest.mark.parametrize("complete", [True, False], ids=["front", "interrupted"])
def test_a_part_of_the_list_corrects_nothing(complete: bool, database: Database) -> None:
    """The pages that were not read may list the line as it was."""
    take(database, BILLS, at(1, amount=10), at(2), at=T0)
    run = take(database, BILLS, at(1, amount=8), at=T0 + 60, complete=complete, total=3)
    assert (run.added, run.changed) == (1, 0)
    take(database, BILLS, at(1, amount=8), at(1, amount=10), at(2), at=T0 + 120)
    assert fen(database) == [1_900]
    assert rows(database, "SELECT COUNT(*) FROM bill") == [(3,)]


def test_a_missing_line_makes_the_next_poll_read_all(database: Database) -> None:
    bill = Bill(database)
    bill.lines = [at(hour) for hour in range(8)]
    bill.tick()
    bill.lines[3] = at(3, remark="corrected")
    bill.tick(after_s=DAY)  # the front is as it was, and this poll was not due to read all
    assert fen(database) == [800]
    bill.tick()
    assert fen(database) == [900]
    bill.tick()
    assert sorted(set(bill.asked)) == [1, 2, 3]
    assert fen(database) == [800]
    bill.tick()
    assert bill.asked[0] == 1


def test_a_recharge_whose_status_changes_is_the_same(database: Database) -> None:
    known = {"amount": 5, "created_at": T0 - 60}
    take(database, RECHARGES, {**known, "status": 0}, at=T0)
    run = take(database, RECHARGES, {**known, "status": 1, "pay_time": T0}, at=T0 + 60)
    assert (run.added, run.changed) == (0, 1)
    assert rows(database, "SELECT COUNT(*) FROM recharge") == [(1,)]


def test_a_recharge_that_is_no_longer_listed_counts_no_longer(database: Database) -> None:
    made = [{**RECHARGE, "out_trade_no": f"T{n}", "created_at": T0 - 600 + n} for n in range(3)]
    take(database, RECHARGES, *made, at=T0)
    for n in (1, 2):
        take(database, RECHARGES, made[0], made[2], at=T0 + 60 * n)
    assert rows(database, "SELECT recharge_id FROM recharge_daily ORDER BY 1") == [("T0",), ("T2",)]


ADJUSTED = "SELECT amount_microcny / 10000 FROM bill_adjustment ORDER BY 1"


@pytest.mark.parametrize("clock_s", [0, 10 * DAY, -10 * DAY])
def test_late_lines_are_adjustments_whatever_the_clocks(clock_s: int, database: Database) -> None:
    take(database, BILLS, at(1), at(2), at=T0)
    with Store(database, "lab").reading() as known:
        until = known.last_poll(BILLS.name)
    assert until is not None
    close(database, T0 + clock_s, until.finished_at)
    assert rows(database, ADJUSTED) == []
    for n in (1, 1 + APART_S):
        take(database, BILLS, at(1), at(2, remark="corrected"), at(3, amount=5), at=T0 + n)
    assert rows(database, ADJUSTED) == [(-100,), (100,), (500,)]


def close(database: Database, now: int, bill_until: int) -> None:
    from sqlalchemy import insert

    from etl import tables

    with database.writing() as conn:
        month = conn.execute(tables.bill.select()).first()
        assert month is not None
        values = {"account_id": 1, "month": month.charged_day[:7], "closed_at": now}
        conn.execute(insert(tables.closed_month).values(**values, bill_until=bill_until))


lists = st.lists(
    st.tuples(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2)), max_size=7), st.booleans()),
    max_size=6,
)


@settings(max_examples=40)
@given(polls=lists)
def test_after_two_whole_listings_the_bill_is_what_they_list(
    sqlite_template: Any,
    tmp_path_factory: pytest.TempPathFactory,
    polls: Sequence[tuple[list[tuple[int, int]], bool]],
) -> None:
    path = tmp_path_factory.mktemp("bill") / "bill.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{path}")
    oldest = at(-1, order_number="first")
    for number, (listed, complete) in enumerate(polls):
        lines = [oldest, *(at(hour, amount=amount) for hour, amount in listed)]
        for again in (0, 1):
            moment = T0 + number * 120 + again * 60
            take(database, BILLS, *lines, at=moment, complete=complete, pages=1 + number % 3)
        if complete:
            assert fen(database) == [100 * (1 + sum(amount for _, amount in listed))]
    database.engine.dispose()


@pytest.mark.parametrize("yuan", ["10000000", "99999999.99"])
def test_a_bill_of_many_millions_is_shared_out_to_the_millionth(
    yuan: str, database: Database
) -> None:
    cloud = Story()
    for name in ("a", "b", "c"):
        cloud.rents(uuid=name)
    apply(database, poll_story(cloud))
    for uuid, name in rows(database, "SELECT DISTINCT gpu_uuid, gpu_name FROM instance"):
        listed = {"gpu_uuid": uuid, "gpu_name": name, "price": {"hour": 5.5}}
        take(database, GPU_PRICES, listed, at=cloud.now)
    cloud.passes(hours=10)
    apply(database, poll_story(cloud))
    starts = cloud.now - 7_200
    windows = [
        {"settle_start_time": starts + 3_600 * n, "settle_end_time": starts + 3_600 * (n + 1)}
        for n in (0, 1)
    ]
    lines = [{**LINE, **window, "amount": yuan, "order_time": starts + 7_200} for window in windows]
    take(database, BILLS, *lines, at=cloud.now + 60)
    assert fen(database) == [2 * round(float(yuan) * 100)]
    shared = rows(database, "SELECT COUNT(DISTINCT instance_uuid) FROM bill_attributed_daily")
    assert shared == [(3,)]


def test_an_amount_that_cannot_be_is_named_and_is_in_no_sum(database: Database) -> None:
    run = take(database, BILLS, at(1), at(2, amount="3000000000000"), at=T0)
    assert run.rejected == 1
    assert fen(database) == [100]
