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

from etl import schema
from etl import settings as settings_module
from etl.days import Zone
from etl.dialect import Database, open_database, translated
from etl.errors import AlreadyPolled, Busy, EtlError, SettingsError, SourceError
from etl.poll import Instant, LastPoll, Poll
from etl.resources import RESOURCES, Resource
from etl.settings import Account, Settings
from etl.store import Run, Store
from etl.sync import Outcome, Source, sync

if TYPE_CHECKING:
    from etl.client import Client

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
NEAR_S: Final = 10
"""A poll that seems not newer than the last one by less than this is taken again, not refused."""

log = logging.getLogger("etl")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one account's poll of one resource: an outcome or an error."""

    account: str
    resource: str
    outcome: Outcome | None = None
    error: EtlError | None = None

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return self.error.exit_code
        assert self.outcome is not None
        return 0 if self.outcome.run.outcome == "complete" else 3


@dataclass
class App:
    """The program over one database. `clock` gives seconds since 1970 on the local clock."""

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Clock = time.time
    sleep: Callable[[float], None] = time.sleep
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

    def stored_timezone(self) -> str:
        """The time zone in which the database counts days."""
        with translated(self.database), self.database.reading() as conn:
            return schema.stored_timezone(conn)

    def today(self) -> date:
        """Today in the database's time zone."""
        return Zone(self.stored_timezone()).local_date(self.now())

    def store(self, account: str) -> Store:
        return Store(self.database, account)

    def sync_all(
        self, resources: Sequence[str] = (), progress: Progress | None = None
    ) -> Iterator[Result]:
        """One poll of each resource of each account; a failing account stops no other."""
        for account in self.settings.accounts:
            for name in resources or RESOURCES:
                yield self.sync_one(account, RESOURCES[name], progress)

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
            self._record_failure(account.name, resource.name, began, error)
            return Result(account.name, resource.name, error=error)

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

    def _sync(
        self,
        account: Account,
        resource: Resource[Any],
        progress: Progress | None,
        covers: Covers | None = None,
    ) -> Outcome:
        from etl.walk import poll

        client = self._client(account)

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
            return sync(resource, source, self.store(account.name))
        return self._archived_sync(self.settings.archive, account, resource, source)

    def _client(self, account: Account) -> Client:
        """The account's client, kept for its connections while the key stays the same."""
        from etl.client import Client, Retrying

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

    def _record_failure(self, account: str, resource: str, began: Instant, error: EtlError) -> None:
        if not isinstance(error, SourceError | Busy | SettingsError):
            return  # the database itself failed
        run = Run(
            started_at=began,
            finished_at=max(began, ceil(self.clock())),
            outcome="skipped" if isinstance(error, Busy) else "failed",
            error=error.message,
        )
        with suppress(EtlError), self.store(account).writing() as tx:
            tx.record(resource, run)


def exit_code(results: Sequence[Result]) -> int:
    """The exit code of several polls. No permission for a side resource is only a warning."""
    codes = {result.exit_code for result in results}
    return next((code for code in EXIT_ORDER if code in codes), 1 if codes else 0)


def database_url() -> str:
    """The database that the environment and the config file name: for Alembic's own commands."""
    return settings_module.load({}, os.environ).database_url
