"""Archived polls of any origin, applied in time order."""

from __future__ import annotations

import gzip
import io
import json
import logging
import lzma
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from etl import replay
from etl.dialect import Database
from etl.errors import Busy, SettingsError
from etl.history.days import iso
from etl.simcloud import T0, Story
from etl.store import Store
from tests.live import applied
from tests.support import ACCOUNT, apply, dump, poll_of, poll_story, rows


def line(started_at: int, *bodies: bytes, account: str = "lab", **more: Any) -> bytes:
    members = {
        "v": 1,
        "account": account,
        "resource": "instances",
        "started_at": iso(started_at),
        "finished_at": iso(started_at + 1),
        **({} if more.get("same") else {"pages": [json.loads(body) for body in bodies]}),
        **more,
    }
    return json.dumps(members).encode() + b"\n"


Pack = Callable[[bytes], bytes]
PACKS: tuple[Pack, ...] = (bytes, gzip.compress, lzma.compress)


def written(path: Path, *lines: bytes, pack: Pack = bytes) -> str:
    path.write_bytes(pack(b"".join(lines)))
    return str(path)


@pytest.mark.parametrize("pack", PACKS)
def test_lines_made_by_other_means_are_judged_by_their_pages(
    database: Database, tmp_path: Path, pack: Pack
) -> None:
    cloud = Story()
    cloud.rents_many(3)
    whole = [cloud.body(1, 2), cloud.body(2, 2)]
    path = written(
        tmp_path / "saved",
        line(T0, *whole),
        line(T0 + 60, whole[0]),
        line(T0 + 120, *whole),
        pack=pack,
    )
    assert replay.replay(database, [path]).applied == 3
    assert [run["outcome"] for run in applied(database)] == ["complete", "partial", "complete"]
    notes = rows(database, "SELECT error FROM sync_run WHERE outcome = 'partial'")
    assert notes == [("2 distinct identities, but the total is 3",)]


def test_a_poll_of_two_walks_stands_for_no_listing_and_one_with_a_page_that_is_none_is_not_whole(
    database: Database, tmp_path: Path
) -> None:
    """Though they were whole to the program that made them."""
    cloud = Story()
    cloud.rents_many(3)
    pages = [json.loads(cloud.body(n, 2)) for n in (1, 2)]
    odd = [*pages, {"code": 0, "data": None}]
    path = written(
        tmp_path / "saved",
        line(T0, *(cloud.body(n, 2) for n in (1, 2)), complete=True),
        line(T0 + 60, complete=True, walks=[pages, pages]).replace(b'"pages": [], ', b""),
        line(T0 + 120, complete=True, pages=odd),
    )
    assert replay.replay(database, [path]).applied == 3
    found = rows(database, "SELECT outcome, digest IS NULL FROM sync_run ORDER BY started_at")
    assert [(outcome, bool(without)) for outcome, without in found] == [
        ("complete", False),
        ("complete", True),
        ("partial", True),
    ]


def test_a_saved_answer_that_is_a_failure_never_retires_anything(
    database: Database, tmp_path: Path
) -> None:
    cloud = Story()
    cloud.rents_many(3)
    failure = b'{"code":1001,"msg":"busy","data":{"instance_list":[],"total":0}}'
    lines = [line(T0, cloud.body())]
    lines += [line(T0 + 60 * n, failure) for n in (1, 2, 3)]
    lines += [line(T0 + 300, cloud.body(), b'{"code":"1001","data":null}')]
    tally = replay.replay(database, [written(tmp_path / "saved", *lines)])
    assert (tally.applied, tally.damaged) == (2, 3)
    assert rows(database, "SELECT count(*) FROM instance WHERE missing_since IS NOT NULL") == [(0,)]
    assert applied(database)[-1]["outcome"] == "partial"


def test_a_line_with_a_page_that_is_no_listing_stops_nothing(
    database: Database, tmp_path: Path
) -> None:
    cloud = Story()
    cloud.rents()
    path = written(
        tmp_path / "saved",
        line(T0, b"5", complete=True),
        line(T0 + 60, cloud.body(), b'{"code":0,"data":{"other":[]}}', complete=True),
        line(T0 + 120, cloud.body()),
        line(T0 + 180, cloud.body(), resource="weather"),
        b"what?\n",
        b"\n",
    )
    tally = replay.replay(database, [path])
    assert (tally.applied, tally.damaged) == (2, 3)
    assert [run["outcome"] for run in applied(database)] == ["partial", "complete"]


