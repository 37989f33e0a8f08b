"""One line of an archive: a poll, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Final

import msgspec

from etl.history.days import from_iso, iso
from etl.poll import Instant, Page, Poll, is_account_name
from etl.redact import redact
from etl.resources.listing import LIMIT_BODY, parse_json
from etl.texts import tr

VERSION: Final = 1
LIMIT_PAGES: Final = 40_000
"""The most pages of a line: more than all walks of a poll may ask for."""
# a shorter line is no burden, even if every second byte of it becomes an object
LONG: Final = 2**22
LEAST_BYTES: Final = 12
"""The fewest bytes for each comma of a poll: a record has one comma in about twenty."""


class ArchiveLine(msgspec.Struct, omit_defaults=True):
    """A line of an archive. `numbers` are the page numbers asked for, in the order of `pages`;
    lines made by other means have `pages` alone. `same` means that the pages are those of the line
    before. `was_complete`: see `Poll`.
    """

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
    was: list[str] = []
    was_complete: bool = False


_LINE: Final = msgspec.json.Decoder(ArchiveLine)


@dataclass(frozen=True, slots=True)
class Archived:
    """A poll as an archive line describes it. `walks` is None if the pages are those of the line
    before. `was`: earlier names of the account, oldest first.
    """

    account: str
    resource: str
    started_at: Instant
    finished_at: Instant
    complete: bool | None
    walks: tuple[tuple[Page, ...], ...] | None
    was: tuple[str, ...] = ()
    was_complete: bool = False


def is_json(line: bytes) -> bool:
    """Tell whether this is complete JSON of any kind."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # as `Raw` it is checked and not built: a line may be as long as 256 MB
        msgspec.json.decode(line, type=msgspec.Raw)
        return True
    # the patient way makes objects of many times its length
    if len(line) > LIMIT_BODY:
        return False
    with suppress(ValueError, RecursionError):
        parse_json(line)
        return True
    return False


def read_line(line: bytes) -> Archived:
    """Return the poll of one line. Raises `ValueError` if it is not a poll.

    A page is no larger than a live answer may be. A long line that is all commas is refused before
    it is read: each of them would become an object of many times its size.
    """
    if len(line) > LONG and line.count(b",") * LEAST_BYTES > len(line):
        raise ValueError(tr("the line is no poll: it is nothing but short values"))
    try:
        decoded = _LINE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        if len(line) > LIMIT_BODY:
            raise ValueError(tr("the line is too long for what is not strict JSON")) from None
        decoded = _read_patiently(line)
    if decoded.v != VERSION:
        raise ValueError(tr("version {version} of the format is not known", version=decoded.v))
    if not is_account_name(decoded.account):
        raise ValueError(tr("the line names no account"))
    started_at, finished_at = from_iso(decoded.started_at), _rounded_up(decoded.finished_at)
    if finished_at < started_at:
        raise ValueError(tr("the poll ends before it starts"))
    # nearly all polls have one walk, which is written without a list around it
    walks = decoded.walks if decoded.pages is None else [decoded.pages]
    if not decoded.same and not (walks and all(walks)):
        raise ValueError(tr("the line has no pages"))
    if sum(map(len, walks or ())) > LIMIT_PAGES:
        raise ValueError(tr("the line has more than {count} pages", count=LIMIT_PAGES))
    if any(len(bytes(page)) > LIMIT_BODY for walk in walks or () for page in walk):
        raise ValueError(tr("a page of the line is larger than {count} bytes", count=LIMIT_BODY))
    return Archived(
        decoded.account,
        decoded.resource,
        started_at,
        finished_at,
        decoded.complete,
        None if decoded.same else _walked_pages(walks or [], decoded.numbers, decoded.page_size),
        tuple(name for name in decoded.was if is_account_name(name)),
        decoded.was_complete,
    )


def _rounded_up(text: str) -> Instant:
    """Return the instant that a text names; a fraction of a second is rounded up."""
    # the end of a poll may be late, never early: a bound would be too narrow
    return ceil(datetime.fromisoformat(text).timestamp()) if "." in text else from_iso(text)


def encode(poll: Poll, *, same: bool, was: Sequence[str] = ()) -> Iterator[bytes]:
    """Yield the parts of a line, a page at a time, since all pages at once would need as much
    memory again. `same`: the pages are those of the line before, and are left out. `was`: earlier names of the
    account.
    """
    line = ArchiveLine(
        account=poll.account,
        resource=poll.resource,
        started_at=iso(poll.started_at),
        finished_at=iso(poll.finished_at),
        v=VERSION,
        complete=poll.complete,
        same=same,
        was=list(was),
        was_complete=poll.was_complete,
    )
    if not same:
        # walks read pages concurrently, so they do not come in the order of their numbers
        line.numbers = [[page.number for page in walk] for walk in poll.walks]
        line.page_size = next((page.page_size for walk in poll.walks for page in walk), None)
    # the pages are put before the closing brace as they come
    yield msgspec.json.encode(line).removesuffix(b"}")
    if not same:
        yield b',"pages":' if len(poll.walks) == 1 else b',"walks":['
        yield from _json_list(_encoded(walk) for walk in poll.walks)
        yield b"" if len(poll.walks) == 1 else b"]"
    yield b"}\n"


def _encoded(walk: Sequence[Page]) -> Iterator[bytes]:
    yield b"["
    yield from _json_list((_redacted(page.body),) for page in walk)
    yield b"]"


def _json_list(items: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """Yield the items of a list as JSON."""
    for number, item in enumerate(items):
        if number:
            yield b","
        yield from item


def _redacted(body: bytes) -> bytes:
    try:
        return msgspec.json.encode(redact(msgspec.json.decode(body)))
    except (msgspec.MsgspecError, UnicodeError, OverflowError):
        # what is no strict JSON (NaN, a lone surrogate) is kept as the live path read it
        return json.dumps(redact(parse_json(body)), ensure_ascii=False).encode()


def _read_patiently(line: bytes) -> ArchiveLine:
    """Read a line that strict JSON refuses, with each page as text of its own."""
    try:
        parsed = parse_json(line)
    except RecursionError:
        raise ValueError(tr("the line is nested too deeply")) from None
    if not isinstance(parsed, dict):
        raise ValueError(tr("the line is no object"))
    raw: dict[str, Any] = dict(parsed)
    if isinstance(parsed.get("pages"), list):
        raw["pages"] = [_raw_json(page) for page in parsed["pages"]]
    if isinstance(parsed.get("walks"), list):
        walks = (walk if isinstance(walk, list) else [] for walk in parsed["walks"])
        raw["walks"] = [[_raw_json(page) for page in walk] for walk in walks]
    return msgspec.convert(raw, ArchiveLine)


def _raw_json(page: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(page, ensure_ascii=False).encode())


def _walked_pages(
    walks: Sequence[Sequence[msgspec.Raw]], numbers: list[list[int]] | None, size: int | None
) -> tuple[tuple[Page, ...], ...]:
    counted = numbers
    if counted is None:
        counted = [list(range(1, len(walk) + 1)) for walk in walks]
    # whether a listing is whole is judged by the numbers: each must belong to its page
    if [len(walk) for walk in walks] != [len(walk) for walk in counted]:
        raise ValueError(tr("the line numbers other pages than it has"))
    return tuple(
        tuple(Page(n, size or 0, bytes(body)) for n, body in zip(counted[w], walk, strict=True))
        for w, walk in enumerate(walks)
    )
