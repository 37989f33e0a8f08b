"""Tools of an assistant: what there is, a report, a SELECT, and how fresh it all is. None of them writes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from etl import reports
from etl.app import App
from etl.dialect.rendering import expanded
from etl.errors import SettingsError
from etl.figures.asking import Rendering, read_report, report_arguments
from etl.figures.dictionary import view_meanings, view_text
from etl.figures.openapi import index
from etl.figures.parameters import OPTIONS, as_asked
from etl.reports import Param, Report
from etl.status import status
from etl.store import views
from etl.texts import first_sentence, tr

Value = str | int | float | bool
MOST_GIVEN: Final = 1_000
"""The most rows of an answer: an assistant reads each of them."""
_JSON: Final = "json"


def list_views() -> list[dict[str, str]]:
    """Return each public view with what one of its rows is."""
    return [
        {"view": name, "about": first_sentence(view_text(name).about)}
        for name in views.public_names()
    ]


def describe_view(app: App, name: str) -> dict[str, Any]:
    """Return what a view is, and each of its columns with its meaning."""
    if name not in views.public_names():
        raise SettingsError(
            tr("there is no view {name!r}", name=name),
            advice=tr("there are: {names}", names=", ".join(views.public_names())),
        )
    app.require_database()
    columns, rows = reports.run(app.database, _select(f"SELECT * FROM {name} LIMIT 0", {}), {})
    rows.close()
    meanings = view_meanings(name)
    return {
        "view": name,
        "about": view_text(name).about,
        "columns": [{"name": column, "meaning": meanings.get(column, "")} for column in columns],
    }


def list_reports() -> list[dict[str, Any]]:
    """Return each report with its meaning and its parameters."""
    return [{name: report[name] for name in ("name", "about", "parameters")} for report in index()]


def run_report(
    app: App, name: str, parameters: Mapping[str, Value], most_rows: int
) -> dict[str, Any]:
    """Return the rows of a report, with bounds unless they are refused, and until when it is observed."""
    chosen = reports.load_report(name)
    given = {"bounds": "on", **{n: _text(value) for n, value in parameters.items()}}
    options, wanted = as_asked(chosen, _JSON, given.items())
    return _answer(app, chosen, options, wanted, most_rows)


def run_select(
    app: App, sql: str, parameters: Mapping[str, Value], most_rows: int
) -> dict[str, Any]:
    """Return the rows of one SELECT of the user's, by the same gate as a report of the user's own."""
    chosen = _select(sql, parameters)
    options = {**dict.fromkeys(OPTIONS), **{n: _text(value) for n, value in parameters.items()}}
    return _answer(app, chosen, options, Rendering(_JSON, "en", has_bounds=True), most_rows)


def show_status(app: App) -> dict[str, Any]:
    """Return how fresh each account is, what is odd, and how much of this month was observed."""
    app.require_database()
    first, last = reports.day_range(None, None, app.today())
    asked = {"account": None, "from_day": first, "to_day": last, "now": app.now()}
    month = Report("month", "", tuple(Param(name, "") for name in asked if name != "now"), {}, "")
    return {
        "now": app.local_now(),
        "time_zone": app.stored_timezone(),
        "observed_this_month": str(reports.line_above(app.database, month, asked)),
        **status(app.database, app.now()),
    }


def _answer(
    app: App, chosen: Report, options: Mapping[str, Any], wanted: Rendering, most_rows: int
) -> dict[str, Any]:
    if not 1 <= most_rows <= MOST_GIVEN:
        raise SettingsError(
            tr("most_rows is {most_rows}", most_rows=most_rows),
            advice=tr("it must be from {low} to {high}", low=1, high=MOST_GIVEN),
        )
    app.require_database()
    arguments = report_arguments(app, chosen, options)
    remarks: list[str] = []
    reading = read_report(app, chosen, arguments, wanted, remarks.append)
    try:
        rows = list(islice(reading.rows, most_rows + 1))
    finally:
        reading.close()
    names = [column.name for column in reading.columns]
    return {
        "observed": str(reading.line),
        "remarks": [str(remark) for remark in remarks],
        "units": {c.name: c.unit for c in reading.columns if c.unit},
        "rows": [dict(zip(names, row, strict=True)) for row in rows[:most_rows]],
        # sums over the rows of a cut answer would be wrong, and nothing else would say so
        "is_cut": len(rows) > most_rows,
    }


def _select(sql: str, parameters: Mapping[str, Value]) -> Report:
    text = expanded(sql)
    used = [*reports.bound(text), *(name for name in parameters)]
    params = tuple(Param(name, "") for name in dict.fromkeys(used))
    return Report("query", "", params, {}, text, is_own=True)


def _text(value: Value) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
