"""The simulated cloud over HTTP answers by the book, and as badly as it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from etl.simcloud import (
    ANY,
    T0,
    Behaviour,
    Fail,
    Route,
    Server,
    Story,
    serve,
)
from tests.commands import Command, home, run

__all__ = ["home", "run"]

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cloud() -> Story:
    story = Story()
    story.rents_many(25)
    return story


@pytest.fixture
def server(cloud: Story) -> Iterator[Server]:
    with serve(cloud) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    key = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.base_url, headers=key, trust_env=False) as connected:
        yield connected


def get(client: httpx.Client, page: int = 1, page_size: int = 10) -> httpx.Response:
    return client.get("/instance/list", params={"page": page, "page_size": page_size})


def total_and_count(client: httpx.Client, page: int = 1, page_size: int = 10) -> tuple[Any, int]:
    listing = get(client, page, page_size).json()["data"]
    return listing.get("total"), len(listing["instance_list"])


def test_pages_over_http_are_those_of_the_fleet(
    cloud: Story, server: Server, client: httpx.Client
) -> None:
    answers = [get(client, page) for page in (1, 2, 3, 4)]
    assert [a.content for a in answers] == [cloud.body(page, 10) for page in (1, 2, 3, 4)]
    assert [len(a.json()["data"]["instance_list"]) for a in answers] == [10, 10, 5, 0]
    assert server.pages_asked() == [1, 2, 3, 4]
    assert all(r.with_key and r.path == "/instance/list" for r in server.requests)
    assert server.requests[1].query == {"page": "2", "page_size": "10"}


def test_the_servers_date_is_its_clocks(cloud: Story, server: Server, client: httpx.Client) -> None:
    cloud.passes(days=3)
    assert date_of(get(client)) == cloud.now
    server.behaviour.clock_off_s = -90
    assert date_of(get(client)) == cloud.now - 90
    server.behaviour.no_date = True
    assert "date" not in get(client).headers


def date_of(answer: httpx.Response) -> int:
    return int(parsedate_to_datetime(answer.headers["date"]).timestamp())


def test_a_wrong_key_another_path_and_bad_parameters_are_refused(
    server: Server, client: httpx.Client
) -> None:
    refused = get(client).request
    wrong = client.get(refused.url, headers={"Authorization": "Bearer nonsense"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, 401)
    assert not server.requests[-1].with_key
    assert client.get("/nothing").status_code == 404
    assert get(client, page=0).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_anything_but_get_is_refused_and_recorded(
    server: Server, client: httpx.Client, method: str
) -> None:
    answer = client.request(method, "/instance/list", content=b"x" * 1000)
    assert (answer.status_code, server.requests[-1].method) == (405, method)
    assert get(client).status_code == 200


def test_further_paths_can_be_served(cloud: Story) -> None:
    routes: dict[str, Route] = {
        "/balance/info": lambda t, query: b'{"code":0,"msg":"","data":{"balance":%d}}' % t,
        "/gpu/list": lambda t, query: Fail(403, 403, "no permission"),
    }
    headers = {"Authorization": "Bearer k"}
    with (
        serve(cloud, key="k", routes=routes) as server,
        httpx.Client(base_url=server.base_url, headers=headers, trust_env=False) as client,
    ):
        assert client.get("/balance/info").json()["data"] == {"balance": T0}
        assert client.get("/gpu/list").status_code == 403


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (Behaviour(), (25, 10)),
        (Behaviour(ignore_paging=True), (25, 25)),
        (Behaviour(cap=4), (25, 4)),
        (Behaviour(omit_total=True), (None, 10)),
        (Behaviour(total=7), (7, 10)),
        (Behaviour(total="25"), ("25", 10)),
        (Behaviour(null_when_empty=True), (25, 10)),
    ],
)
def test_paging_goes_wrong_as_told(
    server: Server, client: httpx.Client, behaviour: Behaviour, expected: tuple[Any, int]
) -> None:
    server.behaviour = behaviour
    assert total_and_count(client) == expected


def test_a_page_can_be_repeated_and_an_empty_list_be_null(
    server: Server, client: httpx.Client
) -> None:
    server.behaviour = Behaviour(repeat_page=1)
    assert get(client, 1).content == get(client, 3).content
    server.behaviour = Behaviour(null_when_empty=True)
    assert get(client, 4).json()["data"] == {"instance_list": None, "total": 25}
    server.behaviour = Behaviour(bodies={2: b"<html>"})
    assert get(client, 2).content == b"<html>"


def test_the_fleet_can_change_between_two_pages(
    cloud: Story, server: Server, client: httpx.Client
) -> None:
    newest = cloud.records()[0]["instance_uuid"]
    server.behaviour.before_page = lambda number: cloud.destroys(newest) if number == 2 else None
    assert total_and_count(client, 1) == (25, 10)
    assert total_and_count(client, 2) == (24, 10)


def test_a_page_fails_so_often_and_then_works(server: Server, client: httpx.Client) -> None:
    server.behaviour = Behaviour(
        fail={1: Fail(429, 429, "slow down", times=2), 2: Fail(200, -2)}, retry_after="3"
    )
    answers = [get(client, page) for page in (1, 1, 1, 2, 2)]
    assert [a.status_code for a in answers] == [429, 429, 200, 200, 200]
    assert [a.json()["code"] for a in answers] == [429, 429, 0, -2, -2]
    assert [a.headers.get("retry-after") for a in answers] == ["3", "3", None, None, None]
    server.behaviour.fail = {ANY: Fail(503, 503, times=1)}
    assert [get(client, page).status_code for page in (7, 7)] == [503, 200]


def test_an_answer_can_be_cut_short_or_the_connection_reset(
    server: Server, client: httpx.Client
) -> None:
    server.behaviour = Behaviour(truncate={1: 1}, reset={2: 1})
    for page in (1, 2):
        with pytest.raises(httpx.TransportError):
            get(client, page)
        assert get(client, page).status_code == 200


def test_a_page_can_stall_until_the_client_gives_up(server: Server, client: httpx.Client) -> None:
    server.behaviour = Behaviour(stall={1: 60.0})
    with pytest.raises(httpx.ReadTimeout):
        client.get("/instance/list", params={"page": 1}, timeout=0.05)
    assert get(client, 2).status_code == 200


def test_a_redirect_is_recorded_on_both_sides(
    cloud: Story, server: Server, client: httpx.Client
) -> None:
    with serve(cloud) as elsewhere:
        server.behaviour.redirect = elsewhere.base_url + "/instance/list"
        answer = get(client)
        assert (answer.status_code, answer.headers["location"]) == (302, server.behaviour.redirect)
        assert httpx.get(answer.headers["location"], trust_env=False).status_code == 401
        assert [r.with_key for r in elsewhere.requests] == [False]


def test_random_faults_are_the_same_for_the_same_seed(cloud: Story) -> None:
    assert outcomes(cloud, 0.5, 1) == outcomes(cloud, 0.5, 1) != outcomes(cloud, 0.5, 2)
    assert set(outcomes(cloud, 0.0, 1)) == {"200"}


def outcomes(cloud: Story, rate: float, seed: int) -> list[str]:
    behaviour = Behaviour(fault_rate=rate, fault_seed=seed)
    headers = {"Authorization": "Bearer sim-key"}
    with (
        serve(cloud, behaviour=behaviour) as server,
        httpx.Client(base_url=server.base_url, headers=headers, trust_env=False) as client,
    ):
        return [outcome(client) for _ in range(30)]


def outcome(client: httpx.Client) -> str:
    try:
        return str(get(client).status_code)
    except httpx.TransportError:
        return "transport"


def test_pages_can_be_asked_for_at_the_same_time(server: Server, client: httpx.Client) -> None:
    server.behaviour.latency_s = 0.05
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(get(client, n))) for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(server.requests) == 8
    assert all(answer.status_code == 200 for answer in answers)


def test_it_is_served_for_trying_the_daemon_and_says_how(run: Command, home: Path) -> None:
    """The lines that it prints are all that `sync` needs."""
    words = [sys.executable, "-m", "etl.simcloud", "--instances", "5"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as served:
        assert served.stdout is not None
        said = [served.stdout.readline() for _ in range(5)]
        told = [line.split()[1] for line in said if line.strip().startswith("export ")]
        environ = dict(each.split("=", 1) for each in told)
        done = run("sync", **environ)
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0
    assert done.exit_code == 0, done.output
    assert said[-1].strip() == "chenyu-etl run"
    assert (home / "simulated.db").exists()
    assert "default instances: complete" in done.output
