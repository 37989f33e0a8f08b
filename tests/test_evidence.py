"""What polls teach beside the stops and starts themselves: how long shutting down and booting last."""

from __future__ import annotations

import pytest

from etl.books.price_files import model, with_learned_boots
from etl.dialect import Database
from etl.history.lengths import Learned, Passages
from etl.rebuild import differences, rebuild
from etl.simcloud import Story
from etl.store import Store
from tests.conftest import TODAY, FreshDatabase
from tests.support import ACCOUNT, apply, columns, poll_story, rows
from tests.test_schema import execute

STOPS = (
    "SELECT usage_span.end_evidence, ended_max_s, ended_s FROM usage_span JOIN instance_usage u"
    " USING (instance_uuid, usage_no) WHERE u.evidence = 'observed' ORDER BY 2"
)


def learned(database: Database, b: int) -> Learned:
    with Store(database, ACCOUNT).reading() as known:
        return known.lengths().at(b)


def works(database: Database, cloud: Story, a: str, *, boot_s: int, stopping_s: int) -> None:
    """A run that is polled every five minutes, and begins and stops 20 s before a poll."""
    for happens in (
        lambda: cloud.starts(a, boot_s=boot_s),
        lambda: None,
        lambda: cloud.stops(a, stopping_s=stopping_s),
        lambda: None,
    ):
        cloud.passes(seconds=279)
        happens()
        cloud.passes(seconds=20)
        apply(database, poll_story(cloud))
        cloud.passes(seconds=1)


@pytest.fixture
def taught(database: Database) -> tuple[Database, Story, str]:
    """Four stops that a poll met shutting down, four boots that it met, and four of each that it did
    not meet."""
    cloud = Story()
    a = cloud.rents(starts=False)
    apply(database, poll_story(cloud))
    cloud.passes(seconds=1)
    for met in (True, False) * 4:
        works(database, cloud, a, boot_s=60 * met, stopping_s=40 * met)
    return database, cloud, a


def test_lengths_are_learned_from_how_often_polls_meet_them(
    taught: tuple[Database, Story, str],
) -> None:
    """Half of the polls, 301 s apart from start to end, met either: 150 s, and the prior."""
    database, cloud, _ = taught
    each = 10**12 // 301
    told = learned(database, cloud.now)
    assert told.stopping == Passages(8, 4 * 996677, 8 * each)
    assert told.booting == Passages(8, 4 * 996677, 8 * each)
    assert (told.stopping_s, told.boot_s) == (83, 115)


def test_before_anything_is_seen_the_usual_lengths_hold(database: Database) -> None:
    apply(database, poll_story(Story()))
    told = learned(database, 2_000_000_000)
    assert (told.stopping_s, told.boot_s) == (30, 60)


def test_a_stop_is_estimated_by_what_earlier_polls_taught(
    taught: tuple[Database, Story, str],
) -> None:
    database, _, _ = taught
    found = rows(database, STOPS)
    assert [by for by, *_ in found] == ["status", "middle"] * 4
    shut, off = ([ends - at for _, ends, at in found[n::2]] for n in (0, 1))
    assert shut[0] == 15, "half of the usual length, since nothing was seen before"
    # the first stop was met after 301 s: (1 + 1) / (1 / 30 + 1 / 301), by sightings and passages
    assert off[0] == 301 - (301 - 54) // 2
    assert shut == sorted(shut), "each sighting makes it longer"


def test_what_a_poll_teaches_changes_no_earlier_estimate(
    taught: tuple[Database, Story, str],
) -> None:
    """A rebuild asks for each stop what was known then, and so changes nothing."""
    database, _, _ = taught
    every = "SELECT * FROM instance_usage ORDER BY usage_no"
    lengths = "SELECT * FROM state_length ORDER BY seen_at"
    before = rows(database, every), rows(database, lengths)
    assert list(differences(database)) == []
    rebuild(database, None, TODAY)
    assert (rows(database, every), rows(database, lengths)) == before


def test_lengths_that_strayed_are_named_and_made_again(
    taught: tuple[Database, Story, str],
) -> None:
    database, _, _ = taught
    execute(database, "UPDATE state_length SET stops = stops + 1")
    assert list(differences(database)) == [f"{ACCOUNT} lengths of states"]
    rebuild(database, None, TODAY)
    assert list(differences(database)) == []


def test_two_polls_that_end_in_one_second_teach_as_one(fresh_database: FreshDatabase) -> None:
    database, cloud = fresh_database(), Story()
    a, b = cloud.rents(), cloud.rents()
    apply(database, poll_story(cloud))
    cloud.passes(minutes=5)
    cloud.stops(a)
    apply(database, poll_story(cloud, lasts_s=7))
    cloud.passes(seconds=3)
    cloud.stops(b)
    apply(database, poll_story(cloud))
    assert [row["stops"] for row in columns(database, "SELECT * FROM state_length")] == [2]
    assert list(differences(database)) == []


def test_what_is_stuck_in_shutting_down_teaches_half_an_hour_at_most(database: Database) -> None:
    cloud = Story()
    a = cloud.rents()
    apply(database, poll_story(cloud))
    cloud.passes(minutes=5)
    cloud.stops(a, stopping_s=100_000)
    for _ in range(2):
        apply(database, poll_story(cloud))
        cloud.passes(hours=26)
    apply(database, poll_story(cloud))
    ((seen,),) = rows(database, "SELECT stopping_seen FROM state_length")
    assert seen == 1_000_000 * 1_800 // 301


def test_a_stop_that_begins_with_the_saving_of_the_image_says_so(database: Database) -> None:
    cloud = Story()
    a, b, c = cloud.rents(), cloud.rents(), cloud.rents()
    cloud.saves_image(b, 1)
    cloud.sets_timer(c, cloud.now + 200)
    apply(database, poll_story(cloud))
    cloud.passes(minutes=5)
    cloud.saves_image(a, 1)
    cloud.stops(a, stopping_s=60)
    cloud.stops(b)
    apply(database, poll_story(cloud))
    found = rows(
        database, "SELECT instance_uuid, cause FROM instance_event WHERE event = 'stopped'"
    )
    assert dict(found) == {a: "image_saved", b: None, c: "timer"}


def test_boots_that_were_seen_say_how_long_they_are_taken_to_last(
    taught: tuple[Database, Story, str],
) -> None:
    database, _, _ = taught
    chosen = with_learned_boots(database, model(database))
    assert (chosen.boot_s, chosen.boot_max_s) == (115, 180)


def test_without_boots_seen_the_model_stays_as_it_is(database: Database) -> None:
    apply(database, poll_story(Story()))
    assert with_learned_boots(database, model(database)) == model(database)
