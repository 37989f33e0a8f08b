"""The files of an archive: one for each day, with a whole last line; finished days are packed."""

from __future__ import annotations

import glob
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from etl import paths
from etl.archive.aside import set_aside, set_aside_of
from etl.archive.line import Archived, encode, read_line
from etl.archive.packed import CHUNK, LINE_LIMIT, beside, pack, private
from etl.archive.polls import polls
from etl.errors import ArchiveError
from etl.paths import advice_on, try_folder
from etl.poll import Instant, LastPoll, Poll
from etl.resources import Resource
from etl.texts import tr
from etl.timing.redating import NewDate, Redating
from etl.units import DAY_S

OWNER: Final = ".database.json"
DAY: Final = "????-??-??"
LOOSE: Final = ".gz"
"""The suffix of a file that still grows; a packed one has `.xz`."""
LEVEL: Final = 4
"""Level of gzip: half the time of its usual one for 7 % more bytes; a day later the file is packed
anyway."""

log = logging.getLogger("etl.archive")


class Tail(msgspec.Struct):
    """State of a file: its length, where its last line begins, and the start of that line's
    poll.
    """

    size: int
    last_at: int
    started_at: Instant


class FolderOwner(msgspec.Struct):
    """The database that an archive folder belongs to."""

    database_id: str


def check_folder(folder: Path, database_id: str | None) -> None:
    """Try to keep polls in a folder, and leave nothing there. Raises `ArchiveError` if this user
    cannot, or if it belongs to another database.
    """
    with _refused_as_archive_error(folder):
        # the folder itself may not be there yet; it is made by the first poll
        try_folder(next(path for path in (folder, *folder.absolute().parents) if path.exists()))
    if database_id is not None:
        _belongs_to(folder, database_id)


