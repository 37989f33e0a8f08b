"""Signs of life for those who watch from outside: systemd, and a dead man's switch."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from etl.service.daemon import Daemon
from etl.service.watchdog import Periodic, Pinger, Systemd, signal_url
from etl.settings import Account
from etl.simcloud import ANY, Behaviour, Fail, Server, Story
from tests.commands import Command, cloud, home, path, run, server
from tests.driven import Stepped
from tests.fake_proxies import babbling_proxy, http_proxy, socks_proxy
from tests.http_listener import listening
from tests.live import Living, living, wait_for

__all__ = ["cloud", "home", "path", "run", "server"]


@dataclass
class Switch:
    """A dead man's switch, and the pings that it got."""

    port: int
    answer: int = 204
    pings: list[tuple[str, str]] = field(default_factory=list)
    users: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/s3cret"

    def signals(self) -> list[str]:
        return [path.removeprefix("/s3cret") for path, _ in self.pings]


@contextmanager
def switched() -> Iterator[Switch]:
    switch = Switch(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            switch.users.append(self.headers.get("Authorization"))
            switch.pings.append((self.path, body.decode()))
            self.send_response(switch.answer)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: Any) -> None: ...

    with listening(Handler) as switch.port:
        yield switch


@pytest.fixture
def switch() -> Iterator[Switch]:
    with switched() as made:
        yield made


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


