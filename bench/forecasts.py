"""Backtests of report forecast: how often its band holds the months of simulated fleets.

`python -m bench.forecasts` makes fleets of 1 to 40 machines, most with office hours, batches at any time, or jobs
that run for days; some are rented in the middle, or given back. Each is forecast with so many days of a month to
go, and compared with what the month came to. The rule is the report's own SQL, over made-up days of cost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from math import sqrt
from random import Random
from statistics import median
from typing import Final

from etl.reports import load_report

DAY_S: Final = 86_400
MICRO: Final = 1_000_000
FIRST: Final = date(2026, 1, 5)
"""A Monday. Days are of UTC."""
FIRST_S: Final = 1_767_571_200
DAYS: Final = 120
RATES: Final = (3.28, 5.5, 5.5, 8.99, 12.8)
KINDS: Final = ("office", "office", "batch", "batch", "jobs", "always")
TABLES: Final = """
CREATE TABLE calendar_day (day, month, starts_s, ends_s);
CREATE TABLE local_day (day, starts_s, ends_s, weekday);
CREATE TABLE sync_span (account, first_s, last_s);
CREATE TABLE sync_gap (account, gap_from_s, gap_to_s);
CREATE TABLE _cost_line (account, project, owner, day, kind, cost_microcny, cost_centre, tags);
CREATE TABLE instance_now (account, project, owner, charging_unit, hour_microcny, tags);
"""
Line = tuple[float, float, float | None, float | None]
"""Spent, forecast, and the ends of the band, in yuan."""


class Ledger:
    """Made-up days of cost in an SQLite database that holds nothing but what the report reads."""

    def __init__(self, days: int = DAYS + 62) -> None:
        self.conn = sqlite3.connect(":memory:")
        self.conn.create_function("SQRT", 1, lambda x: None if x is None else sqrt(x))
        self.conn.executescript(TABLES)
        for n in range(days):
            day, starts = FIRST + timedelta(days=n), FIRST_S + n * DAY_S
            self._add("calendar_day", str(day), f"{day:%Y-%m}", starts, starts + DAY_S)
            self._add("local_day", str(day), starts, starts + DAY_S, day.isoweekday())
        self.sql = load_report("forecast").sql
        # the simulated lines have no tags
        self.conn.create_function("find", 2, lambda text, part: None)

    def _add(self, table: str, *values: object) -> None:
        marks = ", ".join("?" * len(values))
        self.conn.execute(f"INSERT INTO {table} VALUES ({marks})", values)

    def holds(self, name: str, rate: float) -> None:
        """Let a project hold something that is prepaid, at so many yuan an hour."""
        self._add("instance_now", "lab", name, None, "month", round(rate * MICRO), None)

    def misses(self, first: int, last: int) -> None:
        """Let nobody look at these days."""
        self._add("sync_gap", "lab", FIRST_S + first * DAY_S, FIRST_S + (last + 1) * DAY_S)

    def forecast(self, spent: dict[str, Sequence[float]], seen_days: float) -> dict[str, Line]:
        """Return the forecasts by project of the month in which the observation ends; `spent` has the cost
        of each day."""
        self.conn.execute("DELETE FROM _cost_line")
        self.conn.execute("DELETE FROM sync_span")
        self._add("sync_span", "lab", FIRST_S, FIRST_S + round(seen_days * DAY_S))
        rows = (
            ("lab", name, None, str(FIRST + timedelta(days=n)), "running", round(cost * MICRO))
            for name, costs in spent.items()
            for n, cost in enumerate(_seen(costs, seen_days))
            if cost
        )
        self.conn.executemany("INSERT INTO _cost_line VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", rows)
        today = str(FIRST + timedelta(days=int(seen_days)))
        asked = {"account": None, "by": "project", "to_day": today}
        found = self.conn.execute(self.sql, asked)
        names = [column[0] for column in found.description]
        at = [names.index(f"{c}_yuan") for c in ("spent", "forecast", "low", "high")]
        return {row[names.index("what")]: tuple(row[i] for i in at) for row in found}


def _seen(costs: Sequence[float], days: float) -> list[float]:
    """Return the costs of whole days, and of the part of the last one that is over."""
    whole = int(days)
    return [*costs[:whole], *(cost * (days - whole) for cost in costs[whole : whole + 1])]


def machines(seed: int, count: int) -> list[float]:
    """Return what so many machines cost on each day, in yuan."""
    dice = Random(f"{seed}/{count}")
    costs = [0.0] * DAYS
    for _ in range(count):
        rate = dice.choice(RATES) * dice.choice((1, 1, 1, 2, 4))
        born = dice.choice((0, 0, 0, 0, dice.randrange(DAYS)))
        given_back = dice.choice((DAYS, DAYS, DAYS, dice.randrange(DAYS)))
        for n, hours in enumerate(_hours(dice, dice.choice(KINDS))):
            costs[n] += rate * hours if born <= n < given_back else 0
    return costs


def _hours(dice: Random, kind: str) -> Iterable[float]:
    if kind == "always":
        return [24.0] * DAYS
    if kind == "batch":
        return [dice.uniform(1, 20) if dice.random() < 0.3 else 0.0 for _ in range(DAYS)]
    if kind == "office":
        return [
            dice.uniform(5, 11) if dice.random() < (0.85 if n % 7 < 5 else 0.1) else 0.0
            for n in range(DAYS)
        ]
    hours, n = [0.0] * DAYS, dice.randrange(10)
    while n < DAYS:
        ends = min(DAYS, n + max(1, int(dice.expovariate(1 / 5))))
        hours[n:ends] = [24.0] * (ends - n)
        n = ends + max(1, int(dice.expovariate(1 / 8)))
    return hours


def judged(count: int, left: int, seeds: Iterable[int]) -> list[tuple[bool, float, float]]:
    """Return of each fleet and month whether the band held it, the error and half the band, as shares."""
    found = []
    ledger = Ledger()
    for seed in seeds:
        costs = machines(seed, count)
        # the ends of March and April
        for ends in (86, 116):
            total = sum(costs[ends - (31 if ends == 86 else 30) : ends])
            (line,) = ledger.forecast({"p": costs}, ends - left).values() or [(0, 0, 0, 0)]
            _, forecast, low, high = line
            if total and low is not None and high is not None:
                half = (high - low) / 2 / total
                found.append((low <= total <= high, abs(forecast - total) / total, half))
    return found


def main() -> None:
    print("| machines | days to go | months | held by the band | median error | half the band |")
    print("|---|---|---|---|---|---|")
    for count in (1, 3, 10, 40):
        for left in (5, 10, 20, 28):
            found = judged(count, left, range(100))
            held = 100 * sum(ok for ok, _, _ in found) / len(found)
            error, half = (100 * median(row[i] for row in found) for i in (1, 2))
            print(
                f"| {count} | {left} | {len(found)} | {held:.0f} % | {error:.0f} % | {half:.0f} % |"
            )


if __name__ == "__main__":
    main()
