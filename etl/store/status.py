"""Status of the accounts in the database: polls and their freshness, fleets, money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from sqlalchemy import func, select, text, union_all

from etl import tables
from etl.history.days import iso
from etl.poll import Instant
from etl.store.polls import PollsReader
from etl.store.subject import Subject
from etl.texts import tr
from etl.units import CARD

_run, _instance, _usage = tables.sync_run.c, tables.instance.c, tables.instance_usage.c


@dataclass(frozen=True, slots=True)
class Freshness:
    """Freshness of one resource of one account.

    `age_s` is the age of its newest complete poll in seconds, by the source's clock: None if there was
    none, negative if it is from the future; `step_s` how long after the one before it began.
    """

    account: str
    resource: str
    last_complete_at: str | None
    age_s: int | None
    step_s: int | None
    last_outcome: str
    last_run_at: str
    last_error: str | None
    last_error_kind: str | None
    polls: int
    failed: int


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Counts of one account's instances. `unknown_codes` are status codes whose meaning is not known:
    they count as not running.
    """

    account: str
    instances: int
    running: int
    gpus_running: int
    missing: int
    gone: int
    unreadable: int
    unknown_codes: list[int]


@dataclass(frozen=True, slots=True)
class Doubled:
    """Two accounts that list the same instances, as under one key, and how many."""

    accounts: tuple[str, str]
    instances: int

    def __str__(self) -> str:
        first, other = self.accounts
        return tr(
            "accounts {first} and {other} list the same {instances} instances: everything "
            "of them is counted twice",
            first=first,
            other=other,
            instances=self.instances,
        )


class RunningCount(NamedTuple):
    """Number of running instances of one account with one GPU model, and of their GPUs."""

    account: str
    gpu_name: str
    instances: int
    gpus: int


class Left(NamedTuple):
    """Money left to an account, millionths of a yuan; None if it is not known."""

    account: str
    cash_microcny: int | None
    card_microcny: int | None


@dataclass(frozen=True, slots=True)
class Unread:
    """Records of money that the newest whole poll could not understand: they are in no sum."""

    account: str
    resource: str
    records: int


class Rejected(NamedTuple):
    """A record that could not be understood, and the end of the poll that first brought it."""

    reason: str
    first_seen_at: Instant


