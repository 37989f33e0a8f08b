"""Messages arrive as they were written, or are known not to have: every service that has limits, over
real HTTP and SMTP."""

from __future__ import annotations

import email
import email.policy
import html
import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.alerts import channels
from etl.alerts.cause import Cause
from etl.alerts.channels.plain import utf8, utf16
from etl.alerts.engine import Alerts
from etl.alerts.message import Message, compose
from etl.dialect import open_database
from etl.errors import DeliveryError, SettingsError
from etl.settings.alerts import AlertSettings
from etl.texts import joined
from tests.alerting import at, bilingual, settings
from tests.fake_proxies import http_proxy, socks_proxy
from tests.fake_robots import SECRET, TOKEN, MailServer, Robots, serve_mail, serve_robots
from tests.scripted_cloud import scripted_cloud

CERTIFICATE = Path(__file__).with_name("localhost.pem")
NOW = at("2026-11-24 10:00")
KEY = "0123456789abcdef0123456789abcdef"
FOREIGN = (
    '<a href="http://evil.example">Recharge</a> <img src=x> **b** [t](http://evil.example)'
    ' @all @everyone <@U1> <!channel> <at user_id="all">x</at> `c` _i_ ~s~ ||p||'
)
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""Which apprise imports itself, on Python before 3.13."""

APPRISE = {
    "wecom robot": f"wecombot://{TOKEN}",
    "discord": f"discord://{'0' * 18}/{'A' * 68}",
    "telegram": f"tgram://123456789:{'A' * 35}/12345",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts",
    "feishu robot": f"feishu://{TOKEN}",
    "dingtalk robot": f"dingtalk://{KEY}",
}


@pytest.fixture
def robots(monkeypatch: pytest.MonkeyPatch) -> Iterator[Robots]:
    """The services, with apprise's addresses of them turned to here."""
    from apprise.plugins import dingtalk, discord, feishu, slack, telegram, wecombot

    with serve_robots(NOW) as served:
        url = served.base_url
        for plugin, name, place in (
            (wecombot.NotifyWeComBot, "notify_url", "/cgi-bin/webhook/send?key={key}"),
            (discord.NotifyDiscord, "notify_url", "/discord"),
            (telegram.NotifyTelegram, "notify_url", "/bot"),
            (slack.NotifySlack, "webhook_url", "/services"),
            (feishu.NotifyFeishu, "notify_url", "/of-a-library/{token}"),
            (dingtalk.NotifyDingTalk, "notify_url", "/of-a-library/?access_token={token}"),
        ):
            monkeypatch.setattr(plugin, name, f"{url}{place}")
        yield served


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serve_mail() as served:
        yield served


def given(kind: str = "apprise", **more: Any) -> AlertSettings:
    signed = {"secret_env": "SECRET"} if kind in ("feishu", "dingtalk") else {}
    return settings({"team": {"kind": kind, "url_env": "URL", **signed, **more}})


def message(*texts: str, severity: str = "warning") -> Message:
    causes = [Cause(f"k{i}", "long_run", severity, joined([t])) for i, t in enumerate(texts)]
    return compose(causes, "en", {}, NOW)


def send(url: str, what: Message, kind: str = "apprise", **more: Any) -> None:
    environ = {"URL": url, "SECRET": SECRET}
    for recipient in channels.recipients(given(kind, **more).channels[0], environ):
        recipient.send(what, NOW)


def refusal(url: str, what: Message, **more: Any) -> str:
    with pytest.raises(DeliveryError) as caught:
        send(url, what, **more)
    for secret in (TOKEN, KEY, "A" * 35, "TIiajkdnlazkcOXrIdevi7FQ", "hunter22"):
        assert secret not in f"{caught.value.message} {caught.value.advice} {caught.value!r}"
    return caught.value.message


def text_of(taken: Any) -> str:
    """What a service shows of a request."""
    if "card" in taken:
        return "\n".join(part["text"]["content"] for part in taken["card"]["elements"])
    if "attachments" in taken:
        return str(taken["attachments"][0]["text"])
    paths = ("text", "content"), ("content", "text"), ("markdown", "text"), ("text",), ("body",)
    for path in (*paths, ("message",)):
        found: Any = taken
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return str(taken.get("content"))


