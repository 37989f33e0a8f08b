"""Parameters of a report for programs: their names, and what a request asks for by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from etl.errors import SettingsError
from etl.figures.asking import Rendering
from etl.reports import Report
from etl.settings.readers import switch
from etl.texts import ENGLISH, LANGUAGES, tr

OPTIONS: Final = ("account", "from_day", "to_day", "by", "event")
"""Parameters of reports that have an option of their own on the command line."""
SHORT: Final = {"from_day": "from", "to_day": "to"}
"""Parameters of reports that are called otherwise outside of SQL."""
ZONES: Final = ("utc", "local")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request. `choices`: the values that it can take; any if empty."""

    name: str
    about: str
    choices: tuple[str, ...] = ()
    default: str | None = None
    is_switch: bool = False


_OF_FORM: Final = (
    Parameter("bounds", tr("also the sure minimum and the maximum"), is_switch=True),
    Parameter("columns", tr("only these columns, in this order: title,cost_yuan")),
    Parameter("tz", tr("instants in UTC, or in the database's time zone"), ZONES, ZONES[0]),
)
_OF_CSV: Final = (
    Parameter(
        "lang", tr("language of headings and words; zh is for spreadsheets"), LANGUAGES, ENGLISH
    ),
    Parameter("excel", tr("with a byte order mark, and order numbers as text"), is_switch=True),
)


def parameters_of(report: Report, form: str) -> Iterator[Parameter]:
    """Yield the parameters that a report takes in a form: its own, and those of the form."""
    for param in report.params:
        name = SHORT.get(param.name, param.name)
        yield Parameter(name, param.about, param.choices, param.default)
    yield from _OF_FORM
    if form == "csv":
        yield from _OF_CSV


def as_asked(
    report: Report, form: str, given: Iterable[tuple[str, str]]
) -> tuple[dict[str, Any], Rendering]:
    """Return the options of a report and the rendering that a request asks for.

    Raises `SettingsError` for a parameter that the report lacks, that is given twice, or whose
    value is none.
    """
    values = _once(report, form, given)
    zone = _chosen("tz", values.pop("tz", ZONES[0]), ZONES)
    lang = _chosen("lang", values.pop("lang", ENGLISH), LANGUAGES)
    columns = values.pop("columns", "")
    wanted = Rendering(
        form,
        lang,
        has_bounds=switch(values.pop("bounds", "off"), "bounds"),
        for_excel=switch(values.pop("excel", "off"), "excel"),
        is_local=zone == "local",
        names=tuple(columns.split(",")) if columns else (),
    )
    long = {short: name for name, short in SHORT.items()}
    asked = {long.get(name, name): value for name, value in values.items()}
    return {**dict.fromkeys(OPTIONS), **asked}, wanted


def _once(report: Report, form: str, given: Iterable[tuple[str, str]]) -> dict[str, str]:
    known = [parameter.name for parameter in parameters_of(report, form)]
    values: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            raise SettingsError(
                tr(
                    "report {name} has no parameter {parameter!r}", name=report.name, parameter=name
                ),
                advice=tr("it has: {known}", known=", ".join(known)),
            )
        if name in values:
            raise SettingsError(
                tr("{parameter} is given twice", parameter=name), advice=tr("give it once")
            )
        values[name] = value
    return values


def _chosen(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(
            tr("{name} cannot be {value!r}", name=name, value=value),
            advice=tr("it can be {choices}", choices=", ".join(choices)),
        )
    return value
