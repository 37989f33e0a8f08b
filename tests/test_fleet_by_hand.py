"""A fleet so small that every figure of it was computed by hand: what is billed, bounded, who pays,
and what a month will cost.

All of it lies on 2 November 2026 in Shanghai, at 6 yuan an hour for a GPU, or 840 a week: 5 an hour. The
account is polled at 23:00 of the day before, and then each hour, but from 6:00 to 12:00, until midnight:

- A runs from 0:10, to a timer at 3:30; at 3:00 it was seen up, at 4:00 down.
- B runs from 0:00 by the hour; at 6:00 it is seen so, at 12:00 it is paid by the week.
- C is paid by the week from 0:00; at 6:00 it is seen with one GPU, at 12:00 with four.
- D runs from 0:00, and is renamed from `vision-d` to `speech-d` between 12:00 and 13:00.
- E runs from 0:00; by a dated rule `audio` pays until 15:20 and `video` from then on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from etl import reports
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.rebuild import set_code
from etl.resources import BALANCE, BILLS, GPU_PRICES
from tests.conftest import FilledOnce
from tests.support import apply, poll_of, rows
from tests.test_money_records import answer

S = 1_793_548_800
"""2026-11-02T00:00:00 in Shanghai."""
MINUTE, HOUR, DAY = 60, 3_600, 86_400
WEEKLY = 3
RULES = """\
kind,title,project,valid_from,valid_to,month,amount
rule,vision-*,vision,,,,
rule,speech-*,speech,,,,
rule,late-e,audio,,2026-11-02T07:20:00Z,,
rule,late-e,video,2026-11-02T07:20:00Z,,,
rule,*,rest,,,,
budget,,vision,,,2026-11,2262
"""


def at(hour: int, minute: int = 0) -> int:
    return S + hour * HOUR + minute * MINUTE


def instance(name: str, begins: int, **facts: Any) -> dict[str, Any]:
    return {
        "instance_uuid": name,
        "title": name,
        "status": 2,
        "create_time": begins,
        "start_time": begins,
        "charging_type": 1,
        "gpu_uuid": "g",
        "gpu_name": "RTX",
        "gpu_nums": 1,
        **facts,
    }


def fleet(now: int) -> Iterator[dict[str, Any]]:
    """The instances as the source lists them."""
    if now < at(0):
        return
    if now >= at(0, 10):
        timer = {"enable": True, "shutdown_time": at(3, 30)}
        status = 2 if now < at(3, 30) else 22
        yield instance("a", at(0, 10), status=status, shutdown_regular=timer)
    yield instance("b", at(0), charging_type=1 if now <= at(6) else WEEKLY)
    yield instance("c", at(0), charging_type=WEEKLY, gpu_nums=1 if now <= at(6) else 4)
    yield instance("d", at(0), title="vision-d" if now <= at(12) else "speech-d")
    yield instance("e", at(0), title="late-e")


def bill() -> Iterator[dict[str, Any]]:
    """A, B, D and E by the hour from 0:10 on; the third hour is missing, the fourth ends with A."""
    for begins, ends, yuan in (
        (at(0, 10), at(1, 10), 6),
        (at(1, 10), at(2, 10), 6),
        (at(3, 10), at(3, 30), 2),
    ):
        for name in "abde":
            yield {
                "order_number": f"{name}-{begins}",
                "settle_start_time": begins,
                "settle_end_time": ends,
                "order_time": ends,
                "amount": yuan,
                "charge_channel": 1,
                "remark": "",
            }


@pytest.fixture(scope="module")
def watched_once(filled_once: FilledOnce) -> Callable[[str], Database]:
    return filled_once("by_hand", watch)


@pytest.fixture
def watched(kind: str, watched_once: Callable[[str], Database]) -> Database:
    return watched_once(kind)


def watch(database: Database) -> None:
    set_code(database, "charging", WEEKLY, "week")

    def poll(resource: Any, now: int, *records: Any) -> None:
        apply(database, poll_of([answer(resource, *records)], now, now, resource=resource))

    price = {"gpu_uuid": "g", "gpu_name": "RTX", "status": 1, "price": {"hour": 6, "week": 840}}
    for hour in (-1, *range(7), *range(12, 25)):
        apply(database, poll_of([listing(at(hour))], at(hour), at(hour)))
        poll(GPU_PRICES, at(hour), price)
        poll(BILLS, at(hour), *(line for line in bill() if line["order_time"] <= at(hour)))
        spent = sum(line["amount"] for line in bill() if line["order_time"] <= at(hour))
        poll(BALANCE, at(hour), {"balance": 1_000 - spent, "card_balance": 0})
    with TemporaryDirectory() as folder:
        (Path(folder) / "r.csv").write_text(RULES, encoding="utf-8")
        import_rules(database, Path(folder) / "r.csv")


def listing(now: int) -> bytes:
    found = list(fleet(now))
    content = {"instance_list": found, "total": len(found)}
    return json.dumps({"code": 0, "msg": "success", "data": content}).encode()


def asked(
    database: Database, name: str, *columns: str, now: int = S + DAY, **said: Any
) -> list[tuple[Any, ...]]:
    period = {"from_day": "2026-11-02", "to_day": "2026-11-02", "now": now, **said}
    names, found = reports.run(database, reports.load_report(name), period)
    return [tuple(row[names.index(column)] for column in columns) for row in found]


BOUNDS = ("cost_yuan_min", "cost_yuan", "cost_yuan_max")


def test_each_instance_costs_what_it_costs_between_bounds(watched: Database) -> None:
    """
    A: 0:10 to 3:00 is sure, 170 minutes of 0.10; 3:30 its timer, 200; 4:00 the poll that saw it down, 230.
    B: hours until 6:00 are sure, 36; to the middle 54; to 12:00 72. Weeks from 12:00 are sure, 12 h x 5
       = 60; from the middle 75; from 6:00 90.
    C: one GPU to 6:00, 9:00, 12:00: 30, 45, 60; four from 12:00, 9:00, 6:00: 12, 15, 18 h x 20.
    D and E: 24 h x 6.
    """
    found = asked(watched, "cost", "what", *BOUNDS, by="instance")
    assert sorted(found) == [
        ("a", 17, 20, 23),
        ("b", 36 + 60, 54 + 75, 72 + 90),
        ("c", 30 + 240, 45 + 300, 60 + 360),
        ("late-e", 144, 144, 144),
        ("speech-d", 144, 144, 144),
    ]


def test_held_time_begins_and_changes_between_bounds(watched: Database) -> None:
    found = rows(
        watched,
        "SELECT instance_uuid, gpu_nums, sum(cost_min_microcny) / 1000000,"
        " sum(cost_microcny) / 1000000, sum(cost_max_microcny) / 1000000"
        " FROM _cost_line WHERE kind = 'held' GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert found == [("b", 1, 60, 75, 90), ("c", 1, 30, 45, 60), ("c", 4, 240, 300, 360)]


def test_windows_cut_usage_and_an_hour_without_a_line_is_in_none(watched: Database) -> None:
    """
    0:10 to 2:10: A, B, D and E, 2 h x 6 each: 48, all of it seen.
    2:10 to 3:10 is billed by no line: 24 yuan are in no estimate here.
    3:10 to 3:30: 2 each; of A nothing is sure after 3:00. C is prepaid, and in no window of hours.
    """
    columns = ("billed_yuan", "estimated_yuan", "estimated_yuan_min", "estimated_yuan_max")
    found = asked(watched, "settlement", "begins", "windows", *columns)
    assert found == [
        ("2026-11-01T16:10:00Z", 8, 48, 48, 48, 48),
        ("2026-11-01T19:10:00Z", 4, 8, 8, 6, 8),
    ]


def test_who_pays_changes_in_the_middle_of_a_stretch(watched: Database) -> None:
    """
    D: `vision` until 13:00, the poll that saw the new title, 78; sure until 12:00, 72. `speech` 66 from
       then on, 72 at most.
    E: 15 h 20 x 6 = 92 and 8 h 40 x 6 = 52, at a moment that is known.
    The others: 20 + 129 + 345, at least 17 + 96 + 270, at most 23 + 162 + 420.
    """
    columns = ("estimated_yuan_min", "estimated_yuan", "estimated_yuan_max")
    found = {row[0]: row[1:] for row in asked(watched, "allocation", "project", *columns)}
    assert found == {
        "vision": (72, 78, 78),
        "speech": (66, 66, 72),
        "audio": (92, 92, 92),
        "video": (52, 52, 52),
        "rest": (383, 494, 605),
    }


def test_the_first_days_are_projected_by_what_was_seen_of_them(watched: Database) -> None:
    """
    The account: 20 + 129 + 345 + 144 + 144 = 782 on its first whole day; 28 more of them to come.
    `vision`: 78, in a month of 29 such days 2,262: its budget, to the yuan.
    Burnt: 56 charged since 1 November, two days: 28 a day, which 944 bear for 33.71 days. What runs and is
    not paid ahead, D and E, takes 288 a day: B and C are held, 120 + 480 a day, and count too.
    """
    budget = asked(watched, "budget", "scope", "name", "spent_yuan", "projected_yuan")
    found = {row[:2]: row[2:] for row in budget}
    assert found["account", "lab"] == (782, 782 * 29)
    assert found["project", "vision"] == (78, 2_262)
    balance = asked(
        watched,
        "balance",
        "channel",
        "closing_yuan",
        "burn_7d_yuan",
        "burn_now_yuan",
        "days_left",
        from_day="2026-11-01",
        to_day="2026-11-03",
    )
    assert balance[0] == ("balance", 944, 28, None, 33.71)
    assert balance[2][3] == 288 + 600


def test_what_nobody_saw_is_in_the_unobserved_share_and_in_every_maximum(watched: Database) -> None:
    """
    Six hours later: of 2 and 3 November 30 h are asked, 6 + 6 of them unseen: 60 % were observed.
    B, C, D and E ran at midnight: 6 h x (5 + 20 + 6 + 6) = 222 more at most, nothing more at least.
    """
    said = {"to_day": "2026-11-03", "now": at(30)}
    (total,) = asked(watched, "cost", *BOUNDS, by="account", **said)
    assert total == (17 + 96 + 270 + 288, 782, 23 + 162 + 420 + 288 + 222)
    ((observed,),) = asked(watched, "coverage", "observed_percent", by="month", **said)
    assert observed == 60.0
