"""A day that costs much more than the same weekday usually does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import COSTS_AGE_S, AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import yuan
from etl.texts import Text, tr
from etl.units import MICRO

# eight weeks before yesterday, which is judged too, and some days more
READ_DAYS: Final = 64
WEEKS: Final = 8
# of two days none is usual
LEAST_WEEKS: Final = 3
WEEKDAYS: Final = (
    tr("Monday"),
    tr("Tuesday"),
    tr("Wednesday"),
    tr("Thursday"),
    tr("Friday"),
    tr("Saturday"),
    tr("Sunday"),
)
DAY_COSTS: Final = """
SELECT account, day, sum_of(cost_microcny) AS cost_microcny
FROM _cost_line WHERE day >= :day GROUP BY account, day ORDER BY account, day
"""


class CostDayOptions(RuleOptions, frozen=True, kw_only=True):
    cost_day_factor: Annotated[float, Meta(ge=1, le=100)] = 1.5
    cost_day_from_yuan: Annotated[int, Meta(ge=0, le=10**9)] = 100


@dataclass(frozen=True, slots=True)
class DayCost:
    """The cost of a day, so far or in all. `day` is ISO text."""

    account: str
    day: str
    cost_microcny: int


class CostDay(AlertRule[DayCost, CostDayOptions]):
    name = "cost_day"
    facts_age_s = COSTS_AGE_S
    options = CostDayOptions

    def facts(self, snapshot: Snapshot, options: CostDayOptions) -> Sequence[DayCost]:
        return day_costs(snapshot, snapshot.moment.day_before(READ_DAYS))

    def causes(
        self, facts: Sequence[DayCost], options: CostDayOptions, moment: Moment
    ) -> Iterator[Cause]:
        today = moment.zone.local_date(moment.now)
        costs = {(row.account, row.day): row.cost_microcny for row in facts}
        for account in sorted({account for account, _ in costs}):
            # yesterday too: its last hours are known only after midnight
            for day in (today - timedelta(days=1), today):
                # a day without a line cost nothing, which is known
                cost = costs.get((account, day.isoformat()), 0)
                usual = _usual(costs, account, day)
                if usual is not None and _is_dear(cost, usual, options):
                    yield self.cause(
                        account,
                        day,
                        severity="warning",
                        account=account,
                        words=_words(day, cost, usual),
                    )


def day_costs(snapshot: Snapshot, since: str) -> list[DayCost]:
    """Return the costs of each account by day from `since` on, as far as prices are known."""
    rows = snapshot.ask(DAY_COSTS, day=since)
    return [DayCost(a, str(day), int(cost)) for a, day, cost in rows if cost is not None]


def _is_dear(cost: int, usual: int, options: CostDayOptions) -> bool:
    return (
        # both, or a day of 3 yuan after days of 1 would be worth a message
        cost > options.cost_day_factor * usual
        and cost - usual >= options.cost_day_from_yuan * MICRO
    )


def _usual(costs: Mapping[tuple[str, str], int], account: str, day: date) -> int | None:
    """Return the median of earlier days with the same weekday; None if too few are known."""
    # the same weekday: a Sunday is cheap beside a Monday, and says nothing of it
    before = [(day - timedelta(weeks=w)).isoformat() for w in range(1, WEEKS + 1)]
    known = [costs[account, name] for name in before if (account, name) in costs]
    return round(median(known)) if len(known) >= LEAST_WEEKS else None


def _words(day: date, cost: int, usual: int) -> Text:
    return tr(
        "{day} cost about {cost}; a {weekday} usually costs {usual}",
        day=f"{day:%m-%d}",
        cost=yuan(cost),
        weekday=WEEKDAYS[day.weekday()],
        usual=yuan(usual),
    )


RULE = CostDay()
