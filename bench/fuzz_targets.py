"""What each target of the fuzzer promises of any input, and inputs that are right, to begin with."""

from __future__ import annotations

import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Final

from etl.archive.line import encode, is_json, read_line
from etl.archive.packed import lines
from etl.books import price_files, rule_entries
from etl.books.documents import parse
from etl.errors import Changed, EtlError
from etl.history.days import Zone
from etl.poll import Page, Poll
from etl.redact import redact, redact_words, scrub
from etl.reports.periods import day_range, days_that_follow
from etl.resources import RESOURCES, Resource
from etl.settings import load
from etl.source.wholeness import collected, older, tally_of
from tests.test_canaries import RECORDS

T: Final = 1_767_225_600
CANARY: Final = "Xy9CANARY7zQ"
ZONE: Final = Zone("Asia/Shanghai")
TODAY: Final = date(2026, 11, 24)
SCRATCH: Final = Path(os.environ.get("FUZZ_DIR", "/dev/shm")) / f"fuzz{os.getpid()}"


class Broken(AssertionError):
    """A promise that an input broke."""


def decode(content: bytes) -> None:
    """Every resource: what is opened and what is read agree; only `Changed` is raised."""
    for resource in RESOURCES.values():
        _decode_as(resource, content)


def decode_own(content: bytes) -> None:
    """Decode as those resources do whose list is in it, and as one other: most of a million inputs say
    nothing to the rest."""
    own = [resource for key, resource in _BY_KEY.items() if key in content]
    for resource in own or [_OTHERS[len(content) % len(_OTHERS)]]:
        _decode_as(resource, content)


def _decode_as(resource: Resource[Any], content: bytes) -> None:
    try:
        listing = resource.open(content)
    except Changed:
        _refuses_to_read(resource, content)
        return
    _read_alike(resource, content, listing.identities)
    page = Page(1, 100, content)
    verdict = tally_of(resource, [page]).verdict()
    if verdict.complete and verdict.total != len(verdict.identities):
        raise Broken(f"{resource.name}: complete, and does not add up")
    old = older(resource, page, T)
    # told at once of a page, and of each record
    if listing.newest is not None and listing.newest < T and old < set(listing.identities):
        raise Broken(f"{resource.name}: made by {listing.newest}, and not older")
    collected(resource, [page])


def _refuses_to_read(resource: Resource[Any], content: bytes) -> None:
    with suppress(Changed):
        resource.read(content)
        raise Broken(f"{resource.name}: read, though it cannot be opened")


def _read_alike(resource: Resource[Any], content: bytes, names: Iterable[str | None]) -> None:
    records, rejects = resource.read(content)
    listed = sorted(name for name in names if name)
    read = [r.identity for r in records] + [r.identity for r in rejects if r.identity]
    if not resource.counts and sorted(read) != listed:
        raise Broken(f"{resource.name}: {sorted(read)} read, {listed} listed")
    if resource.read(content) != (records, rejects):
        raise Broken(f"{resource.name}: read otherwise the second time")


def archive(content: bytes) -> None:
    """A line is a poll or a `ValueError`; written again, it is the same poll."""
    try:
        archived = read_line(content)
    except ValueError:
        return
    if not is_json(content):
        raise Broken("a poll that is no JSON")
    if archived.walks is None or archived.resource not in RESOURCES:
        return
    poll = Poll(
        archived.account,
        archived.resource,
        archived.started_at,
        archived.finished_at,
        bool(archived.complete),
        archived.walks,
    )
    again = read_line(b"".join(encode(poll, same=False)))
    if [len(walk) for walk in again.walks or ()] != [len(walk) for walk in archived.walks]:
        raise Broken("other pages when written again")
    if (again.started_at, again.finished_at) != (archived.started_at, archived.finished_at):
        raise Broken("other instants when written again")


def packed(content: bytes) -> None:
    """A file, plain or packed or cut, gives lines, and None for what is torn."""
    shape, rest = content[:1], content[1:]
    bodies = {
        b"g": lambda: gzip.compress(rest),
        b"x": lambda: lzma.compress(rest),
        b"c": lambda: gzip.compress(rest)[: -1 - len(rest) % 20],
        b"d": lambda: gzip.compress(rest[:9]) + gzip.compress(rest[9:]) + rest[:3],
    }
    path = SCRATCH.with_suffix(".packed")
    path.write_bytes(bodies.get(shape, lambda: content)())
    with suppress(EtlError):
        for line in lines(str(path)):
            if line is not None and not line.strip():
                raise Broken("an empty line")


def prices(content: bytes) -> None:
    with suppress(EtlError):
        price_files.prices_of(parse("prices", content, price_files.COLUMNS), ZONE)


def rules(content: bytes) -> None:
    with suppress(EtlError):
        rule_entries.rules_of(parse("rules", content, rule_entries.COLUMNS), ZONE)


