"""The month for the books: every sheet, the same cells each time."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from etl import reports
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone, from_iso, iso
from etl.reports.words import VALUES, WORDS
from etl.reports.workbook import SHEETS, write_month
from etl.resources import CARDS
from tests.conftest import FilledOnce
from tests.support import rows
from tests.test_money_records import CARD
from tests.test_money_store import take
from tests.test_reconciliation import Watched

TODAY, MADE_AT = date(2026, 1, 8), 1_767_800_000


@pytest.fixture(scope="module")
def lived_once(filled_once: FilledOnce) -> Callable[[str], Database]:
    return filled_once("lived", live)


@pytest.fixture
def lived(kind: str, lived_once: Callable[[str], Database]) -> Database:
    """A day that is over, for tests that read."""
    return lived_once(kind)


def live(database: Database) -> None:
    story = Watched(database)
    story.cloud.recharges(100)
    story.cloud.gives_card(5, sale_price=4)
    story.until(1)
    a = story.cloud.rents(title="=cmd()", gpus=2)
    story.until(4)
    story.cloud.stops(a)
    story.until(30)


def written(database: Database, path: Path, lang: str = "en", month: str = "2026-01") -> Path:
    write_month(
        database,
        path,
        month,
        account=None,
        zone="Asia/Shanghai",
        today=TODAY,
        made_at=MADE_AT,
        lang=lang,
    )
    return path


def both(instant: int) -> str:
    """An instant in UTC and in the reporting time zone, as notes have it."""
    local = Zone("Asia/Shanghai").local(instant)
    return f"{iso(instant)} ({local:%Y-%m-%d %H:%M:%S} Asia/Shanghai)"


def test_the_same_month_gives_the_same_cells(lived: Database, tmp_path: Path) -> None:
    first, again = (written(lived, tmp_path / name) for name in ("a.xlsx", "b.xlsx"))
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(again) as other:
        assert one.namelist() == other.namelist()
        assert all(one.read(name) == other.read(name) for name in one.namelist())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_has_a_sheet_for_each_thing_and_one_of_notes(
    lang: str, lived: Database, tmp_path: Path
) -> None:
    book = load_workbook(written(lived, tmp_path / "m.xlsx", lang))
    assert book.sheetnames[:-1] == [sheet.title.in_language(lang) for sheet in SHEETS]
    assert len(book.sheetnames) == len(SHEETS) + 1


def test_its_sums_are_those_of_the_reports(lived: Database, tmp_path: Path) -> None:
    book = load_workbook(written(lived, tmp_path / "m.xlsx"))
    said = {"from_day": "2026-01-01", "to_day": "2026-01-31", "by": None}
    for sheet in SHEETS:
        _, rows = reports.run(lived, reports.load_report(sheet.report), {**said, "by": sheet.by})
        shown = list(book[sheet.title].iter_rows(min_row=3, values_only=True))
        for row, cells in zip(rows, shown, strict=False):
            numbers = [v for v in row if isinstance(v, float)]
            for value in numbers:
                assert any(isinstance(c, int | float) and abs(c - value) < 1e-9 for c in cells)
    lines = [row[8] for row in book["Bill lines"].iter_rows(min_row=3, values_only=True)]
    assert sum(value for value in lines if isinstance(value, int | float)) == 33


@pytest.mark.parametrize(
    ("lang", "label"), [("en", "observed since (UTC)"), ("zh", "观测始于 (UTC)")]
)
def test_its_notes_say_since_when_a_month_was_observed(
    lang: str, label: str, lived: Database, tmp_path: Path
) -> None:
    """The first poll came within January."""
    first = rows(lived, "SELECT first_whole_s FROM _sync_bounds")[0][0]
    notes = list(load_workbook(written(lived, tmp_path / "m.xlsx", lang)).worksheets[-1].values)
    assert (label, f"lab: {both(first)}") in notes
    said = {"account": None, "from_day": "2026-01-07", "to_day": "2026-01-31"}
    later = reports.notes_of_month(lived, "2026-01", said, zone="UTC", made_at=MADE_AT, lang=lang)
    assert label not in dict(later)


@pytest.mark.parametrize(("lang", "words"), [("en", "observed until "), ("zh", "观测至 ")])
def test_a_line_above_each_sheet_says_until_when_it_was_observed(
    lang: str, words: str, lived: Database, tmp_path: Path
) -> None:
    for sheet in load_workbook(written(lived, tmp_path / "m.xlsx", lang)).worksheets[:-1]:
        assert sheet["A1"].value.startswith(words)
        assert sheet.freeze_panes == "A3"


def test_in_chinese_every_word_of_ours_is_chinese(lived: Database, tmp_path: Path) -> None:
    """What is left in Latin letters is the user's, or a name: of an account, a zone, the program."""
    book = load_workbook(written(lived, tmp_path / "m.xlsx", "zh"))
    ours = {word for words in VALUES.values() for word in words}
    units = ("(yuan)", "(h)", "(card-h)", "(d)", "(min)", "(s)")
    for sheet in book.worksheets:
        texts = [v for row in sheet.values for v in row if isinstance(v, str)]
        assert [text for text in texts if text in ours or text.endswith(units)] == []
    for label, value, *_ in book.worksheets[-1].values:
        assert not re.match(r"[a-z]", label), label
        assert " min" not in str(value)
        assert "yuan" not in str(value)


