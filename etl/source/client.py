"""One GET: httpx in, our errors out.

A get ends within `Retrying.total_s`, waits and slow answers included, and sends at most `attempts *
(1 + MAX_REDIRECTS)` requests. No message, repr or log of this module holds the key, a body, a query
string or the user-info of a URL: words of the source are cut down by `safe_words`, and foreign
exceptions, whose text can hold any of them, are dropped (`from None`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlencode

import httpx

from etl import __version__
from etl.errors import Changed, SettingsError, Unavailable
from etl.redact import MASK, remember
from etl.resources.listing import LIMIT_BODY
from etl.source.answers import (
    ADVICE_CHANGED,
    ADVICE_KEY,
    ADVICE_WAIT,
    Answer,
    advice_through,
    fault_of,
    http_date,
    safe_words,
)
from etl.source.deadline import TimeBudget
from etl.source.http import Transport
from etl.source.proxies import Proxy
from etl.texts import tr

Clock = Callable[[], float]
"""Seconds since 1970-01-01T00:00:00Z on the local clock."""

MAX_REDIRECTS: Final = 3
ADVICE_REDIRECT: Final = tr("set CHENYU_BASE_URL to the address that really serves the API")
ADVICE_CERTIFICATE: Final = tr(
    "whoever answers there has a certificate that is not trusted; name the file of the authority "
    "that signed it, such as your company's: SSL_CERT_FILE"
)

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retrying:
    """Limits on the attempts of one get, and on the time they take. Waits double from
    `first_wait_s`, with as much jitter; no wait, not even one that the source asked for, is longer
    than `longest_wait_s`.
    """

    attempts: int = 5
    total_s: float = 90.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


class Client:
    """A thread-safe reader of one account. `requests`, `retries` and `limited` (answers that said
    "too many requests") count since its creation."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        clock: Clock,
        timeout_s: float = 30.0,
        retrying: Retrying = Retrying(),
        body_limit: int = LIMIT_BODY,
        connections: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.requests = 0
        self.retries = 0
        self.limited = 0
        self._base_url = _checked_url(base_url)
        remember(_checked_key(key))
        self._key = key.encode()
        self._clock = clock
        self._retrying = retrying
        self._body_limit = body_limit
        self._counting = threading.Lock()
        # httpcore closes connections in use where requests queue for them (encode/httpcore#1110)
        self._turns = threading.Semaphore(connections)
        self._budget = TimeBudget()
        self._sent = _Sent()
        # a transport of a test writes to no socket: a request leaves when it is handed over
        self._notes_writes = transport is None
        self._proxy: Proxy | None = None
        if transport is None:
            transport = Transport(
                self._base_url, self._budget, connections=connections, on_write=self._note_write
            )
            self._proxy = transport.proxy
        # who has a turn has a connection: the pool's own wait is only a backstop
        timeouts = httpx.Timeout(timeout_s, pool=retrying.total_s)
        self._timeouts = {"timeout": timeouts.as_dict()}
        self._http = httpx.Client(
            headers={
                "Authorization": f"Bearer {key}",
                "User-Agent": f"chenyu-etl/{__version__}",
                # no other: a packed answer is unpacked here, piece by piece, up to a limit
                "Accept-Encoding": "gzip",
            },
            timeout=timeouts,
            transport=transport,
        )

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to one GET, once its envelope says that it went well.

        Raises `Unavailable` when it still fails after the retries, `Refused` and `Changed` at once.
        """
        # one end for all attempts: a poll waits for each page, and must itself end in time
        ends = time.monotonic() + self._retrying.total_s
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(path, params, ends)
            except Unavailable as error:
                wait_s = self._wait_s(error, attempt, ends)
                if wait_s is None:
                    raise
                _log.info("%s; next attempt in %.1f s", error, wait_s)
            time.sleep(wait_s)
            self._count(retries=1)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._base_url}>"

    def _wait_s(self, error: Unavailable, attempt: int, ends: float) -> float | None:
        """Return the seconds until the next attempt; None if there is none, or it could not end in
        time."""
        bounds = self._retrying
        if attempt >= bounds.attempts:
            return None
        backoff_s = min(bounds.first_wait_s * 2 ** (attempt - 1), bounds.longest_wait_s)
        # what the source asks for is the least wait: the backoff may be longer
        wait_s = max(backoff_s, error.retry_after_s or 0.0)
        # all daemons of a site would else come back in the same second
        wait_s += random.uniform(0.0, bounds.first_wait_s)  # noqa: S311 - jitter
        wait_s = min(wait_s, bounds.longest_wait_s)
        # an attempt that must break off at once would only delay the error
        return wait_s if time.monotonic() + wait_s < ends else None

    def _once(self, path: str, params: Mapping[str, str] | None, ends: float) -> Answer:
        query = f"?{urlencode(params)}" if params else ""
        request = self._request(self._base_url + path + query)
        for _ in range(1 + MAX_REDIRECTS):
            # a turn for each request, not for each get: waits before a retry hold no connection
            if not self._turns.acquire(timeout=max(0.0, ends - time.monotonic())):
                raise Unavailable(
                    tr("GET {path}: no free connection in time", path=path), advice=ADVICE_WAIT
                )
            try:
                response, answer = self._exchange(path, request, ends)
            finally:
                self._turns.release()
            if not response.has_redirect_location:
                self._check(path, response, answer)
                return answer
            request = self._redirected(path, response)
        raise Changed(
            tr(
                "GET {path}: more than {max_redirects} redirects",
                path=path,
                max_redirects=MAX_REDIRECTS,
            ),
            advice=ADVICE_REDIRECT,
        )

    def _exchange(
        self, path: str, request: httpx.Request, ends: float
    ) -> tuple[httpx.Response, Answer]:
        self._count(requests=1)
        # of this thread: the same transport serves several pages at a time
        self._budget.ends = ends
        self._sent.at = None if self._notes_writes else self._clock()
        try:
            response = self._http.send(request, stream=True)
            try:
                body = self._read(path, response, ends)
            finally:
                response.close()
        # a redirect can lead to a URL that httpx cannot read
        except (httpx.RequestError, httpx.InvalidURL, zlib.error) as error:
            is_untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise Unavailable(
                tr("GET {path}: {words}", path=path, words=self._words(error)),
                advice=advice_through(
                    ADVICE_CERTIFICATE if is_untrusted else ADVICE_WAIT, self._proxy
                ),
            ) from None
        date = http_date(response.headers.get("date"))
        assert self._sent.at is not None
        return response, Answer(body, self._sent.at, self._clock(), date)

    def _note_write(self) -> None:
        """Note when a request leaves: a slow connection says nothing of when it was answered."""
        self._sent.at = self._clock()

    def _read(self, path: str, response: httpx.Response, ends: float) -> bytes:
        body = bytearray()
        for piece in _unpacked(response, self._body_limit):
            body += piece
            if len(body) > self._body_limit:
                what = tr(
                    "GET {path}: the answer is larger than {body_limit} bytes",
                    path=path,
                    body_limit=self._body_limit,
                )
                raise Changed(what, advice=ADVICE_CHANGED)
            if time.monotonic() > ends:
                raise Unavailable(
                    tr("GET {path}: the answer took too long", path=path), advice=ADVICE_WAIT
                )
        # a proxy or an error page may echo the header that it got
        return bytes(body).replace(self._key, MASK.encode())

    def _redirected(self, path: str, response: httpx.Response) -> httpx.Request:
        """Return the request that follows a redirect; refuse to carry the key to another host."""
        target = response.url.join(response.headers["location"])
        # http to https is another origin too: who redirects is not who was asked
        if target.userinfo or _origin(target) != _origin(response.url):
            host = safe_words(f"{target.scheme}://{target.host}")
            what = tr(
                "GET {path}: redirected to {host}; the key was not sent there", path=path, host=host
            )
            raise Changed(what, advice=advice_through(ADVICE_REDIRECT, self._proxy))
        return self._request(target)

    def _request(self, url: httpx.URL | str) -> httpx.Request:
        """Build a request as `httpx.Client.build_request` does, without cookies and in half the
        time.
        """
        return httpx.Request("GET", url, headers=self._http.headers, extensions=self._timeouts)

    def _check(self, path: str, response: httpx.Response, answer: Answer) -> None:
        """Raise the error that the status or the envelope's code stands for."""
        retry_after = response.headers.get("retry-after", "")
        fault = fault_of(path, response.status_code, retry_after, answer, self._proxy)
        if isinstance(fault, Unavailable):
            self._count(limited=fault.limited)
        if fault is not None:
            raise fault

    def _words(self, error: Exception) -> str:
        """Map a foreign exception to words, without a text of it that can hold a header or a body."""
        through = tr(" through the proxy {label}", label=self._proxy.label) if self._proxy else ""
        match error:
            case httpx.ConnectTimeout():
                return tr("no connection{through} in time", through=through)
            case httpx.TimeoutException():
                return tr("no answer in time")
            # its text is the system's reason: nothing was sent yet that it could quote
            case httpx.ConnectError() | httpx.ProxyError():
                return tr(
                    "no connection{through}: {safe_words}",
                    through=through,
                    safe_words=safe_words(str(error)),
                )
            case _:
                return tr("the connection or the answer broke ({name})", name=type(error).__name__)

    def _count(self, requests: int = 0, retries: int = 0, limited: int = 0) -> None:
        # += on an attribute is no single step, and pages are read in several threads
        with self._counting:
            self.requests += requests
            self.retries += retries
            self.limited += limited


