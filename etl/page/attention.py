"""Sentences about everything that needs a person, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from etl.alerts.words import short_line
from etl.page.amounts import lasting, thousands, yuan_text
from etl.page.facts import Facts, Row
from etl.texts import Text, tr
from etl.units import FEN, HOUR_S, MICRO

FEW_DAYS: Final = 7
"""Days that a balance must last not to be mentioned."""
STALE_S: Final = HOUR_S
"""Age from which the newest complete poll is mentioned."""
DAYS_FROM_H: Final = 48
"""Hours from which an age is told in days."""
UNEXPLAINED_YUAN: Final = 1.0
OVER_PERCENT: Final = 100
MOST_IMAGES: Final = 3
"""Failed image saves that are named one by one."""
MOST_LIMITS_NAMED: Final = 3
"""Leases and limits that are over and named one by one."""
OVER: Final = ("surely over", "over")
FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_ISOLATE: Final = "\u2069"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence; `link` is the part of the page that has more, `is_urgent` if it costs money now."""

    text: Text
    link: str
    is_urgent: bool = False


def attention(facts: Facts) -> Iterator[Notice]:
    """Yield a notice of everything that is forgotten, failed, missing or unexplained."""
    # as the page has its parts: what makes all other figures old comes first
    notices = [
        *_freshness(facts),
        *_machines(facts),
        *_money(facts),
        *_observation(facts),
    ]
    # stable: within each half the order of the subjects stays
    yield from sorted(notices, key=lambda notice: not notice.is_urgent)


def _freshness(facts: Facts) -> Iterator[Notice]:
    if facts.observed is None:
        yield Notice(tr("there was no complete poll yet"), "coverage", True)
        return
    age_h = (facts.now - facts.observed[1]) / HOUR_S
    # nobody counts hours beyond two days
    if age_h >= DAYS_FROM_H:
        text = tr("the newest complete poll is {days} days old", days=thousands(age_h / 24))
        yield Notice(text, "coverage", True)
    elif age_h * HOUR_S > STALE_S:
        text = tr("the newest complete poll is {hours} h old", hours=thousands(age_h))
        yield Notice(text, "coverage", True)


def _observation(facts: Facts) -> Iterator[Notice]:
    gaps = facts["coverage"].total("gap_hours")
    if gaps > 0:
        text = tr("{hours} h since the first poll were not observed", hours=thousands(gaps, 2))
        yield Notice(text, "coverage")
    # the most of a day, not the sum: the same instances come back every day
    unknown = max((row["unknown_codes"] or 0 for row in facts["coverage"].rows), default=0)
    if unknown:
        one = tr("1 instance has a status of unknown meaning")
        many = tr("{count} instances have a status of unknown meaning", count=unknown)
        text = one if unknown == 1 else many
        yield Notice(text, "coverage")
    rejected = int(facts["coverage"].total("rejected"))
    if rejected:
        one = tr("1 record of the source was not understood")
        many = tr("{count} records of the source were not understood", count=rejected)
        text = one if rejected == 1 else many
        yield Notice(text, "coverage")


def _machines(facts: Facts) -> Iterator[Notice]:
    costs = {r["instance_uuid"]: r["cost_yuan"] for r in facts["runs"].rows if not r["ended_at"]}
    for row in facts["idle"].rows:
        if row["suspect"]:
            text = tr(
                "{title} has run for {hours} h without a timer, {yuan} so far",
                title=_name(row),
                hours=thousands(row["running_hours"]),
                yuan=yuan_text(costs.get(row["instance_uuid"])),
            )
            yield Notice(text, f"i-{row['instance_uuid']}", True)
    for row in facts["timers"].rows:
        if row["timer"] == "overdue":
            text = tr(
                "{title} still runs, though its timer is overdue",
                title=_name(row),
            )
            yield Notice(text, f"i-{row['instance_uuid']}", True)
    # the newest failures are named: more would push everything else off the screen
    failed = [row for row in facts["images"].rows if row["state"] == "failed"]
    for row in failed[:MOST_IMAGES]:
        yield Notice(tr("the image of {title} was not saved", title=_name(row)), "images")
    if len(failed) > MOST_IMAGES:
        more = len(failed) - MOST_IMAGES
        one, many = tr("1 more image was not saved"), tr("{count} more images were not saved")
        yield Notice(one if more == 1 else many.filled(count=more), "images")


def _name(row: Row) -> str:
    """Return the title of an instance, set apart so that its marks of direction turn no other word."""
    return _isolated(short_line(row["title"]) or row["instance_uuid"])


def _isolated(name: str) -> str:
    # a mark in the name could end the isolation, so none is left
    return f"{FIRST_STRONG_ISOLATE}{short_line(name)}{POP_ISOLATE}"


def _limits(facts: Facts) -> Iterator[Notice]:
    over = [row for row in facts["limits"].rows if row["state"] in OVER]
    # of what does not run nothing is to be done, but of a month's card-hours all are used
    over = [row for row in over if row["running_gpus"] or row["month"]]
    lease, limit = tr("the lease of {name} is over"), tr("{name} is over its limit")
    for row in over[:MOST_LIMITS_NAMED]:
        words = lease if row["scope"] == "instance" else limit
        text = words.filled(name=_isolated(row["name"] or row["instance_uuid"]))
        yield Notice(text, "limits", bool(row["running_gpus"]))
    if len(over) > MOST_LIMITS_NAMED:
        more = tr("{count} more leases or limits are over", count=len(over) - MOST_LIMITS_NAMED)
        yield Notice(more, "limits")


def _money(facts: Facts) -> Iterator[Notice]:
    for row in facts["balance"].rows:
        days = row["days_left"]
        # cash and cards together: either alone says little of how long all goes on
        if row["channel"] == "all" and days is not None and days <= FEW_DAYS:
            text = tr("the balance lasts {time}", time=lasting(days))
            yield Notice(text, "balance", True)
    for row in facts["budget"].rows:
        # a budget of nothing has no percentage
        is_none = row["budget_yuan"] == 0 and row["spent_yuan"] >= FEN / MICRO
        if is_none or (row["used_percent"] or 0) > OVER_PERCENT:
            of_project = tr("project {project}", project=row["name"])
            of_account = tr("account {account}", account=row["name"])
            name = of_project if row["scope"] == "project" else of_account
            if is_none:
                spent = yuan_text(row["spent_yuan"])
                text = tr(
                    "{name} has a budget of nothing and has spent {spent}", name=name, spent=spent
                )
            else:
                percent = thousands(row["used_percent"])
                text = tr("{name} has spent {percent} % of its budget", name=name, percent=percent)
            yield Notice(text, "budget")
    yield from _limits(facts)
    for row in facts["causes"].rows:
        difference = row["difference_yuan"] or 0
        # less than a yuan is rounding by the fen over many lines
        if row["what"] == "unexplained" and abs(difference) >= UNEXPLAINED_YUAN:
            text = tr("{yuan} of the bill are not explained by usage", yuan=yuan_text(difference))
            yield Notice(text, "causes")
    unpriced = facts["cost"].total("unpriced_hours")
    if unpriced > 0:
        text = tr("{hours} h have no known price", hours=thousands(unpriced))
        yield Notice(text, "prices")
