"""Tables for a person at a terminal: they fit, say what they leave out, and are legible."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import reports
from etl.reports.render import Column, screen, width
from etl.reports.render.fit import Fitting, Rank, Size, fit
from etl.reports.render.look import ASCII, Look, short_heading, unit_below
from etl.reports.render.moments import short_moments
from etl.reports.render.wrapping import wrapped

NOW = list(reports.load_report("now").columns.values())
ID = "3f2a9c1e-0000-4000-8000-00000000000"


def now_row(title: str, number: int, hours: float | None = 4.5) -> list[object]:
    since = None if hours is None else f"2026-11-{20 + number}T03:04:05Z"
    price = None if hours is None else 12.8
    state = "stopped" if hours is None else "running"
    return [
        *("lab", title, state, "8× A100", since, hours, None, "alice", None, price),
        *("pytorch:2.3", f"{ID}{number}", "2026-11-28T12:00:00Z"),
    ]


ROWS = [now_row("训练 train 大模型", 1), now_row("eval", 2, None), now_row("x" * 90, 3)]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 120, 200])
def test_no_line_of_a_table_is_wider_than_the_screen(columns: int) -> None:
    lines = list(screen.lines(NOW, ROWS, Look(columns)))
    assert max(map(width, lines)) <= columns


titles = st.text(max_size=80)
cells = st.tuples(titles, st.none() | st.integers(-9, 99_999), st.none() | titles)


@given(st.lists(cells, min_size=1, max_size=4), st.integers(20, 120))
def test_whatever_a_title_is_the_rows_are_aligned(
    rows: list[tuple[str, int | None, str | None]], columns: int
) -> None:
    named = [Column("title"), Column("runs", kind="int", is_total=True), Column("note")]
    lines = list(screen.lines(named, rows, Look(columns)))
    assert all(line.isprintable() for line in lines)
    assert max(map(width, lines)) <= columns
    rule = next(line for line in lines if set(line) <= {"─", " "})
    assert width(rule) <= columns


@pytest.mark.parametrize(
    "title",
    [
        "\x1b[2J\x1b]0;title\x07\x9b1m",
        "\u202eevil\u2066\u200f",
        "👨\u200d👩\u200d👧 ☁\ufe0f",
        "训" * 200,
    ],
)
def test_a_hostile_title_is_harmless_and_keeps_its_row_aligned(title: str) -> None:
    rows = [now_row(title, 1), now_row("plain", 2), now_row("off", 3, None)]
    lines = list(screen.lines(NOW, rows, Look(80)))
    assert all(line.isprintable() and width(line) <= 80 for line in lines)
    priced = [line for line in lines if line.endswith("12.80")]
    assert (len(priced), len(set(map(width, priced)))) == (2, 1)
    assert any("plain" in line for line in lines)


def test_columns_go_in_the_stated_order() -> None:
    sizes = [
        Size(10, 10, Rank.ALIKE),
        Size(10, 10, Rank.FIRST),
        Size(10, 10, Rank.KEPT),
        Size(10, 10, Rank.USUAL),
        Size(10, 10, Rank.USUAL),
        Size(10, 10, Rank.IDENTITY),
        Size(10, 10, Rank.EMPTY),
    ]
    dropped = [fit(sizes, room).dropped for room in range(82, 9, -12)]
    assert dropped == [
        [],
        [6],
        [0, 6],
        [0, 5, 6],
        [0, 4, 5, 6],
        [0, 3, 4, 5, 6],
        [0, 2, 3, 4, 5, 6],
    ]


def test_texts_are_cut_before_a_column_goes() -> None:
    sizes = [Size(60, 20, Rank.FIRST), Size(10, 10, Rank.USUAL)]
    assert fit(sizes, 50).widths == {0: 38, 1: 10}
    assert fit(sizes, 31).dropped == [1]


@given(st.lists(st.text("abc", min_size=1, max_size=50), min_size=2, max_size=6, unique=True))
def test_texts_that_differ_never_look_alike(texts: list[str]) -> None:
    columns = [Column("line"), Column("amount"), Column("note")]
    rows = [[text, f"{number} " * 10, f"{number}" * 20] for number, text in enumerate(texts)]
    lines = list(screen.lines(columns, rows, Look(60)))[2:][: len(rows)]
    assert len({line.split("  ")[0] for line in lines}) == len(texts)


def test_what_says_nothing_goes_before_a_text_is_cut() -> None:
    sizes = [Size(10, 10, Rank.ALIKE), Size(60, 20, Rank.FIRST), Size(10, 10, Rank.USUAL)]
    assert fit(sizes, 75) == Fitting({1: 60, 2: 10}, [0])
    assert fit(sizes, 84).dropped == []


def test_what_is_left_out_is_said_under_the_table() -> None:
    *_, last = "\n".join(screen.lines(NOW, ROWS, Look(80))).partition("left out: ")
    words = " ".join(last.split())
    assert words.startswith("timer (empty), project (empty), account (lab), ")
    assert "instance_uuid" in words
    assert words.endswith("; --wide shows all")
    assert "left out" not in "\n".join(screen.lines(NOW, ROWS, Look(250)))


def test_wide_shows_every_column_in_full() -> None:
    text = "\n".join(screen.lines(NOW, ROWS, Look(80, is_wide=True)))
    assert f"{ID}1" in text
    assert "2026-11-28T12:00:00Z" in text
    assert "left out" not in text
    assert "x" * 90 in text


def test_columns_that_were_asked_for_all_stay() -> None:
    lines = list(screen.lines(NOW, ROWS, Look(40, is_chosen=True)))
    assert "left out" not in "\n".join(lines)
    assert max(map(width, lines)) > 40


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        (["abcdefgh-1", "abcdefgz-2"], ["abcdefgh", "abcdefgz"]),
        (["aaaaaaaaaa", "bbbbbbbbbb"], ["aaaaaaaa", "bbbbbbbb"]),
        (["same-for-all", "same-for-all"], ["same-for", "same-for"]),
        (["abcdef", "abcdefg"], ["abcdef", "abcdefg"]),
        (["abc"], ["abc"]),
    ],
)
def test_identities_are_cut_to_what_tells_them_apart(ids: list[str], short: list[str]) -> None:
    assert screen.short_ids(ids) == short


@given(st.lists(st.text("abc-", min_size=1, max_size=12), max_size=8, unique=True))
def test_two_identities_never_look_alike(ids: list[str]) -> None:
    assert len(set(screen.short_ids(ids))) == len(ids)


@pytest.mark.parametrize(
    ("values", "cells", "unit"),
    [
        (["2026-11-28T12:34:56Z", None], ["11-28 12:34", "—"], "2026 UTC"),
        (["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"], ["2025-12-31 23:59", "2026-01-01 00:00"], "UTC"),
        (["2026-11-28 12:34:56+08:00"], ["11-28 12:34"], "2026 +08:00"),
        (
            ["2026-03-08 01:00:00-05:00", "2026-03-08 03:00:00-04:00"],
            ["03-08 01:00-05:00", "03-08 03:00-04:00"],
            "2026",
        ),
        ([None], ["—"], ""),
    ],
)  # fmt: skip
def test_instants_are_short_and_their_column_says_the_rest(
    values: list[str | None], cells: list[str], unit: str
) -> None:
    assert short_moments("instant", values, "—") == (cells, unit)


def test_days_share_their_year() -> None:
    assert short_moments("day", ["2026-11-01", "2026-11-02"], "—") == (["11-01", "11-02"], "2026")
    assert short_moments("day", ["2025-11-01", "2026-11-02"], "—")[1] == ""


@pytest.mark.parametrize(
    ("column", "heading", "unit"),
    [
        (Column("cost_yuan_min", unit="yuan"), "cost min", "yuan"),
        (Column("gpu_hours", unit="card-h"), "GPU hours", ""),
        (Column("yuan_per_hour", unit="yuan"), "per hour", "yuan"),
        (Column("used_percent", unit="%"), "used", "%"),
        (Column("days_left", unit="d"), "days left", ""),
        (Column("expected_off_s", unit="s"), "expected off", "s"),
        (Column("instance_uuid"), "instance", ""),
        (Column("yuan"), "yuan", ""),
    ],
)
def test_a_heading_says_the_unit_once(column: Column, heading: str, unit: str) -> None:
    assert (short_heading(column, "en"), unit_below(column, "en")) == (heading, unit)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", reports.report_names())
def test_no_heading_of_a_report_says_its_unit_twice(name: str, lang: str) -> None:
    columns = reports.load_report(name).columns.values()
    headings = [(short_heading(column, lang), unit_below(column, lang)) for column in columns]
    assert [pair for pair in headings if pair[1] and pair[1] in pair[0].split()] == []
    assert len(set(headings)) == len(headings)


def test_sums_stand_under_their_columns() -> None:
    columns = [Column("title"), Column("runs", kind="int", is_total=True)]
    lines = list(screen.lines(columns, [["a", 1_000], ["b", 234]], Look(40)))
    assert lines == [
        "title   runs",
        "─────  ─────",
        "a      1,000",
        "b        234",
        "─────  ─────",
        "total  1,234",
    ]


def test_no_line_of_sums_is_left_if_their_columns_are() -> None:
    columns = [Column("title"), Column("runs", kind="int", is_total=True)]
    rows = [["a" * 30, 1_000], ["b", 234]]
    assert "total" not in "\n".join(screen.lines(columns, rows, Look(20)))


def marked(style: str, text: str) -> str:
    return f"<{style}:{text}>" if style and text else text


def test_colour_is_never_alone() -> None:
    columns = [
        Column("state"),
        Column("used_percent", unit="%"),
        Column("change_yuan", unit="yuan"),
    ]
    rows = [["running", 112.0, 5.5], ["failed", 80.0, -5.5], ["stopped", None, 0.0]]
    look = Look(60, paint=marked)
    painted = list(screen.lines(columns, rows, look))[3:6]
    assert painted == [
        "<good:running>  <bad:! 112.00>   +5.50",
        "<bad:failed>      80.00   -5.50",
        "<faint:stopped>         <faint:—>    0.00",
    ]
    plain = list(screen.lines(columns, rows, replace(look, paint=lambda _, text: text)))
    assert plain[3] == "running  ! 112.00   +5.50"


def test_words_are_styled_by_what_they_mean_in_any_language() -> None:
    columns = [Column("state", zh="状态")]
    lines = list(screen.lines(columns, [["running"]], Look(60, "zh", marked), [["运行中"]]))
    assert lines[-1] == "<good:运行中>"


def test_a_terminal_without_these_signs_gets_plain_ones() -> None:
    text = "\n".join(screen.lines(NOW, ROWS, Look(80, signs=ASCII)))
    assert text.replace("训练 train 大模型", "").replace("×", "").isascii()


def test_vertical_gives_a_block_for_each_row_in_full() -> None:
    lines = list(screen.blocks(NOW, ROWS[:2], Look(80)))
    assert lines[0].startswith("─ 1 ─")
    assert "running since  2026-11-21T03:04:05Z" in lines
    assert f"instance       {ID}1" in lines
    assert "hours          4.50 h" in lines
    assert "project        —" in lines
    assert len(lines) == 2 * (len(NOW) + 1)


@given(st.text("ab 训练，。", max_size=80), st.integers(4, 40))
def test_a_wrapped_text_fits_and_loses_nothing(text: str, room: int) -> None:
    lines = list(wrapped(text, room))
    assert max(map(width, lines)) <= room
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("训练训练训", 4, ["训练", "训练", "训"]),
        ("训练，训练", 4, ["训", "练，", "训练"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("", 5, [""]),
    ],
)
def test_a_text_is_wrapped_between_words_and_wide_characters(
    text: str, room: int, lines: list[str]
) -> None:
    assert list(wrapped(text, room)) == lines


def test_no_rows_are_said_as_such() -> None:
    for make in (screen.lines, screen.blocks):
        assert list(make(NOW, [], Look(80))) == ["(no rows)"]
