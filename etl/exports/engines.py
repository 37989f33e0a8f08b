"""Scripts that make tables of an export, and our views over them, in other engines.

A view that the export holds as a fact is read from its files: engines plan a view anew with all that lies below
it, each time it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from etl import paths
from etl.dialect.duckdb import render_duckdb
from etl.dialect.rendering import text_of_view
from etl.dialect.spark import SETTINGS, render_spark
from etl.store.views import view_names

GROWS: Final = "observed_until_s"
"""Column that facts are exported without: every poll changes it in all rows, and `sync_span` has it once."""
_LEFT_OUT: Final = re.compile(rf"^-- @column {GROWS}\b", re.MULTILINE)
_FILES: Final = "_exported_{0}"
"""Name of the files of a fact without its growing column."""


def duckdb_script(tables: Iterable[str]) -> str:
    """Return a script for DuckDB, run in the folder of the export."""
    return _script(
        [
            "-- The export in DuckDB. Run it in this folder, and stay there: it names files beside it.",
            "-- The command-line tool: duckdb -init duckdb.sql (pip install duckdb brings the module alone).",
            "-- From Python, statement by statement: split it at each semicolon that ends a line.",
            "SET TimeZone = 'UTC';",
            # our views divide integers as SQLite and Postgres do
            "SET integer_division = true;",
        ],
        "CREATE OR REPLACE VIEW",
        # our day is a column of the file: one of the folder's name beside it would clash
        " AS SELECT * FROM read_parquet('{0}/**/*.parquet', hive_partitioning = false)",
        render_duckdb,
        tables,
    )


def spark_script(tables: Iterable[str]) -> str:
    """Return a script for Spark SQL, run in the folder of the export."""
    return _script(
        [
            "-- The export in Spark SQL from 4.0 on. Run it in this folder: spark-sql -i spark.sql",
            "-- From Python, statement by statement: split it at each semicolon that ends a line.",
            *(f"SET {name} = {value};" for name, value in SETTINGS.items()),
        ],
        "CREATE OR REPLACE TEMPORARY VIEW",
        " USING parquet OPTIONS (path '{0}', recursiveFileLookup 'true')",
        render_spark,
        tables,
    )


def _script(
    head: Iterable[str],
    create: str,
    files: str,
    render: Callable[[str], str],
    tables: Iterable[str],
) -> str:
    """Return the script: its head, what is in files, and the views; `files` completes `create` for a folder."""
    exported, known = list(tables), view_names()
    read = [f"{create} {_name_of_files(name, known)}{files.format(name)};" for name in exported]
    views = [f"{create} {name} AS\n{text};" for name, text in _views(known, exported, render)]
    return "\n".join([*head, *read, *views]) + "\n"


def _name_of_files(table: str, known: list[str]) -> str:
    return _FILES.format(table) if table in known and _grows(table) else table


def _views(
    known: list[str], exported: list[str], render: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    for name in known:
        if name not in exported:
            yield name, render(text_of_view(_path(name)))
        elif _grows(name):
            # what was not yet observed whole has no row there
            yield (
                name,
                f"SELECT f.*, s.last_s AS {GROWS}\nFROM {_FILES.format(name)} f"
                "\nLEFT JOIN sync_span s ON s.account = f.account",
            )


def _grows(view: str) -> bool:
    return bool(_LEFT_OUT.search(_path(view).read_text(encoding="utf-8")))


def _path(view: str) -> Path:
    return paths.VIEWS / f"{view}.sql"


SCRIPTS: Final[Mapping[str, Callable[[Iterable[str]], str]]] = {
    "duckdb.sql": duckdb_script,
    "spark.sql": spark_script,
}
"""Names of the scripts in an export, and what writes each."""
