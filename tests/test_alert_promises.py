"""What is promised of every rule: said once per cause, bundled, cleared, and by night only what must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from etl.alerts.cause import Cause
from etl.alerts.machines import Machine, Running
from etl.alerts.periods import Period
from etl.alerts.polling import Polling
from etl.alerts.rules import RULES, rule
from etl.alerts.rules.balance import Purse
from etl.alerts.rules.budget import Spending
from etl.alerts.rules.card_expiry import ExpiringCard
from etl.alerts.rules.cost_day import DayCost
from etl.alerts.rules.digest import DueDigest
from etl.alerts.rules.idle_gpu import SampledRun
from etl.alerts.rules.image_failed import FailedImage
from etl.alerts.rules.limit import Usage
from etl.alerts.rules.odd_day import OddDay
from etl.alerts.rules.stopped import Stop
from etl.alerts.rules.unknown_code import Code
from etl.alerts.snapshot import Moment
from etl.errors import ErrorKind
from etl.texts import joined
from tests.alerting import DAY, HOUR, MICRO, MINUTE, ZONE, at, settings
from tests.test_alert_plan import World

DAY_OF = date(2026, 11, 23)
TUESDAY = at("2026-11-24 12:00")
FRIDAY = at("2026-11-27 12:00")
EVENING = at("2026-11-24 21:30")
MACHINE = Machine("lab", "u1", "train", "李雷", "RTX 4090", 2)
PEOPLE = {"李雷": {"stops": True}}
NIGHT = {"balance", "long_run", "roll_call", "key_refused", "digest"}
"""What quiet hours never hold back; a digest comes at the time that was asked for."""


@dataclass(frozen=True)
class Case:
    """Facts that hold from `at` on, and those once it is over."""

    rule: str
    holds: Callable[[int], Sequence[Any]]
    over: Callable[[int], Sequence[Any]]
    at: int = TUESDAY
    said: int = 1


def run(now: int, **more: Any) -> Sequence[Any]:
    return (Running(MACHINE, TUESDAY - 9 * HOUR, now, **more),)


def evening(now: int) -> Sequence[Any]:
    return (Running(MACHINE, EVENING - HOUR, now),)


def left(now: int, hours: int) -> Sequence[Any]:
    """A balance that lasts for so many hours at 10 yuan an hour."""
    points = tuple((now - i * HOUR, (hours + i) * 10 * MICRO) for i in range(30, -1, -1))
    return (Purse("lab", now, points),)


def card(now: int, microcny: int, until: int) -> Sequence[Any]:
    return (ExpiringCard("lab", "c1", "卡", microcny, until),) if microcny else ()


def spent(percent: int, projected: int | None = None) -> Sequence[Any]:
    more = None if projected is None else projected * MICRO
    return (Spending("project", "nlp", "2026-11", 100 * MICRO, percent * MICRO, more),)


def idle(now: int) -> Sequence[Any]:
    one = replace(MACHINE, gpu_nums=1)
    return (SampledRun(Running(one, TUESDAY - 9 * HOUR, now), ((now - 5 * HOUR, now, 0),)),)


def costs(today: int) -> Sequence[Any]:
    past = [DayCost("lab", f"2026-11-{d:02}", 1_000 * MICRO) for d in (3, 10, 17)]
    return (*past, DayCost("lab", "2026-11-24", today * MICRO))


def polled(now: int, age_s: int, error: str | None = None) -> Sequence[Any]:
    kind = ErrorKind.KEY_REFUSED if error else None
    return (Polling("lab", now - age_s, None, error, kind),)


ODD = OddDay(
    "lab", "project", "nlp", "2026-11-23", 400 * MICRO, 200 * MICRO, "price", "train", "u1"
)
LEASE = Usage("until", "instance", "train", "lab", "u1", 0, 3_600, "over", TUESDAY)
STOP = Stop(MACHINE, TUESDAY - 9 * HOUR, TUESDAY, 99 * MICRO)
CASES = [
    Case("long_run", run, lambda now: run(now, timer_at=now + HOUR)),
    Case("roll_call", evening, lambda now: (), at=EVENING),
    Case("stopped", lambda now: (STOP,), lambda now: ()),
    Case("balance", lambda now: left(now, 71), lambda now: left(now, 200)),
    Case("balance", lambda now: left(now, 23), lambda now: left(now, 200)),
    Case("balance", lambda now: left(now, 23), lambda now: left(now, 200), at=FRIDAY, said=2),
    Case("balance", lambda now: left(now, 71), lambda now: left(now, 200), at=FRIDAY, said=2),
    Case(
        "card_expiry", lambda now: card(now, MICRO, TUESDAY + 6 * DAY), lambda now: card(now, 0, 0)
    ),
    Case(
        "card_expiry",
        lambda now: card(now, MICRO, TUESDAY + 20 * HOUR),
        lambda now: card(now, 0, 0),
    ),
    *(
        Case("budget", lambda now, used=used: spent(used), lambda now: spent(40))
        for used in (50, 80, 100)
    ),
    Case("budget", lambda now: spent(40, 101), lambda now: spent(40, 90)),
    Case("cost_day", lambda now: costs(1_501), lambda now: ()),
    Case("limit", lambda now: (LEASE,), lambda now: ()),
    Case("odd_day", lambda now: (ODD,), lambda now: ()),
    Case("idle_gpu", idle, lambda now: ()),
    Case("sync_stale", lambda now: polled(now, 1_801), lambda now: polled(now, 60)),
    Case(
        "key_refused", lambda now: polled(now, 60, "GET /x: HTTP 401"), lambda now: polled(now, 1)
    ),
    Case(
        "unknown_code",
        lambda now: (Code("lab", "status", 77, 2),),
        lambda now: (),
    ),
    Case(
        "image_failed",
        lambda now: (FailedImage(MACHINE, TUESDAY - HOUR),),
        lambda now: (),
    ),
    Case(
        "digest",
        lambda now: (DueDigest(Period("day", DAY_OF, DAY_OF), joined(["x"])),),
        lambda now: (),
    ),
]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)


def causes(world: World, case: Case, now: int, *, holds: bool) -> list[Cause]:
    facts = (case.holds if holds else case.over)(now)
    keys = frozenset(key for key, alert in world.alerts.items() if alert.cleared_at is None)
    moment = Moment(now, ZONE, TUESDAY - DAY, keys, world.settings.owners)
    name, given = case.rule, world.settings
    if name in given.off:
        return []
    return list(rule(name).causes(facts, given.options(name), moment))


def judges(world: World, case: Case, now: int, *, holds: bool = True) -> list[str]:
    """The keys that are said at a moment."""
    return world.judges(now, *causes(world, case, now, holds=holds)).get("team", [])


def test_every_rule_is_among_them() -> None:
    assert {case.rule for case in CASES} == set(RULES)


@EACH
def test_it_is_said_once_in_one_message_and_cleared_when_it_is_over(case: Case) -> None:
    world = World(settings(owners=PEOPLE))
    said = judges(world, case, case.at)
    assert len(said) == case.said
    assert all(key.startswith(case.rule) for key in said)
    again = [key for i in range(1, 50) for key in judges(world, case, case.at + i * MINUTE)]
    assert again == []
    assert not any(alert.cleared_at for alert in world.alerts.values())
    assert judges(world, case, case.at + HOUR, holds=False) == []
    assert all(alert.cleared_at == case.at + HOUR for alert in world.alerts.values())


@EACH
def test_a_restart_says_nothing_again(case: Case) -> None:
    world = World(settings(owners=PEOPLE))
    judges(world, case, case.at)
    other = World(world.settings, dict(world.alerts), dict(world.last))
    assert judges(other, case, case.at + MINUTE) == []


@EACH
def test_quiet_hours_hold_back_what_can_wait_until_they_end(case: Case) -> None:
    hours = "21:00-23:00" if case.rule == "roll_call" else "11:00-13:00"
    world = World(settings(owners=PEOPLE, quiet=hours))
    assert bool(judges(world, case, case.at)) == (case.rule in NIGHT)
    later = judges(world, case, case.at + HOUR)
    assert len(later) == (0 if case.rule in NIGHT else case.said)


@EACH
def test_a_rule_that_is_off_says_nothing(case: Case) -> None:
    world = World(settings(owners=PEOPLE, off=[case.rule]))
    assert judges(world, case, case.at) == []


@EACH
def test_who_knows_hears_no_more_until_it_comes_again(case: Case) -> None:
    world = World(settings(owners=PEOPLE, quiet="off"))
    judges(world, case, case.at)
    for key in world.alerts:
        world.ack(key, case.at + MINUTE)
    later = [causes(world, case, case.at, holds=True)] * 3
    assert [world.judges(case.at + d * DAY, *found) for d, found in enumerate(later, 1)] == [{}] * 3
    judges(world, case, case.at + 4 * DAY, holds=False)
    assert world.judges(case.at + 5 * DAY, *later[0])


def test_the_limits_of_a_budget_follow_each_other_each_said_once() -> None:
    world = World(settings(gather_minutes=0))
    said = []
    for i, percent in enumerate((49, 50, 79, 80, 99, 100, 150)):
        case = Case("budget", lambda now, p=percent: spent(p), lambda now: ())
        said += judges(world, case, TUESDAY + i * HOUR)
    assert [key.rsplit(":", 1)[1] for key in said] == ["50", "80", "100"]


def test_budgets_of_a_project_and_an_account_of_one_name_are_two() -> None:
    world = World()
    rows = [replace(spent(50)[0], scope=scope, name="lab") for scope in ("project", "account")]
    case = Case("budget", lambda now: tuple(rows), lambda now: ())
    assert judges(world, case, TUESDAY) == [
        "budget:project:lab:2026-11:50",
        "budget:account:lab:2026-11:50",
    ]


def test_a_balance_that_falls_is_said_at_each_limit_and_once_more_after_a_recharge() -> None:
    world = World()
    said = []
    for i, hours in enumerate((73, 71, 50, 25, 23, 5, 200, 71)):
        case = Case("balance", lambda now, h=hours: left(now, h), lambda now: ())
        said += judges(world, case, TUESDAY + i * 7 * HOUR)
    assert said == ["balance:lab:72h", "balance:lab:24h", "balance:lab:72h"]
