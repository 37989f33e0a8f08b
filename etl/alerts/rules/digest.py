"""The digest of a day or of seven days: usage, cost and balance. Sent at its time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions, TimeOfDay, TimeOfWeek
from etl.alerts.own_digest import own_digest_text
from etl.alerts.owners import DigestSubject
from etl.alerts.periods import (
    Period,
    ask_watched,
    day_arguments,
    digest_title,
    doubles_lines,
    newest_period,
    newest_poll,
    observation,
    running_line,
    unobserved_lines,
    was_observed_from_start,
    watched_runs,
)
from etl.alerts.rules.balance import STALE_S, Purse, purses
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import NOTHING, about, hours, local_time, short_line, yuan
from etl.texts import Text, joined, tr
from etl.units import HOUR_S

# a machine that is switched on at noon should not send the morning's digest
LATE_S: Final = 3 * HOUR_S
"""The longest that a digest may be late; after that it is left out."""
MODELS: Final = 6
USAGE: Final = """
SELECT gpu_name, sum_of(running_s) AS running_s, sum_of(gpu_s) AS gpu_s
FROM (
    SELECT gpu_name, running_s, gpu_s,
        RANK() OVER (PARTITION BY instance_uuid, day ORDER BY account) AS holder
    FROM gpu_usage_instance_daily
    WHERE day >= :first AND day <= :last AND {accounts}
) u
WHERE holder = 1
GROUP BY gpu_name ORDER BY 3 DESC, 1
"""
"""Usage by GPU. If several accounts' keys show the same instance, only the first counts it."""
COST: Final = """
SELECT sum_of(cost_microcny) AS cost_microcny
FROM (
    SELECT cost_microcny, RANK() OVER (PARTITION BY instance_uuid, day ORDER BY account) AS holder
    FROM _cost_line
    WHERE day >= :first AND day <= :last AND {accounts}
) c
WHERE holder = 1
"""
POLLS: Final = """
SELECT SUM(CASE WHEN outcome = 'complete' THEN 1 ELSE 0 END) AS complete,
    SUM(CASE WHEN outcome IN ('partial', 'failed') THEN 1 ELSE 0 END) AS others
FROM (
    SELECT a.name AS account, r.outcome
    FROM sync_run r
    JOIN account a ON a.account_id = r.account_id
    WHERE r.resource = 'instances'
        AND r.started_at >= instant(:starts_s) AND r.started_at < instant(:ends_s)
) p
WHERE {accounts}
"""


class DigestOptions(RuleOptions, frozen=True, kw_only=True):
    daily_digest: TimeOfDay | None = None
    weekly_digest: TimeOfWeek | None = None


@dataclass(frozen=True, slots=True)
class DueDigest:
    """A digest to be sent now: of all, or of a `subject` with a channel of its own."""

    period: Period
    words: Text
    subject: DigestSubject | None = None


