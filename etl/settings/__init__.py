"""The operator's words, as one frozen value. What is wrong in them is refused before work begins.

Precedence: option on the command line, environment variable, config file, default.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from etl.address import read_address
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.paths import file_name
from etl.resources import RESOURCES
from etl.settings import alerts as alert_settings
from etl.settings.alerts import AlertSettings
from etl.settings.service import (
    DEFAULT_LISTEN,
    SCHEDULE_VARIABLE,
    read_cadences,
    read_listen,
    read_log_format,
    read_ping_url,
    read_schedule,
)
from etl.timing.cadence import Cadence

DEFAULT_ACCOUNT: Final = "default"
LONGEST_ACCOUNT: Final = 100
DEFAULT_BASE_URL: Final = "https://www.chenyu.cn/api/open/v2"
DEFAULT_TIMEZONE: Final = "Asia/Shanghai"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what `LoadCredential=` names."""
KEY_VARIABLE: Final = "CHENYU_API_KEY"
KEY_FILE_VARIABLE: Final = "CHENYU_API_KEY_FILE"
WHERE_KEYS_ARE: Final = (
    "make a key in the console of chenyu.cn, then: export CHENYU_API_KEY=cy_…"
    " (or put it into a file and name that: CHENYU_API_KEY_FILE)"
)


