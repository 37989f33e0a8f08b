"""Alerts in the database: once per cause, once among many daemons, retried, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import SQLAlchemyError

from etl import tables
from etl.alerts import Alerts, state
from etl.dialect import Database, open_database
from etl.errors import DeliveryError, EtlError
from etl.simcloud import Story, gpu_uuid
from etl.status import status
from etl.store import Run, Store
from tests.alerting import SECRET_URL, Post, alerts_of, at, settings
from tests.alerts_month import live
from tests.fake_robots import SECRET, serve_robots
from tests.priced import lists
from tests.support import apply, poll_story, rows

MINUTE, HOUR, DAY = 60, 3_600, 86_400
NOON = at("2026-01-06 12:00")  # a Tuesday
MICRO = 1_000_000


@pytest.fixture
def cloud(database: Database) -> Story:
    """A machine that has run for nine hours, polled."""
    story = Story(NOON - 9 * HOUR)
    story.rents(title="训练 李雷", gpus=2, uuid="a")
    apply(database, poll_story(story))
    story.passes(hours=9)
    apply(database, poll_story(story))
    return story


def polls(database: Database, cloud: Story, **time: float) -> int:
    now = cloud.passes(**time)
    apply(database, poll_story(cloud))
    return now + 2


def put(database: Database, table: Any, *found: dict[str, Any]) -> None:
    with database.writing() as conn:
        conn.execute(insert(table), [{"account_id": 1, **row} for row in found])


@contextmanager
def counted_writes(database: Database) -> Iterator[list[Connection]]:
    """How many write transactions are begun in the block."""
    begun: list[Connection] = []
    writing = database.writing

    @contextmanager
    def counting() -> Iterator[Connection]:
        with writing() as conn:
            begun.append(conn)
            yield conn

    database.writing = counting  # type: ignore[method-assign]
    yield begun
    database.writing = writing  # type: ignore[method-assign]


# once


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


# several daemons


def test_of_many_daemons_at_once_one_sends_each_message(
    database: Database, cloud: Story, fresh_url: Callable[[], str]
) -> None:
    url = str(database.engine.url.render_as_string(hide_password=False))
    others = [open_database(url.replace("+psycopg", "")) for _ in range(4)]
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


def test_of_several_processes_at_once_one_sends(
    database: Database, cloud: Story, tmp_path: Path
) -> None:
    """Over real HTTP, by the command."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[accounts.lab]\n[alerts.channels.team]\nkind = "feishu"\nurl_env = "URL"\nsecret_env = "SECRET"\n'
    )
    url = str(database.engine.url.render_as_string(hide_password=False)).replace("+psycopg", "")
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
    assert "".join(said) == "team: took 1\n"
    assert len(robots.took) == 1


def _clock() -> int:
    import time

    return int(time.time())


def test_a_claim_of_a_process_that_died_expires(database: Database, cloud: Story) -> None:
    post = Post()
    off = settings(off=["sync_stale"])

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    dying = Alerts(database, off, ["lab"], {}, dies)
    with pytest.raises(KeyboardInterrupt):
        dying.tick(NOON + 2)
    alerts = alerts_of(database, post)
    assert alerts.tick(NOON + 2 + state.CLAIM_S - 1) == []
    (sent,) = alerts.tick(NOON + 2 + state.CLAIM_S)
    assert (sent.error, sent.attempts) == (None, 2)
    assert post.rules == ["long_run"]


def test_a_claim_that_was_taken_over_is_not_finished_twice(
    database: Database, cloud: Story
) -> None:
    post = Post(breaks={"team"})
    alerts_of(database, post).tick(NOON)
    with database.writing() as conn:
        first = state.claim(conn, 1, "first", NOON + HOUR)
        assert first is not None
        assert state.claim(conn, 1, "second", NOON + HOUR) is None
        assert state.claim(conn, 1, "second", NOON + 2 * HOUR) is not None
        state.finish(conn, first, "first", NOON + 2 * HOUR, None)
    assert rows(database, "SELECT sent_at, claimed_by FROM alert_delivery") == [(None, "second")]


