"""The command month: closed months; and the workbook of a month, which report month writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from etl.cli import completion
from etl.cli.common import (
    STREAM,
    Context,
    account_option,
    json_option,
    print_lines,
    print_rows,
    say,
    warn,
)
from etl.texts import first_sentence, localized, spoken, tr
from etl.units import MICRO


@click.group()
def month() -> None:
    """Close, reopen and show months. A closed month's costs are frozen, whatever is learned later."""


@month.command(name="close")
@click.argument("month", metavar="YYYY-MM", shell_complete=completion.complete_month)
@account_option("Only this account.")
@click.option(
    "--dry-run", is_flag=True, help="Close nothing; print the costs that would be frozen."
)
@json_option
@click.pass_obj
def close_month(
    context: Context, month: str, account: str | None, dry_run: bool, as_json: bool
) -> None:
    """Freeze the costs of a month, and who pays them. Bill lines that come later are adjustments.

    A month that was not observed from its beginning is closed with a warning, one that was not observed
    at all is not closed.
    """
    from etl.books.closing import close

    app = context.app()
    app.require_database()
    closing = close(app.database, month, account, app.now(), dry_run=dry_run)
    # before the result: they say what the frozen costs lack
    warn(closing.remarks)
    if dry_run:
        columns = ["account", "month", "project", "owner", "cost_centre", "cost_yuan"]
        # nobody and a name cannot be sorted
        rows = sorted((*(p or "" for p in share), c / MICRO) for share, c in closing.costs.items())
        print_rows(columns, rows, as_json)
    done = tr("would be closed") if dry_run else tr("is closed")
    say(
        tr(
            "{month} {done} for {accounts}",
            month=month,
            done=done,
            accounts=", ".join(closing.accounts),
        )
    )


@month.command(name="reopen")
@click.argument("month", metavar="YYYY-MM", shell_complete=completion.complete_month)
@account_option("Only this account.")
@click.pass_obj
def reopen_month(context: Context, month: str, account: str | None) -> None:
    """Reopen a month: its costs follow current prices and rules again."""
    from etl.books.closing import reopen

    app = context.app()
    app.require_database()
    say(
        tr(
            "{month} is open again for {reopen}",
            month=month,
            reopen=", ".join(reopen(app.database, month, account)),
        )
    )


@month.command(name="show")
@json_option
@click.pass_obj
def show_months(context: Context, as_json: bool) -> None:
    """Print the closed months with their frozen cost, and the cost by what is known today."""
    from etl.books.closing import frozen_months
    from etl.history.days import iso

    app = context.app()
    app.require_database()
    columns = ["account", "month", "closed_at", "frozen_yuan", "known_today_yuan"]
    rows = [
        (
            m.account,
            m.month,
            iso(m.closed_at),
            m.frozen_microcny / MICRO,
            m.known_today_microcny / MICRO,
        )
        for m in frozen_months(app.database)
    ]
    print_rows(columns, rows, as_json)


def show_workbook(
    context: Context,
    month: str | None,
    account: str | None,
    output: Path | None,
    *,
    is_help: bool,
) -> None:
    """Write the workbook of a month, or print the list of its sheets."""
    from etl.reports.workbook import SHEETS, write_month

    if is_help:
        print_lines(_workbook_help(SHEETS))
        return
    if (
        month is None
        or output is None
        # by its name: Excel opens no other
        or (output.suffix.lower() != ".xlsx" and str(output) != STREAM)
    ):
        raise click.UsageError(localized(tr("report month takes --month YYYY-MM and -o FILE.xlsx")))
    app = context.app()
    app.require_database()
    # a slip in the name would give a workbook of empty sheets
    app.refuse_unknown_account(account)
    write_month(
        app.database,
        output,
        month,
        account=account,
        zone=app.stored_timezone(),
        today=app.today(),
        made_at=app.now(),
        lang=spoken(),
    )
    say(tr("written: {output}", output=output))


def _workbook_help(sheets: Iterable[Any]) -> Iterator[str]:
    from etl import reports

    yield tr(
        "The workbook of a month for the books: chenyu-etl report month --month 2026-10 -o FILE.xlsx"
    )
    yield tr(
        "Also takes --account NAME, and --lang zh for Chinese. Local time stands beside UTC. Its "
        "sheets:"
    )
    for sheet in sheets:
        report = reports.load_report(sheet.report)
        yield tr(
            "  {sheet}, as report {report}: {meaning}",
            sheet=sheet.title,
            report=report.name,
            meaning=first_sentence(report.meaning(spoken())),
        )
    yield tr("  Notes: period, time zone, how far the bill has settled, gaps, version")
