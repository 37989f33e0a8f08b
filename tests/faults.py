"""Everything that a source may do wrong, by name: how it is done, and how it must be taken.

`kind` and `needed` say how an answer that breaks must be taken: as which failure, and after so many
broken answers. Answers that are only odd (`kind` is None) must do no harm, whatever becomes of the poll.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from typing import Any, Literal

from etl.errors import ErrorKind
from etl.resources import BALANCE, RESOURCES
from tests.faulty_cloud import Act, Exchange

ATTEMPTS = 3
MILLION = 1_000_000
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
COLLECTED = tuple(RESOURCES)
"""The resources that the faults meet: whatever the program collects."""
LISTS = tuple(name for name in COLLECTED if name != BALANCE.name)
PUBLISHED = ("instances", "cards", "bills")
"""The resources whose lists have a name that the source publishes."""
Group = Literal["connection", "transport", "refusal", "envelope", "list", "record", "clock"]


@dataclass(frozen=True)
class Fault:
    """A fault. `harmless`: the poll must be complete all the same. `lies`: what it shows is taken for
    true while nothing contradicts it, and stays in the history. `slow`: an answer is waited for.
    `heavy`: it takes seconds. `resolves`: for connections that fail, whether the name is known."""

    name: str
    group: Group
    act: Act
    kind: ErrorKind | None = None
    needed: int = 1
    harmless: bool = False
    lies: bool = False
    slow: bool = False
    heavy: bool = False
    resources: tuple[str, ...] | None = None
    resolves: bool | None = None


def list_key(answer: Any) -> str | None:
    """The name of the list in an answer."""
    return next((name for name, value in answer["data"].items() if isinstance(value, list)), None)


# transport


def _reset(s: socket.socket) -> bool:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def reset_after(share: float) -> Act:
    """A reset after that share of the body; before it ends the head, if negative."""

    def act(e: Exchange) -> bool:
        if share < 0:
            e.s.sendall(b"HTTP/1.1 200 OK\r\nDate: ")
        else:
            e.sends(e.body[: int(len(e.body) * share)], promised=len(e.body))
        return _reset(e.s)

    return act


def cut(e: Exchange) -> bool:
    e.sends(e.body[: len(e.body) // 2], promised=len(e.body))
    return False


def stall(e: Exchange) -> bool:
    return bool(e.closing.wait(60) and False)


def stall_inside(e: Exchange) -> bool:
    e.sends(e.body[: len(e.body) // 2], promised=len(e.body))
    return stall(e)


def drip(first: bytes, drop: bytes) -> Act:
    """`first`, and then a drop again and again."""

    def act(e: Exchange) -> bool:
        e.s.sendall(first)
        while not e.closing.wait(0.01):
            e.s.sendall(drop)
        return False

    return act


def chunked(*chunks: bytes, ends: bool) -> Act:
    def act(e: Exchange) -> bool:
        parts = chunks or (b"%x\r\n%b\r\n" % (len(e.body) // 2, e.body[: len(e.body) // 2]),)
        e.sends(
            b"".join(parts) + b"0\r\n\r\n" * ends, Content_Length=None, Transfer_Encoding="chunked"
        )
        return False

    return act


def with_length(change: Callable[[int], str]) -> Act:
    def act(e: Exchange) -> bool:
        e.sends(e.body, Content_Length=change(len(e.body)))
        return False

    return act


def packed(change: Callable[[bytes], bytes], packing: str = "gzip") -> Act:
    return lambda e: e.sends(change(e.body), Content_Encoding=packing)


def bomb(e: Exchange) -> bool:
    """Some 70 kB that unpack to 70 MB of spaces."""
    return e.sends(_BOMB[0], Content_Encoding="gzip")


_BOMB = [gzip.compress(b" " * 70_000_000, 9)]


def endless(e: Exchange) -> bool:
    """70 MB, a piece at a time."""
    e.sends(b"", Content_Length="70000000")
    for _ in range(70):
        e.s.sendall(b" " * MILLION)
    return True


def raw(head: bytes, *, keeps: bool = False) -> Act:
    def act(e: Exchange) -> bool:
        e.s.sendall(head + e.body)
        return keeps

    return act


def twice(e: Exchange) -> bool:
    return e.sends(e.body) and e.sends(e.body)


def body(content: bytes, status: int = 200, **headers: str) -> Act:
    return lambda e: e.sends(content, status, **headers)


def redirect(where: Callable[[Exchange], str], status: int = 302) -> Act:
    return lambda e: e.sends(b"", status, Location=where(e))


def itself(e: Exchange) -> str:
    return f"{e.url}{'&' if '?' in e.url else '?'}hit={e.hit}"


def answers(code: Any, status: int = 200, **headers: str) -> Act:
    """The envelope of a failure."""
    return lambda e: e.tells({"code": code, "msg": "no", "data": None}, status, **headers)


# what the envelope holds


def changed(change: Callable[[dict[str, Any], str], Any]) -> Act:
    """The right answer, changed; `change` gets it with the name of its list."""

    def act(e: Exchange) -> bool:
        answer = json.loads(e.body)
        key = list_key(answer) or "balance"
        instead = change(answer, key)
        return e.tells(answer if instead is None else instead)

    return act


def listing(change: Callable[[dict[str, Any], str], Any]) -> Act:
    """The right answer with another `data`."""
    return changed(lambda answer, key: change(answer["data"], key) and None)


def total(value: Any) -> Act:
    def change(content: dict[str, Any], _key: str) -> None:
        content["total"] = value(content["total"]) if callable(value) else value

    return listing(change)


def records(change: Callable[[list[Any]], list[Any]]) -> Act:
    """The right answer with another list."""

    def edit(content: dict[str, Any], key: str) -> None:
        content[key] = change(content[key])

    return listing(edit)


def first_record(change: Callable[[Any], Any]) -> Act:
    return records(lambda found: [change(found[0]), *found[1:]] if found else found)


def members(**instead: Any) -> Act:
    return first_record(lambda r: {**r, **{k: v for k, v in instead.items() if k in r}})


def every_member(value: Any) -> Act:
    """A record of which every member but its name is this."""
    names = ("instance_uuid", "uuid", "gpu_uuid")
    return first_record(lambda r: {k: v if k in names else value for k, v in r.items()})


def retitled(record: Any) -> Any:
    """The record with other words in it, which still could be true."""
    words = ("title", "remark", "pay_channel", "gpu_name")
    return {k: "another" if k in words else v for k, v in record.items()}


def other_page(step: int) -> Act:
    return lambda e: e.sends(e.other(max(1, e.page + step) if e.page + step else 2))


def shuffled(e: Exchange) -> bool:
    """The whole list in an order of this answer's own."""
    answer = json.loads(e.body)
    key = list_key(answer)
    size = max(1, len(json.loads(e.other(1))["data"][key]))
    pages = range(1, 2 + answer["data"]["total"] // size)
    everything = [r for n in pages for r in json.loads(e.other(n))["data"][key]]
    Random(e.hit).shuffle(everything)
    answer["data"][key] = everything[(e.page - 1) * size : e.page * size]
    return e.tells(answer)


def a_million(e: Exchange) -> bool:
    """A million empty records in place of the list."""
    answer = json.loads(e.body)
    key = list_key(answer)
    answer["data"][key] = ["here"]
    return e.sends(json.dumps(answer).encode().replace(b'"here"', b",".join([b"{}"] * MILLION)))


# clocks


def dated(at: Callable[[Exchange], float | str | None]) -> Act:
    def act(e: Exchange) -> bool:
        date = at(e)
        text = date if date is None or isinstance(date, str) else formatdate(date, usegmt=True)
        return e.sends(e.body, Date=text)

    return act


_DAY = 86_400
_JUMPS = (2 * _DAY, -3 * _DAY, 5 * _DAY, -7 * _DAY, 11 * _DAY, -13 * _DAY)
UNAVAILABLE, LIMITED, CHANGED = ErrorKind.UNAVAILABLE, ErrorKind.LIMITED, ErrorKind.CHANGED
REFUSED, FORBIDDEN, MISSING = ErrorKind.KEY_REFUSED, ErrorKind.FORBIDDEN, ErrorKind.MISSING


def _connections() -> Iterable[Fault]:
    for name, resolves in (("the name is not known", False), ("connections are refused", True)):
        yield Fault(name, "connection", stall, UNAVAILABLE, ATTEMPTS, resolves=resolves)


def _breaks(
    name: str, act: Act, kind: ErrorKind = UNAVAILABLE, needed: int = ATTEMPTS, **more: Any
) -> Fault:
    return Fault(name, "transport", act, kind, needed, **more)


def _harmless(name: str, act: Act, group: Group = "transport", **more: Any) -> Fault:
    return Fault(name, group, act, harmless=True, **more)


_TRANSPORT = (
    _breaks("a reset before the answer", lambda e: _reset(e.s)),
    _breaks("a reset inside the head", reset_after(-1)),
    _breaks("a reset inside the body", reset_after(0.5)),
    Fault("a reset after the body", "transport", reset_after(1)),
    _breaks("the connection ends without an answer", lambda _e: False),
    _breaks("the connection ends inside the body", cut),
    _breaks("no answer", stall, slow=True),
    _breaks("an answer that stops inside the body", stall_inside, slow=True),
    _breaks(
        "a body that drips",
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{", b" "),
        needed=1,
        slow=True,
    ),
    _breaks("a head that drips", drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), slow=True, needed=1),
    _breaks("half of the JSON", lambda e: e.sends(e.body[: len(e.body) // 2]), CHANGED),
    _breaks("a length that is too small", with_length(lambda n: str(n - 9)), CHANGED),
    _breaks("a length that is too large", with_length(lambda n: str(n + 9))),
    _breaks("a length that is no number", with_length(lambda _n: "many")),
    _breaks("two lengths", with_length(lambda n: f"{n}, {n + 1}")),
    _harmless("no length", lambda e: e.sends(e.body, Content_Length=None, Connection="close")),
    _breaks("chunks that end early", chunked(ends=False)),
    _breaks("chunks that lack the second half", chunked(ends=True), CHANGED),
    _breaks("chunks of no length", chunked(b"many\r\n", ends=False)),
    _breaks("gzip that is none", packed(lambda body: body)),
    _breaks("gzip that ends early", packed(lambda body: gzip.compress(body)[:-9])),
    _harmless("gzip", packed(gzip.compress)),
    _breaks("a packing that was not asked for", packed(lambda body: body, "br")),
    _breaks("70 kB that unpack to 70 MB", bomb, CHANGED, 1),
    _breaks("70 MB", endless, CHANGED, 1, heavy=True),
    _breaks("a head without an end", raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 40_000)),
    _breaks("no HTTP", raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
    _harmless("an answer of HTTP/1.0", raw(b"HTTP/1.0 200 OK\r\n\r\n")),
    _harmless(
        "other answers before it",
        lambda e: e.s.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n") or e.sends(e.body),  # type: ignore[func-returns-value]
    ),
    Fault("the answer twice", "transport", twice),
    _breaks("HTML with 200", body(HTML, Content_Type="text/html"), CHANGED),
    _breaks("an empty body with 200", body(b""), CHANGED),
    _breaks("no content (204)", lambda e: e.sends(b"", 204, Content_Length=None), CHANGED),
    _harmless("a byte order mark", lambda e: e.sends(b"\xef\xbb\xbf" + e.body)),
    _harmless(
        "a byte that is no UTF-8", lambda e: e.sends(e.body.replace(b'"success"', b'"\xff"', 1))
    ),
    _breaks("a redirect to another host", redirect(lambda _e: "http://example.com/x"), CHANGED, 1),
    _breaks("a redirect for ever", redirect(itself), CHANGED, 4),
    _breaks("a redirect to no URL", redirect(lambda _e: "http://["), CHANGED, 1),
    _breaks("a redirect without an address", body(b"", 301), CHANGED, 1),
)
_REFUSALS = (
    *(
        Fault(f"{status}{words}", "refusal", answers(code, status), kind)
        for words, status, code, kind in (
            ("", 401, 401, REFUSED),
            ("", 403, 403, FORBIDDEN),
            (" with a page of a proxy", 403, None, FORBIDDEN),
            (" with code 401", 200, 401, REFUSED),
            (" with code 2 (not logged in)", 200, 2, REFUSED),
            (" with code 403", 200, "403", FORBIDDEN),
            ("", 400, 400, CHANGED),
            ("", 404, 404, MISSING),
            (" with code 0", 404, 0, MISSING),
            (" with code 404", 200, 404, MISSING),
            ("", 405, 405, MISSING),
            ("", 410, 410, MISSING),
            ("", 501, 501, MISSING),
            (" with code 400", 200, 400, CHANGED),
        )
    ),
    *(
        Fault(name, "refusal", answers(code, status, **headers), kind, ATTEMPTS)
        for name, status, code, kind, headers in (
            ("408", 408, 408, UNAVAILABLE, {}),
            ("429", 429, 429, LIMITED, {}),
            ("429 with Retry-After: 0", 429, 429, LIMITED, {"Retry_After": "0"}),
            ("429 with Retry-After of ages", 429, 429, LIMITED, {"Retry_After": "9" * 40}),
            ("429 with Retry-After: soon", 429, 429, LIMITED, {"Retry_After": "soon"}),
            (
                "429 with Retry-After in the past",
                *(429, 429, LIMITED, {"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
            ),
            ("200 with code 429", 200, "429", LIMITED, {}),
            ("500", 500, 500, UNAVAILABLE, {}),
            ("500 with code 0", 500, 0, UNAVAILABLE, {}),
            ("502", 502, 502, UNAVAILABLE, {}),
            ("503 with Retry-After", 503, 503, UNAVAILABLE, {"Retry_After": "0"}),
            ("504", 504, 504, UNAVAILABLE, {}),
            ("520", 520, 520, UNAVAILABLE, {}),
            ("200 with code -2 (system fault)", 200, -2, UNAVAILABLE, {}),
            ("200 with code 5001", 200, 5001, UNAVAILABLE, {}),
        )
    ),
    Fault("502 with HTML", "refusal", body(HTML, 502), UNAVAILABLE, ATTEMPTS),
)


def _envelope(name: str, change: Callable[[dict[str, Any], str], Any], **more: Any) -> Fault:
    return Fault(name, "envelope", changed(change), **more)


def _without(name: str) -> Callable[[dict[str, Any], str], Any]:
    return lambda answer, _key: {k: v for k, v in answer.items() if k != name}


_ENVELOPE = (
    _envelope("no code", _without("code"), kind=CHANGED),
    _envelope("a code that is null", lambda a, _k: {**a, "code": None}, kind=CHANGED),
    _envelope("a code that is true", lambda a, _k: {**a, "code": True}, kind=CHANGED),
    _envelope("a code of 400 digits", lambda a, _k: {**a, "code": 10**400}, kind=CHANGED),
    _envelope('a code that is "0"', lambda a, _k: {**a, "code": "0"}, harmless=True),
    _envelope("a message that is no text", lambda a, _k: {**a, "msg": [1]}, harmless=True),
    _envelope("no data", _without("data"), kind=CHANGED),
    _envelope("data that is null", lambda a, _k: {**a, "data": None}, kind=CHANGED),
    _envelope("data that is a list", lambda a, _k: {**a, "data": [1]}, kind=CHANGED),
    Fault("a list as the answer", "envelope", body(b"[]"), CHANGED),
    Fault(
        "100,000 brackets",
        "envelope",
        lambda e: e.sends(b'{"code":0,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        CHANGED,
        ATTEMPTS,
    ),
)


def _list(name: str, act: Act, **more: Any) -> Fault:
    return Fault(name, "list", act, **{"resources": LISTS, **more})


def _set(value: Any) -> Act:
    return records(lambda _found: value)


PAGED = ("instances", "cards", "bills", "recharges")
_LISTS = (
    _list("no list", listing(lambda c, k: c.pop(k)), kind=CHANGED, resources=PUBLISHED),
    _list("a list that is an object", _set({"a": 1}), kind=CHANGED),
    _list("a list that is a text", _set("none"), kind=CHANGED),
    _list("a list that is null beside a total", _set(None)),
    _list("an empty list beside a total", _set([])),
    _list("no total", listing(lambda c, _k: c.pop("total"))),
    _list("a total that is null", total(None)),
    _list("a total below 0", total(-1)),
    _list("a total of a billion", total(10**9)),
    _list("a total of 5,000 digits", lambda e: e.sends(_replaced_total(e.body, b"9" * 5_000))),
    _list("a total of 5,000 digits as text", total("9" * 5_000)),
    _list("a total that is one too many", total(lambda n: n + 1)),
    _list("a total that is one too few", total(lambda n: max(0, n - 1))),
    _list("a total that is capped at two pages", total(lambda n: (n + 3) // 4 * 2)),
    _list("a total as text", total(str), harmless=True),
    _list("a total as 7.0", total(float), harmless=True),
    _list("a total that is true", total(True)),
    _list("a million empty records", a_million, heavy=True),
    _list("every page reversed", records(lambda found: found[::-1]), harmless=True),
    _list("the list in another order in every answer", shuffled, resources=PAGED),
    _list("the answer for the next page", other_page(1), resources=PAGED),
    _list("the answer for the page before", other_page(-1), resources=PAGED),
    _list("the first page for every page", lambda e: e.sends(e.other(1)), resources=PAGED),
    _list("an answer of before", lambda e: e.sends(e.older), lies=True),
    _list("the last record is not there", records(lambda found: found[:-1])),
    _list("the first record is not there", records(lambda found: found[1:])),
    _list("a record twice", records(lambda found: [*found, *found[:1]])),
    _list(
        "a record twice, with other words",
        records(lambda found: [*found, *map(retitled, found[:1])]),
        lies=True,
    ),
)


def _replaced_total(answer: bytes, digits: bytes) -> bytes:
    """Digits that Python itself refuses to write."""
    return (
        json.dumps({**json.loads(answer), "data": {**json.loads(answer)["data"], "total": 0}})
        .encode()
        .replace(b'"total": 0', b'"total": ' + digits)
    )


def _record(name: str, act: Act, **more: Any) -> Fault:
    return Fault(name, "record", act, **{"resources": LISTS, **more})


NAMED = ("instances", "cards", "gpu_prices")
"""Lists whose records have a name of their own."""


_RECORDS = (
    *(
        _record(f"a record that is {name}", first_record(lambda _r, value=value: value))
        for name, value in (
            ("null", None),
            ("a number", 7),
            ("true", True),
            ("a text", "inst"),
            ("a list", [[]]),
            ("empty", {}),
        )
    ),
    *(
        _record(f"a record whose members are {name}", every_member(value))
        for name, value in (
            ("objects", {"a": 1}),
            ("lists", [[]]),
            ("of 399 digits", 10**398),
            ("infinite", float("inf")),
            ("below every range", -(2**63)),
            ("texts", "many"),
            ("true", True),
        )
    ),
    *(
        _record(
            f"a record whose name is {name}",
            members(instance_uuid=value, uuid=value, gpu_uuid=value),
            resources=NAMED,
        )
        for name, value in (("null", None), ("endless", "n" * 300), ("a number", 7), ("empty", ""))
    ),
    _record(
        "a record with 900 levels",
        first_record(lambda r: {**r, "deep": json.loads("[" * 900 + "]" * 900)}),
        lies=True,
    ),
)
_CLOCKS = (
    *(
        Fault(name, "clock", dated(at))
        for name, at in (
            ("no Date", lambda _e: None),
            ("a Date that is none", lambda _e: "yesterday"),
            ("a Date 40 s behind", lambda e: e.now - 40),
            ("a Date 40 s ahead", lambda e: e.now + 40),
            ("a Date 3 s ahead in every other answer", lambda e: e.now + 3 * (e.hit % 2)),
            ("a Date 40 s ahead or behind in turn", lambda e: e.now + (40, -40)[e.hit % 2]),
            ("a Date that jumps by days", lambda e: e.now + _JUMPS[e.hit % len(_JUMPS)]),
        )
    ),
)
FAULTS: tuple[Fault, ...] = (
    *_connections(),
    *_TRANSPORT,
    *_REFUSALS,
    *_ENVELOPE,
    *_LISTS,
    *_RECORDS,
    *_CLOCKS,
)
BY_NAME = {fault.name: fault for fault in FAULTS}
assert len(BY_NAME) == len(FAULTS), "two faults of one name"
