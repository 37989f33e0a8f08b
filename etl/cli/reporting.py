"""Commands that look: status, report."""

from __future__ import annotations

import re
from typing import Any

import click

from etl.cli.common import Context, account_option, json_option, print_json, print_lines, say


@click.command()
@click.option(
    "--max-age",
    metavar="TIME",
    help="Exit with 1 where an account's newest complete poll of its instances is older: 15m, 2h, 1d.",
)
@json_option
@click.pass_context
def status(ctx: click.Context, max_age: str | None, as_json: bool) -> None:
    """What is synced, how fresh it is, and what is odd."""
    from etl.status import status as read

    limit_s = _seconds(max_age) if max_age else None
    app = ctx.obj.app()
    app.require_database()
    found = read(app.database, app.now())
    if as_json:
        print_json(found)
    else:
        say(f"database: {found['database']}")
        print_lines(_status_lines(found))
    polls = [p for p in found["polls"] if p["resource"] == "instances"]
    if limit_s is not None and (
        not polls or any(p["age_s"] is None or p["age_s"] > limit_s for p in polls)
    ):
        ctx.exit(1)


@click.command()
@click.argument("name", required=False)
@click.option("--list", "is_list", is_flag=True, help="The reports there are.")
@account_option("Only this account.")
@click.option(
    "--from", "since", metavar="DAY", help="First day: 2026-01-31, 2026-01, 7d, last-month …"
)
@click.option("--to", "until", metavar="DAY", help="Last day, included.")
@click.option(
    "--by",
    metavar="WHAT",
    help="A line for each: see the report's own help (report NAME --help-report).",
)
@click.option("--event", metavar="KIND", help="Only this kind of event (report events).")
@click.option("--bounds", is_flag=True, help="Also the sure minimum and the maximum.")
@click.option("--help-report", is_flag=True, help="What the report's columns and parameters mean.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
)
@json_option
@click.pass_obj
def report(
    context: Context,
    name: str | None,
    is_list: bool,
    account: str | None,
    since: str | None,
    until: str | None,
    by: str | None,
    event: str | None,
    bounds: bool,
    help_report: bool,
    form: str,
    as_json: bool,
) -> None:
    """Print a report; without a NAME, the reports there are.

    Days are of the database's time zone, both ends included; the default is this month to date.
    """
    from etl import reports
    from etl.render import render

    if is_list or name is None:
        print_lines(f"{each:10}  {reports.load(each).about}" for each in reports.names())
        return
    chosen = reports.load(name)
    if help_report:
        print_lines(_report_help(chosen))
        return
    _refuse_unused(chosen, {"from_day": since, "to_day": until, "by": by, "event": event})
    app = context.app()
    app.require_database()
    first, last = reports.day_range(since, until, app.today())
    arguments = {"account": account, "from_day": first, "to_day": last, "by": by, "event": event}
    columns, rows = reports.run(app.database, chosen, arguments)
    if not bounds:
        columns, rows = _without_bounds(columns, rows)
    if chosen.param("from_day") is not None:
        say(f"{first} to {last}, days of {app.stored_timezone()}")
    print_lines(render("json" if as_json else form, columns, rows))


def _status_lines(found: dict[str, Any]) -> Any:
    for poll in found["polls"]:
        fresh = "never complete" if poll["age_s"] is None else f"{_age(poll['age_s'])} ago"
        yield (
            f"{poll['account']} {poll['resource']}: last complete {fresh}, last poll"
            f" {poll['last_outcome']} at {poll['last_run_at']}, {poll['polls']} polls,"
            f" {poll['failed']} failed"
        )
        if poll["last_error"]:
            yield f"  {poll['last_error']}"
    for fleet in found["fleet"]:
        yield (
            f"{fleet['account']}: {fleet['instances']} instances, {fleet['running']} running on"
            f" {fleet['gpus_running']} GPUs, {fleet['missing']} missing, {fleet['gone']} gone"
        )
        if fleet["unreadable"]:
            yield f"  {fleet['unreadable']} listed, but not understood: see table rejected_record"
        if fleet["unknown_codes"]:
            codes = ", ".join(map(str, fleet["unknown_codes"]))
            yield f"  unknown status codes {codes} count as not running: chenyu-etl codes set"
    if found["alerts"]:
        yield f"{found['alerts']} alerts hold: chenyu-etl alerts list"
    for each in found["channels"]:
        yield (
            f"channel {each['channel']}: {each['waiting']} messages wait to be tried again,"
            f" {each['given_up']} given up"
        )
        yield f"  {each['error']}"
    if not found["polls"]:
        yield "nothing is synced yet: chenyu-etl sync"


def _refuse_unused(chosen: Any, said: dict[str, str | None]) -> None:
    for name, value in said.items():
        if value is not None and chosen.param(name) is None:
            raise click.UsageError(
                f"report {chosen.name} has no --{name.removesuffix('_day')}:"
                f" see chenyu-etl report {chosen.name} --help-report"
            )


def _without_bounds(columns: list[str], rows: Any) -> tuple[list[str], Any]:
    kept = [i for i, c in enumerate(columns) if not re.search(r"_(min|max)(_|$)", c)]
    return [columns[i] for i in kept], ([row[i] for i in kept] for row in rows)


def _report_help(chosen: Any) -> Any:
    yield chosen.about
    for param in chosen.params:
        yield f"  parameter {param.name}: {param.about}" + (
            f" {', '.join(param.choices)}" if param.choices else ""
        )
    for column, about in chosen.columns.items():
        yield f"  column {column}: {about}"


def _age(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise click.BadParameter(
            "use a number and s, m, h or d, such as 15m", param_hint="--max-age"
        )
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]
