"""Deadline of an exchange, enforced over every connect, read and write of a socket.

httpx and httpcore bound single reads only, so a server that drips bytes keeps a request for ever, and
while it drips headers nothing of ours runs. This network backend stops it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpcore

ADDRESS_S: Final = 3.0
"""Seconds for which an address is tried if the host has others: many networks drop what is sent over
IPv6."""


class TimeBudget(threading.local):
    """Time left for the exchange of the current thread, on the monotonic clock."""

    ends = float("inf")

    def left(self, timeout: float | None, late: type[Exception] = httpcore.ReadTimeout) -> float:
        """Return the seconds that a step may take. Raises `late` if none are left."""
        left = self.ends - time.monotonic()
        # a socket takes a timeout of 0 for "do not wait", and its error would say nothing of time
        if left <= 0:
            raise late
        return left if timeout is None else min(timeout, left)


class TimedBackend(httpcore.NetworkBackend):
    """TCP connections within the budget of the thread that uses them. `on_write` is called before
    each write."""

    def __init__(self, budget: TimeBudget, on_write: Callable[[], None] = lambda: None) -> None:
        self._inner = httpcore.SyncBackend()
        self._budget = budget
        self._on_write = on_write
        self._newest = _Newest()

    def abandon(self) -> None:
        """Close the connection that the current thread opened last: httpcore leaves it open if a
        SOCKS proxy refuses."""
        if self._newest.stream is not None:
            self._newest.stream.close()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        *others, last = _resolve(host, port)
        for address in others:
            # not so for the last: it may take all that is left
            bound = min(ADDRESS_S, self._budget.left(timeout, httpcore.ConnectTimeout))
            try:
                return self._connect(address, port, bound, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        bound = self._budget.left(timeout, httpcore.ConnectTimeout)
        return self._connect(last, port, bound, local_address, socket_options)

    def _connect(self, address: str, port: int, *bounds: Any) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(address, port, *bounds)
        self._newest.stream = stream
        return _TimedStream(stream, self._budget, self._on_write)


class _Newest(threading.local):
    stream: httpcore.NetworkStream | None = None


class _TimedStream(httpcore.NetworkStream):
    def __init__(
        self, inner: httpcore.NetworkStream, budget: TimeBudget, on_write: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._budget = budget
        self._on_write = on_write

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._budget.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:  # h11 ends a request without a body by writing nothing
            self._on_write()
        self._inner.write(buffer, self._budget.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        bound = self._budget.left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, bound)
        return _TimedStream(stream, self._budget, self._on_write)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the system's order. Raises `httpcore.ConnectError`."""
    try:
        # the one step that nothing can bound: the system's resolver has timeouts of its own
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    # a system may list an address once for each protocol
    return list(dict.fromkeys(str(info[4][0]) for info in infos))
