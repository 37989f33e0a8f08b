"""What a walk proves, on which clock, and how it goes about its work."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.poll import LastPoll, Page, Poll
from etl.resources import BALANCE, BILLS, INSTANCES, Resource
from etl.source import walk
from etl.source.answers import Answer
from etl.source.fetching import Fetches
from etl.source.reading import PageRead, Walk
from etl.source.walk import MAX_WALKS
from etl.source.wholeness import (
    Verdict,
    collected,
    digest_of_pages,
    is_created_later,
    older,
    sha256,
    tally_of,
)
from tests.fake_source import NOW, OLD, Fake, body, of, pages, poll_of, read

# judging


def judge(resource: Resource[Any], found: list[Page]) -> Verdict:
    return tally_of(resource, found).verdict()


def test_pages_that_add_up_are_whole() -> None:
    verdict = judge(INSTANCES, pages("ab", "cd", "e", total=5))
    assert verdict == Verdict(True, 5, set("abcde"))


def test_an_empty_list_is_whole() -> None:
    assert judge(INSTANCES, pages("", total=0)).complete


@pytest.mark.parametrize(
    ("lists", "total", "why"),
    [
        ([], 0, "no page was read"),
        (["ab", "c"], None, "no total"),
        (["ab", "c"], "many", "no total"),
        (["ab", "c"], 4, "3 distinct identities, but the total is 4"),
        (["ab", "cd"], 3, "4 distinct identities, but the total is 3"),
        (["ab", "bc"], 4, "3 distinct identities, but the total is 4"),
        ([""], 2, "0 distinct identities"),
        (["ab", "c", "d"], 4, "page 2 has 1 records, page 1 has 2"),
        (["ab", "cde", "f"], 6, "page 2 has 3 records, page 1 has 2"),
        ([["a", None]], 1, "1 records have no readable identity"),
    ],
)
def test_pages_that_do_not_add_up_are_not_whole(lists: list[Any], total: Any, why: str) -> None:
    verdict = judge(INSTANCES, pages(*lists, total=total))
    assert not verdict.complete
    assert why in "; ".join(verdict.notes)


def test_pages_that_disagree_on_the_total_are_not_whole() -> None:
    found = [Page(1, 2, body("ab", 3)), Page(2, 2, body("c", 4))]
    assert "pages disagree on the total: 3, 4" in judge(INSTANCES, found).notes


def test_a_page_that_is_no_listing_is_named() -> None:
    found = [Page(1, 2, body("ab", 4)), Page(2, 2, b'{"code":0,"data":null}')]
    assert judge(INSTANCES, found).notes[0] == "page 2: the answer has no instance_list"
    deep = b'{"code":0,"data":{"instance_list":' + b"[" * 9999 + b"]" * 9999 + b"}}"
    assert "page 1: " in judge(INSTANCES, [Page(1, 2, deep)]).notes[0]


def test_judging_does_not_depend_on_the_order_of_arrival() -> None:
    found = pages("ab", "cd", "e", total=5)
    assert judge(INSTANCES, found[::-1]) == judge(INSTANCES, found)
    assert digest_of_pages(b"s", found[::-1]) == digest_of_pages(b"s", found)


def test_a_digest_depends_on_everything_else() -> None:
    found = pages("ab", "c", total=3)
    other = [
        digest_of_pages(b"t", found),
        digest_of_pages(b"s", found[:1]),
        digest_of_pages(b"s", [Page(2, 2, found[0].body), Page(1, 2, found[1].body)]),
        digest_of_pages(b"s", [Page(p.number, 3, p.body) for p in found]),
        digest_of_pages(b"s", pages("ab", "d", total=3)),
        digest_of_pages(b"s", found),
    ]
    assert len(set(other)) == len(other)


# unchanged


def last_of(found: Poll) -> LastPoll:
    return LastPoll(
        found.started_at, found.finished_at, found.digest, found.listed, found.reported_total
    )


def test_a_digest_tells_which_page_is_missing() -> None:
    one, two, _ = pages("ab", "cd", "e", total=5)
    assert digest_of_pages(b"s", [one, two]) != digest_of_pages(b"s", [one, Page(3, 2, two.body)])


def page_read(page: Page, sent_at: float = NOW) -> PageRead:
    return PageRead(page, sha256(page.body), Answer(page.body, sent_at, sent_at, None))


def test_a_walk_that_broke_off_repeats_nothing_whatever_its_bytes_are() -> None:
    made = Walk()
    made.take(page_read(pages("ab", total=2)[0]))
    last = LastPoll(NOW, NOW, made.digest(b"s"), 2, 2)
    assert made.repeats(last, b"s")
    assert not made.repeats(None, b"s")
    made.ends("page 2: it did not come")
    assert not made.repeats(last, b"s")


def test_a_walk_was_sent_with_its_earliest_request_in_whatever_order_pages_arrive() -> None:
    made = Walk()
    for page, sent_at in zip(pages("ab", "cd", "e", total=5), (NOW + 1, NOW, NOW + 2), strict=True):
        made.take(page_read(page, sent_at))
    assert made.sent_at == NOW


def test_the_same_bytes_are_recognised() -> None:
    first = poll_of(of("abcde"), seed=b"v1")
    again = poll_of(of("abcde"), seed=b"v1", last=last_of(first))
    assert (first.unchanged, again.unchanged, again.complete) == (False, True, True)
    assert (again.digest, again.listed, again.reported_total) == (first.digest, 5, 5)
    assert len(again.walks[0]) == 3


def test_other_bytes_or_another_seed_are_not_the_same() -> None:
    last = last_of(poll_of(of("abcde"), seed=b"v1"))
    assert not poll_of(of("abcdf"), seed=b"v1", last=last).unchanged
    assert not poll_of(of("abcde"), seed=b"v2", last=last).unchanged


def test_a_last_poll_without_digest_is_no_reason_to_skip() -> None:
    last = LastPoll(NOW, NOW, None, 5, 5)
    assert not poll_of(of("abcde"), last=last).unchanged


def test_an_unchanged_listing_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    last = last_of(poll_of(of("abcde")))
    monkeypatch.setattr(walk, "tally_of", None)
    assert poll_of(of("abcde"), last=last).unchanged


# what a complete walk proves


def shifted() -> Fake:
    """Oldest first: page 1 is read, then a is destroyed and e created; page 2 hides c."""
    fleets = [["a", "b", "c", "d"], ["b", "c", "d", "e"]]
    created = {"e": NOW}

    def serves(number: int, size: int) -> bytes:
        fleet = fleets[0] if fake.requests == 1 else fleets[1]
        return body(fleet[(number - 1) * size : number * size], 4, created)

    fake = Fake(serves)
    return fake


def test_a_walk_that_hides_an_instance_behind_a_shift_adds_up() -> None:
    """The trap: judged by its pages alone, this walk is whole, and c is not on it."""
    fake = shifted()
    found = [Page(n, 2, fake.get("", {"page": str(n), "page_size": "2"}).body) for n in (1, 2)]
    assert judge(INSTANCES, found) == Verdict(True, 4, set("abde"))


def test_an_instance_hidden_by_a_shift_is_found_by_another_walk() -> None:
    found = poll_of(shifted())
    assert judge(INSTANCES, found.walks[-1]).identities == set("bcde")
    assert (found.complete, found.listed) == (True, 5)


def test_a_young_instance_on_the_only_page_needs_no_second_walk() -> None:
    found = poll_of(Fake(lambda n, size: body("ab", 2, {"b": NOW})), page_size=100)
    assert (found.complete, len(found.walks)) == (True, 1)


@pytest.mark.parametrize("created", [NOW, NOW + 999, OLD, 0])
def test_only_young_instances_cost_a_confirming_walk(created: int) -> None:
    names = "abc"
    fake = Fake(lambda n, size: body(names[(n - 1) * size : n * size], 3, {"b": created}))
    found = poll_of(fake)
    assert (found.complete, len(found.walks)) == (True, 1 if created == OLD else 2)


# a `Date` of now may be half a second and a skew of 5 s behind, and a minute is the margin
@pytest.mark.parametrize(("ago_s", "walks"), [(0, 2), (60, 2), (65, 2), (66, 1)])
def test_what_was_created_within_a_minute_before_the_walk_costs_another(
    ago_s: int, walks: int
) -> None:
    names = "abc"
    created = {"c": NOW - ago_s}
    fake = Fake(lambda n, size: body(names[(n - 1) * size : n * size], 3, created))
    found = poll_of(fake)
    assert (found.complete, len(found.walks)) == (True, walks)


def test_what_is_old_needs_no_walk_before_on_whichever_page_it_comes() -> None:
    """The first walk misses the last one, which is old; a young one it saw."""
    walks = iter((["a", "b", "c"], ["a", "b", "c", "d"]))
    listed: list[str] = []

    def serves(number: int, size: int) -> bytes:
        if number == 1:
            listed[:] = next(walks)
        return body(listed[(number - 1) * size : number * size], 4, {"a": NOW})

    found = poll_of(Fake(serves))
    assert (found.complete, len(found.walks)) == (True, 2)


def test_what_was_created_while_a_slow_walk_read_is_young() -> None:
    """Each page takes 100 s: c was created after page 1, long before its own page was asked for."""
    names, now = "abcde", [NOW]

    def serves(number: int, size: int) -> bytes:
        now[0] += 100
        return body(names[(number - 1) * size : number * size], 5, {"e": NOW + 101})

    fake = Fake(serves, date=lambda: now[0], clock=lambda: now[0])
    assert len(poll_of(fake).walks) == 2


def test_without_a_known_clock_no_age_is_believed() -> None:
    assert len(poll_of(of("abc", date=lambda: None)).walks) == 2


Event = tuple[str, int]
EVENTS = st.tuples(
    st.sampled_from(["create", "destroy", "replace", "shuffle", "jump"]), st.integers(0, 99)
)


@dataclass
class LiveCloud:
    """A list that changes between any two answers.

    `moments` are its states one after the other. In a walk, page n shows the moment `shifts[n]`
    after that of page 1, so pages are seen in any order, as concurrent requests see them.
    """

    moments: list[list[str]]
    created: dict[str, int]
    shifts: list[int]
    start: int = 0
    latest: int = 0
    tells_total: bool = True
    requests: int = 0
    retries: int = 0

    def get(self, path: str, params: Mapping[str, str]) -> Answer:
        self.requests += 1
        number, size = int(params["page"]), int(params["page_size"])
        if number == 1:
            self.start = self.latest
        shift = self.shifts[(number - 2) % len(self.shifts)] if number > 1 else 0
        at = min(self.start + shift, len(self.moments) - 1)
        self.latest = max(self.latest, at + 1)
        fleet = self.moments[at]
        shown = fleet[(number - 1) * size : number * size]
        total = len(fleet) if self.tells_total else None
        return Answer(body(shown, total, self.created), NOW + at, NOW + at, NOW + at)


def live_cloud(instances: int, newest_first: bool, events: list[Event], shifts: list[int]) -> Any:
    fleet = [f"i{n}" for n in range(instances)]
    moments, created = [fleet], {}
    for at, (what, which) in enumerate(events, 1):
        fleet = list(fleet)
        if fleet and what in ("destroy", "replace"):
            fleet.pop(which % len(fleet))
        if what in ("create", "replace"):
            fleet.insert(0 if newest_first else len(fleet), f"n{at}")
            created[f"n{at}"] = NOW + at
        if fleet and what == "shuffle":
            fleet = fleet[which % len(fleet) :] + fleet[: which % len(fleet)]
        if fleet and what == "jump":
            fleet.insert(0, fleet.pop(which % len(fleet)))
        moments.append(fleet)
    return LiveCloud(moments, created, shifts)


@given(
    st.integers(0, 9),
    st.booleans(),
    st.lists(EVENTS, max_size=30),
    st.lists(st.integers(0, 5), min_size=1, max_size=6),
)
@settings(max_examples=500)
@example(4, False, [("replace", 0)], [1])  # one page after the other, oldest first
@example(6, True, [("replace", 0), ("replace", 1), ("replace", 5)], [3, 0])  # and out of order
def test_a_complete_poll_lists_exactly_what_lived_when_its_last_walk_began(
    instances: int, newest_first: bool, events: list[Event], shifts: list[int]
) -> None:
    cloud = live_cloud(instances, newest_first, events, shifts)
    found = read(cloud, page_size=2, concurrency=1)
    assert cloud.requests <= MAX_WALKS * (len(events) + instances + 3)
    if found.complete:
        alive = set(cloud.moments[min(cloud.start, len(cloud.moments) - 1)])
        assert judge(INSTANCES, found.walks[-1]).identities == alive


@given(
    st.integers(0, 9),
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from(["create", "destroy", "replace", "jump"]), st.integers(0, 99)),
        max_size=30,
    ),
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
@settings(max_examples=1000)
@example(4, False, [("replace", 0)], [1])
def test_without_a_total_a_complete_poll_lists_what_lived_at_some_instant(
    instances: int, newest_first: bool, events: list[Event], shifts: list[int]
) -> None:
    cloud = live_cloud(instances, newest_first, events, shifts)
    cloud.tells_total = False
    found = read(cloud, page_size=2, concurrency=1)
    if found.complete:
        alive = [set(moment) for moment in cloud.moments]
        assert judge(INSTANCES, found.walks[-1]).identities in alive


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "c", "d", "e", None]), max_size=4),
            st.one_of(st.none(), st.integers(0, 12), st.just(2**31 - 1), st.just("7")),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 4),
)
def test_no_server_keeps_a_poll_beyond_its_bound(answers: list[Any], page_size: int) -> None:
    """Whatever comes in whatever order: bounded, and complete only where the pages add up."""
    fake = Fake(lambda n, size: body(*answers[fake.requests % len(answers)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "MAX_PAGES", 6)
        found = poll_of(fake, page_size=page_size)
    assert fake.requests <= MAX_WALKS * (6 + 1)
    assert 1 <= len(found.walks) <= MAX_WALKS
    assert found.complete == (not found.notes)
    if found.complete and found.reported_total is not None:
        assert judge(INSTANCES, found.walks[-1]).complete
    elif found.complete:
        first, second = (collected(INSTANCES, each) for each in found.walks[-2:])
        assert first is not None
        assert first == second


def endless(total: int | None) -> Fake:
    """A source with new instances on every page."""
    return Fake(lambda n, size: body([f"i{n}", f"j{n}"], total))


def test_the_bound_on_pages_holds_where_every_page_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "MAX_PAGES", 50)
    for total in (None, 2**31 - 1, 101):
        fake = endless(total)
        found = poll_of(fake)
        assert fake.requests == 50
        assert not found.complete
        assert "more than 50 pages" in found.notes


# the work itself


def test_pages_are_asked_for_a_few_at_a_time() -> None:
    lock, now, most = threading.Lock(), [0], [0]
    meet = threading.Barrier(3)

    def serves(number: int, size: int) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        if 1 < number <= 4:
            meet.wait(60)
        with lock:
            now[0] -= 1
        return body([f"i{number}", f"j{number}"] if number < 20 else [f"i{number}"], 39)

    fake = Fake(serves)
    assert poll_of(fake, concurrency=3).complete
    assert most[0] == 3


def test_progress_is_told_page_by_page() -> None:
    told: list[tuple[int, int | None]] = []
    poll_of(of("abcde"), progress=lambda read, expected: told.append((read, expected)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_error_of_our_own_in_a_thread_is_raised() -> None:
    def serves(number: int, size: int) -> bytes:
        if number == 2:
            raise ZeroDivisionError
        return body("ab", 4)

    with pytest.raises(ZeroDivisionError):
        poll_of(Fake(serves))


@pytest.fixture
def interruptible() -> Iterator[int]:
    """The main thread, which a job in the background would let ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield threading.get_ident()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_does_not_wait_for_answers(interruptible: int) -> None:
    """Page 2 never comes; the interrupt arrives while the main thread waits for it."""
    never, answered = threading.Event(), threading.Event()

    def serves(number: int, size: int) -> bytes:
        if number == 2:
            # a signal, as Ctrl-C is: it wakes a thread that waits, as `interrupt_main` does not
            signal.pthread_kill(interruptible, signal.SIGINT)
            never.wait(120)
            answered.set()
        return body("ab", 4)

    with pytest.raises(KeyboardInterrupt):
        poll_of(Fake(serves))
    assert not answered.is_set()
    assert all(t.daemon for t in threading.enumerate() if t is not threading.main_thread())
    never.set()


