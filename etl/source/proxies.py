"""Proxies and trusted certificates that the environment names."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import certifi

from etl.errors import SettingsError
from etl.redact import remember
from etl.texts import tr

PROXIES: Final = "http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"
_SCHEMES: Final = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    "socks5h": "socks5",  # our SOCKS leaves names to the proxy in any case
    "socks": "socks5",  # as desktops write it
}
_AROUND: Final = " \t\r\n\"'"
"""White space, and the quotes that a file of variables keeps."""
_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it. `url` holds neither user nor password."""

    url: str
    variable: str
    auth: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """Host, port and variable, for people."""
        return f"{self.url.partition('://')[2]} ({self.variable})"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a URL; None if it is reached directly.

    `HTTPS_PROXY` or `HTTP_PROXY` by the URL's scheme, else `ALL_PROXY`; lower case wins. Raises
    `SettingsError` that names the variable.
    """
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        # lower case wins, as for curl: HTTP_PROXY can be a header of a CGI request
        variable = name if name in environ else name.upper()
        value = environ.get(variable, "").strip(_AROUND)
        if value and not is_spared(parts.hostname or "", parts.port, environ):
            return _read_proxy(value, variable)
    return None


def is_spared(host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    """Tell whether `NO_PROXY` names the host: by its name or a domain, an address or a network,
    with or without a port, or `*`.
    """
    entries = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    return any(
        _entry_matches(entry.rpartition("://")[2].lower(), host.lower().rstrip("."), port)
        for entry in re.split(r"[,;\s]+", entries.strip(_AROUND))
        if entry
    )


def tls_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that verifies certificates: by `SSL_CERT_FILE` and `SSL_CERT_DIR`, else by
    the authorities of certifi. Raises `SettingsError` that names the variable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", "")
    if file:
        _load(context, "SSL_CERT_FILE", file)
    for part in filter(None, folder.split(os.pathsep)):
        _load_folder(context, part)
    # either of them replaces the usual authorities, as OpenSSL has it
    if not file and not folder:
        context.load_verify_locations(cafile=certifi.where())
    if keys := environ.get("SSLKEYLOGFILE"):
        try:
            context.keylog_filename = keys
        except OSError as error:
            raise _unusable("SSLKEYLOGFILE", keys, error) from None
    return context


def _read_proxy(value: str, variable: str) -> Proxy:
    odd = SettingsError(
        tr("{variable} is not the URL of a proxy", variable=variable),
        advice=tr("write {proxies}, or unset {variable}", proxies=PROXIES, variable=variable),
    )
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:  # a port or an address that is none
        raise odd from None
    if parts.scheme.startswith("socks4"):
        raise SettingsError(
            tr("{variable}: SOCKS 4 is not supported", variable=variable),
            advice=tr("write {proxies}", proxies=PROXIES),
        )
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not host or port == 0 or not re.fullmatch(r"[\w.:%-]+", host, re.ASCII):
        raise odd
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":  # an unescaped / ? # in the password
        raise odd
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    # an error of the proxy may quote its URL
    if password:
        remember(password, f"{user}:{password}")  # the latter as the header packs it
    address = f"[{host}]" if ":" in host else host
    return Proxy(
        f"{scheme}://{address}:{port or _PORTS[scheme]}",
        variable,
        (user, password) if user or password else None,
    )


def _entry_matches(entry: str, host: str, port: int | None) -> bool:
    """Tell whether an entry of `NO_PROXY` names a host. An invalid entry names nothing."""
    if entry == "*":
        return True
    with suppress(ValueError):
        # brackets around the address of a network: `[fe80::]/10`
        network = re.sub(r"^\[(.*)\]/", r"\1/", entry)
        return ip_address(host) in ip_network(network, strict=False)
    bare = re.fullmatch(r"\[?(.*?)\]?(?::([0-9]+))?", entry)
    # an entry with a port spares that port alone
    if bare is None or (bare[2] and int(bare[2]) != port):
        return False
    with suppress(ValueError):
        return ip_address(host) == ip_address(bare[1])
    # `.example.com`, `*.example.com` and `example.com` are written for the same
    domain = bare[1].removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _load(context: ssl.SSLContext, variable: str, file: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        raise _unusable(variable, file, error) from None


def _load_folder(context: ssl.SSLContext, folder: str) -> None:
    try:
        if not any(Path(folder).iterdir()):  # OpenSSL itself would take it, and trust nobody
            raise OSError("it is empty")
    except OSError as error:
        raise _unusable("SSL_CERT_DIR", folder, error) from None
    context.load_verify_locations(capath=folder)


def _unusable(variable: str, path: str, error: OSError) -> SettingsError:
    why = (
        tr("it holds no certificate")
        if isinstance(error, ssl.SSLError)
        else error.strerror or error
    )
    return SettingsError(
        tr(
            "{variable} names {path}, which cannot be used: {why}",
            variable=variable,
            path=path,
            why=why,
        ),
        advice=tr("correct {variable}, or unset it", variable=variable),
    )
