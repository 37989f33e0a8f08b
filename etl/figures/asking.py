"""A report as it was asked for: checked arguments, rows in the form that is wanted, remarks on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from etl import reports
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.reports import Column, Report
from etl.reports.render import render
from etl.reports.render.columns import Rows
from etl.reports.render.look import short_heading
from etl.reports.render.zones import in_zone, local_beside
from etl.reports.words import in_language
from etl.texts import tr

if TYPE_CHECKING:
    from etl.app import App

Tell = Callable[[str], None]
"""Takes a remark for people, which is no part of the report."""
SPOKEN_FORMATS: Final = ("table", "csv", "xlsx")
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
    close: Callable[[], None]
    """Ends the transaction that rows which are not read to their end keep open."""


def report_arguments(app: App, chosen: Report, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report's arguments: the options, the first and the last day, and now."""
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
    names, read = reports.run(app.database, chosen, arguments)
    with ExitStack() as stack:
        stack.callback(read.close)
        columns, rows = _wanted_columns(chosen.described(names), read, wanted)
        zone = Zone(app.stored_timezone())
        if wanted.form == "xlsx":
            columns, rows = local_beside(columns, rows, zone, only=wanted.is_local)
        elif wanted.is_local:
            rows = in_zone(columns, rows, zone)
        if chosen.param("from_day") is not None:
            tell(
                tr(
                    "{from_day} to {to_day}, days of {zone}",
                    from_day=arguments["from_day"],
                    to_day=arguments["to_day"],
                    zone=zone.name,
                )
            )
            rows = _or_observed_days(rows, app, arguments["account"], tell)
        _tell_unread(app, chosen, arguments, tell)
        line = reports.line_above(app.database, chosen, arguments, wanted.lang)
        stack.pop_all()
    return ReportRows(columns, rows, line, read.close)


def plain_lines(chosen: Report, wanted: Rendering, reading: ReportRows) -> Iterator[str]:
    """Return the lines of rows in a text format: the same bytes for every reader."""
    rows = in_words(chosen, reading, wanted)
    return render(wanted.form, reading.columns, rows, wanted.lang, for_excel=wanted.for_excel)


def in_words(chosen: Report, reading: ReportRows, wanted: Rendering) -> Rows:
    """Return the rows with the words of our own reports in the language that is wanted."""
    if wanted.form in SPOKEN_FORMATS and not chosen.is_own:
        return in_language(reading.columns, reading.rows, wanted.lang)
    return reading.rows


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
    word = _plain_name(name)
    for i, column in enumerate(columns):
        spellings = (column.name, short_heading(column, "en"), column.heading("zh"))
        if word and word in map(_plain_name, spellings):
            return i
    raise SettingsError(
        tr("there is no column {name!r}", name=name),
        advice=tr("there are: {columns}", columns=", ".join(column.name for column in columns)),
    )


def _plain_name(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _tell_unread(app: App, chosen: Report, arguments: Mapping[str, Any], tell: Tell) -> None:
    if reports.is_about_money(chosen):
        for words in reports.unread(app.database, arguments.get("account")):
            tell(tr("not understood, and in no sum: {words}", words=words))


def _or_observed_days(
    rows: Iterable[Sequence[Any]], app: App, account: str | None, tell: Tell
) -> Iterator[Sequence[Any]]:
    """Return the rows; if a period has none, tell the user which days were observed."""
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
            raise SettingsError(
                tr(
                    "{report}: :{parameter} has no value: add --set {parameter}=…",
                    report=chosen.name,
                    parameter=param.name,
                )
            )
