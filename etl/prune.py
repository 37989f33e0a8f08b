"""Prune what grows with every poll: rows of old polls are folded into counts, old days of archives go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etl import store
from etl.archive import Archive
from etl.dialect import Database
from etl.poll import Instant
from etl.resources import RESOURCES
from etl.store import Store
from etl.texts import tr
from etl.units import DAY_S

LEAST_DAYS: Final = 31
"""The fewest days of polls that are kept: alerts and digests look at single polls of weeks."""
STEP_S: Final = 30 * DAY_S
"""Time whose polls are folded in one transaction, so that no poll waits long for it."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was pruned of one resource of one account."""

    account: str
    resource: str
    polls: int
    archived: tuple[Path, ...] = ()

    def lines(self) -> Iterator[str]:
        """Put it into words."""
        whose = f"{self.account} {self.resource}"
        if self.polls:
            yield tr("{whose}: {polls:,} polls", whose=whose, polls=self.polls)
        if self.archived:
            yield tr("{whose}: {days:,} archived days", whose=whose, days=len(self.archived))


def prune(
    database: Database, until: Instant, archives: Sequence[Path] = (), *, dry_run: bool = False
) -> Iterator[Pruned]:
    """Fold the polls that ended before an instant, and remove the days before it from `archives`; yield
    what was done to each resource of each account. With `dry_run` nothing is changed.

    A resource without a complete poll since then is pruned up to its newest one; one with too few
    polls is left as it is.
    """
    with store.reading(database) as known:
        names = list(known.accounts())
    for name in names:
        for resource in RESOURCES:
            pruned = _pruned(Store(database, name), resource, until, archives, dry_run=dry_run)
            if pruned.polls or pruned.archived:
                yield pruned


def _pruned(
    account: Store, resource: str, until: Instant, archives: Sequence[Path], *, dry_run: bool
) -> Pruned:
    polls, ends = 0, 0
    with account.reading() as known:
        begins = known.first_complete_at(resource) or until
    # in one step if none stays
    steps = [until] if dry_run else [*range(begins + STEP_S, until, STEP_S), until]
    for step in steps:
        with suppress(_NothingStays), account.writing() as tx:
            ends = tx.foldable_until(resource, step)
            polls += tx.fold(resource, ends) if ends else 0
            if dry_run:
                raise _NothingStays
    archived = _archived_before(account, resource, ends, archives)
    for path in () if dry_run else archived:
        path.unlink(missing_ok=True)
    return Pruned(account.account, resource, polls, archived)


def fold_due(account: Store, resource: str, until: Instant) -> int:
    """Fold the oldest polls that ended before an instant, a month of them at most and nothing within a
    day of the last time; return how many. For calling after each poll.
    """
    with account.polls() as known:
        begins = known.folded_until().get(resource) or known.first_complete_at(resource) or until
    if until - begins < DAY_S:
        return 0
    for step in [*range(begins + STEP_S, until, STEP_S), until]:
        with account.writing() as tx:
            ends = tx.foldable_until(resource, step)
            folded = tx.fold(resource, ends) if ends else 0
        # the rest after the next polls: this one is waited for
        if folded or not ends:
            return folded
    return 0


class _NothingStays(Exception):
    """Ends the transaction of a dry run."""


def _archived_before(
    account: Store, resource: str, ends: Instant, folders: Sequence[Path]
) -> tuple[Path, ...]:
    """Return the archived days that are over before an instant up to which the database has all polls."""
    if not ends:
        return ()
    with account.reading() as known:
        database_id = known.database_id()
    return tuple(
        path
        for folder in folders
        for path in Archive(folder, account.account, RESOURCES[resource]).days_before(
            ends, database_id
        )
    )
