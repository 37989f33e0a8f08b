"""The files of an archive: whole lines, whatever happens to the last one."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.archive import Archive, lines, read_line
from etl.errors import ArchiveError
from etl.poll import LastPoll, Poll
from etl.resources import INSTANCES
from etl.simcloud import T0, Story
from tests.live import flushed_by
from tests.support import poll_of, poll_story

DAY = 86_400


def last_of(poll: Poll) -> LastPoll:
    return LastPoll(poll.started_at, poll.finished_at, "d", poll.listed, poll.reported_total)


def unchanged(poll: Poll, started_at: int) -> Poll:
    return Poll(
        account=poll.account,
        resource=poll.resource,
        started_at=started_at,
        finished_at=started_at + 1,
        complete=True,
        walks=poll.walks,
        unchanged=True,
        listed=poll.listed,
    )


class Kept:
    """An archive, and the polls given to it as a database would apply them."""

    def __init__(self, folder: Path, account: str = "lab") -> None:
        self.folder = folder
        self.archive = Archive(folder, account, INSTANCES)
        self.last: LastPoll | None = None

    def keeps(self, *polls: Poll) -> None:
        for poll in polls:
            self.archive.append(poll, self.last)
            self.last = last_of(poll)

    def starts_anew(self) -> None:
        """As another process would."""
        self.archive = Archive(self.folder, "lab", INSTANCES)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl.?z"))

    def raw(self) -> list[dict[str, Any]]:
        return [json.loads(line) for file in self.files for line in lines(str(file)) if line]

    def starts(self) -> list[int]:
        """The polls that a reader of the files finds."""
        found = [line for file in self.files for line in lines(str(file))]
        return [read_line(line).started_at for line in found if line is not None]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "polls")


@pytest.fixture
def cloud() -> Story:
    story = Story()
    story.rents(starts=False)
    return story


def test_polls_go_into_one_file_a_day_for_their_owner_only(kept: Kept, cloud: Story) -> None:
    kept.keeps(poll_story(cloud))
    cloud.passes(hours=23)
    kept.keeps(poll_story(cloud))
    cloud.passes(hours=1)
    kept.keeps(poll_story(cloud))
    assert [file.name for file in kept.files] == [
        "lab.instances.2026-01-01.jsonl.gz",
        "lab.instances.2026-01-02.jsonl.gz",
    ]
    assert kept.starts() == [T0, T0 + 23 * 3600, T0 + DAY]
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in kept.folder.iterdir()} == {0o600}


def test_an_unchanged_poll_is_a_short_line_unless_it_is_the_first_of_a_day(
    kept: Kept, cloud: Story
) -> None:
    first = poll_story(cloud)
    kept.keeps(first, unchanged(first, T0 + 60), unchanged(first, T0 + DAY))
    assert [line.get("same", False) for line in kept.raw()] == [False, True, False]
    assert "pages" not in kept.raw()[1]


def test_an_unchanged_poll_is_whole_where_another_program_applied_one_in_between(
    kept: Kept, cloud: Story
) -> None:
    first = poll_story(cloud)
    kept.keeps(first)
    kept.last = last_of(unchanged(first, T0 + 30))
    kept.keeps(unchanged(first, T0 + 60))
    assert "pages" in kept.raw()[1]


@pytest.fixture
def day(kept: Kept, cloud: Story) -> Kept:
    """A day of three polls, the last of which the database did not get."""
    for hour in range(3):
        kept.keeps(poll_story(cloud))
        kept.last = last_of(poll_of([cloud.body()], T0 + 3600 * min(hour, 1)))
        cloud.renames("inst_00000000-0000-4000-8000-000000000001", f"title {hour}")
        cloud.passes(hours=1)
    return kept


def test_the_poll_that_the_database_did_not_get_is_found(day: Kept) -> None:
    assert day.last is not None
    (left,) = day.archive.unapplied(day.last)
    assert left.started_at == T0 + 7200
    assert left.walks is not None
    assert list(day.archive.unapplied(last_of(poll_of([], T0 + 7200)))) == []


def test_a_poll_without_pages_is_found_with_the_pages_that_it_stands_for(
    kept: Kept, cloud: Story
) -> None:
    first = poll_story(cloud)
    kept.keeps(first, unchanged(first, T0 + 60), unchanged(first, T0 + 120))
    *_, left = kept.archive.unapplied(None)
    assert left.started_at == T0 + 120
    assert left.walks is not None
    assert INSTANCES.read(left.walks[0][0].body) == INSTANCES.read(cloud.body())


def tail_of(kept: Kept) -> Path:
    file = kept.files[0]
    return file.with_name(f".{file.name}.tail")


def torn_at(day: Kept, size: int, *, with_tail: bool) -> None:
    file = day.files[0]
    with file.open("r+b") as opened:
        opened.truncate(size)
    if not with_tail:
        tail_of(day).unlink()


@pytest.mark.parametrize("with_tail", [True, False])
def test_a_line_torn_at_any_byte_costs_only_itself(
    day: Kept,
    cloud: Story,
    with_tail: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    whole = day.files[0].read_bytes()
    tail_file = tail_of(day)
    tail = tail_file.read_bytes()
    begins = json.loads(tail)["last_at"]
    after = poll_story(cloud)
    for size in range(begins, len(whole)):
        day.files[0].write_bytes(whole)
        tail_file.write_bytes(tail)
        torn_at(day, size, with_tail=with_tail)
        day.starts_anew()
        caplog.clear()
        assert day.starts() in ([T0, T0 + 3600], [T0, T0 + 3600, T0 + 7200])
        assert list(day.archive.unapplied(last_of(poll_of([], T0 + 3600)))) == []
        assert ("torn" in caplog.text) == (size > begins)
        day.archive.append(after, day.last)
        assert day.starts() == [T0, T0 + 3600, T0 + 10_800]


def test_a_file_that_lost_its_tail_loses_no_poll(day: Kept, cloud: Story) -> None:
    tail_of(day).unlink()
    (left,) = day.archive.unapplied(day.last)
    assert left.started_at == T0 + 7200
    tail_of(day).unlink(missing_ok=True)
    day.archive.append(poll_story(cloud), day.last)
    assert day.starts() == [T0, T0 + 3600, T0 + 7200, T0 + 10_800]


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING, "etl"):
        yield


def refused(*_: object) -> None:
    raise OSError(errno.EIO, "refused")


@pytest.mark.parametrize("is_first", [True, False], ids=["new file", "grown file"])
def test_a_poll_whose_line_is_refused_is_not_found_later(
    kept: Kept, cloud: Story, is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded as failed, and a replay would have a poll that the database has not."""
    if not is_first:
        kept.keeps(poll_story(cloud))
        cloud.passes(hours=1)
    before = kept.raw()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refused)
        with pytest.raises(ArchiveError, match="cannot be read or written"):
            kept.archive.append(poll_story(cloud), kept.last)
    assert kept.raw() == before
    assert list(kept.archive.unapplied(kept.last)) == []


