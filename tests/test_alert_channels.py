"""Channels: what reaches them over real HTTP, what they refuse, and that no secret gets out."""

from __future__ import annotations

import gzip
import json
import logging
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.alerts import channels
from etl.alerts.cause import Cause
from etl.alerts.channels import feishu, webhook
from etl.alerts.message import Message, compose
from etl.errors import DeliveryError, EtlError, SettingsError
from etl.settings.alerts import AlertSettings
from tests.alerting import at, bilingual, settings
from tests.fake_robots import SECRET, TOKEN, Robots, serve_robots
from tests.live import wait_for

NOW = at("2026-11-24 10:00")
KINDS = ("feishu", "wecom", "dingtalk", "webhook")


@pytest.fixture
def robots() -> Iterator[Robots]:
    with serve_robots(NOW) as served:
        yield served


def world(kind: str, robots: Robots, **more: Any) -> tuple[AlertSettings, dict[str, str]]:
    """Settings with one channel `team` of a kind, and the environment with its secrets."""
    said = {"kind": kind, "url_env": "URL", "secret_env": "SECRET", **more}
    owners = {"李雷": {"titles": ["*李雷*"], "mentions": {"team": "ou_123"}}}
    found = settings({"team": said}, owners=owners)
    return found, {"URL": getattr(robots, f"{kind}_url"), "SECRET": SECRET}


def message(said: AlertSettings, *texts: str, owner: str | None = "李雷") -> Message:
    causes = [
        Cause(f"k{i}", "long_run", "warning", bilingual(f"中文 {t}", t), "lab", owner)
        for i, t in enumerate(texts or ("hello",))
    ]
    channel = said.channels[0]
    return compose(causes, channel.language, said.mentions(channel), NOW)


def deliver(given: AlertSettings, what: Message, environ: dict[str, str], now: int = NOW) -> None:
    """Send a message to everybody in the first channel."""
    for recipient in channels.recipients(given.channels[0], environ):
        recipient.send(what, now)


def send(kind: str, robots: Robots, *texts: str, **more: Any) -> None:
    given, environ = world(kind, robots, **more)
    deliver(given, message(given, *texts), environ)


def refusal(kind: str, robots: Robots, **more: Any) -> EtlError:
    with pytest.raises(EtlError) as caught:
        send(kind, robots, **more)
    for secret in (TOKEN, SECRET):
        assert secret not in f"{caught.value.message} {caught.value.advice} {caught.value!r}"
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_message_is_taken(kind: str, robots: Robots) -> None:
    send(kind, robots, "eins", "zwei")
    (took,) = robots.took
    assert "中文 eins" in json.dumps(took, ensure_ascii=False)
    assert "中文 zwei" in json.dumps(took, ensure_ascii=False)


# signatures: what is expected was computed by `openssl dgst -sha256 -mac HMAC -macopt hexkey:…`


def test_the_signature_of_feishu_is_the_known_one() -> None:
    """The key is `timestamp + newline + secret`, the message empty."""
    assert feishu.sign("SEC-0c41d2-very-secret", 1599360473) == (
        "SHSEdK4xsrVkCZ7WWgn146U+S/49NKG+OWKIYMYWzgg="
    )


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (1599360473, "8NyPPLLHu5nJngRs5sIYqsJmV972lUmzh%2FWJTIns5Uo%3D"),
        (1599360474, "Xjcsu8tmADj69vXRb4Kx4cD7HbykNPf6g8B3y%2BNx8y4%3D"),
    ],
)
def test_the_signature_of_dingtalk_is_the_known_one_fit_for_an_address(
    now: int, said: str, robots: Robots
) -> None:
    """The key is the secret, the message `milliseconds + newline + secret`."""
    robots.now = now
    found, environ = world("dingtalk", robots)
    deliver(found, message(found), environ, now)
    query = f"access_token={TOKEN}&timestamp={now}000&sign={said}"
    assert robots.asked == [f"/robot/send?{query}"]


def test_the_signature_of_a_webhook_is_the_known_one() -> None:
    assert webhook.sign("SEC-0c41d2-very-secret", 1599360473, b'{"version":1}') == (
        "sha256=123cc94dedc1093b7b2480e2b33411035899b731887baf5fe5bb94a928a0e1c0"
    )


def test_feishu_gets_seconds_as_text_beside_its_signature(robots: Robots) -> None:
    robots.now = 1599360473
    said, environ = world("feishu", robots)
    deliver(said, message(said), environ, 1599360473)
    (took,) = robots.took
    assert took["timestamp"] == "1599360473"
    assert took["sign"] == "SHSEdK4xsrVkCZ7WWgn146U+S/49NKG+OWKIYMYWzgg="


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_in_the_channels_language(kind: str, robots: Robots) -> None:
    send(kind, robots, language="en")
    assert "中文" not in json.dumps(robots.took, ensure_ascii=False)


