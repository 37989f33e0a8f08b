"""What an archive has and the database lacks: applied before the next poll, if its time has passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from etl.archive import Archive
from etl.errors import ClockUnsure
from etl.poll import Poll
from etl.repair import repair
from etl.replay import replay
from etl.resources import INSTANCES
from etl.simcloud import Story
from tests.conftest import FreshDatabase
from tests.live import Live, Living, living
from tests.support import ACCOUNT, poll_story, rows


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def lab(live: Living, tmp_path: Path) -> Live:
    made = live(Story(), archive=tmp_path / "archive")
    made.cloud.rents_many(2)
    made.polls(minutes=5)
    return made


def archived(lab: Live, *polls: Poll) -> Archive:
    """Lines that the database lacks, as a sync leaves them that is killed before its commit."""
    assert lab.app.settings.archive is not None
    archive = Archive(lab.app.settings.archive, ACCOUNT, INSTANCES)
    for poll in polls:
        archive.append(poll, None)
    return archive


def without_archive(lab: Live) -> None:
    lab.app.settings = replace(lab.app.settings, archive=None)


def kinds(lab: Live) -> list[str]:
    found = rows(lab.database, "SELECT outcome, error_kind FROM sync_run ORDER BY sync_run_id")
    return [kind or outcome for outcome, kind in found]


def test_a_line_that_a_killed_sync_left_is_applied_by_a_sync_without_an_archive(
    lab: Live, fresh_database: FreshDatabase
) -> None:
    """A run that only this line has seen is in the database, and a replay gives the same."""
    folder = lab.app.settings.archive
    assert folder is not None
    born = lab.cloud.rents(title="short")
    lab.cloud.passes(minutes=5)
    archived(lab, poll_story(lab.cloud))
    lab.cloud.destroys(born)
    without_archive(lab)
    assert lab.polls(minutes=5).exit_code == 0
    titles = "SELECT title FROM instance WHERE title = 'short'"
    assert rows(lab.database, titles) == [("short",)]
    again = fresh_database()
    replay(again, map(str, folder.glob("*.jsonl.gz")))
    versions = "SELECT instance_uuid, version, first_seen_at FROM instance_history ORDER BY 1, 2"
    assert rows(again, versions) == rows(lab.database, versions)


def test_an_archive_that_is_away_or_another_databases_keeps_no_sync_from_its_poll(
    lab: Live, tmp_path: Path
) -> None:
    folder = lab.app.settings.archive
    assert folder is not None
    without_archive(lab)
    (folder / ".database.json").write_text('{"database_id": "other"}')
    assert lab.polls(minutes=5).exit_code == 0
    folder.rename(tmp_path / "away")
    assert lab.polls(minutes=5).exit_code == 0
    folder.write_text("a file")
    assert lab.polls(minutes=5).exit_code == 0


def test_a_folder_is_remembered_once(lab: Live) -> None:
    for _ in range(2):
        lab.polls(minutes=5)
    with lab.app.store(ACCOUNT).reading() as known:
        assert known.archive_folders() == [lab.app.settings.archive]


def test_archived_polls_of_the_future_stop_the_poll_until_they_are_set_aside(lab: Live) -> None:
    """What came before them is applied; polled first, that would be lost."""
    right = poll_story(lab.cloud)
    lab.cloud.passes(minutes=5)
    right = poll_story(lab.cloud)
    wrong = replace(
        right, started_at=right.started_at + 7_200, finished_at=right.finished_at + 7_200
    )
    archive = archived(lab, right, wrong)
    result = lab.polls(minutes=5)
    assert isinstance(result.error, ClockUnsure)
    assert "lies in the future" in result.error.message
    assert "db repair-clock" in str(result.error.advice)
    assert kinds(lab) == ["complete", "complete", "clock"]
    found, _ = repair(lab.database, lab.app.now(), lab.app.archives(), dry_run=True)
    assert [(each.archived, each.redating.dates) for each in found] == [(1, [])]
    assert "clock" in str(lab.polls(minutes=1).error and kinds(lab)[-1])
    repair(lab.database, lab.app.now(), lab.app.archives())
    assert archive.count_after(lab.app.now()) == 0
    assert lab.polls(minutes=1).exit_code == 0
    assert lab.polls(minutes=300).exit_code == 0


def test_a_clock_that_is_behind_costs_no_archived_poll(lab: Live) -> None:
    """A machine without a battery for its clock, and a backup that was restored."""
    lab.polls(minutes=5)
    waiting = []
    for _ in range(3):
        lab.cloud.passes(minutes=5)
        waiting.append(poll_story(lab.cloud))
    archived(lab, *waiting)
    lab.app._steady.clear()
    lab.off_s = -3 * 86_400.0
    assert isinstance(lab.polls(minutes=5).error, ClockUnsure)
    lab.off_s = 0
    assert lab.polls(minutes=5).exit_code == 0
    assert kinds(lab) == [*["complete"] * 2, "clock", *["complete"] * 4]
