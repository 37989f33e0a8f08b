"""How a record of `/instance/list` is read: each documented odd value, and that it costs nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given

from etl.errors import Changed
from etl.resources import INSTANCES, Reject, instances
from etl.resources.instances import Instance, Sighting, read
from etl.resources.listing import are_identities, is_identity
from etl.resources.values import LAST_INSTANT
from etl.simcloud import Story
from etl.tables import FACTS
from tests.odd_records import NOISE, likely_records, page, read_alone, records

pytestmark = pytest.mark.usefixtures("read_by_column")

NINES = LAST_INSTANT
T_TIMER = 1_800_000_000
FINE = {"instance_uuid": "a", "status": 2}


def sighting(**members: Any) -> Sighting:
    """A record with these members, read; both ways."""
    seen, rejects = read(page({**FINE, **members}))
    assert rejects == []
    assert read_alone({**FINE, **members}) == (seen, [])
    return seen[0]


def fact(name: str, value: Any) -> Any:
    return getattr(sighting(**{name: value}).facts, name)


def reject(record: Any) -> Reject:
    """A record that is not understood; beside it a neighbour that is."""
    seen, rejects = read(page({**FINE, "instance_uuid": "neighbour"}, record))
    assert [s.identity for s in seen] == ["neighbour"]
    (found,) = rejects
    return found


def test_the_published_example_is_read_whole() -> None:
    cloud = Story()
    name = cloud.rents(title="train", gpus=2)
    cloud.sets_timer(name, cloud.now + 60)
    (seen,), _ = read(cloud.body())
    facts = seen.facts
    assert (facts.instance_uuid, facts.status, facts.title) == (name, 2, "train")
    assert (facts.create_time, facts.start_time) == (cloud.now, cloud.now)
    assert (facts.shutdown_time, facts.shutdown_enabled) == (cloud.now + 60, True)
    assert (facts.gpu_name, facts.gpu_nums) == ("RTX 4090", 2)
    assert [each["title"] for each in json.loads(str(facts.server_map))] == [
        "Jupyter Lab",
        "SSH Terminal",
    ]
    assert seen.extra is None


CHANGES = {
    **dict.fromkeys(("instance_uuid", "title", "image_uuid", "image_name", "image_tag"), "other"),
    **dict.fromkeys(("gpu_uuid", "gpu_name"), "other"),
    **dict.fromkeys(("status", "charging_type", "save_image_status", "gpu_nums"), 3),
    **dict.fromkeys(("create_time", "start_time"), T_TIMER),
    "shutdown_regular": {"shutdown_time": T_TIMER, "enable": True},
    "server_url": ["http://10.0.0.1:80"],
    "server_map": [{"title": "web", "port_type": "http"}],
}
"""Another value for each member that is understood."""


def test_a_change_of_each_member_that_is_understood_is_a_change_of_facts() -> None:
    assert CHANGES.keys() == instances.MEMBERS
    for name, value in CHANGES.items():
        assert sighting(**{name: value}).facts != sighting().facts, name


def test_every_fact_has_a_column_and_every_column_a_fact() -> None:
    columns = ["instance_uuid", *(name for name, *_ in FACTS)]
    assert sorted(columns) == sorted(Instance.__struct_fields__)


@pytest.mark.parametrize("value", [2, "2", 2.0, "2.0"])
@pytest.mark.parametrize("name", ["status", "charging_type", "save_image_status", "gpu_nums"])
def test_a_number_can_be_text_or_a_whole_float(name: str, value: Any) -> None:
    assert fact(name, value) == 2
    assert type(fact(name, value)) is int


@pytest.mark.parametrize("code", [-(2**31), -1, 0, 77, 2**31 - 1])
def test_an_unknown_code_is_kept_as_it_is(code: int) -> None:
    assert fact("status", code) == code


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (1_767_225_600, 1_767_225_600),
        (1_767_225_600.999, 1_767_225_600),
        ("1767225600", 1_767_225_600),
        ("1767225600.5", 1_767_225_600),
        (NINES, NINES),
        (0, None),
        ("0", None),
        (-1, None),
        (0.4, None),
        (None, None),
    ],
)
@pytest.mark.parametrize("name", ["create_time", "start_time"])
def test_an_instant_is_whole_seconds_or_none(name: str, value: Any, instant: int | None) -> None:
    seen = sighting(**{name: value})
    assert getattr(seen.facts, name) == instant
    assert seen.extra is None


@pytest.mark.parametrize("value", [NINES + 1, 10**30, 1e300, "soon", "", "nan", "inf"])
def test_an_instant_that_is_none_is_kept_beside_the_facts(value: Any) -> None:
    seen = sighting(start_time=value, shutdown_regular={"shutdown_time": value, "enable": True})
    assert (seen.facts.start_time, seen.facts.shutdown_time) == (None, None)
    assert seen.facts.shutdown_enabled is True
    extra = json.loads(str(seen.extra))
    assert extra.keys() == {"start_time", "shutdown_time"}
    assert extra["start_time"] == (value if isinstance(value, str) else extra["start_time"])


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("a\x00b", "a\ufffdb"),
        ("\ud800x", "\ufffdx"),
        ("x\udfff", "x\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("line\nbreak\x1b[2J", "line\nbreak\x1b[2J"),
        ("", ""),
        ("训练", "训练"),
        ("see https://a:b@c/?d", "see https://a:b@c/?d"),
    ],
)
def test_a_title_is_kept_but_for_what_databases_refuse(title: str, kept: str) -> None:
    assert fact("title", title) == kept


def test_bytes_that_are_no_utf_8_cost_their_letter_only() -> None:
    body = page({**FINE, "title": "XX"}, {**FINE, "instance_uuid": "b"}).replace(b"XX", b"a\xffb")
    seen, rejects = read(body)
    assert [s.facts.title for s in seen] == ["a\ufffdb", None]
    assert rejects == []


@pytest.mark.parametrize("name", [n for n in Instance.__struct_fields__ if n[:8] != "shutdown"][2:])
def test_an_optional_field_that_is_missing_or_null_is_null(name: str) -> None:
    assert fact(name, None) is None
    assert getattr(sighting().facts, name) is None


@pytest.mark.parametrize("value", [None, {}, {"shutdown_time": 0}, {"shutdown_time": None}])
def test_no_timer_is_no_time(value: Any) -> None:
    facts = sighting(shutdown_regular=value).facts
    assert (facts.shutdown_time, facts.shutdown_enabled) == (None, None)


def test_a_huge_number_in_an_unknown_field_is_kept() -> None:
    assert str(10**30) in str(sighting(disk=10**30).extra)


@pytest.mark.parametrize("name", ["status", "gpu_nums", "unknown"])
def test_a_number_of_thousands_of_digits_costs_no_neighbour(name: str) -> None:
    """Python refuses to read one of more than 4,300 digits."""
    odd = json.dumps({**FINE, "instance_uuid": "odd", name: 1}).replace(
        ": 1}", ": " + "9" * 5_000 + "}"
    )
    listing = f'{{"instance_list":[{json.dumps(FINE)},{odd}],"total":2}}'
    body = f'{{"code":0,"data":{listing}}}'.encode()
    seen, rejects = read(body)
    assert "a" in [s.identity for s in seen]
    assert sorted([s.identity for s in seen] + [str(r.identity) for r in rejects]) == ["a", "odd"]
    assert INSTANCES.open(body).identities == ("a", "odd")


@pytest.mark.parametrize("digits", ["9" * 5_000, "9" * 11, "-1", "2147483648", "1.5", ""])
def test_a_total_that_is_no_count_is_none(digits: str) -> None:
    for total in (json.dumps(digits), digits or "null"):
        body = f'{{"code":0,"data":{{"instance_list":[],"total":{total}}}}}'.encode()
        assert INSTANCES.open(body).total is None


def test_unknown_fields_are_kept_in_extra_without_secrets() -> None:
    seen = sighting(
        zone="gz",
        auth_token="S3CRET",
        disk={"size": 9, "url": "https://x/y?S3CRET", "password": "S3CRET"},
        shutdown_regular={"shutdown_time": T_TIMER, "enable": False, "reason": "n\x00ight"},
    )
    assert json.loads(str(seen.extra)) == {
        "auth_token": "***",
        "disk": {"size": 9, "url": "https://x/y", "password": "***"},
        "shutdown_regular": {"reason": "n\ufffdight"},
        "zone": "gz",
    }
    assert (seen.facts.shutdown_time, seen.facts.shutdown_enabled) == (T_TIMER, False)


def test_the_order_of_lists_and_new_secrets_make_no_other_facts() -> None:
    def services(*titles: str, secret: str) -> Instance:
        ssh = {"host": "h", "port": 22, "username": "root", "password": secret}
        shown = [{"title": t, "url": f"https://h/?token={secret}", "ssh_info": ssh} for t in titles]
        urls = [f"https://{t}/lab?token={secret}" for t in titles]
        return sighting(server_map=shown, server_url=urls).facts

    first = services("a", "b", secret="S3CRET")
    assert first == services("b", "a", secret="other")
    assert "S3CRET" not in f"{first}"
    assert first != services("a", "c", secret="S3CRET")


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("status", None, "$.status"),
        ("status", "running", "$.status"),
        ("status", 2.5, "$.status"),
        ("status", 10**30, "$.status"),
        ("status", 2**31, "$.status"),
        ("gpu_nums", "many", "$.gpu_nums"),
        ("gpu_nums", -1, "$.gpu_nums"),
        ("gpu_nums", [1], "$.gpu_nums"),
        ("title", 5, "$.title"),
        ("title", {"zh": "x"}, "$.title"),
        ("create_time", {}, "$.create_time"),
        ("create_time", True, "$.create_time"),
        ("server_map", 5, "$.server_map"),
        ("shutdown_regular", {"enable": "perhaps"}, "$.shutdown_regular.enable"),
        ("shutdown_regular", [], "$.shutdown_regular"),
    ],
)
def test_a_field_of_another_type_is_a_reject_that_names_its_path(
    name: str, value: Any, path: str
) -> None:
    found = reject({**FINE, name: value, "password": "S3CRET"})
    assert found.reason.startswith(f"{path}: ")
    assert found.identity == "a"
    assert "S3CRET" not in f"{found}"


@pytest.mark.parametrize(
    "record",
    [
        None,
        "text",
        5,
        [FINE],
        {},
        {"status": 2},
        {"instance_uuid": None, "status": 2},
        {"instance_uuid": "", "status": 2},
        {"instance_uuid": " a", "status": 2},
        {"instance_uuid": "a\n", "status": 2},
        {"instance_uuid": "x" * 256, "status": 2},
        {"instance_uuid": 5, "status": 2},
    ],
)
def test_a_record_without_an_identity_is_a_reject_without_one(record: Any) -> None:
    assert reject(record).identity is None


def test_a_nul_in_an_identity_is_replaced_as_in_any_text() -> None:
    assert read(page({"instance_uuid": "a\x00", "status": 2}))[0][0].identity == "a\ufffd"


@pytest.mark.parametrize("body", [b'{"code":0,"data":null}', b"[]", b"5", b'{"data":{}}'])
def test_an_answer_without_the_list_is_another_api(body: bytes) -> None:
    with pytest.raises(Changed) as caught:
        read(body)
    assert caught.value.path == "$.data.instance_list"


def test_null_is_an_empty_list() -> None:
    assert read(b'{"code":0,"data":{"instance_list":null}}') == ([], [])


# properties


@given(likely_records)
@example({**FINE, "server_map": [{"title": "x", "port": 10**30}]})
@example({**FINE, "server_map": [{"title": 10**30, "ssh_info": {"port": 2**64}}]})
@example({**FINE, "server_map": [{"url": "a\x00b?", "ssh_info": {"password": 1}}]})
@example({**FINE, "server_url": ["b", "a", "a\x00"]})
@example({**FINE, "server_url": ["\ud800"], "title": "\ud800"})
@example({**FINE, "server_url": ["\x00", "]"]})
@example({**FINE, "server_map": {"a": 1e308, "b": [2.0]}})
def test_a_record_is_read_the_same_whatever_its_neighbours(record: dict[str, Any]) -> None:
    assert read(page(record)) == read_alone(record)


@given(records)
def test_any_record_is_read_or_rejected_the_same_way_both_ways(record: dict[str, Any]) -> None:
    seen, rejects = read(page(record))
    assert len(seen) + len(rejects) == 1
    assert (seen, rejects) == read_alone(record)
    for text in [s.extra for s in seen] + [r.payload for r in rejects]:
        if text is not None:
            json.loads(text)
            assert "\x00" not in text
            text.encode()


@given(records)
def test_what_is_read_can_be_stored(record: dict[str, Any]) -> None:
    for seen in read(page(record))[0]:
        for value in (*(getattr(seen.facts, n) for n in Instance.__struct_fields__), seen.extra):
            assert not isinstance(value, float)
            if isinstance(value, str):
                assert "\x00" not in value
                value.encode()
            if isinstance(value, int):
                assert -(2**31) <= value <= NINES


@given(records)
def test_the_list_of_identities_agrees_with_what_is_read(record: dict[str, Any]) -> None:
    seen, rejects = read(page(record))
    named = INSTANCES.open(page(record)).identities
    assert named == tuple([s.identity for s in seen] or [r.identity for r in rejects])


def test_the_noise_is_a_reject() -> None:
    assert read(page(NOISE))[0] == []


@pytest.mark.parametrize(
    "names",
    [[], ["a"], ["a", "b"], ["a", ""], ["a b"], ["a", " b"], ["b "], ["\n"], ["中"], ["x" * 256]],
)
def test_names_judged_together_are_judged_as_one_by_one(names: list[str]) -> None:
    assert are_identities(names) == all(map(is_identity, names))
