"""Reports: golden rows, the same on both databases, and their documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from etl import paths, reports
from etl.dialect import Database
from etl.dialect.rendering import expanded, macros, text_of_view
from etl.errors import SettingsError
from etl.reports import Report
from etl.reports.periods import FOLLOWING, days_that_follow
from etl.reports.render import Column, render
from etl.reports.running import NOW
from etl.simcloud import Story
from etl.texts import first_sentence
from tests.support import apply, newest, poll_story

NAMES = reports.report_names()
TODAY = date(2026, 1, 5)


@pytest.fixture
def fleet(database: Database) -> Database:
    """2026-01-01, from 00:00 UTC: polled every 10 minutes, but not from 01:10 to 02:20."""
    cloud = Story()

    def polled(*, minutes: int) -> None:
        for _ in range(minutes // 10):
            cloud.passes(minutes=10)
            apply(database, poll_story(cloud))

    def between_polls(*events: Callable[[], object]) -> None:
        cloud.passes(minutes=5)
        for happens in events:
            happens()
        cloud.passes(minutes=5)
        apply(database, poll_story(cloud))

    train = cloud.rents(gpus=2, model="A100", title="训练")
    idle = cloud.rents(title="idle", starts=False)
    apply(database, poll_story(cloud))
    polled(minutes=60)
    between_polls(lambda: cloud.stops(train))
    cloud.passes(minutes=60)
    polled(minutes=10)
    between_polls(
        lambda: cloud.starts(train, gpus=4, model="H100"),
        lambda: cloud.renames(train, "训练 2"),
        lambda: cloud.destroys(idle),
    )
    polled(minutes=30)
    between_polls(
        lambda: cloud.sets_timer(train, cloud.now + 20 * 3_600),
        lambda: cloud.rents(title="other", uuid="inst_other"),
    )
    polled(minutes=30)
    cloud.hides("inst_other")
    polled(minutes=10)
    return database


def rows(database: Database, name: str, **arguments: Any) -> list[dict[str, Any]]:
    """A report as JSON would show it, its columns in order."""
    period = {"from_day": "2026-01-01", "to_day": "2026-01-31", "now": newest(database)}
    said = {**period, **arguments}
    columns, found = reports.run(database, reports.load_report(name), said)
    return [dict(zip(columns, row, strict=True)) for row in found]


def table(database: Database, name: str, *columns: str, **arguments: Any) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in rows(database, name, **arguments)]


def test_now(fleet: Database) -> None:
    same = {"account": "lab", "image": "PyTorch 2.0 环境:v2.0", "as_of": "2026-01-01T03:50:00Z"}
    same |= {"owner": None, "project": None, "yuan_per_hour": None}
    assert rows(fleet, "now") == [
        {
            **same,
            "title": "训练 2",
            "state": "running",
            "gpu": "4 x H100",
            "running_since": "2026-01-01T02:25:00Z",
            "hours": 1.42,
            "timer": "2026-01-01T23:05:00Z",
            "instance_uuid": "inst_00000000-0000-4000-8000-000000000001",
        },
        {
            **same,
            "title": "other",
            "state": "running (missing)",
            "gpu": "1 x RTX 4090",
            "running_since": "2026-01-01T03:05:00Z",
            "hours": 0.75,
            "timer": None,
            "instance_uuid": "inst_other",
        },
    ]


def test_events(fleet: Database) -> None:
    columns = ("not_before", "not_after", "event", "title", "was", "became")
    found = table(fleet, "events", *columns)
    assert [(a[11:], b[11:], *rest) for a, b, *rest in found] == [
        ("03:00:00Z", "03:10:01Z", "timer_set", "训练 2", None, None),
        ("03:05:00Z", "03:05:00Z", "created", "other", None, "other"),
        ("03:05:00Z", "03:05:00Z", "started", "other", None, "1 x RTX 4090"),
        ("02:20:00Z", "02:30:01Z", "gpu_changed", "训练 2", "2 x A100", "4 x H100"),
        ("02:20:00Z", "02:30:01Z", "retitled", "训练 2", "训练", "训练 2"),
        ("02:20:00Z", "02:30:01Z", "gone", "idle", None, None),
        ("02:25:00Z", "02:25:00Z", "started", "训练 2", None, "4 x H100"),
        ("01:00:00Z", "01:10:01Z", "stopped", "训练 2", "2 x A100", None),
        ("00:00:00Z", "00:00:00Z", "created", "训练 2", None, "训练"),
        ("00:00:00Z", "00:00:00Z", "started", "训练 2", None, "2 x A100"),
        ("00:00:00Z", "00:00:00Z", "created", "idle", None, "idle"),
    ]
    assert table(fleet, "events", "title", event="gone") == [("idle",)]


def test_uptime_by_instance_with_its_bounds(fleet: Database) -> None:
    columns = ("what", "hours_min", "hours", "hours_max", "gpu_hours", "observed_percent")
    assert table(fleet, "uptime", *columns) == [
        ("训练 2", 2.42, 2.5, 2.67, 7.83, 22.54),
        ("other", 0.58, 0.58, 0.75, 0.58, 22.54),
        ("idle", 0.0, 0.0, 0.17, 0.0, 22.54),
    ]


@pytest.mark.parametrize(
    ("by", "lines"),
    [
        ("gpu", [("H100", 1.42, 5.67), ("A100", 1.08, 2.16), ("RTX 4090", 0.58, 0.58)]),
        ("day", [("2026-01-01", 3.08, 8.41)]),
        ("week", [("2026-W01", 3.08, 8.41)]),
        ("month", [("2026-01", 3.08, 8.41)]),
    ],
)
def test_uptime_by(by: str, lines: list[tuple[str, float, float]], fleet: Database) -> None:
    assert table(fleet, "uptime", "what", "hours", "gpu_hours", by=by) == lines


def test_a_period_without_running_time_is_empty(fleet: Database) -> None:
    period = {"from_day": "2026-01-02", "to_day": "2026-01-31"}
    assert rows(fleet, "uptime", **period) == []
    assert rows(fleet, "events", **period) == []


def test_an_instance_without_gpu_facts_is_listed_last_on_both_databases(
    database: Database,
) -> None:
    cloud = Story()
    cloud.twists(cloud.rents(title="odd"), gpu_nums=None, gpu_name=None, gpu_uuid=None)
    cloud.rents(title="plain")
    for _ in range(3):
        apply(database, poll_story(cloud))
        cloud.passes(minutes=10)
    assert table(database, "uptime", "what", "hours", "gpu_hours") == [
        ("plain", 0.33, 0.33),
        ("odd", 0.33, None),
    ]
    assert table(database, "now", "title", "gpu") == [("odd", None), ("plain", "1 x RTX 4090")]


def test_half_a_hundredth_of_an_hour_is_rounded_up(database: Database) -> None:
    sql = "SELECT (CAST(:s AS BIGINT) + 18) / 36 / 100.0 AS hours"
    report = Report("x", "", (reports.Param("s", ""),), {}, sql)
    for seconds in range(18, 3_600, 36):
        _, found = reports.run(database, report, {"s": seconds})
        assert list(found) == [[(seconds + 18) // 36 / 100]]


def test_numbers_look_the_same_from_both_databases(database: Database) -> None:
    report = Report("x", "", (), {}, "SELECT 4800 / 100.0 AS hours, CAST(48 AS BIGINT) AS s")
    columns, found = reports.run(database, report, {})
    assert list(render("json", columns, found)) == ['[{"hours": 48.0, "s": 48}]']


# documentation


@pytest.mark.parametrize("name", NAMES)
def test_every_report_runs_with_its_defaults(name: str, database: Database) -> None:
    report = reports.load_report(name)
    first, last = reports.day_range(None, None, TODAY)
    columns, found = reports.run(database, report, {"from_day": first, "to_day": last})
    assert list(found) == []
    assert columns == list(report.columns)


@pytest.mark.parametrize("name", NAMES)
def test_the_header_documents_every_column_and_parameter(name: str) -> None:
    report = reports.load_report(name)
    assert len(report.about) > 20
    for column in report.columns.values():
        assert column.about, column.name
        assert re.search(r"[\u4e00-\u9fff]", column.heading("zh")), column.name
        assert column.kind, column.name
    assert len({c.heading("zh") for c in report.columns.values()}) == len(report.columns)
    assert all(param.about for param in report.params)
    used = set(re.findall(r"(?<![:\w]):(\w+)", report.sql))
    assert used - {*FOLLOWING, NOW} == {param.name for param in report.params}


@pytest.mark.parametrize("path", sorted(paths.VIEWS.glob("*.sql")), ids=lambda path: path.stem)
def test_every_view_says_first_what_a_row_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.match(r"-- [A-Z].{20}", lines[0])
    assert not any(re.search(r":\w", line) for line in lines if line.startswith("--"))


BELOW_VIEWS = {"bridge": {"account"}, "utilisation": {"allocation"}}
"""Figures of 0 for an account without a bill too, and who pays at a moment: both are in no view."""


@pytest.mark.parametrize("path", sorted(paths.REPORTS.glob("*.sql")), ids=lambda path: path.stem)
def test_reports_keep_to_sql_that_other_engines_run(path: Path) -> None:
    text = text_of_view(path).lower()
    # `epoch(` and the like are spelled out by each engine, as in views
    for word in ("::", "least(", "greatest(", "strftime", "date(", "extract(", "round("):
        assert word not in expanded(text_of_view(path)).lower()
    read = set(re.findall(r"\b(?:from|join) (\w+)", text))
    with_names = set(re.findall(r"(\w+) as (?:\w+ ?)?\(", text))
    views = {view.stem for view in paths.VIEWS.glob("*.sql")} | {"calendar_day"}
    assert read - BELOW_VIEWS.get(path.stem, set()) <= views | with_names | set(macros())


def test_a_report_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(SettingsError, match="no report 'cats'") as caught:
        reports.load_report("cats")
    assert "uptime" in str(caught.value.advice)


@pytest.mark.parametrize("name", ["../reports/now", "now.sql", "", "/etc/passwd"])
def test_a_report_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(SettingsError):
        reports.load_report(name)


def header(tmp_path: Path, *lines: str) -> Report:
    path = tmp_path / "mine.sql"
    path.write_text("\n".join([*(f"-- {line}" for line in lines), "SELECT 1 AS n"]))
    return reports.parse_report("mine", path)


def test_a_header_says_what_a_column_is(tmp_path: Path) -> None:
    found = header(
        tmp_path,
        "What it is. And more: much more.",
        "@column plain only words",
        "@column name {zh=名称} text",
        "@column hours {zh=时长, unit=h, total} a number",
        "@column n {int, total} a count",
    )
    assert first_sentence(found.about) == "What it is"
    assert list(found.columns.values()) == [
        Column("plain", "only words"),
        Column("name", "text", "名称", "", "text"),
        Column("hours", "a number", "时长", "h", "number", is_total=True),
        Column("n", "a count", kind="int", is_total=True),
    ]


def test_a_word_that_a_header_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="column n says 'totl'"):
        header(tmp_path, "@column n {int, totl} a count")


def test_a_header_can_name_a_default_or_the_choices(tmp_path: Path) -> None:
    found = header(tmp_path, "@param hours at least [= 12]", "@param by each [day, week]")
    assert [(p.about, p.choices, p.default) for p in found.params] == [
        ("at least", (), "12"),
        ("each", ("day", "week"), "day"),
    ]


# periods


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (None, None, "2026-01-01 2026-01-05"),
        ("today", None, "2026-01-05 2026-01-05"),
        ("yesterday", None, "2026-01-04 2026-01-04"),
        ("yesterday", "today", "2026-01-04 2026-01-05"),
        ("this-month", None, "2026-01-01 2026-01-05"),
        ("last-month", None, "2025-12-01 2025-12-31"),
        ("this-week", None, "2026-01-05 2026-01-05"),
        ("last-week", None, "2025-12-29 2026-01-04"),
        ("last-week", "today", "2025-12-29 2026-01-05"),
        ("7d", None, "2025-12-30 2026-01-05"),
        ("1d", None, "2026-01-05 2026-01-05"),
        ("2024-02", None, "2024-02-01 2024-02-29"),
        ("2024", None, "2024-01-01 2024-12-31"),
        ("2025", "2025-Q2", "2025-01-01 2025-06-30"),
        ("2025-Q1", None, "2025-01-01 2025-03-31"),
        ("2025-Q4", None, "2025-10-01 2025-12-31"),
        ("9999", None, "9999-01-01 9999-12-31"),
        ("2025-W47", None, "2025-11-17 2025-11-23"),
        ("2026-W01", None, "2025-12-29 2026-01-04"),
        ("2025-W47", "2025-W49", "2025-11-17 2025-12-07"),
        ("this-year", None, "2026-01-01 2026-01-05"),
        ("last-year", None, "2025-01-01 2025-12-31"),
        ("this-quarter", None, "2026-01-01 2026-01-05"),
        ("last-quarter", None, "2025-10-01 2025-12-31"),
        ("last-year", "this-week", "2025-01-01 2026-01-05"),
        ("2025-11", "2025-12", "2025-11-01 2025-12-31"),
        ("2025-12-24", None, "2025-12-24 2026-01-05"),
        (None, "2026-01-03", "2026-01-01 2026-01-03"),
    ],
)
def test_words_for_periods(since: str | None, until: str | None, days: str) -> None:
    assert " ".join(reports.day_range(since, until, TODAY)) == days


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-13", None),
        ("2026-02-30", None),
        ("0d", None),
        ("9999999d", None),
        ("20260", None),
        ("2026-Q5", None),
        ("2025-W53", None),
        ("2025-W00", None),
        ("2025-W7", None),
        ("2026-q1", None),
        ("0000", None),
        ("last-day", None),
        ("2027-01-01", None),
        ("today", "yesterday"),
        ("2026-01-01T00:00", None),
    ],
)
def test_a_word_that_is_no_period_is_refused(since: str, until: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        reports.day_range(since, until, TODAY)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("period", "follow"),
    [
        (("2026-03-01", "2026-03-31"), ["2026-01-29", "2026-03-01", "2026-03-31"]),
        (("2026-03-02", "2026-03-08"), ["2026-02-23", "2026-03-01", "2026-03-31"]),
        (("2027-12-31", "2028-02-01"), ["2027-11-28", "2028-02-01", "2028-02-29"]),
        (("0001-01-02", "2026-12-31"), ["0001-01-01", "2026-12-01", "2026-12-31"]),
    ],
)
def test_days_that_follow_from_a_period(period: tuple[str, str], follow: list[str]) -> None:
    assert list(days_that_follow(*period).values()) == [*follow, "2015-01-01"]
