"""Prices, bill, balance, cards and recharges beside the instances: over real HTTP, as the command
meets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl.dialect import open_database
from etl.polling import exit_code
from etl.replay import replay
from etl.resources import RESOURCES
from etl.simcloud import (
    ANY,
    BALANCE_PATH,
    BILL_PATH,
    CARD_PATH,
    Behaviour,
    Fail,
    Story,
    serve,
)
from etl.simcloud.desks import desks
from tests.live import KEY, Live, Living, applied, command, environment, leaks, living, real_cloud
from tests.support import dump, rows

SIDE = [name for name, resource in RESOURCES.items() if resource.is_optional]
BILLED = "SELECT count(*), sum(amount_microcny) FROM bill"


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def lab(live: Living) -> Live:
    """A fleet of five that has run for three hours, with a card and a recharge."""
    cloud = Story()
    cloud.rents_many(5)
    cloud.gives_card(20, sale_price=15)
    cloud.recharges(100)
    cloud.passes(hours=3)
    return live(cloud)


def test_a_first_sync_brings_everything(lab: Live) -> None:
    results = lab.syncs()
    assert [result.resource for result in results] == list(RESOURCES)
    assert exit_code(results) == 0
    lines = lab.server.money.lines(lab.cloud.now)
    assert rows(lab.database, BILLED) == [(len(lines), sum(line.amount for line in lines))]
    for table in ("gpu_price", "balance", "card", "recharge"):
        assert lab.count(table) > 0, table


def test_the_balance_equation_closes(lab: Live) -> None:
    for hour in range(18):
        if hour == 10:
            lab.cloud.gives_card(10, sale_price=8)
        lab.syncs(minutes=60)
    lab.syncs("balance", "bills", "recharges", "cards")
    (found,) = rows(
        lab.database,
        "SELECT count(*), sum(unexplained_microcny), sum(card_unexplained_microcny)"
        " FROM balance_daily",
    )
    assert found == (2, 0, 0)


def test_what_is_not_due_is_not_asked_for(lab: Live) -> None:
    lab.syncs()
    assert [r.resource for r in lab.syncs(minutes=2)] == ["instances"]
    assert [r.resource for r in lab.syncs(minutes=8)] == ["instances", "balance"]
    assert [r.resource for r in lab.syncs(minutes=20)] == ["instances", "gpu_prices", "balance"]
    assert [r.resource for r in lab.syncs(minutes=30)] == list(RESOURCES)
    assert [r.resource for r in lab.syncs("cards")] == ["cards"]


def test_a_clock_set_back_does_not_stop_what_is_due(lab: Live) -> None:
    lab.syncs()
    lab.off_s = -10 * 3_600
    assert [r.resource for r in lab.syncs()] == ["instances"], "the rest was polled just now"
    assert [r.resource for r in lab.syncs(minutes=60)] == list(RESOURCES)


def test_no_permission_for_the_bill_is_a_warning_and_the_rest_goes_on(lab: Live) -> None:
    lab.server.forbids(BILL_PATH)
    results = {result.resource: result for result in lab.syncs()}
    assert exit_code(list(results.values())) == 0
    assert results["bills"].is_warning
    assert not results["bills"].is_repeated
    assert lab.count("recharge") > 0
    assert "bills" not in [r.resource for r in lab.syncs(minutes=60)]
    (again,) = [r for r in lab.syncs(minutes=23 * 60) if r.resource == "bills"]
    assert again.is_repeated
    said = rows(lab.database, "SELECT outcome FROM sync_run WHERE resource = 'bills'")
    assert said == [("failed",), ("failed",)]


def test_any_other_failure_of_a_side_resource_is_an_error(lab: Live) -> None:
    lab.server.at(BALANCE_PATH).fail[ANY] = Fail(500, 500, "broken")
    results = lab.syncs()
    assert exit_code(results) == 5
    assert [r.resource for r in results] == list(RESOURCES)


def test_without_its_instances_an_account_is_asked_for_nothing_else(lab: Live) -> None:
    lab.server.behaviour = Behaviour(fail={ANY: Fail(401, 401, "no")})
    assert [r.resource for r in lab.syncs()] == ["instances"]


def test_a_second_poll_of_the_bill_reads_its_front(live: Living) -> None:
    cloud = Story()
    cloud.rents_many(12)
    cloud.passes(hours=5)
    lab = live(cloud)
    lab.syncs("bills")
    before = len(lab.server.requests)
    lab.syncs("bills", minutes=61)
    asked = [r.query["page"] for r in lab.server.requests[before:]]
    assert asked == ["1", "2", "3"]
    lines = lab.server.money.lines(cloud.now)
    assert rows(lab.database, BILLED) == [(len(lines), sum(line.amount for line in lines))]


def test_a_page_of_the_bill_that_fails_with_200_loses_nothing(live: Living) -> None:
    cloud = Story()
    cloud.rents_many(12)
    cloud.passes(hours=5)
    lab = live(cloud)
    lab.server.at(BILL_PATH).fail[3] = Fail(200, 5001, "busy")
    (result,) = lab.syncs("bills")
    assert result.exit_code == 3
    lab.server.at(BILL_PATH).fail.clear()
    (result,) = lab.syncs("bills", minutes=1)
    assert result.exit_code == 0
    lines = lab.server.money.lines(cloud.now)
    assert rows(lab.database, BILLED) == [(len(lines), sum(line.amount for line in lines))]


def test_a_card_that_a_failed_page_does_not_list_has_not_ended(lab: Live) -> None:
    lab.syncs()
    lab.server.at(CARD_PATH).bodies[1] = b'{"code":0,"data":{"card_list":null,"total":1}}'
    for _ in range(5):
        lab.syncs("cards", minutes=60)
    assert rows(lab.database, "SELECT count(*) FROM card WHERE ended_at IS NOT NULL") == rows(
        lab.database, "SELECT count(*) - 1 FROM card"
    )


def test_live_equals_replay_with_all_resources(
    live: Living, tmp_path: Path, fresh_url: Callable[[], str]
) -> None:
    cloud = Story()
    cloud.rents_many(4)
    cloud.gives_card(30, sale_price=20)
    cloud.recharges(200)
    lab = live(cloud, archive=tmp_path / "polls")
    for number in range(36):
        if number % 5 == 3:
            lab.server.at(BILL_PATH).fail[1 + number % 2] = Fail(200, 5001, "busy")
        if number == 18:
            cloud.price(cloud.life(cloud.rents()).runs[-1].gpu_name, hour=7.25)
        lab.syncs(minutes=17)
        lab.server.at(BILL_PATH).fail.clear()
    bills = (
        "SELECT outcome, COUNT(*) > 1 FROM sync_run WHERE resource = 'bills' GROUP BY 1 ORDER BY 1"
    )
    assert rows(lab.database, bills) == [("complete", True), ("failed", True)]
    database = open_database(fresh_url())
    files = sorted(str(path) for path in (tmp_path / "polls").glob("[!.]*.jsonl.*"))
    assert replay(database, files).damaged == 0
    for table, found in dump(database).items():
        assert found == dump(lab.database, (table,))[table], table
    assert applied(database) == applied(lab.database)
    database.engine.dispose()


def test_no_number_of_a_card_and_no_key_is_in_a_file_or_an_output(
    tmp_path: Path, fresh_url: Callable[[], str]
) -> None:
    cloud = real_cloud(3)
    cloud.gives_card(30)
    archive = tmp_path / "polls"
    with serve(cloud.fleet, key=KEY, money=cloud.money) as server:
        environ = environment(
            server.base_url,
            fresh_url(),
            tmp_path,
            CHENYU_ARCHIVE=str(archive),
            CHENYU_RESOURCES=",".join(RESOURCES),
        )
        said = command(environ, "--debug", "sync", "--json")
        assert said.returncode == 0, said.stderr
        body = desks(server.money)[CARD_PATH](server.clock(), {})
    assert isinstance(body, bytes)
    numbers = tuple(card["card_no"] for card in json.loads(body)["data"]["card_list"])
    assert numbers
    assert all(len(number) > 4 for number in numbers)
    assert leaks(archive, tmp_path, said.stdout + said.stderr, secrets=(*numbers, KEY)) == []


def test_the_first_sight_of_the_bill_says_what_last_month_cost(
    tmp_path: Path, fresh_url: Callable[[], str]
) -> None:
    cloud = real_cloud(3)
    with serve(cloud.fleet, key=KEY, money=cloud.money) as server:
        environ = environment(
            server.base_url, fresh_url(), tmp_path, CHENYU_RESOURCES="instances,bills"
        )
        server.money.charge(int(server.clock()) - 32 * 86_400, 12.5)
        first = command(environ, "sync")
        again = command(environ, "sync", "--resource", "bills")
    assert "yuan from the balance" in first.stderr
    assert "only the bill knows" in first.stderr
    assert "yuan from the balance" not in again.stderr


@pytest.mark.parametrize(
    "fail",
    [
        *(Fail(403, 403), Fail(200, 403), Fail(404, 404), Fail(200, 404), Fail(404, 0)),
        *(Fail(405, 405), Fail(410, 410), Fail(501, 501), Fail(200, 501)),
        # some sources put permission into these: the same key lists instances
        *(Fail(401, 401), Fail(200, 401), Fail(200, 2)),
    ],
)
def test_an_optional_resource_that_is_not_there_is_a_warning_once_a_day(
    lab: Live, fail: Fail
) -> None:
    lab.server.at(BILL_PATH).fail[ANY] = fail
    results = {result.resource: result for result in lab.syncs()}
    assert exit_code(list(results.values())) == 0
    assert list(results) == list(RESOURCES), "the rest goes on"
    assert (results["bills"].is_warning, results["bills"].is_repeated) == (True, False)
    assert rows(lab.database, "SELECT outcome FROM sync_run WHERE resource = 'bills'") == [
        ("failed",)
    ]
    assert "bills" not in [result.resource for result in lab.syncs(minutes=120)]
    (again,) = [r for r in lab.syncs(minutes=22 * 60) if r.resource == "bills"]
    assert (again.is_warning, again.is_repeated) == (True, True)
    lab.server.at(BILL_PATH).fail.clear()
    (there,) = [r for r in lab.syncs(minutes=24 * 60) if r.resource == "bills"]
    assert there.outcome is not None


@pytest.mark.parametrize(
    "body",
    [
        *(b"{}", b"", b"<html>", b"[]", b'{"code":0}', b'{"code":0,"data":{"list":7}}'),
        b'{"code":0,"data":{"card_list":[{"number":1},{"number":2}],"total":2}}',
        b'{"code":0,"data":{"card_list":["a",7,null],"total":3}}',
        b'{"code":0,"data":{"card_list":[[]],"total":"1"}}',
    ],
)
def test_an_optional_resource_in_another_form_is_a_warning(lab: Live, body: bytes) -> None:
    lab.server.at(CARD_PATH).bodies[1] = body
    results = {result.resource: result for result in lab.syncs()}
    assert results["cards"].error is not None
    assert results["cards"].exit_code == 0
    assert "cards" not in [r.resource for r in lab.syncs(minutes=120)], "tried again daily"


@pytest.mark.parametrize("fail", [Fail(403, 403), Fail(404, 404), Fail(200, 404)])
def test_instances_alone_are_never_optional(lab: Live, fail: Fail) -> None:
    lab.server.behaviour = Behaviour(fail={ANY: fail})
    assert exit_code(lab.syncs()) in (4, 5)


@pytest.mark.parametrize("fail", [Fail(404, 404), Fail(200, 404), Fail(410, 410)])
def test_a_path_that_is_not_there_while_instances_are_away_is_an_outage(
    lab: Live, fail: Fail
) -> None:
    """A gateway says 404 while what is behind it starts: that is no reason to wait a day."""
    lab.syncs()
    lab.server.behaviour = Behaviour(fail={ANY: fail})
    lab.server.at(BILL_PATH).fail[ANY] = fail
    results = {result.resource: result for result in lab.syncs(minutes=60)}
    assert results["bills"].exit_code == 5
    lab.server.behaviour = Behaviour()
    lab.server.at(BILL_PATH).fail.clear()
    assert "bills" in [result.resource for result in lab.syncs(minutes=60)]