def test_systemd_hears_what_is_said(tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        systemd = Systemd({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "30000000"})
        systemd.notify("READY=1")
        assert manager.recv(100) == b"READY=1"
        assert systemd.every_s == 15
    systemd.notify("STOPPING=1")  # nobody listens any more
    assert Systemd({}).every_s is None
    assert Systemd({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).every_s is None


def test_a_long_start_asks_systemd_for_more_time(tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        manager.settimeout(10)
        with Systemd({"NOTIFY_SOCKET": place}).starting("bringing the database up to date"):
            asked = manager.recv(200)
    assert b"EXTEND_TIMEOUT_USEC=60000000" in asked
    assert b"STATUS=bringing the database up to date" in asked
    with Systemd({}).starting("nobody listens"):
        pass


def test_pings_speak_the_protocol_and_the_url_is_never_logged(
    switch: Switch, caplog: pytest.LogCaptureFixture
) -> None:
    pinger = Pinger(switch.url)
    for ping in (pinger.start, pinger.success, lambda: pinger.fail("账户 lab: no key")):
        seen = len(switch.pings)
        ping()
        wait_for(lambda seen=seen: len(switch.pings) == seen + 1)  # type: ignore[misc]
    pinger.stop(60)
    assert switch.pings == [
        ("/s3cret/start", ""),
        ("/s3cret", ""),
        ("/s3cret/fail", "账户 lab: no key"),
    ]
    switch.answer = 302
    with caplog.at_level(logging.INFO):
        redirected = Pinger(switch.url)
        redirected.success()
        redirected.stop(60)
    assert "/elsewhere" not in switch.signals()
    assert "ping_url did not answer as it should: HTTP 302" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("url", "fails"),
    [
        ("https://hc.example/a", "https://hc.example/a/fail"),
        ("https://hc.example/a/", "https://hc.example/a/fail"),
        ("https://hc.example/a?create=1", "https://hc.example/a/fail?create=1"),
    ],
)
def test_a_signal_is_the_end_of_the_path(url: str, fails: str) -> None:
    assert signal_url(url, "fail") == fails
    assert signal_url(url, "") == url


def test_the_switch_is_not_pinged_while_another_account_is_refused(
    live: Living, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.service.schedule.BackgroundScheduler", Stepped)
    lab = live(Story())
    bad = Account("prod", key_env="BAD_KEY")
    lab.app.environ = {**lab.app.environ, "BAD_KEY": "cy_refused"}
    lab.app.settings = replace(
        lab.app.settings,
        accounts=(bad, lab.account),
        resources=("instances",),
        ping_url=switch.url,
    )
    made = Daemon(lab.app, lambda: lab.app.settings)

    def tick(name: str) -> None:
        (watch,) = (w for w in made.schedule.watches.values() if w.account.name == name)
        made.schedule.ticks.tick(watch, lab.app.clock())

    try:
        for name in ("prod", "lab"):
            tick(name)
        wait_for(lambda: len(switch.pings) == 2)
        assert made.readiness()[0] == 503
        assert set(switch.signals()) == {"/fail"}
        assert "prod: the newest poll was refused" in switch.pings[-1][1]
        lab.app.environ = {**lab.app.environ, "BAD_KEY": lab.app.environ["CHENYU_API_KEY"]}
        lab.cloud.passes(minutes=4)
        for name in ("prod", "lab"):
            tick(name)
        wait_for(lambda: switch.signals()[-1] == "")
        assert made.readiness()[0] == 200
        lab.cloud.passes(minutes=4)
        lab.server.behaviour = Behaviour(fail={ANY: Fail(503, 503)})
        pings = len(switch.pings)
        tick("lab")
        assert made.readiness()[0] == 200, "one failure is no blindness"
        lab.server.behaviour = Behaviour()
        tick("prod")
        wait_for(lambda: len(switch.pings) > pings)
        assert switch.signals()[pings:] == [""]
    finally:
        made.schedule.stop(60)
        made._alerting.stop(60)


def test_sync_pings_too_and_says_why_it_failed(
    run: Command, path: Path, server: Server, switch: Switch
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path), "CHENYU_PING_URL": switch.url}
    assert run("sync", **environ).exit_code == 0
    assert switch.signals() == ["/start", ""]
    assert run("sync", CHENYU_API_KEY="cy_wrong", **environ).exit_code == 4
    assert switch.signals() == ["/start", "", "/start", "/fail"]
    assert "401" in switch.pings[-1][1]
    assert "cy_wrong" not in switch.pings[-1][1]
    assert run("sync", CHENYU_API_KEY="", **environ).exit_code == 2
    assert "there is no API key" in switch.pings[-1][1]


def test_a_sync_of_one_account_answers_for_all_of_the_settings(
    run: Command, home: Path, path: Path, server: Server, switch: Switch
) -> None:
    (home / "bad.key").write_text("cy_wrong")
    config = home / "two.toml"
    config.write_text(f'[accounts.good]\n[accounts.bad]\napi_key_file = "{home}/bad.key"\n')
    environ = {
        "CHENYU_DATABASE_URL": str(path),
        "CHENYU_PING_URL": switch.url,
        "CHENYU_CONFIG": str(config),
    }
    assert run("sync", "--account", "bad", CHENYU_API_KEY="", **environ).exit_code == 4
    assert run("sync", "--account", "good", **environ).exit_code == 0
    assert switch.signals() == ["/start", "/fail", "/start", "/fail"]
    assert "bad: the newest poll was refused" in switch.pings[-1][1]
    assert "settings do not name it" not in run("doctor", "--account", "good", **environ).output


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 3000]
)
def test_a_switch_that_answers_nonsense_is_pinged_again(
    words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with babbling_proxy(words) as switch:
        pinger = Pinger(f"http://127.0.0.1:{switch.port}/s3cret")
        for _ in range(2):
            pinger.success()
            wait_for(lambda: pinger._wanted.empty())
        pinger.fail("blind")
        pinger.stop(60)
    assert len(switch.heard) == 3
    assert caplog.text.count("ping_url did not answer as it should") == 1
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("kind", [http_proxy, socks_proxy])
def test_pings_go_through_the_proxy_of_everything_else(
    kind: Any, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind("me:hunter2secret") as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.address("http" if kind is http_proxy else "socks5"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        pinger = Pinger(switch.url)
        pinger.success()
        pinger.stop(60)
        assert len(switch.pings) == 1
        assert proxy.asked == [("127.0.0.1", switch.port)]
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        direct = Pinger(switch.url)
        direct.success()
        direct.stop(60)
        assert (len(switch.pings), len(proxy.asked)) == (2, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SSL_CERT_FILE", "/nonexistent.pem"), ("HTTPS_PROXY", "socks4://x:1"), ("ALL_PROXY", "a b")],
)
def test_a_variable_that_keeps_pings_from_leaving_is_said_by_its_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, value)
    pinger = Pinger("https://127.0.0.1:9/s3cret")
    pinger.success()
    pinger.stop(60)
    assert name in caplog.text
    assert "s3cret" not in caplog.text


def test_a_switch_may_ask_for_a_name_and_a_password(switch: Switch) -> None:
    pinger = Pinger(switch.url.replace("://", "://me:hunter2@"))
    pinger.success()
    pinger.stop(60)
    assert switch.signals() == [""]
    assert switch.users == ["Basic bWU6aHVudGVyMg=="]


def test_a_watchdog_url_that_is_no_longer_asked_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    pinger = Pinger("http://127.0.0.1:9/")
    (thread,) = set(threading.enumerate()) - before
    pinger.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_periodic_work_is_done_every_so_often_and_when_it_is_touched() -> None:
    rung: list[int] = []
    work = Periodic(lambda: rung.append(1), every_s=60, at_least_s=0)
    work.touch()
    wait_for(lambda: len(rung) == 1)
    work.stop(60)
    often = Periodic(lambda: rung.append(2), every_s=0.01, at_least_s=0)
    wait_for(lambda: rung.count(2) > 2)
    often.stop(60)
    assert rung.count(1) == 1, "not due again within the minute, and not after it was stopped"
