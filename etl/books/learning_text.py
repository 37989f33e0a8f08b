"""Lessons from the bill, in words and as a record for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from etl.books.learning import Lesson
from etl.books.writing import exact_yuan
from etl.history.days import iso
from etl.history.ends import EndEvidence
from etl.money.billing.judgement import (
    FEWEST_WINDOWS,
    Judgement,
    indistinct,
    other_remarks,
    stopped_charges,
)
from etl.store.learning import Settlement
from etl.texts import Text, joined, tr
from etl.units import HOUR_S

# the next best models matter to whoever doubts the verdict, the others only to programs
SHOWN_RIVALS: Final = 3
END_WORDS: Final[Mapping[EndEvidence, Text]] = {
    "exact": tr("exact"),
    "timer": tr("timer"),
    "settled": tr("settled"),
    "status": tr("status"),
    "middle": tr("middle"),
}
"""Ways in which the end of a run is known."""


def in_words(lesson: Lesson) -> Iterator[str]:
    """Yield the lesson as lines for people."""
    judgement, name = lesson.judgement, lesson.account
    signs = Counter(window.sign for window in judgement.windows)
    yield (
        tr(
            "{name}: {lines} bill lines{since}. {count} windows are of one instance: in "
            "{alone} nothing else ran, {begins} begin when one run began, {follows} follow "
            "one of those; {count2} could be of several",
            name=name,
            lines=lesson.lines,
            since=_since(lesson),
            count=len(judgement.windows),
            alone=signs["alone"],
            begins=signs["begins"],
            follows=signs["follows"],
            count2=len(judgement.evidence.shared),
        )
    )
    if lesson.unobserved:
        yield tr(
            "  {unobserved} lines are of time that was not observed, and left out",
            unobserved=lesson.unobserved,
        )
    if judgement.why_not is not None:
        yield tr("  undecided: {why_not}", why_not=judgement.why_not)
    if judgement.best is not None:
        yield from _fit_words(tr("fits best") if judgement.is_clear else tr("closest"), judgement)
    yield from (tr("  not told apart from {other}", other=other) for other in indistinct(judgement))
    for rival in judgement.rivals[:SHOWN_RIVALS]:
        yield (
            tr(
                "  less well: {in_words} ({percent} of the windows, {differing} of them differ)",
                in_words=rival.fit.hypothesis.in_words,
                percent=_percent(rival.fit.share),
                differing=rival.differing,
            )
        )
    yield from _learned_words(judgement)
    yield joined(("", _stopped_words(judgement)), "  ")
    yield joined(("", _settlement_words(lesson.settlement)), "  ")
    for remark, (count, amount) in other_remarks(judgement).items():
        yield tr(
            "  {count} windows with the remark {remark!r} ({exact_yuan} yuan) are of no "
            "running time",
            count=count,
            remark=remark,
            exact_yuan=exact_yuan(amount),
        )
    if lesson.prepaid_periods:
        yield (
            tr(
                "  prepaid: {prepaid_lines} lines charge a prepaid period at its known price; "
                "at least {prepaid_periods} periods began and passed",
                prepaid_lines=lesson.prepaid_lines,
                prepaid_periods=lesson.prepaid_periods,
            )
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
        "settlement": {
            **lesson.settlement.rule._asdict(),
            "is_at_stops": lesson.settlement.rule.is_at_stops,
            "off_by_evidence": {
                by: {"stops": count, "mean_s": seconds}
                for by, (count, seconds) in sorted(lesson.settlement.distances.items())
            },
        },
        "prepaid": {"periods": lesson.prepaid_periods, "lines_as_priced": lesson.prepaid_lines},
    }


def _fit_words(label: str, judgement: Judgement) -> Iterator[str]:
    best = judgement.best
    assert best is not None
    yield tr("  {label}: {in_words}", label=label, in_words=best.hypothesis.in_words)
    yield (
        tr(
            "    explains {count} of {windows} windows to the fen ({percent}), mean error "
            "{error_permille:.2f} %",
            count=len(best.explained),
            windows=best.windows,
            percent=_percent(best.share),
            error_permille=best.error_permille / 10,
        )
    )
    if judgement.boots_s:
        boots = judgement.boots_s
        yield tr(
            "    boots that are not charged last {value} to {value2} s, {count} seen",
            value=boots[0],
            value2=boots[-1],
            count=len(boots),
        )


def _learned_words(judgement: Judgement) -> Iterator[str]:
    for price in judgement.learned:
        about = (
            tr("image {image_uuid}, on top", image_uuid=price.image_uuid)
            if price.image_uuid
            else (
                tr("runs without a GPU") if price.no_card else f"{price.gpu_name or price.gpu_uuid}"
            )
        )
        yield (
            tr(
                "  learned: {exact_yuan} yuan an hour per {per} for {about} ({note})",
                exact_yuan=exact_yuan(price.price_microcny),
                per=price.per,
                about=about,
                note=price.note,
            )
        )


def _stopped_words(judgement: Judgement) -> str:
    stopped = stopped_charges(judgement.evidence)
    # ends of runs after which nothing was charged: only these say that it is free
    quiet = judgement.evidence.quiet_ends
    if stopped.windows:
        # windows of moments last no second
        hourly = stopped.amount * HOUR_S // max(1, stopped.seconds) / 1e6
        return tr(
            "stopped instances cost something: {windows} windows in which nothing ran, or "
            "that begin when a run ended, were charged {exact_yuan} yuan, {hourly:.4f} an "
            "hour",
            windows=stopped.windows,
            exact_yuan=exact_yuan(stopped.amount),
            hourly=hourly,
        )
    if quiet:
        return tr(
            "stopped instances cost nothing: after {quiet} ends of runs no window begins",
            quiet=quiet,
        )
    return tr("whether stopped instances cost something cannot be told: no end of a run is seen")


def _settlement_words(settlement: Settlement) -> str:
    rule = settlement.rule
    # of a handful of stops any share can come about by chance
    if rule.judged < FEWEST_WINDOWS:
        return tr(
            "whether it is settled at stops cannot be told: the bill reaches {judged} stops, and it "
            "takes {fewest}",
            judged=rule.judged,
            fewest=FEWEST_WINDOWS,
        )
    if not rule.is_at_stops:
        return tr(
            "not settled at stops: of the {judged} newest stops, {matched} have a settlement window "
            "that could end with them; estimates are those of the polls",
            judged=rule.judged,
            matched=rule.matched,
        )
    off = joined(
        [
            tr("{by} {seconds} s ({count})", by=END_WORDS[by], seconds=seconds, count=count)
            for by, (count, seconds) in sorted(settlement.distances.items())
        ],
        tr(", "),
    )
    return tr(
        "settled at stops: of the {judged} newest stops, {matched} have a settlement window that "
        "could end with them, {single} exactly one, which is their estimate; off what polls alone "
        "say by {off}",
        judged=rule.judged,
        matched=rule.matched,
        single=rule.single,
        off=off,
    )


def _since(lesson: Lesson) -> str:
    return "" if lesson.since is None else tr(" since {since}", since=iso(lesson.since))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
