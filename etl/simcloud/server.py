"""The simulated cloud over real HTTP, on loopback."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from etl.simcloud.behaviour import ANY, Behaviour, Cut, Fail
from etl.simcloud.desk import count
from etl.simcloud.desks import desks
from etl.simcloud.fleet import Fleet
from etl.simcloud.money import Money
from etl.simcloud.record import to_json
from etl.simcloud.story import Story

BASE_PATH: Final = "/api/open/v2"
LIST_PATH: Final = "/instance/list"
# how long a test waits for the end of a server
POLL_INTERVAL_S: Final = 0.01
LIMIT_REQUEST: Final = 1_000_000


class PageSource(Protocol):
    """Source of a server's listing: a `Fleet`, or anything with its `body`."""

    def body(self, t: int, number: int = 1, page_size: int = 100) -> bytes: ...


class Request(NamedTuple):
    """A request that was received. `path` is below the base path; header names are in lower
    case.
    """

    path: str
    query: dict[str, str]
    method: str
    headers: dict[str, str]
    with_key: bool


def real_time() -> float:
    """Return the real time, the default clock of a server."""
    return time.time()


Route = Callable[[float, dict[str, str]], bytes | Fail]
"""(server's time, query) -> the answer of another path."""


@dataclass(slots=True)
class Response:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: Cut = ""


class Server:
    """A running server. `behaviour` is that of the instance list and of the server as a whole; it
    may be changed or replaced at any time. `at` gives that of another path. `requests` holds every
    request, oldest first; the routes about money answer from `money`.
    """

    def __init__(
        self,
        source: PageSource,
        clock: Callable[[], float],
        key: str,
        behaviour: Behaviour,
        routes: Mapping[str, Route],
        money: Money,
    ) -> None:
        self.behaviour = behaviour
        self.money = money
        self.requests: list[Request] = []
        self.base_url = ""
        self.key = key
        self.clock = clock
        self.closing = threading.Event()
        self._source = source
        self._routes = {**desks(money), **routes}
        self._behaviours: dict[str, Behaviour] = {}
        self._one_at_a_time = threading.RLock()

    def pages_asked(self) -> list[int]:
        """Return the pages of the instance list in the order in which they were requested."""
        return [count(r.query, "page", 1) for r in self.requests if r.path == LIST_PATH]

    def at(self, path: str) -> Behaviour:
        """Return the behaviour of a path, as documented unless it is changed here. Behaviour of the
        whole server (`redirect`, `retry_after`, the clock) is set in `behaviour` alone.
        """
        if path == LIST_PATH:
            return self.behaviour
        return self._behaviours.setdefault(path, Behaviour())

    def forbids(self, path: str) -> None:
        """Deny the key permission for a path."""
        self.at(path).fail[ANY] = Fail(403, 403, "no permission")

    def date(self) -> str | None:
        """Return the `Date` header of an answer made now."""
        if self.behaviour.no_date:
            return None
        return formatdate(self.clock() + self.behaviour.clock_off_s, usegmt=True)

    def answer(self, request: Request) -> Response:
        """Return the source's answer, after waiting as long as its behaviour says."""
        self.requests.append(request)
        if request.method != "GET":
            return self._failed(Fail(405, 405, "method not allowed"))
        if self.behaviour.redirect:
            return Response(b"", 302, {"Location": self.behaviour.redirect})
        if not request.with_key:
            return self._failed(Fail(401, 401, "API key invalid"))
        # after the key: who has none learns nothing about paths
        if request.path != LIST_PATH and request.path not in self._routes:
            return self._failed(Fail(404, 404, "not found"))
        return self._behaving(request.path, request.query)

    def _behaving(self, path: str, query: dict[str, str]) -> Response:
        """Return the answer of a path, altered by its behaviour."""
        number, page_size = count(query, "page", 1), count(query, "page_size", 10)
        if not number or not page_size:
            return self._failed(Fail(400, 400, "bad parameter"))
        # before the lock, so that a stalled page holds up no other one
        self.closing.wait(self.at(path).pause_s(number))
        # hooks of tests change the fleet: no page may be made of a half-changed one
        with self._one_at_a_time:
            behaviour = self.at(path)
            trouble = behaviour.trouble(number)
            if isinstance(trouble, Fail):
                return self._failed(trouble)
            if behaviour.before_page and trouble != "reset":
                behaviour.before_page(number)
            body = self._page(path, query, number, page_size)
            return self._failed(body) if isinstance(body, Fail) else Response(body, cut=trouble)

    def _page(self, path: str, query: dict[str, str], number: int, page_size: int) -> bytes | Fail:
        behaviour = self.at(path)
        if number in behaviour.bodies:
            return behaviour.bodies[number]
        number, page_size = behaviour.asks_for(number, page_size)
        if path == LIST_PATH:
            body: bytes | Fail = self._source.body(int(self.clock()), number, page_size)
        else:
            params = {**query, "page": str(number), "page_size": str(page_size)}
            body = self._routes[path](self.clock(), params)
        if isinstance(body, Fail) or not behaviour.retells:
            return body
        return _retold(body, behaviour)

    def _failed(self, fail: Fail) -> Response:
        envelope = {"code": fail.code, "msg": fail.msg, "data": None}
        answer = Response(to_json(envelope), fail.status)
        if self.behaviour.retry_after is not None and fail.status in (429, 503):
            answer.headers["Retry-After"] = self.behaviour.retry_after
        return answer


