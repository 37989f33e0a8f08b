"""Finished days of an archive, packed small: nothing is lost on the way, whatever happens."""

from __future__ import annotations

import logging
import lzma
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from etl.archive import lines, read_line
from etl.simcloud import T0, Story
from tests.support import poll_story
from tests.test_archive_files import DAY, Kept, last_of, refused, unchanged


@pytest.fixture
def cloud() -> Story:
    story = Story()
    story.rents_many(20)
    return story


@pytest.fixture
def day(tmp_path: Path, cloud: Story) -> Kept:
    """A finished day of four polls, not packed yet, and the first poll of the next day."""
    kept = Kept(tmp_path / "polls")
    for hour in range(4):
        kept.keeps(poll_story(cloud))
        cloud.renames("inst_00000000-0000-4000-8000-000000000001", f"title {hour}")
        cloud.passes(hours=1)
    cloud.passes(hours=20)
    kept.keeps(poll_story(cloud))
    return kept


HOURS = [T0, T0 + 3600, T0 + 7200, T0 + 10_800]


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING, "etl"):
        yield


def names(kept: Kept) -> list[str]:
    return [file.name.removeprefix("lab.instances.") for file in kept.files]


def test_a_finished_day_is_packed_small_and_says_the_same(day: Kept) -> None:
    loose, said = day.files[0].stat().st_size, day.raw()
    assert names(day) == ["2026-01-01.jsonl.gz", "2026-01-02.jsonl.gz"]
    day.archive.pack()
    assert names(day) == ["2026-01-01.jsonl.xz", "2026-01-02.jsonl.gz"]
    assert day.files[0].stat().st_size < loose / 3
    assert day.raw() == said
    (tail,) = day.folder.glob(".*")
    assert tail.name == f".{day.files[1].name}.tail"
    assert {stat.S_IMODE(file.stat().st_mode) for file in day.folder.iterdir()} == {0o600}


def test_a_day_that_is_not_over_is_not_packed(tmp_path: Path, cloud: Story) -> None:
    kept = Kept(tmp_path / "polls")
    kept.keeps(poll_story(cloud))
    kept.archive.pack()
    assert names(kept) == ["2026-01-01.jsonl.gz"]


def test_any_packer_reads_what_was_packed(day: Kept) -> None:
    day.archive.pack()
    assert lzma.decompress(day.files[0].read_bytes()).count(b"\n") == 4


class Killed(BaseException):
    """What no code of ours catches."""


