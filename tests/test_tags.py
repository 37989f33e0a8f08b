"""Tags: `key:value` in titles or by rule, over time, in costs and exports."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.books.rule_files import export_rules, import_rules
from etl.dialect import Database
from etl.errors import SettingsError
from etl.money.allocation import RuleBook, TagRule, allocations
from etl.money.matching import Labels
from etl.money.periods import BEGINNING, FOREVER
from etl.money.tags import (
    as_words,
    have_no_brackets,
    tag_dimension,
    tags_in_rule,
    tags_in_title,
)
from etl.rebuild import differences, rebuild
from etl.simcloud import Story
from tests.conftest import TODAY
from tests.priced import YUAN, lists
from tests.support import apply, columns, poll_story, rows
from tests.test_price_files import written
from tests.test_settlement import S, billed

IN_TITLES = {
    "[team:vision] train": {"team": "vision"},
    "train [Team:Vision]": {"team": "Vision"},
    "【team：视觉】训练": {"team": "视觉"},
    "［项目组：视觉，stage：prod］": {"项目组": "视觉", "stage": "prod"},
    "[team:a stage:b][env:c]": {"team": "a", "stage": "b", "env": "c"},
    "[team:a, team:b] [TEAM:c]": {"team": "a"},
    "[ratio:1:2]": {"ratio": "1:2"},
    "[a:b;c:d、e:f]": {"a": "b", "c": "d", "e": "f"},
    # words that are no tags
    "team:vision torch:2.1 12:30": {},
    "[train] [team:] [:vision] [12:30] [http://host]": {},
    "[team vision] (team:vision) {team:vision} [team:vision": {},
    '[team:"x"] [team:\\n] [a"b:c]': {},
    "[project:x owner:y cost_centre:z Owner:w team:v]": {"team": "v"},
    f"[{'k' * 65}:v] [k:{'v' * 257}]": {},
    "": {},
}


@pytest.mark.parametrize("title", IN_TITLES)
def test_tags_stand_in_the_brackets_of_a_title(title: str) -> None:
    tags = tags_in_title(title)
    assert json.loads(tags or "{}") == IN_TITLES[title]
    if tags:
        assert tags_in_rule(as_words(tags)) == tags


@pytest.mark.parametrize("text", ["", "team", "team:a, team:b", "owner:li", "team:a b", 'a:"'])
def test_what_is_no_tag_is_none_in_a_rule(text: str) -> None:
    assert tags_in_rule(text) is None


def test_a_dimension_is_spelled_in_one_way() -> None:
    assert [tag_dimension(w) for w in ("tag:Team", "tag：ｔｅａｍ", "tag:组")] == [
        *("tag:team", "tag:team"),
        "tag:组",
    ]
    assert [tag_dimension(w) for w in ("tag:", "tag:1", "tag:project", "team", "tag")] == [None] * 5


def over_time(book: RuleBook, *labels: Labels) -> list[tuple[int, int, dict[str, str]]]:
    return [
        (held.starts_s, held.ends_s, json.loads(held.tags or "{}"))
        for held in allocations(book, "lab", "i-1", labels)
    ]


def test_a_rule_goes_before_the_title_and_the_first_rule_before_others() -> None:
    book = RuleBook(
        tags=[
            TagRule(1, '{"team":"rule"}', title="*x*", valid_from=20),
            TagRule(2, '{"stage":"prod","team":"second"}', valid_from=10, valid_to=30),
        ]
    )
    assert over_time(book, Labels(0, "[team:title env:e] x")) == [
        (BEGINNING, 10, {"team": "title", "env": "e"}),
        (10, 20, {"team": "second", "stage": "prod", "env": "e"}),
        (20, 30, {"team": "rule", "stage": "prod", "env": "e"}),
        (30, FOREVER, {"team": "rule", "env": "e"}),
    ]


def test_a_change_of_tags_that_nobody_saw_is_in_doubt() -> None:
    labels = [Labels(0, "[team:a]"), Labels(50, "[team:b]", after=40)]
    held = allocations(RuleBook(), "lab", "i-1", labels)
    assert [(h.starts_s, h.tags, h.is_doubtful, h.or_tags) for h in held] == [
        (BEGINNING, '{"team":"a"}', 0, None),
        (40, '{"team":"a"}', 1, '{"team":"b"}'),
        (50, '{"team":"b"}', 0, None),
    ]


RULES = """
[[rule]]
title = "*pay*"
project = "p"
owner = "o"

