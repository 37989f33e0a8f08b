"""`rules`: who pays, over time, and what budgets there are."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.books.documents import read
from etl.books.rule_entries import COLUMNS, rules_of
from etl.books.rule_files import export_rules, import_rules, rules_in_force, try_rules
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.allocation import Rule, RuleBook, allocations
from etl.money.matching import Labels
from etl.money.periods import BEGINNING, FOREVER
from etl.rebuild import differences, rebuild
from etl.simcloud import Story
from tests.commands import Command, filled, home, path, run
from tests.conftest import TODAY, ZONE
from tests.priced import YUAN, lists
from tests.support import apply, newest, poll_story, rows
from tests.test_price_files import written

__all__ = ["filled", "home", "path", "run"]

TOML = """\
[[rule]]
title = "train*"
project = "vision"
owner = "li"
valid_to = 2026-01-02

[[rule]]
title = "TRAIN*"
project = "speech"
cost_centre = "4711"

[[budget]]
project = "vision"
amount = 100.50

[[budget]]
project = "vision"
month = "2026-01"
amount = 30

[[budget]]
account = "lab"
amount = 40
"""
CSV = """\
kind,title,project,owner,cost_centre,valid_to,account,month,amount
rule,train*,vision,li,,2026-01-02,,,
,TRAIN*,speech,,4711,,,,
budget,,vision,,,,,,100.50
budget,,vision,,,,,2026-01,30
budget,,,,,,lab,,40
"""
ALL = Rule(9, project="rest")


def said(rules: list[Rule], *looks: Labels, account: str = "lab") -> list[tuple[Any, ...]]:
    found = allocations(
        RuleBook(rules), account, "i-1", looks or [Labels(50, "train 7", ("img", "torch"))]
    )
    return [(each.starts_s, each.ends_s, each.project) for each in found]


@pytest.mark.parametrize(
    "rule",
    [
        Rule(1, project="p"),
        Rule(1, project="p", account="lab"),
        Rule(1, project="p", instance_uuid="i-1"),
        Rule(1, project="p", title="TRAIN*"),
        Rule(1, project="p", title="*?7"),
        Rule(1, project="p", image="torch"),
        Rule(1, project="p", image="im?", title="train*"),
    ],
)
def test_a_rule_matches_by_all_that_it_says(rule: Rule) -> None:
    assert said([rule, ALL]) == [(BEGINNING, FOREVER, "p")]


@pytest.mark.parametrize(
    "rule",
    [
        Rule(1, project="p", account="other"),
        Rule(1, project="p", instance_uuid="i"),
        Rule(1, project="p", title="train"),
        Rule(1, project="p", title="[tT]rain 7"),
        Rule(1, project="p", image="torc"),
        Rule(1, project="p", image="eval", title="train*"),
        Rule(1, project="p", image="torch", title="eval*"),
    ],
)
def test_a_rule_does_not_match_where_one_thing_differs(rule: Rule) -> None:
    assert said([rule, ALL]) == [(BEGINNING, FOREVER, "rest")]


def test_the_first_rule_that_matches_holds_while_it_is_in_force() -> None:
    rules = [Rule(1, project="a", valid_from=10, valid_to=20), Rule(2, project="b", valid_from=15)]
    assert said(rules) == [(BEGINNING, 10, None), (10, 20, "a"), (20, FOREVER, "b")]


def test_a_rename_counts_from_when_it_was_seen() -> None:
    looks = [Labels(50, "eval"), Labels(90, "train"), Labels(95, "train 2")]
    before, later = (BEGINNING, 90), (90, FOREVER)
    assert said([Rule(1, project="p", title="train*")], *looks) == [(*before, None), (*later, "p")]
    assert said([Rule(1, project="p", title="eval")], *looks) == [(*before, "p"), (*later, None)]


def test_brackets_in_a_pattern_are_brackets() -> None:
    rules = [Rule(1, project="p", title="[train]*")]
    assert said(rules, Labels(50, "[Train] 7")) == [(BEGINNING, FOREVER, "p")]
    assert said(rules, Labels(50, "t7")) == [(BEGINNING, FOREVER, None)]


def test_of_several_changes_that_nobody_saw_the_newest_is_who_may_pay() -> None:
    rules = [Rule(n, project=name, title=name) for n, name in enumerate("abc", 1)]
    labels = [Labels(0, "a"), Labels(50, "b", after=10), Labels(60, "c", after=20)]
    found = allocations(RuleBook(rules), "lab", "i-1", labels)
    assert [(each.starts_s, each.project, each.or_project) for each in found] == [
        (BEGINNING, "a", None),
        (10, "a", "b"),
        (20, "a", "c"),
        (50, "b", "c"),
        (60, "c", None),
    ]


def test_what_no_rule_matches_is_said_of_nobody() -> None:
    assert said([Rule(1, project="p", title="x")]) == [(BEGINNING, FOREVER, None)]


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    zone = Zone(ZONE)
    by_toml = rules_of(read(written(tmp_path, "r.toml", TOML), COLUMNS), zone)
    by_csv = rules_of(read(written(tmp_path, "r.csv", CSV), COLUMNS), zone)
    assert (by_csv.rules, by_csv.budgets) == (by_toml.rules, by_toml.budgets)
    assert [b.amount_microcny for b in by_toml.budgets] == [100_500_000, 30 * YUAN, 40 * YUAN]


@pytest.mark.parametrize("form", ["csv", "toml"])
def test_what_is_exported_is_imported_as_the_same(
    form: str, database: Database, tmp_path: Path
) -> None:
    done = import_rules(database, written(tmp_path, "r.toml", TOML))
    assert (done.counts, str(done)) == ({"rule": (2, 0), "budget": (3, 0)}, "2 rules, 3 budgets")
    tables = ("SELECT * FROM allocation_rule ORDER BY 1", "SELECT * FROM budget ORDER BY 1, 2, 3")
    before = [rows(database, sql) for sql in tables]
    lines = export_rules(database, form)
    import_rules(database, written(tmp_path, f"again.{form}", "\n".join(lines)))
    assert [rows(database, sql) for sql in tables] == before


def test_what_a_spreadsheet_would_run_is_quoted_in_csv_and_read_as_it_was(
    database: Database, tmp_path: Path
) -> None:
    titles = ["=1+1", "'=x", "'quoted'", "''", "+49", "-x", "@a", "＝全", "plain"]
    text = "\n".join(f"[[rule]]\ntitle = {json.dumps(t)}\nproject = 'p'" for t in titles)
    import_rules(database, written(tmp_path, "r.toml", text))
    lines = export_rules(database, "csv")
    assert not any(
        cell.startswith(("=", "+", "-", "@", "＝")) for cell in ",".join(lines).split(",")
    )
    import_rules(database, written(tmp_path, "again.csv", "\n".join(lines)))
    found = rows(database, "SELECT title FROM allocation_rule ORDER BY rule_no")
    assert [title for (title,) in found] == titles


WRONG = {
    "[[rule]]\ntitle = 'x'": "line 1: a rule names a project",
    "[[budget]]\namount = 1": "line 1: a budget is of a project or of an account",
    "\n[[budget]]\nproject = 'x'\nmonth = '2026-13'\namount = 1": "line 2: month must be",
    "[[budget]]\nproject = 'x'\namount = 1\n[[budget]]\nproject = 'x'\namount = 2": "line 4: project 'x'",
    "[[role]]\nproject = 'x'": "'role' is none of rule, budget, tag",
    "[[rule]]\nproject = 5": "project must be text",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_file_is_refused_as_a_whole_with_the_line(
    text: str, database: Database, tmp_path: Path
) -> None:
    import_rules(database, written(tmp_path, "good.toml", TOML))
    with pytest.raises(SettingsError) as caught:
        import_rules(database, written(tmp_path, "bad.toml", text))
    assert WRONG[text] in caught.value.message
    assert rows(database, "SELECT COUNT(*) FROM allocation_rule") == [(2,)]


@pytest.fixture
def allocated(database: Database, tmp_path: Path) -> Database:
    """Two days of two instances; rules of which one ends after the first day (in Shanghai)."""
    cloud = Story()
    cloud.rents(title="train a")
    cloud.rents(title="eval", model="A100")
    apply(database, poll_story(cloud))
    for model in ("RTX 4090", "A100"):
        lists(database, model, (cloud.now, None, None, YUAN))
    import_rules(database, written(tmp_path, "r.toml", TOML))
    for _ in range(40):
        cloud.passes(hours=1)
        apply(database, poll_story(cloud))
    return database


PAID = (
    "SELECT CAST(day AS TEXT), title, project, owner, cost_microcny FROM cost_daily ORDER BY 1, 2"
)


def test_costs_name_who_pays(allocated: Database) -> None:
    assert rows(allocated, PAID) == [
        ("2026-01-01", "eval", None, None, 16 * YUAN),
        ("2026-01-01", "train a", "vision", "li", 16 * YUAN),
        ("2026-01-02", "eval", None, None, 24 * YUAN),
        ("2026-01-02", "train a", "speech", None, 24 * YUAN),
    ]
    assert list(differences(allocated)) == []


def test_a_rebuild_gives_and_checks_who_pays(allocated: Database) -> None:
    before = rows(allocated, PAID)
    with allocated.writing() as conn:
        conn.exec_driver_sql("DELETE FROM allocation")
    assert len(list(differences(allocated))) == 2
    rebuild(allocated, None, TODAY)
    assert rows(allocated, PAID) == before
    assert list(differences(allocated)) == []


SPLIT = (
    "SELECT project, SUM(cost_microcny) FROM cost_daily WHERE day = '2026-01-02'"
    " GROUP BY project ORDER BY 1"
)


@pytest.mark.parametrize("stops", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("by", ["rename", "rule", "rule and restart"])
def test_a_day_is_split_where_another_begins_to_pay(
    by: str, stops: bool, database: Database, tmp_path: Path
) -> None:
    """A day of one GPU at one yuan an hour; from its tenth hour on another project pays."""
    cloud = Story()  # midnight in Shanghai is 16:00Z
    a = cloud.rents(title="one")
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, YUAN))
    change = "2026-01-02T02:00:00Z"
    rules = "title,project,valid_to\none,before,\ntwo,after,\n"
    if by != "rename":
        rules = f"title,project,valid_to\none,before,{change}\none,after,\n"
    import_rules(database, written(tmp_path, "r.csv", rules))
    for hour in range(1, 49):
        cloud.passes(hours=1)
        if by == "rename" and hour == 26:
            cloud.renames(a, "two")
        if by == "rule and restart" and hour in (18, 28):
            cloud.restarts(a)
        if stops and hour == 46:
            cloud.stops(a)
        apply(database, poll_story(cloud))
    before, after = dict(rows(database, SPLIT))["before"], dict(rows(database, SPLIT))["after"]
    assert abs(before - 10 * YUAN) <= 1 + YUAN // 100
    assert abs(after - 14 * YUAN) <= 1 + YUAN // 100
    assert list(differences(database)) == []


def test_a_new_import_takes_the_old_allocation_away(allocated: Database, tmp_path: Path) -> None:
    none = written(tmp_path, "none.csv", "kind,project\n")
    import_rules(allocated, none, allow_empty=True)
    assert {row[2] for row in rows(allocated, PAID)} == {None}
    assert rows(allocated, "SELECT COUNT(*) FROM allocation") == [(0,)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no rule or budget: that would take 2 rules and 3 budgets away"),
        ("kind,title,project\n", "no rule or budget: that would"),
        ("title,project\n*,all\n", "no budget: that would take 3 budgets away"),
        ("kind,project,amount\nbudget,all,1\n", "no rule: that would take 2 rules away"),
    ],
)
def test_a_file_that_would_take_all_rules_or_budgets_away_is_refused(
    text: str, what: str, database: Database, tmp_path: Path
) -> None:
    import_rules(database, written(tmp_path, "r.toml", TOML))
    file = written(tmp_path, "less.csv", text)
    with pytest.raises(SettingsError, match=what) as caught:
        import_rules(database, file)
    assert "--allow-empty" in str(caught.value.advice)
    assert len(rules_in_force(database)[0]) == 2
    assert import_rules(database, file, allow_empty=True).counts["budget"][1] == 3


def test_a_rule_that_matches_nothing_is_imported_and_said(
    allocated: Database, tmp_path: Path
) -> None:
    text = (
        "kind,account,title,image,project,amount\n"
        ",,trian*,,p,\n,lab,train*,,q,\n,lba,,,q,\n,,,no-such:*,q,\n"
        "budget,,,,typo,5\nbudget,,,,p,5\nbudget,lab,,,,5\nbudget,bal,,,,5\n"
    )
    done = import_rules(allocated, written(tmp_path, "r.csv", text))
    assert str(done) == "4 rules in place of 2, 4 budgets in place of 3"
    assert list(done.remarks) == [
        "rule 1 (line 2) matches no instance known: title trian*",
        "rule 3 (line 4) matches no instance known: account lba",
        "rule 4 (line 5) matches no instance known: image no-such:*",
        "a budget is of project 'typo', but no rule names that project",
        "a budget is of account 'bal', but it is not known",
    ]
    assert len(rules_in_force(allocated)[0]) == 4


def test_a_rename_that_a_poll_sees_is_allocated_with_it(database: Database, tmp_path: Path) -> None:
    cloud = Story()
    a = cloud.rents(title="eval")
    apply(database, poll_story(cloud))
    import_rules(database, written(tmp_path, "r.csv", "title,project\neval,old\ntrain,new\n"))
    cloud.passes(minutes=5)
    cloud.renames(a, "train")
    b = cloud.rents(title="train")
    apply(database, poll_story(cloud))
    said = "SELECT instance_uuid, project FROM allocation WHERE is_doubtful = 0 ORDER BY instance_uuid, starts_s"
    assert rows(database, said) == [(a, "old"), (a, "new"), (b, "new")]
    assert list(differences(database)) == []


def test_rules_are_tried_without_a_change(allocated: Database, tmp_path: Path) -> None:
    file = written(tmp_path, "t.csv", "instance,title,project\n,eval,new\n")
    trials, zone = try_rules(allocated, file, "EVAL")
    assert [(t.title, [(a.starts_s, a.project) for a in t.allocations]) for t in trials] == [
        ("eval", [(0, "new")])
    ]
    trials, _ = try_rules(allocated, None, None)
    second = zone.starts(date(2026, 1, 2))
    assert [(t.title, [(a.starts_s, a.project) for a in t.allocations]) for t in trials] == [
        ("train a", [(0, "vision"), (second, "speech")]),
        ("eval", [(0, None)]),
    ]
    assert [held.instances for held in rules_in_force(allocated)[0]] == [0, 1]


def report(database: Database, name: str, **said: Any) -> list[list[Any]]:
    period = {"from_day": "2026-01-01", "to_day": "2026-01-31", "now": newest(database)}
    return [
        list(row) for row in reports.run(database, reports.load_report(name), {**period, **said})[1]
    ]


def test_the_report_shows_what_no_rule_matches(allocated: Database) -> None:
    assert report(allocated, "cost", by="project") == [
        ["lab", "(no rule)", None, 40.0, 40.0, 40.0, 40.0, 40.0, 0.0, 0.0],
        ["lab", "speech", None, 24.0, 24.0, 24.0, 24.0, 24.0, 0.0, 0.0],
        ["lab", "vision", None, 16.0, 16.0, 16.0, 16.0, 16.0, 0.0, 0.0],
    ]


@pytest.mark.parametrize("name", ["now", "timers", "idle"])
def test_who_runs_what_at_what_price_is_one_report(name: str, allocated: Database) -> None:
    """Of the second day the rules give the first to speech; both cost a yuan an hour."""
    period = {"from_day": "2026-01-01", "to_day": "2026-01-31", "now": newest(allocated)}
    names, found = reports.run(allocated, reports.load_report(name), period)
    wanted = [names.index(column) for column in ("title", "project", "yuan_per_hour")]
    assert sorted([row[i] for i in wanted] for row in found) == [
        ["eval", None, 1.0],
        ["train a", "speech", 1.0],
    ]


def test_the_budget_report_projects_the_month(allocated: Database) -> None:
    """Observed until 2026-01-02T16:00Z, two days of Shanghai: as on the second, for 696 hours more."""
    assert report(allocated, "budget") == [
        ["2026-01", "account", "lab", 40.0, 80.0, 200.0, 1472.0, 3680.0],
        ["2026-01", "project", "speech", None, 24.0, None, 720.0, None],
        ["2026-01", "project", "vision", 30.0, 16.0, 53.33, 16.0, 53.33],
    ]


def test_the_commands(run: Command, filled: Database, path: Path, tmp_path: Path) -> None:
    base = ("--database", str(path), "rules")
    file = str(written(tmp_path, "r.toml", TOML))
    assert "imported: 2 rules, 3 budgets\n" in run(*base, "import", file).output
    again = run(*base, "import", file).output
    assert "imported: 2 rules in place of 2, 3 budgets in place of 3\n" in again
    assert "title TRAIN*" in run(*base, "show").output
    assert run(*base, "show", "--export", str(tmp_path / "out.csv")).exit_code == 0
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith("kind,account,")
    assert "(no rows)" in run(*base, "test", "anything").output