def test_pages_are_read_no_further_ahead_than_is_looked_at() -> None:
    asked: list[int] = []
    fetches = iter(Fetches(asked.append, range(2, 2_000), 4))
    next(fetches)
    for _ in range(50):  # long enough to ask for all of them
        if len(asked) > 8:
            break
        threading.Event().wait(0.005)
    assert len(asked) <= 8
    fetches.close()  # type: ignore[attr-defined]


def test_a_poll_asks_for_so_many_pages_at_most() -> None:
    """The bound that is promised at the head of `etl/source/walk.py`."""
    assert MAX_WALKS * (walk.MAX_PAGES + 1) == 30_003


def test_a_poll_counts_its_own_requests_alone() -> None:
    """A client outlives the poll."""
    fake = of("abcde", requests=7, retries=3)
    found = poll_of(fake)
    assert (found.requests, found.retries) == (3, 0)


def test_a_page_has_a_hundred_records_unless_another_size_is_asked_for() -> None:
    fake = of("a")
    assert [page.page_size for page in read(fake).walks[0]] == [100]


def test_records_that_are_equal_on_two_pages_count_only_if_the_resource_says_so() -> None:
    """Of bills two equal lines are two charges; of instances they are one that moved."""
    line = {"order_number": "1", "amount": 1, "charge_channel": 1, "order_time": OLD}
    line |= {"settle_start_time": OLD, "settle_end_time": OLD, "remark": ""}
    content = {"code": 0, "data": {"order_list": [line], "total": 2}}
    bills = [Page(n, 1, json.dumps(content).encode()) for n in (1, 2)]
    tally = tally_of(BILLS, bills)
    assert (len(tally.identities), len(tally.repeated), tally.verdict().complete) == (2, 1, True)
    moved = tally_of(INSTANCES, pages("a", "a", total=2))
    assert (moved.identities, moved.repeated, moved.verdict().complete) == ({"a"}, set(), False)