def test_every_word_of_the_bridge_and_of_causes_is_translated(lived: Database) -> None:
    said = {"from_day": "2026-01-01", "to_day": "2026-01-31"}
    assert {row[1] for row in reports.run(lived, reports.load_report("bridge"), said)[1]} == set(
        VALUES["line"]
    )
    causes = reports.load_report("reconciliation").columns["cause"].about
    assert set(causes.split(", ")) == set(WORDS["cause"])


def test_what_is_no_month_is_refused(lived: Database, tmp_path: Path) -> None:
    for month in ("2026-13", "7d", "today", "2027-01"):
        with pytest.raises(SettingsError):
            written(lived, tmp_path / "m.xlsx", month=month)
    assert list(tmp_path.glob("*.xlsx")) == []


@pytest.mark.parametrize(
    ("lang", "label"), [("en", "settled until (UTC)"), ("zh", "已结算至 (UTC)")]
)
def test_its_notes_say_how_far_the_bill_has_settled(
    lang: str, label: str, lived: Database, tmp_path: Path
) -> None:
    book = load_workbook(written(lived, tmp_path / "m.xlsx", lang))
    notes = dict(book.worksheets[-1].iter_rows(values_only=True))
    with lived.reading() as conn:
        reach = conn.execute(text("SELECT reach_s FROM _bill_reach")).scalar_one()
    assert notes[label] == f"lab: {both(reach)}"


def test_local_time_stands_beside_each_instant(lived: Database, tmp_path: Path) -> None:
    sheet = load_workbook(written(lived, tmp_path / "m.xlsx"))["Bill lines"]
    head = [cell.value for cell in sheet[2]]
    at = head.index("settle_end_at (UTC)")
    assert head[at + 1] == "settle_end_at (Asia/Shanghai)"
    for row in sheet.iter_rows(min_row=3, max_row=4, values_only=True):
        assert row[at + 1] - row[at] == timedelta(hours=8)


def test_the_cards_are_those_of_the_end_of_the_month(database: Database, tmp_path: Path) -> None:
    """On 1 March the card is used up and another one came: February's book knows nothing of that."""
    for day, left, others in (("02-10", 40, ()), ("02-20", 15, ()), ("03-01", 0, ("later",))):
        at = from_iso(f"2026-{day}T00:00:00Z")
        cards = [{**CARD, "uuid": "one", "leave_amount": left}]
        cards += [{**CARD, "uuid": uuid, "title": uuid} for uuid in others]
        take(database, CARDS, *cards, at=at)
    ends = {}
    for month in ("2026-01", "2026-02", "2026-03"):
        write_month(
            database,
            tmp_path / "m.xlsx",
            month,
            account=None,
            zone="Asia/Shanghai",
            today=date(2026, 3, 5),
            made_at=MADE_AT,
        )
        sheet = load_workbook(tmp_path / "m.xlsx")["Cards"]
        left = [cell.value for cell in sheet[2]].index("left_yuan (yuan)")
        rows_of = [row for row in sheet.iter_rows(min_row=3, values_only=True) if row[0] == "lab"]
        ends[month] = [row[left] for row in rows_of]
    assert ends["2026-01"] == []
    assert ends["2026-02"] == [15]
    assert sorted(ends["2026-03"]) == [0, CARD["leave_amount"]]


@pytest.mark.parametrize("name", reports.report_names())
def test_reports_and_their_columns_have_a_meaning_in_chinese(name: str) -> None:
    report = reports.load_report(name)
    texts = [report.meaning("zh"), *(c.meaning("zh") for c in report.columns.values())]
    assert [text for text in texts if not re.search(r"[\u4e00-\u9fff]", text)] == []
