"""The words that reports give as values: causes, states, ways of payment, lines of the bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from etl.reports.render.columns import Column, Rows
from etl.texts import ENGLISH, Text, localized, term, tr

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "cause": (
        "within_bounds",
        "correction",
        "unsettled",
        "no_instance",
        "workflow",
        "prepaid",
        "unread",
        "price",
        "coverage_gap",
        "unexplained",
    ),
    "channel": ("balance", "card", "all"),
    "unknown": ("(unknown)",),
    "payer": ("(no rule)", "(cannot be attributed)"),
    "tag": ("(untagged)",),
    "standing": ("surely over", "over", "perhaps over", "within"),
    "limit": ("until", "hours", "gpus", "together", "card_hours"),
    "machine": (
        "creating",
        "starting",
        "running",
        "restarting",
        "stopping",
        "stopped",
        "destroyed",
        "unknown",
    ),
    "card": ("valid", "used up", "awaiting confirmation", "expired"),
    "image": ("uploading", "uploaded", "failed"),
    "boot": ("booting", "still booting", "afterwards"),
    "timer": ("none", "set", "overdue"),
    "how": ("billed", "attributed"),
    "evidence": (
        "observed",
        "booting",
        "unseen_run",
        "unknown_start",
        "possible_run",
        "gone",
    ),
    "event": (
        "created",
        "started",
        "stopped",
        "restarted",
        "gone",
        "returned",
        "retitled",
        "gpu_changed",
        "image_changed",
        "charging_changed",
        "save_image_changed",
        "timer_set",
        "timer_cleared",
    ),
    "stop": ("timer", "image_saved"),
    "charging": ("hour", "day", "week", "month", "year"),
    "version": ("first_seen", "changed", "returned"),
    "scope": ("project", "account", "owner", "model", "instance"),
    "reason": (
        "new machine",
        "new model",
        "price",
        "night",
        "more hours",
        "fewer hours",
        "did not run",
    ),
    "report name": ("settlement", "bills", "bill-lines", "balance"),
    "bridge": (
        "billed for running time",
        "prepaid: whole days, and moments",
        "billed by settlement window",
        "charged in the period for time before it",
        "charged in the period for time after it",
        "time in the period that was charged after it",
        "time in the period that was charged before it",
        "billed by day of charge",
        "paid by compute cards",
        "charged before the period, after the last poll of the balance",
        "charged in the period, after the last poll of the balance",
        "charged before the balance was known",
        "billed to the balance",
        "unexplained by the balance",
        "opening + added - closing",
        "remains",
    ),
    "resource": (
        *("instances", "bills", "recharges", "balance", "cards", "gpu_prices"),
        *("workflow_runs", "images"),
    ),
}
"""Closed sets of words, by the context under which the catalogs have them."""
_CONTEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "cause": ("cause", "stop"),
    "channel": ("channel", "unknown"),
    "state": ("card", "image", "machine", "standing"),
    "kind": ("limit",),
    "tag": ("tag", "payer"),
    "state_after": ("machine",),
    "seen": ("boot",),
    "timer": ("timer",),
    "how": ("how",),
    "evidence": ("evidence",),
    "event": ("event",),
    "charging": ("charging",),
    "began_by": ("version",),
    "what": ("payer", "tag", "unknown"),
    "scope": ("scope",),
    "reason": ("reason",),
    "project": ("payer",),
    "owner": ("payer",),
    "cost_centre": ("payer",),
    "report": ("report name",),
    "line": ("bridge",),
    "resource": ("resource",),
}
_MISSING: Final = {
    f"{word} (missing)": tr("{state} (missing)", state=term("machine", word))
    for word in WORDS["machine"]
}
VALUES: Final[Mapping[str, Mapping[str, Text]]] = {
    column: {word: term(context, word) for context in contexts for word in WORDS[context]}
    | (_MISSING if column == "state" else {})
    for column, contexts in _CONTEXTS.items()
}
"""By the name of the column: a title that happens to be such a word stays as it is."""


def word_of(column: str, value: Any, lang: str) -> Any:
    """Return a value of a column in a language if it is a word of ours."""
    return localized(VALUES.get(column, {}).get(value, value), lang)


def in_language(columns: Sequence[Column], rows: Rows, lang: str) -> Rows:
    """Return rows whose known words are in a language; others stay as they are."""
    # as they are: our words are English, and rows need not even be looked at
    return rows if lang == ENGLISH else _in_language(columns, rows, lang)


def _in_language(columns: Sequence[Column], rows: Rows, lang: str) -> Iterator[list[Any]]:
    known = [
        {word: text.in_language(lang) for word, text in words_of(column.name, columns).items()}
        for column in columns
    ]
    for row in rows:
        yield [
            meanings.get(value, value) if meanings else value
            for meanings, value in zip(known, row, strict=True)
        ]


def words_of(name: str, columns: Sequence[Column]) -> Mapping[str, Text]:
    """Return the words of ours that a column among others can hold."""
    if name == "what" and any(column.name == "cause" for column in columns):
        return VALUES["cause"]  # a day, a month or a cause: no name that somebody chose
    return VALUES.get(name, {})
