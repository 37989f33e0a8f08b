"""What the source lists beside instances can be queried: services, timers, image saves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from etl.dialect import Database
from tests.odd_records import likely_records, page
from tests.support import apply, poll_of, rows

pytestmark = pytest.mark.usefixtures("read_by_column")

START = 1_772_500_000
STEP_S = 300
WEB = "https://jupyter-1.chenyu.cn/lab?token=hush"
MAP = [
    {"title": "Jupyter Lab", "url": WEB, "port_type": "http", "protocol": "tcp"},
    {
        "title": "SSH Terminal",
        "url": "ssh://ssh-1.chenyu.cn:22",
        "port_type": "ssh",
        "protocol": "tcp",
        "ssh_info": {"host": "h.chenyu.cn", "port": 20_001, "username": "root", "password": "hush"},
    },
]

EMPTY = json.dumps({"code": 200, "data": {"instance_list": [], "total": 0}}).encode()


def listing(**members: Any) -> bytes:
    record = {
        "instance_uuid": "inst_1",
        "status": 2,
        "title": "one",
        "start_time": START,
        **members,
    }
    return json.dumps({"code": 200, "data": {"instance_list": [record], "total": 1}}).encode()


def see(database: Database, *listings: bytes) -> None:
    """Apply a poll for each listing, five minutes apart."""
    apply(database, *(poll_of([body], START + STEP_S * n) for n, body in enumerate(listings)))


def services(database: Database, columns: str = "service, url, host, port, username") -> Any:
    return rows(
        database, f"SELECT {columns} FROM instance_service ORDER BY listed_in, url, service, port"
    )


def test_every_service_has_a_row_with_its_address_and_login(database: Database) -> None:
    see(database, listing(server_url=[WEB, "tcp://10.0.0.7:8080/x"], server_map=MAP))
    assert services(
        database, "listed_in, service, url, port_type, protocol, host, port, username"
    ) == [
        (
            "server_map",
            "Jupyter Lab",
            "https://jupyter-1.chenyu.cn/lab",
            "http",
            "tcp",
            "jupyter-1.chenyu.cn",
            None,
            None,
        ),
        (
            "server_map",
            "SSH Terminal",
            "ssh://ssh-1.chenyu.cn:22",
            "ssh",
            "tcp",
            "h.chenyu.cn",
            20_001,
            "root",
        ),
        (
            "server_url",
            None,
            "https://jupyter-1.chenyu.cn/lab",
            None,
            None,
            "jupyter-1.chenyu.cn",
            None,
            None,
        ),
        ("server_url", None, "tcp://10.0.0.7:8080/x", None, None, "10.0.0.7", 8080, None),
    ]
    assert "hush" not in repr(rows(database, "SELECT * FROM instance_service_span"))


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("https://[2001:db8::7]:8443/a", "[2001:db8::7]", 8443),
        ("https://[2001:db8::7]/a", "[2001:db8::7]", None),
        ("ssh-1.chenyu.cn:22", "ssh-1.chenyu.cn", 22),
        ("http://a.chenyu.cn", "a.chenyu.cn", None),
        ("http://a.chenyu.cn:http/", "a.chenyu.cn", None),
        ("http://a.chenyu.cn:99999999999/", "a.chenyu.cn", None),
    ],
)
def test_host_and_port_are_those_of_the_address(
    database: Database, address: str, host: str, port: int | None
) -> None:
    see(database, listing(server_url=[address]))
    assert services(database, "host, port") == [(host, port)]


@pytest.mark.parametrize(
    ("members", "known"),
    [
        ({"server_url": "https://a.cn/x"}, [("https://a.cn/x", None)]),
        ({"server_url": [{"url": "https://a.cn/x", "title": "T"}]}, [("https://a.cn/x", "T")]),
        ({"server_map": {"url": "https://a.cn/x", "title": "T"}}, [("https://a.cn/x", "T")]),
        ({"server_map": [{"title": "T", "ssh_info": "text"}]}, [(None, "T")]),
        ({"server_map": [{"title": 5, "ssh_info": {"port": 10**30}}]}, [(None, "5")]),
        ({"server_map": [["https://a.cn/x"], None, {}, [], "x"]}, [("x", None)]),
        ({"server_url": [], "server_map": None}, []),
    ],
)
def test_services_in_other_forms_are_read_as_far_as_they_go(
    database: Database, members: dict[str, Any], known: Sequence[Any]
) -> None:
    see(database, listing(**members))
    assert services(database, "url, service") == known


@given(listed=likely_records)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_odd_record_breaks_the_views_of_services(database: Database, listed: Any) -> None:
    polls = rows(database, "SELECT COUNT(*) FROM sync_run")[0][0]
    apply(database, poll_of([page(listed)], START + STEP_S * polls, complete=False))
    known = {uuid for (uuid,) in rows(database, "SELECT instance_uuid FROM instance")}
    for view in ("instance_service", "instance_service_span", "instance_timer"):
        assert known >= {uuid for (uuid,) in rows(database, f"SELECT instance_uuid FROM {view}")}
        rows(database, f"SELECT * FROM {view}")  # each column bears what is odd


def test_services_have_their_times(database: Database) -> None:
    see(
        database,
        listing(server_url=["a:1"]),
        listing(server_url=["a:1"], title="renamed"),
        listing(server_url=["a:1", "b:2"]),
        listing(server_url=["b:2"]),
        listing(server_url=["b:2", "a:1"]),
    )
    spans = rows(
        database,
        "SELECT url, not_before_s, not_after_s, until_s FROM instance_service_span"
        " ORDER BY url, not_after_s",
    )
    at = [START + STEP_S * n for n in range(5)]
    assert spans == [
        ("a:1", None, at[0] + 1, at[3] + 1),
        ("a:1", at[3], at[4] + 1, None),
        ("b:2", at[1], at[2] + 1, None),
    ]
    assert services(database, "url") == [("a:1",), ("b:2",)]


def test_services_of_an_instance_that_was_gone_begin_anew(database: Database) -> None:
    with_service = listing(server_url=["a:1"])
    see(database, with_service, EMPTY, EMPTY, with_service)
    assert rows(
        database,
        "SELECT not_after_s, until_s FROM instance_service_span ORDER BY not_after_s",
    ) == [(START + 1, START + 3 * STEP_S + 1), (START + 3 * STEP_S + 1, None)]


def test_timers_have_their_times_and_what_became_of_them(database: Database) -> None:
    def timer(at: int, *, on: bool = True) -> dict[str, Any]:
        return {"shutdown_regular": {"shutdown_time": at, "enable": on}}

    soon, late = START + 2 * STEP_S + 100, START + 100_000
    see(
        database,
        listing(**timer(soon, on=False)),
        listing(**timer(soon)),
        listing(**timer(soon), title="renamed"),
        listing(**timer(late)),
        listing(**timer(late + 60)),
        listing(**timer(late, on=False)),
        listing(**timer(late)),
    )
    assert rows(
        database,
        "SELECT shutdown_time_s, not_before_s, not_after_s, until_s, became"
        " FROM instance_timer ORDER BY not_after_s",
    ) == [
        (soon, START, START + STEP_S + 1, START + 3 * STEP_S + 1, "due"),
        (late, START + 2 * STEP_S, START + 3 * STEP_S + 1, START + 4 * STEP_S + 1, "moved"),
        (late + 60, START + 3 * STEP_S, START + 4 * STEP_S + 1, START + 5 * STEP_S + 1, "cleared"),
        (late, START + 5 * STEP_S, START + 6 * STEP_S + 1, None, "current"),
    ]
