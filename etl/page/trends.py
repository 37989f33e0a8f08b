"""Smaller charts: hours of the week, prices, the balance with its forecast, coverage by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from etl.history.days import Zone, from_iso
from etl.page.facts import Facts, Row
from etl.page.shapes import WIDTH, Interval, Point, Scale, area, line, steps, ticks
from etl.page.timeline import axis
from etl.units import DAY_S, HOUR_S

PRICE_HEIGHT: Final = 44
BALANCE_HEIGHT: Final = 180
MOST_FORECAST_DAYS: Final = 31
# a price that touches the edge looks cut off
HEADROOM: Final = 1.15
LEVELS: Final = 10
"""Shades of a heat map."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """List price of a model and the yuan really paid for a card-hour, as lines over the period."""

    model: str
    listed: str
    paid: str
    list_yuan: float | None
    paid_yuan: float | None
    unknown: float
    """Percent of the period before the first price was seen."""


@dataclass(slots=True)
class BalanceChart:
    """The balance of an account by day, and where it goes if it is spent on as now.

    `band`: between spending as now and as in the last seven days; `days` are dates below the axis.
    """

    account: str
    line: str = ""
    area: str = ""
    forecast: str = ""
    band: str = ""
    now: float = 100.0
    ticks: list[tuple[float, float]] = field(default_factory=list)
    days: list[tuple[str, float]] = field(default_factory=list)
    empty_on: str = ""


def hours_of_week(facts: Facts) -> list[list[float]]:
    """Return card-hours by weekday (Monday first) and local hour, by the best estimate."""
    scale = axis(facts)
    grid = [[0.0] * 24 for _ in range(7)]
    for row in facts["timeline"].rows:
        begins = from_iso(row["started_at"])
        # the estimate: bounds of single hours would be nearly all or nothing
        ends = min(begins + row["likely_s"], scale.high)
        for at, seconds in _hours(facts.zone, (max(begins, scale.low), ends)):
            local = facts.zone.local(at)
            grid[local.weekday()][local.hour] += seconds * (row["gpu_nums"] or 0) / HOUR_S
    return grid


def _hours(zone: Zone, interval: Interval) -> Iterator[tuple[int, float]]:
    """Cut an interval at full local hours; zones differ from UTC by quarters of an hour."""
    at, ends = interval
    while at < ends:
        local = zone.local(int(at))
        until = min(at + HOUR_S - local.minute * 60 - local.second, ends)
        yield int(at), until - at
        at = until


def levels(grid: Sequence[Sequence[float]]) -> list[list[int]]:
    """Return the shade of each value, from 0 to `LEVELS`."""
    most = max(map(max, grid))
    # rounded up: any use at all is a shade
    return [[-int(-LEVELS * value // most) if most else 0 for value in row] for row in grid]


def price_rows(facts: Facts) -> list[PriceRow]:
    """Return a row for each model: its list price, and the cost of a card-hour by day."""
    scale = axis(facts)
    paid = _paid_by_day(facts)
    listed = {
        model: list(rows)
        for model, rows in groupby(facts["prices"].rows, key=lambda row: row["gpu_name"])
    }
    used = {row["what"]: row for row in facts["cost_model"].rows}
    return [
        _model_prices(
            facts, scale, model, listed.get(model, []), paid.get(model, {}), used.get(model)
        )
        for model in sorted({*listed, *paid})
    ]


def _paid_by_day(facts: Facts) -> dict[str, dict[str, float]]:
    """Return yuan a card-hour by model and day; days with hours of unknown price are left out."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in facts["daily"].rows:
        if row["gpu_name"]:
            line_of = sums[row["gpu_name"], row["day"]]
            line_of[0] += row["cost_yuan"] or 0
            line_of[1] += row["gpu_hours"] or 0
            line_of[2] += row["unpriced_hours"] or 0
    paid: dict[str, dict[str, float]] = defaultdict(dict)
    for (model, day), (cost, hours, unpriced) in sums.items():
        # minutes divide into absurd prices, and hours without a price into prices that are too low
        if hours >= 0.1 and not unpriced:
            paid[model][day] = cost / hours
    return paid


def _model_prices(
    facts: Facts,
    scale: Scale,
    model: str,
    listed: Sequence[Row],
    paid: dict[str, float],
    used: Row | None,
) -> PriceRow:
    known = [row for row in listed if row["hour_yuan"] is not None]
    most = max([*(row["hour_yuan"] for row in known), *paid.values()], default=0) * HEADROOM
    # a chart without a price must not divide by 0
    height = Scale(0, most or 1, PRICE_HEIGHT)
    points: list[Point] = [
        (scale(from_iso(row["valid_from"])), PRICE_HEIGHT - height(row["hour_yuan"]))
        for row in known
    ]
    ends = scale(from_iso(known[-1]["valid_to"])) if known and known[-1]["valid_to"] else None
    dots = [
        (scale((d.starts_s + d.ends_s) / 2), PRICE_HEIGHT - height(paid[d.day]))
        if d.day in paid
        else None
        for d in facts.days
    ]
    # over the whole period: a mean of days would weigh an idle day like a busy one
    hours = used["gpu_hours"] if used else 0
    return PriceRow(
        model,
        steps(points, ends if ends is not None else scale(min(facts.now, scale.high))),
        line(dots),
        known[-1]["hour_yuan"] if known else None,
        used["cost_yuan"] / hours if used and hours and used["cost_yuan"] is not None else None,
        round(points[0][0] / WIDTH * 100, 2) if points else 100.0,
    )


