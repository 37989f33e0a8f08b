"""What a repair of the clock leaves of absences: that of a replay, whatever polls had proven before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.archive import Archive
from etl.dialect import Database
from etl.history.proofs import JudgedPoll, KeptVersion, Proofs
from etl.poll import Poll
from etl.rebuild import differences
from etl.repair import repair
from etl.replay import replay
from etl.resources import INSTANCES, RESOURCES, Resource
from tests.conftest import FreshDatabase
from tests.support import ACCOUNT, apply, columns, dump, poll_of, rows
from tests.test_money_records import CARD, LINE, LIST_KEYS, PRICE, RECHARGE
from tests.test_workflows import IMAGE, RUN

T0 = 1_790_000_000
HOUR_S = 3_600
DAY_S = 86_400


def record(resource: str, number: int, value: int) -> dict[str, Any]:
    """A record of this number, older for lower ones; its facts differ by the value, 3 cannot be read."""
    at, odd = T0 - 5_000 + number * 500, {"odd": value} if value == 3 else value
    name = f"N{number}"
    match resource:
        case "instances":
            facts = {"status": {1: 2, 2: 22}.get(value, odd), "start_time": at, "charging_type": 1}
            return {"instance_uuid": name, "title": "T", "create_time": at - 60, **facts}
        case "gpu_prices":
            return PRICE | {"gpu_uuid": name, "status": odd}
        case "balance":
            return {"balance": odd, "card_balance": 0}
        case "cards":
            return CARD | {"uuid": name, "leave_amount": odd}
        case "bills":
            times = {"order_time": at + 400, "settle_start_time": at, "settle_end_time": at + 400}
            return LINE | times | {"order_number": name, "amount": odd}
        case "recharges":
            return RECHARGE | {"out_trade_no": name, "amount": odd, "pay_time": at}
        case "workflow_runs":
            return RUN | {"run_order_id": name, "final_amount": odd, "created_at": at}
        case _:
            return IMAGE | {"uuid": name, "layer_count": odd}


class Step(NamedTuple):
    """A poll: so long after the one before, the value of each record that it lists, whether it is whole."""

    after_s: int
    listed: Mapping[int, int]
    is_complete: bool = True


def listing(resource: Resource[Any], at: int, step: Step) -> Poll:
    """A poll by a clock that is right. The oldest record of all is in every listing."""
    listed = {0: 1} | dict(step.listed)
    records = [record(resource.name, number, value) for number, value in sorted(listed.items())]
    content = {LIST_KEYS.get(resource.name, "instance_list"): records, "total": len(records)}
    if resource.name == "balance":
        content = records[-1]
    body = json.dumps({"code": 0, "data": content}).encode()
    poll = poll_of([body], at - 5, at + 6, resource=resource, complete=step.is_complete)
    return replace(poll, clock_offset_s=0.0, digest=None, reported_total=poll.listed)


def ahead(poll: Poll, ahead_s: int, *, by_source: bool) -> Poll:
    """The same poll by a clock that was ahead: the source's, or this machine's without a `Date`."""
    return replace(
        poll,
        started_at=poll.started_at + ahead_s,
        finished_at=poll.finished_at + ahead_s,
        clock_offset_s=float(ahead_s) if by_source else None,
    )


def live_and_repaired(database: Database, folder: Path, polls: list[Poll], now: int) -> None:
    """Apply polls, archived, and repair both."""
    archive = Archive(folder, ACCOUNT, RESOURCES[polls[0].resource])
    for poll in polls:
        apply(database, poll)
        archive.append(poll, None)
    repair(database, now, [folder])
    assert list(differences(database)) == []


def replayed(database: Database, folder: Path) -> Database:
    replay(database, sorted(map(str, folder.glob("*.jsonl.gz"))))
    return database


def polls_of(
    resource: Resource[Any], steps: list[Step], wrong_from: int, clocks: Any
) -> list[Poll]:
    """The polls of a history, from one of them on by clocks that were ahead; those that would be refused
    left out."""
    at, kept = T0, list[Poll]()
    for number, step in enumerate(steps):
        at += step.after_s
        poll = listing(resource, at, step)
        if number >= wrong_from:
            ahead_s, by_source = clocks[number]
            poll = ahead(poll, ahead_s, by_source=by_source)
        if not kept or poll.started_at > kept[-1].started_at:
            kept.append(poll)
    return kept


CLOCKS = st.lists(
    st.tuples(st.integers(2 * HOUR_S, 9 * DAY_S), st.booleans()), min_size=9, max_size=9
)
BY_OWN_CLOCK = [(20 * HOUR_S + number * DAY_S, False) for number in range(9)]


def steps_of(name: str) -> st.SearchStrategy[list[Step]]:
    """Histories of polls. A line of the bill keeps its amount: one that is superseded by mistake, and then
    comes with another amount, is two lines, and stays two."""
    values = [1, 3] if name == "bills" else [1, 2, 3]
    listed = st.dictionaries(st.sampled_from([1, 2]), st.sampled_from(values), max_size=2)
    whole = st.sampled_from([True, True, True, False])
    return st.lists(st.builds(Step, st.integers(12, 200), listed, whole), min_size=3, max_size=9)


def equal(live: Database, again: Database, name: str) -> bool:
    table = f"SELECT * FROM {RESOURCES[name].table} ORDER BY 2, 3, 4"
    return dump(live) == dump(again) and columns(live, table) == columns(again, table)


def judged(polls: str, since: int) -> Proofs:
    """A poll every 100 s that takes 10: complete, lost (complete before alone), or partial."""
    when = [(100 * n, 100 * n + 10, c in "cl", c == "c") for n, c in enumerate(polls, 1)]
    return Proofs([JudgedPoll(*each) for each in when], since)


SEEN = KeptVersion("x", began_at=110, after_at=None, began_by="first_seen")
GONE = replace(SEEN, last_seen_at=100, missing_since=210, ended_at=210, is_gone=True)
BACK = KeptVersion("y", began_at=410, after_at=100, began_by="returned")
ENDED = replace(SEEN, last_seen_at=100, ended_at=410)
AT_ONCE = replace(GONE, began_at=211, ended_at=211)
"""Two polls ended in the second before it began: one saw it, the other did not."""
LATE = replace(SEEN, began_at=210, after_at=100, last_seen_at=200, ended_at=410)
LATER = replace(BACK, began_by="changed", after_at=200)


@pytest.mark.parametrize(
    ("polls", "since", "kept", "proven"),
    [
        # without its proof it never went: what came back has changed, or is as it was
        ("clll", 1, [ENDED, BACK], [ENDED, replace(BACK, began_by="changed")]),
        ("clll", 1, [ENDED, replace(BACK, facts="x")], [SEEN]),
        ("cccl", 3, [ENDED, BACK], [replace(ENDED, missing_since=210), BACK]),
        # what was proven before these polls stays so
        ("ccccl", 4, [GONE], [GONE]),
        ("ccccl", 4, [AT_ONCE], [AT_ONCE]),
        # a partial poll may have been the last to see it
        ("cplc", 2, [LATE, LATER], [LATE, LATER]),
    ],
)
def test_versions_are_those_that_the_polls_that_are_left_prove(
    polls: str, since: int, kept: list[KeptVersion], proven: list[KeptVersion]
) -> None:
    assert judged(polls, since).versions(kept) == proven


def test_a_line_is_missing_from_the_first_whole_listing_that_lacks_it() -> None:
    """Not from one before it that was judged again, too."""
    assert judged("ccccc", 1).window(410) == (410, 510)
    assert judged("ccclc", 1).window(410) == (510, None)


@pytest.mark.parametrize("name", RESOURCES)
def test_what_polls_without_proof_lack_is_neither_missing_nor_gone(
    name: str, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """They were whole when they were applied; now nobody knows when they were made."""
    both, one = {1: 1, 2: 1}, {1: 1}
    steps = [Step(0, both), Step(120, both), Step(120, one), Step(120, one)]
    if name == "balance":
        # it has one record, which can only be unreadable
        steps = [Step(0, {1: 1}), Step(120, {1: 3}), Step(120, {1: 3})]
    live, again = fresh_database(), fresh_database()
    resource = RESOURCES[name]
    live_and_repaired(live, tmp_path, polls_of(resource, steps, 1, BY_OWN_CLOCK), T0 + HOUR_S)
    state = "missing_since" if resource.keeping == "window" else "last_seen_at"
    assert rows(live, f"SELECT COUNT(*) FROM {resource.table} WHERE {state} IS NOT NULL") == [(0,)]
    assert equal(live, replayed(again, tmp_path), name)


def test_what_one_poll_without_proof_lacked_is_not_missing(
    database: Database, tmp_path: Path
) -> None:
    """Its versions are as they were: only the instance said that it was missed."""
    steps = [Step(0, {1: 1, 2: 1}), Step(120, {1: 1, 2: 1}), Step(120, {1: 1})]
    live_and_repaired(database, tmp_path, polls_of(INSTANCES, steps, 2, BY_OWN_CLOCK), T0 + HOUR_S)
    missing = "SELECT COUNT(*) FROM instance WHERE missing_since IS NOT NULL"
    assert rows(database, missing) == [(0,)]


@pytest.mark.parametrize("name", RESOURCES)
def test_a_repaired_history_is_that_of_its_replay(
    name: str, kind: str, fresh_database: FreshDatabase
) -> None:
    """Whatever records did, and whichever polls lost their proof."""

    @settings(max_examples=4 if kind == "sqlite" else 1)
    @given(steps_of(name), st.integers(1, 5), CLOCKS)
    def law(steps: list[Step], wrong_from: int, clocks: Any) -> None:
        live, again = fresh_database(), fresh_database()
        polls = polls_of(RESOURCES[name], steps, wrong_from, clocks)
        with tempfile.TemporaryDirectory() as folder:
            live_and_repaired(live, Path(folder), polls, T0 + HOUR_S)
            replayed(again, Path(folder))
        assert equal(live, again, name)
        live.engine.dispose()
        again.engine.dispose()

    law()
