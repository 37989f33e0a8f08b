"""An instance that has run for long without a timer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.machines import Running
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import about, hours
from etl.history.days import iso
from etl.texts import Text, tr
from etl.units import HOUR_S


class LongRunOptions(RuleOptions, frozen=True, kw_only=True):
    long_run_hours: Annotated[float, Meta(ge=0.1, le=1_000)] = 8
    long_run_again_hours: Annotated[float, Meta(ge=1, le=1_000)] = 24


class LongRun(AlertRule[Running, LongRunOptions]):
    name = "long_run"
    # it costs money while people sleep: that is the case it is for
    wakes = True
    options = LongRunOptions

    def facts(self, snapshot: Snapshot, options: LongRunOptions) -> Sequence[Running]:
        return snapshot.running()

    def causes(
        self, facts: Sequence[Running], options: LongRunOptions, moment: Moment
    ) -> Iterator[Cause]:
        for run in facts:
            if run.is_unattended and run.as_of - run.since >= options.long_run_hours * HOUR_S:
                yield self.cause(
                    run.machine.account,
                    run.machine.instance_uuid,
                    # with the start: another run of the same instance is another case
                    iso(run.since),
                    severity="warning",
                    account=run.machine.account,
                    owner=run.machine.owner,
                    repeat_s=round(options.long_run_again_hours * HOUR_S),
                    words=_words(run),
                )


def _words(run: Running) -> Text:
    return tr(
        "Still running: {machine}, for {hours} h without a timer{cost}{rate}",
        machine=run.machine.words,
        hours=hours(run.as_of - run.since),
        cost=about(run.cost(run.as_of), tr(", about {yuan} so far")),
        rate=about(run.hour_microcny, tr(", {yuan} an hour")),
    )


RULE = LongRun()
