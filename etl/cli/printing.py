"""What `report` does once its words are understood: run, and print or write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import Context, print_lines, say
from etl.cli.terminal import Screen, screen, show_lines
from etl.texts import localized, spoken, tr

if TYPE_CHECKING:
    from etl.app import App
    from etl.reports import Column, Report
    from etl.reports.render.columns import Rows

Tell = Callable[[str], None]
"""Takes a remark for people, which is no part of the report."""
OVERVIEW = "overview"
"""The report that begins with a look at everything."""
SPOKEN_FORMATS = ("table", "csv", "xlsx")
"""Formats whose words can be Chinese."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """The form in which a report's rows are wanted; `names` are those of the columns, all if empty."""

    form: str
    lang: str
    has_bounds: bool = False
    for_excel: bool = False
    is_local: bool = False
    names: tuple[str, ...] = ()
    is_wide: bool = False
    is_vertical: bool = False
    may_page: bool = True


@dataclass(frozen=True, slots=True)
class ReportRows:
    """A report that was run: its columns and rows, and the line that says until when it is observed."""

    columns: Sequence[Column]
    rows: Rows
    line: str


def print_report(
    context: Context,
    chosen: Report,
    options: Mapping[str, Any],
    wanted: Rendering,
    output: Path | None,
) -> None:
    """Run the report and print it, or write it to the file."""
    from etl import paths

    terminal = screen() if wanted.form == "table" and output is None else None
    if terminal is not None:
        _, lines = read_lines(context, chosen, options, wanted, terminal, say)
        show_lines(lines, terminal, may_page=wanted.may_page, is_wide=wanted.is_wide)
        return
    app = context.app()
    app.require_database()
    if output is not None:
        paths.refuse_spared(output, app.database.files)
    arguments = report_arguments(app, chosen, options)
    reading = read_report(app, chosen, arguments, wanted, say)
    if output is not None:
        _write_report(app, chosen, arguments, wanted, reading, output)
        return
    # whatever reads CSV or JSON takes each line for data, so there it goes to standard error
    if wanted.form != "table":
        say(reading.line)
    print_lines(report_lines(chosen, wanted, reading, None))


def read_lines(
    context: Context,
    chosen: Report,
    options: Mapping[str, Any],
    wanted: Rendering,
    terminal: Screen,
    tell: Tell,
) -> tuple[App, list[str]]:
    """Run the report; return its lines on a terminal, and the program over its database."""
    app = context.app()
    app.require_database()
    arguments = report_arguments(app, chosen, options)
    reading = read_report(app, chosen, arguments, wanted, tell)
    head: list[str] = []
    if not (wanted.names or wanted.is_vertical):
        reading = _with_trend(app, chosen, arguments, reading, terminal)
        if chosen.name == OVERVIEW:
            head = list(_glance(app, arguments, terminal))
    return app, [*head, *report_lines(chosen, wanted, reading, terminal)]


def _glance(app: App, arguments: Mapping[str, Any], terminal: Screen) -> Iterator[str]:
    """Yield what a person wants to know before the table of projects."""
    from etl.cli import glance
    from etl.history.days import Zone
    from etl.page.facts import Choice
    from etl.page.glance import look_once

    look = terminal.look()
    choice = Choice(arguments["from_day"], arguments["to_day"], arguments["account"])
    seen = look_once(app.database, choice, Zone(app.stored_timezone()), app.now(), look.lang)
    yield from glance.month_lines(seen, look)
    yield from glance.balance_lines(seen.facts, look)
    yield from glance.notice_lines(seen.notices, (), look)
    yield ""


