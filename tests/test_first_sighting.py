"""What the first poll of an instance says about the time before it, and what cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl.dialect import Database
from etl.history.codes import SEEDED
from etl.poll import Poll
from tests.memory import Memory
from tests.support import apply, poll_of, rows

T = 1_767_225_600


def listing(*records: dict[str, Any]) -> bytes:
    content = {"instance_list": list(records), "total": len(records)}
    return json.dumps({"code": 0, "data": content}).encode()


def poll(started_at: int, *records: dict[str, Any], complete: bool = True) -> Poll:
    return poll_of([listing(*records)], started_at, started_at + 4, complete=complete)


def one(name: str, created: int | None) -> dict[str, Any]:
    return {"instance_uuid": name, "status": 22, "create_time": created}


def after_at(*polls: Poll) -> int | None:
    """The moment after which the instance `x` began, by its first version."""
    memory = Memory(SEEDED).watch(polls)
    return memory.versions["x"][0].after_at


@pytest.mark.parametrize(
    ("created", "watched"),
    [(T - 1, False), (T, False), (T + 1, True), (T + 4, True), (T + 5, False)],
)
def test_what_the_first_complete_poll_lists_was_watched_if_it_is_younger(
    created: int, watched: bool
) -> None:
    """In the second in which it began an instance may have been listed or not: it is not younger."""
    assert after_at(poll(T, one("x", created))) == (created if watched else None)


@pytest.mark.parametrize(("created", "watched"), [(T - 1, False), (T, True), (T + 1, True)])
def test_later_it_was_watched_if_it_was_created_since_the_first_complete_poll(
    created: int, watched: bool
) -> None:
    polls = poll(T, one("y", None)), poll(T + 600, one("x", created), one("y", None))
    assert after_at(*polls) == (created if watched else None)


def test_before_the_first_complete_poll_nothing_was_watched() -> None:
    assert after_at(poll(T, one("x", T + 2), complete=False)) is None


@pytest.mark.parametrize("at", [0, 1])
def test_a_start_that_cannot_be_one_is_not_held_against_the_next(at: int) -> None:
    """In its first version, or in a later one: it is off, and says that it will start tomorrow."""
    off = [one("x", None), one("x", None)]
    off[at]["start_time"] = T + 86_400
    up = one("x", None) | {"status": 2, "start_time": T + 1_000}
    memory = Memory(SEEDED).watch([poll(T, off[0]), poll(T + 600, off[1]), poll(T + 1_200, up)])
    newest = memory.stretches["x"][max(memory.stretches["x"])]
    assert (newest.evidence, newest.started_at) == ("observed", T + 1_000)


def test_a_going_that_is_undone_takes_back_what_it_wrote_and_no_more() -> None:
    """Off, gone, and back: the time in which it may have run is deleted, once."""
    off, other = one("x", T - 900), one("y", None)
    memory = Memory(SEEDED).watch([poll(T, off, other), poll(T + 300, other)])
    assert memory.take(poll(T + 600, other)).gone == 1
    assert [s.evidence for s in memory.stretches["x"].values()] == ["gone"]
    run = memory.take(poll(T + 900, off, other))
    assert (run.added, run.changed, run.gone) == (0, 1, 0)
    assert memory.stretches["x"] == {}
    assert [v.began_by for v in memory.versions["x"]] == ["first_seen", "returned"]


def test_a_record_that_cannot_be_read_is_kept_for_each_account_and_resource(
    database: Database,
) -> None:
    """Of two accounts with the same record each has its own; a second poll keeps it once."""
    odd = {"instance_uuid": "x", "status": "no number"}
    for at, account in enumerate(("one", "two", "one", "two")):
        apply(database, poll_of([listing(odd)], T + 60 * at, account=account))
    kept = "SELECT name, resource, count(*) FROM rejected_record JOIN account USING (account_id)"
    kept += " GROUP BY name, resource ORDER BY name"
    assert rows(database, kept) == [("one", "instances", 1), ("two", "instances", 1)]
