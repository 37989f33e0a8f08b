"""Money against known truth: fleets whose bill a simulated provider makes by three ways of charging,
polled every five minutes by the flow that live polls take."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from etl import reports
from etl.books.learning import Lesson, accept, lessons
from etl.books.learning_text import in_words
from etl.books.rule_files import import_rules
from etl.dialect import Database, open_database
from etl.history.days import Zone
from etl.rebuild import set_code
from etl.simcloud import Charging, Fleet, Money, microcny
from tests.conftest import ZONE
from tests.polled_money import polled, settled
from tests.support import newest, rows

START: Final = 1_767_571_200 - 8 * 3_600
"""Midnight of Monday, 2026-01-05, in Shanghai."""
DAY_S: Final = 86_400
DAYS: Final = 3
EVERY_S: Final = 300
LATER_S: Final = 20 * 3_600
"""When the bill is read once more: what ran to the end is settled then."""
RULES: Final = """
[[rule]]
title = "*llm*"
project = "language"
owner = "li"

[[rule]]
title = "*"
project = "rest"
"""


def fleet_of(seed: int, days: int = DAYS, instances: int = 9) -> Fleet:
    """Metered machines, some without a card at times, and prepaid ones that keep their hardware."""
    metered = Fleet.generate(
        seed,
        instances=instances,
        start=START,
        days=days,
        prepaid=0,
        flapping=0,
        forgotten=0,
        no_card=0.08,
    )
    prepaid = Fleet.generate(
        seed + 1,
        instances=2,
        start=START,
        days=days,
        prepaid=0.5,
        prepaid_week=0.5,
        other_gpu=0,
        flapping=0,
    )
    return Fleet([*metered.lives, *prepaid.lives])


def money_of(fleet: Fleet, charging: Charging) -> Money:
    """Prices that change midway, a card that runs out, a balance that is recharged."""
    money = Money(fleet, charging, opening=microcny(3_000))
    for gpu_name, hour in (("RTX 4090", "6.20"), ("RTX 3090", "2.98"), ("A100", "13.10")):
        money.prices.change(gpu_name, START + DAY_S + 40_000, hour=hour)
    money.give_card(START + DAY_S // 2, 200, sale_price=150)
    money.recharge(START + 2 * DAY_S, 500)
    return money


FLEETS: Final = {name: fleet_of(seed) for name, seed in (("image", 3), ("boot", 5), ("hour", 8))}
MODELS: Final = {
    "image": (
        Charging(image_hour={life.image[0]: 300_000 for life in FLEETS["image"].lives[:3]}),
        ("start", 1, "instance"),
    ),
    "boot": (Charging(counts_from="running", by="minute", lag_s=240), ("running", 60, "none")),
    "hour": (
        Charging(by="hour", settle_every_s=30 * DAY_S, order_numbers="run", rounding="up"),
        ("start", 3600, "none"),
    ),
}


@dataclass
class Told:
    """A model, what was learned of it, and the database after that was accepted."""

    name: str
    database: Database
    fleet: Fleet
    money: Money
    lesson: Lesson
    until: int

    @property
    def full_days(self) -> list[str]:
        """Days observed from their first second to their last, whose bill must be in."""
        zone = Zone(ZONE)
        first = zone.local_date(START + 1)
        return [first.replace(day=first.day + n).isoformat() for n in range(1, DAYS)]


@pytest.fixture(scope="module", params=MODELS)
def told(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    name = str(request.param)
    folder = tmp_path_factory.mktemp(name)
    shutil.copy(sqlite_template, folder / "t.db")
    database = open_database(f"sqlite:///{folder / 't.db'}")
    fleet = FLEETS[name]
    money = money_of(fleet, MODELS[name][0])
    until = START + DAYS * DAY_S
    set_code(database, "charging", 2, "day")
    set_code(database, "charging", 3, "week")
    (folder / "rules.toml").write_text(RULES, encoding="utf-8")
    polled(database, fleet, money, range(START, until + 1, EVERY_S), bills_every_s=6 * 3_600)
    settled(database, fleet, money, until + LATER_S)
    import_rules(database, folder / "rules.toml")
    (lesson,) = lessons(database, None, 90)
    accept(database, [lesson])
    yield Told(name, database, fleet, money, lesson, until)
    database.engine.dispose()


def test_the_bill_tells_how_it_is_charged(told: Told) -> None:
    counts_from, step_s, extra = MODELS[told.name][1]
    best = told.lesson.judgement.best
    assert best is not None
    said = best.hypothesis
    assert (said.counting.counts_from, said.counting.step_s, said.extra) == (
        counts_from,
        step_s,
        extra,
    ), "\n".join(in_words(told.lesson))
    assert best.share > 0.95
    assert told.lesson.judgement.model is not None


def test_learned_prices_are_the_true_ones(told: Told) -> None:
    charging = told.money.charging
    for each in told.lesson.judgement.learned:
        extra = set(charging.image_hour.values()) | {0}
        due = {charging.no_card_hour + more for more in extra} if each.no_card else extra
        assert each.price_microcny in due


def test_the_estimate_is_near_the_bill_but_for_what_is_named(told: Told) -> None:
    ((billed, estimated, prepaid, nobody),) = rows(
        told.database,
        "SELECT SUM(billed_microcny), SUM(estimated_microcny), SUM(prepaid_difference_microcny),"
        " SUM(no_instance_microcny) FROM reconciliation_daily"
        f" WHERE day IN ({days_in(told)})",
    )
    # two days of begun hours: each end that polls miss by minutes can be an hour off
    most = 0.02 if told.name == "hour" else 0.005
    assert abs(estimated + prepaid + nobody - billed) / billed < most


def test_cost_bounds_hold_the_true_cost_of_every_instance_day(told: Told) -> None:
    kept = {
        (day, uuid): (least, most, unpriced)
        for day, uuid, least, most, unpriced in rows(
            told.database,
            "SELECT day, instance_uuid, SUM(cost_min_microcny), SUM(cost_max_microcny),"
            f" SUM(unpriced_max_s) FROM cost_daily WHERE day IN ({days_in(told)}) GROUP BY 1, 2",
        )
    }
    checked = 0
    for day in told.full_days:
        begins = Zone(ZONE).starts(date.fromisoformat(day))
        for life in told.fleet.lives:
            true = told.money.true_cost(life.instance_uuid, begins, begins + DAY_S)
            least, most, unpriced = kept.get((day, life.instance_uuid), (0, 0, 0))
            if unpriced:
                continue
            checked += true > 0
            assert (least or 0) - 2 <= true <= (most or 0) + 2, (day, life.instance_uuid)
    assert checked > 8


def test_reconciliation_names_what_differs(told: Told) -> None:
    found = rows(
        told.database,
        f"SELECT day, cause FROM reconciliation_daily WHERE day IN ({days_in(told)})",
    )
    assert {cause for _, cause in found} <= {"within_bounds", "prepaid", "price"}


def test_sums_agree_to_the_millionth(told: Told) -> None:
    sums = set()
    said = {"from_day": "2026-01-01", "to_day": "2026-01-31", "now": newest(told.database)}
    for by in ("instance", "owner", "project", "model", "day", "month"):
        _, found = reports.run(told.database, reports.load_report("cost"), {**said, "by": by})
        sums.add(sum(round(row[4] * 1_000_000) for row in found if row[4] is not None))
    ((exact,),) = rows(
        told.database, "SELECT SUM(cost_microcny) FROM _cost_line WHERE day >= '2026-01-01'"
    )
    assert sums == {exact}


def test_what_is_attributed_adds_up_to_the_bill(told: Told) -> None:
    for part in ("", " WHERE charge_channel = 2"):
        column = "card_microcny" if part else "amount_microcny"
        assert rows(
            told.database,
            f"SELECT day, SUM({column}) FROM bill_attributed_daily GROUP BY day"
            f" HAVING SUM({column}) <> 0 ORDER BY day",
        ) == rows(
            told.database,
            f"SELECT day, SUM(amount_microcny) FROM bill_day{part} GROUP BY day ORDER BY day",
        )


def test_the_balance_adds_up(told: Told) -> None:
    said = {"from_day": "2026-01-05", "to_day": "2026-01-09"}
    names, found = reports.run(told.database, reports.load_report("balance"), said)
    by_channel = {row[1]: dict(zip(names, row, strict=True)) for row in found}
    for channel in ("balance", "card", "all"):
        assert by_channel[channel]["unexplained_yuan"] == 0.0
    assert by_channel["balance"]["closing_yuan"] == told.money.balance(told.until + LATER_S) / 1e6


def days_in(told: Told) -> str:
    return ", ".join(f"'{day}'" for day in told.full_days)
