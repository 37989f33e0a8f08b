"""What one transaction leaves to the next, of each account and resource apart."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from etl.dialect import Database
from etl.history.days import iso
from etl.rebuild import differences, rebuild, set_code
from etl.resources import BILLS, CARDS, GPU_PRICES, RECHARGES
from etl.simcloud import Story
from etl.store import Store, SyncRun, reading, writing
from etl.store.account import Reader
from tests.conftest import TODAY, ZONE
from tests.support import ACCOUNT, apply, poll_of, poll_story, rows
from tests.test_money_records import CARD, LINE, RECHARGE
from tests.test_money_store import T0, price, take
from tests.watched import PREPAID

LATE = 2_000_000_000
"""In 2033, after the last day of the calendar."""
UUIDS = ["inst_1", "inst_2", "inst_3"]
EMPTY = b'{"code":0,"data":{"instance_list":[],"total":0}}'


def all_of(account: Reader) -> dict[str, Any]:
    """What the readers of an account return of its instances and polls."""
    return {
        "known": account.known(UUIDS),
        "uuids": account.all_uuids(),
        "unlisted": sorted(account.unlisted(-1, set)),
        "pending": account.pending(),
        "usages": account.usages(UUIDS, UUIDS[:2]),
        "kept": asdict(account.kept_usage(UUIDS)),
        "lengths": account.lengths_differ(),
        "last": account.last_poll("instances"),
        "first": account.first_complete_at("instances"),
        "newest": account.newest_complete_at("instances"),
        "clock": account.clock_memory("instances"),
        "offset": account.offset_until_s(LATE),
        "early": account.early_sightings(LATE),
        "steps": list(account.strayed_steps()),
    }


def lived(database: Database, account: str, began_at: int) -> None:
    """Polls of instances of which one stops, one goes, and one is missing once."""
    cloud = Story(began_at)
    for name in UUIDS:
        cloud.rents(uuid=name)
    for hidden in (None, UUIDS[1], None, UUIDS[2]):
        if hidden == UUIDS[1]:
            cloud.stops(UUIDS[0])
        if hidden is not None:
            cloud.hides(hidden)
        cloud.passes(minutes=10)
        apply(database, poll_of([cloud.body(1, 9)], cloud.now, cloud.now + 1, account=account))
    with Store(database, account).writing() as tx:
        tx.record("instances", SyncRun(cloud.now + 60, cloud.now + 61, "partial", clock_offset_s=1))


def test_an_account_reads_nothing_of_another_with_the_same_instances(database: Database) -> None:
    lived(database, "lab", T0)
    with Store(database, "lab").reading() as account:
        before = all_of(account)
        # as many as were listed: nobody asks for their names
        assert account.unlisted(2, lambda: pytest.fail("asked")) == []
    with Store(database, "new").reading() as account:
        none = all_of(account)
    assert (before["pending"], before["unlisted"]) == (True, [UUIDS[0], UUIDS[2]])
    assert (none["known"], none["unlisted"], none["usages"]) == ({}, [], {})
    lived(database, "other", T0 + 86_400)
    with Store(database, "lab").reading() as account:
        assert all_of(account) == before
    with Store(database, "new").reading() as account:
        assert all_of(account) == none
    assert list(differences(database)) == []


def test_an_account_reads_no_money_of_another(database: Database) -> None:
    other = {**LINE, "order_number": "O2", "settle_end_time": T0 + 200, "order_time": T0 + 200}
    for at, more in ((T0, [other]), (T0 + 60, [])):
        take(database, BILLS, LINE, *more, {**other, "remark": "x"}, at=at)
        take(database, CARDS, CARD, at=at)
        take(database, RECHARGES, RECHARGE, at=at)
    with Store(database, ACCOUNT).reading() as account:
        assert (account.how_many_hold("bills"), account.is_missing("bills")) == (3, True)
        assert account.is_missing("recharges") is False
        assert account.window("bills") == (None, T0 + 60)
        assert account.window("recharges") == (1, T0 + 60)
        assert len(account.versions("cards")) == 1
        records = [held.record for held in account.unsuperseded("bills")]
        assert len(account.held("bills", records)) == 3
    with Store(database, "new").reading() as account:
        assert (account.how_many_hold("bills"), account.is_missing("bills")) == (0, False)
        assert account.window("bills") == (None, 0)
        assert account.versions("cards") == {}
        assert list(account.unsuperseded("bills")) == account.held("bills", records) == []


# running time


def test_prepaid_time_goes_on_beside_its_runs(database: Database) -> None:
    """The next process finds both of them open, and ends each by itself."""
    set_code(database, "charging", PREPAID, "month")
    cloud = Story()
    a = cloud.rents(charging_type=PREPAID, starts=False)
    apply(database, poll_story(cloud))
    is_open = "SELECT kind, COUNT(*) FROM instance_usage WHERE ended_at IS NULL GROUP BY kind"
    held = "SELECT COUNT(*) FROM instance_usage WHERE kind = 'held'"
    for move, expected in (
        (cloud.starts, ["held", "running"]),
        (cloud.stops, ["held"]),
        (cloud.starts, ["held", "running"]),
        (cloud.hides, ["held", "running"]),
        (cloud.life, []),
    ):
        cloud.passes(minutes=10)
        move(a)
        cloud.passes(minutes=10)
        apply(database, poll_story(cloud))
        assert sorted(rows(database, is_open)) == [(kind, 1) for kind in expected]
        assert rows(database, held) == [(1,)]
    assert list(differences(database)) == []


def test_an_instance_is_pending_while_the_newest_poll_lacks_it(database: Database) -> None:
    cloud = Story()
    a = cloud.rents()
    apply(database, poll_story(cloud))
    for move, is_pending in ((cloud.life, False), (cloud.hides, True), (cloud.shows, False)):
        move(a)
        cloud.passes(minutes=5)
        apply(database, poll_story(cloud))
        with Store(database, ACCOUNT).reading() as known:
            assert known.pending() == is_pending


@pytest.mark.parametrize(
    "change",
    [
        "instance_usage SET evidence = 'booting'",
        "usage_day SET running_s = running_s - 1",
        "instance SET last_start_at = NULL",
    ],
)
def test_a_derived_row_that_strayed_is_named(change: str, database: Database) -> None:
    cloud = Story()
    a = cloud.rents()
    apply(database, poll_story(cloud))
    cloud.passes(minutes=10)
    cloud.stops(a)
    cloud.passes(minutes=10)
    apply(database, poll_story(cloud))
    assert list(differences(database)) == []
    with database.writing() as conn:
        conn.exec_driver_sql(f"UPDATE {change}")
    assert f"{ACCOUNT} {a}" in list(differences(database))
    rebuild(database, None, TODAY)
    assert list(differences(database)) == []


# prices


def test_a_price_that_is_listed_no_more_is_assumed_from_then_on(database: Database) -> None:
    cloud = Story(T0)
    cloud.rents(uuid="inst_1")
    apply(database, poll_story(cloud))
    ((uuid,),) = rows(database, "SELECT gpu_uuid FROM instance")
    sources = "SELECT price_source FROM price_period WHERE charging_type = 1 ORDER BY starts_s"
    take(database, GPU_PRICES, price(5, uuid), price(1), at=T0 + 60)
    assert rows(database, sources) == [("list_assumed",), ("list",)]
    take(database, GPU_PRICES, price(5, uuid), price(1), at=T0 + 120)
    for at in (180, 240):
        take(database, GPU_PRICES, price(1), at=T0 + at)
    assert rows(database, sources) == [("list_assumed",), ("list",), ("list_assumed",)]
    assert list(differences(database)) == []


# windows


@pytest.mark.parametrize(
    "times", [{"order_time": LATE}, {"settle_start_time": LATE, "settle_end_time": LATE + 9}]
)
def test_the_calendar_reaches_the_days_of_every_line(
    times: dict[str, int], database: Database
) -> None:
    """A line beyond its end would be in no sum."""
    take(database, BILLS, LINE, {**LINE, "order_number": "late", **times}, at=T0)
    assert rows(database, "SELECT MAX(day) FROM calendar_day") == [("2033-12-31",)]
    total = "SELECT SUM(amount_microcny) FROM bill_day"
    assert rows(database, total) == [(51_000_000,)]


def test_a_corrected_line_is_another_in_all_that_follows_from_it(database: Database) -> None:
    take(database, BILLS, LINE, at=T0)
    corrected = {**LINE, "amount": 7, "order_time": T0 + 90_000}
    assert take(database, BILLS, corrected, at=T0 + 60).changed == 1
    charged = "SELECT amount_microcny, ordered_at, charged_day, changed_at FROM bill"
    day = rows(database, "SELECT MAX(day) FROM bill_day")[0][0]
    ((amount, ordered_at, charged_day, changed_at),) = rows(database, charged)
    assert (amount, ordered_at, changed_at) == (7_000_000, iso(T0 + 90_000), iso(T0 + 62))
    assert charged_day > day
    assert rows(database, "SELECT SUM(amount_microcny) FROM bill_day") == [(7_000_000,)]


def test_days_of_another_zone_leave_superseded_lines_out(database: Database) -> None:
    last = {"order_time": T0 + 300, "settle_start_time": T0 + 200, "settle_end_time": T0 + 300}
    take(database, BILLS, {**LINE, "order_number": "first"}, LINE | last, at=T0)
    for n in (1, 2):
        run = take(
            database,
            BILLS,
            {**LINE, "order_number": "first"},
            LINE | last | {"remark": "x"},
            at=T0 + 60 * n,
        )
    assert run.gone == 1
    total = "SELECT COUNT(*), SUM(amount_microcny) FROM bill_day"
    assert rows(database, total) == [(2, 51_000_000)]
    rebuild(database, "UTC", TODAY)
    assert rows(database, total) == [(2, 51_000_000)]


def test_recharges_have_nothing_to_cut_anew(database: Database) -> None:
    take(database, RECHARGES, RECHARGE, at=T0)
    before = rows(database, "SELECT * FROM recharge")
    with Store(database, ACCOUNT).writing() as tx:
        tx.recut("recharges")
    assert rows(database, "SELECT * FROM recharge") == before


def test_a_bill_is_judged_by_the_poll_that_brings_it(database: Database) -> None:
    apply(database, poll_of([EMPTY], T0 + 150))
    take(database, BILLS, LINE, at=T0 + 160)
    assert list(differences(database)) == []


# all accounts


def test_a_database_knows_its_accounts_in_their_order_and_what_made_it(database: Database) -> None:
    for name in ("b", "a"):
        with Store(database, name).writing():
            pass
    with writing(database) as tx:
        assert (list(tx.accounts()), tx.is_demo(), tx.strayed_days()) == (["b", "a"], False, [])
        tx.mark_derived()
        tx.mark_as_demo()
    with reading(database) as known:
        known.require_schema()
        assert (list(known.accounts()), known.is_demo()) == (["b", "a"], True)
        assert known.is_derived_by_todays_rules()
        assert known.timezone() == ZONE
