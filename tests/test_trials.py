"""`--dry-run`, and ways back: what a change of the books would do, and how it is undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etl.books.closing import close
from etl.books.imports import Effect
from etl.books.price_files import import_prices
from etl.books.rule_files import export_rules, import_rules, restore_rules, rule_history
from etl.dialect import Database
from etl.errors import SettingsError
from etl.simcloud import Story
from etl.store.monthly import CostShare
from tests.commands import Command, home, path, run
from tests.priced import YUAN, lists
from tests.support import apply, poll_story, rows
from tests.test_price_files import written

__all__ = ["home", "path", "run"]

BOTH_MONTHS = 40
EVERYTHING = (
    "SELECT * FROM allocation_rule ORDER BY 1",
    "SELECT * FROM allocation ORDER BY 1, 2, 3",
    "SELECT * FROM budget ORDER BY 1, 2, 3",
    "SELECT * FROM price_override ORDER BY 1",
    "SELECT * FROM closed_month",
    "SELECT account, day, title, project, cost_microcny FROM cost_daily ORDER BY 1, 2, 3",
    "SELECT * FROM rule_version",
)


@pytest.fixture
def two_months(database: Database) -> Database:
    """Two machines at a yuan an hour, from the second of January in Shanghai into February."""
    cloud = Story()
    cloud.rents(title="train a")
    cloud.rents(title="eval")
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, YUAN))
    for _ in range(BOTH_MONTHS):
        cloud.passes(hours=24)
        apply(database, poll_story(cloud))
    return database


def state(database: Database) -> list[Any]:
    return [rows(database, sql) for sql in EVERYTHING]


def by_share(effects: Any) -> dict[tuple[str, str | None], tuple[float, float]]:
    """(month, project) -> yuan before and after."""
    return {
        (e.share.month, e.share.project): (e.before_microcny / YUAN, e.after_microcny / YUAN)
        for e in effects
    }


def hours(database: Database) -> dict[str, float]:
    found = rows(
        database,
        "SELECT c.month, SUM(d.cost_microcny) FROM cost_daily d"
        " JOIN calendar_day c ON c.day = d.day GROUP BY c.month",
    )
    return {month: int(cost) / YUAN for month, cost in found}


def test_a_trial_of_rules_shows_who_would_pay_and_changes_nothing(
    two_months: Database, tmp_path: Path
) -> None:
    before, cost = state(two_months), hours(two_months)
    file = written(tmp_path, "r.csv", "title,project\ntrain*,vision\n")
    trial = import_rules(two_months, file, dry_run=True, now=1)
    assert str(trial) == "1 rules, 0 budgets"
    assert by_share(trial.effects) == {
        (month, project): span
        for month in cost
        for project, span in (
            (None, (cost[month], cost[month] / 2)),
            ("vision", (0.0, cost[month] / 2)),
        )
    }
    assert state(two_months) == before


def test_a_trial_of_prices_shows_the_months_that_would_change(
    two_months: Database, tmp_path: Path
) -> None:
    close(two_months, "2026-01", None, 1)
    before, cost = state(two_months), hours(two_months)
    file = written(tmp_path, "p.csv", "unit,price\nhour,3\n")
    trial = import_prices(two_months, file, dry_run=True)
    assert trial.effects == [
        Effect(
            CostShare("lab", "2026-02", None, None, None),
            int(cost["2026-02"] * YUAN),
            int(3 * cost["2026-02"] * YUAN),
        )
    ]
    assert state(two_months) == before


def test_a_trial_of_closing_shows_what_would_be_frozen(two_months: Database) -> None:
    before = state(two_months)
    trial = close(two_months, "2026-01", None, 1, dry_run=True)
    cost = hours(two_months)["2026-01"]
    assert trial.costs == {CostShare("lab", "2026-01", None, None, None): int(cost * YUAN)}
    assert trial.accounts == ["lab"]
    assert state(two_months) == before


def test_rules_are_kept_and_come_back(two_months: Database, tmp_path: Path) -> None:
    first = written(tmp_path, "first.csv", "title,project\ntrain*,vision\n")
    second = written(tmp_path, "second.csv", "kind,project,amount\nrule,rest,\nbudget,rest,5\n")
    for now, file in enumerate((first, second, second), 100):
        import_rules(two_months, file, allow_empty=True, now=now)
    versions = rule_history(two_months)
    assert [(v.version, v.source, v.imported_at, v.rules, v.budgets) for v in versions] == [
        (1, "first.csv", 100, 1, 0),
        (2, "second.csv", 101, 1, 1),
    ]
    trial = restore_rules(two_months, 1, 200, dry_run=True)
    assert {share for _, share in by_share(trial.effects)} == {None, "rest", "vision"}
    restored = restore_rules(two_months, 1, 200)
    assert str(restored) == "1 rules in place of 1, 0 budgets in place of 1"
    assert export_rules(two_months, "csv")[1].startswith("rule,,,train*,,vision")
    assert [(v.version, v.source) for v in rule_history(two_months)][2:] == [(3, "version 1")]
    with pytest.raises(SettingsError, match="no version 9"):
        restore_rules(two_months, 9, 200)


def test_rules_from_before_the_first_version_are_kept_too(
    database: Database, tmp_path: Path
) -> None:
    import_rules(database, written(tmp_path, "a.csv", "project\nold\n"))
    import_rules(database, written(tmp_path, "b.csv", "project\nnew\n"), now=5)
    assert [v.source for v in rule_history(database)] == ["before the first version", "b.csv"]
    restore_rules(database, 1, 6)
    assert rows(database, "SELECT project FROM allocation_rule") == [("old",)]


def test_a_trial_is_printed_and_says_that_nothing_was_changed(
    run: Command, path: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, "r.csv", "title,project\ntrain*,vision\n")
    words = ("--database", str(path), "rules")
    done = run(*words, "import", str(file), "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == []
    assert "nothing was changed; it would import 1 rules, 0 budgets" in done.stderr
    assert json.loads(run(*words, "history", "--json").stdout) == []
    assert run(*words, "import", str(file)).exit_code == 0
    (kept,) = json.loads(run(*words, "history", "--json").stdout)
    assert (kept["version"], kept["source"], kept["rules"]) == (1, "r.csv", 1)
    assert run(*words, "restore", "1").exit_code == 0
    assert run(*words, "restore", "2").exit_code == 2
