"""Status from the database alone: polls and their freshness, fleets, and oddities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from etl import store
from etl.dialect import Database
from etl.history.months import Month
from etl.poll import Instant
from etl.resources import INSTANCES
from etl.store.status import Doubled, Freshness
from etl.timing.freshness import FUTURE_S, why_stale
from etl.units import DAY_S


def status(database: Database, now: Instant) -> dict[str, Any]:
    """Return an operator's first figures: `polls` (`Freshness` of each account and resource), `fleet`
    (`FleetCounts` of each account), `doubled` (`Doubled` of each two accounts), `alerts` (how many hold)
    and `channels` (`Trouble` of each that did not take a message of late)."""
    with store.reading(database) as known:
        return {
            "database": database.location,
            "polls": [asdict(freshness) for freshness in known.status.polls(now)],
            "fleet": [asdict(fleet) for fleet in known.status.fleets()],
            "doubled": [asdict(pair) | {"what": str(pair)} for pair in known.status.doubled()],
            "unread": [asdict(unread) for unread in known.status.unread()],
            "alerts": len(known.alerts.open_keys()),
            "channels": [asdict(t) for t in known.alerts.troubles(now - DAY_S)],
        }


def stale(polls: Sequence[Freshness], accounts: Sequence[str], limit_s: float) -> dict[str, str]:
    """Map each of these accounts that is not fresh to the reason, as far as the database knows."""
    # of instances alone: what is late about money is not blindness
    instances = {poll.account: poll for poll in polls if poll.resource == INSTANCES.name}
    reasons = {name: _why_stale(instances.get(name), limit_s) for name in accounts}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def is_future(poll: Freshness) -> bool:
    """Tell whether its newest complete poll lies in the future, so that no right one is applied."""
    return poll.age_s is not None and poll.age_s < -FUTURE_S


def _why_stale(poll: Freshness | None, limit_s: float) -> str | None:
    age_s = None if poll is None else poll.age_s
    kind = None if poll is None else poll.last_error_kind
    # an age is a moment before a clock that shows 0
    return why_stale(None if age_s is None else -age_s, 0.0, limit_s, kind)


def billed(database: Database, month: str) -> list[tuple[str, int, int]]:
    """Return (account, cash, cards) charged in a month (`2026-10`) of the reporting zone, in
    millionths of a yuan; accounts without a line are left out.
    """
    named = Month.parse(month)
    with store.reading(database) as known:
        return known.status.billed(named.first.isoformat(), named.following().first.isoformat())


__all__ = ["Doubled", "Freshness", "billed", "is_future", "stale", "status"]
