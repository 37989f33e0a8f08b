"""Small proxies over loopback: SOCKS 5, and HTTP with CONNECT. They note what they are asked for."""

from __future__ import annotations

import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class FakeProxy:
    """`asked`: host and port of each request, as it named them. `user`: who may pass (`name:password`).
    `heard`: what clients of a babbling one sent first."""

    port: int = 0
    user: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    def address(self, scheme: str) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{scheme}://{user}127.0.0.1:{self.port}"


@contextmanager
def socks_proxy(user: str = "") -> Iterator[FakeProxy]:
    yield from _serving(FakeProxy(user=user), _serve_socks)


@contextmanager
def http_proxy(user: str = "") -> Iterator[FakeProxy]:
    yield from _serving(FakeProxy(user=user), _serve_http)


@contextmanager
def babbling_proxy(words: bytes) -> Iterator[FakeProxy]:
    """One that answers whatever it is asked with `words`, and hangs up."""

    def serve(proxy: FakeProxy, s: socket.socket) -> None:
        proxy.heard.append(s.recv(4096))
        s.sendall(words)

    yield from _serving(FakeProxy(), serve)


def _serving(proxy: FakeProxy, serve) -> Iterator[FakeProxy]:  # type: ignore[no-untyped-def]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]

        def one(s: socket.socket) -> None:
            with s, suppress(OSError, ValueError, IndexError):
                serve(proxy, s)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve_socks(proxy: FakeProxy, s: socket.socket) -> None:
    methods = s.recv(2 + 255)
    if proxy.user and 2 in methods[2:]:
        s.sendall(b"\x05\x02")
        asked = s.recv(513)
        name_ends = 2 + asked[1]
        user = f"{asked[2:name_ends].decode()}:{asked[name_ends + 1 :].decode()}"
        s.sendall(b"\x01\x00" if user == proxy.user else b"\x01\x01")
        if user != proxy.user:
            return
    else:
        s.sendall(b"\x05\xff" if proxy.user else b"\x05\x00")
    asked = s.recv(262)
    kind, rest = asked[3], asked[4:]
    if kind == 3:
        host, rest = rest[1 : 1 + rest[0]].decode(), rest[1 + rest[0] :]
    else:
        size = 4 if kind == 1 else 16
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        host, rest = socket.inet_ntop(family, rest[:size]), rest[size:]
    port = int.from_bytes(rest[:2], "big")
    proxy.asked.append((host, port))
    try:
        other = socket.create_connection((host, port))
    except OSError:
        s.sendall(b"\x05\x05\x00\x01" + bytes(6))
        return
    s.sendall(b"\x05\x00\x00\x01" + bytes(6))
    _pump(s, other)


def _serve_http(proxy: FakeProxy, s: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(4096)
    line, *fields = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    method, target, _ = line.split(" ")
    headers = {k.lower(): v for k, v in (one.split(": ", 1) for one in fields)}
    if proxy.user and _user_of(headers.get("proxy-authorization", "")) != proxy.user:
        s.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    host, port = str(parts.hostname), parts.port or 80
    proxy.asked.append((host, port))
    other = socket.create_connection((host, port))
    if method == "CONNECT":
        s.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        other.sendall(head.replace(target.encode(), (parts.path + "?" + parts.query).encode(), 1))
    _pump(s, other)


def _user_of(header: str) -> str:
    return b64decode(header.removeprefix("Basic ")).decode()


def _pump(one: socket.socket, other: socket.socket) -> None:
    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    with other:
        back = threading.Thread(target=copy, args=(other, one), daemon=True)
        back.start()
        copy(one, other)
        back.join()
