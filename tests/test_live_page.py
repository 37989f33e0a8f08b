"""The live page over real HTTP: who may read it, what it costs a poll, and how it says that it is old."""

from __future__ import annotations

import gzip
import http.client
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from etl.errors import SettingsError
from etl.service.access import COOKIE, Access
from etl.service.builds import Builds, InProcess
from etl.service.daemon import Daemon
from etl.service.health import Health
from etl.service.site import Site
from etl.settings import Settings, load
from etl.settings.service import refuse_open
from etl.simcloud import Story
from tests.driven import Stepped
from tests.live import Living, living, wait_for

TOKEN = "correct-horse-battery-staple"
PAGES = {
    "pages": {"en": "<!doctype html>English", "zh": "<!doctype html>中文"},
    "policy": "default-src 'none'",
}


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


def built(answer: Mapping[str, Any] = PAGES) -> Builds:
    """A last build, made at once."""
    builds = Builds(lambda: answer)
    builds.make()
    return builds


@contextmanager
def serving(site: Site) -> Iterator[int]:
    health = Health("127.0.0.1:0", {}, site)
    try:
        yield health.port
    finally:
        health.close()


def ask(
    port: int, path: str = "/", method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_browser_gets_the_last_build_in_its_language() -> None:
    with serving(Site(built().current)) as port:
        response, body = ask(port)
        assert (response.status, body.decode()) == (200, PAGES["pages"]["en"])
        assert ask(port, Accept_Language="zh-CN,zh;q=0.9")[1].decode() == PAGES["pages"]["zh"]
        assert ask(port, "/?lang=zh", Accept_Language="en")[1].decode() == PAGES["pages"]["zh"]
        packed, body = ask(port, Accept_Encoding="gzip, br")
        assert packed.getheader("Content-Encoding") == "gzip"
        assert gzip.decompress(body).decode() == PAGES["pages"]["en"]


def test_a_page_that_is_known_is_not_sent_again() -> None:
    with serving(Site(built().current)) as port:
        etag = ask(port)[0].getheader("ETag")
        assert etag
        for known in (etag, f'"other", W/{etag}', "*"):
            response, body = ask(port, If_None_Match=known)
            assert (response.status, body) == (304, b"")
            assert response.getheader("ETag") == etag
        assert ask(port, If_None_Match='"other"')[0].status == 200
        assert ask(port, "/?lang=zh", If_None_Match=etag)[0].status == 200
        assert ask(port, If_None_Match=etag, Accept_Encoding="gzip")[0].status == 200


def test_every_answer_keeps_the_browser_to_itself() -> None:
    for site in (Site(built().current), Site(built().current, Access(TOKEN)), Site(lambda _: None)):
        with serving(site) as port:
            response, _ = ask(port)
            policy = response.getheader("Content-Security-Policy") or ""
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.getheader("X-Content-Type-Options") == "nosniff"
            assert response.getheader("Referrer-Policy") == "no-referrer"
            assert response.getheader("X-Frame-Options") == "DENY"
            assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(method: str) -> None:
    with serving(Site(built().current)) as port:
        response, _ = ask(port, method=method)
        assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")


def test_head_gives_the_headers_alone() -> None:
    with serving(Site(built().current)) as port:
        response, body = ask(port, method="HEAD")
        assert (response.status, body) == (200, b"")
        assert response.getheader("Content-Length") == str(len(PAGES["pages"]["en"]))


def test_a_page_that_is_not_built_says_so_and_asks_again() -> None:
    with serving(Site(lambda _: None)) as port:
        response, body = ask(port)
        assert response.status == 503
        assert response.getheader("Retry-After") == "5"
        assert b"Not built yet" in body
        assert b'http-equiv="refresh"' in body
        assert "页面尚未生成" in ask(port, "/?lang=zh")[1].decode()


def test_another_name_is_refused_unless_the_operator_gave_it() -> None:
    with serving(Site(built().current, hosts=frozenset({"gpu.example"}))) as port:
        assert ask(port, Host="evil.example")[0].status == 403
        assert ask(port, Host=f"gpu.example:{port}")[0].status == 200
        assert ask(port, "/metrics", Host="gpu.example")[0].status == 403


# the token


def test_without_the_token_there_is_a_form_and_nothing_else() -> None:
    with serving(Site(built().current, Access(TOKEN))) as port:
        response, body = ask(port)
        assert response.status == 401
        assert b"English" not in body
        assert b'name="token"' in body
        for wrong in ("/?token=", "/?token=wrong", f"/?token={TOKEN[:-1]}", f"/?token={TOKEN}x"):
            response, body = ask(port, wrong)
            assert response.status == 401
            assert response.getheader("Set-Cookie") is None
        assert ask(port, Authorization="Bearer wrong")[0].status == 401
        assert ask(port, Cookie=f"{COOKIE}=wrong")[0].status == 401
        assert ask(port, Cookie=f"{COOKIE}={TOKEN}")[0].status == 401, "the cookie is not the token"
        assert ask(port, Cookie='"; é=')[0].status == 401


def test_a_token_in_the_address_becomes_a_cookie() -> None:
    with serving(Site(built().current, Access(TOKEN))) as port:
        response, body = ask(port, f"/?token={TOKEN}&lang=zh")
        assert (response.status, response.getheader("Location"), body) == (303, "/?lang=zh", b"")
        assert response.getheader("Cache-Control") == "no-store"
        kept = response.getheader("Set-Cookie") or ""
        assert "HttpOnly" in kept
        assert "SameSite=Lax" in kept
        assert TOKEN not in kept, "who steals the cookie has not the token"
        response, body = ask(port, Cookie=kept.partition(";")[0])
        assert (response.status, body.decode()) == (200, PAGES["pages"]["en"])


def test_a_program_gives_the_token_in_a_header() -> None:
    with serving(Site(built().current, Access(TOKEN))) as port:
        assert ask(port, Authorization=f"Bearer {TOKEN}")[0].status == 200


def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    import hmac

    compare = hmac.compare_digest
    monkeypatch.setattr(
        "etl.service.access.hmac.compare_digest",
        lambda a, b: compared.append((a, b)) or compare(a, b),
    )
    with serving(Site(built().current, Access(TOKEN))) as port:
        ask(port, "/?token=x")
        ask(port, Authorization="Bearer x")
        ask(port, Cookie=f"{COOKIE}=x")
    assert [given for given, _ in compared].count(b"x") == 3


def test_the_token_is_never_logged(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(Site(built().current, Access(TOKEN))) as port:
        ask(port, f"/?token={TOKEN}")
        ask(port, f"/nowhere?token={TOKEN}")
    out, err = capfd.readouterr()
    assert TOKEN not in caplog.text + out + err
    assert TOKEN not in repr(Site(built().current, Access(TOKEN)))


# settings


def test_a_page_that_others_could_read_needs_a_token() -> None:
    for setting in ("page", "reports"):
        for listen in ("0.0.0.0:9469", "[::]:9469", "192.168.1.5:80", "gpu.example:80"):
            settings = Settings(listen=listen, **{setting: True})
            with pytest.raises(SettingsError, match=f"{setting} is on, and .* open to") as raised:
                refuse_open(settings)
            assert "CHENYU_PAGE_TOKEN" in raised.value.advice
            refuse_open(replace(settings, page_token=TOKEN))
        for listen in ("127.0.0.1:9469", "[::1]:9469", "localhost:9469", "9469", ""):
            refuse_open(Settings(listen=listen, **{setting: True}))


def test_the_page_is_off_unless_asked_for() -> None:
    assert load({}, {}).page is False
    assert load({}, {"CHENYU_PAGE": "on"}).page is True
    assert load({"page": True}, {"CHENYU_PAGE": "off"}).page is True
    assert load({"page": False}, {"CHENYU_PAGE": "on"}).page is False
    assert load({}, {"CHENYU_PAGE_HOSTS": "GPU.example, b"}).page_hosts == ("gpu.example", "b")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHENYU_PAGE", "perhaps"),
        ("CHENYU_PAGE_TOKEN", "short"),
        ("CHENYU_PAGE_TOKEN", "with a space in it, alas"),
        ("CHENYU_PAGE_HOSTS", "http://gpu.example"),
    ],
)
def test_odd_words_about_the_page_are_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({}, {variable: value})
    if variable == "CHENYU_PAGE_TOKEN":
        assert value not in str(raised.value), "no message quotes a token"


