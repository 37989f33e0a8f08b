"""A budget of which a large part is spent, or that will not last for the month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import COSTS_AGE_S, AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import short_line, yuan
from etl.texts import Text, tr
from etl.units import DAY_S, FEN

PROJECTED_FROM_S: Final = 3 * DAY_S
"""Observed time that a projection needs: less, and one working day would stand for the month."""
EASE: Final = 0.95
"""The part of a budget below which a projection must fall to clear: no alert flaps at the limit."""
# the report's own view, called with this month's lines: its numbers and ours cannot part
BUDGETS: Final = """
WITH costs AS (SELECT account, project, day, cost_microcny FROM _cost_line WHERE day >= :day),
spent AS budget_month(costs AS _cost_line)
SELECT scope, name, month, budget_microcny, spent_microcny, projected_microcny, observed_s
FROM spent
WHERE month = :month AND budget_microcny IS NOT NULL
ORDER BY scope, name
"""
"""Spending against budgets. From `_cost_line`: views that group it first lose its index on days."""

ANY: Final = "SELECT EXISTS (SELECT 1 FROM budget) AS is_there"


class BudgetOptions(RuleOptions, frozen=True, kw_only=True):
    budget_percent: tuple[Annotated[int, Meta(ge=1, le=1_000)], ...] = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget, and the spending of its month. `scope` is project or account, `month` like 2026-11.

    `projected_microcny`: by the end of the month; None if too little was observed.
    """

    scope: str
    name: str
    month: str
    budget_microcny: int
    spent_microcny: int
    projected_microcny: int | None = None

    @property
    def account(self) -> str | None:
        """Return the account; None for a project, which may spend in several accounts."""
        return self.name if self.scope == "account" else None

    @property
    def project(self) -> str | None:
        """Return the project; None for an account."""
        return self.name if self.scope == "project" else None

    @property
    def used_percent(self) -> float:
        """Return the percentage that is spent; the first fen uses up a budget of nothing."""
        if self.budget_microcny <= 0:
            return 100.0 if self.spent_microcny >= FEN else 0.0
        return 100 * self.spent_microcny / self.budget_microcny


class Budget(AlertRule[Spending, BudgetOptions]):
    name = "budget"
    facts_age_s = COSTS_AGE_S
    options = BudgetOptions

    def facts(self, snapshot: Snapshot, options: BudgetOptions) -> Sequence[Spending]:
        return _spending(snapshot)

    def causes(
        self, facts: Sequence[Spending], options: BudgetOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            passed = sorted(p for p in options.budget_percent if row.used_percent >= p)
            if row.budget_microcny <= 0:
                passed = passed[-1:]  # its steps are passed all at once
            yield from self.steps(
                (row.scope, row.name, row.month),
                [(str(p), "urgent" if p >= 100 else "warning") for p in passed],
                _used(row),
                account=row.account,
                project=row.project,
            )
            yield from self._projected(row, moment)

    def _projected(self, row: Spending, moment: Moment) -> Iterator[Cause]:
        key = (row.scope, row.name, row.month, "projected")
        # once it is used up, a projection is no news
        if row.projected_microcny is None or row.used_percent >= 100:
            return
        # a projection moves with every hour: without a margin it would come and go at the limit
        is_open = ":".join((self.name, *key)) in moment.open_keys
        if row.projected_microcny <= row.budget_microcny * (EASE if is_open else 1):
            return
        yield self.cause(
            *key,
            severity="warning",
            account=row.account,
            project=row.project,
            words=tr(
                "{subject}on course for {projected} by the end of the month, over the budget of "
                "{budget}",
                subject=_subject(row),
                projected=yuan(row.projected_microcny),
                budget=yuan(row.budget_microcny),
            ),
        )


def _spending(snapshot: Snapshot) -> list[Spending]:
    """Return this month's budgets, projected as in `budget_month` once three days were observed."""
    # to add up the month of a thousand accounts takes seconds, and most have no budget
    if not snapshot.ask(ANY)[0].is_there:
        return []
    moment = snapshot.moment
    # of this month alone: a budget of the one before can no longer be kept
    first = moment.zone.local_date(moment.now).replace(day=1).isoformat()
    return [
        Spending(
            row.scope,
            row.name,
            row.month,
            row.budget_microcny,
            row.spent_microcny,
            None if row.observed_s < PROJECTED_FROM_S else row.projected_microcny,
        )
        for row in snapshot.ask(BUDGETS, day=first, month=first[:7])
    ]


def _subject(row: Spending) -> Text:
    of_account = tr("Budget of account {name}, {month}: ")
    of_project = tr("Budget of project {name}, {month}: ")
    subject = of_account if row.scope == "account" else of_project
    return subject.filled(name=short_line(row.name), month=row.month)


def _used(row: Spending) -> Text:
    nothing = tr("{subject}{spent} spent of a budget of {budget}")
    part = tr("{subject}{percent}% used ({spent} of {budget})")
    return (nothing if row.budget_microcny <= 0 else part).filled(
        subject=_subject(row),
        percent=f"{row.used_percent:,.0f}",
        spent=yuan(row.spent_microcny),
        budget=yuan(row.budget_microcny),
    )


RULE = Budget()
