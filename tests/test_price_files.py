"""`prices`: the user's overrides from and to files, and the charging model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.books.documents import read
from etl.books.price_files import (
    COLUMNS,
    export_prices,
    import_prices,
    model,
    prices_in_use,
    prices_of,
)
from etl.books.rule_files import import_rules
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.charging import ChargingModel
from etl.money.tariffs import Override
from etl.rebuild import differences
from etl.simcloud import Story
from tests.commands import Command, filled, home, path, run
from tests.conftest import ZONE
from tests.priced import YUAN, learns, lists
from tests.support import apply, poll_story, rows

__all__ = ["filled", "home", "path", "run"]

CSV = """\
gpu_name,image_uuid,charging_type,unit,price,adds,valid_from,valid_to,note
RTX 4090,,,hour,5.50,,2026-01-01,2026-02-01,"agreed, in writing"
RTX 4090,,,hour,5.123456,,2026-02-01T00:00:00Z,,
,img,,hour,0.3,true,,,

A100,,2,month,25500,,,,
"""
TOML = """\
[[price]]  # agreed
gpu_name = "RTX 4090"
unit = "hour"
price = 5.50
valid_from = 2026-01-01
valid_to = "2026-02-01"
note = "agreed, in writing"

[[price]]
gpu_name = "RTX 4090"
unit = "hour"
price = "5.123456"
valid_from = 2026-02-01T00:00:00Z

[[price]]
image_uuid = "img"
unit = "hour"
price = 0.3
adds = true

