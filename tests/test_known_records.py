"""Records that come with the bytes of the poll before are not read again, and count as seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from etl import apply as applying
from etl.dialect import Database
from etl.poll import Poll
from etl.resources import INSTANCES, Resource
from etl.resources.slices import ListingMemory, key_of, numbers_of, records_in
from etl.simcloud import Story
from etl.source.wholeness import digest_of_pages
from etl.store import Store, SyncRun
from tests.conftest import FreshDatabase
from tests.live import Living, living
from tests.support import dump, poll_of, rows

SEED = b"instances 3 of these codes"


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture(params=[key_of(b"a key", SEED), None], ids=["kept", "of a process"])
def memory(request: pytest.FixtureRequest) -> ListingMemory:
    return ListingMemory(request.param)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each poll read, in the order of the polls."""
    counts: list[int] = []

    def counting(body: bytes) -> Any:
        sightings, rejects = INSTANCES.read(body)
        counts[-1] += len(sightings) + len(rejects)
        return sightings, rejects

    def counted(resource: Resource[Any], *given: Any) -> SyncRun:
        counts.append(0)
        return apply_as_it_is(replace(resource, read=counting), *given)

    apply_as_it_is = applying.apply
    monkeypatch.setattr(applying, "apply", counted)
    return counts


def polled(cloud: Story, *, page_size: int = 7) -> Poll:
    """The next poll, two minutes later, of pages that are whole."""
    cloud.passes(minutes=2)
    total = len(cloud.records())
    bodies = [cloud.body(n, page_size) for n in range(1, max(2, -(-total // page_size) + 1))]
    poll = poll_of(bodies, cloud.now)
    is_whole = poll.listed == total
    digest = digest_of_pages(SEED, poll.walks[0]) if is_whole else None
    return replace(poll, digest=digest, complete=is_whole)


def apply(database: Database, poll: Poll, memory: ListingMemory | None) -> SyncRun:
    with Store(database, poll.account).writing() as tx:
        last = tx.refuse_stale(poll.resource, poll.started_at)
        return applying.apply(INSTANCES, poll, tx, last, memory)


def test_of_two_walks_that_list_the_same_the_newer_counts(
    database: Database, memory: ListingMemory
) -> None:
    cloud = Story()
    cloud.rents_many(2)
    poll = polled(cloud)
    cloud.stops(cloud.fleet.lives[0].instance_uuid)
    again = poll_of([cloud.body(1, 7)], cloud.now).walks
    apply(database, replace(poll, walks=(*poll.walks, *again), digest=None), memory)
    assert rows(database, "SELECT status FROM instance ORDER BY status") == [(2,), (22,)]


def something_happens(cloud: Story, dice: Random) -> None:
    alive = [life.instance_uuid for life in cloud.fleet.lives if life.exists(cloud.now)]
    name = dice.choice(alive) if alive else cloud.rents()
    events: list[Callable[[], Any]] = [
        lambda: cloud.rents(title="新的"),
        lambda: cloud.stops(name),
        lambda: cloud.starts(name),
        lambda: cloud.renames(name, f"run {dice.randrange(3)}"),
        lambda: cloud.twists(name, server_url=[f"https://{dice.randrange(2)}.chenyu.cn"]),
        lambda: cloud.twists(name, unknown=dice.randrange(2)),
        lambda: cloud.destroys(name),
        lambda: cloud.hides(name),
        lambda: cloud.shows(name),
        lambda: cloud.breaks_record(name, nameless=dice.random() < 0.3),
        lambda: cloud.mends_record(name),
    ]
    with suppress(ValueError):  # it makes no sense now
        dice.choice(events)()


@pytest.mark.parametrize("seed", range(4))
def test_a_history_is_the_same_with_and_without_the_memory_of_records(
    fresh_database: FreshDatabase, memory: ListingMemory, read: list[int], seed: int
) -> None:
    dice, cloud, with_it, without = Random(seed), Story(), fresh_database(), fresh_database()
    cloud.rents_many(20)
    for _ in range(40):
        something_happens(cloud, dice)
        if dice.random() < 0.3:
            for life in cloud.fleet.lives:
                with suppress(ValueError):
                    cloud.shows(life.instance_uuid)
                with suppress(ValueError):
                    cloud.mends_record(life.instance_uuid)
        poll = polled(cloud)
        assert apply(with_it, poll, memory) == apply(without, poll, None)
    assert dump(with_it) == dump(without)
    assert sum(read[0::2]) < 0.9 * sum(read[1::2])


def test_only_records_whose_bytes_differ_are_read(
    database: Database, memory: ListingMemory, read: list[int]
) -> None:
    cloud = Story()
    first, *_ = cloud.rents_many(30)
    apply(database, polled(cloud), memory)
    cloud.renames(first, "another")
    run = apply(database, polled(cloud), memory)
    assert (read, run.changed, run.listed, run.gone) == ([30, 1], 1, 30, 0)


def test_a_record_that_is_known_is_not_missing_and_another_that_is_goes(
    database: Database, memory: ListingMemory, read: list[int]
) -> None:
    cloud = Story()
    *_, last = cloud.rents_many(30)
    apply(database, polled(cloud), memory)
    cloud.hides(last)
    runs = [apply(database, polled(cloud), memory) for _ in range(2)]
    assert [run.gone for run in runs] == [0, 1]
    assert rows(database, "SELECT instance_uuid FROM instance WHERE last_seen_at IS NOT NULL") == [
        (last,)
    ]
    # while one is missing, each record must be read again
    assert read == [30, 0, 29]


def test_the_memory_of_another_listing_tells_nothing(
    database: Database, memory: ListingMemory, read: list[int]
) -> None:
    cloud = Story()
    first, *_ = cloud.rents_many(5)
    one = polled(cloud)
    apply(database, one, memory)
    remembered = replace(memory)
    cloud.renames(first, "another")
    apply(database, polled(cloud), None)
    cloud.renames(first, "实验")
    # the newest applied poll is one that this memory has never seen
    apply(database, polled(cloud), remembered)
    assert read == [5, 5, 5]


def test_of_two_records_of_one_instance_the_newest_counts(
    database: Database, memory: ListingMemory
) -> None:
    cloud = Story()
    names = cloud.rents_many(2)
    page = cloud.body(1, 100)
    apply(database, replace(poll_of([page], cloud.now), digest="one"), memory)
    for name in names:
        cloud.renames(name, "newer")
    cloud.passes(minutes=2)
    # one of them moved up while the pages were read
    poll = poll_of([page, cloud.body(1, 1)], cloud.now, complete=False)
    apply(database, poll, memory)
    titles = [title for (title,) in rows(database, "SELECT title FROM instance")]
    assert titles.count("newer") == 1


def test_a_record_that_another_one_replaced_within_its_listing_is_read_again(
    database: Database, memory: ListingMemory
) -> None:
    cloud = Story()
    (name,) = cloud.rents_many(1)
    older = cloud.body(1, 100)
    cloud.renames(name, "newer")
    cloud.passes(minutes=2)
    # a whole listing of one instance that shows it twice: the last record counts
    both = poll_of([older, cloud.body(1, 100)], cloud.now)
    apply(database, replace(both, digest="both"), memory)
    assert rows(database, "SELECT title FROM instance") == [("newer",)]
    cloud.passes(minutes=2)
    apply(database, replace(poll_of([older], cloud.now), digest="older"), memory)
    assert rows(database, "SELECT title FROM instance") != [("newer",)]


def test_a_sync_remembers_records_by_a_key_that_the_database_lacks(live: Living) -> None:
    lab = live(Story())
    first, *_ = lab.cloud.rents_many(5)
    assert lab.polls(minutes=5).exit_code == 0
    lab.cloud.renames(first, "another")
    assert lab.polls(minutes=5).exit_code == 0
    with Store(lab.database, "lab").polls() as known:
        (digest, kept), last = known.known_listing("instances"), known.last_poll("instances")
    assert last is not None
    assert (digest, len(kept)) == (last.digest, 5 * 8)
    records = records_in(INSTANCES, lab.cloud.body(1, 100))
    assert records is not None
    assert len(records) == 5
    # whoever has the database and guesses a record cannot tell whether the guess is right
    bare = ListingMemory(key_of(b"", SEED)).sign(records)
    assert not set(numbers_of(bare)) & set(numbers_of(kept))
