"""Reports in files: workbooks, Parquet, and what a spreadsheet must not do with a title."""

from __future__ import annotations

import builtins
import io
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet
import pytest

from etl.dialect import Database
from etl.errors import SettingsError
from etl.reports.render import Column, write_file, xlsx
from etl.simcloud import Story
from tests.commands import Command, filled, home, path, run
from tests.support import apply, poll_story
from tests.test_cli_looking import HOSTILE, JANUARY, fleet, see

__all__ = ["filled", "fleet", "home", "path", "run", "see"]

COLUMNS = [
    Column("order_number", zh="订单号", kind="text"),
    Column("day", zh="日期", kind="day"),
    Column("started_at", zh="开始", kind="instant"),
    Column("hours", zh="时长", unit="h", kind="number", is_total=True),
    Column("runs", zh="次数", kind="int", is_total=True),
]
ROWS: list[list[Any]] = [
    ["00012345678901234567", "2026-01-02", "2026-01-02T03:04:05Z", 0.1, 3],
    [None, None, None, 0.2, None],
]


def book_of(columns: list[Column], rows: list[list[Any]], lang: str = "en") -> Any:
    file = io.BytesIO()
    write_file(file, "xlsx", "mine", columns, rows, notes=[("period", "all")], made_at=1, lang=lang)
    return openpyxl.load_workbook(file)


def cells(sheet: Any) -> list[list[Any]]:
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def test_a_workbook_holds_numbers_days_and_text_as_such() -> None:
    book = book_of(COLUMNS, ROWS)
    assert book.sheetnames == ["mine", "Notes"]
    head, first, second, last = cells(book["mine"])
    assert head == ["order_number", "day", "started_at (UTC)", "hours (h)", "runs"]
    moments = [datetime(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5)]  # noqa: DTZ001
    assert first == ["00012345678901234567", *moments, 0.1, 3]
    assert second == [None, None, None, 0.2, None]
    assert last == ["total", None, None, "=SUBTOTAL(109,D2:D3)", "=SUBTOTAL(109,E2:E3)"]
    assert book["mine"]["B2"].number_format == "yyyy-mm-dd"
    assert cells(book["Notes"]) == [["note", "value"], ["period", "all"]]


def test_a_workbook_knows_its_sums_without_computing_them() -> None:
    file = io.BytesIO()
    write_file(file, "xlsx", "mine", COLUMNS, ROWS)
    sheet = openpyxl.load_workbook(file, data_only=True)["mine"]
    assert [sheet["D4"].value, sheet["E4"].value] == [0.3, 3]


def test_headings_of_a_workbook_can_be_chinese() -> None:
    book = book_of(COLUMNS, ROWS, "zh")
    assert book.sheetnames == ["mine", "说明"]
    assert cells(book["mine"])[0] == ["订单号", "日期", "开始 (UTC)", "时长 (小时)", "次数"]
    assert cells(book["mine"])[-1][0] == "合计"


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"])
def test_a_title_is_no_formula_in_a_workbook(title: str) -> None:
    cell = book_of([Column("title", kind="text")], [[title]])["mine"]["A2"]
    assert cell.data_type == "s"
    assert cell.quotePrefix
    assert cell.value == title.replace("\t", "\ufffd").replace("\r", "\ufffd")


def test_a_hostile_title_and_an_endless_one_leave_a_workbook_whole() -> None:
    rows = [[HOSTILE], ["x" * 40_000], ["_x0041_"], ["https://example.com"], [10**17], [True]]
    (_, *found) = cells(book_of([Column("title")], rows)["mine"])
    assert found[0][0].startswith("\ufffd[2J\ufffd1m=cmd()")
    assert [len(found[1][0]), found[3][0], found[4][0], found[5][0]] == [
        32_767,
        "https://example.com",
        str(10**17),
        True,
    ]


