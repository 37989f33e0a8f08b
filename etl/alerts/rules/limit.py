"""A lease or a limit that is used up, or nearly: of what runs now, and of this month's card-hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import hours, local_time, short_line
from etl.poll import Instant
from etl.texts import Text, tr
from etl.units import HOUR_S

LIMITS: Final = """
SELECT kind, scope, name, account, instance_uuid, allowed, used, state, ends_s
FROM limits_until(CAST(:now AS BIGINT)) l
WHERE CASE WHEN month IS NULL THEN is_up = 1 ELSE month = :month END
ORDER BY kind, scope, name, account, instance_uuid, entry_no
"""
"""Of what does not run nothing can be stopped: only card-hours of the month are told all the same."""
OVER: Final = ("surely over", "over")


class LimitOptions(RuleOptions, frozen=True, kw_only=True):
    limit_percent: Annotated[int, Meta(ge=1, le=100)] = 80
    limit_ends_hours: Annotated[int, Meta(ge=0, le=1_000)] = 24


@dataclass(frozen=True, slots=True)
class Usage:
    """A lease or a limit, as report limits has it: seconds, card-seconds or GPUs."""

    kind: str
    scope: str
    name: str
    account: str | None
    instance_uuid: str | None
    allowed: int
    used: int
    state: str
    ends_s: Instant | None

    def is_near(self, options: LimitOptions, now: Instant) -> bool:
        """Tell whether it will soon be used up."""
        if self.kind == "until":
            return (
                self.ends_s is not None and self.ends_s - now <= options.limit_ends_hours * HOUR_S
            )
        # as many GPUs as are allowed are no news
        if self.kind in ("gpus", "together"):
            return False
        return 100 * self.used >= options.limit_percent * self.allowed > 0


class Limits(AlertRule[Usage, LimitOptions]):
    name = "limit"
    facts_age_s = HOUR_S // 4
    options = LimitOptions

    def facts(self, snapshot: Snapshot, options: LimitOptions) -> Sequence[Usage]:
        moment = snapshot.moment
        month = moment.zone.local_date(moment.now).isoformat()[:7]
        return [Usage(*row) for row in snapshot.ask(LIMITS, now=moment.now, month=month)]

    def causes(
        self, facts: Sequence[Usage], options: LimitOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            steps = [("near", "warning")] if row.is_near(options, moment.now) else []
            if row.state in OVER:
                steps = [("near", "warning"), ("over", "urgent")]
            yield from self.steps(
                # a lease that is prolonged, and a month that begins, are another case
                (row.kind, row.scope, row.instance_uuid or row.name, row.ends_s or "-"),
                steps,
                _words(row, moment),
                account=row.account,
                project=row.name if row.scope == "project" else None,
            )


def _words(row: Usage, moment: Moment) -> Text:
    of_project = tr("Limit of project {name}: ")
    of_owner = tr("Limit of {name}: ")
    of_account = tr("Limit of account {name}: ")
    lease = tr("Lease of {name}: ")
    subject = {"project": of_project, "owner": of_owner, "account": of_account}.get(
        row.scope, lease
    )
    named = subject.filled(name=short_line(row.name) or row.instance_uuid)
    if row.kind == "until":
        ended = tr("{subject}ended, and it has run {used} h since")
        ends = tr("{subject}ends {at}, and it runs")
        at = local_time(moment.zone, row.ends_s or 0)
        return (ended if row.state in OVER else ends).filled(
            subject=named, used=hours(row.used), at=at
        )
    if row.kind in ("gpus", "together"):
        gpus = tr("{subject}{used} GPUs run, {allowed} are allowed")
        return gpus.filled(subject=named, used=row.used, allowed=row.allowed)
    of_hours = tr("{subject}{used} of {allowed} h used")
    of_cards = tr("{subject}{used} of {allowed} card-hours of the month used")
    return (of_cards if row.kind == "card_hours" else of_hours).filled(
        subject=named, used=hours(row.used), allowed=hours(row.allowed)
    )


RULE = Limits()
