"""Files that a real LibreOffice made of lists, and what it makes of ours."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
from openpyxl import load_workbook

from etl.books.documents import parse
from etl.books.price_files import COLUMNS as PRICES
from etl.books.price_files import prices_of
from etl.books.rule_entries import COLUMNS as RULES
from etl.books.rule_entries import rules_of
from etl.history.days import Zone
from etl.reports.render import render, write_file
from etl.reports.render.columns import Column
from tests.conftest import ZONE

SOFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed")
SHANGHAI = Zone(ZONE)
RULE_LIST = (
    "类别,名称,项目,负责人,成本中心,生效日期,月份,金额,备注\n"
    "规则,train*,视觉,李雷,4711,2026-11-01,,,合同\n"
    "预算,,视觉,,,,2026-11,20000,\n"
)
PRICE_LIST = "显卡型号,单位,单价,生效日期\nRTX 4090,小时,1.88,2026-11-01\n"
TEXT = "csv:Text - txt - csv (StarCalc)"
SAVED = {
    "xlsx": "xlsx",
    "GBK with semicolons": f"{TEXT}:59,34,GBK",
    "UTF-16 with tabs": f"{TEXT}:9,34,UTF-16",
    "UTF-8 with commas": f"{TEXT}:44,34,UTF-8",
}
ORDER = "20609224085729066415"
COLUMNS = [
    Column("order_number", zh="订单号", kind="text"),
    Column("day", zh="日期", kind="day"),
    Column("amount_yuan", zh="金额", kind="number", is_total=True),
    Column("remark", zh="备注", kind="text"),
]
ROWS = [[ORDER, "2026-11-01", 12.5, "训练"], ["007", "2026-11-02", 3.25, "=1+1"]]


def saved(file: Path, form: str, room: Path) -> Path:
    """The file as LibreOffice saves it in a form."""
    room.mkdir()
    subprocess.run(
        [
            str(SOFFICE),
            f"-env:UserInstallation=file://{room}/profile",
            "--headless",
            "--infilter=CSV:44,34,UTF-8,1,,0,false,true,false"
            if file.suffix == ".csv"
            else "--norestore",
            "--convert-to",
            form,
            "--outdir",
            str(room),
            str(file),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    (made,) = [path for path in room.iterdir() if path.suffix in (".xlsx", ".csv")]
    return made


@pytest.mark.parametrize("form", SAVED)
def test_lists_that_it_saves_are_imported(form: str, tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_text(RULE_LIST, encoding="utf-8")
    (tmp_path / "prices.csv").write_text(PRICE_LIST, encoding="utf-8")
    books = {
        name: saved(tmp_path / f"{name}.csv", "xlsx", tmp_path / f"book-{name}")
        for name in ("rules", "prices")
    }
    files = {
        name: book if form == "xlsx" else saved(book, SAVED[form], tmp_path / f"text-{name}")
        for name, book in books.items()
    }
    rules = rules_of(parse(files["rules"].name, files["rules"].read_bytes(), RULES), SHANGHAI)
    (rule,), (budget,) = rules.rules, rules.budgets
    november = SHANGHAI.starts(date(2026, 11, 1))
    assert (rule.project, rule.owner, rule.cost_centre) == ("视觉", "李雷", "4711")
    assert (rule.title, rule.valid_from, rule.note) == ("train*", november, "合同")
    assert (budget.name, budget.month, budget.amount_microcny) == (
        "视觉",
        "2026-11",
        20_000_000_000,
    )
    read = parse(files["prices"].name, files["prices"].read_bytes(), PRICES)
    (price,) = prices_of(read, SHANGHAI)
    assert (price.gpu_name, price.price_microcny) == ("RTX 4090", 1_880_000)
    assert (price.unit, price.valid_from) == ("hour", november)


def test_our_csv_for_people_keeps_orders_as_text_and_chinese_whole(tmp_path: Path) -> None:
    text = "\n".join(render("csv", COLUMNS, ROWS, "zh"))
    (tmp_path / "ours.csv").write_text(text, encoding="utf-8")
    sheet = load_workbook(
        saved(tmp_path / "ours.csv", "xlsx", tmp_path / "b"), data_only=True
    ).active
    head, first, second = sheet.iter_rows(values_only=True)
    assert head == ("订单号", "日期", "金额", "备注")
    assert first[0] == ORDER
    assert (first[1].date(), first[2], first[3]) == (date(2026, 11, 1), 12.5, "训练")
    assert second[0] == "007"
    assert second[3].lstrip("'") == "=1+1"


def test_our_workbook_comes_back_as_it_was_written(tmp_path: Path) -> None:
    with (tmp_path / "ours.xlsx").open("wb") as file:
        write_file(file, "xlsx", "a[b]:*?/\\" + "长" * 40, COLUMNS, ROWS, above="已观测", lang="zh")
    book = load_workbook(saved(tmp_path / "ours.xlsx", "xlsx", tmp_path / "b"), data_only=True)
    above, head, first, second, total = book.worksheets[0].iter_rows(values_only=True)
    assert above[0] == "已观测"
    assert head[0] == "订单号"
    assert (first[0], first[1].date(), first[2], first[3]) == (
        ORDER,
        date(2026, 11, 1),
        12.5,
        "训练",
    )
    assert (second[0], second[3]) == ("007", "=1+1")
    assert total[2] == 15.75
