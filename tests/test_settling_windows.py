"""Which lines of the bill may end or begin a run, and which runs they may end: asked row by row."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from etl import tables
from etl.dialect import Database
from etl.store import Store
from etl.store import settling_sql as sql
from tests.support import ACCOUNT

T = 1_767_225_600
RUNNING, OTHER = "by the hour", "kept while off"


def line(begins: int, ends: int, remark: str = RUNNING, superseded: bool = False) -> dict[str, Any]:
    return {
        "order_number": f"o{begins}",
        "settle_start_at": T + begins,
        "settle_end_at": T + ends,
        "charge_channel": 1,
        "remark": remark,
        "line_no": 1,
        "amount_microcny": 10_000,
        "charged_day": "2026-01-01",
        "first_seen_at": T + ends,
        "changed_at": T + ends,
        "superseded_at": T + ends if superseded else None,
    }


LINES = {
    ACCOUNT: [
        line(0, 100),
        line(100, 200),
        line(300, 400),
        line(400, 500, OTHER),
        line(600, 700),
        line(700, 800, superseded=True),
        line(900, 1000),
        line(950, 950),
        line(1200, 1300, superseded=True),
    ],
    "other": [line(200, 300), line(1000, 1100)],
}


@pytest.fixture
def bill(database: Database) -> Database:
    for account, lines in LINES.items():
        with Store(database, account).writing() as tx:
            mine = [{**each, "account_id": tx._account_id} for each in lines]
            tx._conn.execute(insert(tables.bill), mine)
    return database


@pytest.mark.parametrize(
    ("asked", "lower", "upper", "windows"),
    [
        # what the next of its kind follows, or lies outside of (lower, upper], ended with no stop
        ("ENDING", 0, 1000, [(100, 200), (300, 400), (400, 500), (600, 700), (900, 1000)]),
        ("ENDING", 200, 999, [(300, 400), (400, 500), (600, 700)]),
        # what follows one of its kind began with no start
        (
            "BEGINNING_WITHIN",
            -1,
            900,
            [(0, 100), (300, 400), (400, 500), (600, 700), (900, 1000)],
        ),
        ("BEGINNING_WITHIN", 0, 899, [(300, 400), (400, 500), (600, 700)]),
        # neither
        ("WHOLE_WITHIN", -1, 1000, [(300, 400), (400, 500), (600, 700), (900, 1000)]),
        ("WHOLE_WITHIN", -1, 999, [(300, 400), (400, 500), (600, 700)]),
    ],
)
def test_windows_of_a_run_are_valid_ones_of_the_account_that_no_other_of_their_kind_meets(
    asked: str, lower: int, upper: int, windows: list[tuple[int, int]], bill: Database
) -> None:
    with Store(bill, ACCOUNT).reading() as account:
        found = account._ask(getattr(sql, asked), lower=T + lower, upper=T + upper).all()
    assert [(begins - T, ends - T) for begins, ends, _, _ in found] == windows


def test_the_bill_reaches_to_the_end_of_its_newest_valid_window(bill: Database) -> None:
    with Store(bill, ACCOUNT).reading() as account:
        assert account._ask(sql.BILL_UNTIL).scalar() == T + 1000


def stretch(uuid: str, number: int, evidence: str, begins: int, *ends: int) -> dict[str, Any]:
    least, most = ends
    return {
        "instance_uuid": uuid,
        "usage_no": number,
        "kind": "running",
        "evidence": evidence,
        "started_at": T + begins,
        "ended_min": T + least,
        "ended_at": T + least,
        "ended_max": T + most,
        "gpu_nums": 1,
        "charging_type": 1,
    }


USAGE = {
    ACCOUNT: [
        # the time in which a run may have begun, and the run
        stretch("a", 1, "possible_run", 0, 0, 100),
        stretch("a", 2, "unknown_start", 100, 200, 300),
        # not a time that ends where this run was first seen
        stretch("b", 1, "possible_run", 0, 0, 350),
        stretch("b", 2, "unknown_start", 400, 500, 600),
        # a time in which runs may have gone unseen, and the next start
        stretch("c", 1, "possible_run", 0, 0, 400),
        stretch("c", 2, "observed", 400, 450, 500),
        # nothing that follows, and nothing that can be settled
        stretch("d", 1, "possible_run", 0, 0, 400),
        stretch("e", 1, "observed", 0, 500, 500),
    ],
    "other": [
        stretch("b", 1, "possible_run", 0, 0, 400),
        stretch("b", 2, "unknown_start", 350, 450, 500),
        stretch("d", 1, "observed", 0, 100, 200),
        stretch("d", 2, "observed", 400, 450, 500),
    ],
}


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("STOPS_WITHIN", [("a", 2), ("c", 2)]),
        ("STARTS_WITHIN", [("a", 1)]),
        ("TIMES_WITHIN", [("c", 1)]),
    ],
)
def test_a_start_that_nobody_saw_is_told_by_the_stretch_beside_it_in_its_own_account(
    asked: str, keys: list[tuple[str, int]], database: Database
) -> None:
    for name, stretches in USAGE.items():
        with Store(database, name).writing() as tx:
            mine = {"account_id": tx._account_id}
            seen = {"version": 1, "first_seen_at": T, "changed_at": T, "status": 2}
            uuids = sorted({each["instance_uuid"] for each in stretches})
            instances = [{"instance_uuid": uuid, **seen, **mine} for uuid in uuids]
            tx._conn.execute(insert(tables.instance), instances)
            tx._conn.execute(insert(tables.instance_usage), [each | mine for each in stretches])
    with Store(database, ACCOUNT).reading() as account:
        found = account._ask(getattr(sql, asked), lower=T, upper=T + 1000).all()
    assert [(row[0], row[1]) for row in found] == keys
