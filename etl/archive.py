"""Polls to and from JSON lines, without secrets.

A file holds one resource of one account and one UTC day: `ACCOUNT.RESOURCE.YYYY-MM-DD.jsonl.gz`, one
line a poll, each line a gzip member of its own, so that a line is whole or torn and never half. A
finished day is packed into one member. A poll is written to disk just before its transaction
commits; a small file beside (`.tail`) says how long the file is and where its last line begins. So a
sync that was killed in between leaves a line that the next one finds and applies: archive and
database say the same again. A torn end is cut off.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from etl.days import from_iso, iso
from etl.errors import StoreError
from etl.poll import Instant, LastPoll, Page, Poll
from etl.redact import redact
from etl.resources import Resource
from etl.resources.listing import parse

VERSION: Final = 1

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
        self._stem = f"{quote(account, safe='')}.{resource.name}"

    def append(self, poll: Poll, last: LastPoll | None) -> None:
        """Write `poll` to disk; `last` is the newest poll that the database has applied."""
        path = self._path(poll.started_at)
        tail = _read_tail(path)
        if tail is None:
            self._pack_older(path)
        size = tail.size if tail else 0
        follows = tail is not None and last is not None and tail.started_at == last.started_at
        member = gzip.compress(_encode(poll, same=poll.unchanged and follows), mtime=0)
        try:
            with _private(path) as file:
                file.truncate(size)
                file.seek(size)
                file.write(member)
                file.flush()
                os.fsync(file.fileno())
            _write_tail(path, Tail(size + len(member), size, poll.started_at))
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror}",
                advice="make room, or name another folder (setting archive)",
            ) from error

    def unapplied(self, last: LastPoll | None) -> Archived | None:
        """The archived poll that the database never got, because a sync was killed before its
        commit; None where there is none, which is the rule."""
        path = max(self._files(), default=None)
        if path is None:
            return None
        tail = _mended_tail(path)
        if tail is None or (last is not None and tail.started_at <= last.started_at):
            return None
        with path.open("rb") as file:
            file.seek(tail.last_at)
            line = gzip.decompress(file.read(tail.size - tail.last_at))
        return read_line(line)

    def _path(self, started_at: Instant) -> Path:
        day = datetime.fromtimestamp(started_at, UTC).date()
        return self._folder / f"{self._stem}.{day.isoformat()}.jsonl.gz"

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"{self._stem}.*.jsonl.gz")

    def _pack_older(self, newer: Path) -> None:
        """Files of finished days, which still have their `.tail`, become one gzip member each."""
        for path in self._files():
            if path < newer and (tail := _read_tail(path)) is not None:
                packed = path.with_suffix(".packing")
                with path.open("rb") as old, _private(packed) as new:
                    lines = gzip.decompress(old.read(tail.size))
                    new.write(gzip.compress(lines, mtime=0))
                    os.fsync(new.fileno())
                os.replace(packed, path)
                _tail_path(path).unlink()


def read_line(line: bytes) -> Archived:
    """The poll of one line. Raises `ValueError` for one that is none."""
    try:
        said = _LINE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = msgspec.convert(_raw_pages(parse(line)), Line)
    if said.v != VERSION:
        raise ValueError(f"version {said.v} of the format is not known")
    walks = said.walks if said.pages is None else [said.pages]
    if walks is None and not said.same:
        raise ValueError("the line has no pages")
    return Archived(
        said.account,
        said.resource,
        from_iso(said.started_at),
        from_iso(said.finished_at),
        said.complete,
        None if said.same else _pages(walks or [], said.numbers, said.page_size),
    )


def lines(path: str) -> Iterator[bytes | None]:
    """The lines of a file (`-`: standard input); a torn end comes as None and is the last."""
    with _reader(path) as file:
        try:
            for line in file:
                if line.endswith(b"\n"):
                    yield line
                elif line.strip():
                    yield line if _is_json(line) else None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield None


def _reader(path: str) -> Any:
    stream: Any = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115
    packed = stream.peek(2)[:2] == b"\x1f\x8b"
    return gzip.open(stream) if packed else stream


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _encode(poll: Poll, *, same: bool) -> bytes:
    walks = [[_redacted(page.body) for page in walk] for walk in poll.walks]
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
        line.numbers = [[page.number for page in walk] for walk in poll.walks]
        line.page_size = next((page.page_size for walk in poll.walks for page in walk), None)
        line.pages, line.walks = (walks[0], None) if len(walks) == 1 else (None, walks)
    return msgspec.json.encode(line) + b"\n"


def _redacted(body: bytes) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(redact(msgspec.json.decode(body))))
    except (msgspec.MsgspecError, UnicodeError, OverflowError):
        return msgspec.Raw(json.dumps(redact(parse(body)), ensure_ascii=False).encode())


def _raw_pages(said: Any) -> Any:
    """A line that strict JSON refuses, with each page as text of its own."""
    if not isinstance(said, dict):
        raise ValueError("the line is no object")
    raw: dict[str, Any] = dict(said)
    for name in ("pages", "walks"):
        if isinstance(said.get(name), list):
            raw[name] = [
                [_text(page) for page in item] if name == "walks" else _text(item)
                for item in said[name]
            ]
    return raw


def _text(page: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(page, ensure_ascii=False).encode())


def _pages(
    walks: Sequence[Sequence[msgspec.Raw]], numbers: list[list[int]] | None, size: int | None
) -> tuple[tuple[Page, ...], ...]:
    return tuple(
        tuple(
            Page(numbers[w][p] if numbers else p + 1, size or 0, bytes(body))
            for p, body in enumerate(walk)
        )
        for w, walk in enumerate(walks)
    )


def _private(path: Path) -> Any:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b")


def _tail_path(path: Path) -> Path:
    return path.with_suffix(".tail")


def _read_tail(path: Path) -> Tail | None:
    try:
        return msgspec.json.decode(_tail_path(path).read_bytes(), type=Tail)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_tail(path: Path, tail: Tail) -> None:
    fresh = path.with_suffix(".tail-new")
    with _private(fresh) as file:
        file.truncate(0)
        file.write(msgspec.json.encode(tail))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, _tail_path(path))


def _mended_tail(path: Path) -> Tail | None:
    """The state of a file, after a look at what a killed sync may have left behind it."""
    tail = _read_tail(path)
    size = path.stat().st_size
    if tail is not None and size == tail.size:
        return tail
    begins = tail.size if tail is not None else 0
    if tail is None and size and _is_packed(path):
        return None
    with path.open("rb") as file:
        file.seek(begins)
        rest = file.read()
    try:
        archived = read_line(gzip.decompress(rest))
    except (ValueError, EOFError, OSError, zlib.error, msgspec.MsgspecError):
        log.warning("%s ends in a torn line, which is cut off", path)
        with _private(path) as file:
            file.truncate(begins)
        return tail
    tail = Tail(size, begins, archived.started_at)
    _write_tail(path, tail)
    return tail


def _is_packed(path: Path) -> bool:
    """Whether a file without `.tail` holds a whole day: more than one line."""
    return sum(1 for _ in zip(lines(str(path)), range(2), strict=False)) > 1