# failing channels


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
    def breaks(*_: Any) -> None:
        raise error

    (sent,) = Alerts(database, settings(), ["lab"], {}, breaks).tick(NOON + 2)
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
        assert alerts.tick(NOON + 2)[0].error == "feishu 127.0.0.1: HTTP 500, code 1: [secret]"
        assert alerts.tick(NOON + 2 * MINUTE)[0].error is None
        assert len(robots.took) == 1
    kept = f"{rows(database, 'SELECT * FROM alert_delivery')} {alerts!r}"
    assert SECRET not in kept
    assert robots.feishu_url not in kept


# what is read


def test_prices_tell_the_yuan_of_a_run(database: Database, cloud: Story) -> None:
    put(
        database,
        tables.gpu_price,
        {"gpu_uuid": gpu_uuid("RTX 4090"), "valid_from": NOON - DAY, "hour_microcny": 5_500_000},
    )
    post = Post()
    alerts_of(database, post, settings(language="en")).tick(NOON + 2)
    assert "about ¥99.00 so far, ¥11.00 an hour" in post.took[0][1].text


def test_a_stop_is_read_with_hours_and_yuan(database: Database, cloud: Story) -> None:
    put(
        database,
        tables.gpu_price,
        {"gpu_uuid": gpu_uuid("RTX 4090"), "valid_from": NOON - DAY, "hour_microcny": 5_500_000},
    )
    post = Post()
    people = {"李雷": {"titles": ["*李雷*"], "stops": True}}
    alerts = alerts_of(database, post, settings(language="en", owners=people, off=["long_run"]))
    cloud.passes(minutes=58)
    cloud.stops("a")
    alerts.tick(polls(database, cloud, minutes=2))
    assert post.rules == ["stopped"]
    assert "RTX 4090, at 01-06 12:30 after 9.5 h, about ¥104.50" in post.took[0][1].text
    for day in range(1, 4):
        alerts.tick(NOON + day * DAY)
    assert post.rules == ["stopped"]


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
    assert "余额 ¥40.00,按近一天每小时 ¥80.00 计,还够 0.5 小时" in post.took[0][1].text


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


def fails(database: Database, when: int, error: str, outcome: str = "failed") -> None:
    with Store(database, "lab").writing() as tx:
        tx.record("instances", Run(when, when, outcome, error=error))


def test_a_failing_sync_is_told_and_clears(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(off=["long_run"], language="en"))
    for minute in range(2, 60, 2):
        fails(database, NOON + minute * MINUTE, "GET /instance/list: HTTP 502")
        alerts.tick(NOON + minute * MINUTE)
    assert post.keys == ["sync_stale:lab"]
    assert (
        "No complete poll since 01-06 12:00: GET /instance/list: HTTP 502" in post.took[0][1].text
    )
    alerts.tick(polls(database, cloud, hours=1))
    assert alerts.listed() == []


def test_a_refused_key_is_told_at_once(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(off=["long_run"]))
    fails(database, NOON + 60, "GET /instance/list: HTTP 401: bad key")
    fails(database, NOON + 61, "another sync", "skipped")
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
    assert set(post.keys) == {"budget:lab:2026-01:80", "budget:lab:2026-01:projected"}


def read_costs(database: Database) -> list[tuple[str, int]]:
    alerts = alerts_of(database, Post())
    with database.reading() as conn:
        facts = alerts._facts(conn, NOON + 2)
    return [(row.day, row.cost_microcny) for row in facts.day_costs]


# digests


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
    assert "日报 2026-01-06\n运行 9.0 小时,18.0 卡时\n  卡时:RTX 4090 18.0" in post.took[0][1].text
    assert "周报 2025-12-31 – 2026-01-06" in post.took[0][1].text


def test_a_digest_that_is_hours_late_is_left_out(database: Database, cloud: Story) -> None:
    post = Post()
    alerts = alerts_of(database, post, settings(daily_digest="09:00", off=["long_run"]))
    alerts.tick(at("2026-01-07 12:00"))
    assert post.keys == []


# a month of a fleet; the whole month is `python -m tests.alerts_month`


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_healthy_fleet_sends_a_handful_of_messages_a_day(database: Database) -> None:
    days = live(database, seed=1, days=3, every_s=1_800)
    assert days.polls == 144
    assert 3 <= sum(days.messages.values()) <= 3 * 7
    assert days.most <= 8
    assert days.causes["long_run"] >= 10
    assert days.causes["sync_stale"] == days.causes["key_refused"] == 0