class _Sent(threading.local):
    """Time at which the current thread's request left, on the local clock."""

    at: float | None = None


def _unpacked(response: httpx.Response, limit: int) -> Iterator[bytes]:
    """Yield the body in pieces, none of them much longer than `limit`, however well it is packed."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if response.is_stream_consumed:  # it came with its body, as from a transport of tests
        yield response.content
    elif packing in ("identity", ""):
        yield from response.iter_raw()
    elif packing in ("gzip", "x-gzip"):
        unpacker = zlib.decompressobj(wbits=31)
        for chunk in response.iter_raw():
            # bounded: a few KB can unpack to gigabytes
            yield unpacker.decompress(chunk, limit + 1)
        if not unpacker.eof:
            raise zlib.error("the answer ends in the middle")
    else:
        raise httpx.DecodingError("a packing that was not asked for")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    # httpx gives no port for the usual one of a scheme
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _checked_url(base_url: str) -> str:
    advice = tr("CHENYU_BASE_URL is like https://www.chenyu.cn/api/open/v2")
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        raise SettingsError(tr("the base URL is not a URL"), advice=advice) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(tr("the base URL is not an http or https URL"), advice=advice)
    if url.userinfo or url.query or url.fragment:
        raise SettingsError(tr("the base URL has user-info, a query or a fragment"), advice=advice)
    return str(url).rstrip("/")


def _checked_key(key: str) -> str:
    # a header cannot hold them, and the error of h11 would quote the key
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            tr("the API key is empty or has characters that no key has (a space, a line break, …)"),
            advice=ADVICE_KEY,
        )
    return key
