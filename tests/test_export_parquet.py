"""The Parquet export: what the database holds, typed, the same again, and what DuckDB reads of it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

from etl import reports, tables
from etl.dialect import Database
from etl.dialect.duckdb import render_duckdb
from etl.errors import Busy, SettingsError, StoreError
from etl.exports import parquet, targets
from etl.exports.targets import Folder, open_target
from etl.reports import plain
from etl.reports.render import render
from etl.simcloud import Story
from etl.store import exports
from etl.store.views import public_names
from etl.tables.exported import kind as kind_of
from tests import golden_fleet
from tests.commands import Command, filled, home, path, run
from tests.conftest import ZONE
from tests.golden_fleet import START, variants
from tests.schema_doc import contract
from tests.support import apply, poll_story, rows
from tests.test_cli_looking import fleet, see
from tests.test_cookbook import ARGUMENTS, questions

__all__ = ["filled", "fleet", "home", "path", "run", "see"]

Golden = Callable[[str], Database]


@pytest.fixture
def exported(golden: Golden, kind: str, tmp_path: Path) -> Path:
    list(parquet.export_parquet(golden(kind), tmp_path / "out"))
    return tmp_path / "out"


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def read(folder: Path, name: str) -> Any:
    return pyarrow.dataset.dataset(folder / name).to_table()


def test_every_row_of_every_table_is_there(exported: Path, kind: str, golden: Golden) -> None:
    said = json.loads((exported / "chenyu-etl.json").read_text())
    assert said["timezone"] == ZONE
    for each in parquet.TABLES:
        (count,) = rows(golden(kind), f"SELECT COUNT(*) FROM {each.name}")[0]
        assert read(exported, each.name).num_rows == count == said["tables"][each.name]


def test_values_are_those_of_the_database(exported: Path, kind: str, golden: Golden) -> None:
    for each in parquet.TABLES:
        written = read(exported, each.name)
        expected = rows(golden(kind), f"SELECT {', '.join(written.column_names)} FROM {each.name}")
        found = (tuple(map(plain, row.values())) for row in written.to_pylist())
        assert sorted(found, key=repr) == sorted(expected, key=repr), each.name


def test_facts_lack_only_what_every_poll_changes() -> None:
    lacking = {name for table in parquet.TABLES for name in table.without}
    assert lacking == {"observed_until_s"}


def test_columns_of_facts_have_the_types_that_postgres_gives_them() -> None:
    kinds = {
        **{"text": "text", "date": "day", "boolean": "bool", "timestamp with time zone": "instant"},
        **{"timestamp without time zone": "local", "integer": "int", "bigint": "int"},
        **{"numeric": "number", "double precision": "number"},
    }
    promised = contract()
    facts = [table.name for table in parquet.TABLES if table.name in promised]
    assert len(facts) == len({table.name for table in parquet.TABLES} & set(public_names()))
    wrong = [
        (fact, column)
        for fact in facts
        for column, declared in promised[fact].items()
        if kind_of(fact, column) != kinds[declared]
    ]
    assert wrong == []


def test_rows_of_a_file_are_in_order_of_time(exported: Path) -> None:
    for table in parquet.TABLES:
        for file in (exported / table.name).rglob("*.parquet") if table.cut else ():
            times = pyarrow.parquet.read_table(file)[table.cut].to_pylist()
            assert times == sorted(times), file


def test_columns_have_types(exported: Path) -> None:
    def types(name: str) -> dict[str, str]:
        return {field.name: str(field.type) for field in read(exported, name).schema}

    assert types("instance_usage")["started_at"] == "timestamp[ms, tz=UTC]"
    assert types("instance_history")["shutdown_enabled"] == "bool"
    assert types("usage_day")["day"] == "date32[day]"
    assert types("uptime_daily")["gpu_s"] == "int64"
    assert types("uptime_daily")["day"] == "date32[day]"
    assert types("coverage_daily")["complete"] == "int64"
    assert types("run_cost")["is_open"] == "bool"
    assert types("run_cost")["started_local"] == "timestamp[ms]"
    assert types("instance_event")["not_after"] == "timestamp[ms, tz=UTC]"
    assert types("sync_run")["clock_offset_s"] == "double"
    first = read(exported, "instance_usage").to_pylist()[0]
    assert first["started_at"].tzinfo is not None
    assert isinstance(read(exported, "usage_day")["day"][0].as_py(), date)


def test_both_databases_give_the_same_tables(golden: Golden, tmp_path: Path) -> None:
    for kind in ("sqlite", "postgres"):
        list(parquet.export_parquet(golden(kind), tmp_path / kind))
    for each in parquet.TABLES:
        one, other = (read(tmp_path / kind, each.name) for kind in ("sqlite", "postgres"))
        assert one.schema == other.schema
        if each.name != "setting":
            assert sorted(map(repr, one.to_pylist())) == sorted(map(repr, other.to_pylist()))


@pytest.mark.parametrize(("period", "expected"), [("month", 1), ("day", 5)])
def test_files_are_by_period(period: str, expected: int, golden: Golden, tmp_path: Path) -> None:
    written = {
        each.name: each for each in parquet.export_parquet(golden("sqlite"), tmp_path / "o", period)
    }
    places = sorted(each.name for each in (tmp_path / "o" / "sync_run").iterdir())
    assert len(places) == written["sync_run"].files
    assert len(places) in (expected, expected + 1)
    start = datetime.fromtimestamp(START, UTC).isoformat()
    assert places[0] == f"in_{period}={start[: parquet.PERIODS[period]]}"
    assert (tmp_path / "o" / "account" / "part-0.parquet").is_file()


def test_a_second_export_gives_the_same_files_and_replaces_the_first(
    golden: Golden, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    list(parquet.export_parquet(golden("sqlite"), out))
    before = digests(out)
    (out / "instance_usage" / "in_month=1999-01").mkdir()
    (out / "instance_usage" / "in_month=1999-01" / "part-0.parquet").write_bytes(b"stale")
    list(parquet.export_parquet(golden("sqlite"), out))
    assert digests(out) == before
    assert not list(out.glob(".*"))


def stamps(folder: Path) -> dict[str, int]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.stat().st_ino for file in files}


def test_files_that_did_not_change_are_not_written_again(golden: Golden, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = list(parquet.export_parquet(golden("sqlite"), out, "day"))
    before = stamps(out)
    second = list(parquet.export_parquet(golden("sqlite"), out, "day"))
    assert stamps(out) == before
    assert {table.changed for table in second} == {0}
    assert all(table.changed == table.files for table in first)
    days = sorted((out / "sync_run").iterdir())
    (days[0] / "part-0.parquet").unlink()
    third = {table.name: table for table in parquet.export_parquet(golden("sqlite"), out, "day")}
    assert third["sync_run"].changed == sum(table.changed for table in third.values()) == 1
    rewritten = {name for name, inode in stamps(out).items() if before[name] != inode}
    assert rewritten == {f"sync_run/{days[0].name}/part-0.parquet", "chenyu-etl.json"}


def test_the_manifest_names_every_file_with_its_digest(exported: Path) -> None:
    listed = json.loads((exported / "chenyu-etl.json").read_text())["files"]
    written = {name: digest for name, digest in digests(exported).items() if "/" in name}
    assert {name: file["sha256"] for name, file in listed.items()} == written
    assert all((exported / name).stat().st_size == f["bytes"] for name, f in listed.items())


def test_an_export_that_breaks_off_while_it_replaces_files_is_made_whole_by_the_next(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    list(parquet.export_parquet(golden("sqlite"), tmp_path / "whole"))
    list(parquet.export_parquet(golden("sqlite"), out, "day"))
    put, names = Folder.put, []

    def breaks(self: Folder, staged: Path, name: str) -> None:
        names.append(name)
        if len(names) == 9:
            raise OSError(28, "No space left on device")
        put(self, staged, name)

    with monkeypatch.context() as broken:
        broken.setattr(Folder, "put", breaks)
        with pytest.raises(SettingsError, match="No space left"):
            list(parquet.export_parquet(golden("sqlite"), out))
    half = json.loads((out / "chenyu-etl.json").read_text())
    assert half["is_whole"] is False
    assert not half["files"].keys() & set(names)
    list(parquet.export_parquet(golden("sqlite"), out))
    assert digests(out) == digests(tmp_path / "whole")


def test_an_export_beside_another_into_the_same_folder_is_refused(
    golden: Golden, tmp_path: Path
) -> None:
    export = parquet.export_parquet(golden("sqlite"), tmp_path / "out")
    next(export)
    with pytest.raises(Busy, match="another export"):
        list(parquet.export_parquet(golden("sqlite"), tmp_path / "out"))
    list(export)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_url_names_a_folder_of_any_file_system(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow import fs

    (tmp_path / "bucket").mkdir()
    list(parquet.export_parquet(golden("sqlite"), (tmp_path / "a b").as_uri()))
    files = Objects(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    monkeypatch.setattr(targets, "file_system", lambda url: (files, "bucket/deep"))
    url = "s3://KEY:hidden-word@bucket/deep?region=x"
    list(parquet.export_parquet(golden("sqlite"), url, "day"))
    again = list(parquet.export_parquet(golden("sqlite"), url, "day"))
    assert {table.changed for table in again} == {0}
    list(parquet.export_parquet(golden("sqlite"), url))
    assert digests(tmp_path / "bucket" / "deep") == digests(tmp_path / "a b")
    (tmp_path / "bucket" / "deep" / "chenyu-etl.json").unlink()
    with pytest.raises(SettingsError, match=r"s3://bucket/deep holds something else"):
        list(parquet.export_parquet(golden("sqlite"), url))


class Objects:
    """Files as object stores keep them: no folder has to be there."""

    def __init__(self, system: Any) -> None:
        self.system = system

    def open_output_stream(self, path: str) -> Any:
        self.system.create_dir(path.rpartition("/")[0])
        return self.system.open_output_stream(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.system, name)


def test_a_url_of_no_known_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ftp://host/x is on no file system"):
        open_target("ftp://me:word@host/x", ())


def test_small_batches_give_the_same_rows(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(parquet.export_parquet(golden("sqlite"), tmp_path / "one"))
    monkeypatch.setattr(exports, "BATCH", 7)
    list(parquet.export_parquet(golden("sqlite"), tmp_path / "two", "day"))
    for each in parquet.TABLES:
        assert read(tmp_path / "one", each.name) == read(tmp_path / "two", each.name)


def test_an_export_that_fails_leaves_the_older_one_alone(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    list(parquet.export_parquet(golden("sqlite"), out))
    before = digests(out)
    broken = (*parquet.TABLES, parquet.Exported("no_such_table", ("account_id",)))
    monkeypatch.setattr(parquet, "TABLES", broken)
    with pytest.raises(StoreError):
        list(parquet.export_parquet(golden("sqlite"), out))
    assert digests(out) == before
    assert not list(out.glob(".*"))


def test_a_folder_with_something_else_is_refused_and_kept(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SettingsError, match="holds something else"):
        list(parquet.export_parquet(golden("sqlite"), tmp_path))
    with pytest.raises(SettingsError, match="is no folder"):
        list(parquet.export_parquet(golden("sqlite"), tmp_path / "thesis.txt"))
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_every_table_that_a_view_reads_is_exported() -> None:
    """Tables of sources that no view shows yet may be left out; what views read may not."""
    from etl import paths
    from etl.dialect.rendering import expanded

    names = {each.name for each in parquet.TABLES}
    read_by_views = {
        table
        for file in paths.VIEWS.glob("*.sql")
        for table in tables.metadata.tables
        if f" {table} " in expanded(file.read_text(encoding="utf-8")).replace("\n", " ")
    }
    assert read_by_views <= names


# DuckDB


def set_up(conn: Any, folder: Path) -> None:
    """Run duckdb.sql as if it were in its folder, statement by statement, as the command line does:
    `integer_division` is for what is parsed after it."""
    said = (folder / "duckdb.sql").read_text(encoding="utf-8")
    for statement in said.replace("read_parquet('", f"read_parquet('{folder}/").split(";\n"):
        conn.execute(statement)


@pytest.fixture
def duck(exported: Path) -> Iterator[Any]:
    with duckdb.connect() as conn:
        set_up(conn, exported)
        yield conn


def answers(conn: Any, report: Any, arguments: dict[str, str]) -> list[str]:
    """A report over DuckDB as CSV."""
    values = reports.bound_values(report, arguments)
    sql = render_duckdb(report.sql)
    for name in values:
        sql = sql.replace(f":{name}", f"${name}")
    table = conn.sql(sql, params=values).to_arrow_table()
    lines = [[plain(value) for value in row.values()] for row in table.to_pylist()]
    return list(render("csv", table.column_names, lines))


def test_the_lines_of_python_on_the_page_run_in_the_folder(exported: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/reports.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", lines.replace('"DIR"', repr(str(exported)))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "account" in done.stdout
    assert "brings the module alone" in (exported / "duckdb.sql").read_text(encoding="utf-8")


def test_duckdb_gives_every_report_the_same_rows(duck: Any) -> None:
    wrong = []
    for words, name, arguments in variants():
        expected = golden_fleet.path(ZONE, words).read_text(encoding="utf-8").splitlines()
        if answers(duck, reports.load_report(name), arguments) != expected:
            wrong.append(words)
    assert wrong == []


def test_duckdb_answers_the_cookbook(duck: Any, golden: Golden, tmp_path: Path) -> None:
    file = tmp_path / "question.sql"
    wrong = []
    for question, sql in questions().items():
        file.write_text(sql, encoding="utf-8")
        report = reports.load_own(file)
        columns, found = reports.run(golden("sqlite"), report, ARGUMENTS)
        if answers(duck, report, ARGUMENTS) != list(render("csv", columns, found)):
            wrong.append(question)
    assert wrong == []


def test_an_empty_database_can_be_exported_and_read(database: Database, tmp_path: Path) -> None:
    list(parquet.export_parquet(database, tmp_path / "out"))
    with duckdb.connect() as conn:
        set_up(conn, tmp_path / "out")
        for name in reports.report_names():
            arguments = {"from_day": "2026-01-01", "to_day": "2026-01-31"}
            assert len(answers(conn, reports.load_report(name), arguments)) == 1


# the command


def test_the_command_exports_and_says_so(see: Command, home: Path) -> None:
    result = see("export", "parquet", "out", "--by", "day")
    assert result.exit_code == 0
    assert "instance_usage: 1 rows in 1 files" in result.stderr
    assert (home / "out" / "instance_usage" / "in_day=2026-01-01" / "part-0.parquet").is_file()
    assert see("export", "parquet", "out").exit_code == 0
    assert not (home / "out" / "instance_usage" / "in_day=2026-01-01").exists()


def test_no_secret_is_exported(filled: Database, home: Path) -> None:
    from etl.simcloud import LEAK_MARK
    from tests.live import leaks

    cloud = Story()
    cloud.rents(title="a")
    apply(filled, poll_story(cloud))
    list(parquet.export_parquet(filled, home / "out"))
    text = repr([read(home / "out", each.name).to_pylist() for each in parquet.TABLES])
    assert leaks(text, secrets=(LEAK_MARK,)) == []
