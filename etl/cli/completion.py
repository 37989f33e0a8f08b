"""Words that the shell completes: names of reports, columns, accounts, projects, periods.

click completes commands, options and choices; these are the words that only files and the database know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

PERIODS: Final = (
    *("today", "yesterday", "7d", "14d", "30d"),
    *(f"{which}-{unit}" for unit in ("week", "month", "quarter", "year") for which in ("this", "last")),
)  # fmt: skip
OF_MONTHS: Final = "month"
"""The workbook, which is asked for as reports are."""
_PARAM: Final = re.compile(r"^-- @param (\w+) .*?(?:\[([^\]]+)\])?$", re.MULTILINE)
_COLUMN: Final = re.compile(r"^-- @column (\w+)", re.MULTILINE)


def complete_report(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a report."""
    from etl.paths import REPORTS

    return _completed(incomplete, [*(path.stem for path in REPORTS.glob("*.sql")), OF_MONTHS])


def complete_columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the last of some columns of a report, which commas separate."""
    before, comma, last = incomplete.rpartition(",")
    taken = set(before.split(","))
    free = [name for name in _COLUMN.findall(_header(ctx)) if name not in taken]
    return [f"{before}{comma}{name}" for name in _completed(last, free)]


def complete_choice(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the value of the parameter of a report that an option stands for."""
    return _completed(incomplete, _values_of_parameters(ctx).get(str(param.name), []))


def complete_parameter(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete NAME=VALUE of a parameter of a report."""
    spelled = [
        f"{name}={value}"
        for name, values in _values_of_parameters(ctx).items()
        for value in values or [""]
        if name not in ("account", "from_day", "to_day", "by", "event")
    ]
    return _completed(incomplete, spelled)


def complete_account(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of an account that was synced or is in the settings."""
    from etl.names import ACCOUNTS, known_names

    url, configured = _settings(ctx)
    return _completed(incomplete, {*configured, *known_names(url, ACCOUNTS)})


def complete_project(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a project that a rule names."""
    from etl.names import PROJECTS, known_names

    return _completed(incomplete, known_names(_settings(ctx)[0], PROJECTS))


def complete_period(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete a period: a word, or a month in which something was polled."""
    words = [word for word in PERIODS if word.startswith(incomplete)]
    return [*words, *complete_month(ctx, param, incomplete)]


def complete_month(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete a month in which something was polled, the newest first."""
    from etl.names import ENDS, known_names

    ends = sorted(text[:7] for text in known_names(_settings(ctx)[0], ENDS))
    listed = list(_months(*ends)) if len(ends) == 2 else []
    return [month for month in reversed(listed) if month.startswith(incomplete)]


def _months(first: str, last: str) -> Iterator[str]:
    from etl.history.months import Month

    month = Month.parse(first)
    while str(month) <= last:
        yield str(month)
        month = month.following()


def _completed(incomplete: str, words: Iterable[str]) -> list[str]:
    return sorted(word for word in words if word.startswith(incomplete))


def _header(ctx: click.Context) -> str:
    """Return the text of the report whose name was typed before, of ours or the user's own.

    Only its comments are read, by two patterns: the module that owns them loads SQLAlchemy.
    """
    from etl.paths import REPORTS

    own = ctx.params.get("own")
    # while an option waits for its value, click leaves the words before it where it read them
    name = ctx.params.get("name") or next(iter(ctx.args), None)
    known = {path.stem: path for path in REPORTS.glob("*.sql")}
    path = Path(own) if own else known.get(str(name))
    try:
        return "" if path is None else path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def _values_of_parameters(ctx: click.Context) -> dict[str, list[str]]:
    """Return the values of each parameter of the report, none for those that take any."""
    return {
        name: [] if values.startswith("=") else [v.strip() for v in values.split(",") if v.strip()]
        for name, values in _PARAM.findall(_header(ctx))
    }


def _settings(ctx: click.Context) -> tuple[str, list[str]]:
    """Return the database's URL and the accounts of the settings, as far as they can be read."""
    from etl import settings

    given = ctx.find_root().params
    config = given.get("config")
    options = {"database_url": given.get("database")}
    try:
        read = settings.read(options, os.environ, Path(config) if config else None)
    except Exception:  # noqa: BLE001 - a shell that completes a word is no place to say what is wrong
        return "", []
    return read.settings.database_url, [account.name for account in read.settings.accounts]
