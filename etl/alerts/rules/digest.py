"""The digest of a day or of seven days: usage, cost and balance. Sent at its time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from etl.alerts.cause import Cause
from etl.alerts.machines import Running
from etl.alerts.options import RuleOptions, TimeOfDay, TimeOfWeek
from etl.alerts.rules.balance import STALE_S, Purse, purses
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import (
    NOTHING,
    Words,
    about,
    hours,
    joined,
    local_time,
    same,
    short_line,
    yuan,
)
from etl.history.days import Zone
from etl.poll import Instant
from etl.units import HOUR_S

PERIODS: Final = {"day": 1, "week": 7}
"""Days that each digest covers, up to yesterday."""
# a machine that is switched on at noon should not send the morning's digest
LATE_S: Final = 3 * HOUR_S
"""The longest that a digest may be late; after that it is left out."""
MODELS: Final = 6
LEAST_UNSEEN_S: Final = HOUR_S // 10
"""The shortest unobserved time that is worth a line."""
FRESH_S: Final = HOUR_S
"""Age of the newest poll from which its time stands beside the number of running instances."""
SPANS: Final = "SELECT account, first_s, last_s FROM sync_span WHERE {accounts} ORDER BY account"
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
OBSERVED: Final = """
SELECT account, until_s, asked_s - seen_s AS unseen_s, span_s
FROM time_observed() observed
WHERE {accounts} ORDER BY account
"""
# two keys of one account are two accounts here: told, or totals would look halved
DOUBLES: Final = """
SELECT a.name AS account, b.name AS other, COUNT(*) AS instances
FROM instance i
JOIN instance j ON j.instance_uuid = i.instance_uuid AND j.account_id > i.account_id
    AND j.gone_at IS NULL