class Digest(AlertRule[DueDigest, DigestOptions]):
    name = "digest"
    # people set its time, and know when they sleep
    wakes = True
    prompt = True
    options = DigestOptions

    def facts(self, snapshot: Snapshot, options: DigestOptions) -> Sequence[DueDigest]:
        return [
            DueDigest(period, self._text(snapshot, period, subject), subject)
            for period in due(options, snapshot.moment)
            for subject in (None, *snapshot.moment.subjects)
        ]

    def causes(
        self, facts: Sequence[DueDigest], options: DigestOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            yield self.cause(
                *_key_parts(row.period, row.subject),
                severity="info",
                words=row.words,
                # already sent: a channel added since must not get a message without a word
                silent=row.words is NOTHING,
                **address(row.period, row.subject),
            )

    def _text(self, snapshot: Snapshot, period: Period, subject: DigestSubject | None) -> Text:
        """Return the digest's text; empty while its alert is open, since it was sent by then."""
        # its queries read weeks: they are not asked again at each tick until the time is over
        key = ":".join((self.name, *_key_parts(period, subject)))
        is_sent = key in snapshot.moment.open_keys
        return NOTHING if is_sent else digest_text(snapshot, period, subject)


def _key_parts(period: Period, subject: DigestSubject | None) -> tuple[str, ...]:
    return period.key if subject is None else (*period.key, subject.kind, subject.name)


RULE = Digest()


def due(options: DigestOptions, moment: Moment) -> Iterator[Period]:
    """Yield the periods whose digest is to be sent now."""
    today = moment.zone.local_date(moment.now)
    times: dict[str, int | None] = {"day": options.daily_digest}
    weekly = options.weekly_digest
    if weekly is not None and weekly[0] == today.weekday():
        times["week"] = weekly[1]
    for name, minute in times.items():
        if minute is not None and 0 <= moment.now - moment.zone.at(today, minute) < LATE_S:
            yield newest_period(name, moment)


def digest_text(snapshot: Snapshot, period: Period, subject: DigestSubject | None = None) -> Text:
    """Write the text of a digest: of all that is watched, or of what one subject pays for."""
    if subject is not None:
        return own_digest_text(snapshot, period, subject)
    observed = observation(snapshot, period)
    lines = (
        _observed_lines(snapshot, period, observed)
        if observed
        else [tr("Nothing was observed in this period")]
    )
    return joined([digest_title(period), *lines, *_now_lines(snapshot)], "\n")


def address(period: Period, subject: DigestSubject | None) -> dict[str, Any]:
    """Return the fields of a cause that lead a digest to its channels, and say which digest it is."""
    own = {"owner": subject.owner, "project": subject.project, "private": True} if subject else {}
    return {"period": period.name, "days": (str(period.first), str(period.last)), **own}


def _observed_lines(
    snapshot: Snapshot, period: Period, observed: Mapping[str, Any]
) -> Iterator[Text]:
    """Yield lines about the period: usage, cost, polls, and how much of it nobody saw."""
    yield from _usage(snapshot, period)
    yield from _cost(snapshot, period)
    yield from doubles_lines(snapshot)
    yield from unobserved_lines(snapshot.moment, period, observed)
    yield _polls_line(snapshot, period)


def _usage(snapshot: Snapshot, period: Period) -> Iterator[Text]:
    rows = ask_watched(snapshot, USAGE, **day_arguments(period))
    ran, cards = sum(r.running_s for r in rows), sum(r.gpu_s or 0 for r in rows)
    yield tr("Ran for {hours} h, {cards} card-hours", hours=hours(ran), cards=hours(cards))
    known = [r for r in rows if r.gpu_s]
    if known:
        listed = [f"{short_line(r.gpu_name) or '?'} {hours(r.gpu_s)}" for r in known[:MODELS]]
        listed += ["…"] if len(known) > MODELS else []
        yield tr("  Card-hours: {models}", models=joined(listed, tr(", ")))


def _cost(snapshot: Snapshot, period: Period) -> Iterator[Text]:
    """Yield the cost, compared with the period before if all of that was observed."""
    cost = ask_watched(snapshot, COST, **day_arguments(period))[0].cost_microcny
    if cost is None:
        return
    earlier, before = period.before(), None
    # else a first week would look like a doubling of the cost
    if was_observed_from_start(snapshot, earlier):
        before = ask_watched(snapshot, COST, **day_arguments(earlier))[0].cost_microcny
    # no words if it is not known: a zero would be read as a cost
    earlier_cost = about(before, tr(" ({yuan} in the period before)"))
    yield tr("Cost about {yuan}{before}", yuan=yuan(cost), before=earlier_cost)


def _polls_line(snapshot: Snapshot, period: Period) -> Text:
    starts, ends = period.bounds(snapshot.moment.zone)
    row = ask_watched(snapshot, POLLS, starts_s=starts, ends_s=ends)[0]
    return tr(
        "Polls: {complete} complete, {others} partial or failed",
        complete=row.complete or 0,
        others=row.others or 0,
    )


def _now_lines(snapshot: Snapshot) -> Iterator[Text]:
    last = newest_poll(snapshot)
    if last is not None:
        yield running_line(watched_runs(snapshot), last, snapshot.moment)
    for purse in purses(snapshot):
        yield _balance_line(purse, snapshot.moment)


def _balance_line(purse: Purse, moment: Moment) -> Text:
    note = NOTHING
    if moment.now - purse.as_of > STALE_S:
        note = tr(" (as of {at})", at=local_time(moment.zone, purse.as_of))
    elif purse.lasts_s is not None:
        note = tr(", lasts {hours} h", hours=hours(purse.lasts_s))
    return tr(
        "Balance of {name}: {left}{note}",
        name=short_line(purse.account),
        left=yuan(purse.left_microcny),
        note=note,
    )
