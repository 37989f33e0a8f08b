"""Accounts by name: which are watched, renamed, retired, taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etl import store
from etl.errors import SettingsError
from etl.reports import load_report
from etl.reports import run as run_report
from etl.settings import Account
from etl.settings.accounts import watched
from etl.simcloud import Server, Story
from etl.store import writing
from etl.units import DAY_S
from tests.commands import Command, cloud, home, path, run, server
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


def test_an_account_that_is_no_more_is_stale_until_it_is_retired(
    run: Command, path: Path, server: Server
) -> None:
    environ = {"CHENYU_DATABASE_URL": str(path)}
    for name in ("old", "new"):
        assert run("sync", "--account", name, **environ).exit_code == 0
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
    import sqlite3
    from contextlib import closing

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
