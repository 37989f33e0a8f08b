"""Live equals replay: an archive gives the tables that the live syncs gave."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from etl import archive, replay
from etl.dialect import Database, open_database
from etl.errors import ArchiveError
from etl.history.days import from_iso
from etl.poll import SKEW_S
from etl.rebuild import differences
from etl.resources import INSTANCES
from etl.simcloud import ANY, T0, Behaviour, Fail, Story
from etl.store import Store
from tests.conftest import _beside, _create
from tests.live import Live, Living, applied, living
from tests.support import dump, rows


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


def told(database: Database) -> dict[str, Any]:
    return dump(database) | {"sync_run": applied(database)}


def files_of(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.jsonl.?z"))


# a simulated day


def something_happens(cloud: Story, dice: Random) -> None:
    """One event in the life of some instance."""
    alive = [life for life in cloud.fleet.lives if life.exists(cloud.now)]
    name = dice.choice(alive).instance_uuid if alive else cloud.rents()
    life = cloud.life(name)
    if dice.random() < 0.2:
        cloud.rents(gpus=dice.randint(1, 8), boot_s=dice.choice([0, 400]), title="新的")
    elif dice.random() < 0.1:
        cloud.destroys(name)
    elif dice.random() < 0.15:
        cloud.hides(name)
    elif dice.random() < 0.3:
        cloud.shows(name)
    elif dice.random() < 0.15:
        cloud.breaks_record(name, nameless=dice.random() < 0.3)
    elif dice.random() < 0.3:
        cloud.mends_record(name)
    elif dice.random() < 0.2:
        cloud.renames(name, dice.choice(["a\x00b", "\ud83d", "plain", ""]))
    elif dice.random() < 0.1:
        cloud.twists(name, note={"password": "hush", "n": dice.random()}, start_time=10**30)
    elif life.is_on(cloud.now):
        cloud.stops(name, status=dice.choice([22, 23]))
    else:
        cloud.starts(name, gpus=dice.randint(1, 4), charging_type=dice.choice([1, 2, 77]))


def bad_day(cloud: Story, dice: Random) -> Behaviour:
    page = dice.randint(1, 3)
    return dice.choice(
        [
            Behaviour(fail={page: Fail(200, 5001, "system busy")}),
            Behaviour(truncate={page: None}),
            Behaviour(reset={page: None}),
            Behaviour(total=dice.randint(0, 99)),
            Behaviour(bodies={page: cloud.body(page, 3)}),
            Behaviour(bodies={1: b'{"code":0,"data":{"instance_list":null,"total":0}}'}),
            Behaviour(omit_total=True),
            Behaviour(fail={ANY: Fail(429, 429, "slow down")}),
            Behaviour(clock_off_s=dice.uniform(-90, 0)),
            Behaviour(no_date=True),
            Behaviour(ignore_paging=True),
            Behaviour(before_page=lambda _: cloud.passes(seconds=7)),
        ]
    )


def dies_before_its_commit(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync whose poll is archived, and whose transaction then fails."""
    append = archive.Archive.append

    def fail(*arguments: Any) -> None:
        append(*arguments)
        raise OperationalError("COMMIT", None, Exception("killed"))

    with monkeypatch.context() as patch:
        patch.setattr(archive.Archive, "append", fail)
        result = live.polls(minutes=1)
    assert result.error is None or result.exit_code in (4, 5, 6)


