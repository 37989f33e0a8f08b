"""Proxies and certificates of the environment: used as they are meant, or refused by their name."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.errors import SettingsError, SourceError, Unavailable
from etl.redact.known import known
from etl.source.client import Client, Retrying
from etl.source.proxies import is_spared, proxy_for, tls_context
from tests.commands import Command, home, path, run  # noqa: F401
from tests.fake_proxies import babbling_proxy, http_proxy, socks_proxy
from tests.scripted_cloud import ScriptedCloud, scripted_cloud

CERTIFICATE = Path(__file__).with_name("localhost.pem")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ONCE = Retrying(attempts=1, total_s=60.0)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    yield
    known.clear()


@pytest.fixture
def cloud() -> Iterator[ScriptedCloud]:
    with scripted_cloud() as scripted:
        yield scripted.answers()


@pytest.fixture
def secure_cloud() -> Iterator[ScriptedCloud]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with scripted_cloud(context) as scripted:
        yield scripted.answers()


def body_of(url: str, **options: Any) -> bytes:
    with Client(url, "cy_k", clock=time.time, retrying=ONCE, **options) as client:
        return client.get("/x", {"page": "1"}).body


def failure(url: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        body_of(url)
    return caught.value


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
@pytest.mark.parametrize("user", ["", "me:hunter2secret", "用户:密码"])
def test_a_socks_proxy_is_used(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, scheme: str, user: str
) -> None:
    with socks_proxy(user) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.address(scheme) + "/")
        assert body_of(cloud.base_url)
    assert [host for host, _ in proxy.asked] == ["127.0.0.1"]


@pytest.mark.parametrize("user", ["", "me:hunter2secret", "用户:密码"])
def test_an_http_proxy_is_used_for_plain_http(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    with http_proxy(user) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address("http"))
        assert body_of(cloud.base_url)
    assert len(proxy.asked) == 1
    assert cloud.seen[0].line == "GET /v2/x?page=1 HTTP/1.1"


@pytest.mark.parametrize("kind", [socks_proxy, http_proxy])
def test_https_goes_through_a_proxy_as_a_tunnel(
    secure_cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with kind() as proxy:
        scheme = "http" if kind is http_proxy else "socks5"
        monkeypatch.setenv("HTTPS_PROXY", proxy.address(scheme))
        assert body_of(secure_cloud.base_url)
    assert [host for host, _ in proxy.asked] == ["localhost"]
    assert secure_cloud.seen[0].line == "GET /v2/x?page=1 HTTP/1.1"


def test_a_certificate_that_nobody_trusts_is_refused(secure_cloud: ScriptedCloud) -> None:
    error = failure(secure_cloud.base_url)
    assert "certificate" in str(error).lower()
    assert "SSL_CERT_FILE" in str(error.advice)
    assert secure_cloud.request_count == 0


def test_a_host_in_no_proxy_is_reached_directly(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "::1, 127.0.0.0/8")
    assert body_of(cloud.base_url)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there_is_named(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with http_proxy("me:hunter2secret") as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.address(scheme))
    error = failure(cloud.base_url)
    assert isinstance(error, Unavailable)
    assert f"through the proxy 127.0.0.1:{proxy.port} (ALL_PROXY)" in str(error)
    assert "check ALL_PROXY" in str(error.advice)
    assert "hunter2" not in f"{error} {error.advice}"


@pytest.mark.parametrize(
    "words",
    [b"", b"HTTP/1.1 400 no\r\n\r\n", b"\x05\xff", b"\x04", b"\x05\x00" * 20, b"SSH-2.0\r\n"],
)
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_speaks_another_language_is_an_error_of_ours(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, scheme: str, words: bytes
) -> None:
    with babbling_proxy(words) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.address(scheme))
        assert "ALL_PROXY" in str(failure(cloud.base_url).advice)


@pytest.mark.parametrize("kind", [socks_proxy, http_proxy])
def test_a_proxy_that_lets_nobody_pass_is_named(
    secure_cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    with kind("me:hunter2secret") as proxy:
        scheme = "http" if kind is http_proxy else "socks5"
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://me:wrong1@127.0.0.1:{proxy.port}")
        error = failure(secure_cloud.base_url)
    assert "HTTPS_PROXY" in str(error)
    assert "wrong1" not in str(error)


ODD = [
    "https://host:port",
    "http://",
    "socks5://:1080",
    "ftp://h:1",
    "socks4://h:1",
    "http://h:0",
    "http://h:99999",
    "http://[::1",
    "http://a b:1",
    "://",
    "http://u:1#2secret@h:1",
    "http://u:1/2secret@h:1",
    "http://u:1?2secret@h:1",
]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_an_odd_proxy_is_refused_by_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        proxy_for("https://x.cn", {name: value})
    assert "2secret" not in f"{caught.value} {caught.value.advice}"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"ALL_PROXY": "socks5://h"}, "socks5://h:1080"),
        ({"HTTPS_PROXY": "h:3128"}, "http://h:3128"),
        ({"HTTPS_PROXY": "h"}, "http://h:80"),
        ({"HTTPS_PROXY": "http://a", "ALL_PROXY": "http://b"}, "http://a:80"),
        ({"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}, "http://b:80"),
        ({"HTTPS_PROXY": "http://a", "https_proxy": ""}, None),
        ({"HTTP_PROXY": "http://a"}, None),
        ({"HTTPS_PROXY": "  https://[::1]:8  "}, "https://[::1]:8"),
        ({"HTTPS_PROXY": '"http://a:1"\r\n'}, "http://a:1"),
    ],
)
def test_the_proxy_is_the_one_of_the_scheme(environ: dict[str, str], expected: str | None) -> None:
    proxy = proxy_for("https://x.cn/v2", environ)
    assert (proxy.url if proxy else None) == expected


@pytest.mark.parametrize(
    ("entries", "host", "port", "spared"),
    [
        ("*", "x.cn", None, True),
        ("x.cn", "www.x.cn", None, True),
        (".x.cn", "x.cn", None, True),
        ("*.x.cn", "a.x.cn", None, True),
        ("x.cn", "ax.cn", None, False),
        ("X.CN", "x.cn.", None, True),
        ("a.cn , x.cn", "x.cn", None, True),
        ("a.cn x.cn", "x.cn", None, True),
        ("http://x.cn", "x.cn", None, True),
        ("x.cn:8080", "x.cn", 8080, True),
        ("x.cn:8080", "x.cn", 80, False),
        ("10.0.0.0/8", "10.1.2.3", None, True),
        ("10.0.0.0/8", "11.1.2.3", None, False),
        ("10.0.0.0/8", "ten.cn", None, False),
        ("fe80::/10", "fe80::1", None, True),
        ("[::1]", "::1", None, True),
        ("::1", "0:0:0:0:0:0:0:1", None, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 80, False),
        ("localhost,127.0.0.1,fe80::/10", "x.cn", None, False),
        (",,[,]:/x,%,999.1/3", "x.cn", None, False),
        ("[fe80::]/10", "fe80::1", None, True),
        ('"localhost,x.cn"', "x.cn", None, True),
        ("'x.cn'\r\n", "x.cn", None, True),
        ("10.0.0.0/8:80", "10.1.2.3", 80, False),
        ("", "x.cn", None, False),
    ],
)
def test_no_proxy_names_hosts_domains_addresses_and_networks(
    entries: str, host: str, port: int | None, spared: bool
) -> None:
    assert is_spared(host, port, {"NO_PROXY": entries}) is spared


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_a_file_of_tls_that_is_not_there_is_refused_by_its_variable(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=name):
        tls_context({name: str(tmp_path / "none" / "x")})


def test_certificates_that_are_none_are_refused_by_their_variable(tmp_path: Path) -> None:
    broken, folder = tmp_path / "x.pem", tmp_path / "none"
    broken.write_text("no certificate")
    folder.mkdir()
    for environ in ({"SSL_CERT_FILE": str(broken)}, {"SSL_CERT_FILE": str(folder)}):
        with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
            tls_context(environ)
    with pytest.raises(SettingsError, match="SSL_CERT_DIR"):
        tls_context({"SSL_CERT_DIR": str(folder)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "https://host:port"),
        ("ALL_PROXY", "socks4://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
        ("SSLKEYLOGFILE", "/nonexistent/x"),
    ],
)
def test_a_variable_that_cannot_be_used_is_said_by_every_command(
    run: Command,  # noqa: F811
    path: Path,  # noqa: F811
    name: str,
    value: str,
) -> None:
    environ = {
        "CHENYU_API_KEY": "cy_S3CRET",
        "CHENYU_BASE_URL": "https://localhost:1",
        "CHENYU_DATABASE_URL": str(path),
        "CHENYU_RESOURCES": "instances",
        name: value,
    }
    result = run("sync", **environ)
    assert result.exit_code == 2
    assert name in result.output
    assert name in run("status", "--json", **environ).output, "it has a row"
    assert name in run("doctor", **environ).output


def test_an_address_that_is_dead_costs_no_knowledge_of_the_clock(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is as old as the request, not as the first try to connect."""
    now = [100.0]
    resolve: Callable[..., Any] = socket.getaddrinfo

    def slow(*words: Any, **options: Any) -> Any:
        now[0] += 20.0
        dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0))
        return [dead, *resolve(*words, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with Client(cloud.base_url, "cy_k", clock=lambda: now[0], retrying=ONCE) as client:
        answer = client.get("/x")
    assert answer.sent_at == answer.received_at >= 120.0
