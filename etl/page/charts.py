"""Charts of the page as numbers and paths; the template only places them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from etl.history.days import Day, Zone, from_iso
from etl.page.facts import Facts, Row, Table
from etl.page.shapes import WIDTH, Interval, Scale, boxes, line, ticks
from etl.units import HOUR_S

ROW_HEIGHT: Final = 14
PLOT_HEIGHT: Final = 220
MOST_SERIES: Final = 8
"""The most series that colours can tell apart; smaller ones are added up as one."""
OTHERS: Final = "others"
RUNS_SHOWN: Final = 20
WHOLE: Final = 100
"""Percent of a day's cost that the bill has settled."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """An instance in the timeline: paths of surely and possibly running time, and hours in the period."""

    uuid: str
    title: str
    account: str
    project: str
    owner: str
    models: str
    sure: str
    possible: str
    hours: float
    hours_min: float
    hours_max: float
    is_open: bool
    runs: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the time axis that is marked: unseen, or before the first poll."""

    left: float
    width: float
    why: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A box of a stacked bar: place, size and label."""

    x: float
    y: float
    width: float
    height: float
    series: int
    label: str


@dataclass(frozen=True, slots=True)
class Whisker:
    """The span between minimum and maximum of a bar's total."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Stack:
    """Stacked bars by day, with uncertainty and a line; `days` name the bars."""

    days: Sequence[Day]
    names: list[str]
    bars: list[Bar] = field(default_factory=list)
    whiskers: list[Whisker] = field(default_factory=list)
    line: str = ""
    unsettled: list[Band] = field(default_factory=list)
    ticks: list[tuple[float, float]] = field(default_factory=list)
    """Values on the axis, with their places in percent from the bottom."""


def timeline(facts: Facts) -> list[TimelineRow]:
    """Return a row for each instance that ran, or may have run, in the period: longest first."""
    scale = axis(facts)
    payers = _payers(facts["daily"])
    runs = _by_instance(facts["runs"].rows)
    rows = [
        _timeline_row(scale, list(stretches), payers, runs)
        for _, stretches in groupby(
            facts["timeline"].rows, key=lambda row: (row["account"], row["instance_uuid"])
        )
    ]
    return sorted(rows, key=lambda row: (-row.hours, row.title))


def _timeline_row(
    scale: Scale,
    stretches: Sequence[Row],
    payers: Mapping[str, tuple[str, str]],
    runs: Mapping[str, Sequence[Row]],
) -> TimelineRow:
    first = stretches[0]
    uuid = first["instance_uuid"]
    sure, possible = [], []
    seconds = [0.0, 0.0, 0.0]
    for stretch in stretches:
        begins = from_iso(stretch["started_at"])
        ends = [begins + stretch[name] for name in ("sure_s", "likely_s", "most_s")]
        for n, end in enumerate(ends):
            seconds[n] += max(0, min(end, scale.high) - max(begins, scale.low))
        if ends[0] > max(begins, scale.low):
            sure.append((scale(begins), scale(ends[0])))
        if ends[2] > max(ends[0], scale.low) and ends[0] < scale.high:
            possible.append((scale(ends[0]), scale(ends[2])))
    project, owner = payers.get(uuid, ("", ""))
    return TimelineRow(
        uuid=uuid,
        title=first["title"] or uuid,
        account=first["account"],
        project=project,
        owner=owner,
        models=", ".join(sorted({r["gpu_name"] for r in stretches if r["gpu_name"]})),
        sure=boxes(sure, 1, ROW_HEIGHT - 2),
        possible=boxes(possible, 1, ROW_HEIGHT - 2),
        hours=seconds[1] / HOUR_S,
        hours_min=seconds[0] / HOUR_S,
        hours_max=seconds[2] / HOUR_S,
        is_open=any(row["is_open"] for row in stretches),
        runs=runs.get(uuid, [])[:RUNS_SHOWN],
    )


def axis(facts: Facts) -> Scale:
    """Return the scale of time over the period."""
    days = facts.days
    return Scale(days[0].starts_s, days[-1].ends_s)


def day_marks(facts: Facts, most: int = 12) -> list[tuple[str, float]]:
    """Return days with their places in percent, as many as fit beside each other."""
    days, scale = facts.days, axis(facts)
    every = -(-len(days) // most)
    return [(day.day[5:], scale.percent(day.starts_s)) for day in days[::every]]


def unseen(facts: Facts) -> Iterator[Band]:
    """Yield the days without observation, and the time before the first and after the newest poll."""
    scale = axis(facts)
    if facts.observed is None:
        yield Band(0, WIDTH, "not observed")
        return
    first, last = facts.observed
    if first > scale.low:
        yield Band(0, scale(first), "before the first poll")
    blind = {
        row["what"]
        for row in facts["coverage"].rows
        if row["observed_percent"] is not None and row["observed_percent"] <= 0
    }
    for day in facts.days:
        if day.day in blind and first < day.ends_s <= last:
            yield Band(scale(day.starts_s), scale(day.ends_s) - scale(day.starts_s), "not observed")
    if last < min(scale.high, facts.now):
        yield Band(scale(last), scale(min(scale.high, facts.now)) - scale(last), "not observed")


def cost_by_day(facts: Facts, by: Callable[[Row], str | None], nobody: str) -> Stack:
    """Return the cost of each day in stacked bars, with its bounds and the bill.

    `by` names the series of a row of report `daily`; `nobody` is the name of rows that have none.
    """
    amounts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in facts["daily"].rows:
        if row["cost_yuan"] is not None:
            amounts[by(row) or nobody][row["day"]] += row["cost_yuan"]
    bounds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in facts["daily"].rows:
        bounds[row["day"]][0] += row["cost_yuan_min"] or 0
        bounds[row["day"]][1] += row["cost_yuan_max"] or 0
    settled = {row["what"]: row["settled_percent"] == WHOLE for row in facts["cost_day"].rows}
    billed: dict[str, float] = defaultdict(float)
    for row in facts["bills_day"].rows:
        if settled.get(
            row["what"], True
        ):  # the bill of a day that has not settled is no amount yet
            billed[row["what"]] += row["billed_yuan"] or 0
    stack = _stack(facts.days, amounts, bounds, {} if facts.choice.project else billed)
    slot = WIDTH / len(facts.days)
    stack.unsettled = [
        Band(number * slot, slot, "not settled yet")
        for number, day in enumerate(facts.days)
        if not settled.get(day.day, True)
    ]
    return stack


def gpu_hours_by_day(facts: Facts) -> Stack:
    """Return the card-hours of each day, stacked by model, with their bounds."""
    amounts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    bounds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in facts["gpu_day"].rows:
        amounts[row["gpu_name"] or "?"][row["what"]] += row["gpu_hours"] or 0
        bounds[row["what"]][0] += row["gpu_hours_min"] or 0
        bounds[row["what"]][1] += row["gpu_hours_max"] or 0
    return _stack(facts.days, amounts, bounds, {})


def _stack(
    days: Sequence[Day],
    amounts: Mapping[str, Mapping[str, float]],
    bounds: Mapping[str, Sequence[float]],
    drawn: Mapping[str, float],
) -> Stack:
    series = _largest(amounts)
    total = {d.day: sum(values.get(d.day, 0) for values in series.values()) for d in days}
    most = max(
        [*total.values(), *(high for _, high in bounds.values()), *drawn.values()], default=0
    )
    marks = ticks(most)
    height = Scale(0, marks[-1], PLOT_HEIGHT)
    slot = WIDTH / len(days)
    width = slot * 0.7
    stack = Stack(days, list(series), ticks=[(m, height.percent(m)) for m in marks])
    for number, day in enumerate(days):
        x, base = number * slot + slot * 0.15, 0.0
        for index, (name, values) in enumerate(series.items()):
            value = values.get(day.day, 0)
            if value > 0:
                y = PLOT_HEIGHT - height(base + value)
                label = f"{day.day} {name}: {value:,.2f}"
                stack.bars.append(Bar(x, y, width, height(value), index, label))
                base += value
        low, high = bounds.get(day.day, (0.0, 0.0))
        if high > low:
            y = PLOT_HEIGHT - height(high)
            stack.whiskers.append(
                Whisker(x + width * 0.3, y, width * 0.4, max(height(high) - height(low), 1))
            )
    if drawn:
        stack.line = line(
            [
                ((n + 0.5) * slot, PLOT_HEIGHT - height(drawn[d.day])) if d.day in drawn else None
                for n, d in enumerate(days)
            ]
        )
    return stack


def _largest(amounts: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """Keep the largest series, and add up the rest."""
    ordered = sorted(amounts, key=lambda name: (-sum(amounts[name].values()), name))
    if len(ordered) <= MOST_SERIES:
        return {name: amounts[name] for name in ordered}
    kept: dict[str, Mapping[str, float]] = {n: amounts[n] for n in ordered[: MOST_SERIES - 1]}
    rest: dict[str, float] = defaultdict(float)
    for name in ordered[MOST_SERIES - 1 :]:
        for day, amount in amounts[name].items():
            rest[day] += amount
    return {**kept, OTHERS: rest}


def hours_of_week(facts: Facts) -> list[list[float]]:
    """Return card-hours by weekday (Monday first) and local hour, by the best estimate."""
    scale = axis(facts)
    grid = [[0.0] * 24 for _ in range(7)]
    for row in facts["timeline"].rows:
        begins = from_iso(row["started_at"])
        ends = min(begins + row["likely_s"], scale.high)
        for at, seconds in _hours(facts.zone, (max(begins, scale.low), ends)):
            local = facts.zone.local(at)
            grid[local.weekday()][local.hour] += seconds * (row["gpu_nums"] or 0) / HOUR_S
    return grid


def _hours(zone: Zone, interval: Interval) -> Iterator[tuple[int, float]]:
    """Cut an interval at full local hours; zones differ from UTC by quarters of an hour."""
    at, ends = interval
    while at < ends:
        offset = zone.local(int(at)).minute * 60 + zone.local(int(at)).second
        until = min(at + HOUR_S - offset, ends)
        yield int(at), until - at
        at = until


def _payers(daily: Table) -> dict[str, tuple[str, str]]:
    """Map instances to project and owner of their newest day."""
    return {
        row["instance_uuid"]: (row["project"] or "", row["owner"] or "")
        for row in daily.rows
        if row["instance_uuid"]
    }


def _by_instance(rows: Sequence[Row]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row["instance_uuid"]].append(row)
    return grouped
