"""Facts for one look: what runs, what the month costs, how long the balance lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from etl.dialect import Database
from etl.history.days import Zone
from etl.page.attention import attention
from etl.page.facts import Choice, Facts, gather
from etl.poll import Instant
from etl.reports.trends import last_days

TABLES: Final = (
    *("now", "timers", "idle", "runs", "cost", "cost_before"),
    *("balance", "budget", "limits", "causes", "images", "coverage"),
)
"""What is read: enough for every notice, and no charts."""
_ISOLATES: Final = {0x2068: None, 0x2069: None}
"""Marks of direction, which browsers need and terminals show."""


@dataclass(frozen=True, slots=True)
class Glance:
    """Facts of a period, the costs of the last 14 days, and sentences about what needs a person."""

    facts: Facts
    daily: list[float | None]
    notices: list[tuple[bool, str]]
    """Each sentence, and before it whether it costs money now."""


def look_once(
    database: Database, choice: Choice, zone: Zone, now: Instant, lang: str = "en"
) -> Glance:
    """Read what one look needs."""
    facts = gather(database, choice, zone, now, TABLES)
    period = {"to_day": choice.to_day, "account": choice.account, "now": now}
    daily = last_days(database, zone, period, (), "cost_yuan").of(())
    notices = [
        (notice.is_urgent, notice.text.in_language(lang).translate(_ISOLATES))
        for notice in attention(facts)
    ]
    return Glance(facts, daily, notices)
