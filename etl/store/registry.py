"""Registry of accounts: rename, retire and restore them. Their history stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, update

from etl import tables
from etl.errors import SettingsError
from etl.poll import Instant
from etl.store.subject import Subject
from etl.texts import tr

_account, _run, _instance = tables.account.c, tables.sync_run.c, tables.instance.c
NAMED: Final = (tables.price_override, tables.allocation_rule)
"""Tables of the user's rules, which name an account in a column `account`."""


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account that was synced. `last_poll_at`: the end of its newest attempt."""

    name: str
    retired_at: Instant | None
    last_poll_at: Instant | None
    instances: int


class RegistryReader(Subject):
    """Reader of the known accounts."""

    def known(self) -> list[KnownAccount]:
        """Return every account that was ever synced, in the order of their first sync."""
        # subqueries: a join with both would count each poll once for each instance
        last = (
            select(func.max(_run.finished_at))
            .where(_run.account_id == _account.account_id)
            .scalar_subquery()
        )
        listed = (
            select(func.count())
            .where(_instance.account_id == _account.account_id, _instance.gone_at.is_(None))
            .scalar_subquery()
        )
        rows = self._conn.execute(
            select(_account.name, _account.retired_at, last, listed).order_by(_account.account_id)
        )
        return [KnownAccount(*row) for row in rows]


class RegistryWriter(RegistryReader):
    """Writer of accounts, in a write transaction."""

    def rename(self, old: str, new: str, now: Instant) -> None:
        """Rename an account, also in every rule that names it. Raises `SettingsError`."""
        names = self._require(old)
        # two histories cannot be merged: both would have versions of one time
        if new in names:
            raise SettingsError(
                tr("there is an account {new!r} already, with a history of its own", new=new),
                advice=tr("to watch that one alone: chenyu-etl account retire {old}", old=old),
            )
        self._conn.execute(update(tables.account).where(_account.name == old).values(name=new))
        for table in NAMED:
            self._conn.execute(update(table).where(table.c.account == old).values(account=new))
        # a budget of an account has its name in a column that other scopes use for other names
        budget = tables.budget
        self._conn.execute(
            update(budget).where(budget.c.scope == "account", budget.c.name == old).values(name=new)
        )
        # alerts of the old name would stay open for ever: nobody judges it any more
        self._clear_alerts(old, now)

    def retire(self, name: str, now: Instant) -> None:
        """Retire an account: watch it no longer. Raises `SettingsError` if there is none of this
        name.
        """
        self._require(name)
        self._conn.execute(
            update(tables.account)
            # retired twice: the first moment stands, since open usage ends with it
            .where(_account.name == name, _account.retired_at.is_(None))
            .values(retired_at=now)
        )
        self._clear_alerts(name, now)

    def take_back(self, name: str) -> None:
        """Watch a retired account again. Raises `SettingsError` if there is none of this name."""
        self._require(name)
        self._conn.execute(
            update(tables.account).where(_account.name == name).values(retired_at=None)
        )

    def _require(self, name: str) -> Sequence[str]:
        names = self._conn.scalars(select(_account.name).order_by(_account.account_id)).all()
        if name not in names:
            raise SettingsError(
                tr("nothing was synced of an account {name!r}", name=name),
                advice=(
                    tr("there is {names}", names=", ".join(names))
                    if names
                    else tr("there is none yet")
                ),
            )
        return names

    def _clear_alerts(self, account: str, now: Instant) -> None:
        """Clear the alerts about an account under its present name."""
        c = tables.alert.c
        self._conn.execute(
            update(tables.alert)
            .where(c.account == account, c.cleared_at.is_(None))
            .values(cleared_at=now)
        )