class Archive:
    """The archive of one account and resource below a folder. The caller holds the account lock."""

    def __init__(self, folder: Path, account: str, resource: Resource[Any]) -> None:
        self.folder = folder
        self._stem = f"{paths.file_name(account)}.{resource.name}"

    def append(self, poll: Poll, last: LastPoll | None, was: Sequence[str] = ()) -> None:
        """Write `poll` to disk; `last` is the newest poll that the database has applied, `was` are
        earlier names of the account, so that a replay knows its history under those.
        """
        path = self._path(poll.started_at)
        with _refused_as_archive_error(path):
            tail = _mended_tail(path) if path.exists() else None
            size = tail.size if tail else 0
            # `same` means the pages of the line before: another program may have polled since
            follows = tail is not None and last is not None and tail.started_at == last.started_at
            line = encode(poll, same=poll.unchanged and follows, was=was)
            try:
                ends = _write_from(path, size, _gzip_member(line))
                # an empty file, too: the poll for which it was made may have failed
                if size == 0:
                    # of the folder too, which may be as new: the database is about to count on this line
                    for folder in (self.folder, *self.folder.absolute().parents[:1]):
                        paths.flush_names(folder)
            except OSError:
                # the poll is about to be recorded as failed: a later one must not find and apply it
                with suppress(OSError):
                    os.truncate(path, size)
                raise
            # last, and not needed: a tail that is behind is mended by reading on from it
            with suppress(OSError):
                _write_tail(path, Tail(ends, size, poll.started_at))

    def claim(self, database_id: str) -> None:
        """Make the folder the archive of this database. Raises `ArchiveError` if it belongs to
        another database, whose polls would be taken for ours.
        """
        # asked first, so that a folder that is ours already is not written to at each poll
        if not _belongs_to(self.folder, database_id):
            mark = self.folder / OWNER
            with _refused_as_archive_error(mark):
                _write_whole(mark, msgspec.json.encode(FolderOwner(database_id)))

    def unapplied(self, last: LastPoll | None) -> Iterator[Archived]:
        """Read the archived polls newer than `last`, the newest poll in the database, oldest first
        and with their pages. Usually there are none: a sync that was killed before its commit
        leaves one, and a restored backup lacks all that came after it.
        """
        paths = sorted(self._files(), key=_archive_order)
        if not paths:
            return
        with _refused_as_archive_error(paths[-1]):
            tail = _mended_tail(paths[-1]) if paths[-1].suffix == LOOSE else None
        # the usual case: the newest line was applied, so no older file need be opened
        if tail is not None and last is not None and tail.started_at <= last.started_at:
            return
        first_day = self._path(last.started_at).stem if last is not None else ""
        for path in paths:
            # days before the newest applied poll hold nothing that the database lacks
            if path.stem >= first_day:
                with _refused_as_archive_error(path):
                    yield from _newer(path, last)

    def unapplied_if_ours(self, database_id: str, last: LastPoll | None) -> Iterator[Archived]:
        """Read like `unapplied` an archive that is not written to now: nothing, if it is not there, is
        another database's by now, or cannot be read.
        """
        try:
            if self.folder.is_dir() and _belongs_to(self.folder, database_id):
                yield from self.unapplied(last)
        except ArchiveError as error:
            # the database remembers folders of long ago, and none of them may stop today's poll
            log.warning("%s: its polls are not applied", error.message)

    def pack(self) -> None:
        """Pack finished days, which still have their `.tail`. One that is damaged, or that cannot be
        packed now, is left as it is.
        """
        newest = max(self._files(), key=_archive_order, default=None)
        for tail in sorted(self.folder.glob(f".{glob.escape(self._stem)}.{DAY}.jsonl.gz.tail")):
            path = tail.with_name(tail.name.removeprefix(".").removesuffix(".tail"))
            # by the files, not by a clock that may be wrong: a later day has begun
            if newest is not None and path.stem < newest.stem:
                try:
                    _pack(path)
                except OSError as error:
                    # no poll is worth less than the room that this saves, and the next one tries again
                    log.warning("%s is not packed: %s", path, error.strerror or error)

    def count_after(self, latest: Instant) -> int:
        """Count the polls that ended after a moment; only days that may have some are read."""
        with _refused_as_archive_error(self.folder):
            archived = (p for path in self._files_since(latest) for p in polls(str(path)))
            return sum(poll is not None and poll.finished_at > latest for poll in archived)

    def days_before(self, until: Instant, database_id: str) -> list[Path]:
        """Return the files of the days before that of an instant, but for the newest; none of another
        database's folder.
        """
        if not self.folder.is_dir() or not _belongs_to(self.folder, database_id):
            return []
        paths = sorted(self._files(), key=_archive_order)
        return [path for path in paths[:-1] if path.stem < self._path(until).stem]

    def redate(self, redating: Redating) -> None:
        """Set aside the polls that lie in the future, and append those that have a new date under
        it. To call it again changes nothing.
        """
        with _refused_as_archive_error(self.folder):
            for path in self._files_since(redating.latest):
                if set_aside(path, redating.latest, _gzip_member) is not None:
                    _tail_path(path.with_suffix(LOOSE)).unlink(missing_ok=True)
            names = f"{glob.escape(self._stem)}.{DAY}.jsonl.[gx]z"
            # of all that were ever set aside: a call that was killed may have appended none of them
            for archived in set_aside_of(self.folder, names):
                date = redating.archived(archived.started_at)
                # one that was killed may have appended it: dates grow from line to line
                if date is not None and not any(self.unapplied(_poll_at(date.started_at - 1))):
                    self.append(_under_new_date(archived, date), None)

    def _files_since(self, latest: Instant) -> list[Path]:
        # a poll lies in the file of the day in which it began, which may be the day before it ended
        first = self._path(latest - DAY_S).stem
        return sorted((path for path in self._files() if path.stem >= first), key=_archive_order)

    def _path(self, started_at: Instant) -> Path:
        day = datetime.fromtimestamp(started_at, UTC).date()
        return self.folder / f"{self._stem}.{day.isoformat()}.jsonl.gz"

    def _files(self) -> Iterator[Path]:
        return self.folder.glob(f"{glob.escape(self._stem)}.{DAY}.jsonl.[gx]z")


def _poll_at(started_at: Instant) -> LastPoll:
    return LastPoll(started_at, started_at, None, 0, None)


def _under_new_date(archived: Archived, date: NewDate) -> Poll:
    """Return an archived poll under its new date, complete only if that date is exact."""
    was_complete = bool(archived.complete) or archived.was_complete
    complete = bool(archived.complete) and date.is_exact
    return Poll(
        account=archived.account,
        resource=archived.resource,
        started_at=date.started_at,
        finished_at=date.finished_at,
        complete=complete,
        walks=archived.walks or (),
        was_complete=was_complete and not complete,
    )


def _archive_order(path: Path) -> tuple[str, bool]:
    """Return a sort key: by day, and a loose file, which came after its day was packed, last."""
    return path.stem, path.suffix == LOOSE


@contextmanager
def _refused_as_archive_error(path: Path, *passed: type[OSError]) -> Iterator[None]:
    """Turn an `OSError` into `ArchiveError`, except the kinds that are to be `passed` on."""
    try:
        yield
    except passed:
        raise
    except OSError as error:
        raise ArchiveError(
            tr(
                "{path} cannot be read or written: {strerror}",
                path=path,
                strerror=error.strerror or error,
            ),
            advice=tr(
                "{advice_on}; or name another folder (setting archive)", advice_on=advice_on(error)
            ),
        ) from error


