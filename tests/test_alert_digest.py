"""Digests at their time, and the messages of some days of a fleet."""

from __future__ import annotations

import pytest

from etl.dialect import Database
from etl.simcloud import Story
from tests.alerting import (
    MINUTE,
    Post,
    alerts_of,
    at,
    cloud,
    polls,
    settings,
)
from tests.alerts_month import live

__all__ = ["cloud"]


def test_a_digest_goes_out_once_at_its_time(database: Database, cloud: Story) -> None:
    post = Post()
    said = settings(daily_digest="09:00", weekly_digest="wed 09:00", off=["long_run"])
    alerts = alerts_of(database, post, said)
    morning = at("2026-01-07 08:59")
    polls(database, cloud, minutes=1)
    for minute in range(10):
        alerts.tick(morning + minute * MINUTE)
        alerts_of(database, post, said).tick(morning + minute * MINUTE)
    assert post.keys == ["digest:day:2026-01-06", "digest:week:2026-01-06"]
    assert (
        "日报 2026-01-06\n观测至 2026-01-06T04:01:00Z,期间内有 24.0 小时 未观测"
        in post.took[0][1].text
    )
    assert "\n运行 9.0 小时,18.0 卡时\n  卡时:RTX 4090 18.0" in post.took[0][1].text
    assert "周报 2025-12-31 – 2026-01-06" in post.took[0][1].text


def test_a_digest_that_is_hours_late_is_left_out(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(daily_digest="09:00", off=["long_run"]))
    alerts.tick(at("2026-01-07 12:00"))
    assert post.keys == []


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_healthy_fleet_sends_a_handful_of_messages_a_day(database: Database) -> None:
    days = live(database, seed=1, days=3, every_s=1_800)
    assert days.polls == 144
    assert 3 <= sum(days.messages.values()) <= 3 * 7
    assert days.most <= 8
    assert days.causes["long_run"] >= 10
    assert days.causes["sync_stale"] == days.causes["key_refused"] == 0


def test_a_digest_of_days_that_nobody_saw_says_so_and_no_cost(
    database: Database, cloud: Story
) -> None:
    """Whatever a machine that was created earlier may have cost then."""
    alerts = alerts_of(database, Post(), settings())
    before = alerts.written_digest("day", at("2026-01-06 09:00")).en
    assert "never" not in before
    assert "observed until 2026-01-06T04:00:00Z, 1.0 days of the period unseen" in before
    assert "Ran" not in before
    assert "Cost" not in before
    after = alerts.written_digest("day", at("2026-03-01 09:00")).en
    assert "1.0 days of the period unseen" in after
    assert "Ran" not in after
