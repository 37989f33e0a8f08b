"""A time by which a get must have ended, held over every connect, read and write of a socket.

httpx and httpcore bound single reads only, so a server that drips bytes keeps a get for ever, and
while it drips headers nothing of ours runs. This is the network backend that stops it.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import httpcore


class Budget(threading.local):
    """When the get of the current thread must have ended, on the monotonic clock."""

    ends = float("inf")

    def of(self, timeout: float | None, late: type[Exception] = httpcore.ReadTimeout) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise late
        return left if timeout is None else min(timeout, left)


class TimedBackend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *more: Any, **options: Any
    ) -> httpcore.NetworkStream:
        timeout = self._budget.of(timeout, httpcore.ConnectTimeout)
        return TimedStream(
            self._inner.connect_tcp(host, port, timeout, *more, **options), self._budget
        )


class TimedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._budget.of(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._budget.of(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._budget.of(timeout, httpcore.ConnectTimeout)
        return TimedStream(
            self._inner.start_tls(ssl_context, server_hostname, timeout), self._budget
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def bind(http: Any, budget: Budget) -> None:
    """Bound every connect and read of an httpx client by the budget of its thread. httpx has no
    public way in for a network backend; a test holds this one."""
    for transport in (http._transport, *http._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = TimedBackend(pool._network_backend, budget)
