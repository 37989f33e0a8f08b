"""Values at the ends of their ranges, of every resource: what is accepted, every view and report bears."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from etl.dialect import Database
from etl.rebuild import differences
from etl.reports import load_report, report_names
from etl.reports import run as run_report
from etl.resources import BALANCE, BILLS, CARDS, GPU_PRICES, INSTANCES, RECHARGES, Resource
from etl.resources.values import FIRST_INSTANT, LAST_INSTANT, LIMIT_MICROCNY
from etl.store import views
from etl.units import DAY_S
from tests.support import apply, poll_of, rows
from tests.test_money_records import CARD, LINE, PRICE, RECHARGE, answer

T0: Final = 1_790_000_000
YUAN: Final = LIMIT_MICROCNY // 10**6
INSTANTS: Final = st.sampled_from(
    [
        *(
            None,
            -1,
            0,
            1,
            60,
            86_400,
            FIRST_INSTANT - 1,
            FIRST_INSTANT,
            T0 - 400 * DAY_S,
            T0 - 1,
            T0,
        ),
        *(T0 + 1, T0 + 366 * DAY_S, T0 + 4 * 365 * DAY_S, LAST_INSTANT, LAST_INSTANT + 1),
        *(
            4_102_444_800,
            253_402_271_999,
            253_402_300_799,
            253_402_300_800,
            2**63,
            10**30,
            "60",
            "x",
        ),
    ]
)
AMOUNTS: Final = st.sampled_from(
    [0, 0.000001, "0.01", 1, 9_300_000, 10_000_000, YUAN, -YUAN, YUAN + 1, 1e300, "-0.000001", ""]
)
COUNTS: Final = st.sampled_from(
    [None, 0, 1, 8, 64, 65, 10_000, 10_001, 200_000, 2**31 - 1, 2**31, -1]
)
CODES: Final = st.sampled_from([None, -(2**31), -1, 0, 1, 2, 5, 2**31 - 1, 2**31])
_numbers = count()


def records(base: dict[str, Any], **members: Any) -> Any:
    """Up to two records that differ from a usual one in extreme members."""
    odd = st.fixed_dictionaries({}, optional=members).map(lambda some: {**base, **some})
    return st.lists(odd, min_size=1, max_size=2)


INSTANCE: Final = {
    **{"status": 2, "title": "t", "gpu_name": "RTX 4090", "gpu_uuid": "gpu-4090", "gpu_nums": 1},
    **{"charging_type": 1, "create_time": T0 - 9_000, "start_time": T0 - 8_000},
}
TIMER: Final = st.fixed_dictionaries({"shutdown_time": INSTANTS, "enable": st.booleans()})
PRICES: Final = st.fixed_dictionaries(
    dict.fromkeys(("hour", "day", "week", "month", "year"), AMOUNTS)
)
ODD: Final[dict[Resource[Any], Any]] = {
    INSTANCES: records(
        INSTANCE,
        gpu_nums=COUNTS,
        status=st.sampled_from([2, 22, 24, 21, -1, 2**31 - 1]),
        charging_type=CODES,
        create_time=INSTANTS,
        start_time=INSTANTS,
        shutdown_regular=TIMER,
        save_image_status=CODES,
    ),
    GPU_PRICES: records(PRICE, price=PRICES, status=CODES),
    BALANCE: records({}, balance=AMOUNTS, card_balance=AMOUNTS),
    CARDS: records(
        CARD,
        **dict.fromkeys(("face_amount", "sale_price", "leave_amount"), AMOUNTS),
        **dict.fromkeys(("bind_time", "expire_date"), INSTANTS),
        valid_days=CODES,
    ),
    BILLS: records(
        LINE,
        amount=AMOUNTS,
        charge_channel=CODES,
        **dict.fromkeys(("order_time", "settle_start_time", "settle_end_time"), INSTANTS),
    ),
    RECHARGES: records(
        RECHARGE,
        amount=AMOUNTS,
        created_at=st.one_of(INSTANTS, st.sampled_from(["0001-01-01", "9999-12-31T23:59:59"])),
        pay_time=INSTANTS,
    ),
}
IDENTITY: Final = {
    INSTANCES: "instance_uuid",
    GPU_PRICES: "gpu_uuid",
    CARDS: "uuid",
    BILLS: "order_number",
    RECHARGES: "out_trade_no",
}


def body_of(resource: Resource[Any], listed: Sequence[Any]) -> bytes:
    named = [
        {**record, IDENTITY[resource]: f"{resource.name}-{n}"} if resource in IDENTITY else record
        for n, record in enumerate(listed)
    ]
    if resource is not INSTANCES:
        return answer(resource, *named)
    return json.dumps({"code": 0, "data": {"instance_list": named, "total": len(named)}}).encode()


@pytest.mark.parametrize("resource", ODD, ids=lambda resource: resource.name)
def test_whatever_is_accepted_every_view_and_report_bears(
    resource: Resource[Any], kind: str, database: Database
) -> None:
    """Polls of an extreme listing, then of another one, beside usual records of all other resources."""

    @settings(max_examples=12 if kind == "sqlite" else 5)
    @given(ODD[resource], ODD[resource])
    def law(first: list[Any], second: list[Any]) -> None:
        account = f"lab {next(_numbers)}"
        usual = {INSTANCES: [INSTANCE], GPU_PRICES: [PRICE], BILLS: [LINE], CARDS: [CARD]}
        usual |= {RECHARGES: [RECHARGE], BALANCE: [{"balance": 1, "card_balance": 2}]}
        for at, odd in ((T0, first), (T0 + 9_000, second), (T0 + 99_000, second)):
            for each, listed in {**usual, resource: odd}.items():
                body = body_of(each, listed)
                apply(database, poll_of([body], at, account=account, resource=each))

    law()
    bears(database)
    assert list(differences(database)) == []


def bears(database: Database) -> None:
    """Every view answers, and every report over all time."""
    with database.reading() as conn:
        for name in views.view_names():
            conn.execute(text(f"SELECT * FROM {name}")).all()
    edges = {"from_day": "2015-01-02", "to_day": "2099-12-30"}
    for name in report_names():
        report = load_report(name)
        chosen = {day: value for day, value in edges.items() if report.param(day) is not None}
        _, found = run_report(database, report, {**chosen, "now": T0 + 200_000})
        list(found)


def test_no_money_is_lost_between_the_bill_and_its_days(database: Database) -> None:
    """The whole of each line is in the days of its window, however far they reach."""
    windows = [
        (T0, T0 + 366 * DAY_S),
        (T0 + 3 * 365 * DAY_S, T0 + 4 * 365 * DAY_S),
        (FIRST_INSTANT, FIRST_INSTANT + 60),
        (LAST_INSTANT - 60, LAST_INSTANT),
        (T0, 253_402_271_999),
    ]
    lines = [
        {**LINE, "order_number": f"o{n}", "settle_start_time": a, "settle_end_time": b, "amount": 7}
        for n, (a, b) in enumerate(windows)
    ]
    body = answer(BILLS, *lines)
    apply(database, poll_of([body], T0, resource=BILLS))
    whole = rows(database, "SELECT SUM(amount_microcny) FROM bill")
    assert whole == [(7_000_000 * len(windows),)]
    joined = "SELECT SUM(p.amount_microcny) FROM bill_day p JOIN calendar_day c ON c.day = p.day"
    assert rows(database, joined) == whole
    assert rows(database, "SELECT SUM(amount_microcny) FROM bill_daily") == whole
    assert int(rows(database, "SELECT COUNT(*) FROM bill_day")[0][0]) < 800


@pytest.mark.parametrize(
    ("resource", "record", "why"),
    [
        (INSTANCES, {**INSTANCE, "gpu_nums": 10_001}, "gpu_nums"),
        (
            BILLS,
            {**LINE, "settle_end_time": LINE["settle_start_time"] + 367 * DAY_S},
            "longer than a year",
        ),
        (BILLS, {**LINE, "amount": YUAN + 1}, "amount"),
    ],
)
def test_what_is_beyond_its_range_is_rejected_with_the_reason(
    resource: Resource[Any], record: dict[str, Any], why: str, database: Database
) -> None:
    run = apply(database, poll_of([body_of(resource, [record])], T0, resource=resource))
    assert run.rejected == 1
    assert why in rows(database, "SELECT reason FROM rejected_record")[0][0]