def killed_at(number: int, patch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """The step on disk with this number is not done. Tells whether it came to that."""
    steps = iter(range(number + 1))

    def dies_in_time(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            if next(steps, None) == number:
                raise Killed
            return step(*args, **named)

        return run

    for home, name in ((os, "replace"), (os, "fsync"), (shutil, "copyfileobj"), (Path, "unlink")):
        patch.setattr(home, name, dies_in_time(getattr(home, name)))
    return lambda: next(steps, None) is None


@pytest.mark.parametrize("was_packed", [False, True])
def test_a_sync_killed_at_any_step_of_packing_loses_and_doubles_nothing(
    day: Kept, cloud: Story, was_packed: bool
) -> None:
    if was_packed:
        day.archive.pack()
        day.archive.append(unchanged(poll_story(cloud), HOURS[-1] + 60), day.last)
    polls = sorted(day.starts())
    keep = day.folder.with_name("keep")
    shutil.copytree(day.folder, keep)
    for number in range(99):
        shutil.rmtree(day.folder)
        shutil.copytree(keep, day.folder)
        with pytest.MonkeyPatch.context() as patch:
            died = killed_at(number, patch)
            with suppress(Killed):
                day.archive.pack()
            came_to_that = died()
        assert sorted(set(day.starts())) == polls
        day.starts_anew()
        day.archive.pack()
        assert sorted(day.starts()) == polls
        assert names(day) == ["2026-01-01.jsonl.xz", "2026-01-02.jsonl.gz"]
        assert len(list(day.folder.iterdir())) == 3
        if not came_to_that:
            break
    assert number > 5


def test_a_poll_of_a_day_that_is_packed_is_packed_after_it(day: Kept, cloud: Story) -> None:
    """The clock was set back, and the newest poll was never applied."""
    day.archive.pack()
    late = unchanged(poll_story(cloud), HOURS[-1] + 60)
    day.archive.append(late, day.last)
    assert names(day) == ["2026-01-01.jsonl.gz", "2026-01-01.jsonl.xz", "2026-01-02.jsonl.gz"]
    assert sorted(day.starts()) == [*HOURS, late.started_at, T0 + DAY]
    day.archive.pack()
    assert names(day) == ["2026-01-01.jsonl.xz", "2026-01-02.jsonl.gz"]
    assert day.starts() == [*HOURS, late.started_at, T0 + DAY]
    assert stat.S_IMODE(day.files[0].stat().st_mode) == 0o600


def test_what_came_late_for_a_packed_day_is_the_newest_of_it(day: Kept, cloud: Story) -> None:
    day.archive.pack()
    day.files[-1].unlink()
    day.archive.append(unchanged(poll_story(cloud), HOURS[-1] + 60), day.last)
    *_, left = day.archive.unapplied(None)
    assert left.started_at == HOURS[-1] + 60


def test_a_poll_that_the_database_did_not_get_is_found_in_a_packed_day(day: Kept) -> None:
    last = last_of(poll_story(Story(now=HOURS[2])))
    day.archive.pack()
    day.files[-1].unlink()
    (left,) = day.archive.unapplied(last)
    assert (left.started_at, left.walks is not None) == (HOURS[3], True)
    assert list(day.archive.unapplied(last_of(poll_story(Story(now=HOURS[3]))))) == []


def readable(path: Path) -> tuple[list[int], bool]:
    """The polls of a file, and whether it is whole."""
    found = list(lines(str(path)))
    return [read_line(line).started_at for line in found if line is not None], None not in found


def test_a_packed_day_torn_at_any_byte_is_never_fatal_and_never_taken_for_whole(
    day: Kept, cloud: Story
) -> None:
    day.archive.pack()
    day.archive.append(unchanged(poll_story(cloud), HOURS[-1] + 60), day.last)
    first = day.files[1].stat().st_size
    day.archive.pack()
    whole = day.files[0].read_bytes()
    for size in [*range(1, len(whole), 7), first + 1, first + 5, len(whole) - 1]:
        day.files[0].write_bytes(whole[:size])
        polls, is_whole = readable(day.files[0])
        assert is_whole == (size == first)
        assert polls == [*HOURS, HOURS[-1] + 60][: len(polls)]
        assert size < first or polls[:4] == HOURS


def test_a_packed_day_with_a_damaged_byte_is_never_fatal_and_never_taken_for_whole(
    day: Kept, cloud: Story
) -> None:
    day.archive.pack()
    first = day.files[0].stat().st_size
    day.archive.append(unchanged(poll_story(cloud), HOURS[-1] + 60), day.last)
    day.archive.pack()
    whole = day.files[0].read_bytes()
    chance = random.Random(1)
    for at in [*range(2, first, 23), *range(first, first + 12)]:
        damaged = bytearray(whole)
        damaged[at] ^= chance.randrange(1, 256)
        day.files[0].write_bytes(damaged)
        polls, is_whole = readable(day.files[0])
        assert not is_whole
        assert at < first or polls[:4] == HOURS


@pytest.mark.parametrize("which", ["loose", "packed"])
def test_a_damaged_older_day_is_left_as_it_is_and_stops_no_sync(
    day: Kept, cloud: Story, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    if which == "packed":
        day.archive.pack()
        day.archive.append(unchanged(poll_story(cloud), HOURS[-1] + 60), day.last)
    file = day.files[which == "packed"]
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    file.write_bytes(damaged)
    before = names(day)
    day.archive.pack()
    assert "damaged" in caplog.text
    assert names(day) == before
    assert file.read_bytes() == bytes(damaged)
    assert [path.name for path in day.folder.glob(".*")] == [f".{day.files[-1].name}.tail"]
    caplog.clear()
    day.archive.pack()
    assert caplog.text == ""


def test_a_day_that_cannot_be_packed_stops_no_sync_and_takes_no_room(
    day: Kept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(day)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refused)
        day.archive.pack()
    assert "is not packed: refused" in caplog.text
    assert names(day) == before
    assert list(day.folder.glob("*packing*")) == list(day.folder.glob(".*packing*")) == []
    day.archive.pack()
    assert names(day) == ["2026-01-01.jsonl.xz", "2026-01-02.jsonl.gz"]


def test_a_finished_day_with_a_torn_last_line_is_packed_without_it(
    day: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    file = day.files[0]
    file.write_bytes(file.read_bytes()[:-3])
    day.archive.pack()
    assert "torn" in caplog.text
    assert readable(day.files[0]) == (HOURS[:3], True)
    assert names(day) == ["2026-01-01.jsonl.xz", "2026-01-02.jsonl.gz"]
