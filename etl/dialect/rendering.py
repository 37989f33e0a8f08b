"""Render views and reports, one text for all databases: their macros are expanded here.

`sql/macros.sql` holds the macros of SQL, `etl/money/formulas.py` those that Python calls too, and
`{NAME}` stands for a number of `etl/units.py`. In FROM, or after `name AS`, a view can be called with
other tables in place of those that it reads: `_bill_share(bills AS _bill_window)` is the text of the
view `_bill_share` in brackets, reading `bills`. SQLite does not hand the period of a report down through
the groupings of a view, so that a report has to name it further inside.

An argument in square brackets is a list of columns, for macros whose columns differ by who calls them:
`columns(u, [day, title])` is `u.day, u.title`, and `alike(u, o, [day, title?])` compares each of them in
two tables. A mark stands behind a column that may be null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from etl import paths, units
from etl.dialect.formulas import as_sql
from etl.errors import SettingsError
from etl.money.formulas import FORMULAS
from etl.texts import tr

SILENT: Final = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/"
"""Text without meaning of its own: literals, quoted names, comments."""
_CALL: Final = re.compile(rf"{SILENT}|(?<![\w.:])([A-Za-z_]\w*)\(|\{{([A-Z_]+)\}}", re.DOTALL)
_PIECE: Final = re.compile(rf"{SILENT}|[(),\[\]]", re.DOTALL)
_DEPTH: Final = {"(": 1, "[": 1, ")": -1, "]": -1}
_MACRO: Final = re.compile(
    r"((?:^-- [^\n]*\n)+)MACRO (\w+)\(([\w, ]*)\) AS\s+(.*?);$", re.MULTILINE | re.DOTALL
)
_SIMPLE: Final = re.compile(r"[\w.:]+|'[^']*'")
_LIST: Final = re.compile(r"\[[\w, ?]*\]")
REMEMBERED: Final = 64
"""Texts that a database remembers as it spelled them out: a poll asks the same again, and spelling takes
longer than asking."""


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro of SQL: its parameters, and the text that it stands for."""

    name: str
    parameters: tuple[str, ...]
    body: str
    about: str = ""

    def __call__(self, *arguments: str) -> str:
        """Return the body with its parameters replaced, in brackets if it is an expression."""
        if len(arguments) != len(self.parameters):
            raise SettingsError(
                tr("{name}() has {count} arguments in SQL", name=self.name, count=len(arguments)),
                advice=tr(
                    "write {name}({parameters})",
                    name=self.name,
                    parameters=", ".join(self.parameters),
                ),
            )
        return _substituted(self.body, dict(zip(self.parameters, arguments, strict=True)))


@cache
def macros() -> Mapping[str, Macro]:
    """Return all macros by name: those of `sql/macros.sql`, and the formulas of charging."""
    text = paths.MACROS.read_text(encoding="utf-8")
    made = [
        Macro(name, _split_names(parameters), body, " ".join(about.replace("-- ", "").split()))
        for about, name, parameters, body in _MACRO.findall(text)
    ]
    made += [
        Macro(formula.__name__, *as_sql(formula), (formula.__doc__ or "").partition("\n")[0])
        for formula in FORMULAS
    ]
    return {macro.name: macro for macro in made}


def sources() -> list[Path]:
    """Return the files that the texts of the views follow from: theirs, and the renderer's own."""
    package = Path(__file__).parent.parent
    own = [package / "units.py", package / "money" / "formulas.py"]
    return [
        *sorted(paths.VIEWS.glob("*.sql")),
        paths.MACROS,
        *own,
        *sorted(Path(__file__).parent.glob("*.py")),
    ]


def expanded(sql: str) -> str:
    """Return SQL with macros, numbers and calls of views spelled out; what a database writes its own way stays.

    Raises `SettingsError` for a macro that is called wrongly.
    """
    return _expanded(sql, {**macros(), **_OF_LISTS})


def spell_out(sql: str, functions: Mapping[str, Callable[..., str]]) -> str:
    """Return SQL in the form that one database reads. `functions` maps each of these to that
    database's spelling:

    - `epoch(x)`, `instant(s)`: epoch seconds of an instant, and back
    - `clock(day, s)`: the local time so many seconds after the midnight of a day, without a zone
    - `find(text, part)`: the position of a part in a text from 1 on, or 0
    - `json_string(text)`: a text as JSON
    - `json_items(json)`, in FROM with an alias: the items of a JSON array, or the one value
    - `json_member(item, 'a.b')`, `json_text(item)`: a member of such an item that is an object, an
      item that is not, as text
    """
    return _expanded(sql, {**macros(), **_OF_LISTS, **functions})


