"""Stretches of running and held time, and how the pairs of sightings write them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec.structs import replace

from etl.history.ends import End, EndEvidence
from etl.history.starts import since_creation
from etl.poll import Instant
from etl.resources.instances import Instance

Evidence = Literal["observed", "booting", "unseen_run", "unknown_start", "possible_run", "gone"]
Kind = Literal["running", "held"]


# structs: a first load makes some of each for every instance, five times as fast as frozen dataclasses
class Terms(msgspec.Struct, frozen=True, eq=False):
    """The terms on which a stretch is charged. A change of the image alone does not end a
    stretch.
    """

    gpu_uuid: str | None
    gpu_name: str | None
    gpu_nums: int | None
    charging_type: int | None
    # kept for its price, which can depend on the image
    image_uuid: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Terms) and self._key() == other._key()

    # a struct has one of its own, which does not ask `__eq__`
    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.gpu_uuid, self.gpu_name, self.gpu_nums, self.charging_type


class Stretch(msgspec.Struct, frozen=True):
    """A row of `instance_usage`; its three ends are None while it is open. `end_evidence` says how
    the estimate of a stop was made, None if none was. `settlements` counts the moments that may be the
    stop by the settlement windows of the bill, None if it is not asked; `settled_at` is the moment if
    there is one. Of a `possible_run` it is the start of the run that follows.
    """

    usage_no: int
    kind: Kind
    started_at: Instant
    evidence: Evidence
    terms: Terms
    ended_min: Instant | None = None
    ended_at: Instant | None = None
    ended_max: Instant | None = None
    end_evidence: EndEvidence | None = None
    settlements: int | None = None
    settled_at: Instant | None = None

    def with_bill(self, *, is_at_stops: bool) -> Stretch:
        """Return the stretch with the end, or the start, that the bill knows, if the account is
        settled at stops.
        """
        settled_at = self.settled_at
        if self.evidence in ("unseen_run", "booting") and self.settlements == 0:
            settled_at = self.started_at  # nothing was charged: its boot failed
        if not is_at_stops or settled_at is None:
            return self
        assert self.ended_min is not None
        assert self.ended_max is not None
        if self.evidence == "possible_run":
            # the run began then, or those unseen fill the rest: of the time in question it is theirs
            settled_at = self.started_at + (self.ended_max - settled_at)
        # bounds stay those of the polls: the bill moves the estimate alone
        ended_at = min(max(self.ended_min, settled_at), self.ended_max)
        return replace(self, ended_at=ended_at, end_evidence="settled")


class RunningState(msgspec.Struct, frozen=True):
    """Known running time of an instance after a sighting.

    `count` stretches are written, `running` and `held` are the open ones, `last_start` is the newest
    start_time that was believed.
    """

    count: int = 0
    last_start: Instant | None = None
    running: Stretch | None = None
    held: Stretch | None = None


class Step(msgspec.Struct, frozen=True):
    """The state after a sighting, and the stretches that are new or were rewritten."""

    state: RunningState
    written: tuple[Stretch, ...]


def terms(facts: Instance) -> Terms:
    return Terms(
        facts.gpu_uuid, facts.gpu_name, facts.gpu_nums, facts.charging_type, facts.image_uuid
    )


@dataclass(slots=True)
class UsageLedger:
    """Stretches of one instance while a pair of sightings is judged."""

    began: RunningState
    count: int = field(init=False)
    last_start: Instant | None = field(init=False)
    running: Stretch | None = field(init=False)
    held: Stretch | None = field(init=False)
    written: dict[int, Stretch] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.count, self.last_start = self.began.count, self.began.last_start
        self.running, self.held = self.began.running, self.began.held

    def step(self) -> Step:
        state = RunningState(self.count, self.last_start, self.running, self.held)
        return Step(state, tuple(self.written.values()))

    def open(self, started_at: Instant, evidence: Evidence, facts: Instance) -> None:
        self.running = self._new("running", started_at, evidence, facts)

    def hold(self, started_at: Instant, facts: Instance) -> None:
        self.held = self._new("held", started_at, "observed", facts)

    def piece(
        self,
        started_at: Instant,
        lo: Instant,
        end: End,
        hi: Instant,
        evidence: Evidence,
        facts: Instance,
        *,
        kind: Kind = "running",
    ) -> None:
        """Add a closed stretch, begun at the creation at the earliest, if it can have lasted a second."""
        started_at = since_creation(started_at, facts, hi)
        # a row of no length would still count as a run
        if hi > started_at:
            self._end(self._new(kind, started_at, evidence, facts), lo, end, hi)

    def rewrite(self, stretch: Stretch) -> None:
        self.running = self.written[stretch.usage_no] = stretch

    def close(
        self, *, lo: Instant, end: End, hi: Instant, evidence: Evidence | None = None
    ) -> None:
        assert self.running is not None
        self._end(self.running, lo, end, hi, evidence)
        self.running = None

    def release(
        self, lo: Instant, at: Instant, hi: Instant, *, evidence: Evidence | None = None
    ) -> None:
        assert self.held is not None
        self._end(self.held, lo, End(at), hi, evidence)
        self.held = None

    def _new(self, kind: Kind, started_at: Instant, evidence: Evidence, facts: Instance) -> Stretch:
        # without holes: if the instance comes back, the newest numbers are taken away again
        self.count += 1
        stretch = Stretch(self.count, kind, started_at, evidence, terms(facts))
        self.written[self.count] = stretch
        return stretch

    def _end(
        self,
        stretch: Stretch,
        lo: Instant,
        end: End,
        hi: Instant,
        evidence: Evidence | None = None,
    ) -> None:
        """Write a stretch whose ends are in order and never before its start."""
        ended_min = max(stretch.started_at, lo)
        ended_max = max(ended_min, hi)
        self.written[stretch.usage_no] = replace(
            stretch,
            ended_min=ended_min,
            ended_at=min(max(ended_min, end.at), ended_max),
            ended_max=ended_max,
            evidence=evidence or stretch.evidence,
            # only a stop has evidence: the end of a time of doubt has none
            end_evidence="exact" if end.by and ended_min == ended_max else end.by,
        )
