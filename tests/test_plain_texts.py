"""Texts that are judged together hold no secret one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.redact import redact, redact_words
from etl.redact.plain import are_addresses, hold_no_sure_secret
from etl.resources.instances import read
from tests.odd_records import likely_records, page, read_alone
from tests.test_redact import LINES

pytestmark = pytest.mark.usefixtures("read_by_column")

pieces = st.sampled_from(
    [
        *(
            "cy_",
            "sk-proj-",
            "ghp_",
            "hf_",
            "npm_",
            "dop_v1_",
            "eyJabcdef",
            "AKIA",
            "a1b2c3d4e5f6g7h8",
        ),
        *(
            "root",
            "toor",
            "-p",
            " -p ",
            "/p:",
            " /p:",
            ":",
            "=",
            "@",
            "10.0.0.1",
            "host.example",
            "$6$abc",
        ),
        *("password", "Pass", "ſecret", "logın", "LOGİN", "to\u212aen", "bearer ", "basic "),
        *(
            "PuTTY-User-Key-File-",
            "----BEGIN PRIVATE KEY----",
            "sqlplus a/",
            "requirepass ",
            "net use ",
        ),
        *(
            "实验",
            "训练-",
            "resnet50-imagenet-lr0001",
            " ",
            "\n",
            "\t",
            "-",
            "_",
            "/",
            "<a>",
            "|",
            "x" * 13,
        ),
        *("https://", "ssh://", ":22", ".cn", "?token=a", "/lab", "k-", "y-", "", "A", "\x00"),
    ]
)
texts = st.lists(pieces, max_size=6).map("".join)


@given(st.lists(texts, max_size=5))
def test_titles_judged_together_keep_every_word(titles: list[str]) -> None:
    if hold_no_sure_secret(titles):
        assert [redact_words(title) for title in titles] == titles


@given(st.lists(texts, max_size=5))
def test_addresses_judged_together_are_left_as_they_are(addresses: list[str]) -> None:
    if are_addresses(addresses):
        assert [redact(address) for address in addresses] == addresses


@pytest.mark.parametrize("line", LINES)
def test_a_secret_shows_among_a_hundred_texts_without_one(line: str) -> None:
    plain = [f"实验-whisper-{n:05} rlhf-{n} v2" for n in range(50)]
    hosts = [f"https://jupyter-{n:012x}.chenyu.cn/lab" for n in range(50)]
    assert hold_no_sure_secret(plain)
    assert are_addresses(hosts)
    assert not are_addresses([*hosts, line])
    if redact_words(line) != line:
        assert not hold_no_sure_secret([*plain, line])


@given(st.lists(likely_records, max_size=4))
def test_records_of_one_answer_are_read_as_each_alone(listed: list[dict[str, Any]]) -> None:
    alone = [read_alone(record) for record in listed]
    together = read(page(*listed))
    assert together[0] == [seen for one in alone for seen in one[0]]
    assert together[1] == [reject for one in alone for reject in one[1]]