def test_a_torn_end_is_said_and_skipped(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Story()
    cloud.rents()
    first, second = line(T0, cloud.body()), line(T0 + 60, cloud.body())
    for pack in PACKS:
        packed = pack is not bytes
        for size in range(0, len(second) - 2, 97):
            content = pack(first + second[:size])
            path = tmp_path / "torn"
            path.write_bytes(content[: len(content) - 3 * packed])
            with caplog.at_level(logging.WARNING, "etl"):
                tally = replay.replay(database, [str(path)])
            assert tally.applied + tally.skipped in ((0, 1) if packed else (1,))
            assert tally.damaged == (1 if packed or size else 0)
    assert "torn" in caplog.text


def test_pages_of_the_line_before_are_those_of_its_own_file(
    fresh_database: Callable[[], Database], tmp_path: Path
) -> None:
    """Two machines took turns, each with an archive of its own."""
    cloud = Story()
    cloud.rents()
    body = cloud.body()
    cloud.rents()
    here = written(tmp_path / "here", line(T0, body), line(T0 + 120, same=True))
    there = written(tmp_path / "there", line(T0 + 60, cloud.body()), line(T0 + 180, same=True))
    database = fresh_database()
    assert replay.replay(database, [there, here]).applied == 4
    assert [run["listed"] for run in applied(database)] == [1, 2, 1, 2]


def test_what_stands_for_a_lost_line_is_skipped_until_the_next_whole_one(
    database: Database, tmp_path: Path
) -> None:
    cloud = Story()
    cloud.rents()
    body = cloud.body()
    other = poll_line_of(cloud, "other")
    path = written(
        tmp_path / "saved",
        line(T0, body),
        b'{"v":1,"acc\n',
        other,
        line(T0 + 120, same=True),
        line(T0 + 180, body),
        line(T0 + 240, same=True),
    )
    tally = replay.replay(database, [path])
    assert (tally.applied, tally.damaged) == (4, 2)


def test_polls_in_the_future_are_refused_and_the_rest_is_applied(
    tmp_path: Path, database: Database
) -> None:
    """First in its file, such a line would hold back those that follow until their time had passed."""
    cloud = Story()
    cloud.rents()
    body = cloud.body()
    first = written(tmp_path / "a", line(T0, body), line(T0 + 2 * 86_400, same=True))
    second = written(
        tmp_path / "b",
        line(T0 + 86_461, body),
        line(T0 + 60, same=True),
        line(T0 + 180, same=True),
    )
    third = written(tmp_path / "c", line(T0 + 120, body))
    tally = replay.replay(database, [first, second, third], now=T0 + 150)
    future = {(ACCOUNT, "instances"): [T0 + 2 * 86_400, T0 + 86_461]}
    assert (tally.applied, tally.skipped) == (4, 0)
    assert {key: sorted(starts, reverse=True) for key, starts in tally.future.items()} == future
    newest = "SELECT MAX(started_at) FROM sync_run WHERE outcome = 'complete'"
    assert rows(database, newest) == [(iso(T0 + 180),)]
    refused = "SELECT started_at, error_kind, error FROM sync_run WHERE outcome = 'failed'"
    why = f"2 archived polls lie in the future, the first at {iso(T0 + 86_461)}"
    assert rows(database, refused) == [(iso(T0 + 150), "clock", why)]


def poll_line_of(cloud: Story, account: str) -> bytes:
    return line(T0 + 60, cloud.body(), account=account)


@pytest.mark.parametrize(
    "packs", [(bytes,), (gzip.compress,), (lzma.compress,), (lzma.compress, gzip.compress)]
)
def test_standard_input_with_many_accounts_interleaved_is_replayed(
    database: Database, monkeypatch: pytest.MonkeyPatch, packs: tuple[Pack, ...]
) -> None:
    names = [f"account {n}" for n in range(25)]
    clouds = [Story() for _ in names]
    lines = []
    for minute in range(3):
        for name, cloud in zip(names, clouds, strict=True):
            cloud.rents()
            lines.append(line(T0 + 60 * minute, cloud.body(), account=name))
    content = b"".join(pack(line) for pack, line in zip(cycle(packs), lines, strict=False))
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", stdin)
    tally = replay.replay(database, ["-"])
    assert (tally.applied, tally.skipped, tally.damaged) == (75, 0, 0)
    found = rows(database, "SELECT name, count(*) FROM account a JOIN instance USING (account_id)"
                 " GROUP BY name ORDER BY name")  # fmt: skip
    assert found == [(name, 3) for name in sorted(names)]


def test_polls_not_newer_than_the_newest_applied_are_skipped_and_counted(
    database: Database, tmp_path: Path
) -> None:
    cloud = Story()
    cloud.rents()
    bodies = line(T0, cloud.body()), line(T0 + 60, cloud.body()), line(T0 + 90, cloud.body())
    apply(database, poll_of([cloud.body()], T0 + 60))
    tally = replay.replay(database, [written(tmp_path / "x", *bodies)])
    assert (tally.applied, tally.skipped) == (1, 2)


def test_files_are_read_in_time_order_whatever_the_order_of_their_names(
    database: Database, tmp_path: Path
) -> None:
    cloud = Story()
    paths = []
    for day in range(4):
        cloud.rents()
        paths.append(written(tmp_path / f"{9 - day}", line(cloud.now, cloud.body())))
        cloud.passes(days=1)
    assert replay.replay(database, paths[::-1]).applied == 4
    assert [run["added"] for run in applied(database)] == [1, 1, 1, 1]


def test_a_missing_file_and_a_locked_account_are_our_errors(
    database: Database, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        replay.replay(database, [str(tmp_path / "nothing")])
    path = written(tmp_path / "x", line(T0, Story().body()))
    with Store(database, "lab").account_lock(), pytest.raises(Busy):
        replay.replay(database, [path])
    assert applied(database) == []


def test_a_replayed_poll_is_applied_by_the_same_path_as_a_live_one(
    fresh_database: Callable[[], Database], tmp_path: Path
) -> None:
    cloud = Story()
    a = cloud.rents()
    one, two = fresh_database(), fresh_database()
    lines = []
    for minute in range(4):
        apply(one, poll_story(cloud))
        lines.append(line(cloud.now, cloud.body()))
        cloud.passes(minutes=5)
        if minute == 1:
            cloud.stops(a)
    replay.replay(two, [written(tmp_path / "x", *lines)])
    assert dump(two) == dump(one)
