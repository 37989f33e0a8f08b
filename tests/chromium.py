"""A browser for tests: Debian's Chromium, driven by its DevTools protocol over a pipe.

A pipe needs no port and no library: messages are JSON, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PHONE, DESK = 390, 1440
_START = (
    "import fcntl, os, sys\n"
    "ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]\n"
    "os.dup2(ends[0], 3)\n"
    "os.dup2(ends[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
"""Starts the browser with the pipes at the numbers that its protocol wants."""
Message = dict[str, Any]


@dataclass
class Tab:
    """A page in the browser, with what it complained of and asked the network for."""

    browser: Browser
    session: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def send(self, method: str, **parameters: Any) -> Message:
        return self.browser.send(method, parameters, self.session)

    def opens(
        self, url: str, *, width: int = DESK, height: int = 900, theme: str = "light"
    ) -> None:
        """Load a page anew, at this width and in this theme."""
        self.complaints.clear()
        self.requests.clear()
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Page.navigate", url="about:blank")
        self.browser.wait_for("Page.loadEventFired", self.session)
        self.requests.clear()
        self.send("Page.navigate", url=url)
        self.browser.wait_for("Page.loadEventFired", self.session)

    def asks(self, script: str) -> Any:
        """Evaluate a script, and return its value."""
        given = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in given, given
        return given["result"].get("value")

    def screenshot(self, path: Path, *, height: int | None = None) -> None:
        """Write a picture of the whole page, or of its upper part."""
        size = self.asks("[document.documentElement.clientWidth, document.body.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": height or size[1], "scale": 1}
        given = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(given["data"]))


@dataclass
class Browser:
    process: subprocess.Popen[bytes]
    write: int
    read: int
    tabs: dict[str, Tab] = field(default_factory=dict)
    _last: int = 0
    _buffer: bytes = b""
    _events: list[tuple[str, str]] = field(default_factory=list)

    def send(self, method: str, parameters: Message, session: str = "") -> Message:
        self._last += 1
        message: Message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer)
                result: Message = answer["result"]
                return result

    def wait_for(self, event: str, session: str) -> None:
        while (event, session) not in self._events:
            self._next()
        self._events.clear()

    def tab(self) -> Tab:
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        given = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        tab = self.tabs[given["sessionId"]] = Tab(self, given["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.send(f"{domain}.enable")
        return tab

    def _next(self) -> Message:
        """Return the next message; events are noted."""
        while b"\0" not in self._buffer:
            read = os.read(self.read, 1 << 20)
            assert read, "the browser ended"
            self._buffer += read
        first, _, self._buffer = self._buffer.partition(b"\0")
        message: Message = json.loads(first)
        if "method" in message:
            session = message.get("sessionId", "")
            self._events.append((message["method"], session))
            if session in self.tabs:
                _note(self.tabs[session], message["method"], message["params"])
        return message


def _note(tab: Tab, method: str, given: Message) -> None:
    if method == "Network.requestWillBeSent":
        tab.requests.append(given["request"]["url"])
    elif method == "Runtime.exceptionThrown":
        details = given["exceptionDetails"]
        tab.complaints.append(details.get("exception", {}).get("description", details["text"]))
    elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
        tab.complaints.append(str([a.get("value") for a in given["args"]]))
    elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
        tab.complaints.append(given["entry"]["text"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser of its own; it is ended, and its profile removed, in the end."""
    assert COMMAND, "there is no chromium here"
    (to_read, write), (read, to_write) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [COMMAND, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_read), str(to_write), *words],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            yield Browser(process, write, read)
        finally:
            process.kill()
            process.wait()
            os.close(write)
            os.close(read)
