"""Lists as spreadsheets save them: workbooks, and CSV in every usual encoding and spelling."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from etl.books.documents import Document, parse, read
from etl.books.price_files import COLUMNS as PRICES
from etl.books.price_files import prices_of
from etl.books.rule_entries import COLUMNS as RULES
from etl.books.rule_entries import RuleFile, rules_of
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.allocation import Rule
from etl.money.budget import MonthlyBudget
from etl.money.tariffs import Override
from tests.commands import Command, filled, home, path, run
from tests.conftest import ZONE
from tests.priced import YUAN
from tests.support import rows

__all__ = ["filled", "home", "path", "run"]

SHANGHAI = Zone(ZONE)
LOCAL = datetime(2026, 11, 1, 8, 30)  # noqa: DTZ001
"""A cell has no time zone."""
FIXTURES = Path(__file__).parent / "fixtures"
NOVEMBER = SHANGHAI.starts(date(2026, 11, 1))
CHINESE = """\
类别,名称,项目,负责人,成本中心,生效日期,月份,金额,备注
规则,train*,视觉,李雷,4711,2026/11/1,,,合同
预算,,视觉,,,,2026年11月,"￥20,000",
"""
PRICE_LIST = "显卡型号{d}单位{d}单价{d}生效日期\nRTX 4090{d}小时{d}{price}{d}2026年11月1日\n"


def prices(content: bytes | str) -> list[Override]:
    encoded = content.encode() if isinstance(content, str) else content
    return prices_of(parse("p.csv", encoded, PRICES), SHANGHAI)


def rules(content: bytes) -> RuleFile:
    return rules_of(parse("r.csv", content, RULES), SHANGHAI)


def workbook(*lines: list[Any], change: Callable[[Any], None] = lambda _sheet: None) -> bytes:
    book = Workbook()
    for line in lines:
        book.worksheets[0].append(line)
    change(book.worksheets[0])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def refused(content: bytes, columns: Any = PRICES) -> str:
    """The message for a file that is refused."""
    with pytest.raises(SettingsError) as caught:
        read_as(columns, "f", content)
    assert caught.value.advice
    return caught.value.message


def read_as(columns: Any, name: str, content: bytes) -> None:
    document = parse(name, content, columns)
    (prices_of if columns is PRICES else rules_of)(document, SHANGHAI)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_chinese_lists_are_read_in_every_usual_encoding(encoding: str) -> None:
    chosen = rules(CHINESE.encode(encoding))
    assert chosen.rules == [
        Rule(
            1,
            title="train*",
            project="视觉",
            owner="李雷",
            cost_centre="4711",
            valid_from=NOVEMBER,
            note="合同",
        )
    ]
    assert chosen.budgets == [MonthlyBudget("project", "视觉", "2026-11", 20_000 * YUAN)]


def test_utf_16_in_big_endian_with_a_mark_is_read() -> None:
    assert rules(b"\xfe\xff" + CHINESE.encode("utf-16-be")) == rules(CHINESE.encode())


def test_what_is_no_text_is_refused() -> None:
    assert "no text in UTF-8, UTF-16 or GBK" in refused(b"unit,price\nhour,\xff\xff\xff")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_part_cells(delimiter: str) -> None:
    (price,) = prices(PRICE_LIST.format(d=delimiter, price='"1,234.50"'))
    assert (price.gpu_name, price.unit, price.price_microcny, price.valid_from) == (
        "RTX 4090",
        "hour",
        1_234_500_000,
        NOVEMBER,
    )


def test_the_line_that_names_the_delimiter_for_excel_is_no_heading() -> None:
    assert prices("sep=;\r\nunit;price\r\nhour;5\r\n") == prices("unit,price\nhour,5\n")


@pytest.mark.parametrize("text", ["￥20000", "¥20000", "20,000.00", "２００００", "20000元"])
def test_amounts_are_read_in_the_usual_spellings(text: str) -> None:
    (price,) = prices(f'unit,price\nyear,"{text}"\n')
    assert price.price_microcny == 20_000 * YUAN


@pytest.mark.parametrize("text", ["1.234,50", "12,5", "1,23,456"])
def test_an_amount_that_could_be_two_is_refused_with_its_place(text: str) -> None:
    message = refused(f'unit,price\nhour,1\nhour,"{text}"\n'.encode())
    assert "line 3, column B: price could be read in two ways" in message


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01",
        "2026/11/1",
        "2026.11.1",
        "2026年11月1日",
        "2026年11月1号",
        "2026/11/1 0:00",
        "２０２６/１１/１",
        "20261101",
    ],
)
def test_days_are_read_in_the_usual_spellings(text: str) -> None:
    (price,) = prices(f"unit,price,valid_from\nhour,5,{text}\n")
    assert price.valid_from == NOVEMBER


@pytest.mark.parametrize(
    "text", ["2026/11/1 8:30", "2026-11-01 08:30:00", "2026-11-01T08:30", "2026年11月1日 8:30"]
)
def test_a_time_of_day_is_that_of_the_zone_as_in_a_workbook(text: str) -> None:
    (price,) = prices(f"unit,price,valid_from\nhour,5,{text}\n")
    (same,) = prices_of(
        parse("p.xlsx", workbook(["unit", "price", "valid_from"], ["hour", 5, LOCAL]), PRICES),
        SHANGHAI,
    )
    assert price.valid_from == same.valid_from == NOVEMBER + 8 * 3600 + 1800


@pytest.mark.parametrize(
    "text",
    [
        "11/1/2026",
        "1.11.2026",
        "Nov-26",
        "46327",
        "2026-13-01",
        "2026/11/1 25:00",
        "20261301",
        "26/11/1",
    ],
)
def test_a_day_that_could_be_two_is_refused(text: str) -> None:
    assert "valid_from must be a day" in refused(f"unit,price,valid_from\nhour,5,{text}".encode())


def test_a_workbook_is_read_with_its_types() -> None:
    content = workbook(
        ["显卡型号", "单位", "单价", "生效日期", "失效日期", "计费类型", "无卡", "备注"],
        ["RTX 4090", "小时", 0.1 + 0.2, date(2026, 11, 1), date(2026, 12, 1), 2, "否", 4711],
        ["A100", "月", 25500, 46327, LOCAL, None, True, "x"],
        [],
        [None, None],
    )
    first, second = prices_of(parse("p.xlsx", content, PRICES), SHANGHAI)
    assert (first.price_microcny, first.valid_from, first.charging_type, first.note) == (
        300_000,
        NOVEMBER,
        2,
        "4711",
    )
    assert first.valid_to == SHANGHAI.starts(date(2026, 12, 1))
    assert (second.unit, second.no_card, second.valid_from) == ("month", True, NOVEMBER)
    assert second.valid_to == NOVEMBER + 8 * 3600 + 1800


def test_a_month_that_a_spreadsheet_made_a_day_of_is_that_month() -> None:
    content = workbook(
        ["kind", "project", "month", "amount"],
        ["budget", "a", date(2026, 11, 1), 5],
        ["budget", "b", "2026年3月", 5],
        ["budget", "c", 202612, 5],
        ["budget", "d", 46327, 5],
    )
    budgets = rules_of(parse("r.xlsx", content, RULES), SHANGHAI).budgets
    assert [budget.month for budget in budgets] == ["2026-11", "2026-03", "2026-12", "2026-11"]


@pytest.mark.parametrize("unit", ["小时", "元/小时", "按小时", "每小时", "Hour"])
def test_units_are_read_in_the_usual_words(unit: str) -> None:
    assert prices(f"单位,单价\n{unit},5\n")[0].unit == "hour"


@pytest.mark.parametrize(
    "text", ["2026-11", "2026/11", "2026.11", "2026年11月", "202611", "2026/11/1", "2026-11-01"]
)
def test_months_are_read_in_the_usual_spellings(text: str) -> None:
    (budget,) = rules(f"kind,project,month,amount\nbudget,a,{text},5\n".encode()).budgets
    assert budget.month == "2026-11"


@pytest.mark.parametrize("text", ["11月", "Nov-26", "2026-11-02", "11/2026", "202613", "26-11"])
def test_a_month_that_could_be_two_is_refused(text: str) -> None:
    message = refused(f"kind,project,month,amount\nbudget,a,{text},5\n".encode(), RULES)
    assert "line 2, column C: month must be a month such as" in message


@pytest.mark.parametrize(
    "heading", ["单价（元）", "单价 (元)", "Price (CNY)", "price(yuan)", "单价(￥)"]
)
def test_a_heading_may_name_the_currency(heading: str) -> None:
    (price,) = prices(f'unit,"{heading}"\nhour,5\n')
    assert price.price_microcny == 5 * YUAN
    assert "there is no column 'price (USD)'" in refused(b"unit,price (USD)\nhour,5\n")


def test_a_hidden_sheet_is_not_read_and_hidden_rows_are_named() -> None:
    """Lists to choose from are kept in hidden sheets; a filter hides rows that hold all the same."""
    book = Workbook()
    book.worksheets[0].append(["小时", "天"])
    book.worksheets[0].sheet_state = "hidden"
    sheet = book.create_sheet("prices")
    for row in (["unit", "price"], ["hour", 5], ["day", 90]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    file = io.BytesIO()
    book.active = sheet
    book.save(file)
    document = parse("p.xlsx", file.getvalue(), PRICES)
    assert [price.unit for price in prices_of(document, SHANGHAI)] == ["hour", "day"]
    assert document.remarks == [
        "only the sheet 'prices' was read, not Sheet",
        "hidden rows were read too: 3",
    ]


def merges(sheet: Any) -> None:
    sheet.merge_cells("A3:B3")


PROBLEMS: dict[str, tuple[bytes, str]] = {
    "formula": (
        workbook(["unit", "price"], ["hour", "=1+4"]),
        "f, row 2, column B: the formula has no result",
    ),
    "error": (
        workbook(["unit", "price"], ["hour", "#REF!"]),
        "row 2, column B: the cell shows #REF!",
    ),
    "merged": (
        workbook(["unit", "price"], ["hour", 5], ["hour", 6], change=merges),
        "row 3, column A: the cells A3:B3 are merged",
    ),
    "heading twice": (
        workbook(["单价", "unit", "price"], [5, "hour", 6]),
        "row 1, column C: the heading 'price' stands twice: column A is price already",
    ),
    "unknown heading": (
        workbook(["unit", "price", "vendor"], ["hour", 5, "x"]),
        "row 1, column C: there is no column 'vendor'",
    ),
    "no heading": (
        workbook(["unit", "price"], ["hour", 5, None, "x"]),
        "row 2, column D: there are more cells than columns with a heading",
    ),
    "amount": (
        workbook(["unit", "单价"], ["hour", "five"]),
        "row 2, column B (单价): price must be yuan",
    ),
    "long number": (
        workbook(["unit", "price", "note"], ["hour", 5, 1234567890123456789]),
        "row 2, column C: note is a number of which a spreadsheet keeps 15 digits",
    ),
    "date as text": (
        workbook(["unit", "price", "note"], ["hour", 5, date(2026, 10, 1)]),
        "row 2, column C: note must be text: the sheet holds a date",
    ),
    "broken": (b"PK\x03\x04 and no more", "f cannot be read as .xlsx"),
    "old": (bytes.fromhex("d0cf11e0a1b11ae1"), "f is an .xls file"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_named_with_row_and_column(name: str) -> None:
    content, message = PROBLEMS[name]
    assert message in refused(content)


def test_only_the_first_sheet_is_read_and_a_remark_says_so() -> None:
    book = Workbook()
    book.worksheets[0].append(["unit", "price"])
    book.create_sheet("old prices").append(["x"])
    file = io.BytesIO()
    book.save(file)
    assert parse("p.xlsx", file.getvalue(), PRICES).remarks == [
        "only the sheet 'Sheet' was read, not old prices"
    ]


@pytest.mark.parametrize(
    "name", ["rules.xlsx", "rules-gbk.csv", "rules-utf16.txt", "rules-semicolon.csv"]
)
def test_files_that_libreoffice_saved_are_read(name: str) -> None:
    """Made from one sheet by tests/fixtures/README.md."""
    document: Document = read(FIXTURES / "spreadsheets" / name, RULES)
    chosen = rules_of(document, SHANGHAI)
    assert [(r.title, r.project, r.owner, r.cost_centre, r.valid_from) for r in chosen.rules] == [
        ("train*", "视觉", "李雷", "4711", NOVEMBER),
        ("=1+1", "其他", "韩梅梅", "0042", None),
    ]
    assert chosen.budgets == [MonthlyBudget("project", "视觉", "2026-11", 20_000_500_000)]


REMARKS = {
    "title,project\n*,a\ntrain*,b\n": [
        "rule 2 (line 3) can never hold: rule 1 (line 2) takes all that it matches"
    ],
    "title,project\ntrain*,a\nTRAIN-?,b\n": [
        "rule 2 (line 3) can never hold: rule 1 (line 2) takes all that it matches"
    ],
    "title,project\ntrain-?,a\ntrain-*,b\n": [],
    "title,project\ntrain*,a\n,b\n": [],
    "account,title,project\nlab,,a\n,x,b\n": [],
    "title,project,valid_to\n*,a,2026-07-01\n*,b,\n": [
        "rule 1 (line 2) expired at 2026-06-30T16:00:00Z: it holds for earlier usage only"
    ],
    "title,project,valid_from\n*,a,2026-07-01\n*,b,\n": [],
}


@pytest.mark.parametrize("text", REMARKS)
def test_rules_without_effect_are_named(text: str, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text(text, encoding="utf-8")
    assert list(import_rules(database, file, now=NOVEMBER).remarks) == REMARKS[text]


def test_a_list_comes_from_standard_input(run: Command, filled: Database, path: Path) -> None:
    done = run("--database", str(path), "rules", "import", "-", stdin="项目\n视觉\n".encode("gbk"))
    assert done.exit_code == 0, done.output
    assert rows(filled, "SELECT project FROM allocation_rule") == [("视觉",)]
    done = run(
        "--database",
        str(path),
        "prices",
        "import",
        "-",
        stdin='[[price]]\nunit = "hour"\nprice = 5\n',
    )
    assert done.exit_code == 0, done.output
    exported = run("--database", str(path), "rules", "show", "--export", "-")
    assert [n.rstrip(",") for n in exported.stdout.splitlines()[1:]] == ["rule,,,,,视觉"]
