"""A window (the bill) is read from its front, as far as that accounts for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.dialect import Database
from etl.errors import Unavailable
from etl.poll import Poll
from etl.resources import BALANCE, BILLS
from etl.store import Store
from etl.sync import sync
from tests.fake_source import NOW, Fake, Kept, job_of, read
from tests.support import ACCOUNT, rows
from tests.test_money_records import LINE, answer

SIZE = 3


def line(number: int, amount: int = 1) -> dict[str, Any]:
    return {**LINE, "order_number": f"O{number}", "amount": amount}


class Bill:
    """A bill behind a source that pages it, oldest or newest line first; `tick` is the next poll."""

    def __init__(self, database: Database, *, newest_first: bool = True) -> None:
        self.lines: list[dict[str, Any]] = []
        self.newest_first = newest_first
        self.now = NOW
        self.store = Store(database, ACCOUNT)
        self.asked: list[int] = []
        self.between: list[dict[str, Any]] = []

    def shown(self) -> list[dict[str, Any]]:
        return self.lines[::-1] if self.newest_first else self.lines

    def body(self, number: int, size: int) -> bytes:
        found = answer(BILLS, *self.shown()[(number - 1) * size : number * size])
        total = f'"total": {len(self.lines)}'.encode()
        found = found[: found.rindex(b'"total"')] + total + b"}}"
        self.lines += [self.between.pop()] if self.between else []
        return found

    def tick(self, after_s: int = 60) -> Poll:
        self.now += after_s
        fake = Fake(self.body, date=lambda: self.now, clock=lambda: self.now + 0.5)
        kept: Any = Kept()
        sync(job_of(fake, self.store, BILLS, archive=kept, page_size=SIZE, concurrency=1))
        self.asked = fake.asked
        taken: Poll = kept.poll
        return taken

    def held(self) -> list[str]:
        found = rows(self.store.database, "SELECT order_number FROM bill ORDER BY order_number")
        return sorted(name for (name,) in found)


@pytest.fixture
def bill(database: Database) -> Bill:
    made = Bill(database)
    made.lines = [line(n) for n in range(10)]
    made.tick()
    return made


def test_the_first_poll_reads_all_of_it(bill: Bill) -> None:
    assert sorted(bill.asked) == [1, 2, 3, 4]
    assert len(bill.held()) == 10


def test_then_a_page_that_brings_nothing_new_is_enough(bill: Bill) -> None:
    assert bill.tick().complete
    assert bill.asked == [1]
    bill.lines.append(line(10))
    assert bill.tick().complete
    assert bill.asked == [1, 2]
    assert len(bill.held()) == 11


def test_the_same_first_page_is_not_even_decoded(bill: Bill) -> None:
    bill.tick()
    assert bill.tick().unchanged
    assert bill.asked == [1]


def test_what_comes_at_the_other_end_is_found_by_the_total(bill: Bill) -> None:
    bill.newest_first = False
    bill.tick()
    bill.lines.append(line(10))
    assert bill.tick().complete
    assert len(bill.held()) == 11


def test_a_page_of_old_lines_between_new_ones_hides_none(bill: Bill) -> None:
    bill.tick()
    bill.lines = [line(20), *bill.lines, line(21)]
    assert bill.tick().complete
    assert {"O20", "O21"} <= set(bill.held())


def test_a_line_that_comes_while_pages_are_read_is_not_lost(bill: Bill) -> None:
    bill.lines.append(line(10))
    bill.between = [line(11)]
    bill.tick()
    bill.tick()
    assert len(bill.held()) == 12


def test_an_old_line_that_changes_is_seen_within_a_day_or_so(bill: Bill) -> None:
    bill.tick()
    bill.lines[0] = line(0, amount=7)
    bill.tick()
    amounts = "SELECT amount_microcny FROM bill WHERE order_number = 'O0'"
    assert rows(bill.store.database, amounts) == [(1_000_000,)]
    bill.tick(after_s=86_400)
    bill.tick()
    assert rows(bill.store.database, amounts) == [(7_000_000,)]


def test_lines_that_the_source_forgets_stay(bill: Bill) -> None:
    bill.lines = bill.lines[5:]
    assert bill.tick().complete
    assert bill.tick().complete
    assert bill.asked == [1]
    assert len(bill.held()) == 10


def test_a_failure_behind_the_first_page_reads_what_it_can(bill: Bill) -> None:
    bill.lines += [line(n) for n in range(10, 15)]
    whole = bill.body

    def broken(number: int, size: int) -> bytes:
        if number == 2:
            raise Unavailable("page 2 fails")
        return whole(number, size)

    bill.body = broken  # type: ignore[method-assign]
    assert not bill.tick().complete
    bill.body = whole  # type: ignore[method-assign]
    assert bill.tick().complete
    assert len(bill.held()) == 15


def test_news_on_several_pages_is_counted_together(bill: Bill) -> None:
    bill.lines += [line(n) for n in range(10, 14)]
    found = bill.tick()
    assert bill.asked == [1, 2, 3]
    assert (found.complete, found.digest is not None) == (True, True)
    assert len(bill.held()) == 14


def test_a_page_of_changed_lines_alone_is_news(bill: Bill) -> None:
    """Nine lines have a new member, those of the first page as well: their neighbours may, too."""
    bill.lines = [line(0), *({**line(n), "contract": "c"} for n in range(1, 10))]
    bill.tick()
    assert bill.asked == [1, 2, 3, 4]
    changed = rows(bill.store.database, "SELECT count(*) FROM bill WHERE extra IS NOT NULL")
    assert changed == [(9,)]


def test_a_front_that_repeats_a_page_is_not_believed(bill: Bill) -> None:
    """Page 2 shows page 1 once more, and the total adds up with what page 1 brought."""
    bill.lines += [line(n) for n in range(10, 13)]
    whole, repeated = bill.body, []

    def repeating(number: int, size: int) -> bytes:
        if number == 2 and not repeated:
            repeated.append(number)
            return whole(1, size)
        return whole(number, size)

    bill.body = repeating  # type: ignore[method-assign]
    assert bill.tick().complete
    assert sorted(bill.asked) == [1, 1, 2, 2, 3, 4, 5]
    assert len(bill.held()) == 13


def test_a_front_with_a_line_that_has_no_name_is_not_believed(bill: Bill) -> None:
    """Beside it the total adds up: what is missing from page 1 may be on another page."""
    bill.lines.append({**line(10), "order_number": None})
    bill.lines.append(line(11))
    bill.tick()
    assert sorted(bill.asked)[:2] == [1, 1]
    assert len(bill.held()) == 11


@pytest.mark.parametrize("times", [1, 2, 3, 99])
def test_a_page_in_another_order_counts_no_line_twice(bill: Bill, times: int) -> None:
    """It shows lines that a further page shows, too, in the place of as many that nobody sees."""
    bill.lines += [line(n) for n in range(10, 19)]
    whole, left = bill.body, [times]

    def turned(number: int, size: int) -> bytes:
        if number != 2 or not left[0]:
            return whole(number, size)
        left[0] -= 1
        # not the same wrong lines twice: those could be as many real ones
        right, by = bill.lines, 1 + left[0] % 5
        bill.lines = right[by:] + right[:by]
        try:
            return whole(number, size)
        finally:
            bill.lines = right

    bill.body = turned  # type: ignore[method-assign]
    bill.tick()
    bill.body = whole  # type: ignore[method-assign]
    assert bill.tick().complete
    assert bill.held() == sorted(f"O{n}" for n in range(19))


steps = st.lists(
    st.tuples(st.integers(0, 4), st.booleans(), st.sampled_from([60, 90_000])), max_size=8
)


@settings(max_examples=50)
@given(steps=steps, newest_first=st.booleans(), start=st.integers(0, 8))
def test_whatever_comes_is_held_after_a_complete_poll(
    sqlite_template: Any,
    tmp_path_factory: pytest.TempPathFactory,
    steps: Sequence[tuple[int, bool, int]],
    newest_first: bool,
    start: int,
) -> None:
    from etl.dialect import open_database

    place = tmp_path_factory.mktemp("bill") / "bill.db"
    place.write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{place}")
    bill = Bill(database, newest_first=newest_first)
    number = start
    bill.lines = [line(n) for n in range(start)]
    for more, between, after_s in steps:
        bill.lines += [line(n) for n in range(number, number + more)]
        number += more
        if between:
            bill.between = [line(number)]
            number += 1
        listed = {f"O{n}" for n in range(len(bill.lines))}
        if bill.tick(after_s).complete:
            assert listed <= set(bill.held())
    database.engine.dispose()


def test_a_balance_is_asked_for_without_pages() -> None:
    asked = []

    class Plain(Fake):
        def get(self, path: str, params: Any) -> Any:
            asked.append((path, dict(params)))
            return super().get(path, {"page": "1", "page_size": "1"})

    body = answer(BALANCE, {"balance": 1, "card_balance": 2})
    fake = Plain(lambda _n, _size: body)
    found = read(fake, BALANCE)
    assert asked == [("/balance/info", {})]
    assert (found.complete, found.listed) == (True, 1)
