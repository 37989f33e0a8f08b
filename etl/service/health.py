"""HTTP server of the daemon: /healthz, /readyz and /metrics for machines, the live page, figures."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from etl.errors import Busy, SettingsError
from etl.service.hosts import is_known_host
from etl.service.probe import lives
from etl.service.site import PageRequest, Reply, Served
from etl.settings.service import listen_address
from etl.texts import tr

Answer = tuple[int, str, bytes]
"""Status, content type, body."""

LONGEST_S: Final = 10.0
"""Time in all for a client to send its request and to read the answer."""
MOST_CLIENTS: Final = 32
"""Each holds a thread and a file descriptor, which polls need too."""
ROOM_S: Final = 1.0
"""Longest wait of a client for one of the others to be gone."""

log = logging.getLogger("etl.health")


def as_json(status: int, content: dict[str, Any]) -> Answer:
    body = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    return status, "application/json; charset=utf-8", body.encode()


class Health:
    """HTTP server of `pages`, by path, and of `sites`, in threads of its own until `close`.

    However many clients there are and however slow they are, it holds few of them at a time and makes
    each page once for all that wait for it. Raises `SettingsError` if it cannot listen there.
    """

    def __init__(self, listen: str, pages: dict[str, Callable[[], Answer]], *sites: Served) -> None:
        host, port = listen_address(listen)
        shared = {path: _Shared(page) for path, page in pages.items()}
        try:
            self._server = _HealthServer(host, port, shared, sites)
        except (OSError, OverflowError) as error:
            # asked, not assumed: any program may have taken the port
            if getattr(error, "errno", None) == errno.EADDRINUSE and lives(listen):
                raise Busy(
                    tr("a daemon is at work already: it answers on {listen}", listen=listen),
                    advice=tr("stop that one first, or give this one another config and --listen"),
                ) from error
            raise SettingsError(
                tr(
                    "cannot listen on {listen}: {getattr}",
                    listen=listen,
                    getattr=getattr(error, "strerror", None) or error,
                ),
                advice=tr("name another address, or off: --listen (CHENYU_LISTEN)"),
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


def _reply(answer: Answer) -> Reply:
    status, kind, body = answer
    # a proxy that kept an answer would go on saying that all is well
    return Reply(status, {"Content-Type": kind, "Cache-Control": "no-store"}, body)


class _Shared:
    """A page that is made once for all clients that wait for it, so that many cost no more than one."""

    def __init__(self, make: Callable[[], Answer]) -> None:
        self._make = make
        self._making = threading.Lock()
        self._begun_at = float("-inf")
        self._answer: Answer

    def __call__(self) -> Answer:
        """Return an answer that nobody began to make before this call."""
        asked_at = time.monotonic()
        with self._making:
            # an answer that was begun before the question may be older than what it asks about
            if self._begun_at <= asked_at:
                self._begun_at = time.monotonic()
                self._answer = self._make()
            return self._answer


class _HealthServer(ThreadingHTTPServer):
    """Threads for a few clients. When they are too many, or one takes too long, it hangs up on the
    oldest: a client that is not slow has had its answer by then.
    """

    # neither a slow client nor its thread holds up the end of the daemon
    daemon_threads = True
    block_on_close = False
    # the kernel keeps these until one of the others has gone
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, pages: dict[str, _Shared], sites: Sequence[Served]
    ) -> None:
        self.pages, self.sites = pages, sites
        self.host = host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._clients: dict[socket.socket, float] = {}
        self._waiting_for_page: set[socket.socket] = set()
        self._room = threading.Condition()
        super().__init__((host, port), _PageHandler)

    def server_bind(self) -> None:
        # a restarted daemon takes its port at once, while old connections still time out
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()  # no look-up of the host's name

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._room:
            if len(self._clients) >= MOST_CLIENTS:
                self._hang_up(1)
            has_room = self._room.wait_for(lambda: len(self._clients) < MOST_CLIENTS, ROOM_S)
            if has_room:
                self._clients[request] = time.monotonic()
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._room:
            self._clients.pop(request, None)
            self._room.notify()

    def service_actions(self) -> None:
        """Hang up on those who take too long; called ten times a second."""
        late = time.monotonic() - LONGEST_S
        with self._room:
            self._hang_up(sum(since < late for since in self._clients.values()))

    def _hang_up(self, count: int) -> None:
        """Make the oldest clients' threads end, but for those that wait for this program."""
        slow = [client for client in self._clients if client not in self._waiting_for_page]
        for client in slow[:count]:
            with suppress(OSError):  # it hung up itself
                # not close: its thread may be reading, and the number could become another file's
                client.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def patience(self, client: socket.socket) -> Iterator[None]:
        """Do not hang up on a client that waits for its page."""
        self._waiting_for_page.add(client)
        try:
            yield
        finally:
            with self._room:
                if client in self._clients:
                    # the time until here was this program's: its own begins, as that of the youngest
                    del self._clients[client]
                    self._clients[client] = time.monotonic()
                self._waiting_for_page.discard(client)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that hung up is no news
            log.exception("a fault of this program while it answered on the health port")


class _PageHandler(BaseHTTPRequestHandler):
    timeout = LONGEST_S
    server: _HealthServer
    server_version = "chenyu-etl"
    # no version of Python or of a library: it would help nobody but an attacker
    sys_version = ""

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host", [])
        path = self.path.partition("?")[0]
        site = next((site for site in self.server.sites if site.serves(path)), None)
        # a page of the web can make its own name lead here, and would read the figures
        if not is_known_host(hosts, self.server.host, site.hosts if site else ()):
            advice = "ask by an address or a local name, or by the name that --listen has"
            refused = as_json(
                403, {"error": "this port does not go by that name", "advice": advice}
            )
            self._send(_reply(refused))
        elif site:
            headers = {name.lower(): value for name, value in self.headers.items()}
            with self.server.patience(self.connection):
                answer = site.answer(PageRequest(self.path, headers))
            self._send(answer)
        else:
            self._send(_reply(self._answer(path)))

    do_HEAD = do_GET

    def _answer(self, path: str) -> Answer:
        page = self.server.pages.get(path)
        if page is None:
            return as_json(404, {"pages": sorted(self.server.pages)})
        with self.server.patience(self.connection):
            return page()

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _refuse_method(self) -> None:
        self.close_connection = True  # a body may follow, which nobody reads
        self._send(Reply(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"}))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse_method

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: every scrape would be a line."""
