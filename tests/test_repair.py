"""A history whose newest polls lie in the future is repaired: dated anew, within honest bounds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import store
from etl.archive import Archive, polls
from etl.books.closing import close
from etl.dialect import Database
from etl.errors import StalePoll
from etl.history.days import from_iso, iso
from etl.poll import Poll
from etl.rebuild import differences
from etl.repair import Repair, repair
from etl.replay import replay
from etl.resources import BALANCE, BILLS, GPU_PRICES, INSTANCES, Resource
from etl.timing.redating import DatedRun, new_dates
from tests.conftest import FreshDatabase
from tests.support import ACCOUNT, apply, columns, dump, poll_of, rows
from tests.test_money_records import LINE, PRICE, answer

T0 = 1_790_000_000
HOUR_S = 3_600
DAY_S = 86_400
AHEAD_S = 20 * HOUR_S


def instance(status: int = 2, start: int = T0 - HOUR_S, uuid: str = "A") -> dict[str, Any]:
    return {
        **{"instance_uuid": uuid, "status": status, "title": uuid, "charging_type": 1},
        **{"create_time": T0 - 2 * HOUR_S, "start_time": start, "gpu_name": "G", "gpu_nums": 1},
    }


def listing(at: int, *records: Any, resource: Resource[Any] = INSTANCES) -> Poll:
    """A poll at a moment, by a clock that is right."""
    content = {"instance_list": records, "total": len(records)}
    body = json.dumps({"code": 0, "data": content}).encode()
    body = body if resource is INSTANCES else answer(resource, *records)
    made = poll_of([body], at - 5, at + 6, resource=resource)
    return replace(made, clock_offset_s=0.0, digest="d", reported_total=len(records))


def dated(poll: Poll, ahead_s: int, *, by_source: bool = True) -> Poll:
    """The same poll by a clock that was ahead: the source's, or this machine's without a `Date`."""
    return replace(
        poll,
        started_at=poll.started_at + ahead_s,
        finished_at=poll.finished_at + ahead_s,
        clock_offset_s=float(ahead_s) if by_source else None,
    )


def usage(database: Database) -> list[tuple[Any, ...]]:
    sql = "SELECT evidence, started_at, ended_min, ended_at, ended_max FROM instance_usage"
    return rows(database, f"{sql} ORDER BY instance_uuid, usage_no")


def runs(database: Database) -> list[dict[str, Any]]:
    return columns(database, "SELECT * FROM sync_run ORDER BY sync_run_id")


def repaired(database: Database, now: int) -> list[Repair]:
    """Repairs that were made; the database holds what a rebuild gives."""
    made, _ = repair(database, now)
    assert list(differences(database)) == []
    return made


POLLS = [
    listing(T0, instance(), instance(uuid="B")),
    listing(T0 + 120, instance(), instance(uuid="B")),
    listing(T0 + 5, PRICE, resource=GPU_PRICES),
    listing(T0 + 6, {"balance": 5, "card_balance": 0}, resource=BALANCE),
    listing(T0 + 7, LINE, resource=BILLS),
]
LATER = [
    listing(T0 + 240, instance(22), instance(uuid="C")),
    listing(T0 + 245, {**PRICE, "price": {"hour": 9}}, resource=GPU_PRICES),
    listing(T0 + 246, {"balance": 4, "card_balance": 0}, resource=BALANCE),
    listing(T0 + 247, {**LINE, "amount": 2}, LINE | {"order_number": "x"}, resource=BILLS),
    listing(T0 + 360, instance(2, T0 + 300), instance(uuid="C")),
]


def test_polls_by_a_source_that_was_ahead_get_back_their_instants(
    fresh_database: FreshDatabase,
) -> None:
    """This machine's clock was right meanwhile, so all is as if the source's had been."""
    right, wrong = fresh_database(), fresh_database()
    apply(right, *POLLS, *LATER)
    apply(wrong, *POLLS, *(dated(poll, AHEAD_S) for poll in LATER))
    with pytest.raises(StalePoll, match="not newer") as caught:
        apply(wrong, listing(T0 + 480, instance()))
    assert "repair-clock" in str(caught.value.advice)
    assert len(repaired(wrong, T0 + HOUR_S)) == 4
    assert dump(wrong) == dump(right)
    assert usage(wrong) == usage(right)
    dates = [(run["started_at"], run["finished_at"], run["outcome"]) for run in runs(wrong)]
    assert dates == [(r["started_at"], r["finished_at"], r["outcome"]) for r in runs(right)]
    assert runs(wrong)[-1]["error"].startswith("dated 2026-09-22T")
    apply(wrong, listing(T0 + HOUR_S + 60, instance(2, T0 + 300), instance(uuid="C")))


def test_polls_by_a_local_clock_that_was_ahead_are_dated_by_their_order(
    database: Database,
) -> None:
    """Nothing says when they were made but what came before: bounds are wide, and true."""
    apply(database, *POLLS, *(dated(poll, 3 * DAY_S, by_source=False) for poll in LATER))
    repaired(database, T0 + HOUR_S)
    was, *others = usage(database)
    assert was[0] == "observed"
    assert was[1] == iso(T0 - HOUR_S)
    assert was[2] <= iso(T0 + 240) <= was[4] <= iso(T0 + HOUR_S + 60)
    assert {row["outcome"] for row in runs(database)[5:]} == {"partial"}
    assert {row["digest"] for row in runs(database)[5:]} == {None}
    assert max(row["finished_at"] for row in runs(database)) <= iso(T0 + HOUR_S + 1)
    assert others
    # nobody looked since: that is a gap, and the next poll is applied
    apply(database, listing(T0 + HOUR_S + 60, instance(2, T0 + 300), instance(uuid="C")))
    assert rows(database, "SELECT COUNT(*) FROM sync_gap") == [(1,)]


def test_nothing_is_lost(database: Database) -> None:
    apply(database, *POLLS, *(dated(poll, DAY_S, by_source=False) for poll in LATER))
    tables = ("instance", "instance_history", "gpu_price", "balance", "bill", "sync_run")
    count = {name: rows(database, f"SELECT COUNT(*) FROM {name}") for name in tables}
    repaired(database, T0 + HOUR_S)
    assert {name: rows(database, f"SELECT COUNT(*) FROM {name}") for name in tables} == count


def test_a_dry_run_says_what_changes_and_changes_nothing(database: Database) -> None:
    apply(database, *POLLS, *(dated(poll, AHEAD_S) for poll in LATER))
    before = dump(database), runs(database)
    found, _ = repair(database, T0 + HOUR_S, dry_run=True)
    assert (dump(database), runs(database)) == before
    lines = [line for each in found for line in each.lines()]
    moved = f"lab gpu_prices: the poll of {iso(T0 + 240 + AHEAD_S)} was made {iso(T0 + 240)}"
    assert moved in lines
    assert "lab gpu_prices: rows changed: 2 of gpu_price, 1 of sync_run" in lines


def test_a_history_without_a_poll_in_the_future_is_left_alone(database: Database) -> None:
    apply(database, *POLLS, *LATER)
    before = dump(database)
    assert repair(database, T0 + 360) == ([], [])
    assert dump(database) == before


def test_a_repair_twice_is_a_repair_once(database: Database) -> None:
    apply(database, *POLLS, *(dated(poll, DAY_S, by_source=False) for poll in LATER))
    repaired(database, T0 + HOUR_S)
    before = dump(database), runs(database)
    assert repaired(database, T0 + HOUR_S) == []
    assert (dump(database), runs(database)) == before


def test_a_history_of_polls_in_the_future_alone_is_repaired(database: Database) -> None:
    apply(database, *(dated(poll, 30 * DAY_S, by_source=False) for poll in POLLS))
    repaired(database, T0 + HOUR_S)
    assert all(row["finished_at"] <= iso(T0 + HOUR_S + 2) for row in runs(database))
    run = apply(database, listing(T0 + HOUR_S + 60, instance(), instance(uuid="B")))
    assert run.added == 0


def test_a_closed_month_stays_and_what_was_closed_early_is_said(database: Database) -> None:
    august = date(2026, 9, 21)  # T0 is on this day
    assert from_iso(f"{august}T00:00:00+00:00") < T0
    apply(database, *POLLS, *(dated(poll, 20 * DAY_S) for poll in LATER))
    close(database, "2026-09", ACCOUNT, T0 + 20 * DAY_S)
    frozen = rows(database, "SELECT * FROM closed_cost ORDER BY line_no")
    made, remarks = repair(database, T0 + HOUR_S)
    assert made
    assert rows(database, "SELECT * FROM closed_cost ORDER BY line_no") == frozen
    assert ["2026-09 is closed and not over yet" in remark for remark in remarks] == [True]
    until = rows(database, "SELECT bill_until FROM closed_month")
    assert until == [(iso(T0 + 253),)]


def test_the_archive_follows(
    database: Database, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    kept, wrong = Archive(tmp_path, ACCOUNT, INSTANCES), LATER[0]
    for poll in (*POLLS[:2], dated(wrong, AHEAD_S), dated(LATER[-1], AHEAD_S)):
        apply(database, poll)
        kept.append(poll, None)
    kept.append(dated(listing(T0 + 400), 9 * DAY_S), None)  # of a sync killed before its commit
    made, _ = repair(database, T0 + HOUR_S, [tmp_path])
    assert made[0].archived == 3
    again = fresh_database()
    files = sorted(map(str, tmp_path.glob("*.jsonl.gz")))
    assert replay(again, files).applied == 4
    assert dump(again) == dump(database)
    aside = [p for file in tmp_path.glob("*.future*") for p in polls(str(file))]
    assert len([p for p in aside if p and p.finished_at > T0 + HOUR_S + 60]) == 3
    kept.redate(made[0].redating)
    assert replay(fresh_database(), files).applied == 4


@pytest.mark.parametrize("total", [3, 4], ids=["all of it", "a front"])
def test_lines_of_a_bill_by_a_wrong_clock_are_matched_again_as_they_were(
    total: int, database: Database, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """A date that only the order gives proves no time, and takes nothing from what a poll read: equal
    lines on two pages are two, and only a front corrects none that it does not show.
    """
    kept = Archive(tmp_path, ACCOUNT, BILLS)
    right = listing(T0, LINE, {**LINE, "remark": "other"}, resource=BILLS)
    new = {**LINE, "remark": "new"}
    pages = [[{**LINE, "amount": 7}, new], [new]]
    bodies = [answer(BILLS, *lines, total=total) for lines in pages]
    made = poll_of(bodies, T0 + 55, T0 + 66, resource=BILLS)
    wrong = dated(replace(made, listed=3, reported_total=total), AHEAD_S, by_source=False)
    for poll in (right, wrong):
        apply(database, poll)
        kept.append(poll, None)
    repair(database, T0 + HOUR_S, [tmp_path])
    again = fresh_database()
    replay(again, sorted(map(str, tmp_path.glob("*.jsonl.gz"))))
    assert dump(again, ("bill",)) == dump(database, ("bill",))
    assert len(rows(again, "SELECT 1 FROM bill")) == total + 1


def behind(poll: Poll, days: int) -> Poll:
    """The same poll by a local clock that was behind, without a `Date`."""
    return dated(poll, -days * DAY_S, by_source=False)


def test_polls_before_the_creation_of_what_they_list_are_dated_anew(database: Database) -> None:
    """The machine had no battery clock and began to poll before it asked for the time."""
    apply(database, *(behind(poll, 60) for poll in POLLS), *LATER)
    assert usage(database)[0][1] < iso(T0 - 59 * DAY_S), "sixty days were invented"
    made, _ = repair(database, T0 + HOUR_S, dry_run=True)
    assert [r.resource for r in made] == ["balance", "bills", "gpu_prices", "instances"]
    assert len(repaired(database, T0 + HOUR_S)) == 4
    assert all(from_iso(row["started_at"]) >= T0 - 2 * HOUR_S for row in runs(database))
    assert [row["outcome"] for row in runs(database)][:5] == ["partial"] * 5
    for _, began, ended_min, _, ended_max in usage(database):
        assert from_iso(began) >= T0 - 2 * HOUR_S
        assert ended_min is None or ended_min <= ended_max
    first = usage(database)[0]
    assert first[2] <= iso(T0 + 240) <= first[4], "the bounds hold the stop"
    assert repaired(database, T0 + HOUR_S) == []
    apply(database, listing(T0 + HOUR_S + 60, instance(2, T0 + 300), instance(uuid="C")))


def test_polls_by_a_clock_that_was_behind_after_an_outage_are_dated_anew(
    database: Database,
) -> None:
    """What was right before the outage stays as it is."""
    fresh = instance(uuid="N", start=T0 + 30 * DAY_S) | {"create_time": T0 + 30 * DAY_S - 60}
    apply(database, *POLLS)
    before = runs(database)
    wrong = [listing(T0 + 30 * DAY_S + s, instance(), fresh) for s in (0, 120)]
    apply(database, *(behind(poll, 20) for poll in wrong))
    apply(database, listing(T0 + 30 * DAY_S + 240, instance(), fresh))
    repaired(database, T0 + 31 * DAY_S)
    assert runs(database)[: len(before)] == before
    starts = [from_iso(row["started_at"]) for row in runs(database)][len(before) :]
    assert all(start >= T0 + 30 * DAY_S - 60 for start in starts)


def test_a_source_that_writes_local_time_is_no_clock_that_was_behind(database: Database) -> None:
    odd = instance(uuid="O") | {"create_time": T0 + 8 * HOUR_S, "start_time": T0 + 8 * HOUR_S}
    apply(database, *(listing(T0 + s, odd) for s in range(0, 10 * HOUR_S, 1_200)))
    assert repair(database, T0 + 11 * HOUR_S) == ([], [])


HISTORIES = (
    st.lists(st.integers(40, 900), min_size=4, max_size=9),
    st.lists(st.integers(1, 4_000), max_size=6),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(2 * HOUR_S, 9 * DAY_S), st.booleans()), min_size=9, max_size=9),
)


def test_bounds_hold_after_a_repair(kind: str, fresh_database: FreshDatabase) -> None:
    """An instance that is up and down at will, polled by clocks of which some are ahead."""

    @settings(max_examples=settings().max_examples // (3 if kind == "sqlite" else 12))
    @given(*HISTORIES)
    def law(
        steps: list[int], toggles: list[int], first_wrong: int, clocks: list[tuple[int, bool]]
    ) -> None:
        database = fresh_database()
        changes = sorted({T0 + 60 + s for s in toggles})

        def shown(at: int) -> Any:
            before = [c for c in changes if c <= at]
            started = [T0 - HOUR_S, *before[1::2]]
            return instance(22 if len(before) % 2 else 2, started[-1])

        at, newest = T0, 0
        for number, step in enumerate([0, *steps[:8]]):
            at += step
            poll = listing(at, shown(at))
            if number >= first_wrong:
                ahead_s, by_source = clocks[number]
                poll = dated(poll, ahead_s, by_source=by_source)
            if poll.started_at > newest:  # else it was refused
                newest = poll.started_at
                apply(database, poll)
        repaired(database, at + 300)
        ends = at + 360
        apply(database, listing(ends, shown(ends)))
        edges = [T0 - HOUR_S, *(c for c in changes if c <= ends), ends]
        true_s = sum(b - a for a, b in list(pairwise(edges))[::2])
        least = most = 0
        for _, began, ended_min, _, ended_max in usage(database):
            start = from_iso(began)
            least += (ends - 5 if ended_min is None else from_iso(ended_min)) - start
            most += (ends + 6 if ended_max is None else from_iso(ended_max)) - start
        assert least <= true_s <= most
        assert list(differences(database)) == []
        database.engine.dispose()

    law()


def test_dates_keep_the_order_in_which_polls_were_made() -> None:
    """Attempts of two wrong clocks, one of them measured, and failures between them."""
    made = [
        DatedRun(5, "complete", T0 + AHEAD_S, T0 + AHEAD_S + 2, None),
        DatedRun(6, "failed", T0 + AHEAD_S + 9, T0 + AHEAD_S + 9, None),
        DatedRun(7, "complete", T0 + DAY_S + 100, T0 + DAY_S + 102, float(DAY_S)),
        DatedRun(8, "partial", T0 + 9 * DAY_S, T0 + 9 * DAY_S, None),
    ]
    dates = new_dates(made, after=T0, now=T0 + 500, offset_s=0.0)
    starts, ends = [d.started_at for d in dates], [d.finished_at for d in dates]
    assert starts == [T0 + 1, T0 + 2, T0 + 100, T0 + 101]
    assert ends == [T0 + 100, T0 + 2, T0 + 102, T0 + 500]
    assert [d.is_exact for d in dates] == [False, False, True, False]


def test_a_repair_that_was_killed_gives_the_same_dates_an_hour_later(
    database: Database,
    fresh_database: FreshDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed between the archive and the commit: the archive has its new dates already."""
    kept = Archive(tmp_path, ACCOUNT, INSTANCES)
    later = listing(T0 + 240, instance(22), instance(uuid="B"), instance(uuid="C"))
    for poll in (*POLLS[:2], dated(later, AHEAD_S, by_source=False)):
        apply(database, poll)
        kept.append(poll, None)
    with monkeypatch.context() as patched:
        patched.setattr("etl.repair.rebuild_all", killed)
        with pytest.raises(KeyboardInterrupt):
            repair(database, T0 + HOUR_S, [tmp_path])
    made, _ = repair(database, T0 + 2 * HOUR_S, [tmp_path])
    assert [date.is_exact for date in made[0].redating.applied] == [False]
    again = fresh_database()
    replay(again, sorted(map(str, tmp_path.glob("*.jsonl.gz"))))
    assert dump(again) == dump(database)
    assert rows(database, "SELECT name FROM setting WHERE name = 'clock_repair'") == []


def test_a_later_repair_goes_by_its_own_moment(database: Database) -> None:
    """A repair was killed, and polls were applied since: they are newer than its moment."""
    apply(database, POLLS[0])
    with store.writing(database) as tx:
        assert tx.registry.begin_repair(T0) == T0
        assert tx.registry.begin_repair(T0 + 60) == T0
    apply(database, POLLS[1])
    with store.writing(database) as tx:
        assert tx.registry.begin_repair(T0 + 120) == T0 + 120


def killed(_: object) -> None:
    raise KeyboardInterrupt
