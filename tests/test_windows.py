"""What a listing changes in a window: lines that are new, corrected, missing, superseded and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from etl.history.windows import (
    Added,
    Correction,
    Cover,
    Held,
    Matching,
    RecordState,
    WindowChanges,
    superseded,
)
from etl.resources import BILLS, Record, Resource, ValidTime

COUNTED: Resource[Any] = replace(BILLS, group=1, counts=True)
"""Records of a group, their amount; several that are alike in everything are several."""
SINGLE: Resource[Any] = replace(BILLS, group=1, counts=False)
T = 1_790_000_000


def record(group: str, amount: int = 1, extra: str | None = None) -> Record:
    return Record(f"{group}{amount}", (group, amount), extra)


def held(
    group: str,
    amount: int = 1,
    number: int = 1,
    *,
    missing: int | None = None,
    ended: int | None = None,
) -> Held:
    return Held(number, record(group, amount), missing, ended)


def changes_of(
    listed: Iterable[Record], *were: Held, resource: Resource[Any] = COUNTED
) -> WindowChanges:
    """The changes of one batch, before what must wait for the end of the listing."""
    return Matching(resource).match(were, listed)


# what is listed as it is held


def test_a_line_that_is_held_changes_nothing() -> None:
    changes = changes_of([record("a")], held("a"))
    assert not changes.is_news
    assert (changes.added, changes.changed, changes.states) == ([], [], [])


def test_lines_alike_in_everything_are_as_many_as_are_listed() -> None:
    matching = Matching(COUNTED)
    changes = matching.match([held("a")], [record("a"), record("a"), record("a")])
    assert changes.added == [Added(record("a"), 2), Added(record("a"), 3)]
    assert matching.listed == 3


def test_a_record_that_moved_to_the_next_page_is_one() -> None:
    matching = Matching(SINGLE)
    assert matching.match([], [record("a")]).added == [Added(record("a"), 1)]
    # it is held by now, and with other facts it would be corrected a second time
    assert not matching.match([held("a")], [record("a", 2)]).is_news
    assert matching.listed == 1


def test_what_else_a_line_says_is_a_correction() -> None:
    was, now = held("a"), record("a", extra='{"note":1}')
    assert changes_of([now], was).changed == [Correction(was, now)]


def test_a_line_that_is_back_is_neither_missing_nor_superseded() -> None:
    for was in (held("a", missing=T), held("a", missing=T, ended=T + 60)):
        changes = changes_of([record("a")], was)
        assert changes.states == [RecordState(was)]
        assert changes.is_news
        assert (changes.gone, changes.returned) == (0, int(was.superseded_at is not None))


def test_numbers_are_never_given_again() -> None:
    """The second line is superseded: a third one that is alike in its group has a number of its own."""
    were = [held("a", 1, 1), held("a", 2, 2, missing=T, ended=T)]
    matching = Matching(COUNTED)
    matching.match(were, [record("a", 1), record("a", 3)])
    assert matching.unsettled == []
    again = Matching(COUNTED).match(were, [record("a", 1), record("a", 3)])
    assert again.added == [Added(record("a", 3), 3)]


# corrections


def test_another_amount_waits_until_all_is_listed() -> None:
    """A later page may list the line as it was."""
    matching = Matching(COUNTED)
    assert not matching.match([held("a", 1)], [record("a", 2)]).is_news
    assert matching.unsettled == [record("a", 2)]
    assert not matching.match([held("a", 1)], [record("a", 1)]).is_news
    settled = matching.settle([held("a", 1)], corrects=True)
    assert (settled.added, settled.changed) == ([Added(record("a", 2), 2)], [])
    assert matching.unsettled == []


def test_another_amount_corrects_what_is_no_longer_listed() -> None:
    matching, was = Matching(COUNTED), held("a", 1, missing=T)
    matching.match([was], [record("a", 2)])
    settled = matching.settle([was], corrects=True)
    assert settled.changed == [Correction(was, record("a", 2))]
    assert settled.states == [RecordState(was)]
    assert list(matching.unlisted([was, held("b")])) == [held("b")]


def test_a_front_corrects_nothing() -> None:
    """It does not show whether the line is listed further back."""
    matching = Matching(COUNTED)
    matching.match([held("a", 1)], [record("a", 2)])
    assert matching.settle([held("a", 1)], corrects=False).added == [Added(record("a", 2), 2)]


def test_a_superseded_line_of_many_is_never_corrected() -> None:
    """It may be another charge; without a valid one nothing must wait."""
    was = held("a", 1, missing=T, ended=T)
    matching = Matching(COUNTED)
    assert matching.match([was], [record("a", 2)]).added == [Added(record("a", 2), 2)]
    assert matching.unsettled == []


def test_of_a_single_record_the_newest_facts_count_at_once() -> None:
    for was in (held("a", 1), held("a", 1, missing=T, ended=T)):
        changes = changes_of([record("a", 2)], was, resource=SINGLE)
        assert changes.changed == [Correction(was, record("a", 2))]
        assert changes.states == ([RecordState(was)] if was.superseded_at else [])


def test_a_valid_line_comes_before_a_superseded_one_that_is_alike() -> None:
    old, valid = held("a", 1, 1, missing=T, ended=T), held("a", 1, 2)
    assert not changes_of([record("a")], old, valid).is_news
    assert changes_of([record("a"), record("a")], old, valid).states == [RecordState(old)]


def test_a_line_of_an_earlier_page_is_not_free_for_another() -> None:
    matching, was = Matching(COUNTED), held("a", 1)
    matching.match([was], [record("a", 1)])
    assert matching.match([was], [record("a", 1)]).added == [Added(record("a", 1), 2)]


def test_records_say_whose_days_must_be_cut_again() -> None:
    was, back = held("b", 1), held("c", 1, missing=T)
    changes = WindowChanges(
        [Added(record("a"), 1)], [Correction(was, record("b", 2))], [RecordState(back)]
    )
    assert list(changes.records()) == [record("a"), was.record, record("b", 2), back.record]


@pytest.mark.parametrize(
    ("was", "state", "gone", "returned"),
    [
        (held("a"), (T, None), 0, 0),
        (held("a", missing=T), (T, T + 60), 1, 0),
        (held("a", missing=T), (None, None), 0, 0),
        (held("a", missing=T, ended=T), (None, None), 0, 1),
        (held("a", missing=T, ended=T), (T, T + 90), 1, 0),
    ],
)
def test_a_return_is_one_of_what_was_superseded(
    was: Held, state: tuple[int | None, int | None], gone: int, returned: int
) -> None:
    changes = WindowChanges(states=[RecordState(was, *state)])
    assert (changes.gone, changes.returned) == (gone, returned)


# what a listing covers


def timed(facts: Sequence[Any]) -> ValidTime | None:
    """Facts are (subject, start, end, when it was charged); no start: no time is known."""
    subject, starts_at, ends_at, at = facts
    return None if starts_at is None else ValidTime((subject,), starts_at, ends_at, at)


def of_time(subject: str, starts: int | None, ends: int = 0, at: int | None = None) -> Record:
    return Record(subject, (subject, starts, ends, ends if at is None else at), None)


def cover_of(*listed: Record) -> Cover:
    cover = Cover(timed)
    cover.add(listed)
    return cover


OLDEST = of_time("x", 100, 200, at=250)


@pytest.mark.parametrize(
    ("record", "is_covered", "why"),
    [
        (of_time("y", 101, 300, at=251), True, "it began and was charged after the oldest"),
        (of_time("y", 100, 300, at=251), False, "it is as old as the oldest"),
        (of_time("y", 101, 300, at=250), False, "it was charged with the oldest"),
        (of_time("y", 99, 300, at=251), False, "it began before the oldest"),
        (of_time("y", 101, 300, at=249), False, "it was charged before the oldest"),
        (of_time("x", 50, 101, at=120), True, "it overlaps a line of its subject"),
        (of_time("x", 50, 100, at=120), False, "it ends where that one begins"),
        (of_time("x", 199, 300, at=120), True, "it begins within that one"),
        (of_time("x", 200, 300, at=120), False, "it begins where that one ends"),
        (of_time("y", 50, 101, at=120), False, "it is of another subject"),
        (of_time("x", 100, 200, at=120), True, "it is of the same time"),
        (of_time("y", None), False, "nobody knows its time"),
    ],
)
def test_a_listing_covers_what_it_would_show(record: Record, is_covered: bool, why: str) -> None:
    assert cover_of(OLDEST, of_time("z", 400, 500)).covers(record) is is_covered, why


def test_a_moment_is_covered_by_the_same_moment_alone() -> None:
    cover = cover_of(of_time("x", 100, 100))
    assert cover.covers(of_time("x", 100, 100))
    assert not cover.covers(of_time("x", 99, 99))


@pytest.mark.parametrize("listed", [[], [of_time("x", None)]])
def test_a_listing_without_times_covers_nothing(listed: list[Record]) -> None:
    assert not cover_of(*listed).covers(of_time("x", 500, 600))


@pytest.mark.parametrize(
    ("was", "after_s", "state"),
    [
        ((None, None), 0, (T, None)),
        ((T - 30, None), 0, (T - 30, T)),
        ((T - 29, None), 0, None),
        ((T - 90, T - 60), 0, None),
    ],
)
def test_what_two_whole_listings_lack_is_superseded(
    was: tuple[int | None, int | None], after_s: int, state: tuple[int, int | None] | None
) -> None:
    lacking = Held(1, of_time("y", 300, 400), *was)
    states = superseded([lacking], cover_of(OLDEST), T + after_s)
    assert states == ([] if state is None else [RecordState(lacking, *state)])
    assert superseded([lacking], cover_of(), T) == []
