"""Versions of records without running time: what begins, ends, is missing, and comes back."""

from __future__ import annotations

import pytest

from etl.history.versions import (
    Began,
    Lasting,
    VersionChanges,
    VersionPresence,
    compare_versions,
)
from etl.resources import Record

T = 1_790_000_000
A = Record("a", ("a", 1), None)
OTHER = Record("a", ("a", 2), None)


def lasting(seen: int | None = None, missing: int | None = None, began: int = T) -> Lasting:
    return Lasting(A, began, seen_at=T + 100, last_seen_at=seen, missing_since=missing)


def changes_of(
    was: Lasting, *listed: Record, b: int = T + 200, rejected: str = ""
) -> VersionChanges:
    return compare_versions({"a": was}, listed, set(rejected), newest=T + 100, b=b, complete=True)


@pytest.mark.parametrize(
    ("seen", "missing"), [(T + 100, None), (T + 100, T + 150), (None, T + 150)]
)
def test_what_was_missing_or_unreadable_and_is_listed_is_there(
    seen: int | None, missing: int | None
) -> None:
    was = lasting(seen, missing)
    assert changes_of(was, A).presences == [VersionPresence(was)]


def test_of_what_stays_as_it_is_nothing_is_written() -> None:
    changes = changes_of(lasting(), A)
    assert (changes.presences, changes.began, changes.pending) == ([], [], False)


@pytest.mark.parametrize(
    ("presence", "is_pending"),
    [
        (VersionPresence(lasting(), T + 100, T + 150), True),
        (VersionPresence(lasting(), T + 100), True),
        (VersionPresence(lasting(), T + 100, T + 150, T + 150), False),
        (VersionPresence(lasting()), False),
    ],
)
def test_something_is_pending_while_it_is_missing_or_unreadable(
    presence: VersionPresence, is_pending: bool
) -> None:
    assert VersionChanges(presences=[presence]).pending is is_pending


@pytest.mark.parametrize(("b", "begins"), [(T, T + 1), (T + 1, T + 1), (T + 9, T + 9)])
def test_of_versions_that_begin_in_one_second_the_later_begins_a_second_later(
    b: int, begins: int
) -> None:
    was = lasting()
    changes = changes_of(was, OTHER, b=b)
    assert changes.began == [Began(OTHER, begins, T + 100)]
    assert changes.presences == [VersionPresence(was, T + 100, None, begins)]
    assert (changes.added, changes.gone, changes.replaced) == (0, 0, 1)


def test_a_record_that_is_new_began_after_the_newest_complete_listing() -> None:
    changes = compare_versions({}, [A], set(), newest=T, b=T + 9, complete=True)
    assert (changes.began, changes.added) == ([Began(A, T + 9, T)], 1)


def test_a_version_ends_no_earlier_than_it_began() -> None:
    """Two polls ended in the second in which it began, and it was missing ever since."""
    was = lasting(T - 5, T - 1)
    (ended,) = changes_of(was, b=T + 60).presences
    assert (ended.ended_at, ended.missing_since) == (T, T - 1)