@pytest.mark.parametrize("kind", ["feishu", "dingtalk", "webhook"])
def test_a_wrong_secret_is_noticed(kind: str, robots: Robots) -> None:
    said, environ = world(kind, robots)
    with pytest.raises(DeliveryError) as caught:
        deliver(said, message(said), {**environ, "SECRET": "other"})
    words = {"feishu": "code 19021: sign", "dingtalk": "code 310000: sign", "webhook": "HTTP 403"}
    assert words[kind] in caught.value.message
    assert "127.0.0.1" in caught.value.message
    assert robots.took == []


@pytest.mark.parametrize("kind", ["feishu", "dingtalk"])
def test_a_clock_that_is_hours_off_is_noticed(kind: str, robots: Robots) -> None:
    robots.now += 2 * 3_600
    assert "sign" in refusal(kind, robots).message


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("feishu", {"code": 11232, "msg": "frequency limited psm"}),
        ("feishu", {"StatusCode": 19001, "StatusMessage": "param invalid"}),
        ("feishu", {"code": "0"}),
        ("feishu", {}),
        ("feishu", []),
        ("feishu", b"<html>welcome</html>"),
        ("dingtalk", {"errcode": 130101, "errmsg": "send too fast"}),
        ("dingtalk", {"errmsg": "ok"}),
        ("dingtalk", b"ok"),
    ],
)
def test_an_error_inside_http_200_is_noticed(kind: str, answer: Any, robots: Robots) -> None:
    robots.answers.append((200, answer))
    said = refusal(kind, robots).message
    for value in answer.values() if isinstance(answer, dict) else ():
        if answer not in ({"errmsg": "ok"},):
            assert str(value) in said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
