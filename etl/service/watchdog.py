"""Signs of life for those who watch from outside, and what is done beside the polls."""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

PING_TIMEOUT_S: Final = 10

log = logging.getLogger("etl.watchdog")


class Systemd:
    """Tells the service manager how it goes; says nothing where there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._socket = environ.get("NOTIFY_SOCKET", "")
        usec = environ.get("WATCHDOG_USEC", "")
        own = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.every_s: float | None = int(usec) / 2e6 if own and usec.isdecimal() else None
        """How often it wants to hear `WATCHDOG=1`; None: never."""

    def says(self, state: str) -> None:
        """`READY=1`, `WATCHDOG=1`, `RELOADING=1`, `STOPPING=1`, `STATUS=…`."""
        if not self._socket:
            return
        address = self._socket
        if address.startswith("@"):  # an abstract name
            address = "\0" + address[1:]
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(address)
            s.sendall(state.encode())


class Pinger:
    """Asks a URL after complete polls, in a thread of its own; while it waits, one more is enough.

    The URL is a secret by itself: it is never logged.
    """

    def __init__(self, url: str, timeout_s: float = PING_TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._wanted: queue.Queue[bool] = queue.Queue(1)
        self._failing = False
        threading.Thread(target=self._work, name="pinger", daemon=True).start()

    def ping(self) -> None:
        with suppress(queue.Full):
            self._wanted.put_nowait(True)

    def stop(self) -> None:
        """No more of it; a ping that waits is dropped."""
        with suppress(queue.Empty):
            self._wanted.get_nowait()
        self._wanted.put(False)

    def _work(self) -> None:
        while self._wanted.get():
            try:
                request = urllib.request.Request(self._url)  # noqa: S310 - settings allow http(s)
                with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                    answer.read(1000)
                self._failing = False
            except (OSError, ValueError) as error:
                if not self._failing:
                    log.warning("the watchdog URL did not answer: %s", type(error).__name__)
                self._failing = True


class Bell:
    """Calls `ring` soon after each `touch`, and every so often, in a thread of its own: what takes
    long there holds up no poll."""

    def __init__(
        self, ring: Callable[[], object], every_s: float = 60.0, at_least_s: float = 5.0
    ) -> None:
        self._ring, self._every_s, self._at_least_s = ring, every_s, at_least_s
        self._touched, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="bell", daemon=True)
        self._thread.start()

    def touch(self) -> None:
        self._touched.set()

    def stop(self, grace_s: float) -> None:
        """No more of it; waits so long for what is in hand."""
        self._stopping.set()
        self._touched.set()
        self._thread.join(grace_s)

    def _work(self) -> None:
        while True:
            self._touched.wait(self._every_s)
            self._touched.clear()
            if self._stopping.is_set():
                return
            self._ring()
            self._stopping.wait(self._at_least_s)
