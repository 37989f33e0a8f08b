"""The command line: words in, words and an exit code out. No logic of its own.

Everything heavy is imported inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any, Final

import click

from etl import __version__
from etl.cli.common import (
    Context,
    fail,
    import_less,
    prepare_streams,
    refusal,
    say,
    show_warning,
)
from etl.cli.language import (
    add_hidden_lang,
    in_language,
    lang_option,
    lang_word,
    screen_language,
    speaking_everywhere,
)
from etl.errors import EtlError
from etl.texts import ENGLISH, tr

# 128 and the number of SIGINT, as shells have it
INTERRUPTED: Final = 130


COMMANDS: Final = {
    "demo": "syncing",
    "init": "init",
    "sync": "syncing",
    "run": "serving",
    "service": "serving",
    "config": "configuring",
    "account": "accounts",
    "status": "reporting",
    "report": "report",
    "page": "page",
    "mcp": "assisting",
    "export": "exporting",
    "alerts": "alerting",
    "digest": "alerting",
    "doctor": "syncing",
    "replay": "syncing",
    "prices": "money",
    "rules": "money",
    "usage": "usage",
    "month": "months",
    "rebuild": "database",
    "codes": "database",
    "db": "database",
}
"""Modules of the commands, in the order in which a user meets them."""


class Group(click.Group):
    """Commands that are loaded when one is called; our errors as one line and advice."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        # click would sort them by name
        return list(COMMANDS)

    @property
    def commands(self) -> MutableMapping[str, click.Command]:
        """All commands by name."""
        return {name: self._loaded(name) for name in COMMANDS}

    @commands.setter
    def commands(self, commands: MutableMapping[str, click.Command]) -> None:
        self._commands = commands

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._loaded(cmd_name) if cmd_name in COMMANDS else None

    def _loaded(self, name: str) -> click.Command:
        # only the command that is called: cron pays for every import, every two minutes
        if name not in self._commands:
            command = getattr(import_module(f"etl.cli.{COMMANDS[name]}"), name)
            for each in _with_those_below(command):
                add_hidden_lang(each)
            self._commands[name] = command
        return self._commands[name]

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        # help and mistakes in words come before any option is read
        words = sys.argv[1:] if args is None else list(args)
        lang = screen_language(lang_word(words), os.environ)
        with speaking_everywhere(lang):
            command = self if lang == ENGLISH else in_language(self, lang)
            try:
                return click.Group.main(command, words, *rest, **named)
            except OSError as error:
                ours = refusal(error)
                if ours is None or "--debug" in words or os.environ.get("CHENYU_DEBUG"):
                    raise
                fail(ours)
                raise SystemExit(ours.exit_code) from None

    def make_context(self, *words: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*words, **named)
        except click.UsageError as error:
            raise _without_secrets(error) from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _without_secrets(error) from None
        except EtlError as error:
            if ctx.params.get("debug"):
                raise
            fail(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            if ctx.params.get("debug"):
                raise
            say(tr("interrupted"))
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First steps: chenyu-etl demo, or: export CHENYU_API_KEY=cy_… and chenyu-etl sync."
    " Exit codes: 0 complete, 2 usage or settings, 3 partial, 4 refused by the source,"
    " 5 source unavailable, 6 database, 7 locked by another sync,"
    " 130 interrupted.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    envvar="CHENYU_CONFIG",
    show_envvar=True,
    help="The config file (TOML).",
)
@click.option(
    "--database",
    metavar="PATH|URL",
    help="A SQLite file, or a database URL without password. A URL with a password belongs into the"
    " environment.  [env var: CHENYU_DATABASE_URL]",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Time zone of days in reports; fixed when the database is created."
    "  [env var: CHENYU_TIMEZONE; default: Asia/Shanghai]",
)
@click.option(
    "--debug", is_flag=True, envvar="CHENYU_DEBUG", show_envvar=True, help="Show tracebacks."
)
@lang_option
@click.version_option(__version__, prog_name="chenyu-etl")
@click.pass_context
def main(
    ctx: click.Context,
    config: str | None,
    database: str | None,
    timezone: str | None,
    debug: bool,
) -> None:
    """Sync the instances of Chenyu Cloud accounts into SQLite or Postgres, keep every version, and
    report in SQL: what ran, for how long, at what cost, and how certain that is.

    It only reads the cloud. Settings come from options, environment variables (CHENYU_…) and the
    config file, in this order.
    """
    warnings.showwarning = show_warning
    import_less()
    prepare_streams()
    ctx.obj = Context(config, {"database_url": database, "timezone": timezone}, debug)


def _without_secrets(error: click.UsageError) -> click.UsageError:
    """Return an error in the words of a command, which it quotes, without secrets."""
    from etl.redact import scrub

    # the help that a group alone shows
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    words = error.format_message()
    return error if (left := scrub(words)) == words else click.UsageError(left, error.ctx)


def _with_those_below(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _with_those_below(below)
