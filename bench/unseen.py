"""Whether runs that no poll saw are better estimated by their number than as nothing.

`python -m bench.unseen` watches fleets in which one instance in twenty flaps. Between a sighting off at
`a` and a new start s, further runs may have come and gone. Their number is estimated from the last date
of change (Cho and Garcia-Molina, "Estimating frequency of change", 2003): X of the newest n pairs of
polls show a new start, and T seconds are known to be without one, so that starts come at a rate of
(X - 1 - X / (n log(1 - X / n))) / T. Each is taken to last as long as the instance's short runs did.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import log
from statistics import fmean
from typing import NamedTuple

from bench.truth import by_status, errors
from bench.truth_fleets import KINDS
from etl.history.codes import SEEDED
from etl.history.stretches import Stretch
from etl.poll import Instant
from tests.memory import Memory

FLAPPING = next(kind for kind in KINDS if kind.words == "5 % flapping")


class Pair(NamedTuple):
    """Two successive polls between which an instance started anew at `start`."""

    a: Instant
    b: Instant
    start: Instant


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--instances", type=int, default=60)
    asked.add_argument("--days", type=float, default=4)
    asked.add_argument("--minutes", type=int, nargs="*", default=[1, 5, 15, 60])
    asked.add_argument("--newest", type=int, nargs="*", default=[5, 10, 20])
    chosen = asked.parse_args()
    print("| minutes | as nothing |", *(f"by the newest {n} pairs |" for n in chosen.newest))
    for minutes in chosen.minutes:
        watch = FLAPPING.watch(7, chosen.instances, chosen.days, 60 * minutes)
        memory = Memory(SEEDED).watch(watch.polls)
        found = [errors(watch, memory, by_status)]
        for newest in chosen.newest:
            unseen = {
                id(stretch): seconds
                for uuid in memory.stretches
                for stretch, seconds in estimates(memory, uuid, newest, 60 * minutes)
            }
            found.append(
                errors(watch, memory, lambda s, e=unseen: by_status(s) + e.get(id(s), 0))  # type: ignore[misc]
            )
        print(f"| {minutes} |", *(f"{x.percent:.3f} |" for x in found), flush=True)


def estimates(
    memory: Memory, uuid: str, newest: int, interval_s: int
) -> Iterator[tuple[Stretch, int]]:
    """Yield the times in which runs may have gone unseen, and the running seconds expected in them."""
    stretches = memory.stretches[uuid]
    pairs = list(_pairs(memory, uuid))
    for stretch in stretches.values():
        after = stretches.get(stretch.usage_no + 1)
        is_before_start = after is not None and after.started_at == stretch.ended_max
        if stretch.evidence != "possible_run" or not is_before_start:
            continue
        a, s = stretch.started_at, stretch.ended_max or 0
        rate = _rate(pairs, a, newest, interval_s)
        lasted = _lasted(stretches.values(), a - newest * interval_s, a, interval_s)
        yield stretch, min(s - a, round(rate * (s - a) * lasted))


def _pairs(memory: Memory, uuid: str) -> Iterator[Pair]:
    last = 0
    for version in memory.versions[uuid]:
        start = version.facts.start_time or 0
        if start > last and version.after_at is not None and start > version.after_at:
            yield Pair(version.after_at, version.first_seen_at, start)
        last = max(last, start)


def _rate(pairs: list[Pair], until: Instant, newest: int, interval_s: int) -> float:
    """Return starts a second in the newest pairs of polls, by the last date of change."""
    since = until - newest * interval_s
    known = [pair for pair in pairs if pair.a >= since and pair.b <= until + interval_s]
    changed = min(len(known), newest)
    if not changed:
        return 0.0
    without_s = sum(p.b - p.start for p in known) + (newest - changed) * interval_s
    missed = changed / (newest * log(1 - changed / newest)) if changed < newest else 0.0
    return (changed - 1 - missed) / max(1, without_s)


def _lasted(stretches: object, since: Instant, until: Instant, interval_s: int) -> float:
    """Return how long short runs of a time lasted on average, by their estimates."""
    lengths = [
        s.ended_at - s.started_at
        for s in stretches  # type: ignore[attr-defined]
        if s.evidence in ("observed", "unseen_run")
        and s.ended_at is not None
        and since <= s.started_at < until
        and s.ended_at - s.started_at < 2 * interval_s
    ]
    return fmean(lengths) if lengths else 0.0


if __name__ == "__main__":
    main()
