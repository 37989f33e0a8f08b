"""What holds after any polls of any instances: generated polls, complete and partial, of a few
instances with arbitrary facts, through the real store. Each example is an account of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from etl.dialect import Database
from etl.poll import APART_S, Poll
from etl.rebuild import differences
from etl.resources import INSTANCES
from etl.simcloud import T0
from etl.store import Store, SyncRun
from tests.support import apply, columns, poll_of

UUIDS = ("i-1", "i-2", "i-3")
UNREADABLE = "unreadable"
LASTS_S = 40
_numbers = itertools.count()


@dataclass(frozen=True)
class Listing:
    """What a poll lists: records by uuid, or `UNREADABLE`; how long after the poll before."""

    records: dict[str, Any]
    complete: bool
    later_s: int
    lasts_s: int


RECORDS = st.fixed_dictionaries(
    {
        "status": st.sampled_from([0, 1, 2, 2, 2, 21, 22, 22, 24, 27, 77]),
        "start_time": st.one_of(st.just(0), st.integers(T0, T0 + 2_000)),
        "create_time": st.sampled_from([0, T0 - 500, T0 + 600]),
        "gpu_nums": st.sampled_from([1, 1, 1, 2]),
        "title": st.sampled_from(["a", "b"]),
    }
)
LISTINGS = st.builds(
    Listing,
    st.dictionaries(st.sampled_from(UUIDS), st.one_of(RECORDS, RECORDS, st.just(UNREADABLE))),
    st.sampled_from([True, True, True, False]),
    st.integers(1, 400),
    st.integers(0, LASTS_S),
)
HISTORIES = st.lists(LISTINGS, min_size=1, max_size=7)


class Account:
    """A new account of a database, and the polls that it took."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.name = f"lab {next(_numbers)}"
        self.now = T0

    def takes(self, listing: Listing) -> SyncRun:
        return apply(self.database, self.poll_of(listing))

    def poll_of(self, listing: Listing) -> Poll:
        self.now += listing.later_s
        records = [
            {"instance_uuid": uuid, **({"gpu_nums": "many"} if shown == UNREADABLE else shown)}
            for uuid, shown in listing.records.items()
        ]
        answer = {"code": 0, "data": {"instance_list": records, "total": len(records)}}
        ends = self.now + listing.lasts_s
        body = json.dumps(answer).encode()
        return poll_of([body], self.now, ends, complete=listing.complete, account=self.name)

    def rows(self, table: str, order: str = "1") -> list[dict[str, Any]]:
        return columns(
            self.database,
            f"SELECT t.* FROM {table} t JOIN account a ON a.account_id = t.account_id"
            f" WHERE a.name = :name ORDER BY {order}",
            name=self.name,
        )

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "instance": self.rows("instance", "instance_uuid"),
            "instance_history": self.rows("instance_history", "instance_uuid, version"),
            "instance_usage": self.rows("instance_usage", "instance_uuid, usage_no"),
            "usage_day": self.rows("usage_day", "instance_uuid, usage_no, day"),
            "rejected_record": self.rows("rejected_record", "reason, payload_hash"),
        }


def laws(histories: int) -> Any:
    def decorate(law: Any) -> Any:
        return settings(max_examples=histories)(given(HISTORIES)(law))

    return decorate


def test_what_is_known_after_a_poll_is_what_it_showed(database: Database) -> None:
    @laws(25)
    def law(history: list[Listing]) -> None:
        account = Account(database)
        for listing in history:
            poll = account.poll_of(listing)
            with Store(database, account.name).reading() as known:
                before = known.known(UUIDS)
            apply(database, poll)
            with Store(database, account.name).reading() as known:
                after = known.known(UUIDS)
            sightings, _ = INSTANCES.read(poll.walks[0][0].body)
            for sighting in sightings:
                now = after.pop(sighting.identity)
                assert now.facts == sighting.facts
                assert (now.last_seen_at, now.missing_since, now.gone_at) == (None, None, None)
            for uuid, now in after.items():
                assert (now.facts, now.version) == (before[uuid].facts, before[uuid].version)

    law()
    assert list(differences(database)) == []


def test_the_same_poll_again_changes_nothing(database: Database) -> None:
    """Again, later: what it lists stays as it is; what it did not list the first time is gone the
    second time; the third time writes nothing but its own row."""

    @laws(25)
    def law(history: list[Listing]) -> None:
        account = Account(database)
        for listing in history:
            account.takes(listing)
        later = replace(history[-1], later_s=APART_S + 2 * LASTS_S)
        again = account.takes(later)
        assert (again.added, again.changed) == (0, 0)
        before, runs = account.everything(), len(account.rows("sync_run"))
        third = account.takes(later)
        assert (third.added, third.changed, third.gone) == (0, 0, 0)
        assert account.everything() == before
        assert len(account.rows("sync_run")) == runs + 1

    law()


def test_the_open_versions_are_those_listed_and_those_missing_once(database: Database) -> None:
    @laws(25)
    def law(history: list[Listing]) -> None:
        account = Account(database)
        since: dict[str, int | None] = {}
        gone: set[str] = set()
        for listing in history:
            ended = account.takes(listing).finished_at
            for uuid, shown in listing.records.items():
                if shown != UNREADABLE or (uuid in since and uuid not in gone):
                    since[uuid] = None
                    gone.discard(uuid)
            for uuid in (since.keys() - listing.records.keys()) if listing.complete else ():
                first = since[uuid]
                since[uuid] = ended if first is None else first
                if first is not None and ended - first >= APART_S:
                    gone.add(uuid)
            open_versions = {
                row["instance_uuid"]
                for row in account.rows("instance_history")
                if row["ended_at"] is None
            }
            assert open_versions == since.keys() - gone

    law()


def test_versions_and_stretches_are_numbered_without_holes_and_do_not_overlap(
    database: Database,
) -> None:
    @laws(40)
    def law(history: list[Listing]) -> None:
        account = Account(database)
        for listing in history:
            account.takes(listing)
        written = account.everything()
        for uuid in UUIDS:
            versions = [r for r in written["instance_history"] if r["instance_uuid"] == uuid]
            assert numbers(versions, "version") == list(range(1, len(versions) + 1))
            for version, following in itertools.pairwise(versions):
                assert version["ended_at"] == following["first_seen_at"]
                assert version["ended_by"] == "changed"
            for version in versions:
                assert (
                    version["ended_at"] is None or version["first_seen_at"] <= version["ended_at"]
                )
            stretches = [r for r in written["instance_usage"] if r["instance_uuid"] == uuid]
            assert numbers(stretches, "usage_no") == list(range(1, len(stretches) + 1))
            opened = [r for r in stretches if r["ended_at"] is None]
            assert sum(r["kind"] == "running" for r in opened) <= 1

    law()
    assert list(differences(database)) == []


def numbers(found: Sequence[dict[str, Any]], name: str) -> list[int]:
    return [row[name] for row in found]
