"""HTTP servers of tests, on a free port of this machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener(ThreadingHTTPServer):
    """A server whose clients may hang up: that is what tests of time-outs make them do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a fault of the test's handler; a client that hung up is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve until the end of the block; yield the port."""
    with Listener(("127.0.0.1", 0), handler) as server:
        # each poll for shutdown would otherwise add up to half a second to a test
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
