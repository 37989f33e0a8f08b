"""`doctor billing` and time that was not observed: a gap is what the view `sync_gap` says, however
seldom an account polls."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from etl.books.learning import Lesson, lessons
from etl.books.learning_text import as_record, in_words
from etl.dialect import Database
from etl.money.billing.evidence import BillLine, Gap, observed_lines
from etl.simcloud import Charging, Fleet, Money, microcny
from tests.polled_money import polled, settled
from tests.support import rows

START = 1_767_571_200
DAY_S = 86_400
DAYS = 3
OUTAGE = range(START + DAY_S, START + DAY_S + 3 * 3_600)
"""Three hours without a poll: a gap, whatever the interval."""


def few_long_runs() -> Fleet:
    return Fleet.generate(
        11, instances=8, start=START, days=DAYS, prepaid=0, flapping=0, forgotten=0, no_card=0
    )


def learned(database: Database, fleet: Fleet, times: Iterable[int]) -> Lesson:
    money = Money(fleet, Charging(), opening=microcny(100_000))
    polled(database, fleet, money, times, bills_every_s=DAY_S)
    settled(database, fleet, money, START + DAYS * DAY_S + 7_200)
    (lesson,) = lessons(database, None, 90)
    return lesson


def sorted_windows(lesson: Lesson) -> int:
    known = lesson.judgement.evidence
    return len(known.windows) + len(known.shared) + len(known.stopped)


@pytest.mark.parametrize("minutes", [2, 5, 15, 30])
def test_every_window_counts_however_seldom_an_account_polls(
    database: Database, minutes: int
) -> None:
    times = range(START, START + DAYS * DAY_S + 1, 60 * minutes)
    lesson = learned(database, few_long_runs(), times)
    assert rows(database, "SELECT COUNT(*) FROM sync_gap") == [(0,)]
    assert lesson.unobserved == 0
    assert sorted_windows(lesson) == lesson.lines > 100
    assert lesson.judgement.is_clear, "\n".join(in_words(lesson))


@pytest.mark.parametrize("minutes", [2, 5, 15, 30])
def test_windows_in_a_gap_are_left_out_and_counted(database: Database, minutes: int) -> None:
    times = range(START, START + DAYS * DAY_S + 1, 60 * minutes)
    lesson = learned(database, few_long_runs(), (at for at in times if at not in OUTAGE))
    (gap,) = rows(database, "SELECT gap_from_s, gap_to_s FROM sync_gap")
    asked = (
        "SELECT COUNT(*) FROM bill JOIN sync_span ON 1 = 1 WHERE settle_end_at <= last_at"
        " AND settle_start_at > first_at"
        f" AND settle_start_at < {at_instant(database, gap[1])}"
        f" AND settle_end_at > {at_instant(database, gap[0])}"
    )
    ((inside,),) = rows(database, asked)
    assert lesson.unobserved == inside > 0
    assert sorted_windows(lesson) == lesson.lines - inside
    assert f"  {inside} lines are of time that was not observed" in "\n".join(in_words(lesson))
    assert as_record(lesson)["unobserved_lines"] == inside


def test_a_line_that_touches_a_gap_was_not_observed() -> None:
    lines = [BillLine(at, at + 10, 1) for at in (0, 10, 20, 30)]
    assert observed_lines(lines, [Gap(15, 20)]) == [lines[0], lines[2], lines[3]]


def at_instant(database: Database, seconds: int) -> str:
    return database.render(f"instant({seconds})")
