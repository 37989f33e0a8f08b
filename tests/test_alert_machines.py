"""What runs, what ended and whose it is: its yuan are those of the reports, its owner that of the rules."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from etl import reports, tables
from etl.alerts.machines import Running
from etl.alerts.options import RuleOptions
from etl.alerts.rules.balance import purses
from etl.alerts.rules.stopped import RULE as STOPPED
from etl.alerts.rules.stopped import Stop
from etl.dialect import Database
from etl.history.days import from_iso
from etl.money.allocation import Rule, RuleBook
from etl.money.tariffs import Override
from etl.rebuild import set_code
from etl.settings.alerts import AlertSettings
from etl.simcloud import Story
from etl.simcloud.fleet import Fleet
from etl.store.account import Tx
from etl.store.rules import write_rules
from tests.alerting import (
    DAY,
    HOUR,
    MICRO,
    NOON,
    Post,
    alerts_of,
    at,
    cloud,
    polls,
    put,
    settings,
    snapshot,
)
from tests.priced import charges, generated_overrides, lists, set_prices
from tests.support import apply, poll_of, rows

__all__ = ["cloud"]
STOPS = {"李雷": {"titles": ["*李雷*"], "stops": True}}
MODELS: list[dict[str, Any]] = [
    {},
    {"step_s": 60, "counts_from": "running"},
    {"step_s": 3_600},
    {"step_s": 3_600, "counts_from": "running", "boot_s": 90, "boot_max_s": 90},
]


def running(database: Database, given: AlertSettings | None = None) -> tuple[Running, ...]:
    with snapshot(database, NOON, given) as state:
        return state.running()


def stopped(database: Database, now: int, owners: Any = None) -> list[Stop]:
    with snapshot(database, now, settings(owners=owners or STOPS)) as state:
        return list(STOPPED.facts(state, RuleOptions()))


def ruled(database: Database, *rules: Rule) -> None:
    """Rules, in this order."""
    with database.writing() as conn:
        write_rules(database, conn, RuleBook(rules))
        tx = Tx(database, conn, 1)
        tx.deriver().allocate_anew(tx.all_uuids())


def said_at(database: Database, now: int, **said: Any) -> str:
    """The text of what is said in English at a moment."""
    post = Post()
    alerts_of(database, post, settings(language="en", **said)).tick(now)
    return "\n".join(message.text for _, message in post.took)


# yuan


def test_the_users_price_holds_over_the_list_price(database: Database, cloud: Story) -> None:
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    assert "about ¥99.00 so far, ¥11.00 an hour" in said_at(database, NOON + 2)
    set_prices(
        database, Override("hour", 4 * MICRO, gpu_name="RTX 4090", valid_from=NOON - 2 * HOUR)
    )
    (row,) = running(database)
    assert row.hour_microcny == 8 * MICRO
    assert row.cost(NOON) == (7 * 11 + 2 * 8) * MICRO


def test_a_price_of_the_image_and_of_the_instance_holds(database: Database, cloud: Story) -> None:
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    (image,) = rows(database, "SELECT image_uuid FROM instance_usage")
    set_prices(
        database,
        Override("hour", 2 * MICRO, image_uuid=image[0], adds=True, per="instance"),
        Override("day", 48 * MICRO, gpu_name="RTX 4090", charging_type=1),
    )
    assert running(database)[0].hour_microcny == (2 * 2 + 2) * MICRO


def test_the_roll_call_counts_by_prices_to_come_and_the_charging_model(
    database: Database, cloud: Story
) -> None:
    """Cheaper from midnight on; a begun hour counts whole."""
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    set_prices(
        database, Override("hour", MICRO, gpu_name="RTX 4090", valid_from=at("2026-01-07 00:00"))
    )
    now = polls(database, cloud, hours=9, minutes=30)
    said = said_at(database, now - 2, off=["long_run"])
    assert "about ¥45.50 more by 09:00 UTC+8 tomorrow" in said  # 2.5 h at 11 yuan, 9 h at 2
    assert "about ¥249.00 in all by then" in said  # since 03:00
    charges(database, step_s=3_600)
    cloud.passes(minutes=5)
    cloud.stops("a")
    cloud.passes(minutes=1)
    cloud.starts("a")
    now = polls(database, cloud, minutes=1)
    (row,) = running(database)
    begun, morning = row.since, at("2026-01-07 09:00")
    assert begun % 60 != 0 or begun % HOUR
    assert row.cost(now) == 11 * MICRO
    # three hours begin before midnight, nine after it
    assert row.cost(morning) == (3 * 11 + 9 * 2) * MICRO


def test_what_has_no_price_for_a_part_of_its_time_is_said_without_yuan(
    database: Database, cloud: Story
) -> None:
    assert running(database)[0].cost(NOON) is None
    set_prices(database, Override("hour", MICRO, gpu_name="RTX 4090", valid_from=NOON - HOUR))
    (row,) = running(database)
    assert (row.hour_microcny, row.cost(NOON)) == (2 * MICRO, None)
    assert "so far" not in said_at(database, NOON + 2)


def test_prepaid_machines_cost_the_same_whether_they_run(database: Database) -> None:
    story = Story(NOON - 9 * HOUR)
    story.rents(title="day by day", charging_type=2, uuid="m")
    apply(database, poll_of([story.body(1, 100)], story.now))
    polls(database, story, hours=9)
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000), day_microcny=100 * MICRO)
    set_code(database, "charging", 2, "day")
    (row,) = running(database)
    assert (row.prepaid, row.hour_microcny, row.cost(NOON)) == (True, None, None)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_yuan_of_a_stop_are_those_of_the_report_runs(
    model: dict[str, Any], database: Database, cloud: Story
) -> None:
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_512_345))
    set_prices(
        database, Override("hour", 4_100_001, gpu_name="RTX 4090", valid_from=NOON + 5 * HOUR + 7)
    )
    charges(database, **model)
    polls(database, cloud, hours=14, minutes=16)
    cloud.passes(minutes=1)
    cloud.stops("a")
    now = polls(database, cloud, minutes=1)
    (row,) = stopped(database, now)
    assert row.cost_microcny == costs_of_runs(database)["a", row.started_at]
    assert row.cost_microcny is not None
    before_s, after_s = 14 * HOUR + 7, (row.ended_at - row.started_at) - 14 * HOUR - 7
    by_second = 2 * (before_s * 5_512_345 + after_s * 4_100_001) / HOUR
    more_s = {60: 60, 3_600: HOUR}.get(model.get("step_s", 1), 0)
    assert (
        -90 * 11_024_690 / HOUR <= row.cost_microcny - by_second <= more_s * 11_024_690 / HOUR + 5
    )
    yuan = f"about ¥{(row.cost_microcny + 5_000) // 10_000 / 100:.2f}"
    assert yuan in said_at(database, now, owners=STOPS, off=["long_run"])


def costs_of_runs(database: Database) -> dict[tuple[str, int], int | None]:
    """Report `runs`: what each run cost, by instance and start."""
    said = {"from_day": "2026-01-01", "to_day": "2026-12-31"}
    columns, found = reports.run(database, reports.load_report("runs"), said)
    runs = [dict(zip(columns, row, strict=True)) for row in found]
    return {
        (run["instance_uuid"], from_iso(run["started_at"])): None
        if run["cost_yuan"] is None
        else round(run["cost_yuan"] * MICRO)
        for run in runs
    }


@pytest.mark.parametrize("seed", range(4))
def test_what_runs_has_cost_so_far_what_the_reports_say(seed: int, database: Database) -> None:
    """Of a generated fleet with all kinds of overrides, to the millionth."""
    start = at("2026-03-02 00:00")
    fleet = Fleet.generate(seed, instances=20, start=start, days=2, no_card=0.05, prepaid=0.1)
    for t in range(start, start + DAY + 1, 1_200):
        apply(database, poll_of([fleet.body(t, 1, 1_000)], t))
    for model in ("RTX 4090", "A100", "H100"):
        lists(database, model, (start, None, None, 5_123_457))
    images = [row[0] for row in rows(database, "SELECT DISTINCT image_uuid FROM instance_usage")]
    set_prices(
        database, *generated_overrides(Random(seed), ["A100", "L40S"], images, start, start + DAY)
    )
    charges(database, **MODELS[seed])
    kept = {
        uuid: cost if whole else None
        for uuid, cost, whole in rows(
            database,
            "SELECT instance_uuid, CAST(SUM(cost_microcny) AS BIGINT),"
            " CASE WHEN COUNT(*) = COUNT(cost_microcny) THEN 1 ELSE 0 END"
            " FROM _cost_part p WHERE kind = 'running' AND usage_no = (SELECT usage_no"
            " FROM instance_usage u WHERE u.instance_uuid = p.instance_uuid"
            " AND u.ended_at IS NULL AND u.kind = 'running') GROUP BY instance_uuid",
        )
    }
    found = {row.machine.instance_uuid: row.cost(row.as_of) for row in running(database)}
    assert len(found) > 2
    assert found == {uuid: kept.get(uuid) for uuid in found}
    reported = costs_of_runs(database)
    now = start + DAY
    ended = stopped(database, now, {"x": {"titles": ["*"], "stops": True}})
    assert len(ended) > 10
    for stop in ended:
        assert reported[stop.machine.instance_uuid, stop.started_at] == stop.cost_microcny


def test_what_runs_now_burns_what_the_view_says(database: Database, cloud: Story) -> None:
    lists(database, "RTX 4090", (NOON - DAY, None, None, 5_500_000))
    put(database, tables.balance, {"first_seen_at": NOON, "balance_microcny": 500 * MICRO})
    with snapshot(database, NOON + 2) as state:
        (row,) = purses(state)
    assert rows(database, "SELECT day_microcny FROM burn_now") == [(24 * row.running_microcny,)]
    assert row.running_microcny == 11 * MICRO
    said = said_at(database, NOON + 2, off=["long_run"])
    assert "¥500.00 left: it lasts 45.5 h at ¥11.00 an hour, what runs now" in said


# owners


def test_a_rule_says_whose_it_is_and_the_first_that_matches_holds(
    database: Database, cloud: Story
) -> None:
    ruled(
        database,
        Rule(1, title="*nobody*", owner="nobody"),
        Rule(2, title="训练*", owner="王芳"),
        Rule(3, owner="all"),
    )
    assert "训练 李雷 (王芳), 2 × RTX 4090" in said_at(database, NOON + 2, owners=STOPS)


def test_a_rule_counts_from_its_day_on(database: Database, cloud: Story) -> None:
    ruled(database, Rule(1, owner="王芳", valid_from=NOON + HOUR), Rule(2, owner="陈静"))
    assert [row.machine.owner for row in running(database)] == ["陈静"]
    polls(database, cloud, hours=2)
    assert [row.machine.owner for row in running(database)] == ["王芳"]


def test_patterns_of_the_settings_are_asked_where_no_rule_names_an_owner(
    database: Database, cloud: Story
) -> None:
    ruled(database, Rule(1, title="训练*", project="nlp"))
    rows_of_owner = running(database, settings(owners=STOPS))
    assert [row.machine.owner for row in rows_of_owner] == ["李雷"]


def test_who_wants_to_hear_of_stops_hears_of_those_that_the_rules_give_them(
    database: Database, cloud: Story
) -> None:
    ruled(database, Rule(1, title="训练*", owner="王芳"))
    cloud.passes(minutes=58)
    cloud.stops("a")
    now = polls(database, cloud, minutes=2)
    quiet = {"off": ["long_run"]}
    assert said_at(database, now, owners={"李雷": {"stops": True}}, **quiet) == ""
    said = said_at(database, now, owners={"王芳": {"stops": True}}, **quiet)
    assert "Stopped: 训练 李雷 (王芳), 2 × RTX 4090, at 01-06 12:29 UTC+8 after 9.5 h" in said


def test_whom_the_rules_name_is_mentioned_by_the_id_of_the_settings(
    database: Database, cloud: Story
) -> None:
    ruled(database, Rule(1, owner="王芳"))
    post = Post()
    people = {"王芳": {"mentions": {"team": "ou_7"}}, "李雷": {"mentions": {"team": "ou_8"}}}
    alerts_of(database, post, settings(owners=people)).tick(NOON + 2)
    assert post.took[0][1].mentions == ("ou_7",)


def test_what_is_nobodys_is_said_as_such_where_others_are_somebodys(
    database: Database, cloud: Story
) -> None:
    assert "unassigned" not in said_at(database, NOON + 2)
    ruled(database, Rule(1, title="x*", owner="王芳"))
    assert "训练 李雷 (unassigned), 2 × RTX 4090" in said_at(database, NOON + 2 + 10 * DAY)
    now = polls(database, cloud, hours=9, minutes=30)
    evening = said_at(database, now, off=["long_run"])
    assert "Evening roll call (unassigned): 1 is still running" in evening


def test_a_failed_image_is_its_owners(database: Database, cloud: Story) -> None:
    ruled(database, Rule(1, owner="王芳"))
    for status in (1, 3):
        cloud.saves_image("a", status)
        now = polls(database, cloud, minutes=10)
    assert "Image not saved: 训练 李雷 (王芳)" in said_at(database, now, off=["long_run"])
