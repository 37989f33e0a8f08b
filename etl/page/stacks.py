"""Stacked bars by day: cost and card-hours, their bounds, the bill, and days not settled yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from etl.history.days import Day
from etl.page.facts import Facts, Row
from etl.page.shapes import WIDTH, Scale, line, ticks
from etl.page.timeline import Band
from etl.texts import tr

PLOT_HEIGHT: Final = 220
MOST_SERIES: Final = 8
"""The most series that colours can tell apart; smaller ones are added up as one."""
OTHERS: Final = "others"
WHOLE: Final = 100
"""Percent of a day's cost that the bill has settled."""
PERCENT: Final = 100

Amounts = Mapping[str, Mapping[str, float]]
"""Amounts of each series, by day."""
Bounds = Mapping[str, Sequence[float]]
"""Least and most of each day."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A box of a stacked bar: left end and width in percent, top and height, label."""

    x: float
    y: float
    width: float
    height: float
    series: int
    label: str


@dataclass(slots=True)
class Stack:
    """Stacked bars by day, the span between their bounds (`whiskers`), and a line.

    `billed` are bars on top, of time before the first poll: the bill alone knows of it.
    """

    days: Sequence[Day]
    names: list[str]
    bars: list[Bar] = field(default_factory=list)
    whiskers: list[Bar] = field(default_factory=list)
    billed: list[Bar] = field(default_factory=list)
    line: str = ""
    unsettled: list[Band] = field(default_factory=list)
    ticks: list[tuple[float, float]] = field(default_factory=list)
    """Values on the axis, with their places from the top."""


def cost_by_day(facts: Facts, by: Callable[[Row], str | None], nobody: str) -> Stack:
    """Return the cost of each day in stacked bars, with its bounds and the bill.

    `by` names the series of a row of report `daily`; `nobody` is the name of rows that have none. The
    bill of a day that has not settled is no amount yet; of one project there is none by day.
    """
    amounts = _amounts(facts, lambda row: by(row) or nobody, "cost_yuan")
    bounds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in facts["daily"].rows:
        bounds[row["day"]][0] += row["cost_yuan_min"] or 0
        bounds[row["day"]][1] += row["cost_yuan_max"] or 0
    is_settled: dict[str, bool] = {}
    for row in facts["cost_day"].rows:
        # of several accounts, each has a line for the day
        is_whole = row["settled_percent"] == WHOLE
        is_settled[row["what"]] = is_settled.get(row["what"], True) and is_whole
    billed: dict[str, float] = defaultdict(float)
    # no bill names a project: its line would be that of all of them
    if not facts.choice.is_of_some:
        for row in facts["bills_day"].rows:
            # half a bill beside a whole day's cost would look like a saving
            if is_settled.get(row["what"], True):
                billed[row["what"]] += row["billed_yuan"] or 0
    stack = _stack(facts.days, amounts, bounds, billed, _unobserved(facts, "cost_yuan"))
    slot = PERCENT / len(facts.days)
    stack.unsettled = [
        Band(round(number * slot, 3), round(slot, 3), tr("not settled yet"))
        for number, day in enumerate(facts.days)
        if not is_settled.get(day.day, True)
    ]
    return stack


def gpu_hours_by_day(facts: Facts) -> Stack:
    """Return the card-hours of each day, stacked by model, with their bounds.

    Report `gpu-hours` knows no project: those of one come from `daily`, which has no bounds of them.
    """
    if facts.choice.is_of_some:
        amounts = _amounts(facts, lambda row: row["gpu_name"] or "?", "gpu_hours")
        return _stack(facts.days, amounts, {}, {}, {})
    of_models: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    bounds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in facts["gpu_day"].rows:
        of_models[row["gpu_name"] or "?"][row["what"]] += row["gpu_hours"] or 0
        bounds[row["what"]][0] += row["gpu_hours_min"] or 0
        bounds[row["what"]][1] += row["gpu_hours_max"] or 0
    return _stack(facts.days, of_models, bounds, {}, _unobserved(facts, "gpu_hours"))


