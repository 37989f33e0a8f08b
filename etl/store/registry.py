"""Registry of accounts: rename, retire and restore them. Their history stays as it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from etl import tables
from etl.errors import SettingsError
from etl.poll import APPLIED, Instant
from etl.store.subject import Subject
from etl.texts import tr
from etl.units import HOUR_S

_account, _run, _instance = tables.account.c, tables.sync_run.c, tables.instance.c
_setting = tables.setting.c
FORMER_NAMES: Final = "former_names"
"""Setting of the database: the earlier names of each account that was renamed."""
TURNS: Final = "renamed_by_itself"
REPAIR: Final = "clock_repair"
"""Setting: the moment of a repair of dates that is under way, and the newest poll of then."""
MOST_TURNS: Final = 3
"""A person may change a name and change it back; more often within an hour it is no person."""
NAMED: Final = (tables.price_override, tables.allocation_rule, tables.tag_rule, tables.lease)
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

    def former_names(self, name: str) -> tuple[str, ...]:
        """Return the names that an account had before, oldest first."""
        return tuple(self._renames().get(name, ()))

    def is_former(self, name: str) -> bool:
        """Tell whether an account that has another name now was called so before."""
        return any(name in names for names in self._renames().values())

    def same_account(
        self, listing: Callable[[], Collection[str]], named: Collection[str]
    ) -> str | None:
        """Return the known account that a listing shows under another name; None if there is none.

        It lists most of the instances that the account had when it was last polled. An account that is
        `named` by the settings goes on by itself. `listing` is asked only if there is another one.
        """
        others = select(_account.account_id).where(_account.name.not_in(list(named)))
        if self._conn.scalar(others.limit(1)) is None:
            return None
        listed = listing()
        rows = self._conn.execute(
            select(_account.name, _instance.instance_uuid)
            .join_from(tables.account, tables.instance)
            .where(_instance.gone_at.is_(None), _account.name.not_in(list(named)))
        )
        held, shared = Counter[str](), Counter[str]()
        for name, uuid in rows:
            held[name] += 1
            shared[name] += uuid in listed
        return next((n for n, count in shared.most_common(1) if 2 * count >= held[n] > 0), None)

    def _renames(self) -> dict[str, list[str]]:
        kept = self._conn.scalar(select(_setting.value).where(_setting.name == FORMER_NAMES))
        return dict(json.loads(kept or "{}"))


class RegistryWriter(RegistryReader):
    """Writer of accounts, in a write transaction."""

    def continue_as(self, old: str, new: str, now: Instant) -> None:
        """Rename an account whose settings have a new name for it already; of polls under the new name
        only failures stay, since the next ones bring the rest again. Raises `SettingsError` if both
        names take turns: two programs poll it.
        """
        self._refuse_turns(old, new, now)
        new_id = self._conn.scalar(select(_account.account_id).where(_account.name == new))
        if new_id is not None:
            old_id = select(_account.account_id).where(_account.name == old).scalar_subquery()
            self._conn.execute(
                update(tables.sync_run)
                .where(_run.account_id == new_id, _run.outcome.not_in(APPLIED))
                .values(account_id=old_id)
            )
            # children before parents: rows refer to the account
            for table in reversed(tables.metadata.sorted_tables):
                if "account_id" in table.c:
                    self._conn.execute(delete(table).where(table.c.account_id == new_id))
        self.rename(old, new, now)

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
        # these have the account's name in a column that other scopes use for other names
        for table in (tables.budget, tables.usage_limit):
            mine = table.c.scope == "account", table.c.name == old
            self._conn.execute(update(table).where(*mine).values(name=new))
        # alerts of the old name would stay open for ever: nobody judges it any more
        self._clear_alerts(old, now)
        renames = self._renames()
        former = [*renames.pop(old, ()), old]
        renames[new] = [name for name in former if name != new]
        self._keep(FORMER_NAMES, renames)

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

    def begin_repair(self, now: Instant) -> Instant:
        """Return the moment by which dates are repaired: that of a repair which was killed, if no poll
        was applied since, else `now`, which is kept.
        """
        newest = self._conn.scalar(
            select(func.max(_run.sync_run_id)).where(_run.outcome.in_(APPLIED))
        )
        kept = self._conn.scalar(select(_setting.value).where(_setting.name == REPAIR))
        begun_at, before = json.loads(kept) if kept else (None, None)
        if begun_at is not None and before == newest:
            return int(begun_at)
        self._keep(REPAIR, (now, newest))
        return now

    def end_repair(self) -> None:
        self._conn.execute(delete(tables.setting).where(_setting.name == REPAIR))

    def _refuse_turns(self, old: str, new: str, now: Instant) -> None:
        """Note that an account changes its name by itself, and refuse what happens again and again."""
        kept = self._conn.scalar(select(_setting.value).where(_setting.name == TURNS))
        pair = sorted((old, new))
        recent = [t for t in json.loads(kept or "[]") if t[0] > now - HOUR_S]
        if sum(t[1] == pair for t in recent) >= MOST_TURNS:
            raise SettingsError(
                tr("{old} and {new} are one account, polled under both names", old=old, new=new),
                advice=tr("give it one name in the settings of every program that polls it"),
            )
        self._keep(TURNS, [*recent, (now, pair)])

    def _keep(self, name: str, value: object) -> None:
        self._conn.execute(delete(tables.setting).where(_setting.name == name))
        self._conn.execute(insert(tables.setting).values(name=name, value=json.dumps(value)))

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