[[tag]]
title = "eval*"
tag = "team:ops"
valid_from = 2026-01-02

[[tag]]
title = "*forced*"
tag = "team:forced, stage:prod"
"""
HOURS = 48


class ByHand:
    """A fleet of which plain Python knows each second's tags: (title at an hour) by instance."""

    def __init__(self) -> None:
        self.cloud = Story()
        self.began = self.cloud.now
        self.titles: dict[str, list[tuple[int, str]]] = {}
        for title, model in (
            ("[team:vision] train", "RTX 4090"),
            ("eval pay", "RTX 4090"),
            ("[team:vision env:x] forced pay", "A100"),
            ("plain", "A100"),
        ):
            self.titles[self.cloud.rents(title=title, model=model)] = [(self.cloud.now, title)]
        self.first = next(iter(self.titles))

    def live(self, database: Database) -> None:
        for hour in range(1, HOURS + 1):
            self.cloud.passes(hours=1)
            if hour == 26:
                self.renames("[team:speech stage:prod] train")
            if hour == 40:
                self.renames("train")
            apply(database, poll_story(self.cloud))

    def renames(self, title: str) -> None:
        self.cloud.renames(self.first, title)
        # seen by the poll that ends a second later
        self.titles[self.first].append((self.cloud.now + 1, title))

    def tag_at(self, uuid: str, key: str, at: int) -> str:
        title = next(name for since, name in reversed(self.titles[uuid]) if since <= at)
        if "forced" in title and key in ("team", "stage"):
            return {"team": "forced", "stage": "prod"}[key]
        # 2026-01-02 in Shanghai
        if title.startswith("eval") and key == "team" and at >= 1_767_283_200:
            return "ops"
        for word in title.partition("]")[0].strip("[").split():
            if word.startswith(f"{key}:"):
                return word.partition(":")[2]
        return "(untagged)"

    def seconds(self, key: str) -> Counter[str]:
        """Seconds of running time by the value of a tag, second by second."""
        counted: Counter[str] = Counter()
        for uuid in self.titles:
            edges = sorted(
                {self.began, self.cloud.now, *(s for s, _ in self.titles[uuid][1:]), 1_767_283_200}
            )
            edges = [e for e in edges if self.began <= e <= self.cloud.now]
            for begins, ends in pairwise(edges):
                counted[self.tag_at(uuid, key, begins)] += ends - begins
        return counted


@pytest.fixture
def fleet(database: Database, tmp_path: Path) -> ByHand:
    fleet = ByHand()
    apply(database, poll_story(fleet.cloud))
    for model in ("RTX 4090", "A100"):
        lists(database, model, (fleet.cloud.now, None, None, YUAN))
    import_rules(database, written(tmp_path, "r.toml", RULES))
    fleet.live(database)
    window = fleet.began - S, fleet.cloud.now - S
    billed(database, (*window, 77.01), at=window[1] + 60)
    return fleet


PERIOD = {"from_day": "2026-01-01", "to_day": "2026-01-31"}


def report(database: Database, name: str, **more: Any) -> list[dict[str, Any]]:
    names, found = reports.run(database, reports.load_report(name), {**PERIOD, **more})
    return [dict(zip(names, row, strict=True)) for row in found]


def micro(lines: list[dict[str, Any]], column: str) -> int:
    return sum(round((line[column] or 0) * YUAN) for line in lines)


