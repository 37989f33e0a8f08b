"""Life of one instance as plain data: its events, the source's view of it, and the truth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from etl.poll import Instant

T = TypeVar("T")
Spell = tuple[Instant, Instant]
"""From the first instant up to, not including, the second."""

# the last second that Python can name
FOREVER: Final = 253_402_300_799
CREATED, BOOTING_FIRST, RUNNING, STOPPING, STOPPED = 0, 1, 2, 21, 22
FAILED, BOOTING, RESTARTING = 23, 24, 27
UP: Final = frozenset({RUNNING, RESTARTING})


@dataclass(frozen=True, slots=True)
class Options:
    """Hidden behaviour of the source. `start_time_at_boot`: a booting instance already shows its
    new start_time (else only when it runs). `never_started`: the value that stands for a missing
    start_time. `order` is that of the listing.
    """

    start_time_at_boot: bool = True
    restart_moves_start_time: bool = False
    never_started: Literal["zero", "missing"] = "zero"
    order: Literal["newest", "oldest", "shuffled"] = "newest"


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart, which shows status 27 for `lasts_s` from `at`; the instance stays up."""

    at: Instant
    lasts_s: int = 20


@dataclass(frozen=True, slots=True)
class Timer:
    """A scheduled shutdown at `at` (None: switched off), known to the source since `set_at`."""

    set_at: Instant
    at: Instant | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run. It boots from `start`, is up from `up_at`, and leaves up at `end` (None: not yet).
    A run that ends while it boots was never up."""

    start: Instant
    stop: Instant | None = None
    boot_s: int = 0
    stopping_s: int = 0
    gpu_name: str = "RTX 4090"
    gpu_nums: int = 1
    charging_type: int = 1
    restarts: tuple[Restart, ...] = ()
    timers: tuple[Timer, ...] = ()
    stopped_status: int = STOPPED

    def __post_init__(self) -> None:
        if self.stop is not None and self.stop < self.start:
            raise ValueError(f"a run from {self.start} cannot stop at {self.stop}")

    @property
    def up_at(self) -> Instant:
        return self.start + self.boot_s

    @property
    def end(self) -> Instant | None:
        """Return when the run was stopped, by hand or by the timer then in force."""
        until = [timer.set_at for timer in self.timers[1:]] + [FOREVER]
        # a timer that was set anew before it was due never went off
        due = (t.at for t, to in zip(self.timers, until, strict=False) if t.at and t.at <= to)
        return min((at for at in (self.stop, *due) if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of true running time; `ended_at` is None while it lasts."""

    started_at: Instant
    ended_at: Instant | None
    gpu_name: str
    gpu_nums: int
    charging_type: int

    def seconds(self, t0: Instant, t1: Instant) -> int:
        """Return the seconds of the span in [t0, t1)."""
        return max(0, min(t1, self.ended_at or FOREVER) - max(t0, self.started_at))


@dataclass(frozen=True, slots=True)
class Twist:
    """Wrong or odd members that the source shows for a while in place of the record's own."""

    begins: Instant
    ends: Instant
    members: dict[str, Any]


