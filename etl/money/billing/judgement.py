"""Which way of charging the bill speaks for, how clearly, and what can be learned from it.

Pure. Amounts are millionths of a yuan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Literal

from etl.money.billing.evidence import Evidence, Window
from etl.money.billing.hypotheses import (
    COUNTINGS,
    EXTRAS,
    HOUR_S,
    USUAL_BOOT_S,
    Counting,
    Extra,
    Fit,
    Hypothesis,
    Periods,
    Subject,
    fitted,
)
from etl.money.charging import ChargingModel
from etl.money.pricing import Override

FEWEST_WINDOWS: Final = 8
"""With fewer nothing is said."""
LEAST_SHARE: Final = 0.85
"""A model that explains less of the windows is not offered."""
LEAST_AHEAD: Final = 2
"""Windows by which the best must be ahead of another that says something else."""
MOST_WINDOWS: Final = 1_500
"""More are not asked: the newest are."""
FEWEST_FOR_PRICE: Final = 3
"""Windows that a learned price must explain."""
ANY_BARE: Final[Subject] = ("no card", "")
OTHER_SHARE: Final = 0.2
"""Lines with one remark of which less is explained, while others are, are about something else."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another hypothesis and in how many windows it says something else than the best."""

    fit: Fit
    differing: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`best` is None where nothing can be said, `why_not` says why. `equal`: hypotheses that say the
    same of all windows, or that are too close. `learned` and `model` are what `--accept` sets."""

    evidence: Evidence
    windows: Sequence[Window]
    set_aside: dict[str, int]
    fits: Sequence[Fit]
    best: Fit | None
    equal: Sequence[Rival]
    rivals: Sequence[Rival]
    why_not: str | None
    model: ChargingModel | None
    learned: Sequence[Override]
    boots_s: Sequence[int] = ()

    @property
    def is_clear(self) -> bool:
        """Whether there is a model to accept."""
        return self.why_not is None


def judged(found: Evidence, periods: Periods, current: ChargingModel) -> Verdict:
    """What the evidence says. `periods` gives the prices of terms without what was learned before."""
    windows, set_aside, fits = _fits(found, periods)
    best = fits[0] if fits else None
    others = [Rival(fit, _differing(best, fit, windows)) for fit in fits[1:] if best is not None]
    equal = [rival for rival in others if best is not None and _is_equal(best, rival)]
    rivals = [rival for rival in others if rival not in equal]
    verdict = Verdict(
        found, windows, set_aside, fits, best, equal, rivals, _why_not(best, windows), None, ()
    )
    if best is None or verdict.why_not is not None:
        return verdict
    boots = _boots(best.hypothesis.counting, windows)
    return replace(
        verdict,
        model=_model(best.hypothesis.counting, boots, current),
        learned=tuple(_learned(best)),
        boots_s=boots,
    )


def _fits(
    found: Evidence, periods: Periods
) -> tuple[Sequence[Window], dict[str, int], Sequence[Fit]]:
    """Fits by rank; lines that are about something else are set aside first."""
    windows, set_aside = found.windows[-MOST_WINDOWS:], dict[str, int]()
    fits = _ranked(windows, periods)
    if fits:
        set_aside = _other_remarks(fits[0], fits[0].explained, windows)
    if not set_aside and fits and fits[0].share < LEAST_SHARE:
        # who says a range explains what is of other things too: who says one amount knows better
        exact = max(fits, key=lambda fit: len(fit.exact))
        set_aside = _other_remarks(exact, exact.exact, windows)
    if set_aside:
        windows = [window for window in windows if window.remark not in set_aside]
        fits = _ranked(windows, periods)
    return windows, set_aside, fits


def _ranked(windows: Sequence[Window], periods: Periods) -> list[Fit]:
    if not windows:
        return []
    hypotheses = [Hypothesis(counting, extra) for extra in EXTRAS for counting in COUNTINGS]
    found = [fitted(hypothesis, windows, periods) for hypothesis in hypotheses]
    fits = [fit for fit in found if not fit.is_simpler]
    return sorted(
        fits, key=lambda fit: fit.rank, reverse=True
    )  # of equals the simplest stays first


def _other_remarks(fit: Fit, told: Set[int], windows: Sequence[Window]) -> dict[str, int]:
    """Remarks of lines that are about something else, where the windows `told` show that `fit` is
    right about those with another remark; and how many windows have them."""
    all_of = Counter(window.remark for window in windows)
    by_remark = Counter(windows[number].remark for number in told)
    if max(by_remark[remark] / count for remark, count in all_of.items()) < LEAST_SHARE:
        return {}
    explained = Counter(windows[number].remark for number in fit.explained)
    return {r: count for r, count in all_of.items() if explained[r] / count < OTHER_SHARE}


def _differing(best: Fit, other: Fit, windows: Sequence[Window]) -> int:
    """Windows of which one says the amount, and the other does not, or not as exactly."""
    return len(best.explained ^ other.explained) + len(
        (best.exact ^ other.exact) & best.explained & other.explained
    )


def _is_equal(best: Fit, rival: Rival) -> bool:
    return rival.differing == 0 or best.rank - rival.fit.rank < 2 * LEAST_AHEAD


def _why_not(best: Fit | None, windows: Sequence[Window]) -> str | None:
    if best is None or len(windows) < FEWEST_WINDOWS:
        return (
            f"{len(windows)} settlement windows are of one instance alone,"
            f" and it takes {FEWEST_WINDOWS} to judge"
        )
    if best.share < LEAST_SHARE:
        return (
            f"the best hypothesis explains {100 * best.share:.0f} % of the windows,"
            f" and it takes {100 * LEAST_SHARE:.0f} % to offer it"
        )
    return None


def _boots(counting: Counting, windows: Sequence[Window]) -> tuple[int, ...]:
    """How long boots lasted, where windows show it by beginning after the run."""
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
    boot_s = round(median(boots)) if boots else USUAL_BOOT_S
    most = max([*boots, current.boot_max_s])
    return ChargingModel("running", step_s, boot_s, most)


def _learned(best: Fit) -> list[Override]:
    """Prices that explain enough windows. What most runs without a GPU cost is for all of them, but
    for images that cost otherwise."""
    rates = {s: rate for s, rate in sorted(best.rates.items()) if rate}
    backed = dict(best.backed)
    bare: Counter[int] = Counter()
    for subject, rate in rates.items():
        if subject[0] == "no card":
            bare[rate] += backed[subject]
    for rate, windows in bare.most_common(1):
        rates = {s: r for s, r in rates.items() if s[0] != "no card" or r != rate}
        rates[ANY_BARE], backed[ANY_BARE] = rate, windows
    return [
        _override(subject, rate, backed[subject], best.hypothesis.extra)
        for subject, rate in rates.items()
        if backed[subject] >= FEWEST_FOR_PRICE
    ]


def _override(subject: Subject, rate: int, backed: int, extra: Extra) -> Override:
    note = f"explains {backed} settlement windows"
    if subject[0] == "no card":
        return Override(
            "hour",
            rate,
            image_uuid=subject[1] or None,
            no_card=True,
            per="instance",
            note=note,
            source="bill",
        )
    if subject[0] == "image":
        per: Literal["gpu", "instance"] = "gpu" if extra == "gpu" else "instance"
        return Override(
            "hour", rate, image_uuid=subject[1], per=per, adds=True, note=note, source="bill"
        )
    uuid, name = subject[1], subject[2]
    return Override(
        "hour",
        rate,
        gpu_uuid=uuid or None,
        gpu_name=None if uuid else name or None,
        note=note,
        source="bill",
    )


def indistinct(verdict: Verdict) -> list[str]:
    """What could not be told apart, and why."""
    best = verdict.best
    if best is None or not verdict.windows:
        return []
    said: dict[str, list[str]] = defaultdict(list)
    for rival in verdict.equal:
        other, chosen = rival.fit.hypothesis, best.hypothesis
        if (
            other.extra == chosen.extra
            and other.counting.counts_from == chosen.counting.counts_from
        ):
            said[_step_reason(verdict.windows)].append(other.counting.in_words)
        elif other.extra == chosen.extra and _steps(other) == _steps(chosen):
            said[_origin_reason(verdict.windows)].append(other.counting.in_words)
        elif other.counting == chosen.counting:
            said[_extra_reason(verdict.windows)].append(other.in_words)
    return [f"{'; '.join(words)}: {reason}" for reason, words in said.items()]


def _steps(hypothesis: Hypothesis) -> tuple[int, str]:
    return hypothesis.counting.step_s, hypothesis.counting.rounds


def _step_reason(windows: Sequence[Window]) -> str:
    lengths = [window.ends_s - window.starts_s for window in windows]
    for unit_s, name in ((HOUR_S, "hours"), (60, "minutes")):
        if all(length % unit_s == 0 for length in lengths):
            return f"every window lasts whole {name}"
    return "too few windows end within a step"


def _origin_reason(windows: Sequence[Window]) -> str:
    firsts = sum(share.is_first for window in windows for share in window.shares)
    return f"{firsts} windows hold the beginning of a run"


def _extra_reason(windows: Sequence[Window]) -> str:
    counts = {share.run.gpus for window in windows for share in window.shares}
    if len(counts) == 1:
        return f"every window is of {counts.pop()} GPU"
    return "too few windows of one image with different numbers of GPUs"


def stopped_charges(found: Evidence) -> tuple[int, int, int]:
    """Windows of time in which nothing ran: how many, their amount, and their seconds."""
    charged = [window for window in found.stopped if window.amount]
    return (
        len(charged),
        sum(window.amount for window in charged),
        sum(window.length_s for window in charged),
    )


def other_remarks(verdict: Verdict) -> dict[str, tuple[int, int]]:
    """Remarks that no explained window has: how many windows have them, and their amount."""
    best, found = verdict.best, verdict.evidence
    if best is None:
        return {}
    told = {verdict.windows[number].remark for number in best.explained}
    counted: dict[str, tuple[int, int]] = {}
    for window in (*found.windows, *found.stopped, *found.shared):
        if window.remark not in told:
            count, amount = counted.get(window.remark, (0, 0))
            counted[window.remark] = count + 1, amount + window.amount
    return counted