@pytest.mark.parametrize("key", ["team", "stage", "env", "nobody"])
def test_costs_by_tag_are_those_that_plain_python_adds_up(
    key: str, fleet: ByHand, database: Database
) -> None:
    lines = report(database, "cost", by=f"tag:{key}", now=fleet.cloud.now)
    found = {line["what"]: line["cost_yuan"] * 3600 for line in lines}
    expected = fleet.seconds(key)
    assert found.keys() == expected.keys()
    assert all(abs(found[value] - expected[value]) < 1 for value in expected)
    whole = report(database, "cost", by="account", now=fleet.cloud.now)
    for column in ("cost_yuan", "list_yuan"):
        assert micro(lines, column) == micro(whole, column)


def test_a_rename_widens_the_bounds_of_tags_and_not_of_who_pays(
    fleet: ByHand, database: Database
) -> None:
    now = fleet.cloud.now
    lines = report(database, "cost", by="tag:team", now=now)
    bounds = {n["what"]: (n["cost_yuan_min"], n["cost_yuan"], n["cost_yuan_max"]) for n in lines}
    # between the poll before the rename and that which saw it, an hour and a second, both may have it
    assert bounds["vision"][1] - bounds["vision"][0] == pytest.approx(3_601 / 3_600, abs=1e-5)
    assert bounds["speech"][2] - bounds["speech"][1] == pytest.approx(3_601 / 3_600, abs=1e-5)
    by_project, whole = (report(database, "cost", by=by, now=now) for by in ("project", "account"))
    for column in ("cost_yuan_min", "cost_yuan_max"):
        assert micro(by_project, column) == micro(whole, column)


def test_attributed_bills_and_allocation_by_tag_add_up_to_the_whole(
    fleet: ByHand, database: Database
) -> None:
    by_tag = report(database, "bills", by="tag:team")
    assert {line["what"] for line in by_tag} >= {"vision", "speech", "ops", "forced", "(untagged)"}
    assert micro(by_tag, "billed_yuan") == micro(report(database, "bills"), "billed_yuan")
    by_tag = report(database, "allocation", by="tag:team")
    whole = report(database, "allocation")
    for column in ("estimated_yuan", "billed_yuan", "cash_yuan"):
        assert micro(by_tag, column) == micro(whole, column) > 0
    assert {line["project"] for line in whole} == {"p", "(no rule)"}


def test_a_forecast_by_tag_adds_up_to_that_of_the_account(
    fleet: ByHand, database: Database
) -> None:
    by_tag = report(database, "forecast", by="tag:team")
    whole = report(database, "forecast")
    assert micro(by_tag, "spent_yuan") == micro(whole, "spent_yuan") > 0


def test_tags_of_instances_over_time(fleet: ByHand, database: Database) -> None:
    found = columns(
        database, "SELECT * FROM instance_tag ORDER BY instance_uuid, tag, COALESCE(since_s, 0)"
    )
    renames = [since for since, _ in fleet.titles[fleet.first][1:]]
    first = [
        (row["tag"], row["value"], row["since_s"], row["until_s"])
        for row in found
        if row["instance_uuid"] == fleet.first
    ]
    assert first == [
        ("stage", "prod", renames[0], renames[1]),
        ("team", "vision", None, renames[0]),
        ("team", "speech", renames[0], renames[1]),
    ]
    assert [(r["value"], r["since"]) for r in found if r["title"] == "eval pay"] == [
        ("ops", "2026-01-01T16:00:00Z")
    ]
    assert [r for r in found if r["title"] == "plain"] == []


