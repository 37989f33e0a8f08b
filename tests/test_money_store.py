"""Prices, balance, cards, bill and recharges in both databases: versions by two polls, and a window."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.apply import apply
from etl.dialect import Database
from etl.history.days import iso
from etl.history.versions import Lasting, compare_versions
from etl.poll import Page, Poll
from etl.rebuild import rebuild
from etl.resources import BALANCE, BILLS, CARDS, GPU_PRICES, RECHARGES, Record, Resource
from etl.store import Store, SyncRun
from tests.conftest import TODAY
from tests.support import ACCOUNT, columns, rows
from tests.test_money_records import CARD, LINE, PRICE, RECHARGE, answer

T0 = 1_790_000_000


def poll_of(
    resource: Resource[Any],
    *records: Any,
    at: int,
    complete: bool = True,
    pages: int = 1,
    total: int | None = None,
) -> Poll:
    """A poll that read these records of `total`, of all if it is not given."""
    total = len(records) if total is None else total
    size = max(1, -(-len(records) // pages))
    parts = [records[i : i + size] for i in range(0, len(records), size)] or [()]
    bodies = [answer(resource, *part, total=total) for part in parts]
    return Poll(
        account=ACCOUNT,
        resource=resource.name,
        started_at=at,
        finished_at=at + 2,
        complete=complete,
        walks=(tuple(Page(i, 100, body) for i, body in enumerate(bodies, 1)),),
        listed=len(records),
        reported_total=total,
        digest="d",
    )


def take(
    database: Database, resource: Resource[Any], *records: Any, at: int, **poll: Any
) -> SyncRun:
    with Store(database, ACCOUNT).writing() as tx:
        last = tx.refuse_stale(resource.name, at)
        return apply(resource, poll_of(resource, *records, at=at, **poll), tx, last)


def price(hour: Any, uuid: str = "gpu-4090") -> dict[str, Any]:
    return {**PRICE, "gpu_uuid": uuid, "price": {"hour": hour}}


def prices(database: Database) -> list[dict[str, Any]]:
    return columns(
        database,
        "SELECT gpu_uuid, hour_microcny AS hour, valid_from, after_at, last_seen_at, missing_since,"
        " valid_to FROM gpu_price ORDER BY gpu_uuid, valid_from",
    )


def test_a_price_that_changes_is_a_version_and_the_change_lies_between_two_polls(
    database: Database,
) -> None:
    assert take(database, GPU_PRICES, price(5.5), at=T0).added == 1
    assert take(database, GPU_PRICES, price(5.5), at=T0 + 60).changed == 0
    run = take(database, GPU_PRICES, price("6.0"), at=T0 + 120)
    assert (run.added, run.changed, run.gone) == (0, 1, 0)
    old, new = prices(database)
    assert (old["hour"], new["hour"]) == (5_500_000, 6_000_000)
    assert (old["after_at"], old["valid_from"]) == (None, iso(T0 + 2))
    assert (old["last_seen_at"], old["valid_to"]) == (iso(T0 + 60), iso(T0 + 122))
    assert (new["after_at"], new["valid_from"]) == (iso(T0 + 60), iso(T0 + 122))
    assert (new["last_seen_at"], new["valid_to"]) == (None, None)


def test_what_one_poll_does_not_list_has_not_ended(database: Database) -> None:
    take(database, GPU_PRICES, price(5.5), price(2, "gpu-3090"), at=T0)
    run = take(database, GPU_PRICES, price(5.5), at=T0 + 60)
    assert (run.gone, run.digest) == (0, None)
    assert prices(database)[0]["missing_since"] == iso(T0 + 62)
    take(database, GPU_PRICES, price(5.5), price(2, "gpu-3090"), at=T0 + 120)
    assert {p["missing_since"] for p in prices(database)} == {None}
    for at in (180, 240):
        run = take(database, GPU_PRICES, price(5.5), at=T0 + at)
    assert run.gone == 1
    ended = prices(database)[0]
    assert (ended["last_seen_at"], ended["valid_to"]) == (iso(T0 + 120), iso(T0 + 182))


def test_a_partial_poll_ends_nothing_however_often(database: Database) -> None:
    take(database, CARDS, CARD, at=T0)
    for at in range(60, 600, 60):
        assert take(database, CARDS, at=T0 + at, complete=False).gone == 0
    assert rows(database, "SELECT missing_since, ended_at FROM card") == [(None, None)]


def test_a_record_that_cannot_be_read_is_listed_though_not_seen(database: Database) -> None:
    take(database, CARDS, CARD, at=T0)
    for at in (60, 120, 180):
        run = take(database, CARDS, {**CARD, "valid_days": "many"}, at=T0 + at)
        assert (run.rejected, run.gone) == (1, 0)
    assert rows(database, "SELECT last_seen_at, missing_since FROM card") == [(iso(T0), None)]


def test_a_return_begins_a_version(database: Database) -> None:
    take(database, CARDS, CARD, at=T0)
    for at in (60, 120):
        take(database, CARDS, at=T0 + at)
    take(database, CARDS, CARD, at=T0 + 180)
    found = rows(database, "SELECT first_seen_at, ended_at FROM card ORDER BY first_seen_at")
    assert found == [(iso(T0 + 2), iso(T0 + 62)), (iso(T0 + 182), None)]


def test_two_changes_that_end_in_one_second_are_two_versions(database: Database) -> None:
    for at, left in enumerate((3, 2, 1)):
        take(database, BALANCE, {"balance": left, "card_balance": 0}, at=T0 + at)
    with Store(database, ACCOUNT).writing() as tx:
        poll = poll_of(BALANCE, {"balance": 0, "card_balance": 0}, at=T0 + 3)
        late = Poll(**{n: getattr(poll, n) for n in poll.__slots__} | {"finished_at": T0 + 4})
        apply(BALANCE, late, tx, tx.last_poll("balance"))
    found = rows(
        database, "SELECT balance_microcny, first_seen_at, ended_at FROM balance ORDER BY 2"
    )
    assert [row[0] for row in found] == [3_000_000, 2_000_000, 1_000_000, 0]
    assert [row[2] for row in found] == [*[row[1] for row in found][1:], None]


def test_the_bill_only_comes(database: Database) -> None:
    line, other = LINE, {**LINE, "order_number": "O2", "amount": "0.30"}
    assert take(database, BILLS, line, other, at=T0).added == 2
    run = take(database, BILLS, {**line, "amount": 25.6}, at=T0 + 60)
    assert (run.added, run.changed, run.gone) == (0, 1, 0)
    assert take(database, BILLS, at=T0 + 120).changed == 0
    found = rows(
        database,
        "SELECT order_number, amount_microcny, first_seen_at, changed_at FROM bill ORDER BY 1",
    )
    assert found == [
        ("O1", 25_600_000, iso(T0 + 2), iso(T0 + 62)),
        ("O2", 300_000, iso(T0 + 2), iso(T0 + 2)),
    ]


def test_a_line_on_two_pages_is_two_lines_only_where_the_listing_is_proven_whole(
    database: Database,
) -> None:
    lines = {**LINE, "remark": "a"}, LINE, LINE
    assert take(database, BILLS, *lines, at=T0, pages=3, complete=False).added == 2
    assert take(database, BILLS, *lines, at=T0 + 60, pages=3).added == 1


def test_a_recharge_that_is_paid_later_is_the_same(database: Database) -> None:
    take(database, RECHARGES, {**RECHARGE, "pay_time": 0}, at=T0)
    assert take(database, RECHARGES, RECHARGE, at=T0 + 60).changed == 1
    assert rows(database, "SELECT amount_microcny, paid_at FROM recharge") == [
        (100_000_000, iso(T0))
    ]


@pytest.mark.parametrize(
    ("resource", "record"),
    [(GPU_PRICES, PRICE), (CARDS, CARD), (BILLS, LINE), (RECHARGES, RECHARGE)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_seeing_the_same_again_writes_one_row(
    database: Database, resource: Resource[Any], record: Any
) -> None:
    odd = {**record, "note": "x\x00", "more": [1.5, 2**70]}
    take(database, resource, odd, at=T0)
    tables = ("gpu_price", "card", "bill", "recharge", "rejected_record")
    before = [rows(database, f"SELECT * FROM {table}") for table in tables]
    run = take(database, resource, odd, at=T0 + 60)
    assert (run.added, run.changed, run.gone, run.digest) == (0, 0, 0, "d")
    assert [rows(database, f"SELECT * FROM {table}") for table in tables] == before


fleets = st.lists(
    st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), st.booleans()), max_size=8
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(polls=fleets)
def test_open_versions_are_what_was_listed_and_missed_once_and_none_overlap(
    polls: list[tuple[dict[str, int], bool]],
) -> None:
    held: dict[str, Any] = {}
    ended: list[tuple[str, int, int]] = []
    missed: dict[str, int] = {}
    newest = None
    for number, (listed, complete) in enumerate(polls):
        b = T0 + number * 60 + 2
        records = [Record(name, (name, value), None) for name, value in listed.items()]
        changes = compare_versions(held, records, set(), newest=newest, b=b, complete=complete)
        for shown in changes.presences:
            name = shown.was.record.identity
            if shown.ended_at is not None:
                ended.append((name, shown.was.began_at, shown.ended_at))
                del held[name]
            else:
                held[name] = Lasting(
                    shown.was.record,
                    shown.was.began_at,
                    shown.was.seen_at,
                    shown.last_seen_at,
                    shown.missing_since,
                )
        for began in changes.began:
            held[began.record.identity] = Lasting(began.record, began.began_at, b - 2)
        for name in "abc":
            missed[name] = 0 if name in listed else missed.get(name, 0) + complete
        newest = b - 2 if complete else newest
        assert {n: h.record.facts[1] for n, h in held.items() if n in listed} == listed
        assert {name for name in held if name not in listed} <= {n for n in "abc" if missed[n] < 2}
    for name, began_at, ended_at in ended:
        later = [b for n, b, _ in ended if n == name and b > began_at]
        assert began_at <= ended_at <= min([*later, 2**40])


def test_json_of_the_tables_reads_back(database: Database) -> None:
    take(database, CARDS, CARD, at=T0)
    ((pods,),) = rows(database, "SELECT pods FROM card")
    assert [pod["uuid"] for pod in json.loads(pods)] == ["a", "b"]


def test_a_line_is_cut_into_days_that_add_up_and_cut_anew_in_another_zone(
    database: Database,
) -> None:
    midnight = 1_789_920_000  # of Shanghai: 16:00 UTC
    window = {"settle_start_time": midnight - 1_000, "settle_end_time": midnight + 2_000}
    take(database, BILLS, {**LINE, **window, "amount": "1.000001", "order_time": midnight}, at=T0)
    days = "SELECT day, amount_microcny FROM bill_day ORDER BY day"
    first, second = rows(database, days)
    assert (first[1], second[1]) == (333_333, 666_668)
    assert rows(database, "SELECT day, amount_yuan FROM bill_daily ORDER BY day") == [
        (first[0], 0.333333),
        (second[0], 0.666668),
    ]
    assert rows(database, "SELECT charged_day FROM bill") == [(second[0],)]
    rebuild(database, "UTC", TODAY)
    assert rows(database, days) == [(first[0], 1_000_001)]
    assert rows(database, "SELECT charged_day FROM bill") == [(first[0],)]


def test_the_balance_of_each_day_adds_up(database: Database) -> None:
    day = 86_400
    start = 1_789_920_000  # midnight of Shanghai
    left = [100, 100 + 50 - 30, 120 - 7]
    for number, yuan in enumerate(left):
        at = start + number * day + 50_000
        take(database, BALANCE, {"balance": yuan, "card_balance": 10 - number}, at=at)
    take(database, RECHARGES, {**RECHARGE, "amount": 50, "pay_time": start + day + 10}, at=T0)
    charged = [(1, 1, 30), (2, 1, 7), (1, 2, 1), (2, 2, 1)]
    lines = [
        {**LINE, "order_time": start + n * day + 20, "charge_channel": channel, "amount": amount}
        for n, channel, amount in charged
    ]
    lines = [{**line, "order_number": f"O{n}"} for n, line in enumerate(lines)]
    take(database, BILLS, *lines, at=T0)
    found = columns(database, "SELECT * FROM balance_daily ORDER BY day")
    assert [row["closing_yuan"] for row in found] == left
    assert [row["recharged_microcny"] for row in found] == [0, 50_000_000, 0]
    assert [row["unexplained_microcny"] for row in found] == [None, 0, 0]
    assert [row["card_unexplained_microcny"] for row in found] == [None, 0, 0]


FOR_EVER = (4_102_444_799, 32_503_679_999, 253_402_127_999, 253_402_271_999, 253_402_300_799)
"""Ends of 2099, of 2999 and of 9999, in Shanghai and in UTC: what stands for no end."""


@pytest.mark.parametrize("never", FOR_EVER)
@pytest.mark.parametrize("member", ["settle_end_time", "order_time", "settle_start_time"])
def test_a_line_of_the_bill_that_lasts_for_ever_counts_once_and_stops_no_poll(
    member: str, never: int, database: Database
) -> None:
    odd = {**LINE, "order_number": "odd", member: never}
    if member == "settle_start_time":
        odd["settle_end_time"] = never
    run = take(database, BILLS, LINE, odd, at=T0)
    assert run.outcome == "complete"
    assert rows(database, "SELECT COUNT(*) FROM bill")[0][0] + run.rejected == 2
    ((parts, amount),) = rows(database, "SELECT COUNT(*), SUM(amount_microcny) FROM bill_day")
    assert parts <= 2
    assert amount + run.rejected * 25_500_000 == 51_000_000


@pytest.mark.parametrize("never", FOR_EVER)
def test_a_card_that_never_expires_is_valid(never: int, database: Database) -> None:
    take(database, CARDS, {**CARD, "expire_date": never}, at=T0)
    assert rows(database, "SELECT is_valid FROM card_now") == [(1,)]
