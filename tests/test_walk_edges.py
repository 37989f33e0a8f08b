"""The edges of a walk: what ends it, what is asked again, and what a failure leaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest

from etl.errors import Unavailable
from etl.poll import LastPoll
from etl.resources import BILLS, GPU_PRICES
from etl.source import walk
from etl.source.walk import Front, Walker
from etl.source.wholeness import digest_of_pages
from tests.fake_source import NOW, OLD, Fake, body, of, poll_of, read
from tests.test_money_records import LINE, PRICE


def fails() -> bytes:
    raise Unavailable("gateway")


def lines(*numbers: int, total: int | None) -> bytes:
    """A page of the bill."""
    listed = [LINE | {"order_number": f"O{number}"} for number in numbers]
    return json.dumps({"code": 0, "data": {"order_list": listed, "total": total}}).encode()


def prices(number: int, total: int | None = None) -> bytes:
    """All prices, in one answer."""
    listed = [PRICE | {"gpu_uuid": f"g{n}"} for n in range(number)]
    more = {} if total is None else {"total": total}
    return json.dumps({"code": 0, "data": {"gpu_list": listed, **more}}).encode()


def pages_of(*served: bytes | Callable[[], bytes]) -> Fake:
    """A source with these pages, the last one for ever."""

    def serves(number: int, _size: int) -> bytes:
        page = served[min(number, len(served)) - 1]
        return page() if callable(page) else page

    return Fake(serves)


class Unpaged(Fake):
    """A source that is asked without parameters."""

    def get(self, path: str, params: Any) -> Any:
        assert params == {}
        return super().get(path, {"page": "1", "page_size": "100"})


# how many walks, and how many pages


def test_a_walk_that_ends_for_good_is_the_last_one() -> None:
    """The first one proves nothing, as its instances are young; the second breaks off."""
    number = count(1)

    def serves(page: int, size: int) -> bytes:
        if next(number) == 5:
            fails()
        young = dict.fromkeys("abcd", NOW)
        return body("abcd"[(page - 1) * size : page * size], 4, young)

    fake = Fake(serves)
    found = poll_of(fake)
    # the probe behind a full last page is the third request
    assert fake.asked == [1, 2, 3, 1, 2]
    assert not found.complete


def test_so_many_pages_as_may_be_read_are_a_whole_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_PAGES", 3)
    assert poll_of(of("abcde")).complete
    assert not poll_of(of("abcdefg")).complete


def test_without_a_total_a_page_that_fails_is_named() -> None:
    found = poll_of(pages_of(body("ab"), body("cd"), fails))
    assert not found.complete
    assert any(note.startswith("page 3: gateway") for note in found.notes)


def test_without_a_total_a_source_that_repeats_its_last_page_ends() -> None:
    fake = pages_of(body("ab"), body("cd"))
    poll_of(fake)
    # the third page says nothing new
    assert max(fake.asked) == 3


def test_an_empty_page_in_every_walk_is_no_proof_beside_a_total() -> None:
    found = poll_of(pages_of(body("ab", 6), body("cd", 6), body("", 6)))
    assert (found.complete, found.reported_total) == (False, 6)


@pytest.mark.parametrize("listed", [0, 1])
def test_progress_counts_at_least_the_page_that_was_read(listed: int) -> None:
    told: list[tuple[int, int | None]] = []
    fake = pages_of(body("a" * listed, 0))
    poll_of(fake, progress=lambda read, expected: told.append((read, expected)))
    assert set(told) == {(1, 1)}


def test_four_pages_are_asked_for_at_a_time_unless_it_is_said_otherwise() -> None:
    lock, now, most, meet = threading.Lock(), [0], [0], threading.Barrier(4)

    def serves(number: int, size: int) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        if 1 < number <= 5:
            meet.wait(60)
        with lock:
            now[0] -= 1
        return body([f"i{number}", f"j{number}"] if number < 20 else [f"i{number}"], 39)

    assert read(Fake(serves), page_size=2).complete
    assert most[0] == 4


def test_after_an_error_of_our_own_no_further_page_is_asked_for() -> None:
    def serves(number: int, size: int) -> bytes:
        if number == 2:
            raise ZeroDivisionError
        return body([f"i{number}", f"j{number}"], 2_000)

    fake = Fake(serves)
    with pytest.raises(ZeroDivisionError):
        poll_of(fake)
    assert len(fake.asked) < 10


def test_a_poll_ends_with_the_answer_behind_its_last_page() -> None:
    """A full last page is looked behind; that answer is an hour late."""
    seconds = count()
    fake = Fake(
        lambda n, size: body("abcd"[(n - 1) * size : n * size], 4),
        date=lambda: None,
        clock=lambda: NOW + (3_600 if len(fake.asked) == 3 else 0) + next(seconds),
    )
    found = poll_of(fake)
    assert found.complete
    assert found.finished_at > NOW + 3_600


# what is read in one answer


@pytest.mark.parametrize("total", [None, 250])
def test_a_list_without_pages_is_asked_for_once(total: int | None) -> None:
    """A full page is no reason to look behind it, and neither is a total that is larger."""
    told: list[tuple[int, int | None]] = []
    fake = Unpaged(lambda _n, _size: prices(100, total))
    found = read(fake, GPU_PRICES, page_size=100, progress=lambda *now: told.append(now))
    assert len(fake.asked) == len(found.walks) == (1 if total is None else 2)
    assert set(told) == {(1, 1)}


# the bill


def test_a_bill_without_a_total_is_read_once() -> None:
    """It may forget its old end, so that equal walks prove nothing."""
    fake = pages_of(lines(1, 2, total=None), lines(3, total=None), lines(total=None))
    found = read(fake, BILLS, page_size=2, concurrency=1)
    assert (found.complete, len(found.walks)) == (False, 1)


def test_lines_alike_on_two_pages_are_two_once_a_second_walk_says_so() -> None:
    fake = pages_of(lines(1, 2, total=3), lines(2, total=3))
    found = read(fake, BILLS, page_size=2, concurrency=1)
    assert (found.complete, found.listed, len(found.walks)) == (True, 3, 2)


def test_lines_alike_on_two_pages_that_moved_are_no_proof() -> None:
    orders = iter([(1, 2), (2,), (1, 3), (3,), (2, 1), (1,)])
    fake = Fake(lambda _n, _size: lines(*next(orders), total=3))
    found = read(fake, BILLS, page_size=2, concurrency=1)
    assert not found.complete
    assert any("are alike on two pages" in note for note in found.notes)


def test_a_bill_that_does_not_add_up_says_so_whatever_is_alike() -> None:
    fake = pages_of(lines(1, 2, total=4), lines(2, total=4))
    found = read(fake, BILLS, page_size=2, concurrency=1)
    assert not found.complete
    assert any("but the total is 4" in note for note in found.notes)


# its front


def front_of(fake: Fake, last: LastPoll | None = None) -> Front:
    return Walker(fake, BILLS, page_size=2, concurrency=1).front(last, b"seed")


def read_front(front: Front, added: Sequence[int]) -> list[int]:
    """Read a front on, noting so many new lines of each page; the numbers of the pages that came."""
    numbers, news = list[int](), iter(added)
    for page in front:
        numbers.append(page.number)
        front.note(added=next(news), is_changed=False)
    return numbers


def test_the_front_of_a_bill_ends_at_the_first_page_without_news() -> None:
    front = front_of(pages_of(lines(5, 4, total=5), lines(3, 2, total=5), lines(1, total=5)))
    assert read_front(front, [1, 0]) == [1, 2]
    reading = front.reading(held_total=4)
    assert reading is not None
    assert (reading.verdict.complete, reading.verdict.total, reading.listed) == (True, 5, 4)
    assert front.reading(held_total=5) is None


def test_the_front_of_a_bill_reads_so_many_pages_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_PAGES", 3)
    fake = Fake(lambda n, _size: lines(2 * n, 2 * n + 1, total=99))
    assert read_front(front_of(fake), [2] * 9) == [1, 2, 3]
    assert fake.asked == [1, 2, 3]


def test_the_first_page_of_a_front_failing_is_an_error() -> None:
    with pytest.raises(Unavailable):
        read_front(front_of(pages_of(fails)), [])


def test_a_front_that_breaks_off_accounts_for_nothing() -> None:
    """Its first page brought a line, so that what is behind it may be new as well."""
    front = front_of(pages_of(lines(3, 2, total=3), fails))
    assert read_front(front, [1]) == [1]
    assert front.reading(held_total=2) is None


def test_a_front_without_a_poll_before_it_repeats_nothing() -> None:
    front = front_of(pages_of(lines(1, total=1)))
    assert read_front(front, [1]) == [1]
    assert front.reading(held_total=0) is None


def test_a_front_with_the_bytes_of_the_last_poll_is_not_looked_at() -> None:
    page = lines(1, 2, total=2)
    fake = pages_of(page)
    whole = read(fake, BILLS, page_size=2, concurrency=1)
    digest = digest_of_pages(b"seed", whole.walks[0][:1])
    last = LastPoll(OLD, OLD + 1, digest, 2, 2)
    front = front_of(fake, last)
    assert read_front(front, []) == []
    reading = front.reading(held_total=2)
    assert reading is not None
    assert reading.unchanged


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (lines(3, 2, total=5), "it is the page before"),
        (lines(1, 9, total=6), "it has another total"),
    ],
)
def test_a_front_whose_second_page_contradicts_the_first_ends_there(
    second: bytes, why: str
) -> None:
    front = front_of(pages_of(lines(3, 2, total=5), second))
    assert read_front(front, [1]) == [1], why
    assert front.reading(held_total=4) is None
