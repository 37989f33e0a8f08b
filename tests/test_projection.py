"""What a month will have cost goes by the time that was observed."""

from __future__ import annotations

from typing import Any

import pytest

from etl import reports
from etl.alerts.rules.budget import RULE as BUDGET
from etl.dialect import Database
from etl.simcloud import Story
from etl.store import reading
from tests.alerting import snapshot
from tests.priced import YUAN, lists
from tests.support import apply, newest, poll_story, rows

HOUR, DAY = 3_600, 86_400
S = 1_795_132_800
"""2026-11-20T00:00:00Z, eight o'clock in Shanghai; its November ends 256 hours later."""
LEFT = 256


def runs(database: Database, hours: int, *, begins: int = S, watched_from: int = 0) -> None:
    """Two instances of 10 yuan an hour, polled every hour from so many hours after their start."""
    cloud = Story(begins)
    cloud.rents(title="one")
    cloud.rents(title="two")
    for hour in range(hours + 1):
        if hour >= watched_from:
            apply(database, poll_story(cloud))
        cloud.passes(hours=1)
    lists(database, "RTX 4090", (begins, None, None, 10 * YUAN))


def budget(database: Database, month: str = "2026-11") -> tuple[Any, ...]:
    """Spent and projected of the account."""
    period = {"from_day": f"{month}-01", "to_day": f"{month}-01", "now": newest(database)}
    names, found = reports.run(database, reports.load_report("budget"), period)
    ((spent, projected),) = [
        (row[names.index("spent_yuan")], row[names.index("projected_yuan")]) for row in found
    ]
    return spent, projected


@pytest.mark.parametrize("hours", [1, 5, 30, 48, 100])
def test_a_month_that_is_observed_since_its_twentieth_is_not_spread_over_all_of_it(
    hours: int, database: Database
) -> None:
    """What runs at 20 yuan an hour goes on so."""
    runs(database, hours)
    assert budget(database) == (20.0 * hours, 20.0 * LEFT)


def test_what_ran_before_the_first_poll_does_not_raise_the_projection(database: Database) -> None:
    """They run since the 15th, as the source says, and are watched for the last 50 hours."""
    runs(database, 170, begins=S - 120 * HOUR, watched_from=120)
    assert budget(database) == (20.0 * 170, 20.0 * 170 + 20.0 * (LEFT - 50))


def test_an_older_account_is_projected_by_all_of_its_month(database: Database) -> None:
    """November begins in Shanghai 464 hours before S; two instances run since October."""
    runs(database, 500, begins=S - 490 * HOUR)
    assert budget(database) == (20.0 * 474, 20.0 * (464 + LEFT))


def test_a_month_that_is_over_is_what_it_was(database: Database) -> None:
    runs(database, LEFT + 30)
    assert budget(database) == (20.0 * LEFT, 20.0 * LEFT)


@pytest.mark.parametrize(("hours", "projected"), [(48, None), (100, 20 * LEFT * YUAN)])
def test_an_alert_projects_once_three_days_are_observed(
    hours: int, projected: int | None, database: Database
) -> None:
    runs(database, hours)
    with database.writing() as conn:
        conn.exec_driver_sql(
            "INSERT INTO budget (scope, name, month, amount_microcny)"
            " VALUES ('account', 'lab', '', 5000000000)"
        )
    with snapshot(database, S + hours * HOUR) as state:
        (found,) = BUDGET.facts(state, BUDGET.options())
    assert (found.spent_microcny, found.projected_microcny) == (20 * hours * YUAN, projected)
    assert rows(database, "SELECT budget_microcny FROM budget_month")[0] == (5_000 * YUAN,)


def test_days_that_nobody_saw_are_not_continued(database: Database) -> None:
    """Two instances run but for five days in the middle, during which the service is down too."""
    cloud = Story(S - 300 * HOUR)
    both = [cloud.rents(title="one"), cloud.rents(title="two")]
    lists(database, "RTX 4090", (int(cloud.now), None, None, 10 * YUAN))
    for watched in (96, 96):
        for _ in range(watched):
            apply(database, poll_story(cloud))
            cloud.passes(hours=1)
        if cloud.now < S - 150 * HOUR:
            for one in both:
                cloud.stops(one)
            cloud.passes(hours=120)
            for one in both:
                cloud.starts(one)
    apply(database, poll_story(cloud))
    spent, projected = budget(database)
    left = LEFT - (cloud.now - S) / HOUR
    assert projected - spent == pytest.approx(20 * left, rel=0.1)
    ((observed_s,),) = rows(
        database,
        "SELECT observed_s FROM budget_month WHERE month = '2026-11' AND scope = 'account'",
    )
    assert observed_s == pytest.approx((96 + 96) * HOUR, rel=0.1)


def test_a_day_of_two_gaps_is_left_out_once(database: Database) -> None:
    """Ten days of January at ten yuan each; of the fifth, without cost, sixteen hours were not seen."""
    begins, day_s = 1_767_196_800, 86_400
    fifth = begins + 4 * day_s
    asked = f"""
        WITH costs AS (
            SELECT 'lab' AS account, CAST(NULL AS TEXT) AS project, day, 10 AS cost_microcny
            FROM calendar_day
            WHERE starts_s >= {begins} AND starts_s < {begins + 10 * day_s} AND starts_s <> {fifth}
        ),
        spans AS (SELECT 'lab' AS account, {begins} AS first_s, {begins + 10 * day_s} AS last_s),
        gaps AS (
            SELECT 'lab' AS account, {fifth} AS gap_from_s, {fifth + day_s // 3} AS gap_to_s
            UNION ALL SELECT 'lab', {fifth + day_s // 2}, {fifth + day_s // 6 * 5}
        ),
        months AS budget_month(costs AS _cost_line, spans AS sync_span, gaps AS sync_gap)
        SELECT spent_microcny, projected_microcny FROM months
    """
    with reading(database) as known:
        # eight whole days stand for the other twenty-one
        assert [tuple(row) for row in known.books._ask(asked)] == [(90, 90 + 80 * 21 // 8)]