@dataclass(frozen=True, slots=True)
class Account:
    """An account and where its key is. The key itself is read when it is needed, never kept.

    `schedule` holds cadences by resource that are its own. `key_credential` names a systemd
    credential; without one, a credential `ACCOUNT.key` stands in for the key file.
    """

    name: str
    key_env: str | None = None
    key_file: Path | None = None
    key_credential: str | None = None
    schedule: Mapping[str, Cadence] = field(default_factory=dict)

    @property
    def credential(self) -> str:
        """The name of its systemd credential."""
        return self.key_credential or f"{file_name(self.name)}.key"

    def key(self, environ: Mapping[str, str]) -> str:
        """The API key. Raises `SettingsError` where there is none, with how to set it."""
        found = environ.get(self.key_env, "") if self.key_env else ""
        file = self._credential_file(environ) or self.key_file
        if not found and file is not None:
            found = _read_key(file)
        if not found.strip():
            own = self.key_env if self.key_env != KEY_VARIABLE else None
            raise SettingsError(
                f"there is no API key for account {self.name!r}",
                advice=f"export {own}=cy_…, as the config file says" if own else WHERE_KEYS_ARE,
            )
        return found.strip()

    def _credential_file(self, environ: Mapping[str, str]) -> Path | None:
        given = Path(environ.get(CREDENTIALS) or f"${CREDENTIALS}", self.credential)
        return given if self.key_credential or given.exists() else None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. `database_url` and `ping_url` may hold secrets: they have no place
    in a message. `schedule` holds cadences by resource."""

    database_url: str = field(repr=False, default="")
    base_url: str = DEFAULT_BASE_URL
    timezone: str = DEFAULT_TIMEZONE
    page_size: int = 100
    concurrency: int = 4
    timeout_s: float = 30.0
    attempts: int = 5
    archive: Path | None = None
    resources: tuple[str, ...] = tuple(RESOURCES)
    schedule: Mapping[str, Cadence] = field(default_factory=dict)
    listen: str = DEFAULT_LISTEN
    ping_url: str = field(repr=False, default="")
    log_format: str = "auto"
    accounts: tuple[Account, ...] = ()
    alerts: AlertSettings = field(default_factory=AlertSettings)


_KINDS: Final[dict[str, type]] = {
    "database_url": str,
    "base_url": str,
    "timezone": str,
    "page_size": int,
    "concurrency": int,
    "timeout_s": float,
    "attempts": int,
    "archive": str,
    "listen": str,
    "ping_url": str,
    "log_format": str,
}
_LIMITS: Final = {
    "page_size": (1, 10_000),
    "concurrency": (1, 32),
    "timeout_s": (0.05, 600),
    "attempts": (1, 20),
}
RESOURCES_VARIABLE: Final = "CHENYU_RESOURCES"
_CONFIG_ONLY: Final = {"api_key_file", "accounts", "resources", "schedule", "alerts"}
_ACCOUNT_KEYS: Final = {"api_key_env", "api_key_file", "api_key_credential", "schedule"}
_MAY_BE_EMPTY: Final = "listen"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"CHENYU_{name.upper()}"


def load(
    options: Mapping[str, Any], environ: Mapping[str, str], config: Path | None = None
) -> Settings:
    """Settings from options (None: not given), environment and config file.

    `options["account"]` narrows to one account. Raises `SettingsError`.
    """
    path = config_path(environ, config)
    written = read_config(path) if path.exists() else {}
    if not path.exists() and (config or environ.get("CHENYU_CONFIG")):
        raise SettingsError(f"there is no config file {path}", advice="create it, or name another")
    values: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        said = options.get(name), environ.get(variable(name)), written.get(name)
        for value, where in zip(said, ("option", variable(name), str(path)), strict=True):
            if value is not None and (value != "" or name == _MAY_BE_EMPTY):
                values[name] = _typed(name, value, kind, where)
                break
    Zone(values.get("timezone", DEFAULT_TIMEZONE))
    url = database_url(values.get("database_url"), environ)
    archive = values.get("archive")
    return Settings(
        **{
            **values,
            "database_url": url,
            "base_url": _base_url(values.get("base_url", DEFAULT_BASE_URL)),
            "archive": Path(archive).expanduser() if archive else None,
            "resources": _resources(environ, written, path),
            "schedule": read_schedule(
                environ.get(SCHEDULE_VARIABLE, ""),
                _table(written.get("schedule", {}), "schedule", path),
                f"{path}: schedule",
            ),
            "listen": read_listen(values.get("listen", DEFAULT_LISTEN)),
            "ping_url": read_ping_url(values.get("ping_url", "")),
            "log_format": read_log_format(values.get("log_format", "auto")),
            "accounts": _accounts(written, environ, options.get("account"), path),
            "alerts": alert_settings.read(written.get("alerts", {}), str(path)),
        }
    )


def config_path(environ: Mapping[str, str], given: Path | None = None) -> Path:
    """Where the config file is, or would be."""
    if given is not None:
        return given
    if named := environ.get("CHENYU_CONFIG"):
        return Path(named).expanduser()
    import platformdirs

    try:
        return platformdirs.user_config_path("chenyu-etl") / "config.toml"
    except RuntimeError:  # a user without a home, as in a container
        return Path("/etc/chenyu-etl/config.toml")


def database_url(said: str | None, environ: Mapping[str, str]) -> str:
    """Return the URL of the database that the value names, else of the default file. Raises
    `SettingsError` for a value that is neither a path nor a URL that is understood."""
    if said is None:
        return default_urls(environ)[0]
    address = read_address(said)
    return f"sqlite:///{address}" if isinstance(address, Path) else said.strip()


def default_urls(environ: Mapping[str, str]) -> list[str]:
    """The default databases, the one that is used first."""
    import platformdirs

    folders = []
    with suppress(RuntimeError):  # a user without a home, as in a container
        folders.append(platformdirs.user_data_path("chenyu-etl"))
    if state := environ.get("STATE_DIRECTORY"):
        folders.insert(0, Path(state.partition(":")[0]))
    if not folders:
        raise SettingsError(
            "this user has no home, so there is no place for the database",
            advice="name one: CHENYU_DATABASE_URL, or a folder: STATE_DIRECTORY",
        )
    return [f"sqlite:///{folder / 'chenyu-etl.db'}" for folder in folders]


def read_config(path: Path) -> dict[str, Any]:
    """What a config file says. Raises `SettingsError` where it cannot be read, or says what it cannot."""
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else f"it is no TOML{_at(error)}"
        raise SettingsError(
            f"config file {path} cannot be read: {what}",
            advice="see docs/configuration.md for an example",
        ) from None  # a syntax error may quote the line, and the line may hold a secret
    for name in written:
        _refuse_unknown(name, _KINDS.keys() | _CONFIG_ONLY, path)
    return written


def _at(error: Exception) -> str:
    """Where a syntax error is, without what is there."""
    found = re.search(r" \(at (line \d+, column \d+|end of document)\)$", str(error))
    return found[0] if found else ""


def _refuse_unknown(name: str, known: set[str], path: Path) -> None:
    if name == "api_key":
        raise SettingsError(
            f"{path} holds an API key", advice="put it into a file of its own: api_key_file"
        )
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise SettingsError(
            f"{path} sets {name!r}, which is no setting",
            advice=f"did you mean {near[0]}?"
            if near
            else f"settings are: {', '.join(sorted(known))}",
        )


def _typed(name: str, value: Any, kind: type, where: str) -> Any:
    if kind is str:
        return _text(name, value, where)
    try:
        typed = kind(str(value))  # as text: 10.5 is no whole number, true is none at all
    except ValueError:
        raise SettingsError(
            f"{name} ({where}) must be a {'whole ' if kind is int else ''}number",
            advice=f"for example {_example(name)}",
        ) from None
    low, high = _LIMITS[name]
    if not low <= typed <= high:
        raise SettingsError(
            f"{name} ({where}) is {typed}", advice=f"it must be from {low} to {high}"
        )
    return typed


def _text(name: str, value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{name} ({where}) must be text", advice=f'write {name} = "…"')
    return value


def _example(name: str) -> Any:
    return next(f.default for f in fields(Settings) if f.name == name)


def _resources(
    environ: Mapping[str, str], written: Mapping[str, Any], path: Path
) -> tuple[str, ...]:
    """What is to be collected, in the order in which it is polled."""
    said, where = environ.get(RESOURCES_VARIABLE), RESOURCES_VARIABLE
    names: Any = [name.strip() for name in said.split(",")] if said else None
    if names is None:
        names, where = written.get("resources", list(RESOURCES)), str(path)
    odd = [name for name in names if name not in RESOURCES] if isinstance(names, list) else [names]
    if odd or not names:
        raise SettingsError(
            f"resources ({where}) names what is none" + (f": {odd[0]!r}" if odd else ""),
            advice=f"name some of {', '.join(RESOURCES)}",
        )
    return tuple(name for name in RESOURCES if name in names)


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an address that is none
        known = False
    if not known:
        raise SettingsError(
            "base_url is no http(s) URL", advice=f"the public one is {DEFAULT_BASE_URL}"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError("base_url holds more than host and path", advice="leave that out")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsError(
            f"base_url would send the key unencrypted to {parts.hostname}", advice="use https"
        )
    return url.rstrip("/")


def _accounts(
    written: Mapping[str, Any], environ: Mapping[str, str], chosen: str | None, path: Path
) -> tuple[Account, ...]:
    """The accounts of the config file; and the one whose key the environment, or the file outside
    of `[accounts]`, holds: that is the key of `chosen`, else of the default account."""
    accounts = {
        name: _account(name, keys, path)
        for name, keys in _table(written.get("accounts", {}), "accounts", path).items()
    }
    name = chosen or DEFAULT_ACCOUNT
    is_told = bool(environ.get(KEY_VARIABLE) or environ.get(KEY_FILE_VARIABLE))
    if name not in accounts:
        if not accounts or is_told or "api_key_file" in written:
            accounts[name] = _plain_account(name, written, environ, path)
        elif chosen:
            raise SettingsError(
                f"{path} knows no account {chosen!r}",
                advice=f"it knows {', '.join(accounts)}; or export {KEY_VARIABLE}=cy_…",
            )
    elif is_told:
        accounts[name] = _plain_account(name, {}, environ, path)
    return (accounts[chosen],) if chosen else tuple(accounts.values())


def _plain_account(
    name: str, written: Mapping[str, Any], environ: Mapping[str, str], path: Path
) -> Account:
    refuse_odd_name(name)
    file = environ.get(KEY_FILE_VARIABLE) or _key_file(written, path)
    return Account(name, KEY_VARIABLE, Path(file).expanduser() if file else None)


def _account(name: str, keys: Any, path: Path) -> Account:
    refuse_odd_name(name, f"{path}: ")
    for key in _table(keys, f"accounts.{name}", path):
        _refuse_unknown(key, _ACCOUNT_KEYS, path)
    variable_name = keys.get("api_key_env")
    if variable_name is not None:
        _text("api_key_env", variable_name, str(path))
    credential = keys.get("api_key_credential")
    if credential is not None and "/" in _text("api_key_credential", credential, str(path)):
        raise SettingsError(f"{path}: api_key_credential is a name, no path", advice="see systemd")
    file = _key_file(keys, path)
    own = _table(keys.get("schedule", {}), f"accounts.{name}.schedule", path)
    return Account(
        name,
        variable_name,
        Path(file).expanduser() if file else None,
        credential,
        read_cadences(own, f"{path}: accounts.{name}.schedule"),
    )


def _key_file(keys: Mapping[str, Any], path: Path) -> str | None:
    file = keys.get("api_key_file")
    return None if file is None else _text("api_key_file", file, str(path))


def _table(value: Any, name: str, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: {name} must be a table", advice="see docs/configuration.md")
    return value


def refuse_odd_name(name: str, where: str = "") -> None:
    """Raises `SettingsError` for what cannot be an account's name."""
    if not name.strip() or len(name) > LONGEST_ACCOUNT or not name.isprintable():
        short = name if len(name) <= 40 else f"{name[:40]}…"
        raise SettingsError(
            f"{where}account {short!r} needs a short plain name",
            advice=f"for example lab; {LONGEST_ACCOUNT} characters at most, on one line",
        )


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(
            f"API key file {path} cannot be read: {what}", advice="check its place and permissions"
        ) from None
