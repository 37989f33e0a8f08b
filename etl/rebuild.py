"""Rebuild running time from `instance_history` alone, and set the meanings of codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

from etl import store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history import usage
from etl.history.codes import STATES, UNITS
from etl.history.days import Zone
from etl.history.stretches import Stretch
from etl.poll import Instant
from etl.steps import report_steps
from etl.store import Writing
from etl.store.account import Reader, Tx
from etl.texts import tr

BATCH: Final = 5_000
"""Instances computed at a time."""


def rebuild(database: Database, timezone: str | None, today: date) -> int:
    """Recompute running time from the versions, prices and allocations from list prices, overrides
    and rules, ends that the bill knows, and distances of polls from their instants; return the number of stretches.

    With `timezone`, the days are those of that zone from now on; without, they are cut anew if the
    rules of their zone have changed. All in one transaction. Raises `SettingsError` if a closed month
    would be cut otherwise.
    """
    with store.writing(database) as tx:
        if timezone is not None:
            _refuse_closed(tx, timezone)
            tx.recut_days(Zone(timezone), today)
        # an update of the system may have brought other rules of the zone
        elif days := tx.strayed_days():
            _refuse_closed_days(tx, days)
            tx.recut_days(Zone(tx.timezone()), today)
        return rebuild_all(tx)


def renew(database: Database) -> bool:
    """Rebuild if derived rows were made by other rules, or before a migration; return whether it
    did.
    """
    with store.writing(database) as tx:
        return renew_in(tx)


def renew_in(tx: Writing) -> bool:
    """Rebuild in this transaction what was derived by other rules; return whether anything was."""
    # asked again: another process may have done it while this one waited for its turn
    if tx.is_derived_by_todays_rules():
        return False
    rebuild_all(tx)
    return True


def differences(database: Database) -> Iterator[str]:
    """Yield the changes of a rebuild: a line for each instance that differs, one for prices, one
    for polls, and one for days."""
    with store.reading(database) as known:
        if days := known.strayed_days():
            yield f"{len(days)} days from {days[0]} on: the rules of {known.timezone()} have changed"
        for name, account in known.accounts().items():
            # asked once an account, not for each of its batches
            zone, is_at_stops = account.zone(), account.settlement_rule().is_at_stops
            for uuids in _batches(account):
                kept = account.kept_usage(uuids)
                derived = account.deriver()
                # each layer is compared with the one it follows from, so that one fault shows once
                strayed = derived.wrongly_allocated(uuids) | derived.wrongly_charged(uuids)
                strayed |= derived.sums.strayed(uuids)
                for uuid, polled, last_start in _computed(account, uuids):
                    stretches = kept.with_bill(uuid, polled, is_at_stops=is_at_stops)
                    if kept.differ(uuid, stretches, last_start, zone) or uuid in strayed:
                        yield f"{name} {uuid}"
            if account.deriver().prices_differ():
                yield f"{name} prices"
            if next(account.strayed_steps(), None) is not None:
                yield f"{name} polls"
            if account.lengths_differ():
                yield f"{name} lengths of states"
            yield from (f"{name} {what}" for what in account.wrongly_settled())
            if account.past_usage_differs():
                yield f"{name} usage before the first poll"


def set_code(database: Database, kind: str, code: int, meaning: str) -> int:
    """Set the meaning of a status or charging code, and rebuild in the same transaction.

    Returns the number of stretches. Raises `SettingsError` for an unknown meaning.
    """
    # a unit can be unknown again; a state that is not known is called so, and counts as down
    known = STATES if kind == "status" else (*UNITS, "unknown")
    if meaning not in known:
        raise SettingsError(
            tr("{meaning!r} is no meaning of a {kind} code", meaning=meaning, kind=kind),
            advice=tr("it can be {known}", known=", ".join(known)),
        )
    with store.writing(database) as tx:
        if kind == "status":
            tx.codes.set_state(code, meaning)
        else:
            tx.codes.set_unit(code, None if meaning == "unknown" else meaning)
        return rebuild_all(tx)


def known_codes(database: Database) -> tuple[list[str], list[Sequence[Any]]]:
    """Return the column names and the rows of all known codes."""
    with store.reading(database) as known:
        return ["kind", "code", "meaning", "name_en", "name_zh"], known.codes.known()


def _refuse_closed(tx: Writing, timezone: str) -> None:
    """Refuse another time zone if months are closed: hours at a frozen month's edge would be
    counted twice or not at all.
    """
    zone, months = tx.timezone(), tx.books.closed_months()
    if months and zone != timezone:
        raise SettingsError(
            tr(
                "closed months ({months}) are frozen by days of {zone}",
                months=", ".join(months),
                zone=zone,
            ),
            advice=tr("chenyu-etl month reopen each, rebuild, and close them again"),
        )


def _refuse_closed_days(tx: Writing, days: Sequence[str]) -> None:
    """Refuse other edges of days of a closed month."""
    # months that nobody closed follow the new rules without being asked
    touched = sorted({day[:7] for day in days} & set(tx.books.closed_months()))
    if touched:
        raise SettingsError(
            tr(
                "the rules of {timezone} have changed for days of closed months ({touched})",
                timezone=tx.timezone(),
                touched=", ".join(touched),
            ),
            advice=tr("chenyu-etl month reopen each, rebuild, and close them again"),
        )


def rebuild_all(tx: Writing) -> int:
    """Derive all that follows again, inside a transaction; return the number of stretches."""
    tx.clear_derived()
    accounts = list(tx.accounts().values())
    total = sum(len(account.all_uuids()) for account in accounts)
    count = done = 0
    for account in accounts:
        count += _rebuild_account(account, done, total)
        done += len(account.all_uuids())
    tx.mark_derived()
    return count


def _rebuild_account(tx: Tx, done: int, total: int) -> int:
    """Rebuild one account, after `done` of `total` instances; return the number of its stretches."""
    count = 0
    # steps and lengths first: the fold asks how long states lasted
    tx.correct_steps()
    tx.learn_lengths_anew()
    for uuids in _batches(tx):
        computed = list(_computed(tx, uuids))
        tx.write_usage([(uuid, s, True) for uuid, stretches, _ in computed for s in stretches])
        tx.write_last_starts([(uuid, last_start) for uuid, _, last_start in computed])
        tx.deriver().allocate_anew(uuids)
        count += sum(len(stretches) for _, stretches, _ in computed)
        done += len(uuids)
        report_steps(done, total)
    tx.deriver().sums.renew_since()
    # last, as a window is compared with the price of the stretch that it may end
    tx.settle_stops()
    tx.settle_past_anew()
    return count


def _computed(
    account: Reader, uuids: Sequence[str]
) -> Iterator[tuple[str, tuple[Stretch, ...], Instant | None]]:
    codes, lengths = account.codes(), account.all_lengths()
    for uuid, versions in account.histories(uuids):
        step = usage.fold(versions, codes, lengths)
        yield uuid, step.written, step.state.last_start


def _batches(account: Reader) -> Iterator[list[str]]:
    uuids = account.all_uuids()
    # bounds memory, whatever the length of the history
    for at in range(0, len(uuids), BATCH):
        yield uuids[at : at + BATCH]
