"""Commands on a real terminal, and that pipes never notice: real pseudo-terminals, real pagers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etl import reports
from etl.dialect import Database, open_database
from etl.reports.render import width
from etl.simcloud import Server, Story
from tests.commands import cloud, home, server
from tests.conftest import FilledOnce
from tests.live import closing
from tests.on_terminal import CLEAN, ESCAPE, ROOT, Running, on_terminal
from tests.support import apply, poll_story

__all__ = ["cloud", "home", "server"]

WIDTHS = (80, 100, 120, 200)


@pytest.fixture(scope="session")
def two_hours(filled_once: FilledOnce) -> Path:
    """A file with two hours of 2026-01-01: 12 instances, one of which has a hostile title."""

    def fill(database: Database) -> None:
        story = Story()
        story.rents(title="\x1b[2J\u202e训练 train", gpus=2)
        for number in range(11):
            story.rents(title=f"eval {number}", starts=number % 2 == 0)
        for _ in range(12):
            story.passes(minutes=10)
            apply(database, poll_story(story))
        database.engine.dispose()

    return filled_once("two_hours", fill)("sqlite").files[0]


@pytest.fixture
def lab(two_hours: Path, home: Path) -> Path:
    """The test's own copy of these two hours."""
    return Path(shutil.copy(two_hours, home / "lab.db"))


def words(lab: Path, *rest: str) -> tuple[str, ...]:
    return ("--database", str(lab), "report", *rest)


