"""Writes docs/terminal.md from the golden fleet: `python -m tests.terminal_doc > docs/terminal.md`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import click

from etl.app import App
from etl.cli import main
from etl.cli.common import Context
from etl.cli.printing import read_lines, report_lines
from etl.cli.reporting import _screen_lines
from etl.cli.terminal import Screen
from etl.dialect import Database, open_database
from etl.figures.asking import Rendering, read_report, report_arguments
from etl.reports import load_report
from etl.reports.render.look import UNICODE, unpainted
from etl.settings import Settings
from etl.status import status
from etl.store import schema
from etl.texts import localized
from tests.conftest import TODAY, ZONE
from tests.golden_fleet import NOW, fill

WIDTHS = (80, 120)
MARCH = "--from 2026-03"
DAY = "--from 2026-03-10 --to 2026-03-10"
SHOWN = (
    "report now",
    f"report overview {MARCH}",
    f"report cost {MARCH} --by project --bounds",
    f"report uptime {MARCH} --by gpu --bounds",
    f"report runs {DAY}",
    f"report events {DAY} --event stopped",
    f"report idle {MARCH}",
    f"report balance {MARCH}",
    f"report balance-days {MARCH}",
    f"report reconciliation {MARCH} --by cause",
)
HEAD = """# On a terminal

What the commands look like to a person: ten reports and `status`, on terminals of 80 and 120 columns, and in a pipe.
`python -m tests.terminal_doc` makes this page from a fleet of the tests, five days of 14 instances; a test holds it.

## What fits, and what goes

A table fits the width of the terminal. Instants lose their seconds, and their year if they share it: it stands below the heading,
with the time zone, as the unit of numbers does. Identities are cut to what tells them apart. If that is not enough, it goes on in this order:

1. columns that hold nothing go
2. columns that hold the same in every row go; the line below the table says what
3. texts are cut, to no less than 20 columns and what tells them apart; then go identities, and the instant of the reading (`as_of`)
4. all others go, from right to left
5. those go that the report marks `keep`, from right to left
6. the first that names a row never goes

A line under the table names what is left out. Other widths, other columns:

| option | does |
|---|---|
| `--columns title,cost_yuan` | these columns, in this order, in every format; by name or by heading (`per hour`, `名称`) |
| `--wide` | every column in full; the pager scrolls sideways |
| `--vertical` | a block for each row, a line for each column, in full; in pipes too |
| `--no-pager` | a table longer than the screen is printed, not paged |
| `--watch`, `--watch 30` | draws the report again every 10 (30) seconds, from a fresh connection, until Ctrl-C; write it behind the name |

- `—` stands for what is not known, `!` for what is over its budget, `+` for more than before.
- `last 14 days` draws days up to the end of the period, or the newest day that was observed: each line from 0 to its own largest day, `·` for a day
  that nobody observed. The lowest bar alone means nothing.
- Colours only repeat what a word or a sign says. `NO_COLOR`, `CLICOLOR=0` and `TERM=dumb` turn them off.
- Long tables go through `$PAGER`, else `less`, with `LESS=-FRX` unless `LESS` is set. `PAGER=cat`, or an empty one, means none.
- Control characters, marks of direction and joiners in titles are replaced or dropped; widths are counted in columns, so Chinese is aligned.
- A terminal that cannot write these signs (Latin-1) gets ASCII.
- Work that takes more than half a second (`sync`, `demo`, `replay`, `rebuild`, `rules import`, `export`) draws a bar on standard error, if that is a terminal.
- A pipe or a file gets the plain table: all columns, instants to the second, no colours, no bars, always the same bytes.

## Completion

Commands, options, reports, their columns and parameters, accounts, projects and periods are completed, from the files and the database
(read-only; one that is not there completes nothing). Put one line into the shell's own file:

```sh
eval "$(_CHENYU_ETL_COMPLETE=bash_source chenyu-etl)"     # ~/.bashrc, bash 4.4 or newer
eval "$(_CHENYU_ETL_COMPLETE=zsh_source chenyu-etl)"      # ~/.zshrc
_CHENYU_ETL_COMPLETE=fish_source chenyu-etl | source      # ~/.config/fish/completions/chenyu-etl.fish
```

The bash script is tested in bash. Those of zsh (5.9) and fish (3.6) are click's; there commands, reports and values of `--by` were
completed when tried by hand.
"""


class FixedContext(Context):
    """The options before the command, over one database at one moment."""

    def __init__(self, app: App) -> None:
        super().__init__(None, {}, False)
        object.__setattr__(self, "fixed", app)

    def app(self, **_: Any) -> App:  # type: ignore[override]
        app: App = object.__getattribute__(self, "fixed")
        return app


def document(database: Database) -> str:
    """The whole page."""
    url = database.engine.url.render_as_string(hide_password=False)
    app = App(Settings(database_url=url), environ={}, clock=lambda: NOW)
    with click.Context(main).scope():
        parts = [HEAD, *_status(app)]
        for words in SHOWN:
            parts += _report(app, words)
    app.close()
    return "\n".join(parts)


def _status(app: App) -> Iterator[str]:
    yield "## `chenyu-etl status`\n"
    state = status(app.database, app.now())
    for columns in WIDTHS:
        lines = _screen_lines(app, state, _screen(columns))
        yield _block(f"{columns} columns", lines)


def _report(app: App, words: str) -> Iterator[str]:
    yield f"## `chenyu-etl {words}`\n"
    chosen, options, wanted = _parsed(words)
    context = FixedContext(app)
    for columns in WIDTHS:
        _, lines = read_lines(context, chosen, options, wanted, _screen(columns), _say_nothing)
        yield _block(f"{columns} columns", lines)
    arguments = report_arguments(app, chosen, options)
    reading = read_report(app, chosen, arguments, wanted, _say_nothing)
    yield _block("In a pipe", report_lines(chosen, wanted, reading, None))


def _parsed(words: str) -> tuple[Any, dict[str, Any], Rendering]:
    _, name, *rest = shlex.split(words)
    bounds = "--bounds" in rest
    given = [word for word in rest if word != "--bounds"]
    options = dict(zip(given[::2], given[1::2], strict=True))
    names = {"from_day": "--from", "to_day": "--to", "by": "--by", "event": "--event"}
    arguments = {key: options.get(option) for key, option in names.items()}
    wanted = Rendering("table", "en", bounds)
    return load_report(name), {**arguments, "account": None}, wanted


def _screen(columns: int) -> Screen:
    return Screen(columns, 1_000, unpainted, UNICODE)


def _say_nothing(remark: str) -> None:
    """Drop what goes to standard error."""


def _block(title: str, lines: Any) -> str:
    body = "\n".join(str(localized(line)) for line in lines)
    return f"{title}:\n\n```text\n{body}\n```\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = open_database(f"sqlite:///{folder}/golden.db")
        schema.upgrade(made, ZONE, TODAY)
        fill(made)
        sys.stdout.write(document(made))
        made.engine.dispose()