@contextmanager
def serve(
    source: PageSource | Story,
    *,
    clock: Callable[[], float] | None = None,
    key: str = "sim-key",
    behaviour: Behaviour | None = None,
    routes: Mapping[str, Route] | None = None,
    money: Money | None = None,
    port: int = 0,
) -> Iterator[Server]:
    """Run a server on a port of 127.0.0.1 (0: one that is free) while the context lasts.

    It lists `source` as of `clock` (seconds; a story's own, else the real time), which its `Date`
    headers show too, to those who send `key`. Prices, bills, balance, cards and recharges are those
    of `money` (a story's own, else the usual money of a fleet). `routes` are further paths, below
    the base path, or take the place of these.
    """
    if isinstance(source, Story):
        clock, money, source = clock or source.clock, money or source.money, source.fleet
    money = money or Money.usual(source if isinstance(source, Fleet) else Fleet())
    server = Server(source, clock or real_time, key, behaviour or Behaviour(), routes or {}, money)
    with _Listener(server, port) as listener:
        server.base_url = f"http://127.0.0.1:{listener.server_port}{BASE_PATH}"
        thread = threading.Thread(
            target=listener.serve_forever, args=(POLL_INTERVAL_S,), daemon=True
        )
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            listener.shutdown()
            thread.join()
            listener.hang_up()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, server: Server, port: int) -> None:
        self.cloud = server
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # no look-up of the host's name
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hung up; report a fault of ours, or of a test's hook."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                # clients keep connections alive: their threads would wait for a next request for ever
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one segment
    server: _Listener

    def _respond(self) -> None:
        # read even if it is refused: what is left over would be taken for the next request
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LIMIT_REQUEST))
        answer = self.server.cloud.answer(self._request())
        if answer.cut == "reset":
            self._reset()
            return
        if self.command != "GET" or answer.cut:
            self.close_connection = True
        self._head(answer)
        # the header promises all of it: half a body is how a broken connection looks
        whole = len(answer.body) // 2 if answer.cut else len(answer.body)
        if self.command != "HEAD":
            self.wfile.write(answer.body[:whole])

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond

    def _request(self) -> Request:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(
            path=url.path.removeprefix(BASE_PATH),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            method=self.command,
            headers=headers,
            with_key=headers.get("authorization") == f"Bearer {self.server.cloud.key}",
        )

    def _head(self, answer: Response) -> None:
        self.send_response_only(answer.status)
        date = self.server.cloud.date()
        given = {"Date": date} if date else {}
        plain = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(answer.body)),
        }
        for name, value in {**given, **plain, **answer.headers}.items():
            self.send_header(name, value)
        if self.close_connection and not answer.cut:
            self.send_header("Connection", "close")
        self.end_headers()

    def _reset(self) -> None:
        """Close at once, so that the client's connection is reset."""
        self.close_connection = True
        # lingering for 0 s makes the kernel send RST instead of FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: tests read `requests` instead."""


def _retold(body: bytes, behaviour: Behaviour) -> bytes:
    answer = json.loads(body)
    listing = answer["data"]
    if behaviour.total is not None:
        listing["total"] = behaviour.total
    if behaviour.omit_total:
        listing.pop("total", None)
    if behaviour.null_when_empty:
        listing |= {key: None for key, records in listing.items() if records == []}
    return to_json(answer)