def at_its_host(robots: Robots) -> dict[str, str]:
    """Services whose addresses name their host."""
    host = robots.base_url.removeprefix("http://")
    return {"bark": f"bark://{host}/{KEY}", "ntfy": f"ntfy://{host}/{TOKEN}"}


def native(robots: Robots) -> dict[str, str]:
    return {kind: getattr(robots, f"{kind}_url") for kind in ("feishu", "wecom", "dingtalk")}


def everywhere(robots: Robots) -> list[tuple[str, str]]:
    """(kind, address) of every chat service."""
    return [*native(robots).items(), *(("apprise", url) for url in APPRISE.values())]


# length

LONG = [f"训练任务-llama3-70b-全参数微调-第{i:03d}号实验-请勿关机 👨‍👩‍👧" for i in range(150)]
LIMITS: dict[str, tuple[int, Callable[[str], int]]] = {
    "wecom robot": (2_048, utf8),
    "discord": (2_000, utf16),
    "telegram": (4_096, utf16),
}


def worst_first(lines: list[str], total: int) -> bool:
    return lines[0].endswith(LONG[0]) and sum("训练任务" in line for line in lines) < total


@pytest.mark.parametrize("service", APPRISE)
def test_a_message_is_cut_to_what_a_service_of_apprise_takes(service: str, robots: Robots) -> None:
    send(APPRISE[service], message(*LONG))
    (taken,) = robots.took
    text = html.unescape(text_of(taken))
    count = text.count("训练任务")
    assert LONG[0] in text.replace("＿", "_")
    if service in LIMITS:
        most, size = LIMITS[service]
        assert most * 0.9 < size(text) <= most
        assert f"and {150 - count} more: chenyu-etl alerts list" in text
    assert count == 150 or "more: chenyu-etl alerts list" in text


FULL = {
    "chinese": "训练任务" * 8,
    "emoji": "🚀👨‍👩‍👧" * 5,
    "ascii": "train " * 9,
    "quotes": '"\\"' * 12,
}


@pytest.mark.parametrize("service", [*APPRISE, "bark", "ntfy"])
@pytest.mark.parametrize("script", FULL)
def test_whatever_it_is_written_in_a_full_message_is_taken_as_text(
    service: str, script: str, robots: Robots
) -> None:
    """Some count bytes, some characters, some the request as a library writes it."""
    url = {**APPRISE, **at_its_host(robots)}[service]
    send(url, message(*(f"{i:03} {FULL[script]}" for i in range(200))))
    (taken,) = robots.took
    text = html.unescape(text_of(taken))
    found = [int(number) for number in re.findall(r"🟠 (\d{3}) ", text)]
    assert found == list(range(len(found)))
    assert len(found) > 10
    if len(found) < 200:
        assert text.endswith(f"and {200 - len(found)} more: chenyu-etl alerts list")


@pytest.mark.parametrize("kind", ["feishu", "wecom", "dingtalk"])
def test_a_message_is_cut_to_what_a_robot_takes(kind: str, robots: Robots) -> None:
    send(native(robots)[kind], message(*(LONG * 2)), kind)
    (taken,) = robots.took
    text = text_of(taken)
    count = text.count("训练任务")
    assert 20 < count < 300
    assert f"and {300 - count} more: chenyu-etl alerts list" in text


@pytest.mark.parametrize("kind", ["wecom", "discord"])
def test_one_text_that_is_too_long_is_cut_between_characters(kind: str, robots: Robots) -> None:
    family = "👨‍👩‍👧‍👦"
    long = message(family * 2_000)
    if kind == "wecom":
        send(robots.wecom_url, long, kind)
    else:
        send(APPRISE[kind], long)
    shown = text_of(robots.took[0]).split("\n")[-1].removeprefix("🟠 ")
    assert shown.endswith("…")
    assert shown[:-1].replace(family, "") == ""
    assert len(shown) > 400


