"""Which polls are made, in what order, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from etl.errors import (
    AlreadyPolled,
    ArchiveError,
    Busy,
    EtlError,
    LockError,
    Refused,
    SettingsError,
    SourceError,
)
from etl.poll import Instant
from etl.resources import BILLS, RESOURCES, Resource
from etl.settings import Account
from etl.store import Run
from etl.sync import Covers, Outcome, sync

if TYPE_CHECKING:
    from etl.app import App
    from etl.source.walk import Progress

EXIT_ORDER: Final = (2, 6, 4, 5, 7, 3, 0)
"""Over several accounts the first of these that applies is the exit code."""
FORBIDDEN: Final = 403
DUE: Final = 0.9
"""A resource is due when this share of its interval has passed: cron's minutes are not exact."""


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


def exit_code(results: Sequence[Result]) -> int:
    """The exit code of several polls."""
    codes = {result.exit_code for result in results}
    return next((code for code in EXIT_ORDER if code in codes), 1 if codes else 0)


def sync_all(
    app: App, resources: Sequence[str] = (), progress: Progress | None = None
) -> Iterator[Result]:
    """Poll each of these resources of each account once, by default those that are due.

    A failing account stops no other; without its instances no more is asked of it.
    """
    for account in app.settings.accounts:
        for name in resources or app.settings.resources:
            resource = RESOURCES[name]
            if resources or _is_due(app, account, resource):
                result = sync_one(app, account, resource, progress)
                yield result
                if result.error is not None and not (resources or resource.is_side):
                    break


def sync_one(
    app: App,
    account: Account,
    resource: Resource[Any],
    progress: Progress | None = None,
    covers: Covers | None = None,
) -> Result:
    """Poll once; a failed or skipped attempt is recorded in `sync_run`.

    With `covers`, which is asked under the account's lock, the result may be `AlreadyPolled`, and
    `Busy` is not recorded: whoever asks so may try again.
    """
    began = app.now()
    try:
        outcome = sync(app.job(account, resource, progress), covers)
        return Result(account.name, resource.name, outcome=outcome)
    except EtlError as error:
        if covers is not None and isinstance(error, AlreadyPolled | Busy):
            return Result(account.name, resource.name, error=error)
        is_repeated = _record_failure(app, account.name, resource.name, began, error)
        return Result(account.name, resource.name, error=error, is_repeated=is_repeated)


def record_skipped(app: App, account: str, resource: str, began: Instant, why: str) -> None:
    """Record a tick that was not polled."""
    _record_failure(app, account, resource, began, Busy(why))


def _is_due(app: App, account: Account, resource: Resource[Any]) -> bool:
    """Whether its newest attempt is as old as it is worth asking again. Instances always are."""
    if not resource.is_side:
        return True
    with app.store(account.name).reading() as known:
        newest = known.newest_attempt_at(resource.name)
    return newest is None or not 0 <= app.now() - newest < resource.every_s * DUE


def _record_failure(app: App, account: str, resource: str, began: Instant, error: EtlError) -> bool:
    """Whether the attempt before failed by the same error; this one is recorded."""
    if not isinstance(error, SourceError | ArchiveError | LockError | Busy | SettingsError):
        return False  # the database itself failed
    run = Run(
        started_at=began,
        finished_at=max(began, ceil(app.clock())),
        outcome="skipped" if isinstance(error, Busy) else "failed",
        error=error.message,
    )
    with suppress(EtlError), app.store(account).writing() as tx:
        before = tx.newest_error(resource)
        tx.record(resource, run)
        return before == error.message
    return False
