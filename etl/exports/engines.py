"""Scripts that make tables of an export, and our views over them, in other engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from etl import paths
from etl.dialect.duckdb import render_duckdb
from etl.dialect.rendering import text_of_view
from etl.dialect.spark import SETTINGS, render_spark
from etl.store.views import view_names


def duckdb_script(tables: Iterable[str]) -> str:
    """Return a script for DuckDB, run in the folder of the export."""
    # our day is a column of the file: one of the folder's name beside it would clash
    table = (
        "CREATE OR REPLACE VIEW {0} AS SELECT * FROM"
        " read_parquet('{0}/**/*.parquet', hive_partitioning = false)"
    )
    return _script(
        [
            "-- The export in DuckDB. Run it in this folder, and stay there: it names files beside it.",
            "-- The command-line tool: duckdb -init duckdb.sql (pip install duckdb brings the module alone).",
            "-- From Python, statement by statement: split it at each semicolon that ends a line.",
            "SET TimeZone = 'UTC';",
            # our views divide integers as SQLite and Postgres do
            "SET integer_division = true;",
        ],
        [table.format(name) for name in _stored(tables)],
        _views("CREATE OR REPLACE VIEW", render_duckdb),
    )


def spark_script(tables: Iterable[str]) -> str:
    """Return a script for Spark SQL, run in the folder of the export."""
    table = (
        "CREATE OR REPLACE TEMPORARY VIEW {0} USING parquet"
        " OPTIONS (path '{0}', recursiveFileLookup 'true')"
    )
    return _script(
        [
            "-- The export in Spark SQL from 4.0 on. Run it in this folder: spark-sql -i spark.sql",
            "-- From Python, statement by statement: split it at each semicolon that ends a line.",
            *(f"SET {name} = {value};" for name, value in SETTINGS.items()),
        ],
        [table.format(name) for name in _stored(tables)],
        _views("CREATE OR REPLACE TEMPORARY VIEW", render_spark),
    )


def _script(head: Iterable[str], *statements: Iterable[str]) -> str:
    made = [f"{statement};" for part in statements for statement in part]
    return "\n".join([*head, *made]) + "\n"


def _stored(tables: Iterable[str]) -> list[str]:
    """Return the names without those of views, which are made of the others."""
    views = set(view_names())
    return [name for name in tables if name not in views]


def _views(create: str, render: Callable[[str], str]) -> Iterator[str]:
    for name in view_names():
        yield f"{create} {name} AS\n{render(text_of_view(paths.VIEWS / f'{name}.sql'))}"


SCRIPTS: Final[Mapping[str, Callable[[Iterable[str]], str]]] = {
    "duckdb.sql": duckdb_script,
    "spark.sql": spark_script,
}
"""Names of the scripts in an export, and what writes each."""
