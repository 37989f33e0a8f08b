"""Code that all commands share: settings from the command line, output, errors for people."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from etl.cli import completion
from etl.cli.language import asked_lang, follow_settings
from etl.errors import EtlError, SettingsError, StoreError
from etl.texts import localized, tr

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from etl.alerts.charts import ChartOrder
    from etl.alerts.message import Picture
    from etl.app import App
    from etl.dialect import Database
    from etl.settings import LoadedSettings


@dataclass(frozen=True, slots=True)
class Context:
    """The options before the command."""

    config: str | None
    options: Mapping[str, Any]
    debug: bool

    def read(self) -> LoadedSettings:
        """Read the settings, and note their faults."""
        from etl import settings

        # not among the options before the command: --lang may stand behind it
        given = {"lang": asked_lang(), **self.options}
        return settings.read(given, os.environ, Path(self.config) if self.config else None)

    def app(self, *, may_be_new: bool = False, **options: Any) -> App:
        """Build the program with all settings together; nothing is connected to yet.

        With `may_be_new` a config file that is named need not exist yet.
        """
        from etl import settings
        from etl.app import App
        from etl.redact import may_hold_password
        from etl.settings.checking import exposed
        from etl.settings.variables import unread_variables

        given = {"lang": asked_lang(), **self.options, **options}
        url = given.get("database_url")
        if url is not None and not url.strip():
            raise SettingsError(
                tr("option --database is empty"), advice=tr("name a file or a URL, or leave it out")
            )
        # every user of the machine can read the arguments of all processes
        if url and may_hold_password(url):
            raise SettingsError(
                tr(
                    "a database URL with a password on the command line is visible to everybody "
                    "here"
                ),
                advice=tr("export CHENYU_DATABASE_URL=… instead"),
            )
        path = Path(self.config) if self.config else None
        reading = settings.read(given, os.environ, path, may_be_new=may_be_new)
        app = App(
            reading.checked(),
            asked_zone=self.options.get("timezone") or None,
            draw=_draw,
        )
        # commands load what they need before they ask for the program
        collect_less_often()
        follow_settings(os.environ, app.settings.lang)
        # each time: a variable with a slip in its name has no other effect
        warn([*unread_variables(os.environ, path), *exposed(reading)])
        if (ctx := click.get_current_context(silent=True)) is not None:
            # at the end of the command, and after errors too: locks and files must not wait for exit
            ctx.call_on_close(lambda: _close(app))
        return app


def _draw(database: Database, order: ChartOrder) -> Sequence[Picture]:
    """Draw the charts of a digest; the page, which does, is loaded by no other command."""
    from etl.page.pictures import drawn_digest

    return drawn_digest(database, order)


def collect_less_often() -> None:
    """Let the garbage collector, which sleeps while modules load, look at what is made from now on, once
    in 50,000 new objects and not in 700.

    There is little cyclic garbage, and looking for it took a sixth of a first load.
    """
    gc.set_threshold(50_000, 10, 10)
    # awake: another program runs this one, or a command asked twice
    if not gc.isenabled():
        # modules stay until the end: nobody needs to go through them again
        gc.freeze()
        gc.enable()


def import_less() -> None:
    """Keep httpx from loading its own command line, with rich and pygments, into every sync."""
    # it tries to as soon as they are installed; None makes that an ImportError, which it expects
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def account_option(help_text: str) -> Decorator:
    return click.option(
        "--account",
        metavar="NAME",
        callback=_cleaned,
        envvar="CHENYU_ACCOUNT",
        show_envvar=True,
        shell_complete=completion.complete_account,
        help=help_text,
    )


def _cleaned(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Drop the quotes and spaces that an environment file leaves around a value."""
    from etl.settings.text import clean

    return None if value is None else clean(value, f"{param.name} ({param.opts[0]})")


def setting_variables(*names: str) -> str:
    """Return an epilog that names the variables of settings that have no option here."""
    return tr(
        "Also read from the environment, or the config file: {names}.", names=", ".join(names)
    )


