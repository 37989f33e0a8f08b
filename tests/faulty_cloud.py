"""A simulated cloud behind a server that breaks chosen answers, byte by byte, over real HTTP.

`etl.simcloud` makes each right answer; a fault gets it with the socket, and sends what it likes.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from etl.simcloud import Behaviour, Server, Story
from etl.simcloud.server import BASE_PATH, Request
from tests.scripted_cloud import ScriptedCloud, Seen, Step, _accept

ALWAYS = 10**9
NAME = "localhost"
"""What the cloud is called by clients whose connections shall fail: a name is looked up once for each."""
NOWHERE = "127.0.0.2"
"""An address of this machine at which nobody listens: a connection is refused at once."""


@dataclass
class Exchange:
    """A request to be answered (its URL without the host): the right body, and what a fault needs for a wrong answer. `other`
    gives the right body of another page, `older` that of this page when faults began; `hit` counts
    the answers that this fault broke before."""

    s: socket.socket
    url: str
    page: int
    body: bytes
    now: float
    other: Callable[[int], bytes]
    older: bytes
    hit: int
    closing: threading.Event

    def sends(
        self, body: bytes, status: int = 200, *, promised: int | None = None, **headers: str | None
    ) -> bool:
        """An answer with these headers; `promised`: another Content-Length; None: without that header."""
        given: dict[str, str | None] = {
            "Date": formatdate(self.now, usegmt=True),
            "Content-Type": "application/json",
            "Content-Length": str(len(body) if promised is None else promised),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
        head = "\r\n".join([f"HTTP/1.1 {status} Faulty", *lines, "", ""]).encode()
        self.s.sendall(head + body)
        return given.get("Connection") != "close"

    def tells(self, answer: Any, status: int = 200, **headers: str | None) -> bool:
        """JSON."""
        return self.sends(json.dumps(answer).encode(), status, **headers)


Act = Callable[[Exchange], bool]
"""Answers a request; whether the connection stays open."""


@dataclass
class Target:
    """Which answers are broken: of this path, of these pages (None: of all), so many."""

    act: Act
    path: str
    pages: frozenset[int] | None
    left: int
    older: Mapping[int, bytes]
    hits: int = 0


@dataclass
class FaultyCloud(ScriptedCloud):
    """A story over HTTP. Only `target` is answered badly."""

    server: Server = None  # type: ignore[assignment]
    target: Target | None = None
    hangs_up: bool = False
    refused: int = 0
    _taking: threading.Lock = field(default_factory=threading.Lock)

    def right(self, path: str, query: Mapping[str, str]) -> bytes:
        """The right answer to a request."""
        return self.server.answer(Request(path, dict(query), "GET", {}, True)).body

    def total(self, path: str) -> int:
        """How many records a listing has now; 1 if it is none."""
        return int(json.loads(self.right(path, {}))["data"].get("total", 1))

    def pages_of(self, path: str, page_size: int, pages: int) -> dict[int, bytes]:
        """The right answers for all pages now."""
        size = {"page_size": str(page_size)}
        return {n: self.right(path, {"page": str(n), **size}) for n in range(1, pages + 1)}

    def _step(self, request: Seen) -> Step:
        url = urlsplit(request.line.split(" ")[1])
        path, query = url.path.removeprefix(BASE_PATH), dict(parse_qsl(url.query))
        page = int(query.get("page", 1))

        def other(number: int) -> bytes:
            return self.right(path, {**query, "page": str(number)})

        def step(s: socket.socket) -> bool:
            target, hit = self._takes(path, page)
            older = target.older.get(page, b"") if target else b""
            right, now = other(page), self.server.clock()
            exchange = Exchange(s, url.geturl(), page, right, now, other, older, hit, self._closing)
            if target is not None:
                return target.act(exchange)
            return exchange.sends(exchange.body, Connection="close" if self.hangs_up else None)

        return step

    def _takes(self, path: str, page: int) -> tuple[Target | None, int]:
        with self._taking:
            target = self.target
            if target is None or target.path != path or not target.left:
                return None, 0
            if target.pages is not None and page not in target.pages:
                return None, 0
            target.left -= 1
            target.hits += 1
            return target, target.hits - 1


@contextmanager
def faulty_cloud(story: Story, key: str) -> Iterator[FaultyCloud]:
    server = Server(story.fleet, story.clock, key, Behaviour(), {}, story.money)
    cloud = FaultyCloud(server=server)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        cloud.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}{BASE_PATH}"
        thread = threading.Thread(target=_accept, args=(cloud, listener), daemon=True)
        thread.start()
        try:
            yield cloud
        finally:
            cloud._closing.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def unreachable(cloud: FaultyCloud, *, resolves: bool, skipped: int, times: int) -> Iterator[None]:
    """Let some connections to the cloud fail, after `skipped` good ones: its name is not known, or
    (`resolves`) nobody listens at its address. Each request makes a connection of its own."""
    right, left = socket.getaddrinfo, [skipped, times]

    def getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
        if host != NAME or not left[1]:
            return right("127.0.0.1" if host == NAME else host, *more, **named)
        if left[0]:
            left[0] -= 1
            return right("127.0.0.1", *more, **named)
        left[1] -= 1
        cloud.refused += 1
        if not resolves:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return right(NOWHERE, *more, **named)

    cloud.hangs_up = True
    try:
        with patch("socket.getaddrinfo", getaddrinfo):
            yield
    finally:
        cloud.hangs_up = False
