"""Closed usage added up by day: always what its parts say, made anew where they changed and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.rebuild import differences, rebuild
from etl.simcloud import Story
from tests.conftest import TODAY
from tests.priced import YUAN, bills, lists
from tests.support import rows
from tests.test_cost import CHARGING, filled, polled, story

__all__ = ["story"]

RULES = """
[[rule]]
title = "*1*"
project = "odd"

[[rule]]
title = "*2*"
project = "even"
owner = "li"
"""
PARTS = """
    SELECT
        a.name AS account,
        p.day,
        p.instance_uuid,
        w.project,
        w.owner,
        p.kind,
        p.gpu_name,
        p.gpu_nums,
        p.price_source,
        CASE
            WHEN r.reach_s IS NULL OR r.reach_s <= p.starts_s THEN 'estimated'
            WHEN r.reach_s >= p.ends_s THEN 'settled'
            ELSE 'partly'
        END AS settled,
        p.used_s,
        p.charged_s,
        CASE WHEN p.cost_microcny IS NULL THEN p.charged_s ELSE 0 END AS unpriced_s,
        CASE WHEN p.cost_microcny IS NULL THEN p.charged_max_s ELSE 0 END AS unpriced_max_s,
        p.cost_microcny,
        p.cost_min_microcny,
        p.cost_max_microcny,
        p.list_cost_microcny
    FROM _cost_part p
    JOIN account a ON a.account_id = p.account_id
    LEFT JOIN allocation w
        ON w.account_id = p.account_id AND w.instance_uuid = p.instance_uuid
        AND w.starts_s <= p.starts_s AND w.ends_s > p.starts_s
    LEFT JOIN _bill_reach r ON r.account_id = p.account_id
"""
SUMMED = """
    SELECT
        account, CAST(day AS TEXT), instance_uuid, project, owner, kind, gpu_name, gpu_nums,
        price_source, settled,
        SUM(used_s), SUM(charged_s), SUM(unpriced_s), SUM(unpriced_max_s), SUM(cost_microcny),
        SUM(cost_min_microcny), SUM(cost_max_microcny), SUM(list_cost_microcny)
    FROM {0}
    GROUP BY
        account, day, instance_uuid, project, owner, kind, gpu_name, gpu_nums, price_source, settled
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


def summed(database: Database, source: str) -> list[str]:
    return sorted(map(repr, rows(database, SUMMED.format(source))))


@pytest.mark.parametrize("seed", range(600, 606))
def test_lines_of_cost_add_up_to_what_the_parts_say(
    seed: int, database: Database, rules: Path
) -> None:
    filled(database, seed, CHARGING[seed % 4])
    import_rules(database, rules)
    found = summed(database, "_cost_line")
    assert len(found) > 5
    assert found == summed(database, f"({PARTS}) parts")


def test_the_day_that_the_bill_reaches_into_is_told_by_its_parts(
    story: Story, database: Database
) -> None:
    lists(database, "A100", (story.now, None, None, YUAN))
    big = story.fleet.lives[0].instance_uuid
    for _ in range(6):
        polled(database, story, hours=1)
        story.stops(big)
        polled(database, story, hours=1)
        story.starts(big)
    begins = story.now - 6 * 3_600
    bills(database, begins - 1_800, begins + 1_800, YUAN)
    told = "SELECT DISTINCT settled FROM _cost_line WHERE kind = 'running' ORDER BY 1"
    assert rows(database, told) == [("estimated",), ("partly",), ("settled",)]
    assert summed(database, "_cost_line") == summed(database, f"({PARTS}) parts")


def test_whoever_pays_from_some_moment_on_pays_for_what_began_after_it(
    story: Story, database: Database, rules: Path
) -> None:
    import_rules(database, rules)
    big = story.fleet.lives[0].instance_uuid
    polled(database, story, hours=1)
    for title in ("run 1", "run 2", "nobody's", "run 1"):
        story.renames(big, title)
        story.stops(big)
        polled(database, story, hours=1)
        story.starts(big)
        polled(database, story, hours=1)
    story.stops(big)
    polled(database, story, hours=1)
    payers = f"SELECT project FROM cost_sum WHERE instance_uuid = '{big}' ORDER BY day, line_no"
    assert rows(database, payers) == [(None,), ("odd",), ("even",)]  # by when each began
    assert list(differences(database)) == []


@pytest.mark.parametrize("table", ["cost_sum", "running_sum"])
@pytest.mark.parametrize("break_it", ["UPDATE {0} SET {1} = {1} + 1", "DELETE FROM {0}"])
def test_a_rebuild_sees_sums_that_their_parts_do_not_add_up_to(
    table: str, break_it: str, story: Story, database: Database
) -> None:
    seconds = "charged_s" if table == "cost_sum" else "running_s"
    uuids = [life.instance_uuid for life in story.fleet.lives]
    polled(database, story, hours=1)
    for uuid in uuids:
        story.stops(uuid)
    polled(database, story, hours=1)
    before = rows(database, f"SELECT * FROM {table} ORDER BY instance_uuid")
    assert len(before) == 2
    with database.writing() as conn:
        conn.execute(text(f"{break_it.format(table, seconds)} WHERE instance_uuid = '{uuids[0]}'"))
    assert list(differences(database)) == [f"lab {uuids[0]}"]
    rebuild(database, None, TODAY)
    assert rows(database, f"SELECT * FROM {table} ORDER BY instance_uuid") == before
    assert list(differences(database)) == []


def test_a_poll_makes_the_sums_of_the_days_that_it_cuts_and_no_others(
    story: Story, database: Database
) -> None:
    big, small = (life.instance_uuid for life in story.fleet.lives)
    polled(database, story, hours=2)
    story.stops(small)
    polled(database, story, hours=24)
    with database.writing() as conn:
        conn.execute(text("UPDATE running_sum SET night_s = 77"))
    story.stops(big)
    polled(database, story, hours=1)
    kept = "SELECT instance_uuid FROM running_sum WHERE night_s = 77"
    assert rows(database, kept) == [(small,)]
    days = f"SELECT CAST(day AS TEXT) FROM running_sum WHERE instance_uuid = '{big}' ORDER BY day"
    assert rows(database, days) == [("2026-01-01",), ("2026-01-02",)]