@pytest.mark.parametrize(
    ("totals", "names", "is_steady"),
    [
        ((2, 2), "b", True),
        ((2, 3), "b", False),
        ((None, None), "b", False),
        ((2, 2), [None], False),
    ],
)
def test_pages_are_steady_if_they_agree_on_a_total_and_name_all(
    totals: tuple[Any, Any], names: Any, is_steady: bool
) -> None:
    found = [Page(1, 1, body("a", totals[0])), Page(2, 1, body(names, totals[1]))]
    assert tally_of(INSTANCES, found).is_steady == is_steady


def test_records_without_a_name_are_counted() -> None:
    verdict = judge(INSTANCES, pages(["a", None, None], total=1))
    assert verdict.notes == ("2 records have no readable identity",)


@pytest.mark.parametrize(
    ("lists", "size", "ends_full"),
    [
        (["ab"], 2, True),
        (["ab"], 3, False),
        (["ab", "cd"], 3, True),
        (["ab", "c"], 2, False),
        (["a"], 1, True),
        ([""], 0, False),
    ],
)
def test_a_last_page_is_full_if_it_is_as_long_as_the_first(
    lists: list[str], size: int, ends_full: bool
) -> None:
    """Of one page alone by the size that was asked for: a server may cap it."""
    assert tally_of(INSTANCES, pages(*lists, total=9)).ends_full(size) == ends_full


