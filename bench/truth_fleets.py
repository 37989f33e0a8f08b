"""Fleets with a known past, and the ways in which they are watched: for `bench.truth`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from etl.poll import ClockMemory, Instant
from etl.simcloud import Fleet, Life
from etl.simcloud.life import FOREVER
from etl.source.answers import Answer
from etl.source.instants import ClockReadings
from tests.watched import MIDNIGHT, Plan, Watch, read, steady

HOUR_S, DAY_S = 3_600, 86_400
Watching = Callable[[Fleet, Instant, Instant, int], Watch]


def with_outages(fleet: Fleet, begins: Instant, ends: Instant, interval_s: int) -> Watch:
    """Every day nobody polls for 20 minutes to 5 hours; one poll in fifty fails, one misses a page."""
    dice, plans, out = Random("outages"), [], range(0)
    for at in range(begins, ends + 1, interval_s):
        if (at - begins) % DAY_S < interval_s:
            since = at + dice.randint(6 * HOUR_S, 12 * HOUR_S)
            out = range(since, since + dice.choice((1_200, HOUR_S, 5 * HOUR_S)))
        is_edge = at in (begins, ends)
        if not is_edge and (at in out or dice.random() < 0.02):
            continue
        reads = [(page, at) for page in range(2)]
        is_whole = is_edge or dice.random() >= 0.02
        plans.append(Plan(at, at + 1, reads if is_whole else reads[:1], is_whole))
    return read(Watch(fleet, "lab", plans, pages=2))


def by_odd_servers(fleet: Fleet, begins: Instant, ends: Instant, interval_s: int) -> Watch:
    """Two servers answer by turns, one 2 s ahead and one 2 s behind, and each dates its answers up to
    2 s late; the local clock is 20 s off. Instants are those that the source's readings give."""
    dice, plans, memory = Random("servers"), [], ClockMemory((20.0, 20.0, 20.0))
    for number, at in enumerate(range(begins, ends + 1, interval_s)):
        readings, reads = ClockReadings(), []
        for page in range(2):
            sent_at, asked_at = at - 20 + page, at + page
            ahead_s = 2 if (number + page) % 2 else -2
            date = asked_at + ahead_s - dice.randint(0, 2)
            readings.add(Answer(b"", sent_at, sent_at + dice.random(), date))
            reads.append((page, asked_at))
        instants = readings.instants(memory)
        measured = 20.0 if instants.offset_s is None else instants.offset_s
        memory = ClockMemory((measured, *memory.offsets[:2]), instants.started_at)
        plans.append(Plan(instants.started_at, instants.finished_at, reads))
    return read(Watch(fleet, "lab", plans, pages=2))


@dataclass(frozen=True)
class Kind:
    """A kind of fleet: its habits and how it is watched; `nameless`: half of the instances never name
    the start of a run; `longest_s`: the longest interval at which it makes sense."""

    words: str
    habits: Mapping[str, Any]
    watching: Watching = steady
    nameless: bool = False
    longest_s: int = HOUR_S

    def watch(self, seed: int, instances: int, days: float, interval_s: int) -> Watch:
        """Return such a fleet as the polls of some days saw it."""
        fleet = Fleet.generate(
            seed, instances=instances, start=MIDNIGHT, days=days, prepaid=0, **self.habits
        )
        if self.nameless:
            hide_starts(fleet, interval_s)
        return self.watching(fleet, MIDNIGHT, MIDNIGHT + round(days * DAY_S), interval_s)


KINDS: tuple[Kind, ...] = (
    Kind("people", {"flapping": 0.0}),
    Kind("5 % flapping", {"flapping": 0.05}),
    Kind("outages", {"flapping": 0.0}, with_outages),
    Kind("odd servers", {"flapping": 0.0}, by_odd_servers),
    Kind("half without starts", {"flapping": 0.0}, nameless=True, longest_s=900),
)


def hide_starts(fleet: Fleet, interval_s: int) -> None:
    """Let every second instance show no start of its runs.

    Without starts a run or a break that no poll saw leaves no trace at all: only those are chosen that
    have none. Nor can anybody see when a boot began, so that runs count from when they are up.
    """
    fleet.choose(start_time_at_boot=False)
    chosen = [life for life in fleet.lives if _is_slow(life, 2 * interval_s)]
    for life in chosen[::2]:
        fleet.twist(life.instance_uuid, life.create_time, FOREVER, start_time=0)


def _is_slow(life: Life, least_s: int) -> bool:
    """Tell whether it was up, and off in between, for so long each time. Failed boots were not up."""
    spans = life.spans
    ends = [span.ended_at or FOREVER for span in spans]
    lasted = [end - span.started_at for span, end in zip(spans, ends, strict=True)]
    off = [span.started_at - end for span, end in zip(spans[1:], ends, strict=False)]
    return all(seconds >= least_s for seconds in (*lasted, *off))
