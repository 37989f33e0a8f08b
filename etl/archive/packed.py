"""Reading archive files, however they are packed, and packing a finished day."""

from __future__ import annotations

import hashlib
import io
import logging
import lzma
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from etl.archive.line import is_json
from etl.paths import NO_LINKS, flush_names, give_to_owner_of

log = logging.getLogger("etl.archive")

CHUNK: Final = 2**18
GZIP: Final = b"\x1f\x8b"
XZ: Final = b"\xfd7"
PRESET: Final = 2
"""Level of xz. It looks back 2 MB, some twenty polls of 100 instances, and takes 17 MB of memory."""
LINE_LIMIT: Final = 2**28
"""Bytes of the longest line, unpacked: three walks over 100,000 instances."""
SIGHT: Final = 4 * LINE_LIMIT
"""Bytes in which the end of a line that is too long is searched for."""
UNPACKING_LIMIT: Final = 2**27
"""Bytes of memory that unpacking xz may take; `xz -9` asks for half of it."""
DAMAGED: Final = (EOFError, zlib.error, lzma.LZMAError)


def lines(path: str) -> Iterator[bytes | None]:
    """Yield the lines of a file (`-`: standard input), plain or packed by gzip or xz.

    None stands for a line that is longer than `LINE_LIMIT`, and for a torn end, which is the last.
    """
    with _reader(path) as file:
        try:
            while line := file.readline(LINE_LIMIT + 1):
                if len(line) > LINE_LIMIT:
                    yield None
                    if not _passes_over(path, file, line):
                        return
                elif line.endswith(b"\n"):
                    if line.strip():
                        yield line
                # the last line, without its end: whole if only the newline is missing, as editors leave it
                elif line.strip():
                    yield line if is_json(line) else None
        except DAMAGED:
            yield None


def _passes_over(path: str, file: Any, line: bytes) -> bool:
    """Skip the rest of a line that is too long; return False if its end is not found."""
    size = len(line)
    while line and not line.endswith(b"\n"):
        line = file.readline(CHUNK)
        size += len(line)
        if size > SIGHT:
            log.warning(
                "%s: a line has no end after %d MB: the rest of the file is not read;"
                " see where it comes from",
                path,
                SIGHT // 2**20,
            )
            return False
    log.warning(
        "%s: a line of %d MB is passed over: no poll is longer than %d MB; see where it comes from",
        path,
        size // 2**20,
        LINE_LIMIT // 2**20,
    )
    return True


def pack(path: Path, packed: Path) -> bool:
    """Move the lines of `path` to the end of `packed`, as one xz stream. Return False, and do
    nothing, if either is damaged.

    A process killed at any moment loses no line, and the next call removes duplicates.
    """
    fresh = beside(packed, "packing")
    fresh.unlink(missing_ok=True)
    try:
        # an earlier call may have been killed between the replacement and the unlink
        if not packed.exists() or not _ends_with(packed, path):
            _write_packed(path, packed, fresh)
            os.replace(fresh, packed)
            # the new name must be on disk before the only other copy is removed
            flush_names(packed.parent)
    except DAMAGED:
        fresh.unlink(missing_ok=True)
        return False
    except OSError:
        # on a full disk it would take the room of the next poll
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    path.unlink()
    return True


def private(path: Path) -> Any:
    """Open a file to read and write. A missing one is created, readable by the folder's owner
    only.
    """
    folder = path.parent
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        give_to_owner_of(folder.parent, folder)
    file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | NO_LINKS, 0o600), "r+b")
    # a command by root must not leave files that the service's user cannot open
    give_to_owner_of(folder, path)
    return file


def beside(path: Path, what: str) -> Path:
    """Return a hidden name beside `path`, which `*` does not match, so that the file is not
    replayed.
    """
    return path.with_name(f".{path.name}.{what}")


class _Unpacked(io.RawIOBase):
    """Reader of the text of gzip members and xz streams, one after the other, in any mixture.

    Reading raises one of `DAMAGED` if they are torn or damaged.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._unread = b""
        self._part: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        text = b""
        while not text:
            if self._part is None and not self._begins():
                return 0
            text = self._text(len(buffer))
        buffer[: len(text)] = text
        return len(text)

    def _begins(self) -> bool:
        """Begin the next member or stream; return False at the end of the file."""
        self._unread = self._unread.lstrip(b"\0")  # padding between them
        while not self._unread:
            packed = self._packed.read(CHUNK)
            if not packed:
                return False
            self._unread = packed.lstrip(b"\0")
        is_xz = self._unread.startswith(XZ[:1])
        self._part = (
            lzma.LZMADecompressor(lzma.FORMAT_XZ, UNPACKING_LIMIT)
            if is_xz
            else zlib.decompressobj(wbits=31)
        )
        return True

    def _text(self, most: int) -> bytes:
        """Return some of the text of this part; empty if more must be read first."""
        part, ended = self._part, False
        if not self._unread and getattr(part, "needs_input", True):
            self._unread = self._packed.read(CHUNK)
            ended = not self._unread
        # never more than was asked for: a few KB can unpack to gigabytes
        text: bytes = part.decompress(self._unread, most)
        # zlib hands back what it had no room for; xz keeps that, and asks for no input
        self._unread = part.unused_data or getattr(part, "unconsumed_tail", b"")
        if part.eof:
            self._part = None
        elif ended and not text:
            raise EOFError("it ends in the middle")
        return text


@contextmanager
def _reader(path: str) -> Iterator[Any]:
    with ExitStack() as stack:
        stream: Any = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        # by content, not by name: files may be given under any name, and standard input has none
        is_packed = stream.peek(2)[:2] in (GZIP, XZ)
        yield io.BufferedReader(_Unpacked(stream), CHUNK) if is_packed else stream


def _write_packed(path: Path, packed: Path, fresh: Path) -> None:
    """Write the content of `packed`, if it exists, and then that of `path`, to disk."""
    with private(fresh) as file:
        if packed.exists():
            with packed.open("rb") as before:
                # xz streams may follow one another: the old ones need not be compressed again
                shutil.copyfileobj(before, file, CHUNK)
        with _reader(str(path)) as loose, lzma.open(file, "wb", preset=PRESET) as stream:
            shutil.copyfileobj(loose, stream, CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _ends_with(packed: Path, path: Path) -> bool:
    """Tell whether `packed` already ends with the text of `path`, as after a sync that was killed
    before it removed `path`.
    """
    size, digest = _size_and_digest(path, 0)
    whole, _ = _size_and_digest(packed, 0)
    # by content: the same text in other compression is the same day
    return whole >= size and _size_and_digest(packed, whole - size)[1] == digest


def _size_and_digest(path: Path, begins: int) -> tuple[int, bytes]:
    """Return the length of a file's text, and a digest of it from `begins` on."""
    size, digest = 0, hashlib.sha256()
    with _reader(str(path)) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk[max(0, begins - size) :])
            size += len(chunk)
    return size, digest.digest()
