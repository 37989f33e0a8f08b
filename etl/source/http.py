"""The HTTP client of this program: proxies and certificates of the environment, and a time limit.

It stands on public API of httpx and httpcore alone: an httpcore pool with a network backend of our
own, inside of an httpx transport of our own.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpcore
import httpx

from etl.errors import DeliveryError
from etl.source.deadline import TimeBudget, TimedBackend
from etl.source.proxies import Proxy, proxy_for, tls_context
from etl.texts import tr

# as httpx has it: pages of one poll share connections, the next poll opens fresh ones
KEEPALIVE_S: Final = 5.0
for _name in ("httpx", "httpcore"):  # they log URLs with their query, and headers
    logging.getLogger(_name).setLevel(logging.WARNING)

Errors = Mapping[type[Exception], type[httpx.TransportError]]
"""Errors of httpcore, and those of httpx that stand for them."""
_AS_HTTPX: Final[Errors] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}


class Transport(httpx.BaseTransport):
    """Requests to one host, through `proxy` if the environment names one for it.

    Raises `SettingsError` for variables of the environment that cannot be used. Plain http never
    needs the authorities, whose loading takes longer than a poll: its context trusts none.
    """

    def __init__(
        self,
        url: str,
        budget: TimeBudget,
        *,
        connections: int = 1,
        environ: Mapping[str, str] = os.environ,
        on_write: Callable[[], None] = lambda: None,
        is_verified: bool = True,
    ) -> None:
        self.proxy = proxy_for(url, environ)
        self._backend = TimedBackend(budget, on_write)
        self._errors = {**_AS_HTTPX, **_socks_errors(self.proxy)}
        is_secure = url.lower().startswith("https:") or (
            self.proxy is not None and self.proxy.url.startswith("https:")
        )
        context = (
            tls_context(environ)
            if is_secure and is_verified
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        if not is_verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=_as_httpcore(self.proxy, context),
            max_connections=connections,
            # all of them: to close some between two pages would cost a handshake for each
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=self._backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        asked = httpcore.Request(
            request.method,
            url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            with _errors_of_httpx(request, self._errors):
                answer = self._pool.handle_request(asked)
        # a refusing SOCKS proxy leaves the connection open in httpcore: one leak for each poll
        except httpx.ProxyError:
            self._backend.abandon()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer, request, self._errors),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


@contextmanager
def one_request(
    method: str,
    url: str,
    *,
    timeout_s: float,
    total_s: float,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    is_verified: bool = True,
) -> Iterator[httpx.Response]:
    """Send one request to an address that is a secret; yield the answer, its body still to be read.
    `is_verified`: any certificate will do if not.

    No redirect is followed: it would carry the request, and often the secret, to another host. Raises
    `DeliveryError` with a reason that holds nothing of the address, `SettingsError` for a variable of
    the environment that cannot be used.
    """
    budget = TimeBudget()
    through = ""
    try:
        transport = Transport(url, budget, is_verified=is_verified)
        if transport.proxy is not None:
            through = tr(" through the proxy {label}", label=transport.proxy.label)
        with httpx.Client(timeout=timeout_s, transport=transport) as http:
            budget.ends = time.monotonic() + total_s
            with http.stream(method, url, content=content, headers=headers) as answer:
                yield answer
    except httpx.HTTPError as error:
        raise DeliveryError(
            tr("{reason}{through}", reason=_reason(error), through=through)
        ) from None
    # their text can repeat the address, which holds the secret
    except (httpx.InvalidURL, ValueError):
        raise DeliveryError(tr("its address cannot be used")) from None


def _reason(error: httpx.HTTPError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return tr("its certificate is not trusted; name the file of its authority: SSL_CERT_FILE")
    if isinstance(error, httpx.ProxyError | httpx.ConnectError | httpx.ConnectTimeout):
        return tr("no connection")
    if isinstance(error, httpx.TimeoutException):
        return tr("no answer in time")
    return tr("the connection or the answer broke ({name})", name=type(error).__name__)


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response, request: httpx.Request, errors: Errors) -> None:
        self._answer = answer
        self._request = request
        self._errors = errors

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx(self._request, self._errors):
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _as_httpcore(proxy: Proxy | None, context: ssl.SSLContext) -> httpcore.Proxy | None:
    if proxy is None:
        return None
    is_secure = proxy.url.startswith("https:")
    # as bytes: of text, the library takes ASCII alone
    user = (proxy.auth[0].encode(), proxy.auth[1].encode()) if proxy.auth else None
    return httpcore.Proxy(proxy.url, auth=user, ssl_context=context if is_secure else None)


def _socks_errors(proxy: Proxy | None) -> Errors:
    """Return the foreign errors that httpcore lets through if a SOCKS proxy breaks the protocol."""
    if proxy is None or not proxy.url.startswith("socks5:"):
        return {}
    # httpcore asserts the kind of each reply, so a proxy that speaks another language ends in one
    import socksio  # rarely needed

    return {socksio.SOCKSError: httpx.ProxyError, AssertionError: httpx.ProxyError}


@contextmanager
def _errors_of_httpx(request: httpx.Request, errors: Errors) -> Iterator[None]:
    try:
        yield
    except tuple(errors) as error:
        # in the order of the table: its first match is the nearest type
        kind = next(ours for theirs, ours in errors.items() if isinstance(error, theirs))
        raise kind(str(error), request=request) from error
