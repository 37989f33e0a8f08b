"""Ways in which running time may be charged, and what each of them says of a window.

Pure. Amounts are millionths of a yuan, times seconds. A range has a least, a likely and a most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from etl.money.billing.evidence import LONGEST_BOOT_S, Share, Window
from etl.money.pricing import PER_S, PricePeriod, PriceTerms
from etl.poll import Instant

FEN: Final = 10_000
"""What a line is rounded to: it may be off by less than this."""
HOUR_S: Final = PER_S["hour"]
USUAL_BOOT_S: Final = 60
Rounds = Literal["begun", "nearest"]
Periods = Callable[[PriceTerms], Sequence[PricePeriod]]
Subject = tuple[str, ...]
"""What a learned price is about: ("image", uuid), ("gpu", uuid, name) or ("no card", image uuid)."""


class Range(NamedTuple):
    least: int
    likely: int
    most: int


@dataclass(frozen=True, slots=True)
class Counting:
    """Which seconds count: from `start` or `running` on, in steps that are charged when `begun`, or
    when half of them has passed (`nearest`)."""

    counts_from: Literal["start", "running"]
    step_s: int
    rounds: Rounds = "begun"

    def charged(self, age_s: int) -> int:
        """Seconds that are charged of so many."""
        more = self.step_s - 1 if self.rounds == "begun" else self.step_s // 2
        return max(0, age_s + more) // self.step_s * self.step_s

    @property
    def in_words(self) -> str:
        unit = {1: "second", 60: "minute", HOUR_S: "hour"}[self.step_s]
        how = "" if self.step_s == 1 else "begun " if self.rounds == "begun" else "rounded "
        since = "start_time" if self.counts_from == "start" else "running, the boot excluded"
        return f"from {since}, by the {how}{unit}"


_STEPS: Final[tuple[tuple[int, Rounds], ...]] = (
    (1, "begun"),
    (60, "begun"),
    (60, "nearest"),
    (HOUR_S, "begun"),
)
COUNTINGS: Final = (
    *(Counting("start", step_s, rounds) for step_s, rounds in _STEPS),
    *(Counting("running", step_s, rounds) for step_s, rounds in _STEPS),
)
Extra = Literal["none", "instance", "gpu", "learned"]
EXTRAS: Final[tuple[Extra, ...]] = ("none", "instance", "gpu", "learned")
EXTRA_WORDS: Final[Mapping[Extra, str]] = {
    "none": "the GPU price alone",
    "instance": "the GPU price, and a constant an hour for the image",
    "gpu": "the GPU price, and a constant an hour for the image on each GPU",
    "learned": "a price for each GPU model, which is not the listed one",
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    counting: Counting
    extra: Extra

    @property
    def in_words(self) -> str:
        return f"{self.counting.in_words}; {EXTRA_WORDS[self.extra]}"


@dataclass(frozen=True, slots=True)
class Said:
    """What a hypothesis says of a window, but for what is to be learned: the cost at known prices,
    and instance-seconds and card-seconds at a price that is not known. `subject`: whose price that
    is; None where nothing is left to learn."""

    window: Window
    cost: Range
    per_s: Range
    subject: Subject | None

    def with_rate(self, rate: int) -> Range:
        """What is charged where the unknown price is `rate` an hour."""
        likely = self.per_s.likely * rate
        bounds = sorted((self.per_s.least * rate, self.per_s.most * rate))
        return Range(
            (self.cost.least + bounds[0]) // HOUR_S,
            (self.cost.likely + likely + HOUR_S // 2) // HOUR_S,
            -(-(self.cost.most + bounds[1]) // HOUR_S),
        )


@dataclass(slots=True)
class Fit:
    """How a hypothesis fits. `explained`: windows whose amount it says to the fen; `exact`: those of
    them of which it says no more than one amount. `rates` were learned, millionths an hour."""

    hypothesis: Hypothesis
    explained: set[int] = field(default_factory=set)
    exact: set[int] = field(default_factory=set)
    likely: dict[int, int] = field(default_factory=dict)
    rates: dict[Subject, int] = field(default_factory=dict)
    backed: dict[Subject, int] = field(default_factory=dict)
    windows: int = 0
    error_permille: float = 0.0

    @property
    def share(self) -> float:
        return len(self.explained) / self.windows if self.windows else 0.0

    @property
    def learned(self) -> int:
        """How many prices it takes."""
        return sum(1 for rate in self.rates.values() if rate)

    @property
    def rank(self) -> int:
        """The higher, the better. Who says one amount says more than who says a range, and what is
        learned must explain more than one window each."""
        return len(self.explained) + len(self.exact) - 2 * self.learned

    @property
    def is_simpler(self) -> bool:
        """Whether it learns nothing of images: then it is the GPU price alone."""
        return self.hypothesis.extra in ("instance", "gpu") and not any(
            rate for subject, rate in self.rates.items() if subject[0] == "image"
        )


def fitted(hypothesis: Hypothesis, windows: Sequence[Window], periods: Periods) -> Fit:
    """How a hypothesis fits these windows, with the constants that fit best."""
    said = [_said(hypothesis, window, periods) for window in windows]
    fit = Fit(hypothesis, windows=len(windows))
    by_subject: dict[Subject, list[Said]] = defaultdict(list)
    for each in said:
        if each.subject is not None:
            by_subject[each.subject].append(each)
    for subject, about in by_subject.items():
        fit.rates[subject], fit.backed[subject] = best_rate(about)
    errors = []
    for number, each in enumerate(said):
        says = each.with_rate(fit.rates.get(each.subject, 0) if each.subject else 0)
        fit.likely[number] = says.likely
        amount = each.window.amount
        if says.least - FEN < amount < says.most + FEN:
            fit.explained.add(number)
            if says.most - says.least <= FEN:
                fit.exact.add(number)
        else:
            off = max(says.least - amount, amount - says.most)
            errors.append(min(1.0, off / max(abs(amount), 1)))
    fit.error_permille = 1000 * sum(errors) / max(1, len(windows))
    return fit


def best_rate(about: Sequence[Said]) -> tuple[int, int]:
    """The price an hour that explains the most windows, 0 where that explains as many; and how many
    those are. Of the prices that explain as many, the roundest."""
    edges: list[tuple[int, int]] = []
    free = 0
    for each in about:
        bounds = _rates(each)
        if bounds is not None and bounds[1] >= 0:
            least, most = max(0, bounds[0]), bounds[1]
            free += least == 0
            edges += [(least, -1), (most, 1)]
    best, count, chosen = free, 0, (0, 0)
    edges.sort()
    for number, (at, side) in enumerate(edges):
        count -= side
        if side < 0 and count > best:
            best, chosen = count, (at, edges[number + 1][0])
    return (roundest(*chosen), best) if chosen != (0, 0) else (0, best)


def roundest(least: int, most: int) -> int:
    """The number of [least, most] with the fewest digits, near the middle of several."""
    middle = (least + most) // 2
    for power in range(9, -1, -1):
        unit = int(10**power)
        for candidate in (middle // unit * unit, -(-middle // unit) * unit):
            if least <= candidate <= most:
                return candidate
    return middle


def _rates(each: Said) -> tuple[int, int] | None:
    """The prices an hour that explain a window: from, to."""
    if each.per_s.likely <= 0:
        return None
    amount = each.window.amount * HOUR_S
    least = (amount - FEN * HOUR_S + 1 - each.cost.most) / max(1, each.per_s.most)
    most = (amount + FEN * HOUR_S - 1 - each.cost.least) / max(1, each.per_s.least)
    return int(least), int(most)


def _said(hypothesis: Hypothesis, window: Window, periods: Periods) -> Said:
    cost = per_s = Range(0, 0, 0)
    subject: Subject | None = None
    for share in window.shares:
        terms = share.run.terms
        known = periods(terms)
        is_unknown = any(period.price_microcny is None for period in _inside(known, share))
        learns = hypothesis.extra
        if terms.no_card and is_unknown:
            subject, times, known = ("no card", terms.image_uuid), 1, ()
        elif is_unknown or learns == "learned":
            subject = ("gpu", terms.gpu_uuid, terms.gpu_name)
            times, known = share.run.gpus, ()
        elif learns == "none":
            times = 0
        else:
            subject = ("image", terms.image_uuid)
            times = share.run.gpus if learns == "gpu" else 1
        seconds, amounts = _counted(hypothesis.counting, share, known)
        cost = Range(*(a + b for a, b in zip(cost, amounts, strict=True)))
        per_s = Range(*(a + times * b for a, b in zip(per_s, seconds, strict=True)))
    return Said(window, cost, per_s, subject)


def _inside(known: Sequence[PricePeriod], share: Share) -> Iterator[PricePeriod]:
    for period in known:
        if period.starts_s < share.ends_max_s and period.ends_s > share.begins_s:
            yield period


def _counted(counting: Counting, share: Share, known: Sequence[PricePeriod]) -> tuple[Range, Range]:
    """Seconds that are charged of a share, and what they cost, times seconds of an hour."""
    start, origin = share.run.started_s, share.origin_s
    if counting.counts_from == "start":
        begins = start if share.is_first else share.begins_s
        spans = [(begins, end, start) for end in (share.ends_min_s, share.ends_s, share.ends_max_s)]
    elif origin > start or (counting.step_s == 1 and not share.is_first):
        spans = [
            (share.begins_s, end, origin)
            for end in (share.ends_min_s, share.ends_s, share.ends_max_s)
        ]
    else:  # when it had booted is not known
        boots = (LONGEST_BOOT_S, USUAL_BOOT_S, 0)
        ends = (share.ends_min_s, share.ends_s, share.ends_max_s)
        spans = [
            (max(share.begins_s, start + boot), end, start + boot)
            for boot, end in zip(boots, ends, strict=True)
        ]
    found = [_cost(counting, *span, share, known) for span in spans]
    seconds = sorted(each[0] for each in found)
    return (
        Range(seconds[0], found[1][0], seconds[2]),
        Range(min(f[1] for f in found), found[1][2], max(f[3] for f in found)),
    )


def _cost(
    counting: Counting,
    begins: Instant,
    ends: Instant,
    origin: Instant,
    share: Share,
    known: Sequence[PricePeriod],
) -> tuple[int, int, int, int]:
    """Seconds charged from `begins` to `ends` of a run that counts from `origin`, and what they cost
    at least, likely and at most."""

    def between(since: Instant, until: Instant) -> int:
        return counting.charged(until - origin) - counting.charged(since - origin)

    if ends <= begins:
        return 0, 0, 0, 0
    costs = [0, 0, 0]
    for period in known:
        if period.starts_s < ends and period.ends_s > begins:
            seconds = between(max(begins, period.starts_s), min(ends, period.ends_s))
            for i, price in enumerate(
                (period.price_min_microcny, period.price_microcny, period.price_max_microcny)
            ):
                an_hour = share.run.gpus * (price or 0) + (period.flat_microcny or 0)
                costs[i] += seconds * an_hour * HOUR_S // period.per_s
    return between(begins, ends), costs[0], costs[1], costs[2]