def _unobserved(facts: Facts, column: str) -> Mapping[str, float]:
    """Return an amount by day of time before the first poll, as the bill shows it."""
    sums: dict[str, float] = defaultdict(float)
    # no bill names a project: it would be that of all of them
    for row in () if facts.choice.is_of_some else facts["billed"].rows:
        sums[row["what"]] += row[column] or 0
    return sums


def _amounts(facts: Facts, by: Callable[[Row], str], column: str) -> Amounts:
    amounts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in facts["daily"].rows:
        if row[column] is not None:
            amounts[by(row)][row["day"]] += row[column]
    return amounts


def _stack(
    days: Sequence[Day],
    amounts: Amounts,
    bounds: Bounds,
    drawn: Mapping[str, float],
    billed: Mapping[str, float],
) -> Stack:
    series = _largest(amounts)
    total = {d.day: sum(values.get(d.day, 0) for values in series.values()) for d in days}
    # one axis for bars, bounds and bill: they are to be compared
    tops = [
        *(total[d.day] + billed.get(d.day, 0) for d in days),
        *(high for _, high in bounds.values()),
        *drawn.values(),
    ]
    marks = ticks(max(tops, default=0))
    height = Scale(0, marks[-1], PLOT_HEIGHT)
    stack = Stack(days, list(series), ticks=[(m, round(PLOT_HEIGHT - height(m), 1)) for m in marks])
    slot = PERCENT / len(days)
    for number, day in enumerate(days):
        # bars take the middle 72 % of a day, bounds the middle 28 %
        x = round((number + 0.14) * slot, 2)
        stack.bars += _bars(day.day, series, x, round(slot * 0.72, 2), height)
        if (extra := billed.get(day.day, 0)) > 0:
            y, tall = PLOT_HEIGHT - height(total[day.day] + extra), height(extra)
            label = f"{day.day}: {extra:,.2f}"
            stack.billed.append(
                Bar(x, round(y, 2), round(slot * 0.72, 2), round(tall, 2), -1, label)
            )
        low, high = bounds.get(day.day, (0.0, 0.0))
        if high > low:
            top, tall = PLOT_HEIGHT - height(high), max(height(high) - height(low), 1.5)
            label = f"{day.day}: {low:,.2f} – {high:,.2f}"
            x, width = round((number + 0.36) * slot, 3), round(slot * 0.28, 3)
            stack.whiskers.append(Bar(x, round(top, 1), width, round(tall, 1), -1, label))
    if drawn:
        unit = WIDTH / len(days)
        stack.line = line(
            [
                ((n + 0.5) * unit, PLOT_HEIGHT - height(drawn[d.day])) if d.day in drawn else None
                for n, d in enumerate(days)
            ]
        )
    return stack


def _bars(day: str, series: Amounts, x: float, width: float, height: Scale) -> list[Bar]:
    bars, base = [], 0.0
    for index, (name, values) in enumerate(series.items()):
        value = values.get(day, 0)
        if value > 0:
            y = PLOT_HEIGHT - height(base + value)
            label = f"{day} {name}: {value:,.2f}"
            bars.append(Bar(x, round(y, 2), width, round(height(value), 2), index, label))
            base += value
    return bars


def _largest(amounts: Amounts) -> dict[str, Mapping[str, float]]:
    """Keep the largest series, and add up the rest."""
    # by name too, so that equal ones keep their colours from page to page
    ordered = sorted(amounts, key=lambda name: (-sum(amounts[name].values()), name))
    if len(ordered) <= MOST_SERIES:
        return {name: amounts[name] for name in ordered}
    kept: dict[str, Mapping[str, float]] = {n: amounts[n] for n in ordered[: MOST_SERIES - 1]}
    rest: dict[str, float] = defaultdict(float)
    for name in ordered[MOST_SERIES - 1 :]:
        for day, amount in amounts[name].items():
            rest[day] += amount
    return {**kept, OTHERS: rest}
