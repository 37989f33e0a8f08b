"""`month`: what was closed stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from etl import tables
from etl.books.closing import close, frozen_months, reopen
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import from_iso, iso
from etl.money.tariffs import Override
from etl.rebuild import rebuild
from etl.simcloud import Story
from etl.store import Store, SyncRun
from etl.store.monthly import FrozenMonth
from tests.commands import Command, home, run
from tests.conftest import TODAY
from tests.priced import YUAN, bills, charges, lists, set_prices
from tests.support import apply, poll_story, rows
from tests.test_price_files import written

__all__ = ["home", "run"]

JANUARY_30 = 1_769_702_400
"""2026-01-29T16:00:00Z: midnight in Shanghai."""
COSTS = (
    "SELECT CAST(day AS TEXT), title, project, cost_microcny, is_closed FROM cost_daily ORDER BY 1"
)
NOW = JANUARY_30 + 5 * 86_400


@pytest.fixture
def cloud() -> Story:
    return Story(JANUARY_30)


@pytest.fixture
def two_months(database: Database, cloud: Story) -> Database:
    """An instance of one yuan an hour, over the end of January."""
    cloud.rents(title="train")
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, YUAN))
    for _ in range(24):
        cloud.passes(hours=3)
        apply(database, poll_story(cloud))
    return database


def test_a_closed_month_is_not_rewritten(
    two_months: Database, cloud: Story, tmp_path: Path
) -> None:
    """Not by a rename, a rule, a price, another charging model, or a stretch that ends later."""
    assert close(two_months, "2026-01", None, NOW).accounts == ["lab"]
    frozen = rows(two_months, COSTS)[:2]
    assert frozen == [
        ("2026-01-30", "train", None, 24 * YUAN, 1),
        ("2026-01-31", "train", None, 24 * YUAN, 1),
    ]
    (life,) = cloud.fleet.lives
    cloud.renames(life.instance_uuid, "eval")
    cloud.passes(hours=1)
    apply(two_months, poll_story(cloud))
    cloud.passes(hours=1)
    cloud.stops(life.instance_uuid)
    apply(two_months, poll_story(cloud))
    import_rules(two_months, written(tmp_path, "r.csv", "title,project\n*,all\n"))
    set_prices(two_months, Override("hour", 5 * YUAN))
    charges(two_months, step_s=3_600)
    assert rows(two_months, COSTS)[:2] == frozen
    assert rows(two_months, COSTS)[2] == ("2026-02-01", "eval", "all", 120 * YUAN, 0)
    assert frozen_months(two_months) == [
        FrozenMonth("lab", "2026-01", from_iso("2026-02-03T16:00:00Z"), 48_000_000, 240_000_000)
    ]


@pytest.mark.parametrize("offset_s", [-400 * 86_400, -7, 400 * 86_400])
def test_a_month_is_closed_by_the_clock_of_the_source(
    two_months: Database, cloud: Story, offset_s: int
) -> None:
    cloud.passes(hours=1)
    apply(two_months, replace(poll_story(cloud), clock_offset_s=float(offset_s)))
    close(two_months, "2026-01", None, NOW - offset_s)
    assert [month.closed_at for month in frozen_months(two_months)] == [NOW]


@pytest.mark.parametrize("odd_s", [-86_400, 72_000])
def test_one_wrong_clock_reading_dates_no_closing(
    two_months: Database, cloud: Story, odd_s: int
) -> None:
    for offset_s in (7, 7, odd_s):
        cloud.passes(hours=1)
        apply(two_months, replace(poll_story(cloud), clock_offset_s=float(offset_s)))
    close(two_months, "2026-01", None, NOW - 7)
    assert [month.closed_at for month in frozen_months(two_months)] == [NOW]


def test_a_month_that_is_opened_again_follows_what_is_known(two_months: Database) -> None:
    close(two_months, "2026-01", "lab", NOW)
    set_prices(two_months, Override("hour", 5 * YUAN))
    assert reopen(two_months, "2026-01", None) == ["lab"]
    assert [row[3:] for row in rows(two_months, COSTS)] == [(120 * YUAN, 0)] * 3
    assert rows(two_months, "SELECT COUNT(*) FROM closed_cost") == [(0,)]


def test_every_view_of_cost_has_each_day_once(two_months: Database) -> None:
    whole = "SELECT CAST(SUM(cost_microcny) AS BIGINT) FROM _cost_line"
    before = rows(two_months, whole)
    close(two_months, "2026-01", None, NOW)
    assert rows(two_months, whole) == before


def test_of_a_closed_month_nothing_is_left_open(
    database: Database, cloud: Story, tmp_path: Path
) -> None:
    """Neither what ran on unseen at its end, nor who paid while a rename was not seen."""
    name = cloud.rents(title="a")
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, YUAN))
    by_title = "".join(f"[[rule]]\ntitle = '{title}'\nproject = '{title}'\n" for title in "ab")
    import_rules(database, written(tmp_path, "r.toml", by_title))
    for hours, change in (
        (3, lambda: cloud.renames(name, "b")),
        (30, lambda: cloud.breaks_record(name)),
    ):
        cloud.passes(hours=hours)
        change()
        cloud.passes(hours=1)
        apply(database, poll_story(cloud))
    cloud.passes(hours=24)
    apply(database, poll_story(cloud))

    def open_rows() -> list[int]:
        views = ("_cost_unseen", "_cost_doubt")
        asked = "SELECT COUNT(*) FROM {} WHERE day < '2026-02-01'"
        return [rows(database, asked.format(view))[0][0] for view in views]

    assert min(open_rows()) > 0
    close(database, "2026-01", None, NOW)
    assert open_rows() == [0, 0]


@pytest.mark.parametrize("month", ["2026-02", "2026-13", "January", "2026-01-01"])
def test_a_month_that_is_not_over_or_none_is_not_closed(month: str, two_months: Database) -> None:
    with pytest.raises(SettingsError) as caught:
        close(two_months, month, None, NOW)
    assert caught.value.advice


def test_a_month_is_not_closed_by_a_poll_that_is_not_whole_or_of_something_else(
    database: Database, cloud: Story
) -> None:
    cloud.rents()
    apply(database, poll_story(cloud))
    cloud.passes(hours=72)
    apply(database, poll_story(cloud, complete=False))
    with Store(database, "lab").writing() as tx:
        tx.record("bills", SyncRun(cloud.now, cloud.now + 1, "complete"))
    with pytest.raises(SettingsError, match="not observed to its end"):
        close(database, "2026-01", None, NOW)


def test_what_was_not_observed_of_a_month_is_said_when_it_is_closed(
    two_months: Database, cloud: Story
) -> None:
    """An account that began in the next month is left out, or refused where it is alone."""
    new = Story(cloud.now)
    new.rents()
    apply(two_months, replace(poll_story(new), account="new"))
    done = close(two_months, "2026-01", None, NOW)
    assert done.accounts == ["lab"]
    assert done.remarks == [
        "2026-01 of lab was observed since 2026-01-29T16:00:00Z only",
        f"2026-01 of new was observed since {iso(cloud.now)} only: it stays open",
    ]
    for account, month in (("new", "2026-01"), ("lab", "2025-12"), (None, "2025-12")):
        with pytest.raises(SettingsError, match="it stays open"):
            close(two_months, month, account, NOW)
    assert rows(two_months, "SELECT COUNT(*) FROM closed_month") == [(1,)]


def test_a_month_is_closed_once(two_months: Database) -> None:
    close(two_months, "2026-01", None, NOW)
    with pytest.raises(SettingsError, match="is closed"):
        close(two_months, "2026-01", None, NOW)
    with pytest.raises(SettingsError, match="no account 'cats'"):
        reopen(two_months, "2026-01", "cats")
    with pytest.raises(SettingsError, match="2025-12 is not closed"):
        reopen(two_months, "2025-12", None)


def test_days_of_another_zone_wait_until_no_month_is_closed(two_months: Database) -> None:
    """Or eight hours would be in two months, or in none."""
    close(two_months, "2026-01", None, NOW)
    before = rows(two_months, COSTS)
    with pytest.raises(SettingsError, match="frozen by days of Asia/Shanghai") as refused:
        rebuild(two_months, "Europe/Berlin", TODAY)
    assert "month reopen" in str(refused.value.advice)
    assert rows(two_months, COSTS) == before
    rebuild(two_months, "Asia/Shanghai", TODAY)
    reopen(two_months, "2026-01", None)
    total = rows(two_months, "SELECT SUM(cost_microcny) FROM cost_daily")
    rebuild(two_months, "Europe/Berlin", TODAY)
    assert rows(two_months, "SELECT SUM(cost_microcny) FROM cost_daily") == total


def test_bill_lines_that_come_after_the_close_are_adjustments(two_months: Database) -> None:
    midnight = JANUARY_30 + 2 * 86_400
    bills(two_months, midnight - 3_600, midnight - 1_800, YUAN)
    close(two_months, "2026-01", None, NOW)
    late = {"first_seen_at": NOW + 60, "changed_at": NOW + 60}
    bills(two_months, midnight - 1_800, midnight, 2 * YUAN, **late)
    bills(two_months, midnight, midnight + 1_800, 4 * YUAN, **late)
    found = rows(two_months, "SELECT month, amount_microcny, amount_yuan FROM bill_adjustment")
    assert found == [("2026-01", 2 * YUAN, 2.0)]


FEBRUARY = JANUARY_30 + 2 * 86_400
CLOSED = FEBRUARY + 3_600
"""The end of the newest poll of the bill that the closing knew."""


@pytest.mark.parametrize(
    ("ends", "came", "changed", "superseded", "adjustment"),
    [
        (0, 0, 0, None, []),
        (0, 1, 1, None, [5]),
        (0, -9, 7, None, [5]),
        # taken back if it was known then; what came and went since changes nothing
        (0, -9, -9, 1, [-5]),
        (0, 0, 0, 2, [-5]),
        (0, 1, 1, 2, []),
        (0, -9, -9, 0, []),
        # the month is that of its last second
        (1, 1, 1, None, []),
        (-31 * 86_400, 1, 1, None, []),
        (-31 * 86_400 + 1, 1, 1, None, [5]),
    ],
)
def test_an_adjustment_is_what_came_or_went_after_the_closing_and_of_its_month(
    ends: int,
    came: int,
    changed: int,
    superseded: int | None,
    adjustment: list[int],
    database: Database,
) -> None:
    """In seconds after the end of January, and after the bill was known."""
    with Store(database, "lab").writing() as tx:
        mine = {"account_id": tx._account_id}
        known = {"month": "2026-01", "closed_at": CLOSED + 60, "bill_until": CLOSED}
        tx._conn.execute(insert(tables.closed_month).values(**mine, **known))
        line = {
            **{"order_number": "o", "charge_channel": 1, "remark": "", "line_no": 1},
            "amount_microcny": 5,
            "settle_start_at": FEBRUARY + ends - 600,
            "settle_end_at": FEBRUARY + ends,
            "first_seen_at": CLOSED + came,
            "changed_at": CLOSED + changed,
            "superseded_at": None if superseded is None else CLOSED + superseded,
            "charged_day": "2026-01-31",
        }
        tx._conn.execute(insert(tables.bill).values(**mine, **line))
    found = rows(database, "SELECT amount_microcny FROM bill_adjustment")
    assert [amount for (amount,) in found] == adjustment


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_commands(run: Command, two_months: Database) -> None:
    base = ("--database", two_months.location, "month")
    done = run(*base, "close", "2026-01")
    assert done.exit_code == 0
    assert "warning: 2026-01 of lab was observed since 2026-01-29T16:00:00Z only" in done.output
    assert "2026-01" in run(*base, "show").output
    assert run(*base, "close", "2026-01").exit_code == 2
    assert run(*base, "reopen", "2026-01").exit_code == 0
    assert "(no rows)" in run(*base, "show").output
