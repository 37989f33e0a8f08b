"""Signs of life for outside monitors, and periodic work beside the polls."""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from etl import __version__
from etl.errors import DeliveryError, SettingsError
from etl.source.http import one_request

PING_TIMEOUT_S: Final = 10
MOST_PINGS: Final = 2
"""Pings that wait, at most: the next one says the same, or more."""
LONGEST_REASON: Final = 10_000
EXTEND_S: Final = 60
"""systemd is asked for this much more time, again and again, while a start lasts."""

log = logging.getLogger("etl.watchdog")


class Systemd:
    """Notifier of the service manager; does nothing if there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._socket = environ.get("NOTIFY_SOCKET", "")
        usec = environ.get("WATCHDOG_USEC", "")
        # a shell that systemd started hands the variable on to whatever it runs
        own = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        # twice within the limit, as sd_watchdog_enabled(3) advises
        self.every_s: float | None = int(usec) / 2e6 if own and usec.isdecimal() else None
        """Interval of `WATCHDOG=1` in seconds; None: it is not wanted."""

    def notify(self, state: str) -> None:
        """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=…`."""
        if not self._socket:
            return
        address = self._socket
        if address.startswith("@"):  # an abstract name
            address = "\0" + address[1:]
        # a manager that is gone is no reason to stop polling
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(address)
            s.sendall(state.encode())

    @contextmanager
    def starting(self, status: str) -> Iterator[None]:
        """Ask for more time to start, for as long as this lasts: a migration may take hours."""
        if not self._socket:
            yield
            return
        done = threading.Event()
        message = f"STATUS={status}\nEXTEND_TIMEOUT_USEC={EXTEND_S * 1_000_000}"

        def extend() -> None:
            self.notify(message)
            # three times within the limit, so that one late message does not end the start
            while not done.wait(EXTEND_S / 3):
                self.notify(message)

        thread = threading.Thread(target=extend, name="starting", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class Pinger:
    """Client of a dead man's switch by the protocol of Healthchecks, in a thread of its own.

    The URL alone means that all is well, `/start` that work begins, `/fail` that it went wrong, with
    the reason as the body. The URL is a secret by itself: it is never logged.
    """

    def __init__(self, url: str, timeout_s: float = PING_TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._wanted = queue.SimpleQueue[tuple[str, str] | None]()
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="pinger", daemon=True)
        self._thread.start()

    def start(self) -> None:
        self._want("start", "")

    def success(self) -> None:
        self._want("", "")

    def fail(self, reason: str) -> None:
        """Ping failure. `reason` must not hold a secret: the service that is pinged stores it."""
        self._want("fail", reason[:LONGEST_REASON])

    def stop(self, grace_s: float = 0.0) -> None:
        """Send no more pings; wait that long for those on their way."""
        self._wanted.put(None)
        self._thread.join(grace_s)

    def _want(self, signal: str, body: str) -> None:
        # a service that is away must not gather a day of pings
        if self._wanted.qsize() < MOST_PINGS:
            self._wanted.put((signal, body))

    def _work(self) -> None:
        while (ping := self._wanted.get()) is not None:
            self._send(*ping)

    def _send(self, signal: str, body: str) -> None:
        failure = self._failure(signal, body)
        # once for each outage: pings come with every poll
        if failure and not self._failing:
            log.warning("ping_url did not answer as it should: %s", failure)
        self._failing = bool(failure)

    def _failure(self, signal: str, body: str) -> str:
        """Ping; return why it was in vain, without the address, or nothing if it was taken."""
        try:
            with one_request(
                "POST" if body else "GET",
                signal_url(self._url, signal),
                timeout_s=self._timeout_s,
                total_s=self._timeout_s,
                content=body.encode() if body else None,
                headers={
                    "User-Agent": f"chenyu-etl/{__version__}",
                    **({"Content-Type": "text/plain; charset=utf-8"} if body else {}),
                },
            ) as answer:
                return "" if answer.is_success else f"HTTP {answer.status_code}"
        # one of the settings is a proxy or certificate variable, by its name
        except (DeliveryError, SettingsError) as error:
            return error.message


def signal_url(url: str, signal: str) -> str:
    """Return the URL with `/start` or `/fail` at the end of its path."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{signal}" if signal else parts.path
    return urlunsplit(parts._replace(path=path))


class Periodic:
    """Runner of `work` soon after each `touch`, and at intervals, in a thread of its own: slow work
    delays no poll.
    """

    def __init__(
        self, work: Callable[[], object], every_s: float = 60.0, at_least_s: float = 5.0
    ) -> None:
        self._work, self._every_s, self._at_least_s = work, every_s, at_least_s
        self._touched, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="periodic", daemon=True)
        self._thread.start()

    def touch(self) -> None:
        self._touched.set()

    def stop(self, grace_s: float) -> None:
        """Begin no more work; wait that long for work in hand."""
        self._stopping.set()
        self._touched.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
        while True:
            self._touched.wait(self._every_s)
            self._touched.clear()
            if self._stopping.is_set():
                return
            self._work()
            # twenty accounts that poll in one second are looked at once
            self._stopping.wait(self._at_least_s)