def report_arguments(app: App, chosen: Report, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report's arguments: the options, the first and the last day, and now."""
    from etl import reports

    if chosen.param("account") is not None:
        app.refuse_unknown_account(options["account"])
    since = options["from_day"] if chosen.param("from_day") else options["to_day"]
    first, last = reports.day_range(since, options["to_day"], app.today())
    arguments = {"now": app.now(), **options, "from_day": first, "to_day": last}
    _refuse_missing(chosen, arguments)
    reports.refuse_no_numbers(chosen, arguments)
    return arguments


def read_report(
    app: App, chosen: Report, arguments: Mapping[str, Any], wanted: Rendering, tell: Tell
) -> ReportRows:
    """Run the report; tell what its rows leave out."""
    from etl import reports
    from etl.history.days import Zone
    from etl.reports.render.zones import in_zone, local_beside

    zone = app.stored_timezone()
    names, read = reports.run(app.database, chosen, arguments)
    # unread rows keep a transaction open: a reader that leaves (`| head`) must not keep it
    click.get_current_context().call_on_close(read.close)
    rows: Rows = read
    columns, rows = _wanted_columns(chosen.described(names), rows, wanted)
    if wanted.form == "xlsx":
        columns, rows = local_beside(columns, rows, Zone(zone), only=wanted.is_local)
    elif wanted.is_local:
        rows = in_zone(columns, rows, Zone(zone))
    if chosen.param("from_day") is not None:
        tell(
            tr(
                "{from_day} to {to_day}, days of {zone}",
                from_day=arguments["from_day"],
                to_day=arguments["to_day"],
                zone=zone,
            )
        )
        rows = _or_observed_days(rows, app, arguments["account"], tell)
    if reports.is_about_money(chosen):
        for words in reports.unread(app.database, arguments.get("account")):
            tell(tr("not understood, and in no sum: {words}", words=words))
    line = reports.line_above(app.database, chosen, arguments, wanted.lang)
    return ReportRows(columns, rows, line)


def _with_trend(
    app: App, chosen: Report, arguments: Mapping[str, Any], reading: ReportRows, terminal: Screen
) -> ReportRows:
    """Return the report with a column that draws the last days of each line, if there is such."""
    from etl.history.days import Zone
    from etl.reports import trends
    from etl.reports.render.spark import spark

    trend = trends.trend_of(chosen, arguments.get("by"))
    if trend is None:
        return reading
    zone = Zone(app.stored_timezone())
    rows = [list(row) for row in reading.rows]
    days = trends.last_days(app.database, zone, arguments, trend.daily, trend.measure)
    if not days.is_known:
        return ReportRows(reading.columns, rows, reading.line)
    at = [[column.name for column in reading.columns].index(name) for name in trend.own]
    for row in rows:
        row.append(spark(days.of(tuple(row[i] for i in at)), terminal.signs))
    column = trends.trend_column(spoken(), is_kept=chosen.name == OVERVIEW)
    return ReportRows([*reading.columns, column], rows, reading.line)


def report_lines(
    chosen: Report, wanted: Rendering, reading: ReportRows, terminal: Screen | None
) -> Iterator[str]:
    """Return the lines of a report; for a terminal they fit it, else they are always the same."""
    from etl.reports.render import render, screen
    from etl.reports.render.look import Look

    columns, rows = reading.columns, reading.rows
    above = [reading.line] if wanted.form == "table" else []
    if wanted.form == "table" and (terminal is not None or wanted.is_vertical):
        look = (
            terminal.look(is_wide=wanted.is_wide, is_chosen=bool(wanted.names))
            if terminal is not None
            else Look(0, wanted.lang)
        )
        raw = list(rows)
        spoken = None if wanted.lang == "en" else list(_spoken(chosen, columns, raw, wanted))
        made = (screen.blocks if wanted.is_vertical else screen.lines)(columns, raw, look, spoken)
        return chain(above, made)
    rows = _spoken(chosen, columns, rows, wanted)
    return chain(above, render(wanted.form, columns, rows, wanted.lang, for_excel=wanted.for_excel))


def _spoken(chosen: Report, columns: Sequence[Column], rows: Rows, wanted: Rendering) -> Rows:
    """Return the rows with the words of our own reports in the language that is wanted."""
    from etl.reports.words import in_language

    if wanted.form in SPOKEN_FORMATS and not chosen.is_own:
        return in_language(columns, rows, wanted.lang)
    return rows


def _wanted_columns(
    columns: list[Column], rows: Rows, wanted: Rendering
) -> tuple[list[Column], Rows]:
    """Return the columns that were named, else all, without bounds if they were not asked for."""
    if wanted.names:
        kept = [_column_named(columns, name) for name in wanted.names]
    elif wanted.has_bounds:
        return columns, rows
    else:
        kept = [i for i, c in enumerate(columns) if not re.search(r"_(min|max)(_|$)", c.name)]
    return [columns[i] for i in kept], ([row[i] for i in kept] for row in rows)


def _column_named(columns: Sequence[Column], name: str) -> int:
    """Return the index of a column by its name or its heading on a screen."""
    from etl.reports.render.look import short_heading

    word = _plain_name(name)
    for i, column in enumerate(columns):
        spellings = (column.name, short_heading(column, "en"), column.heading("zh"))
        if word and word in map(_plain_name, spellings):
            return i
    raise click.BadParameter(
        localized(
            tr(
                "there is no column {name!r}; there are: {columns}",
                name=name,
                columns=", ".join(column.name for column in columns),
            )
        ),
        param_hint="--columns",
    )


def _plain_name(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _write_report(
    app: App,
    chosen: Report,
    arguments: dict[str, Any],
    wanted: Rendering,
    reading: ReportRows,
    output: Path,
) -> None:
    """Write a report to a file: a line above a table, notes beside the rows in a workbook."""
    from etl import paths, reports
    from etl.reports.render import write_file

    if wanted.form not in ("table", "xlsx"):
        say(reading.line)
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
            reading.columns,
            _spoken(chosen, reading.columns, reading.rows, wanted),
            above=reading.line,
            made_at=made_at,
            lang=wanted.lang,
            notes=notes,
            for_excel=wanted.for_excel,
        )
    say(tr("written: {output}", output=output))


def _or_observed_days(
    rows: Iterable[Sequence[Any]], app: App, account: str | None, tell: Tell
) -> Iterator[Sequence[Any]]:
    """Return the rows; if a period has none, tell the user which days were observed."""
    from etl import reports
    from etl.history.days import Zone

    is_empty = True
    for row in rows:
        is_empty = False
        yield row
    if is_empty and (seen := reports.observed(app.database, account)):
        first, last = map(Zone(app.stored_timezone()).local_date, seen)
        tell(
            tr(
                "no rows; observed from {first} to {last}: choose with --from, such as --from "
                "{first}",
                first=first,
                last=last,
            )
        )
    elif is_empty:
        tell(tr("no rows; nothing is observed yet: chenyu-etl sync, and see chenyu-etl status"))


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
