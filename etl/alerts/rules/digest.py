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
from etl.alerts.words import NOTHING, about, hours, local_time, short_line, yuan
from etl.history.days import Zone
from etl.poll import Instant
from etl.texts import Text, joined, tr
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
    words: Text


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

    def _text(self, snapshot: Snapshot, period: Period) -> Text:
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


def digest_text(snapshot: Snapshot, period: Period) -> Text:
    """Write the text of a digest."""
    lines = [_digest_title(period), *_observed_lines(snapshot, period), *_now_lines(snapshot)]
    return joined(lines, "\n")


def _digest_title(period: Period) -> Text:
    if period.name == "day":
        return tr("Digest of {day}", day=period.last)
    return tr("Weekly digest, {first} – {last}", first=period.first, last=period.last)


def _observed_lines(snapshot: Snapshot, period: Period) -> Iterator[Text]:
    """Yield lines about the period: usage, cost, polls, and how much of it nobody saw."""
    days = {"from_day": period.first.isoformat(), "to_day": period.last.isoformat()}
    observed = {
        row.account: row for row in _ask(snapshot, OBSERVED, now=snapshot.moment.now, **days)
    }
    if all(row.span_s == 0 for row in observed.values()):
        yield tr("Nothing was observed in this period")
        return
    yield from _usage(snapshot, period)
    yield from _cost(snapshot, period)
    yield from _doubles(snapshot)
    yield from _unobserved(snapshot.moment, period, observed)
    yield _polls_line(snapshot, period)


def _usage(snapshot: Snapshot, period: Period) -> Iterator[Text]:
    rows = _ask(snapshot, USAGE, **_day_arguments(period))
    ran, cards = sum(r.running_s for r in rows), sum(r.gpu_s or 0 for r in rows)
    yield tr("Ran for {hours} h, {cards} card-hours", hours=hours(ran), cards=hours(cards))
    known = [r for r in rows if r.gpu_s]
    if known:
        listed = [f"{short_line(r.gpu_name) or '?'} {hours(r.gpu_s)}" for r in known[:MODELS]]
        listed += ["…"] if len(known) > MODELS else []
        yield tr("  Card-hours: {models}", models=joined(listed, tr(", ")))


def _cost(snapshot: Snapshot, period: Period) -> Iterator[Text]:
    """Yield the cost, compared with the period before if all of that was observed."""
    cost = _ask(snapshot, COST, **_day_arguments(period))[0].cost_microcny
    if cost is None:
        return
    earlier, before = period.before(), None
    firsts = [row.first_s for row in _ask(snapshot, SPANS)]
    # else a first week would look like a doubling of the cost
    if max(firsts) <= earlier.bounds(snapshot.moment.zone)[0]:
        before = _ask(snapshot, COST, **_day_arguments(earlier))[0].cost_microcny
    # no words if it is not known: a zero would be read as a cost
    earlier_cost = about(before, tr(" ({yuan} in the period before)"))
    yield tr("Cost about {yuan}{before}", yuan=yuan(cost), before=earlier_cost)


def _doubles(snapshot: Snapshot) -> Iterator[Text]:
    watched = set(snapshot.moment.accounts)
    for row in snapshot.ask(DOUBLES) if len(watched) > 1 else ():
        if {row.account, row.other} <= watched:
            one, many = tr("1 instance"), tr("{count} instances", count=row.instances)
            yield tr(
                "Accounts {first} and {other} list {instances} in common, counted once",
                first=short_line(row.account),
                other=short_line(row.other),
                instances=one if row.instances == 1 else many,
            )


def _unobserved(moment: Moment, period: Period, observed: Mapping[str, Any]) -> Iterator[Text]:
    """Yield a line for each account that was not observed all the time."""
    ends = period.bounds(moment.zone)[1]
    for account in moment.accounts:
        name, row = short_line(account), observed.get(account)
        whose = tr("Account {name}: ", name=name) if len(moment.accounts) > 1 else NOTHING
        if row is None or row.span_s == 0:
            yield tr("{account}not observed in this period", account=whose)
            continue
        if row.unseen_s < LEAST_UNSEEN_S:
            continue
        until = tr("observed until {at}; ", at=local_time(moment.zone, row.until_s))
        yield tr(
            "{account}{until}{hours} h of the period were not observed",
            account=whose,
            until=until if row.until_s < ends else NOTHING,
            hours=hours(row.unseen_s),
        )


def _polls_line(snapshot: Snapshot, period: Period) -> Text:
    starts, ends = period.bounds(snapshot.moment.zone)
    row = _ask(snapshot, POLLS, starts_s=starts, ends_s=ends)[0]
    return tr(
        "Polls: {complete} complete, {others} partial or failed",
        complete=row.complete or 0,
        others=row.others or 0,
    )


def _now_lines(snapshot: Snapshot) -> Iterator[Text]:
    watched = [r for r in snapshot.running() if r.machine.account in snapshot.moment.accounts]
    # two accounts may list the same machine, which runs once
    runs = list({r.machine.instance_uuid: r for r in watched}.values())
    last = max((row.last_s for row in _ask(snapshot, SPANS)), default=None)
    if last is not None:
        yield _running_line(runs, last, snapshot.moment)
    for purse in purses(snapshot):
        yield _balance_line(purse, snapshot.moment)


def _running_line(runs: Sequence[Running], last: Instant, moment: Moment) -> Text:
    now = tr("Running now: {count}, {alone} of them without a timer")
    earlier = tr("Running as of {at}: {count}, {alone} of them without a timer")
    return (earlier if moment.now - last > FRESH_S else now).filled(
        at=local_time(moment.zone, last),
        count=len(runs),
        alone=sum(run.is_unattended for run in runs),
    )


def _balance_line(purse: Purse, moment: Moment) -> Text:
    note = NOTHING
    if moment.now - purse.as_of > STALE_S:
        note = tr(" (as of {at})", at=local_time(moment.zone, purse.as_of))
    elif purse.lasts_s is not None:
        note = tr(", lasts {hours} h", hours=hours(purse.lasts_s))
    return tr(
        "Balance of {name}: {left}{note}",
        name=short_line(purse.account),
        left=yuan(purse.left_microcny),
        note=note,
    )


def _day_arguments(period: Period) -> dict[str, str]:
    return {"first": period.first.isoformat(), "last": period.last.isoformat()}


def _ask(snapshot: Snapshot, sql: str, **parameters: Any) -> Sequence[Any]:
    """Run a query about the watched accounts alone."""
    names = {f"account_{i}": name for i, name in enumerate(snapshot.moment.accounts)}
    # NULL: a list without names is no SQL, and nothing equals null
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    return snapshot.ask(sql.format(accounts=f"account IN ({listed})"), **names, **parameters)
