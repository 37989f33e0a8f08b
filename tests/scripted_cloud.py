"""A cloud that answers by script, over real HTTP, in ways that well-kept servers cannot.

Each step answers one request; the last step answers all that follow.
`etl.simcloud` is the cloud for everything that a listing does; this one is for broken transport.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Step = Callable[[socket.socket], bool]
"""Answers a request; whether the connection stays open."""


@dataclass
class Seen:
    line: str
    headers: dict[str, str]


@dataclass
class ScriptedCloud:
    base_url: str = ""
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    _steps: list[Step] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def request_count(self) -> int:
        return len(self.seen)

    def answers(self, content: Any = None, *, status: int = 200, **headers: str) -> ScriptedCloud:
        """JSON (or these bytes), code 0 where nothing is given; `Retry_After` becomes a header."""
        if content is None:
            content = {"code": 0, "msg": "success", "data": {}}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self._then(lambda s: self._send(s, body, status, headers))

    def fails(self, code: int | str, msg: Any = "no", *, status: int = 200, **headers: str) -> Any:
        return self.answers({"code": code, "msg": msg, "data": None}, status=status, **headers)

    def redirects(self, location: str, status: int = 302) -> ScriptedCloud:
        return self.answers(b"", status=status, Location=location)

    def resets(self) -> ScriptedCloud:
        def step(s: socket.socket) -> bool:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False

        return self._then(step)

    def cuts(self, body: bytes, promised: int) -> ScriptedCloud:
        """A Content-Length of `promised`, then `body`, then closed."""
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {promised}\r\n\r\n".encode()
        return self.sends(head + body)

    def sends(self, raw: bytes) -> ScriptedCloud:
        """These bytes and no more, then closed."""

        def step(s: socket.socket) -> bool:
            s.sendall(raw)
            return False

        return self._then(step)

    def stalls(self) -> ScriptedCloud:
        return self._then(lambda s: bool(self._closing.wait(10) and False))

    def drips(self, first: bytes, drop: bytes) -> ScriptedCloud:
        """`first`, then `drop` again and again for ever."""

        def step(s: socket.socket) -> bool:
            s.sendall(first)
            while not self._closing.wait(0.01):
                s.sendall(drop)
            return False

        return self._then(step)

    def _then(self, step: Step) -> ScriptedCloud:
        self._steps.append(step)
        return self

    def _step(self, _request: Seen) -> Step:
        return self._next()

    def _next(self) -> Step:
        with self._lock:
            return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]

    def _send(self, s: socket.socket, body: bytes, status: int, headers: dict[str, str]) -> bool:
        head = {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in head.items()]
        s.sendall("\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode() + body)
        return True

    def _secured(self, s: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(s, server_side=True) if self.tls else s

    def _serve(self, s: socket.socket) -> None:
        with suppress(OSError), self._secured(s) as s:
            while request := _read_request(s):
                self.seen.append(request)
                if not self._step(request)(s):
                    return


def _read_request(s: socket.socket) -> Seen | None:
    text = b""
    while b"\r\n\r\n" not in text:
        more = s.recv(65536)
        if not more:
            return None
        text += more
    line, *lines = text.decode("latin-1").rstrip().split("\r\n")
    return Seen(
        line, {k.lower(): v for k, v in (one.split(": ", 1) for one in lines if ": " in one)}
    )


@contextmanager
def scripted_cloud(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedCloud]:
    cloud = ScriptedCloud()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cloud.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v2"
        if tls:
            cloud.tls = tls
            cloud.base_url = cloud.base_url.replace("http://127.0.0.1", "https://localhost")
        thread = threading.Thread(target=_accept, args=(cloud, listener), daemon=True)
        thread.start()
        try:
            yield cloud
        finally:
            cloud._closing.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(cloud: ScriptedCloud, listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            s, _ = listener.accept()
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=cloud._serve, args=(s,), daemon=True).start()
