"""Delivery: once among many daemons, tried again where a channel fails, and no secret kept."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from etl import store
from etl.alerts.channels import Recipient
from etl.alerts.engine import Alerts
from etl.dialect import Database, open_database
from etl.errors import DeliveryError, EtlError
from etl.simcloud import Story
from etl.status import status
from etl.store.alerts import CLAIM_S
from tests.alerting import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECRET_URL,
    Post,
    alerts_of,
    cloud,
    forgotten,
    polls,
    settings,
)
from tests.fake_robots import SECRET, serve_robots
from tests.support import rows

__all__ = ["cloud"]


def raising(error: BaseException) -> Any:
    """Channels whose only recipient fails by an error."""

    def send(*_: Any) -> None:
        raise error

    return lambda channel, environ: [Recipient("it", send)]


@pytest.fixture
def url(fresh_url: Callable[[], str]) -> str:
    """The URL of a database with a forgotten machine."""
    url = fresh_url()
    database = open_database(url)
    forgotten(database)
    database.engine.dispose()
    return url


def test_of_many_daemons_at_once_one_sends_each_message(url: str) -> None:
    others = [open_database(url) for _ in range(4)]
    post, errors = Post(), []
    daemons = [alerts_of(each, post) for each in others]
    start = threading.Barrier(len(daemons))

    def ticks(daemon: Alerts) -> None:
        for i in range(10):
            start.wait(30)
            try:
                daemon.tick(NOON + 2 + i * DAY)
            except (EtlError, SQLAlchemyError) as error:
                errors.append(error)

    threads = [threading.Thread(target=ticks, args=(daemon,)) for daemon in daemons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in others:
        each.engine.dispose()
    assert errors == []
    assert post.rules.count("long_run") == 10
    assert len(post.took) == 10


def test_of_several_processes_at_once_one_sends(url: str, tmp_path: Path) -> None:
    """Over real HTTP, by the command."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[accounts.lab]\n[alerts.channels.team]\nkind = "feishu"\nurl_env = "URL"\nsecret_env = "SECRET"\n'
    )
    with serve_robots(0) as robots:
        robots.now = _clock()
        environ = {
            **os.environ,
            "CHENYU_DATABASE_URL": url,
            "CHENYU_CONFIG": str(config),
            "URL": robots.feishu_url,
            "SECRET": SECRET,
        }
        words = [sys.executable, "-m", "etl.cli", "alerts", "check"]
        running = [
            subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        said = [each.communicate(timeout=120)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0, 0]
    assert "".join(said) == "team: took 1 alert\n"
    assert len(robots.took) == 1


def _clock() -> int:
    import time

    return int(time.time())


def test_a_claim_of_a_process_that_died_expires(database: Database, cloud: Story) -> None:
    post = Post()
    off = settings(off=["sync_stale"])

    dying = Alerts(database, off, ["lab"], {}, raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        dying.tick(NOON + 2)
    alerts = alerts_of(database, post)
    assert alerts.tick(NOON + 2 + CLAIM_S - 1) == []
    (sent,) = alerts.tick(NOON + 2 + CLAIM_S)
    assert (sent.error, sent.attempts) == (None, 2)
    assert post.rules == ["long_run"]


def test_a_claim_that_was_taken_over_is_not_finished_twice(
    database: Database, cloud: Story
) -> None:
    post = Post(breaks={"team"})
    alerts_of(database, post).tick(NOON)
    with store.writing(database) as tx:
        first = tx.alerts.claim(1, "first", NOON + HOUR)
        assert first is not None
        assert tx.alerts.claim(1, "second", NOON + HOUR) is None
        assert tx.alerts.claim(1, "second", NOON + 2 * HOUR) is not None
        tx.alerts.finish(first, "first", NOON + 2 * HOUR, None)
    assert rows(database, "SELECT sent_at, claimed_by FROM alert_delivery") == [(None, "second")]


def test_a_failed_delivery_is_tried_again_later_and_later(database: Database, cloud: Story) -> None:
    post = Post(breaks={"team"})
    alerts = alerts_of(database, post, settings(off=["sync_stale"]))
    due = [0, 1, 3, 7, 15, 31, 63, 123]
    minutes = sorted({near for minute in due for near in (minute, minute + 1, minute + 2)})
    assert [m for m in minutes if alerts.tick(NOON + 2 + m * MINUTE)] == due
    post.breaks.clear()
    assert [m for m in (182, 183, 184, 300) if alerts.tick(NOON + 2 + m * MINUTE)] == [183]
    assert post.rules == ["long_run"]


def test_status_shows_what_a_channel_does_not_take(database: Database, cloud: Story) -> None:
    post = Post(breaks={"team"})
    alerts = alerts_of(database, post)
    alerts.tick(NOON + 2)
    (trouble,) = status(database, NOON + 3)["channels"]
    assert trouble == {
        "channel": "team",
        "waiting": 1,
        "given_up": 0,
        "error": "webhook hooks.example: no connection",
    }
    assert status(database, NOON + 3)["alerts"] == 1
    for hour in range(1, 27):
        alerts.tick(NOON + 2 + hour * HOUR)
    (trouble,) = status(database, NOON + 27 * HOUR)["channels"]
    assert trouble["given_up"] == 1
    post.breaks.clear()
    alerts.tick(NOON + 30 * HOUR)
    assert status(database, NOON + 50 * HOUR)["channels"] == []


def test_a_failing_channel_is_no_matter_for_the_others(database: Database, cloud: Story) -> None:
    team = {"kind": "webhook", "url_env": "TEAM_URL"}
    post = Post(breaks={"a"})
    alerts = alerts_of(database, post, settings({"a": team, "b": team}))
    assert [(s.channel, s.error is None) for s in alerts.tick(NOON + 2)] == [
        ("a", False),
        ("b", True),
    ]


@pytest.mark.parametrize(
    "error", [DeliveryError("no"), OSError(SECRET_URL), ValueError(SECRET_URL), TypeError("x")]
)
def test_a_tick_never_raises_for_a_channel(
    error: Exception, database: Database, cloud: Story
) -> None:
    (sent,) = Alerts(database, settings(), ["lab"], {}, raising(error)).tick(NOON + 2)
    assert sent.error
    kept = rows(database, "SELECT * FROM alert_delivery") + rows(database, "SELECT * FROM alert")
    assert SECRET_URL not in f"{sent} {kept}"


def test_a_channel_that_is_taken_out_of_the_settings_is_given_up(
    database: Database, cloud: Story
) -> None:
    alerts_of(database, Post(breaks={"team"})).tick(NOON + 2)
    (sent,) = alerts_of(database, Post(), settings({})).tick(NOON + HOUR)
    assert "no channel 'team'" in str(sent.error)


def test_no_secret_is_kept(database: Database, cloud: Story) -> None:
    with serve_robots(NOON) as robots:
        said = settings({"team": {"kind": "feishu", "url_env": "URL", "secret_env": "SECRET"}})
        environ = {"URL": robots.feishu_url, "SECRET": SECRET}
        robots.answers.append((500, {"code": 1, "msg": robots.feishu_url}))
        alerts = Alerts(database, said, ["lab"], environ)
        assert alerts.tick(NOON + 2)[0].error == "feishu 127.0.0.1: HTTP 500, code 1: ***"
        assert alerts.tick(NOON + 2 * MINUTE)[0].error is None
        assert len(robots.took) == 1
    kept = f"{rows(database, 'SELECT * FROM alert_delivery')} {alerts!r}"
    assert SECRET not in kept
    assert robots.feishu_url not in kept


def test_a_recipient_that_took_a_message_does_not_get_it_again(
    database: Database, cloud: Story
) -> None:
    post = Post(breaks={"dead"}, recipients={"team": ["good", "dead", "fine"]})
    alerts = alerts_of(database, post, settings(off=["sync_stale"]))
    (sent,) = alerts.tick(NOON + 2)
    assert sent.error == "1 of 3 recipients: webhook hooks.example: no connection"
    for minute in (1, 3, 7):
        alerts.tick(NOON + 2 + minute * MINUTE)
    assert [name for name, _ in post.took] == ["good", "fine"]
    assert post.tried.count("dead") == 4
    post.breaks.clear()
    (sent,) = alerts.tick(NOON + 2 + 15 * MINUTE)
    assert sent.error is None
    assert [name for name, _ in post.took] == ["good", "fine", "dead"]
    assert rows(database, "SELECT taken_by, sent_at IS NULL FROM alert_delivery") == [
        ('["good", "fine", "dead"]', False if database.engine.name == "postgresql" else 0)
    ]


def test_a_process_that_dies_between_two_recipients_repeats_nothing_to_the_first(
    database: Database, cloud: Story
) -> None:
    post = Post(recipients={"team": ["first", "second"]})
    off = settings(off=["sync_stale"])

    def dies(channel: Any, environ: Any) -> list[Recipient]:
        return [post(channel, environ)[0], raising(KeyboardInterrupt())(channel, environ)[0]]

    with pytest.raises(KeyboardInterrupt):
        Alerts(database, off, ["lab"], {}, dies).tick(NOON + 2)
    alerts_of(database, post, off).tick(NOON + 2 + CLAIM_S)
    assert [name for name, _ in post.took] == ["first", "second"]


def test_a_dead_recipient_holds_no_other_message_back(database: Database, cloud: Story) -> None:
    """It is tried once in a tick, however many messages wait for it."""
    post = Post(breaks={"dead"}, recipients={"team": ["good", "dead"]})
    alerts = alerts_of(database, post, settings(off=["sync_stale"], gather_minutes=0))
    alerts.tick(NOON + 2)
    cloud.rents(title="second", uuid="b")
    polls(database, cloud, minutes=1)
    now = polls(database, cloud, hours=9)
    post.tried.clear()
    alerts.tick(now)
    assert sorted(post.tried) == ["dead", "good"]
    assert len(post.took) == 2


def test_what_was_given_up_is_sent_anew_while_it_holds(database: Database, cloud: Story) -> None:
    post = Post(breaks={"team"})
    alerts = alerts_of(database, post, settings(off=["sync_stale"], long_run_again_hours=1_000))
    for hour in range(26):
        alerts.tick(NOON + 2 + hour * HOUR)
    assert rows(database, "SELECT COUNT(*) FROM alert_delivery WHERE gave_up_at IS NOT NULL") == [
        (1,)
    ]
    post.breaks.clear()
    alerts.tick(NOON + 28 * HOUR)
    assert post.rules == ["long_run"]
    assert alerts.tick(NOON + 40 * HOUR) == []