# builds


class Slow:
    """A build that takes until a test lets it end."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        self.count = 0

    def __call__(self) -> Mapping[str, Any]:
        self.count += 1
        self.began.set()
        self.may_end.wait(30)
        return PAGES


def test_a_poll_does_not_wait_for_a_build(live: Living) -> None:
    story = Story()
    story.rents()
    lab = live(story)
    slow = Slow()
    builds = Builds(slow)
    builds.start()
    try:
        assert slow.began.wait(30)
        first = lab.polls()
        builds.touch(first)  # a build is at work, and this returns
        assert builds.current("en") is None
        slow.may_end.set()
        wait_for(lambda: builds.current("en") is not None)
    finally:
        slow.may_end.set()
        builds.stop(60)


def test_only_a_change_or_age_asks_for_a_build(live: Living) -> None:
    story = Story()
    story.rents()
    lab = live(story)
    now = [0.0]
    builds = Builds(lambda: PAGES, lambda: now[0])
    builds.make()
    builds.touch(lab.polls(minutes=2))
    assert builds._wanted.is_set(), "an instance was added"
    builds._wanted.clear()
    builds.touch(lab.polls(minutes=2))
    assert not builds._wanted.is_set(), "nothing changed"
    now[0] = 301.0
    builds.touch(lab.polls(minutes=2))
    assert builds._wanted.is_set(), "what runs costs more by now"


def test_a_build_that_fails_leaves_the_page_of_before(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([PAGES, {"error": "no such table"}, {"error": "no such table"}, PAGES])
    builds = Builds(lambda: next(answers))
    for _ in range(4):
        builds.make()
        assert builds.current("en") is not None
    assert caplog.text.count("no such table") == 1
    assert builds.error == ""


def test_the_page_is_built_in_a_process_of_its_own(live: Living) -> None:
    story = Story()
    story.rents(title="训练")
    lab = live(story)
    lab.app.prepare()
    for _ in range(3):
        lab.polls(minutes=5)
    url = lab.app.settings.database_url
    answer = InProcess(url, lab.app.now)()
    assert set(answer["pages"]) == {"en", "zh"}
    assert "训练" in answer["pages"]["en"]
    assert "unsafe" not in answer["policy"]
    gone = InProcess("sqlite:////nowhere/at-all.db", lab.app.now)()
    assert "error" in gone


def test_the_daemon_serves_what_it_polled(live: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    story.rents(title="live-one")
    lab = live(story)
    lab.app.settings = replace(
        lab.app.settings,
        accounts=(lab.account,),
        resources=("instances",),
        listen="127.0.0.1:0",
        page=True,
    )
    lab.app.prepare()
    monkeypatch.setattr("etl.service.schedule.BackgroundScheduler", Stepped)
    daemon = Daemon(lab.app, lambda: lab.app.settings)
    health = daemon._health()
    assert health is not None
    assert daemon._builds is not None
    try:
        assert ask(health.port)[0].status == 503
        daemon._hand_on(lab.polls(minutes=5))
        assert daemon._builds._wanted.is_set()
        daemon._builds.make()
        response, body = ask(health.port, "/?lang=en")
        assert response.status == 200
        assert b"live-one" in body
    finally:
        health.close()
        daemon.schedule.stop(60)
        daemon._alerting.stop(60)


def test_a_daemon_without_the_setting_serves_no_page(
    live: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = live(Story())
    lab.app.settings = replace(lab.app.settings, listen="127.0.0.1:0", accounts=(lab.account,))
    monkeypatch.setattr("etl.service.schedule.BackgroundScheduler", Stepped)
    daemon = Daemon(lab.app, lambda: lab.app.settings)
    health = daemon._health()
    assert health is not None
    try:
        assert ask(health.port)[0].status == 404
    finally:
        health.close()
        daemon.schedule.stop(60)
        daemon._alerting.stop(60)
