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
from etl.alerts.words import NOTHING, about, clock, local_time, short_line
from etl.history.days import Zone
from etl.poll import Instant
from etl.texts import Text, joined, tr
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
        # by local clocks: a night of a change of clocks is an hour shorter or longer
        morning = zone.at(today + timedelta(days=1), options.morning)
        # what began since is at work: somebody has just started it
        still = (r for r in facts if r.is_unattended and r.since <= called_at <= r.as_of + FRESH_S)
        for (account, owner), runs in groupby(sorted(still, key=_whose), key=_whose):
            # its key has the day: the next evening calls anew, whoever was called tonight
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


def _words(owner: str, runs: Sequence[Running], now: Instant, morning: Instant, zone: Zone) -> Text:
    dearest = sorted(runs, key=lambda r: (-(r.hour_microcny or 0), r.since))
    lines = [_run_line(run, morning, zone) for run in dearest[:LISTED]]
    left = len(runs) - len(lines)
    if left:
        lines.append(tr("  … and {count} more", count=left))
    return joined([_head(owner, runs, now, morning, zone), *lines], "\n")


def _head(owner: str, runs: Sequence[Running], now: Instant, morning: Instant, zone: Zone) -> Text:
    """Return the first line: the number of instances, and their cost from now until the morning."""
    tonight = [cost for run in runs if (cost := _between(run, now, morning)) is not None]
    name = tr("unassigned") if runs[0].machine.unclaimed else short_line(owner)
    many = tr("Evening roll call{owner}: {count} are still running without a timer{cost}")
    one = tr("Evening roll call{owner}: {count} is still running without a timer{cost}")
    return (one if len(runs) == 1 else many).filled(
        owner=tr(" ({name})", name=name) if name else NOTHING,
        count=len(runs),
        cost=about(
            sum(tonight) if tonight else None,
            tr(", about {yuan} more by {time} tomorrow"),
            time=clock(zone, morning),
        ),
    )


def _between(run: Running, now: Instant, morning: Instant) -> int | None:
    so_far, in_all = run.cost(now), run.cost(morning)
    # two costs of the same run, so that steps of begun hours are not charged twice
    return None if so_far is None or in_all is None else in_all - so_far


def _run_line(run: Running, morning: Instant, zone: Zone) -> Text:
    return tr(
        "  · {machine}, since {at}{cost}",
        machine=run.machine.words,
        at=local_time(zone, run.since),
        cost=about(run.cost(morning), tr(", about {yuan} in all by then")),
    )


RULE = RollCall()
