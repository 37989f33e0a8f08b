"""The words of `report` about reports: their list, and the help of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from etl.texts import first_sentence, spoken, tr

if TYPE_CHECKING:
    from etl.reports import Report

ARGUMENTS: Final = {"from_day": "--from", "to_day": "--to", "by": "--by", "event": "--event"}
"""Parameters of reports that have an option of their own."""


def report_list() -> Iterator[str]:
    """Yield a line for each report: name, first sentence and parameters, aligned."""
    from etl import reports

    listed = [reports.load_report(name) for name in reports.report_names()]
    wide = max(len(report.name) for report in listed)
    for report in listed:
        takes = ", ".join(p.name for p in report.params if p.name not in ("account", "to_day"))
        takes = takes.replace("from_day", "from, to")
        yield f"{report.name:{wide}}  {first_sentence(report.meaning(spoken()))}" + (
            f" ({takes})" if takes else ""
        )


def report_index() -> list[dict[str, Any]]:
    """Return name, meaning and parameters of each report."""
    from etl import reports

    return [
        {"name": report.name, "about": report.about, "parameters": [p.name for p in report.params]}
        for report in map(reports.load_report, reports.report_names())
    ]


def report_help(chosen: Report) -> Iterator[str]:
    """Yield the help of one report in the language of the screen: meaning, parameters and columns."""
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
