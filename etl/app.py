"""Everything built once, from the settings. The clock enters here."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from etl import settings as settings_module
from etl import tables
from etl.dialect import Database, open_database, translated
from etl.errors import (
    AlreadyPolled,
    ArchiveError,
    Busy,
    EtlError,
    Refused,
    SettingsError,
    SourceError,
)
from etl.history.days import Zone
from etl.poll import Instant, LastPoll, Poll
from etl.resources import BILLS, RESOURCES, Resource
from etl.settings import Account, Settings
from etl.store import Run, Store, schema
from etl.sync import Outcome, Source, front_of, sync

if TYPE_CHECKING:
    from etl.alerts import Alerts
    from etl.source.client import Client

Clock = Callable[[], float]
Progress = Callable[[int, int | None], None]
Covers = Callable[[LastPoll | None], bool]
"""Whether the newest applied poll makes another one needless."""

EXIT_ORDER: Final = (2, 6, 4, 5, 7, 3, 0)
"""Over several accounts the first of these that applies is the exit code."""
SHARED_SECOND_S: Final = 1.6
"""A poll begins at least so long after the start of the one before it: `started_at` is rounded
down, and the source's clock is known to half a second."""
POLLS_AGAIN: Final = 3
FORBIDDEN: Final = 403
DUE: Final = 0.9
"""A resource is due when this share of its interval has passed: cron's minutes are not exact."""
NEAR_S: Final = 10
"""A poll that seems not newer than the last one by less than this is taken again, not refused."""

