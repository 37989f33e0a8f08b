"""Judge which way of charging fits the bill, how clearly, and which prices can be learned.

Pure. Amounts are millionths of a yuan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Literal, NamedTuple

from etl.money.billing.evidence import Evidence, SettlementWindow
from etl.money.billing.hypotheses import (
    COUNTINGS,
    EXTRAS,
    Counting,
    Extra,
    Fit,
    Hypothesis,
    Periods,
    PriceSubject,
    fitted,
)
from etl.money.charging import ChargingModel
from etl.money.tariffs import Override
from etl.texts import Text, joined, tr
from etl.units import HOUR_S

FEWEST_WINDOWS: Final = 8
"""The fewest windows that count as evidence."""
LEAST_SHARE: Final = 0.85
"""The least share of the windows that a model must explain to be offered."""
# one window may fit by chance
LEAST_AHEAD: Final = 2
"""The fewest windows by which the best must be ahead of a hypothesis that predicts other amounts."""
MOST_WINDOWS: Final = 1_500
"""The most windows that are judged; of more, only the newest count."""
# a constant can be made to fit any one window
FEWEST_FOR_PRICE: Final = 3
"""The fewest windows that a learned price must explain."""
ANY_BARE: Final = PriceSubject("no card", "")
OTHER_SHARE: Final = 0.2
"""The least share of lines with one remark that must be explained.

