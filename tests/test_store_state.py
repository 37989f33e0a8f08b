"""What one transaction leaves to the next, of each account and resource apart."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from msgspec.structs import replace

from etl.dialect import Database
from etl.errors import StoreError
from etl.history.days import Zone, iso
from etl.history.stretches import Stretch
from etl.rebuild import differences, rebuild, set_code
from etl.resources import BILLS, CARDS, GPU_PRICES, RECHARGES
from etl.simcloud import Story
from etl.store import Store, SyncRun, derivation, reading, writing
from etl.store.account import Reader
from etl.store.rows import KeptUsage, day_rows_of
from tests.conftest import TODAY, ZONE
from tests.support import ACCOUNT, apply, poll_of, poll_story, rows
from tests.test_money_records import CARD, LINE, RECHARGE
from tests.test_money_store import T0, price, take
from tests.test_stretches import S
from tests.watched import PREPAID

LATE = 2_000_000_000
"""In 2033, after the last day of the calendar."""
MIDNIGHT_S = 6_400
"""From `T0` to the next midnight of the reporting zone."""
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
    with Store(database, "new").reading() as account:
        none = all_of(account)
    assert (before["pending"], before["unlisted"]) == (True, [UUIDS[0], UUIDS[2]])
    assert (none["known"], none["unlisted"], none["usages"]) == ({}, [], {})
    assert none["pending"] is False
    lived(database, "other", T0 + 86_400)
    with Store(database, "lab").reading() as account:
        assert all_of(account) == before
        # as many as were listed: nobody asks for their names
        assert account.unlisted(2, lambda: pytest.fail("asked")) == []
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
        assert [held.number for held in account.unsuperseded("recharges")] == [1]
        records = [held.record for held in account.unsuperseded("bills")]
        assert len(account.held("bills", records)) == 3
    with Store(database, "new").reading() as account:
        assert (account.how_many_hold("bills"), account.is_missing("bills")) == (0, False)
        assert account.window("bills") == (None, 0)
        assert account.versions("cards") == {}
        assert list(account.unsuperseded("bills")) == account.held("bills", records) == []


def test_no_more_is_read_than_is_asked_for(database: Database) -> None:
    lived(database, ACCOUNT, T0)
    asked, rest = UUIDS[:1], UUIDS[1:]
    with Store(database, ACCOUNT).writing() as tx:
        kept = asdict(tx.kept_usage(asked))
        assert [list(by_uuid) for by_uuid in (tx.known(asked), *kept.values())] == [asked] * 4
        assert tx.known(asked)[UUIDS[0]].seen_at == tx.newest_complete_at("instances")
        assert [uuid for uuid, _ in tx.histories(rest)] == rest
        usages = tx.usages(UUIDS, asked)
        assert [len(usages[uuid].history) for uuid in UUIDS] == [2, 0, 0]


def test_an_instance_without_a_title_has_no_tags(database: Database) -> None:
    cloud = Story(T0)
    for title in ("[team:vision]", "void"):
        cloud.rents(title=title)
    apply(database, poll_of([cloud.body(1, 9).replace(b'"void"', b"null")], cloud.now))
    assert rows(database, "SELECT title FROM instance WHERE title IS NULL") == [(None,)]
    assert rows(database, "SELECT COUNT(*) FROM allocation") == [(1,)]


# running time


def test_stretches_are_numbered_in_each_account_and_instance(database: Database) -> None:
    """The first complete poll lists what a partial one before it did not see."""
    cloud = Story(T0)
    for name in ("busy", "calm"):
        cloud.rents(uuid=name)
    cloud.rents(uuid="idle", starts=False)
    cloud.hides("calm")
    for move, complete in (
        (cloud.life, False),
        (cloud.shows, True),
        (cloud.stops, True),
        (cloud.starts, True),
    ):
        move("calm" if move == cloud.shows else "busy")
        cloud.passes(minutes=10)
        apply(database, poll_of([cloud.body(1, 9)], cloud.now, complete=complete))
    apply(database, poll_of([cloud.body(1, 9)], cloud.now, account="other"))
    for account, busy in ((ACCOUNT, 3), ("other", 1)):
        with Store(database, account).reading() as known:
            counts = {u: s.state.count for u, s in known.usages(known.all_uuids(), ()).items()}
        assert counts == {"busy": busy, "calm": 1, "idle": 0}
    first = "SELECT COUNT(*) FROM instance_history WHERE version = 1 AND after_at IS NULL"
    assert rows(database, first) == [(6,)]


def test_a_return_takes_back_all_that_a_going_wrote(database: Database) -> None:
    cloud = Story(T0)
    for name in UUIDS[:2]:
        cloud.rents(uuid=name)
    apply(database, poll_story(cloud))
    ((uuid,),) = rows(database, "SELECT DISTINCT gpu_uuid FROM instance")
    take(database, GPU_PRICES, price(5, uuid), at=cloud.now)
    tables = ("instance_usage", "usage_day", "usage_cost")
    known = []
    for move in (cloud.stops, cloud.hides, cloud.life, cloud.shows):
        for name in UUIDS[1:2] if move == cloud.stops else UUIDS[:2]:
            cloud.passes(minutes=10)
            move(name)
        cloud.passes(minutes=10)
        apply(database, poll_story(cloud))
        known.append([sorted(rows(database, f"SELECT * FROM {t}"), key=str) for t in tables])
    assert all(len(then) > len(now) for then, now in zip(known[2], known[3], strict=True))
    assert known[3] == known[0] == known[1]
    assert list(differences(database)) == []


def bill_moves(stretch: Stretch, settled_at: int) -> Stretch:
    return replace(stretch, settlements=1, settled_at=settled_at)


def test_stretches_by_polls_take_what_the_bill_knows_of_closed_ones_by_number() -> None:
    begun = Stretch(2, "running", 300, "booting", S.terms)
    polled = [S, begun, replace(S, usage_no=3)]
    late = bill_moves(replace(S, usage_no=2), 190)
    kept = KeptUsage({"a": [bill_moves(S, 120), late]})
    assert kept.with_bill("b", polled, is_at_stops=True) == polled
    assert kept.with_bill("a", polled, is_at_stops=False) == [bill_moves(S, 120), *polled[1:]]
    moved = replace(bill_moves(S, 120), ended_at=120, end_evidence="settled")
    assert kept.with_bill("a", polled, is_at_stops=True) == [moved, *polled[1:]]


def test_rows_of_an_instance_differ_in_a_stretch_a_part_or_a_start() -> None:
    zone = Zone(ZONE)
    parts = [row[1:] for row in day_rows_of(7, "a", S, zone)]
    kept = KeptUsage({"a": [S]}, {"a": parts}, {"a": 100})
    assert kept.differ("a", [S], 100, zone) is False
    assert kept.differ("a", [replace(S, end_evidence="timer")], 100, zone)
    assert kept.differ("a", [S], 101, zone)
    assert KeptUsage({"a": [S]}, {"a": parts[1:]}, {"a": 100}).differ("a", [S], 100, zone)
    assert KeptUsage().differ("b", [], None, zone) is False


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
    for move, is_pending in (
        (cloud.life, False),
        (cloud.hides, True),
        (cloud.shows, False),
        (cloud.hides, True),
        (cloud.life, False),  # gone
    ):
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


def test_a_version_that_ended_is_current_no_more(database: Database) -> None:
    take(database, CARDS, CARD, at=T0)
    for at, count in ((T0 + 60, 1), (T0 + 120, 0)):
        take(database, CARDS, at=at)
        with Store(database, ACCOUNT).reading() as account:
            assert len(account.versions("cards")) == count


# windows


def test_lines_that_are_alike_are_counted(database: Database) -> None:
    for at in (T0, T0 + 60):
        take(database, BILLS, LINE, LINE, at=at)
        with Store(database, ACCOUNT).reading() as account:
            held = account.held("bills", [line.record for line in account.unsuperseded("bills")])
            assert sorted(line.number for line in held) == [1, 2]


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
    until = T0 + MIDNIGHT_S + 100
    last = {"order_time": until, "settle_start_time": until - 200, "settle_end_time": until}
    first, line = LINE | last | {"order_number": "first"}, LINE | last
    take(database, BILLS, first, line, at=T0)
    # while it is missing the line counts, beside the one in its place
    for n, parts in ((1, 6), (2, 4)):
        run = take(database, BILLS, first, line | {"remark": "x"}, at=T0 + 60 * n)
        assert rows(database, "SELECT COUNT(*) FROM bill_day") == [(parts,)]
    assert run.gone == 1
    with Store(database, ACCOUNT).reading() as account:
        assert account.is_missing("bills") is False
    days = "SELECT day, COUNT(*), SUM(amount_microcny) FROM bill_day GROUP BY day ORDER BY day"
    charged = "SELECT DISTINCT charged_day FROM bill"
    half = 25_500_000
    assert rows(database, days) == [("2026-09-21", 2, half), ("2026-09-22", 2, half)]
    assert rows(database, charged) == [("2026-09-22",)]
    rebuild(database, "UTC", TODAY)
    assert rows(database, days) == [("2026-09-21", 2, 2 * half)]
    assert rows(database, charged) == [("2026-09-21",)]


def test_recharges_have_nothing_to_cut_anew(database: Database) -> None:
    take(database, RECHARGES, RECHARGE, at=T0)
    assert take(database, RECHARGES, RECHARGE | {"amount": "7.00"}, at=T0 + 60).changed == 1
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
        derivation.forget(tx._conn)
        assert not tx.is_derived_by_todays_rules()
        tx.mark_derived()
        tx.mark_as_demo()
    with reading(database) as known:
        known.require_schema()
        assert (list(known.accounts()), known.is_demo()) == (["b", "a"], True)
        assert known.is_derived_by_todays_rules()
        assert known.timezone() == ZONE


def test_a_database_of_another_revision_is_not_read(database: Database) -> None:
    with writing(database) as tx:
        tx._conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0001_first'")
        with pytest.raises(StoreError, match="at revision 0001_first"):
            tx.require_schema()
