"""HTTP pages of the daemon for machines: /healthz, /readyz, /metrics."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from etl.errors import Busy, SettingsError
from etl.service.probe import lives
from etl.settings.service import listen_address

Answer = tuple[int, str, bytes]
"""Status, content type, body."""

TIMEOUT_S: Final = 10

log = logging.getLogger("etl.health")


def as_json(status: int, said: dict[str, Any]) -> Answer:
    body = json.dumps(said, ensure_ascii=False, indent=1) + "\n"
    return status, "application/json; charset=utf-8", body.encode()


class Health:
    """HTTP server of `pages`, by path, in threads of its own until `close`.

    Raises `SettingsError` if it cannot listen there.
    """

    def __init__(self, listen: str, pages: dict[str, Callable[[], Answer]]) -> None:
        host, port = listen_address(listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = type("Listener", (_Listener,), {"address_family": family, "pages": pages})
        try:
            self._server: _Listener = listener((host, port), _Handler)
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE and lives(listen):
                raise Busy(
                    f"a daemon is at work already: it answers on {listen}",
                    advice="stop that one first, or give this one another config and --listen",
                ) from error
            raise SettingsError(
                f"cannot listen on {listen}: {getattr(error, 'strerror', None) or error}",
                advice="name another address, or off: --listen (CHENYU_LISTEN)",
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    pages: dict[str, Callable[[], Answer]]

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()  # no look-up of the host's name

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that hung up is no news
            log.exception("a fault of this program while it answered on the health port")


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    server: _Listener
    server_version = "chenyu-etl"
    sys_version = ""

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        status, kind, body = page() if page else as_json(404, {"pages": sorted(self.server.pages)})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: every scrape would be a line."""
