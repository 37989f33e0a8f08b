"""A balance that will not last: for some hours, and on Friday until Monday noon."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import hours, yuan
from etl.poll import Instant
from etl.texts import Text, tr
from etl.units import DAY_S, HOUR_S

# the rate of a day begins with the balance that held when the day began
READ_S: Final = 2 * DAY_S
BURN_S: Final = DAY_S
"""The time before the newest balance over which the burn rate is measured."""
BURN_LEAST_S: Final = 3 * HOUR_S
"""The shortest history that says anything about the rate."""
STALE_S: Final = 6 * HOUR_S
EASE: Final = 1.25
"""Factor on the limit that a low balance must last to clear: no alert flaps at the limit."""
# Friday from nine on, for the time until Monday noon: whoever pays is back by then
FRIDAY, FROM_HOUR, NOON = 4, 9, 12 * 60
URGENT_HOURS: Final = 24
BALANCES: Final = """
SELECT a.account_id, a.name AS account, epoch(b.first_seen_at) AS at_s,
    COALESCE(b.balance_microcny, 0) + COALESCE(b.card_balance_microcny, 0) AS left_microcny, (
        SELECT epoch(MAX(r.started_at)) FROM sync_run r
        WHERE r.account_id = b.account_id AND r.resource = 'balance' AND r.outcome = 'complete'
    ) AS polled_s
FROM balance b
JOIN account a ON a.account_id = b.account_id
WHERE b.ended_at IS NULL OR b.ended_at >= instant(:since_s)
ORDER BY a.name, b.first_seen_at
"""


class BalanceOptions(RuleOptions, frozen=True, kw_only=True):
    balance_hours: tuple[Annotated[int, Meta(ge=1, le=10_000)], ...] = (72, 24)
    balance_weekend: bool = True


@dataclass(frozen=True, slots=True)
class Purse:
    """The balance of an account over time, oldest first; each amount holds until the next.

    `as_of`: the newest moment for which the last one is known. `running_microcny`: the cost of an hour
    of everything that runs now.
    """

    account: str
    as_of: Instant
    points: tuple[tuple[Instant, int], ...]
    running_microcny: int = 0

    @property
    def left_microcny(self) -> int:
        return self.points[-1][1]

    @property
    def lasts_s(self) -> float | None:
        """Return the seconds that the newest balance lasts at the present rate.

        None if that is not known, or nothing is spent.
        """
        burn = self.burn_per_s
        return None if not burn or not self.points else max(0, self.left_microcny) / burn

    @property
    def burn_per_s(self) -> float:
        """Return the burn rate in millionths of a yuan a second.

        It is the rate of the last day or of what runs now, whichever is more. The first includes
        charges that no price explains, the second instances that began an hour ago.
        """
        return max(self.spent_per_s or 0, self.running_microcny / HOUR_S)

    @property
    def spent_per_s(self) -> float | None:
        """Return the rate at which the balance fell over the last day.

        A rise is a recharge; spending in the same step is left out.
        """
        if not self.points:
            return None
        # a new account: the rate is that of the time since its first balance
        begins = max(self.points[0][0], self.as_of - BURN_S)
        if self.as_of - begins < BURN_LEAST_S:
            return None
        # a recharge hides what was spent beside it: that step counts for nothing, not below nothing
        falls = (max(0, a - b) for (_, a), (at, b) in pairwise(self.points) if at > begins)
        return sum(falls) / (self.as_of - begins)


class Balance(AlertRule[Purse, BalanceOptions]):
    name = "balance"
    wakes = True
    prompt = True
    options = BalanceOptions

    def facts(self, snapshot: Snapshot, options: BalanceOptions) -> Sequence[Purse]:
        return purses(snapshot)

    def causes(
        self, facts: Sequence[Purse], options: BalanceOptions, moment: Moment
    ) -> Iterator[Cause]:
        for purse in facts:
            lasts_s = purse.lasts_s
            # an old balance would warn of what a recharge may have mended long ago
            if lasts_s is None or moment.now - purse.as_of > STALE_S:
                continue
            yield from self._low(purse, lasts_s, options, moment)
            if options.balance_weekend:
                yield from self._weekend(purse, lasts_s, moment)

    def _low(
        self, purse: Purse, lasts_s: float, options: BalanceOptions, moment: Moment
    ) -> Iterator[Cause]:
        """Yield a cause for each limit that the balance is under, the worst last."""
        steps = []
        # 72 before 24: each step that is passed is another cause, and the last one speaks for all
        for limit in sorted(options.balance_hours, reverse=True):
            is_open = f"{self.name}:{purse.account}:{limit}h" in moment.open_keys
            if lasts_s < limit * HOUR_S * (EASE if is_open else 1):
                steps.append((f"{limit}h", "urgent" if limit <= URGENT_HOURS else "warning"))
        yield from self.steps(
            (purse.account,), steps, _words(purse, lasts_s), account=purse.account
        )

    def _weekend(self, purse: Purse, lasts_s: float, moment: Moment) -> Iterator[Cause]:
        local = moment.zone.local(moment.now)
        # once a week, and while somebody who can pay is at work
        if local.weekday() != FRIDAY or local.hour < FROM_HOUR:
            return
        if purse.as_of + lasts_s >= moment.zone.at(local.date() + timedelta(days=3), NOON):
            return
        yield self.cause(
            purse.account,
            "weekend",
            local.date(),
            severity="urgent",
            account=purse.account,
            words=tr(
                "Recharge before the weekend: the balance will not last until Monday noon. {balance}",
                balance=_words(purse, lasts_s),
            ),
        )


def purses(snapshot: Snapshot) -> list[Purse]:
    """Return the balances of the watched accounts, as far back as the last day's rate needs."""
    rows = snapshot.ask(BALANCES, since_s=snapshot.moment.now - READ_S)
    points: dict[str, list[tuple[Instant, int]]] = defaultdict(list)
    polled: dict[str, Instant] = {}
    for row in rows:
        points[row.account].append((row.at_s, int(row.left_microcny)))
        polled[row.account] = row.polled_s or 0
    costs = _hourly_costs(snapshot)
    return [
        # an unchanged balance writes no row: the poll says that it still holds
        Purse(account, max(known[-1][0], polled[account]), tuple(known), costs[account])
        for account, known in points.items()
        if account in snapshot.moment.accounts
    ]


def _hourly_costs(snapshot: Snapshot) -> Counter[str]:
    """Add up the price of an hour of all that runs, by account.

    Prepaid time has no price by the hour, and does not drain a balance.
    """
    costs: Counter[str] = Counter()
    for run in snapshot.running():
        costs[run.machine.account] += run.hour_microcny or 0
    return costs


def _words(purse: Purse, lasts_s: float) -> Text:
    # said which: whoever stops a machine must know whether that changes the figure
    is_spent = purse.burn_per_s == purse.spent_per_s
    return tr(
        "{left} left: it lasts {hours} h at {rate} an hour, {base}",
        left=yuan(purse.left_microcny),
        hours=hours(lasts_s),
        rate=yuan(round(purse.burn_per_s * HOUR_S)),
        base=tr("the last day's rate") if is_spent else tr("what runs now"),
    )


RULE = Balance()