def balances(facts: Facts) -> list[BalanceChart]:
    """Return a chart for each account of which a balance is known."""
    totals = {row["account"]: row for row in facts["balance"].rows if row["channel"] == "all"}
    by_account: dict[str, list[Row]] = defaultdict(list)
    for row in facts["balance_days"].rows:
        # a day before the first poll has none, and would look like a balance of nothing
        if row["closing_yuan"] is not None:
            by_account[row["account"]].append(row)
    return [
        _balance(facts, account, rows, totals.get(account)) for account, rows in by_account.items()
    ]


def _balance(facts: Facts, account: str, rows: Sequence[Row], total: Row | None) -> BalanceChart:
    days = {day.day: day for day in facts.days}
    ends = {row["day"]: min(days[row["day"]].ends_s, facts.now) for row in rows}
    # both pay: what lasts is the sum
    left = {row["day"]: row["closing_yuan"] + (row["card_closing_yuan"] or 0) for row in rows}
    last = rows[-1]["day"]
    now_s, now_yuan = ends[last], left[last]
    slow, fast = sorted(_daily_spending(total))
    # the axis reaches to where the slower of the two would end
    lasts = min(now_yuan / slow if slow else 0, MOST_FORECAST_DAYS) if now_yuan > 0 else 0
    scale = Scale(facts.days[0].starts_s, max(facts.days[-1].ends_s, now_s + lasts * DAY_S))
    marks = ticks(max([*left.values(), 0]))
    height = Scale(0, marks[-1], BALANCE_HEIGHT)

    def place(at: float, yuan: float) -> Point:
        return scale(at), BALANCE_HEIGHT - height(yuan)

    points = [place(ends[day], left[day]) for day in left]
    chart = BalanceChart(account, now=scale.percent(now_s))
    chart.line = line(points)
    chart.area = area(points, [(points[0][0], BALANCE_HEIGHT), (points[-1][0], BALANCE_HEIGHT)])
    chart.ticks = [(m, round(BALANCE_HEIGHT - height(m), 1)) for m in marks]
    # nothing is foretold for what is spent up already, or at no rate
    rate = total["burn_now_yuan"] if total else None
    if rate and now_yuan > 0:
        chart.forecast = line(_falling(now_s, now_yuan, rate, place))
        early, late = _falling(now_s, now_yuan, fast, place), _falling(now_s, now_yuan, slow, place)
        chart.band = area([early[0], *early[1:]], late[1:])
        if now_yuan / rate <= MOST_FORECAST_DAYS:
            at = int(now_s + now_yuan / rate * DAY_S)
            chart.empty_on = f"{facts.zone.local(at):%Y-%m-%d %H:%M}"
    chart.days = _dates(facts.zone, scale)
    return chart


def _daily_spending(total: Row | None) -> list[float]:
    """Return the daily spending of now and of the last seven days; both the same if one is unknown."""
    names = ("burn_now_yuan", "burn_7d_yuan")
    known = [total[name] for name in names if total and total[name]]
    # doubled: the band between the two is then just a line
    return (known * 2)[:2] if known else [0.0, 0.0]


def _falling(now_s: float, yuan: float, rate: float, place: object) -> list[Point]:
    """Return the line from now down to nothing, or as far as a forecast goes."""
    assert callable(place)
    days = min(yuan / rate, MOST_FORECAST_DAYS)
    return [place(now_s, yuan), place(now_s + days * DAY_S, yuan - days * rate)]


def _dates(zone: Zone, scale: Scale, most: int = 8) -> list[tuple[str, float]]:
    days = list(
        zone.calendar(zone.local_date(int(scale.low)), zone.local_date(int(scale.high) - 1))
    )
    # rounded up: dates that overlap cannot be read
    every = -(-len(days) // most)
    return [(day.day[5:], scale.percent(day.starts_s)) for day in days[::every]]


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Observed percent of each day of an account; None before its first poll or in the future."""

    account: str
    days: Sequence[tuple[str, float | None]]


def coverage(facts: Facts) -> list[CoverageRow]:
    """Return a row of days for each account."""
    seen: dict[str, dict[str, float]] = defaultdict(dict)
    # days before the first poll have no share, and stay empty
    for row in facts["coverage"].rows:
        if row["observed_percent"] is not None:
            seen[row["account"]][row["what"]] = row["observed_percent"]
    days = [day.day for day in facts.days]
    return [CoverageRow(a, [(d, of.get(d)) for d in days]) for a, of in sorted(seen.items())]
