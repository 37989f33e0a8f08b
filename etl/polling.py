"""Run polls of several accounts and resources in order, and report the result of each."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Final

from etl.errors import (
    ABSENT,
    AlreadyPolled,
    ArchiveError,
    Busy,
    Changed,
    ClockUnsure,
    ErrorKind,
    EtlError,
    Fault,
    LockError,
    SettingsError,
    SourceError,
    StalePoll,
)
from etl.poll import Instant
from etl.redact import scrub
from etl.resources import BILLS, INSTANCES, RESOURCES, Resource
from etl.settings import Account
from etl.source.answers import ADVICE_CHANGED, ADVICE_PERMISSION
from etl.source.walk import Source
from etl.store import SyncRun
from etl.sync import Covers, Outcome, sync
from etl.texts import tr
from etl.units import DAY_S

if TYPE_CHECKING:
    from etl.app import App
    from etl.source.walk import Progress

RECORDED: Final = (SourceError, ArchiveError, LockError, Busy, SettingsError, StalePoll, Fault)
"""Failures that get a row; every other one is of the database, which then takes no row either."""
# the first three mostly need a person; the others pass by themselves
EXIT_ORDER: Final = (2, 6, 4, 5, 7, 3, 0)
"""Exit codes by rank: over several accounts the first one that applies is returned."""
DUE: Final = 0.9
"""Share of its interval after which a resource is due: cron's minutes are not exact."""
ABSENT_EVERY_S: Final = DAY_S
"""Interval at which an optional resource that is not there is asked for: it may come."""
UNUSABLE_KEY: Final = (ErrorKind.NO_KEY, ErrorKind.KEY_REFUSED)
"""Failures after which no resource of the account would be answered."""
UNLIKE: Final = (ErrorKind.MISSING, ErrorKind.CHANGED)
"""Kinds of failure that say that the source lacks this resource, or has it in another form."""

