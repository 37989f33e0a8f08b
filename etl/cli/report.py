"""The command report: our reports and the user's own, in every form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import (
    FILE,
    FILE_OR_STREAM,
    STREAM,
    Context,
    account_option,
    json_option,
    print_json,
    print_lines,
    say,
)
from etl.cli.language import asked_lang, lang_option
from etl.texts import ENGLISH, first_sentence, localized, spoken, tr

if TYPE_CHECKING:
    from etl.reports import Column, Report
    from etl.reports.render.columns import Rows

FORMATS = ("table", "json", "csv", "xlsx", "parquet")
FOR_PEOPLE = ("table", "xlsx")
"""Formats in the language of the screen; headings of the others change only if `--lang` asks."""
ARGUMENTS = {"from_day": "--from", "to_day": "--to", "by": "--by", "event": "--event"}
"""Parameters of reports that have an option of their own."""


class ReportCommand(click.Command):
    """The command report; `report NAME --help` explains that report."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # click answers --help before it reads NAME, and could only explain the command
        asks = [word for word in args if word in ("-h", "--help")]
        if asks and len(args) > len(asks) and not args[0].startswith("-"):
            args = [word for word in args if word not in asks] + ["--help-report"]
        return super().parse_args(ctx, args)


@click.command(cls=ReportCommand)
@click.argument("name", required=False)
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
    "--from", "since", metavar="DAY", help="First day: 2026-01-31, 2026-01, 7d, last-month …"
)
@click.option("--to", "until", metavar="DAY", help="Last day, included.")
@click.option(
    "--month", metavar="YYYY-MM", help="With NAME month: the finance workbook of this month (xlsx)."
)
@click.option("--by", metavar="WHAT", help="A line for each: see report NAME --help.")
@click.option("--event", metavar="KIND", help="Only this kind of event (report events).")
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
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
@json_option
@click.pass_obj
def report(
    context: Context,
    name: str | None,
    is_list: bool,
    own: Path | None,
    account: str | None,
    since: str | None,
    until: str | None,
    month: str | None,
    by: str | None,
    event: str | None,
    given: tuple[str, ...],
    bounds: bool,
    help_report: bool,
    form: str | None,
    output: Path | None,
    excel: bool,
    tz: str,
    as_json: bool,
) -> None:
    """Print a report; without a NAME, list all reports.

    Days are of the database's time zone, both ends included; the default is this month to date. A day
    can be 2026-01-31, a month 2026-01, a quarter 2026-Q1, a year 2026, today, yesterday, 7d (the last
    seven days), this- or last- with week, month, quarter or year.

    report month --month 2026-10 -o FILE.xlsx writes the workbook of a month for accounting.
    """
    from etl import reports

    if name == "month":
        from etl.cli.months import show_workbook

        show_workbook(context, month, account, output, is_help=help_report)
        return
    if month is not None:
        raise click.UsageError(
            localized(tr("--month goes with report month; a report takes --from 2026-10"))
        )
    if is_list or (name is None and own is None):
        if as_json:
            print_json(_report_index(reports))
        else:
            print_lines(_list(reports))
        return
    if as_json and form not in (None, "json"):
        raise click.UsageError(
            localized(tr("--json and --format {form}: say one of them", form=form))
        )
    if name is not None and own is not None:
        raise click.UsageError(localized(tr("--file runs that file: give no NAME with it")))
    chosen = reports.load_own(own) if own is not None else reports.load_report(str(name))
    if help_report:
        print_lines(_help(chosen))
        return
    form = _output_format("json" if as_json else form, output)
    if tz == "local" and form == "parquet":
        raise click.UsageError(
            localized(
                tr(
                    "--tz local is for table, csv, json and xlsx; {form} has instants in UTC",
                    form=form,
                )
            )
        )
    options = {"from_day": since, "to_day": until, "by": by, "event": event, **_assignments(given)}
    _refuse_unused(chosen, options)
    arguments = {**options, "account": account}
    lang = spoken() if form in FOR_PEOPLE else asked_lang() or ENGLISH
    wanted = _Rendering(form, lang, bounds, for_excel=excel, is_local=tz == "local")
    _show(context, chosen, arguments, wanted, output)


@dataclass(frozen=True, slots=True)
class _Rendering:
    """The form in which a report's rows are wanted."""

    form: str
    lang: str
    bounds: bool
    for_excel: bool
    is_local: bool


def _show(
    context: Context,
    chosen: Report,
    options: Mapping[str, Any],
    wanted: _Rendering,
    output: Path | None,
) -> None:
    """Run the report and print it, or write it to the file."""
    from etl import paths, reports
    from etl.reports.render import render

    app = context.app()
    app.require_database()
    if output is not None:
        paths.refuse_spared(output, app.database.files)
    if chosen.param("account") is not None:
        app.refuse_unknown_account(options["account"])
    arguments = _report_arguments(app, chosen, options)
    columns, rows = _run_report(app, chosen, arguments, wanted)
    line = reports.line_above(app.database, chosen, arguments, wanted.lang)
    # whatever reads CSV or JSON takes each line for data, so there it goes to standard error
    if wanted.form not in ("table", "xlsx"):
        say(line)
    if output is not None:
        _write_report(app, chosen, arguments, wanted, (columns, rows), line, output)
        return
    above = [line] if wanted.form == "table" else []
    lines = render(wanted.form, columns, rows, wanted.lang, for_excel=wanted.for_excel)
    print_lines(chain(above, lines))


