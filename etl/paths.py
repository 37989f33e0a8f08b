"""Paths of migrations and SQL (beside the package in a checkout, inside it in an installed wheel),
names of files, and files that are replaced only by whole ones.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import select
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final
from urllib.parse import quote

from etl import streams
from etl.errors import SettingsError
from etl.texts import tr

_PACKAGE: Final = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    packed = _PACKAGE / "_bundled" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


MIGRATIONS: Final = _folder("migrations")
VIEWS: Final = _folder("sql") / "views"
REPORTS: Final = _folder("sql") / "reports"
MACROS: Final = _folder("sql") / "macros.sql"

LONGEST_NAME: Final = 120
STANDARD_OUTPUT: Final = Path("-")
NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0)
"""Flag that refuses to open a link; Windows has none."""
_NEW_FILE: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0) | NO_LINKS
TRIED_BYTES: Final = 2**16
LARGEST_READ_BYTES: Final = 64 * 2**20
PIPE_WAIT_S: Final = 5
_PIECE_BYTES: Final = 2**16
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Opening a pipe that nobody writes to waits otherwise."""

_ADVICE: Final = {
    **dict.fromkeys(
        ("EACCES", "EPERM"),
        tr("run as the user who owns it, or let this user read and write there"),
    ),
    "EROFS": tr("the file system is mounted read-only: name another place, or mount it to write"),
    **dict.fromkeys(("ENOSPC", "EDQUOT"), tr("make room on its disk, or raise the quota")),
    **dict.fromkeys(("EIO", "ESTALE"), tr("its disk or network drive fails: check it")),
    **dict.fromkeys(
        ("EMFILE", "ENFILE"), tr("raise the limit of open files: ulimit -n, LimitNOFILE= in a unit")
    ),
    **dict.fromkeys(
        ("ENOENT", "ENOTDIR", "EISDIR", "ELOOP"), tr("check the path, and make its folder")
    ),
}
_ADVICE_BY_NUMBER: Final = {
    getattr(errno, name): text for name, text in _ADVICE.items() if hasattr(errno, name)
}
ANY_ADVICE: Final = tr("check that place, or name another one")


def try_folder(folder: Path) -> None:
    """Write a file of some size in a folder, and leave nothing there. Raises `OSError` with the reason if that
    fails, which libraries often keep to themselves."""
    # written and synced: a full disk or a quota lets an empty file be made, and fails later
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(TRIED_BYTES))
        file.flush()
        os.fsync(file.fileno())


def flush_names(folder: Path) -> None:
    """Write the names in a folder to disk, if the system can: a file that was synced is lost by a power
    cut all the same as long as its name is not.
    """
    with suppress(OSError):
        # Windows cannot open a folder, and some network drives cannot sync one
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def read_whole(path: Path) -> bytes:
    """Return the content of a file that a person named: settings, a key, prices. Raises `OSError` for one that
    is larger than any of those, and for a pipe that nobody writes to, which would be waited for without end.
    """
    # a shell's <(command) is a pipe as well, so pipes are read, but not for ever
    with open(os.open(path, os.O_RDONLY | _AT_ONCE), "rb", buffering=0) as file:
        if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        content = b"".join(_pieces(file))
    return content


def _pieces(file: io.FileIO) -> Iterator[bytes]:
    """Yield what a file holds, waiting for each piece of a pipe no longer than `PIPE_WAIT_S`."""
    is_pipe, read = not stat.S_ISREG(os.fstat(file.fileno()).st_mode), 0
    while True:
        if is_pipe and not select.select([file], [], [], PIPE_WAIT_S)[0]:
            raise TimeoutError(errno.ETIMEDOUT, tr("it is a pipe that nobody writes to"))
        piece = file.read(_PIECE_BYTES)
        if piece is None:  # nothing was there after all
            continue
        if not piece:
            return
        read += len(piece)
        if read > LARGEST_READ_BYTES:
            raise OSError(errno.EFBIG, tr("it is larger than such a file can be"))
        yield piece