def test_an_http_error_is_noticed(kind: str, status: int, robots: Robots) -> None:
    robots.answers.append((status, {"code": 9499, "msg": "Bad Request"}))
    assert f"HTTP {status}, code 9499: Bad Request" in refusal(kind, robots).message


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_answer_is_understood_and_unpacked_up_to_a_limit(
    kind: str, robots: Robots
) -> None:
    robots.packing = "gzip"
    robots.answers.append((400, gzip.compress(b'{"code": 9499, "msg": "Bad Request"}')))
    assert "code 9499: Bad Request" in refusal(kind, robots).message
    robots.answers.append((500, gzip.compress(bytes(2**26))))
    tracemalloc.start()
    try:
        refusal(kind, robots)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()
    robots.answers.append((500, b"\x1f\x8bnot packed at all"))
    assert "HTTP 500" in refusal(kind, robots).message


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_repeats_the_address_gives_no_secret_away(kind: str, robots: Robots) -> None:
    url = getattr(robots, f"{kind}_url")
    robots.answers.append(
        (500, {"code": 1, "msg": f"no robot {url} or {TOKEN.lower()} or {SECRET}"})
    )
    said = refusal(kind, robots).message.lower()
    assert "no robot" in said
    assert TOKEN.lower() not in said


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_logged_of_the_address(
    kind: str, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(kind, robots)
    robots.answers.append((500, {}))
    refusal(kind, robots)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_no_connection_is_noticed(kind: str) -> None:
    with serve_robots(NOW) as gone:
        pass
    assert "no connection" in refusal(kind, gone).message


def test_a_channel_that_never_answers_is_given_up_in_time(robots: Robots) -> None:
    robots.delay = threading.Event()
    assert "no answer in time" in refusal("feishu", robots, timeout_s=0.2).message
    robots.delay.set()


def test_an_answer_that_only_drips_is_given_up_in_time(robots: Robots) -> None:
    robots.drips = True
    assert "no answer in time" in refusal("feishu", robots, timeout_s=0.2).message


@pytest.mark.parametrize("url", ["", "ftp://x/y", "not a url", "https://", "https://[::1/x"])
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    said = settings({"team": {"kind": "feishu", "url_env": "URL"}})
    with pytest.raises(EtlError) as caught:
        deliver(said, message(said), {"URL": url})
    assert not url or url not in caught.value.message


def test_feishu_gets_a_card_with_the_owner_mentioned(robots: Robots) -> None:
    send("feishu", robots)
    (took,) = robots.took
    card = took["card"]
    assert took["msg_type"] == "interactive"
    assert card["header"]["template"] == "orange"
    assert card["header"]["title"]["content"].startswith("晨羽智云")
    assert card["elements"][-1]["text"] == {"tag": "lark_md", "content": "<at id=ou_123></at>"}


def test_a_title_can_mention_nobody(robots: Robots) -> None:
    send("feishu", robots, "<at id=all></at> **x** [y](http://evil)")
    marked = [
        e["text"] for e in robots.took[0]["card"]["elements"] if e["text"]["tag"] == "lark_md"
    ]
    assert marked == [{"tag": "lark_md", "content": "<at id=ou_123></at>"}]
    send("dingtalk", robots, "[y](http://evil) <b> #x")
    assert "[y](" not in robots.took[1]["markdown"]["text"]
    assert robots.took[1]["at"] == {"atMobiles": ["ou_123"], "isAtAll": False}


def test_a_message_of_hundreds_of_causes_stays_below_the_limit_of_feishu(robots: Robots) -> None:
    send("feishu", robots, *("长" * 300 for _ in range(300)))
    said = robots.took[0]["card"]["elements"][-2]["text"]["content"]
    assert said.startswith("另有 2")
    assert "chenyu-etl alerts list" in said


def test_dingtalk_mentions_the_owner_in_the_text_too(robots: Robots) -> None:
    send("dingtalk", robots)
    assert "@ou_123" in robots.took[0]["markdown"]["text"]


def test_a_webhook_gets_what_a_program_needs(robots: Robots) -> None:
    send("webhook", robots, language="en")
    (took,) = robots.took
    assert took["created_at"] == "2026-11-24T02:00:00Z"
    (alert,) = took["alerts"]
    assert alert == {
        "key": "k0",
        "rule": "long_run",
        "severity": "warning",
        "text": "hello",
        "account": "lab",
        "owner": "李雷",
    }
    assert robots.headers[0]["x-chenyu-signature"].startswith("sha256=")


def test_without_a_secret_nothing_is_signed(robots: Robots) -> None:
    said = settings({"team": {"kind": "webhook", "url_env": "URL"}})
    deliver(said, message(said), {"URL": robots.webhook_url})
    assert "x-chenyu-signature" not in robots.headers[0]


def test_without_the_library_apprise_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    said = settings({"team": {"kind": "apprise", "url_env": "URL"}})
    with pytest.raises(SettingsError) as caught:
        deliver(said, message(said), {"URL": "json://x"})
    assert caught.value.advice == "pip install 'chenyu-etl[alerts]'"


# on_alert


def script(folder: Path, text: str) -> list[str]:
    place = folder / "told.py"
    place.write_text(text)
    return [sys.executable, str(place), str(folder / "out")]


def run(command: list[str], environ: dict[str, str] | None = None, **more: Any) -> None:
    said = settings({"mine": {"kind": "command", "command": command, **more}})
    deliver(said, message(said), environ or {})


def test_a_command_gets_json_and_no_key(tmp_path: Path) -> None:
    text = (
        "import os,sys\nopen(sys.argv[1],'w').write(sys.stdin.read()+'\\n'+repr(dict(os.environ)))"
    )
    run(script(tmp_path, text), {"CHENYU_API_KEY": "cy_S3CRET", "PATH": "/bin", "LAB_KEY": "cy_S3"})
    said, _, environ = (tmp_path / "out").read_text().partition("\n")
    assert json.loads(said)["alerts"][0]["rule"] == "long_run"
    assert "cy_S3" not in environ
    assert "'PATH': '/bin'" in environ


def test_a_command_that_fails_or_is_not_there_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="exit code 3"):
        run(script(tmp_path, "raise SystemExit(3)"))
    with pytest.raises(DeliveryError, match="No such file"):
        run([str(tmp_path / "nothing")])


def test_a_command_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    text = (
        "import subprocess,sys,time\n"
        "child = subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)'])\n"
        "open(sys.argv[1],'w').write(str(child.pid)); time.sleep(60)"
    )
    out = tmp_path / "out"
    # longer if need be: on a busy machine it takes a while to start
    for timeout_s in (2, 10, 60):
        with pytest.raises(DeliveryError, match=f"not done in {timeout_s} s"):
            run(script(tmp_path, text), timeout_s=timeout_s)
        if out.exists() and out.read_text():
            break
    child = Path(f"/proc/{out.read_text()}/stat")
    wait_for(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def test_a_command_that_reads_nothing_is_no_failure(tmp_path: Path) -> None:
    run(script(tmp_path, "import sys; sys.stdin.close(); open(sys.argv[1], 'w').close()"))
    assert (tmp_path / "out").exists()