def unquoted(literal: str) -> str:
    """Return what is between the quotes of a literal that a call of SQL gives."""
    return literal.strip("'")


def text_of_view(path: Path) -> str:
    """Return the SELECT of a view's file, without the comment above it."""
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    body = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[body:])


def _expanded(sql: str, functions: Mapping[str, Callable[..., str]]) -> str:
    done, at = [], 0
    while match := _CALL.search(sql, at):
        done.append(sql[at : match.start()])
        at = match.end()
        name, constant = match.groups()
        if constant is not None:
            done.append(_constant(constant))
        # a view's name with a bracket is a call; without one it stays a name
        elif name in functions or (name is not None and _view(name).is_file()):
            arguments, at = _call_arguments(sql, name, at)
            text = _called_view(name, arguments) if name not in functions else None
            text = functions[name](*arguments) if text is None else text
            # a macro may call others
            done.append(_expanded(text, functions))
        else:
            done.append(match[0])
    return "".join([*done, sql[at:]])


def _view(name: str) -> Path:
    return paths.VIEWS / f"{name}.sql"


def _called_view(name: str, arguments: Sequence[str]) -> str:
    instead = {}
    for argument in arguments:
        table, separator, other = argument.partition(" AS ")
        if not separator:
            raise SettingsError(
                tr("{name}({argument}) names no table to replace", name=name, argument=argument),
                advice=tr("write {name}(MINE AS a_table_that_it_reads)", name=name),
            )
        instead[other] = table
    return f"(\n{_substituted(text_of_view(_view(name)), instead)}\n)"


def _constant(name: str) -> str:
    if not hasattr(units, name):
        raise SettingsError(tr("{{{name}}} in SQL is no number that is known", name=name))
    return str(getattr(units, name))


def _call_arguments(sql: str, name: str, at: int) -> tuple[list[str], int]:
    """Return the arguments of a call whose bracket opens before `at`, and where it has closed."""
    depth, begins, arguments = 1, at, []
    for piece in _PIECE.finditer(sql, at):
        depth += _DEPTH.get(piece[0], 0)
        if depth == 0 or (depth == 1 and piece[0] == ","):
            arguments.append(sql[begins : piece.start()].strip())
            begins = piece.end()
        if depth == 0:
            return [
                argument for argument in arguments if argument or len(arguments) > 1
            ], piece.end()
    raise SettingsError(tr("the bracket of {name}( is not closed in SQL", name=name))


def _substituted(body: str, instead: Mapping[str, str]) -> str:
    """Replace whole names only: no column qualified by its table, and nothing in literals."""
    if not instead:
        return body
    word = re.compile(rf"{SILENT}|(?<![\w.:])({'|'.join(instead)})\b", re.DOTALL)

    def put(match: re.Match[str]) -> str:
        return _bracketed(instead[match[1]]) if match[1] is not None else match[0]

    return word.sub(put, body)


def _bracketed(argument: str) -> str:
    """Return an argument in brackets if operators around it could split it."""
    # no needless brackets: people read the definitions of views in their database
    if any(one.fullmatch(argument) for one in (_SIMPLE, _LIST)) or _is_one_call(argument):
        return argument
    return f"({argument})"


def _is_one_call(argument: str) -> bool:
    opens = re.match(r"\w*\(", argument)
    if opens is None:
        return False
    depth = 1
    for piece in _PIECE.finditer(argument, opens.end()):
        depth += _DEPTH.get(piece[0], 0)
        if depth == 0:
            return piece.end() == len(argument)
    return False


def _split_names(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _qualified(table: str, names: str) -> str:
    return ", ".join(f"{table}.{name.rstrip('?')}" for name in _split_names(names.strip("[]")))


def _alike(table: str, other: str, names: str) -> str:
    # `=` wherever it will do: neither database looks up `a = b OR both are null` in an index
    pairs = [
        (f"{table}.{name.rstrip('?')}", f"{other}.{name.rstrip('?')}", name.endswith("?"))
        for name in _split_names(names.strip("[]"))
    ]
    return " AND ".join(f"same({a}, {b})" if mark else f"{a} = {b}" for a, b, mark in pairs)


_OF_LISTS: Final[Mapping[str, Callable[..., str]]] = {"columns": _qualified, "alike": _alike}