class StatusReader(Subject):
    """Reader of the figures that an operator asks for first."""

    def account_names(self) -> dict[int, str]:
        """Map the number of each account that was ever synced to its name."""
        c = tables.account.c
        rows = self._conn.execute(select(c.account_id, c.name).order_by(c.account_id))
        return {row.account_id: row.name for row in rows}

    def polls(self, now: Instant) -> list[Freshness]:
        """Return how fresh each resource of each account is."""
        names, counts = self.account_names(), self._counts()
        newest = self._conn.execute(
            # by number, as an attempt of a wrong clock may lie in the future
            select(_run.account_id, _run.resource, func.max(_run.sync_run_id)).group_by(
                _run.account_id, _run.resource
            )
        ).all()
        return [
            self._freshness(names[account], account, resource, counts[account, resource], run, now)
            for account, resource, run in sorted(newest)
        ]

    def fleets(self) -> list[FleetCounts]:
        """Return the counts of each account's fleet."""
        return [self._fleet(number, name) for number, name in self.account_names().items()]

    def doubled(self) -> list[Doubled]:
        """Return the pairs of watched accounts that list the same instances."""
        names = self.account_names()
        retired = select(tables.account.c.account_id).where(
            tables.account.c.retired_at.is_not(None)
        )
        # a retired account may list what its successor lists: nothing of it is counted any more
        listed = _instance.gone_at.is_(None) & _instance.account_id.not_in(retired)
        twice = (
            select(_instance.instance_uuid)
            .where(listed)
            .group_by(_instance.instance_uuid)
            .having(func.count() > 1)
        )
        rows = self._conn.execute(
            select(_instance.instance_uuid, _instance.account_id)
            .where(listed, _instance.instance_uuid.in_(twice))
            .order_by(_instance.instance_uuid, _instance.account_id)
        )
        pairs = Counter(_account_pairs((row.instance_uuid, row.account_id) for row in rows))
        return [Doubled((names[a], names[b]), count) for (a, b), count in sorted(pairs.items())]

    def running(self) -> list[RunningCount]:
        """Return the number of running instances by account and GPU model."""
        rows = self._conn.execute(
            select(
                tables.account.c.name,
                # a label of a metric cannot be null
                func.coalesce(_usage.gpu_name, ""),
                func.count(),
                func.coalesce(func.sum(_usage.gpu_nums), 0),
            )
            .join_from(
                tables.instance_usage,
                tables.account,
                tables.account.c.account_id == _usage.account_id,
            )
            .where(_usage.ended_at.is_(None), _usage.kind == "running")
            .group_by(tables.account.c.name, _usage.gpu_name)
            .order_by(tables.account.c.name, _usage.gpu_name)
        )
        return [RunningCount(account, model, n, int(gpus)) for account, model, n, gpus in rows]

    def models(self, since: Instant) -> set[tuple[str, str]]:
        """Return (account, GPU model) of every instance that was ever seen, and of all that ran after
        `since`: an instance may start again with another model.
        """
        names = self.account_names()
        ran = _usage.ended_max > since
        rows = self._conn.execute(
            select(_instance.account_id, _instance.gpu_name).union(
                select(_usage.account_id, _usage.gpu_name).where(ran)
            )
        )
        return {(names[account_id], model or "") for account_id, model in rows}

    def costs(self, first_day: str, last_day: str) -> dict[str, tuple[int, int, int]]:
        """Map each account that used anything from one day to another, both included, to the cost:
        estimate, at least, at most, in millionths of a yuan.
        """
        rows = self._ask(_COSTS, first_day=first_day, last_day=last_day)
        return {row[0]: (int(row[1] or 0), int(row[2] or 0), int(row[3] or 0)) for row in rows}

    def outcomes(self) -> dict[tuple[str, str], dict[str, int]]:
        """Map (account, resource) to how many polls had each outcome."""
        names = self.account_names()
        counts = self._counts().items()
        return {(names[account], resource): dict(kept) for (account, resource), kept in counts}

    def _counts(self) -> dict[tuple[int, str], Counter[str]]:
        """Count polls by account, resource and outcome, those that were folded with them."""
        folded = tables.folded_poll.c

        def key_of(c: Any) -> tuple[Any, ...]:
            return (c.account_id, c.resource, c.outcome)

        rows = self._conn.execute(
            union_all(
                select(*key_of(_run), func.count()).group_by(*key_of(_run)),
                select(*key_of(folded), func.sum(folded.polls)).group_by(*key_of(folded)),
            )
        )
        counts: dict[tuple[int, str], Counter[str]] = {}
        for account, resource, outcome, polls in rows:
            counts.setdefault((account, resource), Counter())[outcome] += int(polls)
        return counts

    def left(self) -> list[Left]:
        """Return the money left to each account."""
        b = tables.balance.c
        rows = self._conn.execute(
            select(tables.account.c.name, b.balance_microcny, b.card_balance_microcny)
            .join_from(tables.balance, tables.account, tables.account.c.account_id == b.account_id)
            .where(b.ended_at.is_(None))
            .order_by(tables.account.c.name)
        )
        return [Left(*row) for row in rows]

    def burn(self) -> dict[str, int]:
        """Return the hourly cost to each account of all that runs or is held prepaid, at the newest
        known price, in millionths of a yuan.
        """
        # null where no price is known: such time adds nothing to the rate
        return {row[0]: int(row[1] or 0) for row in self._ask(_BURN)}

    def billed(self, first_day: str, end_day: str) -> list[tuple[str, int, int]]:
        """Return (account, cash, cards) charged from one day to before another, in millionths of a
        yuan; accounts without a line are left out.
        """
        day, cash = tables.bill.c.charged_day, tables.bill.c.charge_channel != CARD
        amount = func.sum(tables.bill.c.amount_microcny)
        rows = self._conn.execute(
            select(tables.account.c.name, amount.filter(cash), amount.filter(~cash))
            .join(tables.account, tables.account.c.account_id == tables.bill.c.account_id)
            .where(day >= first_day, day < end_day, tables.bill.c.superseded_at.is_(None))
            .group_by(tables.account.c.name)
            .order_by(tables.account.c.name)
        )
        # SUM over no row is null; a sum of big integers is a Decimal on Postgres
        return [(name, int(balance or 0), int(cards or 0)) for name, balance, cards in rows]

    def unread(self) -> list[Unread]:
        """Return the records of money that were not understood, by account and resource."""
        rows = self._ask(
            "SELECT account, resource, records FROM _money_unread ORDER BY account, resource"
        )
        return [Unread(*row) for row in rows]

    def rejected(self, limit: int) -> list[Rejected]:
        """Return some records that could not be understood."""
        c = tables.rejected_record.c
        rows = self._conn.execute(select(c.reason, c.first_seen_at).limit(limit))
        return [Rejected(*row) for row in rows]

    def database_version(self) -> str:
        """Return the kind and version of the database, in its own words."""
        # each has its own word for it; on Postgres it names the platform as well
        is_file = self._conn.dialect.name == "sqlite"
        query = "SELECT 'SQLite ' || sqlite_version()" if is_file else "SELECT version()"
        return str(self._conn.scalar(text(query)))

    def _freshness(
        self,
        name: str,
        account: int,
        resource: str,
        counts: Mapping[str, int],
        newest: int,
        now: Instant,
    ) -> Freshness:
        last = self._conn.execute(
            select(_run.outcome, _run.finished_at, _run.error, _run.error_kind).where(
                _run.sync_run_id == newest
            )
        ).one()
        # whole ones alone say how fresh it is: a failed attempt has seen nothing
        complete = self._conn.execute(
            select(_run.finished_at, _run.step_s)
            .where(
                _run.account_id == account, _run.resource == resource, _run.outcome == "complete"
            )
            .order_by(_run.started_at.desc(), _run.finished_at.desc())
            .limit(1)
        ).first()
        # not the newest poll's own offset: a reading that was wrong would make it look fresh
        offset_s = PollsReader(self._database, self._conn, account).usual_offset_s(resource)
        return Freshness(
            account=name,
            resource=resource,
            last_complete_at=None if complete is None else iso(complete.finished_at),
            age_s=None if complete is None else round(now + offset_s - complete.finished_at),
            step_s=None if complete is None else complete.step_s,
            last_outcome=last.outcome,
            last_run_at=iso(last.finished_at),
            last_error=last.error,
            last_error_kind=last.error_kind,
            polls=sum(counts.values()),
            # a skipped one did not fail: another process polled
            failed=counts.get("failed", 0),
        )

    def _fleet(self, account: int, name: str) -> FleetCounts:
        listed, c = _instance.gone_at.is_(None), _instance
        running, gpus = self._conn.execute(
            select(func.count(), func.coalesce(func.sum(_usage.gpu_nums), 0)).where(
                _usage.account_id == account, _usage.ended_at.is_(None), _usage.kind == "running"
            )
        ).one()
        # of listed ones: an unknown code of an instance that is gone troubles nobody
        known = select(tables.instance_status.c.status)
        codes = self._conn.scalars(
            select(c.status)
            .where(c.account_id == account, listed, c.status.not_in(known))
            .distinct()
            .order_by(c.status)
        )
        return FleetCounts(
            account=name,
            instances=self._instances(account, listed),
            running=running,
            gpus_running=int(gpus),
            missing=self._instances(account, listed, c.missing_since.is_not(None)),
            gone=self._instances(account, ~listed),
            unreadable=self._instances(
                account, listed, c.missing_since.is_(None), c.last_seen_at.is_not(None)
            ),
            unknown_codes=list(codes),
        )

    def _instances(self, account: int, *conditions: Any) -> int:
        chosen = select(func.count()).where(_instance.account_id == account, *conditions)
        return self._conn.scalar(chosen) or 0


