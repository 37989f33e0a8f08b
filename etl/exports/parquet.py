"""Tables and daily facts as Parquet folders, typed, partitioned, written in batches.

`DIR/instance_usage/in_month=2026-10/part-0.parquet`: readers that know such partitions (DuckDB,
Spark, pandas) find a column `in_month`. Rows are in the order of their keys, so that the same
database gives the same files. A run writes beside the existing tables, and replaces them with whole
new ones at the end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from etl import __version__, paths, store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.reports.render.parquet import array, arrow_type, pyarrow
from etl.steps import report_steps
from etl.store import views
from etl.store.exports import Batch, ExportsReader
from etl.tables.exported import Exported, exported, kind
from etl.texts import tr

STAGE: Final = ".chenyu-etl-new"
OLD: Final = ".chenyu-etl-old"
MARK: Final = "chenyu-etl.json"
"""File that marks a folder as an export of ours."""
PERIODS: Final = {"month": 7, "day": 10}
"""Characters of an ISO instant or day that name its partition, by `period`."""


TABLES: Final = (
    *exported(),
    Exported("uptime_daily", ("account", "instance_uuid"), cut="day"),
    Exported(
        "gpu_usage_instance_daily", ("account", "instance_uuid", "gpu_uuid", "gpu_name"), cut="day"
    ),
)
"""All tables for other tools, and the daily facts. A further view is one line here."""


@dataclass(frozen=True, slots=True)
class WrittenTable:
    name: str
    rows: int
    files: int


def export_parquet(
    database: Database, folder: Path, period: str = "month"
) -> Iterator[WrittenTable]:
    """Yield each table as it is written; all replace the old ones after the last.

    Raises `SettingsError` if the folder holds something else or cannot be written.
    """
    # first: without it there is nothing to do, and no folder to make
    pyarrow()
    paths.refuse_spared(folder, database.files)
    _refuse_other_folder(folder)
    is_new, stage = not folder.exists(), folder / STAGE
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        done: list[WrittenTable] = []
        # one transaction for all tables: they join
        with store.reading(database) as known:
            for table in TABLES:
                before = sum(earlier.rows for earlier in done)
                done.append(_export(known.exports, table, stage, period, before))
                yield done[-1]
            # in the same transaction: days are of this zone
            zone = known.exports.timezone()
        _describe(stage, done, zone, period)
        _take_place(folder, stage)
    except OSError as error:
        raise SettingsError(
            tr("{folder} cannot be written: {strerror}", folder=folder, strerror=error.strerror),
            advice=tr("name a folder that you may write to"),
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it holds the export
                folder.rmdir()


def _export(
    known: ExportsReader, table: Exported, stage: Path, period: str, before: int
) -> WrittenTable:
    """Write one table, after `before` rows of others."""
    room = stage / table.name
    room.mkdir()
    rows = files = 0
    with closing(known.batches(table)) as batches_of_table:
        for key, batches in _partitions(batches_of_table, table, period):
            # another name than the column: a reader would have both
            partition = room if key is None else room / f"in_{period}={key}"
            partition.mkdir(exist_ok=True)
            rows += _write_partition(partition / "part-0.parquet", table, batches)
            files += 1
            report_steps(before + rows, None)
    # a table without rows still has a file, so that its columns can be read
    if not files:
        _write_partition(room / "part-0.parquet", table, [(known.columns(table.name), [])])
        files = 1
    return WrittenTable(table.name, rows, files)


def _partitions(
    batches: Iterator[Batch], table: Exported, period: str
) -> Iterator[tuple[str | None, Iterator[Batch]]]:
    """Split batches by partition; rows arrive in the order of partitions."""

    def pieces() -> Iterator[tuple[str | None, Batch]]:
        for names, rows in batches:
            if table.cut is None:
                yield None, (names, rows)
                continue
            at = itemgetter(names.index(table.cut))
            # both ISO texts and days begin with year and month
            keyed = [(str(at(row))[: PERIODS[period]], row) for row in rows]
            for key, part in groupby(keyed, itemgetter(0)):
                yield key, (names, [row for _, row in part])

    # batches end anywhere: pieces of one partition follow one another
    for key, group in groupby(pieces(), itemgetter(0)):
        yield key, (batch for _, batch in group)


def _write_partition(file: Path, table: Exported, batches: Any) -> int:
    arrow = pyarrow()
    rows = 0
    with ExitStack() as stack:
        writer: Any = None
        for names, batch in batches:
            if writer is None:
                # by the declared types: a first batch of nulls alone would make a column of no type
                kinds = [(name, arrow_type(arrow, kind(table.name, name))) for name in names]
                typed = arrow.schema(kinds)
                writer = arrow.parquet.ParquetWriter(file, typed, compression="zstd")
                stack.enter_context(writer)
            if batch:
                columns = zip(zip(*batch, strict=True), writer.schema, strict=True)
                made = [array(arrow, values, field.type) for values, field in columns]
                writer.write_table(arrow.table(made, schema=writer.schema))
                rows += len(batch)
    return rows


def _describe(stage: Path, done: Sequence[WrittenTable], zone: str, period: str) -> None:
    about = {
        "program": f"chenyu-etl {__version__}",
        # days without their zone could not be told apart from those of another
        "timezone": zone,
        "partitioned_by": period,
        "tables": {table.name: table.rows for table in done},
    }
    # the mark is what makes the folder ours: without it a next export refuses to replace it
    (stage / MARK).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    (stage / "duckdb.sql").write_text(duckdb_script(), encoding="utf-8")


def duckdb_script() -> str:
    """Return a DuckDB script that makes tables of the folder it runs in, and our views over
    them.
    """
    from etl.dialect.rendering import spell_out, text_of_view, unquoted

    functions: dict[str, Callable[..., str]] = {
        "epoch": lambda inner: f"CAST(epoch_ms({inner}) / 1000 AS BIGINT)",
        "json_string": (
            lambda inner: f"CASE WHEN {inner} IS NOT NULL THEN CAST(to_json({inner}) AS TEXT) END"
        ),
        "instant": lambda inner: f"to_timestamp({inner})",
        "clock": lambda day, s: f"(CAST({day} AS TIMESTAMP) + to_seconds({s}))",
        "find": lambda text, part: f"STRPOS({text}, {part})",
        "json_items": (
            lambda json: (
                f"(SELECT UNNEST(CASE json_type({json})"
                f" WHEN 'ARRAY' THEN CAST({json} AS JSON[]) ELSE [CAST({json} AS JSON)] END) AS value)"
            )
        ),
        "json_member": (
            lambda item, path: f"json_extract_string({item}.value, '$.{unquoted(path)}')"
        ),
        "json_text": (
            lambda item: (
                f"CASE WHEN json_type({item}.value) NOT IN ('OBJECT', 'ARRAY')"
                f" THEN json_extract_string({item}.value, '$') END"
            )
        ),
    }
    made = [
        "-- The export in DuckDB. Run it in this folder, and stay there: it names files beside it.",
        "-- The command-line tool: duckdb -init duckdb.sql (pip install duckdb brings the module alone).",
        "-- From Python, statement by statement: split it at each semicolon that ends a line.",
        "SET TimeZone = 'UTC';",
        # our views divide integers as SQLite and Postgres do
        "SET integer_division = true;",
    ]
    names = views.view_names()
    for table in TABLES:
        if table.name not in names:
            files = f"{table.name}/**/*.parquet"
            made.append(
                f"CREATE OR REPLACE VIEW {table.name} AS SELECT * FROM read_parquet('{files}',"
                # our day is a column of the file: one of the folder's name beside it would clash
                " hive_partitioning = false);"
            )
    for name in names:
        sql = text_of_view(paths.VIEWS / f"{name}.sql")
        made.append(f"CREATE OR REPLACE VIEW {name} AS\n{spell_out(sql, functions)};")
    return "\n".join(made) + "\n"


def _refuse_other_folder(folder: Path) -> None:
    """Refuse a folder that is neither empty nor an older export."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.exists() and not folder.is_dir():
        raise SettingsError(
            tr("{folder} is no folder", folder=folder), advice=tr("name another one")
        )
    if names - {STAGE, OLD} and MARK not in names:
        raise SettingsError(
            tr("{folder} holds something else", folder=folder),
            advice=tr("name an empty folder, or one that is not there"),
        )


def _take_place(folder: Path, stage: Path) -> None:
    """Move each new table to where the old one was; the mark comes last."""
    old = folder / OLD
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    # the mark last: until then the folder is an older export, which the next one replaces
    names = sorted((path.name for path in stage.iterdir()), key=lambda name: name == MARK)
    for name in names:
        # moved aside, not deleted: a rename that fails leaves all of the old table
        if (folder / name).exists():
            (folder / name).rename(old / name)
        (stage / name).rename(folder / name)
    shutil.rmtree(old, ignore_errors=True)
