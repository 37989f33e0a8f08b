"""What `report` does once its words are understood: run, and print or write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import click

from etl import paths, reports
from etl.app import App
from etl.cli.common import Context, print_lines, say
from etl.cli.terminal import Screen, screen, show_lines
from etl.figures.asking import (
    Rendering,
    ReportRows,
    Tell,
    in_words,
    plain_lines,
    read_report,
    report_arguments,
)
from etl.history.days import Zone
from etl.reports import Report, trends
from etl.reports.render import screen as on_screen
from etl.reports.render import write_file
from etl.reports.render.look import Look
from etl.reports.render.spark import spark
from etl.texts import spoken, tr

OVERVIEW: Final = "overview"
"""The report that begins with a look at everything."""


def print_report(
    context: Context,
    chosen: Report,
    options: Mapping[str, Any],
    wanted: Rendering,
    output: Path | None,
) -> None:
    """Run the report and print it, or write it to the file."""
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
    reading = _read(app, chosen, arguments, wanted, say)
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
    reading = _read(app, chosen, arguments, wanted, tell)
    head: list[str] = []
    if not (wanted.names or wanted.is_vertical):
        reading = _with_trend(app, chosen, arguments, reading, terminal)
        if chosen.name == OVERVIEW:
            head = list(_glance(app, arguments, terminal))
    return app, [*head, *report_lines(chosen, wanted, reading, terminal)]


def _read(
    app: App, chosen: Report, arguments: Mapping[str, Any], wanted: Rendering, tell: Tell
) -> ReportRows:
    reading = read_report(app, chosen, arguments, wanted, tell)
    # unread rows keep a transaction open: a reader that leaves (`| head`) must not keep it
    click.get_current_context().call_on_close(reading.close)
    return reading


def _glance(app: App, arguments: Mapping[str, Any], terminal: Screen) -> Iterator[str]:
    """Yield what a person wants to know before the table of projects."""
    from etl.cli import glance
    from etl.page.facts import Choice
    from etl.page.glance import look_once

    look = terminal.look()
    choice = Choice(arguments["from_day"], arguments["to_day"], arguments["account"])
    seen = look_once(app.database, choice, Zone(app.stored_timezone()), app.now(), look.lang)
    yield from glance.month_lines(seen, look)
    yield from glance.balance_lines(seen.facts, look)
    yield from glance.notice_lines(seen.notices, (), look)
    yield ""


def _with_trend(
    app: App, chosen: Report, arguments: Mapping[str, Any], reading: ReportRows, terminal: Screen
) -> ReportRows:
    """Return the report with a column that draws the last days of each line, if there is such."""
    trend = trends.trend_of(chosen, arguments.get("by"))
    if trend is None:
        return reading
    zone = Zone(app.stored_timezone())
    rows = [list(row) for row in reading.rows]
    days = trends.last_days(app.database, zone, arguments, trend.daily, trend.measure)
    if not days.is_known:
        return replace(reading, rows=rows)
    at = [[column.name for column in reading.columns].index(name) for name in trend.own]
    for row in rows:
        row.append(spark(days.of(tuple(row[i] for i in at)), terminal.signs))
    column = trends.trend_column(spoken(), is_kept=chosen.name == OVERVIEW)
    return replace(reading, columns=[*reading.columns, column], rows=rows)


def report_lines(
    chosen: Report, wanted: Rendering, reading: ReportRows, terminal: Screen | None
) -> Iterator[str]:
    """Return the lines of a report; for a terminal they fit it, else they are always the same."""
    above = [reading.line] if wanted.form == "table" else []
    if wanted.form != "table" or (terminal is None and not wanted.is_vertical):
        return chain(above, plain_lines(chosen, wanted, reading))
    look = (
        terminal.look(is_wide=wanted.is_wide, is_chosen=bool(wanted.names))
        if terminal is not None
        else Look(0, wanted.lang)
    )
    raw = list(reading.rows)
    said = (
        None if wanted.lang == "en" else list(in_words(chosen, replace(reading, rows=raw), wanted))
    )
    made = on_screen.blocks if wanted.is_vertical else on_screen.lines
    return chain(above, made(reading.columns, raw, look, said))


def _write_report(
    app: App,
    chosen: Report,
    arguments: dict[str, Any],
    wanted: Rendering,
    reading: ReportRows,
    output: Path,
) -> None:
    """Write a report to a file: a line above a table, notes beside the rows in a workbook."""
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
            in_words(chosen, reading, wanted),
            above=reading.line,
            made_at=made_at,
            lang=wanted.lang,
            notes=notes,
            for_excel=wanted.for_excel,
        )
    say(tr("written: {output}", output=output))