def give_to_owner_of(like: Path, path: Path) -> None:
    """Give a file of root's to the owner of another file or folder. Otherwise a command by root would
    leave files that the service's user cannot open.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def advice_on(error: OSError) -> str:
    """Return the advice for a file that the system refuses."""
    return _ADVICE_BY_NUMBER.get(error.errno or 0, ANY_ADVICE)


def file_name(account: str) -> str:
    """Return an account's name as a part of a file name that every file system accepts."""
    # quoted, and not just cleaned: two accounts must never share a file
    name = quote(account, safe="")
    if len(name) <= LONGEST_NAME:
        return name
    # file systems take 255 bytes, and a character of Chinese becomes nine
    return f"{name[:LONGEST_NAME]}~{hashlib.sha256(account.encode()).hexdigest()[:16]}"


@contextmanager
def writing_output() -> Iterator[None]:
    """Turn a failure to write to standard output in this block into `SettingsError`. If nobody reads
    any more, the `BrokenPipeError` goes on.
    """
    if sys.stdout is None:
        raise SettingsError(
            tr("standard output is closed"), advice=tr("open it, or name a file: -o FILE")
        )
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            streams.silence(sys.stdout)
            raise
        raise output_refused(error) from error


def output_refused(error: OSError) -> SettingsError:
    """Return the error of a standard output that cannot be written, and write no more to it."""
    streams.silence(sys.stdout)  # else its buffered text would fail again at exit
    return SettingsError(
        tr("standard output cannot be written: {strerror}", strerror=error.strerror),
        advice=tr("make room there, or name another place: -o FILE where there is one"),
    )


def _to_standard_output() -> Iterator[BinaryIO]:
    """Yield a file that is copied to standard output once it is whole: workbooks are not written in order."""
    with TemporaryFile() as file:
        yield file
        file.seek(0)
        with writing_output():
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


@contextmanager
def replacing(
    path: Path, spared: Iterable[Path] = (), mode: int | None = None
) -> Iterator[BinaryIO]:
    """Open a file to write that replaces `path` once it is whole; after an error nothing changes.

    It has `mode`, else that of the umask, but is open to no more users than a file that it replaces.
    A link is replaced, not followed. Raises `SettingsError` if the file cannot be written, is one of
    those to be `spared`, or is a device or a pipe.
    """
    if path == STANDARD_OUTPUT:
        yield from _to_standard_output()
        return
    refuse_spared(path, spared)
    refuse_stream(path)
    # nobody can put a link in its way: the name cannot be guessed, and what is there is not opened
    beside = path.with_name(f".chenyu-etl.{secrets.token_hex(8)}.new")
    try:
        # never wider, not even while it is written: somebody may have closed it to others
        with os.fdopen(os.open(beside, _NEW_FILE, _mode_of(path)), "wb") as file:
            if mode is not None:
                beside.chmod(mode)
            yield file
            file.flush()
            # else a power cut after the replacement could leave an empty file
            os.fsync(file.fileno())
        # within one folder, so that it is one step: a reader sees the old file or the whole new one
        os.replace(beside, path)
    except OSError as error:
        raise SettingsError(
            tr("{path} cannot be written: {strerror}", path=path, strerror=error.strerror),
            advice=tr("name a file in a folder that exists and that you may write to"),
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _mode_of(path: Path) -> int:
    """Return who may read and write a file that is there; everybody if there is none."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return 0o666
    return mode & 0o666 if stat.S_ISREG(mode) else 0o666


def refuse_spared(path: Path, spared: Iterable[Path]) -> None:
    """Raise `SettingsError` if `path` is one of the files `spared`, by whatever name."""
    if any(_is_same(path, other) for other in spared):
        raise SettingsError(
            tr("{path} is the database itself, which the output would destroy", path=path),
            advice=tr("name another file"),
        )


def refuse_stream(path: Path) -> None:
    """Raise `SettingsError` if `path` is a device, a pipe or another thing that root would replace by a
    plain file, such as /dev/null.
    """
    try:
        is_stream = not stat.S_ISREG(path.stat().st_mode) and not path.is_dir()
        is_stream |= path.parent.resolve().parts[1:2] in (("dev",), ("proc",))
        is_stream &= not path.parent.resolve().is_relative_to("/dev/shm")  # noqa: S108 - a folder
    except (OSError, RuntimeError):  # it is not there, or a link leads to itself
        return
    if is_stream:
        raise SettingsError(
            tr("{path} is no file that can be replaced", path=path),
            advice=tr("name a file; - is standard output, where a command writes to it"),
        )


def _is_same(path: Path, other: Path) -> bool:
    try:
        # a hard link is the same file by another path, which only samefile knows
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, RuntimeError):  # one of them is not there, or a link leads to itself
        return False
