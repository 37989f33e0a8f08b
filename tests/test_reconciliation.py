"""The bill against the estimate, on stories whose differences are known, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, update

from etl import reports, tables
from etl.books.learning import accept, lessons
from etl.dialect import Database
from etl.simcloud import Charging, Story
from tests.polled_money import polled
from tests.support import columns, newest, rows

MIDNIGHT = 1_767_628_800
"""2026-01-06 in Shanghai."""
HOUR = 3_600
DAY = 86_400


class Watched:
    """A story that is polled every ten minutes as its time passes."""

    def __init__(self, database: Database, charging: Charging | None = None) -> None:
        self.database = database
        self.cloud = Story(MIDNIGHT, charging=charging)
        self._polled = MIDNIGHT - 600

    def until(self, hours: float) -> None:
        """Hours since midnight."""
        at = MIDNIGHT + int(hours * HOUR)
        times = range(self._polled + 600, at + 1, 600)
        polled(self.database, self.cloud.fleet, self.cloud.money, times)
        self.cloud.now, self._polled = at, times[-1]

    def unseen(self, hours: float) -> None:
        """The service is down until then."""
        self.cloud.now = MIDNIGHT + int(hours * HOUR)
        self._polled = self.cloud.now - 600

    def day(self, number: int = 6) -> dict[str, Any]:
        found = columns(
            self.database, f"SELECT * FROM reconciliation_daily WHERE day = '2026-01-0{number}'"
        )
        return found[0]


def billed_at_once(database: Database) -> Watched:
    """Charging type 3 is a prepaid week, and its line does not show it."""
    with database.writing() as conn:
        conn.execute(
            tables.charging_type.insert().values(
                charging_type=3, unit="week", name_en="week", name_zh="周"
            )
        )
    return Watched(database, Charging(shows_period=False))


def test_what_was_observed_agrees_with_the_bill(database: Database) -> None:
    story = Watched(database)
    story.until(1)
    a = story.cloud.rents(title="train")
    story.until(5.5)
    story.cloud.stops(a)
    story.until(30)
    day = story.day()
    assert day["cause"] == "within_bounds"
    assert day["billed_microcny"] == 24_750_000
    assert day["no_instance_microcny"] == day["prepaid_difference_microcny"] == 0


def test_a_charge_at_a_time_when_nothing_ran_is_of_no_instance(database: Database) -> None:
    story = Watched(database)
    story.until(1)
    a = story.cloud.rents()
    story.until(3)
    story.cloud.stops(a)
    story.until(6)
    at = story.cloud.now
    story.cloud.money.charge(at, "7.50", window=(at - HOUR, at))
    story.until(30)
    day = story.day()
    assert (day["cause"], day["no_instance_microcny"]) == ("no_instance", 7_500_000)
    unattributed = "SELECT amount_microcny FROM bill_attributed_daily WHERE instance_uuid IS NULL"
    assert rows(database, unattributed) == [(7_500_000,)]


@pytest.mark.parametrize("day", [6, 7])  # the first of observation, and one between others
def test_an_instance_that_nobody_saw_is_a_gap_in_coverage(day: int, database: Database) -> None:
    story, hours = Watched(database), 24 * (day - 6)
    story.until(hours + 1)
    a = story.cloud.rents()
    story.until(hours + 4)
    story.unseen(hours + 6)
    b = story.cloud.rents(gpus=8)
    story.cloud.now += 2 * HOUR
    story.cloud.destroys(b)
    story.unseen(hours + 9)
    story.until(hours + 20)
    story.cloud.stops(a)
    story.until(hours + 30)
    assert story.day(day)["cause"] == "coverage_gap"


def test_more_than_was_used_while_all_was_observed_is_unexplained(database: Database) -> None:
    story = Watched(database)
    story.until(24)
    a = story.cloud.rents()
    story.until(26)
    at = story.cloud.now
    story.cloud.money.charge(at, "50", window=(at - HOUR, at))
    story.until(30)
    story.cloud.stops(a)
    story.until(50)
    assert story.day(7)["cause"] == "unexplained"


def test_more_than_was_used_on_the_first_day_of_observation_is_a_gap(database: Database) -> None:
    """No poll is missing since, and nobody knows of the time before."""
    story = Watched(database)
    story.unseen(0.5)
    story.until(1)
    a = story.cloud.rents()
    story.until(3)
    at = story.cloud.now
    story.cloud.money.charge(at, "50", window=(at - HOUR, at))
    story.cloud.stops(a)
    story.until(25)
    assert rows(database, "SELECT COUNT(*) FROM sync_gap") == [(0,)]
    assert story.day()["cause"] == "coverage_gap"


def test_what_was_charged_before_anybody_looked_is_a_gap_in_coverage(database: Database) -> None:
    story = Watched(database)
    begins = MIDNIGHT - 5 * HOUR
    story.cloud.money.charge(begins + HOUR, "7.50", window=(begins, begins + HOUR))
    story.until(30)
    assert story.day(5)["cause"] == "coverage_gap"


def test_a_day_is_unsettled_until_the_bill_reaches_an_hour_past_it(database: Database) -> None:
    story = Watched(database)
    story.until(1)
    story.cloud.rents()
    story.until(1.5)
    story.cloud.rents()
    story.until(24.7)
    assert story.day()["cause"] == "within_bounds"
    with database.writing() as conn:
        for bill in (tables.bill_day, tables.bill):
            ends = bill.c.settle_end_at.in_([MIDNIGHT + 23 * HOUR, MIDNIGHT + 24 * HOUR])
            conn.execute(delete(bill).where(ends))
    assert story.day()["cause"] == "unsettled"


def test_a_price_that_is_assumed_differs_by_price(database: Database) -> None:
    story = Watched(database)
    prices = story.cloud.money.prices
    prices.unlisted = prices.at("H100", MIDNIGHT)
    story.until(1)
    a = story.cloud.rents(model="B300")
    story.until(5)
    story.cloud.stops(a)
    story.until(6)
    prices.change("B300", story.cloud.now, hour=1)
    story.until(30)
    sources = "SELECT DISTINCT price_source FROM _cost_line WHERE used_s > 0"
    assert rows(database, sources) == [("list_assumed",)]
    assert story.day()["cause"] == "price"


def test_a_model_without_a_price_differs_by_price(database: Database) -> None:
    story = Watched(database)
    story.cloud.money.prices.unlisted = story.cloud.money.prices.at("H100", MIDNIGHT)
    story.until(1)
    a = story.cloud.rents(model="B300")
    story.until(5)
    story.cloud.stops(a)
    story.until(30)
    assert story.day()["cause"] == "price"


def test_a_prepaid_period_that_is_billed_at_once_differs_as_prepaid(database: Database) -> None:
    story = billed_at_once(database)
    story.until(1)
    story.cloud.rents(charging_type=3)
    story.until(30)
    day = story.day()
    assert day["cause"] == "prepaid"
    assert day["billed_microcny"] == 800_000_000
    assert rows(
        database,
        "SELECT amount_microcny FROM bill_attributed_daily WHERE instance_uuid IS NOT NULL",
    ) == [(800_000_000,)]


@pytest.mark.parametrize(("fee", "cause"), [("600", "prepaid"), ("900", "no_instance")])
def test_of_two_differences_the_larger_one_is_the_cause(
    fee: str, cause: str, database: Database
) -> None:
    story = billed_at_once(database)
    story.until(1)
    at = story.cloud.now
    story.cloud.money.charge(at, fee, window=(at - HOUR, at))
    story.cloud.rents(charging_type=3)
    story.until(25)
    day = story.day()
    assert day["no_instance_microcny"] == int(fee) * 1_000_000
    assert 600_000_000 < day["prepaid_difference_microcny"] < 900_000_000
    assert day["cause"] == cause


def test_what_is_not_settled_yet_is_said(database: Database) -> None:
    story = Watched(database, Charging(lag_s=12 * HOUR))
    story.until(1)
    story.cloud.rents()
    story.until(23)
    day = story.day()
    assert day["cause"] == "unsettled"
    assert 40 < day["settled_percent"] < 60


def test_the_bill_is_attributed_to_the_millionth(database: Database) -> None:
    story = Watched(database)
    story.cloud.gives_card("33.33")
    story.until(1)
    rented = [story.cloud.rents(gpus=gpus) for gpus in (1, 2, 4)]
    for a, hours in zip(rented, (7.3, 19.9, 31.4), strict=True):
        story.until(hours)
        story.cloud.stops(a)
    story.until(34)
    with database.writing() as conn:  # amounts that no share divides evenly
        conn.execute(update(tables.bill_day).values(amount_microcny=10_000_019))
    for name, channel in (("cash_microcny", 1), ("card_microcny", 2)):
        attributed = f"SELECT day, SUM({name}) FROM bill_attributed_daily GROUP BY day ORDER BY day"
        billed = (
            "SELECT day, SUM(CASE WHEN charge_channel ="
            f" {channel} THEN amount_microcny ELSE 0 END) FROM bill_day GROUP BY day ORDER BY day"
        )
        assert rows(database, attributed) == rows(database, billed)
    least = rows(database, "SELECT MIN(amount_microcny) FROM bill_attributed_daily")
    assert least[0][0] >= 0


def test_by_the_second_a_window_is_cut_at_midnight_exactly(database: Database) -> None:
    story = Watched(database)
    story.until(22.5)
    story.cloud.rents()
    story.until(26)
    assert rows(database, "SELECT COUNT(*) FROM _bill_window WHERE cut_microcny > 0") == [(0,)]
    assert story.day()["slack_microcny"] == 2 * 10_000
    with database.writing() as conn:
        conn.execute(tables.setting.insert().values(name="charge_step_s", value="3600"))
    assert story.day()["slack_microcny"] == 2 * 10_000 + 5_500_000


def test_cost_and_bill_by_instance_are_in_proportion(database: Database) -> None:
    story = Watched(database)
    story.until(1)
    a, b = story.cloud.rents(gpus=1), story.cloud.rents(gpus=4)
    story.until(11)
    for each in (a, b):
        story.cloud.stops(each)
    story.until(30)
    found = dict(
        rows(
            database,
            "SELECT instance_uuid, SUM(amount_microcny) FROM bill_attributed_daily GROUP BY 1",
        )
    )
    assert abs(found[b] - 4 * found[a]) < 10


def test_windows_that_follow_one_another_are_settled_as_one(database: Database) -> None:
    story = Watched(database)
    story.until(1)
    a = story.cloud.rents()
    story.until(3.5)
    story.cloud.stops(a)
    story.until(6)
    story.cloud.starts(a)
    story.until(7)
    story.cloud.stops(a)
    story.until(30)
    found = list(asked(database, "settlement"))
    assert [(row["windows"], row["instances"], row["billed_yuan"]) for row in found] == [
        (3, 1, 13.75),
        (1, 1, 5.5),
    ]
    assert all(row["estimated_yuan_min"] <= row["billed_yuan"] + 0.02 for row in found)


def test_the_balance_is_burnt_by_what_runs_now(database: Database) -> None:
    story = Watched(database)
    story.cloud.recharges(500)
    story.cloud.gives_card(20, valid_days=3)
    story.until(1)
    story.cloud.rents(gpus=2)
    story.until(30)
    balance, card, everything = asked(database, "balance")
    assert balance["unexplained_yuan"] == everything["unexplained_yuan"] == 0
    assert everything["burn_now_yuan"] == 264
    # a day and six hours are known, not seven days
    sums = "SUM(known_s), SUM(billed_microcny + card_billed_microcny)"
    ((known_s, billed),) = rows(database, f"SELECT {sums} FROM balance_daily")
    assert known_s == pytest.approx(30 * 3_600, abs=1_200)
    assert everything["burn_7d_yuan"] == pytest.approx(billed * 0.0864 / known_s, abs=1e-5)
    assert card["expires"] is None  # it is used up
    left = balance["closing_yuan"]
    assert everything["days_left"] == int(left * 100 / 264) / 100


def test_every_report_about_the_bill_can_be_read(database: Database) -> None:
    story = Watched(database)
    story.until(1)
    a = story.cloud.rents()
    story.cloud.gives_card(2, sale_price=1)
    story.cloud.recharges(30)
    story.until(2)
    story.cloud.stops(a)
    story.until(30)
    (card,) = asked(database, "cards")
    assert (card["spent_yuan"], card["spent_cost_yuan"], card["state"]) == (2, 1, "used up")
    assert [row["amount_yuan"] for row in asked(database, "recharges")] == [30]
    lines = {(row["channel"], row["amount_yuan"]) for row in asked(database, "bill-lines")}
    assert lines == {("balance", 3.5), ("card", 2)}
    (allocated,) = asked(database, "allocation")
    assert (allocated["project"], allocated["billed_yuan"]) == ("(no rule)", 5.5)
    for by in ("day", "month", "channel", "instance", "project", "owner"):
        assert sum(row["billed_yuan"] for row in asked(database, "bills", by=by)) == 5.5
    for by in ("day", "month", "cause"):
        assert sum(row["billed_yuan"] for row in asked(database, "reconciliation", by=by)) == 5.5


def test_reports_say_the_same_as_the_views(database: Database) -> None:
    """They repeat them, with the period asked where SQLite can use it."""
    story = Watched(database, Charging(lag_s=600))
    story.until(1)
    rented = [story.cloud.rents(gpus=gpus) for gpus in (1, 2)]
    story.until(5)
    story.cloud.stops(rented[0])
    story.cloud.is_charged(3)
    story.unseen(9)
    story.until(40)
    kept = rows(
        database,
        "SELECT CAST(day AS TEXT), billed_microcny, estimated_microcny, cause FROM reconciliation_daily"
        " WHERE day <= '2026-01-07' ORDER BY day",
    )
    said = [
        (
            row["what"],
            round(row["billed_yuan"] * 1e6),
            round(row["estimated_yuan"] * 1e6),
            row["cause"],
        )
        for row in asked(database, "reconciliation", by="day")
    ]
    assert said == kept
    attributed = rows(
        database,
        "SELECT instance_uuid, SUM(amount_microcny) FROM bill_attributed_daily"
        " WHERE day <= '2026-01-07' GROUP BY 1 ORDER BY 2",
    )
    for name, more in (("bills", {"by": "instance"}), ("allocation", {})):
        shares = sum(row["billed_yuan"] for row in asked(database, name, **more))
        assert round(shares * 1e6) == sum(amount for _, amount in attributed)


def test_what_is_accepted_is_charged_by(database: Database) -> None:
    story = Watched(database, Charging(by="hour"))
    story.until(0.5)
    a = story.cloud.rents(boot_s=60)
    for n in range(10):
        story.until(2.2 + 2 * n)
        story.cloud.stops(a)
        story.until(2.9 + 2 * n)
        story.cloud.starts(a, boot_s=60)
    story.until(30)
    accepted = accept(database, lessons(database, None, 90))
    model = accepted.model
    assert (model.counts_from, model.step_s, accepted.prices) == ("start", 3600, 0)
    assert rows(database, "SELECT step_s FROM _charging_model") == [(3600,)]
    assert story.day()["cause"] == "within_bounds", story.day()


def asked(database: Database, name: str, **said: Any) -> Iterator[dict[str, Any]]:
    said = {
        "from_day": "2026-01-06",
        "to_day": "2026-01-07",
        "by": None,
        "now": newest(database),
        **said,
    }
    names, found = reports.run(database, reports.load_report(name), said)
    return (dict(zip(names, row, strict=True)) for row in found)
