"""Odd values in records, each with its documented answer, on both databases, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from etl.rebuild import differences
from etl.resources.values import LAST_INSTANT
from etl.simcloud import T0, Behaviour, Story
from etl.tables import instance
from tests.live import Live, Living, living
from tests.support import columns, rows

NEIGHBOURS = 3
UUID = "inst_odd"


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def lab(live: Living) -> Live:
    made = live(Story(), page_size=100)
    made.cloud.rents_many(NEIGHBOURS)
    made.cloud.passes(hours=1)
    return made


def lists(lab: Live, *records: str) -> dict[str, Any]:
    """One poll of the neighbours and these records, between them; its row of `sync_run`."""
    around = [json.dumps(record) for record in lab.cloud.records()]
    shown = [around[0], *records, *around[1:]]
    listing = f'{{"instance_list":[{",".join(shown)}],"total":{len(shown)}}}'
    body = f'{{"code":0,"data":{listing}}}'
    result = lab.polls_badly(Behaviour(bodies={1: body.encode("utf-8", "surrogatepass")}))
    assert result.error is None
    listed = rows(lab.database, "SELECT count(*) FROM instance WHERE title = 'train'")
    assert listed == [(NEIGHBOURS,)], "no neighbour is lost"
    return lab.run()


def record(**members: Any) -> str:
    return json.dumps({"instance_uuid": UUID, "status": 2, "title": "odd"} | members)


def odd(lab: Live) -> dict[str, Any]:
    (found,) = columns(lab.database, f"SELECT * FROM instance WHERE instance_uuid = '{UUID}'")
    return found


BIG = 10**30
READ: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # numbers as text, whole numbers as floats
    ({"status": "2", "gpu_nums": "4"}, {"status": 2, "gpu_nums": 4}),
    ({"status": 2.0, "gpu_nums": 4.0}, {"status": 2, "gpu_nums": 4}),
    ({"create_time": str(T0), "start_time": f"{T0}.9"}, {"create_time": T0, "start_time": T0}),
    # instants
    ({"create_time": T0 + 0.75}, {"create_time": T0}),
    ({"start_time": 0}, {"start_time": None, "extra": None}),
    ({"start_time": -5}, {"start_time": None, "extra": None}),
    ({"start_time": None}, {"start_time": None, "extra": None}),
    ({"start_time": LAST_INSTANT}, {"start_time": LAST_INSTANT}),
    ({"start_time": BIG}, {"start_time": None, "extra": {"start_time": str(BIG)}}),
    ({"start_time": 1e300}, {"start_time": None, "extra": {"start_time": "1e+300"}}),
    ({"start_time": "soon"}, {"start_time": None, "extra": {"start_time": "soon"}}),
    (
        {"shutdown_regular": {"shutdown_time": "x", "enable": False, "by": "me"}},
        {
            "shutdown_time": None,
            "shutdown_enabled": False,
            "extra": {"shutdown_time": "x", "shutdown_regular": {"by": "me"}},
        },
    ),
    # text
    ({"title": "a\x00b\ud800c"}, {"title": "a\ufffdb\ufffdc"}),
    ({"title": "\ud83d\ude00"}, {"title": "😀"}),
    ({"title": "", "image_tag": "  "}, {"title": "", "image_tag": "  "}),
    ({"gpu_name": "x" * 100_000}, {"gpu_name": "x" * 100_000}),
    ({"title": "https://u:p@h/?token=mine"}, {"title": "https://u:p@h/?token=mine"}),
    # missing and null
    ({}, {"gpu_nums": None, "charging_type": None, "shutdown_enabled": None, "server_map": None}),
    (
        {"title": None, "server_url": None, "server_map": None, "shutdown_regular": None},
        {"title": None, "server_url": None, "server_map": None, "shutdown_time": None},
    ),
    # unknown codes and fields
    (
        {"status": 99, "charging_type": -7, "save_image_status": 2**31 - 1},
        {"status": 99, "charging_type": -7, "save_image_status": 2**31 - 1},
    ),
    (
        {"region": {"b": 1, "a": [BIG, "\x00"]}, "api_key": "hush"},
        {"extra": {"api_key": "***", "region": {"a": [BIG, "\ufffd"], "b": 1}}},
    ),
    ({"server_url": "http://u:p@h:8/p?token=x#f"}, {"server_url": "http://h:8/p"}),
    ({"server_map": {"z": 1, "password": "hush"}}, {"server_map": {"z": 1, "password": "***"}}),
    (
        {"server_map": '[{"ssh_info": {"password": "hush"}}]'},
        {"server_map": '[{"ssh_info": {"password": "***"}}]'},
    ),
]


@pytest.mark.parametrize(("members", "expected"), READ, ids=range(len(READ)))
def test_an_odd_value_is_read_as_documented(
    lab: Live, members: dict[str, Any], expected: dict[str, Any]
) -> None:
    run = lists(lab, record(**members))
    assert (run["outcome"], run["listed"], run["rejected"]) == ("complete", NEIGHBOURS + 1, 0)
    found = odd(lab)
    for name in ("extra", "server_url", "server_map"):
        found[name] = json.loads(found[name]) if found[name] else None
    for name in ("create_time", "start_time", "shutdown_time"):
        found[name] = epoch(lab, name)
    assert {name: found[name] for name in expected} == expected
    version = lab.count("instance_history")
    lists(lab, record(**members))
    assert lab.count("instance_history") == version, "what is stored equals what was seen"
    assert list(differences(lab.database)) == []


def epoch(lab: Live, name: str) -> int | None:
    query = select(instance.c[name]).where(instance.c.instance_uuid == UUID)
    with lab.database.reading() as conn:
        found: int | None = conn.scalar(query)
    return found


REJECTED: list[tuple[str, str, bool]] = [
    (record(gpu_nums="many"), "$.gpu_nums", True),
    (record(gpu_nums=BIG), "$.gpu_nums", True),
    (record(gpu_nums=-1), "$.gpu_nums", True),
    (record(gpu_nums=1.5), "$.gpu_nums", True),
    (record(gpu_nums=2**31), "$.gpu_nums", True),
    (record(status=None), "$.status", True),
    (record(status=[2]), "$.status", True),
    (record(status=-(2**31) - 1), "$.status", True),
    (record(title=5), "$.title", True),
    (record(shutdown_regular=[]), "$.shutdown_regular", True),
    (record(shutdown_regular={"enable": "perhaps"}), "$.shutdown_regular.enable", True),
    (record(server_map=5), "$.server_map", True),
    (record(start_time={}), "$.start_time", True),
    (record(gpu_name=float("nan")), "$.gpu_name", True),
    ('{"instance_uuid": "inst_odd"}', "$: ", True),
    (record(instance_uuid=None), "$.instance_uuid", False),
    (record(instance_uuid=5), "$.instance_uuid", False),
    (record(instance_uuid=""), "$.instance_uuid", False),
    (record(instance_uuid=" inst_odd"), "$.instance_uuid", False),
    (record(instance_uuid="a\tb"), "$.instance_uuid", False),
    (record(instance_uuid="x" * 256), "$.instance_uuid", False),
    ('{"status": 2}', "$: ", False),
    ("5", "$", False),
    ("null", "$", False),
    ('["password", "hush"]', "$", False),
]


@pytest.mark.parametrize(("text", "path", "named"), REJECTED, ids=range(len(REJECTED)))
def test_a_record_that_cannot_be_understood_is_rejected_with_its_path(
    lab: Live, text: str, path: str, named: bool
) -> None:
    run = lists(lab, text)
    assert run["outcome"] == ("complete" if named else "partial")
    assert run["rejected"] == 1
    (kept,) = columns(lab.database, "SELECT * FROM rejected_record")
    assert kept["reason"].startswith(path)
    assert kept["identity"] == (UUID if named else None)
    assert json.loads(kept["payload"]) is not False
    before = lab.everything("sync_run")
    lists(lab, text)
    assert lab.everything("sync_run") == before, "kept once"


def test_the_record_of_a_known_instance_that_breaks_is_no_going(lab: Live) -> None:
    lists(lab, record())
    for _ in range(3):
        run = lists(lab, record(status="broken", password="hush"))
        assert (run["outcome"], run["gone"], run["rejected"]) == ("complete", 0, 1)
    found = odd(lab)
    assert found["missing_since"] is None
    assert found["last_seen_at"] is not None
    assert lab.missing() == lab.gone() == []
    assert "hush" not in rows(lab.database, "SELECT payload FROM rejected_record")[0][0]
    lists(lab, record())
    assert odd(lab)["last_seen_at"] is None


def test_an_instance_listed_twice_is_one_and_counts_once(lab: Live) -> None:
    run = lists(lab, record(title="first"), record(title="second"))
    assert (run["outcome"], run["listed"]) == ("partial", NEIGHBOURS + 1)
    assert odd(lab)["title"] == "second"
