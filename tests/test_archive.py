"""Polls to lines and back, and the files that hold them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.archive import Archived, read_line
from etl.archive import line as archive_line
from etl.poll import Page, Poll
from etl.resources import INSTANCES
from etl.simcloud import LEAK_MARK, T0, Story
from tests.support import poll_of

DAY = 86_400


def encode(poll: Poll, *, same: bool) -> bytes:
    return b"".join(archive_line.encode(poll, same=same))


@pytest.fixture
def cloud() -> Story:
    story = Story()
    story.rents_many(3)
    return story


# a line

text = st.text(st.characters(exclude_categories=()), max_size=8)
odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | text
    | st.sampled_from(["https://u:p@h.cn/a?token=x#y", "\ud800", "\x00", "2", "-1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
NAMES = """
    status title create_time start_time server_url server_map charging_type gpu_nums image_tag
    save_image_status shutdown_regular gpu_name password token api_key extra_field
"""
names = st.sampled_from(NAMES.split())
record = st.builds(
    lambda identity, status, members: {"instance_uuid": identity, "status": status} | members,
    st.sampled_from(["inst_1", "inst_2", "inst_3"]) | odd,
    st.sampled_from([2, 22, "2", 99]) | odd,
    st.dictionaries(names, odd, max_size=5),
)


@given(st.lists(record | odd, max_size=4), st.booleans())
def test_a_poll_read_from_its_line_gives_the_same_facts_extras_and_rejects(
    records: list[Any], escaped: bool
) -> None:
    answer = {"code": 0, "data": {"instance_list": records, "total": len(records)}}
    body = json.dumps(answer, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    poll = poll_of([body], T0, T0 + 7)
    read = read_line(encode(poll, same=False))
    assert (read.account, read.resource, read.complete) == ("lab", "instances", True)
    assert (read.started_at, read.finished_at) == (T0, T0 + 7)
    assert read.walks is not None
    ((page,),) = read.walks
    assert (page.number, page.page_size) == (1, 100)
    assert INSTANCES.read(page.body) == INSTANCES.read(body)
    assert INSTANCES.open(page.body) == INSTANCES.open(body)


def test_a_line_holds_no_secret(cloud: Story) -> None:
    body = cloud.body()
    assert LEAK_MARK.encode() in body
    assert LEAK_MARK.encode() not in encode(poll_of([body], T0), same=False)


def test_a_secret_in_a_body_that_strict_json_refuses_is_gone_too() -> None:
    body = b'{"code":0,"data":{"x":NaN,"y":1' + b"0" * 30 + b',"t":"\\ud800","password":"hush",'
    body += b'"instance_list":[{"instance_uuid":"a","status":2,"url":"http://h/?token=hush"}]}}'
    line = encode(poll_of([body], T0), same=False)
    assert b"hush" not in line
    assert line.count(b"\n") == 1
    read = read_line(line)
    assert read.walks is not None
    assert INSTANCES.read(read.walks[0][0].body) == INSTANCES.read(body)


def test_walks_page_numbers_and_the_page_size_asked_for_survive(cloud: Story) -> None:
    first = (Page(2, 2, cloud.body(2, 2)), Page(1, 2, cloud.body(1, 2)))
    second = (Page(1, 2, cloud.body(1, 2)),)
    poll = Poll("lab", "instances", T0, T0 + 1, False, (first, second), listed=3)
    said = json.loads(encode(poll, same=False))
    assert "pages" not in said
    assert [len(walk) for walk in said["walks"]] == [2, 1]
    read = read_line(encode(poll, same=False))
    assert read.walks is not None
    assert [[(p.number, p.page_size) for p in walk] for walk in read.walks] == [
        [(2, 2), (1, 2)],
        [(1, 2)],
    ]
    assert read.complete is False


def test_a_line_made_by_other_means_needs_only_pages() -> None:
    line = (
        b'{"v":1,"account":"lab","resource":"instances","started_at":"2026-01-01T08:00:00+08:00",'
        b'"finished_at":"2026-01-01T00:00:01.5Z","pages":[{"code":0,"data":{}},{"code":0}]}'
    )
    read = read_line(line)
    assert read == Archived(
        "lab",
        "instances",
        T0,
        T0 + 2,
        None,
        ((Page(1, 0, b'{"code":0,"data":{}}'), Page(2, 0, b'{"code":0}')),),
    )


GOOD: dict[str, Any] = {
    "v": 1,
    "account": "lab",
    "resource": "instances",
    "started_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T00:00:01Z",
    "pages": [{"code": 0, "data": {"instance_list": [], "total": 0}}],
}


@pytest.mark.parametrize(
    "members",
    [
        {"v": 2},
        {"v": "one"},
        {"v": None},
        {"account": 5},
        {"account": ""},
        {"account": "a\nb"},
        {"account": "a" * 101},
        {"resource": None},
        {"started_at": "2026-01-01T00:00:00"},
        {"started_at": "yesterday"},
        {"started_at": 1767225600},
        {"started_at": "2026-01-01T00:00:02Z"},
        {"finished_at": None},
        {"pages": None},
        {"pages": {}},
        {"pages": []},
        {"pages": None, "walks": []},
        {"pages": None, "walks": [[]]},
        {"pages": None, "walks": [5]},
        {"pages": None, "walks": [5], "account": "\ud800"},
        {"pages": None, "walks": 5},
        {"numbers": []},
        {"numbers": [[]]},
        {"numbers": [["one"]]},
        {"complete": "perhaps"},
        {"page_size": "many", "x": float("nan")},
    ],
    ids=lambda members: repr(members)[:30],
)
def test_a_line_that_is_no_poll_is_a_value_error(members: dict[str, Any]) -> None:
    assert read_line(json.dumps(GOOD).encode())
    with pytest.raises(ValueError):
        read_line(json.dumps(GOOD | members).encode())


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b'"x"', b"[" * 100_000],
    ids=lambda line: repr(line)[:9],
)
def test_a_line_that_is_no_object_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        read_line(line)


def test_a_line_is_made_a_page_at_a_time(cloud: Story) -> None:
    """All pages of a large account at once would be as much memory again."""
    poll = poll_of([cloud.body()] * 9, T0)
    parts = list(archive_line.encode(poll, same=False))
    assert max(map(len, parts)) < sum(map(len, parts)) / 8
    assert json.loads(b"".join(parts))["pages"] == [json.loads(parts[3])] * 9
