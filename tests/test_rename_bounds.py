"""Who pays when an instance is renamed while nobody looks: the truth lies between the bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl import reports
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.money.allocation import Rule, RuleBook, allocations
from etl.money.matching import Labels
from etl.rebuild import differences
from etl.simcloud import Story
from etl.store import reading
from tests.priced import lists
from tests.support import apply, newest, poll_story, rows

VISION, SPEECH = (
    Rule(1, title="vision*", project="vision"),
    Rule(2, title="speech*", project="speech"),
)
RULES = "kind,title,project\nrule,vision*,vision\nrule,speech*,speech\n"
PERIOD = {"from_day": "2026-01-01", "to_day": "2026-01-31"}
MINUTE_MICROCNY = 100_000
"""A GPU costs 6 yuan an hour."""


def bounds(database: Database, report: str, **arguments: Any) -> dict[Any, tuple[float, ...]]:
    """Least, estimated and most yuan by project, or whatever each line of the report is about."""
    asked = {**PERIOD, "now": newest(database), **arguments}
    names, found = reports.run(database, reports.load_report(report), asked)
    lines = [dict(zip(names, row, strict=True)) for row in found]
    kind = "cost_yuan" if report == "cost" else "estimated_yuan"
    return {
        line.get("what", line.get("project")): (
            line[f"{kind}_min"],
            line[kind],
            line[f"{kind}_max"],
        )
        for line in lines
    }


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("minute", [0, 1, 4, 9])
def test_the_true_split_lies_between_the_bounds_of_each_project(
    minute: int, stops: bool, database: Database, tmp_path: Path
) -> None:
    """It runs for 40 minutes, polled each 10; in the second ten it is renamed."""
    cloud = Story()
    lists(database, "RTX 4090", (int(cloud.now) - 86_400, None, None, 60 * MINUTE_MICROCNY))
    one = cloud.rents(title="vision-1")
    began = int(cloud.now)
    for number in range(5):
        apply(database, poll_story(cloud))
        if number == 1:
            cloud.passes(minutes=minute)
            cloud.renames(one, "speech-1")
            vision_s = int(cloud.now) - began
            cloud.passes(minutes=10 - minute)
        else:
            cloud.passes(minutes=10)
    if stops:
        cloud.stops(one)
        apply(database, poll_story(cloud))
    (tmp_path / "r.csv").write_text(RULES)
    import_rules(database, tmp_path / "r.csv")
    for found in (bounds(database, "allocation"), bounds(database, "cost", by="project")):
        least, _, most = found["vision"]
        assert least <= vision_s / 600 <= most
        assert most - least == pytest.approx(1, abs=0.01), "ten minutes, no more"
        (total,) = bounds(database, "cost", by="account").values()
        assert sum(line[1] for line in found.values()) == pytest.approx(total[1])
        rest = total[1] - vision_s / 600
        assert found["speech"][0] <= rest <= found["speech"][2]
    (alone,) = bounds(database, "cost", by="instance").values()
    assert alone == pytest.approx(total), "the cost of the instance itself is as sure as ever"
    daily = (
        "SELECT project, SUM(cost_min_microcny), SUM(cost_max_microcny) FROM cost_daily GROUP BY 1"
    )
    for project, least, most in rows(database, daily):
        assert (least / 1e6, most / 1e6) == pytest.approx(found[project][::2])
    assert list(differences(database)) == []


def test_a_rename_that_changes_no_payer_leaves_no_doubt() -> None:
    labels = [Labels(100, "vision-1"), Labels(200, "vision-2", after=150)]
    (only,) = allocations(RuleBook([VISION, SPEECH]), "lab", "i", labels)
    assert (only.project, only.is_doubtful) == ("vision", 0)


def test_between_two_polls_either_of_them_may_pay() -> None:
    labels = [Labels(100, "vision-1"), Labels(200, "speech-1", after=150)]
    before, doubt, after = allocations(RuleBook([VISION, SPEECH]), "lab", "i", labels)
    assert (doubt.starts_s, doubt.ends_s) == (150, 200)
    assert (doubt.project, doubt.or_project) == ("vision", "speech")
    assert (before.is_doubtful, doubt.is_doubtful, after.is_doubtful) == (0, 1, 0)


def test_a_rule_that_begins_at_a_known_moment_leaves_no_doubt() -> None:
    dated = Rule(1, project="speech", valid_from=150)
    found = allocations(
        RuleBook([dated, Rule(2, project="vision")]), "lab", "i", [Labels(100, "a")]
    )
    assert [(each.project, each.is_doubtful) for each in found] == [("vision", 0), ("speech", 0)]


def test_a_day_that_the_bill_has_settled_stays_so_though_its_payer_is_in_doubt(
    database: Database,
) -> None:
    names = "account, day, instance_uuid, title, project, owner, cost_centre, tags"
    asked = f"""
        WITH lines AS (
            SELECT
                'lab' AS account, day, 'u' AS instance_uuid, 't' AS title, 'p' AS project, 'o' AS owner,
                'c' AS cost_centre, '' AS tags, 60 AS charged_s, 5 AS cost_microcny,
                5 AS cost_min_microcny, 5 AS cost_max_microcny, 5 AS list_cost_microcny,
                0 AS unpriced_s, 0 AS unpriced_max_s, 60 AS used_s, 'list' AS price_source,
                'settled' AS settled, 0 AS is_closed
            FROM calendar_day WHERE day = '2026-01-10'
        ),
        doubt AS (
            SELECT
                {names}, 0 AS cost_microcny, -5 AS cost_min_microcny, 2 AS cost_max_microcny,
                'list' AS price_source, 'estimated' AS settled
            FROM lines
        ),
        daily AS cost_daily(lines AS _cost_line, doubt AS _cost_doubt)
        SELECT settled, cost_min_microcny, cost_microcny, cost_max_microcny FROM daily
    """
    with reading(database) as known:
        assert [tuple(row) for row in known.books._ask(asked)] == [("settled", 0, 5, 7)]