def _tail_path(path: Path) -> Path:
    return beside(path, "tail")


def _read_tail(path: Path) -> Tail | None:
    try:
        return msgspec.json.decode(_tail_path(path).read_bytes(), type=Tail)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_tail(path: Path, tail: Tail) -> None:
    _write_whole(_tail_path(path), msgspec.json.encode(tail))


def _write_from(path: Path, size: int, parts: Iterable[bytes]) -> int:
    """Write to disk what follows the first `size` bytes of a file; return where it ends."""
    with private(path) as file:
        # a torn line is cut off, or the next member would follow garbage
        file.truncate(size)
        file.seek(size)
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        return int(file.tell())


def _write_whole(path: Path, text: bytes) -> None:
    """Replace a small file by one that is on disk."""
    fresh = path.with_name(f"{path.name}-new")
    # beside the file and then renamed: a killed process leaves the old one or the new one whole
    with private(fresh) as file:
        file.truncate(0)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _mended_tail(path: Path) -> Tail | None:
    """Return the state of a file after cutting off the torn line that a killed sync may have left.
    A file without its own `.tail` is read whole.
    """
    tail, size = _read_tail(path), path.stat().st_size
    # the usual case, and cheap: no line is read to append one
    if tail is not None and tail.size == size:
        return tail
    states = _states(path, tail.last_at) if tail is not None else None
    if states is None or tail is None or tail.size not in states:
        states = _states(path, 0)
    mended = states[max(states)] if states else None
    whole = mended.size if mended else 0
    if whole < size:
        log.warning("%s ends in a torn line, which is cut off", path)
        with private(path) as file:
            file.truncate(whole)
    if mended is not None:
        _write_tail(path, mended)
    return mended


def _gzip_member(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Compress parts into one gzip member."""
    # a member for each line: whatever is torn at the end, all before it can be unpacked
    packer = zlib.compressobj(LEVEL, wbits=31)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


def _states(path: Path, begins: int) -> dict[int, Tail]:
    """Map file sizes to states: one entry for the end of each whole member from `begins` on."""
    states = {}
    with suppress(ValueError):
        for at, ends, line in _members(path, begins):
            states[ends] = Tail(ends, at, read_line(line).started_at)
    return states


def _members(path: Path, begins: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the begin, the end and the last line of each whole member from `begins` on."""
    at = begins
    with path.open("rb") as file, suppress(zlib.error):
        while True:
            file.seek(at)
            line, member = b"", zlib.decompressobj(wbits=31)
            while not member.eof:
                chunk = file.read(CHUNK)
                if not chunk:
                    return
                while chunk:
                    line += member.decompress(chunk, CHUNK)
                    chunk = member.unconsumed_tail
                    # another packer may put many lines into one member: the last one is asked for
                    line = line[line.rfind(b"\n", 0, -1) + 1 :]
                    if len(line) > LINE_LIMIT:
                        return
            ends = file.tell() - len(member.unused_data)
            yield at, ends, line
            at = ends


def _newer(path: Path, last: LastPoll | None) -> Iterator[Archived]:
    """Read the polls of a file that are newer than `last`. Damaged lines are skipped, and a sync goes on."""
    for archived in polls(str(path)):
        if archived is not None and (last is None or archived.started_at > last.started_at):
            yield archived


def _belongs_to(folder: Path, database_id: str) -> bool:
    """Tell whether a folder is the archive of this database. False if no database owns it yet, or
    if a sync was killed while it claimed it. Raises `ArchiveError` if another database owns it.
    """
    mark = folder / OWNER
    try:
        with _refused_as_archive_error(mark, FileNotFoundError):
            owner = msgspec.json.decode(mark.read_bytes(), type=FolderOwner)
    except (FileNotFoundError, msgspec.MsgspecError):
        return False
    if owner.database_id != database_id:
        raise ArchiveError(
            tr("{folder} is the archive of another database", folder=folder),
            advice=tr(
                "name another folder for this one (setting archive); if this one was filled "
                "from it by chenyu-etl replay, remove {mark}",
                mark=mark,
            ),
        )
    return True


def _pack(path: Path) -> None:
    if path.exists():
        _mended_tail(path)
        if not pack(path, path.with_suffix(".xz")):
            log.warning("%s, or the .xz beside it, is damaged: it is left as it is", path)
    _tail_path(path).unlink(missing_ok=True)
