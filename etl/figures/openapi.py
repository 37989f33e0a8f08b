"""The reports as OpenAPI describes them, made of the headers of their files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from etl import __version__, reports
from etl.figures.parameters import Parameter, parameters_of
from etl.money.tags import ANY_TAG
from etl.reports import Column, Report
from etl.texts import ENGLISH, first_sentence, localized

INDEX: Final = "/reports.json"
OPENAPI: Final = "/openapi.json"
FORMS: Final = {"json": "application/json", "csv": "text/csv"}
"""Forms in which a report is served, with their media types."""
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": ["string", "null"]},
    "int": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "instant": {"type": ["string", "null"], "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
}
"""Types of columns by their kind; each can be empty."""
_FAULTS: Final = {
    "400": "A parameter is unknown, given twice, or has a value that is none; or there are too many rows.",
    "401": "The token is missing or wrong.",
    "404": "There is no such report.",
    "503": "Too many ask at once, or the database is away: try again later.",
    "504": "Reading took too long.",
}


def path_of(name: str, form: str) -> str:
    """Return the path at which a report is served in a form."""
    return f"/reports/{name}.{form}"


def index(lang: str = ENGLISH) -> list[dict[str, Any]]:
    """Return each report: name, meaning, addresses, parameters and columns."""
    return [_indexed(report, lang) for report in _all()]


def openapi() -> dict[str, Any]:
    """Return the description of all reports in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chenyu-etl: figures",
            "version": __version__,
            "description": "Reports, read-only. Instants are UTC, days those of the database's time"
            " zone. The header Chenyu-Observed says until when the figures were observed.",
        },
        "servers": [{"url": "/"}],
        # with neither: on loopback a daemon may have no token
        "security": [{"bearer": []}, {"basic": []}, {}],
        "paths": {path: {"get": operation} for path, operation in _operations()},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token is the password; any user name does.",
                },
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {"type": "string"},
                        "advice": {"type": ["string", "null"]},
                    },
                }
            },
        },
    }


def _all() -> Iterator[Report]:
    return map(reports.load_report, reports.report_names())


def _indexed(report: Report, lang: str) -> dict[str, Any]:
    def word(text: str) -> str:
        return str(localized(text, lang))

    return {
        "name": report.name,
        "about": report.meaning(lang),
        **{form: path_of(report.name, form) for form in FORMS},
        "parameters": [
            {"name": p.name, "about": word(p.about), "choices": p.choices, "default": p.default}
            for p in parameters_of(report, "json")
        ],
        "columns": [
            {"name": c.name, "about": c.meaning(lang), "kind": c.kind, "unit": c.unit or None}
            for c in report.columns.values()
        ],
    }


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    listed = {"type": "array", "items": {"type": "object"}}
    yield INDEX, _operation("listReports", "The reports that there are.", [], "json", listed)
    for report in _all():
        for form in FORMS:
            operation = f"{report.name.replace('-', '_')}_{form}"
            yield (
                path_of(report.name, form),
                {
                    **_operation(
                        operation,
                        f"{first_sentence(report.meaning())} ({form})",
                        [_parameter(p) for p in parameters_of(report, form)],
                        form,
                        _rows(report) if form == "json" else {"type": "string"},
                    ),
                    "description": report.meaning(),
                },
            )


def _operation(
    name: str, summary: str, parameters: list[Any], form: str, schema: dict[str, Any]
) -> dict[str, Any]:
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": summary, "content": {FORMS[form]: {"schema": schema}}},
            "304": {"description": "The reader has these rows: see ETag."},
            **{
                status: {"description": text, "content": refused}
                for status, text in _FAULTS.items()
            },
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "boolean" if parameter.is_switch else "string"}
    fixed = [choice for choice in parameter.choices if choice != ANY_TAG]
    if fixed != list(parameter.choices):
        schema["anyOf"] = [{"enum": fixed}, {"pattern": "^tag:."}]
    elif fixed:
        schema["enum"] = fixed
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": str(parameter.about),
        "schema": schema,
    }


def _rows(report: Report) -> dict[str, Any]:
    properties = {name: _property(column) for name, column in report.columns.items()}
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _property(column: Column) -> dict[str, Any]:
    unit = f" ({column.unit})" if column.unit else ""
    return {**_TYPES[column.kind], "description": f"{column.meaning(ENGLISH)}{unit}"}
