"""The command init: an account from its key to its first poll."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from etl.cli.common import (
    Context,
    fail,
    is_root,
    is_terminal,
    prepare_database,
    say,
    say_database,
)
from etl.texts import localized, tr

ASKED_TIMES: Final = 3
"""The number of times that a person is asked for a key."""
FORBIDDEN: Final = 403


@click.command()
@click.option(
    "--account",
    metavar="NAME",
    envvar="CHENYU_ACCOUNT",
    show_envvar=True,
    default="default",
    show_default=True,
    help="Its name.",
)
@click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Read the key from standard input. Else CHENYU_API_KEY is taken, or you are asked.",
)
@click.option(
    "--system",
    is_flag=True,
    help="For a service of the system: config and key in /etc/chenyu-etl, the database in"
    " /var/lib/chenyu-etl. As root.",
)
@click.option("--sync/--no-sync", "first_sync", default=None, help="Poll once, now.")
@click.option(
    "--service/--no-service", "wants_service", default=None, help="Install and start the service."
)
@click.pass_obj
def init(
    context: Context,
    account: str,
    from_stdin: bool,
    system: bool,
    first_sync: bool | None,
    wants_service: bool | None,
) -> None:
    """Set up an account: ask for its key, test it, write config and key file, poll once.

    If the key is refused, it asks again. The key is never shown, and is stored only in a file of
    its own that only you can read. Run it again with another --account for a second one. Without a
    terminal nothing is asked: the key comes from --stdin or CHENYU_API_KEY, and there is no service
    unless --service.
    """
    from etl import settings
    from etl.service import first_config, units
    from etl.settings.file import is_there

    # before anything is written: half a set-up is harder to mend than none
    if wants_service and not system and is_root() and not context.config:
        raise click.UsageError(localized(tr("root's service is one of the system: add --system")))
    if not system and wants_service is not False and _wants_system(context):
        system = wants_service = True
    path = Path(context.config) if context.config else None
    config = units.SYSTEM_CONFIG if system else settings.config_path(os.environ, path)
    first_config.refuse_known(config, account)
    app = context.app(may_be_new=True)
    # tried before anything is written: no config of a key that does not work
    key = _good_key(app, account, from_stdin)
    is_new = not is_there(config)
    # after the key: a person who gives up leaves no file behind
    lines, unwritten = _first_lines(context, system)
    location = first_config.write_account(config, account, key, lines, system=system)
    say(tr("wrote {config} and {location}", config=config, location=location))
    # a config file that was there keeps its lines: none of these is written into it
    _say_unwritten([*unwritten, *([] if is_new else _differing(config, lines))])
    if not system and first_sync is not False:
        _poll_first(context, config, account)
    if wants_service is None:
        # root's own service would need a login session that root seldom has
        asks = is_terminal() and (system or not is_root())
        # only somebody at a terminal can say yes: no is the answer elsewhere
        wants_service = asks and click.confirm("Install it as a service?", err=True)
    if wants_service:
        _install(context, config, _setting_names(lines) if is_new else [], system=system)
    else:
        _say_next(_start_command(config, account))


def _setting_names(lines: Sequence[str]) -> list[str]:
    return [line.partition(" ")[0] for line in lines]


def _say_unwritten(names: Sequence[str]) -> None:
    for name in names:
        say(
            tr(
                "not written there: {name}, as you gave it here; it counts only where it is set",
                name=name,
            )
        )


def _install(context: Context, config: Path, written: Sequence[str], *, system: bool) -> None:
    """Install and start the service; the config file holds the settings `written`."""
    from etl import settings
    from etl.cli.serving import carried_variables
    from etl.service import installing

    known = settings.load({}, os.environ, config)
    environ = carried_variables(context, config, system=system)
    # in the unit too, a later change of the config file would have no effect
    for name in (*map(settings.variable, written), settings.KEY_FILE_VARIABLE):
        environ.pop(name, None)
    for done in installing.install(config, known, environ, system=system, folder=None, start=True):
        say(done)


def _say_next(command: str) -> None:
    say(
        tr(
            "next: {command} run, or {command} service install, or lines for cron:",
            command=command,
        )
    )
    say(tr("      {command} service print cron", command=command))


def _wants_system(context: Context) -> bool:
    """Return whether to set up a service of the system, for root; its config has a path of its own.

    It must be asked before anything is written.
    """
    from etl.service import units

    if context.config or not (is_root() and is_terminal()):
        return False
    location = units.SYSTEM_CONFIG.parent
    return click.confirm(f"Set it up as a service of the system, in {location}?", err=True)


def _good_key(app: Any, account: str, from_stdin: bool) -> str:
    """Return a key that the source accepts; at a terminal, ask again while it is refused."""
    from etl.errors import Refused, SettingsError
    from etl.service import first_config

    is_asked = not from_stdin and not os.environ.get("CHENYU_API_KEY") and is_terminal()
    # only somebody who is asked can answer otherwise
    for left in reversed(range(ASKED_TIMES if is_asked else 1)):
        key = _asked_key(from_stdin)
        try:
            listed = first_config.try_key(app, account, key)
        except (Refused, SettingsError) as error:
            if (
                getattr(error, "status", 0) != FORBIDDEN
            ):  # a key that is too narrow has its own advice
                error.advice = (
                    "give it as the console of chenyu.cn shows it, or make a new one there"
                )
            if not left:
                raise
            fail(error)
        else:
            break
    say(tr("the key is good: {listed} instances are listed", listed=listed))
    return key


def _asked_key(from_stdin: bool) -> str:
    import sys

    if from_stdin:
        # a line, and not all of it: a pipe that stays open would wait for ever
        key = sys.stdin.readline()
    elif given := os.environ.get("CHENYU_API_KEY"):
        key = given
    elif is_terminal():
        # on standard error: standard output may go into a file
        key = click.prompt("API key (from the console of chenyu.cn)", hide_input=True, err=True)
    else:
        raise click.UsageError(
            localized(tr("there is no terminal to ask for the key: use --stdin"))
        )
    if not key.strip():
        raise click.UsageError(localized(tr("the key is empty")))
    return key.strip()


def _start_command(config: Path, account: str) -> str:
    """Return the words that start this program with this config, to be pasted into a shell."""
    import shlex

    from etl import settings
    from etl.service import installing

    words = list(installing.installed(config).words)
    if config != settings.config_path({}):
        words += ["--config", str(config.absolute())]
    # the key in this shell would be that of another account as well
    takes_off = os.environ.get("CHENYU_API_KEY") and account != settings.DEFAULT_ACCOUNT
    return ("env -u CHENYU_API_KEY " if takes_off else "") + shlex.join(words)


def _first_lines(context: Context, system: bool) -> tuple[list[str], list[str]]:
    """Return the lines of a new config file, and the names of settings that are not written.

    Those are settings given here that may hold a secret.
    """
    import json

    from etl.redact import may_hold_password
    from etl.service import units
    from etl.settings import variable
    from etl.settings.file import home_expanded
    from etl.settings.variables import UNWRITTEN_VARIABLES, plain_settings

    values = {name: os.environ.get(variable(name), "") for name in plain_settings()}
    values |= {name: value for name, value in context.options.items() if value}
    if os.environ.get(variable("listen")) == "":  # which means off there, and would be lost here
        values["listen"] = "off"
    secret = [v for v in UNWRITTEN_VARIABLES if os.environ.get(v)]
    # what stands before the @ may be a password: it stays where it was set
    if may_hold_password(values["database_url"]):
        secret.append(variable("database_url"))
        values["database_url"] = ""
    if system and not values["database_url"]:
        values["database_url"] = f"{units.STATE}/{units.NAME}.db"
    for name in ("database_url", "archive"):
        if values[name] and "://" not in values[name]:
            # a service starts in another folder, where a relative path names another file
            values[name] = str(home_expanded(Path(values[name].strip()), name).absolute())
    lines = [
        f"{name} = {json.dumps(value.strip(), ensure_ascii=False)}"
        for name, value in values.items()
        if value
    ]
    return lines, secret


def _differing(config: Path, lines: Sequence[str]) -> list[str]:
    """Return the names of settings that the config file, which was there before, does not have so."""
    import tomllib

    from etl.settings import read_config

    written, given = read_config(config), tomllib.loads("\n".join(lines))
    return [name for name, value in given.items() if str(written.get(name)) != value]


def _poll_first(context: Context, config: Path, account: str) -> None:
    from etl import polling, settings
    from etl.app import App
    from etl.cli.syncing import _say_result

    # the key file that was just written is to be tried, not the key of this shell
    environ = {name: value for name, value in os.environ.items() if name != "CHENYU_API_KEY"}
    app = App(settings.load({**context.options, "account": account}, environ, config), environ)
    try:
        say_database(app, is_new=prepare_database(app))
        results = []
        for result in polling.sync_all(app):
            results.append(result)
            _say_result(result)
    finally:
        app.close()
    # the config is good all the same: another sync goes on from here
    if code := polling.exit_code(results):
        raise SystemExit(code)
