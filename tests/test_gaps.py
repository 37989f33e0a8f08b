"""What counts as a gap depends on how often an account polls."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from etl import rebuild, reports
from etl.dialect import Database
from etl.resources import INSTANCES
from etl.simcloud import T0, Story
from etl.store import Store, SyncRun
from tests.conftest import TODAY
from tests.support import apply, newest, poll_of, rows

MINUTE, HOUR, DAY = 60, 3600, 86_400


def polled(database: Database, starts: Iterable[int], account: str = "lab") -> None:
    """Complete polls of a second each that begin so long after T0."""
    with Store(database, account).writing() as tx:
        for start in starts:
            run = SyncRun(started_at=T0 + start, finished_at=T0 + start + 1, outcome="complete")
            tx.record(INSTANCES.name, run)


def gaps(database: Database, account: str = "lab") -> list[tuple[int, int]]:
    """From when to when, in seconds after T0."""
    found = rows(
        database,
        "SELECT gap_from_s, gap_to_s, gap_s FROM sync_gap"
        f" WHERE account = '{account}' ORDER BY gap_from_s",
    )
    assert all(ends - begins == length for begins, ends, length in found)
    return [(begins - T0, ends - T0) for begins, ends, _ in found]


@pytest.mark.parametrize("minutes", [11, 15, 60, 24 * 60])
def test_who_polls_rarely_is_observed_all_the_same(database: Database, minutes: int) -> None:
    polled(database, range(0, 40 * minutes * MINUTE, minutes * MINUTE))
    assert gaps(database) == []


def test_a_gap_is_longer_than_three_times_the_usual_distance(database: Database) -> None:
    missed = {10, 11, 20, 21, 22}
    polled(database, (15 * MINUTE * n for n in range(60) if n not in missed))
    assert gaps(database) == [(19 * 15 * MINUTE + 1, 23 * 15 * MINUTE)]


def test_a_gap_is_never_shorter_than_ten_minutes(database: Database) -> None:
    away = {*range(20, 24), *range(40, 46)}
    polled(database, (2 * MINUTE * n for n in range(60) if n not in away))
    assert gaps(database) == [(39 * 2 * MINUTE + 1, 46 * 2 * MINUTE)]


def test_a_few_polls_have_no_usual_distance(database: Database) -> None:
    polled(database, [0, 3 * DAY])
    assert gaps(database) == [(1, 3 * DAY)]
    polled(database, [4 * DAY, 5 * DAY, 6 * DAY])
    assert len(gaps(database)) == 4
    polled(database, [7 * DAY])
    assert gaps(database) == []


def test_of_five_distances_the_third_is_usual(database: Database) -> None:
    """Two of a minute do not make a quarter of an hour a gap."""
    polled(database, (minutes * MINUTE for minutes in (0, 1, 2, 17, 32, 47)))
    assert gaps(database) == []


def test_an_instance_of_unknown_status_is_counted_once_a_day(database: Database) -> None:
    cloud = Story()
    name = cloud.rents()
    cloud.twists(name, status=77)
    for title in ("a", "b"):
        cloud.renames(name, title)
        cloud.passes(minutes=5)
        apply(database, poll_of([cloud.body()], cloud.now))
    counts = "SELECT unknown_codes FROM coverage_daily WHERE unknown_codes > 0"
    assert rows(database, counts) == [(1,)]


def test_each_account_has_its_own_usual_distance(database: Database) -> None:
    polled(database, range(0, DAY, 2 * MINUTE), "often")
    polled(database, range(0, DAY, 20 * MINUTE), "rarely")
    polled(database, [DAY + 40 * MINUTE], "often")
    polled(database, [DAY + 40 * MINUTE], "rarely")
    assert (len(gaps(database, "often")), gaps(database, "rarely")) == (1, [])


def test_another_interval_makes_no_gaps_of_what_was_usual_before(database: Database) -> None:
    before = range(0, 1000 * 15 * MINUTE, 15 * MINUTE)
    after = range(before.stop, before.stop + 1499 * 2 * MINUTE, 2 * MINUTE)
    polled(database, (start for start in before if start != before[300]))
    polled(database, (start for start in after if not 700 <= after.index(start) < 706))
    assert gaps(database) == [(after[699] + 1, after[706])]


def test_one_long_outage_among_many_polls_is_a_gap_however_long(database: Database) -> None:
    polled(database, range(0, HOUR, 2 * MINUTE))
    polled(database, range(90 * DAY, 90 * DAY + HOUR, 2 * MINUTE))
    assert gaps(database) == [(HOUR - 2 * MINUTE + 1, 90 * DAY)]


def test_partial_and_failed_polls_close_no_gap(database: Database) -> None:
    polled(database, range(0, HOUR, 5 * MINUTE))
    with Store(database, "lab").writing() as tx:
        for start, outcome in ((HOUR + 600, "partial"), (HOUR + 1200, "failed")):
            run = SyncRun(started_at=T0 + start, finished_at=T0 + start + 1, outcome=outcome)
            tx.record(INSTANCES.name, run)
    polled(database, [2 * HOUR])
    assert gaps(database) == [(55 * MINUTE + 1, 2 * HOUR)]


def test_the_observed_share_of_who_polls_every_quarter_of_an_hour_is_whole(
    database: Database,
) -> None:
    cloud = Story()
    cloud.rents()
    for quarter in range(100):
        apply(database, poll_of([cloud.body()], T0 + 15 * MINUTE * quarter))
    period = {"from_day": "2026-01-02", "to_day": "2026-01-02", "by": "day"}
    columns, found = reports.run(
        database, reports.load_report("uptime"), {**period, "now": newest(database)}
    )
    assert [row[list(columns).index("observed_percent")] for row in found] == [100.0]


STEPS = "SELECT started_at, polls_before, step_s, gap_s FROM sync_run ORDER BY started_at"


def test_each_complete_poll_knows_how_far_it_is_from_the_one_before(database: Database) -> None:
    polled(database, [0, 120], "other")
    polled(database, [0, 120, 1000])
    with Store(database, "lab").writing() as tx:
        tx.record(INSTANCES.name, SyncRun(T0 + 1100, T0 + 1101, "partial"))
        tx.record("bills", SyncRun(T0 + 1150, T0 + 1151, "complete"))
        tx.record(INSTANCES.name, SyncRun(T0 + 1200, T0 + 1201, "complete"))
    kept = [row[1:] for row in rows(database, STEPS)]
    assert kept[:4] == [(0, None, None)] * 2 + [(1, 120, 119)] * 2
    assert kept[4:] == [(2, 880, 879), (None, None, None), (0, None, None), (3, 200, 199)]


def test_rows_written_together_are_those_of_one_after_the_other(database: Database) -> None:
    outcomes = ["complete", "complete", "partial", "complete", "failed", "complete"]
    runs = [
        (resource, SyncRun(T0 + 130 * n, T0 + 130 * n + 2, outcome))
        for n, outcome in enumerate(outcomes)
        for resource in (INSTANCES.name, "bills")
    ]
    with Store(database, "lab").writing() as tx:
        tx.record_all(runs)
    for resource, run in runs:
        with Store(database, "other").writing() as tx:
            tx.record(resource, run)
    listed = "SELECT resource, outcome, started_at, polls_before, step_s, gap_s FROM sync_run r"
    together, one_by_one = (
        rows(
            database,
            f"{listed} JOIN account a ON a.account_id = r.account_id"
            f" WHERE name = '{name}' ORDER BY sync_run_id",
        )
        for name in ("lab", "other")
    )
    assert together == one_by_one
    assert [row[3] for row in together[::2]] == [0, 1, None, 2, None, 3]


def test_a_rebuild_says_how_far_polls_are_apart(database: Database) -> None:
    polled(database, [0, 120, 240, 3_000, 3_120], "other")
    polled(database, [0, 500, 4_000])
    before = rows(database, STEPS)
    with database.writing() as conn:
        conn.exec_driver_sql(
            "UPDATE sync_run SET polls_before = 7, gap_s = NULL WHERE step_s > 400"
        )
    assert sorted(rebuild.differences(database)) == ["lab polls", "other polls"]
    rebuild.rebuild(database, None, TODAY)
    assert list(rebuild.differences(database)) == []
    assert sorted(rows(database, STEPS), key=str) == sorted(before, key=str)
