"""Accounts by name: which are watched, renamed, retired, taken back."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etl import store
from etl.errors import SettingsError
from etl.replay import replay
from etl.reports import load_report
from etl.reports import run as run_report
from etl.settings import Account
from etl.settings.accounts import watched
from etl.simcloud import Server, Story, serve
from etl.store import writing
from etl.units import DAY_S
from tests.commands import KEY, Command, cloud, home, path, run, server
from tests.conftest import FreshDatabase
from tests.support import apply, poll_story, rows

__all__ = ["cloud", "home", "path", "run", "server"]

NOW = 1_780_000_000


def test_the_accounts_of_the_settings_are_watched() -> None:
    lab = Account("lab", key_env="LAB_KEY")
    assert watched([lab], ["lab", "old"], []) == ["lab"]
    bare = Account("default", key_env="CHENYU_API_KEY")
    assert watched([bare], ["default", "old"], []) == ["default"]
    assert watched([bare], ["a", "b", "gone"], ["gone"]) == ["a", "b"], "it only looks"


def test_a_renamed_account_keeps_its_number_and_what_names_it(
    fresh_database: FreshDatabase,
) -> None:
    database = fresh_database()
    for name in ("old", "other"):
        with store.Store(database, name).writing():
            pass
    with store.writing(database) as known:
        known.registry.rename("old", "new", NOW)
        assert [a.name for a in known.registry.known()] == ["new", "other"]
        with pytest.raises(SettingsError, match="there is an account 'other' already"):
            known.registry.rename("new", "other", NOW)
        with pytest.raises(SettingsError, match="nothing was synced of an account 'old'"):
            known.registry.retire("old", NOW)
    assert rows(database, "SELECT account_id, name FROM account ORDER BY 1")[0][1] == "new"


def test_a_retired_account_is_marked_and_taken_back(fresh_database: FreshDatabase) -> None:
    database = fresh_database()
    with store.Store(database, "old").writing():
        pass
    with store.writing(database) as known:
        known.registry.retire("old", NOW)
        known.registry.retire("old", NOW + 5)
        assert known.registry.known()[0].retired_at == NOW, "it is retired since the first time"
        known.registry.take_back("old")
        assert known.registry.known()[0].retired_at is None


def test_a_renamed_account_goes_on_and_is_not_counted_twice(
    run: Command, path: Path, server: Server
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path)}
    assert run("sync", "--account", "old", **environ).exit_code == 0
    done = run("account", "rename", "old", "new", **environ)
    assert done.exit_code == 0, done.output
    assert run("sync", "--account", "new", **environ).exit_code == 0
    listed = json.loads(run("account", "list", "--json", **environ).stdout)
    assert [(a["name"], a["watched"], a["instances"]) for a in listed] == [("new", True, 2)]
    assert "twice" not in run("status", **environ).output


def listed(run: Command, **environ: str) -> list[tuple[str, int]]:
    """The accounts of the database, and how many instances each has."""
    known = json.loads(run("account", "list", "--json", **environ).stdout)
    return [(a["name"], a["instances"]) for a in known]


def test_an_account_that_is_renamed_in_the_settings_alone_goes_on(
    run: Command, path: Path, home: Path, server: Server, fresh_database: FreshDatabase
) -> None:
    """And back again; a replay of its archive knows it under every name."""
    environ = {"CHENYU_DATABASE_URL": str(path), "CHENYU_ARCHIVE": str(home / "archive")}
    assert run("sync", "--account", "old", **environ).exit_code == 0
    # a first attempt under the new name failed: its row stays, and nothing else
    assert run("sync", "--account", "new", CHENYU_API_KEY="cy_wrong", **environ).exit_code == 4
    for old, new in (("old", "new"), ("new", "newer"), ("newer", "old")):
        done = run("sync", "--account", new, **environ)
        assert (done.exit_code, f"account {old} goes on as {new}" in done.output) == (0, True)
        assert listed(run, **environ) == [(new, 2)]
    assert "twice" not in run("status", **environ).output
    assert [row[0] for row in query(path, "SELECT outcome FROM sync_run ORDER BY sync_run_id")] == [
        "complete",
        "failed",
    ] + ["complete"] * 3
    again = fresh_database()
    files = sorted(map(str, (home / "archive").glob("*.jsonl.gz")))
    assert len(files) == 3
    assert replay(again, files).applied == 4
    assert rows(again, "SELECT name FROM account") == [("old",)]
    for table in ("instance_history", "instance_usage"):
        kept = query(path, f"SELECT COUNT(*) FROM {table}")
        assert rows(again, f"SELECT COUNT(*) FROM {table}") == kept


def test_accounts_that_the_settings_name_both_stay_two(
    run: Command, path: Path, home: Path, server: Server
) -> None:
    config = home / "c.toml"
    key = 'api_key_env = "CHENYU_API_KEY"'
    config.write_text(f"[accounts.a]\n{key}\n[accounts.b]\n{key}\n")
    environ = {"CHENYU_DATABASE_URL": str(path), "CHENYU_CONFIG": str(config)}
    for name in ("a", "b"):
        assert run("sync", "--account", name, **environ).exit_code == 0
    assert listed(run, **environ) == [("a", 2), ("b", 2)]


def test_an_account_of_other_instances_stays_another(
    run: Command, path: Path, server: Server, cloud: Story
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path)}
    assert run("sync", "--account", "a", **environ).exit_code == 0
    another = Story(int(time.time()) - 60)
    another.rents(uuid="elsewhere")
    with serve(another.fleet, key=KEY) as other:
        environ["CHENYU_BASE_URL"] = other.base_url
        assert run("sync", "--account", "b", **environ).exit_code == 0
    assert listed(run, **environ) == [("a", 2), ("b", 1)]


def test_names_that_take_turns_are_refused(fresh_database: FreshDatabase) -> None:
    """Two programs poll one account, each under a name of its own."""
    database, cloud = fresh_database(), Story()
    cloud.rents_many(3)
    cloud.passes(minutes=5)
    apply(database, poll_story(cloud))
    names, uuids = ["lab", "x"], [life.instance_uuid for life in cloud.fleet.lives]
    with store.writing(database) as known:
        found = known.registry.same_account(lambda: set(uuids), ["x"])
        assert found == "lab"
        assert known.registry.same_account(lambda: set(uuids[:1]), ["x"]) is None, "a few of them"
        assert known.registry.same_account(lambda: set(uuids), ["x", "lab"]) is None
        for turn in range(3):
            known.registry.continue_as(names[turn % 2], names[1 - turn % 2], NOW + turn)
        with pytest.raises(SettingsError, match="polled under both names"):
            known.registry.continue_as("x", "lab", NOW + 60)
        known.registry.continue_as("x", "lab", NOW + 2 * 3_600)
        assert known.registry.former_names("lab") == ("x",)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


def test_an_account_that_is_no_more_is_stale_until_it_is_retired(
    run: Command, path: Path, server: Server
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path)}
    assert run("sync", "--account", "old", **environ).exit_code == 0
    another = Story(int(time.time()) - 60)
    another.rents(uuid="elsewhere")
    with serve(another.fleet, key=KEY) as other:
        moved = {**environ, "CHENYU_BASE_URL": other.base_url}
        assert run("sync", "--account", "new", **moved).exit_code == 0
    run_sql(
        path,
        "UPDATE sync_run SET finished_at = '2026-01-01T00:00:01Z',"
        " started_at = '2026-01-01T00:00:00Z' WHERE account_id = 1",
    )
    stale = run("status", "--max-age", "1h", **environ)
    assert stale.exit_code == 1
    assert "not fresh: old: the newest complete poll is" in stale.stderr
    assert run("account", "retire", "old", **environ).exit_code == 0
    assert run("status", "--max-age", "1h", **environ).exit_code == 0
    assert "old: not watched, retired at" in run("account", "list", **environ).stdout
    assert "twice" not in run("status", **environ).output
    assert run("account", "retire", "old", "--undo", **environ).exit_code == 0
    assert run("status", "--max-age", "1h", **environ).exit_code == 1


def test_an_account_that_the_config_names_cannot_be_retired(
    run: Command, path: Path, home: Path, server: Server
) -> None:
    config = home / "c.toml"
    config.write_text('[accounts.lab]\napi_key_env = "CHENYU_API_KEY"\n')
    environ = {"CHENYU_DATABASE_URL": str(path), "CHENYU_CONFIG": str(config)}
    assert run("sync", "--account", "lab", **environ).exit_code == 0
    done = run("account", "retire", "lab", **environ)
    assert (done.exit_code, "take it out there first" in done.stderr) == (2, True)
    assert "next: rename it in the config" in run("account", "rename", "lab", "x", **environ).stderr


def test_health_is_never_green_with_a_poll_from_the_future_or_a_refused_key(
    run: Command, path: Path, server: Server
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path)}
    assert run("sync", **environ).exit_code == 0
    assert run("status", "--max-age", "1h", **environ).exit_code == 0
    assert run("sync", CHENYU_API_KEY="cy_wrong", **environ).exit_code == 4
    refused = run("status", "--max-age", "1h", **environ)
    assert (refused.exit_code, "refused" in refused.stderr) == (1, True)
    run_sql(path, "DELETE FROM sync_run WHERE outcome = 'failed'")
    run_sql(path, "UPDATE sync_run SET finished_at = '2199-01-01T00:00:00Z'")
    future = run("status", "--max-age", "1h", **environ)
    assert (future.exit_code, "in the future" in future.stderr) == (1, True)
    assert "which cannot be" in future.stdout


def run_sql(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(sql)
        conn.commit()


def test_a_metrics_file_has_what_the_database_knows_and_is_whole(
    run: Command, path: Path, server: Server, home: Path
) -> None:
    file = home / "chenyu.prom"
    environ = {"CHENYU_DATABASE_URL": str(path)}
    config = home / "two.toml"
    config.write_text(f'[accounts.default]\n[accounts.lab]\napi_key_file = "{home}/none"\n')
    words = ["--config", str(config), "sync", "--account", "default", "--resource", "instances"]
    environ["CHENYU_RESOURCES"] = "instances,bills"
    assert run(*words, "--metrics-file", str(file), **environ).exit_code == 0
    text = file.read_text(encoding="utf-8")
    for outcome, polls in (("complete", 1), ("failed", 0), ("partial", 0), ("skipped", 0)):
        labels = f'account="default",outcome="{outcome}",resource="instances"'
        assert f"chenyu_etl_polls_total{{{labels}}} {polls}.0" in text
    for resource in ("instances", "bills"):  # what was never polled is there, too
        labels = f'account="lab",outcome="complete",resource="{resource}"'
        assert f"chenyu_etl_polls_total{{{labels}}} 0.0" in text
    assert "chenyu_etl_last_complete_poll_timestamp_seconds{" in text
    assert 'chenyu_etl_cost_min_yuan{account="default",period="today"}' in text
    assert file.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in home.iterdir() if "prom" in p.name] == ["chenyu.prom"]
    missing = run("sync", "--metrics-file", str(home / "no" / "x.prom"), **environ)
    assert missing.exit_code == 2


def test_a_retired_account_costs_no_more_by_any_bound(fresh_database: FreshDatabase) -> None:
    """What ran when nobody looked any more may have run until then, and is not counted for ever."""
    database, cloud = fresh_database(), Story()
    cloud.rents()
    for _ in range(2):
        cloud.passes(minutes=5)
        apply(database, poll_story(cloud))
    retired_at = cloud.now + 600

    def most(days: int) -> float:
        period = {
            "from_day": "2026-01-01",
            "to_day": "2026-12-31",
            "now": retired_at + days * DAY_S,
        }
        names, found = run_report(database, load_report("uptime"), period)
        return sum(row[names.index("hours_max")] for row in found)

    assert most(2) > most(1)
    with writing(database) as tx:
        tx.registry.retire("lab", retired_at)
    assert most(30) == most(1) == most(0)
