"""Timeline of instances: sure and possible time as paths, and where nobody looked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from etl.history.days import from_iso
from etl.page.facts import Facts, Row
from etl.page.shapes import WIDTH, Interval, Scale, dashes
from etl.texts import Text, tr
from etl.units import HOUR_S

ROW_HEIGHT: Final = 14
HALF_TICK: Final = 0.8


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """An instance in the timeline: paths of surely and possibly running time, and hours in the period.

    `timer` is the place of its coming shutdown, None if there is none or it lies outside.
    """

    uuid: str
    title: str
    account: str
    project: str
    owner: str
    models: Sequence[str]
    sure: str
    possible: str
    hours: float
    hours_min: float
    hours_max: float
    is_open: bool
    timer: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of an axis that is marked, in percent: unseen, or before the first poll."""

    left: float
    width: float
    why: Text


@dataclass(frozen=True, slots=True)
class DayMark:
    """A day that is named below an axis: left end and middle in percent; `is_major`: on phones too."""

    label: str
    left: float
    middle: float
    is_major: bool


def timeline(facts: Facts) -> list[TimelineRow]:
    """Return a row for each instance that ran, or may have run, in the period: longest first."""
    scale = axis(facts)
    payers = _payers(facts)
    timers = {
        (row["account"], row["instance_uuid"]): from_iso(row["timer"])
        for row in facts["now"].rows
        # what is off has nothing to shut down
        if row["timer"] and row["running_since"]
    }
    rows = [
        _timeline_row(scale, list(stretches), payers, timers.get(key))
        for key, stretches in groupby(
            facts["timeline"].rows, key=lambda row: (row["account"], row["instance_uuid"])
        )
    ]
    return sorted(rows, key=lambda row: (-row.hours, -row.hours_max, row.title, row.uuid))


def _timeline_row(
    scale: Scale,
    stretches: Sequence[Row],
    payers: Mapping[str, tuple[str, str]],
    timer: int | None,
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
        # sure time may end before the period while the rest of the stretch lies in it
        if ends[0] > max(begins, scale.low):
            sure.append((scale(begins), scale(ends[0])))
        if ends[2] > max(ends[0], scale.low) and ends[0] < scale.high:
            possible.append((scale(ends[0]), scale(ends[2])))
    project, owner = payers.get(uuid, ("", ""))
    is_inside = timer is not None and scale.low <= timer <= scale.high
    return TimelineRow(
        uuid=uuid,
        title=first["title"] or uuid,
        account=first["account"],
        project=project,
        owner=owner,
        models=sorted({r["gpu_name"] for r in stretches if r["gpu_name"]}),
        sure=dashes(sure, ROW_HEIGHT / 2),
        possible=dashes(possible, ROW_HEIGHT / 2),
        hours=seconds[1] / HOUR_S,
        hours_min=seconds[0] / HOUR_S,
        hours_max=seconds[2] / HOUR_S,
        is_open=any(row["is_open"] for row in stretches),
        timer=scale(timer) if timer is not None and is_inside else None,
    )


def _payers(facts: Facts) -> dict[str, tuple[str, str]]:
    """Map instances to project and owner of their newest day, or of now if they cost nothing yet."""
    return {
        row["instance_uuid"]: (row["project"] or "", row["owner"] or "")
        # days come last and in order, so that the newest one stays
        for row in [*facts["now"].rows, *facts["daily"].rows]
        if row["instance_uuid"]
    }


def axis(facts: Facts) -> Scale:
    """Return the scale of time over the period."""
    days = facts.days
    return Scale(days[0].starts_s, days[-1].ends_s)


def day_marks(facts: Facts, most: int = 16) -> list[DayMark]:
    """Return the days that are named below an axis, as many as fit beside each other."""
    days, scale = facts.days, axis(facts)
    # rounded up: one more name than there is room for would lie over another
    every = -(-len(days) // most)
    # a phone has room for six dates
    coarse = every * -(-len(days) // (every * 6))
    return [
        DayMark(
            day.day[5:],
            scale.percent(day.starts_s),
            scale.percent((day.starts_s + day.ends_s) / 2),
            number % coarse == 0,
        )
        for number, day in enumerate(days)
        if number % every == 0
    ]


def unseen(facts: Facts) -> Iterator[Band]:
    """Yield where nothing is known: before the first poll, days without observation, after the newest
    poll, and the days to come."""
    scale = axis(facts)
    for begins, ends, why in _unseen(facts, scale):
        if ends > begins:
            left = scale.percent(begins)
            yield Band(left, round(scale.percent(ends) - left, 3), why)


def _unseen(facts: Facts, scale: Scale) -> Iterator[tuple[float, float, Text]]:
    now = min(max(facts.now, scale.low), scale.high)
    if facts.observed is None:
        yield scale.low, now, tr("not observed")
    else:
        first, last = facts.observed
        yield scale.low, min(first, scale.high), tr("before the first poll")
        for begins, ends in _gaps(facts):
            yield max(begins, first), min(ends, last), tr("not observed")
        # up to now alone: of days to come nobody expects anything
        yield max(last, scale.low), now, tr("not observed")
    yield now, scale.high, tr("still to come")


def _gaps(facts: Facts) -> Iterator[Interval]:
    """Yield the times in which no account was observed."""
    accounts = {row["account"] for row in facts["coverage"].rows}
    moments = sorted(
        moment
        for row in facts["gaps"].rows
        for moment in ((from_iso(row["gap_from"]), 1), (from_iso(row["gap_to"]), -1))
    )
    blind = 0
    for (at, change), (until, _) in pairwise(moments):
        # a band is over all rows: it is drawn only while nobody looked at any account
        blind += change
        if blind == len(accounts):
            yield at, until


def price_marks(facts: Facts) -> Iterator[tuple[float, str]]:
    """Yield where list prices changed in the period, in percent, and how."""
    scale = axis(facts)
    for row in facts["prices"].rows:
        at = from_iso(row["valid_from"])
        # a first price is no change, though its row looks like one
        changed = row["before_yuan"] is not None and row["before_yuan"] != row["hour_yuan"]
        if changed and scale.low <= at < scale.high:
            name, before, after = row["gpu_name"], row["before_yuan"], row["hour_yuan"]
            yield scale.percent(at), f"{name}: ¥{before:.2f} → ¥{after or 0:.2f}"


def tick(place: float) -> str:
    """Return the path of a mark in a row of the timeline."""
    # a mark at the edge stays whole
    left = min(max(place - HALF_TICK, 0), WIDTH - 2 * HALF_TICK)
    return f"M{left:.1f} 0h{2 * HALF_TICK}v{ROW_HEIGHT}h-{2 * HALF_TICK}z"
