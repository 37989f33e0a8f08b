"""Two accounts of one database that list the same uuids: nothing of one depends on the other."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from etl.books.closing import close
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.rebuild import differences
from etl.simcloud import Fleet, Life, Money
from etl.store import views
from tests import polled_money
from tests.conftest import FreshDatabase
from tests.support import columns
from tests.test_price_files import written

FEBRUARY = 1_769_875_200
"""2026-01-31T16:00:00Z: midnight in Shanghai."""
DAY, HALF_HOUR = 86_400, 1_800
RULES = """\
[[rule]]
account = "other"
project = "theirs"
[[rule]]
account = "lab"
title = "*-*"
project = "ours"
owner = "li"
[[lease]]
account = "lab"
max_hours = 3
[[lease]]
max_hours = 5
max_gpus = 1
[[limit]]
account = "lab"
card_hours = 9
[[limit]]
account = "other"
max_gpus = 1
"""
WITH_ROWS = ("settlement_rule", "state_length", "billed_usage_day", "rejected_record", "allocation")
OF_NOBODY = {
    *("account", "setting", "calendar_day", "local_day", "_day_bounds", "alembic_version"),
    # until the end of the calendar; reports test what they make of it
    *("_usage_unseen_part", "_cost_unseen"),
}
NUMBERS = {"account_id", "sync_run_id"}
"""Columns whose values tell which account was first."""


def lives_of(seed: int) -> list[Life]:
    fleet = Fleet.generate(
        seed,
        instances=6,
        start=FEBRUARY - DAY,
        days=2,
        office=0,
        overnight=0.2,
        batch=0.5,
        flapping=0.3,
        prepaid=0.2,
        other_gpu=0.3,
        timers=0.1,
        born_inside=0.3,
    )
    return fleet.lives


class Cloud:
    """The machines and the money of an account."""

    def __init__(self, name: str, seed: int, *others: int) -> None:
        self.name = name
        lives = [life for each in (seed, *others) for life in lives_of(each)[: 9 - 5 * len(others)]]
        self.fleet = Fleet(lives)
        for number, life in enumerate(self.fleet.lives):
            life.instance_uuid = f"inst_{number}"
        self.fleet.refresh()
        self.fleet.hide("inst_0", FEBRUARY - DAY // 4, FEBRUARY - DAY // 8)
        self.fleet.break_record("inst_1", FEBRUARY - DAY // 3)
        self.money = Money(self.fleet)
        self.money.give_card(FEBRUARY - DAY // 2, 20 + seed, uuid="card")

    def polled(self, database: Database, begins: int, ends: int) -> None:
        times = range(begins, ends, HALF_HOUR)
        polled_money.polled(database, self.fleet, self.money, times, self.name)


def history(database: Database, folder: Path, *clouds: Cloud) -> None:
    """A day that is polled by turns, with rules from the middle of it on."""
    for begins in range(FEBRUARY - DAY, FEBRUARY + 4 * HALF_HOUR, 12 * HALF_HOUR):
        for cloud in clouds:
            cloud.polled(database, begins, begins + 12 * HALF_HOUR)
        if begins == FEBRUARY - DAY // 2:
            import_rules(database, written(folder, "r.toml", RULES))


def of(account: str, database: Database) -> dict[str, list[str]]:
    """All rows of an account, in tables and views."""
    with database.reading() as conn:
        tables = inspect(conn).get_table_names()
    (number,) = columns(database, f"SELECT account_id FROM account WHERE name = '{account}'")
    kept: dict[str, list[str]] = {}
    for name in sorted({*tables, *views.view_names()} - OF_NOBODY):
        mine = [
            {k: v for k, v in row.items() if k not in NUMBERS}
            for row in columns(database, f"SELECT * FROM {name}")
            if row.get("account_id", number["account_id"]) == number["account_id"]
            and row.get("account", row.get("BillingAccountId", account)) == account
            and row.get("scope") not in ("project", "owner")
            and row.get("name", account) in (account, row.get("title"))
        ]
        kept[name] = sorted(map(str, mine))
    return kept


def test_nothing_of_an_account_depends_on_another(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    # half of theirs live as some of ours do, under other names
    ours, theirs = Cloud("lab", 5), Cloud("other", 6, 5)
    alone, beside = fresh_database(), fresh_database()
    history(alone, tmp_path, ours)
    history(beside, tmp_path, theirs, ours)
    close(beside, "2026-01", "other", FEBRUARY + DAY)
    assert list(differences(beside)) == []
    first, second = of("lab", alone), of("lab", beside)
    assert {name for name in first if first[name] != second[name]} == set()
    assert {name for name in WITH_ROWS if not first[name]} == set()
