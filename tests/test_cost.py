"""Costs: the views on both databases, their sums, and the truth between their bounds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text, update

from etl import paths, reports, tables
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.history.codes import SEEDED, Codes
from etl.history.days import iso
from etl.money.charging import ChargingModel
from etl.money.tariffs import Override
from etl.rebuild import differences, rebuild, set_code
from etl.resources import GPU_PRICES
from etl.simcloud import Life, Story, gpu_uuid
from etl.simcloud.record import image_uuid
from tests.conftest import TODAY
from tests.memory import Memory, pour
from tests.priced import YUAN, bills, charges, generated_overrides, lists, set_prices
from tests.support import apply, columns, newest, poll_story, rows
from tests.test_bounds import bounded_until, days_of
from tests.test_money_store import take
from tests.watched import MODELS, PREPAID, Watch, generate

CODES: Codes = replace(SEEDED, units={**SEEDED.units, PREPAID: "month"})
IMAGE = image_uuid("PyTorch 2.0 环境", "v2.0")
DAILY = """
    SELECT CAST(day AS TEXT), title, cost_min_microcny, cost_microcny, cost_max_microcny,
        price_source, settled, unpriced_s
    FROM cost_daily ORDER BY 1, 2
"""


def polled(database: Database, cloud: Story, *, hours: float, every_min: int = 10) -> None:
    """Polls from now on, the first one after the first interval."""
    for _ in range(round(hours * 60 / every_min)):
        cloud.passes(minutes=every_min)
        apply(database, poll_story(cloud))


@pytest.fixture
def story(database: Database) -> Story:
    """Two instances from 2026-01-01T00:00Z on, 08:00 in Shanghai; one of them with two GPUs."""
    cloud = Story()
    cloud.rents(gpus=2, model="A100", title="big")
    cloud.rents(title="small")
    apply(database, poll_story(cloud))
    return cloud


def test_a_running_and_a_stopped_instance_cost_what_was_listed(
    story: Story, database: Database
) -> None:
    big, _ = (life.instance_uuid for life in story.fleet.lives)
    lists(database, "A100", (story.now, None, None, 10 * YUAN))
    lists(database, "RTX 4090", (story.now, None, None, 3 * YUAN))
    polled(database, story, hours=2)
    story.stops(big)
    polled(database, story, hours=1)
    # seen off 601 s after it was seen up: (601 - 30) // 2 s
    assert rows(database, DAILY) == [
        ("2026-01-01", "big", 40 * YUAN, 41_583_333, 43_338_889, "list", "estimated", 0),
        ("2026-01-01", "small", 9 * YUAN, 9 * YUAN, 9 * YUAN, "list", "estimated", 0),
    ]


def test_a_price_that_changed_unseen_is_bounded_by_both(story: Story, database: Database) -> None:
    at = story.now
    polled(database, story, hours=3)
    lists(
        database,
        "RTX 4090",
        (at, at + 3_600, at + 7_200, 3 * YUAN),
        (at + 7_200, None, None, 6 * YUAN),
    )
    assert rows(database, DAILY)[1] == (
        "2026-01-01",
        "small",
        12 * YUAN,
        12 * YUAN,
        15 * YUAN,
        "list",
        "estimated",
        0,
    )


def test_time_without_a_known_price_is_counted_and_costs_no_zero(
    story: Story, database: Database
) -> None:
    polled(database, story, hours=1)
    assert rows(database, DAILY) == [
        ("2026-01-01", "big", None, None, None, "unknown", "estimated", 3_600),
        ("2026-01-01", "small", None, None, None, "unknown", "estimated", 3_600),
    ]
    set_prices(database, Override("hour", 7 * YUAN, gpu_name="A100"))
    assert [row[3:] for row in rows(database, DAILY)] == [
        (14 * YUAN, 14 * YUAN, "override", "estimated", 0),
        (None, None, "unknown", "estimated", 3_600),
    ]


def test_prepaid_time_accrues_while_it_is_held_running_or_not(database: Database) -> None:
    set_code(database, "charging", PREPAID, "month")
    cloud = Story()
    cloud.rents(title="rented", charging_type=PREPAID, starts=False)
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, None), month_microcny=3_000 * YUAN)
    polled(database, cloud, hours=6)
    assert rows(database, DAILY)[0][3] == 25 * YUAN
    assert list(differences(database)) == []


def test_a_run_without_a_card_costs_what_is_said_for_it(story: Story, database: Database) -> None:
    story.rents(title="no card", gpus=0)
    lists(database, "RTX 4090", (story.now, None, None, 3 * YUAN))
    polled(database, story, hours=1)
    costs = "SELECT cost_microcny FROM cost_daily WHERE title = 'no card'"
    assert rows(database, costs) == [(None,)]
    set_prices(database, Override("hour", YUAN // 10, no_card=True))
    assert rows(database, costs) == [(YUAN // 10,)]


def test_costs_are_settled_as_far_as_the_bill_reaches(story: Story, database: Database) -> None:
    lists(database, "A100", (story.now, None, None, YUAN))
    polled(database, story, hours=40, every_min=60)
    day = "SELECT CAST(day AS TEXT), settled FROM cost_daily WHERE title = 'big' ORDER BY 1"
    at = story.now - 40 * 3_600
    bills(database, at, at + 20 * 3_600, YUAN)
    assert rows(database, day) == [("2026-01-01", "settled"), ("2026-01-02", "partly")]


def test_a_poll_that_changes_nothing_writes_one_row(story: Story, database: Database) -> None:
    lists(database, "A100", (story.now, None, None, YUAN))
    set_prices(database, Override("hour", 7 * YUAN, gpu_name="A100"))
    polled(database, story, hours=1)
    count = "SELECT " + ", ".join(
        f"(SELECT COUNT(*) FROM {t})"
        for t in ("price_period", "usage_cost", "usage_day", "allocation", "sync_run")
    )
    *before, runs = rows(database, count)[0]
    polled(database, story, hours=1)
    assert rows(database, count) == [(*before, runs + 6)]


def test_new_terms_are_priced_with_the_poll_that_brings_them(
    story: Story, database: Database
) -> None:
    lists(database, "H100", (story.now, None, None, 20 * YUAN))
    story.rents(title="new", model="H100")
    polled(database, story, hours=1)
    assert rows(database, "SELECT cost_microcny FROM cost_daily WHERE title = 'new'") == [
        (20 * YUAN,)
    ]
    assert list(differences(database)) == []


def test_a_poll_of_prices_prices_what_was_used_and_one_that_changes_nothing_nothing(
    story: Story, database: Database
) -> None:
    small = story.fleet.lives[1].instance_uuid
    polled(database, story, hours=1)
    story.stops(small)
    polled(database, story, hours=1)
    shown = {"hour": "3.5"}, "RTX 4090"
    costs = "SELECT cost_microcny, price_source FROM usage_cost WHERE used_s > 0"
    assert rows(database, costs) == [(None, "unknown")]
    take(database, GPU_PRICES, price_record(*shown), at=story.now)
    # an hour, and half of the 601 s between the polls less the 30 s of shutting down
    cost = 3_500_000 * (3_600 + (601 - 30) // 2) // 3_600
    assert rows(database, costs) == [(cost, "list_assumed")]
    periods = "SELECT * FROM price_period ORDER BY gpu_uuid, starts_s"
    before = rows(database, periods)
    take(database, GPU_PRICES, price_record(*shown), at=story.now + 60)
    assert rows(database, periods) == before
    take(database, GPU_PRICES, price_record({"hour": 9}, "RTX 4090"), at=story.now + 120)
    assert rows(database, costs)[0][0] == cost
    # the price that is charged, and the same as an offer by the hour
    assert len(rows(database, periods)) == len(before) + 2 * 2
    assert list(differences(database)) == []


def price_record(price: dict[str, Any], model: str) -> dict[str, Any]:
    return {"gpu_uuid": gpu_uuid(model), "gpu_name": model, "status": 1, "price": price}


def test_costs_of_the_past_stay_when_prices_change(story: Story, database: Database) -> None:
    big, _ = (life.instance_uuid for life in story.fleet.lives)
    lists(database, "A100", (story.now, None, None, 10 * YUAN))
    polled(database, story, hours=2)
    story.stops(big)
    polled(database, story, hours=1)
    costs = "SELECT starts_s, cost_microcny FROM usage_cost ORDER BY 1"
    before = rows(database, costs)
    with database.writing() as conn:
        conn.execute(
            update(tables.gpu_price).values(last_seen_at=story.now, valid_to=story.now + 60)
        )
    lists(database, "A100", (story.now + 60, None, None, 99 * YUAN))
    assert rows(database, costs) == before
    assert list(differences(database)) == []


def test_another_charging_model_charges_the_past_anew(story: Story, database: Database) -> None:
    big, _ = (life.instance_uuid for life in story.fleet.lives)
    lists(database, "A100", (story.now, None, None, YUAN))
    lists(database, "RTX 4090", (story.now, None, None, YUAN))
    polled(database, story, hours=0.5)
    story.stops(big)
    polled(database, story, hours=0.5)
    charges(database, step_s=3_600)
    assert [row[1:5] for row in rows(database, DAILY)] == [
        ("big", 2 * YUAN, 2 * YUAN, 2 * YUAN),
        ("small", YUAN, YUAN, YUAN),
    ]
    assert list(differences(database)) == []


# generated fleets


def priced(watch: Watch, database: Database, seed: int) -> dict[str, list[tuple[int, int]]]:
    """List prices of the watched time, some of them unseen for a while; the truth: for each model
    (from, microcny an hour), when each price began in truth."""
    dice = Random(f"prices/{seed}")
    begins, ends = watch.plans[0].started_at - 5 * 86_400, watch.horizon
    truth = {}
    for model in MODELS:
        moments = sorted(dice.sample(range(begins, ends), 3))
        amounts = [dice.randint(1, 40) * dice.choice((1, 333_333, 500_000)) for _ in range(4)]
        unseen = [dice.randint(0, 7_200) for _ in moments]
        seen = [
            max(begins, at - dice.randint(0, late))
            for at, late in zip(moments, unseen, strict=True)
        ]
        found = [min(at + late, ends) for at, late in zip(moments, unseen, strict=True)]
        kept, starts = [], begins
        for n, amount in enumerate(amounts):
            last = n == len(moments)
            to = None if last else max(found[n], starts + 1)
            seen_at = None if last else max(starts, min(seen[n], to or 0))
            kept.append((starts, seen_at, to, amount))
            starts = to or 0
        lists(database, model, *kept, account=watch.account, month_microcny=amounts[0] * 500)
        truth[model] = [(0, amounts[0]), *zip(moments, amounts[1:], strict=True)]
    return truth


def true_cost(life: Life, t0: int, t1: int, prices: dict[str, list[tuple[int, int]]]) -> Fraction:
    """What running cost in truth in [t0, t1), by the second, in millionths of a yuan."""
    found = Fraction(0)
    for span in life.spans:
        steps = [*prices[span.gpu_name], (10**12, 0)]
        for (at, amount), (to, _) in pairwise(steps):
            found += Fraction(
                span.seconds(max(t0, at), min(t1, to)) * span.gpu_nums * amount, 3_600
            )
    return found


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_true_cost_lies_within_the_bounds_of_every_instance_day(database: Database) -> None:
    """Charged by the second from the start; where unseen runs could have used other GPUs than those
    seen, nothing is promised."""
    set_code(database, "charging", PREPAID, "month")
    judged = 0
    for seed in range(25):
        watch = generate(seed, account=f"lab {seed}")
        pour(Memory(CODES).watch(watch.polls), database, watch.account)
        judged += _judged(watch, priced(watch, database, seed), database)
    assert judged > 100


def _judged(watch: Watch, prices: dict[str, list[tuple[int, int]]], database: Database) -> int:
    """The number of instance-days with a true cost; each is held against its bounds."""
    mine = f"JOIN account a ON a.account_id = i.account_id WHERE a.name = '{watch.account}'"
    kept = columns(database, f"SELECT i.* FROM instance i {mine}")
    instances = {row["instance_uuid"]: row for row in kept}
    costs = columns(database, "SELECT * FROM cost_daily WHERE account = :a", a=watch.account)
    found = {(row["instance_uuid"], row["day"]): row for row in costs}
    newest, judged = watch.plans[-1].started_at, 0
    for life in watch.fleet.lives:
        same = {(life.gpu_name, life.gpu_nums, life.charging_type)} | {
            (span.gpu_name, span.gpu_nums, span.charging_type) for span in life.spans
        }
        if life.instance_uuid not in instances or len(same) > 1 or life.charging_type == PREPAID:
            continue
        until = bounded_until(watch, life, instances[life.instance_uuid])
        for day in days_of(watch, {}):
            row = found.get((life.instance_uuid, day.day), {})
            whole = true_cost(life, day.starts_s, min(day.ends_s, newest), prices)
            since, to = max(day.starts_s, watch.first), min(day.ends_s, until)
            assert (row.get("cost_min_microcny") or 0) <= whole
            assert (row.get("cost_max_microcny") or 0) >= true_cost(life, since, to, prices)
            judged += whole > 0
    return judged


BY = (
    "instance",
    "project",
    "owner",
    "cost_centre",
    "model",
    "image",
    "charging_type",
    "day",
    "week",
    "month",
    "account",
)


def filled(database: Database, seed: int, model: ChargingModel) -> Watch:
    dice = Random(f"filled/{seed}")
    set_code(database, "charging", PREPAID, "month")
    watch = generate(seed, polls=70, account="lab")
    pour(Memory(CODES).watch(watch.polls), database, watch.account)
    priced(watch, database, seed)
    begins, ends = watch.plans[0].started_at, watch.horizon
    set_prices(database, *generated_overrides(dice, MODELS, [IMAGE], begins, ends))
    charges(
        database,
        counts_from=model.counts_from,
        step_s=model.step_s,
        boot_s=model.boot_s,
        boot_max_s=model.boot_max_s,
    )
    bills(database, begins, dice.randint(begins, ends), YUAN)
    return watch


CHARGING = [
    ChargingModel(),
    ChargingModel("start", 60),
    ChargingModel("running", 3_600, 70, 170),
    ChargingModel("running", 1, 30, 90),
]


@pytest.mark.parametrize("seed", range(300, 308))
def test_views_and_reports_by_anything_have_the_same_sum(seed: int, database: Database) -> None:
    filled(database, seed, CHARGING[seed % 4])
    sums = "CAST(SUM({0}cost_microcny) AS BIGINT), CAST(SUM({0}cost_min_microcny) AS BIGINT), CAST(SUM({0}cost_max_microcny) AS BIGINT), CAST(SUM({0}unpriced_s) AS BIGINT)"
    whole = rows(database, f"SELECT {sums.format('')} FROM _cost_line")[0]
    assert rows(database, f"SELECT {sums.format('')} FROM cost_daily") == [whole]
    assert whole[0]
    for by in BY:
        said = {"from_day": "2015-01-01", "to_day": "2027-12-31", "by": by}
        said["now"] = newest(database)
        names, found = reports.run(database, reports.load_report("cost"), said)
        lines = [dict(zip(names, row, strict=True)) for row in found]
        for name, total in zip(
            ("cost_yuan", "cost_yuan_min", "cost_yuan_max"), whole, strict=False
        ):
            assert sum(round((line[name] or 0) * YUAN) for line in lines) == total


@pytest.mark.parametrize("seed", range(400, 408))
def test_what_is_closed_costs_the_same_by_the_view_of_open_stretches(
    seed: int, database: Database, tmp_path: Path
) -> None:
    """`etl/money/charging.py` and the view `_cost_open` join the same formulas, one in Python, one in SQL."""
    watch = filled(database, seed, CHARGING[seed % 4])
    begins, length = watch.plans[0].started_at, watch.horizon - watch.plans[0].started_at
    lines = [f"p{n},{iso(begins + n * length // 5)}" for n in range(1, 5)]
    file = tmp_path / "rules.csv"
    file.write_text("\n".join(["project,valid_to", *lines, ""]), encoding="utf-8")
    import_rules(database, file)
    assert rows(database, "SELECT COUNT(DISTINCT project) FROM _cost_line") == [(4,)]
    closed = (
        "(SELECT d.*, epoch(d.usage_started_at) AS usage_started_s, epoch(d.started_at) AS started_s"
        " FROM (SELECT account_id, day, instance_uuid, usage_no, kind, running_s, running_min_s,"
        " running_max_s, gpu_uuid, gpu_name, gpu_nums, charging_type, image_uuid, evidence,"
        " usage_started_at, started_at FROM usage_day) d) u"
    )
    view = (paths.VIEWS / "_cost_open.sql").read_text(encoding="utf-8")
    assert "FROM _usage_open_part u" in view
    sql = database.render(view.replace("FROM _usage_open_part u", f"FROM {closed}"))
    names = ", ".join(c for c in columns(database, "SELECT * FROM usage_cost LIMIT 1")[0])
    with database.reading() as conn:
        by_view = conn.exec_driver_sql(f"SELECT {names} FROM ({sql}) v").all()
        by_rules = conn.exec_driver_sql(f"SELECT {names} FROM usage_cost").all()
    assert len(by_rules) > 20
    assert sorted(map(repr, by_view)) == sorted(map(repr, by_rules))


@pytest.mark.parametrize("seed", range(500, 504))
def test_a_rebuild_gives_the_same_costs_again(seed: int, database: Database) -> None:
    filled(database, seed, CHARGING[seed % 4])
    dump = "SELECT * FROM _cost_line"
    before = sorted(map(repr, rows(database, dump)))
    assert list(differences(database)) == []
    rebuild(database, None, TODAY)
    assert sorted(map(repr, rows(database, dump))) == before
    assert list(differences(database)) == []


def test_a_rebuild_sees_costs_and_prices_that_are_not_what_they_should_be(
    story: Story, database: Database
) -> None:
    big, _ = (life.instance_uuid for life in story.fleet.lives)
    lists(database, "A100", (story.now, None, None, YUAN))
    polled(database, story, hours=1)
    story.stops(big)
    polled(database, story, hours=1)
    with database.writing() as conn:
        conn.execute(text("UPDATE usage_cost SET cost_max_microcny = cost_max_microcny + 1"))
    assert list(differences(database)) == [f"lab {big}"]
    with database.writing() as conn:
        conn.execute(text("DELETE FROM price_period"))
    assert list(differences(database)) == [f"lab {big}", "lab prices"]
    rebuild(database, None, TODAY)
    assert list(differences(database)) == []


def test_days_are_cut_anew_with_their_costs_in_another_zone(
    story: Story, database: Database
) -> None:
    big, _ = (life.instance_uuid for life in story.fleet.lives)
    lists(database, "A100", (story.now, None, None, YUAN))
    polled(database, story, hours=20, every_min=60)
    story.stops(big)
    polled(database, story, hours=2, every_min=60)
    costs = "SELECT cost_microcny FROM usage_cost"
    before = [row[0] for row in rows(database, costs)]
    rebuild(database, "UTC", TODAY)
    assert len(before) == 2
    assert [row[0] for row in rows(database, costs)] == [sum(before)]