def test_the_same_rows_give_the_same_bytes() -> None:
    def made(form: str) -> bytes:
        file = io.BytesIO()
        write_file(file, form, "mine", COLUMNS, ROWS, notes=[("a", 1)], made_at=7)
        return file.getvalue()

    assert made("xlsx") == made("xlsx")
    assert made("parquet") == made("parquet")


def test_more_rows_than_a_sheet_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MOST_ROWS", 5)
    book_of([Column("n")], [[1]] * 3)
    with pytest.raises(SettingsError, match="a sheet holds 5 rows"):
        book_of([Column("n")], [[1]] * 4)


def test_parquet_is_typed_by_the_header_even_without_rows() -> None:
    for rows in (ROWS, []):
        file = io.BytesIO()
        write_file(file, "parquet", "mine", COLUMNS, rows)
        table = pyarrow.parquet.read_table(file)
        assert [str(field.type) for field in table.schema] == [
            "string",
            "date32[day]",
            "timestamp[ms, tz=UTC]",
            "double",
            "int64",
        ]
        assert table.num_rows == len(rows)
    file = io.BytesIO()
    write_file(file, "parquet", "mine", COLUMNS, ROWS)
    (first, _) = pyarrow.parquet.read_table(file).to_pylist()
    assert first["day"] == date(2026, 1, 2)
    assert first["started_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_parquet_types_what_no_header_describes_by_its_first_rows() -> None:
    names = ["nothing", "truth", "n", "x", "day", "at", "title"]
    rows = [[None, True, 1, 1.5, "2026-01-02", "2026-01-02T03:04:05Z", "2026-01-02x"]]
    file = io.BytesIO()
    write_file(file, "parquet", "mine", [Column(name) for name in names], rows)
    assert [str(field.type) for field in pyarrow.parquet.read_schema(file)] == [
        *("string", "bool", "int64", "double", "date32[day]", "timestamp[ms, tz=UTC]", "string")
    ]


def test_a_later_row_that_does_not_fit_is_named() -> None:
    rows: list[list[Any]] = [*([[1]] * 20_000), ["x"]]
    with pytest.raises(SettingsError, match="column n holds what is no int64") as caught:
        write_file(io.BytesIO(), "parquet", "mine", [Column("n")], rows)
    assert "@column" in str(caught.value.advice)


def test_without_the_library_for_parquet_the_advice_is_to_install_it(
    monkeypatch: pytest.MonkeyPatch, see: Command, home: Path
) -> None:
    found = builtins.__import__

    def missing(name: str, *words: Any, **named: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return found(name, *words, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    result = see("report", "now", "-o", "now.parquet")
    assert result.exit_code == 2
    assert "pip install 'chenyu-etl[parquet]'" in result.stderr
    assert not list(home.glob("*now*"))


# the command


@pytest.mark.parametrize("form", ["csv", "json", "txt", "xlsx", "parquet"])
def test_the_ending_of_a_file_says_its_format(form: str, see: Command, home: Path) -> None:
    result = see("report", "uptime", *JANUARY, "-o", f"out.{form}")
    assert result.exit_code == 0
    assert f"written: out.{form}" in result.stderr
    assert result.stdout == ""
    (said,) = json.loads(see("report", "uptime", *JANUARY, "--json").stdout)
    file = home / f"out.{form}"
    if form == "xlsx":
        _, head, row = cells(openpyxl.load_workbook(file)["uptime"])
        assert [name.partition(" (")[0] for name in head] == list(said)
        assert row == list(said.values())
    elif form == "parquet":
        assert pyarrow.parquet.read_table(file).to_pylist() == [said]
    elif form == "json":
        assert json.loads(file.read_text()) == [said]
    else:
        assert str(said["instance_uuid"]) in file.read_text()


def test_the_notes_say_what_a_reader_must_know(see: Command, home: Path) -> None:
    see("report", "uptime", *JANUARY, "-o", "out.xlsx")
    (_, *lines) = cells(openpyxl.load_workbook(home / "out.xlsx")["Notes"])
    notes = {line[0]: line[1] for line in lines}
    assert notes["report"] == "uptime"
    assert notes["period"] == "2026-01-01 – 2026-01-31"
    assert notes["time zone"] == "Asia/Shanghai"
    assert notes["gap in observation"].startswith("lab: 2026-01-01T02:")
    assert notes["program"].startswith("chenyu-etl ")
    assert re.search(r"Z \(.*Asia/Shanghai\)$", notes["made at (UTC)"])


def test_the_notes_name_the_gaps(see: Command, filled: Database, fleet: Story, home: Path) -> None:
    fleet.passes(hours=2)
    apply(filled, poll_story(fleet))
    see("report", "uptime", *JANUARY, "--lang", "zh", "-o", "out.xlsx")
    lines = cells(openpyxl.load_workbook(home / "out.xlsx")["说明"])
    starts, ends = (
        f"2026-01-01T0{hour}:10:0{s}Z (2026-01-01 {hour + 8}:10:0{s} Asia/Shanghai)"
        for hour, s in ((2, 1), (4, 0))
    )
    assert ["观测缺口", f"lab: {starts} – {ends}，119 分钟"] in lines


@pytest.mark.parametrize("form", ["xlsx", "parquet"])
def test_what_is_no_text_needs_a_file(form: str, see: Command) -> None:
    result = see("report", "now", "--format", form)
    assert result.exit_code == 2
    assert f"--output FILE.{form}" in result.stderr


def test_a_file_without_a_known_ending_needs_a_format(see: Command, home: Path) -> None:
    assert "does not say its format" in see("report", "now", "-o", "out").stderr
    assert see("report", "now", "-o", "out", "--format", "csv").exit_code == 0
    assert (home / "out").read_text().startswith("account,")


def test_a_failing_report_leaves_the_older_file_alone(see: Command, home: Path) -> None:
    (home / "out.xlsx").write_text("older")
    (home / "bad.sql").write_text("SELECT * FROM nowhere")
    assert see("report", "--file", "bad.sql", "-o", "out.xlsx").exit_code == 2
    assert (home / "out.xlsx").read_text() == "older"
    assert see("report", "now", "-o", "no/such/folder.csv").exit_code == 2
    assert not list(home.glob(".*"))


def test_headings_of_tables_follow_the_language_of_the_environment(see: Command) -> None:
    assert "账户" in see("report", "now", CHENYU_LANG="zh").stdout
    assert "账户" in see("report", "now", LC_ALL="zh_CN.UTF-8").stdout


def test_headings_of_csv_change_only_if_the_command_asks(see: Command) -> None:
    words = ["report", "now", "--format", "csv"]
    plain = see(*words).stdout
    assert see(*words, CHENYU_LANG="zh").stdout == plain
    assert see(*words, "--lang", "zh").stdout.startswith("\ufeff账户,名称,状态,显卡")


def test_a_sheet_says_until_when_it_was_observed(see: Command, home: Path) -> None:
    see("report", "uptime", *JANUARY, "-o", "out.xlsx")
    sheet = openpyxl.load_workbook(home / "out.xlsx")["uptime"]
    assert sheet["A1"].value.startswith("observed until 2026-01-01T")
    assert sheet["A2"].value == "account"


def test_a_sheet_has_local_time_beside_utc_or_alone(see: Command, home: Path) -> None:
    heads = {}
    for words in ((), ("--tz", "local")):
        see("report", "now", *words, "-o", "out.xlsx")
        heads[words] = [c.value for c in openpyxl.load_workbook(home / "out.xlsx")["now"][2]]
    utc, local = "running_since (UTC)", "running_since (Asia/Shanghai)"
    assert heads[()][heads[()].index(utc) + 1] == local
    assert local in heads["--tz", "local"]
    assert utc not in heads["--tz", "local"]
