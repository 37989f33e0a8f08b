"""Promise 2: nothing is declared gone by accident, and a going is undone by a return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etl.dialect import Database
from etl.history.days import iso
from etl.poll import APART_S
from etl.rebuild import differences
from etl.simcloud import T0, Story
from etl.store import SyncRun
from tests.support import apply, columns, dump, poll_of, poll_story, rows

EMPTY = b'{"code":0,"data":{"instance_list":[],"total":0}}'
MINUTES = 5
PRESENCE = ("last_seen_at", "missing_since", "gone_at")
TABLES = ("account", "instance", "instance_history", "instance_usage", "usage_day", "sync_run")
TABLES = (*TABLES, "rejected_record", "calendar_day", "setting")


class Watched:
    """A cloud with two instances, `a` and `b`, both up, polled every five minutes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.cloud = Story()
        self.a, self.b = self.cloud.rents(title="a"), self.cloud.rents(title="b")
        self.poll()

    def poll(self, complete: bool = True) -> SyncRun:
        self.cloud.passes(minutes=MINUTES)
        return apply(self.database, poll_story(self.cloud, complete=complete))

    def poll_nothing(self, complete: bool = True) -> SyncRun:
        now = self.cloud.passes(minutes=MINUTES)
        return apply(self.database, poll_of([EMPTY], now, now + 1, complete=complete))

    def presence(self) -> dict[str, Any]:
        names = ", ".join(PRESENCE)
        sql = f"SELECT {names} FROM instance WHERE instance_uuid = :a"
        return {k: v for k, v in columns(self.database, sql, a=self.a)[0].items() if v is not None}

    def versions(self) -> list[tuple[Any, ...]]:
        return rows(
            self.database,
            "SELECT version, began_by, after_at, first_seen_at, last_seen_at, ended_at, ended_by"
            " FROM instance_history WHERE instance_uuid = :a ORDER BY version",
            a=self.a,
        )

    def usage(self) -> list[tuple[Any, ...]]:
        return rows(
            self.database,
            "SELECT usage_no, evidence, started_at, ended_min, ended_at, ended_max"
            " FROM instance_usage WHERE instance_uuid = :a ORDER BY usage_no",
            a=self.a,
        )


def at(minutes: float, seconds: int = 0) -> str:
    return iso(T0 + round(minutes * 60) + seconds)


@pytest.fixture
def watched(database: Database) -> Watched:
    return Watched(database)


SEEN_ONCE = (1, "first_seen", None, at(5, 1), None, None, None)
OPEN = [(1, "observed", at(0), None, None, None)]


def test_an_instance_missing_from_one_poll_is_not_gone(watched: Watched) -> None:
    before = dump(watched.database)
    watched.cloud.hides(watched.a)
    run = watched.poll()
    assert (run.gone, run.changed, run.listed) == (0, 0, 1)
    assert watched.presence() == {"last_seen_at": at(5), "missing_since": at(10, 1)}
    after = dump(watched.database)
    for name in before.keys() - {"instance"}:
        assert after[name] == before[name]
    assert rows(watched.database, "SELECT COUNT(*) FROM instance WHERE missing_since IS NULL") == [
        (1,)
    ]


def test_what_is_missing_ran_until_its_last_sighting_and_at_most_until_it_was_missed(
    watched: Watched,
) -> None:
    watched.cloud.hides(watched.a)
    watched.poll()
    for view in ("usage_span", "_usage_part"):
        found = rows(
            watched.database,
            f"SELECT running_min_s, running_s, running_max_s FROM {view} WHERE instance_uuid = :a",
            a=watched.a,
        )
        assert found == [(300, 300, 601)]


def test_an_instance_missing_from_two_complete_polls_is_gone_since_the_first(
    watched: Watched,
) -> None:
    watched.cloud.hides(watched.a)
    watched.poll()
    assert watched.poll().gone == 1
    gone = {"last_seen_at": at(5), "missing_since": at(10, 1), "gone_at": at(10, 1)}
    assert watched.presence() == gone
    assert watched.versions() == [(*SEEN_ONCE[:4], at(5), at(10, 1), "gone")]
    assert watched.usage() == [(1, "gone", at(0), at(5), at(7.5), at(10, 1))]
    assert watched.poll().gone == 0
    assert watched.presence() == gone