def config(content: bytes) -> None:
    path = SCRATCH.with_suffix(".toml")
    path.write_bytes(content)
    with suppress(EtlError):
        load({}, {"HOME": str(SCRATCH)}, path)


def periods(content: bytes) -> None:
    since, _, until = content.decode("utf-8", "surrogateescape").partition("\n")
    with suppress(EtlError):
        first, last = day_range(since or None, until or None, TODAY)
        days_that_follow(first, last)
        if first > last:
            raise Broken("a period that ends before it begins")


def redaction(content: bytes) -> None:
    """Beside whatever else, a secret that is named as one is cut; twice is as once."""
    text = content.decode("utf-8", "replace")
    shapes = (
        {"password": CANARY, "x": text},
        [text, {"api_key": CANARY}],
        {"note": text, "env": [{"name": "PASSWORD", "value": CANARY}]},
        f"https://me:{CANARY}@h.example/{_plain(text)}",
        f"{_plain(text)} password={CANARY}",
        f"{_plain(text)}\npassword: {CANARY}\n{text}",
    )
    for shape in shapes:
        plain = redact(shape)
        if CANARY in json.dumps(plain) and CANARY not in text + _plain(text):
            raise Broken(f"a canary in {plain!r}")
        if redact(plain) != plain:
            raise Broken(f"twice is not as once: {redact(plain)!r}, {plain!r}")
    scrub(text)
    redact_words(text)


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isalnum() or c == " ")


_OTHERS: Final = tuple(RESOURCES.values())
_BY_KEY: Final = {f'"{key}"'.encode(): RESOURCES[name] for name, (key, _) in RECORDS.items()} | {
    b'"instance_list"': RESOURCES["instances"],
    b'"balance"': RESOURCES["balance"],
}
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "decode": decode,
    "archive": archive,
    "packed": packed,
    "prices": prices,
    "rules": rules,
    "config": config,
    "periods": periods,
    "redact": redaction,
}


BULK: Final[dict[str, Callable[[bytes], None]]] = {**TARGETS, "decode": decode_own}
"""How inputs are run by the million."""


def run_input(target: str, content: bytes) -> None:
    """Run one input. Raises whatever it breaks."""
    TARGETS[target](content)


def seeds(target: str) -> list[bytes]:
    """Return inputs that are right, to begin with."""
    if target in ("decode", "archive", "packed"):
        bodies = list(_bodies())
        if target == "decode":
            return bodies
        made = [_line(body, resource) for body, resource in zip(bodies, RESOURCES, strict=False)]
        return made if target == "archive" else [b"g" + b"".join(made), b"x" + made[0], *made]
    if target == "periods":
        words = ["2026-10", "last-month\ntoday", "7d", "2026-W47", "2026-Q3\n2026-12-31", "0001"]
        return [word.encode() for word in words]
    if target == "redact":
        texts = ["root:pw@h:22", '{"token":"x"}', "mysql -u root -ppw", "https%3A%2F%2Fh%3Fa%3Db"]
        return [text.encode() for text in texts]
    return [text.encode() for text in SEEDS[target]]


SEEDS: Final = {
    "prices": (
        "gpu_name,unit,price,valid_from,valid_to,note\nRTX 4090,hour,1.58,2026-01-01,,x\n",
        '[[price]]\ngpu_name = "A100"\nunit = "hour"\nprice = 1.5\nvalid_from = 2026-01-01\n',
        "显卡\t单价（元）\t单位\nA100\t１.5\t小时\n",
    ),
    "rules": (
        'kind,title,project,owner,valid_from\nrule,"train*",p,o,2026-01-01\n',
        '[[rule]]\ntitle = "a*"\nproject = "p"\n[[budget]]\nproject = "p"\nyuan = 5\n',
    ),
    "config": (
        'base_url = "http://127.0.0.1:1"\ntimezone = "Asia/Shanghai"\npage_size = 10\n'
        '[accounts.lab]\napi_key_file = "k"\n[schedule]\ninstances = "2m"\n'
        '[alerts]\nlang = "en"\n[alerts.channels.a]\nurl = "https://h"\n',
    ),
}


def _bodies() -> Iterator[bytes]:
    for list_key, record in RECORDS.values():
        content = {list_key: [record], "total": 1}
        yield json.dumps({"code": 0, "data": content}).encode()
        yield json.dumps({"code": 0, "data": {list_key: [record, {}], "total": "2"}}).encode()
    yield b'{"code":0,"data":{"balance":1.5,"card_balance":"2"}}'


def _line(body: bytes, resource: str) -> bytes:
    walks = ((Page(1, 100, body),), (Page(1, 100, body), Page(2, 100, body)))
    return b"".join(encode(Poll("lab", resource, T, T + 1, True, walks), same=False))
