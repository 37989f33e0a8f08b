"""Report anomalies, against medians in plain Python, and causes by hand. Days are of UTC, the first a Monday."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any

import pytest

from bench.forecasts import DAY_S, FIRST_S, MICRO, Ledger
from etl.alerts.rules.odd_day import RULE as ODD_DAY
from etl.alerts.rules.odd_day import OddDayOptions
from etl.dialect import Database
from etl.reports import load_report
from tests.alerting import at, snapshot

TABLES = """
CREATE TABLE calendar_day (day, month, starts_s, ends_s);
CREATE TABLE local_day (day, starts_s, ends_s, weekday);
CREATE TABLE sync_span (account, first_s, last_s);
CREATE TABLE sync_gap (account, gap_from_s, gap_to_s);
CREATE TABLE _cost_line (
    account, project, owner, day, instance_uuid, title, gpu_name, gpu_uuid, gpu_s, cost_microcny,
    cost_min_microcny, cost_max_microcny
);
CREATE TABLE night_weekend_daily (account, instance_uuid, day, night_gpu_s);
"""
SEEN_DAYS = 71


@dataclass
class Day:
    """What a machine of a project cost on a day: yuan, hours, and hours of the night."""

    n: int
    name: str
    yuan: float
    hours: float = 10.0
    night: float = 0.0
    project: str = "p"
    model: str = "RTX"
    unsure: float = 0.0


def judge(days: Iterable[Day], *, blind: Iterable[int] = (), **asked: str) -> list[dict[str, Any]]:
    conn = sqlite3.connect(":memory:")
    conn.executescript(TABLES)
    calendar = Ledger(SEEN_DAYS + 1).conn
    for table in ("calendar_day", "local_day"):
        conn.executemany(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?)", calendar.execute(f"SELECT * FROM {table}")
        )
    name_of = [day for (day,) in calendar.execute("SELECT day FROM calendar_day ORDER BY 1")]
    conn.execute(
        "INSERT INTO sync_span VALUES ('lab', ?, ?)", (FIRST_S, FIRST_S + SEEN_DAYS * DAY_S)
    )
    for n in blind:
        gap = FIRST_S + n * DAY_S, FIRST_S + n * DAY_S + 13 * 3_600
        conn.execute("INSERT INTO sync_gap VALUES ('lab', ?, ?)", gap)
    for d in days:
        cost, off = round(d.yuan * MICRO), round(d.unsure * MICRO)
        who = ("lab", d.project, "li", name_of[d.n], d.name, d.name.title(), d.model, "g")
        conn.execute(
            "INSERT INTO _cost_line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*who, round(d.hours * 3_600), cost, cost - off, cost + off),
        )
        night = ("lab", d.name, name_of[d.n], round(d.night * 3_600))
        conn.execute("INSERT INTO night_weekend_daily VALUES (?, ?, ?, ?)", night)
    period = {"account": None, "from_day": name_of[0], "to_day": name_of[-1]}
    found = conn.execute(
        load_report("anomalies").sql, {**period, "percent": "50", "yuan": "100", **asked}
    )
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    return [{**row, "n": name_of.index(row["day"])} for row in rows]


def steady(name: str, yuan: float = 200, **more: Any) -> list[Day]:
    return [Day(n, name, yuan, **more) for n in range(SEEN_DAYS)]


def but(days: list[Day], n: int, **changed: Any) -> list[Day]:
    """The same days, of which one is otherwise."""
    return [Day(**{**vars(d), **changed}) if d.n == n else d for d in days]


# the other code


def medians(days: list[Day], seen: set[int]) -> set[tuple[int, str, str, float, float]]:
    """Day, scope, name, cost and usual of all that is at least 50 percent and 100 yuan off."""
    costs: dict[tuple[str, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for d in days:
        parts = {"account": "lab", "project": d.project, "owner": "li", "model": d.model}
        for key in (*parts.items(), ("instance", d.name.title())):
            costs[key][d.n] += d.yuan
    found = set()
    for (scope, name), by_day in costs.items():
        for n in sorted(seen):
            alike = [m for m in range(n - 56, n) if m in seen and m % 7 == n % 7]
            basis = alike if len(alike) >= 3 else [m for m in range(n - 14, n) if m in seen]
            if len(basis) < 3:
                continue
            usual, cost = median(by_day.get(m, 0) for m in basis), by_day.get(n, 0)
            if abs(cost - usual) >= 100 and abs(cost - usual) >= usual / 2:
                found.add((n, scope, name, cost, usual))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_days_are_those_that_other_code_finds(seed: int) -> None:
    dice = Random(seed)
    days = [
        Day(n, name, 25 * dice.choice((0, 4, 8, 8, 8, 9, 20)), project=name[0], model=name[-1])
        for name in ("ax", "ay", "bx", "cz")
        for n in range(SEEN_DAYS)
        if dice.random() < 0.8
    ]
    blind = {5, 6, 19, 40}
    found = {
        (row["n"], row["scope"], row["name"], row["cost_yuan"], row["usual_yuan"])
        for row in judge(days, blind=blind)
    }
    assert found == medians(days, set(range(SEEN_DAYS)) - blind)
    assert len(found) > 50


def reasons(rows: list[dict[str, Any]], scope: str) -> list[tuple[int, str, str]]:
    return [(row["n"], row["machine"], row["reason"]) for row in rows if row["scope"] == scope]


def test_a_steady_fleet_has_no_odd_days() -> None:
    assert judge([*steady("a"), *steady("b", 900)]) == []


def test_changes_that_cancel_each_other_out_are_seen_in_their_parts() -> None:
    """On day 60 `a` does not run, and `c` of a model never seen begins: the account costs 400 as always."""
    days = [d for d in steady("a", project="x") if d.n != 60] + steady("b", project="y")
    rows = judge([*days, Day(60, "c", 200, project="z", model="H100")])
    assert reasons(rows, "account") == []
    assert sorted(reasons(rows, "project")) == [(60, "A", "did not run"), (60, "C", "new model")]
    # half of what its model costs, too
    assert sorted(reasons(rows, "model")) == [(60, "A", "did not run"), (60, "C", "new model")]
    assert {row["masked"] for row in rows} == {1}
    assert [row["change_percent"] for row in rows if row["name"] == "x"] == [-100.0]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"yuan": 400}, "price"),
        ({"yuan": 400, "hours": 20, "night": 8}, "night"),
        ({"yuan": 400, "hours": 20, "night": 2}, "more hours"),
        ({"yuan": 40, "hours": 2}, "fewer hours"),
        ({"yuan": 90, "hours": 10}, "price"),
        ({"yuan": 0, "hours": 0}, "did not run"),
    ],
)
def test_the_reason_is_named(changed: dict[str, float], reason: str) -> None:
    rows = judge([*but(steady("a"), 65, **changed), *steady("b", 50)])
    assert {(row["n"], row["machine"], row["reason"]) for row in rows} == {(65, "A", reason)}
    assert {row["masked"] for row in rows} == {0}


def test_a_machine_that_is_new_is_named_even_among_others_that_cost_more() -> None:
    rows = judge([*steady("a", 100), *steady("b", 100), Day(66, "c", 150)])
    assert reasons(rows, "account") == [(66, "C", "new machine")]
    (row,) = (row for row in rows if row["scope"] == "instance")
    assert (row["cost_yuan"], row["usual_yuan"], row["change_percent"]) == (150, 0, None)


@pytest.mark.parametrize(("yuan", "is_odd"), [(299, False), (300, True)])
def test_percent_and_floor_must_both_be_reached(yuan: float, is_odd: bool) -> None:
    assert bool(judge(but(steady("a", 200), 65, yuan=yuan))) is is_odd
    # as many percent of less
    assert judge(but(steady("a", 20), 65, yuan=yuan / 10)) == []
    assert bool(judge(but(steady("a", 20), 65, yuan=yuan / 10), yuan="10")) is is_odd


def test_a_day_that_may_have_been_usual_is_not_sure() -> None:
    """400 at least 310: still 100 and 50 percent above; at least 250: not."""
    sure = judge(but(steady("a"), 65, yuan=400, unsure=90))
    unsure = judge(but(steady("a"), 65, yuan=400, unsure=150))
    assert ({row["is_sure"] for row in sure}, {row["is_sure"] for row in unsure}) == ({1}, {0})


def test_the_alert_reads_yesterday(kind: str, golden: Callable[[str], Database]) -> None:
    """Of the golden fleet's 9 March: A100 costs 541.20 and not 290, since `vit (王芳)` is new."""
    now = at("2026-03-10 10:00")
    with snapshot(golden(kind), now=now) as seen:
        found = ODD_DAY.facts(seen, OddDayOptions())
        assert ODD_DAY.facts(seen, OddDayOptions(odd_day_from_yuan=252, odd_day_percent=80)) == []
    (day,) = (day for day in found if day.scope == "model" and day.name == "A100")
    assert (day.day, day.reason, day.title) == ("2026-03-09", "new machine", "vit (王芳)")
    assert (day.cost_microcny, day.usual_microcny) == (541_196_445, 290_000_000)
    assert {day.scope for day in found} <= {"project", "owner", "model", "instance"}