log = logging.getLogger("etl")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one account's poll of one resource: an outcome or an error. `is_repeated`: the
    attempt before failed by the same error."""

    account: str
    resource: str
    outcome: Outcome | None = None
    error: EtlError | None = None
    is_repeated: bool = False

    @property
    def is_warning(self) -> bool:
        """Whether the key has no permission for what the program can do without."""
        return (
            RESOURCES[self.resource].is_side
            and isinstance(self.error, Refused)
            and self.error.status == FORBIDDEN
        )

    @property
    def is_backfill(self) -> bool:
        """Whether this was the first look at the bill: every line is new."""
        run = self.outcome.run if self.outcome else None
        return self.resource == BILLS.name and run is not None and 0 < run.added == run.listed

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return 0 if self.is_warning else self.error.exit_code
        assert self.outcome is not None
        return 0 if self.outcome.run.outcome == "complete" else 3


@dataclass
class App:
    """The program over one database. `clock` gives seconds since 1970 on the local clock.
    `asked_zone`: the time zone said on the command line, which a database that is there must have."""

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Clock = time.time
    sleep: Callable[[float], None] = time.sleep
    asked_zone: str | None = None
    _clients: dict[str, tuple[str, Client]] = field(init=False, repr=False, default_factory=dict)

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

    def prepare(self) -> bool:
        """Bring the database up to date. True where anything was changed."""
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        return schema.upgrade(self.database, self.settings.timezone, today)

    def require_database(self) -> None:
        """Raises `SettingsError` where nothing was ever synced here, instead of making a file."""
        with translated(self.database):
            if not self.database.exists():
                raise SettingsError(
                    f"there is no database at {self.database.place}",
                    advice="run chenyu-etl sync first, or name the right one: --database",
                )
            with self.database.reading() as conn:
                schema.require(conn)
                if self.asked_zone is not None:
                    schema.refuse_other_zone(schema.stored_timezone(conn), Zone(self.asked_zone))

    def refuse_demo(self) -> None:
        """Raises `SettingsError` where the database is a demo's: what is real is not mixed with it."""
        with translated(self.database), self.database.reading() as conn:
            if schema.is_demo(conn):
                raise SettingsError(
                    f"{self.database.place} holds the simulated cloud of chenyu-etl demo",
                    advice="name a database of your own: --database, or CHENYU_DATABASE_URL",
                )

    def refuse_unknown_account(self, name: str | None) -> None:
        """Raises `SettingsError` where others were synced, and none of this name."""
        with translated(self.database), self.database.reading() as conn:
            c = tables.account.c
            known = conn.scalars(select(c.name).order_by(c.name)).all()
        if name is not None and known and name not in known:
            raise SettingsError(
                f"nothing was synced of an account {name!r}", advice=f"there is {', '.join(known)}"
            )

    def stored_timezone(self) -> str:
        """The time zone in which the database counts days."""
        with translated(self.database), self.database.reading() as conn:
            return schema.stored_timezone(conn)

    def today(self) -> date:
        """Today in the database's time zone."""
        return Zone(self.stored_timezone()).local_date(self.now())

    def store(self, account: str) -> Store:
        return Store(self.database, account)

    @cached_property
    def alerts(self) -> Alerts:
        """To be told the time after each poll and each minute: `app.alerts.tick(app.now())`."""
        from etl.alerts import Alerts

        names = [account.name for account in self.settings.accounts]
        return Alerts(self.database, self.settings.alerts, names, self.environ)

    def sync_all(
        self, resources: Sequence[str] = (), progress: Progress | None = None
    ) -> Iterator[Result]:
        """One poll of each of these resources of each account, by default of those that are due.

        A failing account stops no other; without its instances no more is asked of it.
        """
        for account in self.settings.accounts:
            for name in resources or self.settings.resources:
                resource = RESOURCES[name]
                if resources or self._is_due(account, resource):
                    result = self.sync_one(account, resource, progress)
                    yield result
                    if result.error is not None and not (resources or resource.is_side):
                        break

    def _is_due(self, account: Account, resource: Resource[Any]) -> bool:
        """Whether its newest attempt is as old as it is worth asking again. Instances always are."""
        if not resource.is_side:
            return True
        with self.store(account.name).reading() as known:
            newest = known.newest_attempt_at(resource.name)
        return newest is None or not 0 <= self.now() - newest < resource.every_s * DUE

    def sync_one(
        self,
        account: Account,
        resource: Resource[Any],
        progress: Progress | None = None,
        covers: Covers | None = None,
    ) -> Result:
        """One poll; a failed or skipped attempt is recorded in `sync_run`.

        With `covers`, which is asked under the account's lock, the result may be `AlreadyPolled`,
        and what is `Busy` is not recorded: whoever asks so may try again.
        """
        began = self.now()
        try:
            outcome = self._sync(account, resource, progress, covers)
            return Result(account.name, resource.name, outcome=outcome)
        except EtlError as error:
            if covers is not None and isinstance(error, AlreadyPolled | Busy):
                return Result(account.name, resource.name, error=error)
            is_repeated = self._record_failure(account.name, resource.name, began, error)
            return Result(account.name, resource.name, error=error, is_repeated=is_repeated)

    def record_skipped(self, account: str, resource: str, began: Instant, why: str) -> None:
        """A row of `sync_run` for a tick that was not polled."""
        self._record_failure(account, resource, began, Busy(why))

    def limited(self, account: str) -> int:
        """How often the source told this account that it asks too often, as far as is counted."""
        kept = self._clients.get(account)
        return kept[1].limited if kept else 0

    def take(self, settings: Settings) -> None:
        """Go on with other settings, over the same database. Polls in hand end with the old ones."""
        self.settings = replace(settings, database_url=self.settings.database_url)
        self._clients.clear()
        self.__dict__.pop("alerts", None)  # those are made from the settings

    def _sync(
        self,
        account: Account,
        resource: Resource[Any],
        progress: Progress | None,
        covers: Covers | None = None,
    ) -> Outcome:
        from etl.source.walk import poll

        client, store = self._client(account), self.store(account.name)

        def once(last: LastPoll | None, seed: bytes) -> Poll:
            self._wait_for_next_second(last)
            return poll(
                client,
                resource,
                account=account.name,
                clock=self.clock,
                page_size=self.settings.page_size,
                concurrency=self.settings.concurrency,
                last=last,
                seed=seed,
                progress=progress,
                front=front_of(resource, store),
            )

        def source(last: LastPoll | None, seed: bytes) -> Poll:
            if covers is not None and covers(last):
                raise AlreadyPolled(f"{account.name} {resource.name} is polled already")
            taken = once(last, seed)
            for _ in range(POLLS_AGAIN):
                # slow answers leave the source's clock less well known than it was
                if last is None or not 0 <= last.started_at - taken.started_at < NEAR_S:
                    break
                self.sleep(last.started_at - taken.started_at + 1)
                taken = once(last, seed)
            return taken

        if self.settings.archive is None:
            return sync(resource, source, store)
        return self._archived_sync(self.settings.archive, account, resource, source)

    def _client(self, account: Account) -> Client:
        """The account's client, kept for its connections while the key stays the same."""
        from etl.source.client import Client, Retrying

        key = account.key(self.environ)
        kept = self._clients.get(account.name)
        if kept is not None and kept[0] == key:
            return kept[1]
        client = Client(
            self.settings.base_url,
            key,
            clock=self.clock,
            timeout_s=self.settings.timeout_s,
            retrying=Retrying(attempts=self.settings.attempts),
            connections=self.settings.concurrency,
        )
        self._clients[account.name] = key, client
        return client

    def _archived_sync(
        self, folder: Path, account: Account, resource: Resource[Any], source: Source
    ) -> Outcome:
        """A sync that keeps its poll, after applying the one that a killed sync may have kept."""
        from etl.archive import Archive
        from etl.replay import apply_one

        store, archive = self.store(account.name), Archive(folder, account.name, resource)

        def caught_up(last: LastPoll | None, seed: bytes) -> Poll:
            archive.pack()
            left = archive.unapplied(last)
            if left is not None:
                apply_one(store, resource, left)
                with store.reading() as known:
                    last = known.last_poll(resource.name)
            return source(last, seed)

        return sync(resource, caught_up, store, archive.append)

    def _wait_for_next_second(self, last: LastPoll | None) -> None:
        if last is None:
            return
        source_now = self.clock() + (last.clock_offset_s or 0.0)
        wait_s = last.started_at + SHARED_SECOND_S - source_now
        if 0 < wait_s <= SHARED_SECOND_S:
            self.sleep(wait_s)

    def _record_failure(self, account: str, resource: str, began: Instant, error: EtlError) -> bool:
        """A row of `sync_run`. True where the attempt before says the same."""
        if not isinstance(error, SourceError | ArchiveError | Busy | SettingsError):
            return False  # the database itself failed
        run = Run(
            started_at=began,
            finished_at=max(began, ceil(self.clock())),
            outcome="skipped" if isinstance(error, Busy) else "failed",
            error=error.message,
        )
        with suppress(EtlError), self.store(account).writing() as tx:
            said = tx.newest_error(resource)
            tx.record(resource, run)
            return said == error.message
        return False


def exit_code(results: Sequence[Result]) -> int:
    """The exit code of several polls. No permission for a side resource is only a warning."""
    codes = {result.exit_code for result in results}
    return next((code for code in EXIT_ORDER if code in codes), 1 if codes else 0)


def database_url() -> str:
    """The database that the environment and the config file name: for Alembic's own commands."""
    return settings_module.load({}, os.environ).database_url
