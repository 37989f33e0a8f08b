"""Secrets out, all else left; and a redacted answer says what the whole one said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.redact import redact, redact_urls
from etl.resources.instances import read
from etl.resources.listing import parse
from etl.simcloud import LEAK_MARK, Story
from tests.odd_records import page, records, values

urls = st.text(st.sampled_from("a:/?#@ &=.<>\"'训\n"), max_size=30).map(lambda t: f"https://{t}")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "ssh_password",
        "PASSWORD",
        "pwd",
        "passphrase",
        "secret",
        "clientSecret",
        "token",
        "access_token",
        "tokens",
        "credentials",
        "Authorization",
        "cookie",
        "api_key",
        "apikey",
        "accessKey",
        "private_key",
        "key",
    ],
)
@pytest.mark.parametrize("value", ["S3CRET", 5, ["S3CRET"], {"x": "S3CRET"}])
def test_a_member_with_a_secrets_name_is_dropped(name: str, value: Any) -> None:
    assert redact({"a": [{name: value, "kept": 1}]}) == {"a": [{"kept": 1}]}


@pytest.mark.parametrize("name", ["keyboard", "monkey", "username", "gpu_name", "hint", "title"])
def test_a_member_with_another_name_is_kept(name: str) -> None:
    assert redact({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://h/lab?token=S3CRET", "https://h/lab"),
        ("https://h/lab#S3CRET", "https://h/lab"),
        ("https://me:S3CRET@h:80/x", "https://h:80/x"),
        ("https://S3CRET@h", "https://h"),
        ("ssh://root:S3@CRET@h:22", "ssh://h:22"),
        ("HTTPS://h?S3CRET", "HTTPS://h"),
        ("see https://h/a?S3CRET and http://i/b?S3CRET!", "see https://h/a and http://i/b"),
        ("https://h/a@b/c", "https://h/a@b/c"),
        ("https://h/plain", "https://h/plain"),
        ("no url? at all", "no url? at all"),
    ],
)
def test_urls_lose_query_fragment_and_user_info(url: str, kept: str) -> None:
    assert redact_urls(url) == kept
    assert redact([url, {"url": url}]) == [kept, {"url": kept}]


@pytest.mark.parametrize(
    ("number", "kept"), [("6222020000001234", "1234"), (6222020000001234, "1234"), ("12", "12")]
)
def test_of_a_card_number_the_last_four_remain(number: Any, kept: str) -> None:
    assert redact({"card_no": number}) == {"card_no": kept}


@pytest.mark.parametrize("name", ["title", "remark", "image_name", "instance_uuid"])
def test_what_the_user_wrote_and_what_is_compared_is_left(name: str) -> None:
    wrote = {name: "see https://wiki/x?page=1"}
    assert redact(wrote) == wrote


@given(values)
def test_redacting_twice_is_redacting_once(value: Any) -> None:
    once = json.dumps(redact(value))
    assert json.dumps(redact(redact(value))) == once


@given(urls)
def test_redacting_urls_twice_is_redacting_once(url: str) -> None:
    assert redact_urls(redact_urls(url)) == redact_urls(url)


@given(urls.filter(lambda url: url.isprintable()))
def test_no_query_or_user_info_is_left_in_a_url(url: str) -> None:
    for word in redact_urls(url).split():
        if word.startswith("https://"):
            authority = word.removeprefix("https://").partition("/")[0]
            assert "@" not in authority.partition("<")[0].partition('"')[0].partition("'")[0]


@given(values)
def test_what_is_given_is_not_changed(value: Any) -> None:
    before = json.dumps(value)
    redact(value)
    assert json.dumps(value) == before


def read_redacted(body: bytes) -> Any:
    """What an archived answer is read as."""
    return read(json.dumps(redact(parse(body))).encode())


def without_secrets_alone(record: dict[str, Any]) -> dict[str, Any]:
    """The record, but for what is unknown in it and holds nothing but secrets."""
    timer = record.get("shutdown_regular")
    if isinstance(timer, dict):
        timer = {k: v for k, v in timer.items() if k in redact(timer)}
        record = {**record, "shutdown_regular": timer}
    return {k: v for k, v in record.items() if k in redact(record)}


@given(st.lists(records.map(without_secrets_alone), max_size=3))
def test_reading_a_redacted_page_gives_the_same(listed: list[dict[str, Any]]) -> None:
    body = page(*listed)
    assert read_redacted(body) == read(body)


@pytest.mark.parametrize("unknown", [{"token": "S3CRET"}, {"shutdown_regular": {"token": 1}}])
def test_unknown_secrets_alone_are_nothing_extra(unknown: dict[str, Any]) -> None:
    body = page({"instance_uuid": "a", "status": 2, **unknown})
    assert read_redacted(body) == read(body)


def test_the_secrets_of_a_whole_fleet_are_gone() -> None:
    cloud = Story()
    cloud.rents_many(5)
    assert LEAK_MARK in cloud.body().decode()
    assert LEAK_MARK not in json.dumps(redact(cloud.page()))
    seen, rejects = read(cloud.body())
    assert LEAK_MARK not in f"{seen}{rejects}"
