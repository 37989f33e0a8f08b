"""Fleets with known truth, watched by polls that last, fail, miss pages and pause for hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from etl.poll import Instant, Poll
from etl.simcloud import Fleet, Life, Options, Restart, Run, Timer
from etl.simcloud.record import Timeline
from tests.support import poll_of

INTERVALS = (60, 120, 300, 600, 900, 1_800, 3_600)
MIDNIGHT = 1_767_628_800
"""2026-01-06T00:00 in Shanghai."""
MODELS = ("RTX 4090", "A100", "H100")
HOURLY, PREPAID = 1, 2


@dataclass
class Plan:
    """A poll to come: which page is read when (-1: an empty list instead)."""

    started_at: Instant
    finished_at: Instant
    reads: list[tuple[int, Instant]]
    complete: bool = True


@dataclass
class Watch:
    """A fleet, and the polls that watched it."""

    fleet: Fleet
    account: str
    plans: list[Plan]
    pages: int = 1
    polls: list[Poll] = field(default_factory=list)

    @property
    def first(self) -> Instant:
        """The end of the first complete poll."""
        return next(plan.finished_at for plan in self.plans if plan.complete)

    @property
    def horizon(self) -> Instant:
        """The start of the last complete poll."""
        return max(plan.started_at for plan in self.plans if plan.complete)

    def sightings(self, life: Life) -> list[Instant]:
        """The moments at which a poll read a record of it that can be understood."""
        place = self.fleet.lives.index(life) % self.pages
        read = [at for plan in self.plans for page, at in plan.reads if page == place]
        return [
            at
            for at in read
            if life.is_listed(at) and not any(w.begins <= at < w.ends for w in life.twists)
        ]


def generate(seed: int, *, polls: int = 90, account: str = "lab") -> Watch:
    """A dense fleet: runs and gaps from seconds to several intervals, and all that can go wrong."""
    dice = Random(f"watched/{seed}")
    interval_s = INTERVALS[seed % len(INTERVALS)]
    begins = MIDNIGHT - dice.randint(0, polls * interval_s)
    ends = begins + polls * interval_s
    places = range(dice.randint(3, 9))
    lives = [life for place in places for life in _place(dice, place, begins, ends, interval_s)]
    options = Options(
        start_time_at_boot=dice.random() < 0.7,
        restart_moves_start_time=dice.random() < 0.3,
        never_started=dice.choice(("zero", "missing")),
    )
    pages = dice.randint(1, 3)
    plans = list(_troubled(dice, begins, ends, interval_s, pages))
    watch = Watch(Fleet(lives, options), account, plans, pages)
    for life in lives:
        _disturb(dice, watch, life, interval_s)
    return read(watch)


def steady(fleet: Fleet, begins: Instant, ends: Instant, interval_s: int) -> Watch:
    """A fleet under polls that never fail and last a second."""
    starts = range(begins, ends + 1, interval_s)
    return read(Watch(fleet, "lab", [Plan(t, t + 1, [(0, t)]) for t in starts]))


def read(watch: Watch) -> Watch:
    """Poll as planned: each page holds the same instances throughout, read at its own moment."""
    lines = [Timeline(life) for life in watch.fleet.lives]
    for plan in watch.plans:
        bodies = []
        for page, moment in plan.reads:
            shown = [line.fragment(moment) for line in lines[page :: watch.pages] if page >= 0]
            listed = [fragment for fragment in shown if fragment]
            bodies.append(
                b'{"code":0,"data":{"instance_list":[%b],"total":%d}}'
                % (b",".join(listed), len(listed))
            )
        watch.polls.append(
            poll_of(
                bodies,
                plan.started_at,
                plan.finished_at,
                complete=plan.complete,
                account=watch.account,
            )
        )
    return watch


def _troubled(
    dice: Random, begins: Instant, ends: Instant, interval_s: int, pages: int
) -> Iterator[Plan]:
    """Polls that start late, last up to 40 s, miss pages, list nothing, or do not happen."""
    outage = dice.randint(begins, ends)
    outage_ends = outage + dice.choice((0, interval_s * 5, 11 * 3_600))
    missing_pages = dice.choice((0.0, 0.1, 0.5))
    at, had_complete = begins, False
    while at < ends:
        if not (outage <= at < outage_ends or dice.random() < 0.03):
            finished_at = at + dice.choice((0, dice.randint(0, 40)))
            reads = [(page, dice.randint(at, finished_at)) for page in range(pages)]
            complete = pages == 1 or dice.random() >= missing_pages
            if not complete:
                reads = dice.sample(reads, dice.randint(1, pages - 1))
            elif had_complete and dice.random() < 0.02:
                reads = [(-1, at)]
            had_complete |= complete
            yield Plan(at, finished_at, reads, complete)
        at += interval_s + dice.choice((0, 0, dice.randint(-10, 10)))
    if not had_complete:
        yield Plan(at, at, [(page, at) for page in range(pages)])


def _place(
    dice: Random, place: int, begins: Instant, ends: Instant, interval_s: int
) -> Iterator[Life]:
    """What one person rents: an instance, and after it is destroyed another one."""
    created = begins - dice.randint(0, 3 * 86_400)
    if dice.random() < 0.3:
        created = dice.randint(begins, ends)
    for number in range(3):
        if created >= ends:
            return
        life = Life(f"inst-{place}-{number}", created, f"place {place}")
        life.gpu_name, life.gpu_nums = dice.choice(MODELS), dice.choice((1, 2, 8))
        life.charging_type = dice.choice((HOURLY, HOURLY, HOURLY, PREPAID))
        _runs(dice, life, max(created, begins - 2 * interval_s), ends, interval_s)
        if dice.random() < 0.5:
            life.destroyed_at = dice.randint(max(created, begins) + 1, ends + interval_s)
            life.runs = [run for run in life.runs if run.start < life.destroyed_at]
        if dice.random() < 0.3:
            life.titles.append((dice.randint(max(created, begins), ends), "renamed"))
        yield life
        if life.destroyed_at is None:
            return
        created = life.destroyed_at + dice.randint(1, interval_s)


def _runs(dice: Random, life: Life, at: Instant, ends: Instant, interval_s: int) -> None:
    """Runs of one temper: flapping within an interval, or over several of them."""
    scale = interval_s * dice.choice((0.2, 1, 4, 20))
    steady_gpu = dice.random() < 0.5
    while at < ends:
        at += dice.choice((0, 1, round(dice.expovariate(1 / scale))))
        boot_s = dice.choice((0, 0, dice.randint(1, 180)))
        stop = at + 1 + round(dice.expovariate(1 / scale)) + dice.choice((0, boot_s))
        before = life.runs[-1] if life.runs else life
        other = not steady_gpu and dice.random() < 0.3
        run = Run(
            start=at,
            stop=stop,
            boot_s=boot_s,
            stopping_s=dice.choice((0, dice.randint(1, 60))),
            gpu_name=dice.choice(MODELS) if other else before.gpu_name,
            gpu_nums=dice.choice((1, 2, 8)) if other else before.gpu_nums,
            charging_type=PREPAID if other and dice.random() < 0.1 else before.charging_type,
            restarts=_restarts(dice, at + boot_s, stop),
            timers=_timers(dice, at + boot_s, stop),
            stopped_status=dice.choice((22, 22, 4, 23, 77)),
        )
        life.runs.append(run)
        at = stop + 1


def _restarts(dice: Random, up_at: Instant, stop: Instant) -> tuple[Restart, ...]:
    if up_at >= stop or dice.random() > 0.2:
        return ()
    return (Restart(dice.randint(up_at, stop), dice.randint(1, 60)),)


def _timers(dice: Random, up_at: Instant, stop: Instant) -> tuple[Timer, ...]:
    """A timer that stops the run, or one that is switched off or put off in time."""
    if up_at >= stop or dice.random() > 0.4:
        return ()
    set_at = dice.randint(up_at, stop)
    if dice.random() < 0.5:
        return (Timer(set_at, stop),)
    return (Timer(up_at, stop + 60), Timer(set_at, dice.choice((None, stop))))


def _disturb(dice: Random, watch: Watch, life: Life, interval_s: int) -> None:
    """It is not listed for a while, or shown in a record that nobody understands; not before it
    could be seen."""
    earliest = max(watch.first + 1, life.create_time)
    for spoil in (watch.fleet.hide, watch.fleet.break_record):
        for _ in range(dice.choice((0, 0, 1, 3))):
            begins = earliest + dice.randint(0, 60 * interval_s)
            spoil(life.instance_uuid, begins, begins + dice.choice((1, 2, 7)) * interval_s)
