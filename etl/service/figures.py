"""Reports over HTTP: who may read them, and a process that reads them, so that no poll waits."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from etl.address import database_order
from etl.figures.replies import LIMIT_S, FigureReply, is_served
from etl.service.access import Access
from etl.service.children import child_environ
from etl.service.site import SAFE, PageRequest, Reply, has_already
from etl.texts import tr

MOST_WAITING: Final = 12
"""The most that wait at a time: each holds one of the port's few clients."""
LONGEST_REPLY_S: Final = LIMIT_S + 10
"""The process is ended after so long: it ends its reads itself by then, unless it hangs."""
IDLE_S: Final = 60.0
"""The process ends after so long without a request, and gives back its memory."""
POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

log = logging.getLogger("etl.figures")


class ReportProcess:
    """A process that reads reports, one at a time; it starts when it is asked, and ends when idle."""

    def __init__(self, database_url: str, clock: Callable[[], int], idle_s: float = IDLE_S) -> None:
        self._database_url, self._clock, self._idle_s = database_url, clock, idle_s
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._idle: threading.Timer | None = None
        self._is_ended = False

    def ask(self, target: str, *, is_packed: bool) -> FigureReply:
        """Return the reply to a request, or one that says why there is none."""
        if not self._waiting.acquire(blocking=False):
            return _refusal(503, tr("too many ask at once"), tr("ask again in a few seconds"))
        try:
            with self._turn:
                return self._ask(target, is_packed=is_packed)
        finally:
            self._waiting.release()

    def end(self) -> None:
        """End the process if there is one, and every read; nothing is read any more."""
        self._is_ended = True
        self._kill()
        with self._turn:
            self._discard()

    def _ask(self, target: str, *, is_packed: bool) -> FigureReply:
        if self._is_ended:
            return _refusal(503, tr("the daemon is ending"), tr("ask again in a few seconds"))
        if self._idle is not None:
            self._idle.cancel()
        watch = threading.Timer(LONGEST_REPLY_S, self._kill)
        watch.daemon = True
        watch.start()
        try:
            order = {"target": target, "is_packed": is_packed, "now": self._clock()}
            return _exchange(self._running(), order)
        except (OSError, ValueError) as error:
            self._discard()
            if watch.finished.is_set():
                return _refusal(504, tr("reading took too long"), tr("ask for a shorter period"))
            log.error("the process that reads reports ended: %s", error)
            return _refusal(503, tr("the process that reads ended"), tr("see the daemon's log"))
        finally:
            watch.cancel()
            self._idle = threading.Timer(self._idle_s, self._end_if_idle)
            self._idle.daemon = True
            self._idle.start()

    def _end_if_idle(self) -> None:
        # not while it is asked: then it is not idle, and its next pause ends it
        if self._turn.acquire(blocking=False):
            try:
                self._discard()
            finally:
                self._turn.release()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _discard(self) -> None:
        """End the process and close its pipes; whose turn it is may do so."""
        # what was not written yet cannot be any more
        with suppress(OSError):
            if self._process is not None:
                with self._process as process:
                    process.kill()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._discard()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "etl.figures"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # faults come back as answers; a traceback would get into the daemon's log of JSON lines
            stderr=subprocess.DEVNULL,
            env=child_environ(),
        )
        _write(self._process, database_order(self._database_url))
        return self._process


def _exchange(process: subprocess.Popen[bytes], order: dict[str, Any]) -> FigureReply:
    assert process.stdout is not None
    _write(process, order)
    head = json.loads(process.stdout.readline())
    body = process.stdout.read(head["length"])
    if len(body) < head["length"]:
        raise ValueError("half a reply")
    if head["fault"]:
        log.error("a fault of this program while it read a report: %s", head["fault"])
    return FigureReply(head["status"], body, head["headers"])


def _write(process: subprocess.Popen[bytes], order: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()


def _refusal(status: int, message: str, advice: str) -> FigureReply:
    body = json.dumps({"error": message, "advice": advice}, indent=1) + "\n"
    return FigureReply(status, body.encode(), {"Content-Type": "application/json; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Figures:
    """Reports at `/reports/NAME.json` and `.csv`, their list and their description."""

    reader: ReportProcess
    access: Access = field(default_factory=Access)
    hosts: frozenset[str] = frozenset()

    def serves(self, path: str) -> bool:
        return is_served(path)

    def answer(self, asked: PageRequest) -> Reply:
        # before anything is read: whoever has no token costs nothing
        if not self.access.is_let_in(asked.headers):
            advice = tr("send it: Authorization: Bearer …, or as the password of Basic")
            refused = _as_http(_refusal(401, tr("a token is needed"), advice))
            challenge = {"WWW-Authenticate": 'Bearer, Basic realm="chenyu-etl", charset="UTF-8"'}
            return Reply(refused.status, {**refused.headers, **challenge}, refused.body)
        is_packed = "gzip" in asked.headers.get("accept-encoding", "")
        made = _as_http(self.reader.ask(asked.target, is_packed=is_packed))
        if made.status == 200 and has_already(asked.headers, made.headers["ETag"]):
            kept = {n: v for n, v in made.headers.items() if n not in OF_A_BODY}
            return Reply(304, kept)
        return made


OF_A_BODY: Final = ("Content-Type", "Content-Encoding", "Content-Disposition")


def _as_http(reply: FigureReply) -> Reply:
    """Return a reply with the headers that keep a browser to itself."""
    sent = {
        **SAFE,
        "Vary": "Accept-Encoding, Authorization, Cookie",
        "Content-Security-Policy": POLICY,
    }
    if reply.status == 200:
        sent["ETag"] = f'"{sha256(reply.body).hexdigest()[:32]}"'
    else:
        sent["Cache-Control"] = "no-store"
    if reply.status == 503:
        sent["Retry-After"] = "5"
    return Reply(reply.status, {**sent, **reply.headers}, reply.body)
