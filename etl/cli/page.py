"""The command page."""

from __future__ import annotations

from pathlib import Path

import click

from etl.cli import completion
from etl.cli.common import Context, account_option, say
from etl.cli.language import lang_option
from etl.texts import spoken, tr


@click.command()
@click.option(
    "--from",
    "since",
    metavar="DAY",
    shell_complete=completion.complete_period,
    help="First day, month or period.",
)
@click.option(
    "--to", "until", metavar="DAY", shell_complete=completion.complete_period, help="Last day."
)
@account_option("Only this account.")
@click.option(
    "--project",
    metavar="NAME",
    shell_complete=completion.complete_project,
    help="Only the instances that this project pays for.",
)
@lang_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write, such as page.html.",
)
@click.pass_obj
def page(
    context: Context,
    since: str | None,
    until: str | None,
    account: str | None,
    project: str | None,
    output: Path,
) -> None:
    """Write one HTML page: what runs, what it cost, what needs attention, and how sure that is.

    The file asks for nothing else: send it by mail, put it on a share, print it. Days are of the
    database's time zone, both ends included; the default is this month to date.
    """
    from etl import paths, reports
    from etl.history.days import Zone
    from etl.page import Choice, build

    app = context.app()
    app.require_database()
    app.refuse_unknown_account(account)
    # before the work: a page of a large account takes seconds
    paths.refuse_spared(output, app.database.files)
    first, last = reports.day_range(since, until, app.today())
    choice = Choice(first, last, account, project)
    zone = Zone(app.stored_timezone())
    html = build(app.database, choice, zone=zone, now=app.now(), lang=spoken())
    with paths.replacing(output, app.database.files) as file:
        file.write(html.encode())
    say(tr("written: {output}, {first} to {last}", output=output, first=first, last=last))
