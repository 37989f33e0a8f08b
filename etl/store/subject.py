"""The bases of the store's subjects: of all accounts, and of one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Executable, text

from etl.dialect import Database
from etl.history.codes import Codes
from etl.history.days import Zone
from etl.store import run_statements

if TYPE_CHECKING:
    from etl.store.allocations import Derived


class Subject:
    """One subject inside one transaction. Subclasses are made by `Reading` and `Writing` alone."""

    def __init__(self, database: Database, conn: Connection) -> None:
        self._database = database
        self._conn = conn

    def _ask(self, sql: str, **parameters: Any) -> Any:
        """Run a query written as text, with `epoch(…)` and the like spelled out for the database."""
        return self._conn.execute(text(self._database.render(sql)), parameters)


class AccountSubject:
    """One subject of one account inside one transaction. Values that no poll changes are read once."""

    _has_no_bill = False
    """Whether it is known that the account has no bill, so that none must be asked."""

    def __init__(self, database: Database, conn: Connection, account_id: int) -> None:
        self._database = database
        self._conn = conn
        self._account_id = account_id
        self._codes: Codes | None = None
        self._timezone: str | None = None
        self._deriver: Derived | None = None

    def codes(self) -> Codes:
        if self._codes is None:
            states, units = self._ask(run_statements.STATES), self._ask(run_statements.UNITS)
            self._codes = Codes(states=dict(states.all()), units=dict(units.all()))
        return self._codes

    def database_id(self) -> str:
        """Return the id of this database; a backup of it has the same id."""
        return str(self._ask(run_statements.OWN_ID).scalar_one())

    def deriver(self) -> Derived:
        """Return the account's writer of costs and allocations."""
        if self._deriver is None:
            # here: a poll that changes nothing pays for no costs
            from etl.store.allocations import Derived

            self._deriver = Derived(
                self._database, self._conn, self._account_id, self.codes().units
            )
        return self._deriver

    def zone(self) -> Zone:
        """Return the reporting time zone."""
        if self._timezone is None:
            self._timezone = self._ask(run_statements.TIMEZONE).scalar_one()
        return _zone(self._timezone)

    def _ask(self, statement: Executable, **parameters: Any) -> Any:
        return self._database.ask(
            self._conn, statement, {"account": self._account_id, **parameters}
        )

    def _ask_among(self, question: Any, uuids: Sequence[str], **options: Any) -> Any:
        """Run a query about some instances, as one statement whatever their number."""
        condition, parameters = self._database.among("instance_uuid", uuids)
        return self._ask(question(condition, **options), **parameters)


@lru_cache(maxsize=8)
def _zone(name: str) -> Zone:
    # days of a zone are computed once each: a new zone for every transaction would start over
    return Zone(name)
