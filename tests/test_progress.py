"""Progress bars: on a terminal, for work that takes a moment, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl import rebuild
from etl.books.rule_files import import_rules
from etl.cli import progress
from etl.dialect import Database
from etl.exports.focus import export_focus
from etl.exports.parquet import export_parquet
from etl.steps import report_steps, watched_steps
from tests.conftest import TODAY
from tests.golden_fleet import RULES
from tests.on_terminal import on_terminal

Steps = list[tuple[int, int | None]]


@pytest.fixture
def steps() -> Any:
    seen: Steps = []
    with watched_steps(lambda done, total: seen.append((done, total))):
        yield seen


def test_a_rebuild_tells_how_far_it_is(golden_copy: Database, steps: Steps) -> None:
    rebuild.rebuild(golden_copy, None, TODAY)
    assert steps
    done, total = steps[-1]
    assert done == total


def test_an_import_of_rules_tells_how_far_it_is(
    golden_copy: Database, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.store.books.BATCH", 4)
    file = tmp_path / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    import_rules(golden_copy, file)
    # all instances are read, and then all are assigned, some at a time
    for total in (None, 15):
        done = [count for count, of in steps if of == total]
        assert len(done) >= 4
        assert done == sorted(done)
        assert done[-1] == 15


def test_exports_tell_how_many_rows_they_wrote(
    golden: Callable[[str], Database], steps: Steps, tmp_path: Path
) -> None:
    database = golden("sqlite")
    written = export_focus(database, "2026-03", tmp_path / "focus.csv")
    assert steps[-1] == (written.rows, None)
    rows = sum(table.rows for table in export_parquet(database, tmp_path / "all"))
    assert rows * 0.9 < steps[-1][0] <= rows
    counts = [done for done, _ in steps[1:]]
    assert counts == sorted(counts)


def test_who_watches_sees_the_steps_of_the_block_alone(steps: Steps) -> None:
    report_steps(1, 2)
    with watched_steps(lambda done, total: None):
        report_steps(2, 2)
    assert steps == [(1, 2)]


def test_without_a_terminal_nothing_is_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("x") as bar:
        bar(1, 2)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda: True)


@pytest.mark.usefixtures("at_once")
def test_short_work_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(progress._Bar, "_start", lambda self, total: started.append(1))
    monkeypatch.setattr(progress, "WAIT_S", 1e9)
    with progress.progress_bar("x") as bar:
        for number in range(1_000):
            bar(number, 1_000)
    assert started == []


def test_the_demo_draws_a_bar_and_wipes_it(tmp_path: Path) -> None:
    words = ("demo", "--days", "2", "--instances", "3", "-o", str(tmp_path / "demo.db"))
    seen = on_terminal(*words, apart=False)
    assert seen.code == 0
    assert "polling" in seen.raw
    assert "/288" in seen.text
    # what stays on the screen after the bar was wiped begins with the summary
    *_, last = seen.raw.rpartition("\x1b[2K")
    assert "SIMULATED" in last
    assert "polling" not in last
    # drawn so many times a second, not once for each poll
    assert seen.raw.count("polling") < 288


def test_errors_go_to_a_file_without_a_bar(tmp_path: Path) -> None:
    words = ("demo", "--days", "1", "--instances", "3", "-o", str(tmp_path / "demo.db"))
    seen = on_terminal(*words)  # standard error is no terminal here
    assert seen.code == 0
    assert "polling" not in seen.raw + seen.stderr
