"""The digest of one owner or project: what their instances did and cost, and what is still on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from etl.alerts.machines import Running
from etl.alerts.owners import DigestSubject, owner_of
from etl.alerts.periods import (
    Period,
    arguments_of,
    ask_watched,
    digest_title,
    doubles_lines,
    newest_poll,
    observation,
    running_line,
    unobserved_lines,
    was_observed_from_start,
    watched_runs,
)
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import NOTHING, about, hours, local_time, short_line, yuan
from etl.texts import Text, joined, tr

# the dearest come first: the rest is counted
LISTED: Final = 20
# by the lines of report `cost`, so that a sum of an owner is the same here and there
USED: Final = """
WITH unseen AS unseen_in_period(),
used AS cost_of_period(is_payer_in_doubt())
SELECT account, instance_uuid, title, owner, project,
    sum_of(CASE WHEN kind = 'running' THEN used_s END) AS running_s,
    sum_of(gpu_s) AS gpu_s,
    sum_of(cost_microcny) AS cost_microcny,
    sum_of(cost_min_microcny) AS cost_min_microcny,
    sum_of(cost_max_microcny) AS cost_max_microcny,
    sum_of(unpriced_s) AS unpriced_s
FROM (
    SELECT u.*, RANK() OVER (PARTITION BY u.instance_uuid, u.day ORDER BY u.account) AS holder
    FROM used u WHERE {accounts}
) h
WHERE holder = 1
GROUP BY account, instance_uuid, title, owner, project
HAVING sum_of(cost_max_microcny) > 0 OR sum_of(unpriced_max_s) > 0
ORDER BY COALESCE(sum_of(cost_microcny), -1) DESC, account, instance_uuid
"""
"""Usage by instance and payer. If several accounts list an instance, only the first counts it."""


@dataclass(frozen=True, slots=True)
class OwnUsage:
    """Usage of an instance in a period; amounts are null if no price is known."""

    title: str
    running_s: int
    gpu_s: int
    cost_microcny: int | None
    cost_min_microcny: int | None
    cost_max_microcny: int | None
    unpriced_s: int


def own_digest_text(snapshot: Snapshot, period: Period, subject: DigestSubject) -> Text:
    """Write the digest of one subject."""
    lines = [_own_title(period, subject), *_own_lines(snapshot, period, subject)]
    return joined([*lines, *_still_on(snapshot, subject)], "\n")


def own_usage(snapshot: Snapshot, period: Period, subject: DigestSubject) -> list[OwnUsage]:
    """Return what a subject's instances did in a period, the dearest first."""
    arguments = {**arguments_of(snapshot, period), "account": None, "by": subject.kind}
    return [
        OwnUsage(
            row.title or row.instance_uuid,
            row.running_s or 0,
            row.gpu_s or 0,
            row.cost_microcny,
            row.cost_min_microcny,
            row.cost_max_microcny,
            row.unpriced_s or 0,
        )
        for row in ask_watched(snapshot, USED, **arguments)
        # titles of the settings count if no rule names an owner, as everywhere in alerts
        if subject.pays(row.owner or owner_of(snapshot.moment.owners, row.title), row.project)
    ]


def _own_title(period: Period, subject: DigestSubject) -> Text:
    of_owner = tr("{title}: instances of {name}")
    of_project = tr("{title}: instances of project {name}")
    words = of_owner if subject.kind == "owner" else of_project
    return words.filled(title=digest_title(period), name=short_line(subject.name))


def _own_lines(snapshot: Snapshot, period: Period, subject: DigestSubject) -> Iterator[Text]:
    observed = observation(snapshot, period)
    if not observed:
        yield tr("Nothing was observed in this period")
        return
    used = own_usage(snapshot, period, subject)
    if used:
        yield from _sums(snapshot, period, subject, used)
        yield from _instances(used)
    else:
        yield tr("No use was seen in this period")
    yield from doubles_lines(snapshot)
    yield from unobserved_lines(snapshot.moment, period, observed, is_whole_told=True)


def _sums(
    snapshot: Snapshot, period: Period, subject: DigestSubject, used: Sequence[OwnUsage]
) -> Iterator[Text]:
    """Yield the hours and the cost, compared with the period before if all of that was observed."""
    yield tr(
        "Ran for {hours} h, {cards} card-hours",
        hours=hours(sum(row.running_s for row in used)),
        cards=hours(sum(row.gpu_s for row in used)),
    )
    cost, before = _known_sum(row.cost_microcny for row in used), None
    if cost is not None:
        if was_observed_from_start(snapshot, period.before()):
            earlier = own_usage(snapshot, period.before(), subject)
            # no line at all is a cost of nothing, which is known: somebody looked
            before = _known_sum(row.cost_microcny for row in earlier) if earlier else 0
        yield tr(
            "Cost about {yuan}{bounds}{before}",
            yuan=yuan(cost),
            bounds=_bounds(used),
            before=about(before, tr(" ({yuan} in the period before)")),
        )
    unpriced = sum(row.unpriced_s for row in used)
    if unpriced:
        yield tr("{hours} h at an unknown price are not in the cost", hours=hours(unpriced))


def _bounds(used: Sequence[OwnUsage]) -> Text:
    """Return the sure minimum and the maximum; no words if they are the same."""
    least = yuan(_known_sum(row.cost_min_microcny for row in used) or 0)
    most = yuan(_known_sum(row.cost_max_microcny for row in used) or 0)
    if least == most:
        return NOTHING
    return tr(", at least {least}, at most {most}", least=least, most=most)


def _instances(used: Sequence[OwnUsage]) -> Iterator[Text]:
    for row in used[:LISTED]:
        yield tr(
            "  · {title}: {hours} h{cost}",
            title=short_line(row.title),
            hours=hours(row.running_s),
            cost=about(row.cost_microcny, tr(", about {yuan}")),
        )
    if len(used) > LISTED:
        yield tr("  … and {count} more", count=len(used) - LISTED)


def _still_on(snapshot: Snapshot, subject: DigestSubject) -> Iterator[Text]:
    """Yield what runs, the longest first, with its timer and its price."""
    last = newest_poll(snapshot)
    if last is None:
        return
    runs = [r for r in watched_runs(snapshot) if subject.pays(r.machine.owner, r.project)]
    yield running_line(runs, last, snapshot.moment)
    runs.sort(key=lambda run: run.since)
    yield from (_still_on_line(run, snapshot.moment) for run in runs[:LISTED])
    if len(runs) > LISTED:
        yield tr("  … and {count} more", count=len(runs) - LISTED)


def _still_on_line(run: Running, moment: Moment) -> Text:
    timer = NOTHING
    # one that passed without a stop is no timer any more
    if run.timer_at is not None and not run.is_unattended:
        timer = tr(", until {at}", at=local_time(moment.zone, run.timer_at))
    return tr(
        "  · {machine}, since {at}{timer}{rate}",
        machine=run.machine.words,
        at=local_time(moment.zone, run.since),
        timer=timer,
        rate=about(run.hour_microcny, tr(", {yuan} an hour")),
    )


def _known_sum(amounts: Iterable[int | None]) -> int | None:
    """Return the sum of the amounts that are known, as the reports do; None if none is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