def test_a_partial_poll_that_does_not_list_it_says_nothing(watched: Watched) -> None:
    watched.cloud.hides(watched.a)
    for _ in range(4):
        assert watched.poll(complete=False).gone == 0
    assert watched.presence() == {}
    watched.poll()
    watched.poll(complete=False)
    assert watched.presence() == {"last_seen_at": at(5), "missing_since": at(30, 1)}
    assert watched.poll().gone == 1, "two complete polls in a row, a partial one between them"


@pytest.mark.parametrize("complete", [True, False])
def test_a_sighting_ends_a_row_of_misses(complete: bool, watched: Watched) -> None:
    watched.cloud.hides(watched.a)
    watched.poll()
    watched.cloud.shows(watched.a)
    watched.poll(complete)
    assert watched.presence() == {}
    assert watched.versions() == [SEEN_ONCE]
    watched.cloud.hides(watched.a)
    assert watched.poll().gone == 0
    last_complete = at(15) if complete else at(10)
    assert watched.presence() == {"last_seen_at": last_complete, "missing_since": at(20, 1)}
    assert watched.usage() == OPEN


def test_a_record_that_cannot_be_read_is_listed_and_not_seen_however_often(
    watched: Watched,
) -> None:
    watched.cloud.breaks_record(watched.a)
    for _ in range(5):
        run = watched.poll()
        assert (run.gone, run.rejected, run.listed) == (0, 1, 2)
        assert watched.presence() == {"last_seen_at": at(5)}
    assert watched.usage() == OPEN
    assert len(rows(watched.database, "SELECT * FROM rejected_record")) == 1
    watched.cloud.mends_record(watched.a)
    watched.poll()
    assert watched.presence() == {}
    assert watched.versions() == [SEEN_ONCE]


def test_a_record_that_cannot_be_read_in_a_partial_poll_changes_nothing(watched: Watched) -> None:
    watched.cloud.breaks_record(watched.a)
    watched.poll(complete=False)
    assert watched.presence() == {}


@pytest.mark.parametrize("complete", [True, False])
def test_a_record_that_cannot_be_read_ends_a_row_of_misses(
    complete: bool, watched: Watched
) -> None:
    for _ in range(3):
        watched.cloud.hides(watched.a)
        assert watched.poll().gone == 0
        watched.cloud.shows(watched.a)
        watched.cloud.breaks_record(watched.a)
        watched.poll(complete)
        assert watched.presence() == {"last_seen_at": at(5)}
        watched.cloud.mends_record(watched.a)


def test_a_record_without_a_name_protects_nobody_but_its_poll_is_partial(watched: Watched) -> None:
    """The walk makes such a poll partial; so it retires nothing."""
    watched.cloud.breaks_record(watched.a, nameless=True)
    for _ in range(3):
        assert watched.poll(complete=False).gone == 0
    assert watched.presence() == {}


def test_an_empty_list_for_one_poll_retires_nothing(watched: Watched) -> None:
    before = dump(watched.database)
    assert watched.poll_nothing().gone == 0
    assert watched.poll().gone == 0
    assert dump(watched.database) == before


def test_an_empty_list_for_two_polls_retires_all_and_their_return_repairs_it(
    watched: Watched,
) -> None:
    before = dump(watched.database)
    watched.poll_nothing()
    assert watched.poll_nothing().gone == 2
    watched.poll()
    after = dump(watched.database)
    assert after["instance_usage"] == before["instance_usage"]
    assert after["usage_day"] == before["usage_day"] == []


def test_two_polls_within_seconds_retire_nothing(watched: Watched) -> None:
    """A person's sync right after the daemon's sees the same failover of the source."""
    before = dump(watched.database)["instance_usage"]
    assert watched.poll_nothing().gone == 0
    for seconds in (2, 10, APART_S - 13):
        now = watched.cloud.passes(seconds=seconds)
        run = apply(watched.database, poll_of([EMPTY], now, now + 1))
        assert (run.gone, run.digest) == (0, None)
    watched.cloud.passes(seconds=1)
    assert watched.poll().gone == 0
    assert dump(watched.database)["instance_usage"] == before


def test_a_poll_half_a_minute_later_retires(watched: Watched) -> None:
    watched.poll_nothing()
    now = watched.cloud.passes(seconds=APART_S)
    assert apply(watched.database, poll_of([EMPTY], now, now + 1)).gone == 2


