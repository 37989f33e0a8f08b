"""Commands of the service: run, service."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from etl.cli.common import (
    CREATED,
    Context,
    account_option,
    is_root,
    prepare_database,
    print_text,
    say,
    setting_variables,
    show_warning,
    warn,
)
from etl.errors import EtlError
from etl.texts import tr

_VARIABLES = setting_variables(
    "CHENYU_SCHEDULE",
    "CHENYU_PING_URL",
    "CHENYU_PAGE_TOKEN",
    "CHENYU_PAGE_HOSTS",
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
    "--page/--no-page",
    default=None,
    help="Serve the page of this month at / of --listen. Other hosts than this one need a token"
    " (CHENYU_PAGE_TOKEN).  [env var: CHENYU_PAGE; default: no]",
)
@click.option(
    "--reports/--no-reports",
    default=None,
    help="Serve reports as JSON and CSV at /reports/NAME.json and .csv of --listen, to whoever may read"
    " the page.  [env var: CHENYU_REPORTS; default: no]",
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
    page: bool | None,
    reports: bool | None,
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
        "page": page,
        "reports": reports,
        "log_format": log_format,
    }
    app = context.app(**given)
    _require_a_key(app)
    # systemd would end a start that takes longer than usual, half-way through an upgrade
    with Systemd(app.environ).starting("bringing the database up to date"):
        is_new = prepare_database(app)
    # between polls the database is one whole file, which can be copied, moved and restored
    app.database.reopen_each_time()
    path = Path(context.config) if context.config else None
    logs.configure(app.settings.log_format, debug=context.debug)
    # in the log, not only on a screen: a mistyped path would go on unseen
    if is_new:
        logging.getLogger("etl.daemon").warning("%s: %s", app.database.location, CREATED)
    try:
        # options are given again at SIGHUP: they go before the file, however often it is read
        daemon = Daemon(app, lambda: settings.load({**context.options, **given}, os.environ, path))
        code = daemon.run()
    finally:
        # the log has taken the warnings; what follows the daemon is for the screen again
        warnings.showwarning = show_warning
    # SQLite calls back from a thread that is at work, and would find an interpreter that is gone
    if daemon.leaves_threads():
        with suppress(EtlError):
            app.close()
        logging.shutdown()
        os._exit(code)
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

    # the others run as whoever installs what is printed
    system = not user and is_root() and kind == "systemd"
    config, known, environ = _service(context, system=system)
    here = installing.installed(config, environ)
    if kind == "systemd":
        text = units.unit(here, known, system=system)
        if system:
            installing.refuse_out_of_reach(config, known)
            installing.refuse_foreign_archive(known.archive)
    elif kind == "launchd":
        text = units.launchd(here, installing.home())
    else:
        text = units.crontab(here) if kind == "cron" else units.windows(here)
    # after the refusals: no unit that cannot start is printed
    print_text(text)


@service.command()
@_user_option
@click.option("--start/--no-start", default=True, show_default=True, help="Start it, too.")
@_folder_option
@click.pass_obj
def install(context: Context, user: bool, start: bool, folder: Path | None) -> None:
    """Install the systemd service: as root, locked down with a user of its own; else for yourself."""
    from etl.service import installing

    system = not user and is_root()
    config, known, environ = _service(context, system=system)
    for done in installing.install(
        config, known, environ, system=system, folder=folder, start=start
    ):
        say(done)


@service.command()
@_user_option
@_folder_option
def uninstall(user: bool, folder: Path | None) -> None:
    """Stop the service and remove its unit; config, keys and database stay."""
    from etl.service import installing

    for done in installing.uninstall(system=not user and is_root(), folder=folder):
        say(done)


def _service(context: Context, *, system: bool) -> tuple[Path, Any, dict[str, str]]:
    """Return the config file that the service is to use, its settings, and the variables of this shell
    that it needs.

    The settings are those that the service will have: without keys of this shell, for the system
    with the variables of its own file. Raises `SettingsError` if it could not work with them.
    """
    from etl import settings
    from etl.service import installing, units
    from etl.settings.file import is_there
    from etl.settings.variables import unread_variables

    given = Path(context.config) if context.config else None
    # the service has a config of its own: root's would be out of its reach
    if given is None and system and is_there(units.SYSTEM_CONFIG):
        given = units.SYSTEM_CONFIG
    path = settings.config_path(os.environ, given)
    carried = carried_variables(context, path, system=system)
    # the service has no key of this shell: what works here by it would fail there
    own = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    if system:
        file = installing.service_environment()
        own = {"STATE_DIRECTORY": str(units.STATE), **carried, **file}
    reading = settings.read(context.options, own, path if is_there(path) else given)
    known = reading.checked()
    warn(unread_variables(os.environ, path if is_there(path) else None))
    installing.refuse_unfit(reading, own)
    return path, known, carried


def carried_variables(context: Context, config: Path, *, system: bool) -> dict[str, str]:
    """Return the variables of this shell that the service needs, without root's own folders."""
    from etl import settings
    from etl.service import installing
    from etl.settings.file import is_there

    written = settings.read_config(config) if is_there(config) else {}
    environ = installing.carried(context.options, os.environ, written)
    own = installing.FOLDERS if system else ()
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
    # one that lacks its key may get it later; without any there is nothing to do
    if len(missing) == len(app.settings.accounts):
        raise missing[0]
    for missed in missing:
        say(tr("warning: {message}", message=missed.message))
