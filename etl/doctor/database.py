"""What a sync needs of this machine: database, lock, archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from etl import archive, store
from etl.dialect import Database, open_database, translated
from etl.doctor.finding import Finding, refusal
from etl.doctor.history import examine_history
from etl.errors import Busy, EtlError, StoreError
from etl.settings import default_urls
from etl.store import schema
from etl.texts import tr

if TYPE_CHECKING:
    from etl.app import App


def examine_database(app: App) -> Iterator[Finding]:
    """Yield findings about the database, and if it can be used about what it holds."""
    try:
        yield from _examine_other_database(app)
        if not app.database.exists() or schema.is_empty(app.database):
            # first: a sync that would be refused is no advice
            app.try_preparing()
            yield Finding(
                "note",
                tr("there is no database yet at {location}", location=app.database.location),
                tr("run chenyu-etl sync, or name the right one: --database"),
            )
            return
        app.require_database()
        with translated(app.database):
            app.database.refuse_damage()
        # reading alone works from a read-only disk, and as a user who may not write
        store.try_writing(app.database)
        for account in app.settings.accounts:
            yield from _examine_lock(app, account.name)
    except EtlError as error:
        # all that follows would only fail in the same way; a server knows its own users alone
        has_file = bool(app.database.files)
        yield refusal(error) if has_file else Finding("bad", error.message, error.advice)
        return
    yield from examine_history(app)


def _examine_lock(app: App, account: str) -> Iterator[Finding]:
    try:
        # taken and freed at once: that a file is another user's shows only when it is locked
        with app.store(account).account_lock():
            yield Finding(
                "ok",
                tr(
                    "{account}: a sync may lock the account and write to the database",
                    account=account,
                ),
            )
    # another sync is at work, so nothing is wrong
    except Busy as error:
        yield Finding("note", error.message, error.advice)


def _examine_other_database(app: App) -> Iterator[Finding]:
    """Yield a finding about a default database that is not in use: that of another user, or of a
    service.
    """
    for url in default_urls(app.environ):
        other = open_database(url)
        if other.location != app.database.location and _is_there(other):
            yield Finding(
                "note",
                tr("there is another database at {location}", location=other.location),
                tr(
                    "this one is {location}; to use the other: --database {location2}",
                    location=app.database.location,
                    location2=other.location,
                ),
            )


def _is_there(database: Database) -> bool:
    try:
        return database.exists()
    except StoreError:  # in a folder that this user cannot look into
        return False


def examine_archive(app: App) -> Iterator[Finding]:
    """Yield whether polls can be archived, if they are to be."""
    folder, own_id = app.settings.archive, None
    if folder is None:
        return
    with suppress(EtlError), app.store("").reading() as known:  # a refusal was said before
        own_id = known.database_id()
    try:
        archive.check_folder(folder, own_id)
        if folder.is_dir():
            yield Finding("ok", tr("polls are archived in {folder}", folder=folder))
        else:
            yield Finding(
                "note", tr("polls are archived in {folder} (not made yet)", folder=folder)
            )
    except EtlError as error:
        yield refusal(error)
