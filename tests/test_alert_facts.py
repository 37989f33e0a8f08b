"""Facts as they are read from the database: what runs, what ended, money, codes and polls."""

from __future__ import annotations

from etl import tables
from etl.alerts.rules.budget import RULE as BUDGET
from etl.alerts.rules.cost_day import day_costs
from etl.dialect import Database
from etl.errors import ErrorKind
from etl.simcloud import Story
from etl.store import Store, SyncRun
from tests.alerting import (
    DAY,
    HOUR,
    MICRO,
    MINUTE,
    NOON,
    Post,
    alerts_of,
    cloud,
    polls,
    put,
    settings,
    snapshot,
)
from tests.priced import lists

__all__ = ["cloud"]


def test_balances_and_cards_are_read(database: Database, cloud: Story) -> None:
    spans = [(NOON - (12 - i) * HOUR, (1_000 - 80 * i) * MICRO) for i in range(13)]
    put(
        database,
        tables.balance,
        *(
            {
                "first_seen_at": when,
                "balance_microcny": left - 30 * MICRO,
                "card_balance_microcny": 30 * MICRO,
                "last_seen_at": None if when == NOON else when,
                "ended_at": None if when == NOON else when + HOUR,
            }
            for when, left in spans
        ),
    )
    card = {"title": "卡", "leave_amount_microcny": MICRO, "first_seen_at": NOON}
    put(
        database,
        tables.card,
        {"uuid": "c1", "expire_date": NOON + 5 * DAY, **card},
        {"uuid": "c2", "expire_date": NOON - DAY, **card},
        {"uuid": "c3", "expire_date": NOON + DAY, **card, "leave_amount_microcny": 0},
    )
    post = Post()
    alerts_of(database, post, settings(off=["long_run"])).tick(NOON + 2)
    assert [key.split(":")[:4][0::2] for key in post.keys] == [
        ["balance", "24h"],
        ["card_expiry", "c1"],
    ]
    assert "余额 ¥40.00，按近一天的消耗（每小时 ¥80.00）还可用 0.5 小时" in post.took[0][1].text


def test_times_of_load_of_what_runs_are_read(database: Database, cloud: Story) -> None:
    for number in range(2):
        cloud.rents(title=f"m{number}", uuid=f"u{number}", gpus=2)
    now = polls(database, cloud, minutes=6 * 60)
    day = {"account_id": 1, "utc_day": now // DAY, "samples": 1, "percent_sum": 0, "is_busy": 0}
    times = {"begins_s": now - 5 * HOUR, "ends_s": now - MINUTE}
    put(
        database,
        tables.gpu_load,
        *({**day, **times, "instance_uuid": "u0", "gpu": gpu} for gpu in ("0", "1")),
        {**day, **times, "instance_uuid": "u1", "gpu": "0"},
    )
    post = Post()
    alerts_of(database, post, settings(off=["long_run"])).tick(now + 2)
    assert [key.split(":")[:3] for key in post.keys] == [["idle_gpu", "lab", "u0"]]


def test_unknown_codes_and_failed_images_are_read(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(off=["long_run"], gather_minutes=0))
    failed = cloud.rents(title="old", uuid="old", starts=False)
    cloud.saves_image(failed, 3)
    alerts.tick(polls(database, cloud, minutes=10))
    assert post.rules == []  # it failed before we looked
    cloud.saves_image("a", 1)
    alerts.tick(polls(database, cloud, minutes=10))
    cloud.saves_image("a", 3)
    cloud.twists(failed, status=77, charging_type=88)
    alerts.tick(polls(database, cloud, minutes=10))
    cloud.renames("a", "other")
    alerts.tick(polls(database, cloud, minutes=10))
    assert sorted(post.rules) == ["image_failed", "unknown_code", "unknown_code"]
    assert {"unknown_code:lab:status:77", "unknown_code:lab:charging:88"} < set(post.keys)


def fails(
    database: Database,
    when: int,
    error: str,
    outcome: str = "failed",
    kind: ErrorKind = ErrorKind.UNAVAILABLE,
) -> None:
    with Store(database, "lab").writing() as tx:
        tx.record("instances", SyncRun(when, when, outcome, error=error, error_kind=kind))


def test_a_failing_sync_is_told_and_clears(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(off=["long_run"], language="en"))
    for minute in range(2, 60, 2):
        fails(database, NOON + minute * MINUTE, "GET /instance/list: HTTP 502")
        alerts.tick(NOON + minute * MINUTE)
    assert post.keys == ["sync_stale:lab"]
    assert (
        "No complete poll since 01-06 12:00 UTC+8: GET /instance/list: HTTP 502"
        in post.took[0][1].text
    )
    alerts.tick(polls(database, cloud, hours=1))
    assert alerts.listed() == []


def test_an_account_that_is_polled_by_the_hour_is_stale_when_an_hour_was_missed(
    database: Database, cloud: Story
) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(off=["long_run"]))
    alerts.due = lambda account, at: at // HOUR * HOUR
    for minute in range(0, 75, 5):
        alerts.tick(NOON + minute * MINUTE + 2)
    assert post.keys == []
    alerts.tick(NOON + 75 * MINUTE + 2)
    assert post.keys == ["sync_stale:lab"]


def test_a_refused_key_is_told_at_once(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(off=["long_run"]))
    fails(database, NOON + 60, "GET /x: HTTP 401: bad key", kind=ErrorKind.KEY_REFUSED)
    fails(database, NOON + 61, "another sync", "skipped", ErrorKind.BUSY)
    alerts.tick(NOON + 62)
    assert post.keys == ["key_refused:lab"]


def test_costs_of_days_and_budgets_are_read(database: Database, cloud: Story) -> None:
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    assert read_costs(database) == [("2026-01-06", 99 * MICRO)]
    with database.writing() as conn:
        conn.execute(
            tables.budget.insert(),
            {"scope": "account", "name": "lab", "month": "", "amount_microcny": 115 * MICRO},
        )
    post = Post()
    alerts_of(database, post, settings(off=["long_run"])).tick(NOON + 2)
    assert post.keys == ["budget:account:lab:2026-01:80"]


def test_a_budget_is_projected_by_the_days_that_were_observed(
    database: Database, cloud: Story
) -> None:
    """Observed from the morning of the 6th on, at 11 yuan an hour."""
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    with database.writing() as conn:
        conn.execute(
            tables.budget.insert(),
            {"scope": "account", "name": "lab", "month": "", "amount_microcny": 6_000 * MICRO},
        )
    for hours, projected in ((62, None), (1, 6_831)):  # from the third day on; 621 hours
        for _ in range(hours):  # no gap: days that nobody saw are not continued
            now = polls(database, cloud, hours=1)
        with snapshot(database, now) as state:
            (row,) = BUDGET.facts(state, BUDGET.options())
        assert row.projected_microcny == (None if projected is None else projected * MICRO)


def read_costs(database: Database) -> list[tuple[str, int]]:
    with snapshot(database, NOON + 2) as state:
        return [(row.day, row.cost_microcny) for row in day_costs(state, "2026-01-01")]
