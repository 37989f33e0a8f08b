"""The periods of digests, and lines that every digest has: how far it was observed, and what runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from etl.alerts.machines import Running
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import NOTHING, hours, local_time, short_line
from etl.history.days import Zone
from etl.poll import Instant
from etl.texts import Text, tr
from etl.units import HOUR_S

PERIODS: Final = {"day": 1, "week": 7}
"""Days that each digest covers, up to yesterday."""
LEAST_UNSEEN_S: Final = HOUR_S // 10
"""The shortest unobserved time that is worth a line."""
FRESH_S: Final = HOUR_S
"""Age of the newest poll from which its time stands beside the number of running instances."""
SPANS: Final = "SELECT account, first_s, last_s FROM sync_span WHERE {accounts} ORDER BY account"
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


def newest_period(name: str, moment: Moment) -> Period:
    """Return the newest whole day, or seven days, before today."""
    last = moment.zone.local_date(moment.now) - timedelta(days=1)
    return Period(name, last - timedelta(days=PERIODS[name] - 1), last)


def digest_title(period: Period) -> Text:
    if period.name == "day":
        return tr("Digest of {day}", day=period.last)
    return tr("Weekly digest, {first} – {last}", first=period.first, last=period.last)


def observation(snapshot: Snapshot, period: Period) -> Mapping[str, Any]:
    """Return how much of a period was observed, by account; nothing if no account was."""
    rows = ask_watched(snapshot, OBSERVED, **arguments_of(snapshot, period))
    return {row.account: row for row in rows} if any(row.span_s for row in rows) else {}


def doubles_lines(snapshot: Snapshot) -> Iterator[Text]:
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


def unobserved_lines(
    moment: Moment, period: Period, observed: Mapping[str, Any], *, is_whole_told: bool = False
) -> Iterator[Text]:
    """Yield a line for each account that was not observed all the time.

    `is_whole_told`: the others have a line as well, that says until when they were observed.
    """
    ends = period.bounds(moment.zone)[1]
    for account in moment.accounts:
        name, row = short_line(account), observed.get(account)
        whose = tr("Account {name}: ", name=name) if len(moment.accounts) > 1 else NOTHING
        if row is None or row.span_s == 0:
            yield tr("{account}not observed in this period", account=whose)
            continue
        if row.unseen_s < LEAST_UNSEEN_S:
            if is_whole_told:
                seen_to = local_time(moment.zone, min(row.until_s, ends))
                yield tr("{account}observed until {at}", account=whose, at=seen_to)
            continue
        until = tr("observed until {at}; ", at=local_time(moment.zone, row.until_s))
        yield tr(
            "{account}{until}{hours} h of the period were not observed",
            account=whose,
            until=until if row.until_s < ends else NOTHING,
            hours=hours(row.unseen_s),
        )


def running_line(runs: Sequence[Running], last: Instant, moment: Moment) -> Text:
    now = tr("Running now: {count}, {alone} of them without a timer")
    earlier = tr("Running as of {at}: {count}, {alone} of them without a timer")
    return (earlier if moment.now - last > FRESH_S else now).filled(
        at=local_time(moment.zone, last),
        count=len(runs),
        alone=sum(run.is_unattended for run in runs),
    )


def was_observed_from_start(snapshot: Snapshot, period: Period) -> bool:
    """Tell whether every account was polled before a period began: else its sums lack a part."""
    firsts = [row.first_s for row in ask_watched(snapshot, SPANS)]
    return bool(max(firsts) <= period.bounds(snapshot.moment.zone)[0])


def newest_poll(snapshot: Snapshot) -> Instant | None:
    """Return the start of the newest complete poll of any account."""
    return max((row.last_s for row in ask_watched(snapshot, SPANS)), default=None)


def watched_runs(snapshot: Snapshot) -> Sequence[Running]:
    """Return what runs in the watched accounts, each instance once."""
    watched = [r for r in snapshot.running() if r.machine.account in snapshot.moment.accounts]
    # two accounts may list the same machine, which runs once
    return list({r.machine.instance_uuid: r for r in watched}.values())


def day_arguments(period: Period) -> dict[str, str]:
    return {"first": period.first.isoformat(), "last": period.last.isoformat()}


def arguments_of(snapshot: Snapshot, period: Period) -> dict[str, Any]:
    """Return the parameters of a report over a period, up to now."""
    first, last = period.first.isoformat(), period.last.isoformat()
    return {"now": snapshot.moment.now, "from_day": first, "to_day": last}


def ask_watched(snapshot: Snapshot, sql: str, **parameters: Any) -> Sequence[Any]:
    """Run a query about the watched accounts alone."""
    names = {f"account_{i}": name for i, name in enumerate(snapshot.moment.accounts)}
    # NULL: a list without names is no SQL, and nothing equals null
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    return snapshot.ask_once(sql.format(accounts=f"account IN ({listed})"), **names, **parameters)
