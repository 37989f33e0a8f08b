"""The main job over real HTTP, on good days and on bad ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etl import rebuild
from etl.dialect import Database, open_database
from etl.history.days import from_iso
from etl.poll import SKEW_S
from etl.simcloud import ANY, LEAK_MARK, T0, Behaviour, Fail, Story, serve
from tests.live import KEY, TABLES, Live, Living, command, environment, every_text, leaks, living
from tests.support import columns, rows

FIXTURE = Path(__file__).with_name("fixtures") / "instance_list.json"
PASSWORD = "generated_password_123"
INSTANCES = 25


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@pytest.fixture
def lab(live: Living) -> Live:
    """25 instances on three pages, synced once."""
    made = live(Story())
    made.cloud.rents_many(INSTANCES)
    made.cloud.passes(minutes=5)
    assert made.polls().exit_code == 0
    return made


# the source's own example


EXPECTED = {
    "instance_uuid": "inst_12345678-1234-1234-1234-123456789012",
    "status": 2,
    "title": "我的PyTorch实例",
    "create_time": "2023-12-21T08:00:00Z",
    "start_time": "2023-12-21T08:01:00Z",
    "charging_type": 1,
    "shutdown_time": "2023-12-22T08:00:00Z",
    "shutdown_enabled": 1,
    "save_image_status": 2,
    "image_uuid": "img_87654321-4321-4321-4321-210987654321",
    "image_name": "PyTorch 2.0 环境",
    "image_tag": "v2.0",
    "gpu_uuid": "gpu_87654321-4321-4321-4321-210987654321",
    "gpu_name": "NVIDIA RTX 4090",
    "gpu_nums": 1,
    "server_url": ["https://jupyter-inst123.chenyu.cn", "https://ssh-inst123.chenyu.cn"],
    "server_map": [
        {
            "port_type": "http",
            "protocol": "tcp",
            "title": "Jupyter Lab",
            "url": "https://jupyter-inst123.chenyu.cn",
        },
        {
            "port_type": "ssh",
            "protocol": "tcp",
            "ssh_info": {
                "host": "inst12345678123412341234123456789012.gzxx.chenyu.cn",
                "port": 22001,
                "username": "root",
                "password": "***",
            },
            "title": "SSH Terminal",
            "url": "ssh://ssh-inst123.chenyu.cn:22",
        },
    ],
    "extra": None,
    "version": 1,
    "last_seen_at": None,
    "missing_since": None,
    "gone_at": None,
}


def test_the_command_lands_every_field_of_the_sources_example_but_its_password(
    fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    url, archive = fresh_url(), tmp_path / "polls"
    behaviour = Behaviour(bodies={1: FIXTURE.read_bytes()})
    with serve(Story().fleet, key=KEY, behaviour=behaviour) as server:
        environ = environment(server.base_url, url, tmp_path, CHENYU_ARCHIVE=str(archive))
        said = command(environ, "--debug", "sync", "--json")
        behaviour.bodies[1] = FIXTURE.read_bytes().replace(b'"total": 1', b'"total": 2')
        partly = command(environ, "--debug", "sync")
        server.behaviour = Behaviour(fail={1: Fail(200, 401, f"no {PASSWORD[:3]}")})
        failed = command(environ, "--debug", "sync")
        sent = list(server.requests)
    assert [said.returncode, partly.returncode, failed.returncode] == [0, 3, 4], said.stderr
    assert json.loads(said.stdout)[0]["added"] == 1
    database = open_database(url)
    found = columns(database, "SELECT * FROM instance")[0]
    for name in ("server_url", "server_map"):
        found[name] = json.loads(found[name])
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    version = columns(database, "SELECT * FROM instance_history")[0]
    assert version["server_map"] == columns(database, "SELECT * FROM instance")[0]["server_map"]
    texts = [every_text(database), *(said.stdout + said.stderr, partly.stderr, failed.stderr)]
    database.engine.dispose()
    assert leaks(tmp_path, *texts, secrets=(PASSWORD, KEY)) == []
    assert {request.method for request in sent} == {"GET"}
    assert all(request.with_key for request in sent)


# bad days


def halves(cloud: Story, *, total: int) -> Behaviour:
    """A list half as long as it should be, on one page after the other."""
    records = cloud.records()[: INSTANCES // 2]
    pages = [records[at : at + 10] for at in range(0, len(records), 10)]
    return Behaviour(bodies={n: body_of(page, total) for n, page in enumerate(pages, 1)})


def body_of(records: list[Any], total: int | None = None, *, ascii_only: bool = False) -> bytes:
    listing = {"instance_list": records, "total": len(records) if total is None else total}
    text = json.dumps({"code": 0, "msg": "success", "data": listing}, ensure_ascii=ascii_only)
    return text.encode("utf-8", "surrogatepass")


BAD_DAYS: dict[str, tuple[Callable[[Story], Behaviour], str, int, str]] = {
    "a code in the middle": (
        lambda _: Behaviour(fail={2: Fail(200, 5001, "system busy")}),
        "partial", 3, "page 2: .*code 5001: system busy",
    ),
    "a code at the end, as text": (
        lambda _: Behaviour(fail={3: Fail(200, "5001", "busy")}),
        "partial", 3, "page 3: .*code 5001: busy",
    ),
    "a code at once": (
        lambda _: Behaviour(fail={1: Fail(200, 5001, "system busy")}),
        "failed", 5, "code 5001",
    ),
    "a truncated body in the middle": (
        lambda _: Behaviour(truncate={2: None}), "partial", 3, "page 2: .*broke",
    ),
    "truncated bodies": (lambda _: Behaviour(truncate={ANY: None}), "failed", 5, "broke"),
    "a reset in the middle": (
        lambda _: Behaviour(reset={3: None}), "partial", 3, "page 3: .*broke",
    ),
    "resets": (lambda _: Behaviour(reset={ANY: None}), "failed", 5, "broke"),
    "a stall in the middle": (
        lambda _: Behaviour(stall={2: 30}), "partial", 3, "page 2: .*no answer in time",
    ),
    "stalls": (lambda _: Behaviour(stall={ANY: 30}), "failed", 5, "no answer in time"),
    "a 429 storm": (
        lambda _: Behaviour(fail={ANY: Fail(429, 429, "slow down")}, retry_after="7"),
        "failed", 5, "HTTP 429.*slow down",
    ),
    "a 429 storm that begins in the middle": (
        lambda _: Behaviour(fail={2: Fail(200, 429, "slow"), 3: Fail(429, 429, "slow")}),
        "partial", 3, "page [23]: .*429",
    ),
    "a wrong key": (
        lambda _: Behaviour(fail={ANY: Fail(401, 401, "API key invalid")}),
        "failed", 4, "401",
    ),
    "a key that is refused in the middle": (
        lambda _: Behaviour(fail={2: Fail(200, 403, "no")}), "failed", 4, "403",
    ),
    "no JSON": (lambda _: Behaviour(bodies={1: b"<html>"}), "failed", 5, "not JSON"),
    "no list": (
        lambda _: Behaviour(bodies={2: b'{"code":0,"data":{}}'}),
        "partial", 3, "page 2: the answer has no instance_list",
    ),
    "a list half as long, of the old total": (
        lambda cloud: halves(cloud, total=INSTANCES), "partial", 3, "total is 25",
    ),
    "a page that comes again": (
        lambda _: Behaviour(repeat_page=1), "partial", 3, "pages 1 and 2 are the same|10 distinct",
    ),
}  # fmt: skip


@pytest.mark.parametrize("day", BAD_DAYS)
def test_a_bad_day_retires_nothing_says_why_and_is_made_good_by_the_next_poll(
    live: Living, day: str
) -> None:
    lab = live(Story())
    lab.cloud.rents_many(INSTANCES)
    lab.polls(minutes=5)
    before = lab.everything("sync_run")
    behaviour, outcome, code, why = BAD_DAYS[day]
    if "stall" in day:  # of the other answers none may be as slow, however busy the machine is
        lab.waits(1.0)
    for _ in range(3):
        result = lab.polls_badly(behaviour(lab.cloud))
        assert (lab.run()["outcome"], result.exit_code) == (outcome, code)
        assert re.search(why, lab.run()["error"]), lab.run()["error"]
        assert (lab.missing(), lab.gone()) == ([], [])
    lab.waits(60)
    assert lab.everything("sync_run") == before
    lab.cloud.renames("inst_00000000-0000-4000-8000-000000000007", "new")
    lab.cloud.destroys("inst_00000000-0000-4000-8000-000000000009")
    assert lab.polls(minutes=5).exit_code == 0
    assert (lab.run()["listed"], lab.run()["changed"]) == (INSTANCES - 1, 1)
    assert lab.missing() == ["inst_00000000-0000-4000-8000-000000000009"]
    lab.polls(minutes=5)
    assert lab.gone() == ["inst_00000000-0000-4000-8000-000000000009"]
    assert list(rebuild.differences(lab.database)) == []
    assert {request.method for request in lab.server.requests} == {"GET"}


def test_what_a_partial_poll_saw_is_written(lab: Live) -> None:
    lab.cloud.renames("inst_00000000-0000-4000-8000-000000000025", "on page one")
    lab.cloud.renames("inst_00000000-0000-4000-8000-000000000001", "on page three")
    order = [record["instance_uuid"] for record in lab.cloud.records()]
    first = order.index("inst_00000000-0000-4000-8000-000000000025") // 10 + 1
    last = order.index("inst_00000000-0000-4000-8000-000000000001") // 10 + 1
    lab.polls_badly(Behaviour(fail={last: Fail()}))
    assert first != last
    assert titles(lab) == {"train", "on page one"}
    lab.polls(minutes=5)
    assert titles(lab) == {"train", "on page one", "on page three"}


def titles(lab: Live) -> set[str]:
    return {row[0] for row in rows(lab.database, "SELECT DISTINCT title FROM instance")}


def test_a_fault_that_passes_is_retried_and_counted(live: Living) -> None:
    lab = live(Story(), attempts=2)
    lab.cloud.rents_many(INSTANCES)
    result = lab.polls_badly(Behaviour(reset={2: 1}, fail={3: Fail(429, 429, "slow", times=1)}))
    assert result.exit_code == 0
    run = lab.run()
    assert (run["retries"], run["requests"], run["walks"], run["error"]) == (2, 5, 1, None)


@pytest.mark.parametrize("short", ["empty", "null", "half"])
def test_one_consistent_short_list_is_whole_but_retires_nothing(lab: Live, short: str) -> None:
    before = lab.everything("sync_run")
    behaviour = {
        "empty": Behaviour(bodies={1: body_of([])}),
        "null": Behaviour(bodies={1: b'{"code":0,"data":{"instance_list":null,"total":0}}'}),
        "half": halves(lab.cloud, total=INSTANCES // 2),
    }[short]
    listed = INSTANCES // 2 if short == "half" else 0
    assert lab.polls_badly(behaviour).exit_code == 0
    assert (lab.run()["listed"], lab.run()["gone"]) == (listed, 0)
    assert (len(lab.missing()), lab.gone()) == (INSTANCES - listed, [])
    assert lab.polls(minutes=5).exit_code == 0
    assert lab.everything("sync_run") == before
    for _ in range(2):
        lab.polls_badly(behaviour)
        lab.polls(minutes=5)
    assert lab.everything("sync_run") == before, "two short lists that are not in a row"


# one row


def forbid_writes(database: Database) -> None:
    """From now on the database refuses to touch a row of any table but `sync_run`."""
    postgres = database.engine.dialect.name == "postgresql"
    with database.writing() as conn:
        if postgres:
            conn.exec_driver_sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE USING MESSAGE = 'touched: ' || TG_TABLE_NAME; END $$"
            )
        for table in sorted(set(TABLES) - {"sync_run"}):
            for event in ("INSERT", "UPDATE", "DELETE"):
                does = (
                    "FOR EACH ROW EXECUTE FUNCTION refuse()"
                    if postgres
                    else f"BEGIN SELECT RAISE(ABORT, 'a row of {table} is touched'); END"
                )
                conn.exec_driver_sql(
                    f"CREATE TRIGGER no_{event}_{table} BEFORE {event} ON {table} {does}"
                )


def test_a_poll_that_changes_nothing_writes_its_own_row_and_nothing_else(lab: Live) -> None:
    before, runs = lab.everything("sync_run"), lab.count("sync_run")
    forbid_writes(lab.database)
    for more in (1, 2, 3):
        assert lab.polls(minutes=5).exit_code == 0
        assert lab.everything("sync_run") == before
        assert lab.count("sync_run") == runs + more


def test_new_passwords_alone_are_no_change_and_touch_nothing(lab: Live) -> None:
    before = lab.everything("sync_run")
    forbid_writes(lab.database)
    text = json.dumps(lab.cloud.records()).replace(LEAK_MARK, LEAK_MARK + "new-")
    result = lab.polls_badly(Behaviour(bodies={1: body_of(json.loads(text))}))
    assert (result.exit_code, lab.run()["outcome"]) == (0, "complete")
    assert lab.everything("sync_run") == before


# secrets


def test_no_secret_is_in_a_file_an_archive_a_log_or_an_output(
    fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    url, archive = fresh_url(), tmp_path / "polls"
    cloud = Story()
    cloud.rents_many(12)
    broken = cloud.rents()
    cloud.breaks_record(broken)
    cloud.twists(cloud.rents(), note={"api_key": f"{LEAK_MARK}1", "at": f"http://u:{KEY}@h/?t=1"})
    msg = f"your key {KEY} is not known at https://u:{LEAK_MARK}2@h/?token={LEAK_MARK}3"
    texts = []
    with serve(cloud.fleet, key=KEY) as server:
        environ = environment(
            server.base_url, url, tmp_path, CHENYU_ARCHIVE=str(archive), CHENYU_PAGE_SIZE="5"
        )
        for behaviour in (
            Behaviour(),
            Behaviour(fail={2: Fail(200, 5001, msg)}),
            Behaviour(fail={1: Fail(401, 401, msg)}),
            Behaviour(redirect=f"http://localhost:1/x?key={KEY}"),
        ):
            server.behaviour = behaviour
            said = command(environ, "--debug", "sync", "--json")
            texts.append(said.stdout + said.stderr)
        for words in (["status", "--json"], ["report", "now"], ["report", "events"]):
            said = command(environ, "--debug", *words)
            assert said.returncode == 0, said.stderr
            texts.append(said.stdout + said.stderr)
    database = open_database(url)
    outcomes = rows(database, "SELECT outcome FROM sync_run ORDER BY sync_run_id")
    assert outcomes == [("complete",), ("partial",), ("failed",), ("failed",)]
    assert rows(database, "SELECT count(*) FROM rejected_record") == [(1,)]
    held = every_text(database)
    database.engine.dispose()
    assert list(archive.glob("*.gz"))
    assert leaks(tmp_path, held, *texts) == []


# the clock


@pytest.mark.parametrize("off_s", [50.0, -50.0, 0.0])
def test_instants_are_on_the_sources_clock(live: Living, off_s: float) -> None:
    """Its first poll takes the local clock's word too, so that they are wider by their difference."""
    lab = live(Story())
    lab.off_s = off_s
    lab.cloud.rents()
    lab.cloud.passes(minutes=5)
    lab.polls()
    run = lab.run()
    starts, ends = from_iso(run["started_at"]), from_iso(run["finished_at"])
    wider_s = lab.cloud.now - SKEW_S - starts, ends - lab.cloud.now - SKEW_S
    assert wider_s == pytest.approx((max(0, -off_s), max(0, off_s)), abs=1)
    assert float(run["clock_offset_s"]) == pytest.approx(0.5 - off_s)
    assert run["error"] is None


