"""The page: the figures of the reports, one file that asks for nothing, and titles that do no harm."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import reports
from etl.alerts.words import short_line
from etl.dialect import Database
from etl.history.days import Zone, from_iso
from etl.page import Choice, build, stacks, timeline, trends
from etl.page.amounts import lasting
from etl.page.attention import attention
from etl.page.build import render_page
from etl.page.facts import Facts, Table, days_before, gather
from etl.page.payload import TEXTS
from etl.page.shapes import LEAST, STEP, Scale, dashes, line, merged, steps, ticks
from etl.page.words import Translator
from etl.simcloud import Story
from tests.commands import Command, filled, home, path, run
from tests.conftest import ZONE
from tests.golden_fleet import PERIOD, move
from tests.support import apply, poll_story

__all__ = ["filled", "home", "path", "run"]

Golden = Callable[[str], Database]
ROOT = Path(__file__).parents[1]
CHOICE = Choice(PERIOD["from_day"], PERIOD["to_day"])
OF_SPEECH = replace(CHOICE, project="speech")
NOW = from_iso("2026-03-12T00:00:00Z")
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "\u202edrowssap\u2066 <!-- <u>",
    "🚀👩\u200d🔬 émoji",
    "超长的标题" * 40,
    "שלום مرحبا",
    "a\u2028b' \" ` ${x} {{ y }}",
)


class Page(HTMLParser):
    """What a browser makes of the page, as far as tests ask."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.figures: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._figure: str | None = None
        self._table: str | None = None
        self._in_body = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self._figure = given.get("data-figure") or (self._figure if tag != "p" else None)
        if tag == "table":
            self._table = given.get("id")
        elif tag in ("thead", "tbody"):
            self._in_body = tag == "tbody"
        elif tag == "tr" and self._table and self._in_body:
            self.tables.setdefault(self._table, []).append([])
        elif tag == "td" and self._table and self._in_body:
            self.tables[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._figure = None if tag == "p" else self._figure
        self._table = None if tag == "table" else self._table

    def handle_data(self, data: str) -> None:
        if self._figure:
            self.figures[self._figure] = data
        if self._table and self._in_body and self.tables.get(self._table, [[]])[-1]:
            self.tables[self._table][-1][-1] += data.strip()


@pytest.fixture
def html(kind: str, golden: Golden) -> str:
    return page_of(golden(kind))


@cache
def page_of(database: Database, choice: Choice = CHOICE, lang: str = "en", now: int = NOW) -> str:
    """The page of the golden fleet, made once for all tests that look at it."""
    return render_page(facts_of(database, choice, now), Translator(lang))


@cache
def facts_of(database: Database, choice: Choice = CHOICE, now: int = NOW) -> Facts:
    """The rows of such a page, read once: to read them takes most of the time of a page."""
    move(database, ZONE)
    return gather(database, choice, Zone(ZONE), now)


def asked(database: Database, name: str, **given: str) -> list[dict[str, Any]]:
    names, rows = reports.run(database, reports.load_report(name), {**PERIOD, **given, "now": NOW})
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_a_long_table_is_in_the_file_as_a_whole(
    kind: str, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("etl.page.build"), "MOST_LINES", 3)
    database = golden(kind)
    page = render_page(facts_of(database), Translator("en"))
    (rest,) = re.findall(r'id="rest">(.*?)</script>', page)
    packed = {
        key: [c if isinstance(c[0], str) else [c[0][n] for n in c[1]] for c in columns]
        for key, columns in json.loads(gzip.decompress(b64decode(rest))).items()
    }
    for name in ("runs", "versions"):
        drawn = Page(page).tables[f"{name}-table"]
        rows = asked(database, name)
        assert len(drawn) == 3 < len(rows)
        uuids = [*(cells[-1] for cells in drawn), *packed[name][-1]]
        assert uuids == [row["instance_uuid"] for row in rows]
        assert [len(column) for column in packed[name]] == [len(rows) - 3] * len(rows[0])


def test_without_script_each_project_has_its_cost_and_instances(
    kind: str, golden: Golden, html: str
) -> None:
    (part,) = re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    shown = dict(re.findall(r'id="p-([^"]+)"><summary><bdi>[^<]*</bdi>: (¥[\d,]+\.\d\d)', part))
    costs = {r["what"]: r["cost_yuan"] for r in asked(golden(kind), "cost", by="project")}
    assert shown == {name: f"¥{cost:,.2f}" for name, cost in costs.items() if "(" not in name}
    for uuid in re.findall(r'href="#i-([^"]+)"', part):
        assert f'id="i-{uuid}"' in html, "the link leads somewhere"


def test_the_figures_are_those_of_the_reports(kind: str, golden: Golden, html: str) -> None:
    database, page = golden(kind), Page(html)
    cost = asked(database, "cost", by="account")
    assert page.figures["gpu_hours"] == f"{sum(r['gpu_hours'] for r in cost):,.2f}"
    assert page.figures["cost_yuan"] == f"¥{sum(r['cost_yuan'] for r in cost):,.2f}"
    billed = sum(row["billed_yuan"] for row in asked(database, "bills", by="day"))
    assert page.figures["billed_yuan"] == f"¥{billed:,.2f}"
    (month,) = asked(database, "coverage", by="month")  # by time: a short first day counts less
    assert page.figures["observed"] == f"{month['observed_percent']:,.1f} %"
    tables: dict[str, tuple[str, dict[str, str]]] = {
        "cost-day": ("cost", {"by": "day"}),
        "gpu-day": ("gpu-hours", {"by": "day"}),
        "projects": ("overview", {}),
        "causes": ("reconciliation", {"by": "cause"}),
        "now": ("now", {}),
    }
    for table, (name, options) in tables.items():
        rows = asked(database, name, **options)
        shown = page.tables[f"{table}-table"]
        assert len(shown) == len(rows), table
        for cells, row in zip(shown, rows, strict=True):
            for cell, value in zip(cells, row.values(), strict=True):
                if isinstance(value, float):
                    assert cell == f"{value:,.2f}"
                elif value is None or isinstance(value, int):
                    assert cell == ("" if value is None else str(value))


def test_stacked_bars_add_up_to_the_day(kind: str, golden: Golden) -> None:
    facts = facts_of(golden(kind))
    stack = stacks.cost_by_day(facts, lambda row: row["project"], "-")
    most, slot = stack.ticks[-1][0], 100 / len(stack.days)
    for row in facts["cost_day"].rows:
        x = next(n for n, day in enumerate(stack.days) if day.day == row["what"]) * slot
        heights = [b.height for b in stack.bars if x <= b.x < x + slot]
        assert sum(heights) / stacks.PLOT_HEIGHT * most == pytest.approx(
            row["cost_yuan"] or 0, abs=most / stacks.PLOT_HEIGHT * 0.02
        )


def test_the_bounds_of_a_day_are_those_of_the_report(kind: str, golden: Golden) -> None:
    facts = facts_of(golden(kind))
    by_day: dict[str, float] = defaultdict(float)
    for row in facts["daily"].rows:
        by_day[row["day"]] += row["cost_yuan_max"]
    for row in facts["cost_day"].rows:
        assert by_day[row["what"]] == pytest.approx(row["cost_yuan_max"], abs=1e-5)


def test_the_hours_of_the_week_add_up_to_the_period(kind: str, golden: Golden) -> None:
    facts = facts_of(golden(kind))
    whole = sum(map(sum, trends.hours_of_week(facts)))
    assert whole == pytest.approx(facts["gpu_day"].total("gpu_hours"), rel=0.001)


def test_times_without_a_poll_are_shaded_to_the_second(kind: str, golden: Golden) -> None:
    facts = facts_of(golden(kind))
    assert facts.observed is not None
    scale = timeline.axis(facts)
    (gap,) = facts["gaps"].rows
    bands = {(band.why, band.left) for band in timeline.unseen(facts)}
    assert ("not observed", scale.percent(from_iso(gap["gap_from"]))) in bands
    assert ("not observed", scale.percent(facts.observed[1])) in bands
    assert ("before the first poll", 0.0) in bands
    assert ("still to come", scale.percent(NOW)) in bands


def test_a_page_of_a_project_has_its_figures_alone(kind: str, golden: Golden) -> None:
    database = golden(kind)
    html = page_of(database, OF_SPEECH)
    page = Page(html)
    (cost,) = [r for r in asked(database, "cost", by="project") if r["what"] == "speech"]
    (bill,) = [r for r in asked(database, "bills", by="project") if r["what"] == "speech"]
    assert page.figures["cost_yuan"] == f"¥{cost['cost_yuan']:,.2f}"
    assert page.figures["gpu_hours"] == f"{cost['gpu_hours']:,.2f}"
    assert page.figures["billed_yuan"] == f"¥{bill['billed_yuan']:,.2f}"
    assert "of all projects" in html, "the balance is the account's"
    assert 'class="bill"' not in html, "the bill names no project by day"
    facts = facts_of(database, OF_SPEECH)
    assert {row["project"] for row in facts["daily"].rows} == {"speech"}
    stack = stacks.gpu_hours_by_day(facts)
    assert stack.names
    assert stack.whiskers == [], "of a project there are no bounds of card-hours"


def test_prices_are_those_listed_and_those_paid(kind: str, golden: Golden) -> None:
    facts = facts_of(golden(kind))
    rows = {row.model: row for row in trends.price_rows(facts)}
    assert rows["RTX 4090"].list_yuan == 6.1
    assert "V" in rows["RTX 4090"].listed, "it changed"
    used = {row["what"]: row for row in facts["cost_model"].rows}
    paid = used["L40S"]["cost_yuan"] / used["L40S"]["gpu_hours"]
    assert rows["L40S"].paid_yuan == pytest.approx(paid)
    (mark,) = timeline.price_marks(facts)
    assert mark[1] == "RTX 4090: ¥5.50 → ¥6.10"


def test_the_balance_falls_as_the_report_says(kind: str, golden: Golden) -> None:
    facts = facts_of(golden(kind))
    (chart,) = trends.balances(facts)
    (total,) = [row for row in facts["balance"].rows if row["channel"] == "all"]
    assert chart.line
    assert bool(chart.forecast) == bool(total["burn_now_yuan"])
    assert bool(chart.empty_on) == (total["days_left"] is not None and total["days_left"] <= 31)


def test_the_page_asks_for_nothing_else(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "action", "data", "poster", "xlink:href"):
            assert name not in attributes, f"{tag} {name}"
        href = attributes.get("href")
        assert href is None or href.startswith(("#", "data:,"))
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
    assert not re.search(
        r"@import|url\((?!#)|fetch\(|XMLHttpRequest|https?://(?!www.w3.org/2000/svg)", html
    )


def test_the_policy_allows_just_the_style_and_the_script_of_the_page(html: str) -> None:
    (policy,) = [a["content"] for t, a in Page(html).tags if t == "meta" and "http-equiv" in a]
    assert policy is not None
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    for kind, text in (("style", style), ("script", script)):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_no_title_does_harm(database: Database) -> None:
    cloud = Story()
    for title in HOSTILE:
        cloud.rents(title=title)
    for _ in range(3):
        cloud.passes(minutes=5)
        apply(database, poll_story(cloud))
    cloud.passes(hours=30)
    apply(database, poll_story(cloud))
    choice = Choice("2026-01-01", "2026-01-03")
    page = build(database, choice, zone=Zone(ZONE), now=int(cloud.now), lang="zh")
    parsed = Page(page)
    assert [tag for tag, _ in parsed.tags if tag in ("img", "iframe", "u")] == []
    assert sum(tag == "script" for tag, _ in parsed.tags) == 2
    shown = {attributes.get("title") for _, attributes in parsed.tags}
    assert set(HOSTILE) <= shown, "they are there, whole, as text"
    (facts,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', page)
    assert {row[1] for row in json.loads(facts)["instances"]} == set(HOSTILE)
    notices = re.findall(r"<a[^>]*>(\u2068.*?\u2069[^<]*)</a>", page, re.DOTALL)
    begun = {unescape(notice).partition("\u2069")[0] for notice in notices}
    assert begun == {f"\u2068{short_line(title)}" for title in HOSTILE}, "their direction ends"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_an_empty_database_gives_a_page(lang: str, database: Database) -> None:
    page = build(database, CHOICE, zone=Zone(ZONE), now=NOW, lang=lang)
    assert ("从未观测" if lang == "zh" else "never observed") in page


@pytest.mark.parametrize(
    ("days", "words", "chinese"), [(0.1, "2.4 h", "2.4 小时"), (3, "3.0 days", "3.0 天")]
)
def test_a_balance_lasts_for_hours_if_not_for_days(days: float, words: str, chinese: str) -> None:
    assert lasting(days) == words
    assert lasting(days).in_language("zh") == chinese


def test_the_states_of_versions_are_in_the_language_of_the_page(kind: str, golden: Golden) -> None:
    page = page_of(golden(kind), lang="zh")
    (facts,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', page)
    texts = set(json.loads(facts)["texts"])
    assert "已停止" in texts
    assert "stopped" not in texts


def test_the_script_has_the_texts_that_it_asks_for_and_no_others() -> None:
    script = (ROOT / "etl" / "page" / "page.js").read_text(encoding="utf-8")
    asked = set(re.findall(r'(?:word|filled)\("([^"]+)"', script))
    assert asked <= set(TEXTS)
    assert [text for text in TEXTS if text not in asked and f'"{text}"' not in script] == []


def test_days_that_nobody_saw_are_said(kind: str, golden: Golden) -> None:
    page = page_of(golden(kind), now=from_iso("2026-03-20T00:00:00Z"))
    assert "days of the period unseen" in page
    assert "before the first poll" in page


def test_a_period_before_the_first_poll_is_not_compared_as_nothing(html: str) -> None:
    assert "before: not observed from the start" in html
    assert "before: 0" not in html
    assert "before: ¥0.00" not in html


def test_time_before_the_first_poll_is_marked_as_known_by_the_bill_alone(
    kind: str, golden: Golden
) -> None:
    database = golden(kind)
    facts = facts_of(database)
    billed = {row["what"]: row for row in asked(database, "billed-usage", by="day")}
    assert billed
    for name, stack in (
        ("cost_yuan", stacks.cost_by_day(facts, lambda row: row["project"], "-")),
        ("gpu_hours", stacks.gpu_hours_by_day(facts)),
    ):
        drawn = {bar.label.split(":")[0]: bar.label.split()[-1] for bar in stack.billed}
        # drawn on top, and in no bar of what was observed
        assert drawn == {day: f"{row[name]:,.2f}" for day, row in billed.items() if row[name] > 0}
    page = Page(html := page_of(database))
    seen = facts["cost"].total("cost_yuan")
    assert page.figures["cost_yuan"] == f"¥{seen:,.2f}"
    whole = sum(row["cost_yuan"] for row in billed.values())
    assert f"and ¥{whole:,.2f} billed before the first poll" in html
    assert "by the bill alone, before the first poll" in html


def test_a_page_of_a_project_has_no_bill_of_before_the_first_poll(
    kind: str, golden: Golden
) -> None:
    facts = facts_of(golden(kind), OF_SPEECH)
    assert stacks.cost_by_day(facts, lambda row: row["project"], "-").billed == []
    assert stacks.gpu_hours_by_day(facts).billed == []


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 record of the source was not understood"), (2, "2 records of the source were not")],
)
def test_one_is_said_as_one(count: int, words: str) -> None:
    tables = defaultdict(lambda: Table("", [], []))
    row = {"gap_hours": 0, "unknown_codes": count, "rejected": count}
    tables["coverage"] = Table("", [], [row])
    facts = Facts(CHOICE, Zone(ZONE), NOW, (NOW, NOW), {}, ("", ""), tables)
    said = [str(notice.text) for notice in attention(facts)]
    assert any(text.startswith(words) for text in said)
    assert not any(re.match(r"1 \w+s ", text) for text in said)


def test_the_command_writes_the_file(run: Command, filled: Database, path: Path) -> None:
    output = path.parent / "page.html"
    done = run("--database", str(path), "page", "--from", "2026-01", "-o", str(output))
    assert done.exit_code == 0
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
    refused = run("--database", str(path), "page", "-o", str(path))
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("first", "last", "before"),
    [
        ("2026-03-01", "2026-03-12", ("2026-02-01", "2026-02-12")),
        ("2026-03-01", "2026-03-31", ("2026-02-01", "2026-02-28")),
        ("2026-03-01", "2026-03-30", ("2026-02-01", "2026-02-28")),
        ("2026-02-01", "2026-02-28", ("2026-01-01", "2026-01-31")),
        ("2026-01-01", "2026-01-05", ("2025-12-01", "2025-12-05")),
        ("2026-03-10", "2026-03-12", ("2026-03-07", "2026-03-09")),
        ("2026-03-01", "2026-05-01", ("2025-12-29", "2026-02-28")),
    ],
)
def test_a_period_is_compared_with_the_samedays_before(
    first: str, last: str, before: tuple[str, str]
) -> None:
    assert days_before(Choice(first, last)) == before


INTERVALS = st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 50)), max_size=20)