def goes(watched: Watched, polls: int = 3) -> None:
    watched.cloud.hides(watched.a)
    for _ in range(polls):
        watched.poll()


@pytest.mark.parametrize("complete", [True, False])
def test_a_return_undoes_the_going(complete: bool, watched: Watched) -> None:
    goes(watched)
    assert rows(watched.database, "SELECT COUNT(*) FROM usage_day") == [(1,)]
    watched.cloud.shows(watched.a)
    run = watched.poll(complete)
    assert (run.added, run.changed, run.gone) == (0, 1, 0)
    assert watched.presence() == {}
    assert watched.usage() == OPEN
    assert rows(watched.database, "SELECT * FROM usage_day") == []
    assert watched.versions() == [
        (*SEEN_ONCE[:4], at(5), at(25, 1), "changed"),
        (2, "returned", at(5), at(25, 1), None, None, None),
    ]
    assert list(differences(watched.database)) == []


def test_an_instance_that_returns_stopped_stopped_since_its_last_sighting(
    watched: Watched,
) -> None:
    goes(watched)
    watched.cloud.stops(watched.a)
    watched.cloud.shows(watched.a)
    watched.poll()
    # the middle of 00:05:00 and 00:25:01 less the 30 s of shutting down
    assert watched.usage() == [(1, "observed", at(0), at(5), at(14, 45), at(25, 1))]
    assert rows(watched.database, "SELECT running_s, running_max_s FROM usage_day") == [(885, 1501)]
    assert list(differences(watched.database)) == []


def test_a_return_deletes_what_its_going_wrote(watched: Watched) -> None:
    """Gone while stopped: a run was possible until it went, and is not after it returned."""
    watched.cloud.stops(watched.a)
    watched.poll()
    stopped = watched.usage()
    goes(watched)
    assert watched.usage() == [*stopped, (2, "gone", at(10), at(10), at(10), at(15, 1))]
    watched.cloud.shows(watched.a)
    watched.poll()
    assert watched.usage() == stopped
    assert rows(watched.database, "SELECT usage_no FROM usage_day") == [(1,)]
    assert list(differences(watched.database)) == []


def test_a_return_with_a_new_run_writes_it_in_place_of_what_the_going_wrote(
    watched: Watched,
) -> None:
    watched.cloud.stops(watched.a)
    watched.poll()
    goes(watched)
    started = watched.cloud.passes(minutes=2)
    watched.cloud.starts(watched.a)
    watched.cloud.shows(watched.a)
    watched.poll()
    assert [row[:3] for row in watched.usage()[1:]] == [
        (2, "possible_run", at(10)),
        (3, "observed", iso(started)),
    ]
    assert list(differences(watched.database)) == []


def test_an_instance_can_go_and_return_again_and_again(watched: Watched) -> None:
    for _ in range(3):
        goes(watched)
        watched.cloud.shows(watched.a)
        watched.poll()
        assert watched.usage() == OPEN
    began_by = [version[1] for version in watched.versions()]
    assert began_by == ["first_seen", "returned", "returned", "returned"]
    assert list(differences(watched.database)) == []


def test_a_record_that_cannot_be_read_brings_nobody_back(watched: Watched) -> None:
    goes(watched)
    gone = watched.presence()
    watched.cloud.shows(watched.a)
    watched.cloud.breaks_record(watched.a)
    watched.poll()
    assert watched.presence() == gone


def quiet(watched: Watched) -> None:
    """Nothing happens."""


def missing_one(watched: Watched) -> None:
    goes(watched, 4)


def unreadable(watched: Watched) -> None:
    watched.cloud.breaks_record(watched.a)
    watched.poll()


@pytest.mark.parametrize("before", [quiet, missing_one, unreadable])
@pytest.mark.parametrize("complete", [True, False])
def test_a_poll_that_changes_nothing_writes_one_row(
    before: Callable[[Watched], None], complete: bool, watched: Watched
) -> None:
    before(watched)
    counted, kept = counts(watched.database), dump(watched.database)
    watched.poll(complete)
    counted["sync_run"] += 1
    assert counts(watched.database) == counted
    assert dump(watched.database) == kept


def counts(database: Database) -> dict[str, int]:
    return {name: rows(database, f"SELECT COUNT(*) FROM {name}")[0][0] for name in TABLES}
