"""The command month: closed months."""

from __future__ import annotations

import click

from etl.cli.common import Context, account_option, json_option, print_rows, say, warn
from etl.units import MICRO


@click.group()
def month() -> None:
    """Close, reopen and show months. A closed month's costs are frozen, whatever is learned later."""


@month.command(name="close")
@click.argument("month", metavar="YYYY-MM")
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
    warn(closing.remarks)
    if dry_run:
        columns = ["account", "month", "project", "owner", "cost_centre", "cost_yuan"]
        rows = sorted((*(p or "" for p in share), c / MICRO) for share, c in closing.costs.items())
        print_rows(columns, rows, as_json)
    done = "would be closed" if dry_run else "is closed"
    say(f"{month} {done} for {', '.join(closing.accounts)}")


@month.command(name="reopen")
@click.argument("month", metavar="YYYY-MM")
@account_option("Only this account.")
@click.pass_obj
def reopen_month(context: Context, month: str, account: str | None) -> None:
    """Reopen a month: its costs follow current prices and rules again."""
    from etl.books.closing import reopen

    app = context.app()
    app.require_database()
    say(f"{month} is open again for {', '.join(reopen(app.database, month, account))}")


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
