"""Digests of single owners and projects, to their own channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.alerts import plan
from etl.alerts.cause import Cause
from etl.alerts.own_digest import own_usage
from etl.alerts.owners import DigestSubject
from etl.alerts.periods import newest_period
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.simcloud import Story
from etl.units import HOUR_S, MICRO
from tests.alerting import (
    DAY,
    HOUR,
    NOON,
    TEAM,
    Post,
    alerts_of,
    at,
    bilingual,
    polls,
    settings,
    snapshot,
)
from tests.priced import lists
from tests.support import apply, newest, poll_story
from tests.test_price_files import written

RULES = """\
[[rule]]
title = "*li*"
project = "vision"
owner = "li"

[[rule]]
title = "*wang*"
project = "vision"
owner = "wang"

[[rule]]
title = "*"
project = "rest"
"""
WEDNESDAY = "2026-01-07 09:00"
LI, WANG = DigestSubject("owner", "li"), DigestSubject("owner", "wang")
VISION, REST = DigestSubject("project", "vision"), DigestSubject("project", "rest")
CHANNELS = {
    "team": TEAM,
    "li": {**TEAM, "owners": ["li"]},
    "vision": {**TEAM, "projects": ["vision"], "language": "en"},
}


@pytest.fixture
def fleet(database: Database, tmp_path: Path) -> Database:
    fill_fleet(database, tmp_path)
    return database


def fill_fleet(database: Database, folder: Path) -> None:
    """A day and a half of three instances of two owners and two projects: one stops, one changes hands."""
    cloud = Story(NOON - DAY - 13 * HOUR)
    cloud.rents(title="train li", gpus=2, uuid="a")
    passed = cloud.rents(title="eval li", model="A100", uuid="b")
    other = cloud.rents(title="notebook", uuid="c")
    apply(database, poll_story(cloud))
    for model in ("RTX 4090", "A100"):
        lists(database, model, (cloud.now, None, None, 5_500_000))
    import_rules(database, written(folder, "r.toml", RULES))
    for _ in range(34):
        polls(database, cloud, hours=1)
    cloud.renames(passed, "eval wang")
    cloud.stops(other)
    polls(database, cloud, minutes=40)
    polls(database, cloud, hours=2)


def text_of(database: Database, subject: DigestSubject, when: str = WEDNESDAY, **more: Any) -> str:
    given = settings(**more)
    return alerts_of(database, Post(), given).written_digest("day", at(when), subject)


def reported(
    database: Database, name: str, by: str, day: str = "2026-01-06"
) -> list[dict[str, Any]]:
    """A report over one day, that of the digest of Wednesday."""
    period = {"from_day": day, "to_day": day, "now": at(WEDNESDAY)}
    columns, rows = reports.run(database, reports.load_report(name), {**period, "by": by})
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize("subject", [LI, WANG, VISION, REST], ids=lambda s: s.name)
def test_its_sums_are_those_of_the_reports(fleet: Database, subject: DigestSubject) -> None:
    (line,) = [r for r in reported(fleet, "cost", subject.kind) if r["what"] == subject.name]
    with snapshot(fleet, at(WEDNESDAY)) as state:
        used = own_usage(state, newest_period("day", state.moment), subject)
    for column, name in (
        ("cost_yuan", "cost_microcny"),
        ("cost_yuan_min", "cost_min_microcny"),
        ("cost_yuan_max", "cost_max_microcny"),
    ):
        amounts = [getattr(row, name) for row in used]
        assert sum(a for a in amounts if a is not None) / MICRO == float(line[column])
    cards = sum(row.gpu_s for row in used) / HOUR_S
    assert cards == pytest.approx(float(line["gpu_hours"]), abs=0.006)
    assert f"Cost about ¥{float(line['cost_yuan']):,.2f}" in text_of(fleet, subject)


def test_all_projects_together_ran_as_long_as_the_reports_say(fleet: Database) -> None:
    lines = reported(fleet, "gpu-hours", "instance")
    with snapshot(fleet, at(WEDNESDAY)) as state:
        period = newest_period("day", state.moment)
        used = [row for subject in (VISION, REST) for row in own_usage(state, period, subject)]
    ran = sum(row.running_s for row in used) / HOUR_S
    assert ran == pytest.approx(sum(float(line["hours"]) for line in lines), abs=0.02)


def test_it_lists_what_is_theirs_and_what_is_still_on_and_nothing_else(fleet: Database) -> None:
    lines = text_of(fleet, LI).splitlines()
    assert lines[0] == "Digest of 2026-01-06: instances of li"
    assert any(line.startswith("  · train li: ") for line in lines)
    assert "  · train li, 2 × RTX 4090, since 01-04 23:00 UTC+8, ¥11.00 an hour" in lines
    assert any("observed until 01-06 " in line for line in lines)
    assert "notebook" not in "".join(lines)
    rest = text_of(fleet, REST)
    assert "  · notebook: " in rest
    assert "Running as of" in rest
    assert ": 0, 0 of them" in rest


def test_it_is_compared_with_the_day_before_if_that_was_observed(fleet: Database) -> None:
    (before,) = [r for r in reported(fleet, "cost", "owner", "2026-01-05") if r["what"] == "li"]
    text = text_of(fleet, LI)
    assert f" (¥{float(before['cost_yuan']):,.2f} in the period before)" in text
    # the first poll was at 23:00 of the day before: an hour is no day to compare with
    assert "in the period before" not in text_of(fleet, LI, "2026-01-06 09:00")


def test_bounds_stand_beside_a_cost_that_is_not_sure(fleet: Database) -> None:
    assert ", at least ¥" in text_of(fleet, WANG)


def test_titles_of_the_settings_say_whose_it_is_without_rules(database: Database) -> None:
    cloud = Story(NOON - 9 * HOUR)
    cloud.rents(title="训练 李雷", uuid="a")
    cloud.rents(title="else", uuid="b")
    apply(database, poll_story(cloud))
    polls(database, cloud, hours=9)
    text = text_of(
        database, DigestSubject("owner", "李雷"), owners={"李雷": {"titles": ["*李雷*"]}}
    )
    assert "  · 训练 李雷: 9.0 h" in text
    assert "else" not in text
    assert "Cost" not in text
    assert "h at an unknown price are not in the cost" in text


def test_a_period_that_nobody_saw_has_no_cost(fleet: Database) -> None:
    lines = text_of(fleet, LI, "2026-03-01 09:00").splitlines()
    assert lines[1] == "Nothing was observed in this period"
    assert not any(line.startswith(("Ran", "Cost")) for line in lines)


def test_each_channel_gets_its_own_digest_once(fleet: Database) -> None:
    post = Post()
    given = settings(CHANNELS, daily_digest="09:00", off=["long_run", "sync_stale", "roll_call"])
    for minute in range(3):
        alerts_of(fleet, post, given).tick(at(WEDNESDAY) + 60 * minute)
    day = "digest:day:2026-01-06"
    assert {name: message.keys for name, message in post.took} == {
        "team": (day,),
        "li": (f"{day}:owner:li",),
        "vision": (f"{day}:project:vision",),
    }
    assert len(post.took) == 3
    texts = {name: message.text for name, message in post.took}
    assert "日报 2026-01-06：li 的实例\n共运行 " in texts["li"]
    assert "Digest of 2026-01-06: instances of project vision\nRan for " in texts["vision"]


def test_a_channel_takes_the_digests_that_it_names(fleet: Database) -> None:
    post = Post()
    channels = {
        "team": {**TEAM, "digests": ["day"]},
        "li": {**TEAM, "owners": ["li"], "digests": ["week"]},
    }
    given = settings(
        channels,
        daily_digest="09:00",
        weekly_digest="wed 09:00",
        off=["long_run", "sync_stale", "roll_call"],
    )
    alerts_of(fleet, post, given).tick(at(WEDNESDAY))
    assert [(name, message.keys) for name, message in post.took] == [
        ("team", ("digest:day:2026-01-06",)),
        ("li", ("digest:week:2026-01-06:owner:li",)),
    ]


def test_a_digest_on_request_goes_to_the_channels_of_its_subject(fleet: Database) -> None:
    post = Post()
    alerts = alerts_of(fleet, post, settings(CHANNELS))
    assert [s.channel for s in alerts.send_digest("day", newest(fleet), VISION)] == ["vision"]
    assert [s.channel for s in alerts.send_digest("day", newest(fleet))] == ["team"]


def test_a_budget_of_a_project_goes_to_its_channel_and_to_the_team() -> None:
    channels = settings(CHANNELS).channels
    cause = Cause("budget:project:vision", "budget", "warning", bilingual("超", "over"))
    takers = {
        project: [c.name for c in channels if plan.accepts(c, replace(cause, project=project))]
        for project in ("vision", "rest", None)
    }
    assert takers == {"vision": ["team", "vision"], "rest": ["team"], None: ["team"]}
