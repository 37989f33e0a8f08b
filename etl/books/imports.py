"""Change the books, or only try to; report the entries replaced and the effect on months."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from etl import store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.store import Writing
from etl.store.monthly import CostShare
from etl.texts import tr


class Effect(NamedTuple):
    """A share of a month's cost before and after a change of the books, in millionths of a yuan."""

    share: CostShare
    before_microcny: int
    after_microcny: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The outcome of an import: numbers of entries by kind, now and before.

    `remarks` name entries without effect, `effects` the costs that a trial would change.
    """

    counts: Mapping[str, tuple[int, int]]
    remarks: Sequence[str] = ()
    effects: Sequence[Effect] = ()

    def __str__(self) -> str:
        return ", ".join(
            f"{now} {kind}s" + (f" in place of {before}" if before else "")
            for kind, (now, before) in self.counts.items()
        )


def refuse_empty(name: str, counts: Mapping[str, tuple[int, int]]) -> None:
    """Raise `SettingsError` if a file would remove all entries of a kind, or holds none at all."""
    # an empty export, or the wrong sheet, looks like a wish to delete everything
    lost = [f"{before} {kind}s" for kind, (now, before) in counts.items() if before and not now]
    if lost or not any(now for now, _ in counts.values()):
        what = (
            tr("that would take {lost} away", lost=" and ".join(lost))
            if lost
            else tr("nothing would be imported")
        )
        kinds = " or ".join(kind for kind, (now, _) in counts.items() if not now)
        raise SettingsError(
            tr("{name} holds no {kinds}: {what}", name=name, kinds=kinds, what=what),
            advice=tr("nothing was changed; if that is meant, add --allow-empty"),
        )


class _Undone(Exception):
    """Ends a transaction that was only a trial."""


def run_import(
    database: Database, work: Callable[[Writing], Imported], *, dry_run: bool
) -> Imported:
    """Do the work in one transaction; with `dry_run` undo it, and return its effects too."""
    if not dry_run:
        with store.writing(database) as db:
            return work(db)
    imported = Imported({})
    with suppress(_Undone), store.writing(database) as db:
        before = db.books.monthly_costs()
        imported = work(db)
        imported = replace(imported, effects=effects(before, db.books.monthly_costs()))
        # an exception is what rolls back: a trial must leave nothing
        raise _Undone
    return imported


def effects(before: Counter[CostShare], after: Counter[CostShare]) -> list[Effect]:
    """Return the shares of months that differ, in order."""
    # nulls, of usage that no rule assigns, come first: Python does not order them
    shares = sorted(before.keys() | after.keys(), key=lambda share: [part or "" for part in share])
    return [
        Effect(share, before[share], after[share])
        for share in shares
        if before[share] != after[share]
    ]
