"""Commands that write for other tools: export."""

from __future__ import annotations

from pathlib import Path

import click

from etl.cli.common import FILE_OR_STREAM, Context, LazyChoice, NamedPath, account_option, say
from etl.cli.progress import progress_bar
from etl.errors import SettingsError
from etl.texts import tr


def _focus_versions() -> tuple[str, ...]:
    from etl.exports.focus import VERSIONS

    return VERSIONS


@click.group()
def export() -> None:
    """Write the history for other tools."""


@export.command("parquet")
@click.argument("target", metavar="DIR", type=NamedPath(file_okay=False))
@click.option(
    "--by",
    "period",
    type=click.Choice(["month", "day"]),
    default="month",
    show_default=True,
    help="What a partition of versions, usage and daily facts is.",
)
@click.pass_obj
def parquet(context: Context, target: str, period: str) -> None:
    """Versions, usage and daily facts as typed, partitioned Parquet below DIR.

    DIR is a folder that is empty, not there, or holds an older export; or a URL, such as
    s3://bucket/folder. Files that did not change stay as they are, the others are replaced once all are
    written: the same database gives the same files. duckdb.sql and spark.sql in it make tables and our
    views of them in DuckDB and Spark.
    """
    from etl.exports import parquet as exported
    from etl.exports.targets import location_of

    app = context.app()
    app.require_database()
    rows = 0
    with progress_bar(tr("writing rows")):
        for table in exported.export_parquet(app.database, target, period):
            # table by table: a long history takes a while
            say(
                tr(
                    "{name}: {rows:,} rows in {files} files, {changed} changed",
                    name=table.name,
                    rows=table.rows,
                    files=table.files,
                    changed=table.changed,
                )
            )
            rows += table.rows
    say(tr("written: {folder}, {rows:,} rows", folder=location_of(target), rows=rows))


@export.command("focus")
@account_option("Only this account.")
@click.option(
    "--month",
    metavar="MONTH",
    help="A month such as 2026-10, of the reporting time zone.  [default: last month]",
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=FILE_OR_STREAM,
    help="The file, .csv or .parquet; replaced once it is whole. - is standard output, as CSV.",
)
@click.option(
    "--focus",
    "version",
    type=LazyChoice(_focus_versions),
    default="1.2",
    show_default=True,
    help="Version of FOCUS; 1.3 adds HostProviderName and ServiceProviderName.",
)
@click.pass_obj
def focus(
    context: Context, account: str | None, month: str | None, output: Path, version: str
) -> None:
    """Write a month of cost and usage in the columns of FOCUS, for FinOps tools.

    A line is one instance, one stretch of usage, one price and one day. BilledCost is the bill,
    shared out by day in proportion to estimated cost (x_EstimatedCost); bill lines that no usage
    can take get lines of their own. Usage without a known price is in no line; a message says how
    much of it there is.
    """
    from etl.exports import focus as exported
    from etl.history.months import Month, is_month

    app = context.app()
    app.require_database()
    # last month: this one is not billed yet
    chosen = month or str(Month.of(app.today()).previous())
    # an empty file of a month to come would look like a month without cost
    if is_month(chosen) and Month.parse(chosen) > Month.of(app.today()):
        raise SettingsError(
            tr("{chosen} has not begun", chosen=chosen), advice=tr("name a month that has")
        )
    # nothing at all would look like an account without cost
    app.refuse_unknown_account(account)
    with progress_bar(tr("writing rows")):
        written = exported.export_focus(app.database, chosen, output, account, version)
    say(
        tr(
            "written: {output}, {rows:,} rows of {chosen}",
            output=output,
            rows=written.rows,
            chosen=chosen,
        )
    )
    # said here: a file cannot show what is not in it
    if written.unpriced_hours:
        say(
            tr(
                "left out: {unpriced_hours:,} hours of usage without a known price",
                unpriced_hours=written.unpriced_hours,
            )
        )
        say(tr("       say what it costs: chenyu-etl prices import"))