[[price]]
gpu_name = "A100"
charging_type = 2
unit = "month"
price = 25500
"""
SHANGHAI = Zone(ZONE)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def in_file(path: Path, zone: Zone) -> list[Override]:
    return prices_of(read(path, COLUMNS), zone)


def kept(database: Database) -> list[tuple[object, ...]]:
    names = "gpu_name, image_uuid, charging_type, unit, price_microcny, valid_from, source"
    return rows(database, f"SELECT {names} FROM price_override ORDER BY price_override_id")


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    by_csv = in_file(written(tmp_path, "p.csv", CSV), SHANGHAI)
    by_toml = in_file(written(tmp_path, "p.toml", TOML), SHANGHAI)
    assert by_csv == by_toml
    assert [each.price_microcny for each in by_csv] == [
        5_500_000,
        5_123_456,
        300_000,
        25_500 * YUAN,
    ]
    assert by_csv[0].valid_from == SHANGHAI.starts(SHANGHAI.local_date(1_767_225_600))


def test_an_entry_without_a_line_of_its_own_is_named_by_its_number(tmp_path: Path) -> None:
    text = 'price = [{unit = "hour", price = 1},\n{unit = "eon", price = 2}]'
    with pytest.raises(SettingsError, match="entry 2: unit cannot be 'eon'"):
        in_file(written(tmp_path, "p.toml", text), SHANGHAI)


@pytest.mark.parametrize("form", ["csv", "toml"])
def test_what_is_exported_is_imported_as_the_same(
    form: str, database: Database, tmp_path: Path
) -> None:
    import_prices(database, written(tmp_path, "p.csv", CSV))
    learns(database, [Override("hour", 7, gpu_uuid="gpu-1", per="instance", no_card=True)])
    before = kept(database)
    lines = export_prices(database, form)
    import_prices(database, written(tmp_path, f"again.{form}", "\n".join(lines)))
    assert kept(database) == before
    assert len(before) == 5
    assert export_prices(database, form) == lines


WRONG = {
    "price\n5": "line 2: unit is missing: hour, day",
    "unit,price\nhour,5.5\nhours,1": "line 3, column A: unit cannot be 'hours'",
    "unit,price\nhour,five": "line 2, column B: price must be yuan",
    "unit,price\nhour,0.0000001": "at most six decimals",
    "unit,price\nhour,NaN": "price must be yuan",
    "unit,price\nhour,1e99": "price must be yuan",
    "unit,price\nhour,-1": "price must be from 0",
    "unit,prize\nhour,1": "line 1, column B: there is no column 'prize': did you mean price?",
    "unit,price,valid_from\nhour,1,2026-02-30": "valid_from must be a day",
    "unit,price,valid_from,valid_to\nhour,1,2026-02-03,2026-02-03": "must be later",
    "unit,price,gpu_name,gpu_uuid\nhour,1,a,b": "not both",
    "unit,price,no_card\nhour,1,maybe": "no_card must be true or false",
    "unit,price\nhour,1,2": "line 2, column C: there are more cells than columns",
    "unit,price,gpu_name\nhour,1,a\nday,1,a\nhour,2,a": "line 4: it is about the same as line 2",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_file_is_refused_as_a_whole_with_the_line(
    text: str, database: Database, tmp_path: Path
) -> None:
    import_prices(database, written(tmp_path, "good.csv", CSV))
    before = kept(database)
    with pytest.raises(SettingsError, match=r".*") as caught:
        import_prices(database, written(tmp_path, "bad.csv", text))
    assert WRONG[text] in caught.value.message
    assert kept(database) == before


@pytest.mark.parametrize(
    "price", ["1e99999999999999999999", "1e999999", "-1e999999", "9" * 5_000, "nan", "[" * 9_999]
)
def test_a_number_beyond_all_numbers_is_refused(price: str, tmp_path: Path) -> None:
    text = f'[[price]]\nunit = "hour"\nprice = {price}\n'
    with pytest.raises(SettingsError):
        in_file(written(tmp_path, "p.toml", text), SHANGHAI)


def test_the_line_of_a_table_is_that_of_its_heading(tmp_path: Path) -> None:
    bad = TOML + '\n[[price]]\nunit = "hour"\nprice = 1\ngpu_name = "A100"\nvalid_to = 2026\n'
    with pytest.raises(SettingsError, match="line 27: valid_to"):
        in_file(written(tmp_path, "p.toml", bad), SHANGHAI)


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.xlsx", ""), ("p.toml", "price = 5"), ("p.toml", "[[price"), ("no.csv", None)],
)
def test_a_file_that_is_no_list_is_refused(name: str, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / name if text is None else written(tmp_path, name, text)
    with pytest.raises(SettingsError) as caught:
        in_file(path, SHANGHAI)
    assert caught.value.advice


def examples(form: str, word: str) -> list[str]:
    """Code blocks of docs/billing.md in CSV or TOML that hold a word."""
    page = (Path(__file__).parents[1] / "docs/billing.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"```{form}\n(.*?)```", page, re.DOTALL)
    return [block for block in blocks if word in block]


@pytest.mark.parametrize("form", ["csv", "toml"])
def test_the_examples_of_the_page_are_imported(
    form: str, database: Database, tmp_path: Path
) -> None:
    (prices,) = examples(form, "no_card")
    (rules,) = examples(form, "budget")
    done = import_prices(database, written(tmp_path, f"p.{form}", prices))
    assert done.counts["price"][0] == {"csv": 5, "toml": 2}[form]
    done = import_rules(database, written(tmp_path, f"r.{form}", rules))
    assert [now for now, _ in done.counts.values()] == {"csv": [4, 3], "toml": [2, 1]}[form]


@pytest.mark.parametrize("command", ["prices", "rules"])
def test_the_help_says_where_examples_are(command: str, run: Command) -> None:
    assert "docs/billing.md" in " ".join(run(command, "import", "--help").output.split())


def test_an_import_replaces_the_users_prices_and_keeps_what_was_learned(
    database: Database, tmp_path: Path
) -> None:
    learns(database, [Override("hour", 7, gpu_uuid="gpu-1")])
    import_prices(database, written(tmp_path, "p.csv", CSV))
    import_prices(database, written(tmp_path, "q.csv", "unit,price\nhour,1"))
    assert [(row[4], row[6]) for row in kept(database)] == [(7, "bill"), (YUAN, "user")]


@pytest.mark.parametrize(("name", "text"), [("a.csv", ""), ("b.toml", ""), ("c.csv", "unit,price")])
def test_a_file_without_a_price_takes_none_away_by_accident(
    name: str, text: str, database: Database, tmp_path: Path
) -> None:
    file = written(tmp_path, name, text)
    with pytest.raises(SettingsError, match="no price: nothing would be imported"):
        import_prices(database, file)
    import_prices(database, written(tmp_path, "p.csv", CSV))
    with pytest.raises(SettingsError, match="no price: that would take 4 prices away") as caught:
        import_prices(database, file)
    assert "--allow-empty" in str(caught.value.advice)
    assert len(kept(database)) == 4
    assert str(import_prices(database, file, allow_empty=True)) == "0 prices in place of 4"
    assert kept(database) == []


def test_a_price_for_nothing_known_is_imported_and_said(database: Database, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "p.csv",
        "account,gpu_name,gpu_uuid,image_uuid,unit,price\n,RTX4090,,,hour,5\n"
        ",RTX 4090,,,hour,5\nlab,,,,hour,5\nbal,,no-uuid,,hour,5\n,,,no-image,hour,5\n",
    )
    assert import_prices(database, file).remarks == [], "nothing is known before the first sync"
    cloud = Story()
    cloud.rents()
    apply(database, poll_story(cloud))
    done = import_prices(database, file)
    assert str(done) == "5 prices in place of 5"
    assert [line.partition(";")[0] for line in done.remarks] == [
        "price 4 holds for nothing known: no account is 'bal'",
        "price 4 holds for nothing known: no gpu_uuid is 'no-uuid'",
        "price 1 holds for nothing known: no gpu_name is 'RTX4090'",
        "price 5 holds for nothing known: no image_uuid is 'no-image'",
    ]
    assert "did you mean 'RTX 4090'?" in done.remarks[2]


def test_costs_follow_an_import_at_once(database: Database, tmp_path: Path) -> None:
    cloud = Story()
    a = cloud.rents()
    for _ in range(6):
        apply(database, poll_story(cloud))
        cloud.passes(minutes=10)
    cloud.stops(a)
    apply(database, poll_story(cloud))
    lists(database, "RTX 4090", (cloud.now, None, None, 6 * YUAN))
    costs = "SELECT cost_microcny, price_source FROM cost_daily"
    # the middle of the last ten minutes, less half of the usual 30 s of shutting down
    assert rows(database, costs) == [(5_475_000, "list_assumed")]
    import_prices(database, written(tmp_path, "p.csv", "unit,price\nhour,12"))
    assert rows(database, costs) == [(10_950_000, "override")]
    assert list(differences(database)) == []
    assert [price.price_source for price in prices_in_use(database)[0]] == ["override"]


def test_the_commands(run: Command, filled: Database, path: Path, tmp_path: Path) -> None:
    base = ("--database", str(path), "prices")
    assert (
        "imported: 4 prices;" in run(*base, "import", str(written(tmp_path, "p.csv", CSV))).output
    )
    empty = ("import", str(written(tmp_path, "none.csv", "")))
    assert run(*base, *empty).exit_code == 2
    assert "0 prices in place of 4" in run(*base, *empty, "--allow-empty").output
    typo = str(written(tmp_path, "p.csv", CSV + "RTX,,,hour,5,,,\n"))
    cloud = Story()
    cloud.rents(starts=False)
    apply(filled, poll_story(cloud))
    assert "warning: price 5 holds for nothing known" in run(*base, "import", typo).output
    assert run(*base, "export", str(tmp_path / "out.toml")).exit_code == 0
    assert "5.123456" in (tmp_path / "out.toml").read_text(encoding="utf-8")
    assert "(no rows)" in run(*base, "show").output
    assert run(*base, "export", str(tmp_path / "out.ods")).exit_code == 2
    bad = run(*base, "import", str(written(tmp_path, "bad.csv", "unit,price\nhour,x")))
    assert bad.exit_code == 2
    assert "line 2" in bad.output


def test_the_charging_model_is_shown_and_set(run: Command, filled: Database, path: Path) -> None:
    words = ("--database", str(path), "prices", "model")
    assert run(*words).output.splitlines() == ["counts from start", "by the begun second"]
    said = run(*words, "--from", "running", "--step", "hour", "--boot-s", "30")
    assert said.output.splitlines()[1:] == [
        "by the begun hour",
        "a boot is taken to last 30 s, at most 180 s",
    ]
    assert model(filled) == ChargingModel("running", 3_600, 30, 180)
    assert rows(filled, "SELECT * FROM _charging_model") == [("running", 3_600, 30, 180)]
    assert run(*words, "--boot-s", "200").exit_code == 2
    assert model(filled).boot_s == 30