If fewer are, while lines with other remarks are explained, those lines are about something else.
"""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another hypothesis, and the number of windows for which it predicts another amount."""

    fit: Fit
    differing: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a judgement.

    `best` is None if there is no evidence, and `why_not` is the reason. `equal` are hypotheses that
    predict the same of all windows, or are too close. `--accept` sets `learned` and `model`.
    """

    evidence: Evidence
    windows: Sequence[SettlementWindow]
    set_aside: dict[str, int]
    fits: Sequence[Fit]
    best: Fit | None
    equal: Sequence[Rival]
    rivals: Sequence[Rival]
    why_not: Text | None
    model: ChargingModel | None
    learned: Sequence[Override]
    boots_s: Sequence[int] = ()

    @property
    def is_clear(self) -> bool:
        """Tell whether there is a model to accept."""
        return self.why_not is None


def judge_hypotheses(known: Evidence, periods: Periods, current: ChargingModel) -> Judgement:
    """Judge the evidence. `periods` gives the prices of terms without those learned before."""
    windows, set_aside, fits = _fits(known, periods)
    best = fits[0] if fits else None
    others = [Rival(fit, _differing(best, fit, windows)) for fit in fits[1:] if best is not None]
    equal = [rival for rival in others if best is not None and _is_equal(best, rival)]
    rivals = [rival for rival in others if rival not in equal]
    judgement = Judgement(
        known, windows, set_aside, fits, best, equal, rivals, _why_not(best, windows), None, ()
    )
    if best is None or judgement.why_not is not None:
        return judgement
    boots = _boots(best.hypothesis.counting, windows)
    return replace(
        judgement,
        model=_model(best.hypothesis.counting, boots, current),
        learned=tuple(_learned_prices(best)),
        boots_s=boots,
    )


class _Fits(NamedTuple):
    """Fits by rank, the windows that they were fitted to, and counts of the remarks set aside."""

    windows: Sequence[SettlementWindow]
    set_aside: dict[str, int]
    fits: Sequence[Fit]


def _fits(known: Evidence, periods: Periods) -> _Fits:
    """Rank all hypotheses, after lines about something else are set aside."""
    # the newest: ways of charging change, and the time grows with the windows
    windows, set_aside = known.windows[-MOST_WINDOWS:], dict[str, int]()
    fits = _ranked(windows, periods)
    if fits:
        set_aside = _other_remarks(fits[0], fits[0].explained, windows)
    if not set_aside and fits and fits[0].share < LEAST_SHARE:
        # a range also explains lines about other things: who predicts one amount knows better
        exact = max(fits, key=lambda fit: len(fit.exact))
        set_aside = _other_remarks(exact, exact.exact, windows)
    if set_aside:
        windows = [window for window in windows if window.remark not in set_aside]
        fits = _ranked(windows, periods)
    return _Fits(windows, set_aside, fits)


def _ranked(windows: Sequence[SettlementWindow], periods: Periods) -> list[Fit]:
    if not windows:
        return []
    hypotheses = [Hypothesis(counting, extra) for extra in EXTRAS for counting in COUNTINGS]
    fits = [fitted(hypothesis, windows, periods) for hypothesis in hypotheses]
    complex_enough = [fit for fit in fits if not fit.is_simpler]
    # the sort is stable: of equals the simplest stays first
    return sorted(complex_enough, key=lambda fit: fit.rank, reverse=True)


def _other_remarks(fit: Fit, sure: Set[int], windows: Sequence[SettlementWindow]) -> dict[str, int]:
    """Map remarks of lines about something else to their number of windows.

    Empty unless the windows `sure` show that `fit` is right about those with another remark.
    """
    all_of = Counter(window.remark for window in windows)
    by_remark = Counter(windows[number].remark for number in sure)
    # no kind of line is explained well: nothing says that the model is right about any
    if max(by_remark[remark] / count for remark, count in all_of.items()) < LEAST_SHARE:
        return {}
    explained = Counter(windows[number].remark for number in fit.explained)
    return {r: count for r, count in all_of.items() if explained[r] / count < OTHER_SHARE}


def _differing(best: Fit, other: Fit, windows: Sequence[SettlementWindow]) -> int:
    """Count the windows whose amount one predicts, and the other does not, or less exactly."""
    return len(best.explained ^ other.explained) + len(
        (best.exact ^ other.exact) & best.explained & other.explained
    )


def _is_equal(best: Fit, rival: Rival) -> bool:
    # twice, since a window that is exact counts for two in the rank
    return rival.differing == 0 or best.rank - rival.fit.rank < 2 * LEAST_AHEAD


def _why_not(best: Fit | None, windows: Sequence[SettlementWindow]) -> Text | None:
    if best is None or len(windows) < FEWEST_WINDOWS:
        return tr(
            "{count} settlement windows are of one instance alone, and it takes {fewest} to judge",
            count=len(windows),
            fewest=FEWEST_WINDOWS,
        )
    if best.share < LEAST_SHARE:
        return tr(
            "the best hypothesis explains {share:.0f} % of the windows, and it takes {least:.0f} % to"
            " offer it",
            share=100 * best.share,
            least=100 * LEAST_SHARE,
        )
    return None


def _boots(counting: Counting, windows: Sequence[SettlementWindow]) -> tuple[int, ...]:
    """Return how long boots lasted, as shown by windows that begin after their run."""
    if counting.counts_from == "start":
        return ()
    return tuple(
        sorted(
            share.origin_s - share.run.started_s
            for window in windows
            for share in window.shares
            if share.is_first and share.origin_s > share.run.started_s
        )
    )


def _model(counting: Counting, boots: Sequence[int], current: ChargingModel) -> ChargingModel:
    # half of the minutes are rounded up, half down: by the second is right on average
    step_s = 1 if counting.rounds == "nearest" else counting.step_s
    if counting.counts_from == "start":
        return replace(current, counts_from="start", step_s=step_s)
    # the median, as one machine that hung for minutes says nothing of the others
    boot_s = round(median(boots)) if boots else current.boot_s
    # a bound: it never shrinks because of what was seen so far
    most = max([*boots, current.boot_max_s])
    return ChargingModel("running", step_s, boot_s, most)


def _learned_prices(best: Fit) -> list[Override]:
    """Return prices that explain enough windows.

    The commonest price of runs without a GPU is taken for all of them, except for images that have
    another one.
    """
    rates = {s: rate for s, rate in sorted(best.rates.items()) if rate}
    backed = dict(best.backed)
    bare: Counter[int] = Counter()
    for subject, rate in rates.items():
        if subject.kind == "no card":
            bare[rate] += backed[subject]
    # one price for all runs without a card, as long as no image shows another
    for rate, windows in bare.most_common(1):
        rates = {s: r for s, r in rates.items() if s.kind != "no card" or r != rate}
        rates[ANY_BARE], backed[ANY_BARE] = rate, windows
    return [
        _learned_override(subject, rate, backed[subject], best.hypothesis.extra)
        for subject, rate in rates.items()
        if backed[subject] >= FEWEST_FOR_PRICE
    ]


def _learned_override(subject: PriceSubject, rate: int, backed: int, extra: Extra) -> Override:
    priced = Override(
        "hour", rate, note=tr("explains {count} settlement windows", count=backed), source="bill"
    )
    if subject.kind == "no card":
        return replace(priced, image_uuid=subject.uuid or None, no_card=True, per="instance")
    if subject.kind == "image":
        per: Literal["gpu", "instance"] = "gpu" if extra == "gpu" else "instance"
        return replace(priced, image_uuid=subject.uuid, per=per, adds=True)
    # the uuid is the identity of a model: names are changed and shared
    name = None if subject.uuid else subject.name or None
    return replace(priced, gpu_uuid=subject.uuid or None, gpu_name=name)


def indistinct(judgement: Judgement) -> list[Text]:
    """Return the hypotheses that could not be told apart from the best, each with the reason."""
    best = judgement.best
    if best is None or not judgement.windows:
        return []
    by_reason: dict[Text, list[Text]] = defaultdict(list)
    for rival in judgement.equal:
        other, chosen = rival.fit.hypothesis, best.hypothesis
        if (
            other.extra == chosen.extra
            and other.counting.counts_from == chosen.counting.counts_from
        ):
            by_reason[_step_reason(judgement.windows)].append(other.counting.in_words)
        elif other.extra == chosen.extra and _steps(other) == _steps(chosen):
            by_reason[_origin_reason(judgement.windows)].append(other.counting.in_words)
        elif other.counting == chosen.counting:
            by_reason[_extra_reason(judgement.windows)].append(other.in_words)
    return [
        tr("{words}: {reason}", words=joined(words, tr("; ")), reason=reason)
        for reason, words in by_reason.items()
    ]


def _steps(hypothesis: Hypothesis) -> tuple[int, str]:
    return hypothesis.counting.step_s, hypothesis.counting.rounds


def _step_reason(windows: Sequence[SettlementWindow]) -> Text:
    # windows of whole steps cost the same by any smaller step
    lengths = [window.ends_s - window.starts_s for window in windows]
    hours, minutes = tr("every window lasts whole hours"), tr("every window lasts whole minutes")
    for unit_s, words in ((HOUR_S, hours), (60, minutes)):
        if all(length % unit_s == 0 for length in lengths):
            return words
    return tr("too few windows end within a step")


def _origin_reason(windows: Sequence[SettlementWindow]) -> Text:
    # whether the boot is charged shows in the first window of a run alone
    firsts = sum(share.is_first for window in windows for share in window.shares)
    return tr("{count} windows hold the beginning of a run", count=firsts)


def _extra_reason(windows: Sequence[SettlementWindow]) -> Text:
    counts = {share.run.gpus for window in windows for share in window.shares}
    if len(counts) == 1:
        return tr("every window is of {count} GPU", count=counts.pop())
    return tr("too few windows of one image with different numbers of GPUs")


class StoppedCharges(NamedTuple):
    """Charges for time in which nothing ran: windows, their amount, and their seconds."""

    windows: int
    amount: int
    seconds: int


def stopped_charges(known: Evidence) -> StoppedCharges:
    """Add up the windows in which nothing ran."""
    # a line of 0 yuan charges nothing for the time
    charged = [window for window in known.stopped if window.amount]
    return StoppedCharges(
        len(charged),
        sum(window.amount for window in charged),
        sum(window.length_s for window in charged),
    )


class RemarkTotal(NamedTuple):
    """Windows with one remark, and their amount."""

    windows: int
    amount: int


def other_remarks(judgement: Judgement) -> dict[str, RemarkTotal]:
    """Map the remarks that no explained window has to their windows and amount."""
    best, known = judgement.best, judgement.evidence
    if best is None:
        return {}
    explained = {judgement.windows[number].remark for number in best.explained}
    totals: dict[str, RemarkTotal] = {}
    for window in (*known.windows, *known.stopped, *known.shared):
        if window.remark not in explained:
            count, amount = totals.get(window.remark, (0, 0))
            totals[window.remark] = RemarkTotal(count + 1, amount + window.amount)
    return totals
