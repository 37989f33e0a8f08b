"""Habits of people who rent GPUs: the lives of a generated fleet, equal for equal seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Final, TypeVar
from uuid import UUID

from etl.poll import Instant
from etl.simcloud.life import FAILED, Life, Restart, Run, Timer, Twist

MINUTE, HOUR, DAY = 60, 3_600, 86_400
# no daylight saving there since 1991: a fixed offset gives local midnights
SHANGHAI: Final = 8 * HOUR

T = TypeVar("T")
Plan = tuple[Instant, int]
"""When somebody starts a machine, and for how many seconds."""
Planner = Callable[[Random, Instant, bool], list[Plan]]
"""(dice, local midnight, whether it is a workday) -> the plans of that day."""

MODELS: Final = {"RTX 4090": 45, "RTX 3090": 20, "A100": 15, "L40S": 12, "H100": 8}
COUNTS: Final = {1: 60, 2: 20, 4: 12, 8: 8}
OWNERS: Final = ("李雷", "韩梅梅", "王芳", "张伟", "陈静", "alice", "bob", "maria", "kenji")
TASKS: Final = ("llm", "sdxl", "ocr", "whisper", "rlhf", "vit", "微调", "推理", "标注", "评测")
FORMS: Final = ("train-{owner}-{task}", "{owner}-{task}", "{owner}/{task}-{n}", "{task} ({owner})")
IMAGES: Final = (
    ("PyTorch 2.0 环境", "v2.0"),
    ("PyTorch 2.3", "cu121"),
    ("TensorFlow 2.15", "py310"),
    ("ComfyUI 整合包", "v1.4"),
    ("Stable Diffusion WebUI", "1.9.3"),
    ("LLaMA-Factory", "0.8"),
    ("Ollama", "latest"),
    ("vLLM 推理", "0.5.1"),
    ("Ubuntu 22.04", "base"),
    ("JAX", "0.4.30"),
)


@dataclass(frozen=True, slots=True)
class Habits:
    """Frequencies of events in a generated fleet. The kinds are weights, the others shares from 0
    to 1, but for the ranges in seconds; `kind` makes all instances of one kind. `prepaid` is by the
    day. `no_card`: runs without GPUs.
    """

    kind: str | None = None
    office: float = 0.40
    overnight: float = 0.20
    batch: float = 0.15
    forgotten: float = 0.10
    idle: float = 0.07
    flapping: float = 0.05
    never_started: float = 0.03
    timers: float = 1 / 3
    failed_starts: float = 0.08
    restarts: float = 0.08
    other_gpu: float = 0.08
    prepaid: float = 0.03
    prepaid_week: float = 0.0
    prepaid_month: float = 0.0
    no_card: float = 0.0
    born_inside: float = 0.15
    destroyed: float = 0.20
    recreated: float = 0.70
    renamed: float = 0.15
    images_saved: float = 0.10
    unknown_status: float = 0.0
    boot_s: tuple[int, int] = (20, 180)
    stopping_s: tuple[int, int] = (5, 60)


def lives_of(seed: int, instances: int, start: Instant, end: Instant, habits: Habits) -> list[Life]:
    """Return the lives of a fleet of `instances` slots, each held by one instance at a time."""
    return [
        life
        for number in range(instances)
        # dice of its own for each slot, so that a larger fleet begins with the smaller one
        for life in _owned_lives(Random(f"{seed}/{number}"), start, end, habits)
    ]


def _owned_lives(dice: Random, start: Instant, end: Instant, habits: Habits) -> Iterator[Life]:
    kind = habits.kind or _pick(dice, {name: getattr(habits, name) for name in _KINDS})
    born_inside = dice.random() < habits.born_inside
    age = dice.randint(DAY, 60 * DAY)
    created = dice.randint(start, end - 1) if born_inside else start - age
    # before the loop: an instance that is rented anew is rented by the same person
    owner = dice.choice(OWNERS)
    while created < end:
        life = _born(dice, created, owner, habits)
        _lives(dice, life, kind, (start, end), habits)
        if dice.random() < habits.destroyed:
            _destroyed(dice, life, dice.randint(max(start, created + 1), end + DAY))
        # destroyed or not: what happened before that is to be seen
        yield life
        if life.destroyed_at is None or dice.random() >= habits.recreated:
            return
        created = life.destroyed_at + dice.randint(1, 4 * HOUR)


def _born(dice: Random, created: Instant, owner: str, habits: Habits) -> Life:
    return Life(
        instance_uuid=f"inst_{UUID(int=dice.getrandbits(128), version=4)}",
        create_time=created,
        title=_title(dice, owner),
        gpu_name=_pick(dice, MODELS),
        gpu_nums=_pick(dice, COUNTS),
        charging_type=_charging_type(dice.random(), habits),
        image=dice.choice(IMAGES),
    )


def _charging_type(share: float, habits: Habits) -> int:
    """Draw a charging type, always by one draw, so that fleets of one seed differ only in the
    type.
    """
    for code, part in ((2, habits.prepaid), (3, habits.prepaid_week), (4, habits.prepaid_month)):
        if share < part:
            return code
        share -= part
    return 1


def _title(dice: Random, owner: str) -> str:
    form = dice.choice(FORMS)
    return form.format(owner=owner, task=dice.choice(TASKS), n=dice.randint(1, 99))


def _lives(
    dice: Random, life: Life, kind: str, window: tuple[Instant, Instant], habits: Habits
) -> None:
    """Fill a life: one run soon after creation, then those of its kind from days before `start`."""
    start, end = window
    plans = [] if kind == "never_started" else [(life.create_time + dice.randint(1, 300), HOUR)]
    # some days early, so that runs which began before the fleet's start are there
    first = max(life.create_time, start - 3 * DAY)
    for midnight in range(first - (first + SHANGHAI) % DAY, end, DAY):
        # 1970-01-01 was a Thursday: plus 3, Monday is 0
        workday = ((midnight + SHANGHAI) // DAY + 3) % 7 < 5
        plans += sorted(_KINDS[kind](dice, midnight, workday))
    for begins, seconds in plans:
        _add_run(dice, life, begins, seconds, habits)
    _unknown_statuses(dice, life, habits.unknown_status)
    span = (max(start, life.create_time), end)
    if dice.random() < habits.renamed:
        life.titles.append((dice.randint(*span), _title(dice, dice.choice(OWNERS))))
    if dice.random() < habits.images_saved:
        began = dice.randint(*span)
        done = dice.choice((2, 2, 2, 3))
        # uploading first: the source never shows a result without it
        life.image_saves += [(began, 1), (began + dice.randint(60, 900), done)]


def _add_run(dice: Random, life: Life, begins: Instant, seconds: int, habits: Habits) -> None:
    """Add a run, at times after one that failed."""
    if dice.random() < habits.failed_starts:
        failed = dice.randint(1, 150)
        _add(life, replace(_planned(dice, life, begins, failed, habits), stopped_status=FAILED))
        begins += failed + dice.randint(60, 300)
    run = _planned(dice, life, begins, seconds, habits)
    if seconds > 600 and dice.random() < habits.timers:
        run = replace(run, stop=None, timers=(Timer(run.up_at + dice.randint(0, 300), run.stop),))
    if seconds > 600 and dice.random() < habits.restarts:
        at = run.up_at + dice.randint(1, seconds - 200)
        run = replace(run, restarts=(Restart(at, dice.randint(5, 40)),))
    _add(life, run)


def _unknown_statuses(dice: Random, life: Life, share: float) -> None:
    """Add an unknown status code now and then while the instance is stopped, which hides no running
    time.
    """
    for run, after in pairwise(life.runs):
        begins = (run.end or after.start) + run.stopping_s
        if begins < after.start and dice.random() < share:
            life.twists.append(Twist(begins, dice.randint(begins + 1, after.start), {"status": 77}))


def _planned(dice: Random, life: Life, begins: Instant, seconds: int, habits: Habits) -> Run:
    # the GPUs of the last run that had some: after a run without, people take the old ones again
    before: Run | Life = next((run for run in reversed(life.runs) if run.gpu_nums), life)
    other = dice.random() < habits.other_gpu
    run = Run(
        start=begins,
        stop=begins + seconds,
        boot_s=dice.randint(*habits.boot_s),
        stopping_s=dice.randint(*habits.stopping_s),
        gpu_name=_pick(dice, MODELS) if other else before.gpu_name,
        gpu_nums=_pick(dice, COUNTS) if other else before.gpu_nums,
        charging_type=before.charging_type,
    )
    # no draw where there are none: fleets of a seed stay what they were
    no_card = habits.no_card and dice.random() < habits.no_card
    return replace(run, gpu_nums=0) if no_card else run


def _add(life: Life, run: Run) -> None:
    """Add a run, unless the machine is not free at its start."""
    before = life.runs[-1] if life.runs else None
    free_at = (before.end or run.start) + before.stopping_s if before else life.create_time
    # plans overlap, as people's do: what finds the machine at work is dropped
    if run.start > free_at:
        life.runs.append(run)


def _destroyed(dice: Random, life: Life, at: Instant) -> None:
    """Destroy an instance at about `at`: most people stop it first, some do not."""
    run = life.run_at(at)
    if run and run.end and run.end > at and dice.random() < 0.6:
        at = run.end + run.stopping_s + dice.randint(10, HOUR)
    life.destroyed_at = at
    # the plan was made without it: nothing happens to what no longer exists
    life.runs = [run for run in life.runs if run.start < at]
    life.titles = [change for change in life.titles if change[0] < at]
    life.image_saves = [change for change in life.image_saves if change[0] < at]
    life.twists = [twist for twist in life.twists if twist.begins < at]


def _office(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    if dice.random() > (0.9 if workday else 0.12):
        return []
    begins = midnight + dice.randint(8 * HOUR + 20 * MINUTE, 10 * HOUR + 40 * MINUTE)
    if dice.random() < 0.3:  # off over lunch
        noon = midnight + dice.randint(13 * HOUR, 14 * HOUR)
        lunch = midnight + dice.randint(11 * HOUR + 30 * MINUTE, 12 * HOUR + 30 * MINUTE)
        return [(begins, lunch - begins), (noon, dice.randint(3 * HOUR, 6 * HOUR))]
    return [(begins, dice.randint(5 * HOUR, 11 * HOUR))]


def _overnight(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    if dice.random() > (0.75 if workday else 0.4):
        return []
    begins = midnight + dice.randint(17 * HOUR + 30 * MINUTE, 23 * HOUR + 30 * MINUTE)
    return [(begins, dice.randint(7 * HOUR, 15 * HOUR))]


def _batch(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    runs = dice.randint(2, 9) if workday else dice.randint(0, 3)
    return [
        (midnight + dice.randint(8 * HOUR, DAY - 1), dice.randint(3 * MINUTE, 90 * MINUTE))
        for _ in range(runs)
    ]


def _forgotten(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    if dice.random() > (0.5 if workday else 0.1):
        return []
    return [(midnight + dice.randint(9 * HOUR, 21 * HOUR), dice.randint(DAY, 5 * DAY))]


def _idle_plans(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    if dice.random() > (0.15 if workday else 0.05):
        return []
    return [(midnight + dice.randint(9 * HOUR, 22 * HOUR), dice.randint(HOUR // 3, 2 * HOUR))]


def _flapping(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    """Add runs of a flapping instance, started again and again and ending within minutes."""
    at = midnight + dice.randint(8 * HOUR, 20 * HOUR)
    plans = []
    for _ in range(dice.randint(10, 60)):
        plans.append((at, dice.randint(10, 420)))
        at += plans[-1][1] + dice.randint(65, 400)
    return plans


def _never(dice: Random, midnight: Instant, workday: bool) -> list[Plan]:
    return []


_KINDS: Final[dict[str, Planner]] = {
    "office": _office,
    "overnight": _overnight,
    "batch": _batch,
    "forgotten": _forgotten,
    "idle": _idle_plans,
    "flapping": _flapping,
    "never_started": _never,
}


def _pick(dice: Random, weights: Mapping[T, float]) -> T:
    return dice.choices(list(weights), list(weights.values()))[0]
