"""A whole listing, or an honest statement that it is not whole."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from etl.errors import Changed, Refused, Unavailable
from etl.poll import Poll
from etl.simcloud import ANY, Behaviour, Fail, Server, Story, serve
from etl.source.client import Client, Retrying
from etl.source.walk import MAX_WALKS
from etl.source.wholeness import digest_of_pages
from tests.fake_source import NOW, Fake, body, poll_of, read

QUICK = Retrying(attempts=2, total_s=120.0, first_wait_s=0.001, longest_wait_s=0.01)


def poll_server(server: Server, **options: Any) -> Poll:
    client = Client(server.base_url, server.key, clock=server.clock, retrying=QUICK, timeout_s=60.0)
    with client:
        return read(client, **{"page_size": 10, **options})


def story(instances: int) -> Story:
    """A cloud whose instances are not young."""
    cloud = Story()
    cloud.rents_many(instances)
    cloud.passes(hours=1)
    return cloud


# servers by the book, over HTTP


def test_a_listing_of_many_pages_is_read_whole() -> None:
    with serve(story(35)) as server:
        found = poll_server(server)
        assert sorted(server.pages_asked()) == [1, 2, 3, 4]
    assert found.complete
    assert (found.listed, found.reported_total, found.requests, found.retries) == (35, 35, 4, 0)
    assert sorted(page.number for page in found.walks[0]) == [1, 2, 3, 4]
    assert found.digest == digest_of_pages(b"", found.walks[0])
    assert found.notes == ()


def test_a_fleet_that_fits_one_page_takes_one_request() -> None:
    with serve(story(7)) as server:
        assert poll_server(server).complete
        assert server.pages_asked() == [1]


def test_a_poll_says_what_is_odd_of_its_list_and_of_its_clock() -> None:
    dates = itertools.cycle((NOW, NOW + 3600))
    found = poll_of(Fake(lambda n, _: body(["ab", "a"][n - 1], 4), date=lambda: next(dates)))
    assert found.notes == (
        "2 distinct identities, but the total is 4",
        "2 answers had a wrong date",
    )


def test_a_server_that_ignores_paging_is_asked_once() -> None:
    with serve(story(35), behaviour=Behaviour(ignore_paging=True)) as server:
        found = poll_server(server)
        assert server.pages_asked() == [1]
    assert (found.complete, found.listed) == (True, 35)


def test_a_server_that_caps_the_page_size_is_paged_by_its_own() -> None:
    with serve(story(35), behaviour=Behaviour(cap=8)) as server:
        found = poll_server(server)
        assert sorted(server.pages_asked()) == [1, 2, 3, 4, 5]
    assert (found.complete, found.listed) == (True, 35)


def test_an_empty_account_is_whole_though_its_list_is_null() -> None:
    with serve(story(0), behaviour=Behaviour(null_when_empty=True)) as server:
        found = poll_server(server)
    assert (found.complete, found.listed, found.reported_total) == (True, 0, 0)


def test_a_full_last_page_is_looked_behind() -> None:
    with serve(story(20)) as server:
        found = poll_server(server)
        assert sorted(server.pages_asked()) == [1, 2, 3]
    assert found.complete
    assert [page.number for page in found.walks[0]] == [1, 2]


def test_an_error_behind_the_last_page_proves_nothing() -> None:
    behaviour = Behaviour(fail={3: Fail(404, 404)})
    with serve(story(20), behaviour=behaviour) as server:
        assert poll_server(server).complete


# odd servers, over HTTP


def test_a_total_that_is_too_small_is_found_behind_the_last_page() -> None:
    with serve(story(25), behaviour=Behaviour(total=20)) as server:
        found = poll_server(server)
    assert (found.complete, found.listed) == (False, 25)
    assert "25 distinct identities, but the total is 20" in found.notes


@pytest.mark.parametrize("total", [24, 26, 1, 0, 10_000, 2**31 - 1])
def test_a_wrong_total_is_never_whole_and_never_without_end(total: int) -> None:
    with serve(story(25), behaviour=Behaviour(total=total)) as server:
        found = poll_server(server)
        assert len(server.requests) <= 40
    assert not found.complete
    assert found.notes
    assert found.digest is None


def test_a_server_that_repeats_a_page_is_recognised() -> None:
    with serve(story(99), behaviour=Behaviour(repeat_page=1)) as server:
        found = poll_server(server, concurrency=1)
        assert len(server.requests) <= 2 * 10
    assert (found.complete, found.listed, len(found.walks)) == (False, 10, 2)
    assert "pages 1 and 2 are the same" in found.notes


@pytest.mark.parametrize("instances", [0, 5, 10, 25])
def test_without_a_total_two_equal_walks_prove_a_listing(instances: int) -> None:
    with serve(story(instances), behaviour=Behaviour(omit_total=True)) as server:
        found = poll_server(server)
        assert len(server.requests) <= 2 * (instances // 10 + 2)
    assert (found.complete, found.listed, found.reported_total) == (True, instances, None)
    assert (len(found.walks), found.digest, found.notes) == (2, None, ())


def test_without_a_total_walks_that_differ_prove_nothing() -> None:
    cloud, asked = story(24), itertools.count()
    a = cloud.rents()
    behaviour = Behaviour(omit_total=True)
    behaviour.before_page = lambda number: cloud.renames(a, f"name {next(asked)}")
    with serve(cloud, behaviour=behaviour) as server:
        found = poll_server(server, concurrency=1)
    assert (found.complete, found.listed, len(found.walks)) == (False, 25, MAX_WALKS)
    assert any("no total" in note for note in found.notes)


def test_without_a_total_a_walk_that_repeats_the_last_but_one_proves_nothing() -> None:
    """Between the two the list was another one: what was there then may be in neither of them."""
    walks = iter((["a", "b"], ["a", "c"], ["a", "b"]))
    found = poll_of(Fake(lambda n, _: body(next(walks) if n == 1 else [], None)))
    assert (found.complete, found.listed, len(found.walks)) == (False, 3, MAX_WALKS)


def test_without_a_total_a_short_page_in_the_middle_proves_nothing() -> None:
    pages = [["a", "b"], ["c"], ["d", "e"], []]
    found = poll_of(Fake(lambda n, size: body(pages[n - 1], None)))
    assert (found.complete, found.listed) == (False, 5)


def test_without_a_total_a_server_that_ignores_paging_ends() -> None:
    behaviour = Behaviour(omit_total=True, ignore_paging=True)
    with serve(story(25), behaviour=behaviour) as server:
        assert poll_server(server).listed == 25
        assert server.pages_asked() == [1, 2]


def test_an_instance_destroyed_between_pages_leads_to_another_walk() -> None:
    cloud = story(25)
    behaviour = Behaviour()

    def destroy_once(page: int) -> None:
        if page == 3:
            behaviour.before_page = None
            cloud.destroys(cloud.fleet.lives[-1].instance_uuid)

    behaviour.before_page = destroy_once
    with serve(cloud, behaviour=behaviour) as server:
        found = poll_server(server)
    assert found.complete
    assert (len(found.walks), found.reported_total, found.listed) == (2, 24, 25)
    assert found.digest is None


def test_a_fleet_that_never_rests_is_partial_after_three_walks() -> None:
    cloud = story(25)
    behaviour = Behaviour(before_page=lambda page: page == 2 and cloud.rents())
    with serve(cloud, behaviour=behaviour) as server:
        found = poll_server(server)
    assert not found.complete
    assert len(found.walks) == MAX_WALKS
    assert "pages disagree" in found.notes[0]


# failing servers, over HTTP


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(fail={2: Fail(500, 500)}),
        Behaviour(fail={2: Fail(200, -2)}),
        Behaviour(fail={2: Fail(429, 429)}, retry_after="0"),
        Behaviour(fail={2: Fail(404, 404)}),
        Behaviour(truncate={2: None}),
        Behaviour(reset={2: None}),
        Behaviour(bodies={2: b"<html>maintenance</html>"}),
        Behaviour(bodies={2: b'{"code":0,"data":null}'}),
    ],
    ids=["500", "code -2", "429", "404", "truncated", "reset", "html", "null"],
)
def test_a_page_that_fails_for_good_makes_the_poll_partial(behaviour: Behaviour) -> None:
    with serve(story(35), behaviour=behaviour) as server:
        found = poll_server(server)
    assert not found.complete
    assert found.digest is None
    assert len(found.walks) == 1
    assert found.listed in (10, 20, 25, 35 - 10)
    assert found.notes[0].startswith("page 2: ")
    assert 2 not in [page.number for page in found.walks[0]]


def test_a_page_that_fails_once_is_asked_again() -> None:
    with serve(story(35), behaviour=Behaviour(reset={3: 1}, truncate={2: 1})) as server:
        found = poll_server(server)
    assert (found.complete, found.requests, found.retries) == (True, 6, 2)


def test_the_first_page_failing_is_an_error() -> None:
    behaviour = Behaviour(fail={1: Fail(503, 503)})
    with serve(story(35), behaviour=behaviour) as server, pytest.raises(Unavailable):
        poll_server(server)
    behaviour = Behaviour(bodies={1: b'{"code":0,"data":null}'})
    with serve(story(35), behaviour=behaviour) as server, pytest.raises(Changed):
        poll_server(server)


def test_a_refusal_is_an_error_on_every_page() -> None:
    for page in (1, 3):
        behaviour = Behaviour(fail={page: Fail(403, 403)})
        with serve(story(35), behaviour=behaviour) as server, pytest.raises(Refused):
            poll_server(server)


def test_the_first_page_of_a_later_walk_failing_keeps_the_walks_before() -> None:
    def serves(number: int, size: int) -> bytes:
        if fake.asked.count(1) == 2:
            raise Unavailable("GET /instance/list: HTTP 500")
        return body("ab" if number == 1 else "c", 4)

    fake = Fake(serves)
    found = poll_of(fake)
    assert (found.complete, len(found.walks), found.listed) == (False, 1, 3)
    assert found.notes[-1] == "walk 2, page 1: GET /instance/list: HTTP 500"


def test_a_clock_that_is_refused_by_a_storm_is_bounded() -> None:
    behaviour = Behaviour(fail={ANY: Fail(429, 429)}, retry_after="3600")
    with serve(story(35), behaviour=behaviour) as server:
        with pytest.raises(Unavailable) as caught:
            poll_server(server)
        assert len(server.requests) == QUICK.attempts
    assert caught.value.retry_after_s == 3600
