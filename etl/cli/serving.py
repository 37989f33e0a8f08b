"""Commands of the service: init, run, service."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any, Final

import click

from etl.cli.common import (
    CREATED,
    Context,
    account_option,
    fail,
    is_terminal,
    prepare_database,
    print_lines,
    print_text,
    say,
    say_database,
    setting_variables,
    show_warning,
)

ASKED_TIMES: Final = 3
"""The number of times that a person is asked for a key."""
FORBIDDEN: Final = 403
_VARIABLES = setting_variables(
    "CHENYU_SCHEDULE",
    "CHENYU_PING_URL",
    "CHENYU_API_KEY",
    "CHENYU_API_KEY_FILE",
    "CHENYU_BASE_URL",
    "CHENYU_TIMEOUT_S",
    "CHENYU_ATTEMPTS",
    "CHENYU_PAGE_SIZE",
    "CHENYU_CONCURRENCY",
)


@click.command(epilog=_VARIABLES)
@account_option("Only this account. CHENYU_API_KEY is its key.")
@click.option(
    "--archive",
    metavar="DIR",
    help="Keep every poll, without secrets, in daily files below DIR.  [env var: CHENYU_ARCHIVE]",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where /healthz, /readyz and /metrics are served; empty or off: nowhere."
    "  [env var: CHENYU_LISTEN; default: 127.0.0.1:9469]",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "json"]),
    help="auto: text on a terminal, JSON lines elsewhere.  [env var: CHENYU_LOG_FORMAT]",
)
@click.pass_obj
def run(
    context: Context,
    account: str | None,
    archive: str | None,
    listen: str | None,
    log_format: str | None,
) -> None:
    """Run the daemon: poll for ever, instances every 2 minutes or as the config file says.

    Every account has a thread of its own; one that fails delays no other. SIGTERM and Ctrl-C finish
    the polls in hand, or leave them as if never begun, within seconds. SIGHUP reads the config file
    again; a broken one is refused and the old one stays. Several daemons may serve one Postgres:
    one of them polls an account, another takes over when it dies.
    """
    from etl import settings
    from etl.service import logs
    from etl.service.daemon import Daemon
    from etl.service.watchdog import Systemd

    given: dict[str, Any] = {
        "account": account,
        "archive": archive,
        "listen": listen,
        "log_format": log_format,
    }
    app = context.app(**given)
    _require_a_key(app)
    with Systemd(app.environ).starting("bringing the database up to date"):
        is_new = prepare_database(app)
    app.database.reopen_each_time()
    path = Path(context.config) if context.config else None
    logs.configure(app.settings.log_format, debug=context.debug)
    if is_new:
        logging.getLogger("etl.daemon").warning("%s: %s", app.database.location, CREATED)
    try:
        daemon = Daemon(app, lambda: settings.load({**context.options, **given}, os.environ, path))
        code = daemon.run()
    finally:
        warnings.showwarning = show_warning
    raise SystemExit(code)


@click.command()
@click.option("--account", metavar="NAME", default="default", show_default=True, help="Its name.")
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
    from etl.service import installing, units

    if wants_service and not system and _is_root() and not context.config:
        raise click.UsageError("root's service is one of the system: add --system")
    if not system and wants_service is not False and _wants_system(context):
        system = wants_service = True
    path = Path(context.config) if context.config else None
    config = units.SYSTEM_CONFIG if system else settings.config_path(os.environ, path)
    installing.refuse_known(config, account)
    app = context.app(may_be_new=True)
    key = _good_key(app, account, from_stdin)
    is_new = not config.exists()
    lines, unwritten = _first_lines(context, system)
    location = installing.write_account(config, account, key, lines, system=system)
    say(f"wrote {config} and {location}")
    for name in unwritten if is_new else [*unwritten, *(line.partition(" ")[0] for line in lines)]:
        say(f"not written there: {name}, as you gave it here; it counts only where it is set")
    if not system and first_sync is not False:
        _poll_first(context, config, account)
    if wants_service is None:
        asks = is_terminal() and (system or not _is_root())
        wants_service = asks and click.confirm("Install it as a service?", err=True)
    if wants_service:
        known = settings.load({}, os.environ, config)
        print_lines(installing.install(config, known, system=system, folder=None, start=True))
    else:
        command = _start_command(config, account)
        say(f"next: {command} run, or {command} service install, or lines for cron:")
        say(f"      {command} service print cron")


def _wants_system(context: Context) -> bool:
    """Return whether to set up a service of the system, for root; its config has a path of its own.

    It must be asked before anything is written.
    """
    from etl.service import units

    if context.config or not (_is_root() and is_terminal()):
        return False
    location = units.SYSTEM_CONFIG.parent
    return click.confirm(f"Set it up as a service of the system, in {location}?", err=True)


def _good_key(app: Any, account: str, from_stdin: bool) -> str:
    """Return a key that the source accepts; at a terminal, ask again while it is refused."""
    from etl.errors import Refused, SettingsError
    from etl.service import installing

    is_asked = not from_stdin and not os.environ.get("CHENYU_API_KEY") and is_terminal()
    for left in reversed(range(ASKED_TIMES if is_asked else 1)):
        key = _asked_key(from_stdin)
        try:
            listed = installing.try_key(app, account, key)
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
    say(f"the key is good: {listed} instances are listed")
    return key


def _asked_key(from_stdin: bool) -> str:
    import sys

    if from_stdin:
        key = sys.stdin.readline()
    elif given := os.environ.get("CHENYU_API_KEY"):
        key = given
    elif is_terminal():
        key = click.prompt("API key (from the console of chenyu.cn)", hide_input=True, err=True)
    else:
        raise click.UsageError("there is no terminal to ask for the key: use --stdin")
    if not key.strip():
        raise click.UsageError("the key is empty")
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

    from etl.service import units
    from etl.settings import variable
    from etl.settings.variables import UNWRITTEN_VARIABLES, plain_settings

    values = {name: os.environ.get(variable(name), "") for name in plain_settings()}
    values |= {name: value for name, value in context.options.items() if value}
    secret = [v for v in UNWRITTEN_VARIABLES if os.environ.get(v)]
    if "@" in values["database_url"] and "://" in values["database_url"]:
        secret.append(variable("database_url"))
        values["database_url"] = ""
    if system and not values["database_url"]:
        values["database_url"] = f"{units.STATE}/{units.NAME}.db"
    for name in ("database_url", "archive"):
        if values[name] and "://" not in values[name]:
            values[name] = str(Path(values[name].strip()).expanduser().absolute())
    lines = [
        f"{name} = {json.dumps(value.strip(), ensure_ascii=False)}"
        for name, value in values.items()
        if value
    ]
    return lines, secret


def _poll_first(context: Context, config: Path, account: str) -> None:
    from etl import polling, settings
    from etl.app import App
    from etl.cli.syncing import _say_result

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
    if code := polling.exit_code(results):
        raise SystemExit(code)


@click.group()
def service() -> None:
    """Print service files for systemd, cron and others, or install them for systemd."""


_user_option = click.option(
    "--user", is_flag=True, help="A service of yours; the default for all but root."
)
_folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the unit is, instead of systemd's own place; nothing is started or stopped.",
)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


@service.command(name="print")
@click.argument(
    "kind",
    type=click.Choice(["systemd", "cron", "launchd", "windows"]),
    default="systemd",
)
@_user_option
@click.pass_obj
def print_service(context: Context, kind: str, user: bool) -> None:
    """Print the file or command with which systemd, cron, launchd or Windows runs this installation."""
    from etl.service import installing, units

    system = not user and _is_root() and kind == "systemd"
    config, known = _config(context, system=system)
    here = installing.installed(config, _carried(context, config, system=system))
    if kind == "systemd":
        text = units.unit(here, known, system=system)
        if system:
            installing.refuse_out_of_reach(config, known)
    elif kind == "launchd":
        text = units.launchd(here, Path.home())
    else:
        text = units.crontab(here) if kind == "cron" else units.windows(here)
    print_text(text)


@service.command()
@_user_option
@click.option("--start/--no-start", default=True, show_default=True, help="Start it, too.")
@_folder_option
@click.pass_obj
def install(context: Context, user: bool, start: bool, folder: Path | None) -> None:
    """Install the systemd service: as root, locked down with a user of its own; else for yourself."""
    from etl.service import installing

    system = not user and _is_root()
    config, known = _config(context, system=system)
    environ = _carried(context, config, system=system)
    print_lines(
        installing.install(config, known, environ, system=system, folder=folder, start=start)
    )


@service.command()
@_user_option
@_folder_option
def uninstall(user: bool, folder: Path | None) -> None:
    """Stop the service and remove its unit; config, keys and database stay."""
    from etl.service import installing

    print_lines(installing.uninstall(system=not user and _is_root(), folder=folder))


def _config(context: Context, *, system: bool) -> tuple[Path, Any]:
    """Return the config file that the service is to use, and its settings.

    Keys in this environment are left out, since the service will not have them.
    """
    from etl import settings
    from etl.service import units

    given = Path(context.config) if context.config else None
    if given is None and system and units.SYSTEM_CONFIG.exists():
        given = units.SYSTEM_CONFIG
    path = settings.config_path(os.environ, given)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("CHENYU_API_KEY")
    }
    state = {"STATE_DIRECTORY": str(units.STATE)} if system else own
    return path, settings.load(context.options, state, path if path.exists() else given)


def _carried(context: Context, config: Path, *, system: bool) -> dict[str, str]:
    """Return the variables of this shell that the service needs, without root's own folders."""
    from etl import settings
    from etl.service import installing

    written = settings.read_config(config) if config.exists() else {}
    environ = installing.carried(context.options, os.environ, written)
    own = ("XDG_CONFIG_HOME", "XDG_DATA_HOME") if system else ()
    return {name: value for name, value in environ.items() if name not in own}


def _require_a_key(app: Any) -> None:
    """Raise if no account has a key; warn of each that lacks one, since it is tried again later."""
    from etl.errors import SettingsError

    missing = []
    for account in app.settings.accounts:
        try:
            account.key(app.environ)
        except SettingsError as error:
            missing.append(error)
    if len(missing) == len(app.settings.accounts):
        raise missing[0]
    for missed in missing:
        say(f"warning: {missed.message}")
