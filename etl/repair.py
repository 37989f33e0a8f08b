"""Repair a history with polls that a wrong clock dated: in the future, where they keep all right ones
from being applied, or in the past, before what they list was created.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import floor
from pathlib import Path

from etl import store
from etl.archive import Archive
from etl.dialect import Database
from etl.history.days import iso
from etl.history.months import Month
from etl.poll import SKEW_S, Instant
from etl.rebuild import rebuild_all
from etl.resources import INSTANCES, RESOURCES
from etl.store import Store, Writing
from etl.store.account import Tx
from etl.texts import tr
from etl.timing.freshness import FUTURE_S
from etl.timing.redating import Redating, before_creation, in_future, new_dates
from etl.units import HOUR_S


@dataclass(frozen=True, slots=True)
class Repair:
    """New dates of the polls of one account and resource, and the rows that follow them."""

    account: str
    resource: str
    redating: Redating
    rows: Counter[str] = field(default_factory=Counter)
    archived: int = 0

    def lines(self) -> Iterator[str]:
        """Put the changes into words."""
        whose, dates = f"{self.account} {self.resource}", self.redating.applied
        others = len(self.redating.dates) - len(dates)
        for date in dates:
            new = (
                iso(date.started_at)
                if date.is_exact
                else f"between {iso(date.started_at)} and {iso(date.finished_at)}, so no longer whole"
            )
            yield tr(
                "{whose}: the poll of {started_at} was made {new}",
                whose=whose,
                started_at=iso(date.run.started_at),
                new=new,
            )
        if others:
            yield tr(
                "{whose}: {others} attempts that failed are dated anew", whose=whose, others=others
            )
        if self.rows:
            rows = ", ".join(f"{n} of {name}" for name, n in sorted(self.rows.items()))
            yield tr("{whose}: rows changed: {rows}", whose=whose, rows=rows)
        if self.archived:
            yield tr(
                "{whose}: {archived} archived polls are dated anew, or set aside",
                whose=whose,
                archived=self.archived,
            )


def repair(
    database: Database,
    now: Instant,
    archives: Sequence[Path] = (),
    *,
    dry_run: bool = False,
) -> tuple[list[Repair], list[str]]:
    """Give polls that a wrong clock dated the dates that they can have had, with all that they wrote,
    and derive running time and costs again, in one transaction.

    Polls in the folders of `archives` follow. Returns the repairs, and remarks on closed months, which stay as they are. With `dry_run`
    nothing is changed. Raises `Busy` if an affected account is being synced.
    """
    with ExitStack() as locks:
        for name in () if dry_run else store.account_names(database):
            # of all accounts: what is derived is made again for every one
            locks.enter_context(Store(database, name).account_lock())
        if archives and not dry_run:
            _begin(database, now)
        try:
            with store.writing(database) as tx:
                begun_at = tx.registry.begin_repair(now)
                accounts = tx.accounts().items()
                redated = [r for name, a in accounts for r in _repaired(name, a, now, begun_at)]
                redated = [_with_archives(r, archives, dry_run=dry_run) for r in redated]
                repairs = [r for r in redated if r.redating.dates or r.archived]
                remarks = _remarks(tx, now) if repairs else []
                if dry_run:
                    raise _NothingChanges
                if repairs:
                    # alerts that were noted in the future would be silent until then
                    tx.alerts.bring_back(now)
                    rebuild_all(tx)
                tx.registry.end_repair()
        except _NothingChanges:
            pass
    return repairs, remarks


class _NothingChanges(Exception):
    """Ends the transaction of a dry run."""


def _begin(database: Database, now: Instant) -> None:
    """Keep the moment by which dates are found. A repair that is killed may have given some to the archive
    already: the next try must find the same, or a replay would differ from the database.
    """
    with store.writing(database) as tx:
        tx.registry.begin_repair(now)


def _repaired(name: str, tx: Tx, now: Instant, begun_at: Instant) -> Iterator[Repair]:
    """Redate an account's polls and the rows that they wrote, resource by resource."""
    yield from _repaired_future(name, tx, now, begun_at)
    yield from _repaired_past(name, tx, now)


def _repaired_past(name: str, tx: Tx, now: Instant) -> Iterator[Repair]:
    """Redate polls by a clock that was behind: they list what was created after their date."""
    folded = tx.folded_until().get(INSTANCES.name, 0)
    # of polls that were folded no date is left to be put right
    births = [sighting for sighting in tx.early_sightings(now) if sighting[0] > folded]
    # the rest is asked of an odd history alone: it reads every poll
    runs = tx.applied_runs(INSTANCES.name) if births else []
    wrong = before_creation(runs, births, now)
    if wrong is None:
        return
    is_first, is_last = wrong.first == 0, wrong.last + 1 == len(runs)
    first_id = 0 if is_first else runs[wrong.first].run_id
    until_id = None if is_last else runs[wrong.last + 1].run_id
    after = tx.created_by(runs[wrong.first].finished_at, wrong.until)
    after = max(after, 0 if is_first else runs[wrong.first - 1].started_at)
    for resource in tx.resources():
        # a poll of another list may have ended a little after the last of instances
        ended = runs[wrong.last].finished_at + HOUR_S
        own = tx.runs_between(resource, first_id, until_id, min(ended, wrong.until))
        # the first right poll may have begun a little later than it says
        latest = wrong.until if is_last else wrong.until + SKEW_S
        dates = new_dates(own, after=after, now=latest, offset_s=0.0)
        redating = Redating(dates, wrong.until, wrong.until)
        yield Repair(
            name, resource, redating, tx.redate(resource, redating) if dates else Counter()
        )


def _repaired_future(name: str, tx: Tx, now: Instant, begun_at: Instant) -> Iterator[Repair]:
    """Redate polls that lie in the future; none of them was made after `begun_at`."""
    # what right polls say of the source's clock: those in the future may be wrong in that too
    offset_s = tx.offset_until_s(now + floor(FUTURE_S))
    source_now, latest = floor(now + offset_s), floor(begun_at + offset_s)
    for resource in tx.resources():
        runs = in_future(tx.dated_after(resource, source_now), source_now)
        after = tx.right_before(resource, runs[0].run_id, source_now) if runs else source_now
        dates = new_dates(runs, after=after, now=latest, offset_s=offset_s)
        redating = Redating(dates, source_now)
        rows = tx.redate(resource, redating) if dates else Counter[str]()
        yield Repair(name, resource, redating, rows)


def _with_archives(repaired: Repair, folders: Sequence[Path], *, dry_run: bool) -> Repair:
    """Date archived polls anew too, before the commit, so that a repair that is killed in between can be repeated."""
    resource, archived = RESOURCES.get(repaired.resource), 0
    if repaired.redating.until is not None:
        return repaired  # they are older than all that waits there, so nothing is kept out by them
    for folder in folders if resource is not None else ():
        assert resource is not None
        archive = Archive(folder, repaired.account, resource)
        late = archive.count_after(repaired.redating.latest)
        archived += late
        # also if none is late: a call that was killed may have
        # set them aside without appending them
        if not dry_run and (late or repaired.redating.dates):
            archive.redate(repaired.redating)
    return replace(repaired, archived=archived)


def _remarks(tx: Writing, now: Instant) -> list[str]:
    """Say which months were closed before they were over."""
    zone = tx.books.zone()
    # their figures were handed on: only a person may open them again
    early = [m for m in tx.books.closed_months() if Month.parse(m).bounds(zone)[1] > now]
    return [
        f"{month} is closed and not over yet: it stays as it is; chenyu-etl month reopen {month}"
        for month in early
    ]
