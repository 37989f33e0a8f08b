"""Ways in which running time may be charged, and the amount that each predicts for a window.

Pure. Amounts are millionths of a yuan, times seconds. A range has a least, a likely and a most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from etl.history.lengths import USUAL_BOOT_S
from etl.money.billing.evidence import LONGEST_BOOT_S, SettlementWindow, Share
from etl.money.tariffs import PricePeriod, PriceTerms
from etl.poll import Instant
from etl.texts import Text, joined, tr
from etl.units import FEN, HOUR_S

Rounds = Literal["begun", "nearest"]
Periods = Callable[[PriceTerms], Sequence[PricePeriod]]


class PriceSubject(NamedTuple):
    """The thing that a learned price is for: a GPU model, an image, or runs without a card.

    `uuid` is that of the GPU model or of the image, which runs without a card have too. `name` is that
    of a GPU model.
    """

    kind: Literal["image", "gpu", "no card"]
    uuid: str
    name: str = ""


class Range(NamedTuple):
    """An amount between two bounds."""

    least: int
    likely: int
    most: int


@dataclass(frozen=True, slots=True)
class Counting:
    """A rule that says which seconds are charged.

    They count from `start` or `running` on, in steps that are charged when `begun`, or when half of
    one has passed (`nearest`).
    """

    counts_from: Literal["start", "running"]
    step_s: int
    rounds: Rounds = "begun"

    def charged(self, age_s: int) -> int:
        """Return the seconds that are charged for a run of this age."""
        # added before the division: rounding up, or to the nearest
        more = self.step_s - 1 if self.rounds == "begun" else self.step_s // 2
        return max(0, age_s + more) // self.step_s * self.step_s

    @property
    def in_words(self) -> Text:
        since = SINCE_WORDS[self.counts_from]
        return tr("{since}, {step}", since=since, step=STEP_WORDS[self.step_s, self.rounds])


SINCE_WORDS: Final[Mapping[str, Text]] = {
    "start": tr("from start_time"),
    "running": tr("from running, the boot excluded"),
}
STEP_WORDS: Final[Mapping[tuple[int, Rounds], Text]] = {
    (1, "begun"): tr("by the second"),
    (60, "begun"): tr("by the begun minute"),
    (60, "nearest"): tr("by the rounded minute"),
    (HOUR_S, "begun"): tr("by the begun hour"),
}
_STEPS: Final[tuple[tuple[int, Rounds], ...]] = (
    (1, "begun"),
    (60, "begun"),
    (60, "nearest"),
    (HOUR_S, "begun"),
)
COUNTINGS: Final = (
    # the simplest first: of equal fits the first one wins
    *(Counting("start", step_s, rounds) for step_s, rounds in _STEPS),
    *(Counting("running", step_s, rounds) for step_s, rounds in _STEPS),
)
Extra = Literal["none", "instance", "gpu", "learned"]
EXTRAS: Final[tuple[Extra, ...]] = ("none", "instance", "gpu", "learned")
EXTRA_WORDS: Final[Mapping[Extra, Text]] = {
    "none": tr("the GPU price alone"),
    "instance": tr("the GPU price, and a constant an hour for the image"),
    "gpu": tr("the GPU price, and a constant an hour for the image on each GPU"),
    "learned": tr("a price for each GPU model, which is not the listed one"),
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    counting: Counting
    extra: Extra

    @property
    def in_words(self) -> Text:
        return joined((self.counting.in_words, EXTRA_WORDS[self.extra]), tr("; "))


@dataclass(frozen=True, slots=True)
class Prediction:
    """The amount that a hypothesis expects of a window, with one price left open.

    `cost` is the cost at known prices, `per_s` the instance-seconds or card-seconds at the open price,
    and `subject` the thing that it is for; None if nothing is left to learn.
    """

    window: SettlementWindow
    cost: Range
    per_s: Range
    subject: PriceSubject | None

    def with_rate(self, rate: int) -> Range:
        """Return the charge if the open price is `rate` an hour."""
        likely = self.per_s.likely * rate
        bounds = sorted((self.per_s.least * rate, self.per_s.most * rate))
        return Range(
            (self.cost.least + bounds[0]) // HOUR_S,
            (self.cost.likely + likely + HOUR_S // 2) // HOUR_S,
            # bounds outwards: a rounded bound must not exclude the true amount
            -(-(self.cost.most + bounds[1]) // HOUR_S),
        )


@dataclass(slots=True)
class Fit:
    """The fit of a hypothesis to some windows.

    `explained` are the windows whose amount it predicts to the fen, `exact` those among them of which
    it predicts a single amount. `rates` were learned: millionths an hour; `backed` counts the windows
    that speak for each.
    """

    hypothesis: Hypothesis
    explained: set[int] = field(default_factory=set)
    exact: set[int] = field(default_factory=set)
    likely: dict[int, int] = field(default_factory=dict)
    rates: dict[PriceSubject, int] = field(default_factory=dict)
    backed: dict[PriceSubject, int] = field(default_factory=dict)
    windows: int = 0
    error_permille: float = 0.0

    @property
    def share(self) -> float:
        return len(self.explained) / self.windows if self.windows else 0.0

    @property
    def learned(self) -> int:
        """Count the learned prices that are not zero."""
        return sum(1 for rate in self.rates.values() if rate)

    @property
    def rank(self) -> int:
        """Score the fit; the higher, the better.

        A single amount counts for more than a range, and a learned price must explain more than one
        window, or any model could be made to fit.
        """
        return len(self.explained) + len(self.exact) - 2 * self.learned

    @property
    def is_simpler(self) -> bool:
        """Tell whether it needs no price for an image, but the GPU price alone."""
        return self.hypothesis.extra in ("instance", "gpu") and not any(
            rate for subject, rate in self.rates.items() if subject.kind == "image"
        )


def fitted(hypothesis: Hypothesis, windows: Sequence[SettlementWindow], periods: Periods) -> Fit:
    """Fit a hypothesis to windows, with the constants that fit best."""
    predictions = [_predicted(hypothesis, window, periods) for window in windows]
    fit = Fit(hypothesis, windows=len(windows))
    # open prices first: a hypothesis is judged at its best
    by_subject: dict[PriceSubject, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        if prediction.subject is not None:
            by_subject[prediction.subject].append(prediction)
    for subject, about in by_subject.items():
        fit.rates[subject], fit.backed[subject] = best_rate(about)
    errors = [_compared(fit, number, prediction) for number, prediction in enumerate(predictions)]
    fit.error_permille = 1000 * sum(errors) / max(1, len(windows))
    return fit


def _compared(fit: Fit, number: int, prediction: Prediction) -> float:
    """Note in the fit whether a window is explained; return how far off it is, 1 at most."""
    subject = prediction.subject
    expected = prediction.with_rate(fit.rates.get(subject, 0) if subject else 0)
    fit.likely[number] = expected.likely
    amount = prediction.window.amount
    # the bill is in fen: each line is rounded once, by less than one
    if not expected.least - FEN < amount < expected.most + FEN:
        off = max(expected.least - amount, amount - expected.most)
        # bounded: one absurd line must not outweigh all others
        return min(1.0, off / max(abs(amount), 1))
    fit.explained.add(number)
    # a range within a fen is as good as one amount
    if expected.most - expected.least <= FEN:
        fit.exact.add(number)
    return 0.0


def best_rate(about: Sequence[Prediction]) -> tuple[int, int]:
    """Return the price an hour that explains the most windows, and how many those are.

    It is 0 if that explains as many; of other prices that do, it is the roundest.
    """
    edges: list[tuple[int, int]] = []
    free = 0
    for prediction in about:
        bounds = _rate_bounds(prediction)
        if bounds is not None and bounds[1] >= 0:
            least, most = max(0, bounds[0]), bounds[1]
            # it needs no price: such windows speak for 0, the simplest of all
            free += least == 0
            edges += [(least, -1), (most, 1)]
    best, count, chosen = free, 0, (0, 0)
    # A sweep over the ends of the ranges. Begins (-1) sort before ends (1), so that ranges which only
    # touch overlap.
    edges.sort()
    for number, (at, side) in enumerate(edges):
        count -= side
        if side < 0 and count > best:
            best, chosen = count, (at, edges[number + 1][0])
    return (roundest(*chosen), best) if chosen != (0, 0) else (0, best)


def roundest(least: int, most: int) -> int:
    """Return the number of [least, most] with the fewest digits, near the middle if there are several."""
    middle = (least + most) // 2
    # people set round prices: the roundest in the range is the likeliest
    for power in range(9, -1, -1):
        unit = int(10**power)
        for candidate in (middle // unit * unit, -(-middle // unit) * unit):
            if least <= candidate <= most:
                return candidate
    return middle


def _rate_bounds(prediction: Prediction) -> tuple[int, int] | None:
    """Return the lowest and the highest price an hour that explain a window."""
    cost, per_s = prediction.cost, prediction.per_s
    # nothing was used at the open price: no rate explains or refutes the window
    if per_s.likely <= 0:
        return None
    amount = prediction.window.amount * HOUR_S
    least = (amount - FEN * HOUR_S + 1 - cost.most) / max(1, per_s.most)
    most = (amount + FEN * HOUR_S - 1 - cost.least) / max(1, per_s.least)
    return int(least), int(most)


def _predicted(hypothesis: Hypothesis, window: SettlementWindow, periods: Periods) -> Prediction:
    cost = per_s = Range(0, 0, 0)
    subject: PriceSubject | None = None
    for share in window.shares:
        known = periods(share.run.terms)
        open_price = _open_price(hypothesis.extra, share, known)
        if open_price is not None:
            subject = open_price
        if open_price is not None and open_price.kind != "image":
            known = ()  # the open price is all that is charged
        times = _times(hypothesis.extra, share, open_price)
        seconds, amounts = _counted(hypothesis.counting, share, known)
        cost = Range(*(a + b for a, b in zip(cost, amounts, strict=True)))
        per_s = Range(*(a + times * b for a, b in zip(per_s, seconds, strict=True)))
    return Prediction(window, cost, per_s, subject)


def _open_price(extra: Extra, share: Share, known: Sequence[PricePeriod]) -> PriceSubject | None:
    """Return the subject of the price that a share leaves to be learned."""
    terms = share.run.terms
    is_unknown = any(period.price_microcny is None for period in _inside(known, share))
    if terms.no_card and is_unknown:
        return PriceSubject("no card", terms.image_uuid)
    if is_unknown or extra == "learned":
        return PriceSubject("gpu", terms.gpu_uuid, terms.gpu_name)
    return None if extra == "none" else PriceSubject("image", terms.image_uuid)


def _times(extra: Extra, share: Share, open_price: PriceSubject | None) -> int:
    """Return how often the open price counts for each second of a share."""
    if open_price is None:
        return 0
    if open_price.kind == "gpu" or (open_price.kind == "image" and extra == "gpu"):
        return share.run.gpus
    return 1


def _inside(known: Sequence[PricePeriod], share: Share) -> Iterator[PricePeriod]:
    for period in known:
        if period.starts_s < share.ends_max_s and period.ends_s > share.begins_s:
            yield period


class _Counted(NamedTuple):
    """Seconds that are charged of a span, and their cost, times seconds of an hour."""

    seconds: int
    least: int
    likely: int
    most: int


class _Span(NamedTuple):
    """Time that counts: a part of a run whose steps count from `origin`."""

    begins: Instant
    ends: Instant
    origin: Instant


def _counted(counting: Counting, share: Share, known: Sequence[PricePeriod]) -> tuple[Range, Range]:
    """Return the seconds that are charged of a share, and their cost, times seconds of an hour."""
    spans = _spans(counting, share)
    least, likely, most = (_charge_of_span(counting, span, share, known) for span in spans)
    # a longer boot can count fewer seconds, or more: the ends are sorted
    seconds = sorted(counted.seconds for counted in (least, likely, most))
    return (
        Range(seconds[0], likely.seconds, seconds[2]),
        Range(
            min(least.least, likely.least, most.least),
            likely.likely,
            max(least.most, likely.most, most.most),
        ),
    )


def _spans(counting: Counting, share: Share) -> list[_Span]:
    """Return the span of a share at its least, likely and most."""
    start, origin = share.run.started_s, share.origin_s
    ends = (share.ends_min_s, share.ends_s, share.ends_max_s)
    if counting.counts_from == "start":
        begins = start if share.is_first else share.begins_s
        return [_Span(begins, end, start) for end in ends]
    # its first window shows when it had booted
    if origin > start or (counting.step_s == 1 and not share.is_first):
        return [_Span(share.begins_s, end, origin) for end in ends]
    boots = (LONGEST_BOOT_S, USUAL_BOOT_S, 0)  # nothing shows when it had booted
    return [
        _Span(max(share.begins_s, start + boot), end, start + boot)
        for boot, end in zip(boots, ends, strict=True)
    ]


def _charge_of_span(
    counting: Counting, span: _Span, share: Share, known: Sequence[PricePeriod]
) -> _Counted:
    """Return the seconds that are charged of a span, and their cost at least, likely and at most."""

    def between(since: Instant, until: Instant) -> int:
        return counting.charged(until - span.origin) - counting.charged(since - span.origin)

    if span.ends <= span.begins:
        return _Counted(0, 0, 0, 0)
    costs = [0, 0, 0]
    for period in known:
        if period.starts_s < span.ends and period.ends_s > span.begins:
            seconds = between(max(span.begins, period.starts_s), min(span.ends, period.ends_s))
            for i, price in enumerate(
                (period.price_min_microcny, period.price_microcny, period.price_max_microcny)
            ):
                an_hour = share.run.gpus * (price or 0) + (period.flat_microcny or 0)
                # times the seconds of an hour: what this division loses is far below a millionth
                costs[i] += seconds * an_hour * HOUR_S // period.per_s
    return _Counted(between(span.begins, span.ends), *costs)
