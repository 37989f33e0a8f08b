"""Polls to and from JSON lines, without secrets.

A file holds one resource of one account and one UTC day: `ACCOUNT.RESOURCE.YYYY-MM-DD.jsonl.gz`, one
line a poll, each line a gzip member of its own, so that a line is whole or torn and never half. A
finished day is packed into one member. A poll is written to disk just before its transaction
commits; a small hidden file beside (`.tail`) says how long the file is and where its last line begins. So a
sync that was killed in between leaves a line that the next one finds and applies: archive and
database say the same again. A torn end is cut off.
"""

from __future__ import annotations

import glob
import gzip
import json
import logging
import os
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any, Final

import msgspec

from etl import places
from etl.days import from_iso, iso
from etl.errors import StoreError
from etl.poll import Instant, LastPoll, Page, Poll
from etl.redact import redact
from etl.resources import Resource
from etl.resources.listing import parse

VERSION: Final = 1
CHUNK: Final = 2**18
LIMIT_ACCOUNT: Final = 100

log = logging.getLogger("etl.archive")


class Line(msgspec.Struct, omit_defaults=True):
    """One line. `numbers` are the page numbers asked for, in the order of `pages`; lines made by
    other means have `pages` alone. `same` stands for the pages of the line before."""

    account: str
    resource: str
    started_at: str
    finished_at: str
    v: int
    complete: bool | None = None
    page_size: int | None = None
    numbers: list[list[int]] | None = None
    pages: list[msgspec.Raw] | None = None
    walks: list[list[msgspec.Raw]] | None = None
    same: bool = False


class Tail(msgspec.Struct):
    """The state of a file: its length, and where its last line begins and when that poll was."""

    size: int
    last_at: int
    started_at: Instant


_LINE: Final = msgspec.json.Decoder(Line)


@dataclass(frozen=True, slots=True)
class Archived:
    """A poll as a line tells it. `walks` is None where the pages are those of the line before."""

    account: str
    resource: str
    started_at: Instant
    finished_at: Instant
    complete: bool | None
    walks: tuple[tuple[Page, ...], ...] | None


class Archive:
    """The archive of one account and resource below a folder. Its user holds the account lock."""

    def __init__(self, folder: Path, account: str, resource: Resource[Any]) -> None:
        self._folder = folder
        self._stem = f"{places.file_name(account)}.{resource.name}"

    def append(self, poll: Poll, last: LastPoll | None) -> None:
        """Write `poll` to disk; `last` is the newest poll that the database has applied."""
        path = self._path(poll.started_at)
        with _told(path):
            tail = _mended_tail(path) if path.exists() else None
            size = tail.size if tail else 0
            follows = tail is not None and last is not None and tail.started_at == last.started_at
            member = gzip.compress(_encode(poll, same=poll.unchanged and follows), mtime=0)
            with _private(path) as file:
                file.truncate(size)
                file.seek(size)
                file.write(member)
                file.flush()
                os.fsync(file.fileno())
            _write_tail(path, Tail(size + len(member), size, poll.started_at))

    def unapplied(self, last: LastPoll | None) -> Archived | None:
        """The archived poll that the database never got, because a sync was killed before its
        commit; None where there is none, which is the rule. It has its pages in any case."""
        path = max(self._files(), default=None)
        if path is None:
            return None
        with _told(path):
            tail = _mended_tail(path)
            if tail is None or (last is not None and tail.started_at <= last.started_at):
                return None
            return _last_poll(path)

    def pack(self) -> None:
        """Files of finished days, which still have their `.tail`, become one gzip member each."""
        for path in sorted(self._files())[:-1]:
            if _tail_path(path).exists():
                with _told(path):
                    _pack(path)

    def _path(self, started_at: Instant) -> Path:
        day = datetime.fromtimestamp(started_at, UTC).date()
        return self._folder / f"{self._stem}.{day.isoformat()}.jsonl.gz"

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"{glob.escape(self._stem)}.????-??-??.jsonl.gz")


def read_line(line: bytes) -> Archived:
    """The poll of one line. Raises `ValueError` for one that is none."""
    try:
        said = _LINE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = _read_patiently(line)
    if said.v != VERSION:
        raise ValueError(f"version {said.v} of the format is not known")
    if not _is_account(said.account):
        raise ValueError("the line names no account")
    started_at, finished_at = from_iso(said.started_at), _end(said.finished_at)
    if finished_at < started_at:
        raise ValueError("the poll ends before it starts")
    walks = said.walks if said.pages is None else [said.pages]
    if not said.same and not (walks and all(walks)):
        raise ValueError("the line has no pages")
    return Archived(
        said.account,
        said.resource,
        started_at,
        finished_at,
        said.complete,
        None if said.same else _pages(walks or [], said.numbers, said.page_size),
    )


def lines(path: str) -> Iterator[bytes | None]:
    """The lines of a file (`-`: standard input); a torn end comes as None and is the last."""
    with _reader(path) as file:
        try:
            for line in file:
                if line.endswith(b"\n"):
                    if line.strip():
                        yield line
                elif line.strip():
                    yield line if _is_json(line) else None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield None


@contextmanager
def _reader(path: str) -> Iterator[Any]:
    with ExitStack() as stack:
        stream: Any = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        packed = stream.peek(2)[:2] == b"\x1f\x8b"
        yield stack.enter_context(gzip.open(stream)) if packed else stream


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_account(name: str) -> bool:
    return bool(name.strip()) and len(name) <= LIMIT_ACCOUNT and name.isprintable()