log = logging.getLogger("etl.polling")


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one account's poll of one resource: an outcome or an error. `is_repeated`: the
    attempt before failed in the same way.
    """

    account: str
    resource: str
    outcome: Outcome | None = None
    error: EtlError | None = None
    is_repeated: bool = False

    @property
    def is_warning(self) -> bool:
        """Tell whether the only fault is the absence of an optional resource."""
        if self.error is None or not RESOURCES[self.resource].is_optional:
            return False
        return self.error.kind in ABSENT

    @property
    def is_backfill(self) -> bool:
        """Tell whether this was the first poll of the bill, in which every line is new."""
        run = self.outcome.run if self.outcome else None
        return self.resource == BILLS.name and run is not None and 0 < run.added == run.listed

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return 0 if self.is_warning else self.error.exit_code
        assert self.outcome is not None
        return 0 if self.outcome.run.outcome == "complete" else 3


def exit_code(results: Sequence[Result]) -> int:
    """Return the exit code of several polls."""
    # one code for many polls: the most urgent one, as cron can act on one alone
    codes = {result.exit_code for result in results}
    return next((code for code in EXIT_ORDER if code in codes), 1 if codes else 0)


def sync_all(
    app: App, resources: Sequence[str] = (), progress: Progress | None = None
) -> Iterator[Result]:
    """Poll each of these resources of each account once, by default those that are due.

    One that fails stops no other; an account whose key is refused is asked once.
    """
    for account in app.settings.accounts:
        for name in resources or app.settings.resources:
            result = _sync_if_due(app, account, RESOURCES[name], progress, is_due=bool(resources))
            if result is not None:
                yield result
                # every other list would be refused alike
                if result.error is not None and result.error.kind in UNUSABLE_KEY:
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
        if app.settings.keep_polls:
            _fold_old_polls(app, account.name, resource.name)
        return Result(account.name, resource.name, outcome=outcome)
    except EtlError as error:
        # a daemon tries for the lock many times a tick: a row each would drown sync_run
        if covers is not None and isinstance(error, AlreadyPolled | Busy):
            return Result(account.name, resource.name, error=error)
        # a resource knows what is wrong with an answer, and not what to do about it
        if isinstance(error, Changed) and error.advice is None:
            error.advice = ADVICE_CHANGED
        if isinstance(error, SourceError):
            compare_with_instances(error, resource, app.job(account, resource).client)
        return _failed(app, account, resource, began, error)
    except Exception as error:  # noqa: BLE001 - a fault with one listing stops no other
        return _failed(app, account, resource, began, _fault(account, resource, error))


def _fold_old_polls(app: App, account: str, resource: str) -> None:
    """Fold polls older than the setting `keep_polls` allows; a failure of that is no failed poll."""
    # here: without the setting no poll pays for it
    from etl.prune import fold_due

    until = app.now() - app.settings.keep_polls * DAY_S
    try:
        fold_due(app.store(account), resource, until)
    except EtlError as error:
        log.warning("%s %s: old polls are not folded: %s", account, resource, error.message)


def compare_with_instances(error: EtlError, resource: Resource[Any], client: Source) -> None:
    """Settle what the failure of an optional resource means, by whether instances are listed now.

    If they are, a key that was refused lacks a permission: sources answer 401 to either. If they are
    not, a path that was not there, or answered in another form, is part of an outage: gateways answer
    404 or a page while what is behind them is away.
    """
    if not resource.is_optional or error.kind not in (ErrorKind.KEY_REFUSED, *UNLIKE):
        return
    try:
        client.get(INSTANCES.path, {"page": "1", "page_size": "1"})
    except SourceError:
        if error.kind in UNLIKE:
            error.kind = ErrorKind.UNAVAILABLE
    else:
        if error.kind == ErrorKind.KEY_REFUSED:
            error.kind, error.advice = ErrorKind.FORBIDDEN, ADVICE_PERMISSION


def record_skipped(app: App, account: str, resource: str, began: Instant, why: str) -> None:
    """Record a tick that was not polled."""
    _record_failure(app, account, resource, began, Busy(why))


def _sync_if_due(
    app: App,
    account: Account,
    resource: Resource[Any],
    progress: Progress | None,
    *,
    is_due: bool,
) -> Result | None:
    """Poll once if it `is_due` whatever the database says, or else by its newest attempt."""
    try:
        if not (is_due or _is_resource_due(app, account, resource)):
            return None
    except EtlError as error:
        return Result(account.name, resource.name, error=error)
    return sync_one(app, account, resource, progress)


def _fault(account: Account, resource: Resource[Any], error: Exception) -> Fault:
    """Log an exception that nobody expected, and return the error that stands for it."""
    log.error(
        "%s %s: a fault of this program\n%s",
        account.name,
        resource.name,
        scrub(traceback.format_exc().rstrip()),
    )
    # the text of a foreign exception may hold anything, and a row has one line
    seen = scrub(f"{type(error).__name__}: {error}").splitlines()[0]
    return Fault(
        tr("a fault of this program: {error}", error=seen),
        advice=tr(
            "look for a newer chenyu-etl, and report it with the lines above; the rest goes on"
        ),
    )


def _failed(
    app: App, account: Account, resource: Resource[Any], began: Instant, error: EtlError
) -> Result:
    is_repeated = _record_failure(app, account.name, resource.name, began, error)
    return Result(account.name, resource.name, error=error, is_repeated=is_repeated)


def _is_resource_due(app: App, account: Account, resource: Resource[Any]) -> bool:
    """Tell whether the newest attempt is old enough to ask again. Instances are always due."""
    if not resource.is_optional:
        return True
    with app.store(account.name).reading() as known:
        newest = next(iter(known.attempts(resource.name)), None)
        # rows of `sync_run` are on the source's clock
        source_now = app.now() + known.clock_memory(resource.name).offset_s
    if newest is None:
        return True
    every_s = ABSENT_EVERY_S if newest.error_kind in ABSENT else resource.every_s
    # a newest attempt in the future says that a clock was set back: then it is due
    return not 0 <= source_now - newest.started_at < every_s * DUE


def _record_failure(app: App, account: str, resource: str, began: Instant, error: EtlError) -> bool:
    """Record a failed attempt; return whether the attempt before failed in the same way."""
    if not isinstance(error, RECORDED):
        return False  # the database itself failed
    # the failure itself is reported; that its row cannot be written must not hide it
    with suppress(EtlError), app.store(account).writing() as tx:
        # read before the row is written, else the attempt would be compared with itself
        before = next(iter(tx.attempts(resource)), None)
        offset_s = tx.clock_memory(resource).offset_s
        tx.record(resource, _failed_run(error, began + offset_s, app.clock() + offset_s))
        return before is not None and before.error_kind == error.kind
    return False


def _failed_run(error: EtlError, began: float, ended: float) -> SyncRun:
    """Return the row of an attempt, by the source's clock as well as it is known."""
    at = error.at if isinstance(error, ClockUnsure) else None
    started_at = floor(began) if at is None else at
    return SyncRun(
        started_at=started_at,
        # how long it took is by a clock that is in doubt
        finished_at=max(started_at, ceil(ended)) if at is None else started_at,
        # nothing failed: another process polls this account at this moment
        outcome="skipped" if isinstance(error, Busy) else "failed",
        clock_offset_s=error.offset_s if isinstance(error, ClockUnsure | StalePoll) else None,
        error=str(error.message),
        error_kind=error.kind,
    )
