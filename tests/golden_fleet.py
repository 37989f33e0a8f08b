"""A fleet with something of everything, for golden rows: `python -m tests.golden_fleet` writes them.

Five days of 14 instances, polled every 10 minutes, with an outage, partial and failed polls, records
that cannot be read and codes that nobody knows. New York's clocks go forward on its Sunday.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from etl import reports
from etl.books.price_files import import_prices
from etl.books.rule_files import import_rules
from etl.dialect import Database, open_database
from etl.poll import Poll
from etl.rebuild import rebuild, set_code
from etl.reports.render import render
from etl.resources import RESOURCES
from etl.samples.importing import SampleOptions, import_samples
from etl.simcloud import Fleet, Money
from etl.simcloud.desks import desks
from etl.simcloud.life import FOREVER, Twist
from etl.store import Store, SyncRun, schema
from tests.conftest import TODAY, ZONE
from tests.support import apply, poll_of, rows

GOLDEN = Path(__file__).parent / "golden"
ZONES = (ZONE, "America/New_York")
START = 1_772_726_400
"""2026-03-05T16:00:00Z: a Friday's midnight in Shanghai."""
DAYS, EVERY_S = 5, 600
PERIOD = {"from_day": "2026-03-01", "to_day": "2026-03-31"}
NOW = START + DAYS * 86_400 + 30 * 3_600
"""When the reports are read: the service has been down since the end of the five days."""
VARIANTS: dict[str, tuple[dict[str, str], ...]] = {
    "uptime": tuple({"by": by} for by in ("instance", "gpu", "day", "week", "month")),
    "gpu-hours": tuple({"by": by} for by in ("model", "day", "week", "month", "instance")),
    "coverage": tuple({"by": by} for by in ("day", "week", "month")),
    "timers": ({}, {"timer": "none"}, {"account": "nobody"}),
    "idle": ({}, {"hours": "2", "from_day": "2026-03-07", "to_day": "2026-03-08"}),
    "images": ({}, {"state": "failed"}),
    "failed-starts": ({}, {"minutes": "0"}),
    "runs": ({}, {"from_day": "2026-03-08", "to_day": "2026-03-08"}),
    "events": ({}, {"event": "gone"}),
    "commitment": tuple({"by": by} for by in ("instance", "model")),
    "anomalies": ({}, {"percent": "20", "yuan": "5"}),
    "forecast": (
        *({"by": by} for by in ("account", "project", "owner", "tag:team")),
        {"by": "account", "to_day": "2026-02-28"},
    ),
    "overview": ({}, {"from_day": "2026-03-10", "to_day": "2026-03-10"}),
    "bills": tuple({"by": by} for by in ("day", "channel", "instance", "project", "tag:team")),
    "utilisation": tuple(
        {"by": by} for by in ("instance", "model", "project", "owner", "day", "week", "month")
    ),
    "billed-usage": tuple({"by": by} for by in ("day", "month", "model", "instance")),
    "cost": tuple(
        {"by": by} for by in ("instance", "project", "owner", "model", "day", "month", "tag:team")
    ),
    "allocation": ({}, {"by": "tag:team"}),
}
"""What each report is asked, where it takes more than a period."""


OTHER_EVERY_S = 6 * 3_600
RULES = """
[[rule]]
title = "*张伟*"
project = "speech"
owner = "张伟"
cost_centre = "K-8"

[[rule]]
title = "train*"
project = "vision"
owner = "alice"
cost_centre = "K-7"

[[rule]]
title = "李雷*"
project = "audio"
owner = "李雷"
cost_centre = "K-9"

[[tag]]
title = "train*"
tag = "team:seeing, stage:prod"
valid_from = "2026-03-07"

[[tag]]
title = "*李雷*"
tag = "team:hearing"

[[lease]]
owner = "张伟"
until = "2026-03-08"
max_hours = 40
max_gpus = 1

[[lease]]
title = "*"
until = "2026-12-31"

[[limit]]
project = "audio"
card_hours = 150
carry_over = 20
valid_from = "2026-03-07"

[[limit]]
account = "lab"
card_hours = 2000
max_gpus = 8

[[budget]]
project = "vision"
amount = 5000

[[budget]]
project = "speech"
amount = 300
"""
PRICES = """
[[price]]
gpu_name = "H100"
unit = "hour"
price = 25.5
valid_from = "2026-03-08"
note = "contract"
"""


@cache
def fleet() -> Fleet:
    made = Fleet.generate(
        11,
        instances=14,
        start=START,
        days=DAYS,
        unknown_status=0.2,
        failed_starts=0.3,
        images_saved=0.7,
        prepaid=0.1,
        boot_s=(300, 1_500),
    )
    broken, odd, stuck = made.listed(START + 190_000)[:3]
    broken.twists.append(Twist(START + 200_000, START + 260_000, {"gpu_nums": "many"}))
    odd.twists.append(Twist(START + 300_000, FOREVER, {"status": 77}))
    stuck.image_saves += [(START + 100_000, 1), (START + 101_000, 3)]
    made.refresh()
    return made


