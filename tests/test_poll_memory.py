"""What a poll finds of those before it: their clocks, names, folders, listings and rejects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from etl import tables
from etl.dialect import Database
from etl.errors import ErrorKind, StalePoll
from etl.history.days import iso
from etl.poll import SKEW_S, ClockMemory, LastPoll, RefusedReading
from etl.resources import Reject
from etl.simcloud import Story
from etl.store import Store, SyncRun, writing
from etl.timing.freshness import FUTURE_ADVICE, FUTURE_S
from etl.units import FOLD_S
from tests.support import ACCOUNT, apply, poll_of, rows

T0 = 1_790_000_000


def at(second: int, outcome: str = "complete", **more: Any) -> SyncRun:
    return SyncRun(T0 + second, T0 + second + 2, outcome, **more)


def refused(second: int, offset_s: float | None) -> SyncRun:
    """An attempt that believed no clock."""
    return at(second, "failed", clock_offset_s=offset_s, error_kind=ErrorKind.CLOCK)


def test_the_clock_of_the_source_is_known_by_instances_first(database: Database) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        assert tx.clock_memory("bills") == ClockMemory((), None, None)
        tx.record("instances", at(0, clock_offset_s=1.0))
        assert tx.clock_memory("bills") == ClockMemory((1.0,), None, None)
        tx.record("bills", at(5, clock_offset_s=2.0))
        tx.record("bills", at(9, "partial", clock_offset_s=None))
        tx.record("bills", at(10, "failed", clock_offset_s=8.0))
        tx.record("bills", at(11, "skipped", clock_offset_s=9.0))
        assert tx.clock_memory("bills") == ClockMemory((1.0, 2.0), T0 + 9, None)
        assert tx.clock_memory("instances") == ClockMemory((1.0,), T0, None)
        assert [a.outcome for a in tx.attempts("bills")] == ["failed", "partial", "complete"]
        assert tx.usual_offset_s("bills") == 2.0
        assert tx.usual_offset_s("cards") == 0.0
        # a long outage takes no reading away
        tx.record_all(
            [("cards", at(n, "failed" if n else "complete", clock_offset_s=3.0)) for n in range(99)]
        )
        assert tx.clock_memory("cards").offsets == (1.0, 3.0)


@pytest.mark.parametrize(
    ("runs", "reading"),
    [
        ([refused(10, 9.0)], RefusedReading(9.0, T0 + 10)),
        ([refused(10, 9.0), refused(20, 9.0 + SKEW_S)], RefusedReading(9.0, T0 + 10)),
        ([refused(10, 9.0), refused(20, 9.5 + SKEW_S)], RefusedReading(9.5 + SKEW_S, T0 + 20)),
        ([refused(10, 9.0), refused(20, 8.5 - SKEW_S)], RefusedReading(8.5 - SKEW_S, T0 + 20)),
        ([refused(10, 9.0), at(15, "failed"), refused(20, 9.0)], RefusedReading(9.0, T0 + 10)),
        ([refused(10, 9.0), at(15, clock_offset_s=1.0)], None),
        ([refused(10, 9.0), at(15, clock_offset_s=9.0), refused(20, 9.0)], RefusedReading(9.0, T0 + 20)),
    ],
)  # fmt: skip
def test_an_unbroken_row_of_equal_readings_is_as_old_as_its_first(
    runs: list[SyncRun], reading: RefusedReading | None, database: Database
) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        tx.record_all([("instances", run) for run in runs])
        assert tx.clock_memory("instances").refused == reading


def test_an_offset_is_the_usual_one_of_the_polls_until_then(database: Database) -> None:
    with Store(database, "other").writing() as tx:
        tx.record("instances", at(0, clock_offset_s=100.0))
    with Store(database, ACCOUNT).writing() as tx:
        for n, offset_s in enumerate((0.5, 1.0, 2.0, 9.0, 40.0)):
            tx.record(("bills", "instances")[n % 2], at(10 * n, clock_offset_s=offset_s))
        tx.record("instances", at(32, "failed", clock_offset_s=70.0))
        tx.record("instances", at(33, "partial"))
        known = {s: tx.offset_until_s(T0 + s) for s in (1, 13, 31, 32, 36, 42)}
    assert known == {1: 0.0, 13: 0.75, 31: 1.0, 32: 2.0, 36: 2.0, 42: 9.0}


def test_attempts_follow_one_another_as_they_were_made_whatever_the_clock_said(
    database: Database,
) -> None:
    """Two by a clock that was ahead, then three by one that was set back."""
    with Store(database, ACCOUNT).writing() as tx:
        for second, offset_s in ((900, 50.0), (901, 50.0), (10, 0.0), (20, 0.0), (30, 0.0)):
            tx.record("instances", at(second, clock_offset_s=offset_s))
        made = [attempt.started_at - T0 for attempt in tx.attempts("instances")]
        assert made == [30, 20, 10, 901, 900]
        assert tx.offset_until_s(T0 + 10_000) == 0.0


def test_of_partial_polls_that_end_in_one_second_the_earlier_saw_what_began_then(
    database: Database,
) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        for begins in (20, 10, 15):
            tx.record("bills", SyncRun(T0 + begins, T0 + 30, "partial"))
        assert tx._poll_starts("bills").seen_at(T0 + 30, None) == T0 + 10


def test_the_distance_is_that_from_the_poll_before_though_a_later_one_was_just_written(
    database: Database,
) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        for second in (0, 100, 40):
            tx.record("instances", at(second))
    steps = rows(database, "SELECT polls_before, step_s FROM sync_run ORDER BY sync_run_id")
    assert steps == [(0, None), (1, 100), (1, 40)]


def test_what_was_listed_before_its_creation_is_known(database: Database) -> None:
    cloud = Story()
    cloud.rents_many(2)
    for account, early_s in ((ACCOUNT, 100), ("other", 50)):
        apply(database, poll_of([cloud.body()], cloud.now - early_s, account=account))
    cloud.rents()
    # listed in the very second of its creation
    apply(database, poll_of([cloud.body()], cloud.now - 1))
    with Store(database, ACCOUNT).reading() as known:
        assert known.early_sightings(cloud.now) == [(cloud.now - 99, cloud.now)] * 2
        assert known.early_sightings(cloud.now - 1) == []


@pytest.mark.parametrize(("ahead_s", "is_far"), [(int(FUTURE_S), False), (int(FUTURE_S) + 1, True)])
def test_a_poll_from_the_future_is_named_as_the_reason_why_the_next_is_stale(
    ahead_s: int, is_far: bool, database: Database
) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        tx.record("bills", at(ahead_s))
        with pytest.raises(StalePoll, match="is not newer than") as caught:
            tx.refuse_stale("bills", T0, 1.5)
        with pytest.raises(StalePoll):
            tx.refuse_stale("bills", T0 + ahead_s)
        assert (caught.value.advice == FUTURE_ADVICE) == is_far
        assert caught.value.offset_s == 1.5
        assert tx.refuse_stale("bills", T0 + ahead_s + 1) == LastPoll(
            T0 + ahead_s, T0 + ahead_s + 2, None, 0, None
        )
        assert tx.refuse_stale("cards", T0) is None


def test_former_names_are_those_of_the_account(database: Database) -> None:
    for name in ("a", "x"):
        with Store(database, name).writing() as tx:
            assert tx.former_names() == ()
    with writing(database) as known:
        for old, new in (("a", "b"), ("b", "c"), ("x", "y")):
            known.registry.rename(old, new, T0)
    for name, former in (("c", ("a", "b")), ("y", ("x",)), ("never", ())):
        with Store(database, name).reading() as account:
            assert account.former_names() == former


def test_all_folders_of_archives_are_remembered(database: Database) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        assert tx.archive_folders() == []
    for folder in ("/a", "/b"):
        with Store(database, ACCOUNT).writing() as tx:
            tx.remember_archive(Path(folder))
    with Store(database, "other").reading() as account:
        assert account.archive_folders() == [Path("/a"), Path("/b")]


def test_a_listing_is_remembered_in_place_of_the_one_before(database: Database) -> None:
    for account in ("lab", "other"):
        with Store(database, account).writing() as tx:
            assert tx.known_listing("bills") == (None, b"")
            for name in ("bills", "cards"):
                for n in "12":
                    tx.remember_listing(name, f"{account} {name} {n}", n.encode())
    for account in ("lab", "other"):
        with Store(database, account).reading() as known:
            for name in ("bills", "cards"):
                assert known.known_listing(name) == (f"{account} {name} 2", b"2")


def test_a_record_that_cannot_be_read_is_kept_once_in_each_account_and_resource(
    database: Database,
) -> None:
    rejects = [Reject("$.a", "one", "{}"), Reject("$.b", None, "{}"), Reject("$.a", "one", "[]")]
    for account in ("lab", "other"):
        for name in ("bills", "cards"):
            # the last poll has fewer than are kept
            for second, some in ((0, rejects[:2]), (60, rejects), (120, rejects[:1])):
                with Store(database, account).writing() as tx:
                    tx.reject(name, [*some, rejects[0]], T0 + second)
    found = rows(
        database,
        "SELECT reason, identity, payload, first_seen_at, COUNT(*) FROM rejected_record"
        " GROUP BY reason, identity, payload, first_seen_at ORDER BY 1, 3",
    )
    assert sorted(found, key=str) == sorted(
        [
            ("$.a", "one", "{}", iso(T0), 4),
            ("$.b", None, "{}", iso(T0), 4),
            ("$.a", "one", "[]", iso(T0 + 60), 4),
        ],
        key=str,
    )
    # another length would keep all of them anew
    assert rows(database, "SELECT DISTINCT LENGTH(payload_hash) FROM rejected_record") == [(32,)]


def test_a_distance_is_from_the_newest_poll_that_began_before(database: Database) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        # the second began before the first had ended
        tx.record_all([("bills", at(second)) for second in (0, 1, 10)])
        tx.record("bills", at(5))
        tx.record("bills", at(7, "partial"))
    steps = "SELECT polls_before, step_s, gap_s FROM sync_run ORDER BY started_at"
    none = None, None, None
    assert rows(database, steps) == [(0, None, None), (1, 1, -1), (2, 4, 2), none, (2, 9, 7)]


def test_polls_are_asked_for_again_after_their_dates_were_written_anew(database: Database) -> None:
    with Store(database, ACCOUNT).writing() as tx:
        tx.record("bills", at(10))
        assert tx.first_complete_at("bills") == tx._poll_starts("bills").newest == T0 + 10
        dates = {"started_at": T0 + 3, "finished_at": T0 + 5}
        tx._conn.execute(update(tables.sync_run).values(**dates))
        tx._forget_polls()
        assert tx.first_complete_at("bills") == tx._poll_starts("bills").newest == T0 + 3
        tx.record("bills", at(20))
        assert [a.started_at for a in tx.attempts("bills")] == [T0 + 20, T0 + 3]
    assert rows(database, "SELECT MAX(step_s), MAX(gap_s) FROM sync_run") == [(17, 15)]


def test_the_distance_from_a_folded_poll_stands(database: Database) -> None:
    """The one that is left before it is not the one that came before it."""
    began = T0 // FOLD_S * FOLD_S
    # the first lasted beyond all that was folded
    ends = (began + FOLD_S * n + (1 if n else 3 * FOLD_S) for n in range(5))
    runs = [SyncRun(began + FOLD_S * n, end, "complete") for n, end in enumerate(ends)]
    c = tables.sync_run.c
    with Store(database, ACCOUNT).writing() as tx:
        tx.record_all([(name, run) for run in runs for name in ("bills", "instances")])
        for outcome, n in (("complete", 1), ("partial", 0)):
            values = {"account_id": tx._account_id, "resource": "instances", "outcome": outcome}
            fold = insert(tables.folded_poll).values(
                **values, begins_at=runs[n].started_at, polls=1
            )
            tx._conn.execute(fold)
        of_one = c.started_at == runs[1].started_at, c.resource == "instances"
        tx._conn.execute(delete(tables.sync_run).where(*of_one))
        assert tx.folded_until() == {"instances": runs[2].started_at}
        assert list(tx.strayed_steps()) == []
        stray = update(tables.sync_run).where(c.started_at == runs[3].started_at)
        tx._conn.execute(stray.values(polls_before=9))
        assert [step for step, _ in tx.strayed_steps()] == [(3, FOLD_S, FOLD_S - 1)] * 2
        tx.correct_steps()
        assert list(tx.strayed_steps()) == []
    with Store(database, "other").reading() as account:
        assert account.folded_until() == {}


def test_a_poll_knows_those_of_its_own_transaction(database: Database) -> None:
    """A replay applies many in one: what each left is seen by the next."""
    with Store(database, ACCOUNT).writing() as tx:
        assert (tx.first_complete_at("bills"), tx.newest_complete_at("bills")) == (None, None)
        tx.record("bills", at(0, "partial"))
        assert tx._poll_starts("bills").seen_at(T0 + 2, None) == T0
        tx.record("bills", at(10))
        assert tx._poll_starts("bills").newest == T0 + 10
        tx.record("bills", at(19, "partial", listed=7))
        tx.record("bills", at(20, "partial"))
        starts = tx._poll_starts("bills")
        seen = [starts.seen_at(T0 + s, last) for s, last in ((22, None), (21, None), (5, None))]
        assert seen == [T0 + 20, T0 + 19, T0 + 10]
        assert starts.seen_at(T0 + 22, T0 + 1) == T0 + 1
        tx.record("bills", at(30))
        assert tx._poll_starts("bills").seen_at(T0 + 22, None) == T0 + 30
        assert tx._poll_starts("cards").seen_at(T0 + 22, None) == 0
        assert (tx.first_complete_at("bills"), tx.newest_complete_at("bills")) == (T0 + 10, T0 + 30)
        tx.record("bills", at(5))
        assert tx._poll_starts("bills").seen_at(T0 + 3, None) == T0 + 30
        assert tx.first_complete_at("bills") == T0 + 10, "once known it stays"
        tx._forget_polls()
        assert tx.first_complete_at("bills") == T0 + 5
        assert tx.last_poll("bills") == LastPoll(T0 + 30, T0 + 32, None, 0, None)
