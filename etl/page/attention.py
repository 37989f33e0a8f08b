"""Sentences about everything that needs a person, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from etl.page.amounts import thousands, yuan_text
from etl.page.facts import Facts
from etl.page.words import Translator
from etl.units import HOUR_S

FEW_DAYS: Final = 7
"""Days that a balance must last not to be mentioned."""
STALE_S: Final = HOUR_S
"""Age from which the newest complete poll is mentioned."""
UNEXPLAINED_YUAN: Final = 1.0
OVER_PERCENT: Final = 100


def attention(facts: Facts, words: Translator) -> Iterator[str]:
    """Yield a sentence for everything that is forgotten, failed, missing or unexplained."""
    yield from _observation(facts, words)
    yield from _machines(facts, words)
    yield from _money(facts, words)


def _observation(facts: Facts, words: Translator) -> Iterator[str]:
    if facts.observed is None:
        yield words("there was no complete poll yet")
        return
    age_s = facts.now - facts.observed[1]
    if age_s > STALE_S:
        yield words("the newest complete poll is {hours} h old", hours=thousands(age_s / HOUR_S))
    gaps = facts["coverage"].total("gap_hours")
    if gaps > 0:
        yield words("{hours} h of the period were not observed", hours=thousands(gaps, 2))
    unknown = max((row["unknown_codes"] or 0 for row in facts["coverage"].rows), default=0)
    if unknown:
        yield words("{count} instances have a status of unknown meaning", count=unknown)
    rejected = int(facts["coverage"].total("rejected"))
    if rejected:
        yield words("{count} records of the source were not understood", count=rejected)


def _machines(facts: Facts, words: Translator) -> Iterator[str]:
    costs = {r["instance_uuid"]: r["cost_yuan"] for r in facts["runs"].rows if not r["ended_at"]}
    for row in facts["idle"].rows:
        if row["suspect"]:
            yield words(
                "{title} has run for {hours} h without a timer, {yuan} so far",
                title=row["title"],
                hours=thousands(row["running_hours"]),
                yuan=yuan_text(costs.get(row["instance_uuid"]), words),
            )
    for row in facts["images"].rows:
        if row["state"] == "failed":
            yield words("the image of {title} was not saved", title=row["title"])


def _money(facts: Facts, words: Translator) -> Iterator[str]:
    for row in facts["balance"].rows:
        days = row["days_left"]
        if row["channel"] == "all" and days is not None and days <= FEW_DAYS:
            yield words("the balance lasts {days} days", days=thousands(days))
    for row in facts["budget"].rows:
        if (row["used_percent"] or 0) > OVER_PERCENT:
            yield words(
                "{scope} {name} has spent {percent} % of its budget",
                scope=words(row["scope"]) if row["scope"] == "project" else row["scope"],
                name=row["name"],
                percent=thousands(row["used_percent"]),
            )
    for row in facts["causes"].rows:
        difference = row["difference_yuan"] or 0
        if row["what"] == "unexplained" and abs(difference) >= UNEXPLAINED_YUAN:
            yield words(
                "{yuan} of the bill are not explained by usage", yuan=yuan_text(difference, words)
            )
    unpriced = facts["cost"].total("unpriced_hours")
    if unpriced > 0:
        yield words("{hours} h have no known price", hours=thousands(unpriced))