class NamedPath(click.Path):
    """A path that is not empty: an empty one would mean the current folder."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        # an unset variable of a script gives it: -o "$FILE"
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


CREATED: Final = tr("created: a new, empty history")
FILE: Final = NamedPath(dir_okay=False, path_type=Path)
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
STREAM: Final = "-"
"""Names standard input or output in place of a file."""
FILE_OR_STREAM: Final = NamedPath(dir_okay=False, path_type=Path, allow_dash=True)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def prepare_database(app: App) -> bool:
    """Bring the database up to date; return whether it is a new one."""
    from etl.store.schema import Upgrade

    is_new = app.prepare() is Upgrade.CREATED
    app.refuse_demo()
    return is_new


def say_database(app: App, *, is_new: bool) -> None:
    """Print the database's path, and whether it was created now: a mistyped path would create one."""
    location = app.database.location
    if is_new:
        say(tr("database: {location} ({created})", location=location, created=CREATED))
    else:
        say(tr("database: {database}", database=location))


def say(text: str = "") -> None:
    """Print a message for people on standard error, so that standard output holds data alone."""
    click.echo(localized(text), err=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on standard output as they come."""
    for line in lines:
        print_text(f"{localized(line)}\n")


def warn(remarks: Iterable[str]) -> None:
    """Print remarks to people."""
    for remark in remarks:
        say(tr("warning: {remark}", remark=remark))


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], as_json: bool) -> None:
    """Print rows as a table, fitted to a terminal, or as JSON by the names of their columns."""
    from etl.cli.terminal import print_on_terminal
    from etl.reports.render import render

    table = list(rows)
    if as_json or not print_on_terminal(columns, table):
        # a list: the width of a column is known when all its cells are
        print_lines(render("json" if as_json else "table", columns, table))


def print_json(value: Any) -> None:
    import json

    print_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_text(text: str) -> None:
    """Print text on standard output. Raises `SettingsError` if that fails, as on a full disk."""
    from etl.paths import writing_output

    with writing_output():
        # click takes colours off for files, and knows the encodings of Windows consoles
        click.echo(text, nl=False)


def prepare_streams() -> None:
    """Write characters that the terminal's encoding lacks as `\\u8bad` instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # a title in Chinese must not end a report half-way on a terminal of ASCII
        sys.stdout.reconfigure(errors="backslashreplace")


def refusal(error: OSError) -> EtlError | None:
    """Return the error of a file, or of standard output, that the system refuses; None for any other."""
    from etl.paths import advice_on, output_refused

    if error.filename is not None:
        message = tr("{path}: {strerror}", path=error.filename, strerror=error.strerror)
        return StoreError(message, advice=advice_on(error))
    # the library writes help by itself; every other error has a file or an address
    return output_refused(error) if error.errno in FULL else None


def fail(error: EtlError) -> None:
    """Print an error and its advice, without secrets that a driver or a service put into it."""
    # here too: an error may quote what another program was given
    from etl.redact import without_known

    say(without_known(localized(tr("error: {message}", message=error.message))))
    if error.advice:
        say(without_known(f"       {localized(error.advice)}"))


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning without its line of source; replaces `warnings.showwarning`."""
    say(tr("warning: {message}", message=message))


def is_root() -> bool:
    """Tell whether root runs this; Windows has none."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def is_terminal() -> bool:
    # questions and progress go there, while standard output may be a file
    return sys.stderr.isatty()


def _close(app: App) -> None:
    with suppress(EtlError):  # what it could not open was said when it was tried
        app.close()


class LazyChoice(click.ParamType[str]):
    """A choice among names that are loaded only when they are needed, since that takes a while."""

    name = "choice"

    def __init__(self, load: Callable[[], Sequence[str]]) -> None:
        self._load = load

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return click.Choice(self._load()).get_metavar(param, ctx)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return click.Choice(self._load()).convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return click.Choice(self._load()).shell_complete(ctx, param, incomplete)
