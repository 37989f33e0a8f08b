"""Commands that look: status, report, codes, rebuild, db."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from etl import reports
from etl.dialect import Database
from etl.reports.render import width
from etl.simcloud import Story
from tests.commands import Command, filled, home, path, run
from tests.support import apply, poll_story, rows

__all__ = ["filled", "home", "path", "run"]

HOSTILE = "\x1b[2J\x9b1m=cmd()\u202e\r\nnext"


@pytest.fixture
def fleet(filled: Database) -> Story:
    """Two hours of 2026-01-01: one instance with a Chinese title ran, one waits for its end."""
    cloud = Story()
    a = cloud.rents(title="训练 train", gpus=2)
    cloud.rents(title="eval", starts=False)
    apply(filled, poll_story(cloud))
    for _ in range(12):
        cloud.passes(minutes=10)
        apply(filled, poll_story(cloud))
    cloud.stops(a)
    cloud.passes(minutes=10)
    apply(filled, poll_story(cloud))
    return cloud


@pytest.fixture
def see(run: Command, path: Path, fleet: Story) -> Command:
    """Run a command on the database of the fleet."""
    return lambda *words, **environ: run("--database", str(path), *words, **environ)


JANUARY = ("--from", "2026-01")


# no database


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("report", "now"),
        ("rebuild",),
        ("rebuild", "--check"),
        ("codes", "show"),
        ("codes", "set", "status", "77", "running"),
        ("db", "downgrade", "--yes", "base"),
    ],
)
def test_without_a_database_it_says_so_and_makes_none(
    words: tuple[str, ...], run: Command, home: Path
) -> None:
    result = run("--database", "none.db", *words)
    assert result.exit_code == 2
    assert f"there is no database at {home / 'none.db'}" in result.stderr
    assert "chenyu-etl sync" in result.stderr
    assert list(home.iterdir()) == []


# status


def test_status_says_what_is_synced_and_how_fresh(see: Command) -> None:
    result = see("status")
    assert result.exit_code == 0
    assert "lab instances: last complete" in result.stdout
    assert "14 polls, 0 failed" in result.stdout
    assert "lab: 2 instances, 0 running on 0 GPUs, 0 missing, 0 gone" in result.stdout
    assert "lab.db" in result.stderr


def test_status_as_json_holds_the_same(see: Command, path: Path) -> None:
    said = json.loads(see("status", "--json").stdout)
    assert said["database"] == str(path)
    (poll,), (fleet,) = said["polls"], said["fleet"]
    assert (poll["polls"], poll["last_complete_at"]) == (14, "2026-01-01T02:10:01Z")
    assert (fleet["instances"], fleet["unknown_codes"]) == (2, [])


@pytest.mark.parametrize(("limit", "code"), [("15m", 1), ("1d", 1), ("99999d", 0)])
def test_status_with_a_limit_is_a_monitor(limit: str, code: int, see: Command) -> None:
    assert see("status", "--max-age", limit).exit_code == code


def test_nothing_synced_is_stale(run: Command, path: Path) -> None:
    result = run("--database", str(path), "status", "--max-age", "99d")
    assert result.exit_code == 1
    assert "nothing is synced yet" in result.stdout


def test_status_names_what_is_odd(see: Command, filled: Database, fleet: Story) -> None:
    odd, broken, hidden = fleet.rents_many(3)
    fleet.passes(minutes=10)
    apply(filled, poll_story(fleet))
    fleet.passes(minutes=10)
    fleet.twists(odd, status=77)
    fleet.breaks_record(broken)
    fleet.hides(hidden)
    apply(filled, poll_story(fleet))
    said = see("status").stdout
    assert "5 instances" in said
    assert "1 missing" in said
    assert "1 listed, but not understood" in said
    assert "unknown status codes 77 count as not running: chenyu-etl codes set" in said


# report


def test_report_without_a_name_lists_them(see: Command) -> None:
    for words in (("report",), ("report", "--list")):
        lines = see(*words).stdout.splitlines()
        assert [line.split()[0] for line in lines] == reports.report_names()
        (now,) = (line for line in lines if line.startswith("now "))
        assert now.split(None, 1)[1] == (
            "What there is now: every instance that is not gone, the longest running first"
        )
        (uptime,) = (line for line in lines if line.startswith("uptime "))
        assert uptime.endswith("(from, to, by)")


@pytest.mark.parametrize("word", ["--help", "-h", "--help-report"])
def test_help_of_a_report_explains_its_columns_and_parameters(word: str, run: Command) -> None:
    said = run("report", "uptime", word).stdout
    assert "parameter by (--by) a line for each: instance, gpu, day" in said
    assert "column gpu_hours_min: at least [gpu_hours_min (card-h)]" in said
    assert "Print a report" in run("report", word.replace("-report", "")).stdout
    assert "Bill lines, as report bill-lines" in run("report", "month", word).stdout


def test_an_option_that_a_report_has_not_is_refused(see: Command) -> None:
    for words in (("--by", "gpu"), ("--from", "7d"), ("--set", "cats=3")):
        result = see("report", "now", *words)
        assert result.exit_code == 2
        assert "report now has no " in result.stderr
    assert see("report", "uptime", "--set", "by").exit_code == 2
    assert see("report", "uptime", "--set", "by=cats").exit_code == 2


@pytest.mark.parametrize("name", ["now", "events", "uptime"])
def test_a_report_says_the_same_as_table_json_and_csv(name: str, see: Command) -> None:
    when = () if name == "now" else JANUARY
    as_json = json.loads(see("report", name, *when, "--format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(see("report", name, *when, "--format", "csv").stdout)))
    line, *as_table = see("report", name, *when).stdout.splitlines()
    assert line.startswith("observed until 2026-01-01T02:")
    assert as_json
    assert [list(row) for row in as_csv] == [list(row) for row in as_json]
    for told, row in zip(as_csv, as_json, strict=True):
        assert told == {k: "" if v is None else str(v) for k, v in row.items()}
    assert re.sub(r" \(\S+\)", "", as_table[0]).split() == list(as_json[0])
    assert len(as_table) == 2 + len(as_json)


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_instants_can_be_local(form: str, see: Command) -> None:
    utc = see("report", "now", "--format", form).stdout
    local = see("report", "now", "--format", form, "--tz", "local").stdout
    assert "2026-01-01T02:" in utc
    assert "2026-01-01 10:" in local
    assert "+08:00" in local
    refused = see("report", "now", "--tz", "local", "-o", "now.parquet")
    assert refused.exit_code == 2
    assert "UTC" in refused.stderr


def test_chinese_titles_are_aligned(see: Command) -> None:
    _, *lines = see("report", "now").stdout.splitlines()
    begins = width(lines[0][: lines[0].index("state")])
    for line, state in zip(lines[2:], ("stopped", "creating"), strict=True):
        assert width(line[: line.index(state)]) == begins


def test_bounds_are_shown_where_they_are_asked_for(see: Command) -> None:
    (plain,) = json.loads(see("report", "uptime", *JANUARY, "--json").stdout)
    (bounded,) = json.loads(see("report", "uptime", *JANUARY, "--json", "--bounds").stdout)
    assert [c for c in bounded if c not in plain] == [
        "hours_min",
        "hours_max",
        "gpu_hours_min",
        "gpu_hours_max",
    ]
    assert bounded["hours_min"] <= bounded["hours"] <= bounded["hours_max"]
    assert plain["gpu_hours"] == pytest.approx(2 * plain["hours"], abs=0.02)


@pytest.mark.parametrize(
    ("by", "what"),
    [
        ("instance", "训练 train"),
        ("gpu", "RTX 4090"),
        ("day", "2026-01-01"),
        ("week", "2026-W01"),
        ("month", "2026-01"),
    ],
)
def test_uptime_has_a_line_for_each(by: str, what: str, see: Command) -> None:
    (row,) = json.loads(see("report", "uptime", *JANUARY, "--by", by, "--json").stdout)
    assert row["what"] == what


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (("--from", "2026-01-01"), "2026-01-01 to "),
        (("--from", "2026-01"), "2026-01-01 to 2026-01-31"),
        (("--from", "2026-01", "--to", "2026-02"), "2026-01-01 to 2026-02-28"),
        (("--from", "2025-12-31", "--to", "2026-01-01"), "2025-12-31 to 2026-01-01"),
        (("--from", "last-month"), "-01 to "),
        (("--from", "30d"), " to "),
        ((), "-01 to "),
    ],
)
def test_a_period_can_be_said_in_many_ways(
    period: tuple[str, ...], said: str, see: Command
) -> None:
    result = see("report", "uptime", *period)
    assert result.exit_code == 0
    assert said in result.stderr
    assert "days of Asia/Shanghai" in result.stderr


def test_events_before_the_calendar_began_are_asked_for_in_vain_but_not_wrongly(
    see: Command,
) -> None:
    all_of_them = see("report", "events", "--from", "1999-01", "--to", "2026-01", "--json")
    assert all_of_them.stdout == see("report", "events", *JANUARY, "--json").stdout
    assert see("report", "events", "--from", "1999-01", "--json").stdout == "[]\n"
    assert see("report", "events", "--from", "1999-01").stdout.endswith("\n(no rows)\n")


def test_a_report_of_an_empty_database_says_that_nothing_is_observed(
    run: Command, path: Path
) -> None:
    assert "nothing is observed yet" in run("--database", str(path), "report", "uptime").stderr


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_period_without_rows_says_where_there_are_some(form: str, see: Command) -> None:
    done = see("report", "uptime", "--from", "2026-03", "--format", form)
    assert "observed from 2026-01-01 to 2026-01-01: choose with --from" in done.stderr
    assert "observed from" not in done.stdout
    assert "observed from" not in see("report", "uptime", "--from", "2026-01").stderr


def test_events_of_one_kind(see: Command) -> None:
    rows = json.loads(see("report", "events", *JANUARY, "--event", "stopped", "--json").stdout)
    assert [row["event"] for row in rows] == ["stopped"]


def test_a_report_of_one_account(see: Command) -> None:
    assert json.loads(see("report", "now", "--account", "lab", "--json").stdout)
    assert see("report", "now", "--json", CHENYU_ACCOUNT="other").exit_code == 2


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_hostile_title_is_harmless(
    form: str, see: Command, filled: Database, fleet: Story
) -> None:
    fleet.rents(title=HOSTILE)
    fleet.passes(minutes=10)
    apply(filled, poll_story(fleet))
    said = see("report", "now", "--format", form).stdout
    assert all(line.isprintable() for line in said.split("\n"))
    if form == "json":
        assert HOSTILE in {row["title"] for row in json.loads(said)}
    else:
        assert len(said.splitlines()) == 3 + 1 + 2 * (form == "table")


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1"])
def test_a_title_is_no_formula_in_a_spreadsheet(
    title: str, see: Command, filled: Database, fleet: Story
) -> None:
    fleet.rents(title=title)
    fleet.passes(minutes=10)
    apply(filled, poll_story(fleet))
    told = csv.DictReader(io.StringIO(see("report", "now", "--format", "csv").stdout))
    assert f"'{title}".replace("\t", "\ufffd") in {row["title"] for row in told}


# codes, rebuild, db


def test_codes_are_shown_in_both_languages(see: Command) -> None:
    said = see("codes", "show").stdout
    assert "运行中" in said
    assert "hourly (assumed)" in said


def test_a_code_can_be_given_a_meaning_and_running_time_follows(
    see: Command, filled: Database, fleet: Story
) -> None:
    fleet.twists(fleet.rents(title="odd", starts=False), status=77)
    fleet.passes(minutes=10)
    apply(filled, poll_story(fleet))
    before = see("report", "uptime", *JANUARY, "--json").stdout
    assert "odd" not in before
    result = see("codes", "set", "status", "77", "running")
    assert result.exit_code == 0
    assert "status 77 means running; " in result.stderr
    assert "77" in see("codes", "show").stdout
    assert "odd" in see("report", "uptime", *JANUARY, "--json").stdout
    assert see("rebuild", "--check").exit_code == 0
    see("codes", "set", "status", "77", "unknown")
    assert see("report", "uptime", *JANUARY, "--json").stdout == before


def test_rebuild_check_finds_what_a_rebuild_would_change(see: Command, filled: Database) -> None:
    assert see("rebuild", "--check").stderr == "the database holds what a rebuild gives\n"
    with filled.writing() as conn:
        conn.exec_driver_sql("UPDATE usage_day SET running_s = running_s - 1, running_min_s = 0")
    result = see("rebuild", "--check")
    assert result.exit_code == 1
    assert result.stdout.startswith("lab inst_")
    assert see("rebuild").stderr == "1 stretches of running time computed\n"
    assert see("rebuild", "--check").exit_code == 0


def test_rebuild_can_move_the_days_to_another_time_zone(see: Command, filled: Database) -> None:
    parts = "SELECT day, running_s FROM usage_day ORDER BY day"
    assert [day for day, _ in rows(filled, parts)] == ["2026-01-01"]
    result = see("rebuild", "--timezone", "America/St_Johns")
    assert "say so in CHENYU_TIMEZONE" in result.stderr
    assert [day for day, _ in rows(filled, parts)] == ["2025-12-31"]
    assert see("rebuild", "--check").exit_code == 0
    refused = see("db", "upgrade")
    assert refused.exit_code == 2
    assert "rebuild --timezone Asia/Shanghai" in refused.stderr
    assert see("db", "upgrade", CHENYU_TIMEZONE="America/St_Johns").exit_code == 0


def test_db_upgrade_makes_a_database_and_says_where(run: Command, home: Path) -> None:
    first = run("db", "upgrade", CHENYU_DATABASE_URL="new.db")
    assert (
        first.stderr == f"database: {home / 'new.db'} (created: a new, empty history)\nupgraded\n"
    )
    again = run("db", "upgrade", CHENYU_DATABASE_URL="new.db")
    assert again.stderr.endswith("up to date already\n")


def test_db_downgrade_asks_first(see: Command, run: Command, path: Path) -> None:
    asked = see("db", "downgrade", "base")
    assert asked.exit_code == 1
    assert "drops table sync_run with " in asked.stdout
    assert "Go on?" in asked.output
    assert see("status").exit_code == 0
    done = see("db", "downgrade", "--yes", "base")
    assert done.exit_code == 0
    assert "at revision base" in done.stderr
    empty = see("status")
    assert empty.exit_code == 6
    assert "db upgrade" in empty.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report", "uptime", "--account", "nobody"), "there is lab"),
        (("report", "month", "--month", "2026-01", "-o", "m.xlsx", "--account", "nobody"), "lab"),
        (("export", "focus", "-o", "f.csv", "--account", "nobody"), "there is lab"),
        (("export", "focus", "-o", "f.csv", "--month", "2999-01"), "2999-01 has not begun"),
        (("status", "--max-age", ""), "--max-age"),
        (("--timezone", "Europe/Berlin", "report", "uptime"), "counts days in Asia/Shanghai"),
        (("report", "now", "--json", "--format", "csv"), "say one of them"),
        (("report", "idle", "--set", "hours=abc"), "a whole number such as 12"),
        (("report", "idle", "--set", "hours="), "a whole number such as 12"),
        (("report", "failed-starts", "--set", "minutes=-5;drop"), "a whole number such as 10"),
    ],
)
def test_what_would_silently_find_nothing_is_refused(
    words: tuple[str, ...], said: str, see: Command
) -> None:
    result = see(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_the_reports_there_are_can_be_read_by_machines(see: Command) -> None:
    listed = json.loads(see("report", "--list", "--json").stdout)
    (uptime,) = (each for each in listed if each["name"] == "uptime")
    assert "account" in uptime["parameters"]
