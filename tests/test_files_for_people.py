"""Files that people open in a spreadsheet: CSV with a mark, numbers that are names, names of sheets."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.exports import focus
from etl.history.months import Month
from etl.reports.notes import notes_of_month
from etl.reports.render import render
from etl.reports.render.columns import Column
from etl.reports.render.xlsx import LONGEST_NAME, Book
from etl.simcloud import Story
from etl.store import writing
from tests.commands import Command, filled, home, path, run
from tests.conftest import ZONE
from tests.priced import YUAN, lists
from tests.support import apply, poll_story
from tests.support import rows as stored

__all__ = ["filled", "home", "path", "run"]

ORDER = "20261101000000012345"
COLUMNS = [Column("order", zh="订单号"), Column("amount", kind="number")]


@pytest.mark.parametrize(("lang", "for_excel"), [("zh", False), ("en", True)])
def test_csv_for_people_has_a_mark_and_keeps_numbers_that_are_names(
    lang: str, for_excel: bool
) -> None:
    rows = [[ORDER, 12.5], ["0042", 1], ["12e5", 1], ["=1+1", 1], ["abc", 1], ["42", 1]]
    text = "\n".join(render("csv", COLUMNS, rows, lang, for_excel=for_excel))
    assert text.startswith("\ufeff")
    cells = [row[0] for row in csv.reader(io.StringIO(text.removeprefix("\ufeff")))]
    assert cells[1:] == [f'="{ORDER}"', '="0042"', '="12e5"', "'=1+1", "abc", "42"]
    assert "\ufeff" not in text[1:]


def test_csv_for_programs_stays_as_it_is() -> None:
    assert list(render("csv", COLUMNS, [[ORDER, 1]])) == ["order,amount", f"{ORDER},1"]


def test_names_of_sheets_are_cleaned_and_told_apart() -> None:
    file = io.BytesIO()
    names = ["a[b]:*?/\\c", "x" * 40, "X" * 40, "", "History", "'q'", "Bill", "bill"]
    with Book(file, 0) as book:
        for name in names:
            book.sheet(name, COLUMNS, [[ORDER, 1]])
        book.notes([("a", "b")])
    made = openpyxl.load_workbook(file).sheetnames
    assert made == [
        "a_b______c",
        "x" * 31,
        "X" * 27 + " (2)",
        "_",
        "History (2)",
        "q",
        "Bill",
        "bill (2)",
        "Notes",
    ]
    assert max(map(len, made)) == LONGEST_NAME


def polled(database: Database, title: str = "train") -> None:
    cloud = Story()
    cloud.rents(title=title)
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, YUAN))
    cloud.passes(hours=2)
    apply(database, poll_story(cloud))


def test_reports_and_exports_go_to_standard_output(
    run: Command, filled: Database, path: Path
) -> None:
    polled(filled)
    words = ("--database", str(path), "report", "now", "-o", "-")
    done = run(*words, "--format", "xlsx")
    assert done.exit_code == 0, done.output
    assert openpyxl.load_workbook(io.BytesIO(done.stdout_bytes)).sheetnames == ["now", "Notes"]
    assert run(*words, "--format", "csv", "--excel").stdout_bytes.startswith(b"\xef\xbb\xbf")
    assert b"train" in run(*words).stdout_bytes
    month = ("--month", "2026-01", "-o", "-")
    done = run("--database", str(path), "export", "focus", *month)
    assert done.stdout_bytes.startswith(b"AvailabilityZone,")
    done = run("--database", str(path), "report", "month", *month)
    assert done.stdout_bytes.startswith(b"PK")
    assert not Path("-").exists()


@pytest.mark.parametrize(
    "title", ['=HYPERLINK("http://x")', "+1+cmd|' /C calc'!A0", "@SUM(A1)", "＝1+1", "-2+3"]
)
def test_no_file_runs_a_title_as_a_formula(title: str, database: Database, tmp_path: Path) -> None:
    polled(database, title)
    focus.export_focus(database, "2026-01", tmp_path / "f.csv")
    with (tmp_path / "f.csv").open(newline="", encoding="utf-8") as file:
        assert {row["ResourceName"] for row in csv.DictReader(file)} == {f"'{title}"}
    for for_excel in (False, True):
        line = list(render("csv", COLUMNS, [[title, 1]], for_excel=for_excel))[1]
        assert next(csv.reader([line])) == [f"'{title}", "1"]


def test_json_in_focus_cells_is_json_whatever_the_text(database: Database, tmp_path: Path) -> None:
    polled(database)
    owner = 'Li Lei\nHan\tMei\rMei\x1b\x7f"\\'
    rule: dict[str, Any] = {"project": "p", "owner": owner}
    text = "[[rule]]\n" + "\n".join(f"{name} = {json.dumps(said)}" for name, said in rule.items())
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    import_rules(database, tmp_path / "r.toml")
    focus.export_focus(database, "2026-01", tmp_path / "f.csv")
    with (tmp_path / "f.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(json.loads(row["Tags"]) == rule for row in rows)
    shown = stored(database, 'SELECT "Tags" FROM focus_cost_and_usage')
    assert [json.loads(tags) for (tags,) in shown] == [rule] * len(shown)


def test_the_workbook_of_a_closed_month_says_since_when_it_is_closed(database: Database) -> None:
    polled(database)
    with writing(database) as db:
        (lab,) = db.books.accounts()
        db.books.freeze(lab, Month.parse("2026-01"), 1_770_000_000)
    for month, is_closed in (("2026-01", True), ("2026-02", False)):
        said = {"account": None, "from_day": f"{month}-01", "to_day": f"{month}-28"}
        found = notes_of_month(database, month, said, zone=ZONE, made_at=0, lang="zh")
        both = "2026-02-02T02:40:00Z (2026-02-02 10:40:00 Asia/Shanghai)"
        note = ("关账时间 (UTC)", f"lab: {both}")
        assert (note in found) is is_closed
