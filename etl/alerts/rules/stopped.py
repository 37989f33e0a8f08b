"""A run that ended, for owners who want to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.machines import Machine
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import about, hours, local_time
from etl.history.days import Zone, iso
from etl.poll import Instant
from etl.texts import Text, tr
from etl.units import DAY_S

STOPPED_S: Final = DAY_S
"""Age from which a run that ended is no news."""
STOPPED: Final = """
SELECT a.name AS account, u.instance_uuid, i.title, u.gpu_name, u.gpu_nums, w.owner,
    epoch(u.started_at) AS started_s, epoch(u.ended_at) AS ended_s, (
        SELECT known_sum(c.cost_microcny)
        FROM usage_cost c
        WHERE c.account_id = u.account_id AND c.instance_uuid = u.instance_uuid
            AND c.usage_no = u.usage_no
    ) AS cost_microcny
FROM (
    SELECT DISTINCT account_id, instance_uuid, usage_no FROM usage_day
    WHERE day >= :day AND kind = 'running'
) d
JOIN instance_usage u ON is_instance_of(u, d) AND u.usage_no = d.usage_no
JOIN instance i ON i.account_id = u.account_id AND i.instance_uuid = u.instance_uuid
JOIN account a ON a.account_id = u.account_id
LEFT JOIN allocation w ON is_payer_of(w, u, epoch(u.ended_at))
WHERE is_run(u) AND epoch(u.ended_at) >= :since_s
ORDER BY a.name, u.instance_uuid, u.started_at
"""
"""By way of the day parts, which have an index on the day. Runs, and their yuan, as report `runs` has
them."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A run that ended. `cost_microcny` is None if it is not known."""

    machine: Machine
    started_at: Instant
    ended_at: Instant
    cost_microcny: int | None


class Stopped(AlertRule[Stop, RuleOptions]):
    name = "stopped"
    options = RuleOptions

    def facts(self, snapshot: Snapshot, options: RuleOptions) -> Sequence[Stop]:
        moment = snapshot.moment
        # nobody asked: the query is saved at each tick
        if not any(owner.stops for owner in moment.owners):
            return ()
        rows = snapshot.ask(STOPPED, day=moment.day_before(1), since_s=moment.now - STOPPED_S)
        return [
            Stop(snapshot.machine(row), row.started_s, row.ended_s, row.cost_microcny)
            for row in rows
        ]

    def causes(
        self, facts: Sequence[Stop], options: RuleOptions, moment: Moment
    ) -> Iterator[Cause]:
        wanted = {owner.name for owner in moment.owners if owner.stops}
        for stop in facts:
            if stop.machine.owner in wanted:
                yield self.cause(
                    stop.machine.account,
                    stop.machine.instance_uuid,
                    iso(stop.started_at),
                    severity="info",
                    account=stop.machine.account,
                    owner=stop.machine.owner,
                    words=_words(stop, moment.zone),
                )


def _words(stop: Stop, zone: Zone) -> Text:
    return tr(
        "Stopped: {machine}, at {at} after {hours} h{cost}",
        machine=stop.machine.words,
        at=local_time(zone, stop.ended_at),
        hours=hours(stop.ended_at - stop.started_at),
        cost=about(stop.cost_microcny, tr(", about {yuan}")),
    )


RULE = Stopped()