def _report_arguments(app: Any, chosen: Report, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report's arguments: the options, the first and the last day, and now."""
    from etl import reports

    since = options["from_day"] if chosen.param("from_day") else options["to_day"]
    first, last = reports.day_range(since, options["to_day"], app.today())
    arguments = {"now": app.now(), **options, "from_day": first, "to_day": last}
    _refuse_missing(chosen, arguments)
    reports.refuse_no_numbers(chosen, arguments)
    return arguments


def _run_report(
    app: Any, chosen: Report, arguments: Mapping[str, Any], wanted: _Rendering
) -> tuple[Sequence[Column], Rows]:
    """Run the report; return its columns and rows, and say on standard error what they leave out."""
    from etl import reports
    from etl.history.days import Zone
    from etl.reports.render.zones import in_zone, local_beside
    from etl.reports.words import in_language

    zone = app.stored_timezone()
    names, read = reports.run(app.database, chosen, arguments)
    # unread rows keep a transaction open: a reader that leaves (`| head`) must not keep it
    click.get_current_context().call_on_close(read.close)
    rows: Rows = read
    columns = chosen.described(names)
    if not wanted.bounds:
        columns, rows = _without_bounds(columns, rows)
    if wanted.form in ("table", "csv", "xlsx") and not chosen.is_own:
        rows = in_language(columns, rows, wanted.lang)
    if wanted.form == "xlsx":
        columns, rows = local_beside(columns, rows, Zone(zone), only=wanted.is_local)
    elif wanted.is_local:
        rows = in_zone(columns, rows, Zone(zone))
    if chosen.param("from_day") is not None:
        say(
            tr(
                "{from_day} to {to_day}, days of {zone}",
                from_day=arguments["from_day"],
                to_day=arguments["to_day"],
                zone=zone,
            )
        )
        rows = _or_observed_days(rows, app, arguments["account"])
    if reports.is_about_money(chosen):
        for words in reports.unread(app.database, arguments.get("account")):
            say(tr("not understood, and in no sum: {words}", words=words))
    return columns, rows


def _write_report(
    app: Any,
    chosen: Report,
    arguments: dict[str, Any],
    wanted: _Rendering,
    table: tuple[Sequence[Column], Rows],
    line: str,
    output: Path,
) -> None:
    """Write a report to a file: `line` above a table, notes beside the rows in a workbook."""
    from etl import paths, reports
    from etl.reports.render import write_file

    made_at, notes = app.now(), []
    if wanted.form == "xlsx":
        notes = reports.notes_of_report(
            app.database,
            chosen,
            arguments,
            zone=app.stored_timezone(),
            made_at=made_at,
            lang=wanted.lang,
        )
    with paths.replacing(output, app.database.files) as file:
        write_file(
            file,
            wanted.form,
            chosen.name,
            *table,
            above=line,
            made_at=made_at,
            lang=wanted.lang,
            notes=notes,
            for_excel=wanted.for_excel,
        )
    say(tr("written: {output}", output=output))


def _or_observed_days(rows: Any, app: Any, account: str | None) -> Any:
    """Return the rows; if a period has none, tell the user which days were observed."""
    from etl import reports
    from etl.history.days import Zone

    is_empty = True
    for row in rows:
        is_empty = False
        yield row
    if is_empty and (seen := reports.observed(app.database, account)):
        first, last = map(Zone(app.stored_timezone()).local_date, seen)
        say(
            tr(
                "no rows; observed from {first} to {last}: choose with --from, such as --from "
                "{first}",
                first=first,
                last=last,
            )
        )
    elif is_empty:
        say(tr("no rows; nothing is observed yet: chenyu-etl sync, and see chenyu-etl status"))


def _list(reports: Any) -> Iterator[str]:
    """Yield a line for each report: name, first sentence and parameters, aligned."""
    listed = [reports.load_report(name) for name in reports.report_names()]
    wide = max(len(report.name) for report in listed)
    for report in listed:
        takes = ", ".join(p.name for p in report.params if p.name not in ("account", "to_day"))
        takes = takes.replace("from_day", "from, to")
        yield f"{report.name:{wide}}  {first_sentence(report.meaning(spoken()))}" + (
            f" ({takes})" if takes else ""
        )


def _report_index(reports: Any) -> list[dict[str, Any]]:
    return [
        {"name": report.name, "about": report.about, "parameters": [p.name for p in report.params]}
        for report in map(reports.load_report, reports.report_names())
    ]


def _help(chosen: Report) -> Iterator[str]:
    lang = spoken()
    yield chosen.meaning(lang)
    for param in chosen.params:
        option = ARGUMENTS.get(param.name, f"--{param.name}" if param.name == "account" else "")
        option = option or f"--set {param.name}="
        values = f": {', '.join(param.choices)}" if param.choices else ""
        known = tr(" (default: {value})", value=param.default) if param.default is not None else ""
        yield tr(
            "  parameter {name} ({option}) {meaning}{values}{default}",
            name=param.name,
            option=option,
            meaning=param.about,
            values=values,
            default=known,
        )
    for column in chosen.columns.values():
        heading = column.full_heading(lang)
        facts = f" [{heading}]" if heading != column.name else ""
        yield tr(
            "  column {name}: {meaning}{facts}",
            name=column.name,
            meaning=column.meaning(lang),
            facts=facts,
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


def _refuse_missing(chosen: Report, arguments: Mapping[str, Any]) -> None:
    """Refuse to run the user's own SQL while a parameter without a default has no value."""
    for param in chosen.params:
        if chosen.is_own and param.name not in arguments and param.default is None:
            raise click.UsageError(
                localized(
                    tr(
                        "{report}: :{parameter} has no value: add --set {parameter}=…",
                        report=chosen.name,
                        parameter=param.name,
                    )
                )
            )


def _without_bounds(columns: list[Column], rows: Any) -> tuple[list[Column], Any]:
    kept = [i for i, c in enumerate(columns) if not re.search(r"_(min|max)(_|$)", c.name)]
    return [columns[i] for i in kept], ([row[i] for i in kept] for row in rows)