def births(*created: int) -> list[Page]:
    names = [f"i{n}" for n in range(len(created))]
    return [Page(1, 100, body(names, len(names), dict(zip(names, created, strict=True))))]


@pytest.mark.parametrize(
    ("created", "is_later"),
    [([], False), ([OLD], False), ([NOW], True), ([NOW, OLD], False), ([NOW, NOW, OLD], True)],
)
def test_a_list_of_which_most_is_created_later_says_that_a_clock_is_behind(
    created: list[int], is_later: bool
) -> None:
    assert is_created_later(INSTANCES, births(*created), NOW - 5) == is_later


def test_one_in_three_of_the_future_is_its_own_fault() -> None:
    assert not is_created_later(INSTANCES, births(NOW, NOW, OLD, OLD, OLD), NOW - 5)


@pytest.mark.parametrize(
    ("lists", "is_collected"),
    [
        (["ab", "cd", ""], True),
        (["ab", "c", ""], True),
        (["ab", "c", "de", ""], False),
        (["ab", "cd"], False),
        (["ab", "ba", ""], False),
        ([], True),
    ],
)
def test_a_walk_without_a_total_is_collected_down_to_its_empty_page(
    lists: list[str], is_collected: bool
) -> None:
    named = [[{"instance_uuid": name, "status": 2} for name in names] for names in lists]
    bodies = [json.dumps({"code": 0, "data": {"instance_list": page}}).encode() for page in named]
    found = collected(INSTANCES, [Page(n, 2, b) for n, b in enumerate(bodies, 1)])
    assert (found is not None) == is_collected


