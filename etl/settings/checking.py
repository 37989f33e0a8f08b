"""Checks of settings that need this machine, and no network: files that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from etl.errors import SettingsError
from etl.redact import may_hold_password, shown_reference
from etl.settings import LoadedSettings
from etl.settings.file import is_there, open_to_others
from etl.settings.problems import Problems
from etl.settings.service import refuse_open
from etl.settings.variables import unread_variables
from etl.source.proxies import proxy_for, tls_context
from etl.texts import tr


def problems(reading: LoadedSettings, environ: Mapping[str, str]) -> Iterator[SettingsError]:
    """Yield everything that would stop a sync: keys that are not there, a folder that cannot be."""
    for account in reading.settings.accounts:
        try:
            # read, not only looked for: an empty file or another user's is as bad as none
            account.key(environ)
        except SettingsError as error:
            yield error
    for channel in reading.settings.alerts.channels:
        for secret in (channel.url, channel.secret):
            if secret:
                try:
                    secret.read(environ, f"alerts.channels.{channel.name}")
                except SettingsError as error:
                    yield error
    yield from _unusable_variables(reading, environ)
    settings = reading.settings
    try:
        refuse_open(settings)
    except SettingsError as error:
        yield error
    folder = settings.archive
    with suppress(OSError):  # in a folder that this user cannot enter: another one may be meant to
        if folder is not None and folder.exists() and not folder.is_dir():
            yield SettingsError(
                tr("archive {folder} is not a folder", folder=folder), advice=tr("name another")
            )


def _unusable_variables(
    reading: LoadedSettings, environ: Mapping[str, str]
) -> Iterator[SettingsError]:
    """Yield an error for each proxy or certificate variable that no address could be reached with."""
    settings = reading.settings
    urls = [account.base_url or settings.base_url for account in settings.accounts]
    found = Problems()
    for url in (*urls, *([settings.ping_url] if settings.ping_url else [])):
        found.catch(None, proxy_for, url, environ)
        if url.startswith("https:"):
            found.catch(None, tls_context, environ)
    # one variable stands in the way of many addresses
    yield from {error.message: error for error in found}.values()


def notes(reading: LoadedSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield likely mistakes that do not stop a sync."""
    config = reading.config
    # a config that is not read names no variables, so all of them would look unread
    if is_there(config) and not reading.problems:
        yield from unread_variables(environ, config)
    yield from exposed(reading)
    for account in reading.settings.accounts:
        if account.key_file is not None and open_to_others(account.key_file):
            yield tr(
                "others can read the key file {key_file}: chmod 600 {key_file}",
                key_file=account.key_file,
            )
    for name, path in relative_paths(reading):
        yield tr(
            "{name} is a relative path, {path}: it depends on the folder of each start",
            name=name,
            path=shown_reference(str(path)),
        )


def exposed(reading: LoadedSettings) -> Iterator[str]:
    """Yield a warning if others can read a config file that holds a secret."""
    config = reading.config
    if _holds_secret(reading) and open_to_others(config):
        yield f"{config} holds a secret and others can read it: chmod 600 {config}"


def _holds_secret(reading: LoadedSettings) -> bool:
    """Tell whether the config file holds a password of the database, the URL to ping or a token."""
    written = reading.written
    url = written.get("database_url")
    return bool(written.get("ping_url") or written.get("page_token")) or (
        isinstance(url, str) and may_hold_password(url)
    )


def relative_paths(reading: LoadedSettings) -> Iterator[tuple[str, Path]]:
    """Yield the settings that are relative paths: where they lead depends on the folder of each start."""
    settings = reading.settings
    paths = [("archive", settings.archive)]
    paths += [(f"accounts.{a.name}.api_key_file", a.key_file) for a in settings.accounts]
    paths += [
        (f"alerts.channels.{channel.name}", secret.file)
        for channel in settings.alerts.channels
        for secret in (channel.url, channel.secret)
    ]
    url = reading.written.get("database_url")
    if isinstance(url, str) and "://" not in url and url.strip():
        with suppress(RuntimeError):  # a user without a home: that is said by the reader
            paths.append(("database_url", Path(url.strip()).expanduser()))
    for name, path in paths:
        # a unit starts in the root folder, and cron in the user's home
        if path is not None and not path.is_absolute():
            yield name, path
