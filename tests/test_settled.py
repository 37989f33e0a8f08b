"""Stops by the bill: providers that settle at stops say when they were, all others change nothing."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from bench.truth_fleets import hide_starts
from etl.books.closing import close
from etl.books.learning import lessons
from etl.books.learning_text import in_words
from etl.books.price_files import model, set_model
from etl.dialect import Database
from etl.money.charging import ChargingModel
from etl.poll import Page, Poll
from etl.rebuild import differences, rebuild
from etl.resources import RESOURCES
from etl.simcloud import BILL_PATH, GPU_PATH, Charging, Fleet, Money
from etl.simcloud.desks import desks
from tests.conftest import TODAY, FreshDatabase
from tests.polled_money import ALL
from tests.support import ACCOUNT, apply, columns, dump, rows
from tests.test_schema import execute
from tests.watched import MIDNIGHT

DAY, HOUR = 86_400, 3_600
AT_STOPS = {
    "own hours": Charging(),
    "stops alone": Charging(settle_every_s=30 * DAY, order_numbers="run"),
    "full hours": Charging(settles="clock"),
    "begun hours": Charging(by="hour", settle_every_s=30 * DAY, rounding="up"),
    "begun minutes after the boot": Charging(counts_from="running", by="minute", lag_s=240),
    "stopped costs too": Charging(stopped_hour=50_000),
}
ELSEWHERE = {
    "slots of an hour": Charging(settles="slots"),
    "slots of ten minutes": Charging(settles="slots", settle_every_s=600),
    "windows of begun hours": Charging(settles="begun", by="hour"),
    "windows late by hours": Charging(late_s=2 * HOUR),
    "amounts in tenths of a yuan": Charging(rounding="jiao"),
}
MODELS = {
    "begun hours": ChargingModel("start", 3600),
    "windows of begun hours": ChargingModel("start", 3600),
    "begun minutes after the boot": ChargingModel("running", 60),
}


@dataclass(frozen=True)
class Provider:
    """A fleet under one way of charging, as the polls of it saw both."""

    fleet: Fleet
    money: Money
    polls: list[Poll]
    horizon: int


def provider(
    charging: Charging, *, minutes: int = 15, instances: int = 14, nameless: bool = False
) -> Provider:
    """A fleet, half of which never names the start of a run if it is `nameless`."""
    fleet = Fleet.generate(
        3, instances=instances, start=MIDNIGHT, days=2, flapping=0, prepaid=0, other_gpu=0.3
    )
    if nameless:
        hide_starts(fleet, 60 * minutes)
    money = Money(fleet, charging)
    money.give_card(MIDNIGHT + DAY // 2, 60, sale_price=50)
    horizon = MIDNIGHT + 2 * DAY
    polls = [
        poll_at("instances", fleet.body(now, 1, 10_000), now)
        for now in range(MIDNIGHT, horizon + 1, 60 * minutes)
    ]
    for name, path, every_s in (("gpu_prices", GPU_PATH, DAY), ("bills", BILL_PATH, 7 * HOUR)):
        for now in [*range(MIDNIGHT, horizon, every_s), horizon + 30 * HOUR]:
            body = desks(money)[path](now, ALL)
            assert isinstance(body, bytes)
            polls.append(poll_at(name, body, now))
    return Provider(fleet, money, sorted(polls, key=lambda poll: poll.started_at), horizon)


def poll_at(name: str, body: bytes, now: int) -> Poll:
    listing = RESOURCES[name].open(body)
    return Poll(
        account=ACCOUNT,
        resource=name,
        started_at=now,
        finished_at=now + 1,
        complete=True,
        walks=((Page(1, 1_000_000, body),),),
        listed=len(set(listing.identities)),
        reported_total=listing.total,
        digest=sha256(body).hexdigest(),
    )


def taken(database: Database, found: Provider, name: str) -> None:
    apply(database, *found.polls)
    if name in MODELS:
        set_model(database, MODELS[name])


def ends(database: Database) -> list[dict[str, Any]]:
    return columns(
        database,
        "SELECT s.*, u.end_evidence, u.settlements FROM usage_span s JOIN instance_usage u"
        " USING (instance_uuid, usage_no) WHERE s.kind = 'running'"
        " ORDER BY s.instance_uuid, s.usage_no",
    )


def error_percent(database: Database, found: Provider) -> float:
    """The mean error of an instance-day, which must be within its bounds."""
    stretches, error, truth = ends(database), 0, 0
    for life in found.fleet.lives:
        mine = [row for row in stretches if row["instance_uuid"] == life.instance_uuid]
        for since in (MIDNIGHT + 1, MIDNIGHT + DAY):
            until = MIDNIGHT + DAY * (1 + (since > MIDNIGHT + 1))
            least, likely, most = (
                sum(within(row, name, since, until) for row in mine)
                for name in ("running_min_s", "running_s", "running_max_s")
            )
            ran = life.running(since, until)
            assert least <= ran <= most
            error, truth = error + abs(likely - ran), truth + ran
    return 100 * error / truth


def within(row: dict[str, Any], name: str, since: int, until: int) -> int:
    ended = row["started_s"] + row[name]
    return max(0, min(until, ended) - max(since, row["started_s"]))


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", AT_STOPS)
def test_a_provider_that_settles_at_stops_says_when_they_were(
    name: str, database: Database
) -> None:
    found = provider(AT_STOPS[name])
    taken(database, found, name)
    (lesson,) = lessons(database, None, 90)
    assert lesson.settlement.rule.is_at_stops
    assert any("  settled at stops" in line for line in in_words(lesson))
    # at full hours a few machines of one model cannot be told apart; boots that failed are guessed
    assert error_percent(database, found) <= (0.5 if name == "full hours" else 0.15)
    observed = [row for row in ends(database) if row["evidence"] == "observed" and row["ended_s"]]
    settled = [row for row in observed if row["end_evidence"] == "settled"]
    assert len(settled) >= 0.8 * len(observed)
    assert list(differences(database)) == []


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["own hours", "begun hours", "begun minutes after the boot"])
def test_such_a_provider_says_when_runs_began_that_name_no_start(
    name: str, database: Database
) -> None:
    found = provider(AT_STOPS[name], nameless=True)
    taken(database, found, name)
    assert lessons(database, None, 90)[0].settlement.rule.is_at_stops
    every = ends(database)
    known = [
        row
        for row, after in itertools.pairwise(every)
        if row["evidence"] == "possible_run" and after["evidence"] == "unknown_start"
    ]
    settled = [row for row in known if row["end_evidence"] == "settled"]
    assert len(settled) >= 0.7 * len(known) > 5
    for row in settled:
        spans = found.fleet.life(row["instance_uuid"]).spans
        assert row["ended_max_s"] - row["running_s"] in [span.started_at for span in spans]
    late = [row for row in ends(database) if row["evidence"] == "unknown_start" and row["ended_s"]]
    assert sum(row["end_evidence"] == "settled" for row in late) >= 0.6 * len(late) > 3
    assert list(differences(database)) == []


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", [1, 2])
def test_runs_that_no_poll_saw_are_settled_whenever_the_bill_comes(
    seed: int, database: Database
) -> None:
    """Flapping machines through an outage; after each poll of the bill all is as a rebuild makes it."""
    people = Fleet.generate(seed, instances=5, start=MIDNIGHT, days=1, flapping=0, prepaid=0)
    flapping = Fleet.generate(
        seed + 50, instances=4, start=MIDNIGHT, days=1, kind="flapping", prepaid=0, other_gpu=0
    )
    fleet = Fleet([*people.lives, *flapping.lives])
    routes = desks(Money(fleet))
    ends_at, outage = MIDNIGHT + DAY, range(MIDNIGHT + 50_000, MIDNIGHT + 56_000)
    moments = [t for t in range(MIDNIGHT, ends_at, 600) if t not in outage]
    polls = [poll_at("instances", fleet.body(t, 1, 10_000), t) for t in moments]
    for name, path, every_s in (("gpu_prices", GPU_PATH, DAY), ("bills", BILL_PATH, 4 * HOUR)):
        for now in [*range(MIDNIGHT + 60, ends_at, every_s), ends_at + DAY]:
            body = routes[path](now, ALL)
            assert isinstance(body, bytes)
            polls.append(poll_at(name, body, now))
    for poll in sorted(polls, key=lambda poll: poll.started_at):
        apply(database, poll)
        if poll.resource == "bills":
            assert list(differences(database)) == []
    known = [
        row for row in ends(database) if row["evidence"] == "possible_run" and row["settlements"]
    ]
    assert len(known) >= 4
    for row in known:
        life = fleet.life(row["instance_uuid"])
        ran = life.running(row["started_s"], row["ended_max_s"])
        assert row["running_s"] == ran


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_any_other_provider_moves_no_estimate(name: str, database: Database) -> None:
    found = provider(ELSEWHERE[name])
    taken(database, found, name)
    (lesson,) = lessons(database, None, 90)
    assert lesson.settlement.rule.judged > 20
    assert not lesson.settlement.rule.is_at_stops
    assert any("  not settled at stops" in line for line in in_words(lesson))
    assert not [row for row in ends(database) if row["end_evidence"] == "settled"]
    assert error_percent(database, found) < 1.5
    assert list(differences(database)) == []


def test_any_order_of_resources_gives_the_same(fresh_database: FreshDatabase) -> None:
    found = provider(Charging(), minutes=15, instances=10, nameless=True)
    kept = []
    for order in itertools.permutations(("instances", "gpu_prices", "bills")):
        database = fresh_database()
        apply(database, *sorted(found.polls, key=lambda poll: order.index(poll.resource)))
        kept.append((dump(database, ("instance_usage", "usage_day")), rule(database)))
    database = fresh_database()
    apply(database, *found.polls)
    kept.append((dump(database, ("instance_usage", "usage_day")), rule(database)))
    assert kept[0][1][0]["matched"] > 8
    assert all(each == kept[0] for each in kept)
    settled = rows(database, "SELECT evidence FROM instance_usage WHERE end_evidence = 'settled'")
    assert {by for (by,) in settled} >= {"possible_run", "unknown_start", "observed"}
    rebuild(database, None, TODAY)
    assert (dump(database, ("instance_usage", "usage_day")), rule(database)) == kept[0]


def rule(database: Database) -> list[dict[str, Any]]:
    return columns(database, "SELECT * FROM settlement_rule")


@pytest.fixture
def told(database: Database) -> tuple[Database, Provider]:
    """A provider that settles at stops."""
    found = provider(Charging(), minutes=60, instances=8)
    apply(database, *found.polls)
    return database, found


def test_what_the_bill_takes_back_is_estimated_by_the_polls_again(
    told: tuple[Database, Provider],
) -> None:
    database, found = told
    without = found.polls[-1]
    before = {key(row): row for row in ends(database)}
    body = json.loads(without.walks[0][0].body)
    lines = body["data"]["order_list"]
    begins = {line["settle_end_time"]: line["settle_start_time"] for line in lines}
    settled = next(
        row
        for row in before.values()
        if row["end_evidence"] == "settled"
        # else the window before would end in the interval, too
        and 0 < begins.get(row["ended_s"], 0) <= row["ended_min_s"]
    )
    body["data"]["order_list"] = [x for x in lines if x["settle_end_time"] != settled["ended_s"]]
    body["data"]["total"] = len(body["data"]["order_list"])
    for later in (1, 2):
        now = without.started_at + later * HOUR
        apply(database, poll_at("bills", json.dumps(body).encode(), now))
    after = {key(row): row for row in ends(database)}
    assert after[key(settled)]["end_evidence"] != "settled"
    assert after[key(settled)]["settlements"] == 0
    changed = [row for each, row in after.items() if row != before[each]]
    assert changed == [after[key(settled)]]
    assert list(differences(database)) == []


def key(row: dict[str, Any]) -> tuple[str, int]:
    return row["instance_uuid"], row["usage_no"]


def test_a_model_that_does_not_fit_the_bill_unsettles_all_and_back(
    told: tuple[Database, Provider],
) -> None:
    database, _ = told
    before, chosen = ends(database), model(database)
    set_model(database, ChargingModel("start", 3600))
    assert not [row for row in ends(database) if row["end_evidence"] == "settled"]
    assert list(differences(database)) == []
    set_model(database, chosen)
    assert ends(database) == before
    assert list(differences(database)) == []


def test_a_settled_end_that_strayed_is_named(told: tuple[Database, Provider]) -> None:
    database, _ = told
    execute(database, "UPDATE settlement_rule SET single = single + 1")
    assert list(differences(database)) == [f"{ACCOUNT} settlement"]
    execute(database, "UPDATE settlement_rule SET single = single - 1")
    execute(database, "UPDATE instance_usage SET settlements = 7 WHERE settlements = 1")
    assert len(list(differences(database))) > 5


def test_a_closed_month_stays_when_the_bill_moves_stops(database: Database) -> None:
    found = provider(Charging(), minutes=60, instances=8)
    late = found.polls[-1]
    apply(database, *(poll for poll in found.polls if poll.resource != "bills"))
    seen = poll_at("instances", found.fleet.body(MIDNIGHT + 30 * DAY), MIDNIGHT + 30 * DAY)
    apply(database, seen)
    close(database, "2026-01", None, MIDNIGHT + 30 * DAY)
    cost = "SELECT SUM(cost_microcny) FROM cost_daily WHERE day < '2026-02-01'"
    frozen = rows(database, cost)
    used = rows(database, "SELECT SUM(running_s) FROM usage_day")
    apply(database, poll_at("bills", late.walks[0][0].body, MIDNIGHT + 31 * DAY))
    assert rows(database, cost) == frozen
    assert rows(database, "SELECT SUM(running_s) FROM usage_day") != used
