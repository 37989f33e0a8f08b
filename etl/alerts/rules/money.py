"""Rules about money: what is left, what it is meant to cost, and what it costs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.facts import Balance, Budget, Card, DayCost
from etl.alerts.words import Words, hours, moment, one_line, yuan
from etl.history.days import Zone, iso
from etl.poll import Instant
from etl.settings.alerts import AlertSettings
from etl.units import DAY_S, HOUR_S, MICRO

BURN_S: Final = DAY_S
"""The burn rate is that of so long a time before the newest balance."""
BURN_LEAST_S: Final = 3 * HOUR_S
"""A shorter history says nothing of the rate."""
STALE_BALANCE_S: Final = 6 * HOUR_S
EASE: Final = 1.25
"""A low balance is low until it lasts so many times longer: it does not come and go at the limit."""
FRIDAY, NOON = 4, 12 * 60
WEEKS: Final = 8
LEAST_WEEKS: Final = 3


def balance(
    rows: Iterable[Balance],
    settings: AlertSettings,
    zone: Zone,
    now: Instant,
    open_keys: Collection[str] = (),
) -> Iterator[Cause]:
    """A balance that will not last: for some hours, and on Friday until Monday noon."""
    for row in rows:
        left_s = lasts_s(row)
        if left_s is None or now - row.as_of > STALE_BALANCE_S:
            continue
        yield from _low(row, left_s, settings, open_keys)
        if settings.balance_weekend:
            yield from _weekend(row, left_s, zone, now)


def lasts_s(row: Balance) -> float | None:
    """Seconds that the newest balance lasts at the present rate; None where that is not known, or
    nothing is spent."""
    burn = burn_per_s(row)
    return None if not burn or not row.points else max(0, row.points[-1][1]) / burn


def burn_per_s(row: Balance) -> float:
    """Millionths of a yuan a second: what was spent over the last day, or what runs now costs,
    whichever is more. The one knows of charges that no price explains, the other of what began an
    hour ago."""
    return max(spent_per_s(row) or 0, row.running_microcny / HOUR_S)


def spent_per_s(row: Balance) -> float | None:
    """The same over the last day alone. Only falls count: a rise is a recharge, and what was spent in
    the same step is left out."""
    if not row.points:
        return None
    begins = max(row.points[0][0], row.as_of - BURN_S)
    if row.as_of - begins < BURN_LEAST_S:
        return None
    spent = sum(max(0, a - b) for (_, a), (at, b) in pairwise(row.points) if at > begins)
    return spent / (row.as_of - begins)


def card_expiry(
    rows: Iterable[Card], settings: AlertSettings, zone: Zone, now: Instant
) -> Iterator[Cause]:
    """A compute card that expires soon with something left on it."""
    for row in rows:
        left_s = row.expires_at - now
        passed = [days for days in settings.card_days if 0 < left_s <= days * DAY_S]
        keys = [f"card_expiry:{row.account}:{row.uuid}:{iso(row.expires_at)}:{d}d" for d in passed]
        title, at = one_line(row.title) or row.uuid, moment(zone, row.expires_at)
        yield from _steps(
            keys,
            rule="card_expiry",
            severities=["warning"] * len(keys),
            account=row.account,
            words=Words(
                f"算力卡 {title} 将于 {at} 到期,余额 {yuan(row.left_microcny)}",
                f"Compute card {title} expires at {at} with {yuan(row.left_microcny)} left",
            ),
        )


def budget(
    rows: Iterable[Budget], settings: AlertSettings, open_keys: Collection[str] = ()
) -> Iterator[Cause]:
    """A part of a budget that is used up, and one that will not do for the month."""
    for row in rows:
        if row.budget_microcny <= 0:
            continue
        used = 100 * row.spent_microcny / row.budget_microcny
        passed = [percent for percent in settings.budget_percent if used >= percent]
        key = f"budget:{row.scope}:{row.name}:{row.month}"
        yield from _steps(
            [f"{key}:{percent}" for percent in passed],
            rule="budget",
            severities=["urgent" if p >= 100 else "warning" for p in passed],
            account=_account(row),
            words=Words(
                f"{row.month} 预算 {one_line(row.name)}:已用 {used:.0f} %"
                f"({yuan(row.spent_microcny)} / {yuan(row.budget_microcny)})",
                f"Budget {one_line(row.name)} {row.month}: {used:.0f} % used"
                f" ({yuan(row.spent_microcny)} of {yuan(row.budget_microcny)})",
            ),
        )
        yield from _projected(row, f"{key}:projected", used, open_keys)


def cost_day(
    rows: Iterable[DayCost], settings: AlertSettings, zone: Zone, now: Instant
) -> Iterator[Cause]:
    """Today or yesterday, where it cost much more than the same weekday usually does."""
    today = zone.local(now).date()
    costs = {(row.account, row.day): row.cost_microcny for row in rows}
    for account in sorted({account for account, _ in costs}):
        for day in (today - timedelta(days=1), today):
            cost = costs.get((account, day.isoformat()), 0)
            usual = _usual(costs, account, day)
            if usual is None or cost <= settings.cost_day_factor * usual:
                continue
            if cost - usual < settings.cost_day_from_yuan * MICRO:
                continue
            yield Cause(
                key=f"cost_day:{account}:{day}",
                rule="cost_day",
                severity="warning",
                account=account,
                words=Words(
                    f"{day:%m-%d} 费用约 {yuan(cost)},同一星期几通常为 {yuan(usual)}",
                    f"{day:%m-%d} cost about {yuan(cost)}; that weekday usually costs {yuan(usual)}",
                ),
            )


def _low(
    row: Balance, left_s: float, settings: AlertSettings, open_keys: Collection[str]
) -> Iterator[Cause]:
    """The limits that it is under, the lowest said, the others with it."""
    keys = [(limit, f"balance:{row.account}:{limit}h") for limit in settings.balance_hours]
    under = [
        (limit, key)
        for limit, key in keys
        if left_s < limit * HOUR_S * (EASE if key in open_keys else 1)
    ]
    yield from _steps(
        [key for _, key in under],
        rule="balance",
        severities=["urgent" if limit <= 24 else "warning" for limit, _ in under],
        account=row.account,
        words=_lasting(row, left_s),
    )


def _weekend(row: Balance, left_s: float, zone: Zone, now: Instant) -> Iterator[Cause]:
    local = zone.local(now)
    if local.weekday() != FRIDAY or local.hour < 9:
        return
    monday = zone.at(local.date() + timedelta(days=3), NOON)
    if row.as_of + left_s >= monday:
        return
    yield Cause(
        key=f"balance:{row.account}:weekend:{local.date()}",
        rule="balance",
        severity="urgent",
        account=row.account,
        words=Words(
            "周末前请充值:撑不到周一中午。", "Recharge before the weekend: not until Monday noon. "
        )
        + _lasting(row, left_s),
    )


def _lasting(row: Balance, left_s: float) -> Words:
    left, burn = row.points[-1][1], burn_per_s(row)
    hour = yuan(round(burn * HOUR_S))
    is_spent = burn == spent_per_s(row)
    zh, en = ("近一天", "as in the last day") if is_spent else ("现在运行的", "for what runs now")
    return Words(
        f"余额 {yuan(left)},按{zh}每小时 {hour} 计,还够 {hours(left_s)} 小时",
        f"{yuan(left)} left; at {hour} an hour, {en}, that lasts {hours(left_s)} h",
    )


def _account(row: Budget) -> str | None:
    """A project may spend in several accounts."""
    return row.name if row.scope == "account" else None


def _projected(row: Budget, key: str, used: float, open_keys: Collection[str]) -> Iterator[Cause]:
    if row.projected_microcny is None or used >= 100:
        return
    limit = row.budget_microcny * (0.95 if key in open_keys else 1)
    if row.projected_microcny <= limit:
        return
    yield Cause(
        key=key,
        rule="budget",
        severity="warning",
        account=_account(row),
        words=Words(
            f"{row.month} 预算 {one_line(row.name)}:预计月底 {yuan(row.projected_microcny)},"
            f"超出预算 {yuan(row.budget_microcny)}",
            f"Budget {one_line(row.name)} {row.month}: projected {yuan(row.projected_microcny)}"
            f" by the end of the month, more than {yuan(row.budget_microcny)}",
        ),
    )


def _steps(
    keys: list[str],
    *,
    rule: str,
    severities: list[str],
    words: Words,
    account: str | None = None,
) -> Iterator[Cause]:
    """Limits passed one after the other, the last the worst: that is said, the others with it."""
    for i, (key, severity) in enumerate(zip(keys, severities, strict=True)):
        is_worst = i == len(keys) - 1
        yield Cause(
            key=key,
            rule=rule,
            severity=severity,
            words=words,
            account=account,
            covers=tuple(keys[:-1]) if is_worst else (),
            silent=not is_worst,
        )


def _usual(costs: dict[tuple[str, str], int], account: str, day: date) -> int | None:
    """The median of the same weekdays before; None where too few are known."""
    before = [(day - timedelta(weeks=w)).isoformat() for w in range(1, WEEKS + 1)]
    known = [costs[account, name] for name in before if (account, name) in costs]
    return round(median(known)) if len(known) >= LEAST_WEEKS else None