def _account_pairs(rows: Iterable[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """Pair the accounts that hold the same instance, once for each instance."""
    holders: dict[str, list[int]] = {}
    for uuid, account in rows:
        holders.setdefault(uuid, []).append(account)
    # by instance, not by key: two keys of one account are not equal, but list the same
    for accounts in holders.values():
        yield from combinations(accounts, 2)


# at the newest price that is known, not at the one of this moment: no clock is asked
_BURN = """
    SELECT
        a.name,
        SUM(price_of_time(u, q, {HOUR_S}))
    FROM instance_usage u
    JOIN account a ON a.account_id = u.account_id
    JOIN (
        SELECT p.*, MAX(p.starts_s) OVER (
            PARTITION BY p.account_id, p.gpu_uuid, p.gpu_name, p.image_uuid, p.charging_type, p.no_card
        ) AS newest_s
        FROM price_period p
    ) q
        ON is_price_of(q, u) AND q.kind = u.kind AND q.starts_s = q.newest_s
    WHERE u.ended_at IS NULL
    GROUP BY a.name
"""

_COSTS = """
    SELECT account, SUM(cost_microcny), SUM(cost_min_microcny), SUM(cost_max_microcny)
    FROM cost_daily
    WHERE day BETWEEN :first_day AND :last_day
    GROUP BY account
"""
