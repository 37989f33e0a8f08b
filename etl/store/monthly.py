"""Costs of months by who pays them, and months that are closed: their costs are frozen."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from sqlalchemy import delete, func, insert, select, text

from etl import tables
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.history.months import Month
from etl.poll import APPLIED, Instant
from etl.store import schema
from etl.store.account import Reader
from etl.store.subject import Subject
from etl.texts import tr

_FROZEN: Final = (
    "day",
    "instance_uuid",
    "title",
    "project",
    "owner",
    "cost_centre",
    "tags",
    "kind",
    "gpu_uuid",
    "gpu_name",
    "gpu_nums",
    "charging_type",
    "image_uuid",
    "price_source",
    "settled",
    "used_s",
    "gpu_s",
    "charged_s",
    "unpriced_s",
    "unpriced_max_s",
    "cost_microcny",
    "cost_min_microcny",
    "cost_max_microcny",
    "list_cost_microcny",
)
"""The columns of `_cost_line` that `closed_cost` keeps."""


class AccountKey(NamedTuple):
    """An account by its number and its name."""

    account_id: int
    name: str


class CostShare(NamedTuple):
    """The cost of an account in a month that one payer bears; None if no rule says who."""

    account: str
    month: str
    project: str | None
    owner: str | None
    cost_centre: str | None


class FrozenMonth(NamedTuple):
    """A closed month: its cost as frozen, and as computed today."""

    account: str
    month: str
    closed_at: Instant
    frozen_microcny: int
    known_today_microcny: int


class ObservedBounds(NamedTuple):
    """The starts of an account's first and newest complete poll; both None before the first."""

    first_at: Instant | None
    last_at: Instant | None


class MonthsReader(Subject):
    """Reader of the costs of months, open and closed."""

    def zone(self) -> Zone:
        """Return the reporting time zone."""
        return Zone(schema.stored_timezone(self._conn))

    def accounts(self, name: str | None = None) -> list[AccountKey]:
        """Return all accounts, or the one of that name. Raises `SettingsError` if there is none."""
        c = tables.account.c
        asked = select(c.account_id, c.name).order_by(c.name)
        rows = self._conn.execute(asked if name is None else asked.where(c.name == name)).all()
        # a name that is not there may be a typing error: an empty answer would hide it
        if not rows:
            raise SettingsError(
                (
                    tr("there is no account {name!r}", name=name)
                    if name
                    else tr("nothing is synced yet")
                ),
                advice=tr("see chenyu-etl status"),
            )
        return [AccountKey(*row) for row in rows]

    def monthly_costs(self, month: Month | None = None) -> Counter[CostShare]:
        """Return the cost of each month, or of one, by who pays it, in millionths of a yuan."""
        # no `:month IS NULL OR`: SQLite would then read the days of all months
        chosen = "" if month is None else "WHERE c.month = :month"
        rows = self._ask(
            "SELECT l.account, c.month, l.project, l.owner, l.cost_centre,"
            " sum_of(l.cost_microcny) AS cost FROM _cost_line l"
            f" JOIN calendar_day c ON c.day = l.day {chosen}"
            " GROUP BY l.account, c.month, l.project, l.owner, l.cost_centre",
            **({} if month is None else {"month": str(month)}),
        )
        return Counter(
            {
                CostShare(r.account, r.month, r.project, r.owner, r.cost_centre): r.cost or 0
                for r in rows
            }
        )

    def frozen_months(self) -> list[FrozenMonth]:
        """Return the closed months by account."""
        m, a = tables.closed_month.c, tables.account.c
        rows = self._conn.execute(
            select(a.name, m.account_id, m.month, m.closed_at)
            .join(tables.account, a.account_id == m.account_id)
            .order_by(a.name, m.month)
        ).all()
        return [
            FrozenMonth(
                row.name,
                row.month,
                row.closed_at,
                self._frozen_cost(row.account_id, row.month),
                self._cost_today(row.account_id, row.month),
            )
            for row in rows
        ]

    def closed_months(self) -> list[str]:
        """Return the months that some account has closed, in order."""
        c = tables.closed_month.c
        return list(self._conn.scalars(select(c.month).distinct().order_by(c.month)))

    def is_closed(self, account: AccountKey, month: Month) -> bool:
        c = tables.closed_month.c
        mine = c.account_id == account.account_id, c.month == str(month)
        return self._conn.scalar(select(c.month).where(*mine)) is not None

    def observed(self, account: AccountKey) -> ObservedBounds:
        run = tables.sync_run.c
        row = self._conn.execute(
            select(func.min(run.started_at), func.max(run.started_at)).where(
                run.account_id == account.account_id,
                run.resource == "instances",
                # a partial poll says nothing of what it did not list, so it observes no month
                run.outcome == "complete",
            )
        ).one()
        return ObservedBounds(*row)

    def _frozen_cost(self, account_id: int, month: str) -> int:
        c = tables.closed_cost.c
        mine = c.account_id == account_id, c.month == month
        # SUM of nothing is null: a month in which nothing had a price is closed at 0
        return int(self._conn.scalar(select(func.sum(c.cost_microcny)).where(*mine)) or 0)

    def _cost_today(self, account_id: int, month: str) -> int:
        # by `_cost_part`, not `_cost_line`: that one would give back the frozen amounts
        asked = text(
            "SELECT SUM(p.cost_microcny) FROM _cost_part p JOIN calendar_day d ON d.day = p.day"
            " WHERE p.account_id = :account AND d.month = :month"
        )
        cost = self._conn.scalar(asked, {"account": account_id, "month": month})
        return int(cost or 0)


class MonthsWriter(MonthsReader):
    """Writer of closed months."""

    def freeze(self, account: AccountKey, month: Month, now: Instant) -> None:
        """Freeze an account's costs of a month as they are now."""
        names = ", ".join(_FROZEN)
        reader = Reader(self._database, self._conn, account.account_id)
        self._conn.execute(
            text(
                f"INSERT INTO closed_cost (account_id, month, line_no, {names})"
                # numbered by all that it says, so that closing twice gives the same rows
                f" SELECT account_id, :month, ROW_NUMBER() OVER (ORDER BY {names}), {names}"
                " FROM _cost_line WHERE account = :name"
                " AND day IN (SELECT day FROM calendar_day WHERE month = :month)"
            ),
            {"month": str(month), "name": account.name},
        )
        self._conn.execute(
            insert(tables.closed_month).values(
                account_id=account.account_id,
                month=str(month),
                # compared with instants of polls, which are on the source's clock
                closed_at=now + round(reader.usual_offset_s("instances")),
                bill_until=self._bill_until(account),
            )
        )

    def thaw(self, account: AccountKey, month: Month) -> None:
        """Reopen a month of an account: its costs follow the data again."""
        for table in (tables.closed_cost, tables.closed_month):
            mine = table.c.account_id == account.account_id, table.c.month == str(month)
            self._conn.execute(delete(table).where(*mine))

    def _bill_until(self, account: AccountKey) -> Instant:
        """Return the time until which the bill is known, by the clock of the polls; 0 if it is
        not.
        """
        run, bill = tables.sync_run.c, tables.bill.c
        polled = select(func.max(run.finished_at)).where(
            run.account_id == account.account_id,
            run.resource == "bills",
            run.outcome.in_(APPLIED),
        )
        # by the clock of the polls, not ours: lines that come later are adjustments of the month
        came = select(func.max(bill.changed_at)).where(bill.account_id == account.account_id)
        return max(self._conn.scalar(newest) or 0 for newest in (polled, came))
