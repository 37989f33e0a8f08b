"""Reports: SQL files with a header that documents them, run read-only, rows out.

`:from_day` and `:to_day`, if declared, are days of the reporting time zone, both included.
"""

from etl.reports.header import (
    Param,
    Report,
    bound,
    load_own,
    load_report,
    parse_report,
    refuse_no_numbers,
    report_names,
)
from etl.reports.notes import (
    Note,
    is_about_money,
    notes_of_month,
    notes_of_report,
    observed,
    unread,
)
from etl.reports.observation import (
    Observation,
    line_above,
    observations,
    observations_of_days,
    observed_line,
)
from etl.reports.periods import day_range
from etl.reports.render.columns import Column
from etl.reports.running import bound_values, plain, run

__all__ = [
    "Column",
    "Note",
    "Observation",
    "Param",
    "Report",
    "bound",
    "bound_values",
    "day_range",
    "is_about_money",
    "line_above",
    "load_own",
    "load_report",
    "notes_of_month",
    "notes_of_report",
    "observations",
    "observations_of_days",
    "observed",
    "observed_line",
    "parse_report",
    "plain",
    "refuse_no_numbers",
    "report_names",
    "run",
    "unread",
]
