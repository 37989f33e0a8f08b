"""Report commitment, against the same figures from other code: hours counted by minutes, and every mix of
days, weeks and months in plain Python. November 2026 in Shanghai."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from etl import reports
from etl.dialect import Database
from etl.money.tariffs import Override
from etl.rebuild import set_code
from etl.resources import GPU_PRICES
from tests.conftest import FilledOnce
from tests.priced import YUAN, set_prices
from tests.support import apply, poll_of
from tests.test_money_records import answer

S = 1_793_462_400
"""2026-11-01T00:00:00 in Shanghai."""
MINUTE, HOUR, DAY = 60, 3_600, 86_400
MONTHLY = 7
PRICES = {"hour": 5.5, "day": 120, "week": 800, "month": 3200}
BOUNDS = ("_min", "", "_max")
Run = tuple[int, int]


def daily(first: int, last: int, hours: int, at: int = 0) -> list[Run]:
    """Runs of so many hours on some days of the month."""
    return [
        (S + d * DAY + at * HOUR, S + d * DAY + (at + hours) * HOUR) for d in range(first - 1, last)
    ]


def at_random(seed: int) -> list[Run]:
    dice, runs, t = Random(seed), [], S + 7 * HOUR
    while t < S + 28 * DAY:
        ends = t + dice.choice((3, 20, 30, 100)) * HOUR + dice.randrange(60) * MINUTE
        runs.append((t, min(ends, S + 29 * DAY)))
        t = ends + dice.choice((1, 5, 40)) * HOUR
    return runs


RUNS = {
    "always": [(S, S + 30 * DAY)],
    "office": daily(2, 27, 8, at=9),
    "ten long days": daily(4, 13, 23),
    "random 1": at_random(1),
    "random 2": at_random(2),
    "month paid": daily(3, 12, 10, at=8),
    "month idle": [],
}
GPUS = {"random 2": 4, "month paid": 2}


def listed(now: int) -> Iterator[dict[str, Any]]:
    for name, runs in RUNS.items():
        began = [run for run in runs if run[0] <= now]
        start, end = began[-1] if began else (0, 0)
        yield {
            "instance_uuid": name,
            "title": name,
            "status": 2 if start <= now < end else 22,
            "create_time": S - DAY,
            "start_time": start,
            "charging_type": MONTHLY if name.startswith("month") else 1,
            "gpu_uuid": "g",
            "gpu_name": "RTX",
            "gpu_nums": GPUS.get(name, 1),
        }


def fill(database: Database) -> None:
    set_code(database, "charging", MONTHLY, "month")
    edges = {edge for runs in RUNS.values() for run in runs for edge in run}
    # just before and at each edge: ends are off by a second at most
    moments = sorted({S - HOUR, S, S + 30 * DAY} | edges | {edge - 2 for edge in edges})
    price = {"gpu_uuid": "g", "gpu_name": "RTX", "status": 1, "price": PRICES}
    apply(database, poll_of([answer(GPU_PRICES, price)], S - HOUR, S - HOUR, resource=GPU_PRICES))
    for t in moments:
        content = {"instance_list": list(listed(t)), "total": len(RUNS)}
        body = json.dumps({"code": 0, "msg": "success", "data": content}).encode()
        apply(database, poll_of([body], t, t))


@pytest.fixture(scope="module")
def rented_once(filled_once: FilledOnce) -> Callable[[str], Database]:
    return filled_once("commitment", fill)


@pytest.fixture
def rented(kind: str, rented_once: Callable[[str], Database]) -> Database:
    return rented_once(kind)


def asked(database: Database, **said: Any) -> dict[str, dict[str, Any]]:
    period = {"from_day": "2026-11-01", "to_day": "2026-11-30", "now": S + 30 * DAY, **said}
    names, found = reports.run(database, reports.load_report("commitment"), period)
    return {row["what"]: row for row in (dict(zip(names, line, strict=True)) for line in found)}


# the other code


def hours_by_day(runs: list[Run]) -> dict[int, float]:
    """Hours of running time by number of the day, counted minute by minute."""
    hours: dict[int, float] = {}
    for begins, ends in runs:
        for t in range(begins, ends, MINUTE):
            hours[(t - S) // DAY] = hours.get((t - S) // DAY, 0) + 1 / 60
    return hours


def cheapest(runs: list[Run], gpus: int) -> tuple[float, int, int, int]:
    """Cost of the cheapest mix, and its days, weeks and months."""
    hours = {d: h * gpus * PRICES["hour"] for d, h in hours_by_day(runs).items()}
    if not hours:
        return 0, 0, 0, 0
    begins, ends = min(hours), max(hours) + 1
    total: tuple[float, int, int, int] = (0, 0, 0, 0)
    for month in range(begins, ends, 30):
        of_month: tuple[float, int, int, int] = (0, 0, 0, 0)
        for week in range(month, month + 30, 7):
            within = [hours.get(d, 0) for d in range(week, min(week + 7, month + 30))]
            days = [min((h, 0), (PRICES["day"] * gpus, 1)) for h in within]
            by_days = (sum(c for c, _ in days), sum(n for _, n in days), 0, 0)
            of_month = added(of_month, min(by_days, (PRICES["week"] * gpus, 0, 1, 0)))
        total = added(total, min(of_month, (PRICES["month"] * gpus, 0, 0, 1)))
    return total


def added(a: tuple[float, int, int, int], b: tuple[float, int, int, int]) -> Any:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def test_each_mix_is_the_cheapest_and_bounds_hold_it(rented: Database) -> None:
    found = asked(rented, by="instance")
    assert set(found) == set(RUNS)
    for name, runs in RUNS.items():
        row, gpus = found[name], GPUS.get(name, 1)
        cost, days, weeks, months = cheapest(runs, gpus)
        by_hour = sum(hours_by_day(runs).values()) * gpus * PRICES["hour"]
        slack = len(runs) * gpus * 0.002
        assert row["by_hour_yuan"] == pytest.approx(by_hour, abs=slack), name
        assert row["best_yuan"] == pytest.approx(cost, abs=slack), name
        assert (row["days"], row["weeks"], row["months"]) == (days, weeks, months), name
        assert row["by_hour_yuan_min"] <= by_hour <= row["by_hour_yuan_max"] + 1e-6, name
        assert row["best_yuan_min"] <= cost <= row["best_yuan_max"] + 1e-6, name
        if not name.startswith("month"):
            saving = round(by_hour - cost, 6)
            assert row["saving_yuan_min"] <= saving <= row["saving_yuan_max"], name


def test_by_hand(rented: Database) -> None:
    """
    Always: 720 h x 5.50 = 3,960; a month is 3,200.
    Ten long days: 23 h x 5.50 = 126.50 a day; 800 for the first seven, 120 for each of the other three.
    Month paid: 3,200 for each of two cards of 30 days; 10 days x 10 h x 2 x 5.50 = 1,100; 720 - 100 hours idle.
    Month idle: 3,200 for nothing.
    An hour is 5.50: a day is worth 21.8 of them, a week 145.5, a month 581.8.
    """
    found = asked(rented, by="instance")
    columns = (
        "paid_yuan",
        "by_hour_yuan",
        "best_yuan",
        "saving_yuan",
        "idle_gpu_hours",
        "idle_yuan",
    )
    by_name = {name: tuple(round(row[c]) for c in columns) for name, row in found.items()}
    assert by_name["always"] == (3_960, 3_960, 3_200, 760, 0, 0)
    assert by_name["ten long days"] == (1_265, 1_265, 1_160, 105, 0, 0)
    assert by_name["month paid"] == (6_400, 1_100, 1_100, 5_300, 1_240, 5_511)
    assert by_name["month idle"] == (3_200, 0, 0, 3_200, 720, 3_200)
    worth = ("day_from_hours", "week_from_hours", "month_from_hours")
    assert {tuple(row[c] for c in worth) for row in found.values()} == {(22, 146, 582)}


def test_by_model_is_the_sum_of_the_instances_charged_alike(rented: Database) -> None:
    instances = [row for row in asked(rented, by="instance").values() if row["charging"] == "hour"]
    names, found = reports.run(
        rented,
        reports.load_report("commitment"),
        {"from_day": "2026-11-01", "to_day": "2026-11-30", "now": S + 30 * DAY, "by": "model"},
    )
    rows = [dict(zip(names, line, strict=True)) for line in found]
    (model,) = (row for row in rows if row["charging"] == "hour")
    for column in ("by_hour_yuan", "best_yuan", "saving_yuan_min", "saving_yuan_max", "days"):
        assert model[column] == pytest.approx(sum(row[column] for row in instances)), column


def test_what_may_have_run_on_since_is_in_the_maximum_alone(rented: Database) -> None:
    """Ten more days in which nobody looked: they may have been idle, or all been paid by the hour."""
    now = asked(rented, by="instance", to_day="2026-12-10", now=S + 40 * DAY)
    before = asked(rented, by="instance")
    assert now["month idle"]["idle_gpu_hours"] == before["month idle"]["idle_gpu_hours"] == 720
    assert now["month idle"]["idle_gpu_hours_max"] == 960
    assert now["always"]["best_yuan"] == 3_200


def test_prices_of_the_user_are_offers_too_and_an_unknown_one_is_in_no_mix(
    database: Database, kind: str
) -> None:
    price = {"gpu_uuid": "g", "gpu_name": "RTX", "status": 1, "price": {"hour": 5.5, "week": 800}}
    apply(database, poll_of([answer(GPU_PRICES, price)], S - HOUR, S - HOUR, resource=GPU_PRICES))
    for t in (S, S + DAY, S + 30 * DAY):
        content = {"instance_list": [next(listed(t - 1))], "total": 1}
        body = json.dumps({"code": 0, "msg": "success", "data": content}).encode()
        apply(database, poll_of([body], t, t))
    (row,) = asked(database, by="instance").values()
    assert (row["day_from_hours"], row["week_from_hours"], row["month_from_hours"]) == (
        None,
        146,
        None,
    )
    set_prices(database, Override("month", 2_750 * YUAN, gpu_name="RTX"))
    (row,) = asked(database, by="instance").values()
    assert row["month_from_hours"] == 500
    assert row["paid_yuan"] == row["by_hour_yuan"]
