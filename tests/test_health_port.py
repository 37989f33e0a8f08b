"""The health port: its pages, who may ask for them, and clients that would wear it out."""

from __future__ import annotations

import errno
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from etl.app import App
from etl.errors import Busy, SettingsError
from etl.service import health as health_module
from etl.service.health import MOST_CLIENTS, Answer, Health, as_json
from etl.service.hosts import is_known_host
from etl.service.probe import lives
from etl.service.single import counted
from etl.settings import Account, Settings
from tests.fake_proxies import babbling_proxy
from tests.live import wait_for


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_port_serves_its_pages_and_no_more() -> None:
    health = Health("127.0.0.1:0", {"/a": lambda: as_json(200, {"是": 1})})
    try:
        assert ask(health.port, "/a?x=1") == (200, '{\n "是": 1\n}\n')
        assert ask(health.port, "/a", "HEAD") == (200, "")
        assert ask(health.port, "/etc/passwd")[0] == 404
        assert ask(health.port, "/a", "POST")[0] == 405
    finally:
        health.close()


def test_a_second_daemon_at_the_same_address_says_so() -> None:
    first = Health("127.0.0.1:0", {"/healthz": lambda: as_json(200, {})})
    try:
        listen = f"127.0.0.1:{first.port}"
        assert lives(listen)
        assert lives(f"0.0.0.0:{first.port}"), "as a container is asked"
        with pytest.raises(Busy, match="a daemon is at work already") as caught:
            Health(listen, {})
        assert caught.value.exit_code == 7
    finally:
        first.close()
    assert not lives(listen)


def test_a_second_daemon_without_a_port_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    one, other = (App(Settings(database_url=url, accounts=(Account(n),))) for n in ("a", "b"))
    with counted(one) as first, counted(one) as second, counted(other) as another:
        assert (first, second, another) == (False, True, False)
    with counted(one) as later:
        assert later is False
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "no such folder"))
    with counted(one) as unknown:
        assert unknown is False


def test_a_system_without_locks_counts_no_daemon_and_leaves_no_file_that_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    app = App(Settings(database_url=f"sqlite:///{tmp_path / 'x.db'}", accounts=(Account("a"),)))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr("fcntl.flock", refuse)
    with counted(app) as first, counted(app) as second:
        assert (first, second) == (False, False)


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_port_of_another_program_is_no_daemon_of_ours(words: bytes) -> None:
    with babbling_proxy(words) as other:
        listen = f"127.0.0.1:{other.port}"
        assert not lives(listen)
        with pytest.raises(SettingsError, match=f"cannot listen on {listen}"):
            Health(listen, {})


def test_a_port_that_is_taken_is_said_with_advice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot listen on {listen}") as caught:
            Health(listen, {})
    assert "--listen" in str(caught.value.advice)


@pytest.fixture
def health() -> Iterator[Health]:
    made = Health("127.0.0.1:0", {"/healthz": lambda: as_json(200, {})})
    yield made
    made.close()


def test_clients_that_say_nothing_starve_nobody(health: Health) -> None:
    with ExitStack() as stack:
        for number in range(4 * MOST_CLIENTS):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", health.port)))
            if number % 2:
                slow.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        assert ask(health.port, "/healthz")[0] == 200
        assert clients_held() <= MOST_CLIENTS
    wait_for(lambda: clients_held() == 0)
    assert lives(f"127.0.0.1:{health.port}")


def clients_held() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def test_a_client_that_is_slow_byte_by_byte_is_hung_up_on(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "LONGEST_S", 0.2)
    with socket.create_connection(("127.0.0.1", health.port), timeout=60) as slow:

        def is_hung_up() -> bool:
            try:
                slow.sendall(b"G")
            except OSError:
                return True
            return False

        wait_for(is_hung_up)


def test_clients_that_wait_for_a_page_are_answered_and_the_page_is_made_once_for_them() -> None:
    made: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def page() -> Answer:
        made.append(1)
        begun.set()
        assert go_on.wait(60)
        return as_json(200, {})

    health = Health("127.0.0.1:0", {"/metrics": page})
    answers: list[int] = []
    asking = [
        threading.Thread(target=lambda: answers.append(ask(health.port, "/metrics")[0]))
        for _ in range(10)
    ]
    try:
        for each in asking:
            each.start()
        assert begun.wait(60)
        wait_for(lambda: len(health._server._waiting_for_page) == len(asking))
        with ExitStack() as stack:
            for _ in range(2 * MOST_CLIENTS):
                stack.enter_context(socket.create_connection(("127.0.0.1", health.port)))
            go_on.set()
            for each in asking:
                each.join(60)
    finally:
        go_on.set()
        health.close()
    assert answers == [200] * len(asking)
    assert len(made) <= 3, "the first, and one for those who came after it had begun"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9469", 200),
        ("localhost", 200),
        ("[::1]:9469", 200),
        ("10.0.0.7", 200),
        ("etl:9469", 200),
        ("etl.monitoring.svc.cluster.local:9469", 200),
        ("evil.example", 403),
        ("evil.example:9469", 403),
        ("127.0.0.1.nip.io", 403),
        ("localhost.evil.example", 403),
        ("", 403),
        ("a b", 403),
    ],
)
def test_a_name_that_anybody_can_register_is_refused(
    host: str, status: int, health: Health
) -> None:
    conn = http.client.HTTPConnection("127.0.0.1", health.port, timeout=60)
    conn.putrequest("GET", "/healthz", skip_host=True)
    conn.putheader("Host", host)
    conn.endheaders()
    answer = conn.getresponse()
    assert answer.status == status
    assert status == 200 or b"--listen" in answer.read()
    conn.close()


def test_the_name_to_listen_on_and_that_of_the_machine_are_known() -> None:
    assert is_known_host(["etl.example.com:9469"], "etl.example.com")
    assert is_known_host([socket.gethostname().upper()], "127.0.0.1")
    assert is_known_host([], "127.0.0.1")
    assert not is_known_host(["localhost", "evil.example"], "127.0.0.1")
