"""The live page as it was built last: after polls that changed something, in a process of its own."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from etl.address import database_order
from etl.polling import Result
from etl.redact import scrub
from etl.service.children import child_environ

# accounts poll one after the other: their changes are gathered into one build
LEAST_PAUSE_S: Final = 15.0
PAUSE_SHARE: Final = 10
"""A build pauses for so many times as long as it took: it takes no more than a tenth of a core."""
STALE_S: Final = 300.0
"""A page as old as this is built anew after a poll that changed nothing: what runs costs more by then."""
# a build that hangs would keep its thread, and the page, as they are for ever
LONGEST_S: Final = 300.0
CHANGES: Final = ("added", "changed", "gone", "rejected")

log = logging.getLogger("etl.page")


@dataclass(frozen=True, slots=True)
class Built:
    """A page in one language, as it goes out; `packed` is the same by gzip."""

    body: bytes
    packed: bytes
    etag: str
    policy: str


Build = Callable[[], Mapping[str, Any]]
"""Returns `pages` by language and their `policy`, or an `error`."""


class Builds:
    """Builder of the live page, in a thread that waits for a process: no poll waits for it.

    `touch` asks for a build, `current` gives the last one. `build` replaces the process in tests.
    """

    def __init__(self, build: Build, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._build, self._monotonic = build, monotonic
        self._wanted, self._stopping = threading.Event(), threading.Event()
        self._built: Mapping[str, Built] = {}
        self._built_at = float("-inf")
        self.error = ""
        # daemon: a build in hand keeps no process from ending
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        self._wanted.set()
        self._thread.start()

    def current(self, lang: str) -> Built | None:
        return self._built.get(lang)

    def touch(self, result: Result) -> None:
        """Ask for a build if this poll changed something, or if the last build is old."""
        run = result.outcome.run if result.outcome is not None else None
        if run is None:
            return
        is_changed = any(getattr(run, name) for name in CHANGES)
        if is_changed or self._monotonic() - self._built_at >= STALE_S:
            self._wanted.set()

    def stop(self, grace_s: float) -> None:
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(grace_s)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            # before the build, not after it: a poll during the build asks for another one
            self._wanted.clear()
            if self._stopping.is_set():
                return
            began = self._monotonic()
            self.make()
            took_s = self._monotonic() - began
            self._stopping.wait(max(LEAST_PAUSE_S, PAUSE_SHARE * took_s))

    def make(self) -> None:
        """Build once. If that fails, the page of before stays."""
        began = self._monotonic()
        try:
            answer = self._build()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        reason = answer.get("error", "")
        # once: it is tried again after each poll, and would fill the log
        if reason and reason != self.error:
            log.warning("the page was not built: %s", scrub(reason))
        self.error = reason
        if reason:
            return
        self._built = {
            lang: _built(html, answer["policy"]) for lang, html in answer["pages"].items()
        }
        self._built_at = self._monotonic()
        log.debug("the page was built in %.1f s", self._built_at - began)


def _built(html: str, policy: str) -> Built:
    body = html.encode()
    etag = sha256(body).hexdigest()[:32]
    # packed once for all readers; without the time, so that equal pages are equal bytes
    return Built(body, gzip.compress(body, 6, mtime=0), etag, policy)


class InProcess:
    """A build by `python -m etl.page`; `database_url` and `clock` are those of the daemon."""

    def __init__(self, database_url: str, clock: Callable[[], int]) -> None:
        self._database_url, self._clock = database_url, clock
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> Mapping[str, Any]:
        order = json.dumps({**database_order(self._database_url), "now": self._clock()}).encode()
        self._process = subprocess.Popen(
            # a process of its own: Python's lock would let a build of seconds delay the polls
            [sys.executable, "-P", "-m", "etl.page"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # its faults come back as an answer; a traceback would get into the daemon's log of JSON
            # lines
            stderr=subprocess.DEVNULL,
            env=child_environ(),
        )
        try:
            out, _ = self._process.communicate(order, timeout=LONGEST_S)
        finally:
            self.end()
        if self._process.returncode:
            return {"error": f"the process that builds it ended with {self._process.returncode}"}
        answer: Mapping[str, Any] = json.loads(out)
        return answer

    def end(self) -> None:
        """End the process if it is at work."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
