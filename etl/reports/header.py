"""Reports are SQL files whose leading comment documents them.

`-- @param NAME MEANING` declares a parameter; at the end of the meaning `[a, b, c]` names the values it
can take, the first of them the default, and `[= 12]` a default among any values.
`-- @column NAME {unit=h, total} MEANING` documents a column: its unit, its kind (one of `int`, `number`,
`instant`, `day`; a unit makes it a number, nothing makes it text), whether its sum means something
(`total`), and whether a narrow screen drops others first (`keep`).
`-- @observes RESOURCE` names the resource whose polls it rests on, if that is not `instances`.
`-- @newest first` says that its rows for a period are those for the parts of it, the newest part first: so
a long one is read part by part. The rest of the comment is the description of the report.

The catalogs translate our reports. A user's report can say itself what it is in Chinese: `-- @zh TEXT`,
`zh=名称` in the braces of a column, and the Chinese of its meaning after ` | `.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from etl import paths
from etl.dialect.rendering import SILENT, expanded
from etl.errors import SettingsError
from etl.reports.render.columns import KINDS, Column
from etl.texts import ENGLISH, localized, term, tr

INSTANCES: Final = "instances"
MEANING: Final = "report"
"""The context of what our reports, their parameters and their columns mean."""
_PARAM: Final = re.compile(r"^@param (\w+) (.*?)(?: \[([^\]]+)\])?$")
_OBSERVES: Final = re.compile(r"^@observes (\w+)$")
_NEWEST_FIRST: Final = "@newest first"
_ZH: Final = re.compile(r"^@zh (.+)$")
_COLUMN: Final = re.compile(r"^@column (\w+) (?:\{([^}]*)\} ?)?(.*)$")
_SILENT: Final = re.compile(SILENT, re.DOTALL)
"""Literals and comments, in which a colon begins no parameter."""
_BOUND: Final = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)(?!:)")


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a report. `choices`: the values that it can take; any if empty."""

    name: str
    about: str
    choices: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its SQL and its documentation.

    `sql` is the file's text without its header, with macros spelled out; `is_own`: the user's, not one
    of ours; `observes`: the resource whose polls it rests on; `is_newest_first`: whether a long period may be read
    in parts.
    """

    name: str
    about: str
    params: tuple[Param, ...]
    columns: Mapping[str, Column]
    sql: str
    is_own: bool = False
    observes: str = INSTANCES
    about_zh: str = ""
    is_newest_first: bool = False

    def meaning(self, lang: str = ENGLISH) -> str:
        """Return the description in a language; in English if there is no Chinese."""
        own = self.about_zh if lang == "zh" else ""
        return own or str(localized(self.about, lang))

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)

    def described(self, names: Iterable[str]) -> list[Column]:
        """Return the columns of these names, with their documentation from the header."""
        # the user's own SQL has columns that no header names
        return [self.columns.get(name) or Column(name) for name in names]


def report_names() -> list[str]:
    """Return the names of all reports."""
    return sorted(path.stem for path in paths.REPORTS.glob("*.sql"))


def load_report(name: str) -> Report:
    """Return the report of a name. Raises `SettingsError` if there is none."""
    path = paths.REPORTS / f"{name}.sql"
    # asked of the list, not of the disk: a name must not be a path
    if name not in report_names():
        raise SettingsError(
            tr("there is no report {name!r}", name=name),
            advice=tr("there are: {report_names}", report_names=", ".join(report_names())),
        )
    return _translatable(parse_report(name, path))


def _translatable(report: Report) -> Report:
    """Return a report of ours whose texts the catalogs translate."""
    return replace(
        report,
        about=term(MEANING, report.about),
        params=tuple(replace(p, about=term(MEANING, p.about)) for p in report.params),
        columns={
            name: replace(column, about=term(MEANING, column.about), report=report.name)
            for name, column in report.columns.items()
        },
    )


def load_own(path: Path) -> Report:
    """Return the report in a file of the user's; parameters that it uses need no declaration.

    Raises `SettingsError` if it cannot be read.
    """
    try:
        report = parse_report(path.stem, path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            tr(
                "{path} cannot be read: {reason}",
                path=path,
                reason=getattr(error, "strerror", tr("it is no UTF-8 text")),
            ),
            advice=tr("name a file with one SELECT: --file FILE.sql"),
        ) from error
    # in SQL of the user's a parameter is its own declaration
    used = [name for name in bound(report.sql) if report.param(name) is None]
    params = (*report.params, *(Param(name, "") for name in used))
    return replace(report, params=params, is_own=True)


def parse_report(name: str, path: Path) -> Report:
    """Return the report, or the view, in a file."""
    header: list[str] = []
    body: list[str] = []
    # editors on Windows put a mark at the beginning, which would be no comment
    for line in paths.read_whole(path).decode("utf-8-sig").splitlines():
        # only the leading comment: later ones belong to the SQL
        is_header = line.startswith("--") and not body
        (header if is_header else body).append(
            line.removeprefix("--").strip() if is_header else line
        )
    params = [_parse_param(*match.groups()) for line in header if (match := _PARAM.match(line))]
    columns = [
        _parse_column(name, *match.groups()) for line in header if (match := _COLUMN.match(line))
    ]
    about = " ".join(line for line in header if line and not line.startswith("@"))
    by_name = {column.name: column for column in columns}
    observes = [match[1] for line in header if (match := _OBSERVES.match(line))]
    sql = expanded("\n".join(body))
    return Report(
        name,
        about,
        tuple(params),
        by_name,
        sql,
        observes=observes[0] if observes else INSTANCES,
        about_zh="".join(match[1] for line in header if (match := _ZH.match(line))),
        is_newest_first=_NEWEST_FIRST in header,
    )


def refuse_no_numbers(report: Report, arguments: Mapping[str, Any]) -> None:
    """Raise `SettingsError` if a parameter whose default is a whole number gets something else.

    Only parameters of our own reports: the databases differ in how they convert such a value.
    """
    for param in report.params:
        value = arguments.get(param.name)
        # compared with a text, SQLite would say that it differs, and Postgres would raise an error
        if report.is_own or value is None or not (param.default or "").isdecimal():
            continue
        if not re.fullmatch(r"[0-9]{1,9}", str(value)):
            raise SettingsError(
                tr("{name} cannot be {value!r}", name=param.name, value=value),
                advice=tr("it is a whole number such as {default}", default=param.default),
            )


def bound(sql: str) -> list[str]:
    """Return the names of the parameters in a query (`:from_day`), each once."""
    # a colon in a literal, such as a time, begins no parameter
    return list(dict.fromkeys(_BOUND.findall(_SILENT.sub(" ", sql))))


def literal_colons(sql: str) -> str:
    """Return `sql` with the colons in literals and comments escaped, so that they bind nothing."""
    return _SILENT.sub(lambda match: match[0].replace(":", "\\:"), sql)


def _parse_param(name: str, about: str, choices: str | None) -> Param:
    if choices is None:
        return Param(name, about)
    if choices.startswith("="):
        return Param(name, about, (), choices[1:].strip())
    values = tuple(choice.strip() for choice in choices.split(","))
    return Param(name, about, values, values[0])


def _parse_column(report: str, name: str, value: str | None, about: str) -> Column:
    if value is None:
        return Column(name, about)
    about, _, about_zh = about.partition(" | ")
    words = [word.strip() for word in value.split(",")]
    named = dict(word.split("=", 1) for word in words if "=" in word)
    flags = [word for word in words if word and "=" not in word]
    kinds = [flag for flag in flags if flag in KINDS]
    _refuse_unknown_words(report, name, [*flags, *named])
    # a unit or a sum makes no sense of a text
    kind = kinds[0] if kinds else "number" if named.get("unit") or "total" in flags else "text"
    return Column(
        name,
        about,
        named.get("zh", ""),
        named.get("unit", ""),
        kind,
        is_total="total" in flags,
        about_zh=about_zh,
        is_kept="keep" in flags,
    )


def _refuse_unknown_words(report: str, column: str, words: Sequence[str]) -> None:
    for word in words:
        if word not in (*KINDS, "total", "keep", "zh", "unit"):
            raise SettingsError(
                tr(
                    "{report}: column {column} says {word!r}",
                    report=report,
                    column=column,
                    word=word,
                ),
                advice=tr(
                    "a column can say zh=, unit=, total, keep and one of {kinds}",
                    kinds=", ".join(KINDS),
                ),
            )