@dataclass(slots=True)
class Life:
    """One instance from creation to destruction. All lists are sorted by time.

    `gpu_name`, `gpu_nums` and `charging_type` are those chosen at creation, shown until the first
    run. `hidden`: spells in which the source does not list it though it exists. `lag_s`: the source
    shows it as it was that long ago. None of the three disturbances changes the truth.
    """

    instance_uuid: str
    create_time: Instant
    title: str = ""
    runs: list[Run] = field(default_factory=list)
    destroyed_at: Instant | None = None
    gpu_name: str = "RTX 4090"
    gpu_nums: int = 1
    charging_type: int = 1
    image: tuple[str, str] = ("PyTorch 2.0 环境", "v2.0")
    titles: list[tuple[Instant, str]] = field(default_factory=list)
    image_saves: list[tuple[Instant, int]] = field(default_factory=list)
    hidden: list[Spell] = field(default_factory=list)
    twists: list[Twist] = field(default_factory=list)
    lag_s: int = 0
    options: Options = Options()

    # truth

    @property
    def spans(self) -> list[Span]:
        """Return the true running time, one span a run; from start_time to leaving up."""
        at_boot = self.options.start_time_at_boot
        return [
            Span(
                run.start if at_boot else run.up_at,
                None if self._end(run) == FOREVER else self._end(run),
                run.gpu_name,
                run.gpu_nums,
                run.charging_type,
            )
            for run in self.runs
            if self._end(run) > run.up_at
        ]

    def running(self, t0: Instant, t1: Instant) -> int:
        """Return the seconds of true running time in [t0, t1)."""
        return sum(span.seconds(t0, t1) for span in self.spans)

    def gpu_seconds(self, t0: Instant, t1: Instant) -> dict[str, int]:
        """Return the rented card-seconds in [t0, t1) by GPU model."""
        sums: dict[str, int] = {}
        for span in self.spans:
            if seconds := span.seconds(t0, t1) * span.gpu_nums:
                sums[span.gpu_name] = sums.get(span.gpu_name, 0) + seconds
        return sums

    def exists(self, t: Instant) -> bool:
        return self.create_time <= t and (self.destroyed_at is None or t < self.destroyed_at)

    # what the source shows

    def is_listed(self, t: Instant) -> bool:
        """Tell whether a listing made at t contains it."""
        return self.exists(t - self.lag_s) and not any(a <= t < b for a, b in self.hidden)

    def run_at(self, t: Instant) -> Run | None:
        """Return the newest run begun by t."""
        index = bisect_right(self.runs, t, key=lambda run: run.start)
        return self.runs[index - 1] if index else None

    def is_on(self, t: Instant) -> bool:
        """Tell whether a run is under way, booting included."""
        run = self.run_at(t)
        return run is not None and t < self._end(run)

    def status_at(self, t: Instant) -> int:
        run = self.run_at(t)
        if run is None:
            return CREATED
        end = self._end(run)
        # shutting down lasts beyond the run: it is over, and charged no more
        if t >= end:
            return STOPPING if t < end + run.stopping_s else run.stopped_status
        if t < run.up_at:
            # the create call answers with 1, a later startup shows 24
            return BOOTING_FIRST if run is self.runs[0] else BOOTING
        # up all the time: a restart is part of its run
        restarting = any(r.at <= t < r.at + r.lasts_s for r in run.restarts)
        return RESTARTING if restarting else RUNNING

    def start_time_at(self, t: Instant) -> Instant | None:
        """Return the start_time that the source shows; None before the first start."""
        index = bisect_right(self.runs, t, key=lambda run: run.start)
        # the newest that shows any: one whose start is not shown yet leaves the one before it
        for run in reversed(self.runs[:index]):
            starts = [run.start if self.options.start_time_at_boot else run.up_at]
            if self.options.restart_moves_start_time:
                starts += [r.at for r in run.restarts]
            moments = [s for s in starts if s <= t and (s == run.start or s < self._end(run))]
            if moments:
                return max(moments)
        return None

    def timer_at(self, t: Instant) -> Instant | None:
        """Return the scheduled shutdown in force at t."""
        run = self.run_at(t)
        # a timer ends with its run: the source shows none for what is off
        if run is None or t >= self._end(run):
            return None
        return latest([(timer.set_at, timer.at) for timer in run.timers], t, None)

    def title_at(self, t: Instant) -> str:
        return latest(self.titles, t, self.title)

    def image_save_at(self, t: Instant) -> int:
        return latest(self.image_saves, t, 2)

    def moments(self) -> list[Instant]:
        """Return the instants at which its listing changes, or could, sorted."""
        # what lags is seen later, what hides or twists is not: those are faults of the listing
        # itself
        moments = {at + self.lag_s for at in self._state_moments() if self.create_time <= at}
        for begins, ends in [*self.hidden, *((w.begins, w.ends) for w in self.twists)]:
            moments |= {begins, ends}
        # nothing is shown of it before or after, whatever happens then
        first, last = self.create_time + self.lag_s, (self.destroyed_at or FOREVER) + self.lag_s
        return sorted(at for at in moments | {first, last} if first <= at <= last)

    def _state_moments(self) -> Iterator[Instant]:
        for run in self.runs:
            end = self._end(run)
            yield from (run.start, run.up_at, end, end + run.stopping_s)
            yield from (timer.set_at for timer in run.timers)
            for restart in run.restarts:
                yield from (restart.at, restart.at + restart.lasts_s)
        yield from (at for at, _ in (*self.titles, *self.image_saves))

    def _end(self, run: Run) -> Instant:
        return min(run.end or FOREVER, self.destroyed_at or FOREVER)


def latest(changes: Sequence[tuple[Instant, T]], t: Instant, default: T) -> T:
    """Return the value of the last change made by t."""
    index = bisect_right(changes, t, key=lambda change: change[0])
    return changes[index - 1][1] if index else default
