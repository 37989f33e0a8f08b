"""Settlement: usage is cut at the windows of the bill, and closed months are as they were closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from etl import reports
from etl.books.closing import close
from etl.dialect import Database
from etl.money.tariffs import Override
from etl.resources import BILLS
from etl.simcloud import Story
from tests.priced import YUAN, lists, set_prices
from tests.support import apply, newest, poll_of, poll_story, rows

S = 1_793_491_200
"""2026-11-01T00:00:00Z, eight o'clock in Shanghai."""
MINUTE, HOUR = 60, 3_600
Run = tuple[int, int]


def ran(database: Database, *runs: Run, until: int, price: int = 36 * YUAN) -> None:
    """One instance, polled every two minutes, that runs so and so long after S, each time to a timer."""
    cloud = Story(S)
    one = cloud.rents(title="a", starts=False)
    starts = {S + begins: S + ends for begins, ends in runs}
    for _ in range(0, until, 2 * MINUTE):
        if cloud.now in starts:
            cloud.starts(one)
            cloud.sets_timer(one, starts[cloud.now])
        apply(database, poll_story(cloud))
        cloud.passes(minutes=2)
    lists(database, "RTX 4090", (S, None, None, price))


def billed(database: Database, *windows: tuple[int, int, float], at: int = 3 * HOUR) -> None:
    """A poll of the bill: windows so long after S, each with its yuan."""
    lines = [
        {
            "order_number": f"o{begins}",
            "settle_start_time": S + begins,
            "settle_end_time": S + ends,
            "order_time": S + ends,
            "amount": yuan,
            "charge_channel": 1,
            "remark": "",
        }
        for begins, ends, yuan in windows
    ]
    body = {"code": 0, "msg": "success", "data": {"order_list": lines, "total": len(lines)}}
    apply(database, poll_of([json.dumps(body).encode()], S + at, S + at + 1, resource=BILLS))


def hours(*which: int) -> Iterator[tuple[int, int, float]]:
    """Windows of an hour each, 36 yuan each."""
    return ((hour * HOUR, (hour + 1) * HOUR, 36) for hour in which)


def settled(database: Database, **said: Any) -> list[tuple[Any, ...]]:
    """Each line: from and to when in minutes after S, billed, estimated, least, most."""
    period = {"from_day": "2026-11-01", "to_day": "2026-11-02", "now": newest(database), **said}
    names, found = reports.run(database, reports.load_report("settlement"), period)
    yuan = ("billed_yuan", "estimated_yuan", "estimated_yuan_min", "estimated_yuan_max")
    lines = [dict(zip(names, row, strict=True)) for row in found]
    return [(line["begins"][11:16], *(line[name] for name in yuan)) for line in lines]


def test_a_short_run_counts_in_its_own_window_alone(database: Database) -> None:
    """4 minutes, then an hour 4 minutes later, at 36 yuan an hour: 2.40 and 36. The last two minutes of a run,
    up to the poll that saw it stopped, are not sure."""
    first, second = (10 * MINUTE, 14 * MINUTE), (18 * MINUTE, 78 * MINUTE)
    ran(database, first, second, until=2 * HOUR)
    billed(database, (*first, 2.4), (*second, 36))
    assert settled(database) == [
        ("00:10", 2.4, 2.4, 1.2, 2.4),
        ("00:18", 36.0, 36.0, 34.8, 36.0),
    ]


def test_an_hour_that_no_line_settles_is_in_no_other_line(database: Database) -> None:
    """5 hours without a break, of which the third is not billed."""
    ran(database, (0, 5 * HOUR), until=6 * HOUR)
    billed(database, *hours(0, 1, 3, 4), at=6 * HOUR)
    assert settled(database) == [
        ("00:00", 72.0, 72.0, 72.0, 72.0),
        ("03:00", 72.0, 72.0, 70.8, 72.0),
    ]


def test_hours_that_are_not_billed_yet_are_no_difference(database: Database) -> None:
    ran(database, (0, 5 * HOUR), until=6 * HOUR)
    billed(database, *hours(0, 1, 2), at=6 * HOUR)
    assert settled(database) == [("00:00", 108.0, 108.0, 108.0, 108.0)]


def test_what_still_runs_is_cut_at_the_windows_too(database: Database) -> None:
    """It was seen to run for 118 minutes; windows go on to the third hour."""
    ran(database, (0, 9 * HOUR), until=2 * HOUR)
    billed(database, *hours(0, 1, 2), at=6 * HOUR)
    assert settled(database) == [("00:00", 108.0, 70.8, 70.8, 70.8)]
    later = settled(database, now=S + 150 * MINUTE)
    assert later == [("00:00", 108.0, 70.8, 70.8, 90.0)]


def test_a_window_over_midnight_counts_what_lies_in_the_period(database: Database) -> None:
    """Shanghai's midnight is 16 hours after S: half of the two hours on each day."""
    ran(database, (15 * HOUR, 17 * HOUR), until=18 * HOUR)
    billed(database, (15 * HOUR, 17 * HOUR, 72), at=18 * HOUR)
    assert settled(database) == [("15:00", 72.0, 72.0, 70.8, 72.0)]


@pytest.fixture
def closed(database: Database) -> Database:
    """November is closed at 36 yuan an hour; then the price is said to have been another."""
    ran(database, (0, 2 * HOUR), (4 * HOUR, 5 * HOUR), until=6 * HOUR)
    billed(database, *hours(0, 1, 4), at=6 * HOUR)
    cloud = Story(S + 31 * 86_400)
    apply(database, poll_story(cloud))
    close(database, "2026-11", None, S + 31 * 86_400)
    set_prices(database, Override("hour", 5 * YUAN))
    return database


def test_closed_months_are_settled_as_they_were_closed(closed: Database) -> None:
    """Minimum and maximum of the day are shared out by the time used, two to one."""
    cost = rows(closed, "SELECT SUM(cost_microcny) FROM _cost_line")
    assert cost == [(108 * YUAN,)]
    assert settled(closed) == [
        ("00:00", 72.0, 72.0, 70.4, 72.813333),
        ("04:00", 36.0, 36.0, 35.2, 36.406667),
    ]
