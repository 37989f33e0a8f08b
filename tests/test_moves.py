"""Which instances a poll changes: the first of the two steps of the diff, which reads nothing."""

from __future__ import annotations

from typing import Any

import pytest

from etl.history import diff
from etl.history.codes import SEEDED
from etl.history.diff import Known, Moves, Presence, Usage, Window
from etl.history.lengths import Learned, Lengths, Passages
from etl.resources.instances import Instance, Sighting

T = 1_767_225_600
UP, DOWN = 2, 22


def facts(name: str = "a", status: int = UP, **more: Any) -> Instance:
    return Instance(name, status, **more)


def known(name: str = "a", status: int = UP, **state: Any) -> Known:
    return Known(facts(name, status), 3, T, **state)


def moves(was: Known, *, status: int = UP) -> Moves:
    return diff.compare({"a": was}, [Sighting(facts("a", status))])


GONE = {"last_seen_at": T, "missing_since": T + 60, "gone_at": T + 60}


def test_what_stays_as_it_is_writes_nothing() -> None:
    assert moves(known()) == Moves()


@pytest.mark.parametrize("state", [{"last_seen_at": T}, {"missing_since": T + 60}, GONE])
def test_what_is_listed_again_is_shown(state: dict[str, int]) -> None:
    made = moves(known(**state))
    if "gone_at" in state:
        assert (len(made.changed), made.presences, made.returned()) == (1, [], ["a"])
    else:
        assert made == Moves(presences=[Presence("a", None, None)])


def test_a_change_of_facts_is_no_return_and_only_one_of_status_teaches() -> None:
    one, other = known(), known(status=DOWN)
    changed = Moves(changed=[(one, Sighting(facts(title="x"))), (other, Sighting(facts("b")))])
    assert changed.returned() == []
    assert changed.changes_status
    assert changed.moved() == ["a", "b"]
    assert not Moves(changed=changed.changed[:1]).changes_status


def test_what_is_new_and_what_left_are_told_apart() -> None:
    made = diff.compare({}, [Sighting(facts("b"))])
    assert (made.added, made.changed) == ([Sighting(facts("b"))], [])
    left = Moves(left=[known("c")])
    assert left.moved() == ["c"]


def window(b: int, *, complete: bool = True) -> Window:
    nothing = Learned(Passages(0, 0, 0), Passages(0, 0, 0))
    return Window(b, complete, T, SEEDED, Lengths(lambda _b: nothing))


def test_what_is_gone_cannot_be_missed_again() -> None:
    assert diff.compare_absent([known(**GONE)], set(), window(T + 900)) == Moves()


def test_the_second_miss_retires_and_the_first_is_noted() -> None:
    once = {"last_seen_at": T, "missing_since": T + 60}
    was, missed = known("a"), known("b", **once)
    made = diff.compare_absent([was, missed], set(), window(T + 900))
    assert made == Moves(presences=[Presence("a", T, T + 900)], left=[missed])
    listed = diff.compare_absent([was, missed], {"a", "b"}, window(T + 900))
    assert listed == Moves(presences=[Presence("a", T, None), Presence("b", T, None)])
    assert diff.compare_absent([was, missed], set(), window(T + 900, complete=False)) == Moves()


def test_what_stays_unreadable_writes_nothing() -> None:
    was = known("a", last_seen_at=T)
    assert diff.compare_absent([was], {"a"}, window(T + 900)) == Moves()


def test_changes_are_counted_by_their_kind() -> None:
    """Two are new, one changed, and one is gone: it ends a version and begins none."""
    changed = known("c", DOWN)
    gone = known("g", DOWN, last_seen_at=T, missing_since=T + 60)
    made = Moves(
        added=[Sighting(facts("a", DOWN)), Sighting(facts("b", DOWN))],
        changed=[(changed, Sighting(facts("c", DOWN, title="x")))],
        left=[gone],
    )
    usages = {"c": Usage(), "g": Usage()}
    found = diff.derive_changes(made, usages, window(T + 600))
    assert (found.added, found.changed, found.gone) == (2, 1, 1)
    assert [v.began_by for v in found.versions] == ["first_seen", "first_seen", "changed"]