def test_a_text_of_many_lines_is_cut_between_them(robots: Robots) -> None:
    roll = "Evening roll call\n" + "\n".join(f"  · machine {i}" for i in range(500))
    send(robots.wecom_url, message(roll, "another", severity="urgent"), "wecom")
    lines = text_of(robots.took[0]).split("\n")
    left = 500 - sum("machine" in line for line in lines)
    assert lines[-2:] == [f"  … and {left} more lines", "and 1 more: chenyu-etl alerts list"]


def test_the_test_message_is_as_long_as_any_can_be(robots: Robots) -> None:
    database = open_database("sqlite:///nothing.db")
    for url in (*APPRISE.values(),):
        alerts = Alerts(database, given(), [], {"URL": url})
        (sent,) = alerts.test([], NOW)
        assert sent.error is None
    texts = [html.unescape(text_of(taken)) for taken in robots.took]
    assert utf8(texts[0]) > 1_900
    assert 1_900 < utf16(texts[1]) <= 2_000
    is_whole = ["另有" not in text and "more lines" not in text for text in texts]
    assert is_whole == [
        service == "slack" for service in APPRISE
    ]  # it takes more than we ever send
    assert len(texts[3]) > 20_000


# failure inside success


@pytest.mark.parametrize(
    ("service", "answer", "words"),
    [
        ("wecom robot", {"errcode": 45009, "errmsg": "api freq out of limit"}, "code 45009"),
        ("wecom robot", {"errcode": "40058", "errmsg": "too long"}, "code 40058: too long"),
        ("feishu robot", {"code": 11232, "msg": "frequency limited"}, "code 11232"),
        ("feishu robot", {"StatusCode": 19001, "StatusMessage": "bad"}, "code 19001: bad"),
        ("dingtalk robot", {"errcode": 130101, "errmsg": "send too fast"}, "code 130101"),
        ("slack", {"ok": False, "error": "channel_not_found"}, "channel_not_found"),
        ("telegram", {"ok": False, "error_code": 403, "description": "bot was blocked"}, "blocked"),
        ("discord", {"code": 50035, "message": "Invalid Form Body"}, "Invalid Form Body"),
        ("bark", {"code": 400, "message": "failed to get device token"}, "device token"),
    ],
)
def test_an_answer_of_http_200_that_refuses_is_a_failure(
    service: str, answer: Any, words: str, robots: Robots
) -> None:
    robots.answers.append((200, answer))
    assert words in refusal({**APPRISE, **at_its_host(robots)}[service], message("hello"))


@pytest.mark.parametrize(
    ("service", "status", "answer", "words"),
    [
        ("slack", 400, b"invalid_payload", "HTTP 400, invalid_payload"),
        ("slack", 404, b"no_service", "HTTP 404, no_service"),
        ("bark", 400, {"code": 400, "message": "push failed"}, "HTTP 400, code 400: push failed"),
        ("ntfy", 413, {"code": 41301, "http": 413, "error": "entity too large"}, "too large"),
        ("telegram", 429, {"ok": False, "description": "retry after 35"}, "HTTP 429, retry after"),
        ("wecom robot", 502, b"<html>Bad Gateway", "HTTP 502"),
    ],
)
def test_an_answer_of_http_that_refuses_is_a_failure_with_its_words(
    service: str, status: int, answer: Any, words: str, robots: Robots
) -> None:
    robots.answers.append((status, answer))
    got = refusal({**APPRISE, **at_its_host(robots)}[service], message("hello"))
    assert words in got
    assert "html" not in got


