"""Alerts in the database: once per cause, whatever restarts and whoever else looks."""

from __future__ import annotations

from pathlib import Path

from etl.dialect import Database, open_database
from etl.simcloud import Story
from tests.alerting import (
    HOUR,
    MINUTE,
    NOON,
    Post,
    alerts_of,
    cloud,
    counted_writes,
    polls,
    settings,
)

__all__ = ["cloud"]


def test_a_cause_is_said_once_and_a_restart_repeats_nothing(
    database: Database, cloud: Story
) -> None:
    post = Post()
    alerts = alerts_of(database, post)
    (sent,) = alerts.tick(NOON + 2)
    assert (sent.channel, sent.error, sent.attempts) == ("team", None, 1)
    assert post.rules == ["long_run"]
    for i in range(3):
        assert alerts.tick(NOON + (i + 1) * MINUTE) == []
        assert alerts_of(database, post).tick(NOON + (i + 1) * MINUTE) == []
    assert alerts_of(database, post, settings(off=["sync_stale"])).tick(NOON + 9 * HOUR) == []


def test_nothing_is_written_while_nothing_changes(database: Database, cloud: Story) -> None:
    alerts = alerts_of(database, Post())
    alerts.tick(NOON + 2)
    with counted_writes(database) as begun:
        for i in range(5):
            alerts.tick(NOON + i * MINUTE)
    assert begun == []


def test_a_machine_that_stops_clears_and_a_new_run_is_a_new_cause(
    database: Database, cloud: Story
) -> None:
    post = Post()
    alerts = alerts_of(database, post)
    alerts.tick(NOON + 2)
    cloud.stops("a")
    alerts.tick(polls(database, cloud, minutes=10))
    (gone,) = alerts.listed(since=0)
    assert gone.cleared_at == NOON + 10 * MINUTE + 2
    assert alerts.listed() == []
    cloud.starts("a")
    polls(database, cloud, minutes=10)
    alerts.tick(polls(database, cloud, hours=9))
    assert post.rules == ["long_run"] * 2
    assert len(set(post.keys)) == 2


def test_an_acknowledged_alert_is_not_said_again(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post)
    alerts.tick(NOON + 2)
    (key,) = post.keys
    assert alerts.acknowledge([key, "nothing"], NOON + MINUTE) == [key]
    assert alerts.acknowledge([key], NOON + MINUTE) == []
    alerts.tick(polls(database, cloud, hours=25))
    assert post.rules == ["long_run"]


def test_a_machine_that_one_poll_misses_is_not_said_again_when_it_is_back(
    database: Database, cloud: Story
) -> None:
    post = Post()
    alerts = alerts_of(database, post)
    alerts.tick(NOON + 2)
    polls(database, cloud, hours=12)
    for disturb in (cloud.hides, cloud.shows, cloud.breaks_record, cloud.mends_record):
        disturb("a")
        alerts.tick(polls(database, cloud, minutes=10))
    assert post.rules == ["long_run"]


def test_another_daemons_accounts_are_left_alone(database: Database, cloud: Story) -> None:
    post = Post()
    ours, theirs = alerts_of(database, post), alerts_of(database, post)
    theirs.accounts = ["other"]
    assert theirs.tick(NOON + 2) == []
    ours.tick(NOON + 2)
    with counted_writes(database) as begun:
        theirs.tick(NOON + 3)
    assert begun == []
    assert len(ours.listed()) == 1


def test_without_a_database_there_is_nothing_to_say(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/none.db")
    assert alerts_of(database, Post()).tick(NOON) == []
    assert list(tmp_path.iterdir()) == []
