"""Learn from the bill of each account how running time is charged; keep accepted lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from etl import store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.money.billing.evidence import evidence, observed_lines
from etl.money.billing.judgement import Judgement, judge_hypotheses
from etl.money.billing.prepaid import prepaid_evidence
from etl.money.charging import ChargingModel
from etl.poll import Instant
from etl.store.learning import EvidenceReader, ObservedSpan, Settlement
from etl.texts import tr


@dataclass(frozen=True, slots=True)
class Lesson:
    """One account's lesson from its bill.

    `since` is None if nothing was observed. `unobserved` counts the lines that reach into gaps,
    `prepaid_periods` the prepaid periods that passed whole, and `prepaid_lines` the lines that charge
    one at the known price. `settlement` is whether stops are settled when they happen.
    """

    account: str
    since: Instant | None
    lines: int
    unobserved: int
    judgement: Judgement
    prepaid_periods: int
    prepaid_lines: int
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class Accepted:
    """The charging model that is in force now, and the number of prices learned with it."""

    model: ChargingModel
    prices: int


def lessons(database: Database, account: str | None, days: int) -> list[Lesson]:
    """Judge the newest `days` of the bill of each account, or of one.

    Raises `SettingsError` if there is no such account.
    """
    with store.reading(database) as db:
        keys = db.books.accounts(account)
        return [_lesson(db.learning.evidence(key), days) for key in keys]


def accept(database: Database, chosen: Sequence[Lesson]) -> Accepted:
    """Charge by the lessons from now on. Raises `SettingsError` unless they agree on one model."""
    clear = [lesson for lesson in chosen if lesson.judgement.is_clear]
    # one provider charges all its accounts alike: another answer means that one of them is wrong
    models = {_essence(lesson.judgement.model) for lesson in clear}
    if not clear:
        reasons = "; ".join(f"{lesson.account}: {lesson.judgement.why_not}" for lesson in chosen)
        raise SettingsError(
            tr("the bill says too little: {reasons}", reasons=reasons),
            advice=tr(
                "poll more often, wait for more bill lines, or set it: chenyu-etl prices model"
            ),
        )
    if len(models) > 1:
        raise SettingsError(
            tr("the bills of the accounts speak for different models"),
            advice=tr("choose one account (--account), or set it: chenyu-etl prices model"),
        )
    model = clear[0].judgement.model
    assert model is not None
    learned = [
        # learned prices hold for the account whose bill shows them: prices may differ by account
        replace(override, account=lesson.account)
        for lesson in clear
        for override in lesson.judgement.learned
    ]
    with store.writing(database) as db:
        book = db.books
        book.replace_learned(learned)
        book.set_charging_model(model)
    return Accepted(model, len(learned))


def _essence(model: ChargingModel | None) -> tuple[Any, ...]:
    """Return the parts of a model on which accounts must agree: boots may differ."""
    assert model is not None
    return model.counts_from, model.step_s


def _lesson(reader: EvidenceReader, days: int) -> Lesson:
    known = reader.observed(days)
    # an empty span has no lines, and so the lesson says that nothing can be told
    span = known or ObservedSpan(0, 0)
    lines = reader.lines(span)
    observed = observed_lines(lines, reader.gaps())
    # the same few terms are asked for in thousands of windows
    periods = cache(reader.prices().periods)
    prepaid = prepaid_evidence(
        observed,
        reader.held_stretches(span),
        since=span.since,
        until=span.until,
        units=reader.units(),
        periods=periods,
    )
    # lines of prepaid periods are explained: they must not count against hypotheses of running time
    metered = [line for line in observed if line not in prepaid.lines]
    sorted_windows = evidence(metered, reader.metered_runs(span))
    return Lesson(
        account=reader.account,
        since=known.since if known else None,
        lines=len(lines),
        unobserved=len(lines) - len(observed),
        judgement=judge_hypotheses(sorted_windows, periods, reader.model_with_boots()),
        prepaid_periods=prepaid.expected,
        prepaid_lines=prepaid.as_priced,
        settlement=reader.settlement(),
    )