def test_focus_has_tags_as_a_json_object_beside_who_pays(fleet: ByHand, database: Database) -> None:
    found = rows(
        database,
        'SELECT DISTINCT "ResourceName", "Tags" FROM focus_cost_and_usage'
        ' WHERE "ResourceId" IS NOT NULL',
    )
    tags = {(name, tuple(sorted(json.loads(text or "{}").items()))) for name, text in found}
    payer = {"project": "p", "owner": "o"}
    assert ("[team:vision] train", (("team", "vision"),)) in tags
    assert ("[team:speech stage:prod] train", (("stage", "prod"), ("team", "speech"))) in tags
    assert ("eval pay", tuple(sorted({**payer, "team": "ops"}.items()))) in tags
    assert ("eval pay", tuple(sorted(payer.items()))) in tags
    forced = {**payer, "team": "forced", "stage": "prod", "env": "x"}
    assert ("[team:vision env:x] forced pay", tuple(sorted(forced.items()))) in tags
    assert {("plain", ()), ("train", ())} <= tags


def test_a_rebuild_gives_the_same_tags(fleet: ByHand, database: Database) -> None:
    asked = "SELECT * FROM allocation ORDER BY instance_uuid, starts_s"
    before = rows(database, asked)
    assert list(differences(database)) == []
    rebuild(database, None, TODAY)
    assert rows(database, asked) == before


def test_tags_of_titles_need_no_rules(database: Database, tmp_path: Path) -> None:
    fleet = ByHand()
    apply(database, poll_story(fleet.cloud))
    lists(database, "RTX 4090", (fleet.cloud.now, None, None, YUAN))
    fleet.live(database)
    assert dict(rows(database, "SELECT value, COUNT(*) FROM instance_tag GROUP BY value")) == {
        **{"vision": 2, "speech": 1, "prod": 1, "x": 1}
    }
    # only those that have or had tags are written down
    assert rows(database, "SELECT COUNT(DISTINCT instance_uuid) FROM allocation") == [(2,)]
    assert list(differences(database)) == []


def test_tag_rules_are_exported_counted_and_remarked(database: Database, tmp_path: Path) -> None:
    apply(database, poll_story(ByHand().cloud))
    done = import_rules(
        database, written(tmp_path, "r.toml", RULES + "[[tag]]\ntitle='nix'\ntag='a:b'")
    )
    assert str(done) == "1 rules, 0 budgets, 3 tags"
    assert list(done.remarks) == ["tag 3 (line 15) matches no instance known: title nix"]
    asked = "SELECT * FROM tag_rule ORDER BY tag_rule_no"
    before = rows(database, asked)
    for form in ("csv", "toml"):
        lines = "\n".join(export_rules(database, form))
        import_rules(database, written(tmp_path, f"again.{form}", lines))
        assert rows(database, asked) == before
    with pytest.raises(SettingsError, match="tag must be words such as team:vision"):
        import_rules(database, written(tmp_path, "bad.csv", "kind,tag\ntag,owner:li\n"))
    assert rows(database, asked) == before


def test_chinese_headings_name_tags(database: Database, tmp_path: Path) -> None:
    text = "类别,名称,标签\n标签,训练*,组：视觉\n"
    import_rules(database, written(tmp_path, "r.csv", text))
    assert rows(database, "SELECT title, tags FROM tag_rule") == [("训练*", '{"组":"视觉"}')]


def test_a_key_that_can_be_none_is_refused(database: Database) -> None:
    with pytest.raises(SettingsError, match="by cannot be 'tag:1'"):
        report(database, "cost", by="tag:1")


def test_a_quote_in_a_key_reaches_no_sql(database: Database) -> None:
    with pytest.raises(SettingsError):
        report(database, "cost", by="tag:a' OR 1=1 --")


@pytest.mark.parametrize("title", ["a [team:x]", "a 【team:x】", "a ［team:x］", "a ﹇team:x﹈"])
def test_a_title_with_tags_shows_among_a_hundred_without(title: str) -> None:
    plain = [f"whisper-{n} team:x" for n in range(100)]
    assert tags_in_title(title) == '{"team":"x"}'
    assert have_no_brackets(plain)
    assert not have_no_brackets([*plain, title])
