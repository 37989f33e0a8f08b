"""Closed months: their costs are frozen, whatever is learned later."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from etl import store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import iso
from etl.history.months import Month
from etl.poll import Instant
from etl.store.books import BooksReader
from etl.store.monthly import AccountKey, CostShare, FrozenMonth
from etl.texts import tr


@dataclass(frozen=True, slots=True)
class Closing:
    """The outcome of closing a month: accounts by name, frozen costs, and remarks.

    Remarks are about months that were not observed whole.
    """

    accounts: list[str]
    remarks: list[str]
    costs: Counter[CostShare]


def close(
    database: Database, month: str, account: str | None, now: Instant, *, dry_run: bool = False
) -> Closing:
    """Freeze a month's costs, of one account or of all that were observed in it.

    With `dry_run` nothing is changed. Raises `SettingsError` if the month is not observed to its end,
    or at all, or is closed already.
    """
    closing, chosen = Closing([], [], Counter()), Month.parse(month)
    with store.writing(database) as db:
        book = db.books
        starts, ends = chosen.bounds(book.zone())
        # in one transaction: a month is closed for all of them or for none
        for key in book.accounts(account):
            since = _observed_since(book, key, chosen, ends)
            # an account that is younger than the month is no error: what it has cost is closed
            if since > starts:
                remark = f"{month} of {key.name} was observed since {iso(since)} only"
                closing.remarks.append(remark + (": it stays open" if since >= ends else ""))
            if since < ends:
                closing.accounts.append(key.name)
                if not dry_run:
                    book.freeze(key, chosen, now)
        # all of them began after the month: then the month that was asked for is a mistake
        if not closing.accounts:
            raise SettingsError("; ".join(closing.remarks), advice=tr("there is nothing to close"))
        # after freezing: what is returned is what was frozen
        costs = book.monthly_costs(chosen)
        closing.costs.update({s: c for s, c in costs.items() if s.account in closing.accounts})
    return closing


def reopen(database: Database, month: str, account: str | None) -> list[str]:
    """Let a month's costs follow the data again; return the names of the accounts."""
    chosen = Month.parse(month)
    with store.writing(database) as db:
        book = db.books
        # among several accounts those that are open already are passed over
        closed = [key for key in book.accounts(account) if book.is_closed(key, chosen)]
        if not closed:
            raise SettingsError(
                tr("{month} is not closed", month=month), advice=tr("see chenyu-etl month show")
            )
        for key in closed:
            book.thaw(key, chosen)
    return [key.name for key in closed]


def frozen_months(database: Database) -> list[FrozenMonth]:
    """Return the closed months, each with its frozen cost and its cost as computed today."""
    with store.reading(database) as db:
        book = db.books
        return book.frozen_months()


def _observed_since(book: BooksReader, key: AccountKey, month: Month, ends: Instant) -> Instant:
    """Return the start of the first complete poll.

    Raises `SettingsError` if the newest one began before the month was over.
    """
    # not frozen anew: what was reported once must not change without a word
    if book.is_closed(key, month):
        raise SettingsError(
            tr("{month} of {name} is closed", month=month, name=key.name),
            advice=tr("chenyu-etl month reopen {month} first", month=month),
        )
    first_at, last_at = book.observed(key)
    # what ran at its end is only known once a later poll has looked
    if first_at is None or last_at is None or last_at < ends:
        raise SettingsError(
            tr("{month} of {name} is not observed to its end", month=month, name=key.name),
            advice=tr("close it after a complete poll on the first of the next month"),
        )
    return first_at
