"""Settings for people: each value, where it comes from, and no secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final
from urllib.parse import urlsplit

from etl.errors import SettingsError
from etl.redact import redact_words, shown_reference
from etl.settings import LoadedSettings, Settings
from etl.settings.file import is_there
from etl.timing.cadence import Cadence

MASK: Final = "[secret]"

Row = tuple[str, str, str]
"""Name, value, origin."""


def rows(reading: LoadedSettings, environ: Mapping[str, str]) -> list[Row]:
    """Return every setting, also those that nobody set."""
    return [
        ("config", str(reading.config), "read" if is_there(reading.config) else "not there"),
        *_top_rows(reading),
        *_accounts(reading, environ),
        *_alerts(reading),
    ]


def _top_rows(reading: LoadedSettings) -> Iterator[Row]:
    for field in fields(Settings):
        if field.name not in ("accounts", "others", "alerts"):
            value = getattr(reading.settings, field.name)
            yield (
                field.name,
                _masked(field.name, value),
                reading.origins.get(field.name, "default"),
            )


def _accounts(reading: LoadedSettings, environ: Mapping[str, str]) -> Iterator[Row]:
    for account in reading.settings.accounts:
        # a key in the place of a name is refused, and shown by this command all the same
        at = f"accounts.{redact_words(account.name)}"
        try:
            # read, so that a key file that cannot be is seen here and not at the first poll
            key = MASK if account.key(environ) else "none"
        except SettingsError as error:
            key = error.message
        yield f"{at}.key", key, account.key_origin(environ)
        origin = str(reading.config)
        if account.base_url:
            yield f"{at}.base_url", account.base_url, origin
        if account.schedule:
            yield f"{at}.schedule", _as_text(account.schedule), origin


def _alerts(reading: LoadedSettings) -> Iterator[Row]:
    """Return the alert settings in the config file; their defaults are in docs/alerts.md."""
    written = reading.written.get("alerts", {})
    yield from _flat("alerts", written if isinstance(written, dict) else {}, str(reading.config))


def _flat(at: str, written: Mapping[str, Any], origin: str) -> Iterator[Row]:
    for name, value in written.items():
        if isinstance(value, dict):
            yield from _flat(f"{at}.{name}", value, origin)
        else:
            # a command may hold a token among its words
            is_secret = name in ("command", "on_alert", "url", "secret")
            is_reference = name.endswith(("_env", "_file")) or "://" in str(value)
            text = shown_reference(str(value)) if is_reference else str(value)
            yield f"{at}.{name}", MASK if is_secret else text, origin


def _masked(name: str, value: Any) -> str:
    if name == "database_url":
        return _without_password(value)
    if name == "ping_url" and value:
        # the host says which service it is, and the path is the secret
        return f"{urlsplit(value).scheme}://{urlsplit(value).hostname}/{MASK}"
    if name == "page_token" and value:
        return MASK
    if name == "listen" and not value:
        return "off"
    return _as_text(value)


def _without_password(url: str) -> str:
    """Return where the database is, without a password: the path of a file, or the server and the
    name.
    """
    if not url.startswith("sqlite:"):
        # imported late: it loads SQLAlchemy, which the path of a file does not need
        from etl.dialect import open_database

        try:
            return open_database(url).location
        except SettingsError as error:
            return error.message
    return url.removeprefix("sqlite:///")


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return (
            "; ".join(f"{name} {cadence}" for name, cadence in value.items()) or "of each resource"
        )
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Cadence):
        return str(value)
    return "none" if value in (None, "") else str(value)
