"""Digests at their time, and the messages of some days of a fleet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etl.dialect import Database
from etl.simcloud import Story
from tests.alerting import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    TEAM,
    Post,
    alerts_of,
    at,
    cloud,
    polls,
    settings,
)
from tests.alerts_month import live
from tests.priced import lists
from tests.support import apply, poll_story

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
        "日报 2026-01-06\n共运行 9.0 小时，18.0 卡时\n  卡时：RTX 4090 18.0" in post.took[0][1].text
    )
    assert "\n观测止于 01-06 12:01 UTC+8，期间内有 24.0 小时未观测\n" in post.took[0][1].text
    assert "周报 2025-12-31 – 2026-01-06" in post.took[0][1].text


def test_a_digest_is_sent_at_its_time_in_quiet_hours_too(database: Database, cloud: Story) -> None:
    post = Post()
    said = settings(daily_digest="09:00", quiet="23:00-10:00", off=["long_run", "sync_stale"])
    for text in ("2026-01-07 09:00", "2026-01-07 10:00"):
        alerts_of(database, post, said).tick(at(text))
    assert [message.keys for _, message in post.took] == [("digest:day:2026-01-06",)]
    assert "日报 2026-01-06" in post.took[0][1].text


def test_a_channel_that_is_added_after_a_digest_gets_no_empty_one(
    database: Database, cloud: Story
) -> None:
    post = Post()
    more = {"daily_digest": "09:00", "off": ["long_run", "sync_stale"]}
    alerts_of(database, post, settings(**more)).tick(at("2026-01-07 09:00"))
    both = settings({"team": TEAM, "new": TEAM}, **more)
    alerts_of(database, post, both).tick(at("2026-01-07 09:01"))
    assert [name for name, _ in post.took] == ["team"]


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


def digest_at(database: Database, text: str, **more: Any) -> str:
    alerts = alerts_of(database, Post())
    alerts.accounts = more.get("accounts", alerts.accounts)
    return alerts.written_digest(more.get("period", "day"), at(text))


def test_a_digest_of_days_that_nobody_saw_says_so_and_no_cost(
    database: Database, cloud: Story
) -> None:
    """Whatever a machine that was created earlier may have cost then."""
    for text in ("2026-01-06 09:00", "2026-03-01 09:00"):
        lines = digest_at(database, text).splitlines()
        assert lines[1] == "Nothing was observed in this period"
        assert not any(line.startswith(("Ran", "Cost", "Polls")) for line in lines)
    assert lines[2].startswith("Running as of 01-06 12:00 UTC+8: 1")


def test_a_digest_says_from_when_and_until_when_its_period_was_observed(
    database: Database, cloud: Story
) -> None:
    """By two polls of a morning, then every ten minutes."""
    first = digest_at(database, "2026-01-07 09:00")
    assert "Ran for 9.0 h, 18.0 card-hours" in first
    assert "\nobserved until 01-06 12:00 UTC+8; 24.0 h of the period were not observed\n" in first
    for _ in range(72):
        polls(database, cloud, minutes=10)
    second = digest_at(database, "2026-01-07 09:00")  # until midnight, but not before noon
    assert "\n12.0 h of the period were not observed\n" in second
    for _ in range(145):
        polls(database, cloud, minutes=10)
    assert "not observed" not in digest_at(database, "2026-01-08 09:00")


def test_a_digest_counts_what_two_accounts_list_once(database: Database, cloud: Story) -> None:
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    alone = digest_at(database, "2026-01-07 09:00")
    twin = Story(NOON - 9 * HOUR)
    twin.rents(title="训练 李雷", gpus=2, uuid="a")
    apply(database, replace(poll_story(twin), account="other"))
    twin.passes(hours=9)
    apply(database, replace(poll_story(twin), account="other"))
    both = digest_at(database, "2026-01-07 09:00", accounts=["lab", "other"])
    assert "Accounts lab and other list 1 instance in common, counted once" in both
    for start in ("Ran", "Cost", "  Card-hours", "Running"):
        (ours,) = [line for line in alone.splitlines() if line.startswith(start)]
        assert ours in both.splitlines()
    assert alone == digest_at(database, "2026-01-07 09:00")  # the other is not watched here
