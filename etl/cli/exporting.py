"""Commands that write for other tools: export."""

from __future__ import annotations

from pathlib import Path

import click

from etl.cli.common import Context, say


@click.group()
def export() -> None:
    """Write the history for other tools."""


@export.command("parquet")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--by",
    "period",
    type=click.Choice(["month", "day"]),
    default="month",
    show_default=True,
    help="What a partition of versions, usage and daily facts is.",
)
@click.pass_obj
def parquet(context: Context, folder: Path, period: str) -> None:
    """Versions, usage and daily facts as typed, partitioned Parquet below DIR.

    DIR is empty, not there, or an older export, which the new one replaces once it is whole: the same
    database gives the same files. duckdb.sql in it makes tables and our views of them in DuckDB.
    """
    from etl.exports import parquet as exported

    app = context.app()
    app.require_database()
    rows = 0
    for table in exported.export(app.database, folder, period):
        say(f"{table.name}: {table.rows:,} rows in {table.files} files")
        rows += table.rows
    say(f"written: {folder}, {rows:,} rows")
