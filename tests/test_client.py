"""One GET against a cloud on a bad day, over real HTTP."""

from __future__ import annotations

import gzip
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from etl import __version__
from etl.errors import Changed, Refused, SettingsError, SourceError, Unavailable
from etl.source.answers import Answer
from etl.source.client import MAX_REDIRECTS, Client, Retrying
from tests.scripted_cloud import ScriptedCloud, scripted_cloud

KEY = "cy_Very-Secret_key0123456789"
QUICK = Retrying(attempts=3, total_s=120.0, first_wait_s=0.001, longest_wait_s=0.01)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATE_S = 784_111_777


@pytest.fixture
def cloud() -> Iterator[ScriptedCloud]:
    with scripted_cloud() as scripted:
        yield scripted


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    opened: list[Client] = []

    def make(cloud: ScriptedCloud, **options: Any) -> Client:
        options = {"clock": time.time, "timeout_s": 60.0, "retrying": QUICK, **options}
        opened.append(Client(cloud.base_url, KEY, **options))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


ClientOf = Callable[..., Client]


def failure(client: Client, path: str = "/instance/list") -> SourceError:
    """The error of a GET, after a look whether its traceback keeps our secrets."""
    with pytest.raises(SourceError) as caught:
        client.get(path, {"page": "77"})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in (KEY, "page=77", "hunter2"):
        assert secret not in shown
        assert secret not in (caught.value.advice or "")
    return caught.value


def test_an_answer_comes_with_its_body_and_instants(
    cloud: ScriptedCloud, client_of: ClientOf
) -> None:
    cloud.answers(b'{"code":0,"msg":"success","data":{"total":0}}', Date=DATE)
    ticks = iter([10.0, 11.5])
    client = client_of(cloud, clock=lambda: next(ticks))
    answer = client.get("/instance/list", {"page": "1", "page_size": "10"})
    body = b'{"code":0,"msg":"success","data":{"total":0}}'
    assert answer == Answer(body, sent_at=10.0, received_at=11.5, date=DATE_S)
    assert (client.requests, client.retries) == (1, 0)


def test_a_request_is_a_get_with_the_key_and_our_name(
    cloud: ScriptedCloud, client_of: ClientOf
) -> None:
    cloud.answers()
    client_of(cloud).get("/instance/list", {"page": "1", "page_size": "10"})
    assert cloud.seen[0].line == "GET /v2/instance/list?page=1&page_size=10 HTTP/1.1"
    assert cloud.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert cloud.seen[0].headers["user-agent"] == f"chenyu-etl/{__version__}"


@pytest.mark.parametrize("code", [0, "0", 0.0, " 0 "])
def test_code_zero_is_success_in_every_spelling(
    cloud: ScriptedCloud, client_of: ClientOf, code: Any
) -> None:
    cloud.fails(code)
    assert client_of(cloud).get("/x").body


def test_half_a_surrogate_pair_in_a_title_is_still_an_answer(
    cloud: ScriptedCloud, client_of: ClientOf
) -> None:
    cloud.answers(b'{"code":0,"msg":"\\ud800","data":{"title":"\\ud800 \xff"}}')
    assert client_of(cloud).get("/x").body


