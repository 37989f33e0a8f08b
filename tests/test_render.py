"""Rows for people: aligned, cut to a width, and nothing that a terminal obeys."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.reports.render import TEXT_FORMATS, Column, render, width

titles = st.text(max_size=80)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("训练", 4), ("ｆｕｌｌ", 8), ("e\u0301", 1), ("…", 1)],
)
def test_the_width_of_a_text_is_what_a_terminal_takes(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.lists(st.tuples(titles, st.integers(-9, 9_999)), min_size=1, max_size=4))
def test_all_lines_of_a_table_are_aligned(rows: list[tuple[str, int]]) -> None:
    lines = list(render("table", ["title", "n"], rows))
    assert len(lines) == 2 + len(rows)
    assert {width(line) for line in lines} == {width(lines[1])}
    assert all(line.isprintable() for line in lines)
    assert width(lines[1]) <= 60 + 2 + 5


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("训" * 30, "训" * 30),
        ("训" * 31, "训" * 29 + "…"),
        ("x" + "训" * 30, "x" + "训" * 29 + "…"),
        ("x" * 1_000_000, "x" * 59 + "…"),
    ],
)
def test_a_long_title_is_cut(title: str, shown: str) -> None:
    assert list(render("table", ["title"], [[title]]))[2] == shown


def test_numbers_are_to_the_right_and_absence_is_empty() -> None:
    assert list(render("table", ["n", "h", "t"], [[5, 1234.5, None], [None, 0.125, "x"]])) == [
        "n         h  t",
        "-  --------  -",
        "5  1,234.50",
        "       0.12  x",
    ]


@given(st.lists(st.tuples(titles, st.none() | st.integers() | st.booleans()), max_size=3))
def test_json_is_what_it_was(rows: list[tuple[str, int | None]]) -> None:
    lines = list(render("json", ["title", "n"], rows))
    assert json.loads("\n".join(lines)) == [{"title": t, "n": n} for t, n in rows]


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_no_rows_are_said_as_such(form: str) -> None:
    expected = {"table": ["(no rows)"], "json": ["[]"], "csv": ["a,b"]}
    assert list(render(form, ["a", "b"], [])) == expected[form]


COLUMNS = [
    Column("title", zh="名称"),
    Column("hours", zh="时长", unit="h", kind="number", is_total=True),
    Column("runs", zh="次数", kind="int", is_total=True),
    Column("percent", zh="覆盖", unit="%", kind="number"),
]
ROWS = [["训练", 1234.1, 1000, 99.5], ["eval", 0.2, None, None]]


def test_a_table_has_units_thousands_and_a_row_of_totals() -> None:
    assert list(render("table", COLUMNS, ROWS)) == [
        "title  hours (h)   runs  percent (%)",
        "-----  ---------  -----  -----------",
        "训练    1,234.10  1,000        99.50",
        "eval        0.20",
        "-----  ---------  -----  -----------",
        "total   1,234.30  1,000",
    ]


def test_a_single_row_needs_no_totals() -> None:
    assert len(list(render("table", COLUMNS, ROWS[:1]))) == 3


def test_headings_can_be_chinese_where_people_read_them() -> None:
    assert next(iter(render("csv", COLUMNS, ROWS, "zh"))) == "\ufeff名称,时长,次数,覆盖"
    table = list(render("table", COLUMNS, ROWS, "zh"))
    assert table[0].split() == ["名称", "时长", "(小时)", "次数", "覆盖", "(%)"]
    assert table[-1].startswith("合计")
    assert len({width(line) for line in (table[0], table[1])}) == 1
    assert json.loads("".join(render("json", COLUMNS, ROWS, "zh")))[0]["title"] == "训练"
