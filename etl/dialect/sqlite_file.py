"""The file of a SQLite database: created, opened and checked to be the one that it was.

SQLite opens a file by its path and goes on with whatever it opened. It does not notice if the path
later leads elsewhere: polls would be written into a file without a name.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from etl.dialect import DATABASE_ID
from etl.errors import StoreError
from etl.paths import (
    advice_on,
    flush_names,
    give_to_owner_of,
    refuse_spared,
    refuse_stream,
    try_folder,
)
from etl.texts import tr

COMPANIONS: Final = ("", "-wal", "-shm", "-journal")
RESTORE: Final = tr("put it back, or restore a backup (docs/backup.md), then start again")

FileKey = tuple[int, int]
"""Device and inode."""


class DatabaseFile:
    """A path, and the database that this process first opened there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = tuple(Path(f"{path}{ending}") for ending in COMPANIONS)
        self._id: str | None = None
        self._key: FileKey | None = None

    def exists(self) -> bool:
        """Tell whether there is a file. Raises `StoreError` if this user cannot tell."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unreachable(error) from error
        return True

    def key(self) -> FileKey:
        """Return a key that differs if another file has taken the path. Raises `StoreError` if it
        is gone.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise self._unreachable(error) from error
        if stat.S_ISDIR(status.st_mode):
            raise StoreError(
                tr("{path} is a folder", path=self.path), advice=tr("name a file in it")
            )
        # not the path: it stays the same when another file is moved to it
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(
                tr("{path} is a device or a pipe", path=self.path), advice=tr("name a file")
            )
        return status.st_dev, status.st_ino

    def refusal(self) -> OSError | None:
        """Return why the system does not let SQLite work here, which SQLite does not say; None if
        it does.
        """
        try:
            os.close(os.open(self.path, os.O_RDWR))
            try_folder(self.path.parent)
        except OSError as error:
            return error
        return None

    def create(self, *, with_folder: bool) -> bool:
        """Create the file, for its owner only, in a folder that exists; return False if it is
        already there.
        """
        try:
            if with_folder:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # 0600 from the first moment: a mode that is set later leaves a gap
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            give_to_owner_of(self.path.parent, self.path)
            flush_names(self.path.parent)  # SQLite does that for the files that it makes itself
        except FileExistsError:
            return False
        except OSError as error:
            raise self._uncreatable(error) from error
        return True

    def try_creating(self, *, with_folder: bool) -> None:
        """Raise `StoreError` if `create` would be refused."""
        folder = self.path.parent
        try:
            while with_folder and not folder.exists():
                folder = folder.parent
            try_folder(folder)
        except OSError as error:
            raise self._uncreatable(error) from error

    def connect(self, **options: Any) -> sqlite3.Connection:
        """Open the file, and never create it. Raises `StoreError` if it is not the database that
        was opened here before.
        """
        key = self.key()
        # another inode: a backup may have been put in place
        if self._key not in (None, key):
            self._refuse_foreign_log()
        raw: sqlite3.Connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, **options
        )
        try:
            self._check_identity(raw)
        except BaseException:
            raw.close()
            raise
        # only now: a file that was refused must be refused again at the next try
        self._key = key
        return raw

    def backup(self, target: Path) -> None:
        """Copy the database to `target`, which is replaced once the copy is whole and sound."""
        refuse_spared(target, self.files)
        refuse_stream(target)
        companions = [Path(f"{target}{ending}") for ending in COMPANIONS[1:]]
        # the log of that database would be read into the copy that replaces it
        if any(path.exists() for path in companions):
            raise StoreError(
                tr(
                    "{target} is a database in use: there is a -wal or -journal beside it",
                    target=target,
                ),
                advice=tr("name another file"),
            )
        fresh = self._copied(target)
        try:
            os.replace(fresh, target)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise _unwritable(target, error) from error

    def _copied(self, target: Path) -> Path:
        try:
            # in the target's folder: replacing a file is atomic within one file system only
            number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        except OSError as error:
            raise _unwritable(target, error) from error
        os.close(number)
        fresh = Path(name)
        try:
            _copy(self.path, fresh)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        return fresh

    def _refuse_foreign_log(self) -> None:
        """Refuse the log of a former file: SQLite would write it into the file that took its
        place.
        """
        log = self.files[COMPANIONS.index("-wal")]
        # an empty log holds nothing that could be mixed in
        if log.exists() and log.stat().st_size:
            raise StoreError(
                tr(
                    "{path} was replaced while {name} of the former database is beside it",
                    path=self.path,
                    name=log.name,
                ),
                advice=tr(
                    "end every program that has it open, restore it once more, and remove the "
                    "files beside it that end in -wal and -shm"
                ),
            )

    def _check_identity(self, raw: sqlite3.Connection) -> None:
        now = _database_id(raw)
        if self._id is None:
            self._id = now
        elif now is None:
            raise StoreError(
                tr("{path} is empty: the database was taken away", path=self.path), advice=RESTORE
            )
        elif now != self._id:
            raise StoreError(
                tr("{path} is another database than before", path=self.path), advice=RESTORE
            )

    def _uncreatable(self, error: OSError) -> StoreError:
        return StoreError(
            tr("{path} cannot be created: {strerror}", path=self.path, strerror=error.strerror),
            advice=(
                tr(
                    "correct the path (CHENYU_DATABASE_URL or option --database), or make its "
                    "folder"
                )
                if isinstance(error, FileNotFoundError | NotADirectoryError)
                else advice_on(error)
            ),
        )

    def _unreachable(self, error: OSError) -> StoreError:
        if isinstance(error, FileNotFoundError) and self.path.is_symlink():
            return StoreError(
                tr(
                    "{path} is a link to {target}, where there is no file",
                    path=self.path,
                    target=os.readlink(self.path),
                ),
                advice=tr("mount or restore what it leads to, or name the file itself"),
            )
        if isinstance(error, FileNotFoundError):
            return StoreError(
                tr("there is no file at {path} any more", path=self.path), advice=RESTORE
            )
        return StoreError(
            tr("{path} cannot be reached: {strerror}", path=self.path, strerror=error.strerror),
            advice=advice_on(error),
        )


def _database_id(raw: sqlite3.Connection) -> str | None:
    try:
        row = raw.execute("SELECT value FROM setting WHERE name = ?", (DATABASE_ID,)).fetchone()
    except sqlite3.OperationalError as error:
        if (
            error.sqlite_errorcode != sqlite3.SQLITE_ERROR
        ):  # no such table, before the first migration
            raise
        return None
    return row[0] if row else None


def _copy(source: Path, fresh: Path) -> None:
    """Copy in one step, under one read transaction, so that writers go on and no write restarts the
    copy.
    """
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(fresh)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # a backup is one file
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(
            tr("{source} is damaged: {verdict}", source=source, verdict=verdict),
            advice=tr("restore an older backup"),
        )
    with fresh.open("rb") as file:
        # else a power cut after the replacement could leave an empty backup
        os.fsync(file.fileno())


def _unwritable(target: Path, error: OSError) -> StoreError:
    return StoreError(
        tr("{target} cannot be written: {strerror}", target=target, strerror=error.strerror),
        advice=advice_on(error),
    )
