"""The operator's settings, as one frozen value. Anything wrong in them is refused before work begins.

Precedence: option on the command line, environment variable, config file, default.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from etl.address import read_address
from etl.errors import SettingsError
from etl.resources import RESOURCES
from etl.settings import alerts as alert_settings
from etl.settings import readers
from etl.settings.accounts import (
    CREDENTIALS,
    DEFAULT_ACCOUNT,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    Account,
    read_accounts,
    refuse_odd_name,
)
from etl.settings.alerts import AlertSettings
from etl.settings.file import config_path, is_there, read_config, table, unknown_names
from etl.settings.problems import Problems
from etl.settings.readers import DEFAULT_BASE_URL, Reader, number
from etl.settings.service import (
    DEFAULT_LISTEN,
    SCHEDULE_VARIABLE,
    read_listen,
    read_log_format,
    read_page_hosts,
    read_page_token,
    read_ping_url,
    read_schedule,
)
from etl.settings.text import clean
from etl.texts import locale_language, tr
from etl.timing.cadence import Cadence

DEFAULT_TIMEZONE: Final = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `database_url`, `ping_url` and `page_token` may hold secrets: they have no place
    in a message. `schedule` holds cadences by resource; an empty `lang` stands for the
    locale's; `keep_polls` is a number of days, 0 for all. `accounts` are those to poll, `others` those that an option left out.
    """

    # no secret in a repr: logs and tracebacks show reprs
    database_url: str = field(repr=False, default="")
    base_url: str = DEFAULT_BASE_URL
    timezone: str = DEFAULT_TIMEZONE
    page_size: int = 100
    concurrency: int = 4
    timeout_s: float = 30.0
    attempts: int = 5
    archive: Path | None = None
    keep_polls: int = 0
    resources: tuple[str, ...] = tuple(RESOURCES)
    schedule: Mapping[str, Cadence] = field(default_factory=dict)
    listen: str = DEFAULT_LISTEN
    ping_url: str = field(repr=False, default="")
    log_format: str = "auto"
    lang: str = ""
    page: bool = False
    page_token: str = field(repr=False, default="")
    page_hosts: tuple[str, ...] = ()
    reports: bool = False
    accounts: tuple[Account, ...] = ()
    others: tuple[Account, ...] = ()
    alerts: AlertSettings = field(default_factory=AlertSettings)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings as they were read: where each came from (`origins`, by name; absent: the default), and
    all that is wrong with them. With problems, `settings` holds defaults in the place of wrong values."""

    settings: Settings
    config: Path
    written: Mapping[str, Any] = field(repr=False)
    origins: Mapping[str, str]
    problems: Problems

    def checked(self) -> Settings:
        """Return the settings. Raises `SettingsError` for the first thing that is wrong."""
        if self.problems:
            raise self.problems[0]
        return self.settings


_READERS: Final[dict[str, Reader]] = {
    "database_url": readers.uncleaned,
    "base_url": readers.base_url,
    "timezone": readers.zone,
    "page_size": number(int, 1, 10_000, 100),
    "concurrency": number(int, 1, 32, 4),
    "timeout_s": number(float, 0.05, 600, 30.0),
    "attempts": number(int, 1, 20, 5),
    "archive": readers.folder,
    "keep_polls": number(int, 31, 36_500, 400),
    "resources": readers.resources,
    "listen": read_listen,
    "ping_url": read_ping_url,
    "log_format": read_log_format,
    "lang": readers.language,
    "page": readers.switch,
    "page_token": read_page_token,
    "page_hosts": read_page_hosts,
    "reports": readers.switch,
}
"""Reader of each setting that is one value, wherever it is written."""
CONFIG_NAMES: Final = {*_READERS, "api_key_file", "accounts", "schedule", "alerts"}
_MAY_BE_EMPTY: Final = "listen"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"CHENYU_{name.upper()}"


def load(
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    config: Path | None = None,
    *,
    may_be_new: bool = False,
) -> Settings:
    """Return the settings of options (None: not given), environment and config file.

    `options["account"]` narrows to one account; with `may_be_new` a config file that is named need not
    be there yet. Raises `SettingsError` for the first thing that is wrong.
    """
    return read(options, environ, config, may_be_new=may_be_new).checked()


def read(
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    config: Path | None = None,
    *,
    may_be_new: bool = False,
) -> LoadedSettings:
    """Read all settings, and note everything that is wrong instead of stopping at the first."""
    path, problems = config_path(environ, config), Problems()
    written: dict[str, Any] = {}
    if is_there(path):
        written = problems.catch({}, read_config, path)
    # one that nobody named may be missing; one that was named and is not there is a typing error
    elif (config or environ.get("CHENYU_CONFIG")) and not may_be_new:
        problems.add(
            tr("there is no config file {path}", path=path), tr("create it, or name another")
        )
    problems.extend(unknown_names(written, CONFIG_NAMES, str(path)))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    # all of them, also after a fault: whoever mends settings wants to do it once
    for name, reader in _READERS.items():
        value, origin = _chosen(name, options, environ, written, path)
        if value is not None:
            origins[name] = origin
            default = _default(name)
            values[name] = problems.catch(default, reader, value, f"{name} ({origin})")
    own = problems.catch({}, table, written.get("schedule", {}), "schedule", str(path))
    by_environ = environ.get(SCHEDULE_VARIABLE, "")
    if by_environ or own:
        origins["schedule"] = SCHEDULE_VARIABLE if by_environ else str(path)
    account = options.get("account")
    chosen = problems.catch(None, clean, account, "--account") if account else None
    accounts = read_accounts(written, environ, chosen, path, problems)
    # apart from the readers: the default depends on the environment
    url = problems.catch("", database_url, values.pop("database_url", None), environ)
    settings = Settings(
        **values,
        database_url=url,
        schedule=problems.catch({}, read_schedule, by_environ, own, f"{path}: schedule", problems),
        accounts=tuple(a for a in accounts if chosen in (None, a.name)),
        others=tuple(a for a in accounts if chosen not in (None, a.name)),
        alerts=alert_settings.read(
            written.get("alerts", {}),
            str(path),
            problems,
            # the config file's own words on alerts come before what it says for all texts
            override=None if origins.get("lang") == str(path) else values.get("lang"),
            language=values.get("lang") or locale_language(environ),
        ),
    )
    return LoadedSettings(settings, path, written, origins, problems)


def _chosen(
    name: str,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    written: Mapping[str, Any],
    path: Path,
) -> tuple[Any, str]:
    """Return the value that wins, and where it is from; None if nobody sets it."""
    sources = (
        # the nearest to the person comes first: a command, then this shell, then the file
        (options.get(name), "option"),
        (environ.get(variable(name)), variable(name)),
        (written.get(name), str(path)),
    )
    for value, origin in sources:
        # units and containers set variables that they leave empty; only listen means `off` by that
        if value is not None and (value != "" or name == _MAY_BE_EMPTY):
            return value, origin
    return None, "default"


def _default(name: str) -> Any:
    return next(f.default for f in fields(Settings) if f.name == name)


def database_url(given: str | None, environ: Mapping[str, str]) -> str:
    """Return the URL of the database that the value names, else of the default file. Raises
    `SettingsError` for a value that is neither a path nor a URL that is understood."""
    if given is None:
        return _default_url(environ)
    address = read_address(given)
    # a URL stays as it is written: it may hold options that libpq alone knows
    return f"sqlite:///{address}" if isinstance(address, Path) else given.strip()


def _default_url(environ: Mapping[str, str]) -> str:
    urls = default_urls(environ)
    if not urls:
        raise SettingsError(
            tr("this user has no home, so there is no place for the database"),
            advice=tr("name one: CHENYU_DATABASE_URL, or a folder: STATE_DIRECTORY"),
        )
    return urls[0]


def default_urls(environ: Mapping[str, str]) -> list[str]:
    """Return the URLs of the default databases, the one in use first; none for a user without a home,
    as in a container.
    """
    import platformdirs

    folders = []
    with suppress(RuntimeError):  # a user without a home, as in a container
        folders.append(platformdirs.user_data_path("chenyu-etl"))
    if state := environ.get("STATE_DIRECTORY"):
        # systemd joins several folders by colons; the first is ours
        folders.insert(0, Path(state.partition(":")[0]))
    return [f"sqlite:///{folder / 'chenyu-etl.db'}" for folder in folders]


__all__ = [
    "CREDENTIALS",
    "DEFAULT_ACCOUNT",
    "KEY_FILE_VARIABLE",
    "KEY_VARIABLE",
    "Account",
    "LoadedSettings",
    "Settings",
    "config_path",
    "database_url",
    "default_urls",
    "load",
    "read",
    "read_config",
    "refuse_odd_name",
    "variable",
]
