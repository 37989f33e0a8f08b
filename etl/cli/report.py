"""The command report: our reports and the user's own, in every form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli import completion
from etl.cli.common import (
    FILE,
    FILE_OR_STREAM,
    STREAM,
    Context,
    account_option,
    json_option,
    print_json,
    print_lines,
)
from etl.cli.language import asked_lang, lang_option
from etl.cli.report_help import ARGUMENTS, report_help, report_index, report_list
from etl.cli.terminal import fitted
from etl.texts import ENGLISH, localized, spoken, tr

if TYPE_CHECKING:
    from etl.figures.asking import Rendering
    from etl.reports import Report

FORMATS = ("table", "json", "csv", "xlsx", "parquet")
FOR_PEOPLE = ("table", "xlsx")
"""Formats in the language of the screen; headings of the others change only if `--lang` asks."""


class ReportCommand(click.Command):
    """The command report; `report NAME --help` explains that report."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # click answers --help before it reads NAME, and could only explain the command
        asks = [word for word in args if word in ("-h", "--help")]
        if asks and len(args) > len(asks) and not args[0].startswith("-"):
            args = [word for word in args if word not in asks] + ["--help-report"]
        return super().parse_args(ctx, args)


@click.command(cls=ReportCommand)
@click.argument("name", required=False, shell_complete=completion.complete_report)
@click.option("--list", "is_list", is_flag=True, help="The reports there are.")
@click.option(
    "--file",
    "own",
    metavar="FILE.sql",
    type=FILE,
    help="A report of your own: one SELECT, run read-only; :account, :from_day, :to_day and so on are"
    " bound as in ours.",
)
@account_option("Only this account.")
@click.option(
    "--from",
    "since",
    metavar="DAY",
    shell_complete=completion.complete_period,
    help="First day: 2026-01-31, 2026-01, 7d, last-month …",
)
@click.option(
    "--to",
    "until",
    metavar="DAY",
    shell_complete=completion.complete_period,
    help="Last day, included.",
)
@click.option(
    "--month",
    metavar="YYYY-MM",
    shell_complete=completion.complete_month,
    help="With NAME month: the finance workbook of this month (xlsx).",
)
@click.option(
    "--by",
    metavar="WHAT",
    shell_complete=completion.complete_choice,
    help="A line for each: see report NAME --help.",
)
@click.option(
    "--event",
    metavar="KIND",
    shell_complete=completion.complete_choice,
    help="Only this kind of event (report events).",
)
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    shell_complete=completion.complete_parameter,
    help="Another parameter of the report; can be given several times.",
)
@click.option("--bounds", is_flag=True, help="Also the sure minimum and the maximum.")
@click.option("--help-report", is_flag=True, help="The same as report NAME --help.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Default: as the ending of --output says, else table. xlsx and parquet need --output.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE_OR_STREAM,
    help="Write there; a file that is there is replaced once the new one is whole. - is standard output.",
)
@click.option(
    "--excel",
    is_flag=True,
    help="CSV for Excel: with a byte order mark, order numbers as text. --lang zh does so too.",
)
@lang_option
@click.option(
    "--tz",
    type=click.Choice(["utc", "local"]),
    default="utc",
    show_default=True,
    help="Instants: in UTC, or in the database's time zone. xlsx has both by default.",
)
@click.option(
    "--columns",
    metavar="A,B",
    shell_complete=completion.complete_columns,
    help="Only these columns, in this order.",
)
@click.option("--wide", is_flag=True, help="On a terminal: every column in full, however wide.")
@click.option("--vertical", is_flag=True, help="As a table: a line for each column of each row.")
@click.option("--no-pager", is_flag=True, help="On a terminal: print long tables without a pager.")
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=10,
    type=click.IntRange(1, 86_400),
    help="On a terminal: draw it again every 10 seconds, or so many, until Ctrl-C.",
)
@json_option
@click.pass_obj
def report(context: Context, /, name: str | None, **options: Any) -> None:
    """Print a report; without a NAME, list all reports.

    Days are of the database's time zone, both ends included; the default is this month to date. A day
    can be 2026-01-31, a week 2026-W05, a month 2026-01, a quarter 2026-Q1, a year 2026, today, yesterday,
    7d (the last seven days), this- or last- with week, month, quarter or year.

    report month --month 2026-10 -o FILE.xlsx writes the workbook of a month for accounting.
    """
    asked = Asked(name, **options)
    if name == "month":
        from etl.cli.months import show_workbook

        show_workbook(context, asked.month, asked.account, asked.output, is_help=asked.help_report)
        return
    _refuse_together(asked)
    if asked.is_list or (name is None and asked.own is None):
        if asked.as_json:
            print_json(report_index())
        else:
            print_lines(fitted(report_list()))
        return
    _print(context, asked)


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of `report`, by the names of their options."""

    name: str | None
    is_list: bool
    own: Path | None
    account: str | None
    since: str | None
    until: str | None
    month: str | None
    by: str | None
    event: str | None
    given: tuple[str, ...]
    bounds: bool
    help_report: bool
    form: str | None
    output: Path | None
    excel: bool
    tz: str
    columns: str | None
    wide: bool
    vertical: bool
    no_pager: bool
    watch: int | None
    as_json: bool


def _print(context: Context, asked: Asked) -> None:
    """Print the report that was asked for, or its help."""
    from etl import reports

    own = asked.own
    chosen = reports.load_own(own) if own is not None else reports.load_report(str(asked.name))
    if asked.help_report:
        print_lines(fitted(report_help(chosen)))
        return
    wanted = _rendering(asked)
    options = {
        "from_day": asked.since,
        "to_day": asked.until,
        "by": asked.by,
        "event": asked.event,
        **_assignments(asked.given),
    }
    _refuse_unused(chosen, options)
    options["account"] = asked.account
    if asked.watch is None:
        from etl.cli.printing import print_report

        print_report(context, chosen, options, wanted, asked.output)
        return
    from etl.cli.watching import watch_report

    if asked.output is not None:
        raise click.UsageError(localized(tr("--watch draws on the terminal: leave out --output")))
    watch_report(context, chosen, options, wanted, asked.watch)


def _refuse_together(asked: Asked) -> None:
    """Refuse words that do not go together."""
    if asked.month is not None:
        raise click.UsageError(
            localized(tr("--month goes with report month; a report takes --from 2026-10"))
        )
    if asked.as_json and asked.form not in (None, "json"):
        raise click.UsageError(
            localized(tr("--json and --format {form}: say one of them", form=asked.form))
        )
    if asked.name is not None and asked.own is not None:
        raise click.UsageError(localized(tr("--file runs that file: give no NAME with it")))


def _rendering(asked: Asked) -> Rendering:
    """Return the form that is wanted; refuse options that it cannot have."""
    from etl.figures.asking import Rendering

    form = _output_format("json" if asked.as_json else asked.form, asked.output)
    if asked.tz == "local" and form == "parquet":
        raise click.UsageError(
            localized(
                tr(
                    "--tz local is for table, csv, json and xlsx; {form} has instants in UTC",
                    form=form,
                )
            )
        )
    if asked.vertical and (form != "table" or asked.output is not None):
        raise click.UsageError(localized(tr("--vertical is for tables on standard output")))
    return Rendering(
        form,
        spoken() if form in FOR_PEOPLE else asked_lang() or ENGLISH,
        asked.bounds,
        for_excel=asked.excel,
        is_local=asked.tz == "local",
        names=() if asked.columns is None else tuple(asked.columns.split(",")),
        is_wide=asked.wide,
        is_vertical=asked.vertical,
        may_page=not asked.no_pager,
    )


def _output_format(form: str | None, output: Path | None) -> str:
    from etl.reports.render import ENDINGS, FILE_FORMATS

    if form is None and output is not None and str(output) != STREAM:
        form = ENDINGS.get(output.suffix.lower())
        if form is None:
            raise click.UsageError(
                localized(
                    tr(
                        "{output} does not say its format: add --format, or end it in {endings}",
                        output=output,
                        endings=", ".join(ENDINGS),
                    )
                )
            )
    if form in FILE_FORMATS and output is None:
        raise click.UsageError(
            localized(tr("--format {form} needs a file: add --output FILE.{form}", form=form))
        )
    return form or "table"


def _assignments(settings: Iterable[str]) -> dict[str, str]:
    for setting in settings:
        if not re.match(r"\w+=", setting):
            raise click.BadParameter(localized(tr("use NAME=VALUE")), param_hint="--set")
    # only at the first =, since a value may hold one
    return dict(setting.split("=", 1) for setting in settings)


def _refuse_unused(chosen: Report, given: Mapping[str, str | None]) -> None:
    for name, value in given.items():
        if value is not None and chosen.param(name) is None:
            raise click.UsageError(
                localized(
                    tr(
                        "report {name} has no {option}: see chenyu-etl report {name} --help",
                        name=chosen.name,
                        option=ARGUMENTS.get(name, name),
                    )
                )
            )
