"""A lock file beside a SQLite file: freed by the kernel when its process dies."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from etl.errors import Busy, LockError
from etl.paths import NO_LINKS, advice_on, give_to_owner_of
from etl.texts import tr

NO_LOCKS: Final = frozenset(
    getattr(errno, name)
    for name in ("ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL")
    if hasattr(errno, name)
)
"""Answers of file systems that have no locks, most of them network drives."""


@contextmanager
def lock_file(path: Path, like: Path, account: str) -> Iterator[None]:
    """Hold `path` as the lock of an account. Raises `Busy` if another process holds it, `LockError` if the system
    refuses it.

    The file has the owner and the mode of `like`, the database: a sync by root locks nobody out.
    """
    from filelock import FileLock, Timeout

    try:
        _make(path, like)
        # preserved, for without that filelock falls back to a file that outlives its process
        lock = FileLock(path, mode=_mode(like), preserve_lock_file=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise account_busy(account) from error
    except OSError as error:
        raise _lock_error(path, error) from error
    try:
        yield
    finally:
        lock.release()


def account_busy(account: str) -> Busy:
    """Return the error of an account that another process is syncing."""
    return Busy(
        tr("another sync of account {account!r} is at work", account=account),
        advice=tr("nothing to do: it brings the same data; see chenyu-etl status"),
    )


def _make(path: Path, like: Path) -> None:
    with suppress(FileExistsError):
        # O_EXCL: a link that somebody put there must not make us write elsewhere
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | NO_LINKS, 0o600))
        path.chmod(_mode(like))
    # even if it was there: a sync by root may have made it
    give_to_owner_of(like, path)


def _mode(like: Path) -> int:
    """Return the mode of the database, as SQLite gives it to its own companions."""
    # locking needs the right to write, and nobody runs a lock
    # its owner reads and writes: else a read-only database would leave a lock file that nobody opens
    return stat.S_IMODE(like.stat().st_mode) & 0o666 | 0o600


def _lock_error(path: Path, error: OSError) -> LockError:
    if error.errno in NO_LOCKS:
        return LockError(
            tr(
                "the file system of {path} has no locks: {strerror}",
                path=path,
                strerror=error.strerror,
            ),
            advice=tr("put the database on a disk of this machine, or use Postgres"),
        )
    advice = advice_on(error)
    # a lock file that another user left: only its owner can remove it
    if error.errno == errno.EACCES and os.path.isfile(path):
        advice = tr(
            "as its owner, while no sync is at work: rm {quote}; it is made anew",
            quote=shlex.quote(str(path)),
        )
    elif os.path.islink(path) or (os.path.lexists(path) and not os.path.isfile(path)):
        advice = tr("it is no lock file: move it away; one is made in its place")
    return LockError(
        tr("{path} cannot be locked: {strerror}", path=path, strerror=error.strerror or error),
        advice=advice,
    )
