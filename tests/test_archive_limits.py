"""Archive files that unpack into more than they should: bounded in memory, and the rest is read."""

from __future__ import annotations

import gzip
import json
import logging
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl.archive import line as line_module
from etl.archive import lines, packed, polls, read_line

LIMIT = 100_000
GOOD = {
    "v": 1,
    "account": "lab",
    "resource": "instances",
    "started_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T00:00:01Z",
    "pages": [{"code": 0, "data": {"instance_list": [], "total": 0}}],
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LINE_LIMIT", LIMIT)
    monkeypatch.setattr(packed, "SIGHT", 10_000_000)


def line_of(**members: Any) -> bytes:
    return json.dumps({**GOOD, **members}).encode() + b"\n"


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_line_that_is_too_long_costs_no_other(
    tmp_path: Path, packing: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.jsonl"
    long = line_of(pages=[{"a": " " * 5_000_000}])
    path.write_bytes(PACKINGS[packing](line_of() + long + line_of()))
    with caplog.at_level(logging.WARNING, "etl"):
        assert [poll is not None for poll in polls(str(path))] == [True, False, True]
    assert "a line of 4 MB is passed over" in caplog.text
    assert "see where it comes from" in caplog.text


@pytest.mark.parametrize("packing", ["gzip", "xz"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_file_that_unpacks_into_one_endless_line_takes_little_memory(
    tmp_path: Path, packing: str, end: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(PACKINGS[packing](b" " * 50_000_000 + end))
    tracemalloc.start()
    with caplog.at_level(logging.WARNING, "etl"):
        assert list(lines(str(path))) == [None]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15_000_000, "xz itself takes 9 MB"
    assert "has no end after 9 MB" in caplog.text


def test_xz_that_asks_for_much_memory_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.xz"
    huge = [{"id": lzma.FILTER_LZMA2, "dict_size": 2 * packed.UNPACKING_LIMIT}]
    path.write_bytes(lzma.compress(line_of(), filters=huge))
    assert list(lines(str(path))) == [None]


def test_a_page_is_no_larger_than_a_live_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "LIMIT_BODY", 200)
    assert read_line(line_of())
    with pytest.raises(ValueError, match="a page of the line is larger than 200 bytes"):
        read_line(line_of(pages=[{"code": 0, "data": "x" * 200}]))


@pytest.mark.parametrize("value", [[0] * 200, [{}] * 200, [[]] * 200])
def test_a_long_line_of_nothing_but_commas_is_not_taken_apart(
    monkeypatch: pytest.MonkeyPatch, value: list[Any]
) -> None:
    monkeypatch.setattr(line_module, "LIMIT_PAGES", 100)
    with pytest.raises(ValueError, match="more than 100 pages"):
        read_line(line_of(pages=value))
    monkeypatch.setattr(line_module, "LONG", 200)
    with pytest.raises(ValueError, match="nothing but short values"):
        read_line(line_of(pages=value))
    monkeypatch.setattr(line_module, "LONG", 10_000)
    monkeypatch.setattr(line_module, "LIMIT_BODY", 200)
    with pytest.raises(ValueError, match="not strict JSON"):
        read_line(line_of().replace(b'"v": 1', b'"v": NaN') + b" " * 200)
