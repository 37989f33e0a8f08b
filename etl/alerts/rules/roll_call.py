"""The evening roll call: instances of each owner that run without a timer, and their cost by morning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.machines import Running
from etl.alerts.options import RuleOptions, TimeOfDay
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import Words, about, clock, joined, local_time, same, short_line
from etl.history.days import Zone
from etl.poll import Instant
from etl.units import HOUR_S

ROLL_CALL_S: Final = HOUR_S
"""The longest that a roll call may be late; after that it is left out."""
FRESH_S: Final = HOUR_S
"""Age of the last sighting up to which an instance is taken to run still."""
# the dearest come first: the rest is counted
LISTED: Final = 20


class RollCallOptions(RuleOptions, frozen=True, kw_only=True):
    roll_call: TimeOfDay | None = TimeOfDay("21:30")
    morning: TimeOfDay = TimeOfDay("09:00")


class RollCall(AlertRule[Running, RollCallOptions]):
    name = "roll_call"
    wakes = True
    prompt = True
    options = RollCallOptions

    def facts(self, snapshot: Snapshot, options: RollCallOptions) -> Sequence[Running]:
        return snapshot.running()

    def causes(
        self, facts: Sequence[Running], options: RollCallOptions, moment: Moment
    ) -> Iterator[Cause]:
        if options.roll_call is None:
            return
        zone, now = moment.zone, moment.now
        today = zone.local_date(now)
        called_at = zone.at(today, options.roll_call)
        if not called_at <= now < called_at + ROLL_CALL_S:
            return
        morning = zone.at(today + timedelta(days=1), options.morning)
        # what began since is at work: somebody has just started it
        still = (r for r in facts if r.is_unattended and r.since <= called_at <= r.as_of + FRESH_S)
        for (account, owner), runs in groupby(sorted(still, key=_whose), key=_whose):
            yield self.cause(
                account,
                owner,
                today,
                severity="warning",
                account=account,
                owner=owner or None,
                words=_words(owner, list(runs), now, morning, zone),
            )


def _whose(run: Running) -> tuple[str, str]:
    return run.machine.account, run.machine.owner or ""


def _words(
    owner: str, runs: Sequence[Running], now: Instant, morning: Instant, zone: Zone
) -> Words:
    dearest = sorted(runs, key=lambda r: (-(r.hour_microcny or 0), r.since))
    lines = [_run_line(run, morning, zone) for run in dearest[:LISTED]]
    left = len(runs) - len(lines)
    if left:
        lines.append(Words(f"  ……另有 {left} 台", f"  … and {left} more"))
    return joined([_head(owner, runs, now, morning, zone), *lines])


def _head(owner: str, runs: Sequence[Running], now: Instant, morning: Instant, zone: Zone) -> Words:
    """Return the first line: the number of instances, and their cost from now until the morning."""
    tonight = [cost for run in runs if (cost := _between(run, now, morning)) is not None]
    name, count = short_line(owner), len(runs)
    who = Words(f"（{name}）", f" ({name})") if owner else same("")
    if runs[0].machine.unclaimed:
        who = Words("（无归属）", " (unassigned)")
    verb = "is" if count == 1 else "are"
    return (
        Words("晚间点名", "Evening roll call")
        + who
        + Words(
            f"：{count} 台仍在运行，未设定时关机", f": {count} {verb} still running without a timer"
        )
        + about(
            sum(tonight) if tonight else None,
            f"，到明早 {clock(zone, morning)} 还要花费约 {{}}",
            f", about {{}} more by {clock(zone, morning)} tomorrow",
        )
    )


def _between(run: Running, now: Instant, morning: Instant) -> int | None:
    so_far, in_all = run.cost(now), run.cost(morning)
    # two costs of the same run, so that steps of begun hours are not charged twice
    return None if so_far is None or in_all is None else in_all - so_far


def _run_line(run: Running, morning: Instant, zone: Zone) -> Words:
    since = local_time(zone, run.since)
    return (
        same("  · ")
        + run.machine.words
        + Words(f"，自 {since}", f", since {since}")
        + about(run.cost(morning), "，到明早共约 {}", ", about {} in all by then")
    )


RULE = RollCall()
