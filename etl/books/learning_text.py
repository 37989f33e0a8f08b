"""Lessons from the bill, in words and as a record for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from etl.books.entries import exact_yuan
from etl.books.learning import Lesson
from etl.history.days import iso
from etl.money.billing.judgement import (
    Judgement,
    indistinct,
    other_remarks,
    stopped_charges,
)
from etl.units import HOUR_S

SHOWN_RIVALS: Final = 3


def in_words(lesson: Lesson) -> Iterator[str]:
    """Yield the lesson as lines for people."""
    judgement, name = lesson.judgement, lesson.account
    signs = Counter(window.sign for window in judgement.windows)
    yield (
        f"{name}: {lesson.lines} bill lines{_since(lesson)}. {len(judgement.windows)} windows are"
        f" of one instance: in {signs['alone']} nothing else ran, {signs['begins']} begin when one run began,"
        f" {signs['follows']} follow one of those; {len(judgement.evidence.shared)} could be of several"
    )
    if lesson.unobserved:
        yield f"  {lesson.unobserved} lines are of time that was not observed, and left out"
    if judgement.why_not is not None:
        yield f"  undecided: {judgement.why_not}"
    if judgement.best is not None:
        yield from _fit_words("fits best" if judgement.is_clear else "closest", judgement)
    yield from (f"  not told apart from {other}" for other in indistinct(judgement))
    for rival in judgement.rivals[:SHOWN_RIVALS]:
        yield (
            f"  less well: {rival.fit.hypothesis.in_words}"
            f" ({_percent(rival.fit.share)} of the windows, {rival.differing} of them differ)"
        )
    yield from _learned_words(judgement)
    yield f"  {_stopped_words(judgement)}"
    for remark, (count, amount) in other_remarks(judgement).items():
        yield f"  {count} windows with the remark {remark!r} ({exact_yuan(amount)} yuan) are of no running time"
    if lesson.prepaid_periods:
        yield (
            f"  prepaid: {lesson.prepaid_lines} lines charge a prepaid period at its known price;"
            f" at least {lesson.prepaid_periods} periods began and passed"
        )


def as_record(lesson: Lesson) -> dict[str, Any]:
    """Return the lesson as a record for programs."""
    judgement = lesson.judgement
    stopped = stopped_charges(judgement.evidence)
    return {
        "account": lesson.account,
        "since": None if lesson.since is None else iso(lesson.since),
        "bill_lines": lesson.lines,
        "unobserved_lines": lesson.unobserved,
        "windows": len(judgement.windows),
        "shared_windows": len(judgement.evidence.shared),
        "other_remarks": {
            remark: {"windows": n, "amount_microcny": amount}
            for remark, (n, amount) in other_remarks(judgement).items()
        },
        "is_clear": judgement.is_clear,
        "why_not": judgement.why_not,
        "hypotheses": [
            {
                "hypothesis": fit.hypothesis.in_words,
                "explained": len(fit.explained),
                "share": round(fit.share, 4),
                "mean_error": round(fit.error_permille / 1000, 6),
            }
            for fit in judgement.fits
        ],
        "not_told_apart": indistinct(judgement),
        "model": None
        if judgement.model is None
        else {name: getattr(judgement.model, name) for name in judgement.model.__slots__},
        "learned": [
            {name: v for name in price.__slots__ if (v := getattr(price, name)) is not None}
            for price in judgement.learned
        ],
        "stopped": {
            "windows": stopped.windows,
            "amount_microcny": stopped.amount,
            "seconds": stopped.seconds,
            "quiet_ends": judgement.evidence.quiet_ends,
        },
        "prepaid": {"periods": lesson.prepaid_periods, "lines_as_priced": lesson.prepaid_lines},
    }


def _fit_words(label: str, judgement: Judgement) -> Iterator[str]:
    best = judgement.best
    assert best is not None
    yield f"  {label}: {best.hypothesis.in_words}"
    yield (
        f"    explains {len(best.explained)} of {best.windows} windows to the fen"
        f" ({_percent(best.share)}), mean error {best.error_permille / 10:.2f} %"
    )
    if judgement.boots_s:
        boots = judgement.boots_s
        yield f"    boots that are not charged last {boots[0]} to {boots[-1]} s, {len(boots)} seen"


def _learned_words(judgement: Judgement) -> Iterator[str]:
    for price in judgement.learned:
        about = (
            f"image {price.image_uuid}, on top"
            if price.image_uuid
            else "runs without a GPU"
            if price.no_card
            else f"{price.gpu_name or price.gpu_uuid}"
        )
        yield (
            f"  learned: {exact_yuan(price.price_microcny)} yuan an hour per {price.per}"
            f" for {about} ({price.note})"
        )


def _stopped_words(judgement: Judgement) -> str:
    stopped = stopped_charges(judgement.evidence)
    quiet = judgement.evidence.quiet_ends
    if stopped.windows:
        hourly = stopped.amount * HOUR_S // max(1, stopped.seconds) / 1e6
        return (
            f"stopped instances cost something: {stopped.windows} windows in which nothing ran, or that"
            f" begin when a run ended, were charged {exact_yuan(stopped.amount)} yuan, {hourly:.4f} an hour"
        )
    if quiet:
        return f"stopped instances cost nothing: after {quiet} ends of runs no window begins"
    return "whether stopped instances cost something cannot be told: no end of a run is seen"


def _since(lesson: Lesson) -> str:
    return "" if lesson.since is None else f" since {iso(lesson.since)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