def _end(text: str) -> Instant:
    """The instant of a text, a begun second as a whole one."""
    return ceil(datetime.fromisoformat(text).timestamp()) if "." in text else from_iso(text)


def _encode(poll: Poll, *, same: bool) -> bytes:
    line = Line(
        account=poll.account,
        resource=poll.resource,
        started_at=iso(poll.started_at),
        finished_at=iso(poll.finished_at),
        v=VERSION,
        complete=poll.complete,
    )
    if same:
        line.same = True
    else:
        walks = [[_redacted(page.body) for page in walk] for walk in poll.walks]
        line.numbers = [[page.number for page in walk] for walk in poll.walks]
        line.page_size = next((page.page_size for walk in poll.walks for page in walk), None)
        line.pages, line.walks = (walks[0], None) if len(walks) == 1 else (None, walks)
    return msgspec.json.encode(line) + b"\n"


def _redacted(body: bytes) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(redact(msgspec.json.decode(body))))
    except (msgspec.MsgspecError, UnicodeError, OverflowError):
        return msgspec.Raw(json.dumps(redact(parse(body)), ensure_ascii=False).encode())


def _read_patiently(line: bytes) -> Line:
    """A line that strict JSON refuses, with each page as text of its own."""
    try:
        said = parse(line)
    except RecursionError:
        raise ValueError("the line is nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError("the line is no object")
    raw: dict[str, Any] = dict(said)
    if isinstance(said.get("pages"), list):
        raw["pages"] = [_text(page) for page in said["pages"]]
    if isinstance(said.get("walks"), list):
        walks = (walk if isinstance(walk, list) else [] for walk in said["walks"])
        raw["walks"] = [[_text(page) for page in walk] for walk in walks]
    return msgspec.convert(raw, Line)


def _text(page: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(page, ensure_ascii=False).encode())


def _pages(
    walks: Sequence[Sequence[msgspec.Raw]], numbers: list[list[int]] | None, size: int | None
) -> tuple[tuple[Page, ...], ...]:
    counted = numbers
    if counted is None:
        counted = [list(range(1, len(walk) + 1)) for walk in walks]
    if [len(walk) for walk in walks] != [len(walk) for walk in counted]:
        raise ValueError("the line numbers other pages than it has")
    return tuple(
        tuple(Page(n, size or 0, bytes(body)) for n, body in zip(counted[w], walk, strict=True))
        for w, walk in enumerate(walks)
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read or written: {error.strerror or error}",
            advice="make room, check permissions, or name another folder (setting archive)",
        ) from error


def _private(path: Path) -> Any:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b")


def _tail_path(path: Path) -> Path:
    return _beside(path, "tail")


def _beside(path: Path, what: str) -> Path:
    """A file that `*` does not name: it is none to replay."""
    return path.with_name(f".{path.name}.{what}")


def _read_tail(path: Path) -> Tail | None:
    try:
        return msgspec.json.decode(_tail_path(path).read_bytes(), type=Tail)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_tail(path: Path, tail: Tail) -> None:
    fresh = _beside(path, "tail-new")
    with _private(fresh) as file:
        file.truncate(0)
        file.write(msgspec.json.encode(tail))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, _tail_path(path))


def _mended_tail(path: Path) -> Tail | None:
    """The state of a file, after a look at what a killed sync may have left behind it. What is
    torn is cut off; a file without `.tail`, or with that of another file, is looked at whole."""
    tail, size = _read_tail(path), path.stat().st_size
    if tail is not None and tail.size == size:
        return tail
    found = _found_tail(path, tail.last_at) if tail is not None else None
    if found is None or tail is None or tail.size not in found:
        found = _found_tail(path, 0)
    mended = found[max(found)] if found else None
    whole = mended.size if mended else 0
    if whole < size:
        log.warning("%s ends in a torn line, which is cut off", path)
        with _private(path) as file:
            file.truncate(whole)
    if mended is not None:
        _write_tail(path, mended)
    return mended


def _found_tail(path: Path, begins: int) -> dict[int, Tail]:
    """The states that a file had after each whole member from `begins` on, by its size then."""
    states = {}
    with suppress(ValueError):
        for at, ends, line in _members(path, begins):
            states[ends] = Tail(ends, at, read_line(line).started_at)
    return states


def _members(path: Path, begins: int) -> Iterator[tuple[int, int, bytes]]:
    """Where each whole member from `begins` on begins and ends, and its last line."""
    at = begins
    with path.open("rb") as file, suppress(zlib.error):
        while True:
            file.seek(at)
            line, member = b"", zlib.decompressobj(wbits=31)
            while not member.eof:
                chunk = file.read(CHUNK)
                if not chunk:
                    return
                line += member.decompress(chunk)
                line = line[line.rfind(b"\n", 0, -1) + 1 :]
            ends = file.tell() - len(member.unused_data)
            yield at, ends, line
            at = ends


def _last_poll(path: Path) -> Archived | None:
    """The last poll of a file, with its pages; None where they were lost."""
    last, walks = None, None
    for line in lines(str(path)):
        if line is not None:
            last = read_line(line)
            walks = last.walks or walks
    return replace(last, walks=walks) if last is not None and walks else None


def _pack(path: Path) -> None:
    packed = _beside(path, "packing")
    with suppress(FileNotFoundError):
        packed.unlink()
    try:
        with (
            gzip.open(path) as loose,
            _private(packed) as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as pack,
        ):
            shutil.copyfileobj(loose, pack, CHUNK)
        with _private(packed) as file:
            os.fsync(file.fileno())
        os.replace(packed, path)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        log.warning("%s is damaged: it is left as it is", path)
        packed.unlink()
    _tail_path(path).unlink()
