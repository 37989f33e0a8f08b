"""Limits by the least and the most that may have been used: the views, asked with parts told by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.store import Store, SyncRun, reading
from tests.support import ACCOUNT
from tests.test_limits import DAY, FEBRUARY, HOUR, JANUARY
from tests.test_price_files import written

LIMITS = "".join(
    f"[[limit]]\n{of}\ncard_hours = 40\ncarry_over = 100\n"
    for of in ("owner = 'li'", "project = 'a'", "project = 'b'", "account = 'lab'")
)
MONTHS = f"""
WITH payers AS (
    SELECT
        1 AS account_id, (SELECT day FROM calendar_day WHERE day = '2026-01-10') AS day,
        'u' AS instance_uuid, 2 AS gpu_nums,
        {JANUARY + 10 * DAY} AS starts_s, {10 * HOUR} AS running_s, {5 * HOUR} AS running_min_s,
        {14 * HOUR} AS running_max_s, 'a' AS project, 'li' AS owner, 1 AS is_doubtful, 'b' AS or_project,
        'li' AS or_owner, 0 AS lease_no
),
closed AS (
    SELECT p.account_id, p.day, p.instance_uuid, p.gpu_nums, used_s, p.project, p.owner, kind
    FROM payers p
    CROSS JOIN (SELECT 'running' AS kind, {HOUR} AS used_s UNION ALL SELECT 'held', {50 * HOUR}) k
),
shut AS (SELECT 2 AS account_id, '2026-01' AS month),
asked AS (SELECT {FEBRUARY + DAY} AS until_s),
months AS _limit_month(
    payers AS _payer_part, asked AS _asked_until, closed AS closed_cost, shut AS closed_month
)
SELECT scope, name, month, used_s, used_min_s, used_max_s, carried_s, carried_min_s, carried_max_s
FROM months
ORDER BY scope, name, month
"""


def asked(database: Database, sql: str) -> list[tuple[Any, ...]]:
    with reading(database) as known:
        return [tuple(row) for row in known.books._ask(sql)]


def test_what_is_carried_over_is_bounded_by_what_may_have_been_used(
    database: Database, tmp_path: Path
) -> None:
    """Of 40 card-hours 12 to 30 were used, two of them as they were closed; whether project a or b pays for
    the others was not seen. Another account has closed the month."""
    with Store(database, ACCOUNT).writing() as tx:
        days = range(JANUARY, FEBRUARY + 2 * DAY, DAY)
        tx.record_all([("instances", SyncRun(at, at, "complete")) for at in days])
    import_rules(database, written(tmp_path, "r.toml", LIMITS))
    hours = [
        (scope, name, month[-1], *(seconds // HOUR for seconds in row))
        for scope, name, month, *row in asked(database, MONTHS)
    ]
    assert hours == [
        ("account", "lab", "1", 22, 12, 30, 0, 0, 0),
        ("account", "lab", "2", 0, 0, 0, 18, 10, 28),
        ("owner", "li", "1", 22, 12, 30, 0, 0, 0),
        ("owner", "li", "2", 0, 0, 0, 18, 10, 28),
        ("project", "a", "1", 22, 2, 30, 0, 0, 0),
        ("project", "a", "2", 0, 0, 0, 18, 10, 38),
        ("project", "b", "1", 0, 0, 28, 0, 0, 0),
        ("project", "b", "2", 0, 0, 0, 40, 12, 40),
    ]


@pytest.mark.parametrize(
    ("used", "allowed", "is_blind", "state"),
    [
        ((5, 5, 5), (5, 5, 5), 0, "within"),
        ((5, 5, 5), (5, 5, 5), 1, "unknown"),
        ((5, 5, 6), (7, 6, 8), 0, "within"),
        ((5, 5, 7), (7, 6, 8), 1, "perhaps over"),
        ((8, 5, 8), (7, 6, 8), 0, "over"),
        ((8, 8, 8), (7, 6, 8), 0, "over"),
        ((9, 9, 9), (7, 6, 8), 0, "surely over"),
    ],
)
def test_use_stands_to_what_is_allowed_by_the_bounds_of_both(
    used: tuple[int, ...], allowed: tuple[int, ...], is_blind: int, state: str, database: Database
) -> None:
    """Both are an estimate, at least, and at most."""
    values = ", ".join(map(str, (*used, *allowed, is_blind)))
    assert asked(database, f"SELECT CAST(standing({values}) AS TEXT)") == [(state,)]


@pytest.mark.parametrize(
    ("polled", "is_blind"),
    [
        ((0, 100), 0),
        ((1, 100), 1),
        ((0, 50), 0),
        # half of it is left after the newest poll, and a gap of another account is none
        ((0, 49), 1),
        ((-90, -50), 1),
    ],
)
def test_a_time_is_blind_before_the_first_poll_or_if_most_of_it_lies_after_the_newest(
    polled: tuple[int, int], is_blind: int, database: Database
) -> None:
    first_s, last_s = polled
    sql = (
        "WITH gap AS (SELECT 'other' AS account, 10 AS gap_from_s, 90 AS gap_to_s)"
        f" SELECT is_blind_time(0, 100, {first_s}, {last_s}, 'lab')"
    )
    assert asked(database, sql) == [(is_blind,)]
