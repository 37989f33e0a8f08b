"""The command usage: samples of GPU load, from files."""

from __future__ import annotations

from pathlib import Path

import click

from etl.cli.common import (
    FILE,
    FILE_OR_STREAM,
    Context,
    account_option,
    json_option,
    print_json,
    print_lines,
    say,
    warn,
)
from etl.cli.progress import progress_bar
from etl.texts import tr


@click.group()
def usage() -> None:
    """Import samples of GPU load, so that reports can tell busy machines from idle ones."""


@usage.command(name="import")
@click.argument("files", nargs=-1, required=True, type=FILE_OR_STREAM)
@click.option("--instance", help="All samples are of this instance: its uuid, or its title.")
@click.option(
    "--map",
    "map_file",
    type=FILE,
    help="A list (.csv, .xlsx, .toml) with the columns name and instance: which names are whose.",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="The zone of the clocks that wrote times without one. Default: the reporting time zone.",
)
@account_option("Only instances of this account.")
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be imported.")
@json_option
@click.pass_obj
def import_usage(
    context: Context,
    files: tuple[Path, ...],
    instance: str | None,
    map_file: Path | None,
    timezone: str | None,
    account: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take samples of GPU utilisation and memory from FILES, beside those imported before.

    A file is what nvidia-smi writes (--query-gpu=timestamp,index,utilization.gpu,memory.used
    --format=csv), the answer of Prometheus to a range query of DCGM's metrics, what a DCGM exporter
    serves, or a list (.csv, .xlsx) with the columns time, instance, gpu, utilisation. The same samples
    twice change nothing. FILES can be - for standard input. Examples: docs/utilisation.md.
    """
    from etl.samples.importing import SampleOptions, import_samples

    app = context.app()
    app.require_database()
    options = SampleOptions(instance, account, map_file, timezone)
    with progress_bar(tr("reading samples")):
        done = import_samples(app.database, files, options, app.now(), dry_run=dry_run)
    warn(done.remarks())
    numbers = {
        "files": done.files,
        "instances": len(done.instances),
        "new": done.new,
        "same": done.same,
        "differing": done.differing,
        "unmatched": sum(done.unmatched.values()),
        "unreadable": done.unreadable,
        "without_value": done.without_value,
        "outside": done.outside,
    }
    if as_json:
        print_json(numbers)
        return
    words = tr("{new} new samples of {instances} instances, {same} known ones", **numbers)
    say(
        tr("nothing was changed; it would import {words}", words=words)
        if dry_run
        else tr("imported: {words}", words=words)
    )


@usage.command(name="model")
@click.option(
    "--busy-percent",
    type=click.IntRange(1, 100),
    help="A GPU is busy from this utilisation on; past samples count anew.",
)
@click.pass_obj
def usage_model(context: Context, busy_percent: int | None) -> None:
    """Show from which utilisation on a GPU counts as busy, or set it. Default: 10 percent."""
    from etl.samples.importing import busy_percent as percent_in_force
    from etl.samples.importing import set_busy_percent

    app = context.app()
    app.require_database()
    if busy_percent is not None:
        set_busy_percent(app.database, busy_percent)
    print_lines([tr("busy from {percent} percent on", percent=percent_in_force(app.database))])