def piped(*command: str, **environ: str) -> bytes:
    kept = {key: value for key, value in os.environ.items() if key not in CLEAN}
    clean = {**kept, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run(
        [sys.executable, "-m", "etl.cli", *command], capture_output=True, env=clean, check=True
    )
    return done.stdout


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_report_fits_the_terminal(columns: int, lab: Path) -> None:
    seen = on_terminal(*words(lab, "now"), width=columns)
    assert seen.code == 0
    assert max(map(width, seen.lines)) <= columns
    assert "title" in seen.text
    assert "eval 10" in seen.text


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_pipe_gets_the_same_bytes_whatever_the_terminal(form: str, lab: Path) -> None:
    command = words(lab, "runs", "--from", "2026-01", "--format", form)
    plain = piped(*command)
    assert b"\x1b" not in plain
    assert b"left out" not in plain
    for environ in (
        {"COLUMNS": "40", "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "PAGER": "false"},
    ):
        assert piped(*command, **environ) == plain


def test_a_pipe_gets_the_plain_table(lab: Path) -> None:
    _, head, rule, *rows = piped(*words(lab, "now")).decode().splitlines()
    assert head.split()[:4] == ["account", "title", "state", "gpu"]
    assert set(rule) == {"-", " "}
    assert len(rows) == 12


def test_colours_are_there_and_can_be_had_without(lab: Path) -> None:
    assert "\x1b[32mrunning" in on_terminal(*words(lab, "now")).raw
    for environ in ({"NO_COLOR": "1"}, {"CLICOLOR": "0"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(*words(lab, "now"), **environ).raw


def test_a_title_cannot_command_the_terminal(lab: Path) -> None:
    seen = on_terminal(*words(lab, "now"), NO_COLOR="1")
    assert "\x1b" not in seen.raw
    assert "\u202e" not in seen.raw
    assert "训练 train" in seen.text


def test_a_terminal_of_another_encoding_gets_signs_that_it_has(lab: Path) -> None:
    seen = on_terminal(*words(lab, "now"), PYTHONIOENCODING="latin-1")
    assert seen.code == 0
    assert "----" in seen.text
    assert "─" not in seen.text


def test_small_tables_of_other_commands_fit_too(lab: Path) -> None:
    seen = on_terminal("--database", str(lab), "codes", "show", width=60)
    assert "name en" in seen.text
    assert "─" in seen.text
    assert "name_en" in piped("--database", str(lab), "codes", "show").decode()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_list_and_the_help_of_reports_fit_the_terminal(lang: str) -> None:
    seen = on_terminal("report", "--list", "--lang", lang)
    assert max(map(width, seen.lines)) <= 80
    helped = on_terminal("report", "cost", "--help", "--lang", lang)
    assert max(map(width, helped.lines)) <= 80
    assert len(piped("report", "--list").decode().splitlines()) == len(reports.report_names())


# the pager


@pytest.fixture
def pager(tmp_path: Path) -> Path:
    """A pager that copies what it gets and its LESS into files."""
    script = tmp_path / "pager"
    script.write_text(f'#!/bin/sh\nprintf %s "$LESS" > {tmp_path}/flags\ncat > {tmp_path}/paged\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("options", "height", "is_paged"),
    [((), 10, True), ((), 60, False), (("--no-pager",), 10, False), (("--wide",), 10, True)],
)
def test_long_tables_go_through_the_pager(
    options: tuple[str, ...], height: int, is_paged: bool, lab: Path, pager: Path
) -> None:
    seen = on_terminal(*words(lab, "now", *options), height=height, PAGER=str(pager))
    paged = pager.with_name("paged")
    assert seen.code == 0
    assert paged.exists() is is_paged
    assert ("eval 10" in seen.text) is not is_paged
    if is_paged:
        assert "eval 10" in paged.read_text()
        assert pager.with_name("flags").read_text() == ("-FRXS" if options else "-FRX")


@pytest.mark.skipif(shutil.which("less") is None, reason="needs less")
def test_less_gets_colours_and_the_users_key_ends_it(lab: Path) -> None:
    with Running(words(lab, "now"), size=(80, 8)) as running:
        running.until(lambda text: "\x1b[32m" in text and text.endswith("\x1b[K"))
        running.types("q")
        assert running.ends().code == 0


def test_the_users_own_flags_for_less_stay(lab: Path, pager: Path) -> None:
    on_terminal(*words(lab, "now"), height=10, PAGER=str(pager), LESS="-i")
    assert pager.with_name("flags").read_text() == "-i"


@pytest.mark.parametrize("none", ["", "cat", "/nowhere/pager"])
def test_without_a_pager_a_long_table_is_printed(none: str, lab: Path) -> None:
    seen = on_terminal(*words(lab, "now"), height=10, PAGER=none)
    assert "eval 10" in seen.text


# options


def test_columns_are_chosen_by_name_or_heading(lab: Path) -> None:
    chosen = words(lab, "now", "--columns", "per hour,TITLE,instance_uuid")
    head = next(line for line in on_terminal(*chosen).lines if "title" in line)
    assert head.split() == ["per", "hour", "title", "instance"]
    csv = piped(*chosen, "--format", "csv").decode().splitlines()
    assert csv[0] == "yuan_per_hour,title,instance_uuid"


def test_a_column_that_is_not_there_is_refused_with_those_that_are(lab: Path) -> None:
    seen = on_terminal(*words(lab, "now", "--columns", "title,nothing"))
    assert seen.code == 2
    assert "no column 'nothing'" in seen.stderr
    assert "yuan_per_hour" in seen.stderr


def test_vertical_is_for_tables_alone(lab: Path) -> None:
    blocks = piped(*words(lab, "now", "--vertical")).decode()
    assert blocks.count("running since  ") == 12
    assert "\x1b" not in blocks
    seen = on_terminal(*words(lab, "now", "--vertical", "--json"))
    assert (seen.code, seen.raw) == (2, "")


# watching


def test_a_watched_report_sees_a_changed_database_and_ends_cleanly(lab: Path) -> None:
    command = words(lab, "now", "--watch", "1")
    database = open_database(f"sqlite:///{lab}")
    with Running(command, size=(100, 40)) as running:
        running.until(lambda text: "eval 10" in text)
        story = Story()
        story.passes(hours=3)
        story.rents(title="brand new")
        with closing(database):
            apply(database, poll_story(story))
        running.until(lambda text: "brand new" in text)
        running.types("\x03")
        seen = running.ends()
    assert (seen.code, seen.stderr) == (0, "")
    drawn, _, after = seen.raw.rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in drawn
    assert "brand new" in after  # what was seen last stays on the screen
    assert "Traceback" not in seen.raw
    assert "\x1b[?25h" in seen.raw  # the cursor is there again


def test_a_watched_report_says_that_the_database_is_gone_and_goes_on(lab: Path) -> None:
    with Running(words(lab, "now", "--watch", "1"), size=(100, 40)) as running:
        running.until(lambda text: "eval 10" in text)
        lab.rename(lab.with_name("away.db"))
        running.until(lambda text: "there is no database" in text)
        lab.with_name("away.db").rename(lab)
        seen_before = running.received.count("eval 10")
        running.until(lambda text: text.count("eval 10") > seen_before)
        running.types("\x03")
        assert running.ends().code == 0


def test_watching_needs_a_terminal(lab: Path) -> None:
    code = "import sys\nfrom etl.cli import main\nmain()"
    command = [sys.executable, "-c", code, *words(lab, "now", "--watch")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--watch needs a terminal" in done.stderr


# what cron and pipes load


def loaded(*command: str) -> str:
    code = (
        "import sys\nfrom etl.start import main\n"
        f"sys.argv[1:] = {list(command)!r}\ntry:\n    main()\nexcept SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_pipes_and_syncs_do_not_load_rich(lab: Path, server: Server, home: Path) -> None:
    assert loaded(*words(lab, "now")) == "False"
    assert loaded("--database", str(lab), "status") == "False"
    assert loaded("--database", str(home / "new.db"), "sync") == "False"


def test_a_terminal_without_colours_needs_no_rich(lab: Path) -> None:
    code = (
        "import sys\nfrom etl.cli import main\n"
        f"try:\n    main({list(words(lab, 'now'))!r})\nexcept SystemExit:\n"
        "    print('rich' in sys.modules, sys.stdout.isatty())"
    )
    for environ, is_loaded in (({"NO_COLOR": "1"}, "False True"), ({}, "True True")):
        with Running([sys.executable, "-c", code], environ=environ, is_plain=True) as running:
            assert ESCAPE.sub("", running.ends().raw).splitlines()[-1] == is_loaded