def test_discord_that_limits_the_rate_is_asked_once_more_and_no_longer_waited_for(
    robots: Robots,
) -> None:
    """The library tries again at once; `retry_after` is bridged by our own next try."""
    limited = (
        429,
        {"message": "You are being rate limited.", "retry_after": 64.57, "global": False},
    )
    robots.answers += [limited, limited]
    words = refusal(APPRISE["discord"], message("hello"))
    assert "HTTP 429, You are being rate limited." in words
    send(APPRISE["discord"], message("hello"))
    assert len(robots.took) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": False},
        {"success": False},
        {"success": 0, "failure": 1},
        {"success": "false"},
        {"errcode": 1},
        {"code": 7},
        {"status": "error"},
        {"result": "fail"},
        {"error": "no such hook"},
        {"error": {"message": "no such hook"}},
    ],
)
def test_a_webhook_that_says_in_its_body_that_it_refuses_is_a_failure(
    answer: Any, robots: Robots
) -> None:
    robots.answers.append((200, answer))
    with pytest.raises(DeliveryError):
        send(robots.webhook_url, message("hello"), "webhook")


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 200},
        {"code": "ok"},
        {"ok": True, "error": None},
        {"success": True, "code": 1000},
        {"status": "ok"},
        {"success": "100"},
        {"error": {}},
        b"ok",
        b"error",
        [],
        {"error": ""},
    ],
)
def test_a_webhook_that_does_not_refuse_took_it(answer: Any, robots: Robots) -> None:
    robots.answers.append((200, answer))
    send(robots.webhook_url, message("hello"), "webhook")
    assert len(robots.asked) == 1, "it was taken at once, and not sent again"


