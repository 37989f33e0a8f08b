"""An instance that runs, and whose GPUs were surely idle for long, as far as imported samples tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.machines import Running
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import about, hours
from etl.history.days import iso
from etl.poll import Instant
from etl.texts import tr
from etl.units import DAY_S, HOUR_S

FRESH_S: Final = 2 * HOUR_S
"""Samples that end longer before the newest poll do not say what a GPU does now."""
LOADS: Final = """
SELECT a.name, g.instance_uuid, g.begins_s, g.ends_s, g.is_busy
FROM instance_usage u
JOIN gpu_load g ON is_instance_of(g, u) AND g.utc_day >= :day
JOIN account a ON a.account_id = u.account_id
WHERE u.ended_at IS NULL AND u.kind = 'running' AND g.ends_s > :since
"""


class IdleGpuOptions(RuleOptions, frozen=True, kw_only=True):
    idle_gpu_hours: Annotated[float, Meta(ge=0.5, le=1_000)] = 4
    idle_gpu_again_hours: Annotated[float, Meta(ge=1, le=1_000)] = 24


@dataclass(frozen=True, slots=True)
class SampledRun:
    """A run and the times in which its GPUs were sampled: begin, end, whether busy."""

    run: Running
    loads: tuple[tuple[Instant, Instant, int], ...]

    @property
    def idle_s(self) -> int:
        """Return for how long all its GPUs were seen idle since one was last busy, in seconds."""
        gpus = self.run.machine.gpu_nums
        if not gpus or not self.loads or self._sampled_until < self.run.as_of - FRESH_S:
            return 0
        since = max([self.run.since, *(ends for _, ends, is_busy in self.loads if is_busy)])
        idle = (ends - max(begins, since) for begins, ends, _ in self.loads if ends > since)
        # card-seconds: what was not sampled counts for none, and one GPU never for another
        return sum(idle) // gpus

    @property
    def _sampled_until(self) -> Instant:
        return max(ends for _, ends, _ in self.loads)


class IdleGpu(AlertRule[SampledRun, IdleGpuOptions]):
    name = "idle_gpu"
    options = IdleGpuOptions

    def facts(self, snapshot: Snapshot, options: IdleGpuOptions) -> Sequence[SampledRun]:
        # twice as long: a machine that is sampled half of the time is seen idle as well
        since = snapshot.moment.now - round(2 * options.idle_gpu_hours * HOUR_S) - FRESH_S
        loads: dict[tuple[str, str], list[tuple[Instant, Instant, int]]] = {}
        for account, uuid, *load in snapshot.ask(LOADS, day=since // DAY_S, since=since):
            loads.setdefault((account, uuid), []).append((load[0], load[1], load[2]))
        if not loads:
            return ()
        named = ((r.machine.account, r.machine.instance_uuid, r) for r in snapshot.running())
        return [SampledRun(r, tuple(loads[a, u])) for a, u, r in named if (a, u) in loads]

    def causes(
        self, facts: Sequence[SampledRun], options: IdleGpuOptions, moment: Moment
    ) -> Iterator[Cause]:
        for sampled in facts:
            run, machine = sampled.run, sampled.run.machine
            if sampled.idle_s >= options.idle_gpu_hours * HOUR_S:
                yield self.cause(
                    machine.account,
                    machine.instance_uuid,
                    iso(run.since),
                    severity="warning",
                    account=machine.account,
                    owner=machine.owner,
                    project=run.project,
                    repeat_s=round(options.idle_gpu_again_hours * HOUR_S),
                    words=tr(
                        "Idle: {machine}, no GPU was busy in the last {hours} h of samples{rate}",
                        machine=machine.words,
                        hours=hours(sampled.idle_s),
                        rate=about(run.hour_microcny, tr(", {yuan} an hour")),
                    ),
                )


RULE = IdleGpu()
