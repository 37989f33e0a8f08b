"""A project, owner, model or instance that cost much more yesterday than it usually does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import COSTS_AGE_S, AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import short_line, yuan
from etl.texts import Text, term, tr
from etl.units import MICRO

SCOPES: Final[Mapping[str, Text]] = {
    # of two that name the same machine the first says more
    "project": term("scope", "project"),
    "owner": term("scope", "owner"),
    "model": term("scope", "model"),
    "instance": term("scope", "instance"),
}
REASONS: Final[Mapping[str, Text]] = {
    "new machine": term("reason", "new machine"),
    "new model": term("reason", "new model"),
    "price": term("reason", "price"),
    "night": term("reason", "night"),
    "more hours": term("reason", "more hours"),
    # medians do not add up: a part may cost more than usual, and each of its machines less
    "fewer hours": term("reason", "fewer hours"),
    "did not run": term("reason", "did not run"),
}
ODD_DAYS: Final = """
SELECT account, scope, name, CAST(day AS TEXT), cost, usual, reason, by_title, by_uuid
FROM days_out_of_line(:day, :day, :percent, :floor) o
WHERE scope <> 'account' AND change > 0 AND is_sure = 1
ORDER BY account, scope, name
"""
"""Of the whole account tells `cost_day`."""


class OddDayOptions(RuleOptions, frozen=True, kw_only=True):
    odd_day_percent: Annotated[int, Meta(ge=1, le=10_000)] = 50
    odd_day_from_yuan: Annotated[int, Meta(ge=0, le=10**9)] = 100


@dataclass(frozen=True, slots=True)
class OddDay:
    """A day of a project, owner, model or instance, as report anomalies has it. `day` is ISO text."""

    account: str
    scope: str
    name: str | None
    day: str
    cost_microcny: int
    usual_microcny: int
    reason: str
    title: str | None
    instance_uuid: str


class OddDays(AlertRule[OddDay, OddDayOptions]):
    name = "odd_day"
    facts_age_s = COSTS_AGE_S
    options = OddDayOptions

    def facts(self, snapshot: Snapshot, options: OddDayOptions) -> Sequence[OddDay]:
        # the newest day that is over: of today nobody knows yet what it will cost
        rows = snapshot.ask(
            ODD_DAYS,
            day=snapshot.moment.day_before(1),
            percent=options.odd_day_percent,
            floor=options.odd_day_from_yuan * MICRO,
        )
        return [OddDay(*row) for row in rows]

    def causes(
        self, facts: Sequence[OddDay], options: OddDayOptions, moment: Moment
    ) -> Iterator[Cause]:
        known = set()
        for row in sorted(facts, key=lambda row: list(SCOPES).index(row.scope)):
            machine = row.account, row.instance_uuid, row.day
            # one machine moves its project, its owner and its model: that is one piece of news
            if machine in known:
                continue
            known.add(machine)
            yield self.cause(
                *machine,
                severity="warning",
                account=row.account,
                project=row.name if row.scope == "project" else None,
                words=tr(
                    "{scope} {name} cost {cost} on {day}, usually {usual}: {reason}, {title}",
                    scope=SCOPES[row.scope],
                    name=short_line(row.name),
                    cost=yuan(row.cost_microcny),
                    day=row.day[5:],
                    usual=yuan(row.usual_microcny),
                    reason=REASONS[row.reason],
                    title=short_line(row.title) or row.instance_uuid,
                ),
            )


RULE = OddDays()