def test_a_poll_is_kept_even_if_its_tail_is_refused(
    day: Kept, cloud: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line is on disk: to call it failed would be wrong."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        day.archive.append(poll_story(cloud), last_of(poll_of([], T0 + 7200)))
    day.starts_anew()
    (left,) = day.archive.unapplied(last_of(poll_of([], T0 + 7200)))
    assert left.started_at == cloud.now
    cloud.passes(hours=1)
    day.archive.append(poll_story(cloud), last_of(poll_of([], T0 + 10_800)))
    assert day.starts() == [T0 + 3600 * hour for hour in range(5)]


def test_the_name_of_a_file_whose_first_line_was_refused_is_on_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path / "polls")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refused)
        with pytest.raises(ArchiveError):
            kept.keeps(poll_story(Story()))
    flushed = flushed_by(monkeypatch)
    kept.keeps(poll_story(Story()))
    assert kept.folder.stat().st_ino in flushed


def test_a_line_for_which_there_is_no_room_leaves_the_file_as_it_was(
    day: Kept, cloud: Story
) -> None:
    """Even if there is room again when the file is closed."""
    (file,), limits = day.files, resource.getrlimit(resource.RLIMIT_FSIZE)
    before = file.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 60, limits[1]))
    try:
        with pytest.raises(ArchiveError):
            day.archive.append(poll_story(cloud), day.last)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before


def test_an_account_whose_name_is_part_of_another_has_its_own_files(
    tmp_path: Path, cloud: Story
) -> None:
    short, long = Kept(tmp_path, "a"), Kept(tmp_path, "a.instances.2026")
    long.keeps(poll_story(cloud))
    assert list(short.archive.unapplied(None)) == []


@pytest.mark.parametrize(
    "account", ["实验室" * 30, "../up", "a/b", "*", ".", "x" * 100, "😀" * 100], ids=range(7)
)
def test_any_account_name_is_a_file_below_the_folder(
    tmp_path: Path, cloud: Story, account: str
) -> None:
    kept = Kept(tmp_path / "deep", account)
    kept.keeps(poll_of([cloud.body()], T0, account=account))
    (file,) = kept.files
    assert file.parent == tmp_path / "deep"
    (left,) = kept.archive.unapplied(None)
    assert left.account == account


def test_all_that_came_after_an_older_database_is_found_in_order(kept: Kept, cloud: Story) -> None:
    """As after the restore of a backup; some days are packed, one of them is damaged in its middle."""
    first = poll_story(cloud)
    starts = [T0 + hours * 3600 for hours in (0, 1, 23, 24, 30, 49)]
    kept.keeps(first, *(unchanged(first, at) for at in starts[1:]))
    kept.archive.pack()
    for newest, missing in ((None, starts), (T0, starts[1:]), (T0 + 86_400, starts[4:])):
        last = None if newest is None else last_of(poll_of([], newest))
        found = list(kept.archive.unapplied(last))
        assert [poll.started_at for poll in found] == missing
        assert all(poll.walks for poll in found)


def test_a_folder_belongs_to_one_database(kept: Kept, cloud: Story) -> None:
    for _ in range(2):
        kept.archive.claim("one")
    kept.keeps(poll_story(cloud))
    with pytest.raises(ArchiveError, match="another database") as caught:
        kept.archive.claim("two")
    assert str(kept.folder) in caught.value.message
    assert len(kept.starts()) == 1
    (kept.folder / ".database.json").write_bytes(b"")  # killed at its making
    kept.archive.claim("two")
    with pytest.raises(ArchiveError):
        kept.archive.claim("one")


def test_the_name_of_a_new_file_is_on_disk_before_the_database_counts_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut the database would have a poll that no replay finds."""
    kept, flushed = Kept(tmp_path / "polls"), flushed_by(monkeypatch)
    kept.keeps(poll_story(Story()))
    file = next(kept.folder.glob("*.gz"))
    written = flushed.index(file.stat().st_ino)
    assert {kept.folder.stat().st_ino, tmp_path.stat().st_ino} <= set(flushed[written:])
    flushed.clear()
    kept.keeps(poll_story(Story(T0 + 60)))
    assert kept.folder.stat().st_ino not in flushed, "its name is there already"
