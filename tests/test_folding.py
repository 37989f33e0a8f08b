"""Folding of polls row by row: which stay, whose they are, and what is counted."""

from __future__ import annotations

from collections.abc import Iterable

from etl.dialect import Database
from etl.history.days import iso
from etl.store import Store, SyncRun
from etl.units import DAY_S, ERA_POLLS, FOLD_S, RECENT_ATTEMPTS
from tests.support import ACCOUNT, rows

T0 = 1_790_000_000 // DAY_S * DAY_S
EVERY_S = 300
POLLS = 2 * ERA_POLLS + 100
NEWEST = T0 + (POLLS - 1) * EVERY_S


def poll(at: int, outcome: str = "complete", took_s: int = 1, **counts: int) -> SyncRun:
    return SyncRun(at, at + took_s, outcome, **counts)  # type: ignore[arg-type]


def polled(
    database: Database,
    *more: SyncRun,
    account: str = ACCOUNT,
    resource: str = "instances",
) -> None:
    """A complete poll every five minutes, and others."""
    runs: Iterable[SyncRun] = [*(poll(T0 + n * EVERY_S) for n in range(POLLS)), *more]
    with Store(database, account).writing() as tx:
        tx.record_all([(resource, run) for run in sorted(runs, key=lambda run: run.started_at)])


def fold(database: Database, until: int, resource: str = "instances") -> int:
    with Store(database, ACCOUNT).writing() as tx:
        return tx.fold(resource, tx.foldable_until(resource, until))


def left(database: Database, more: str = "1 = 1") -> int:
    return int(rows(database, f"SELECT COUNT(*) FROM sync_run WHERE {more}")[0][0])


def test_polls_of_a_quarter_that_is_folded_in_two_parts_are_added_up(database: Database) -> None:
    polled(database)
    middle = T0 + 30 * FOLD_S + EVERY_S
    first = fold(database, middle)
    second = fold(database, middle + FOLD_S)
    assert first > 80
    assert second > 0
    assert rows(database, "SELECT SUM(polls) FROM folded_poll") == [(first + second,)]
    assert left(database) == POLLS - first - second


def test_polls_of_another_account_and_of_another_list_stay(database: Database) -> None:
    polled(database)
    polled(database, account="other")
    polled(database, resource="bills")
    folded = fold(database, NEWEST)
    assert folded > ERA_POLLS
    by_list = (
        "SELECT COUNT(*) FROM sync_run GROUP BY account_id, resource ORDER BY account_id, resource"
    )
    assert rows(database, by_list) == [(POLLS,), (POLLS - folded,), (POLLS,)]


def test_what_failed_since_the_newest_complete_poll_stays(database: Database) -> None:
    """Status and alerts look at it."""
    failed = [poll(NEWEST + (1 + n) * EVERY_S, "failed") for n in range(3 * DAY_S // EVERY_S)]
    polled(database, *failed)
    assert fold(database, failed[-1].started_at + 31 * DAY_S) > ERA_POLLS
    assert left(database, "outcome = 'failed'") == len(failed)
    assert len(failed) > RECENT_ATTEMPTS + DAY_S // EVERY_S


def test_a_poll_that_lasted_beyond_the_moment_stays(database: Database) -> None:
    until = T0 + 100 * EVERY_S
    polled(database, poll(until - 9, "partial", 8), poll(until - 7, "partial", 20))
    polled_again = poll(until + 2 * DAY_S, "partial")
    with Store(database, ACCOUNT).writing() as tx:
        tx.record("instances", polled_again)
        # the first of an outcome stays anyway
        tx.record("instances", poll(T0 - 60, "partial"))
    fold(database, until)
    kept = f"outcome = 'partial' AND started_at IN ('{iso(until - 9)}', '{iso(until - 7)}')"
    assert rows(database, f"SELECT started_at FROM sync_run WHERE {kept}") == [(iso(until - 7),)]


def test_the_poll_that_says_what_could_not_be_read_stays(database: Database) -> None:
    """All that came later read the front alone."""
    fronts = [
        poll(T0 + n * EVERY_S + 30, listed=9, reported_total=14) for n in range(2 * ERA_POLLS + 9)
    ]
    whole = poll(T0 + 40 * EVERY_S + 90, listed=13, rejected=1, reported_total=14)
    runs = sorted([*fronts, whole], key=lambda run: run.started_at)
    with Store(database, ACCOUNT).writing() as tx:
        tx.record_all([("bills", run) for run in runs])
    asked = "SELECT resource, records FROM _money_unread"
    assert rows(database, asked) == [("bills", 1)]
    assert fold(database, NEWEST, "bills") > ERA_POLLS
    assert rows(database, asked) == [("bills", 1)]


def test_all_polls_of_the_last_day_of_each_outcome_stay(database: Database) -> None:
    """The end of what was polled is looked for among them."""
    partial = [poll(T0 + 60 + n * EVERY_S, "partial") for n in range(2 * DAY_S // EVERY_S)]
    polled(database, *partial)
    fold(database, NEWEST)
    since = iso(partial[-1].started_at - DAY_S)
    assert left(database, f"outcome = 'partial' AND started_at >= '{since}'") == (
        DAY_S // EVERY_S + 1
    )


def test_the_last_balance_before_each_midnight_stays(database: Database) -> None:
    polled(database, resource="balance")
    found = rows(database, "SELECT starts_s FROM calendar_day ORDER BY starts_s")
    midnights = [starts_s for (starts_s,) in found if T0 < starts_s < NEWEST - DAY_S]
    assert len(midnights) >= 2
    assert fold(database, NEWEST, "balance") > ERA_POLLS
    for midnight in midnights:
        assert left(database, f"started_at = '{iso(midnight - EVERY_S)}'") == 1
        assert left(database, f"started_at = '{iso(midnight)}'") == 0