TROUBLES: dict[str, Callable[[ScriptedCloud], object]] = {
    "429": lambda c: c.fails(429, status=429),
    "500": lambda c: c.fails(500, status=500),
    "503": lambda c: c.answers(b"<html>maintenance</html>", status=503),
    "code 429": lambda c: c.fails(429),
    "code '429'": lambda c: c.fails("429"),
    "code -2": lambda c: c.fails(-2),
    "unknown code": lambda c: c.fails(1234),
    "HTML": lambda c: c.answers(b"<html>maintenance</html>"),
    "nothing": lambda c: c.answers(b""),
    "half a JSON": lambda c: c.answers(b'{"code":0,"data":{"instance_list":[{"a"'),
    "deep JSON": lambda c: c.answers(b'{"code":0,"data":' + b"[" * 200_000),
    "too few bytes": lambda c: c.cuts(b'{"code":0}', promised=100),
    "no HTTP": lambda c: c.sends(b"SSH-2.0-OpenSSH_9.7\r\n"),
    "closed": lambda c: c.sends(b""),
    "reset": lambda c: c.resets(),
    "bad gzip": lambda c: c.answers(b"not gzip", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_what_may_pass_is_tried_again(cloud: ScriptedCloud, client_of: ClientOf, name: str) -> None:
    TROUBLES[name](cloud)
    cloud.answers()
    client = client_of(cloud)
    assert client.get("/x").body
    assert (client.requests, client.retries, cloud.request_count) == (2, 1, 2)


@pytest.mark.parametrize("name", TROUBLES)
def test_what_does_not_pass_ends_after_the_last_attempt(
    cloud: ScriptedCloud, client_of: ClientOf, name: str
) -> None:
    TROUBLES[name](cloud)
    client = client_of(cloud)
    assert isinstance(failure(client), Unavailable)
    assert (client.requests, client.retries, cloud.request_count) == (3, 2, 3)


def test_bytes_that_are_no_http_are_not_shown(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.sends(f"hunter2 {KEY}\r\n\r\n".encode())
    assert "RemoteProtocolError" in str(failure(client_of(cloud)))


def test_a_get_that_finds_no_free_connection_ends_in_time(
    cloud: ScriptedCloud, client_of: ClientOf
) -> None:
    cloud.stalls()
    client = client_of(cloud, connections=1, retrying=Retrying(attempts=1, total_s=0.1))
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(failure, client) for _ in range(2)]
        assert all(isinstance(end.result(), Unavailable) for end in ends)


def test_a_source_that_does_not_listen_is_unavailable(client_of: ClientOf) -> None:
    with scripted_cloud() as gone:
        pass
    assert "no connection" in str(failure(client_of(gone)))


def test_a_stall_ends_with_the_timeout(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.stalls().answers()
    # many attempts: on a busy machine a good answer may take as long, too
    patient = Retrying(attempts=1_000, total_s=120.0, first_wait_s=0.001, longest_wait_s=0.01)
    assert client_of(cloud, timeout_s=0.05, retrying=patient).get("/x").body


def test_a_stall_for_ever_is_unavailable(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.stalls()
    assert "no answer in time" in str(failure(client_of(cloud, timeout_s=0.05)))


DRIPS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("part", DRIPS)
def test_a_server_that_drips_for_ever_ends_with_the_total_time(
    cloud: ScriptedCloud, client_of: ClientOf, part: str
) -> None:
    cloud.drips(*DRIPS[part])
    client = client_of(cloud, retrying=Retrying(total_s=0.5, first_wait_s=0.001))
    assert str(failure(client)).endswith(("no answer in time", "took too long"))
    assert client.requests == 1


def test_a_retry_after_longer_than_the_time_left_ends_at_once(
    cloud: ScriptedCloud, client_of: ClientOf
) -> None:
    cloud.fails(429, status=429, Retry_After="3600")
    error = failure(client_of(cloud, retrying=Retrying(total_s=5.0, longest_wait_s=30.0)))
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 3600
    assert cloud.request_count == 1


def test_no_wait_is_longer_than_the_longest(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.fails(429, status=429, Retry_After="3600").answers()
    assert client_of(cloud).get("/x").body


@pytest.mark.parametrize(
    ("asked", "date", "wait_s"),
    [
        ("7", DATE, 7.0),
        ("Sun, 06 Nov 1994 08:49:57 GMT", DATE, 20.0),
        ("Sun, 06 Nov 1994 08:49:57 GMT", "", 25.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", DATE, 0.0),
        ("soon", DATE, None),
        ("-5", DATE, None),
        ("", DATE, None),
        ("9" * 400, DATE, 999_999_999_999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_on_the_sources_clock(
    cloud: ScriptedCloud, client_of: ClientOf, asked: str, date: str, wait_s: float | None
) -> None:
    cloud.fails(429, status=429, Retry_After=asked, Date=date)
    error = failure(client_of(cloud, clock=lambda: DATE_S - 5.0))
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    "trouble",
    [
        lambda c: c.fails(401, status=401),
        lambda c: c.fails(401),
        lambda c: c.fails("401"),
        lambda c: c.fails(2),
        lambda c: c.fails(2, status=500),
        lambda c: c.answers(b"<html>", status=401),
    ],
)
def test_a_bad_key_is_refused_at_once_with_advice(
    cloud: ScriptedCloud, client_of: ClientOf, trouble: Callable[[ScriptedCloud], object]
) -> None:
    trouble(cloud)
    error = failure(client_of(cloud))
    assert isinstance(error, Refused)
    assert "CHENYU_API_KEY" in (error.advice or "")
    assert "chenyu.cn" in (error.advice or "")
    assert cloud.request_count == 1


@pytest.mark.parametrize("status", [403, 200])
def test_a_key_without_permission_is_refused(
    cloud: ScriptedCloud, client_of: ClientOf, status: int
) -> None:
    cloud.fails(403, "no permission", status=status)
    error = failure(client_of(cloud))
    assert isinstance(error, Refused)
    assert error.status == 403
    assert "permission for this path" in (error.advice or "")


@pytest.mark.parametrize("status", [304, 400, 404, 405, 410, 418])
def test_other_refusals_of_http_mean_that_the_source_changed(
    cloud: ScriptedCloud, client_of: ClientOf, status: int
) -> None:
    cloud.fails(status, status=status) if status != 304 else cloud.answers(b"", status=304)
    error = failure(client_of(cloud))
    assert isinstance(error, Changed)
    assert error.advice
    assert cloud.request_count == 1


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"code":null}', b'{"code":true}', b'{"code":[]}'])
def test_json_without_an_envelope_means_that_the_source_changed(
    cloud: ScriptedCloud, client_of: ClientOf, body: bytes
) -> None:
    cloud.answers(body)
    error = failure(client_of(cloud))
    assert isinstance(error, Changed)
    assert error.path == "$.code"


def test_what_the_source_says_is_cut_and_cleaned(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    said = f"key {KEY}\n\x1b[31mbad\u202e; see https://me:hunter2@x.cn/a?token=hunter2 " + "y" * 999
    cloud.fails(1234, said)
    text = str(failure(client_of(cloud)))
    assert text.startswith("GET /instance/list: HTTP 200, code 1234: key ***  [31mbad; see ")
    assert "https://x.cn/a yyy" in text
    assert text.isprintable()
    assert len(text) < 260


@pytest.mark.parametrize("echo", [KEY.upper(), f"Bearer {KEY}", "x" * 195 + KEY, "y" * 1999 + KEY])
def test_an_echoed_key_is_never_shown(cloud: ScriptedCloud, client_of: ClientOf, echo: str) -> None:
    cloud.fails(401, echo, status=401)
    text = str(failure(client_of(cloud))).lower()
    assert "secret" not in text
    assert "cy_v" not in text


def test_a_key_echoed_inside_a_url_is_not_shown() -> None:
    key = "cy_a/b+c==secret"
    said = {"code": 401, "msg": f"{key} in https://x.cn/cy_a%2Fb%2Bc%3D%3Dsecret"}
    transport = httpx.MockTransport(lambda request: httpx.Response(401, json=said))
    client = Client("https://x.cn", key, clock=time.time, transport=transport)
    with client, pytest.raises(Refused) as caught:
        client.get("/x")
    assert str(caught.value).endswith("*** in https://x.cn/***")


@pytest.mark.parametrize("msg", [None, 5, {"a": KEY}, [KEY]])
def test_a_reason_that_is_no_text_is_left_out(
    cloud: ScriptedCloud, client_of: ClientOf, msg: Any
) -> None:
    cloud.fails(7, msg)
    assert str(failure(client_of(cloud))) == "GET /instance/list: HTTP 200, code 7"


def test_logs_hold_neither_key_nor_query(
    cloud: ScriptedCloud, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.fails(500, f"echo {KEY}", status=500, Set_Cookie=f"a={KEY}").answers()
    client_of(cloud).get("/x", {"page": "77"})
    assert "next attempt in" in caplog.text
    assert KEY not in caplog.text
    assert "page=77" not in caplog.text
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_client_shows_no_key(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    assert KEY not in repr(client_of(cloud))


def test_redirects_on_the_same_host_are_followed(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.redirects("/v3/instance/list?page=1").redirects(f"{cloud.base_url}/y", 307).answers()
    assert client_of(cloud).get("/x").body
    assert cloud.seen[1].line == "GET /v3/instance/list?page=1 HTTP/1.1"
    assert cloud.seen[2].headers["authorization"] == f"Bearer {KEY}"


def test_redirects_without_end_are_left(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.redirects("/again")
    assert isinstance(failure(client_of(cloud)), Changed)
    assert cloud.request_count == 1 + MAX_REDIRECTS


def test_the_key_is_never_sent_to_another_host(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    with scripted_cloud() as other:
        other.answers()
        cloud.redirects(f"{other.base_url}/x?token=hunter2")
        error = failure(client_of(cloud))
        assert isinstance(error, Changed)
        assert "CHENYU_BASE_URL" in (error.advice or "")
        assert other.request_count == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("http:", "https:"),
        lambda url: url.replace("127.0.0.1", "localhost"),
        lambda url: url.replace("//", "//me:hunter2@"),
        lambda url: f"//{KEY.replace('_', '-')}.example.com/x",
    ],
)
def test_another_scheme_name_or_user_is_another_host(
    cloud: ScriptedCloud, client_of: ClientOf, change: Callable[[str], str]
) -> None:
    cloud.redirects(change(cloud.base_url))
    assert isinstance(failure(client_of(cloud)), Changed)
    assert cloud.request_count == 1


@pytest.mark.parametrize("location", ["http://[", "ftp://127.0.0.1/x", "http://"])
def test_a_redirect_to_nowhere_is_an_error_of_ours(
    cloud: ScriptedCloud, client_of: ClientOf, location: str
) -> None:
    cloud.redirects(location)
    assert failure(client_of(cloud)).advice


def test_a_huge_answer_is_left_in_the_middle(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.drips(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", b" " * 4096)
    error = failure(client_of(cloud, body_limit=20_000))
    assert isinstance(error, Changed)
    assert "20000 bytes" in str(error)


def test_the_limit_counts_what_was_packed(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.answers(gzip.compress(b" " * 1_000_000), Content_Encoding="gzip")
    assert isinstance(failure(client_of(cloud, body_limit=100_000)), Changed)


@pytest.mark.parametrize("packing", ["gzip, gzip", "br", "zstd", "deflate"])
def test_a_packing_that_was_not_asked_for_is_not_unpacked(
    cloud: ScriptedCloud, client_of: ClientOf, packing: str
) -> None:
    """Gzip inside of gzip makes a million times as much of a chunk, before anybody can count."""
    bomb = gzip.compress(gzip.compress(b" " * 10_000_000))
    cloud.answers(bomb, Content_Encoding=packing)
    assert isinstance(failure(client_of(cloud)), Unavailable)


def test_half_a_packed_answer_is_no_answer(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.answers(gzip.compress(b'{"code":0}' + b" " * 9999)[:-9], Content_Encoding="gzip")
    assert isinstance(failure(client_of(cloud)), Unavailable)


def test_a_source_that_repeats_the_key_is_heard_without_it(
    cloud: ScriptedCloud, client_of: ClientOf
) -> None:
    cloud.answers({"code": 0, "data": {"title": f"key {KEY}"}})
    assert KEY.encode() not in client_of(cloud).get("/x").body


def test_a_packed_answer_is_unpacked(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.answers(gzip.compress(b'{"code":0}'), Content_Encoding="gzip")
    assert client_of(cloud).get("/x").body == b'{"code":0}'


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 1994 08:49:37 GMT", "0"])
def test_an_unreadable_date_is_none(cloud: ScriptedCloud, client_of: ClientOf, date: str) -> None:
    cloud.answers(Date=date)
    assert client_of(cloud).get("/x").date is None


@pytest.mark.parametrize("key", ["", "schlüssel", "cy_a\ncy_b", "cy_a ", "cy_\x00", "cy_\x7f"])
def test_a_key_that_is_none_is_a_matter_of_settings(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Client("https://example.com", key, clock=time.time)
    shown = "".join(traceback.format_exception(caught.value))
    assert "CHENYU_API_KEY" in (caught.value.advice or "")
    assert not key or f"{key!r}" not in shown.split("SettingsError", 1)[1]


@pytest.mark.parametrize(
    "url",
    ["", "www.chenyu.cn", "ftp://x.cn", "https://me:hunter2@x.cn/", "https://x.cn/?a=hunter2"],
)
def test_a_base_url_that_is_none_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Client(url, KEY, clock=time.time)
    assert "hunter2" not in str(caught.value)


def test_threads_share_a_client_and_its_counters(cloud: ScriptedCloud, client_of: ClientOf) -> None:
    cloud.answers()
    client = client_of(cloud, connections=2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.get("/x"), range(40)))
    assert (client.requests, client.retries) == (40, 0)


def test_a_transport_can_be_given() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"code": 0}))
    with Client("https://example.com", KEY, clock=time.time, transport=transport) as client:
        assert client.get("/x").body == b'{"code":0}'