def lives_a_day(live: Live, monkeypatch: pytest.MonkeyPatch, seed: int, polls: int) -> None:
    dice = Random(seed)
    live.cloud.rents_many(7)
    live.polls()
    for _ in range(polls):
        for _ in range(dice.choice([0, 0, 0, 1, 1, 3])):
            live.cloud.passes(minutes=dice.choice([0, 0.5, 3]))
            something_happens(live.cloud, dice)
        match dice.random():
            case luck if luck < 0.25:
                live.polls_badly(bad_day(live.cloud, dice), minutes=dice.choice([2, 5, 40]))
            case luck if luck < 0.35:
                dies_before_its_commit(live, monkeypatch)
            case luck if luck < 0.4:
                live.off_s = dice.choice([0.0, 300.0, -3600.0])
            case _:
                live.polls(minutes=dice.choice([2, 5, 40]))
    live.polls(minutes=5)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_replay_of_a_days_archive_gives_what_the_live_syncs_gave(
    live: Living,
    fresh_database: Callable[[], Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    lab = live(Story(), archive=tmp_path / "polls", page_size=3)
    lives_a_day(lab, monkeypatch, seed, 80)
    outcomes = {row[0] for row in rows(lab.database, "SELECT outcome FROM sync_run")}
    assert outcomes == {"complete", "partial", "failed"}
    again = fresh_database()
    tally = replay.replay(again, files_of(tmp_path / "polls"))
    assert (tally.skipped, tally.damaged) == (0, 0)
    assert tally.applied == len(applied(lab.database))
    assert told(again) == told(lab.database)
    assert list(differences(again)) == list(differences(lab.database)) == []
    before = told(again), rows(again, "SELECT count(*) FROM sync_run")
    tally = replay.replay(again, files_of(tmp_path / "polls"))
    assert (tally.applied, tally.damaged) == (0, 0)
    assert (told(again), rows(again, "SELECT count(*) FROM sync_run")) == before


def test_a_replay_across_databases_gives_the_same(
    live: Living,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    lab = live(Story(), archive=tmp_path / "polls", page_size=3)
    lives_a_day(lab, monkeypatch, 4, 50)
    other = open_database(other_url(kind, request, tmp_path))
    replay.replay(other, files_of(tmp_path / "polls"))
    assert told(other) == told(lab.database)
    assert list(differences(other)) == []
    other.engine.dispose()


def other_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of the other kind."""
    if kind == "postgres":
        path = tmp_path / "other.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server = request.getfixturevalue("postgres_url")
    name = f"other_{abs(hash(tmp_path)) % 10**9}"
    _create(server, name, request.getfixturevalue("postgres_template"))
    return _beside(server, name)


# what a kill leaves behind


def test_a_poll_archived_but_not_committed_is_applied_by_the_next_sync(
    live: Living, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = live(Story(), archive=tmp_path)
    a = lab.cloud.rents()
    lab.polls()
    lab.cloud.passes(minutes=5)
    lab.cloud.stops(a)
    dies_before_its_commit(lab, monkeypatch)
    killed_at = lab.cloud.now
    assert [from_iso(run["started_at"]) for run in applied(lab.database)] == [T0 - SKEW_S]
    lab.polls(minutes=5)
    starts = [run["started_at"] for run in applied(lab.database)]
    assert [from_iso(at) + SKEW_S for at in starts] == [T0, killed_at, lab.cloud.now]
    assert [run["changed"] for run in applied(lab.database)] == [0, 1, 0]


def test_an_unchanged_poll_left_behind_is_applied_to_a_new_database_too(
    live: Living, fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    lab = live(Story(), archive=tmp_path)
    lab.cloud.rents()
    lab.polls()
    lab.polls(minutes=5)
    lab.polls(minutes=5)
    lab.app.close()
    fresh = live(lab.cloud, url=fresh_url(), archive=tmp_path)
    fresh.polls(minutes=5)
    runs = [(run["listed"], run["added"]) for run in applied(fresh.database)]
    assert runs == [(1, 1), (1, 0), (1, 0), (1, 0)]


def test_a_poll_left_behind_is_not_applied_twice_where_its_commit_came_through(
    live: Living, tmp_path: Path
) -> None:
    """A killed client's COMMIT may still be at work in the server while the next sync begins."""
    lab = live(Story(), archive=tmp_path)
    lab.cloud.rents()
    lab.polls()
    kept = archive.Archive(tmp_path, "lab", INSTANCES)
    left = list(kept.unapplied(None))
    before = lab.everything()
    store, now = Store(lab.database, "lab"), lab.cloud.now
    assert replay.catch_up(store, INSTANCES, left, now) == 0
    assert lab.everything() == before


def test_an_archive_that_cannot_be_written_fails_the_poll_which_is_recorded(
    live: Living, tmp_path: Path
) -> None:
    (tmp_path / "no folder").write_text("a file")
    lab = live(Story(), archive=tmp_path / "no folder")
    lab.cloud.rents()
    before = lab.everything("account", "sync_run")
    result = lab.polls()
    assert isinstance(result.error, ArchiveError)
    assert result.exit_code == 6
    assert lab.everything("account", "sync_run") == before
    run = lab.run()
    assert (run["outcome"], run["error"]) == ("failed", result.error.message)
    assert applied(lab.database) == []


@pytest.mark.parametrize("how", ["sync", "replay"])
def test_a_restored_backup_gets_back_every_poll_that_the_archive_has(
    live: Living,
    fresh_url: Callable[[], str],
    fresh_database: Callable[[], Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    folder, url = tmp_path / "polls", fresh_url()
    lab = live(Story(), archive=folder, page_size=3)
    lives_a_day(lab, monkeypatch, 1, 20)
    restored = live(lab.cloud, url=url, archive=folder, page_size=3)
    replay.replay(restored.database, files_of(folder))  # the backup
    for _ in range(3):
        lives_a_day(lab, monkeypatch, 4, 10)
        lab.cloud.passes(hours=24)
    if how == "replay":
        replay.replay(restored.database, files_of(folder))
        assert told(restored.database) == told(lab.database)
    assert restored.polls(minutes=5).error is None
    again = fresh_database()
    replay.replay(again, files_of(folder))
    assert told(restored.database) == told(again)
    assert list(differences(restored.database)) == []


def test_two_databases_never_share_an_archive(
    live: Living, fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    lab, other = live(Story(), archive=tmp_path), live(Story(), archive=tmp_path)
    with other.database.writing() as conn:
        conn.execute(text("UPDATE setting SET value = 'other' WHERE name = 'database_id'"))
    lab.cloud.rents()
    assert lab.polls().exit_code == 0
    result = other.polls()
    assert isinstance(result.error, ArchiveError)
    assert "another database" in result.error.message
    assert rows(other.database, "SELECT outcome, error FROM sync_run") == [
        ("failed", result.error.message)
    ]
    assert rows(other.database, "SELECT count(*) FROM instance") == [(0,)]
