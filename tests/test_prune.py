"""Pruning: rows of old polls go, and every figure, gap and reading of the clock stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from etl import store, tables
from etl.archive import Archive
from etl.dialect import Database
from etl.poll import OUTCOMES
from etl.prune import STEP_S, fold_due, prune
from etl.rebuild import differences
from etl.resources import INSTANCES
from etl.store import Store, SyncRun
from etl.store.views import public_names
from etl.units import DAY_S, ERA_POLLS
from tests.commands import Command, filled, home, path, run
from tests.golden_fleet import DAYS, NOW, START
from tests.support import poll_of, rows
from tests.test_cli_looking import fleet, see

__all__ = ["filled", "fleet", "home", "path", "run", "see"]

ENDS = START + DAYS * DAY_S
"""When the polls of the golden fleet end: further ones, of all sorts, follow here."""


@pytest.fixture
def long_history(golden_copy: Database, kind: str) -> Database:
    """The golden fleet, and polls of a month or two after it: outages, bad spells, another interval."""
    with Store(golden_copy, "lab").writing() as tx:
        dice = Random(kind)
        for resource, every_s in (("instances", 300), ("balance", 900), ("bills", 1_800)):
            polls = [
                (tx._account_id, resource, *poll) for poll in made(dice, every_s, 5 * ERA_POLLS)
            ]
            columns = ("account_id", "resource", *COLUMNS)
            golden_copy.insert(tx._conn, tables.sync_run, columns, polls)
        tx.correct_steps()
    return golden_copy


COLUMNS = (
    *("started_at", "finished_at", "outcome", "requests", "retries", "walks", "listed"),
    *("reported_total", "added", "changed", "gone", "rejected", "clock_offset_s"),
)


def made(dice: Random, every_s: int, count: int) -> Iterator[tuple[Any, ...]]:
    at = ENDS + 60
    weights = [94, 2, 3, 1]
    for number in range(count):
        if number % 400 == 0:
            every_s = dice.choice((every_s, every_s, every_s * 2))
            weights = dice.choice(([94, 2, 3, 1], [99, 0, 1, 0], [5, 5, 89, 1]))
        (outcome,) = dice.choices(OUTCOMES, weights)
        took = dice.choice((1, 12, 90))
        listed, total = dice.choice(((14, 14), (14, None), (9, 14)))
        counts = (1, 0, 1, listed, total, 0, 0, 0, dice.choice((0, 0, 1)))
        offset = dice.choice((None, 0.25, -1.5))
        yield (at, at + took, outcome, *counts, offset)
        at += max(91, every_s + dice.randint(-9, 9))
        at += dice.choice((DAY_S, 4_000, 40_000)) if dice.random() < 0.01 else 0


def known_of(database: Database) -> dict[str, Any]:
    """All that anybody can ask but the list of polls itself."""
    figures: dict[str, Any] = {
        name: sorted(rows(database, f"SELECT * FROM {name}"), key=repr) for name in public_names()
    }
    with Store(database, "lab").reading() as account:
        for resource in RESOURCES:
            figures[f"{resource} seen"] = (
                account.last_poll(resource),
                account.attempts(resource),
                account.clock_memory(resource),
                account.first_complete_at(resource),
                account.newest_complete_at(resource),
            )
    with store.reading(database) as known:
        figures["fresh"] = known.status.polls(NOW)
        figures["outcomes"] = known.status.outcomes()
        figures["unread"] = known.status.unread()
    figures["differences"] = list(differences(database))
    return figures


LISTING = b'{"code": 200, "data": {"instance_list": [], "total": 0}}'
RESOURCES = ("instances", "balance", "bills", "gpu_prices")


def count(database: Database) -> int:
    return int(rows(database, "SELECT COUNT(*) FROM sync_run")[0][0])


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in one if one[name] != other[name]]


def test_every_figure_is_as_before_whenever_polls_are_folded(long_history: Database) -> None:
    before, polls = known_of(long_history), count(long_history)
    newest = rows(long_history, "SELECT MAX(last_s) FROM sync_span")[0][0]
    dice = Random(polls)
    for until in (dice.randint(newest - 20 * DAY_S, newest), newest + 7 * DAY_S):
        folded = sum(pruned.polls for pruned in prune(long_history, until))
        assert folded == polls - count(long_history)
        polls -= folded
        assert differing(before, known_of(long_history)) == []
    assert polls * 2 < sum(sum(k.values()) for k in before["outcomes"].values())


def test_the_next_poll_follows_what_was_folded(long_history: Database) -> None:
    newest = rows(long_history, "SELECT MAX(last_s) FROM sync_span")[0][0]
    list(prune(long_history, newest + DAY_S))
    numbered = "SELECT MAX(polls_before) FROM sync_run WHERE resource = 'instances'"
    before = rows(long_history, numbered)[0][0]
    with Store(long_history, "lab").writing() as tx:
        tx.record("instances", SyncRun(newest + 500, newest + 501, "complete"))
    assert rows(long_history, numbered)[0][0] == before + 1
    assert list(differences(long_history)) == []


def test_a_dry_run_folds_nothing_and_says_what_would_be(long_history: Database) -> None:
    polls = count(long_history)
    newest = rows(long_history, "SELECT MAX(last_s) FROM sync_span")[0][0]
    planned = [(p.resource, p.polls) for p in prune(long_history, newest, dry_run=True)]
    assert count(long_history) == polls
    assert [(p.resource, p.polls) for p in prune(long_history, newest)] == planned


def test_a_short_history_is_left_as_it_is(golden_copy: Database) -> None:
    polls = count(golden_copy)
    assert list(prune(golden_copy, NOW)) == []
    assert count(golden_copy) == polls


def test_polls_fold_by_and_by_after_each_poll(long_history: Database) -> None:
    newest = rows(long_history, "SELECT MAX(last_s) FROM sync_span")[0][0]
    account, folded = Store(long_history, "lab"), []
    while not folded or folded[-1]:
        folded.append(fold_due(account, "instances", newest))
    assert sum(folded) > 1_500
    assert len(folded) > (newest - START) // STEP_S
    assert fold_due(account, "instances", newest + DAY_S // 2) == 0


def test_archived_days_go_but_for_the_newest(long_history: Database, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "polls", "lab", INSTANCES)
    with Store(long_history, "lab").reading() as known:
        archive.claim(known.database_id())
    for day in range(4):
        archive.append(poll_of([LISTING], START + day * DAY_S, START + day * DAY_S + 1), None)

    def days() -> int:
        return len(list((tmp_path / "polls").glob("lab.*")))

    assert days() == 4
    before = START + 2 * DAY_S + 3_600
    planned = list(prune(long_history, before, [tmp_path / "polls"], dry_run=True))
    assert days() == 4
    assert [len(p.archived) for p in planned if p.archived] == [2]
    list(prune(long_history, before, [tmp_path / "polls"]))
    assert days() == 2
    list(prune(long_history, NOW + 90 * DAY_S, [tmp_path / "polls"]))
    assert days() == 1


def test_the_command_folds_what_is_older_than_the_days_to_keep(see: Command) -> None:
    refused = see("db", "prune")
    assert refused.exit_code == 2
    assert "say how many days to keep" in refused.stderr
    assert see("db", "prune", "--days", "30").exit_code == 2
    done = see("db", "prune", "--days", "40", "--dry-run")
    assert done.exit_code == 0
    assert "0 polls would be folded" in done.stderr