@given(INTERVALS)
def test_dashes_cover_just_the_intervals(pairs: list[tuple[float, float]]) -> None:
    intervals = [(a, a + length) for a, length in pairs]
    joined = merged(intervals, STEP)
    assert all(one[1] + STEP < two[0] for one, two in pairwise(joined))
    assert all(any(m[0] <= a and b <= m[1] for m in joined) for a, b in intervals)
    drawn = re.findall(r"m(-?[\d.]+) 0h([\d.]+)", dashes(intervals, 7))
    assert len(drawn) == len(joined)
    pen = 0.0
    for (gap, length), (begins, ends) in zip(drawn, joined, strict=True):
        assert pen + float(gap) == pytest.approx(begins, abs=0.06), "errors do not add up"
        assert float(length) == pytest.approx(max(ends - begins, LEAST), abs=0.06)
        pen += float(gap) + float(length)


@given(st.floats(0, 1e9))
def test_ticks_are_round_and_reach_the_largest_value(most: float) -> None:
    marks = ticks(most)
    assert marks[0] == 0
    assert marks[-1] >= most
    assert 2 <= len(marks) <= 6


def test_a_line_breaks_where_nothing_is_known() -> None:
    assert line([(0, 1), (2, 3), None, (4, 5)]) == "M0 1L2 3M4 5h0"
    assert steps([(0, 1), (2, 3)], 5) == "M0 1H2V3H5"
    assert Scale(0, 10, 100)(20) == 100


@pytest.mark.parametrize(
    ("spent", "words"),
    [
        (0.0, []),
        (0.009, []),
        (0.01, ["project frozen has a budget of nothing and has spent ¥0.01"]),
    ],
)
def test_a_budget_of_nothing_needs_attention_at_the_first_fen(
    spent: float, words: list[str]
) -> None:
    row = {"scope": "project", "name": "frozen", "budget_yuan": 0.0, "spent_yuan": spent}
    tables = defaultdict(lambda: Table("", [], []))
    tables["budget"] = Table("", [], [{**row, "used_percent": None}])
    facts = Facts(CHOICE, Zone(ZONE), NOW, None, {}, ("", ""), tables)
    assert [notice.text for notice in attention(facts) if notice.link == "budget"] == words