JOIN account a ON a.account_id = i.account_id
JOIN account b ON b.account_id = j.account_id
WHERE i.gone_at IS NULL
GROUP BY a.name, b.name ORDER BY a.name, b.name
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
class Period:
    """The days from `first` to `last`, both included."""

    name: str
    first: date
    last: date

    @property
    def key(self) -> tuple[str, str]:
        return self.name, str(self.last)

    def before(self) -> Period:
        """Return the period of the same length just before."""
        days = timedelta(days=PERIODS[self.name])
        return Period(self.name, self.first - days, self.last - days)

    def bounds(self, zone: Zone) -> tuple[Instant, Instant]:
        """Return its first second, and the first one after it."""
        return zone.starts(self.first), zone.starts(self.last + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class DueDigest:
    period: Period
    words: Words


class Digest(AlertRule[DueDigest, DigestOptions]):
    name = "digest"
    prompt = True
    options = DigestOptions

    def facts(self, snapshot: Snapshot, options: DigestOptions) -> Sequence[DueDigest]:
        return [
            DueDigest(period, self._text(snapshot, period))
            for period in due(options, snapshot.moment)
        ]

    def causes(
        self, facts: Sequence[DueDigest], options: DigestOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            yield self.cause(*row.period.key, severity="info", words=row.words)

    def _text(self, snapshot: Snapshot, period: Period) -> Words:
        """Return the digest's text; empty while its alert is open, since it was sent by then."""
        # its queries read weeks: they are not asked again at each tick until the time is over
        key = ":".join((self.name, *period.key))
        return NOTHING if key in snapshot.moment.open_keys else digest_text(snapshot, period)


RULE = Digest()


def newest_period(name: str, moment: Moment) -> Period:
    """Return the newest whole day, or seven days, before today."""
    last = moment.zone.local_date(moment.now) - timedelta(days=1)
    return Period(name, last - timedelta(days=PERIODS[name] - 1), last)


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


def digest_text(snapshot: Snapshot, period: Period) -> Words:
    """Write the text of a digest."""
    return joined(
        [_digest_title(period), *_observed_lines(snapshot, period), *_now_lines(snapshot)]
    )


def _digest_title(period: Period) -> Words:
    if period.name == "day":
        return Words("日报 ", "Digest of ") + same(f"{period.last}")
    return Words("周报 ", "Weekly digest, ") + same(f"{period.first} – {period.last}")


def _observed_lines(snapshot: Snapshot, period: Period) -> Iterator[Words]:
    """Yield lines about the period: usage, cost, polls, and how much of it nobody saw."""
    days = {"from_day": period.first.isoformat(), "to_day": period.last.isoformat()}
    observed = {
        row.account: row for row in _ask(snapshot, OBSERVED, now=snapshot.moment.now, **days)
    }
    if all(row.span_s == 0 for row in observed.values()):
        yield Words("该期间没有任何观测数据", "Nothing was observed in this period")
        return
    yield from _usage(snapshot, period)
    yield from _cost(snapshot, period)
    yield from _doubles(snapshot)
    yield from _unobserved(snapshot.moment, period, observed)
    yield _polls_line(snapshot, period)


def _usage(snapshot: Snapshot, period: Period) -> Iterator[Words]:
    rows = _ask(snapshot, USAGE, **_day_arguments(period))
    ran, cards = sum(r.running_s for r in rows), sum(r.gpu_s or 0 for r in rows)
    yield Words(
        f"共运行 {hours(ran)} 小时，{hours(cards)} 卡时",
        f"Ran for {hours(ran)} h, {hours(cards)} card-hours",
    )
    known = [r for r in rows if r.gpu_s]
    if known:
        listed = [f"{short_line(r.gpu_name) or '?'} {hours(r.gpu_s)}" for r in known[:MODELS]]
        listed += ["…"] if len(known) > MODELS else []
        yield Words("  卡时：" + "，".join(listed), "  Card-hours: " + ", ".join(listed))


def _cost(snapshot: Snapshot, period: Period) -> Iterator[Words]:
    """Yield the cost, compared with the period before if all of that was observed."""
    cost = _ask(snapshot, COST, **_day_arguments(period))[0].cost_microcny
    if cost is None:
        return
    earlier, before = period.before(), None
    firsts = [row.first_s for row in _ask(snapshot, SPANS)]
    # else a first week would look like a doubling of the cost
    if max(firsts) <= earlier.bounds(snapshot.moment.zone)[0]:
        before = _ask(snapshot, COST, **_day_arguments(earlier))[0].cost_microcny
    yield about(cost, "费用约 {}", "Cost about {}") + about(
        before, "（上一期 {}）", " ({} in the period before)"
    )


def _doubles(snapshot: Snapshot) -> Iterator[Words]:
    watched = set(snapshot.moment.accounts)
    for row in snapshot.ask(DOUBLES) if len(watched) > 1 else ():
        if {row.account, row.other} <= watched:
            first, other = short_line(row.account), short_line(row.other)
            noun = "instance" if row.instances == 1 else "instances"
            yield Words(
                f"账户 {first} 与 {other} 有 {row.instances} 台相同的实例，只计一次",
                f"Accounts {first} and {other} list {row.instances} {noun} in common, counted once",
            )


def _unobserved(moment: Moment, period: Period, observed: Mapping[str, Any]) -> Iterator[Words]:
    """Yield a line for each account that was not observed all the time."""
    ends = period.bounds(moment.zone)[1]
    for account in moment.accounts:
        name, row = short_line(account), observed.get(account)
        whose = Words(f"账户 {name}：", f"Account {name}: ")
        if len(moment.accounts) == 1:
            whose = NOTHING
        if row is None or row.span_s == 0:
            yield whose + Words("该期间没有观测数据", "not observed in this period")
            continue
        if row.unseen_s < LEAST_UNSEEN_S:
            continue
        at, unseen = local_time(moment.zone, row.until_s), hours(row.unseen_s)
        until = Words(f"观测止于 {at}，", f"observed until {at}; ")
        yield (
            whose
            + (until if row.until_s < ends else NOTHING)
            + Words(
                f"期间内有 {unseen} 小时未观测",
                f"{unseen} h of the period were not observed",
            )
        )


def _polls_line(snapshot: Snapshot, period: Period) -> Words:
    starts, ends = period.bounds(snapshot.moment.zone)
    row = _ask(snapshot, POLLS, starts_s=starts, ends_s=ends)[0]
    good, bad = row.complete or 0, row.others or 0
    return Words(
        f"同步：{good} 次完整，{bad} 次不完整或失败",
        f"Polls: {good} complete, {bad} partial or failed",
    )


def _now_lines(snapshot: Snapshot) -> Iterator[Words]:
    watched = [r for r in snapshot.running() if r.machine.account in snapshot.moment.accounts]
    # two accounts may list the same machine, which runs once
    runs = list({r.machine.instance_uuid: r for r in watched}.values())
    last = max((row.last_s for row in _ask(snapshot, SPANS)), default=None)
    if last is not None:
        yield _running_line(runs, last, snapshot.moment)
    for purse in purses(snapshot):
        yield _balance_line(purse, snapshot.moment)


def _running_line(runs: Sequence[Running], last: Instant, moment: Moment) -> Words:
    alone = sum(run.is_unattended for run in runs)
    at = local_time(moment.zone, last)
    is_old = moment.now - last > FRESH_S
    when = Words(f"{at} 时", f" as of {at}") if is_old else Words("现在", " now")
    return Words(
        f"{when.zh}运行 {len(runs)} 台，其中 {alone} 台未设定时关机",
        f"Running{when.en}: {len(runs)}, {alone} of them without a timer",
    )


def _balance_line(purse: Purse, moment: Moment) -> Words:
    name, left, lasts_s = short_line(purse.account), yuan(purse.left_microcny), purse.lasts_s
    at, is_old = local_time(moment.zone, purse.as_of), moment.now - purse.as_of > STALE_S
    as_of = Words(f"（{at} 时）", f" (as of {at})") if is_old else NOTHING
    lasting = NOTHING
    if lasts_s is not None and not is_old:
        lasting = Words(f"，还可用 {hours(lasts_s)} 小时", f", lasts {hours(lasts_s)} h")
    return Words(f"余额（{name}）：{left}", f"Balance of {name}: {left}") + as_of + lasting


def _day_arguments(period: Period) -> dict[str, str]:
    return {"first": period.first.isoformat(), "last": period.last.isoformat()}


def _ask(snapshot: Snapshot, sql: str, **parameters: Any) -> Sequence[Any]:
    """Run a query about the watched accounts alone."""
    names = {f"account_{i}": name for i, name in enumerate(snapshot.moment.accounts)}
    # NULL: a list without names is no SQL, and nothing equals null
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    return snapshot.ask(sql.format(accounts=f"account IN ({listed})"), **names, **parameters)