@pytest.mark.parametrize("service", APPRISE)
def test_a_service_that_cannot_be_reached_says_so_without_its_address(
    service: str, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    robots.answers.append((500, {"message": f"no robot {APPRISE[service]} here"}))
    words = refusal(APPRISE[service], message("hello"))
    assert "HTTP 500" in words
    assert TOKEN not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
@pytest.mark.parametrize("proxy", [http_proxy, socks_proxy])
def test_a_message_goes_through_the_proxy_of_everything_else(
    kind: str, proxy: Any, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = robots.webhook_url.replace("http://", "http://" if kind == "webhook" else "json://")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with proxy("me:hunter22") as passed:
        scheme = "http" if proxy is http_proxy else "socks5h"
        monkeypatch.setenv("ALL_PROXY", passed.address(scheme))
        send(url, message("hello"), kind=kind)
        assert len(passed.asked) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        send(url, message("hello"), kind=kind)
        assert (len(passed.asked), len(robots.asked)) == (1, 2)
    monkeypatch.delenv("NO_PROXY")
    assert "through the proxy 127.0.0.1" in refusal(url, message("hello"), kind=kind)


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "https://host:port"),
        ("ALL_PROXY", "socks4://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
        ("SSLKEYLOGFILE", "/nonexistent/x"),
    ],
)
def test_a_variable_that_no_channel_can_use_is_said_by_its_name(
    kind: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    url = f"{'https' if kind == 'webhook' else 'jsons'}://127.0.0.1:9/hook/{TOKEN}"
    with pytest.raises((DeliveryError, SettingsError), match=name):
        send(url, message("hello"), kind=kind)


def test_a_channel_trusts_what_everything_else_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with scripted_cloud(context) as server:
        url = server.answers().base_url.replace("https://", "jsons://")
        assert "certificate" in refusal(url, message("hello"))
        send(f"{url}?verify=no", message("hello"))
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        send(url, message("hello"))
        assert server.request_count == 2


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_a_redirect_is_not_followed(kind: str, robots: Robots) -> None:
    with serve_robots(NOW) as elsewhere:
        for status in (301, 302, 307, 308):
            robots.answers.append((status, {}))
            robots.moved_to = elsewhere.webhook_url
            scheme = "http://" if kind == "webhook" else "json://"
            url = robots.webhook_url.replace("http://", scheme)
            words = refusal(url, message("hello"), kind=kind)
            assert f"HTTP {status}" in words
        assert elsewhere.asked == []


# text as text


@pytest.mark.parametrize("where", range(9))
def test_foreign_text_is_harmless_and_legible(where: int, robots: Robots) -> None:
    kind, url = everywhere(robots)[where]
    send(url, message(FOREIGN), kind)
    (taken,) = robots.took
    sent = json.dumps(taken, ensure_ascii=False)
    text = text_of(taken)
    if kind != "feishu":  # plain text in a card shows everything as it is
        for markup in ("<a", "<img", "<@", "<!", "<at", "@all", "@everyone"):
            assert markup not in html.unescape(text)
    if kind not in ("feishu", "wecom"):  # a text message knows no Markdown
        for markup in ("](", "**", "||", "`", "~"):
            assert markup not in text
    else:
        assert "lark_md" not in sent
    for word in ("Recharge", "evil.example", "everyone", "channel"):
        assert word in text
    assert '"isAtAll": true' not in sent


def test_mail_shows_text_as_text_with_its_line_breaks(mail: MailServer) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=etl@example.org&to=team@example.org&mode=insecure"
    send(url, message(f"{FOREIGN}\n  · second line 训练", "third"))
    ((to, sent),) = mail.took
    parsed = email.message_from_bytes(sent, policy=email.policy.default)
    assert to == ["team@example.org"]
    assert parsed["Subject"] == "Chenyu Cloud: 2 alerts"
    plain, marked = parsed.iter_parts()
    assert [part.get_content_type() for part in (plain, marked)] == ["text/plain", "text/html"]
    lines = [f"🟠 {FOREIGN}", " · second line 训练", "🟠 third"]
    assert plain.get_content().splitlines() == lines
    content = marked.get_content().strip()
    assert re.findall(r"<[^>]*>", content) == ["<br/>"] * 2
    shown = html.unescape(content.replace("<br/>", "\n")).replace("\xa0 ", " ")
    assert shown.splitlines() == lines


def test_mail_can_be_plain_text_alone(mail: MailServer) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=e@x.org&to=a@x.org&mode=insecure&format=text"
    send(url, message(FOREIGN, "second"))
    parsed = email.message_from_bytes(mail.took[0][1], policy=email.policy.default)
    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content().splitlines() == [f"🟠 {FOREIGN}", "🟠 second"]


# each address by itself


def test_one_dead_mail_address_does_not_repeat_the_mail_to_the_others(mail: MailServer) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=etl@example.org&mode=insecure&to=a@x.org,b@x.org&cc=c@x.org"
    mail.refuses.add("a@x.org")
    found = channels.recipients(given().channels[0], {"URL": url})
    assert len({recipient.name for recipient in found}) == 3
    failed = []
    for recipient in found:
        try:
            recipient.send(message("hello"), NOW)
        except DeliveryError as error:
            failed.append(error.message)
    assert sorted(to for to, _ in mail.took) == [["b@x.org"], ["c@x.org"]]
    (words,) = failed
    assert "the mail server said 550 5.1.1 no such user here" in words


def test_a_mail_server_that_refuses_the_password_says_so(mail: MailServer) -> None:
    mail.login = (535, "5.7.8 Error: authentication failed for hunter22")
    url = f"mailto://etl:hunter22@127.0.0.1:{mail.port}?from=e@x.org&to=a@x.org&mode=insecure"
    words = refusal(url, message("hello"))
    assert "the mail server said 535 5.7.8 Error: authentication failed for ***" in words


def test_addresses_of_a_channel_have_names_without_secrets(robots: Robots) -> None:
    urls = "\n".join([*APPRISE.values(), "# a comment", "", f"nothing://{TOKEN}"])
    found = channels.recipients(given().channels[0], {"URL": urls})
    names = [recipient.name for recipient in found]
    assert len(set(names)) == len(APPRISE) + 1
    for secret in (TOKEN, KEY, "A" * 20, "T1JJ3T3L2"):
        assert secret not in " ".join(names)
        assert secret not in repr(found)
    with pytest.raises(DeliveryError, match="not understood"):
        found[-1].send(message("hello"), NOW)


def test_an_address_that_never_answers_is_given_up_in_time(robots: Robots) -> None:
    robots.drips = True
    url = robots.webhook_url.replace("http://", "json://")
    words = refusal(url, message("hello"), timeout_s=0.2)
    assert "no answer in time" in words or "not sent" in words


def test_words_in_both_languages_count_what_is_left_out() -> None:
    causes = [Cause(f"k{i}", "long_run", "warning", bilingual(f"中{i}", f"e{i}")) for i in range(9)]
    for language, rest in (("zh", "另有 7 条：chenyu-etl"), ("en", "and 7 more: chenyu-etl")):
        lines = compose(causes, language, {}, NOW).lines_within(lambda lines: len(lines) <= 3)
        assert lines[2].startswith(rest)
