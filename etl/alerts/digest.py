"""The digest of a day or of seven days: what ran, what it cost, what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from etl.alerts.facts import DayCost, DueDigest
from etl.alerts.reading import Reading
from etl.alerts.rules.money import lasts_s
from etl.alerts.rules.runs import is_loose
from etl.alerts.words import Words, about, hours, joined, one_line, same, yuan
from etl.history.days import Zone
from etl.poll import Instant
from etl.reports.observation import observations_of_days, observed_line
from etl.settings.alerts import AlertSettings
from etl.tables import sync_run

PERIODS: Final = {"day": 1, "week": 7}
"""Days that a digest looks back on, up to yesterday."""
LATE_S: Final = 3 * 3_600
"""A digest whose time is so long past is left out."""
MODELS: Final = 6
USAGE: Final = """
SELECT gpu_name, CAST(SUM(running_s) AS BIGINT) AS running_s, CAST(SUM(gpu_s) AS BIGINT) AS gpu_s
FROM gpu_usage_daily WHERE day BETWEEN :first AND :last
GROUP BY gpu_name ORDER BY 3 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class Period:
    """`first` to `last`, both included."""

    name: str
    first: date
    last: date

    @property
    def key(self) -> str:
        return f"digest:{self.name}:{self.last}"

    def before(self) -> Period:
        """The period of the same length just before."""
        days = timedelta(days=PERIODS[self.name])
        return Period(self.name, self.first - days, self.last - days)

    def cost(self, rows: tuple[DayCost, ...]) -> int | None:
        """Of all accounts; None where nothing is known of any day."""
        first, last = self.first.isoformat(), self.last.isoformat()
        known = [row.cost_microcny for row in rows if first <= row.day <= last]
        return sum(known) if known else None


def period(name: str, zone: Zone, now: Instant) -> Period:
    """The newest whole period before today."""
    last = zone.local(now).date() - timedelta(days=1)
    return Period(name, last - timedelta(days=PERIODS[name] - 1), last)


def due(
    settings: AlertSettings, zone: Zone, now: Instant, write: Callable[[Period], Words]
) -> Iterator[DueDigest]:
    """The digests whose time it is."""
    today = zone.local(now).date()
    wanted = [("day", settings.daily_digest)]
    if settings.weekly_digest is not None and settings.weekly_digest[0] == today.weekday():
        wanted.append(("week", settings.weekly_digest[1]))
    for name, minute in wanted:
        if minute is not None and 0 <= now - zone.at(today, minute) < LATE_S:
            told = period(name, zone, now)
            yield DueDigest(told.key, write(told))


def compose(conn: Connection, reading: Reading, told: Period, zone: Zone, now: Instant) -> Words:
    """Write the text of a digest. Of days that nobody saw it says so, and no more."""
    seen = observations_of_days(conn, told.first.isoformat(), told.last.isoformat(), now)
    is_blind = all(each.is_blind for each in seen)
    span = f"{told.first} – {told.last}" if told.first != told.last else f"{told.last}"
    return joined(
        [
            Words("日报 ", "Digest of ") + same(span)
            if told.name == "day"
            else Words("周报 ", "Weekly digest, ") + same(span),
            Words(*(observed_line(seen, of_period=True, lang=lang) for lang in ("zh", "en"))),
            *([] if is_blind else _usage(conn, reading, told)),
            *([] if is_blind else _costs(reading.day_costs(zone, now), told)),
            _running(reading),
            *_balances(reading, now),
            _polls(conn, told, zone),
        ]
    )


def _usage(conn: Connection, reading: Reading, told: Period) -> Iterator[Words]:
    rows: list[Any] = list(
        conn.execute(text(USAGE), {"first": told.first.isoformat(), "last": told.last.isoformat()})
    )
    ran, cards = sum(r.running_s for r in rows), sum(r.gpu_s or 0 for r in rows)
    yield Words(
        f"运行 {hours(ran)} 小时,{hours(cards)} 卡时",
        f"Ran {hours(ran)} h, {hours(cards)} card-hours",
    )
    known = [r for r in rows if r.gpu_s]
    if known:
        listed = [f"{one_line(r.gpu_name) or '?'} {hours(r.gpu_s)}" for r in known[:MODELS]]
        left = ["…"] if len(known) > MODELS else []
        yield Words(
            "  卡时:" + ",".join(listed + left), "  Card-hours: " + ", ".join(listed + left)
        )


def _costs(rows: tuple[DayCost, ...], told: Period) -> Iterator[Words]:
    cost, before = told.cost(rows), told.before().cost(rows)
    if cost is not None:
        yield about(cost, "费用约 {}", "Cost about {}") + about(
            before, "(前一周期 {})", " ({} in the period before)"
        )


def _running(reading: Reading) -> Words:
    rows = reading.machines.running()
    loose = sum(map(is_loose, rows))
    return Words(
        f"现在运行 {len(rows)} 台,其中 {loose} 台未设定时关机",
        f"{len(rows)} running now, {loose} of them without a timer",
    )


def _balances(reading: Reading, now: Instant) -> Iterator[Words]:
    for row in reading.balances(now):
        left_s = lasts_s(row)
        lasting = (
            same("")
            if left_s is None
            else Words(f",还够 {hours(left_s)} 小时", f", lasts {hours(left_s)} h")
        )
        name, left = one_line(row.account), yuan(row.points[-1][1])
        yield Words(f"余额 {name}:{left}", f"Balance {name}: {left}") + lasting


def _polls(conn: Connection, told: Period, zone: Zone) -> Words:
    c = sync_run.c
    begins, ends = zone.starts(told.first), zone.starts(told.last + timedelta(days=1))
    counts: dict[str, int] = {
        row[0]: row[1]
        for row in conn.execute(
            select(c.outcome, func.count())
            .where(c.resource == "instances", c.started_at >= begins, c.started_at < ends)
            .group_by(c.outcome)
        )
    }
    good, bad = counts.get("complete", 0), counts.get("partial", 0) + counts.get("failed", 0)
    return Words(f"同步 {good} 次完整,{bad} 次不完整", f"{good} complete polls, {bad} others")