def test_births_of_odd_records_are_left_out() -> None:
    """Beside them those of all others count; a name that no database holds is none."""
    odd = [
        5,
        {"instance_uuid": " ", "create_time": OLD},
        {"instance_uuid": "a", "create_time": OLD},
    ]
    content = {"code": 0, "data": {"instance_list": odd}}
    page = Page(1, 100, json.dumps(content).encode())
    assert older(INSTANCES, page, NOW) == {"a"}
    blank = {"code": 0, "data": {"instance_list": odd[1:]}}
    assert older(INSTANCES, Page(1, 100, json.dumps(blank).encode()), NOW) == {"a"}
    assert older(BALANCE, page, NOW) == set()


@pytest.mark.parametrize(
    ("created", "is_older"),
    [
        (OLD, True),
        (str(OLD), True),
        (OLD + 0.5, True),
        (1, True),
        (0, False),
        (-1, False),
        (NOW, False),
        ("soon", False),
        (None, False),
        ([], False),
        ("0" * 9 + str(OLD), True),
        ("0" * 10 + str(OLD), False),
        ("9" * 5_000, False),
    ],
)
@pytest.mark.parametrize("neighbours", [[], [5]], ids=["strict", "one by one"])
def test_a_birth_is_a_number_of_seconds_or_its_text(
    created: Any, is_older: bool, neighbours: list[Any]
) -> None:
    records = [{"instance_uuid": "a", "create_time": created}, *neighbours]
    content = {"code": 0, "data": {"instance_list": records}}
    body = json.dumps(content).encode()
    assert older(INSTANCES, Page(1, 100, body), NOW) == ({"a"} if is_older else set())
    newest = INSTANCES.open(body).newest
    # whole seconds are compared at once for a page, to the same end
    assert (newest is not None) == (type(created) is int and created > 0 and not neighbours)
    assert newest is None or (newest < NOW) == is_older


def test_a_walk_that_cannot_do_better_stays_so_and_keeps_its_first_flaw() -> None:
    made = Walk()
    made.ends("first", final=True)
    made.ends("second")
    assert (made.flaw, made.is_final) == ("first", True)