@cache
def polls() -> tuple[Poll, ...]:
    moments = [START + number * EVERY_S for number in range(DAYS * 86_400 // EVERY_S)]
    return tuple(
        poll_of([fleet().body(t, 1, 1_000)], t, t + 2, complete=number % 80 != 7)
        for number, t in enumerate(moments)
        if not 290 <= number < 305
    )


@cache
def other_polls() -> tuple[Poll, ...]:
    """Prices that change midway, the bill, balance, cards and recharges."""
    money = Money.usual(fleet())
    money.give_card(START + 400_000, 2_000, sale_price=1_800, valid_days=20)
    money.prices.change("RTX 4090", START + 200_000, hour="6.10")
    routes = desks(money)
    found = []
    for t in range(START + 300, START + DAYS * 86_400, OTHER_EVERY_S):
        for resource in RESOURCES.values():
            if resource.is_optional:
                most = str(resource.most_per_page or 100_000)
                body = routes[resource.path](t, {"page": "1", "page_size": most})
                assert isinstance(body, bytes)
                if resource.name == "recharges":
                    body = with_unpaid(body)
                if resource.name == "bills" and t + OTHER_EVERY_S >= START + DAYS * 86_400:
                    body = with_correction(body)
                poll = poll_of([body], t, t + 2, resource=resource)
                found.append(replace(poll, reported_total=poll.listed))
    return tuple(found)


def with_correction(body: bytes) -> bytes:
    """The bill without its oldest line of March, which the source has taken back."""
    answer = json.loads(body)
    lines = answer["data"]["order_list"]
    lines.remove(min((x for x in lines if x["order_time"] >= START), key=lambda x: x["order_time"]))
    answer["data"]["total"] -= 1
    return json.dumps(answer).encode()


def with_unpaid(body: bytes) -> bytes:
    """The recharges, and one that was ordered and not paid."""
    answer = json.loads(body)
    order = {"created_at": START + 60, "pay_time": 0, "out_trade_no": "R0", "amount": "500.00"}
    answer["data"]["recharge_list"].append({**order, "pay_channel": "alipay"})
    answer["data"]["total"] += 1
    return json.dumps(answer).encode()


def fill(database: Database) -> None:
    """Every poll of the fleet, and the failures between them; then what the user says of money."""
    others = iter(other_polls())
    other = next(others, None)
    for number, poll in enumerate(polls()):
        while other is not None and other.started_at < poll.started_at:
            apply(database, other)
            other = next(others, None)
        apply(database, poll)
        if number % 150 == 50:
            with Store(database, poll.account).writing() as tx:
                tx.record("instances", _failed(poll.started_at + 300))
    _say(database)


def _say(database: Database) -> None:
    """The user's prices, rules and budget, and samples of load."""
    with tempfile.TemporaryDirectory() as folder:
        prices, rules = Path(folder, "prices.toml"), Path(folder, "rules.toml")
        load = Path(folder, "load.csv")
        prices.write_text(PRICES, encoding="utf-8")
        rules.write_text(RULES, encoding="utf-8")
        set_code(database, "charging", 2, "day")
        import_prices(database, prices)
        import_rules(database, rules)
        load.write_text("\n".join(sampled()), encoding="utf-8")
        import_samples(database, [load], SampleOptions(), NOW)


def sampled() -> Iterator[str]:
    """Samples of two machines every five minutes, in two hours of three: busy by turns of five hours."""
    yield "time,title,gpu,utilisation,memory_used,memory_total"
    for hour in range(DAYS * 24):
        for minute in range(0, 60, 5) if hour % 3 else ():
            t = START + hour * 3_600 + minute * 60
            for gpu in range(4):
                percent = (97 - gpu) if hour % 5 > 1 else gpu
                yield f"{t},alice-推理,{gpu},{percent},{20_000 + gpu},46068"
            yield f"{t},李雷-whisper,0,{88 if hour % 5 else 2},9000,24576"


def _failed(at: int) -> SyncRun:
    return SyncRun(started_at=at, finished_at=at + 5, outcome="failed", error="no answer")


def move(database: Database, zone: str) -> None:
    """Count days in this time zone, if they are not yet."""
    if rows(database, "SELECT value FROM setting WHERE name = 'timezone'") != [(zone,)]:
        rebuild(database, zone, TODAY)


def variants() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Golden file's name, report, arguments."""
    for name in reports.report_names():
        for variant in VARIANTS.get(name, ({},)):
            words = "-".join([name, *variant.values()])
            yield words, name, {**PERIOD, "now": NOW, **variant}


def as_csv(database: Database, name: str, arguments: dict[str, Any]) -> str:
    columns, rows = reports.run(database, reports.load_report(name), arguments)
    return "".join(f"{line}\n" for line in render("csv", columns, rows))


def path(zone: str, words: str) -> Path:
    return GOLDEN / zone.replace("/", "-") / f"{words.replace(':', '-')}.csv"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/golden.db")
        schema.upgrade(database, ZONE, TODAY)
        fill(database)
        for zone in ZONES:
            move(database, zone)
            for words, name, arguments in variants():
                file = path(zone, words)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(as_csv(database, name, arguments), encoding="utf-8")
        database.engine.dispose()


if __name__ == "__main__":
    main()
