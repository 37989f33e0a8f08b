"""Construction of the whole program, once, from the settings. The clock enters here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl import settings as settings_module
from etl import store
from etl.archive import Archive
from etl.dialect import Database, open_database, translated
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.poll import Instant
from etl.resources import Resource
from etl.settings import Account, Settings
from etl.settings.accounts import watched
from etl.store import Store, schema
from etl.sync import Job
from etl.texts import tr
from etl.timing.clock import SteadyOffset

if TYPE_CHECKING:
    from etl.alerts.charts import Draw
    from etl.alerts.engine import Alerts
    from etl.source.client import Client
    from etl.source.walk import Progress


@dataclass
class App:
    """The program over one database. `clock` gives seconds since 1970 on the local clock, which may
    be set; `monotonic` seconds on one that nobody sets. `asked_zone`: the time zone given on the
    command line, which an existing database must have. `draw` makes the charts of digests.
    """

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    asked_zone: str | None = None
    draw: Draw | None = field(repr=False, default=None)
    _clients: dict[str, tuple[str, Client]] = field(init=False, repr=False, default_factory=dict)
    _steady: dict[str, SteadyOffset] = field(init=False, repr=False, default_factory=dict)
    _alerts: Alerts | None = field(init=False, repr=False, default=None)

    @cached_property
    def database(self) -> Database:
        return open_database(self.settings.database_url)

    def close(self) -> None:
        """Close all connections."""
        for _, client in self._clients.values():
            client.close()
        self._clients.clear()
        self.database.engine.dispose()

    def now(self) -> Instant:
        return floor(self.clock())

    def prepare(self) -> schema.Upgrade:
        """Bring the database up to date, after creating it if there is none: its schema, and all
        rows derived by the rules of another version.
        """
        self.database.create(with_folder=self._is_default_place())
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        # the calendar needs a day to reach: this is one of the few places where the clock enters
        change = schema.upgrade(self.database, self.settings.timezone, today, self._derive)
        return max(change, schema.Upgrade.UPGRADED) if self._renew() else change

    def _derive(self, conn: Any) -> None:
        """Make anew what an upgrade left underived, in its transaction: else reports would show no
        costs if the process is killed before it.
        """
        from etl import rebuild

        rebuild.renew_in(store.Writing(self.database, conn))

    def _renew(self) -> bool:
        """Rebuild all derived rows if they are not today's; return whether that was needed."""
        with store.reading(self.database) as known:
            # asked in a read transaction first: nearly always there is nothing to do
            if known.is_derived_by_todays_rules():
                return False
        from etl import rebuild

        return rebuild.renew(self.database)

    def try_preparing(self) -> None:
        """Try to make a database that is not there yet, and leave none. Raises `StoreError` if
        `prepare` would be refused.
        """
        schema.try_creating(self.database, with_folder=self._is_default_place())

    def _is_default_place(self) -> bool:
        # a folder is made in the default place alone: elsewhere its lack means a mistyped path
        return self.settings.database_url in settings_module.default_urls(self.environ)

    def require_file(self) -> None:
        """Raise `SettingsError` if there is no database, of whichever revision."""
        if not self.database.exists():
            raise SettingsError(
                tr("there is no database at {location}", location=self.database.location),
                advice=tr("run chenyu-etl sync first, or name the right one: --database"),
            )

    def require_database(self) -> None:
        """Raise `SettingsError` if nothing was ever synced here, instead of making a file."""
        with translated(self.database):
            self.require_file()
        with store.reading(self.database) as known:
            known.require_schema()
            if self.asked_zone is not None:
                schema.refuse_other_zone(known.timezone(), Zone(self.asked_zone))

    def refuse_demo(self) -> None:
        """Raise `SettingsError` if the database is a demo's: real data must not be mixed with
        it.
        """
        with store.reading(self.database) as known:
            if known.is_demo():
                raise SettingsError(
                    tr(
                        "{location} holds the simulated cloud of chenyu-etl demo",
                        location=self.database.location,
                    ),
                    advice=tr("name a database of your own: --database, or CHENYU_DATABASE_URL"),
                )

    def refuse_unknown_account(self, name: str | None) -> None:
        """Raise `SettingsError` if other accounts were synced, and none of this name."""
        known = store.account_names(self.database)
        if name is not None and known and name not in known:
            raise SettingsError(
                tr("nothing was synced of an account {name!r}", name=name),
                advice=tr("there is {known}", known=", ".join(known)),
            )

    def watched(self) -> list[str]:
        """Return the accounts whose health, age and figures are of interest: all of the settings,
        even if only one of them is polled.
        """
        return self._watched_of([*self.settings.accounts, *self.settings.others])

    def _watched_of(self, accounts: Sequence[Account]) -> list[str]:
        with translated(self.database):
            if not self.database.exists():
                return watched(accounts, (), ())
        with store.reading(self.database) as known:
            # accounts that left the settings are still watched, until they are retired
            names = {a.name: a.retired_at is not None for a in known.registry.known()}
        retired = [name for name, is_retired in names.items() if is_retired]
        return watched(accounts, list(names), retired)

    def stored_timezone(self) -> str:
        """Return the time zone in which the database counts days."""
        with store.reading(self.database) as known:
            return known.timezone()

    def today(self) -> date:
        """Return today's date in the database's time zone."""
        return Zone(self.stored_timezone()).local_date(self.now())

    def local_now(self) -> str:
        """Return the time of now in the database's time zone, for people."""
        return Zone(self.stored_timezone()).local(self.now()).replace(tzinfo=None).isoformat(" ")

    def store(self, account: str) -> Store:
        return Store(self.database, account)

    @property
    def alerts(self) -> Alerts:
        """Return the alert engine, to be called after each poll and each minute:
        `app.alerts.tick(app.now())`.
        """
        from etl.alerts.engine import Alerts

        # made late: rules and channels load libraries that most commands never need
        if self._alerts is None:
            # an account that is left out is another daemon's to tell of
            own = self._watched_of(self.settings.accounts)
            self._alerts = Alerts(
                self.database, self.settings.alerts, own, self.environ, draw=self.draw
            )
        return self._alerts

    def job(
        self, account: Account, resource: Resource[Any], progress: Progress | None = None
    ) -> Job:
        """Return all that a poll of one resource of one account works with."""
        folder = self.settings.archive
        return Job(
            account=account.name,
            resource=resource,
            client=self._client(account),
            store=self.store(account.name),
            clock=self.clock,
            sleep=self.sleep,
            monotonic=self.monotonic,
            # kept over polls: it is what outlives a step of the wall clock
            steady=self._steady.setdefault(account.name, SteadyOffset()),
            archive=Archive(folder, account.name, resource) if folder else None,
            page_size=self.settings.page_size,
            concurrency=self.settings.concurrency,
            progress=progress,
            named=[a.name for a in (*self.settings.accounts, *self.settings.others)],
            secret=account.key(self.environ).encode(),
        )

    def archives(self) -> list[Path]:
        """Return the folders of the archive in the settings, and of all that were ever used here."""
        with self.store("").reading() as known:
            folders = known.archive_folders()
        own = self.settings.archive
        return list(dict.fromkeys([*folders, *([own.absolute()] if own else [])]))

    def limited(self, account: str) -> int:
        """Count the answers to this account that said "too many requests"."""
        kept = self._clients.get(account)
        return kept[1].limited if kept else 0

    def take(self, settings: Settings) -> None:
        """Switch to other settings, over the same database. Running polls end with the old ones."""
        # another database would need new locks and connections: that takes a restart
        self.settings = replace(settings, database_url=self.settings.database_url)
        self._clients.clear()
        self._alerts = None

    def _client(self, account: Account) -> Client:
        """Return the account's client, kept for its connections while the key stays the same."""
        from etl.source.client import Client, Retrying

        key = account.key(self.environ)
        # kept for its open connections, which save handshakes among the polls of a tick
        kept = self._clients.get(account.name)
        if kept is not None and kept[0] == key:
            return kept[1]
        if kept is not None:
            kept[1].close()  # an account's polls take turns: none is using it
        client = Client(
            account.base_url or self.settings.base_url,
            key,
            clock=self.clock,
            timeout_s=self.settings.timeout_s,
            retrying=Retrying(attempts=self.settings.attempts),
            connections=self.settings.concurrency,
        )
        self._clients[account.name] = key, client
        return client


def configured_url() -> str:
    """Return the URL of the database that the environment and the config file name, for Alembic's
    own commands.
    """
    return settings_module.load({}, os.environ).database_url