def test_the_local_clock_is_taken_if_the_source_has_none(live: Living) -> None:
    lab = live(Story())
    lab.off_s = -600
    lab.cloud.rents()
    lab.polls_badly(Behaviour(no_date=True), minutes=10)
    run = lab.run()
    assert from_iso(run["started_at"]) == T0 - SKEW_S
    assert (run["clock_offset_s"], run["outcome"], run["error"]) == (None, "complete", None)


def test_a_poll_whose_slow_answers_blur_the_clock_is_after_the_one_before(lab: Live) -> None:
    """They are dated when they were asked for, or 8 s later: by them it may be older."""
    before, polls = lab.run()["started_at"], []

    def answers(page: int) -> None:
        polls.extend([page] * (page == 1))
        slow_s = 8 if len(polls) == 1 else 0
        lab.cloud.passes(seconds=slow_s)
        lab.behaviour.clock_off_s = -slow_s

    assert lab.polls_badly(Behaviour(before_page=answers), minutes=0).exit_code == 0
    assert len(polls) == 1
    assert lab.run()["started_at"] > before


def test_two_syncs_within_a_second_do_not_share_it(lab: Live) -> None:
    assert [lab.polls().exit_code for _ in range(3)] == [0, 0, 0]
    starts = [row[0] for row in rows(lab.database, "SELECT started_at FROM sync_run")]
    assert len(set(starts)) == len(starts) == 4
