"""Commands of the service: run."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import click

from etl.cli.common import Context, account_option, say, setting_variables, show_warning

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
    """Poll for ever: instances every 2 minutes, or as the config file says. The daemon.

    Every account has a thread of its own; one that fails delays no other. SIGTERM and Ctrl-C finish
    the polls in hand, or leave them as if never begun, within seconds. SIGHUP reads the config file
    again; a broken one is refused and the old one stays. Several daemons may serve one Postgres:
    one of them polls an account, another takes over when it dies.
    """
    from etl import logs, settings
    from etl.daemon import Daemon

    said: dict[str, Any] = {
        "account": account,
        "archive": archive,
        "listen": listen,
        "log_format": log_format,
    }
    app = context.app(**said)
    _require_a_key(app)
    app.prepare()
    path = Path(context.config) if context.config else None
    logs.configure(app.settings.log_format, debug=context.debug)
    try:
        daemon = Daemon(app, lambda: settings.load({**context.options, **said}, os.environ, path))
        code = daemon.run()
    finally:
        warnings.showwarning = show_warning
    raise SystemExit(code)


def _require_a_key(app: Any) -> None:
    """Raises where no account has a key; one that lacks its own is said, and tried again later."""
    from etl.errors import SettingsError

    missing = []
    for account in app.settings.accounts:
        try:
            account.key(app.environ)
        except SettingsError as error:
            missing.append(error)
    if len(missing) == len(app.settings.accounts):
        raise missing[0]
    for each in missing:
        say(f"warning: {each.message}")
