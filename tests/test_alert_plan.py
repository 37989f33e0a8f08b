"""Who is told of what, and when: once per cause, bundled, quiet at night."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from etl.alerts import plan
from etl.alerts.cause import Alert, Cause
from etl.history.days import Zone
from etl.settings.alerts import AlertSettings
from etl.texts import joined
from tests.alerting import TEAM, at, settings

MINUTE, HOUR, DAY = 60, 3_600, 86_400
ZONE = Zone("Asia/Shanghai")
NOON = at("2026-11-24 12:00")
LONG = Cause("long", "long_run", "warning", joined(["long"]), "lab", "李雷", repeat_s=DAY)
CODE = Cause("code", "unknown_code", "warning", joined(["code"]), "lab")
CASH = Cause("cash", "balance", "urgent", joined(["cash"]), "lab")
KEY = Cause("key", "key_refused", "urgent", joined(["key"]), "lab")
STOP = Cause("stop", "stopped", "info", joined(["stop"]), "lab", "王芳")


@dataclass
class World:
    """Alerts as the database would keep them; `judges` gives what is sent, by channel."""

    settings: AlertSettings = field(default_factory=settings)
    alerts: dict[str, Alert] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    writes: int = 0

    def judges(self, now: int, *causes: Cause) -> dict[str, list[str]]:
        made = plan.make(causes, self.alerts, self.last, self.settings, ZONE, now)
        self.writes += len(made.alerts)
        self.alerts.update({alert.key: alert for alert in made.alerts})
        self.last.update({channel: now for channel, _ in made.messages})
        return {name: [item.key for item in said.items] for name, said in made.messages}

    def ack(self, key: str, now: int) -> None:
        self.alerts[key] = replace(self.alerts[key], acked_at=now)


def test_a_cause_is_said_once_and_cleared() -> None:
    world = World()
    assert world.judges(NOON, CODE) == {"team": ["code"]}
    for i in range(1, 100):
        assert world.judges(NOON + i * HOUR, CODE) == {}
    assert world.writes == 1
    assert world.judges(NOON + 100 * HOUR) == {}
    assert world.alerts["code"].cleared_at == NOON + 100 * HOUR
    assert world.judges(NOON + 101 * HOUR) == {}
    assert world.writes == 2


def test_a_cause_that_comes_again_is_said_again() -> None:
    world = World()
    world.judges(NOON, CODE)
    world.judges(NOON + HOUR)
    assert world.judges(NOON + 8 * HOUR, CODE) == {"team": ["code"]}
    assert world.alerts["code"].first_at == NOON + 8 * HOUR


def test_a_cause_that_comes_and_goes_is_said_once_in_six_hours() -> None:
    world = World()
    said = [world.judges(NOON + i * 10 * MINUTE, *([KEY] if i % 2 else [])) for i in range(73)]
    assert sum(map(bool, said)) == 2


def test_a_long_run_is_said_again_each_day_until_somebody_knows() -> None:
    world = World()
    told = [h for h in range(60) if world.judges(NOON + h * HOUR, LONG)]
    assert told == [0, 24, 48]
    world.ack("long", NOON + 60 * HOUR)
    assert [h for h in range(60, 120) if world.judges(NOON + h * HOUR, LONG)] == []
    world.judges(NOON + 120 * HOUR)
    assert world.judges(NOON + 130 * HOUR, LONG) == {"team": ["long"]}


def test_all_that_is_due_is_one_message_the_worst_first() -> None:
    assert World().judges(NOON, STOP, CODE, CASH, LONG) == {
        "team": ["cash", "code", "long", "stop"]
    }


def test_what_can_wait_is_gathered_and_goes_along_with_what_cannot() -> None:
    world = World()
    assert world.judges(NOON, CODE)
    assert world.judges(NOON + HOUR, CODE, LONG) == {}
    assert world.judges(NOON + 2 * HOUR, CODE, LONG, CASH) == {"team": ["cash", "long"]}
    assert world.judges(NOON + 3 * HOUR, CODE, LONG, CASH, STOP) == {}
    assert world.judges(NOON + 8 * HOUR - MINUTE, CODE, LONG, CASH, STOP) == {}
    assert world.judges(NOON + 8 * HOUR, CODE, LONG, CASH, STOP) == {"team": ["stop"]}


def test_a_clock_that_was_set_back_holds_nothing_back() -> None:
    world = World()
    world.judges(NOON, CODE)
    assert world.judges(NOON - DAY, CODE, LONG) == {"team": ["long"]}


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("22:59", False), ("23:00", True), ("03:00", True), ("07:59", True), ("08:00", False)],
)
def test_quiet_hours_hold_back_what_does_not_wake(clock: str, quiet: bool) -> None:
    world = World(settings(quiet="23:00-08:00"))
    now = at(f"2026-11-24 {clock}")
    assert world.judges(now, STOP, CODE) == ({} if quiet else {"team": ["code", "stop"]})
    assert set(world.judges(now + MINUTE, STOP, CODE, LONG, CASH, KEY)["team"]) >= {
        "cash",
        "key",
        "long",
    }


def test_what_was_held_back_comes_in_the_morning_unless_it_cleared() -> None:
    world = World(settings(quiet="23:00-08:00"))
    night = at("2026-11-24 02:00")
    assert world.judges(night, STOP, CODE) == {}
    assert world.judges(night + HOUR, STOP) == {}
    assert world.judges(at("2026-11-24 08:00"), STOP) == {"team": ["stop"]}


def test_quiet_hours_within_a_day() -> None:
    said = settings(quiet="12:00-14:00")
    assert plan.is_quiet(said, ZONE, NOON)
    assert not plan.is_quiet(said, ZONE, NOON + 2 * HOUR)
    assert not plan.is_quiet(settings(), ZONE, NOON)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"rules": ["balance"]}, ["cash"]),
        ({"severity": "urgent"}, ["cash", "key"]),
        ({"owners": ["李雷"]}, ["long"]),
        ({"projects": ["vision"]}, []),
        ({"accounts": ["other"]}, []),
        ({"accounts": ["lab"]}, ["cash", "key", "code", "long", "stop"]),
    ],
)
def test_a_channel_hears_what_it_asked_for(limits: dict[str, Any], said: list[str]) -> None:
    world = World(settings({"mine": {**TEAM, **limits}}))
    assert world.judges(NOON, CASH, CODE, KEY, LONG, STOP) == ({"mine": said} if said else {})


def test_each_channel_is_told_by_itself() -> None:
    world = World(settings({"a": {**TEAM, "rules": ["balance"]}, "b": TEAM}))
    assert world.judges(NOON, CASH) == {"a": ["cash"], "b": ["cash"]}
    assert world.judges(NOON + HOUR, CASH, KEY) == {"b": ["key"]}
    world.settings = settings({"b": TEAM, "c": TEAM})
    assert world.judges(NOON + 2 * HOUR, CASH, KEY) == {"c": ["cash", "key"]}


def test_without_a_channel_alerts_are_kept_and_wait_for_one() -> None:
    world = World(settings({}))
    assert world.judges(NOON, CASH) == {}
    assert world.alerts["cash"].last_sent_at is None
    world.settings = settings()
    assert world.judges(NOON + HOUR, CASH) == {"team": ["cash"]}


def test_what_is_said_along_needs_no_word_of_its_own_later() -> None:
    higher = replace(CASH, key="72h")
    lower = replace(CASH, key="24h", covers=("72h",))
    world = World()
    assert world.judges(NOON, replace(higher, silent=True), lower) == {"team": ["24h"]}
    assert world.judges(NOON + HOUR, higher) == {}
    assert world.judges(NOON + 9 * HOUR, replace(higher, silent=True), lower) == {"team": ["24h"]}
