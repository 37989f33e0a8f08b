"""Notice that another daemon with the same settings is at work on this machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.app import App


@contextmanager
def counted(app: App) -> Iterator[bool]:
    """Be the daemon of these settings until the block ends; yield whether another one is already. If
    that cannot be known, as on a full disk, it is not.
    """
    from filelock import FileLock, Timeout

    # preserved, for without that filelock falls back to a file that outlives its process
    lock = FileLock(_path(app), mode=0o600, preserve_lock_file=True)
    is_second = False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        is_second = True
    # a warning is all that depends on it: better none than no daemon
    except OSError:
        pass
    try:
        yield is_second
    finally:
        lock.release()


def _path(app: App) -> Path:
    """Return a file that daemons of one user, database and set of accounts share; nothing in its name
    can be read.
    """
    accounts = sorted(account.name for account in app.settings.accounts)
    what = hashlib.sha256("\n".join([app.database.location, *accounts]).encode()).hexdigest()
    # in a folder that all users share, another one's file could not be opened
    user = getattr(os, "getuid", lambda: 0)()
    folder = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(folder, f"chenyu-etl-{user}-{what[:16]}.lock")
