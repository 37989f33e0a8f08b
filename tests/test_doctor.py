"""Doctor: what is wrong and what to do about it; it writes nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from etl.dialect import Database
from etl.simcloud import ANY, Fail, Server, Story
from etl.tables.alerts import alert
from tests.commands import KEY, Command, cloud, filled, home, path, run, server
from tests.conftest import made_on
from tests.support import apply, poll_of, poll_story, rows

__all__ = ["cloud", "filled", "home", "path", "run", "server"]

Examine = Callable[..., list[dict[str, str]]]


@pytest.fixture
def examine(run: Command, path: Path) -> Examine:
    """Run doctor on the database; its findings, the exit code checked against them."""

    def findings(**environ: str) -> list[dict[str, str]]:
        result = run("--database", str(path), "doctor", "--json", **environ)
        found = json.loads(result.stdout)
        assert result.exit_code == any(finding["verdict"] == "bad" for finding in found)
        return list(found)

    return findings


def of(findings: list[dict[str, str]], verdict: str) -> list[str]:
    return [f"{f['what']}; {f['advice']}" for f in findings if f["verdict"] == verdict]


def test_all_is_well(server: Server, examine: Examine, path: Path) -> None:
    found = examine()
    assert {finding["verdict"] for finding in found} == {"ok"}
    said = "\n".join(of(found, "ok"))
    assert "default: /instance/list answers, total 2" in said
    assert "clock agrees" in said
    assert f"database {path} (SQLite 3." in said
    assert "days of Asia/Shanghai" in said
    assert [request.method for request in server.requests] == ["GET"]


def test_people_read_lines(server: Server, run: Command, path: Path) -> None:
    server.behaviour.fail[ANY] = Fail(403, 403, "no permission")
    result = run("--database", str(path), "doctor")
    assert result.exit_code == 1
    assert "bad   default: GET /instance/list: HTTP 403" in result.stderr
    assert "      the key has no permission" in result.stderr


@pytest.mark.parametrize(
    ("environ", "what", "advice"),
    [
        ({"CHENYU_API_KEY": "cy_wrong"}, "HTTP 401", "console of chenyu.cn"),
        ({"CHENYU_API_KEY": ""}, "no API key", "console of chenyu.cn"),
        ({"CHENYU_API_KEY": "cy wrong"}, "characters that no key has", "console of chenyu.cn"),
        ({"CHENYU_BASE_URL": "http://127.0.0.1:9"}, "no connection", "may pass"),
        ({"CHENYU_TIMEZONE": "UTC"}, "days in Asia/Shanghai", "rebuild --timezone UTC"),
    ],
)
def test_what_is_wrong_is_said_with_advice(
    environ: dict[str, str], what: str, advice: str, server: Server, examine: Examine
) -> None:
    found = examine(**environ)
    (bad,) = of(found, "bad")
    assert what in bad
    assert advice in bad
    assert any("database" in good for good in of(found, "ok"))


def test_a_list_of_another_form_is_said(server: Server, examine: Examine) -> None:
    server.behaviour.bodies[1] = b'{"code":0,"data":{"things":[]}}'
    (bad,) = of(examine(), "bad")
    assert "no instance_list" in bad


@pytest.mark.parametrize(("off_s", "word"), [(600, "behind"), (-600, "ahead of")])
def test_a_clock_that_is_off_is_noted(
    off_s: int, word: str, server: Server, examine: Examine
) -> None:
    server.behaviour.clock_off_s = off_s
    (note,) = of(examine(), "note")
    assert word in note
    assert "NTP" in note


def test_unknown_codes_and_rejects_are_noted(
    server: Server, examine: Examine, filled: Database
) -> None:
    cloud = Story()
    odd, broken = cloud.rents_many(2)
    cloud.twists(odd, status=77)
    cloud.breaks_record(broken)
    apply(filled, poll_story(cloud))
    code, reject = of(examine(), "note")
    assert "status 77 is not known" in code
    assert "codes set status 77 MEANING" in code
    assert "$.gpu_nums" in reject
    assert "rejected_record" in reject


def test_one_key_under_two_names_is_said(
    server: Server, examine: Examine, run: Command, filled: Database, path: Path
) -> None:
    cloud = Story()
    cloud.rents_many(3)
    for account in ("a", "b"):
        apply(filled, replace(poll_story(cloud), account=account))
    apply(filled, replace(poll_story(Story()), account="c"))
    said = "accounts a and b list the same 3 instances: everything of them is counted twice"
    assert said in "\n".join(of(examine(), "bad"))
    assert said in run("--database", str(path), "status").stdout
    (doubled,) = json.loads(run("--database", str(path), "status", "--json").stdout)["doubled"]
    assert (doubled["accounts"], doubled["instances"]) == (["a", "b"], 3)


def test_a_last_poll_that_failed_is_bad(server: Server, examine: Examine, run: Command) -> None:
    server.behaviour.fail[ANY] = Fail(500, 500, "system busy", times=1)
    assert run("--database", "lab.db", "sync", CHENYU_ATTEMPTS="1").exit_code == 5
    (bad,) = of(examine(), "bad")
    assert "last poll failed" in bad
    assert "system busy" in bad


def polled(filled: Database, *ages_s: int, offset_s: float = 0.0) -> None:
    """Complete polls of the default account so long ago, the newest by a clock that is off."""
    body = b'{"code":0,"data":{"instance_list":[],"total":0}}'
    for age_s in ages_s:
        poll = poll_of([body], int(time.time()) - age_s, account="default")
        is_last = age_s == ages_s[-1]
        apply(filled, replace(poll, clock_offset_s=offset_s if is_last else 0.0))
    filled.engine.dispose()


def test_a_poll_in_the_future_is_bad_and_the_cure_is_named(
    server: Server, examine: Examine, run: Command, path: Path, filled: Database
) -> None:
    """Its own reading of the clocks would make it look fresh, so the ones before count."""
    polled(filled, 400, 200, -90_000, offset_s=90_100.0)
    (found,) = (f for f in examine() if f["verdict"] == "bad")
    assert "default instances: the newest poll lies in the future" in found["what"]
    assert "chenyu-etl db repair-clock" in found["advice"]
    command = ("--database", str(path), "db", "repair-clock")
    assert run("--database", str(path), "status", "--max-age", "1h").exit_code == 1
    assert "default instances: the poll of" in run(*command, "--dry-run").stdout
    assert run(*command, stdin="n\n").exit_code == 1
    assert len([f for f in examine() if f["verdict"] == "bad"]) == 1
    assert run(*command, "--yes").exit_code == 0
    assert [f for f in examine() if f["verdict"] == "bad"] == []
    assert "nothing to repair" in run(*command).stderr


@pytest.mark.parametrize(("ages_s", "is_bad"), [((300, 200), False), ((9_120, 9_000), True)])
def test_an_account_that_is_not_polled_any_more_is_bad(
    ages_s: tuple[int, ...],
    is_bad: bool,
    server: Server,
    examine: Examine,
    filled: Database,
) -> None:
    polled(filled, *ages_s)
    bad = of(examine(), "bad")
    assert ["default: the newest complete poll is 2.5 h old" in why for why in bad] == [
        True
    ] * is_bad


def test_an_account_that_left_the_settings_is_said_until_it_is_retired(
    server: Server, examine: Examine, run: Command, path: Path, filled: Database
) -> None:
    """Another daemon may watch it, so that its alerts cannot be closed: what to do is said."""
    polled(filled, 300, 200)
    apply(filled, poll_story(Story()))
    with filled.writing() as conn:
        words = {
            "zh": "x",
            "en": "x",
            "severity": "urgent",
            "deliveries": "{}",
            "rule": "sync_stale",
        }
        row = {"key": "sync_stale:lab", "account": "lab", "first_at": 1_790_000_000, **words}
        conn.execute(alert.insert().values(row))
    filled.engine.dispose()
    (said,) = [why for why in of(examine(), "note") if "lab" in why]
    assert "the settings do not name it and nobody polls it; 1 alerts about it stay open" in said
    assert "chenyu-etl account retire lab" in said
    assert run("--database", str(path), "account", "retire", "lab").exit_code == 0
    assert [why for why in of(examine(), "note") if "lab" in why] == []
    assert rows(filled, "SELECT COUNT(*) FROM alert WHERE cleared_at IS NULL") == [(0,)]


def test_polls_by_cron_are_as_old_as_cron_makes_them(
    server: Server, examine: Examine, filled: Database
) -> None:
    polled(filled, 11_000, 7_200)
    assert of(examine(), "bad") == []


def test_a_database_that_is_not_there_yet_is_noted_and_not_made(
    server: Server, run: Command, home: Path
) -> None:
    result = run("--database", "none.db", "doctor")
    assert result.exit_code == 0
    assert f"no database yet at {home / 'none.db'}" in result.stderr
    assert not (home / "none.db").exists()


def test_a_second_default_database_is_noted(
    server: Server, examine: Examine, run: Command, home: Path
) -> None:
    run("db", "upgrade")
    (note,) = of(examine(), "note")
    assert str(home / "data/chenyu-etl/chenyu-etl.db") in note
    service = of(examine(STATE_DIRECTORY=str(home / "state")), "note")
    assert service == [note]


def test_a_key_file_that_others_can_read_is_noted(
    server: Server, examine: Examine, home: Path
) -> None:
    key = home / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    environ = {"CHENYU_API_KEY": "", "CHENYU_API_KEY_FILE": str(key)}
    (note,) = of(examine(**environ), "note")
    assert f"chmod 600 {key}" in note
    key.chmod(0o600)
    assert of(examine(**environ), "note") == []


def test_an_archive_is_looked_for(server: Server, examine: Examine, home: Path) -> None:
    (note,) = of(examine(CHENYU_ARCHIVE="kept"), "note")
    assert "kept (not made yet)" in note
    (home / "kept").mkdir()
    assert "polls are archived in kept; None" in of(examine(CHENYU_ARCHIVE="kept"), "ok")


def test_only_the_account_chosen_is_asked(
    server: Server, examine: Examine, cloud: Story, home: Path
) -> None:
    (home / "c.toml").write_text("[accounts.a]\napi_key_env = 'A'\n[accounts.b]\napi_key_env = 'B'")
    environ = {"CHENYU_CONFIG": "c.toml", "CHENYU_API_KEY": "", "A": KEY, "B": "cy_wrong"}
    assert len(of(examine(**environ), "bad")) == 1
    assert of(examine(**environ, CHENYU_ACCOUNT="a"), "bad") == []


def test_a_database_that_nobody_synced_to_is_not_bad(
    server: Server, run: Command, fresh_url: Callable[[], str], kind: str, tmp_path: Path
) -> None:
    url = str(tmp_path / "empty.db")
    if kind == "sqlite":
        Path(url).touch()
    else:
        url = fresh_url()
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("DROP SCHEMA public CASCADE")
            conn.execute("CREATE SCHEMA public")
    result = run("doctor", "--json", CHENYU_DATABASE_URL=url)
    assert result.exit_code == 0, result.stdout
    (note,) = of(json.loads(result.stdout), "note")
    assert "no database yet" in note
    assert "chenyu-etl sync" in note


def test_a_server_on_which_a_sync_may_make_nothing_is_bad(
    server: Server, run: Command, postgres_url: str
) -> None:
    with made_on(postgres_url, "template0") as make:
        url = make()
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(
            postgres_url.replace("+psycopg", "").replace("/postgres?", f"/{name}?"), autocommit=True
        ) as conn:
            conn.execute("DROP SCHEMA public CASCADE")
            conn.execute("CREATE SCHEMA public")  # the owner of the database has no right to it
            conn.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        result = run("doctor", "--json", CHENYU_DATABASE_URL=url)
        lost = run("doctor", "--json", CHENYU_DATABASE_URL=f"{url}&options=-csearch_path%3Dnone")
    assert result.exit_code == lost.exit_code == 1
    (finding,) = of(json.loads(result.stdout), "bad")
    assert "GRANT USAGE, CREATE ON SCHEMA public TO" in finding
    assert "as user" not in finding
    assert "chenyu-etl sync" not in result.stdout + lost.stdout
    assert "CREATE SCHEMA" in lost.stdout


def test_a_file_that_a_sync_could_not_make_is_bad(
    server: Server, run: Command, tmp_path: Path
) -> None:
    result = run("doctor", "--json", CHENYU_DATABASE_URL=str(tmp_path / "none" / "x.db"))
    assert result.exit_code == 1
    (finding,) = of(json.loads(result.stdout), "bad")
    assert "make its folder" in finding
    assert "chenyu-etl sync" not in result.stdout
    assert not (tmp_path / "none").exists()


def test_what_a_sync_may_not_do_is_tried_and_said(
    server: Server, examine: Examine, path: Path
) -> None:
    path.with_name(f"{path.name}.default.lock").mkdir()
    path.with_name("polls").touch()
    before = sorted(path.parent.iterdir())
    lock, polls = of(examine(CHENYU_ARCHIVE=str(path.with_name("polls"))), "bad")
    assert f"{path.name}.default.lock cannot be locked" in lock
    assert "as user " in lock
    assert "polls cannot be read or written" in polls
    assert sorted(path.parent.iterdir()) == before


def test_a_sync_at_work_is_no_fault(server: Server, examine: Examine, filled: Database) -> None:
    with filled.account_lock("default"):
        (note,) = of(examine(), "note")
    assert "another sync of account 'default' is at work" in note


def test_what_other_rules_derived_is_told_and_an_upgrade_makes_it_anew(
    run: Command, examine: Examine, path: Path, server: Server
) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE setting SET value = 'older' WHERE name = 'derived'")
    assert "derived by another version" in of(examine(), "bad")[0]
    run("--database", str(path), "db", "upgrade")
    assert of(examine(), "bad") == []


def test_a_damaged_page_that_no_poll_reads_is_found(
    filled: Database, examine: Examine, path: Path
) -> None:
    """Days are only ever written by polls: reports would fail, and every backup be refused."""
    filled.engine.dispose()
    with closing(sqlite3.connect(path)) as conn:
        asked = "SELECT rootpage FROM sqlite_master WHERE name = 'bill_day'"
        (page,) = conn.execute(asked).fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"U" * size
    path.write_bytes(content)
    found = next(what for what in of(examine(), "bad") if f"{path} is damaged: " in what)
    assert "restore a backup" in found
    assert "chenyu-etl replay" in found
